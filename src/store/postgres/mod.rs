//! The store that grows: a PostgreSQL database, which several nodes may share.
//!
//! A call costs a round trip, so every read and write takes its whole batch as one parameter and one statement. Isolation
//! is `read committed` and nothing is left to it: uniqueness is the tables', and who decides about a dossier holds its
//! lock ([`claim`]). What goes wrong on the way (a server that restarts, a lock that does not come, two that wait for each
//! other) is an error of that step; the stage comes back and goes on from the tables.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{Connection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::cells::{Cells, document, time};
use super::{
    Claim, CodeKey, Counts, DeadLetter, Delivery, Fate, HeldRecord, Journaled, KeptRecord, LettersOf, Look,
    Owed, Parent, Past, Replica, ReplicaSummary, Said, Store, StoreError, Transaction, Walk, migrator,
    stored,
};
use crate::clock::{Anchor, Clock, Steady};
use crate::dossier::{DossierId, Hlc, Shadow, fold_code};
use crate::event::Event;

mod claim;
mod decide;
mod delivery;
mod inbox;
mod join;
mod past;
mod people;
mod quota;
mod session;
mod transaction;

use session::InTime;

/// Migrations, oldest first; a released one is never edited.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "start", include_str!("migrations/0001_start.sql")),
    (
        2,
        "dead letters",
        include_str!("migrations/0002_dead_letters.sql"),
    ),
    (3, "quota", include_str!("migrations/0003_quota.sql")),
    (
        4,
        "acknowledgements",
        include_str!("migrations/0004_acknowledgements.sql"),
    ),
];

/// The store's connections and identity.
pub(super) struct Postgres {
    id: String,
    version: String,
    pool: PgPool,
    leases: claim::Leases,
    guard: claim::Guard,
}

impl Postgres {
    /// Opens the database behind `url`, creating or migrating its tables.
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = session::options(url)?;
        let mut first = session::connect(&options).await?;
        session::inspect(&mut first).await?;
        first.close().in_time().await?;
        migrate(&options).await?;
        let pool = session::pool(options.clone());
        sqlx::query("insert into meta (name, value) values ('store_id', $1) on conflict do nothing")
            .bind(Uuid::now_v7().simple().to_string())
            .execute(&pool)
            .in_time()
            .await?;
        let id = sqlx::query_scalar("select value from meta where name = 'store_id'")
            .fetch_one(&pool)
            .in_time()
            .await?;
        let number: String = sqlx::query_scalar("select current_setting('server_version')")
            .fetch_one(&pool)
            .in_time()
            .await?;
        let number = number.split(' ').next().unwrap_or_default();
        let place = format!(
            "{} on {}",
            options.get_database().unwrap_or("the database"),
            options.get_host()
        );
        Ok(Self {
            id,
            version: format!("PostgreSQL {number}"),
            guard: claim::Guard::new(options, place),
            pool,
            leases: claim::Leases::default(),
        })
    }
}

/// Longest time that the tables may take to be brought up to date; statements of it have no limit of their own.
const MIGRATION_TIMEOUT: Duration = Duration::from_mins(30);

/// Brings the tables up to date. Nodes that start at the same time wait for each other here.
async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let unhurried = [("statement_timeout", "0"), ("lock_timeout", "0")];
    let pool = session::pool(options.clone().options(unhurried));
    let migrated = timeout(MIGRATION_TIMEOUT, migrator(&MIGRATIONS).run(&pool)).await;
    session::close(&pool).await;
    match migrated.unwrap_or(Err(MigrateError::Execute(sqlx::Error::PoolTimedOut))) {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(StoreError::Newer(version)),
        Err(other) => Err(StoreError::Migration(other)),
    }
}

/// A batch as the JSON parameter of a statement.
fn batch(rows: impl IntoIterator<Item = Value>) -> String {
    let mut rows: Vec<Value> = rows.into_iter().collect();
    rows.iter_mut().for_each(without_nul);
    Value::Array(rows).to_string()
}

/// Text of PostgreSQL cannot hold the character U+0000, which a system may put into a code; in documents it is escaped.
fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(held) => {
            if let Cow::Owned(clean) = text(held) {
                *held = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(fields) => fields.values_mut().for_each(without_nul),
        _ => {}
    }
}

fn ids(dossiers: &[DossierId]) -> Vec<Uuid> {
    dossiers.iter().map(|id| id.0).collect()
}

const REPLICAS: &str = "select body, version, updated_ms from dossier where id = any($1)";

const RESOLVE: &str = "
    select system, code_key, dossier_id from link
    where (system, code_key) in (select system, key from json_to_recordset($1::json) as c(system text, key text))";

fn code_keys(keys: &[CodeKey]) -> String {
    batch(
        keys.iter()
            .map(|(system, key)| json!({"system": system, "key": key})),
    )
}

const SHADOWS: &str = "
    select adapter, dossier_id, body from shadow
    where (adapter, dossier_id) in (select adapter, id from json_to_recordset($1::json) as k(adapter text, id uuid))";

fn shadow_keys(keys: &[(String, DossierId)]) -> String {
    batch(
        keys.iter()
            .map(|(adapter, id)| json!({"adapter": adapter, "id": id})),
    )
}

#[async_trait]
impl Store for Postgres {
    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> &str {
        &self.version
    }

    async fn take(&self, alone: bool) -> Result<(), StoreError> {
        self.guard.take(alone).await?;
        if alone {
            // Whoever had them is dead, or would be told so at its next transaction.
            claim::clear(&self.pool, None).await?;
        }
        Ok(())
    }

    async fn leave(&self, holder: &str) -> Result<(), StoreError> {
        claim::clear(&self.pool, Some(holder)).await
    }

    async fn clock(&self) -> Result<Hlc, StoreError> {
        let stored: Vec<String> = sqlx::query_scalar("select value from meta where name like 'clock %'")
            .fetch_all(&self.pool)
            .in_time()
            .await?;
        stored.iter().try_fold(Hlc::default(), |last, text| {
            document("meta", text).map(|read: Hlc| last.max(read))
        })
    }

    /// Several machines tell the deadlines of one ledger: they go by the clock that all of them see.
    async fn steady(&self, clock: Arc<dyn Clock>) -> Result<Steady, StoreError> {
        let now: i64 = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
            .fetch_one(&self.pool)
            .in_time()
            .await?;
        let anchor = Anchor::at(clock.as_ref(), time(now));
        Ok(Steady::new(clock, anchor))
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.guard.stands().await?;
        Ok(Box::new(transaction::PostgresTransaction::new(
            self.pool.begin().in_time().await?,
        )))
    }

    async fn lease(&self, name: &str, claim: &Claim<'_>, now: Timestamp) -> Result<bool, StoreError> {
        self.leases.lease(&self.pool, name, claim, now).await
    }

    async fn outbox_head(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        // By what is there, not from where one has read to: what is committed late is met like the rest.
        let rows: Vec<String> = sqlx::query_scalar("select body from outbox order by seq limit $1")
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .in_time()
            .await?;
        rows.iter().map(|body| document("outbox", body)).collect()
    }

    async fn due(
        &self,
        adapter: &str,
        looks: &[Look<'_>],
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<(Vec<Delivery>, Option<Timestamp>), StoreError> {
        let looks = delivery::looks(looks);
        let claimed = claim::take(&self.pool, adapter, &looks, claim, now).await?;
        let mut due = Vec::new();
        if !claimed.is_empty() {
            // Read anew: what was seen before the claim may be what another worker has seen to meanwhile.
            let rows = sqlx::query(delivery::DUE)
                .bind(adapter)
                .bind(&looks)
                .bind(now.as_millisecond())
                .bind(claim.holder)
                .bind(Some(claimed))
                .fetch_all(&self.pool)
                .in_time()
                .await?;
            due = rows.iter().map(stored::delivery).collect::<Result<_, _>>()?;
        }
        let next: Option<i64> = sqlx::query_scalar(delivery::NEXT_DUE)
            .bind(adapter)
            .bind(now.as_millisecond())
            .fetch_one(&self.pool)
            .in_time()
            .await?;
        Ok((due, next.map(time)))
    }

    async fn mates(&self, row: &Delivery, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(delivery::MATES)
            .bind(&row.adapter)
            .bind(&row.push)
            .bind(row.dossier.0)
            .bind(row.ordinal)
            .bind(i64::from(limit))
            .bind(now.as_millisecond())
            .fetch_all(&self.pool)
            .in_time()
            .await?;
        rows.iter().map(stored::delivery).collect()
    }

    async fn records_again(
        &self,
        said: Said,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError> {
        inbox::again(&self.pool, said, now, limit).await
    }

    async fn replicas(&self, dossiers: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError> {
        stored::replicas(
            &sqlx::query(REPLICAS)
                .bind(ids(dossiers))
                .fetch_all(&self.pool)
                .in_time()
                .await?,
        )
    }

    async fn shadows(
        &self,
        keys: &[(String, DossierId)],
    ) -> Result<HashMap<(String, DossierId), Shadow>, StoreError> {
        stored::shadows(
            &sqlx::query(SHADOWS)
                .bind(shadow_keys(keys))
                .fetch_all(&self.pool)
                .in_time()
                .await?,
        )
    }

    async fn parents(
        &self,
        adapter: &str,
        dossiers: &[DossierId],
    ) -> Result<HashMap<(DossierId, String), Parent>, StoreError> {
        let rows = sqlx::query(
            "select dossier_id, push, applied is not null as done, remote from delivery
             where adapter = $1 and item = '' and dossier_id = any($2)",
        )
        .bind(adapter)
        .bind(ids(dossiers))
        .fetch_all(&self.pool)
        .in_time()
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    (row.dossier("dossier_id")?, row.try_get("push")?),
                    Parent {
                        done: row.try_get("done")?,
                        remote: row.try_get("remote")?,
                    },
                ))
            })
            .collect()
    }

    async fn resolve(&self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError> {
        stored::resolved(
            &sqlx::query(RESOLVE)
                .bind(code_keys(keys))
                .fetch_all(&self.pool)
                .in_time()
                .await?,
        )
    }

    async fn cursor(&self, adapter: &str, operation: &str) -> Result<Option<String>, StoreError> {
        Ok(
            sqlx::query_scalar("select body from cursor where adapter = $1 and operation = $2")
                .bind(adapter)
                .bind(operation)
                .fetch_optional(&self.pool)
                .in_time()
                .await?,
        )
    }

    async fn owed(
        &self,
        adapter: &str,
        operation: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        let rows = sqlx::query(
            "select * from acknowledgement
             where adapter = $1 and operation = $2 and (until_ms is null or until_ms <= $3)
             order by seq limit $4",
        )
        .bind(adapter)
        .bind(operation)
        .bind(now.as_millisecond())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .in_time()
        .await?;
        rows.iter().map(stored::owed).collect()
    }

    async fn find_replica(&self, code: &str) -> Result<Option<Replica>, StoreError> {
        let id: Option<Uuid> = code.parse().ok();
        let row = sqlx::query(
            // a link leads to one dossier, also where another one bears the code by mistake
            "select body, version, updated_ms from dossier where id = coalesce(
                 (select dossier_id from link where code_key = $2 order by system limit 1),
                 (select dossier_id from alias where id = $3),
                 (select id from dossier where id = $3),
                 (select id from dossier where code = $1 order by id limit 1))",
        )
        .bind(text(code))
        .bind(text(&fold_code(code)))
        .bind(id)
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        row.as_ref().map(stored::replica).transpose()
    }

    async fn list_replicas(&self, limit: u32) -> Result<Vec<ReplicaSummary>, StoreError> {
        people::list(&self.pool, limit).await
    }

    async fn deliveries_of(&self, id: DossierId) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(delivery::OF_DOSSIER)
            .bind(id.0)
            .fetch_all(&self.pool)
            .in_time()
            .await?;
        rows.iter().map(stored::delivery).collect()
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        people::dead_letters(&self.pool, limit).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<(DeadLetter, Option<String>)>, StoreError> {
        people::dead_letter(&self.pool, id).await
    }

    async fn fate(&self, letter: &str) -> Result<Option<Fate>, StoreError> {
        decide::fate(&self.pool, letter).await
    }

    async fn letters(
        &self,
        of: &LettersOf,
        walk: &Walk,
        limit: u32,
    ) -> Result<(Vec<String>, Walk), StoreError> {
        decide::letters(&self.pool, of, walk, limit).await
    }

    async fn held_records(&self, code: &str) -> Result<Vec<HeldRecord>, StoreError> {
        people::held_records(&self.pool, code).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        people::counts(&self.pool).await
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<Journaled>, StoreError> {
        past::journal(&self.pool, after, limit).await
    }

    async fn journal_before(&self, count: u32) -> Result<i64, StoreError> {
        past::journal_before(&self.pool, count).await
    }

    async fn past(&self, id: DossierId, codes: &[String]) -> Result<Past, StoreError> {
        past::of(&self.pool, id, codes).await
    }
}
