//! What the tests of this room share: a system that reports records to a node.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Author, Dossier, Hlc, Origin, Ownership, Patch, Shadow, status};
use crate::fault::Fault;

/// A time of day on 5 March 2026 in universal time, or a whole time.
pub(super) fn at(text: &str) -> Timestamp {
    let whole = if text.contains('T') {
        text.to_owned()
    } else {
        format!("2026-03-05T{text}Z")
    };
    whole.parse().unwrap()
}

pub(super) fn origin() -> Origin {
    Origin::new("one-stop", "HS-1")
}

/// The right to write everything everywhere.
pub(super) fn everything() -> Ownership {
    let names = [
        "procedure",
        "agency",
        "channel",
        "summary",
        "handling",
        "return_mode",
        "place_of_submission",
        "payment",
        "area",
        "note",
        "identity",
        "applicant",
        "schedule",
        "form",
        "components",
        "fees",
        "supplements",
        "results",
        "status",
        "progress",
        "links",
    ];
    Ownership::parse(
        &names
            .into_iter()
            .map(|name| (name.to_owned(), json!("always")))
            .collect(),
    )
    .unwrap()
}

/// A system whose records come in at one node.
pub(super) struct Desk {
    pub(super) system: String,
    pub(super) origin: Origin,
    pub(super) owns: Ownership,
    pub(super) shadow: Shadow,
    pub(super) known: Dossier,
    /// When its records are asked for; `None`: it sends them by itself.
    pub(super) asked: Option<Timestamp>,
    ticks: u32,
}

impl Desk {
    pub(super) fn new(system: &str) -> Self {
        Self {
            system: system.to_owned(),
            origin: origin(),
            owns: everything(),
            shadow: Shadow::default(),
            known: Dossier::new(origin()),
            asked: None,
            ticks: 0,
        }
    }

    /// Takes a record in at this time and merges what is new.
    pub(super) fn tries(&mut self, observed: Timestamp, patch: &Patch) -> Result<Dossier, Vec<Fault>> {
        self.ticks += 1;
        let hlc = Hlc {
            wall_ms: observed.as_millisecond().try_into().unwrap(),
            counter: self.ticks,
        };
        let author = Author {
            system: &self.system,
            origin: &self.origin,
            observed,
            asked: self.asked,
            hlc,
            owns: &self.owns,
            known: Some(&self.known),
        };
        let delta = author.write(patch, &mut self.shadow)?;
        self.known.merge(&delta);
        Ok(delta)
    }

    /// The same, of a record of this system's native code HS-1.
    pub(super) fn reports(&mut self, observed: &str, record: Value) -> Dossier {
        self.tries(at(observed), &patch(record)).unwrap()
    }
}

/// A patch of the record HS-1.
pub(super) fn patch(mut record: Value) -> Patch {
    record["dossier"] = json!({ "native": "HS-1" });
    Patch::parse(&record).unwrap()
}

/// The entries of the status log, in order.
pub(super) fn states(dossier: &Dossier) -> Vec<&str> {
    let log = dossier.logs.get("status");
    let entries = log.map(status::in_order).unwrap_or_default();
    entries
        .into_iter()
        .map(|(_, entry)| entry.value.as_str())
        .collect()
}
