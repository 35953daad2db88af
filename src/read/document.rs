//! The text that is read, and where its lines begin.

use crate::fault::Fault;

/// The text of a file, or of one file and another that is laid over it. Lines are counted through: those of the second
/// file follow those of the first, and [`Document::place`] says which line of which file is meant.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
    /// Where each line begins.
    starts: Vec<usize>,
    /// Each file's name and where its text begins.
    files: Vec<(String, usize)>,
}

impl Document {
    pub(crate) fn new(file: &str, text: String) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            text,
            starts,
            files: vec![(file.to_owned(), 0)],
        }
    }

    /// With this file laid over it.
    pub(crate) fn under(self, file: &str, text: &str) -> Self {
        let start = self.text.len() + 1;
        let mut files = self.files;
        files.push((file.to_owned(), start));
        Self {
            files,
            ..Self::new("", self.text + "\n" + text)
        }
    }

    /// Where the text of each file begins, and the text, the lowest first.
    pub(super) fn files(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = self.files.iter().skip(1).map(|(_, start)| start - 1);
        let ends = ends.chain(std::iter::once(self.text.len()));
        self.files
            .iter()
            .zip(ends)
            .map(|((_, start), end)| (*start, self.text.get(*start..end).unwrap_or_default()))
    }

    /// Line of this byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// The text from this byte on.
    pub(super) fn from(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    /// The file that a line comes from, and which line of it that is.
    pub(super) fn place(&self, line: usize) -> (&str, usize) {
        let first = |start: usize| self.line(start);
        let file = self.files.iter().rev().find(|(_, start)| first(*start) <= line);
        file.map_or(("", line), |(file, start)| {
            (file.as_str(), line + 1 - first(*start))
        })
    }

    /// A fault of this kind at this line.
    pub(super) fn fault(&self, code: &str, line: usize) -> Fault {
        let (file, line) = self.place(line);
        Fault::new(code).file(file).line(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_known_by_its_file_and_number() {
        for lower in ["a = 1\nb = 2", "a = 1\nb = 2\n"] {
            let document =
                Document::new("lower.toml", lower.to_owned()).under("upper.toml", "c = 3\nd = 4\n");
            let of = |text: &str| document.place(document.line(document.text.find(text).unwrap()));
            assert_eq!(of("a ="), ("lower.toml", 1));
            assert_eq!(of("b ="), ("lower.toml", 2));
            assert_eq!(of("c ="), ("upper.toml", 1));
            assert_eq!(of("d ="), ("upper.toml", 2));
            let texts: Vec<_> = document.files().map(|(_, text)| text).collect();
            assert_eq!(texts, [lower, "c = 3\nd = 4\n"]);
        }
    }
}
