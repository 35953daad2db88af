//! Limits on what may be done in a time.

use jiff::Timestamp;
use lienthong::store::{Quota, Store};

fn quota(name: &str, limit: u32, until: i64) -> Quota {
    Quota {
        name: name.to_owned(),
        limit,
        until: Timestamp::from_second(until).unwrap(),
    }
}

async fn spend(store: &dyn Store, adapter: &str, quotas: &[Quota]) -> Option<usize> {
    let mut transaction = store.begin().await.unwrap();
    let spent = transaction.spend(adapter, quotas).await.unwrap();
    transaction.commit().await.unwrap();
    spent
}

pub(super) async fn limit_counts_up_to_its_end_for_each_adapter_and_name(store: &dyn Store) {
    let two = [quota("a", 2, 100)];
    assert_eq!(spend(store, "one", &two).await, None);
    assert_eq!(spend(store, "one", &two).await, None);
    assert_eq!(spend(store, "one", &two).await, Some(0));
    assert_eq!(spend(store, "other", &two).await, None);
    assert_eq!(spend(store, "one", &[quota("b", 2, 100)]).await, None);
    assert_eq!(
        spend(store, "one", &[quota("a", 2, 200)]).await,
        None,
        "its next time has begun"
    );
    // the clock was set back
    assert_eq!(spend(store, "one", &two).await, None);
    assert_eq!(
        spend(store, "one", &two).await,
        Some(0),
        "that gives nothing anew"
    );
    assert_eq!(spend(store, "one", &[]).await, None);
}

pub(super) async fn what_one_limit_refuses_uses_up_no_other(store: &dyn Store) {
    let both = [quota("all", 3, 100), quota("officer", 1, 100)];
    assert_eq!(spend(store, "one", &both).await, None);
    for _ in 0..5 {
        assert_eq!(spend(store, "one", &both).await, Some(1));
    }
    let other = [quota("all", 3, 100), quota("other officer", 9, 100)];
    assert_eq!(spend(store, "one", &other).await, None);
    assert_eq!(spend(store, "one", &other).await, None);
    assert_eq!(spend(store, "one", &other).await, Some(0));
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(
        transaction.spend("one", &[quota("c", 1, 100)]).await.unwrap(),
        None
    );
    drop(transaction);
    assert_eq!(
        spend(store, "one", &[quota("c", 1, 100)]).await,
        None,
        "nothing was counted without a commit"
    );
}

pub(super) async fn counts_are_forgotten_two_days_after_their_window(store: &dyn Store) {
    const DAY: i64 = 24 * 60 * 60;
    let officer = [quota("officer", 1, 100)];
    for (later, forgotten) in [(DAY, false), (3 * DAY, true)] {
        spend(store, "one", &officer).await;
        assert_eq!(spend(store, "one", &officer).await, Some(0));
        spend(store, "one", &[quota("other officer", 1, 100 + later)]).await;
        spend(store, "other", &[quota("another system", 1, 100 + 9 * DAY)]).await;
        // by a clock that was set back
        let again = spend(store, "one", &officer).await;
        assert_eq!(again.is_none(), forgotten, "{later} seconds later");
    }
}
