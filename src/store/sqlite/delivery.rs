//! The ledger's rows: reading one, and the statement that picks what may be worked on.

use serde::de::DeserializeOwned;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{document, time};
use crate::dossier::DossierId;
use crate::store::{Delivery, Outcome, Presence, State, StoreError};

/// One row per dossier: that of the dossier itself before its items, items in their order. `?4` rows are looked at, so
/// that a step's price does not grow with the backlog.
pub(super) const DUE: &str = "
    with free as not materialized (
        select d.* from delivery d
        where adapter = ?1 and push in (select value from json_each(?5))
          -- an item waits for the open items before it: a target sees them in their order
          and not exists (
              select 1 from delivery e
              where d.item <> '' and e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id
                and e.item <> '' and e.ordinal < d.ordinal
                and e.state in ('due', 'waiting', 'backing_off', 'in_doubt'))
          -- a call that may still take effect: nothing else is said about this dossier meanwhile
          and not exists (
              select 1 from delivery e
              where e.adapter = d.adapter and e.dossier_id = d.dossier_id
                and e.state = 'in_doubt' and e.until_ms > ?2)
    ),
    ready as (
        select * from (select * from free where state = 'due' order by due_ms limit ?4)
        union all
        select * from (
            select * from free where state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= ?2
            order by until_ms limit ?4)
    ),
    numbered as (
        select *, row_number() over (partition by dossier_id order by item <> '', push, ordinal) as place from ready
    )
    select * from numbered where place = 1 order by due_ms limit ?3";

/// How many rows are looked at for each that may be taken: a dossier may have several.
pub(super) const LOOKED_AT: u32 = 16;

pub(super) const OF_DOSSIER: &str =
    "select * from delivery where dossier_id = ?1 order by adapter, push, ordinal";

/// Open items of the push and dossier of row `?1..?4`, the next in their order. One whose time has not come ends the line:
/// a target sees them in their order.
pub(super) const MATES: &str = "
    select * from delivery d
    where adapter = ?1 and push = ?2 and dossier_id = ?3 and item <> '' and ordinal > ?4
      and (state = 'due' or (state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= ?6))
      and not exists (
          select 1 from delivery e
          where e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id and e.item <> ''
            and e.ordinal > ?4 and e.ordinal < d.ordinal and e.state in ('waiting', 'backing_off', 'in_doubt')
            and (e.until_ms is null or e.until_ms > ?6))
    order by ordinal limit ?5";

/// When the next row that waits for a time comes due.
pub(super) const NEXT_DUE: &str = "
    select min(until_ms) from delivery
    where adapter = ?1 and state in ('waiting', 'backing_off', 'in_doubt') and until_ms > ?2";

pub(super) fn dossier_id(text: &str) -> Result<DossierId, StoreError> {
    serde_json::from_value(json!(text)).map_err(|source| StoreError::Document {
        what: "dossier id",
        source,
    })
}

/// A document in a column that may be empty.
fn optional<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| document(column, &text)).transpose()
}

/// A row of `delivery`.
pub(super) fn read(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let until: Option<i64> = row.try_get("until_ms")?;
    let cause: Option<String> = row.try_get("cause")?;
    let cause = || cause.clone().unwrap_or_default();
    let at = time(until.unwrap_or_default());
    let state = match row.try_get::<&str, _>("state")? {
        "applied" => State::Applied,
        "due" => State::Due,
        "waiting" => State::Waiting {
            requirement: row
                .try_get::<Option<String>, _>("requirement")?
                .unwrap_or_default(),
            until: until.map(time),
        },
        "in_doubt" => State::InDoubt { until: at },
        "backing_off" => State::BackingOff { next: at },
        "parked" => State::Parked {
            cause: document("cause", &cause())?,
            held: row.try_get("held")?,
        },
        "skipped" => State::Skipped { reason: cause() },
        _ => State::Discarded { reason: cause() },
    };
    let presence = match row.try_get::<&str, _>("presence")? {
        "present" => Presence::Present,
        "absent" => Presence::Absent,
        _ => Presence::Unknown,
    };
    Ok(Delivery {
        adapter: row.try_get("adapter")?,
        push: row.try_get("push")?,
        dossier: dossier_id(row.try_get("dossier_id")?)?,
        item: row.try_get("item")?,
        ordinal: row.try_get("ordinal")?,
        desired: row.try_get("desired")?,
        applied: row.try_get("applied")?,
        state,
        created: time(row.try_get("created_ms")?),
        due: time(row.try_get("due_ms")?),
        attempt: row.try_get("attempt")?,
        failures: row.try_get("failures")?,
        failing_since: row.try_get::<Option<i64>, _>("failing_ms")?.map(time),
        holder: row.try_get("holder")?,
        presence,
        remote: row.try_get("remote")?,
        native_hash: row.try_get("native_hash")?,
        mapping: row.try_get("mapping")?,
        applied_at: row.try_get::<Option<i64>, _>("applied_ms")?.map(time),
        intent: row.try_get("intent")?,
        others: row.try_get("others")?,
        target_state: optional(row, "target_state")?,
        batch_limit: row.try_get("batch_limit")?,
        looked: row.try_get::<Option<i64>, _>("looked_ms")?.map(time),
        recent: optional(row, "recent")?.unwrap_or_default(),
        judged_by: row.try_get("judged_by")?,
    })
}

/// The row as the JSON object that the statements of `save` read.
pub(super) fn write(outcome: &Outcome) -> serde_json::Value {
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
        "version": outcome.version, "fence": outcome.fence, "applied": row.applied, "state": state,
        "until": until.map(jiff::Timestamp::as_millisecond), "requirement": requirement, "cause": cause, "held": held,
        "attempt": row.attempt, "failures": row.failures,
        "failing": row.failing_since.map(jiff::Timestamp::as_millisecond), "holder": row.holder,
        "presence": row.presence, "remote": row.remote, "native_hash": row.native_hash, "mapping": row.mapping,
        "applied_at": row.applied_at.map(jiff::Timestamp::as_millisecond), "intent": row.intent,
        "target_state": row.target_state.as_ref().map(ToString::to_string), "batch_limit": row.batch_limit,
        "looked": row.looked.map(jiff::Timestamp::as_millisecond),
        "recent": (!row.recent.is_empty()).then(|| json!(row.recent).to_string()), "judged_by": row.judged_by,
    })
}
