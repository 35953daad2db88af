//! Ingest: native record → inbox, shadow and outbox, in one transaction.
//!
//! What is unauthenticated, too big or not of the declared syntax is turned away at the door and leaves no trace;
//! everything else is kept raw, whatever becomes of it. The adapter's mapping makes a patch of the record; the patch
//! is compared with the system's shadow, and what it says anew becomes one event. [`webhook`] is the door for systems
//! that tell us, [`pull`] asks those that do not.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Shared, StageError};
use crate::adapter::{Adapter, Fact};
use crate::dossier;
use crate::fault::Fault;
use crate::store::{InboxRow, InboxState};

mod place;
pub mod pull;
pub mod webhook;

/// A record as it came in.
pub struct Record {
    /// Adapter that it came through.
    pub adapter: Arc<Adapter>,
    /// Its operation.
    pub door: Door,
    /// The record, as text.
    pub raw: String,
    /// The record, decoded.
    pub value: Value,
    /// When the bus saw it first.
    pub observed: Timestamp,
}

/// An operation of an adapter that brings records in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The webhook at this place in the manifest: the sender counts on us to keep what it sent.
    Webhook(usize),
    /// The pull at this place: a record that says nothing new is not kept again and again.
    Pull(usize),
}

impl Door {
    /// The operation's name, as the inbox has it: `webhook.dossier`.
    fn name(self, adapter: &Adapter) -> String {
        match self {
            Self::Webhook(index) => format!("webhook.{}", adapter.webhooks[index].name),
            Self::Pull(index) => format!("pull.{}", adapter.pulls[index].name),
        }
    }
}

/// Where a pull stands after these records.
pub struct Position<'a> {
    /// Adapter of the pull.
    pub adapter: &'a str,
    /// Its operation.
    pub operation: &'a str,
    /// What the store keeps for it.
    pub body: String,
}

/// Maps, places and stores a batch of records. In the same order: what became of each.
///
/// # Errors
/// The store is away; nothing was kept, and the sender must be told so.
pub async fn admit(
    shared: &Shared,
    records: Vec<Record>,
    position: Option<Position<'_>>,
) -> Result<Vec<InboxState>, StageError> {
    let mappings = futures_util::future::join_all(records.iter().map(|record| map(shared, record))).await;

    let mut transaction = shared.store.begin().await?;
    let placed = place::place(shared, transaction.as_mut(), &records, mappings).await?;
    let mut states = Vec::with_capacity(records.len());
    let mut rows = Vec::with_capacity(records.len());
    for (record, placed) in records.into_iter().zip(placed.records) {
        states.push(placed.state.clone());
        if matches!(
            (record.door, &placed.state),
            (Door::Pull(_), InboxState::Ignored(_))
        ) {
            continue;
        }
        let operation = record.door.name(&record.adapter);
        if let InboxState::Refused(fault) = &placed.state {
            tracing::warn!(
                adapter = record.adapter.name,
                operation,
                fault = %fault.for_log(),
                "record refused"
            );
        }
        rows.push(InboxRow {
            adapter: record.adapter.name.clone(),
            operation,
            observed: record.observed,
            raw_hash: dossier::hash::content(&record.raw.as_str().into()),
            raw: record.raw,
            state: placed.state,
            dossier: placed.dossier,
            event: placed.event,
            mapping: record.adapter.version.clone(),
        });
    }
    transaction.put_inbox(&rows).await?;
    transaction.put_shadows(&placed.shadows).await?;
    transaction.put_outbox(&placed.events).await?;
    if let Some(position) = position {
        transaction
            .put_cursor(position.adapter, position.operation, &position.body)
            .await?;
    }
    transaction.put_clock(shared.hybrid.last()).await?;
    transaction.commit().await?;
    if !placed.events.is_empty() {
        shared.outbox.ring();
    }
    Ok(states)
}

/// What the adapter's mapping makes of a record, on the mapping threads.
async fn map(shared: &Shared, record: &Record) -> Result<Vec<Fact>, Fault> {
    let adapter = Arc::clone(&record.adapter);
    let (door, value) = (record.door, record.value.clone());
    let mapped = shared.workers.run(move || match door {
        Door::Webhook(index) => adapter.webhooks[index].map(&value),
        Door::Pull(index) => adapter.pulls[index].map(&value),
    });
    match mapped.await {
        Ok(facts) => facts,
        Err(stuck) => Err(Fault::new("mapping-too-long")
            .found(stuck.to_string())
            .expected("a mapping that ends")
            .remedy("mend the adapter's mapping; the record is kept")),
    }
}
