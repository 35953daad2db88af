//! What may be worked on now.

use lienthong::store::{Delivery, Item, State, Store, Wanted};

use super::{at, commit, due, due_of, id, item, outcome, parked, put, save, want, wanted};

/// Dossier `n` and three steps of it; ids of items are in another order than their places.
async fn with_steps(store: &dyn Store, n: u32, now: i64) {
    let step = |ordinal: i64, item: &str| Item {
        adapter: "book".to_owned(),
        push: "step".to_owned(),
        dossier: id(n),
        item: item.to_owned(),
        ordinal,
        version: 1,
        again: false,
    };
    commit(store, async |transaction| {
        transaction.want(&[wanted(n, 1)], at(now)).await.unwrap();
        let steps = [step(2, "b"), step(3, "a"), step(1, "c")];
        transaction.put_items(&steps, at(now)).await.unwrap();
    })
    .await;
}

/// The items that may be worked on, an empty one for a dossier itself.
async fn ready(store: &dyn Store, now: i64) -> Vec<(u32, String)> {
    let (rows, _) = due(store, "book", now, 99).await;
    let number = |row: &Delivery| (1..9).find(|n| id(*n) == row.dossier).unwrap();
    let mut ready: Vec<_> = rows.iter().map(|row| (number(row), row.item.clone())).collect();
    ready.sort();
    ready
}

async fn put_item(store: &dyn Store, n: u32, name: &str, state: State) {
    let row = item(store, n, name).await;
    save(store, outcome(Delivery { state, ..row }), at(0)).await;
}

fn list(rows: &[(u32, &str)]) -> Vec<(u32, String)> {
    rows.iter().map(|(n, item)| (*n, (*item).to_owned())).collect()
}

pub(super) async fn one_row_of_a_dossier_at_a_time(store: &dyn Store) {
    with_steps(store, 1, 0).await;
    with_steps(store, 2, 0).await;
    commit(store, async |transaction| {
        let other = Wanted {
            adapter: "other".to_owned(),
            ..wanted(1, 1)
        };
        let second = Wanted {
            push: "another".to_owned(),
            ..wanted(1, 1)
        };
        transaction.want(&[other, second], at(0)).await.unwrap();
    })
    .await;
    let (rows, _) = due(store, "book", 0, 99).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(
        ready(store, 0).await,
        list(&[(1, ""), (2, "")]),
        "the dossier before its items"
    );
    assert!(rows.iter().all(|row| row.adapter == "book"));
}

pub(super) async fn items_come_in_their_order(store: &dyn Store) {
    with_steps(store, 1, 0).await;
    with_steps(store, 2, 0).await;
    put(store, 1, State::Applied, at(0)).await;
    put(store, 2, State::Applied, at(0)).await;
    assert_eq!(ready(store, 0).await, list(&[(1, "c"), (2, "c")]));
    put_item(store, 1, "c", State::Applied).await;
    assert_eq!(ready(store, 0).await, list(&[(1, "b"), (2, "c")]));
    // an open one before it holds an item back, whatever it is open for
    for open in [
        State::BackingOff { next: at(60) },
        State::Waiting {
            requirement: "x".to_owned(),
            until: None,
        },
        State::InDoubt { until: at(60) },
    ] {
        put_item(store, 1, "b", open).await;
        assert_eq!(ready(store, 0).await, list(&[(2, "c")]));
    }
    assert_eq!(ready(store, 60).await, list(&[(1, "b"), (2, "c")]));
    // one that a person has to see to does not
    put_item(store, 1, "b", parked(true)).await;
    assert_eq!(ready(store, 60).await, list(&[(1, "a"), (2, "c")]));
}

pub(super) async fn doubt_about_a_dossier_holds_back_all_of_it(store: &dyn Store) {
    with_steps(store, 1, 0).await;
    with_steps(store, 2, 0).await;
    put(store, 1, State::InDoubt { until: at(60) }, at(0)).await;
    assert_eq!(ready(store, 59).await, list(&[(2, "")]), "its items wait");
    assert_eq!(
        ready(store, 60).await,
        list(&[(1, ""), (2, "")]),
        "the doubt itself comes first"
    );
    put(store, 1, State::Applied, at(0)).await;
    put_item(store, 1, "c", State::InDoubt { until: at(90) }).await;
    want(store, 1, 2, at(61)).await;
    assert_eq!(
        ready(store, 89).await,
        list(&[(2, "")]),
        "the dossier waits for its item"
    );
    assert_eq!(ready(store, 90).await.len(), 2);
    // a doubt at another target is no matter of this one
    commit(store, async |transaction| {
        let other = Wanted {
            adapter: "other".to_owned(),
            ..wanted(2, 1)
        };
        transaction.want(&[other], at(0)).await.unwrap();
    })
    .await;
    let elsewhere = store
        .deliveries_of(id(2))
        .await
        .unwrap()
        .into_iter()
        .find(|row| row.adapter == "other");
    let doubt = State::InDoubt { until: at(500) };
    save(
        store,
        outcome(Delivery {
            state: doubt,
            ..elsewhere.unwrap()
        }),
        at(0),
    )
    .await;
    assert!(ready(store, 90).await.contains(&(2, String::new())));
}

pub(super) async fn times_are_kept_and_the_next_one_is_told(store: &dyn Store) {
    let states = [
        State::BackingOff { next: at(30) },
        State::Waiting {
            requirement: "code".to_owned(),
            until: Some(at(20)),
        },
        State::InDoubt { until: at(40) },
        State::Waiting {
            requirement: "after dossier".to_owned(),
            until: None,
        },
        State::Applied,
        parked(false),
        State::Skipped {
            reason: "x".to_owned(),
        },
        State::Discarded {
            reason: "x".to_owned(),
        },
    ];
    for (n, state) in (1..).zip(states) {
        want(store, n, 1, at(0)).await;
        put(store, n, state, at(0)).await;
    }
    let told = async |now: i64| due(store, "book", now, 99).await.1;
    assert_eq!(
        (ready(store, 19).await, told(19).await),
        (list(&[]), Some(at(20)))
    );
    assert_eq!(
        (ready(store, 20).await, told(20).await),
        (list(&[(2, "")]), Some(at(30)))
    );
    assert_eq!(
        (ready(store, 30).await, told(30).await),
        (list(&[(1, ""), (2, "")]), Some(at(40)))
    );
    assert_eq!(
        (ready(store, 40).await, told(40).await),
        (list(&[(1, ""), (2, ""), (3, "")]), None)
    );
    assert_eq!(due(store, "other", 0, 99).await.1, None);
}

pub(super) async fn oldest_rows_come_first_and_not_more_than_asked_for(store: &dyn Store) {
    for (n, now) in [(1, 30), (2, 10), (3, 20)] {
        want(store, n, 1, at(now)).await;
    }
    // asked for again: it keeps its place
    want(store, 2, 2, at(40)).await;
    let (rows, _) = due(store, "book", 50, 2).await;
    let order: Vec<_> = rows.iter().map(|row| row.dossier).collect();
    assert_eq!(order, [id(2), id(3)]);
}

pub(super) async fn rows_of_other_pushes_are_not_hidden_by_what_is_not_asked_for(store: &dyn Store) {
    commit(store, async |transaction| {
        // an older row of the same dossier, whose push has the first name
        let another = |n: u32| Wanted {
            push: "another".to_owned(),
            ..wanted(n, 1)
        };
        transaction.want(&[another(1), another(2)], at(0)).await.unwrap();
        transaction.want(&[wanted(1, 1)], at(9)).await.unwrap();
    })
    .await;
    let asked = async |pushes: &[&str], limit: u32| {
        let (rows, _) = due_of(store, "book", pushes, 9, limit).await;
        let rows = rows.into_iter().map(|row| (row.push, row.dossier));
        rows.collect::<Vec<_>>()
    };
    let of = |push: &str, n: u32| (push.to_owned(), id(n));
    assert_eq!(asked(&["dossier"], 1).await, [of("dossier", 1)]);
    assert_eq!(asked(&["another"], 9).await, [of("another", 1), of("another", 2)]);
    assert_eq!(
        asked(&["another", "dossier"], 9).await,
        [of("another", 1), of("another", 2)]
    );
    assert_eq!(asked(&[], 9).await, []);
    // a doubt about a dossier holds back all pushes, asked for or not
    put(store, 1, State::InDoubt { until: at(60) }, at(9)).await;
    assert_eq!(asked(&["another"], 9).await, [of("another", 2)]);
}

pub(super) async fn mates_are_the_next_items_up_to_one_whose_time_has_not_come(store: &dyn Store) {
    with_steps(store, 1, 0).await;
    with_steps(store, 2, 0).await;
    let step = |ordinal: i64, item: &str, push: &str| Item {
        adapter: "book".to_owned(),
        push: push.to_owned(),
        dossier: id(1),
        item: item.to_owned(),
        ordinal,
        version: 1,
        again: false,
    };
    commit(store, async |transaction| {
        let more = [
            step(4, "d", "step"),
            step(5, "e", "step"),
            step(2, "z", "another"),
        ];
        transaction.put_items(&more, at(0)).await.unwrap();
    })
    .await;
    let mates = async |name: &str, now: i64, limit: u32| {
        let row = item(store, 1, name).await;
        let mates = store.mates(&row, at(now), limit).await.unwrap();
        mates.into_iter().map(|row| row.item).collect::<Vec<_>>()
    };
    assert_eq!(
        mates("c", 0, 9).await,
        ["b", "a", "d", "e"],
        "in their order, of one push and dossier"
    );
    assert_eq!(mates("c", 0, 2).await, ["b", "a"]);
    assert_eq!(mates("a", 0, 9).await, ["d", "e"], "none of those before it");
    // what is done or left to a person is no hindrance, and no mate
    put_item(store, 1, "b", State::Applied).await;
    put_item(store, 1, "a", parked(true)).await;
    assert_eq!(mates("c", 0, 9).await, ["d", "e"]);
    for open in [
        State::BackingOff { next: at(60) },
        State::InDoubt { until: at(60) },
        State::Waiting {
            requirement: "code".to_owned(),
            until: Some(at(60)),
        },
    ] {
        put_item(store, 1, "d", open).await;
        assert_eq!(mates("c", 59, 9).await, [""; 0], "they come in their order");
        assert_eq!(mates("c", 60, 9).await, ["d", "e"]);
    }
    let forever = State::Waiting {
        requirement: "after dossier".to_owned(),
        until: None,
    };
    put_item(store, 1, "d", forever).await;
    assert_eq!(mates("c", 999, 9).await, [""; 0]);
}
