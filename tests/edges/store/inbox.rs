//! Kept records that are taken in anew: which, when, and what becomes of them.

use jiff::Timestamp;
use std::sync::Arc;

use lienthong::clock::ManualClock;
use lienthong::store::{
    CLOCK_AHEAD, CREATE_OPEN, Come, Delivery, EVENT, InboxRow, InboxState, ORPHAN, Said, State, Store, Taken,
    UNKNOWN_ADAPTER,
};

use super::records::{record, refused};
use super::{at, code, commit, id, outcome, parked, row, save, want};

fn waiting(raw: &str, reason: &str) -> InboxRow {
    record(raw, InboxState::Waiting(reason.to_owned()))
}

async fn keep(store: &dyn Store, rows: &[InboxRow]) {
    commit(store, async |transaction| {
        transaction.put_inbox(rows).await.unwrap();
    })
    .await;
}

/// The raw records that are to be taken in anew.
async fn again(store: &dyn Store, said: Said, now: Timestamp) -> Vec<String> {
    let kept = store.records_again(said, now, 99).await.unwrap();
    kept.into_iter().map(|record| record.raw).collect()
}

async fn release(store: &dyn Store, adapter: &str, reason: &'static str, code: Option<String>) {
    let released = Come {
        adapter: adapter.to_owned(),
        reason,
        code,
    };
    commit(store, async |transaction| {
        transaction.release_records(&[released]).await.unwrap();
    })
    .await;
}

/// State and cause of every record, in the order of their coming.
async fn states(store: &dyn Store) -> Vec<(String, i64)> {
    let counts = store.counts().await.unwrap();
    counts
        .inbox
        .into_iter()
        .map(|(adapter, state, count)| (format!("{adapter} {state}"), count))
        .collect()
}

pub(super) async fn records_are_released_by_what_they_wait_for(store: &dyn Store) {
    let of = |n: u32, row: InboxRow| InboxRow {
        code: Some(code(n)),
        ..row
    };
    let elsewhere = InboxRow {
        adapter: "other".to_owned(),
        ..of(1, waiting("elsewhere", ORPHAN))
    };
    keep(
        store,
        &[
            of(1, waiting("first", ORPHAN)),
            of(2, waiting("second", ORPHAN)),
            elsewhere,
            of(1, waiting("create", CREATE_OPEN)),
            of(1, record("taken", InboxState::Mapped)),
            of(1, refused("refused")),
            waiting("no code", ORPHAN),
        ],
    )
    .await;
    let empty: [&str; 0] = [];
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(0)).await,
        empty
    );
    release(store, "one-stop", ORPHAN, Some(code(1))).await;
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(0)).await,
        ["first"]
    );
    release(store, "one-stop", CREATE_OPEN, None).await;
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(0)).await,
        ["first", "create"]
    );
    // whatever its code is
    release(store, "one-stop", ORPHAN, None).await;
    let all = ["first", "second", "create", "no code"];
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(0)).await,
        all,
        "in the order of their coming"
    );
    let some = store
        .records_again(Said::BySystem("one-stop".to_owned()), at(0), 2)
        .await
        .unwrap();
    assert_eq!(some.len(), 2);
    assert_eq!(
        (some[0].adapter.as_str(), some[0].operation.as_str()),
        ("one-stop", "webhook.dossier")
    );
    assert_eq!(some[0].observed, at(0));
}

pub(super) async fn records_that_wait_for_a_time_come_at_that_time(store: &dyn Store) {
    let ahead = |raw: &str, until: i64, operation: &str| InboxRow {
        until: Some(at(until)),
        operation: operation.to_owned(),
        ..waiting(raw, CLOCK_AHEAD)
    };
    keep(
        store,
        &[
            ahead("event", 30, EVENT),
            ahead("later", 60, EVENT),
            ahead("native", 30, "webhook.dossier"),
        ],
    )
    .await;
    let empty: [&str; 0] = [];
    assert_eq!(again(store, Said::ByNodes, at(29)).await, empty);
    assert_eq!(again(store, Said::ByNodes, at(30)).await, ["event"]);
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(30)).await,
        ["native"],
        "each by whom it was said"
    );
    assert_eq!(again(store, Said::ByNodes, at(60)).await, ["event", "later"]);
}

pub(super) async fn settled_record_is_what_became_of_it_and_comes_no_more(store: &dyn Store) {
    let kept = InboxRow {
        code: Some(code(1)),
        until: Some(at(5)),
        ..waiting("{1}", UNKNOWN_ADAPTER)
    };
    keep(store, &[kept, refused("{2}")]).await;
    let [first] = store
        .records_again(Said::BySystem("one-stop".to_owned()), at(5), 9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    // what is read anew has no word of raw record and observation: they stay
    let settled = InboxRow {
        raw: String::new(),
        raw_hash: String::new(),
        observed: at(99),
        dossier: Some(id(1)),
        mapping: "v2".to_owned(),
        ..refused("")
    };
    commit(store, async |transaction| {
        transaction
            .settle_records(&[(first.seq, settled), (999, refused("nowhere"))])
            .await
            .unwrap();
    })
    .await;
    let empty: [&str; 0] = [];
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(99)).await,
        empty
    );
    let letters = store.dead_letters(9).await.unwrap();
    assert_eq!(letters.len(), 2);
    let (letter, raw) = store
        .dead_letter(&format!("inbox-{}", first.seq))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((letter.since, raw.as_deref()), (at(0), Some("{1}")));
    assert_eq!(letter.dossier, Some(code(1)), "its code is still known");
}

pub(super) async fn record_that_is_listed_already_is_not_listed_twice_when_it_is_settled(store: &dyn Store) {
    let bad = || InboxRow {
        code: Some(code(1)),
        ..refused("{1}")
    };
    keep(store, &[bad()]).await;
    commit(store, async |transaction| {
        transaction.release_judged("one-stop", "v2", at(0)).await.unwrap();
        // meanwhile a newer record of its code is taken, and then the same bad one comes anew
        let taken = Taken {
            adapter: "one-stop".to_owned(),
            code: code(1),
            raw_hash: "newer".to_owned(),
        };
        transaction.close_refused(&[taken]).await.unwrap();
        transaction.put_inbox(&[bad()]).await.unwrap();
    })
    .await;
    let kept = store
        .records_again(Said::BySystem("one-stop".to_owned()), at(0), 9)
        .await
        .unwrap();
    let seqs: Vec<i64> = kept.iter().map(|record| record.seq).collect();
    assert_eq!(seqs.len(), 1);
    commit(store, async |transaction| {
        transaction.settle_records(&[(seqs[0], bad())]).await.unwrap();
    })
    .await;
    assert_eq!(store.dead_letters(9).await.unwrap().len(), 1);
    assert!(
        store
            .records_again(Said::BySystem("one-stop".to_owned()), at(0), 9)
            .await
            .unwrap()
            .is_empty()
    );
    let expected = [
        ("one-stop ignored".to_owned(), 1),
        ("one-stop refused".to_owned(), 1),
    ];
    assert_eq!(states(store).await, expected);
}

pub(super) async fn newer_mapping_releases_what_an_older_one_judged_and_nothing_else(store: &dyn Store) {
    let event = InboxRow {
        operation: EVENT.to_owned(),
        mapping: String::new(),
        ..refused("event")
    };
    let elsewhere = InboxRow {
        adapter: "other".to_owned(),
        ..refused("elsewhere")
    };
    let judged = InboxRow {
        mapping: "v2".to_owned(),
        ..refused("judged by v2")
    };
    let rows = [
        refused("judged by v1"),
        judged,
        event,
        elsewhere,
        waiting("orphan", ORPHAN),
    ];
    keep(store, &rows).await;
    // state, who judged it, and whether version 2 tries it again
    let deliveries = [
        (parked(false), Some("v1"), true),
        (parked(false), Some("v2"), false),
        (parked(false), None, false),
        (parked(true), Some("v1"), false),
        (State::BackingOff { next: at(90) }, Some("v1"), false),
    ];
    for (n, (state, judge, _)) in (1..).zip(deliveries.clone()) {
        want(store, n, 1, at(0)).await;
        let row = Delivery {
            state,
            judged_by: judge.map(str::to_owned),
            ..row(store, n).await
        };
        save(store, outcome(row), at(1)).await;
    }
    commit(store, async |transaction| {
        let none = transaction.release_judged("nobody", "v2", at(2)).await.unwrap();
        let released = transaction.release_judged("book", "v2", at(2)).await.unwrap();
        let records = transaction.release_judged("one-stop", "v2", at(2)).await.unwrap();
        assert_eq!((none, released, records), (0, 1, 1));
    })
    .await;
    assert_eq!(
        again(store, Said::BySystem("one-stop".to_owned()), at(2)).await,
        ["judged by v1"]
    );
    assert!(again(store, Said::ByNodes, at(2)).await.is_empty());
    for (n, (state, judge, released)) in (1..).zip(deliveries) {
        let after = row(store, n).await;
        if released {
            assert_eq!(
                (after.state, after.judged_by, after.due),
                (State::Due, None, at(2))
            );
        } else {
            assert_eq!((after.state, after.judged_by.as_deref()), (state, judge));
        }
    }
}

pub(super) async fn waits_count_their_full_length_again_after_a_start_of_the_machine(store: &dyn Store) {
    let requirement = |until: Option<i64>| State::Waiting {
        requirement: "code".to_owned(),
        until: until.map(at),
    };
    let states = [
        (
            State::InDoubt { until: at(110) },
            State::InDoubt { until: at(600) },
        ),
        (
            State::BackingOff { next: at(30) },
            State::BackingOff { next: at(520) },
        ),
        (requirement(Some(70)), requirement(Some(560))),
        (requirement(None), requirement(None)),
        (State::Due, State::Due),
        (parked(true), parked(true)),
    ];
    for (n, (state, _)) in (1..).zip(states.clone()) {
        want(store, n, 1, at(0)).await;
        let row = Delivery {
            state,
            ..row(store, n).await
        };
        save(store, outcome(row), at(10)).await;
    }
    let clock = ManualClock::new(at(500));
    let set = store.steady(Arc::new(clock.clone())).await.unwrap();
    assert_eq!(set.now(), at(500));
    for (n, (_, expected)) in (1..).zip(&states) {
        assert_eq!(row(store, n).await.state, *expected);
    }
    // and once more: a wait does not grow shorter by it
    clock.set(at(650));
    let same = store.steady(Arc::new(clock.clone())).await.unwrap();
    assert_eq!(same.now(), at(500), "the wall was turned, the machine goes on");
    clock.set(at(700));
    clock.reboot();
    let anew = store.steady(Arc::new(clock)).await.unwrap();
    assert_eq!(anew.now(), at(700));
    assert_eq!(row(store, 1).await.state, State::InDoubt { until: at(800) });
}
