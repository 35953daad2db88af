//! Databases of the PostgreSQL server that `tests/run` starts.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Where the server is.
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
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let database = Self { name, server };
        database
            .on_server(&format!("create database {} {options}", database.name))
            .await;
        database
    }

    /// The same for who cannot wait for it.
    pub(crate) fn create_here() -> Self {
        aside(async || Self::create().await)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a statement in it.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    async fn on_server(&self, sql: &str) {
        run(&self.server, sql).await;
    }
}

async fn run(server: &str, sql: &str) {
    let options = PgConnectOptions::from_str(server).unwrap();
    let mut connection = options.connect().await.unwrap();
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
        aside(async move || run(&server, &sql).await);
    }
}

/// On a thread of its own: the test's own threads may be about to end.
fn aside<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
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
