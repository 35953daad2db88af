//! One table of the document: its keys, its entries, what is missing and what nobody knows.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reader;
use super::value::Value;
use crate::fault::Fault;

/// The keys that a table may have.
pub(crate) type Keys = &'static [&'static str];

/// Keys whose names are chosen by the writer (settings, headers, names of operations).
pub(crate) const ANY: Keys = &[];

/// A table while it is read.
#[derive(Debug, Clone)]
pub(crate) struct Table<'r> {
    pub(super) reader: &'r Reader<'r>,
    entries: &'r DeTable<'r>,
    path: String,
    line: usize,
    keys: Keys,
}

impl<'r> Table<'r> {
    /// Wraps the entries and reports the keys that are not among `keys` (no keys: any).
    pub(super) fn new(
        reader: &'r Reader<'r>,
        entries: &'r DeTable<'r>,
        path: String,
        line: usize,
        keys: Keys,
    ) -> Self {
        let table = Self {
            reader,
            entries,
            path,
            line,
            keys,
        };
        for key in entries.keys().filter(|_| !keys.is_empty()) {
            if !keys.contains(&key.get_ref().as_ref()) {
                table.report_unknown(key.get_ref(), reader.document.line(key.span().start));
            }
        }
        table
    }

    fn report_unknown(&self, key: &str, line: usize) {
        let fault = self.reader.fault("unknown-key", line).field(self.field(key));
        let fault = match nearest(key, self.keys) {
            Some(near) => fault
                .expected(format!("`{near}`"))
                .remedy("correct the name or remove the key"),
            None => fault
                .expected(format!("one of: {}", self.keys.join(", ")))
                .remedy("remove the key: this version does not know it"),
        };
        self.reader.report(fault);
    }

    /// Full name of one of its keys: `push.dossier.when`.
    pub(crate) fn field(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Where the table begins.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Its own full name; empty for the whole document.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Is this key written?
    pub(crate) fn has(&self, key: &str) -> bool {
        debug_assert!(
            self.keys.is_empty() || self.keys.contains(&key),
            "{key} is read but not declared"
        );
        self.entries.contains_key(key)
    }

    /// The value under this key.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'r>> {
        debug_assert!(
            self.keys.is_empty() || self.keys.contains(&key),
            "{key} is read but not declared"
        );
        let (name, value) = self.entries.get_key_value(key)?;
        Some(self.value(name, value))
    }

    /// Every entry with its name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'r str, Value<'r>)> + '_ {
        self.entries
            .iter()
            .map(|(name, value)| (name.get_ref().as_ref(), self.value(name, value)))
    }

    fn value(&self, name: &'r Spanned<toml::de::DeString<'r>>, value: &'r Spanned<DeValue<'r>>) -> Value<'r> {
        Value {
            reader: self.reader,
            field: self.field(name.get_ref()),
            start: value.span().start,
            // A table's own span is its header or brace; the name is what the reader looks for.
            line: self
                .reader
                .document
                .line(name.span().start.min(value.span().start)),
            content: value.get_ref(),
        }
    }

    /// Reports each of these keys that is not written. `true` if all are there.
    pub(crate) fn demand(&self, keys: &[(&str, &str)]) -> bool {
        let missing: Vec<_> = keys.iter().filter(|(key, _)| !self.has(key)).collect();
        for (key, remedy) in &missing {
            self.reader.report(
                self.reader
                    .fault("missing-key", self.line)
                    .field(self.field(key))
                    .remedy(format!("add {remedy}")),
            );
        }
        missing.is_empty()
    }

    /// A fault of this kind, about this table.
    pub(crate) fn fault(&self, code: &str) -> Fault {
        let fault = self.reader.fault(code, self.line);
        if self.path.is_empty() {
            fault
        } else {
            fault.field(&self.path)
        }
    }

    /// A fault of this kind, about one of its keys.
    pub(crate) fn fault_at(&self, code: &str, key: &str) -> Fault {
        match self.get(key) {
            Some(value) => value.fault(code),
            None => self.reader.fault(code, self.line).field(self.field(key)),
        }
    }

    /// Keeps a fault for the end.
    pub(crate) fn report(&self, fault: Fault) {
        self.reader.report(fault);
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|key| (strsim::jaro_winkler(name, key), *key))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}
