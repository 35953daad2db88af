//! Acknowledgements that are owed: kept until they were made, and each once.

use std::sync::Arc;

use lienthong::clock::ManualClock;
use lienthong::store::{Owed, Store};
use serde_json::{Value, json};

use super::{at, commit};

async fn owe(store: &dyn Store, operation: &str, records: &[(Value, Option<&str>)]) {
    let records: Vec<_> = records
        .iter()
        .map(|(record, error)| (record.clone(), error.map(str::to_owned)))
        .collect();
    commit(store, async |transaction| {
        transaction.owe("book", operation, &records).await.unwrap();
    })
    .await;
}

async fn owed(store: &dyn Store, operation: &str, seconds: i64) -> Vec<Owed> {
    store.owed("book", operation, at(seconds), 9).await.unwrap()
}

fn records(owed: &[Owed]) -> Vec<Value> {
    owed.iter().map(|owed| owed.record.clone()).collect()
}

pub(super) async fn what_is_owed_is_owed_once_with_its_last_cause_until_it_is_forgotten(store: &dyn Store) {
    let (first, second) = (json!({"id": "a\u{0}", "n": 1}), json!("b"));
    owe(
        store,
        "changes",
        &[(first.clone(), None), (second.clone(), Some("bad-time"))],
    )
    .await;
    owe(
        store,
        "changes",
        &[(json!(3), None), (first.clone(), Some("bad-date"))],
    )
    .await;
    owe(store, "others", &[(second.clone(), None)]).await;

    let all = owed(store, "changes", 0).await;
    let told: Vec<_> = all.iter().map(|owed| owed.error.as_deref()).collect();
    assert_eq!(told, [Some("bad-date"), Some("bad-time"), None]);
    assert_eq!(
        records(&all),
        [first.clone(), second.clone(), json!(3)],
        "oldest first"
    );
    assert_eq!(store.owed("book", "changes", at(0), 2).await.unwrap(), all[..2]);
    assert!(store.owed("desk", "changes", at(0), 9).await.unwrap().is_empty());

    commit(store, async |transaction| {
        transaction.forget_owed(&all[..1]).await.unwrap();
    })
    .await;
    assert_eq!(
        records(&owed(store, "changes", 0).await),
        [second.clone(), json!(3)]
    );
    assert_eq!(records(&owed(store, "others", 0).await), [second]);
}

pub(super) async fn what_was_put_off_comes_at_its_time_and_keeps_it_when_it_is_owed_anew(store: &dyn Store) {
    owe(store, "changes", &[(json!("a"), None), (json!("b"), None)]).await;
    let mut all = owed(store, "changes", 0).await;
    assert_eq!((all[0].failures, all[0].batch_limit), (0, None));
    (all[0].failures, all[0].batch_limit) = (3, Some(1));
    commit(store, async |transaction| {
        transaction.put_off(&all[..1], at(60)).await.unwrap();
    })
    .await;
    owe(store, "changes", &[(json!("a"), None)]).await;
    assert_eq!(records(&owed(store, "changes", 59).await), ["b"]);
    assert_eq!(owed(store, "changes", 60).await, all);
}

pub(super) async fn what_was_put_off_comes_at_once_after_a_start_of_the_machine(store: &dyn Store) {
    owe(store, "changes", &[(json!("a"), None)]).await;
    let all = owed(store, "changes", 0).await;
    commit(store, async |transaction| {
        transaction.put_off(&all, at(60)).await.unwrap();
    })
    .await;
    assert!(owed(store, "changes", 0).await.is_empty());
    store.steady(Arc::new(ManualClock::new(at(0)))).await.unwrap();
    assert_eq!(owed(store, "changes", 0).await, all);
}
