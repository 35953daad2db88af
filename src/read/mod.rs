//! Reads what people write in TOML, and collects every fault instead of stopping at the first.
//!
//! A [`Document`] holds the text, a [`Reader`] its parsed form and the faults so far, a [`Table`] one table of it.
//! Asking a table for a value reports a wrong type at its line; a key that the table does not know is reported with the
//! nearest one that it does. Whoever reads goes on after a fault: the caller looks at [`Reader::faults`] at the end.

mod duration;
mod size;
mod table;
mod value;

use std::cell::RefCell;

use toml::Spanned;
use toml::de::DeTable;

use crate::fault::Fault;

pub(crate) use duration::parse as parse_duration;
pub(crate) use table::{ANY, Keys, Table, nearest};
pub(crate) use value::{Code, Value, Words};

/// The text of one file and where its lines begin.
#[derive(Debug)]
pub(crate) struct Document {
    file: String,
    text: String,
    starts: Vec<usize>,
}

impl Document {
    pub(crate) fn new(file: &str, text: String) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file: file.to_owned(),
            text,
            starts,
        }
    }

    /// Line of this byte, from 1.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }
}

/// A parsed document and everything found wrong with it.
#[derive(Debug)]
pub(crate) struct Reader<'d> {
    document: &'d Document,
    root: Spanned<DeTable<'d>>,
    faults: RefCell<Vec<Fault>>,
}

impl<'d> Reader<'d> {
    /// Parses the document as far as it goes; its syntax errors are the first faults.
    pub(crate) fn new(document: &'d Document) -> Self {
        let (root, errors) = DeTable::parse_recoverable(&document.text);
        let faults = errors
            .iter()
            .map(|error| {
                let line = error.span().map_or(1, |span| document.line(span.start));
                Fault::new("manifest-syntax")
                    .file(&document.file)
                    .line(line)
                    .found(error.message().lines().collect::<Vec<_>>().join(", "))
                    .expected("TOML 1.0")
                    .remedy("correct this line; what follows it may be misread until then")
            })
            .collect();
        Self {
            document,
            root,
            faults: RefCell::new(faults),
        }
    }

    /// The whole document as a table with these keys.
    pub(crate) fn root(&self, keys: Keys) -> Table<'_> {
        Table::new(self, self.root.get_ref(), String::new(), 1, keys)
    }

    /// A fault of this kind at this line of the document.
    pub(crate) fn fault(&self, code: &str, line: usize) -> Fault {
        Fault::new(code).file(&self.document.file).line(line)
    }

    /// Keeps a fault for the end.
    pub(crate) fn report(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Keeps several.
    pub(crate) fn report_all(&self, faults: Vec<Fault>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// Name of the file that is read.
    pub(crate) fn file(&self) -> &str {
        &self.document.file
    }

    /// Every fault so far, in the order of files and lines.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by(|a, b| (&a.file, a.line, &a.field).cmp(&(&b.file, b.line, &b.field)));
        faults.dedup();
        faults
    }
}
