//! Connections: how each is set up, and what a server must be to be worked on.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Row};

use crate::store::StoreError;

/// Connections that a node has at most: its stages each need one for milliseconds.
const CONNECTIONS: u32 = 12;

/// Longest wait for a free or a new connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may have been idle and still be taken for alive.
const TRUSTED: Duration = Duration::from_secs(1);

/// Limits of our own sessions, in the server's words. A node that sleeps in a transaction lets go of its locks in time; a
/// statement that another transaction holds up gives up, and its stage comes back.
const SETTINGS: [(&str, &str); 6] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "30s"),
    // a client that is gone without a word, as seen by the server
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    // what decides, decides by constraints and locks; snapshots that grow old would only hide what others have written
    ("default_transaction_isolation", "read committed"),
];

/// Oldest server that is known to do what is asked of it.
const OLDEST: i32 = 130_000;

/// How to connect. The address may lack the password: `PGPASSWORD` and `~/.pgpass` are looked up as usual.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("lienthong")
        .options(SETTINGS))
}

/// One connection outside the pool.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    match tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}

/// The node's connections. Each new one is looked at like the first: after a fail-over the address may lead to a replica.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < TRUSTED {
                    return Ok(true);
                }
                let alive = tokio::time::timeout(TRUSTED, connection.ping()).await;
                Ok(matches!(alive, Ok(Ok(()))))
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                inspect(connection)
                    .await
                    .map_err(|refusal| sqlx::Error::Configuration(Box::new(refusal)))
            })
        })
        .connect_lazy_with(options)
}

/// Refuses a server on which a commit may be lost, or which does not decide.
pub(super) async fn inspect(connection: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select current_setting('server_version_num')::int as version, pg_is_in_recovery() as replica,
                current_setting('server_encoding') as encoding,
                current_setting('synchronous_commit') as synchronous_commit,
                current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes",
    )
    .fetch_one(connection)
    .await?;
    let version: i32 = row.try_get("version")?;
    if version < OLDEST {
        return Err(StoreError::Server(format!(
            "the server is PostgreSQL {}.{}; use 13 or newer",
            version / 10_000,
            version % 10_000
        )));
    }
    if row.try_get("replica")? {
        return Err(StoreError::Server(
            "the server is a replica, which shows others' decisions late and takes none; name the primary"
                .to_owned(),
        ));
    }
    let setting = |name| row.try_get::<String, _>(name);
    let encoding = setting("encoding")?;
    if encoding != "UTF8" {
        return Err(StoreError::Server(format!(
            "the database's encoding is {encoding}; create one with `encoding 'UTF8' template template0`"
        )));
    }
    for name in ["synchronous_commit", "fsync", "full_page_writes"] {
        if setting(name)? == "off" {
            return Err(StoreError::Server(format!(
                "`{name}` is off, so that a commit may be lost after it was answered for; set it to `on` in \
                 postgresql.conf (or wherever this role or database has it from) and reload the server"
            )));
        }
    }
    Ok(())
}
