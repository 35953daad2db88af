//! `sandbox.toml` as people write it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fault::Fault;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Name of a table -> jq giving the unique key of a row; empty: rows are only ever added, so a double shows.
    pub(super) tables: BTreeMap<String, String>,
    /// Values for jq as `$settings`.
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
    #[serde(default)]
    pub(super) route: Vec<Route>,
    #[serde(default)]
    pub(super) work: Vec<Work>,
    #[serde(default)]
    pub(super) send: Vec<Send>,
    #[serde(default)]
    pub(super) faults: Faults,
}

/// A request that is answered. The first one that fits answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// Method and path: `GET /HoSo/GetByMa/{code}`.
    pub(super) on: String,
    /// Under which it is counted; default is `on`.
    pub(super) name: Option<String>,
    /// jq of the request; absent: always.
    pub(super) when: Option<String>,
    /// Table -> jq of the request giving the keys of the rows that `$db` holds here. Absent: all of all tables.
    pub(super) sees: Option<BTreeMap<String, String>>,
    /// jq: request -> `{status, headers, body, rows: {TABLE: [row …]}}`.
    pub(super) answer: String,
}

/// What the system does on its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Work {
    pub(super) name: Option<String>,
    /// How often: `"1s"`.
    pub(super) every: String,
    /// jq: all tables -> `{rows}`, as an answer's.
    pub(super) answer: String,
}

/// What the system tells others whenever a row of a table has changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    pub(super) table: String,
    /// jq of the row; absent: always.
    pub(super) when: Option<String>,
    /// Text with `\( )`.
    pub(super) url: String,
    /// Texts with `\( )`; they see the bytes of the body as `$raw`.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// jq of the row.
    pub(super) body: String,
    /// jq of the answer `{status, headers, body}`: whether it was taken. Absent: 2xx.
    pub(super) done: Option<String>,
    /// How long to wait before telling again; default `"1s"`.
    pub(super) pause: Option<String>,
}

/// What only this system can say of faults that may befall any.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Faults {
    /// jq: request -> `{status, headers, body}`: how it says with HTTP 200 that something is wrong inside it.
    pub(super) error_in_200: Option<String>,
    /// Tables of its open sessions, which are lost by emptying them.
    #[serde(default)]
    pub(super) session_lost: Vec<String>,
}

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Self, Fault> {
        let file = folder.join("sandbox.toml");
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Fault::new("file-unreadable")
                .file(file.display().to_string())
                .found(error.kind().to_string())
                .expected("the description of the stand-in")
                .remedy("name a folder of adapters that have one")
        })?;
        toml::from_str(&text).map_err(|error| {
            let fault = Fault::new("manifest-syntax")
                .file("sandbox.toml")
                .found(error.message().to_owned());
            match error.span() {
                Some(span) => fault.line(
                    1 + text
                        .bytes()
                        .take(span.start)
                        .filter(|byte| *byte == b'\n')
                        .count(),
                ),
                None => fault,
            }
        })
    }
}
