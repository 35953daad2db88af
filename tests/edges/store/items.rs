//! Rows of items.

use lienthong::store::{Delivery, Item, State, Store};

use super::{at, commit, id, item, outcome, parked, save};

fn step(n: u32, ordinal: i64, version: i64, again: bool) -> Item {
    Item {
        adapter: "book".to_owned(),
        push: "step".to_owned(),
        dossier: id(n),
        item: format!("s{ordinal}"),
        ordinal,
        version,
        again,
    }
}

async fn add(store: &dyn Store, items: &[Item], now: i64) {
    commit(store, async |transaction| {
        transaction.put_items(items, at(now)).await.unwrap();
    })
    .await;
}

pub(super) async fn items_are_added_once_and_tried_again_where_that_helps(store: &dyn Store) {
    let waiting = State::Waiting {
        requirement: "after dossier".to_owned(),
        until: None,
    };
    let skipped = State::Skipped {
        reason: "gone".to_owned(),
    };
    let discarded = State::Discarded {
        reason: "by hand".to_owned(),
    };
    // the state, what it is where the target takes an item once, and where it takes it again
    let table = [
        (State::Due, State::Due, State::Due),
        (State::Applied, State::Applied, State::Due),
        (waiting.clone(), waiting.clone(), waiting),
        (
            State::InDoubt { until: at(90) },
            State::InDoubt { until: at(90) },
            State::InDoubt { until: at(90) },
        ),
        (
            State::BackingOff { next: at(90) },
            State::BackingOff { next: at(90) },
            State::BackingOff { next: at(90) },
        ),
        (parked(false), State::Due, State::Due),
        (parked(true), parked(true), parked(true)),
        (skipped, State::Due, State::Due),
        (discarded.clone(), discarded.clone(), discarded),
    ];
    for (n, (state, once, again)) in (1..).zip(table) {
        for (takes_again, expected) in [(false, once), (true, again)] {
            let n = n * 2 + u32::from(takes_again);
            add(store, &[step(n, 1, 1, takes_again)], 0).await;
            let row = item(store, n, "s1").await;
            assert_eq!((&row.state, row.desired, row.ordinal), (&State::Due, 1, 1));
            save(
                store,
                outcome(Delivery {
                    state: state.clone(),
                    ..row
                }),
                at(1),
            )
            .await;
            add(
                store,
                &[step(n, 1, 2, takes_again), step(n, 2, 2, takes_again)],
                2,
            )
            .await;
            let rows = store.deliveries_of(id(n)).await.unwrap();
            assert_eq!(rows.len(), 2, "one row for an item");
            assert_eq!(rows[0].state, expected, "{state:?}, taken again: {takes_again}");
            assert_eq!(rows[1].state, State::Due);
        }
    }
}

pub(super) async fn item_that_is_there_takes_the_place_that_it_has_now(store: &dyn Store) {
    for (n, again) in [(1, false), (2, true)] {
        let late = |ordinal| Item {
            item: "late".to_owned(),
            ..step(n, ordinal, 2, again)
        };
        add(store, &[step(n, 1, 1, again)], 0).await;
        let moved = Item {
            item: "s1".to_owned(),
            ..step(n, 2, 2, again)
        };
        add(store, &[late(1), moved], 1).await;
        let rows = store.deliveries_of(id(n)).await.unwrap();
        let places: Vec<(&str, i64)> = rows.iter().map(|row| (row.item.as_str(), row.ordinal)).collect();
        assert_eq!(places, [("late", 1), ("s1", 2)], "taken again: {again}");
    }
}
