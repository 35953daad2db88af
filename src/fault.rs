//! One thing wrong with what a person wrote or a system sent.
//!
//! `adapter check`, `config check`, a refused record and a parked delivery all say the same five things: where it is,
//! what was found, what was expected and what to do next, under a stable code. The same value prints for people,
//! serialises for `--json` and lies in a dead letter. It never holds a personal value: names of fields, codes of code
//! lists and file names only.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fault with its place, what was expected and the remedy. Built step by step; what is not known stays out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable name of the kind of fault, in kebab case: `table-missing-entry`.
    pub code: String,
    /// File that is at fault or that the remedy is made in, relative to the adapter or configuration folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in `file`, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Field of the record or key of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was there; never a personal value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What should have been there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the reader does next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Fault {
    /// A fault of this kind, with nothing else known yet.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            file: None,
            line: None,
            field: None,
            found: None,
            expected: None,
            remedy: None,
        }
    }

    /// Names the file.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Names the line, from 1.
    #[must_use]
    pub fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Names the field or key.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what was found. Never a personal value.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// The fault as a log may tell it: without what was found. That may be a value which strayed into a column of codes,
    /// or a system's own words, and nobody knows whom these name. Whoever opens the dead letter sees it.
    #[must_use]
    pub fn for_log(&self) -> Self {
        Self {
            found: None,
            ..self.clone()
        }
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "[{}]", self.code)?;
        if let Some(field) = &self.field {
            write!(f, " {field}:")?;
        }
        let parts = [
            ("found", &self.found),
            ("expected", &self.expected),
            ("next", &self.remedy),
        ];
        let mut separator = " ";
        for (label, text) in parts {
            if let Some(text) = text {
                write!(f, "{separator}{label} {text}")?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_place_finding_and_next_step() {
        let fault = Fault::new("table-missing-entry")
            .file("tables/channel.csv")
            .field("KenhThucHien")
            .found("code 9")
            .expected("a code of the table")
            .remedy("add the code to the table");
        assert_eq!(
            fault.to_string(),
            "tables/channel.csv: [table-missing-entry] KenhThucHien: found code 9; expected a code of the table; \
             next add the code to the table"
        );
    }
}
