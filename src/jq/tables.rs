//! Code tables: which native code means which canonical one.
//!
//! A table is a CSV file with the header `native,canonical` and, as wanted, `name` (for people), `from` and `to` (the
//! days between which the native system uses the code, YYYY-MM-DD, both inclusive). Towards us every row counts, ended
//! ones too, since old records keep their codes. Towards the native system a code that has no end goes before one that
//! has; among equals the first row counts, so several native codes may mean the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization as _;

use crate::fault::Fault;

/// The code tables of a folder, by name.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Name of the folder, for messages: `tables`.
    folder: String,
    tables: BTreeMap<String, Table>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    to_canonical: BTreeMap<String, String>,
    to_native: BTreeMap<String, Native>,
}

#[derive(Debug, Clone)]
struct Native {
    code: String,
    ended: bool,
}

/// Which way a code is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToNative,
    ToCanonical,
}

impl Direction {
    /// Column in which the code is looked up.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::ToNative => "canonical",
            Self::ToCanonical => "native",
        }
    }
}

impl Table {
    /// The code in the other column. Surrounding blanks and the composition of letters do not matter.
    pub(super) fn convert(&self, code: &str, direction: Direction) -> Option<&str> {
        let code: String = code.trim().nfc().collect();
        let code = code.as_str();
        match direction {
            Direction::ToNative => self.to_native.get(code).map(|native| native.code.as_str()),
            Direction::ToCanonical => self.to_canonical.get(code).map(String::as_str),
        }
    }

    fn add(&mut self, row: Row) {
        let native = Native {
            code: row.native.clone(),
            ended: row.ended,
        };
        let known = self.to_native.get(&row.canonical);
        if known.is_none_or(|known| known.ended && !native.ended) {
            self.to_native.insert(row.canonical.clone(), native);
        }
        self.to_canonical.insert(row.native, row.canonical);
    }
}

impl Tables {
    /// Reads every `NAME.csv` of a folder. A folder that is not there holds no tables.
    ///
    /// # Errors
    ///
    /// All faults of all tables: unreadable file, header without `native` or `canonical` or with an unknown column, row
    /// of the wrong length, empty code, native code that is there twice, impossible validity.
    pub fn open(folder: &Path) -> Result<Self, Vec<Fault>> {
        let (tables, faults) = Self::open_what_is_sound(folder);
        if faults.is_empty() {
            Ok(tables)
        } else {
            Err(faults)
        }
    }

    /// The same, going on after a fault: a faulty table is there and empty, so that what uses it can be judged too.
    #[must_use]
    pub fn open_what_is_sound(folder: &Path) -> (Self, Vec<Fault>) {
        let label = folder
            .file_name()
            .unwrap_or(OsStr::new("tables"))
            .to_string_lossy();
        let mut tables = Self {
            folder: label.into_owned(),
            tables: BTreeMap::new(),
        };
        let mut faults = Vec::new();
        for path in super::library::files(folder, "csv") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let file = tables.file_of(&name);
            match fs::read_to_string(&path) {
                Ok(content) => match read(&content, &file) {
                    Ok(table) => {
                        tables.tables.insert(name, table);
                    }
                    Err(found) => {
                        faults.extend(found);
                        tables.tables.insert(name, Table::default());
                    }
                },
                Err(_) => faults.push(
                    Fault::new("table-unreadable")
                        .file(file)
                        .expected("a readable file in UTF-8")
                        .remedy("save the table as CSV in UTF-8"),
                ),
            }
        }
        (tables, faults)
    }

    /// The canonical codes of a table; `None` if there is no such table.
    #[must_use]
    pub fn canonical(&self, table: &str) -> Option<BTreeSet<&str>> {
        Some(self.get(table)?.to_native.keys().map(String::as_str).collect())
    }

    /// The names of the tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    pub(super) fn get(&self, table: &str) -> Option<&Table> {
        self.tables.get(table)
    }

    /// The table's file as messages name it.
    pub(super) fn file_of(&self, table: &str) -> String {
        let folder = if self.folder.is_empty() {
            "tables"
        } else {
            &self.folder
        };
        format!("{folder}/{table}.csv")
    }

    /// What to say where a table is named that is not there.
    pub(super) fn missing_table(&self, table: &str) -> Fault {
        let names: Vec<&str> = self.names().collect();
        let expected = if names.is_empty() {
            "no table, there are none".to_owned()
        } else {
            names.join(", ")
        };
        Fault::new("table-missing")
            .file(self.file_of(table))
            .found(format!("the name of a table, {table}"))
            .expected(expected)
            .remedy("correct the name or add the table")
    }
}

struct Row {
    native: String,
    canonical: String,
    ended: bool,
}

fn read(content: &str, file: &str) -> Result<Table, Vec<Fault>> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .from_reader(content.as_bytes());
    let header = reader.headers().cloned().unwrap_or_default();
    let known = ["native", "canonical", "name", "from", "to"];
    let sound = ["native", "canonical"]
        .iter()
        .all(|column| header.iter().any(|name| name == *column))
        && header.iter().all(|name| known.contains(&name));
    if !sound {
        return Err(vec![
            Fault::new("table-header")
                .file(file)
                .line(1)
                .found(header.iter().collect::<Vec<_>>().join(","))
                .expected("native,canonical and perhaps name,from,to")
                .remedy("write the header as the first line"),
        ]);
    }
    let mut table = Table::default();
    let mut faults = Vec::new();
    let mut lines = BTreeMap::new();
    for record in reader.records() {
        let Ok(record) = record else {
            let fault = Fault::new("table-row").file(file).expected("CSV in UTF-8");
            faults.push(fault.remedy("save the table as CSV in UTF-8"));
            continue;
        };
        let line = record
            .position()
            .map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        match row(&header, &record) {
            Ok(row) => match lines.insert(row.native.clone(), line) {
                None => table.add(row),
                Some(first) => faults.push(
                    Fault::new("table-ambiguous")
                        .file(file)
                        .line(line)
                        .found(format!("native code {} again, first in line {first}", row.native))
                        .expected("each native code once")
                        .remedy("keep the row that is right"),
                ),
            },
            Err(fault) => faults.push(fault.file(file).line(line)),
        }
    }
    if faults.is_empty() { Ok(table) } else { Err(faults) }
}

fn row(header: &StringRecord, record: &StringRecord) -> Result<Row, Box<Fault>> {
    if record.len() != header.len() {
        let (found, expected) = (record.len(), header.len());
        let fault = Fault::new("table-row")
            .found(format!("{found} cells"))
            .expected(format!("{expected} cells"));
        return Err(fault
            .remedy("give the row a cell for each column of the header")
            .into());
    }
    let cell = |column: &str| {
        let mut cells = header.iter().zip(record);
        cells
            .find(|(name, _)| *name == column)
            .map(|(_, cell)| cell)
            .unwrap_or_default()
    };
    let code = |column: &str| match cell(column) {
        "" => {
            let fault = Fault::new("table-empty-code")
                .field(column)
                .found("an empty cell");
            let fault = fault.expected("a code");
            Err(Box::new(fault.remedy("fill the cell or remove the row")))
        }
        code => Ok(code.nfc().collect()),
    };
    let validity = |column: &str, found: &str, expected: &str| {
        Box::new(
            Fault::new("table-validity")
                .field(column)
                .found(found)
                .expected(expected)
                .remedy("correct the day"),
        )
    };
    let day = |column: &str| match cell(column) {
        "" => Ok(None),
        day => match day.parse::<Date>() {
            Ok(day) => Ok(Some(day)),
            Err(_) => Err(validity(column, day, "a day such as 2026-03-05, or nothing")),
        },
    };
    let (from, to) = (day("from")?, day("to")?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(validity("to", &to.to_string(), "a day not before from"));
    }
    Ok(Row {
        native: code("native")?,
        canonical: code("canonical")?,
        ended: to.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(content: &str) -> Result<Table, Vec<String>> {
        read(content, "tables/t.csv").map_err(|faults| faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn first_row_without_an_end_speaks_for_a_canonical_code() {
        let table = codes("\u{feff}native,canonical,name,from,to\n1,direct,Cũ,,2020-12-31\n2,direct,Mới,2021-01-01,\n3,direct,,,\n").unwrap();
        assert_eq!(table.convert("direct", Direction::ToNative), Some("2"));
        assert_eq!(table.convert("1", Direction::ToCanonical), Some("direct"));
        assert_eq!(table.convert("3", Direction::ToCanonical), Some("direct"));
        assert_eq!(table.convert("4", Direction::ToCanonical), None);
    }

    #[test]
    fn every_fault_of_a_table_is_named_with_its_line() {
        let faults = codes("native,canonical,from\n1,a,\n,b,\n1,c,\n2,d,2021-02-30\n3,e\n").unwrap_err();
        assert_eq!(
            faults,
            [
                "tables/t.csv:3: [table-empty-code] native: found an empty cell; expected a code; next fill the cell or remove the row",
                "tables/t.csv:4: [table-ambiguous] found native code 1 again, first in line 2; expected each native \
                 code once; next keep the row that is right",
                "tables/t.csv:5: [table-validity] from: found 2021-02-30; expected a day such as 2026-03-05, or nothing; next correct the day",
                "tables/t.csv:6: [table-row] found 2 cells; expected 3 cells; next give the row a cell for each column of the header",
            ]
        );
        assert_eq!(
            codes("code,canonical\n").unwrap_err(),
            [
                "tables/t.csv:1: [table-header] found code,canonical; expected native,canonical and perhaps \
              name,from,to; next write the header as the first line"
            ]
        );
    }
}
