//! Entries of the status and progress logs.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::hash::{canonical, content, digest};
use super::{Moment, Stamp};

/// One entry of a log. Entries are never changed or taken back.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The system that stated it.
    pub system: String,
    /// The status it speaks of: a code of `schemas/codes/status.csv`, or one that a newer node knows.
    pub value: String,
    /// When it happened, as precise as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// The officer, as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was written with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// `sent_back` or `revoked` where the entry takes an ended dossier up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only in a state without a time: identity of the state that the system had before, which keeps a state that
    /// comes back apart from its first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Place in the list that stated it, from 0 in the order of time; decides between entries of the same time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub place: u32,
    /// When and by whom it was recorded; no part of its identity.
    pub stamp: Stamp,
    /// Everything else: `raw`, `unit`, `title`, `started`, `due`, and what newer nodes add.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Without officer, note and the rest, which may be personal.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("system", &self.system)
            .field("value", &self.value)
            .field("at", &self.at)
            .field("kind", &self.kind)
            .field("stamp", &self.stamp)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_zero(place: &u32) -> bool {
    *place == 0
}

impl Entry {
    /// What makes it one entry wherever and however often it is told: hash of (system, at, value, by, note).
    #[must_use]
    pub fn identity(&self) -> String {
        let at = self.at.map(|at| at.to_string());
        // an absent part differs from an empty one
        let part = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
        digest(&[
            &self.system,
            &part(at.as_deref()),
            &self.value,
            &part(self.by.as_deref()),
            &part(self.note.as_deref()),
            &part(self.after.as_deref()),
        ])
    }

    /// Fills in the stamp's hash, once everything else is there.
    pub(super) fn seal(&mut self) {
        self.stamp.hash = content(&self.content());
    }

    /// Total order between two tellings of one entry: the greater stamp.
    pub(super) fn beats(&self, other: &Self) -> bool {
        self.stamp
            .cmp(&other.stamp)
            .then_with(|| self.text().cmp(&other.text()))
            .is_gt()
    }

    /// Canonical text of all but the stamp.
    pub(super) fn text(&self) -> String {
        canonical(&self.content())
    }

    /// All but the stamp, as JSON.
    pub(super) fn content(&self) -> Value {
        let mut value = serde_json::to_value(self).expect("an entry is plain JSON");
        if let Value::Object(map) = &mut value {
            map.shift_remove("stamp");
        }
        value
    }
}
