//! The only place that writes to standard output and, beside `live`, to standard error.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;

use super::exit::{CliError, Exit};
use crate::fault::Fault;

/// Prints for people or as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Is it JSON that is wanted?
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a value: as JSON, or as the text that `people` makes of it.
    pub(super) fn show<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(value)
                .unwrap_or_else(|error| json!({"error": error.to_string()}).to_string())
        } else {
            people(value)
        };
        self.line(&text);
    }

    /// Prints a line. A reader that has gone (`| head`) is no error; whether there still is one.
    #[expect(clippy::unused_self, reason = "whoever prints holds the output")]
    pub(super) fn line(self, text: &str) -> bool {
        writeln!(std::io::stdout().lock(), "{}", text.trim_end()).is_ok()
    }

    /// Prints one of many values: a line of JSON, or the line that `people` makes of it. Whether anybody still reads.
    pub(super) fn item<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) -> bool {
        if self.json {
            let text = serde_json::to_string(value);
            self.line(&text.unwrap_or_else(|error| json!({"error": error.to_string()}).to_string()))
        } else {
            self.line(&people(value))
        }
    }

    /// Tells people how far long work has come; scripts that read JSON hear nothing.
    pub(super) fn progress(self, text: &str) {
        if !self.json {
            drop(writeln!(std::io::stderr().lock(), "{text}"));
        }
    }

    /// Prints an error, and every fault of it, to standard error; as JSON to standard output.
    pub(super) fn fail(self, error: &CliError) -> Exit {
        let faults: &[Fault] = match error {
            CliError::Faults(faults) => faults,
            _ => &[],
        };
        if self.json {
            self.line(&json!({"error": error.to_string(), "faults": faults}).to_string());
        } else {
            let mut stderr = std::io::stderr().lock();
            for fault in faults {
                drop(writeln!(stderr, "{fault}"));
            }
            drop(writeln!(stderr, "lienthong: {error}"));
        }
        error.exit()
    }
}

/// A plain table: two spaces between columns, no frame.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}
