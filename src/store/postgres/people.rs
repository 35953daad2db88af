//! What people ask: lists, dead letters, counts. Personal data leaves here with dead letters only:
//! the raw record, and what was found or what a target said. Lists leave those out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgPool, PgRow};

use super::session::InTime;
use super::{document, text, time};
use crate::dossier::{DossierId, fold_code};
use crate::store::{Counts, DeadLetter, HeldRecord, ReplicaSummary, StoreError};

pub(super) async fn list(pool: &PgPool, limit: u32) -> Result<Vec<ReplicaSummary>, StoreError> {
    let rows = sqlx::query(
        "select id, code, updated_ms,
                (select count(*) from delivery where dossier_id = dossier.id
                 and state in ('due', 'waiting', 'in_doubt', 'backing_off')) as open,
                (select count(*) from delivery where dossier_id = dossier.id and state = 'parked') as parked
         from dossier order by updated_ms desc, id limit $1",
    )
    .bind(i64::from(limit))
    .fetch_all(pool)
    .in_time()
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ReplicaSummary {
                id: row.try_get("id").map(DossierId)?,
                code: row.try_get("code")?,
                updated: time(row.try_get("updated_ms")?),
                open: row.try_get("open")?,
                parked: row.try_get("parked")?,
            })
        })
        .collect()
}

/// Both kinds of dead letters in one shape; `raw` only for a refused record.
const LETTERS: &str = "
    with letters as (
        select 'inbox-' || seq as id, adapter, operation, dossier_id, code as record_code, observed_ms as since_ms,
               cause, raw
        from inbox where state = 'refused'
        union all
        select 'delivery-' || adapter || '-' || push || '-' || dossier_id::text
                   || case when item = '' then '' else '-' || item end,
               adapter, 'push.' || push, dossier_id, null, due_ms, cause, null
        from delivery where state = 'parked'
    )
    select letters.*, coalesce(dossier.code, record_code, dossier_id::text) as code
    from letters left join dossier on dossier.id = dossier_id
    where $1::text is null or letters.id = $1
    order by since_ms, letters.id collate \"C\" limit $2";

fn letter(row: &PgRow) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        id: row.try_get("id")?,
        system: row.try_get("adapter")?,
        operation: row.try_get("operation")?,
        dossier: row.try_get("code")?,
        since: time(row.try_get("since_ms")?),
        cause: document("cause", row.try_get("cause")?)?,
    })
}

pub(super) async fn dead_letters(pool: &PgPool, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(LETTERS)
        .bind(None::<&str>)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .in_time()
        .await?;
    rows.iter().map(letter).collect()
}

pub(super) async fn dead_letter(
    pool: &PgPool,
    id: &str,
) -> Result<Option<(DeadLetter, Option<String>)>, StoreError> {
    let row = sqlx::query(LETTERS)
        .bind(text(id))
        .bind(1_i64)
        .fetch_optional(pool)
        .in_time()
        .await?;
    row.map(|row| Ok((letter(&row)?, row.try_get("raw")?)))
        .transpose()
}

pub(super) async fn held_records(pool: &PgPool, code: &str) -> Result<Vec<HeldRecord>, StoreError> {
    let rows = sqlx::query(
        "select 'inbox-' || seq as id, adapter, case when state = 'waiting' then cause end as waits from inbox
         where code = $1 and state in ('refused', 'waiting') order by seq",
    )
    .bind(text(&fold_code(code)))
    .fetch_all(pool)
    .in_time()
    .await?;
    rows.iter()
        .map(|row| {
            Ok(HeldRecord {
                id: row.try_get("id")?,
                system: row.try_get("adapter")?,
                waits: row.try_get("waits")?,
            })
        })
        .collect()
}

async fn rows(snapshot: &mut PgConnection, sql: &'static str) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(sql).fetch_all(snapshot).in_time().await
}

async fn number(snapshot: &mut PgConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql).fetch_one(snapshot).in_time().await
}

pub(super) async fn counts(pool: &PgPool) -> Result<Counts, StoreError> {
    // Of one moment: what moves on from one table to the next is counted once.
    let mut snapshot = pool
        .begin_with("begin isolation level repeatable read read only")
        .in_time()
        .await?;
    let inbox = rows(
        &mut snapshot,
        "select adapter, state, count(*) as n from inbox group by adapter, state",
    )
    .await?;
    let waiting = rows(
        &mut snapshot,
        "select adapter, cause, count(*) as n from inbox where state = 'waiting' group by adapter, cause order by 1, 2",
    )
    .await?;
    let deliveries = rows(
        &mut snapshot,
        "select adapter, push, state, count(*) as n, min(due_ms) as due_ms from delivery group by adapter, push, state
         order by 1, 2, 3",
    )
    .await?;
    let dossiers = number(&mut snapshot, "select count(*) from dossier").await?;
    let outbox = number(&mut snapshot, "select count(*) from outbox").await?;
    snapshot.rollback().in_time().await?;
    let mut oldest_due: BTreeMap<String, Timestamp> = BTreeMap::new();
    for row in &deliveries {
        if row.try_get::<&str, _>("state")? == "due" {
            let since = time(row.try_get("due_ms")?);
            let oldest = oldest_due.entry(row.try_get("adapter")?).or_insert(since);
            *oldest = since.min(*oldest);
        }
    }
    let triples = |rows: &[PgRow], second: &str| {
        rows.iter()
            .map(|row| Ok((row.try_get("adapter")?, row.try_get(second)?, row.try_get("n")?)))
            .collect::<Result<Vec<(String, String, i64)>, sqlx::Error>>()
    };
    Ok(Counts {
        dossiers,
        outbox,
        inbox: triples(&inbox, "state")?,
        waiting: triples(&waiting, "cause")?,
        deliveries: deliveries
            .iter()
            .map(|row| {
                Ok((
                    row.try_get("adapter")?,
                    row.try_get("push")?,
                    row.try_get("state")?,
                    row.try_get("n")?,
                ))
            })
            .collect::<Result<_, sqlx::Error>>()?,
        oldest_due: oldest_due.into_iter().collect(),
    })
}
