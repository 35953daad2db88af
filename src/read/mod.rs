//! Reads what people write in TOML, and collects every fault instead of stopping at the first.
//!
//! A [`Document`] holds the text, a [`Reader`] its parsed form and the faults so far, a [`Table`] one table of it.
//! Asking a table for a value reports a wrong type at its line; a key that the table does not know is reported with the
//! nearest one that it does. Whoever reads goes on after a fault: the caller looks at [`Reader::faults`] at the end.
//!
//! A document may be a file with another laid over it ([`Document::under`], [`Reader::overlaid`]): who reads sees one
//! document, and each fault names the file and line that it comes from.

mod document;
mod duration;
mod overlay;
pub(crate) mod secret;
mod size;
mod table;
mod value;

use std::cell::RefCell;

use toml::Spanned;
use toml::de::DeTable;

use crate::fault::Fault;

pub(crate) use document::Document;
pub(crate) use duration::parse as parse_duration;
pub(crate) use overlay::Meeting;
pub(crate) use table::{ANY, Keys, Table, nearest};
pub(crate) use value::{Code, Value, Words};

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
        Self::overlaid(document, |_| Meeting::Merge)
    }

    /// The same for a document with another laid over it; `meeting` says of each full name what becomes of it there.
    pub(crate) fn overlaid(document: &'d Document, meeting: fn(&[&str]) -> Meeting) -> Self {
        let mut faults = Vec::new();
        let mut files = document.files().map(|(start, text)| {
            let (root, errors) = DeTable::parse_recoverable(text);
            faults.extend(errors.iter().map(|error| {
                let line = document.line(start + error.span().map_or(0, |span| span.start));
                document
                    .fault("manifest-syntax", line)
                    .found(error.message().lines().collect::<Vec<_>>().join(", "))
                    .expected("TOML 1.0")
                    .remedy("correct this line; what follows it may be misread until then")
            }));
            overlay::moved(root, start)
        });
        let mut root = files.next().unwrap_or_else(|| Spanned::new(0..0, DeTable::new()));
        for over in files {
            root = overlay::laid(root, over, meeting);
        }
        Self {
            document,
            root,
            faults: RefCell::new(faults),
        }
    }

    /// The whole document as a table with these keys.
    pub(crate) fn root(&self, keys: Keys) -> Table<'_> {
        let line = self.document.line(self.root.span().start);
        Table::new(self, self.root.get_ref(), String::new(), line, keys)
    }

    /// A fault of this kind at this line of the document.
    pub(crate) fn fault(&self, code: &str, line: usize) -> Fault {
        self.document.fault(code, line)
    }

    /// Keeps a fault for the end.
    pub(crate) fn report(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Keeps several.
    pub(crate) fn report_all(&self, faults: Vec<Fault>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// The file that this line of the document comes from, and which line of it that is.
    pub(crate) fn place(&self, line: usize) -> (&str, usize) {
        self.document.place(line)
    }

    /// Every fault so far, in the order of files and lines.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by(|a, b| (&a.file, a.line, &a.field).cmp(&(&b.file, b.line, &b.field)));
        faults.dedup();
        faults
    }
}
