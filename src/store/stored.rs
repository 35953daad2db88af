//! Stored rows as the structs of [`super::rows`], and back: what does not depend on the back end.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cells::{Cells, document};
use super::letter::{delivery_letter, record_letter};
use super::{
    CodeKey, Counts, DeadLetter, Decided, Decision, Delivery, HeldRecord, InboxRow, InboxState, Journaled,
    KeptRecord, Outcome, Owed, PastRecord, Presence, Replica, ReplicaSummary, State, StoreError, Verb,
};
use crate::dossier::{DossierId, Shadow};

/// A row of `delivery`.
pub(super) fn delivery(row: &impl Cells) -> Result<Delivery, StoreError> {
    let until = row.time_if("until_ms")?;
    let cause = || row.text_if("cause").map(Option::unwrap_or_default);
    let at = until.unwrap_or(Timestamp::UNIX_EPOCH);
    let state = match row.text("state")?.as_str() {
        "applied" => State::Applied,
        "due" => State::Due,
        "waiting" => State::Waiting {
            requirement: row.text_if("requirement")?.unwrap_or_default(),
            until,
        },
        "in_doubt" => State::InDoubt { until: at },
        "backing_off" => State::BackingOff { next: at },
        "parked" => State::Parked {
            cause: document("cause", &cause()?)?,
            held: row.flag("held")?,
        },
        "skipped" => State::Skipped { reason: cause()? },
        _ => State::Discarded { reason: cause()? },
    };
    let presence = match row.text("presence")?.as_str() {
        "present" => Presence::Present,
        "absent" => Presence::Absent,
        _ => Presence::Unknown,
    };
    Ok(Delivery {
        adapter: row.text("adapter")?,
        push: row.text("push")?,
        dossier: row.dossier("dossier_id")?,
        item: row.text("item")?,
        ordinal: row.number("ordinal")?,
        desired: row.number("desired")?,
        applied: row.number_if("applied")?,
        state,
        created: row.time("created_ms")?,
        due: row.time("due_ms")?,
        attempt: row.number("attempt")?,
        failures: count(row.number("failures")?),
        failing_since: row.time_if("failing_ms")?,
        holder: row.text_if("holder")?,
        presence,
        remote: row.text_if("remote")?,
        native_hash: row.text_if("native_hash")?,
        mapping: row.text_if("mapping")?,
        applied_at: row.time_if("applied_ms")?,
        intent: row.text_if("intent")?,
        others: row.number("others")?,
        target_state: row.document_if("target_state")?,
        looked: row.time_if("looked_ms")?,
        batch_limit: row.number_if("batch_limit")?.map(count),
        recent: row.document_if("recent")?.unwrap_or_default(),
        judged_by: row.text_if("judged_by")?,
    })
}

/// An outcome as the JSON object that the statements of `save` read.
pub(super) fn write_outcome(outcome: &Outcome) -> Value {
    let row = &outcome.row;
    let (state, until, requirement, cause, held) = match &row.state {
        State::Applied => ("applied", None, None, None, false),
        State::Due => ("due", None, None, None, false),
        State::Waiting { requirement, until } => ("waiting", *until, Some(requirement.clone()), None, false),
        State::InDoubt { until } => ("in_doubt", Some(*until), None, None, false),
        State::BackingOff { next } => ("backing_off", Some(*next), None, None, false),
        State::Parked { cause, held } => ("parked", None, None, Some(json!(cause).to_string()), *held),
        State::Skipped { reason } => ("skipped", None, None, Some(reason.clone()), false),
        State::Discarded { reason } => ("discarded", None, None, Some(reason.clone()), false),
    };
    json!({
        "adapter": row.adapter, "push": row.push, "dossier": row.dossier, "item": row.item,
        "version": outcome.version, "fence": outcome.fence, "intended": outcome.intended, "applied": row.applied,
        "state": state,
        "until": until.map(Timestamp::as_millisecond), "requirement": requirement, "cause": cause, "held": held,
        "attempt": row.attempt, "failures": row.failures,
        "failing": row.failing_since.map(Timestamp::as_millisecond), "holder": row.holder,
        "presence": row.presence, "remote": row.remote, "native_hash": row.native_hash, "mapping": row.mapping,
        "applied_at": row.applied_at.map(Timestamp::as_millisecond), "intent": row.intent,
        "target_state": row.target_state.as_ref().map(ToString::to_string), "batch_limit": row.batch_limit,
        "looked": row.looked.map(Timestamp::as_millisecond),
        "recent": (!row.recent.is_empty()).then(|| json!(row.recent).to_string()), "judged_by": row.judged_by,
    })
}

/// A row of `acknowledgement`.
pub(super) fn owed(row: &impl Cells) -> Result<Owed, StoreError> {
    Ok(Owed {
        seq: row.number("seq")?,
        record: row.document("record")?,
        error: row.text_if("error")?,
        failures: count(row.number("failures")?),
        batch_limit: row.number_if("batch_limit")?.map(count),
    })
}

/// An acknowledgement that was put off, as the JSON object that the statement reads.
pub(super) fn write_owed(owed: &Owed) -> Value {
    json!({"seq": owed.seq, "failures": owed.failures, "batch_limit": owed.batch_limit})
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A record as the JSON object that the statements of the inbox read; `seq`: its place there, or its order in a batch.
pub(super) fn write_record(row: &InboxRow, seq: i64) -> Value {
    let (state, cause) = match &row.state {
        InboxState::Mapped => ("mapped", None),
        InboxState::Waiting(reason) => ("waiting", Some(reason.clone())),
        InboxState::Refused(fault) => ("refused", Some(json!(fault).to_string())),
        InboxState::Ignored(reason) => ("ignored", Some(reason.clone())),
    };
    json!({
        "seq": seq, "adapter": row.adapter, "operation": row.operation, "observed": row.observed.as_millisecond(),
        "raw_hash": row.raw_hash, "raw": row.raw, "state": state, "cause": cause, "code": row.code,
        "dossier": row.dossier, "event": row.event, "mapping": row.mapping,
        "until": row.until.map(Timestamp::as_millisecond),
    })
}

/// What became of a record.
pub(super) fn record_state(row: &impl Cells) -> Result<InboxState, StoreError> {
    let cause = row.text_if("cause")?.unwrap_or_default();
    Ok(match row.text("state")?.as_str() {
        "mapped" => InboxState::Mapped,
        "waiting" => InboxState::Waiting(cause),
        "refused" => InboxState::Refused(document("cause", &cause)?),
        _ => InboxState::Ignored(cause),
    })
}

pub(super) fn kept_record(row: &impl Cells) -> Result<KeptRecord, StoreError> {
    Ok(KeptRecord {
        seq: row.number("seq")?,
        adapter: row.text("adapter")?,
        operation: row.text("operation")?,
        observed: row.time("observed_ms")?,
        raw: row.text("raw")?,
    })
}

pub(super) fn held_record(row: &impl Cells) -> Result<HeldRecord, StoreError> {
    Ok(HeldRecord {
        id: record_letter(row.number("seq")?),
        system: row.text("adapter")?,
        waits: row.text_if("waits")?,
    })
}

pub(super) fn past_record(row: &impl Cells) -> Result<PastRecord, StoreError> {
    Ok(PastRecord {
        id: record_letter(row.number("seq")?),
        adapter: row.text("adapter")?,
        operation: row.text("operation")?,
        observed: row.time("observed_ms")?,
        state: record_state(row)?,
        event: row.text_if("event_id")?,
        mapping: row.text("mapping")?,
    })
}

pub(super) fn replica(row: &impl Cells) -> Result<Replica, StoreError> {
    Ok(Replica {
        dossier: document("dossier", &row.text("body")?)?,
        version: row.number("version")?,
        updated: row.time("updated_ms")?,
    })
}

pub(super) fn replicas<R: Cells>(rows: &[R]) -> Result<HashMap<DossierId, Replica>, StoreError> {
    rows.iter()
        .map(|row| replica(row).map(|replica| (replica.dossier.id, replica)))
        .collect()
}

/// Dossiers by the codes that lead to them.
pub(super) fn resolved<R: Cells>(rows: &[R]) -> Result<HashMap<CodeKey, DossierId>, StoreError> {
    rows.iter()
        .map(|row| {
            Ok((
                (row.text("system")?, row.text("code_key")?),
                row.dossier("dossier_id")?,
            ))
        })
        .collect()
}

pub(super) fn shadows<R: Cells>(rows: &[R]) -> Result<HashMap<(String, DossierId), Shadow>, StoreError> {
    rows.iter()
        .map(|row| {
            let key = (row.text("adapter")?, row.dossier("dossier_id")?);
            Ok((key, document("shadow", &row.text("body")?)?))
        })
        .collect()
}

pub(super) fn summary(row: &impl Cells) -> Result<ReplicaSummary, StoreError> {
    Ok(ReplicaSummary {
        id: row.dossier("id")?,
        code: row.text_if("code")?,
        updated: row.time("updated_ms")?,
        open: row.number("open")?,
        parked: row.number("parked")?,
    })
}

pub(super) fn journaled(row: &impl Cells) -> Result<Journaled, StoreError> {
    Ok(Journaled {
        seq: row.number("seq")?,
        recorded: row.time("received_ms")?,
        code: row.text_if("code")?,
        event: document("journal", &row.text("body")?)?,
    })
}

pub(super) fn decision(row: &impl Cells) -> Result<Decision, StoreError> {
    Ok(Decision {
        at: row.time("at_ms")?,
        by: row.text("decided_by")?,
        letter: row.text("letter")?,
        verb: match row.text("verb")?.as_str() {
            "retry" => Verb::Retry,
            _ => Verb::Discard,
        },
        reason: row.text_if("reason")?,
    })
}

/// What was decided about a row of the ledger, or of the inbox.
pub(super) fn decided(row: &impl Cells, of_ledger: bool) -> Result<Decided, StoreError> {
    Ok(Decided {
        letter: if of_ledger {
            delivery_letter(row)?
        } else {
            record_letter(row.number("seq")?)
        },
        system: row.text("adapter")?,
        dossier: row.dossier_if("dossier_id")?,
        intent: row.text_if("intent")?,
    })
}

pub(super) fn dead_letter(row: &impl Cells) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        id: row.text("id")?,
        system: row.text("adapter")?,
        operation: row.text("operation")?,
        dossier: row.text_if("code")?,
        since: row.time("since_ms")?,
        cause: row.document("cause")?,
    })
}

/// Counts of rows: `inbox` by adapter and state, `waiting` by adapter and cause, `deliveries` by adapter, push and state.
pub(super) fn counts<R: Cells>(
    (dossiers, outbox): (i64, i64),
    inbox: &[R],
    waiting: &[R],
    deliveries: &[R],
) -> Result<Counts, StoreError> {
    let mut oldest_due: BTreeMap<String, Timestamp> = BTreeMap::new();
    for row in deliveries {
        if row.text("state")? == "due" {
            let since = row.time("due_ms")?;
            let oldest = oldest_due.entry(row.text("adapter")?).or_insert(since);
            *oldest = since.min(*oldest);
        }
    }
    let triples = |rows: &[R], second| {
        rows.iter()
            .map(|row| Ok((row.text("adapter")?, row.text(second)?, row.number("n")?)))
            .collect::<Result<Vec<_>, sqlx::Error>>()
    };
    Ok(Counts {
        dossiers,
        outbox,
        inbox: triples(inbox, "state")?,
        waiting: triples(waiting, "cause")?,
        deliveries: deliveries
            .iter()
            .map(|row| {
                Ok((
                    row.text("adapter")?,
                    row.text("push")?,
                    row.text("state")?,
                    row.number("n")?,
                ))
            })
            .collect::<Result<_, sqlx::Error>>()?,
        oldest_due: oldest_due.into_iter().collect(),
    })
}
