//! The room through its front door: a folder of jq and tables, expressions, records.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

mod bounds;
mod language;
mod natives;
mod places;

/// A folder with these files, opened.
pub(super) fn library(files: &[(&str, &str)]) -> Result<Library, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tables")).unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let told = |faults: Vec<Fault>| -> Vec<String> { faults.iter().map(Fault::to_string).collect() };
    let tables = Tables::open(&folder.path().join("tables")).map_err(told)?;
    Library::open(folder.path(), Arc::new(tables)).map_err(told)
}

pub(super) fn at(line: usize) -> Place {
    Place {
        file: "adapter.toml".to_owned(),
        line,
        key: "push.dossier.record".to_owned(),
    }
}

const CHANNEL: (&str, &str) = ("tables/channel.csv", "native,canonical\n1,direct\n2,online\n");

/// What an expression gives for an input, or the fault's text.
fn run(code: &str, input: &Value) -> Result<Vec<Value>, String> {
    let library = library(&[CHANNEL]).unwrap();
    let filter = library
        .compile(code, &["dossier"], &at(7))
        .map_err(|faults| faults[0].to_string())?;
    let scope = Scope::new().with("dossier", json!({"code": "H56-1"}));
    filter.all(input, &scope).map_err(|error| error.to_string())
}

fn refused(code: &str, input: &Value) -> Fault {
    let library = library(&[CHANNEL]).unwrap();
    let filter = library.compile(code, &[], &at(7)).unwrap();
    match filter.all(input, &Scope::new()) {
        Err(Error::Fault(fault)) => *fault,
        other => panic!("{code}: {other:?}"),
    }
}

const LIB: &str = "# shared\ndef call($service): {session: $token, service: $service};\ndef twice: . * 2;\ndef four: twice | twice;\n";
