//! The journal, and what else is kept of a dossier's past.

use jiff::Timestamp;

use super::{Decision, InboxState};
use crate::dossier::DossierId;
use crate::event::Event;

/// An event as the journal holds it.
#[derive(Debug, Clone)]
pub struct Journaled {
    /// Its place.
    pub seq: i64,
    /// When it was merged here.
    pub recorded: Timestamp,
    /// The code that its dossier has now.
    pub code: Option<String>,
    /// The event.
    pub event: Event,
}

/// What happened to a dossier, beside what the ledger says.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Its events, in the order of arrival; with those of dossiers that were joined with it.
    pub events: Vec<Journaled>,
    /// Ids under which it was known before a join, and the place in the journal after which that was.
    pub joined: Vec<(DossierId, Option<i64>)>,
    /// Records under its codes, but those that said nothing new; in the order in which they came.
    pub records: Vec<PastRecord>,
    /// Decisions of people, oldest first.
    pub decisions: Vec<Decision>,
}

/// A record of the past, without what it said.
#[derive(Debug, Clone)]
pub struct PastRecord {
    /// `inbox-17`.
    pub id: String,
    /// Adapter that it came through.
    pub adapter: String,
    /// Its operation.
    pub operation: String,
    /// When the bus saw it first.
    pub observed: Timestamp,
    /// What became of it.
    pub state: InboxState,
    /// Event that it became.
    pub event: Option<String>,
    /// Version of the mapping that judged it.
    pub mapping: String,
}
