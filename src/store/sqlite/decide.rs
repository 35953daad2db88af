//! What people decide about dead letters. A decision takes effect only where the letter still is one, in the transaction
//! that keeps it: of two people who decide at once, the second finds it decided.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::batch;
use crate::store::letter::{Letter, delivery_letter, record_letter, sorted};
use crate::store::{Decided, Decision, Fate, LettersOf, Now, StoreError, Verb, Walk, stored};

/// Only one that is not being taken in just now: whoever does that writes what became of it. The plus keeps SQLite from
/// going through all that is refused.
const RETRY_RECORDS: &str = "
    update inbox set again = 1
    from (select value as r from json_each(?1))
    where inbox.seq = r ->> 'seq' and +inbox.state = 'refused' and inbox.again = 0
    returning seq, adapter, dossier_id, null as intent";

const DISCARD_RECORDS: &str = "
    update inbox set state = 'ignored', cause = 'discarded ' || (r ->> 'cause'), discarded = 1, until_ms = null
    from (select value as r from json_each(?1))
    where inbox.seq = r ->> 'seq' and +inbox.state = 'refused' and inbox.again = 0
    returning seq, adapter, dossier_id, null as intent";

/// A row that never had an intent (`attempt = 0`) has no outcome on its way that would have to be fenced off, and the
/// deliverer tells by it that the target was never written to.
const RETRY_DELIVERIES: &str = "
    update delivery set
        state = 'due', due_ms = ?2, held = 0, cause = null, judged_by = null, requirement = null, until_ms = null,
        span_ms = null, failures = 0, failing_ms = null, native_hash = null,
        -- a person has looked: what was sent before no longer counts as flapping
        recent = null,
        attempt = attempt + (attempt > 0),
        -- of a target that cannot be asked the person has said that the last call took no effect; it stands where its last
        -- answer left it
        holder = iif(asked.place is null, null, holder),
        presence = iif(asked.place is null, presence, 'unknown'),
        target_state = iif(asked.place is null, target_state, null)
    from (select value as r from json_each(?1)) left join (
        select value as place from json_each(?3)) as asked on asked.place = r ->> 'place'
    where dossier_id = r ->> 'dossier' and item = r ->> 'item' and adapter || '-' || push = r ->> 'place'
      and state = 'parked'
    returning adapter, push, dossier_id, item, intent";

const DISCARD_DELIVERIES: &str = "
    update delivery set
        state = 'discarded', cause = r ->> 'cause', held = 0, judged_by = null, attempt = attempt + (attempt > 0)
    from (select value as r from json_each(?1))
    where dossier_id = r ->> 'dossier' and item = r ->> 'item' and adapter || '-' || push = r ->> 'place'
      and state = 'parked'
    returning adapter, push, dossier_id, item, intent";

pub(super) async fn decide(
    connection: &mut SqliteConnection,
    decisions: &[Decision],
    asked: &[(String, String)],
    now: Timestamp,
) -> Result<Vec<Decided>, StoreError> {
    let asked = batch(
        asked
            .iter()
            .map(|(adapter, push)| json!(format!("{adapter}-{push}"))),
    );
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
            for row in query.fetch_all(&mut *connection).await? {
                decided.push(stored::decided(&row, of_ledger)?);
            }
        }
    }
    keep(connection, decisions, &decided).await?;
    Ok(decided)
}

/// Keeps the decisions that took effect.
async fn keep(
    connection: &mut SqliteConnection,
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
         select value ->> 'at', value ->> 'by', value ->> 'letter', value ->> 'dossier', value ->> 'verb',
                value ->> 'reason'
         from json_each(?1)",
    )
    .bind(batch(rows))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn fate(pool: &SqlitePool, letter: &str) -> Result<Option<Fate>, StoreError> {
    let now = match Letter::parse(letter) {
        None => None,
        Some(Letter::Record(seq)) => {
            let row = sqlx::query("select state, cause, again from inbox where seq = ?1")
                .bind(seq)
                .fetch_optional(pool)
                .await?;
            let record = |row: &SqliteRow| {
                Ok::<_, StoreError>(Now::Record {
                    state: stored::record_state(row)?,
                    again: row.try_get("again")?,
                })
            };
            row.as_ref().map(record).transpose()?
        }
        Some(Letter::Delivery { place, dossier, item }) => {
            let row = sqlx::query(
                "select * from delivery where dossier_id = ?1 and item = ?2 and adapter || '-' || push = ?3",
            )
            .bind(dossier.to_string())
            .bind(item)
            .bind(place)
            .fetch_optional(pool)
            .await?;
            let row = row.as_ref().map(stored::delivery).transpose()?;
            row.map(|row| Now::Delivery(Box::new(row)))
        }
    };
    let Some(now) = now else { return Ok(None) };
    let last = sqlx::query("select * from decision where letter = ?1 order by seq desc limit 1")
        .bind(letter)
        .fetch_optional(pool)
        .await?;
    Ok(Some(Fate {
        now,
        decision: last.as_ref().map(stored::decision).transpose()?,
    }))
}

/// The indexes hold everything that the order needs: a page costs what it holds, not what is parked.
pub(super) async fn letters(
    pool: &SqlitePool,
    of: &LettersOf,
    walk: &Walk,
    limit: u32,
) -> Result<(Vec<String>, Walk), StoreError> {
    let mut walk = walk.clone();
    let mut letters = Vec::new();
    if walk.delivery.is_none() {
        let records = sqlx::query(
            "select seq from inbox
             where state = 'refused' and seq > ?1 and adapter = ?2 and again = 0
               and (?3 is null or cause ->> 'code' = ?3)
             order by seq limit ?4",
        )
        .bind(walk.record)
        .bind(&of.system)
        .bind(&of.cause)
        .bind(limit)
        .fetch_all(pool)
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
         where adapter = ?1 and state = 'parked' and due_ms <= ?2
           and (due_ms, push, dossier_id, item) > (?3, ?4, ?5, ?6)
           and (?7 is null or cause ->> 'code' = ?7)
         order by due_ms, push, dossier_id, item limit ?8",
    )
    .bind(&of.system)
    .bind(walk.until.as_millisecond())
    .bind(since)
    .bind(push)
    .bind(dossier)
    .bind(item)
    .bind(&of.cause)
    .bind(left)
    .fetch_all(pool)
    .await?;
    for row in &deliveries {
        walk.delivery = Some((
            row.try_get("due_ms")?,
            row.try_get("push")?,
            row.try_get("dossier_id")?,
            row.try_get("item")?,
        ));
        letters.push(delivery_letter(row)?);
    }
    Ok((letters, walk))
}
