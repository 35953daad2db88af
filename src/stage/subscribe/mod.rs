//! Subscribe: broker → replica. Each event is merged once, whatever its order and however often it comes; in the same
//! transaction every local adapter that subscribes to the dossier is told which version its target should have.
//!
//! An event that is not what it should be is kept as an inbox row with its cause, and answered for: the broker's queue
//! is never blocked by one record. What waited in the inbox is merged like what the broker brings, once its time has
//! come. Where an event shows that two dossiers are one, [`join`] makes them one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{CLOCK_TOLERANCE, Progress, Shared, StageError};
use crate::broker::Unfit;
use crate::dossier::{self, Dossier, DossierId, fold_code};
use crate::event::Event;
use crate::failpoint;
use crate::fault::Fault;
use crate::store::{
    CLOCK_AHEAD, CodeKey, Come, EVENT, InboxRow, InboxState, ORPHAN, Replica, Said, Transaction,
    UNKNOWN_ADAPTER, Wanted,
};

mod join;
mod suspect;

use join::Changed;
use suspect::Suspicion;

/// Where a message comes from that does not say so.
const NOBODY: &str = "unknown";

/// Events merged in one transaction, at most.
const BATCH: usize = 256;

/// The stage.
pub struct Subscribe {
    shared: Arc<Shared>,
    suspicion: Suspicion,
}

/// What is to be merged, and its place in the inbox if it is kept there.
type Told = (Result<Event, Unfit>, Option<i64>);

/// Events that are not merged: each with its place in the inbox, if it has one already.
type Held = Vec<(Option<i64>, InboxRow)>;

impl Subscribe {
    /// The stage over these parts.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            suspicion: Suspicion::default(),
        }
    }

    /// Waits a moment for events, merges what has come, answers for it.
    ///
    /// # Errors
    /// The store or the broker is away; unanswered events come again.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let is_careful = self.suspicion.is_careful();
        let limit = if is_careful { 1 } else { BATCH };
        let received = self.shared.broker.receive(limit).await?;
        let mut is_suspect = is_careful || received.iter().any(|received| received.suspect);
        let (mut events, receipts): (Vec<Told>, Vec<_>) = received
            .into_iter()
            .map(|received| ((received.event, None), received.receipt))
            .unzip();
        if events.is_empty() {
            let is_kept_suspect;
            (events, is_kept_suspect) = self.kept(limit).await?;
            is_suspect |= is_kept_suspect;
        }
        if events.is_empty() {
            return Ok(Progress::Worked);
        }
        let mut suspect = None;
        if is_suspect && let [_] = events[..] {
            let tried = self.try_alone(events.remove(0)).await?;
            suspect = tried.0.as_ref().ok().map(|event| event.id.clone());
            events.push(tried);
        }
        self.suspicion.begins(events.len());
        let merged = self.merge_all(events).await;
        self.suspicion.ends(suspect.filter(|_| merged.is_err()));
        merged?;
        failpoint::pass("subscribe-committed");
        self.shared.broker.acknowledge(receipts).await?;
        self.shared.deliveries.ring();
        self.shared.records.ring();
        Ok(Progress::Worked)
    }

    async fn merge_all(&self, events: Vec<Told>) -> Result<(), StageError> {
        let mut transaction = self.shared.store.begin().await?;
        self.merge(transaction.as_mut(), events).await?;
        failpoint::pass("subscribe-before-commit");
        Ok(transaction.commit().await?)
    }

    /// Events of the inbox whose time has come, or one suspect.
    async fn kept(&self, limit: usize) -> Result<(Vec<Told>, bool), StageError> {
        if !self.shared.leads("events again", Duration::ZERO).await? {
            return Ok((Vec::new(), false));
        }
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let now = self.shared.steady.now();
        let kept = self.shared.store.records_again(Said::ByNodes, now, limit).await?;
        let mut events = Vec::with_capacity(kept.len());
        for record in kept {
            if let Some(event) = suspect::kept(&record) {
                if events.is_empty() {
                    return Ok((vec![(Ok(event), Some(record.seq))], true));
                }
                break;
            }
            events.push((self.shared.broker.reread(&record.raw), Some(record.seq)));
        }
        Ok((events, false))
    }

    async fn merge(&self, transaction: &mut dyn Transaction, told: Vec<Told>) -> Result<(), StageError> {
        let now = self.shared.clock.now();
        let mut held: Held = Vec::new();
        let mut events = Vec::with_capacity(told.len());
        for (event, place) in told {
            match event {
                Ok(event) => events.push((event, place)),
                Err(unfit) => {
                    let fault = unfit.fault.for_log();
                    tracing::warn!(event.id = unfit.event, %fault, "what came is not merged");
                    held.push((place, unfit_row(unfit, now)));
                }
            }
        }
        let ids: Vec<&str> = events.iter().map(|(event, _)| event.id.as_str()).collect();
        let mut dossiers: Vec<DossierId> = events.iter().map(|(event, _)| event.data.id).collect();
        dossiers.sort_unstable();
        dossiers.dedup();
        // With the codes: a record that is just being told to wait for one of them is seen when they are released.
        let codes: Vec<CodeKey> = events
            .iter()
            .flat_map(|(event, _)| join::keys_of(&event.data))
            .collect();
        transaction.lock(&dossiers, &codes).await?;
        let seen = transaction.journaled(&ids).await?;
        let aliases = transaction.aliases(&dossiers).await?;
        let dossiers: Vec<DossierId> = dossiers.iter().map(|id| *aliases.get(id).unwrap_or(id)).collect();
        let mut replicas = transaction.replicas(&dossiers).await?;

        let mut merged: HashMap<String, Event> = HashMap::new();
        let mut changed = Changed::new();
        for (event, place) in events {
            let state = match seen.get(&event.id).or(merged.get(&event.id)) {
                Some(known) if *known == event => InboxState::Ignored("merged before".to_owned()),
                Some(_) => InboxState::Refused(conflict()),
                None => self.judge(&event, now),
            };
            match (&state, place) {
                (InboxState::Mapped, None) => {}
                // a repetition leaves no trace, whatever the broker says of it
                (InboxState::Ignored(_), None) => continue,
                (InboxState::Mapped | InboxState::Ignored(_), Some(_)) => {
                    held.push((place, self.held_row(&event, state.clone(), now)));
                }
                _ => {
                    tracing::warn!(event.id, event.source, ?state, "event held");
                    held.push((place, self.held_row(&event, state.clone(), now)));
                }
            }
            if state != InboxState::Mapped {
                continue;
            }
            self.shared.hybrid.observe(event.hlc);
            let id = *aliases.get(&event.data.id).unwrap_or(&event.data.id);
            let replica = replicas
                .entry(id)
                .or_insert_with(|| Replica::new(Dossier::new(event.data.origin.clone())));
            if replica.dossier.merge(&event.data) {
                let authors = changed.entry(id).or_default();
                authors.insert(event.adapter().to_owned());
            }
            merged.insert(event.id.clone(), event);
        }
        let merged: Vec<Event> = merged.into_values().collect();
        transaction.put_journal(&merged, now).await?;
        let changed = join::join(&self.shared, transaction, &mut replicas, changed).await?;
        self.spread(transaction, replicas, &changed, now).await?;
        let (kept, new): (Vec<_>, Vec<_>) = held.into_iter().partition(|(place, _)| place.is_some());
        let kept: Vec<(i64, InboxRow)> = kept
            .into_iter()
            .filter_map(|(place, row)| Some((place?, row)))
            .collect();
        let new: Vec<InboxRow> = new.into_iter().map(|(_, row)| row).collect();
        transaction.settle_records(&kept).await?;
        transaction.put_inbox(&new).await?;
        transaction.put_clock(self.shared.hybrid.last()).await?;
        Ok(())
    }

    /// Stores what has changed and tells whoever should have it.
    async fn spread(
        &self,
        transaction: &mut dyn Transaction,
        mut replicas: HashMap<DossierId, Replica>,
        changed: &Changed,
        now: Timestamp,
    ) -> Result<(), StageError> {
        let mut written = Vec::new();
        let mut links = Vec::new();
        let mut wanted = Vec::new();
        let mut come = Vec::new();
        for (id, authors) in changed {
            let Some(mut replica) = replicas.remove(id) else {
                continue;
            };
            replica.version += 1;
            replica.updated = now;
            for (system, codes) in &replica.dossier.links {
                let hosted = self.shared.adapter(system).is_some();
                for code in codes.keys() {
                    let key = fold_code(code);
                    come.extend(hosted.then(|| Come {
                        adapter: system.clone(),
                        reason: ORPHAN,
                        code: Some(key.clone()),
                    }));
                    links.push(((system.clone(), key), *id));
                }
            }
            let view = replica.dossier.view();
            for adapter in &self.shared.adapters {
                if adapter
                    .subscribe
                    .as_ref()
                    .is_some_and(|subscription| subscription.holds(&view))
                {
                    wanted.extend(adapter.deliveries().map(|name| Wanted {
                        adapter: adapter.name.clone(),
                        push: name.to_owned(),
                        dossier: *id,
                        version: replica.version,
                        own: authors.iter().eq([&adapter.name]),
                    }));
                }
            }
            written.push(replica);
        }
        transaction.put_replicas(&written).await?;
        transaction.put_links(&links).await?;
        transaction.release_records(&come).await?;
        transaction.want(&wanted, self.shared.steady.now()).await?;
        Ok(())
    }

    /// Whether the event may be merged; otherwise what is to become of it.
    fn judge(&self, event: &Event, now: Timestamp) -> InboxState {
        let Some((adapter, owns)) = self.shared.rights().find(|(name, _)| *name == event.adapter()) else {
            return InboxState::Waiting(UNKNOWN_ADAPTER.to_owned());
        };
        // What we have said ourselves is what our own clock has shown.
        let ours = event.store_id() == self.shared.store.id();
        if !ours && lead(event, now) > CLOCK_TOLERANCE {
            return InboxState::Waiting(CLOCK_AHEAD.to_owned());
        }
        match dossier::judge_delta(&event.data, adapter, owns) {
            Ok(()) => InboxState::Mapped,
            Err(fault) => InboxState::Refused(fault),
        }
    }

    fn held_row(&self, event: &Event, state: InboxState, now: Timestamp) -> InboxRow {
        let raw = json!(event).to_string();
        let until = matches!(&state, InboxState::Waiting(reason) if reason == CLOCK_AHEAD).then(|| {
            let wait = lead(event, now) - CLOCK_TOLERANCE;
            self.shared.steady.now().saturating_add(wait).unwrap_or(now)
        });
        InboxRow {
            adapter: event.adapter().to_owned(),
            operation: EVENT.to_owned(),
            observed: now,
            raw_hash: dossier::hash::content(&raw.as_str().into()),
            raw,
            state,
            code: None,
            dossier: Some(event.data.id),
            event: Some(event.id.clone()),
            mapping: String::new(),
            until,
        }
    }
}

/// What came and is no event to be merged, as it is kept for a person.
fn unfit_row(unfit: Unfit, now: Timestamp) -> InboxRow {
    InboxRow {
        adapter: unfit.adapter.unwrap_or_else(|| NOBODY.to_owned()),
        operation: EVENT.to_owned(),
        observed: now,
        raw_hash: dossier::hash::content(&unfit.raw.as_str().into()),
        raw: unfit.raw,
        state: InboxState::Refused(unfit.fault),
        code: None,
        dossier: None,
        event: unfit.event,
        mapping: String::new(),
        until: None,
    }
}

/// How far the event lies ahead of our clock.
fn lead(event: &Event, now: Timestamp) -> SignedDuration {
    let (latest, hlc) = event.data.horizon();
    let clock = i64::try_from(hlc.max(event.hlc).wall_ms).unwrap_or(i64::MAX);
    let clock = Timestamp::from_millisecond(clock).unwrap_or(Timestamp::MAX);
    latest.max(clock).duration_since(now)
}

/// Ids of events are made once; who says two things under one id is at fault.
fn conflict() -> Fault {
    Fault::new("event-conflict")
        .field("id")
        .found("another event under an id that was merged before")
        .expected("the same content under the same id")
        .remedy("have the node that sent it look whether two stores share an id: one of them was copied")
}
