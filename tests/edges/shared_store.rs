//! What only a store that several nodes can share has to promise: what it refuses, and who may do what.

mod fallen;
mod hot;
mod late;
mod refused;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use lienthong::dossier::{DossierId, Origin};
use lienthong::store::{self, Claim, Delivery, Look, Outcome, State, Store, Wanted};

use crate::stores::{Back, Database, on, tell};
use crate::support::{Province, cli, code, until};

fn now() -> Timestamp {
    "2026-03-06T02:00:00Z".parse().unwrap()
}

fn origin(n: u32) -> Origin {
    Origin::new("one-stop", &code(n))
}

fn id(n: u32) -> DossierId {
    origin(n).id()
}

async fn refusal(url: &str) -> String {
    match store::open(url).await {
        Err(refusal) => refusal.to_string(),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn node_with_a_broker_of_its_own_shares_its_store_with_nobody() {
    let database = Database::create().await;
    let open = async || store::open(&database.url()).await.unwrap();
    let (first, second) = (open().await, open().await);
    first.take(true).await.unwrap();
    for alone in [true, false] {
        let said = second.take(alone).await.unwrap_err().to_string();
        assert!(
            said.contains("another node works on") && said.contains("loopback:"),
            "{said}"
        );
    }
    // its death frees it
    drop(first);
    until("the store is free", async || second.take(false).await.ok()).await;
    let third = open().await;
    third.take(false).await.unwrap();
    assert!(open().await.take(true).await.is_err(), "others are on it");
}

/// The rows that a worker gets.
async fn due(store: &dyn Store, holder: &str, at: Timestamp) -> Vec<Delivery> {
    let look = Look {
        pushes: vec!["dossier", "status"],
        most: 99,
    };
    let claim = Claim {
        holder,
        until: at + Duration::from_mins(1),
    };
    store.due("book", &[look], &claim, at).await.unwrap().0
}

/// Opens an intent for each; the dossiers of those that were written.
async fn intend(store: &dyn Store, holder: &str, rows: &[Delivery], at: Timestamp) -> Vec<DossierId> {
    let outcome = |row: &Delivery| Outcome {
        version: row.desired,
        fence: row.attempt,
        intended: true,
        row: Delivery {
            attempt: row.attempt + 1,
            holder: Some(holder.to_owned()),
            state: State::InDoubt {
                until: at + Duration::from_mins(10),
            },
            ..row.clone()
        },
    };
    let outcomes: Vec<Outcome> = rows.iter().map(outcome).collect();
    let dossiers: Vec<DossierId> = rows.iter().map(|row| row.dossier).collect();
    let mut transaction = store.begin().await.unwrap();
    transaction.lock(&dossiers, &[]).await.unwrap();
    let written = transaction.save(&outcomes, at).await.unwrap();
    transaction.commit().await.unwrap();
    written.into_iter().map(|(dossier, _, _)| dossier).collect()
}

/// Two pushes of each dossier should bring its first version.
async fn want(store: &dyn Store, dossiers: u32) {
    let wanted = |n, push: &str| Wanted {
        adapter: "book".to_owned(),
        push: push.to_owned(),
        dossier: id(n),
        version: 1,
        own: false,
    };
    let wanted: Vec<Wanted> = (1..=dossiers)
        .flat_map(|n| [wanted(n, "dossier"), wanted(n, "status")])
        .collect();
    let mut transaction = store.begin().await.unwrap();
    transaction.want(&wanted, now()).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_on_many_nodes_one_opens_an_intent_for_each_dossier() {
    let database = Database::create().await;
    let nodes = join_all((0..4).map(|_| async { store::open(&database.url()).await.unwrap() })).await;
    want(&*nodes[0], 40).await;
    let work = async |worker: usize| {
        let (store, holder) = (&*nodes[worker % nodes.len()], format!("worker {worker}"));
        let rows = due(store, &holder, now()).await;
        intend(store, &holder, &rows, now()).await
    };
    let all: Vec<DossierId> = join_all((0..16).map(work)).await.into_iter().flatten().collect();
    let once: HashSet<DossierId> = all.iter().copied().collect();
    assert_eq!(
        (all.len(), once.len()),
        (40, 40),
        "two rows of a dossier are not worked on at once"
    );
}

#[tokio::test]
async fn worker_that_slept_through_its_claim_opens_no_intent_any_more() {
    let database = Database::create().await;
    let store = store::open(&database.url()).await.unwrap();
    want(&*store, 1).await;
    let first = due(&*store, "first", now()).await;
    assert!(
        due(&*store, "second", now()).await.is_empty(),
        "it is the first one's"
    );
    let later = now() + Duration::from_secs(61);
    let second = due(&*store, "second", later).await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(intend(&*store, "first", &first, later).await.is_empty());
    assert_eq!(intend(&*store, "second", &second, later).await, [id(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_daemon_on_the_same_database_is_refused_and_goes_on_when_the_first_has_died() {
    on(Back::Postgres, async {
        let province = Province::new(&[]);
        let mut first = province.start().await;
        let mut second = province.spawn();
        assert_eq!(second.end().await.code(), Some(2), "{}", second.log());
        let log = second.log();
        assert!(log.contains("another node works on test_"), "{log}");
        assert!(log.contains("address of a broker in place of loopback:"), "{log}");
        let status = cli(&province.socket(), &["status"]).await;
        assert_eq!(status["adapters"][0]["name"], "one-stop", "the first goes on");
        first.kill();
        let second = province.start().await;
        let log = second.log();
        let version = status["store"].as_str().unwrap();
        assert!(
            version.starts_with("PostgreSQL ") && log.contains(version),
            "{log}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_nobody_ends_keep_the_others_waiting_for_a_while_and_not_for_ever() {
    let database = Database::create().await;
    let store = store::open(&database.url()).await.unwrap();
    let held = join_all((0..12).map(|_| async { store.begin().await.unwrap() })).await;
    let told = store.begin().await.err().unwrap().to_string();
    assert!(told.contains("pool timed out"), "{told}");
    let kept = held.len();
    drop(held);
    until("there is a connection again", async || store.begin().await.ok()).await;
    tell(&format!(
        "{}: {kept} transactions left open, 1 waited in vain",
        store.version()
    ));
}
