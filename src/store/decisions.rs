//! Dead letters and what people decide about them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Delivery, InboxState};
use crate::dossier::DossierId;

/// What a person may do with a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// It is tried again.
    Retry,
    /// It is given up.
    Discard,
}

/// What a person decided about a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Id of the dead letter.
    pub letter: String,
    /// What.
    pub verb: Verb,
    /// Why; always there where it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A dead letter that a decision was written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Its id.
    pub letter: String,
    /// System that the record came from or was to go to.
    pub system: String,
    /// The dossier, where it is known.
    pub dossier: Option<DossierId>,
    /// Name of the last intent towards the target, if there was one.
    pub intent: Option<String>,
}

/// What is kept under the id of something that is, was or may become a dead letter.
#[derive(Debug, Clone)]
pub struct Fate {
    /// What it is now.
    pub now: Now,
    /// What was decided last.
    pub decision: Option<Decision>,
}

/// What a dead letter is now.
#[derive(Debug, Clone)]
pub enum Now {
    /// A record of the inbox.
    Record {
        /// What became of it.
        state: InboxState,
        /// It is about to be taken in anew.
        again: bool,
    },
    /// A row of the ledger.
    Delivery(Box<Delivery>),
}

/// Which dead letters of a system are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersOf {
    /// The system that they came from or were to go to.
    pub system: String,
    /// Code of their cause; absent: whatever it is.
    pub cause: Option<String>,
}

/// Where a walk through the dead letters of a system stands: each is met once, however many are decided on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// Deliveries that were parked later are not met.
    pub until: Timestamp,
    /// Place of the last refused record.
    pub record: i64,
    /// The last delivery: since when (in milliseconds), push, dossier, item.
    pub delivery: Option<(i64, String, String, String)>,
}

impl Walk {
    /// A walk that begins, at this time of the steady clock.
    #[must_use]
    pub fn begin(until: Timestamp) -> Self {
        Self {
            until,
            record: 0,
            delivery: None,
        }
    }
}
