//! What people decide about dead letters. A decision takes effect only where the letter still is one, in the transaction
//! that keeps it: of two people who decide at once, the second finds it decided.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use uuid::Uuid;

use super::session::InTime;
use super::{batch, claim, text};
use crate::dossier::DossierId;
use crate::store::cells::Cells;
use crate::store::letter::{Letter, delivery_letter, record_letter, sorted};
use crate::store::{Decided, Decision, Fate, LettersOf, Now, StoreError, Verb, Walk, stored};

/// Only one that is not being taken in just now: whoever does that writes what became of it.
const RETRY_RECORDS: &str = "
    update inbox set again = true
    from json_to_recordset($1::json) as r(seq bigint)
    where inbox.seq = r.seq and inbox.state = 'refused' and not inbox.again
    returning inbox.seq, inbox.adapter, inbox.dossier_id, null::text as intent";

const DISCARD_RECORDS: &str = "
    update inbox set state = 'ignored', cause = 'discarded ' || r.cause, discarded = true, until_ms = null
    from json_to_recordset($1::json) as r(seq bigint, cause text)
    where inbox.seq = r.seq and inbox.state = 'refused' and not inbox.again
    returning inbox.seq, inbox.adapter, inbox.dossier_id, null::text as intent";

/// A row that never had an intent (`attempt = 0`) has no outcome on its way that would have to be fenced off, and the
/// deliverer tells by it that the target was never written to.
const RETRY_DELIVERIES: &str = "
    update delivery set
        state = 'due', due_ms = $2, held = false, cause = null, judged_by = null, requirement = null, until_ms = null,
        failures = 0, failing_ms = null, native_hash = null,
        -- a person has looked: what was sent before no longer counts as flapping
        recent = null,
        attempt = attempt + (attempt > 0)::int,
        -- of a target that cannot be asked the person has said that the last call took no effect; it stands where its last
        -- answer left it
        holder = case when asked.place is not null then holder end,
        presence = case when asked.place is null then presence else 'unknown' end,
        target_state = case when asked.place is null then target_state end
    from json_to_recordset($1::json) as r(place text, dossier uuid, item text)
    left join unnest($3::text[]) as asked(place) on asked.place = r.place
    where dossier_id = r.dossier and delivery.item = r.item and adapter || '-' || push = r.place and state = 'parked'
    returning adapter, push, dossier_id, delivery.item, intent";

const DISCARD_DELIVERIES: &str = "
    update delivery set
        state = 'discarded', cause = r.cause, held = false, judged_by = null, attempt = attempt + (attempt > 0)::int
    from json_to_recordset($1::json) as r(place text, dossier uuid, item text, cause text)
    where dossier_id = r.dossier and delivery.item = r.item and adapter || '-' || push = r.place and state = 'parked'
    returning adapter, push, dossier_id, delivery.item, intent";

pub(super) async fn decide(
    connection: &mut PgConnection,
    held: &mut Vec<i32>,
    decisions: &[Decision],
    asked: &[(String, String)],
    now: Timestamp,
) -> Result<Vec<Decided>, StoreError> {
    let dossiers: Vec<DossierId> = decisions
        .iter()
        .filter_map(|decision| match Letter::parse(&decision.letter) {
            Some(Letter::Delivery { dossier, .. }) => Some(dossier),
            _ => None,
        })
        .collect();
    claim::lock(connection, held, &dossiers, &[]).await?;
    let mut asked: Vec<String> = asked
        .iter()
        .map(|(adapter, push)| format!("{adapter}-{push}"))
        .collect();
    // a place that two names may mean is asked about once
    asked.sort_unstable();
    asked.dedup();
    let mut decided = Vec::new();
    for (verb, records, deliveries) in [
        (Verb::Retry, RETRY_RECORDS, RETRY_DELIVERIES),
        (Verb::Discard, DISCARD_RECORDS, DISCARD_DELIVERIES),
    ] {
        let sorted = sorted(decisions, verb);
        for (statement, rows, of_ledger) in [
            (records, sorted.records, false),
            (deliveries, sorted.deliveries, true),
        ] {
            if rows.is_empty() {
                continue;
            }
            let mut query = sqlx::query(statement).bind(batch(rows));
            if of_ledger && verb == Verb::Retry {
                query = query.bind(now.as_millisecond()).bind(&asked);
            }
            for row in query.fetch_all(&mut *connection).in_time().await? {
                decided.push(stored::decided(&row, of_ledger)?);
            }
        }
    }
    keep(connection, decisions, &decided).await?;
    Ok(decided)
}

/// Keeps the decisions that took effect.
async fn keep(
    connection: &mut PgConnection,
    decisions: &[Decision],
    decided: &[Decided],
) -> Result<(), StoreError> {
    let by_letter: HashMap<&str, &Decision> = decisions
        .iter()
        .map(|decision| (decision.letter.as_str(), decision))
        .collect();
    let rows = decided.iter().filter_map(|decided| {
        let decision = by_letter.get(decided.letter.as_str())?;
        Some(json!({
            "at": decision.at.as_millisecond(), "by": decision.by, "letter": decision.letter,
            "dossier": decided.dossier, "verb": decision.verb, "reason": decision.reason,
        }))
    });
    sqlx::query(
        "insert into decision (at_ms, decided_by, letter, dossier_id, verb, reason)
         select at, by, letter, dossier, verb, reason
         from json_to_recordset($1::json) as r(at bigint, by text, letter text, dossier uuid, verb text, reason text)",
    )
    .bind(batch(rows))
    .execute(connection)
    .in_time()
    .await?;
    Ok(())
}

pub(super) async fn fate(pool: &PgPool, letter: &str) -> Result<Option<Fate>, StoreError> {
    let now = match Letter::parse(letter) {
        None => None,
        Some(Letter::Record(seq)) => {
            let row = sqlx::query("select state, cause, again from inbox where seq = $1")
                .bind(seq)
                .fetch_optional(pool)
                .in_time()
                .await?;
            let record = |row: &PgRow| {
                Ok::<_, StoreError>(Now::Record {
                    state: stored::record_state(row)?,
                    again: row.try_get("again")?,
                })
            };
            row.as_ref().map(record).transpose()?
        }
        Some(Letter::Delivery { place, dossier, item }) => {
            let row = sqlx::query(
                "select * from delivery where dossier_id = $1 and item = $2 and adapter || '-' || push = $3",
            )
            .bind(dossier.0)
            .bind(text(item))
            .bind(text(place))
            .fetch_optional(pool)
            .in_time()
            .await?;
            let row = row.as_ref().map(stored::delivery).transpose()?;
            row.map(|row| Now::Delivery(Box::new(row)))
        }
    };
    let Some(now) = now else { return Ok(None) };
    let last = sqlx::query("select * from decision where letter = $1 order by seq desc limit 1")
        .bind(text(letter))
        .fetch_optional(pool)
        .in_time()
        .await?;
    Ok(Some(Fate {
        now,
        decision: last.as_ref().map(stored::decision).transpose()?,
    }))
}

/// The indexes hold everything that the order needs: a page costs what it holds, not what is parked.
pub(super) async fn letters(
    pool: &PgPool,
    of: &LettersOf,
    walk: &Walk,
    limit: u32,
) -> Result<(Vec<String>, Walk), StoreError> {
    let mut walk = walk.clone();
    let mut letters = Vec::new();
    if walk.delivery.is_none() {
        let records = sqlx::query(
            "select seq from inbox
             where state = 'refused' and seq > $1 and adapter = $2 and not again
               and ($3::text is null or case when state = 'refused' then cause::json ->> 'code' end = $3)
             order by seq limit $4",
        )
        .bind(walk.record)
        .bind(&of.system)
        .bind(&of.cause)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .in_time()
        .await?;
        for row in &records {
            walk.record = row.try_get("seq")?;
            letters.push(record_letter(walk.record));
        }
    }
    let left = limit.saturating_sub(u32::try_from(letters.len()).unwrap_or(u32::MAX));
    let (since, push, dossier, item) = walk.delivery.clone().unwrap_or_default();
    let since = if walk.delivery.is_none() { i64::MIN } else { since };
    let deliveries = sqlx::query(
        "select adapter, push, dossier_id, item, due_ms from delivery
         where adapter = $1 and state = 'parked' and due_ms <= $2
           and (due_ms, push, dossier_id, item) > ($3, $4, $5, $6)
           and ($7::text is null or case when state = 'parked' then cause::json ->> 'code' end = $7)
         order by due_ms, push, dossier_id, item limit $8",
    )
    .bind(&of.system)
    .bind(walk.until.as_millisecond())
    .bind(since)
    .bind(push)
    .bind(dossier.parse().unwrap_or(Uuid::nil()))
    .bind(item)
    .bind(&of.cause)
    .bind(i64::from(left))
    .fetch_all(pool)
    .in_time()
    .await?;
    for row in &deliveries {
        walk.delivery = Some((
            row.try_get("due_ms")?,
            row.try_get("push")?,
            row.dossier("dossier_id")?.to_string(),
            row.try_get("item")?,
        ));
        letters.push(delivery_letter(row)?);
    }
    Ok((letters, walk))
}
