//! What the demo is fed with: dossiers as the one-stop holds them at first, and the script of what its officials do.
//!
//! Both are JSON lines. Shipped are sixty-two invented dossiers and a script for most of them; `--input FILE` brings other
//! dossiers, `--dossiers N` takes the first N or makes more by cloning. Everything wrong with a file is said at once,
//! by line and without any value.

mod clones;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::fault::Fault;

const DOSSIERS: &str = include_str!("../dossiers.jsonl");
const SCRIPT: &str = include_str!("../script.jsonl");

/// Dossiers and what happens to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Rows `HoSo` of the one-stop, as they are before the officials begin.
    pub dossiers: Vec<Value>,
    /// Acts of the officials, in the order of time: `{MaHoSo, HanhDong, ThoiGian, CanBo, NoiDung, …}`. Acts on dossiers
    /// that are not among `dossiers` are left out.
    pub script: Vec<Value>,
}

impl Input {
    /// Reads `file`, or the shipped dossiers, and brings them to `count` (default: as many as there are).
    ///
    /// With fewer, the first ones are taken; with more, the dossiers are cloned under new sequence numbers, each clone
    /// with its own part of the script. The same arguments always give the same input.
    ///
    /// # Errors
    ///
    /// Every fault of the file at once: it cannot be read, a line is no JSON object, two dossiers have one code, there
    /// is no dossier in it; or `count` asks for more than the sequence numbers can tell apart.
    pub fn load(file: Option<&Path>, count: Option<usize>) -> Result<Self, Vec<Fault>> {
        let dossiers = match file {
            None => parse(DOSSIERS.as_bytes(), "src/demo/dossiers.jsonl")?,
            Some(path) => read(path)?,
        };
        let script = parse(SCRIPT.as_bytes(), "src/demo/script.jsonl")?;
        let mut input = Self { dossiers, script };
        match count {
            Some(0) => {
                return Err(vec![
                    Fault::new("input-empty")
                        .field("--dossiers")
                        .found("0")
                        .expected("1 or more")
                        .remedy("ask for at least one dossier"),
                ]);
            }
            Some(count) if count > input.dossiers.len() => clones::fill(&mut input, count)?,
            Some(count) => input.dossiers.truncate(count),
            None => {}
        }
        let codes: BTreeSet<&str> = input.dossiers.iter().filter_map(code).collect();
        input
            .script
            .retain(|act| code(act).is_some_and(|code| codes.contains(code)));
        // Stable, so that the acts on one dossier keep their order.
        input
            .script
            .sort_by(|a, b| text(a, "ThoiGian").cmp(&text(b, "ThoiGian")));
        Ok(input)
    }
}

/// Reads a file of dossiers.
fn read(path: &Path) -> Result<Vec<Value>, Vec<Fault>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        vec![
            Fault::new("input-unreadable")
                .file(&name)
                .found(error.kind().to_string())
                .expected("a readable file with one dossier per line")
                .remedy("check the path given to --input"),
        ]
    })?;
    parse(&bytes, &name)
}

/// Reads JSON lines. Blank lines and a byte order mark at the beginning are passed over.
fn parse(bytes: &[u8], name: &str) -> Result<Vec<Value>, Vec<Fault>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    let mut lines_of: BTreeMap<String, usize> = BTreeMap::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let fault = |code: &str| Fault::new(code).file(name).line(number);
        match serde_json::from_slice::<Value>(line) {
            Ok(row) if row.is_object() => {
                // A script names a dossier on many lines; only a row of the one-stop is the dossier itself.
                let own = code(&row)
                    .filter(|_| row.get("HanhDong").is_none())
                    .map(str::to_owned);
                if let Some(first) = own.and_then(|code| lines_of.insert(code, number)) {
                    faults.push(
                        fault("input-duplicate-code")
                            .field("MaHoSo")
                            .found(format!("the code of line {first}"))
                            .expected("a code of its own for each dossier")
                            .remedy("remove one of the two lines or correct its code"),
                    );
                }
                rows.push(row);
            }
            Ok(other) => faults.push(
                fault("input-not-object")
                    .found(kind(&other))
                    .expected("a JSON object")
                    .remedy("write each dossier as one object on one line"),
            ),
            Err(error) => faults.push(
                fault("input-not-json")
                    .found(format!("no JSON from column {} on", error.column()))
                    .expected("a JSON object in UTF-8")
                    .remedy("write each dossier as one object on one line"),
            ),
        }
    }
    if faults.is_empty() && rows.is_empty() {
        faults.push(
            Fault::new("input-empty")
                .file(name)
                .found("no dossier")
                .expected("one dossier per line")
                .remedy("check the path given to --input"),
        );
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The dossier code of a row or an act, if it has one.
fn code(row: &Value) -> Option<&str> {
    row.get("MaHoSo")
        .and_then(Value::as_str)
        .filter(|code| !code.is_empty())
}

fn text<'a>(row: &'a Value, field: &str) -> Option<&'a str> {
    row.get(field).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_dossiers_are_sixty_two_and_most_are_acted_on() {
        let input = Input::load(None, None).unwrap();
        assert_eq!(input.dossiers.len(), 62);
        let acted: BTreeSet<&str> = input.script.iter().filter_map(code).collect();
        assert!(acted.len() >= 45, "{}", acted.len());
        for act in &input.script {
            for field in ["MaHoSo", "HanhDong", "ThoiGian", "CanBo", "NoiDung"] {
                assert!(text(act, field).is_some(), "{field}");
            }
        }
    }

    #[test]
    fn fewer_dossiers_bring_only_their_own_acts() {
        let all = Input::load(None, None).unwrap();
        let some = Input::load(None, Some(3)).unwrap();
        assert_eq!(some.dossiers, all.dossiers.get(..3).unwrap());
        let codes: Vec<&str> = some.dossiers.iter().filter_map(code).collect();
        assert!(!some.script.is_empty());
        assert!(
            some.script
                .iter()
                .filter_map(code)
                .all(|code| codes.contains(&code))
        );
    }

    #[test]
    fn no_dossier_at_all_is_refused() {
        let faults = Input::load(None, Some(0)).unwrap_err();
        assert_eq!(faults[0].code, "input-empty");
        assert_eq!(parse(b"\n \n", "a.jsonl").unwrap_err()[0].code, "input-empty");
    }

    #[test]
    fn every_bad_line_is_named_at_once_and_no_value_of_it() {
        let file = "\u{feff}{\"MaHoSo\": \"A\"}\r\n\n[\"Lê Mẫu\"]\n{\"ChuHoSo\": \"Lê Mẫu\"\n7\n{\"MaHoSo\": \"A\"}\n";
        let faults = parse(file.as_bytes(), "a.jsonl").unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "a.jsonl:3: [input-not-object] found a list; expected a JSON object; \
                 next write each dossier as one object on one line",
                "a.jsonl:4: [input-not-json] found no JSON from column 23 on; expected a JSON object in UTF-8; \
                 next write each dossier as one object on one line",
                "a.jsonl:5: [input-not-object] found a number; expected a JSON object; \
                 next write each dossier as one object on one line",
                "a.jsonl:6: [input-duplicate-code] MaHoSo: found the code of line 1; expected a code of its own \
                 for each dossier; next remove one of the two lines or correct its code",
            ]
        );
    }

    #[test]
    fn latin_letters_of_another_encoding_are_refused() {
        let faults = parse(b"{\"ChuHoSo\": \"L\xea\"}", "a.jsonl").unwrap_err();
        assert_eq!(faults[0].code, "input-not-json");
    }

    #[test]
    fn file_that_is_not_there_is_named() {
        let faults = Input::load(Some(Path::new("/nowhere/a.jsonl")), None).unwrap_err();
        assert_eq!(
            (faults[0].code.as_str(), faults[0].file.as_deref()),
            ("input-unreadable", Some("/nowhere/a.jsonl"))
        );
    }
}
