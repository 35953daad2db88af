//! The journal, and what happened to a dossier.

use lienthong::dossier::fold_code;
use lienthong::event::Event;
use lienthong::store::{Decision, InboxRow, InboxState, Journaled, ORPHAN, Store, Taken, Verb};

use super::records::refused;
use super::{at, code, commit, event, id, replica, row, want};

fn places(events: &[Journaled]) -> Vec<i64> {
    events.iter().map(|told| told.seq).collect()
}

pub(super) async fn journal_is_followed_in_the_order_of_arrival(store: &dyn Store) {
    assert_eq!(store.journal_before(5).await.unwrap(), 0);
    // later ids first: the order is that of their coming
    for (n, second) in [(9, 1), (3, 2), (7, 3), (1, 4)] {
        commit(store, async |transaction| {
            transaction
                .put_journal(&[event(store, n)], at(second))
                .await
                .unwrap();
        })
        .await;
    }
    commit(store, async |transaction| {
        transaction.put_replicas(&[replica(3, 1, at(2))]).await.unwrap();
    })
    .await;
    let all = store.journal(0, 99).await.unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|told| (told.event.clone(), told.recorded, told.code.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (event(store, 9), at(1), None),
            (event(store, 3), at(2), Some(code(3))),
            (event(store, 7), at(3), None),
            (event(store, 1), at(4), None),
        ]
    );
    let seqs = places(&all);
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
    assert_eq!(places(&store.journal(seqs[1], 99).await.unwrap()), seqs[2..]);
    assert_eq!(places(&store.journal(0, 2).await.unwrap()), seqs[..2]);
    assert!(store.journal(seqs[3], 99).await.unwrap().is_empty());
    for (last, before) in [(0, seqs[3]), (1, seqs[2]), (3, seqs[0]), (4, 0), (99, 0)] {
        assert_eq!(
            store.journal_before(last).await.unwrap(),
            before,
            "the last {last}"
        );
    }
}

pub(super) async fn past_of_a_dossier_has_its_events_records_joins_and_decisions(store: &dyn Store) {
    let of = |n: u32, raw: &str, state: InboxState| InboxRow {
        code: Some(code(n)),
        state,
        ..refused(raw)
    };
    let said = event(store, 1);
    let mapped = InboxRow {
        dossier: Some(id(1)),
        event: Some(said.id.clone()),
        mapping: "v7".to_owned(),
        ..of(1, "{mapped}", InboxState::Mapped)
    };
    let elsewhere = InboxRow {
        adapter: "other".to_owned(),
        dossier: Some(id(3)),
        ..of(1, "{placed on another dossier}", InboxState::Mapped)
    };
    let bad = of(1, "{bad}", refused("").state);
    let worse = of(1, "{worse}", refused("").state);
    commit(store, async |transaction| {
        let rows = [
            bad,
            mapped,
            of(1, "{same}", InboxState::Ignored("nothing new".to_owned())),
            elsewhere,
            of(2, "{of 2}", InboxState::Waiting(ORPHAN.to_owned())),
            worse.clone(),
        ];
        transaction.put_inbox(&rows).await.unwrap();
        let events = [said.clone(), event(store, 2)];
        transaction.put_journal(&events, at(5)).await.unwrap();
        transaction
            .put_replicas(&[replica(1, 1, at(5)), replica(2, 1, at(5))])
            .await
            .unwrap();
    })
    .await;
    want(store, 2, 1, at(5)).await;
    super::put(store, 2, super::parked(true), at(6)).await;
    let letters = store.dead_letters(9).await.unwrap();
    let bad_letter = letters
        .iter()
        .find(|letter| letter.id.starts_with("inbox-"))
        .unwrap();
    let decision = |letter: &str, verb: Verb| Decision {
        at: at(9),
        by: "lin".to_owned(),
        letter: letter.to_owned(),
        verb,
        reason: Some("because".to_owned()),
    };
    let decisions = [
        decision(&row(store, 2).await.letter(), Verb::Retry),
        decision(&bad_letter.id, Verb::Discard),
    ];
    let worse_taken = Taken {
        adapter: worse.adapter.clone(),
        code: code(1),
        raw_hash: "of a newer one".to_owned(),
    };
    commit(store, async |transaction| {
        assert_eq!(transaction.decide(&decisions, &[], at(9)).await.unwrap().len(), 2);
        transaction.close_refused(&[worse_taken]).await.unwrap();
    })
    .await;

    let codes = [fold_code(&code(1))];
    let past = store.past(id(1), &codes).await.unwrap();
    assert_eq!(past.events.len(), 1);
    assert_eq!((&past.events[0].event, past.events[0].recorded), (&said, at(5)));
    let records: Vec<_> = past
        .records
        .iter()
        .map(|record| (&record.state, record.event.as_deref(), record.mapping.as_str()))
        .collect();
    assert_eq!(
        records,
        [
            (
                &InboxState::Ignored("discarded by lin: because".to_owned()),
                None,
                "v1"
            ),
            (&InboxState::Mapped, Some(said.id.as_str()), "v7"),
            (
                &InboxState::Ignored("a newer record was taken".to_owned()),
                None,
                "v1"
            ),
        ],
        "what said nothing new and what is another dossier's is left out"
    );
    assert_eq!(past.records[0].id, bad_letter.id);
    assert_eq!(
        past.decisions,
        decisions[1..],
        "found by its record before anybody knew the dossier"
    );
    assert!(past.joined.is_empty());

    commit(store, async |transaction| {
        let last = Event {
            id: "a third".to_owned(),
            ..event(store, 1)
        };
        transaction.put_journal(&[last], at(20)).await.unwrap();
        transaction.join(id(2), id(1)).await.unwrap();
    })
    .await;
    let codes = [fold_code(&code(1)), fold_code(&code(2))];
    let past = store.past(id(1), &codes).await.unwrap();
    let seqs = places(&past.events);
    assert_eq!(seqs.len(), 3);
    assert_eq!(
        past.joined,
        [(id(2), Some(seqs[2]))],
        "after the event that showed it"
    );
    assert_eq!(
        past.events[1].event.data.id,
        id(2),
        "told under the id that it had then"
    );
    assert_eq!(past.decisions, decisions);
    assert_eq!(past.records.len(), 4);
    let gone = store.past(id(2), &[]).await.unwrap();
    assert!(gone.events.is_empty() && gone.decisions.is_empty());
}

pub(super) async fn counts_tell_what_waits_and_since_when_the_oldest_is_due(store: &dyn Store) {
    let counts = store.counts().await.unwrap();
    assert!(counts.waiting.is_empty() && counts.oldest_due.is_empty());
    let waits = |raw: &str, reason: &str| InboxRow {
        state: InboxState::Waiting(reason.to_owned()),
        ..refused(raw)
    };
    commit(store, async |transaction| {
        let rows = [
            waits("1", ORPHAN),
            waits("2", "clock ahead"),
            waits("3", ORPHAN),
            refused("4"),
        ];
        transaction.put_inbox(&rows).await.unwrap();
    })
    .await;
    for (n, second) in [(1, 7), (2, 5), (3, 6)] {
        want(store, n, 1, at(second)).await;
    }
    super::put(store, 2, lienthong::store::State::Applied, at(8)).await;
    let counts = store.counts().await.unwrap();
    let waiting = |reason: &str, n| ("one-stop".to_owned(), reason.to_owned(), n);
    assert_eq!(counts.waiting, [waiting("clock ahead", 1), waiting("orphan", 2)]);
    assert_eq!(counts.oldest_due, [("book".to_owned(), at(6))]);
}
