//! The journal as it is followed, and everything that happened to one dossier.

use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::{batch, decide, delivery, document, inbox, time};
use crate::dossier::DossierId;
use crate::store::{Journaled, Past, PastRecord, SUPERSEDED, StoreError};

fn journaled(row: &SqliteRow) -> Result<Journaled, StoreError> {
    Ok(Journaled {
        seq: row.try_get("seq")?,
        recorded: time(row.try_get("received_ms")?),
        code: row.try_get("code")?,
        event: document("journal", row.try_get("body")?)?,
    })
}

pub(super) async fn journal(pool: &SqlitePool, after: i64, limit: u32) -> Result<Vec<Journaled>, StoreError> {
    let rows = sqlx::query(
        "select seq, received_ms, code, journal.body from journal left join dossier on dossier.id = dossier_id
         where seq > ?1 order by seq limit ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(journaled).collect()
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
        .map(|row| {
            Ok(PastRecord {
                id: decide::record_letter(row.try_get("seq")?),
                adapter: row.try_get("adapter")?,
                operation: row.try_get("operation")?,
                observed: time(row.try_get("observed_ms")?),
                state: inbox::state(row)?,
                event: row.try_get("event_id")?,
                mapping: row.try_get("mapping")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
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
        events: events.iter().map(journaled).collect::<Result<_, _>>()?,
        joined: joined
            .iter()
            .map(|row| Ok((delivery::dossier_id(row.try_get("id")?)?, row.try_get("seq")?)))
            .collect::<Result<_, StoreError>>()?,
        records,
        decisions: decisions.iter().map(decide::decision).collect::<Result<_, _>>()?,
    })
}
