//! An event that the node dies of, on the real services: the process is killed in the middle of merging it, whenever it comes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::stores::database::connect;
use crate::support::{Daemon, MANIFEST, Province, Target, cli, code, post, row, until};

/// What the summary of the dossier says whose merge nobody survives.
const POISON: &str = "độc dược";

/// A number of a lock that nobody else has.
const LOCK: i64 = 770_077;

on_rabbitmq_too! {
    event_that_nodes_are_killed_in_is_a_dead_letter_after_the_limit_and_takes_no_other_along
}

/// Whoever merges the poison stands still in the middle of it, as long as this connection lives.
async fn lay_trap(store: &str) -> PgConnection {
    let mut trap = connect(store).await;
    let sql = format!(
        "create function trap() returns trigger language plpgsql as $$
         begin
             if new.body like '%{POISON}%' then perform pg_advisory_xact_lock({LOCK}); end if;
             return new;
         end $$;
         create trigger trap before insert on journal for each row execute function trap();
         select pg_advisory_lock({LOCK})"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut trap)
        .await
        .unwrap();
    trap
}

/// The process of the server that stands still there.
async fn caught(trap: &mut PgConnection) -> Option<i32> {
    sqlx::query_scalar(
        "select pid from pg_locks where locktype = 'advisory' and objid::bigint = $1 and not granted",
    )
    .bind(LOCK)
    .fetch_optional(trap)
    .await
    .unwrap()
}

/// SIGKILL, and the server notices at once.
async fn kill(daemon: &mut Daemon, trap: &mut PgConnection, caught: i32) {
    daemon.kill();
    sqlx::query("select pg_terminate_backend($1)")
        .bind(caught)
        .execute(&mut *trap)
        .await
        .unwrap();
    until("the server has let go", async || {
        self::caught(trap).await.is_none().then_some(())
    })
    .await;
}

async fn event_that_nodes_are_killed_in_is_a_dead_letter_after_the_limit_and_takes_no_other_along() {
    const NEIGHBOURS: std::ops::RangeInclusive<u32> = 2..=10;
    // The broker brings it twenty-one times, then it is tried three times alone.
    const LIMIT: usize = 24;
    let target = Target::start().await;
    let province = Province::new(&[("register", Some(MANIFEST), &target.url)]);
    let mut daemon = province.start().await;
    let mut trap = lay_trap(province.store_url()).await;
    let mut poison = row(1);
    poison["TrichYeuHoSo"] = json!(POISON);
    assert_eq!(post(&daemon.hook, &poison).await.0, 200);
    let mut held = until("the poison is being merged", async || caught(&mut trap).await).await;
    for n in NEIGHBOURS {
        assert_eq!(post(&daemon.hook, &row(n)).await.0, 200);
    }
    until("all have been published", async || {
        let status = cli(&province.socket(), &["status"]).await;
        (status["counts"]["outbox"] == 0).then_some(())
    })
    .await;

    let mut deaths = 0;
    let letters = loop {
        kill(&mut daemon, &mut trap, held).await;
        deaths += 1;
        assert!(deaths <= LIMIT, "it goes on for ever");
        daemon = province.start().await;
        let next = until("the poison comes again, or is a dead letter", async || {
            if let Some(held) = caught(&mut trap).await {
                return Some(Ok(held));
            }
            let letters = cli(&province.socket(), &["dead-letter", "list"]).await;
            (letters != json!([])).then_some(Err(letters))
        });
        match next.await {
            Ok(next) => held = next,
            Err(letters) => break letters,
        }
    };
    let causes: Vec<&Value> = letters
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| &letter["cause"]["code"])
        .collect();
    assert_eq!(causes, ["crashed-consumer"]);
    assert_eq!(deaths, LIMIT);
    let neighbours: BTreeMap<String, usize> = NEIGHBOURS.map(|n| (code(n), 1)).collect();
    until("the neighbours arrive", async || {
        (target.counts().len() >= neighbours.len()).then_some(())
    })
    .await;
    assert_eq!(target.counts(), neighbours);
    assert!(
        daemon.is_running() && caught(&mut trap).await.is_none(),
        "it comes no more"
    );

    // Once its cause is mended, a person has it tried again.
    let mend = "drop trigger trap on journal";
    sqlx::raw_sql(mend).execute(&mut trap).await.unwrap();
    trap.close().await.unwrap();
    let id = letters[0]["id"].as_str().unwrap();
    cli(
        &province.socket(),
        &["dead-letter", "retry", id, "--by", "cán bộ trực"],
    )
    .await;
    until("it arrives", async || target.counts().get(&code(1)).copied()).await;
    daemon.rest().await;
    assert!(
        target.counts().values().all(|count| *count == 1),
        "{:?}",
        target.counts()
    );
    daemon
        .tell(&format!(
            "{deaths} deaths in the merge of one event, 1 dead letter, 9 neighbours arrived"
        ))
        .await;
}
