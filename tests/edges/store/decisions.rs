//! What people decide about dead letters: it takes effect once, and is kept.

use lienthong::dossier::DossierId;
use lienthong::store::{
    Decided, Decision, Delivery, Fate, InboxRow, InboxState, Item, LettersOf, Now, Presence, Said, Sent,
    State, Store, Verb, Walk,
};
use serde_json::json;

use super::records::refused;
use super::{at, cause, commit, due, id, outcome, parked, row, save, want, wanted};

const LIN: &str = "lin";

fn retry(letter: &str) -> Decision {
    Decision {
        at: at(1_000),
        by: LIN.to_owned(),
        letter: letter.to_owned(),
        verb: Verb::Retry,
        reason: None,
    }
}

fn discard(letter: &str, reason: &str) -> Decision {
    Decision {
        verb: Verb::Discard,
        reason: Some(reason.to_owned()),
        ..retry(letter)
    }
}

/// Decides; the letters for which that took effect.
async fn decide(store: &dyn Store, decisions: &[Decision], asked: &[(&str, &str)], now: i64) -> Vec<Decided> {
    let asked: Vec<_> = asked
        .iter()
        .map(|(adapter, push)| ((*adapter).to_owned(), (*push).to_owned()))
        .collect();
    let mut transaction = store.begin().await.unwrap();
    let decided = transaction.decide(decisions, &asked, at(now)).await.unwrap();
    transaction.commit().await.unwrap();
    decided
}

async fn letters(store: &dyn Store) -> Vec<String> {
    let letters = store.dead_letters(99).await.unwrap();
    letters.into_iter().map(|letter| letter.id).collect()
}

async fn fate(store: &dyn Store, letter: &str) -> Fate {
    store.fate(letter).await.unwrap().unwrap()
}

async fn refuse(store: &dyn Store, rows: &[InboxRow]) -> Vec<String> {
    let before = letters(store).await;
    commit(store, async |transaction| {
        transaction.put_inbox(rows).await.unwrap();
    })
    .await;
    let mut new = letters(store).await;
    new.retain(|letter| !before.contains(letter));
    new
}

/// A delivery that was written to, failed and is parked in every respect that a row can show.
async fn fail(store: &dyn Store, n: u32, held: bool, attempt: i64) -> Delivery {
    want(store, n, 3, at(0)).await;
    let failed = Delivery {
        state: parked(held),
        attempt,
        failures: 4,
        failing_since: Some(at(1)),
        holder: Some("start".to_owned()),
        presence: Presence::Present,
        remote: Some("R-1".to_owned()),
        native_hash: Some("hash".to_owned()),
        intent: Some("intent".to_owned()),
        target_state: Some(json!("accepted")),
        batch_limit: Some(1),
        recent: vec![Sent {
            hash: "hash".to_owned(),
            at: at(1),
        }],
        judged_by: Some("v1".to_owned()),
        ..row(store, n).await
    };
    save(
        store,
        lienthong::store::Outcome {
            fence: 0,
            ..outcome(failed)
        },
        at(2),
    )
    .await;
    row(store, n).await
}

pub(super) async fn retried_record_is_to_be_taken_in_anew_and_keeps_its_first_observation(store: &dyn Store) {
    let letters = refuse(store, &[refused("{1}"), refused("{2}")]).await;
    let decided = decide(
        store,
        &[retry(&letters[0]), retry("inbox-999"), retry("x")],
        &[],
        1,
    )
    .await;
    assert_eq!(
        decided,
        [Decided {
            letter: letters[0].clone(),
            system: "one-stop".to_owned(),
            dossier: None,
            intent: None
        }]
    );
    let again = store
        .records_again(Said::BySystem("one-stop".to_owned()), at(1), 9)
        .await
        .unwrap();
    let again: Vec<_> = again
        .iter()
        .map(|kept| (kept.raw.as_str(), kept.observed))
        .collect();
    assert_eq!(again, [("{1}", at(0))]);
    let told = fate(store, &letters[0]).await;
    assert!(
        matches!(&told.now, Now::Record { state: InboxState::Refused(fault), again: true } if *fault == cause("bad-time"))
    );
    assert_eq!(told.decision, Some(retry(&letters[0])));
    assert_eq!(fate(store, &letters[1]).await.decision, None);

    // while it is being taken in nobody decides about it
    for decision in [retry(&letters[0]), discard(&letters[0], "too late")] {
        assert_eq!(decide(store, &[decision], &[], 2).await, []);
    }
    assert_eq!(fate(store, &letters[0]).await.decision, Some(retry(&letters[0])));
    // and once it is refused anew, it is a dead letter like others
    commit(store, async |transaction| {
        let seq = letters[0].strip_prefix("inbox-").unwrap().parse().unwrap();
        transaction
            .settle_records(&[(seq, refused("{1}"))])
            .await
            .unwrap();
    })
    .await;
    assert_eq!(decide(store, &[retry(&letters[0])], &[], 3).await.len(), 1);
}

pub(super) async fn discarded_record_does_not_come_back_as_it_was(store: &dyn Store) {
    let letters_then = refuse(store, &[refused("{1}"), refused("{2}")]).await;
    let decision = discard(&letters_then[0], "typed by mistake");
    assert_eq!(
        decide(store, std::slice::from_ref(&decision), &[], 1).await.len(),
        1
    );
    assert_eq!(letters(store).await, letters_then[1..]);
    let told = fate(store, &letters_then[0]).await;
    assert!(
        matches!(&told.now, Now::Record { state: InboxState::Ignored(reason), again: false }
            if reason == "discarded by lin: typed by mistake"),
        "{told:?}"
    );
    assert_eq!(told.decision, Some(decision));
    for late in [retry(&letters_then[0]), discard(&letters_then[0], "again")] {
        assert_eq!(decide(store, &[late], &[], 2).await, []);
    }

    // a pull reads it again and again; another record, another door, and the same one once it can be read are others
    assert_eq!(refuse(store, &[refused("{1}")]).await, Vec::<String>::new());
    let elsewhere = InboxRow {
        operation: "pull.changes".to_owned(),
        ..refused("{1}")
    };
    assert_eq!(refuse(store, &[elsewhere, refused("{3}")]).await.len(), 2);
    commit(store, async |transaction| {
        let mapped = InboxRow {
            state: InboxState::Mapped,
            ..refused("{1}")
        };
        transaction.put_inbox(&[mapped]).await.unwrap();
    })
    .await;
    let counts = store.counts().await.unwrap().inbox;
    assert!(
        counts.contains(&("one-stop".to_owned(), "mapped".to_owned(), 1)),
        "{counts:?}"
    );
}

pub(super) async fn retried_delivery_begins_anew_and_asks_first_where_that_can_be(store: &dyn Store) {
    for (n, held, asked) in [(1, false, true), (2, true, true), (3, true, false)] {
        let before = fail(store, n, held, 5).await;
        let letter = before.letter();
        assert_eq!(letters(store).await, [letter.as_str()]);
        let asks: &[(&str, &str)] = if asked {
            &[("other", "dossier"), ("book", "dossier")]
        } else {
            &[("book", "step")]
        };
        let decided = decide(store, &[retry(&letter)], asks, 60).await;
        assert_eq!(
            decided,
            [Decided {
                letter: letter.clone(),
                system: "book".to_owned(),
                dossier: Some(id(n)),
                intent: Some("intent".to_owned())
            }]
        );
        let expected = Delivery {
            state: State::Due,
            due: at(60),
            attempt: 6,
            failures: 0,
            failing_since: None,
            native_hash: None,
            recent: Vec::new(),
            looked: None,
            judged_by: None,
            presence: if asked {
                Presence::Unknown
            } else {
                Presence::Present
            },
            target_state: if asked { None } else { Some(json!("accepted")) },
            // of what cannot be asked a person has said that it is not there
            holder: before.holder.clone().filter(|_| asked),
            ..before.clone()
        };
        assert_eq!(format!("{:?}", row(store, n).await), format!("{expected:?}"));
        assert!(letters(store).await.is_empty());

        // an outcome that was on its way is fenced off
        let late = Delivery {
            state: State::Applied,
            ..before
        };
        save(store, outcome(late), at(61)).await;
        assert_eq!(row(store, n).await.state, State::Due);
        assert_eq!(decide(store, &[retry(&letter)], asks, 62).await, [], "once");
        let told = fate(store, &letter).await;
        assert!(matches!(&told.now, Now::Delivery(row) if row.state == State::Due));
        assert_eq!(told.decision, Some(retry(&letter)));
    }
}

pub(super) async fn delivery_that_was_never_sent_still_counts_as_such_when_retried(store: &dyn Store) {
    let before = fail(store, 1, false, 0).await;
    decide(store, &[retry(&before.letter())], &[], 60).await;
    assert_eq!(row(store, 1).await.attempt, 0);
}

pub(super) async fn discarded_delivery_stays_given_up(store: &dyn Store) {
    let before = fail(store, 1, false, 5).await;
    let letter = before.letter();
    let decision = discard(&letter, "entered there by hand");
    assert_eq!(
        decide(store, std::slice::from_ref(&decision), &[], 60)
            .await
            .len(),
        1
    );
    let given_up = State::Discarded {
        reason: "by lin: entered there by hand".to_owned(),
    };
    want(store, 1, 9, at(61)).await;
    let late = Delivery {
        state: State::Applied,
        ..before
    };
    save(store, outcome(late), at(62)).await;
    let after = row(store, 1).await;
    assert_eq!(
        (&after.state, after.desired),
        (&given_up, 9),
        "a newer version does not revive it"
    );
    assert!(due(store, "book", 63, 9).await.0.is_empty());
    for late in [retry(&letter), discard(&letter, "again")] {
        assert_eq!(decide(store, &[late], &[], 64).await, []);
    }
    assert_eq!(fate(store, &letter).await.decision, Some(decision));
}

pub(super) async fn dead_letter_is_named_apart_from_its_neighbours(store: &dyn Store) {
    // dashes wherever a name may have them, and an item whose id looks like a dossier's
    let other: DossierId = id(7);
    let items = [
        ("book-of-law", "push-it", "a-b".to_owned()),
        ("book", "of-law-push-it", "a-b".to_owned()),
        ("book", "step", other.to_string()),
        ("book", "step", format!("{other}-x")),
    ];
    let step = |(adapter, push, item): &(&str, &str, String)| Item {
        adapter: (*adapter).to_owned(),
        push: (*push).to_owned(),
        dossier: id(1),
        item: item.clone(),
        ordinal: 1,
        version: 1,
        again: false,
    };
    commit(store, async |transaction| {
        let rows: Vec<_> = items.iter().map(step).collect();
        transaction.put_items(&rows, at(0)).await.unwrap();
        transaction.want(&[wanted(1, 1)], at(0)).await.unwrap();
    })
    .await;
    let rows = store.deliveries_of(id(1)).await.unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let parked = Delivery {
            state: parked(true),
            ..row
        };
        save(store, outcome(parked), at(1)).await;
    }
    let all = letters(store).await;
    for row in store.deliveries_of(id(1)).await.unwrap() {
        let letter = row.letter();
        assert!(all.contains(&letter), "{letter} in {all:?}");
        let told = fate(store, &letter).await;
        assert!(
            matches!(&told.now, Now::Delivery(found) if (&found.item, found.ordinal) == (&row.item, row.ordinal)),
            "{letter}"
        );
    }
    let of_item = all.iter().find(|letter| letter.ends_with("-x")).unwrap();
    decide(store, &[retry(of_item)], &[], 2).await;
    let mut left = letters(store).await;
    left.push(of_item.clone());
    left.sort();
    let mut expected = all.clone();
    expected.sort();
    assert_eq!(left, expected);
    for nobody in [
        "",
        "inbox-",
        "inbox-01",
        "inbox-+1",
        "delivery-",
        "delivery-book-dossier-x",
        "dossier-1",
    ] {
        assert!(store.fate(nobody).await.unwrap().is_none(), "{nobody}");
    }
}

pub(super) async fn walk_meets_each_dead_letter_of_a_system_once(store: &dyn Store) {
    let of_book = |raw: &str, code: &str| InboxRow {
        adapter: "book".to_owned(),
        state: InboxState::Refused(cause(code)),
        ..refused(raw)
    };
    let records: Vec<InboxRow> = (0..4)
        .map(|n| of_book(&n.to_string(), if n == 0 { "bad-time" } else { "odd" }))
        .chain([refused("{of another system}")])
        .collect();
    commit(store, async |transaction| {
        transaction.put_inbox(&records).await.unwrap();
    })
    .await;
    for n in 1..=5 {
        want(store, n, 1, at(0)).await;
        // two of one time, so that the order needs more than the time
        let time = i64::from(n / 2);
        let row = row(store, n).await;
        let parked = Delivery {
            state: State::Parked {
                cause: cause(if n == 5 { "odd" } else { "refused-by-target" }),
                held: n == 1,
            },
            ..row
        };
        // what is parked was due since it was wanted, unless it was something else before
        save(
            store,
            outcome(Delivery {
                state: State::Applied,
                ..parked.clone()
            }),
            at(time),
        )
        .await;
        save(store, outcome(parked), at(time)).await;
    }
    let met = async |cause: Option<&str>, page: u32, retried: bool| {
        let of = LettersOf {
            system: "book".to_owned(),
            cause: cause.map(str::to_owned),
        };
        let (mut walk, mut met) = (Walk::begin(at(90)), Vec::new());
        loop {
            let (letters, next) = store.letters(&of, &walk, page).await.unwrap();
            let decisions: Vec<_> = letters.iter().map(|letter| retry(letter)).collect();
            if retried {
                assert_eq!(decide(store, &decisions, &[], 91).await.len(), decisions.len());
            }
            let last = letters.len() < page as usize;
            met.extend(letters);
            walk = next;
            if last {
                return met;
            }
        }
    };
    let all = met(None, 99, false).await;
    assert_eq!(all.len(), 9);
    assert!(all[..4].iter().all(|letter| letter.starts_with("inbox-")));
    for page in 1..=5 {
        assert_eq!(met(None, page, false).await, all, "pages of {page}");
    }
    assert_eq!(met(Some("odd"), 2, false).await.len(), 4);
    assert_eq!(met(Some("refused-by-target"), 2, false).await.len(), 4);
    assert!(met(Some("unheard-of"), 2, false).await.is_empty());

    // retried on the way, and what fails anew meanwhile is not met a second time
    assert_eq!(met(None, 2, true).await, all);
    for n in 1..=5 {
        let again = Delivery {
            state: parked(false),
            ..row(store, n).await
        };
        save(store, outcome(again), at(95)).await;
    }
    assert!(
        met(None, 2, true).await.is_empty(),
        "records are on their way, deliveries parked later"
    );
}
