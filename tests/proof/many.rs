//! Very many dead letters: they cost disk, and neither memory nor the time of those who are well.

use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use crate::cell::Blow;
use crate::node::Node;
use crate::oracle::asked::Class;
use crate::oracle::source::record;
use crate::stores::database;
use crate::support::until;
use crate::world::{Design, World};

/// So many records that nobody could take.
const LETTERS: i64 = 25_000;

/// How long each of them is, in bytes: half a gigabyte all together.
const LENGTH: usize = 20_000;

/// So many of them are tried again at least, a small part of a day's worth.
const TRIED_AGAIN: i64 = 1_000;

/// What the daemon may hold of memory at any time, in KiB: twice of what an idle one built for debugging has.
const MOST: u64 = 150 * 1024;

/// Lays copies of the one refused record beside it, each a little different.
async fn multiply(node: &Node) {
    let written = if node.store().starts_with("sqlite") {
        let options = SqliteConnectOptions::new()
            .filename(node.folder().join("lienthong.db"))
            .busy_timeout(Duration::from_mins(1));
        let mut store = SqliteConnection::connect_with(&options).await.unwrap();
        let copies =
            copies("with recursive number(n) as (select 1 union all select n + 1 from number where n < ?1)");
        let written = sqlx::query(AssertSqlSafe(copies))
            .bind(LETTERS - 1)
            .execute(&mut store)
            .await
            .unwrap();
        store.close().await.unwrap();
        written.rows_affected()
    } else {
        let mut store = database::connect(node.store()).await;
        let copies = copies("with number(n) as (select generate_series(1::bigint, $1::bigint))");
        let written = sqlx::query(AssertSqlSafe(copies))
            .bind(LETTERS - 1)
            .execute(&mut store)
            .await
            .unwrap();
        store.close().await.unwrap();
        written.rows_affected()
    };
    assert_eq!(i64::try_from(written), Ok(LETTERS - 1));
}

/// The statement that writes a copy for each of these numbers.
fn copies(numbers: &str) -> String {
    format!(
        "{numbers}
         insert into inbox (adapter, operation, observed_ms, raw_hash, raw, state, cause, code, mapping)
         select adapter, operation, observed_ms + n, raw_hash || n, replace(raw, '\"pad\":\"', '\"pad\":\"' || n), state,
                cause, code, mapping
         from inbox, number where state = 'refused'"
    )
}

/// Records in this state.
async fn records(node: &Node, wanted: &str) -> i64 {
    let status = until("the daemon answers", async || node.status().await)
        .await
        .unwrap();
    let rows = status.counts.inbox.iter();
    rows.filter(|(_, state, _)| state == wanted)
        .map(|(_, _, count)| *count)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_gigabyte_of_dead_letters_costs_no_memory_and_holds_up_nobody() {
    let mut world = World::start(Design::sound(1, Class::Keyed)).await.unwrap();
    world.source.tell(1, 1, 0).await.unwrap();
    let mut bad = record(2, 1, 0);
    bad["id"] = json!([2]);
    bad["pad"] = json!("đ".repeat(LENGTH / 2));
    assert_eq!(world.source.say(&bad).await.as_deref(), Ok("refused"));
    world.node.rest().await.unwrap();
    world.node.strike(Blow::Kill);
    multiply(&world.node).await;
    until("the daemon is started again", async || {
        world.node.look_after().await.unwrap().then_some(())
    })
    .await
    .unwrap();
    assert_eq!(records(&world.node, "refused").await, LETTERS);

    let mut again = world.node.cli(&["dead-letter", "retry", "--system", "source"]);
    // Those that are tried again are refused again, as new rows of the list; meanwhile others go their way.
    let mut told = 2;
    until("many were tried again", async || {
        told += 1;
        world.source.tell(told, 1, 0).await.unwrap();
        let log = world.node.log();
        (i64::try_from(log.matches("record refused").count()).unwrap() > TRIED_AGAIN).then_some(())
    })
    .await
    .unwrap();
    again.kill();
    assert!(told > 10, "others spoke meanwhile: {told}");
    world.recover().await.unwrap();
    let (refused, waiting) = (
        records(&world.node, "refused").await,
        records(&world.node, "waiting").await,
    );
    assert_eq!(refused + waiting, LETTERS, "none is lost");
    let peak = world.node.peak_memory();
    eprintln!(
        "{LETTERS} dead letters of {LENGTH} bytes: {peak} KiB of memory at most, {told} others told meanwhile"
    );
    assert!(peak < MOST, "{peak} KiB of memory");
    let left = world.end().await.unwrap();
    assert_eq!(left.violations(), []);
}
