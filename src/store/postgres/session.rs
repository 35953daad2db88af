//! Connections: how each is set up, and what a server must be to be worked on.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Row};
use tokio::time::timeout;

use crate::store::StoreError;

/// Connections that a node has at most: its stages each need one for milliseconds.
const CONNECTIONS: u32 = 12;

/// Longest wait for a free or a new connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for an answer. The server's own limits are shorter: who waits so long waits for a server that is gone
/// without a word, or frozen.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

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
    match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await {
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
                let alive = timeout(TRUSTED, connection.ping()).await;
                Ok(matches!(alive, Ok(Ok(()))))
            })
        })
        // What comes back in the middle of a question is set right before it is given out again, or thrown away: a place in
        // the pool is not kept by a server that no longer answers.
        .after_release(|connection, _| {
            Box::pin(async move {
                let well = timeout(ACQUIRE_TIMEOUT, connection.ping()).await;
                well.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
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

/// Ends a pool, without waiting for a server that no longer answers.
pub(super) async fn close(pool: &PgPool) {
    drop(timeout(TRUSTED, pool.close()).await);
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
    .in_time()
    .await?;
    let mut off = Vec::new();
    for name in DURABLE {
        if row.try_get::<&str, _>(name)? == "off" {
            off.push(name);
        }
    }
    let server = Server {
        version: row.try_get("version")?,
        is_replica: row.try_get("replica")?,
        encoding: row.try_get("encoding")?,
        off,
    };
    server.judge().map_err(StoreError::Server)
}

/// Settings without which a commit may be lost after it was answered for.
const DURABLE: [&str; 3] = ["synchronous_commit", "fsync", "full_page_writes"];

/// What a server says of itself.
struct Server {
    version: i32,
    is_replica: bool,
    encoding: String,
    /// Those of [`DURABLE`] that are switched off.
    off: Vec<&'static str>,
}

impl Server {
    /// Why no store may lie there.
    fn judge(&self) -> Result<(), String> {
        let version = self.version;
        if version < OLDEST {
            // Before version 10 the second number was a part of the major version.
            let minor = if version < 100_000 {
                version / 100 % 100
            } else {
                version % 10_000
            };
            return Err(format!(
                "the server is PostgreSQL {}.{minor}; use 13 or newer",
                version / 10_000
            ));
        }
        if self.is_replica {
            return Err(
                "the server is a replica, which shows others' decisions late and takes none; name the primary".to_owned(),
            );
        }
        if self.encoding != "UTF8" {
            return Err(format!(
                "the database's encoding is {}; create one with `encoding 'UTF8' template template0`",
                self.encoding
            ));
        }
        match self.off.first() {
            None => Ok(()),
            Some(name) => Err(format!(
                "`{name}` is off, so that a commit may be lost after it was answered for; set it to `on` in \
                 postgresql.conf (or wherever this role or database has it from) and reload the server"
            )),
        }
    }
}

/// An answer of the server that is waited for no longer than [`ANSWER_TIMEOUT`]. Who is answered late leaves the connection
/// to the pool, which throws it away.
pub(super) trait InTime<T>: Future<Output = Result<T, sqlx::Error>> + Sized {
    async fn in_time(self) -> Result<T, sqlx::Error> {
        match timeout(ANSWER_TIMEOUT, self).await {
            Ok(answer) => answer,
            Err(_) => Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("the server did not answer within {} s", ANSWER_TIMEOUT.as_secs()),
            ))),
        }
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> InTime<T> for F {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Server {
        Server {
            version: 150_013,
            is_replica: false,
            encoding: "UTF8".to_owned(),
            off: Vec::new(),
        }
    }

    #[test]
    fn server_that_is_too_old_is_refused_by_its_version() {
        for (version, told) in [(120_022, "12.22"), (90_624, "9.6")] {
            let said = Server { version, ..sound() }.judge().unwrap_err();
            assert_eq!(said, format!("the server is PostgreSQL {told}; use 13 or newer"));
        }
        for version in [130_000, 150_013, 180_004] {
            assert_eq!(Server { version, ..sound() }.judge(), Ok(()));
        }
    }

    #[test]
    fn database_that_cannot_hold_every_letter_is_refused() {
        let latin = Server {
            encoding: "LATIN1".to_owned(),
            ..sound()
        };
        assert!(latin.judge().unwrap_err().contains("encoding is LATIN1"));
    }
}
