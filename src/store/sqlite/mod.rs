//! The embedded store: one SQLite file in WAL mode, fully synchronous, one writer.
//!
//! A call through the driver costs far more than a row, so every write takes its whole batch as one JSON parameter
//! and one statement. Readers have connections of their own and never wait for the writer.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
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
use crate::failpoint;

mod decide;
mod delivery;
mod inbox;
mod join;
mod past;
mod people;
mod quota;
mod transaction;

/// Migrations, oldest first; a released one is never edited.
const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "first flow", include_str!("migrations/0001_first_flow.sql")),
    (2, "ledger", include_str!("migrations/0002_ledger.sql")),
    (3, "decisions", include_str!("migrations/0003_decisions.sql")),
    (
        4,
        "dead letters",
        include_str!("migrations/0004_dead_letters.sql"),
    ),
    (5, "quota", include_str!("migrations/0005_quota.sql")),
    (
        6,
        "acknowledgements",
        include_str!("migrations/0006_acknowledgements.sql"),
    ),
];

/// Longest wait for the writer's turn; a transaction takes milliseconds.
const WRITER_TIMEOUT: Duration = Duration::from_secs(30);

/// The store's connections and identity.
pub(super) struct Sqlite {
    id: String,
    version: String,
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held as long as the store is open; the system lets go of it when the process dies.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens or creates the file behind `path` (what follows `sqlite:`).
    pub(super) async fn open(path: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A 2xx means durable, also over a power cut: every commit is synced.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(WRITER_TIMEOUT)
            .foreign_keys(true);
        let lock = lock(options.get_filename())?;
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(WRITER_TIMEOUT)
            .connect_with(options.clone())
            .await?;
        migrate(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(WRITER_TIMEOUT)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;
        sqlx::query("insert or ignore into meta (name, value) values ('store_id', ?1)")
            .bind(Uuid::now_v7().simple().to_string())
            .execute(&writer)
            .await?;
        let id = sqlx::query_scalar("select value from meta where name = 'store_id'")
            .fetch_one(&writer)
            .await?;
        let number: String = sqlx::query_scalar("select sqlite_version()")
            .fetch_one(&writer)
            .await?;
        Ok(Self {
            id,
            version: format!("SQLite {number}"),
            writer,
            readers,
            _lock: lock,
        })
    }
}

/// Brings the tables up to date, each migration in a transaction of its own. `writer` has one connection.
async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    // whether a migration is there or not is decided by nothing but its commit
    writer.acquire().await?.lock_handle().await?.set_commit_hook(|| {
        failpoint::pass("migrate-before-commit");
        true
    });
    let migrated = migrator(&MIGRATIONS).run(writer).await;
    writer.acquire().await?.lock_handle().await?.remove_commit_hook();
    migrated.map_err(|error| match error {
        MigrateError::VersionMissing(version) => StoreError::Newer(version),
        other => StoreError::Migration(other),
    })
}

/// Creates the file, for its owner only: it holds what citizens have handed in. Locks it against a second process, whose
/// steps would make the calls of this one again. `None`: a store in memory.
fn lock(file: &Path) -> Result<Option<File>, StoreError> {
    if file == Path::new(":memory:") {
        return Ok(None);
    }
    let open = |path: &Path| {
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path);
        opened.map_err(|source| StoreError::File {
            file: path.display().to_string(),
            source,
        })
    };
    open(file)?;
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let lock = open(Path::new(&name))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Taken(file.display().to_string())),
        Err(TryLockError::Error(source)) => Err(StoreError::File {
            file: file.display().to_string(),
            source,
        }),
    }
}

/// A batch as the JSON parameter of a statement.
fn batch(rows: impl IntoIterator<Item = serde_json::Value>) -> String {
    serde_json::Value::Array(rows.into_iter().collect()).to_string()
}

const REPLICAS: &str =
    "select body, version, updated_ms from dossier where id in (select value from json_each(?1))";

const RESOLVE: &str = "
    select system, code_key, dossier_id from link
    where (system, code_key) in (select value ->> 0, value ->> 1 from json_each(?1))";

fn code_keys(keys: &[CodeKey]) -> String {
    batch(keys.iter().map(|(system, key)| json!([system, key])))
}

const SHADOWS: &str = "
    select adapter, dossier_id, body from shadow
    where (adapter, dossier_id) in (select value ->> 0, value ->> 1 from json_each(?1))";

fn shadow_keys(keys: &[(String, DossierId)]) -> String {
    batch(keys.iter().map(|(adapter, id)| json!([adapter, id])))
}

fn ids(dossiers: &[DossierId]) -> String {
    batch(dossiers.iter().map(|id| id.to_string().into()))
}

#[async_trait]
impl Store for Sqlite {
    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> &str {
        &self.version
    }

    async fn clock(&self) -> Result<Hlc, StoreError> {
        let stored: Option<String> = sqlx::query_scalar("select value from meta where name = 'clock'")
            .fetch_optional(&self.readers)
            .await?;
        stored.map_or_else(|| Ok(Hlc::default()), |text| document("meta", &text))
    }

    /// The file is locked: nobody else works on it.
    async fn take(&self, _alone: bool) -> Result<(), StoreError> {
        Ok(())
    }

    async fn steady(&self, clock: Arc<dyn Clock>) -> Result<Steady, StoreError> {
        let stored: Option<String> = sqlx::query_scalar("select value from meta where name = 'anchor'")
            .fetch_optional(&self.readers)
            .await?;
        let stored: Option<Anchor> = stored.map(|text| document("meta", &text)).transpose()?;
        if let Some(anchor) = stored.filter(|anchor| anchor.holds(clock.as_ref())) {
            return Ok(Steady::new(clock, anchor));
        }
        let anchor = Anchor::new(clock.as_ref());
        let steady = Steady::new(clock, anchor.clone());
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        sqlx::query(
            "insert into meta (name, value) values ('anchor', ?1)
             on conflict (name) do update set value = excluded.value",
        )
        .bind(json!(anchor).to_string())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "update delivery set until_ms = ?1 + span_ms where until_ms is not null and span_ms is not null",
        )
        .bind(steady.now().as_millisecond())
        .execute(&mut *transaction)
        .await?;
        // Made too early they do no harm.
        sqlx::query("update acknowledgement set until_ms = null")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(steady)
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(transaction::SqliteTransaction::new(
            self.writer.begin_with("begin immediate").await?,
        )))
    }

    /// Whatever one node at a time does, this one does.
    async fn lease(&self, _name: &str, _claim: &Claim<'_>, _now: Timestamp) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn outbox_head(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar("select body from outbox order by seq limit ?1")
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|body| document("outbox", body)).collect()
    }

    async fn due(
        &self,
        adapter: &str,
        looks: &[Look<'_>],
        _claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<(Vec<Delivery>, Option<Timestamp>), StoreError> {
        let mut due: Vec<Delivery> = Vec::new();
        for look in looks {
            let rows = sqlx::query(delivery::DUE)
                .bind(adapter)
                .bind(now.as_millisecond())
                .bind(look.most)
                .bind(look.most.saturating_mul(delivery::LOOKED_AT))
                .bind(batch(look.pushes.iter().map(|push| json!(push))))
                .fetch_all(&self.readers)
                .await?;
            for row in &rows {
                due.push(stored::delivery(row)?);
            }
        }
        due.sort_by_key(|row| row.due);
        let next: Option<i64> = sqlx::query_scalar(delivery::NEXT_DUE)
            .bind(adapter)
            .bind(now.as_millisecond())
            .fetch_one(&self.readers)
            .await?;
        Ok((due, next.map(time)))
    }

    async fn mates(&self, row: &Delivery, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(delivery::MATES)
            .bind(&row.adapter)
            .bind(&row.push)
            .bind(row.dossier.to_string())
            .bind(row.ordinal)
            .bind(limit)
            .bind(now.as_millisecond())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(stored::delivery).collect()
    }

    async fn records_again(
        &self,
        said: Said,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError> {
        inbox::again(&self.readers, said, now, limit).await
    }

    async fn replicas(&self, dossiers: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError> {
        stored::replicas(
            &sqlx::query(REPLICAS)
                .bind(ids(dossiers))
                .fetch_all(&self.readers)
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
                .fetch_all(&self.readers)
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
             where adapter = ?1 and item = '' and dossier_id in (select value from json_each(?2))",
        )
        .bind(adapter)
        .bind(ids(dossiers))
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let id = row.dossier("dossier_id")?;
                Ok((
                    (id, row.try_get("push")?),
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
                .fetch_all(&self.readers)
                .await?,
        )
    }

    async fn cursor(&self, adapter: &str, operation: &str) -> Result<Option<String>, StoreError> {
        Ok(
            sqlx::query_scalar("select body from cursor where adapter = ?1 and operation = ?2")
                .bind(adapter)
                .bind(operation)
                .fetch_optional(&self.readers)
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
             where adapter = ?1 and operation = ?2 and (until_ms is null or until_ms <= ?3)
             order by seq limit ?4",
        )
        .bind(adapter)
        .bind(operation)
        .bind(now.as_millisecond())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(stored::owed).collect()
    }

    async fn find_replica(&self, code: &str) -> Result<Option<Replica>, StoreError> {
        let row = sqlx::query(
            // a link leads to one dossier, also where another one bears the code by mistake
            "select body, version, updated_ms from dossier where id = coalesce(
                 (select dossier_id from link where code_key = ?2 order by system limit 1),
                 (select dossier_id from alias where id = ?1),
                 (select id from dossier where id = ?1),
                 (select id from dossier where code = ?1 order by id limit 1))",
        )
        .bind(code)
        .bind(fold_code(code))
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(stored::replica).transpose()
    }

    async fn list_replicas(&self, limit: u32) -> Result<Vec<ReplicaSummary>, StoreError> {
        people::list(&self.readers, limit).await
    }

    async fn deliveries_of(&self, id: DossierId) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(delivery::OF_DOSSIER)
            .bind(id.to_string())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(stored::delivery).collect()
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        people::dead_letters(&self.readers, limit).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<(DeadLetter, Option<String>)>, StoreError> {
        people::dead_letter(&self.readers, id).await
    }

    async fn fate(&self, letter: &str) -> Result<Option<Fate>, StoreError> {
        decide::fate(&self.readers, letter).await
    }

    async fn letters(
        &self,
        of: &LettersOf,
        walk: &Walk,
        limit: u32,
    ) -> Result<(Vec<String>, Walk), StoreError> {
        decide::letters(&self.readers, of, walk, limit).await
    }

    async fn held_records(&self, code: &str) -> Result<Vec<HeldRecord>, StoreError> {
        people::held_records(&self.readers, code).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        people::counts(&self.readers).await
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<Journaled>, StoreError> {
        past::journal(&self.readers, after, limit).await
    }

    async fn journal_before(&self, count: u32) -> Result<i64, StoreError> {
        past::journal_before(&self.readers, count).await
    }

    async fn past(&self, id: DossierId, codes: &[String]) -> Result<Past, StoreError> {
        past::of(&self.readers, id, codes).await
    }
}
