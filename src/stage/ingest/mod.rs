//! Ingest: native record → inbox, shadow and outbox, in one transaction.
//!
//! What is unauthenticated, too big or not of the declared syntax is turned away at the door and leaves no trace;
//! everything else is kept raw, whatever becomes of it. The adapter's mapping makes a patch of the record; the patch
//! is compared with the system's shadow, and what it says anew becomes one event. [`webhook`] is the door for systems
//! that tell us, [`pull`] asks those that do not; [`again`] takes in anew what waited or was refused.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value;

use super::{Shared, StageError, pause};
use crate::adapter::{Adapter, Fact};
use crate::dossier::{self, DossierId, Patch};
use crate::failpoint;
use crate::fault::Fault;
use crate::jq::{Mark, Stuck};
use crate::store::{ADAPTER_PAUSED, InboxRow, InboxState, SUPERSEDED, Taken, Transaction};

pub mod again;
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
    /// When the bus saw it first, by the clock that never goes back ([`HybridClock::now`](crate::clock::HybridClock::now)).
    pub observed: Timestamp,
    /// When its system was asked for it, by the same clock, if it was asked for.
    pub asked: Option<Timestamp>,
    /// Its place in the inbox, if it is kept there already and taken in anew.
    pub kept: Option<i64>,
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

/// What a system has answered about a dossier.
pub(super) struct Statement {
    pub(super) patch: Patch,
    /// When it was asked, by the clock that never goes back; `None`: what is said needed no question.
    pub(super) asked: Option<Timestamp>,
}

/// Where a pull stands after these records.
pub struct Position<'a> {
    /// Adapter of the pull.
    pub adapter: &'a str,
    /// Its operation.
    pub operation: &'a str,
    /// What the store keeps for it.
    pub body: String,
    /// What the system is to be told each of the records by once it is durable; absent for those that it is not told of.
    pub owed: Vec<Option<Value>>,
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
    let mapped = futures_util::future::join_all(records.iter().map(|record| map(shared, record))).await;
    let (codes, mappings): (Vec<_>, Vec<_>) = mapped.into_iter().unzip();
    // Of what is not mapped now, nothing is placed.
    let rest: Vec<bool> = mappings.iter().map(Option::is_none).collect();
    let mappings = mappings.into_iter().map(|facts| facts.unwrap_or(Ok(Vec::new())));
    let mappings = mappings.collect();

    let mut transaction = shared.store.begin().await?;
    let placed = place::place(shared, transaction.as_mut(), &records, mappings).await?;
    let mut states = Vec::with_capacity(records.len());
    let mut rows = Vec::with_capacity(records.len());
    let mut settled = Vec::new();
    let mut taken = Vec::new();
    for (((record, code), mut placed), rests) in records.into_iter().zip(codes).zip(placed.records).zip(rest)
    {
        if rests {
            placed.state = InboxState::Waiting(ADAPTER_PAUSED.to_owned());
        }
        states.push(placed.state.clone());
        let raw_hash = dossier::hash::content(&record.raw.as_str().into());
        if let Some(code) = code.as_ref().filter(|_| placed.taken()) {
            let closing = Taken {
                adapter: record.adapter.name.clone(),
                code: code.clone(),
                raw_hash: raw_hash.clone(),
            };
            close_before(&mut rows, &closing);
            taken.push(closing);
        }
        if record.kept.is_none()
            && matches!(
                (record.door, &placed.state),
                (Door::Pull(_), InboxState::Ignored(_))
            )
        {
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
        let row = InboxRow {
            adapter: record.adapter.name.clone(),
            operation,
            observed: record.observed,
            raw_hash,
            raw: record.raw,
            state: placed.state,
            // what waits for its code is found by it
            code: placed.waits_under.or(code),
            dossier: placed.dossier,
            event: placed.event,
            mapping: record.adapter.version.clone(),
            // As soon as the adapter no longer rests, which its stage knows.
            until: rests.then(|| shared.steady.now()),
        };
        match record.kept {
            Some(seq) => settled.push((seq, row)),
            None => rows.push(row),
        }
    }
    let kept = settled.iter().map(|(_, row)| row).chain(&rows);
    if let Some(seen) = kept.map(|row| row.observed).max() {
        shared.hybrid.keep(seen);
    }
    transaction.close_refused(&taken).await?;
    transaction.put_inbox(&rows).await?;
    transaction.settle_records(&settled).await?;
    transaction.put_shadows(&placed.shadows).await?;
    transaction.put_outbox(&placed.events).await?;
    if let Some(position) = position {
        let Position {
            adapter,
            operation,
            body,
            owed,
        } = position;
        transaction.put_cursor(adapter, operation, &body).await?;
        transaction.owe(adapter, operation, &owing(owed, &states)).await?;
    }
    transaction.put_clock(shared.hybrid.last()).await?;
    failpoint::pass("ingest-before-commit");
    transaction.commit().await?;
    failpoint::pass("ingest-committed");
    if !placed.events.is_empty() {
        shared.outbox.ring();
    }
    Ok(states)
}

/// Takes what a system has answered about dossiers that are known, into a transaction that has locked them; nothing of the
/// answer itself is kept. In the same order: the fault of what could not be taken.
///
/// # Errors
/// The store is away.
pub(super) async fn say(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    adapter: &Adapter,
    statements: &[(DossierId, Statement)],
) -> Result<Vec<Result<(), Fault>>, StageError> {
    let now = shared.hybrid.now();
    let said = place::say(shared, transaction, adapter, statements, now).await?;
    shared.hybrid.keep(now);
    transaction.put_shadows(&said.shadows).await?;
    transaction.put_outbox(&said.events).await?;
    transaction.put_clock(shared.hybrid.last()).await?;
    let ends = said.records.into_iter().map(|placed| match placed.state {
        InboxState::Refused(fault) => Err(fault),
        InboxState::Mapped | InboxState::Waiting(_) | InboxState::Ignored(_) => Ok(()),
    });
    Ok(ends.collect())
}

/// What the system is to be told, once for each record however often a page lists it; the last time counts. Also of one that
/// says nothing new or waits: we have it.
fn owing(owed: Vec<Option<Value>>, states: &[InboxState]) -> Vec<(Value, Option<String>)> {
    let told: IndexMap<Value, Option<String>> = owed
        .into_iter()
        .zip(states)
        .filter_map(|(record, state)| {
            let cause = match state {
                InboxState::Refused(fault) => Some(fault.code.clone()),
                InboxState::Mapped | InboxState::Waiting(_) | InboxState::Ignored(_) => None,
            };
            Some((record?, cause))
        })
        .collect();
    told.into_iter().collect()
}

/// The same within a batch as [`close_refused`](crate::store::Transaction::close_refused) among what is stored: what was
/// refused before the record that is taken now need not be listed.
fn close_before(rows: &mut [InboxRow], taken: &Taken) {
    let mut repeated = false;
    for row in rows {
        if row.adapter != taken.adapter || row.code.as_deref() != Some(&taken.code) {
            continue;
        }
        if matches!(row.state, InboxState::Refused(_)) && !repeated {
            row.state = InboxState::Ignored(SUPERSEDED.to_owned());
        }
        repeated |= row.raw_hash == taken.raw_hash;
    }
}

/// Under which code people know a record, and what the adapter's mapping makes of it, on the adapter's threads. No facts:
/// the adapter rests.
async fn map(shared: &Shared, record: &Record) -> (Option<String>, Option<Result<Vec<Fact>, Fault>>) {
    let adapter = Arc::clone(&record.adapter);
    let (door, value) = (record.door, record.value.clone());
    // Left here before the mapping begins: a record whose mapping does not end has its code too.
    let code = Arc::new(OnceLock::new());
    let found = Arc::clone(&code);
    let operation = door.name(&record.adapter);
    let about = Mark::of(&record.raw);
    let lane = shared.lane(&record.adapter);
    let mapped = lane.run_unless_resting(&operation, about, move || match door {
        Door::Webhook(index) => {
            let webhook = &adapter.webhooks[index];
            found.get_or_init(|| webhook.code(&value));
            webhook.map(&value)
        }
        Door::Pull(index) => {
            let pull = &adapter.pulls[index];
            found.get_or_init(|| pull.code(&value));
            pull.map(&value)
        }
    });
    let facts = match mapped.await {
        Ok(facts) => facts,
        Err(Stuck::NoThread) => None,
        Err(stuck) => Some(Err(pause::given_up(&operation, stuck))),
    };
    (code.get().cloned().flatten(), facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, raw: &str, state: InboxState) -> InboxRow {
        InboxRow {
            adapter: "one-stop".to_owned(),
            operation: "pull.changes".to_owned(),
            observed: Timestamp::UNIX_EPOCH,
            raw_hash: raw.to_owned(),
            raw: raw.to_owned(),
            state,
            code: Some(code.to_owned()),
            dossier: None,
            event: None,
            mapping: String::new(),
            until: None,
        }
    }

    #[test]
    fn what_a_page_lists_twice_is_owed_once_with_what_became_of_it_last() {
        let refused = InboxState::Refused(Fault::new("bad-time"));
        let orphan = InboxState::Waiting("orphan".to_owned());
        let page = [
            (Some("a"), InboxState::Mapped),
            (None, InboxState::Mapped),
            (Some("b"), orphan),
            (Some("a"), refused),
            (Some("c"), InboxState::Ignored("nothing new".to_owned())),
        ];
        let (named, states): (Vec<_>, Vec<_>) = page
            .into_iter()
            .map(|(name, state)| (name.map(Value::from), state))
            .unzip();
        let owed = owing(named, &states);
        let owed: Vec<_> = owed
            .iter()
            .map(|(name, cause)| (name.as_str().unwrap(), cause.as_deref()))
            .collect();
        assert_eq!(owed, [("a", Some("bad-time")), ("b", None), ("c", None)]);
    }

    #[test]
    fn record_closes_what_was_refused_before_it_in_its_batch() {
        let refused = || InboxState::Refused(Fault::new("bad-time"));
        let closed = || InboxState::Ignored(SUPERSEDED.to_owned());
        let mut rows = [
            row("A", "1", refused()),
            row("A", "2", InboxState::Mapped),
            row("A", "3", refused()),
            row("B", "4", refused()),
        ];
        let mut told = |code: &str, raw: &str| {
            let taken = Taken {
                adapter: "one-stop".to_owned(),
                code: code.to_owned(),
                raw_hash: raw.to_owned(),
            };
            close_before(&mut rows, &taken);
            rows.iter().map(|row| row.state.clone()).collect::<Vec<_>>()
        };
        // "2" came before "3": told once more, it closes only what came before it
        let mapped = InboxState::Mapped;
        assert_eq!(told("A", "2"), [closed(), mapped.clone(), refused(), refused()]);
        assert_eq!(told("A", "5"), [closed(), mapped, closed(), refused()]);
    }
}
