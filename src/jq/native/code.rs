//! `to_native(table)`, `to_canonical(table)`: codes by the tables of the adapter.

use jaq_core::Error;

use super::super::tables::{Direction, Tables};
use super::super::value::Val;
use super::{Outcome, refuse};
use crate::fault::Fault;

/// Longest code that is shown: whatever is longer is no code but a text that strayed here.
const CODE: usize = 64;

pub(super) fn to_native(tables: &Tables, table: &Val, code: &Val) -> Outcome {
    convert(tables, table, code, Direction::ToNative)
}

pub(super) fn to_canonical(tables: &Tables, table: &Val, code: &Val) -> Outcome {
    convert(tables, table, code, Direction::ToCanonical)
}

fn convert(tables: &Tables, table: &Val, code: &Val, direction: Direction) -> Outcome {
    let Some(name) = table.as_text() else {
        return Err(Error::typ(table.clone(), "name of a code table"));
    };
    if code.is_blank() {
        return Ok(Val::Null);
    }
    let code = match code {
        Val::Text(code) => code.to_string(),
        Val::Int(number) => number.to_string(),
        Val::Bool(truth) => truth.to_string(),
        other => return Err(Error::typ(other.clone(), "code")),
    };
    let Some(entries) = tables.get(name) else {
        return refuse(tables.missing_table(name));
    };
    if let Some(found) = entries.convert(&code, direction) {
        return Ok(Val::text(found));
    }
    let column = direction.column();
    let shown = if code.chars().count() > CODE {
        "a text too long for a code".to_owned()
    } else {
        code
    };
    let file = tables.file_of(name);
    let then = match direction {
        Direction::ToCanonical => "then have the record sent again",
        // What is parked for want of a code is tried again with a newer version of the dossier.
        Direction::ToNative => "the dossier is tried again at its next change",
    };
    refuse(
        Fault::new("table-missing-entry")
            .remedy(format!("add the code to {file}; {then}"))
            .file(file)
            .found(shown)
            .expected(format!("a {column} code of the table")),
    )
}
