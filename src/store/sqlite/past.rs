//! The journal as it is followed, and everything that happened to one dossier.

use serde_json::json;
use sqlx::sqlite::SqlitePool;

use super::batch;
use crate::dossier::DossierId;
use crate::store::cells::Cells;
use crate::store::{Journaled, Past, PastRecord, SUPERSEDED, StoreError, stored};

pub(super) async fn journal(pool: &SqlitePool, after: i64, limit: u32) -> Result<Vec<Journaled>, StoreError> {
    let rows = sqlx::query(
        "select seq, received_ms, code, journal.body from journal left join dossier on dossier.id = dossier_id
         where seq > ?1 order by seq limit ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(stored::journaled).collect()
}

pub(super) async fn journal_before(pool: &SqlitePool, count: u32) -> Result<i64, StoreError> {
    let place: Option<i64> =
        sqlx::query_scalar("select seq from journal order by seq desc limit 1 offset ?1")
            .bind(count)
            .fetch_optional(pool)
            .await?;
    Ok(place.unwrap_or(0))
}

pub(super) async fn of(pool: &SqlitePool, id: DossierId, codes: &[String]) -> Result<Past, StoreError> {
    let id = id.to_string();
    let events = sqlx::query(
        "select seq, received_ms, code, journal.body from journal left join dossier on dossier.id = dossier_id
         where dossier_id = ?1 order by seq",
    )
    .bind(&id)
    .fetch_all(pool)
    .await?;
    let joined = sqlx::query("select id, seq from alias where dossier_id = ?1 order by seq, id")
        .bind(&id)
        .fetch_all(pool)
        .await?;
    let records = sqlx::query(
        "select seq, adapter, operation, observed_ms, state, cause, event_id, mapping from inbox
         where code in (select value from json_each(?1)) and (dossier_id is null or dossier_id = ?2)
           and (state <> 'ignored' or discarded or cause = ?3)
         order by seq",
    )
    .bind(batch(codes.iter().map(|code| json!(code))))
    .bind(&id)
    .bind(SUPERSEDED)
    .fetch_all(pool)
    .await?;
    let records: Vec<PastRecord> = records
        .iter()
        .map(stored::past_record)
        .collect::<Result<_, _>>()?;
    // A record may have been decided about before anybody knew of which dossier it speaks.
    let decisions = sqlx::query(
        "select * from decision
         where dossier_id = ?1 or letter in (select value from json_each(?2)) order by seq",
    )
    .bind(&id)
    .bind(batch(records.iter().map(|record| json!(record.id))))
    .fetch_all(pool)
    .await?;
    Ok(Past {
        events: events.iter().map(stored::journaled).collect::<Result<_, _>>()?,
        joined: joined
            .iter()
            .map(|row| Ok((row.dossier("id")?, row.number_if("seq")?)))
            .collect::<Result<_, StoreError>>()?,
        records,
        decisions: decisions.iter().map(stored::decision).collect::<Result<_, _>>()?,
    })
}
