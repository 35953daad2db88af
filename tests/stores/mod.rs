//! What the nodes of a test stand on. A test is written once: `embedded_and_grown!` runs it as a node is by default, on
//! SQLite with the broker inside the process, and as it is when grown, on PostgreSQL with RabbitMQ; `on_both_stores!` runs
//! it on either store with the broker inside the process, `on_rabbitmq_too!` on PostgreSQL with RabbitMQ besides. Whatever
//! makes a node in it asks [`url`] for the store's address. A test that was not told is embedded.
//!
//! Included by test targets with `#[path = "../stores/mod.rs"] #[macro_use] mod stores;`.

#![allow(dead_code, reason = "each target that includes this uses another part of it")]
#![allow(
    unused_macros,
    reason = "each target that includes this uses another part of it"
)]

pub(crate) mod database;
pub(crate) mod server;

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

pub(crate) use database::{Database, aside};

/// The back ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Back {
    /// A file in the node's folder.
    Sqlite,
    /// A database for each node, gone when the test is.
    Postgres,
    /// The same on a server of the test's own: its address, and host and port under which nodes find it; and whether the
    /// run's RabbitMQ is between them.
    Own {
        server: String,
        seen: String,
        rabbitmq: bool,
    },
    /// A database for each node, and the run's RabbitMQ between them, whatever was chosen.
    Grown,
}

/// The back end of a test, and the databases that it has made.
struct Lodging {
    back: Back,
    databases: RefCell<Vec<Database>>,
}

tokio::task_local! {
    static LODGING: Lodging;
}

/// Runs a test whose nodes have their stores there.
pub(crate) fn on(back: Back, test: impl Future<Output = ()>) -> impl Future<Output = ()> {
    let lodging = Lodging {
        back,
        databases: RefCell::default(),
    };
    LODGING.scope(lodging, Box::pin(test))
}

/// Address of a store for a new node that keeps everything in this folder. To be asked for by the test's own task.
pub(crate) fn url(folder: &Path) -> String {
    postgres().unwrap_or_else(|| format!("sqlite://{}", folder.join("lienthong.db").display()))
}

/// The same for what makes a file of its own where it is told of no store.
pub(crate) fn postgres() -> Option<String> {
    let made = LODGING.try_with(|lodging| {
        let database = match &lodging.back {
            Back::Sqlite => return None,
            Back::Postgres | Back::Grown => aside(async || Database::create().await),
            Back::Own { server, .. } => aside(async || Database::create_on(server.clone(), "").await),
        };
        let mut url = database.url();
        if let Back::Own { seen, .. } = &lodging.back {
            let (user, rest) = url.rsplit_once('@').unwrap();
            url = format!("{user}@{seen}/{}", rest.split_once('/').unwrap().1);
        }
        lodging.databases.borrow_mut().push(database);
        Some(url)
    });
    made.ok().flatten()
}

/// Whether the nodes of this test are to have RabbitMQ between them. To be asked by the test's own task.
pub(crate) fn is_on_rabbitmq() -> bool {
    LODGING
        .try_with(|lodging| matches!(lodging.back, Back::Grown | Back::Own { rabbitmq: true, .. }))
        .unwrap_or(false)
}

/// Whether all that the records of this store led to has come back to it: a broker does not count what it has handed out
/// and nobody has answered for yet. A file has its broker inside the process, where nothing is ever on the way so.
pub(crate) async fn is_merged(url: &str) -> bool {
    if !url.starts_with("postgres://") {
        return true;
    }
    let on_the_way = async {
        let mut connection = PgConnection::connect(url).await?;
        let count: i64 = sqlx::query_scalar(
            "select count(*) from inbox where event_id is not null
             and not exists (select 1 from journal where journal.event_id = inbox.event_id)",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(count)
    };
    on_the_way.await.is_ok_and(|count| count == 0)
}

/// The same of all stores of this test.
pub(crate) async fn all_merged() -> bool {
    let urls = LODGING.try_with(|lodging| {
        let databases = lodging.databases.borrow();
        databases.iter().map(Database::url).collect::<Vec<_>>()
    });
    for url in urls.unwrap_or_default() {
        if !is_merged(&url).await {
            return false;
        }
    }
    true
}

/// Says what a run has shown, whether or not the test succeeds.
pub(crate) fn tell(said: &str) {
    // not caught by the harness, as what is printed is
    writeln!(std::io::stderr(), "{said}").ok();
}

/// Each of these `async fn`, none of them a test by itself, on both stores.
macro_rules! on_both_stores {
    ($($test:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::stores::on(crate::stores::Back::Sqlite, super::$test()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::stores::on(crate::stores::Back::Postgres, super::$test()).await;
            })*
        }
    };
}

/// The same as a node is by default, and on PostgreSQL with RabbitMQ.
macro_rules! embedded_and_grown {
    ($($test:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::stores::on(crate::stores::Back::Sqlite, super::$test()).await;
            })*
        }
        mod grown {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::stores::on(crate::stores::Back::Grown, super::$test()).await;
            })*
        }
    };
}

/// The same on PostgreSQL with RabbitMQ between the nodes.
macro_rules! on_rabbitmq_too {
    ($($test:ident)*) => {
        mod on_postgres_and_rabbitmq {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::stores::on(crate::stores::Back::Grown, super::$test()).await;
            })*
        }
    };
}
