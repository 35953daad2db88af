//! Subscribe: broker → replica. Each event is merged once, whatever its order and however often it comes; in the same
//! transaction every local adapter that subscribes to the dossier is told which version its target should have.
//!
//! An event that is not what it should be is kept as an inbox row with its cause, and answered for: the broker's queue
//! is never blocked by one record.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Progress, Shared, StageError};
use crate::dossier::{self, DossierId, fold_code};
use crate::event::Event;
use crate::failpoint;
use crate::store::{InboxRow, InboxState, Replica, Transaction, Wanted};

/// Events merged in one transaction, at most.
const BATCH: usize = 256;

/// How far a writer's clock may be ahead of ours before its events are held.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The stage.
pub struct Subscribe {
    shared: Arc<Shared>,
}

impl Subscribe {
    /// The stage over these parts.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Waits a moment for events, merges what has come, answers for it.
    ///
    /// # Errors
    /// The store or the broker is away; unanswered events come again.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let received = self.shared.broker.receive(BATCH).await?;
        if received.is_empty() {
            return Ok(Progress::Worked);
        }
        let now = self.shared.clock.now();
        let (events, receipts): (Vec<_>, Vec<_>) = received
            .into_iter()
            .map(|received| (received.event, received.receipt))
            .unzip();
        let mut transaction = self.shared.store.begin().await?;
        self.merge(transaction.as_mut(), events, now).await?;
        failpoint::pass("subscribe-before-commit");
        transaction.commit().await?;
        failpoint::pass("subscribe-committed");
        self.shared.broker.acknowledge(receipts).await?;
        self.shared.deliveries.ring();
        Ok(Progress::Worked)
    }

    async fn merge(
        &self,
        transaction: &mut dyn Transaction,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<(), StageError> {
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let seen = transaction.journaled(&ids).await?;
        let mut dossiers: Vec<DossierId> = events.iter().map(|event| event.data.id).collect();
        dossiers.sort_unstable();
        dossiers.dedup();
        let mut replicas = transaction.replicas(&dossiers).await?;

        let mut merged: HashMap<String, Event> = HashMap::new();
        let mut changed: HashMap<DossierId, i64> = HashMap::new();
        let mut held = Vec::new();
        for event in events {
            if seen.contains(&event.id) || merged.contains_key(&event.id) {
                continue;
            }
            match self.judge(&event, now) {
                InboxState::Mapped => {}
                state => {
                    tracing::warn!(event.id, event.source, ?state, "event held");
                    held.push(held_row(&event, state, now));
                    continue;
                }
            }
            self.shared.hybrid.observe(event.hlc);
            let replica = replicas
                .entry(event.data.id)
                .or_insert_with(|| Replica::new(dossier::Dossier::new(event.data.origin.clone())));
            if replica.dossier.merge(&event.data) {
                replica.version += 1;
                replica.updated = now;
                changed.insert(event.data.id, replica.version);
            }
            merged.insert(event.id.clone(), event);
        }

        let mut written = Vec::new();
        let mut links = Vec::new();
        let mut wanted = Vec::new();
        for (id, version) in changed {
            let Some(replica) = replicas.remove(&id) else {
                continue;
            };
            for (system, codes) in &replica.dossier.links {
                links.extend(codes.keys().map(|code| ((system.clone(), fold_code(code)), id)));
            }
            let view = replica.dossier.view();
            for adapter in &self.shared.adapters {
                if adapter
                    .subscribe
                    .as_ref()
                    .is_some_and(|subscription| subscription.holds(&view))
                {
                    wanted.extend(adapter.pushes.iter().map(|push| Wanted {
                        adapter: adapter.name.clone(),
                        push: push.name.clone(),
                        dossier: id,
                        version,
                    }));
                }
            }
            written.push(replica);
        }
        let merged: Vec<Event> = merged.into_values().collect();
        transaction.put_journal(&merged, now).await?;
        transaction.put_replicas(&written).await?;
        transaction.put_links(&links).await?;
        transaction.want(&wanted, now).await?;
        transaction.put_inbox(&held).await?;
        transaction.put_clock(self.shared.hybrid.last()).await?;
        Ok(())
    }

    /// Whether the event may be merged; otherwise what is to become of it.
    fn judge(&self, event: &Event, now: Timestamp) -> InboxState {
        let Some(adapter) = self.shared.adapter(event.adapter()) else {
            return InboxState::Waiting("unknown adapter".to_owned());
        };
        let ahead = now + CLOCK_TOLERANCE;
        let (latest, hlc) = event.data.horizon();
        let clock = hlc.max(event.hlc).wall_ms;
        if latest > ahead || u64::try_from(ahead.as_millisecond()).is_ok_and(|ahead| clock > ahead) {
            return InboxState::Waiting("clock ahead".to_owned());
        }
        match dossier::judge_delta(&event.data, &adapter.name, &adapter.owns) {
            Ok(()) => InboxState::Mapped,
            Err(fault) => InboxState::Refused(fault),
        }
    }
}

fn held_row(event: &Event, state: InboxState, now: Timestamp) -> InboxRow {
    let raw = json!(event).to_string();
    InboxRow {
        adapter: event.adapter().to_owned(),
        operation: "event".to_owned(),
        observed: now,
        raw_hash: dossier::hash::content(&raw.as_str().into()),
        raw,
        state,
        code: None,
        dossier: Some(event.data.id),
        event: Some(event.id.clone()),
        mapping: String::new(),
    }
}
