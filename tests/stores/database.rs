//! Databases of a PostgreSQL server: the one that `tests/run` starts for all tests, or one of a test's own.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

/// Where the server of all tests is.
const VARIABLE: &str = "LIENTHONG_TEST_POSTGRES";

/// A database of one test; it goes with it.
pub(crate) struct Database {
    name: String,
    server: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        Self::create_with("").await
    }

    /// With these options of `create database`.
    pub(crate) async fn create_with(options: &str) -> Self {
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!(
                "{VARIABLE} is not set: run `tests/run`, or start a server with `tests/services/postgresql start` and set \
                 the variable to the address that it prints"
            )
        });
        Self::create_on(server, options).await
    }

    /// On the server at this address.
    pub(crate) async fn create_on(server: String, options: &str) -> Self {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        run(&server, &format!("create database {name} {options}")).await;
        Self { name, server }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A connection of a stranger.
    pub(crate) async fn connect(&self) -> PgConnection {
        connect(&self.url()).await
    }

    /// Runs a statement in it.
    pub(crate) async fn execute(&self, sql: &str) {
        run(&self.url(), sql).await;
    }
}

/// A connection of a stranger.
pub(crate) async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).unwrap();
    PgConnection::connect_with(&options).await.unwrap()
}

/// Runs a statement there.
pub(crate) async fn run(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let server = self.server.clone();
        let sql = format!("drop database {} with (force)", self.name);
        // A test that has failed may have left its server down.
        drop(std::thread::spawn(move || aside(async move || run(&server, &sql).await)).join());
    }
}

/// On a thread of its own: the test's own threads may be about to end, or busy with waiting for this.
pub(crate) fn aside<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(work())
        });
        done.join().unwrap()
    })
}
