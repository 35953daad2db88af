//! Kinds of target systems, and what their requests want.
//!
//! | request | class | does |
//! |---|---|---|
//! | `GET /records?id=KEY` | keyed, steps, reporting | `{code: "0", records: […]}` |
//! | `POST /records` | keyed, refusing, steps, reporting | makes a row; 409 where there is one if the system refuses duplicates, and always in the class `refusing` |
//! | `PATCH /records` | keyed, refusing, reporting | changes the row; 404 where there is none |
//! | `PUT /records` | put, append, append-shown, steps-blind | makes or changes the row |
//! | `POST /entries` | append, append-shown | adds an entry, again if it is told again |
//! | `GET /entries?id=KEY` | append-shown | `{code: "0", records: […]}` |
//! | `POST /steps/NAME` | steps, steps-blind | takes the row one step further; 422 unless it is the next step |
//! | `POST /batch` | batch | a list of records, each added as an entry; `{code: "0", result: [{id, text, code, message}]}` |
//! | `PUT /batch` | batch | a list of records, all made or changed, or none: one verdict |
//! | `GET /changes?since=N` | reporting | rows that changed after commit `N`, each with the time `at` of its last one |
//!
//! Every answer is a JSON object with a `code`: `"0"` took effect, `"99"` busy (it did not), else a refusal.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::books::{Verb, Write, text_of};

/// Kind of target system: which requests it knows, and what they promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    /// Records that can be looked for by key; a create makes a row each time.
    Keyed,
    /// One idempotent call; no look-up.
    Put,
    /// No look-up, but a second create is refused.
    Refusing,
    /// Entries without identity that nobody can ask for.
    Append,
    /// Entries that a look-up shows.
    AppendShown,
    /// Takes actions in their order, refuses others, and can be asked how it stands.
    Steps,
    /// The same, and cannot be asked.
    StepsBlind,
    /// Many records a call.
    Batch,
    /// Like keyed, and tells what it holds, in upper case and cut short.
    Reporting,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Keyed,
        Self::Put,
        Self::Refusing,
        Self::Append,
        Self::AppendShown,
        Self::Steps,
        Self::StepsBlind,
        Self::Batch,
        Self::Reporting,
    ];
}

/// A request, understood.
pub(crate) enum Asked {
    /// The rows of a key, or its entries.
    Find {
        /// Which key.
        key: String,
        /// Its entries.
        entries: bool,
    },
    /// Rows that changed after this commit.
    Changes {
        /// Number of the commit.
        since: u64,
    },
    /// Commits, each with a verdict of its own.
    Write(Vec<Write>),
    /// All of them or none, with one verdict.
    WriteAll(Vec<Write>),
    /// The system does not know it.
    Unknown,
}

impl Asked {
    /// What this request wants of a system of this class.
    pub(crate) fn new(class: Class, method: &str, path: &str, query: &str, body: &Value) -> Self {
        use Class::{Append, AppendShown, Batch, Keyed, Put, Refusing, Reporting, Steps, StepsBlind};
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == name)
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        let find = |entries| Self::Find {
            key: parameter("id"),
            entries,
        };
        let write = |verb| {
            Self::Write(vec![Write {
                verb,
                record: body.clone(),
            }])
        };
        let each = |verb| {
            let records = body.as_array().into_iter().flatten();
            records
                .map(|record| Write {
                    verb,
                    record: record.clone(),
                })
                .collect()
        };
        match (method, path, class) {
            ("GET", "/records", Keyed | Steps | Reporting) => find(false),
            ("GET", "/entries", AppendShown) => find(true),
            ("GET", "/changes", Reporting) => Self::Changes {
                since: parameter("since").parse().unwrap_or(0),
            },
            ("POST", "/records", Keyed | Refusing | Steps | Reporting) => write(Verb::Create),
            ("PATCH", "/records", Keyed | Refusing | Reporting) => write(Verb::Change),
            ("PUT", "/records", Put | Append | AppendShown | StepsBlind) => write(Verb::Put),
            ("POST", "/entries", Append | AppendShown) => write(Verb::Append),
            ("POST", path, Steps | StepsBlind) if path.starts_with("/steps/") => write(Verb::Step),
            ("POST", "/batch", Batch) => Self::Write(each(Verb::Append)),
            ("PUT", "/batch", Batch) => Self::WriteAll(each(Verb::Put)),
            _ => Self::Unknown,
        }
    }

    /// Whether it may change the books.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Write(_) | Self::WriteAll(_))
    }

    /// Keys of the records that it may change.
    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        let writes = match self {
            Self::Write(writes) | Self::WriteAll(writes) => writes.as_slice(),
            Self::Find { .. } | Self::Changes { .. } | Self::Unknown => &[],
        };
        writes.iter().map(|write| text_of(&write.record, "id")).collect()
    }
}
