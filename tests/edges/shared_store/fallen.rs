//! Transactions that fall to a deadlock: where no stage comes back by itself, they are begun anew, and nobody is told.

use serde_json::json;
use sqlx::postgres::PgConnection;

use crate::stores::database::connect;
use crate::stores::{Back, on, tell};
use crate::support::{Site, ask, code, post, row, until};

/// A stranger with rows of the inbox in his hands, in the order in which a node does not take them.
struct Stranger {
    url: String,
    connection: PgConnection,
}

impl Stranger {
    /// Takes the later of two records.
    async fn with(url: &str, record: i64) -> Self {
        let mut connection = connect(url).await;
        // when two wait for each other, it is not he who gives way
        run(&mut connection, "set deadlock_timeout = '60s'").await;
        run(&mut connection, "begin").await;
        run(&mut connection, &update(record)).await;
        let url = url.to_owned();
        Self { url, connection }
    }

    /// When somebody waits for him, he asks for the earlier one too, which that one has; and lets go when he has got it. How
    /// many deadlocks that has made.
    async fn meet(mut self, record: i64) -> i64 {
        let mut watch = connect(&self.url).await;
        until("somebody waits for the record", async || {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks where not granted
                 and pid in (select pid from pg_stat_activity where datname = current_database())",
            )
            .fetch_one(&mut watch)
            .await
            .unwrap();
            (waiting > 0).then_some(())
        })
        .await;
        run(&mut self.connection, &update(record)).await;
        run(&mut self.connection, "rollback").await;
        until("the server counts a deadlock", async || {
            let count: i64 = sqlx::query_scalar(
                "select deadlocks from pg_stat_database where datname = current_database()",
            )
            .fetch_one(&mut watch)
            .await
            .unwrap();
            (count > 0).then_some(count)
        })
        .await
    }
}

fn update(record: i64) -> String {
    format!("update inbox set raw = raw where seq = {record}")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

/// A node with two refused records; their places in the inbox.
async fn refused() -> (Site, [i64; 2]) {
    let site = Site::start(&[]).await;
    let mut places = [0; 2];
    for (n, place) in (1..).zip(&mut places) {
        let mut bad = row(n);
        bad["NgayTiepNhan"] = json!("30260230000000");
        post(&site.hook("/hooks/one-stop"), &bad).await;
        let held = site.store().held_records(&code(n)).await.unwrap();
        *place = held[0].id.strip_prefix("inbox-").unwrap().parse().unwrap();
    }
    (site, places)
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_that_falls_to_a_deadlock_takes_effect_all_the_same() {
    on(Back::Postgres, async {
        let (site, [first, second]) = refused().await;
        let stranger = Stranger::with(site.store_url(), second).await;
        let letters = [first, second].map(|place| format!("inbox-{place}"));
        let because = ["--reason", "thử", "--by", "lin"];
        let arguments = [
            &["dead-letter", "discard", &letters[0], &letters[1]][..],
            &because,
        ]
        .concat();
        let (ran, deadlocks) = tokio::join!(ask(site.socket(), &arguments), stranger.meet(first));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        assert!(site.store().dead_letters(9).await.unwrap().is_empty(), "{ran:?}");
        tell(&format!(
            "{} · a decision taken through {deadlocks} deadlock",
            site.store().version()
        ));
        site.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_falls_to_a_deadlock_at_its_start_starts_all_the_same() {
    on(Back::Postgres, async {
        let (site, [first, second]) = refused().await;
        let url = site.store_url().to_owned();
        // what an older mapping has refused is tried again at the start
        run(&mut connect(&url).await, "update inbox set mapping = 'older'").await;
        let stranger = Stranger::with(&url, second).await;
        let (site, deadlocks) = tokio::join!(site.restart(|_, _| {}), stranger.meet(first));
        tell(&format!(
            "{} · a start through {deadlocks} deadlock",
            site.store().version()
        ));
        site.stop().await;
    })
    .await;
}
