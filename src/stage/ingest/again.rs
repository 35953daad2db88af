//! Takes in anew what is kept in the inbox: records that waited for what has come now, and refused ones that a person or
//! a newer mapping gives another try. They keep the time at which they were first seen.

use std::sync::Arc;
use std::time::Duration;

use super::{Door, Record, admit};
use crate::adapter::Adapter;
use crate::fault::Fault;
use crate::stage::{Progress, Shared, StageError};
use crate::store::{InboxRow, InboxState, KeptRecord, Said};

/// Records taken in one step.
const BATCH: u32 = 64;

/// The stage: one for each hosted adapter, so that none waits for another's records.
pub struct Again {
    shared: Arc<Shared>,
    adapter: Arc<Adapter>,
}

impl Again {
    /// The stage for what came through `adapter`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, adapter: Arc<Adapter>) -> Self {
        Self { shared, adapter }
    }

    /// Takes in the oldest records that are to be taken in anew.
    ///
    /// # Errors
    /// The store is away; the records stay where they are.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let wall = self.shared.clock.now();
        if let Some(pause) = self.shared.pauses.of_mappings(&self.adapter.name, wall) {
            return Ok(Progress::Idle(Some(pause.until)));
        }
        let work = format!("records again {}", self.adapter.name);
        if !self.shared.leads(&work, Duration::ZERO).await? {
            return Ok(Progress::Idle(None));
        }
        let now = self.shared.steady.now();
        let said = Said::BySystem(self.adapter.name.clone());
        let kept = self.shared.store.records_again(said, now, BATCH).await?;
        if kept.is_empty() {
            return Ok(Progress::Idle(None));
        }
        let mut records = Vec::new();
        let mut closed = Vec::new();
        for record in kept {
            match self.read(&record) {
                Ok(record) => records.push(record),
                Err(fault) => closed.push((record.seq, refused(record, fault))),
            }
        }
        if !closed.is_empty() {
            let mut transaction = self.shared.store.begin().await?;
            transaction.settle_records(&closed).await?;
            transaction.commit().await?;
        }
        admit(&self.shared, records, None).await?;
        Ok(Progress::Worked)
    }

    /// The record as it came in through its door.
    fn read(&self, kept: &KeptRecord) -> Result<Record, Fault> {
        let adapter = &self.adapter;
        let Some(door) = door(adapter, &kept.operation) else {
            return Err(Fault::new("operation-unknown")
                .file("adapter.toml")
                .found(format!("a kept record of `{}`", kept.operation))
                .expected("that the adapter still has this operation")
                .remedy("put the operation back into the manifest and retry the record, or discard it"));
        };
        let decoded = match door {
            Door::Webhook(index) => adapter.webhooks[index].kept(&kept.raw),
            Door::Pull(_) => serde_json::from_str(&kept.raw).map_err(|error| error.to_string()),
        };
        let value = decoded.map_err(|problem| {
            Fault::new("malformed")
                .found(problem)
                .expected("the syntax that the manifest declares")
                .remedy("set `receive` in the manifest to what it was when the record came, or discard the record")
        })?;
        Ok(Record {
            adapter: Arc::clone(adapter),
            door,
            raw: kept.raw.clone(),
            value,
            observed: kept.observed,
            // Not later than that, if it was asked for.
            asked: matches!(door, Door::Pull(_)).then_some(kept.observed),
            kept: Some(kept.seq),
        })
    }
}

/// The operation of this name.
fn door(adapter: &Adapter, operation: &str) -> Option<Door> {
    let (kind, name) = operation.split_once('.')?;
    match kind {
        "webhook" => adapter
            .webhooks
            .iter()
            .position(|webhook| webhook.name == name)
            .map(Door::Webhook),
        "pull" => adapter
            .pulls
            .iter()
            .position(|pull| pull.name == name)
            .map(Door::Pull),
        _ => None,
    }
}

/// What cannot even be read any more stays listed, with its cause.
fn refused(kept: KeptRecord, fault: Fault) -> InboxRow {
    InboxRow {
        adapter: kept.adapter,
        operation: kept.operation,
        observed: kept.observed,
        raw_hash: String::new(),
        raw: String::new(),
        state: InboxState::Refused(fault),
        code: None,
        dossier: None,
        event: None,
        mapping: String::new(),
        until: None,
    }
}
