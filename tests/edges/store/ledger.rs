//! The ledger: what makes a row due, and who may write one.

use std::collections::HashSet;

use lienthong::store::{Delivery, Outcome, Presence, Sent, State, Store};

use super::{at, cause, commit, due, id, outcome, parked, put, row, save, want, wanted};

fn waiting(requirement: &str) -> State {
    State::Waiting {
        requirement: requirement.to_owned(),
        until: Some(at(500)),
    }
}

/// Every state that a row may be in.
fn states() -> Vec<State> {
    vec![
        State::Applied,
        State::Due,
        waiting("code"),
        State::Waiting {
            requirement: "after dossier".to_owned(),
            until: None,
        },
        State::InDoubt { until: at(500) },
        State::BackingOff { next: at(500) },
        parked(false),
        parked(true),
        State::Skipped {
            reason: "not wanted there".to_owned(),
        },
        State::Discarded {
            reason: "by hand".to_owned(),
        },
    ]
}

pub(super) async fn want_makes_due_what_may_be_worked_on(store: &dyn Store) {
    // doubt is settled first, a sick target keeps its schedule, what a person decides stays as it is
    let stays = |state: &State| {
        matches!(
            state,
            State::InDoubt { .. }
                | State::BackingOff { .. }
                | State::Parked { held: true, .. }
                | State::Discarded { .. }
        )
    };
    for (n, state) in (1..).zip(states()) {
        want(store, n, 1, at(0)).await;
        assert_eq!(row(store, n).await.state, State::Due, "a new row");
        put(store, n, state.clone(), at(1)).await;
        assert_eq!(row(store, n).await.state, state);
        want(store, n, 2, at(2)).await;
        let after = row(store, n).await;
        let expected = if stays(&state) { state.clone() } else { State::Due };
        assert_eq!((after.state, after.desired), (expected, 2), "{state:?}");
    }
}

pub(super) async fn want_never_takes_a_delivery_back(store: &dyn Store) {
    want(store, 1, 5, at(0)).await;
    want(store, 1, 3, at(1)).await;
    assert_eq!(row(store, 1).await.desired, 5);
}

pub(super) async fn save_writes_every_state_as_it_was(store: &dyn Store) {
    for (n, state) in (1..).zip(states()) {
        want(store, n, 1, at(0)).await;
        let written = Delivery {
            state,
            applied: Some(1),
            attempt: 3,
            failures: 2,
            failing_since: Some(at(1)),
            holder: Some("start".to_owned()),
            presence: Presence::Present,
            remote: Some("R-1".to_owned()),
            native_hash: Some("hash".to_owned()),
            mapping: Some("v1".to_owned()),
            applied_at: Some(at(2)),
            intent: Some("intent".to_owned()),
            target_state: Some(serde_json::json!({ "stands": "accepted" })),
            batch_limit: Some(4),
            recent: vec![Sent {
                hash: "hash".to_owned(),
                at: at(1),
            }],
            judged_by: Some("v1".to_owned()),
            ..row(store, n).await
        };
        let fresh = Outcome {
            intended: false,
            row: written.clone(),
            version: 1,
            fence: 0,
        };
        save(store, fresh, at(3)).await;
        let read = row(store, n).await;
        let written = Delivery {
            due: read.due,
            ..written
        };
        assert_eq!(format!("{read:?}"), format!("{written:?}"));
        // and back to nothing
        let empty = Delivery {
            state: State::Due,
            applied: None,
            attempt: 4,
            failures: 0,
            failing_since: None,
            holder: None,
            presence: Presence::Unknown,
            remote: None,
            native_hash: None,
            mapping: None,
            applied_at: None,
            intent: None,
            target_state: None,
            batch_limit: None,
            recent: Vec::new(),
            looked: None,
            judged_by: None,
            ..read
        };
        save(
            store,
            Outcome {
                intended: false,
                row: empty.clone(),
                version: 1,
                fence: 3,
            },
            at(4),
        )
        .await;
        let read = row(store, n).await;
        let empty = Delivery {
            due: read.due,
            ..empty
        };
        assert_eq!(format!("{read:?}"), format!("{empty:?}"));
    }
}

pub(super) async fn save_leaves_rows_of_another_attempt_alone(store: &dyn Store) {
    want(store, 1, 1, at(0)).await;
    want(store, 2, 1, at(0)).await;
    let read = row(store, 1).await;
    let intent = |holder: &str| Outcome {
        intended: false,
        row: Delivery {
            attempt: 1,
            holder: Some(holder.to_owned()),
            state: State::InDoubt { until: at(90) },
            ..read.clone()
        },
        version: 1,
        fence: 0,
    };
    save(store, intent("first"), at(1)).await;
    // a second one that had read the same row, and a late outcome of before; other rows of the batch are written
    let late = Outcome {
        intended: false,
        row: Delivery {
            state: State::Applied,
            applied: Some(1),
            ..read.clone()
        },
        version: 1,
        fence: 0,
    };
    let other = outcome(Delivery {
        state: State::Applied,
        applied: Some(1),
        ..row(store, 2).await
    });
    commit(store, async |transaction| {
        let batch = [intent("second"), late, other];
        let written = transaction.save(&batch, at(2)).await.unwrap();
        // who did not write the intent is told so, and does not make the call
        let key = |outcome: &Outcome| {
            (
                outcome.row.dossier,
                outcome.row.push.clone(),
                outcome.row.item.clone(),
            )
        };
        assert_eq!(written, HashSet::from([key(&batch[2])]));
    })
    .await;
    let kept = row(store, 1).await;
    assert_eq!(
        (kept.holder.as_deref(), kept.state, kept.applied),
        (Some("first"), State::InDoubt { until: at(90) }, None)
    );
    assert_eq!(row(store, 2).await.state, State::Applied);
    // the one whose attempt it is writes its outcome
    let own = row(store, 1).await;
    save(
        store,
        Outcome {
            intended: false,
            fence: 1,
            version: 1,
            row: Delivery {
                state: State::Applied,
                ..own
            },
        },
        at(3),
    )
    .await;
    assert_eq!(row(store, 1).await.state, State::Applied);
    // a row that is not there is not made
    let nowhere = Delivery {
        dossier: id(3),
        ..row(store, 2).await
    };
    save(store, outcome(nowhere), at(4)).await;
    assert!(store.deliveries_of(id(3)).await.unwrap().is_empty());
}

pub(super) async fn save_makes_due_what_was_wanted_meanwhile(store: &dyn Store) {
    let stays = |state: &State| {
        matches!(
            state,
            State::InDoubt { .. }
                | State::BackingOff { .. }
                | State::Parked { held: true, .. }
                | State::Discarded { .. }
        )
    };
    for (n, state) in (1..).zip(states()) {
        want(store, n, 1, at(0)).await;
        let read = row(store, n).await;
        want(store, n, 2, at(1)).await;
        let done = Outcome {
            intended: false,
            row: Delivery {
                state: state.clone(),
                applied: Some(1),
                ..read
            },
            version: 1,
            fence: 0,
        };
        save(store, done, at(2)).await;
        let after = row(store, n).await;
        let expected = if stays(&state) { state.clone() } else { State::Due };
        assert_eq!(
            (after.state, after.desired, after.applied),
            (expected, 2, Some(1)),
            "{state:?}"
        );
        let (due, _) = due(store, "book", 3, 99).await;
        assert_eq!(
            due.iter().any(|row| row.dossier == id(n)),
            !stays(&state),
            "{state:?}"
        );
    }
}

pub(super) async fn release_frees_only_those_who_wait_for_it(store: &dyn Store) {
    let rows = [
        (1, waiting("code"), State::Due),
        (2, waiting("identity"), waiting("identity")),
        (3, parked(false), parked(false)),
        (
            4,
            State::BackingOff { next: at(500) },
            State::BackingOff { next: at(500) },
        ),
        (5, waiting("code"), waiting("code")),
    ];
    for (n, state, _) in &rows {
        want(store, *n, 1, at(0)).await;
        put(store, *n, state.clone(), at(1)).await;
    }
    commit(store, async |transaction| {
        let freed: Vec<_> = (1..=4)
            .map(|n| ("book".to_owned(), id(n), "code".to_owned()))
            .collect();
        transaction.release(&freed, at(2)).await.unwrap();
        let elsewhere = [("other".to_owned(), id(5), "code".to_owned())];
        transaction.release(&elsewhere, at(2)).await.unwrap();
    })
    .await;
    for (n, _, expected) in rows {
        assert_eq!(row(store, n).await.state, expected, "dossier {n}");
    }
}

pub(super) async fn parent_is_done_once_it_was_applied(store: &dyn Store) {
    commit(store, async |transaction| {
        let step = |n| lienthong::store::Wanted {
            push: "step".to_owned(),
            ..wanted(n, 1)
        };
        transaction
            .want(&[wanted(1, 1), step(1), wanted(2, 1), wanted(3, 1)], at(0))
            .await
            .unwrap();
    })
    .await;
    // whatever became of it later: the target has had it
    let had = Delivery {
        applied: Some(1),
        state: parked(true),
        ..row(store, 1).await
    };
    let rows = store.deliveries_of(id(1)).await.unwrap();
    assert_eq!(rows.len(), 2);
    save(
        store,
        outcome(Delivery {
            push: "dossier".to_owned(),
            ..had
        }),
        at(1),
    )
    .await;
    put(
        store,
        2,
        State::Skipped {
            reason: cause("x").code,
        },
        at(1),
    )
    .await;
    let parents = store.parents("book", &[id(1), id(2), id(4)]).await.unwrap();
    let done = |n, push: &str| parents.get(&(id(n), push.to_owned())).map(|parent| parent.done);
    assert_eq!(
        (done(1, "dossier"), done(1, "step"), done(2, "dossier")),
        (Some(true), Some(false), Some(false))
    );
    assert_eq!(
        (done(3, "dossier"), done(4, "dossier")),
        (None, None),
        "not asked for, not there"
    );
    assert!(store.parents("other", &[id(1)]).await.unwrap().is_empty());
}

pub(super) async fn row_knows_the_newest_version_that_others_have_a_part_in(store: &dyn Store) {
    let want = async |version: i64, own: bool| {
        let wanted = lienthong::store::Wanted {
            own,
            ..wanted(1, version)
        };
        commit(store, async |transaction| {
            transaction.want(&[wanted], at(0)).await.unwrap();
        })
        .await;
        let row = row(store, 1).await;
        (row.desired, row.others)
    };
    assert_eq!(want(1, true).await, (1, 0), "its own alone");
    assert_eq!(want(2, false).await, (2, 2));
    assert_eq!(want(3, true).await, (3, 2));
    assert_eq!(want(1, false).await, (3, 2), "never taken back");
    // no outcome changes that
    let read = row(store, 1).await;
    let written = Delivery {
        others: 99,
        state: State::Applied,
        ..read
    };
    save(store, outcome(written), at(1)).await;
    assert_eq!(row(store, 1).await.others, 2);
}
