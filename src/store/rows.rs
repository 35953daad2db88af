//! The rows that stages read and write, and their states: closed lists, the words of the CLI and of the documents.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dossier::{Dossier, DossierId};
use crate::fault::Fault;

/// A record waits for the dossier that bears its code.
pub const ORPHAN: &str = "orphan";
/// A record waits until its author's clock is no longer ahead of ours.
pub const CLOCK_AHEAD: &str = "clock ahead";
/// An event waits until the adapter that said it is known here.
pub const UNKNOWN_ADAPTER: &str = "unknown adapter";
/// A record waits until its adapter, whose mappings are sick, is tried again.
pub const ADAPTER_PAUSED: &str = "adapter paused";
/// A record waits until it is known what became of a create that may have made it.
pub const CREATE_OPEN: &str = "create open";

/// A record as it came in, and what became of it.
#[derive(Debug, Clone)]
pub struct InboxRow {
    /// Adapter that it came through.
    pub adapter: String,
    /// Its operation: `webhook.dossier`, `pull.changes`, or `event` for what another node said.
    pub operation: String,
    /// When the bus saw it first.
    pub observed: Timestamp,
    /// SHA-256 of `raw`, lower hex.
    pub raw_hash: String,
    /// The record, unaltered.
    pub raw: String,
    /// What became of it.
    pub state: InboxState,
    /// Code under which people know the record, normalised; known also of a record that cannot be mapped.
    pub code: Option<String>,
    /// Dossier that it is about, where that is known.
    pub dossier: Option<DossierId>,
    /// Event that it became.
    pub event: Option<String>,
    /// Version of the mapping that judged it.
    pub mapping: String,
    /// When it is to be taken in anew, by the steady clock, where that is known.
    pub until: Option<Timestamp>,
}

/// Whose kept records are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Native records that came through this adapter.
    BySystem(String),
    /// Events of other nodes.
    ByNodes,
}

/// Operation of the inbox rows that hold events.
pub const EVENT: &str = "event";

/// A kept record that is to be taken in anew.
#[derive(Debug, Clone)]
pub struct KeptRecord {
    /// Its place in the inbox.
    pub seq: i64,
    /// Adapter that it came through.
    pub adapter: String,
    /// Its operation.
    pub operation: String,
    /// When the bus saw it first: its stamps are made from this time, however late it is taken.
    pub observed: Timestamp,
    /// The record, unaltered.
    pub raw: String,
}

/// For what records wait that has come now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Come {
    /// Adapter that the records came through.
    pub adapter: String,
    /// What they waited for: [`ORPHAN`], [`CREATE_OPEN`], [`UNKNOWN_ADAPTER`].
    pub reason: &'static str,
    /// Their code, normalised; absent: whatever it is.
    pub code: Option<String>,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxState {
    /// It became an event.
    Mapped,
    /// It cannot be placed yet: [`ORPHAN`], [`CLOCK_AHEAD`], [`UNKNOWN_ADAPTER`], [`CREATE_OPEN`], [`ADAPTER_PAUSED`].
    Waiting(String),
    /// It can't be taken as it is; a dead letter.
    Refused(Fault),
    /// It says nothing new, or the mapping left it out on purpose.
    Ignored(String),
}

/// A record that was taken: it says what the older records of its code say, or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Adapter that it came through.
    pub adapter: String,
    /// Its code, normalised.
    pub code: String,
    /// SHA-256 of the record, lower hex.
    pub raw_hash: String,
}

/// Reason of a refused record that a newer one has closed.
pub const SUPERSEDED: &str = "a newer record was taken";

/// A record that has not been taken so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRecord {
    /// `inbox-17`; the id of the dead letter if it was refused.
    pub id: String,
    /// System that it came from.
    pub system: String,
    /// What it waits for; `None`: it was refused.
    pub waits: Option<String>,
}

/// That a system is to be told that we have a record which its pull listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Its place among those that are owed.
    pub seq: i64,
    /// What the call names the record by.
    pub record: Value,
    /// Code of the cause for which the record was refused, if it was.
    pub error: Option<String>,
    /// How often the system did not take it.
    pub failures: u32,
    /// In how large a call it may go at most, after one was refused whole.
    pub batch_limit: Option<u32>,
}

/// A dossier as this store knows it.
#[derive(Debug, Clone)]
pub struct Replica {
    /// The dossier.
    pub dossier: Dossier,
    /// Grows by one with every event that changed it on this store.
    pub version: i64,
    /// When it last changed on this store.
    pub updated: Timestamp,
}

/// A line of `dossier list`: no personal data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicaSummary {
    /// Id of the dossier.
    pub id: DossierId,
    /// Official code, if it has one.
    pub code: Option<String>,
    /// When it last changed on this store.
    pub updated: Timestamp,
    /// How many rows of the ledger are not where they should be.
    pub open: i64,
    /// How many of them are parked.
    pub parked: i64,
}

/// Whether a target has the record of a dossier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Nobody has asked yet, or the answer is no longer believed.
    Unknown,
    /// The target was asked and has none.
    Absent,
    /// It has one.
    Present,
}

/// State of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The target has the desired version.
    Applied,
    /// To be worked on now.
    Due,
    /// Waits for something the dossier lacks: `code`, `identity`, `after dossier`.
    Waiting {
        /// What it waits for.
        requirement: String,
        /// When it is looked at without it; never, if absent.
        until: Option<Timestamp>,
    },
    /// A call may or may not have taken effect.
    InDoubt {
        /// From when on the target's answer to a look-up is believed.
        until: Timestamp,
    },
    /// The last try did not take effect.
    BackingOff {
        /// When the next one is.
        next: Timestamp,
    },
    /// Cannot go on; a dead letter.
    Parked {
        /// Why, and what to do.
        cause: Fault,
        /// A person decides: a newer version of the dossier does not release it.
        held: bool,
    },
    /// The mapping does not want this version there.
    Skipped {
        /// Why.
        reason: String,
    },
    /// A person gave it up.
    Discarded {
        /// Who and why.
        reason: String,
    },
}

/// A record that a target was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Hash of the native record.
    pub hash: String,
    /// When it took effect.
    pub at: Timestamp,
}

/// One row of the ledger: what one target should have of one dossier or of one of its items, and what it has. Its times
/// are those of the steady clock, where nothing else is said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivery {
    /// Target system.
    pub adapter: String,
    /// Its push, or its look-up: `dossier`, `lookup.identity`.
    pub push: String,
    /// The dossier.
    pub dossier: DossierId,
    /// Id of the item; empty for the dossier itself.
    pub item: String,
    /// Order among the items; 0 for the dossier itself.
    pub ordinal: i64,
    /// Version of the replica that the target should have.
    pub desired: i64,
    /// Version that it has.
    pub applied: Option<i64>,
    /// State, with what belongs to it.
    #[serde(flatten)]
    pub state: State,
    /// Since when the target should have it; for what was not sent before and never was there, since the version that
    /// brought it up again.
    pub created: Timestamp,
    /// Since when it is due, if it is.
    pub due: Timestamp,
    /// Number of intents so far.
    pub attempt: i64,
    /// Failed tries since the last success.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// Process start that committed the open intent.
    pub holder: Option<String>,
    /// Whether the target has the record.
    pub presence: Presence,
    /// The record's id there.
    pub remote: Option<String>,
    /// Hash of the native record that it has.
    pub native_hash: Option<String>,
    /// Version of the mapping that made it.
    pub mapping: Option<String>,
    /// Since when it has it, by the wall clock.
    pub applied_at: Option<Timestamp>,
    /// Name of the last intent towards the target, as long as nobody knows whether it took effect.
    pub intent: Option<String>,
    /// Newest version of the replica that somebody else than the target's own system has had a part in.
    pub others: i64,
    /// Where a target that takes actions was last seen to stand; absent: it is to be asked.
    pub target_state: Option<Value>,
    /// When it was asked that.
    pub looked: Option<Timestamp>,
    /// In how large a batch it may go at most, after one was refused whole.
    pub batch_limit: Option<u32>,
    /// What was sent lately, oldest first.
    pub recent: Vec<Sent>,
    /// Version of the mapping that could not make a record of it; a newer one tries again.
    pub judged_by: Option<String>,
}

impl Delivery {
    /// Id of the dead letter that it is while it is parked.
    #[must_use]
    pub fn letter(&self) -> String {
        let item = if self.item.is_empty() { "" } else { "-" };
        format!(
            "delivery-{}-{}-{}{item}{}",
            self.adapter, self.push, self.dossier, self.item
        )
    }

    /// Is it to be found out yet whether the last call took effect? Not where a person has said what to do: who holds its
    /// intent is forgotten then.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.intent.is_some() && self.holder.is_some()
    }

    /// Has the last call to the target been answered, one way or the other?
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(self.state, State::InDoubt { .. })
    }
}

/// Who asks for work, and how long what it gets is its own.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The process start.
    pub holder: &'a str,
    /// By the steady clock.
    pub until: Timestamp,
}

/// Rows that are looked for together.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// Of these pushes.
    pub pushes: Vec<&'a str>,
    /// So many at most.
    pub most: u32,
}

/// A limit on what may be done in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Under which it is counted.
    pub name: String,
    /// How often.
    pub limit: u32,
    /// End of the time, by the wall clock: where it is later than what was counted before, counting begins anew.
    pub until: Timestamp,
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The row as it is to be.
    pub row: Delivery,
    /// Version of the replica that the outcome speaks of.
    pub version: i64,
    /// The attempt that the row was read with.
    pub fence: i64,
    /// A call is about to leave.
    pub intended: bool,
}

/// That a target should have a version of a dossier.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    /// Target system.
    pub adapter: String,
    /// Its push.
    pub push: String,
    /// The dossier.
    pub dossier: DossierId,
    /// Version of the replica.
    pub version: i64,
    /// Nobody but the target's own system has had a part in it.
    pub own: bool,
}

/// An item of a push that has items.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    /// Target system.
    pub adapter: String,
    /// Its push.
    pub push: String,
    /// The dossier.
    pub dossier: DossierId,
    /// Id of the item.
    pub item: String,
    /// Its place among the items, from 1.
    pub ordinal: i64,
    /// Version of the replica that it was seen in.
    pub version: i64,
    /// Whether the target takes it again once it has it: the push has an `update`.
    pub again: bool,
}

/// What a push needs to know of another push of the same dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The target has had some version of it.
    pub done: bool,
    /// Its record's id there.
    pub remote: Option<String>,
}

/// A parked delivery or a refused record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// `inbox-17`, or `delivery-<adapter>-<push>-<dossier id>[-<item>]`.
    pub id: String,
    /// System that the record came from or was to go to.
    pub system: String,
    /// Operation: `webhook.dossier`, `push.progress`.
    pub operation: String,
    /// Code of the dossier where it is known, else the record's own, else the dossier's id; absent where none of them is
    /// known.
    pub dossier: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// What is wrong and what to do.
    pub cause: Fault,
}

/// How many rows there are in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Dossiers.
    pub dossiers: i64,
    /// Events that wait for the broker.
    pub outbox: i64,
    /// Records by adapter and state.
    pub inbox: Vec<(String, String, i64)>,
    /// Records that wait, by adapter and reason.
    #[serde(default)]
    pub waiting: Vec<(String, String, i64)>,
    /// Deliveries by adapter, push and state.
    pub deliveries: Vec<(String, String, String, i64)>,
    /// Since when the oldest due delivery of an adapter is due; none where nothing is.
    #[serde(default)]
    pub oldest_due: Vec<(String, Timestamp)>,
}
