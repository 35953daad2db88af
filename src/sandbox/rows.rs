//! The tables of a stand-in: rows by a unique key, or rows that are only ever added.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fault::Fault;

/// Most rows of one table: a stand-in is for demonstrations and tests.
const MOST_ROWS: usize = 200_000;

/// One row to be stored: its table and, where the table has one, its key.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) table: String,
    pub(super) key: Option<String>,
    pub(super) row: Value,
}

/// All tables.
#[derive(Debug)]
pub(super) struct Rows {
    tables: BTreeMap<String, Table>,
    folder: Option<PathBuf>,
}

#[derive(Debug)]
enum Table {
    Keyed {
        rows: Map<String, Value>,
        committed: BTreeMap<String, Timestamp>,
    },
    Added(Vec<Value>),
}

/// A line of a table's file. A later line of the same key replaces the row of an earlier one.
#[derive(Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    key: Option<String>,
    row: Value,
}

impl Rows {
    /// Empty tables of these names (`true`: with a key), or what the folder holds of them.
    pub(super) fn open<'a>(
        names: impl Iterator<Item = (&'a str, bool)>,
        folder: Option<PathBuf>,
    ) -> Result<Self, Fault> {
        let tables = names
            .map(|(name, keyed)| (name.to_owned(), Table::empty(keyed)))
            .collect();
        let mut opened = Self { tables, folder };
        if let Some(folder) = &opened.folder {
            fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
            for (name, table) in &mut opened.tables {
                let path = file_of(folder, name);
                if path.exists() {
                    table.read(&path)?;
                }
            }
        }
        Ok(opened)
    }

    /// Stores all of these, or none.
    pub(super) fn store(&mut self, changes: Vec<Change>, at: Timestamp) -> Result<(), Fault> {
        let mut growth: BTreeMap<&str, usize> = BTreeMap::new();
        for change in &changes {
            let Some(table) = self.tables.get(&change.table) else {
                return Err(no_table(&change.table));
            };
            let grown = growth.entry(&change.table).or_default();
            *grown += 1;
            if table.len() + *grown > MOST_ROWS {
                return Err(Fault::new("sandbox-full")
                    .field(&change.table)
                    .expected(format!("at most {MOST_ROWS} rows")));
            }
        }
        if let Some(folder) = &self.folder {
            append(folder, &changes, at)?;
        }
        for change in changes {
            if let Some(table) = self.tables.get_mut(&change.table) {
                table.put(change.key, change.row, at);
            }
        }
        Ok(())
    }

    /// The tables as a filter sees them: objects by key, lists where rows are only added.
    pub(super) fn all(&self) -> Value {
        self.tables
            .iter()
            .map(|(name, table)| (name.clone(), table.value()))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The rows of these keys only; tables that are not named are not there.
    pub(super) fn some(&self, keys: &BTreeMap<String, BTreeSet<String>>) -> Value {
        let chosen = |table: &Table, keys: &BTreeSet<String>| match table {
            Table::Keyed { rows, .. } => keys
                .iter()
                .filter_map(|key| rows.get(key).map(|row| (key.clone(), row.clone())))
                .collect::<Map<_, _>>()
                .into(),
            Table::Added(_) => table.value(),
        };
        keys.iter()
            .filter_map(|(name, keys)| Some((name.clone(), chosen(self.tables.get(name)?, keys))))
            .collect::<Map<_, _>>()
            .into()
    }

    pub(super) fn list(&self, table: &str) -> Vec<Value> {
        match self.tables.get(table) {
            Some(Table::Keyed { rows, .. }) => rows.values().cloned().collect(),
            Some(Table::Added(rows)) => rows.clone(),
            None => Vec::new(),
        }
    }

    /// How many rows a table has.
    pub(super) fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, Table::len)
    }

    /// Empties a table.
    pub(super) fn forget(&mut self, table: &str) -> Result<(), Fault> {
        if let Some(folder) = &self.folder {
            let path = file_of(folder, table);
            if path.exists() {
                fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
            }
        }
        if let Some(table) = self.tables.get_mut(table) {
            *table = Table::empty(matches!(table, Table::Keyed { .. }));
        }
        Ok(())
    }

    pub(super) fn committed_at(&self, table: &str, key: &str) -> Option<Timestamp> {
        match self.tables.get(table)? {
            Table::Keyed { committed, .. } => committed.get(key).copied(),
            Table::Added(_) => None,
        }
    }
}

impl Table {
    fn empty(keyed: bool) -> Self {
        if keyed {
            Self::Keyed {
                rows: Map::new(),
                committed: BTreeMap::new(),
            }
        } else {
            Self::Added(Vec::new())
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Keyed { rows, .. } => rows.len(),
            Self::Added(rows) => rows.len(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Keyed { rows, .. } => Value::Object(rows.clone()),
            Self::Added(rows) => Value::Array(rows.clone()),
        }
    }

    fn put(&mut self, key: Option<String>, row: Value, at: Timestamp) {
        match self {
            Self::Keyed { rows, committed } => {
                let key = key.expect("the plan gives a key for every row of a keyed table");
                committed.entry(key.clone()).or_insert(at);
                rows.insert(key, row);
            }
            Self::Added(rows) => rows.push(row),
        }
    }

    /// Reads a table's file. What a crash left of a last line was never answered, and goes.
    fn read(&mut self, path: &Path) -> Result<(), Fault> {
        let text = fs::read_to_string(path).map_err(|error| unusable(path, &error))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.set_len(whole as u64))
                .map_err(|error| unusable(path, &error))?;
        }
        for (number, line) in text.get(..whole).unwrap_or_default().lines().enumerate() {
            let line: Line = serde_json::from_str(line).map_err(|_| {
                let fault = Fault::new("file-unreadable")
                    .file(path.display().to_string())
                    .line(number + 1);
                fault
                    .expected("a row that a stand-in wrote")
                    .remedy("remove the folder")
            })?;
            self.put(line.key, line.row, line.at);
        }
        Ok(())
    }
}

fn append(folder: &Path, changes: &[Change], at: Timestamp) -> Result<(), Fault> {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for change in changes {
        let line = Line {
            at,
            key: change.key.clone(),
            row: change.row.clone(),
        };
        let text = texts.entry(&change.table).or_default();
        text.push_str(&serde_json::to_string(&line).expect("a JSON value can be written as JSON"));
        text.push('\n');
    }
    for (table, text) in texts {
        let path = file_of(folder, table);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| unusable(&path, &error))?;
    }
    Ok(())
}

fn file_of(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.jsonl"))
}

pub(super) fn no_table(table: &str) -> Fault {
    Fault::new("sandbox-no-table")
        .found(table)
        .expected("a table of sandbox.toml")
}

fn unusable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new("file-unreadable")
        .file(path.display().to_string())
        .found(error.kind().to_string())
}
