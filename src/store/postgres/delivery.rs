//! The ledger's rows: reading one, and the statements that claim, pick and write what may be worked on.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{batch, document, dossier_id, time};
use crate::store::{Delivery, Look, Outcome, Presence, State, StoreError};

/// How many rows are looked at for each that may be taken: a dossier may have several.
const LOOKED_AT: u32 = 16;

/// One row per dossier and look (`$2`): that of the dossier itself before its items, items in their order. Nothing of a
/// dossier that another worker than `$4` has claimed; if `$5` is there, of these dossiers only.
macro_rules! picked {
    () => {
        "look as (
            select * from json_to_recordset($2::json) as l(pushes json, most bigint, looked_at bigint)
        ),
        picked as (
            select p.* from look cross join lateral (
                with free as not materialized (
                    select d.* from delivery d
                    where d.adapter = $1 and d.push in (select json_array_elements_text(look.pushes))
                      and ($5::uuid[] is null or d.dossier_id = any($5))
                      and not exists (
                          select 1 from claim c
                          where c.adapter = d.adapter and c.dossier_id = d.dossier_id and c.holder <> $4
                            and c.until_ms > $3)
                      -- an item waits for the open items before it: a target sees them in their order
                      and not exists (
                          select 1 from delivery e
                          where d.item <> '' and e.adapter = d.adapter and e.push = d.push
                            and e.dossier_id = d.dossier_id and e.item <> '' and e.ordinal < d.ordinal
                            and e.state in ('due', 'waiting', 'backing_off', 'in_doubt'))
                      -- a call that may still take effect: nothing else is said about this dossier meanwhile
                      and not exists (
                          select 1 from delivery e
                          where e.adapter = d.adapter and e.dossier_id = d.dossier_id
                            and e.state = 'in_doubt' and e.until_ms > $3)
                ),
                ready as (
                    (select * from free where state = 'due' order by due_ms limit look.looked_at)
                    union all
                    (select * from free where state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= $3
                     order by until_ms limit look.looked_at)
                ),
                numbered as (
                    select *, row_number() over (partition by dossier_id order by item <> '', push, ordinal) as place
                    from ready
                )
                select * from numbered where place = 1 order by due_ms limit look.most
            ) as p
        )"
    };
}

pub(super) const DUE: &str = concat!("with ", picked!(), " select * from picked order by due_ms");

/// What the worker has asked for and got. What it had and no longer asks for is anybody's, and so is what is over.
pub(super) const CLAIM: &str = concat!(
    "with ",
    picked!(),
    ", given_up as (
        delete from claim
        where adapter = $1 and (holder = $4 or until_ms <= $3) and dossier_id not in (select dossier_id from picked)
    )
    insert into claim (adapter, dossier_id, holder, until_ms)
    select distinct $1, dossier_id, $4, $6::bigint from picked order by dossier_id
    on conflict (adapter, dossier_id) do update set holder = excluded.holder, until_ms = excluded.until_ms
    where claim.holder = excluded.holder or claim.until_ms <= $3
    returning dossier_id"
);

/// The looks as the JSON that the statements read.
pub(super) fn looks(looks: &[Look<'_>]) -> String {
    batch(looks.iter().map(|look| {
        json!({"pushes": look.pushes, "most": look.most, "looked_at": look.most.saturating_mul(LOOKED_AT)})
    }))
}

pub(super) const OF_DOSSIER: &str =
    "select * from delivery where dossier_id = $1 order by adapter, push, ordinal, item";

/// Open items of the push and dossier of row `$1..$4`, the next in their order. One whose time has not come ends the line:
/// a target sees them in their order.
pub(super) const MATES: &str = "
    select * from delivery d
    where adapter = $1 and push = $2 and dossier_id = $3 and item <> '' and ordinal > $4
      and (state = 'due' or (state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= $6))
      and not exists (
          select 1 from delivery e
          where e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id and e.item <> ''
            and e.ordinal > $4 and e.ordinal < d.ordinal and e.state in ('waiting', 'backing_off', 'in_doubt')
            and (e.until_ms is null or e.until_ms > $6))
    order by ordinal limit $5";

/// When the next row that waits for a time comes due.
pub(super) const NEXT_DUE: &str = "
    select min(until_ms) from delivery
    where adapter = $1 and state in ('waiting', 'backing_off', 'in_doubt') and until_ms > $2";

/// An intent is written under its holder's claim, which nobody can take as long as this transaction is open.
pub(super) const SAVE: &str = "
    with outcome as (
        select * from json_to_recordset($1::json) as r(
            adapter text, push text, dossier uuid, item text, version bigint, fence bigint, intended boolean,
            applied bigint, state text, until bigint, requirement text, cause text, held boolean, attempt bigint,
            failures bigint, failing bigint, holder text, presence text, remote text, native_hash text, mapping text,
            applied_at bigint, intent text, target_state text, batch_limit bigint, looked bigint, recent text,
            judged_by text)
    ),
    claimed as materialized (
        select c.adapter, c.dossier_id from claim c
        where (c.adapter, c.dossier_id, c.holder) in (select adapter, dossier, holder from outcome where intended)
        order by c.adapter, c.dossier_id for share
    )
    update delivery d set
        applied = r.applied,
        state = case
            when d.desired > r.version
                 and (r.state in ('applied', 'waiting', 'skipped') or (r.state = 'parked' and not r.held)) then 'due'
            else r.state end,
        until_ms = r.until, requirement = r.requirement, cause = r.cause, held = r.held, attempt = r.attempt,
        failures = r.failures, failing_ms = r.failing, holder = r.holder, presence = r.presence, remote = r.remote,
        native_hash = r.native_hash, mapping = r.mapping, applied_ms = r.applied_at, intent = r.intent,
        target_state = r.target_state, looked_ms = r.looked, batch_limit = r.batch_limit, recent = r.recent,
        judged_by = r.judged_by,
        due_ms = case when d.state = 'due' then d.due_ms else $2 end
    from outcome r
    where d.adapter = r.adapter and d.push = r.push and d.dossier_id = r.dossier and d.item = r.item
      and d.attempt = r.fence
      and (not r.intended or (r.adapter, r.dossier) in (select adapter, dossier_id from claimed))
    returning d.dossier_id, d.push, d.item";

/// A document in a column that may be empty.
fn optional<T: DeserializeOwned>(row: &PgRow, column: &'static str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| document(column, &text)).transpose()
}

/// A row of `delivery`.
pub(super) fn read(row: &PgRow) -> Result<Delivery, StoreError> {
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
    let moment = |column| row.try_get::<Option<i64>, _>(column).map(|ms| ms.map(time));
    let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Delivery {
        adapter: row.try_get("adapter")?,
        push: row.try_get("push")?,
        dossier: dossier_id(row)?,
        item: row.try_get("item")?,
        ordinal: row.try_get("ordinal")?,
        desired: row.try_get("desired")?,
        applied: row.try_get("applied")?,
        state,
        created: time(row.try_get("created_ms")?),
        due: time(row.try_get("due_ms")?),
        attempt: row.try_get("attempt")?,
        failures: count(row.try_get("failures")?),
        failing_since: moment("failing_ms")?,
        holder: row.try_get("holder")?,
        presence,
        remote: row.try_get("remote")?,
        native_hash: row.try_get("native_hash")?,
        mapping: row.try_get("mapping")?,
        applied_at: moment("applied_ms")?,
        intent: row.try_get("intent")?,
        others: row.try_get("others")?,
        target_state: optional(row, "target_state")?,
        looked: moment("looked_ms")?,
        batch_limit: row.try_get::<Option<i64>, _>("batch_limit")?.map(count),
        recent: optional(row, "recent")?.unwrap_or_default(),
        judged_by: row.try_get("judged_by")?,
    })
}

/// The row as the JSON object that [`SAVE`] reads.
pub(super) fn write(outcome: &Outcome) -> Value {
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
        "version": outcome.version, "fence": outcome.fence, "intended": outcome.intended,
        "applied": row.applied, "state": state,
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
