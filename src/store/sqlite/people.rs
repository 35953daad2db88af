//! What people ask: lists, dead letters, counts. Personal data leaves here with dead letters only:
//! the raw record, and what was found or what a target said. Lists leave those out.

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use crate::dossier::fold_code;
use crate::store::cells::Cells;
use crate::store::letter::Letter;
use crate::store::{Counts, DeadLetter, HeldRecord, ReplicaSummary, StoreError, stored};

pub(super) async fn list(pool: &SqlitePool, limit: u32) -> Result<Vec<ReplicaSummary>, StoreError> {
    let rows = sqlx::query(
        "select id, code, updated_ms,
                (select count(*) from delivery where dossier_id = id
                 and state in ('due', 'waiting', 'in_doubt', 'backing_off')) as open,
                (select count(*) from delivery where dossier_id = id and state = 'parked') as parked
         from dossier order by updated_ms desc, id limit ?1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(stored::summary).collect()
}

/// A refused record as a dead letter; only that has the `raw` record.
macro_rules! record {
    () => {
        "select 'inbox-' || seq as id, adapter, operation, dossier_id, code as record_code, observed_ms as since_ms,
                cause, raw from inbox"
    };
}

/// A parked delivery as a dead letter.
macro_rules! delivery {
    () => {
        "select 'delivery-' || adapter || '-' || push || '-' || dossier_id || iif(item = '', '', '-' || item) as id,
                adapter, iif(push like 'lookup.%', push, 'push.' || push) as operation, dossier_id, null as record_code, due_ms as since_ms,
                cause, null as raw from delivery"
    };
}

/// Dead letters with the codes of their dossiers.
macro_rules! letters {
    () => {
        " select letters.*, coalesce(dossier.code, record_code, dossier_id) as code
          from letters left join dossier on dossier.id = dossier_id"
    };
}

/// The indexes of both tables hold them in this order: a page costs what it holds.
const OLDEST: &str = concat!(
    "with letters as (select * from (",
    record!(),
    " where state = 'refused' order by observed_ms, seq limit ?1) union all select * from (",
    delivery!(),
    " where state = 'parked' order by due_ms, adapter, push, dossier_id, item limit ?1))",
    letters!(),
    " order by since_ms, letters.id limit ?1"
);

const RECORD: &str = concat!(
    "with letters as (",
    record!(),
    " where seq = ?1 and state = 'refused')",
    letters!()
);

const DELIVERY: &str = concat!(
    "with letters as (",
    delivery!(),
    " where dossier_id = ?1 and item = ?2 and adapter || '-' || push = ?3 and state = 'parked')",
    letters!()
);

pub(super) async fn dead_letters(pool: &SqlitePool, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(OLDEST).bind(limit).fetch_all(pool).await?;
    rows.iter().map(stored::dead_letter).collect()
}

pub(super) async fn dead_letter(
    pool: &SqlitePool,
    id: &str,
) -> Result<Option<(DeadLetter, Option<String>)>, StoreError> {
    let row = match Letter::parse(id) {
        None => None,
        Some(Letter::Record(seq)) => sqlx::query(RECORD).bind(seq).fetch_optional(pool).await?,
        Some(Letter::Delivery { place, dossier, item }) => {
            sqlx::query(DELIVERY)
                .bind(dossier.to_string())
                .bind(item)
                .bind(place)
                .fetch_optional(pool)
                .await?
        }
    };
    row.map(|row| Ok((stored::dead_letter(&row)?, row.text_if("raw")?)))
        .transpose()
}

pub(super) async fn held_records(pool: &SqlitePool, code: &str) -> Result<Vec<HeldRecord>, StoreError> {
    let rows = sqlx::query(
        "select seq, adapter, iif(state = 'waiting', cause, null) as waits from inbox
         where code = ?1 and state in ('refused', 'waiting') order by seq",
    )
    .bind(fold_code(code))
    .fetch_all(pool)
    .await?;
    rows.iter().map(stored::held_record).collect()
}

async fn rows(snapshot: &mut SqliteConnection, sql: &'static str) -> Result<Vec<SqliteRow>, sqlx::Error> {
    sqlx::query(sql).fetch_all(snapshot).await
}

async fn number(snapshot: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql).fetch_one(snapshot).await
}

pub(super) async fn counts(pool: &SqlitePool) -> Result<Counts, StoreError> {
    // Of one moment: what moves on from one table to the next is counted once.
    let mut snapshot = pool.begin().await?;
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
    snapshot.rollback().await?;
    stored::counts((dossiers, outbox), &inbox, &waiting, &deliveries)
}
