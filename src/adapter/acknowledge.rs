//! `[pull.NAME.acknowledge]`: we tell the system which of its records we have, so that it need not list them again.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::call::{Call, Kind};
use super::settings::Settings;
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::jq::{Error, Filter, Scope};
use crate::read::{Keys, Table};

/// Most bytes of what is kept of a record until its system has been told: it is a key of the store's.
const LONGEST: usize = 1000;

/// How a system is told that records of its pull are durable. Told twice, it is none the worse for it.
#[derive(Debug, Clone)]
pub struct Acknowledge {
    /// The call.
    pub call: Call,
    /// Most records of a call; `None`: as many as are owed.
    pub batch: Option<u32>,
    keep: Filter,
    settings: Settings,
}

impl Acknowledge {
    pub(super) const KEYS: Keys = &[
        "method", "path", "url", "query", "headers", "body", "send", "receive", "answer", "keep", "batch",
    ];

    pub(super) fn read(table: &Table<'_>, wire: &Arc<Wire>, workshop: &Workshop<'_>) -> Option<Self> {
        table.demand(&[(
            "keep",
            "jq that finds in a record what the call names it by, as in '.id': it is kept until the system has been told",
        )]);
        let keep = table
            .get("keep")
            .and_then(|value| workshop.filter(&value, Sight::Mapping, &["settings", "system"]));
        let batch = table.get("batch").and_then(|value| value.number(1));
        let mut variables = vec!["settings", "system", "now"];
        variables.extend(wire.login.then_some("token"));
        // As far as judging its answers goes it writes nothing: whatever became of it, it may simply be made again.
        let kind = Kind {
            writes: false,
            idempotent: true,
            records: false,
            variables,
        };
        let call = Call::read(table, &kind, wire, workshop);
        Some(Self {
            call: call?,
            batch,
            keep: keep?,
            settings: wire.settings.clone(),
        })
    }

    /// What the call names a record by; `None` where the system is not to be told of it.
    ///
    /// # Errors
    /// The fault of the jq; `name-too-long`.
    pub fn keep(&self, record: &Json) -> Result<Option<Json>, Fault> {
        match self.keep.all(record, &self.settings.mapping()) {
            Ok(kept) => {
                let kept = kept.into_iter().next();
                let kept = kept.filter(|kept| !kept.is_null() && kept != "");
                match kept.as_ref().map_or(0, |kept| kept.to_string().len()) {
                    ..=LONGEST => Ok(kept),
                    length => Err(Fault::new("name-too-long")
                        .field("keep")
                        .found(format!("{length} bytes"))
                        .expected(format!("at most {LONGEST} bytes, as JSON"))
                        .remedy("keep no more of a record than what the call names it by")),
                }
            }
            Err(Error::Ignored(_)) => Ok(None),
            Err(Error::Fault(fault)) => Err(*fault),
        }
    }

    /// What the call is about: what was kept of each record, and for which cause it was refused, if it was.
    #[must_use]
    pub fn about<'a>(records: impl IntoIterator<Item = (&'a Json, Option<&'a str>)>) -> Json {
        records
            .into_iter()
            .map(|(record, error)| json!({"record": record, "error": error}))
            .collect()
    }

    /// Variables of the call, but `now` and, with a login, `token`.
    #[must_use]
    pub fn scope() -> Scope {
        Call::blank_scope()
    }
}
