//! Who may do what, where several nodes and workers share the store.
//!
//! **Locks of a transaction** ([`lock`]) make those who decide about the same dossiers or codes take turns: what one reads
//! no other changes until it commits. They are taken in one order, so that nobody waits in a circle.
//!
//! **Claims** ([`crate::store::Store::due`]) keep a worker's dossiers from the others until their time is over, also while
//! it makes a call, when no transaction is open. A claim whose time is over may be taken by anybody; who lost one cannot
//! begin a call any more, because an intent is written only under a claim ([`super::delivery::SAVE`]).
//!
//! **Leases** give work that one node at a time does.
//!
//! **The guard** holds a lock of the session as long as the process works on the store: alone where its broker is in the
//! process, together with others otherwise.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use super::session::InTime;
use super::{batch, session};
use crate::dossier::{DossierCode, DossierId};
use crate::store::{Claim, CodeKey, StoreError};

/// The first half of our advisory locks' names, so that they meet nobody else's.
const DOSSIERS: i32 = 0x6c74_0001;
const CREATES: i32 = 0x6c74_0002;
const JOURNAL: i32 = 0x6c74_0003;
const GUARD: i32 = 0x6c74_0004;

/// The slots of these dossiers, of those that they were joined with, of these codes and of the dossiers that the codes (or
/// their other forms) lead to, but those that are held already (`$5`). A slot stands for many: a server has room for a
/// few thousand locks, not for one of each dossier of a large batch. Slots of dossiers come before those of codes.
const LOCK: &str = "
    select slot, pg_advisory_xact_lock($4, slot) is null as locked from (
        select distinct slot from (
            select uuid_hash(id) & 2047 as slot from unnest($1::uuid[]) as id
            union all
            select uuid_hash(dossier_id) & 2047 from alias where id = any($1)
            union all
            select uuid_hash(dossier_id) & 2047 from link
            where (system, code_key) in (select system, key from json_to_recordset($2::json) as c(system text, key text))
            union all
            select uuid_hash(dossier_id) & 2047 from link where modern = any($3)
            union all
            select 2048 + (hashtext(system || ' ' || key) & 1023)
            from json_to_recordset($2::json) as c(system text, key text)
        ) as wanted
        where slot <> all($5)
        order by slot offset 0
    ) as sorted";

/// Takes the locks of these dossiers and codes; `held` are the slots that the transaction has.
pub(super) async fn lock(
    connection: &mut PgConnection,
    held: &mut Vec<i32>,
    dossiers: &[DossierId],
    codes: &[CodeKey],
) -> Result<(), StoreError> {
    if dossiers.is_empty() && codes.is_empty() {
        return Ok(());
    }
    let ids = super::ids(dossiers);
    let keys = batch(
        codes
            .iter()
            .map(|(system, key)| serde_json::json!({"system": system, "key": key})),
    );
    let modern: Vec<String> = codes
        .iter()
        .filter_map(|(_, key)| DossierCode::parse(key).map(|code| code.modern()))
        .collect();
    // Whom we waited for may have led a code elsewhere: what is asked again under the locks stays as it is.
    loop {
        let slots: Vec<i32> = sqlx::query_scalar(LOCK)
            .bind(&ids)
            .bind(&keys)
            .bind(&modern)
            .bind(DOSSIERS)
            .bind(&*held)
            .fetch_all(&mut *connection)
            .in_time()
            .await?;
        if slots.is_empty() {
            return Ok(());
        }
        held.extend(slots);
    }
}

/// Nobody settles a create of this system until the transaction ends: what is told to wait for one is then seen by whoever
/// does.
pub(super) async fn no_create_is_settled(
    connection: &mut PgConnection,
    adapter: &str,
) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock_shared($1, hashtext($2))")
        .bind(CREATES)
        .bind(adapter)
        .execute(connection)
        .in_time()
        .await?;
    Ok(())
}

/// Creates of these systems are settled: waits for those who are about to tell a record to wait for it.
pub(super) async fn creates_are_settled(
    connection: &mut PgConnection,
    adapters: &[&str],
) -> Result<(), StoreError> {
    if adapters.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "select pg_advisory_xact_lock($1, slot) from (
             select distinct hashtext(adapter) as slot from unnest($2::text[]) as adapter order by slot offset 0) as sorted",
    )
    .bind(CREATES)
    .bind(adapters)
    .execute(connection)
    .in_time()
    .await?;
    Ok(())
}

/// Places in the journal are given in the order in which they become visible: who follows it by its last place would
/// never see an event that had an earlier one and was committed later.
pub(super) async fn journal(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock($1, 0)")
        .bind(JOURNAL)
        .execute(connection)
        .in_time()
        .await?;
    Ok(())
}

/// Gives up what the worker no longer asks for, and what is over, and takes what nobody has.
pub(super) async fn take(
    pool: &PgPool,
    adapter: &str,
    looks: &str,
    claim: &Claim<'_>,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar(super::delivery::CLAIM)
        .bind(adapter)
        .bind(looks)
        .bind(now.as_millisecond())
        .bind(claim.holder)
        .bind(None::<Vec<Uuid>>)
        .bind(claim.until.as_millisecond())
        .fetch_all(pool)
        .in_time()
        .await?)
}

/// Gives up the claims and leases of this holder, or everybody's.
pub(super) async fn clear(pool: &PgPool, holder: Option<&str>) -> Result<(), StoreError> {
    for statement in [
        "delete from claim where $1::text is null or holder = $1",
        "delete from lease where $1::text is null or holder = $1",
    ] {
        sqlx::query(statement)
            .bind(holder)
            .execute(pool)
            .in_time()
            .await?;
    }
    Ok(())
}

/// The leases that this process has, and until when: who has one need not ask again before half of its time is over.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<(String, String), Held>>);

struct Held {
    half: Timestamp,
}

impl Leases {
    pub(super) async fn lease(
        &self,
        pool: &PgPool,
        name: &str,
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = (name.to_owned(), claim.holder.to_owned());
        if let Some(held) = self.0.lock().await.get(&key)
            && now < held.half
        {
            return Ok(true);
        }
        let taken = sqlx::query(
            "insert into lease (name, holder, until_ms) values ($1, $2, $3)
             on conflict (name) do update set holder = excluded.holder, until_ms = excluded.until_ms
             where lease.holder = excluded.holder or lease.until_ms <= $4",
        )
        .bind(name)
        .bind(claim.holder)
        .bind(claim.until.as_millisecond())
        .bind(now.as_millisecond())
        .execute(pool)
        .in_time()
        .await?;
        let taken = taken.rows_affected() > 0;
        let mut all = self.0.lock().await;
        if taken {
            let half = now + claim.until.duration_since(now) / 2;
            all.insert(key, Held { half });
        } else {
            all.remove(&key);
        }
        Ok(taken)
    }
}

/// A process that has just died or ended is gone as soon as the server sees that; so long it is waited for.
const GIVEN_UP: &str = "set lock_timeout = '3s'";

/// How long the guard is believed to stand without being asked.
const TRUSTED: Duration = Duration::from_secs(5);

/// Our lock of the session, on a connection of its own: the server lets go of it when the process dies.
pub(super) struct Guard {
    options: PgConnectOptions,
    /// Where the store lies, without secrets.
    place: String,
    state: Mutex<Option<Watch>>,
}

struct Watch {
    alone: bool,
    session: Option<Session>,
    /// The last session that had the lock: number of its process, and when that began.
    last: (i32, String),
    seen: Instant,
}

struct Session {
    connection: PgConnection,
    name: (i32, String),
}

impl Guard {
    pub(super) fn new(options: PgConnectOptions, place: String) -> Self {
        Self {
            options,
            place,
            state: Mutex::new(None),
        }
    }

    /// Takes the lock, for the rest of the process's life.
    pub(super) async fn take(&self, alone: bool) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        let session = self.locked(alone, None).await?;
        *state = Some(Watch {
            alone,
            last: session.name.clone(),
            session: Some(session),
            seen: Instant::now(),
        });
        Ok(())
    }

    /// Looks whether the lock is still ours, and takes it anew where its connection broke.
    pub(super) async fn stands(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        let Some(watch) = state.as_mut() else {
            return Ok(());
        };
        if watch.session.is_some() && watch.seen.elapsed() < TRUSTED {
            return Ok(());
        }
        let mut session = watch.session.take();
        if let Some(held) = &mut session
            && !matches!(timeout(TRUSTED, held.connection.ping()).await, Ok(Ok(())))
        {
            session = None;
        }
        let session = match session {
            Some(session) => session,
            None => self.locked(watch.alone, Some(&watch.last)).await?,
        };
        watch.last = session.name.clone();
        watch.session = Some(session);
        watch.seen = Instant::now();
        Ok(())
    }

    /// A session that has the lock. The server may not have noticed yet that the `last` one that we had is broken.
    async fn locked(&self, alone: bool, last: Option<&(i32, String)>) -> Result<Session, StoreError> {
        let mut connection = session::connect(&self.options).await?;
        if let Some((process, begun)) = last {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start::text = $2",
            )
            .bind(process)
            .bind(begun)
            .execute(&mut connection)
            .in_time()
            .await?;
        }
        let name = sqlx::query_as(
            "select pid, backend_start::text from pg_stat_activity where pid = pg_backend_pid()",
        )
        .fetch_one(&mut connection)
        .in_time()
        .await?;
        let lock = if alone {
            "select pg_advisory_lock($1, 0)"
        } else {
            "select pg_advisory_lock_shared($1, 0)"
        };
        sqlx::raw_sql(GIVEN_UP).execute(&mut connection).in_time().await?;
        let locked = sqlx::query(lock)
            .bind(GUARD)
            .execute(&mut connection)
            .in_time()
            .await;
        match locked {
            Ok(_) => Ok(Session { connection, name }),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                Err(StoreError::Shared(self.place.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }
}
