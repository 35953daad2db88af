//! Records, events, dossiers, codes.

use futures_util::FutureExt;
use futures_util::future::join_all;
use lienthong::dossier::{Hlc, Shadow};
use lienthong::store::{DeadLetter, InboxRow, InboxState, Store, Taken};
use serde_json::{Value, json};

use super::{at, cause, code, commit, due, event, hlc, id, parked, put, replica, row, want, wanted};

pub(super) fn record(raw: &str, state: InboxState) -> InboxRow {
    InboxRow {
        adapter: "one-stop".to_owned(),
        operation: "webhook.dossier".to_owned(),
        observed: at(0),
        raw_hash: format!("hash of {raw}"),
        raw: raw.to_owned(),
        state,
        code: None,
        dossier: None,
        event: None,
        mapping: "v1".to_owned(),
        until: None,
    }
}

pub(super) fn refused(raw: &str) -> InboxRow {
    record(raw, InboxState::Refused(cause("bad-time")))
}

async fn inbox(store: &dyn Store) -> Vec<(String, i64)> {
    let counts = store.counts().await.unwrap();
    let mut inbox: Vec<_> = counts
        .inbox
        .into_iter()
        .map(|(_, state, count)| (state, count))
        .collect();
    inbox.sort();
    inbox
}

pub(super) async fn dropped_transaction_leaves_no_trace(store: &dyn Store) {
    want(store, 2, 1, at(0)).await;
    let mut transaction = store.begin().await.unwrap();
    let said = event(store, 1);
    transaction.put_inbox(&[refused("{}")]).await.unwrap();
    transaction
        .put_shadows(&[("one-stop".to_owned(), id(1), Shadow::default())])
        .await
        .unwrap();
    transaction.put_outbox(std::slice::from_ref(&said)).await.unwrap();
    transaction.put_cursor("one-stop", "changes", "{}").await.unwrap();
    transaction
        .owe("one-stop", "changes", &[(Value::from("a"), None)])
        .await
        .unwrap();
    transaction.put_clock(hlc(5)).await.unwrap();
    transaction
        .put_journal(std::slice::from_ref(&said), at(0))
        .await
        .unwrap();
    transaction.put_replicas(&[replica(1, 1, at(0))]).await.unwrap();
    transaction
        .put_links(&[(("one-stop".to_owned(), code(1)), id(1))])
        .await
        .unwrap();
    transaction
        .want(&[wanted(1, 1), wanted(2, 7)], at(1))
        .await
        .unwrap();
    drop(transaction);

    let counts = store.counts().await.unwrap();
    assert_eq!((counts.dossiers, counts.outbox, counts.inbox), (0, 0, Vec::new()));
    assert!(store.outbox_head(9).await.unwrap().is_empty());
    assert!(store.dead_letters(9).await.unwrap().is_empty());
    assert_eq!(store.cursor("one-stop", "changes").await.unwrap(), None);
    assert!(
        store
            .owed("one-stop", "changes", at(0), 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.clock().await.unwrap(), Hlc::default());
    assert!(store.find_replica(&code(1)).await.unwrap().is_none());
    assert!(store.deliveries_of(id(1)).await.unwrap().is_empty());
    assert_eq!(
        row(store, 2).await.desired,
        1,
        "a change is taken back like an addition"
    );
    let mut transaction = store.begin().await.unwrap();
    assert!(transaction.journaled(&[&said.id]).await.unwrap().is_empty());
    assert!(
        transaction
            .resolve(&[("one-stop".to_owned(), code(1))])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        transaction
            .shadows(&[("one-stop".to_owned(), id(1))])
            .await
            .unwrap()
            .is_empty()
    );
}

pub(super) async fn who_decides_about_the_same_dossier_takes_turns(store: &dyn Store) {
    // each reads what the one before it wrote, or a version is lost
    let change = async || {
        let mut transaction = store.begin().await.unwrap();
        let codes = [("one-stop".to_owned(), code(1))];
        transaction.lock(&[id(1)], &codes).await.unwrap();
        let found = transaction.replicas(&[id(1)]).await.unwrap().remove(&id(1));
        let version = found.map_or(0, |replica| replica.version);
        transaction
            .put_replicas(&[replica(1, version + 1, at(0))])
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    };
    join_all((0..8).map(|_| change())).await;
    let last = store.replicas(&[id(1)]).await.unwrap();
    assert_eq!(last[&id(1)].version, 8);
}

pub(super) async fn transactions_take_turns(store: &dyn Store) {
    let mut first = store.begin().await.unwrap();
    first.put_cursor("a", "b", "first").await.unwrap();
    let mut second = store.begin();
    assert!((&mut second).now_or_never().is_none(), "two write at a time");
    // who reads does not wait, and sees what was committed
    assert_eq!(store.cursor("a", "b").await.unwrap(), None);
    first.commit().await.unwrap();
    let second = second.await.unwrap();
    assert_eq!(store.cursor("a", "b").await.unwrap().as_deref(), Some("first"));
    second.commit().await.unwrap();
}

pub(super) async fn refused_and_waiting_records_are_listed_once(store: &dyn Store) {
    let orphan = || record("{1}", InboxState::Waiting("orphan".to_owned()));
    for _ in 0..3 {
        commit(store, async |transaction| {
            transaction
                .put_inbox(&[refused("{2}"), orphan(), refused("{2}")])
                .await
                .unwrap();
        })
        .await;
    }
    assert_eq!(
        inbox(store).await,
        [("refused".to_owned(), 1), ("waiting".to_owned(), 1)]
    );

    // another record, another door, another system: others
    let pulled = InboxRow {
        operation: "pull.changes".to_owned(),
        ..refused("{2}")
    };
    let elsewhere = InboxRow {
        adapter: "other".to_owned(),
        ..refused("{2}")
    };
    let later = InboxRow {
        observed: at(60),
        ..refused("{2}")
    };
    commit(store, async |transaction| {
        transaction
            .put_inbox(&[refused("{3}"), pulled, elsewhere, later])
            .await
            .unwrap();
    })
    .await;
    let letters = store.dead_letters(99).await.unwrap();
    assert_eq!(letters.len(), 4);
    assert!(
        letters.iter().all(|letter| letter.since == at(0)),
        "the first observation stays"
    );
    assert_eq!(store.dead_letters(2).await.unwrap().len(), 2);
}

pub(super) async fn records_that_were_taken_are_all_kept(store: &dyn Store) {
    let mapped = || record("{1}", InboxState::Mapped);
    let ignored = || record("{1}", InboxState::Ignored("nothing new".to_owned()));
    commit(store, async |transaction| {
        transaction
            .put_inbox(&[mapped(), mapped(), ignored(), ignored(), refused("{1}")])
            .await
            .unwrap();
    })
    .await;
    let expected =
        [("ignored", 2), ("mapped", 2), ("refused", 1)].map(|(state, count)| (state.to_owned(), count));
    assert_eq!(inbox(store).await, expected);
}

pub(super) async fn refused_record_is_found_by_its_code_until_a_newer_one_is_taken(store: &dyn Store) {
    let of = |n: u32, row: InboxRow| InboxRow {
        code: Some(code(n)),
        ..row
    };
    let elsewhere = InboxRow {
        adapter: "other".to_owned(),
        ..of(1, refused("{9}"))
    };
    let orphan = record("{8}", InboxState::Waiting("orphan".to_owned()));
    let first = record("{1}", InboxState::Mapped);
    commit(store, async |transaction| {
        let rows = [
            of(1, first),
            of(1, refused("{2}")),
            of(1, refused("{3}")),
            of(2, refused("{2 of 2}")),
            elsewhere,
            of(1, orphan),
            refused("{no code}"),
        ];
        transaction.put_inbox(&rows).await.unwrap();
    })
    .await;
    let held = async || {
        let held = store
            .held_records(&format!(" {} ", code(1).to_lowercase()))
            .await
            .unwrap();
        let held = held.into_iter().map(|held| (held.system, held.waits));
        held.collect::<Vec<_>>()
    };
    let refused_at = |system: &str| (system.to_owned(), None);
    let waits = || ("one-stop".to_owned(), Some("orphan".to_owned()));
    let all = [
        refused_at("one-stop"),
        refused_at("one-stop"),
        refused_at("other"),
        waits(),
    ];
    assert_eq!(held().await, all);
    assert_eq!(store.held_records("H56-none").await.unwrap(), []);
    let listed = async || {
        let letters = store.dead_letters(99).await.unwrap();
        let mut listed: Vec<_> = letters
            .into_iter()
            .map(|letter| (letter.system, letter.dossier))
            .collect();
        listed.sort();
        listed
    };
    let letter = |system: &str, code: Option<String>| (system.to_owned(), code);
    let others = [
        letter("one-stop", None),
        letter("one-stop", Some(code(2))),
        letter("other", Some(code(1))),
    ];
    assert_eq!(listed().await.len(), 5);

    let take = async |raw: &str| {
        let taken = Taken {
            adapter: "one-stop".to_owned(),
            code: code(1),
            raw_hash: format!("hash of {raw}"),
        };
        commit(store, async |transaction| {
            transaction.close_refused(&[taken]).await.unwrap();
        })
        .await;
    };
    take("{1}").await;
    assert_eq!(held().await, all, "it came before them");
    take("{2}").await;
    assert_eq!(
        held().await,
        [refused_at("one-stop"), refused_at("other"), waits()],
        "what can be read now is no longer refused; it came before the other"
    );
    take("{4}").await;
    assert_eq!(held().await, [refused_at("other"), waits()]);
    assert_eq!(listed().await, others);

    // what was closed is kept, and the same record may be refused anew
    commit(store, async |transaction| {
        transaction.put_inbox(&[of(1, refused("{2}"))]).await.unwrap();
    })
    .await;
    assert_eq!(
        held().await,
        [refused_at("other"), waits(), refused_at("one-stop")]
    );
    take("{4}").await;
    let expected = [
        ("ignored", 3),
        ("mapped", 1),
        ("refused", 1),
        ("refused", 2),
        ("waiting", 1),
    ];
    assert_eq!(
        inbox(store).await,
        expected.map(|(state, count)| (state.to_owned(), count))
    );
}

pub(super) async fn dead_letter_tells_cause_and_keeps_the_raw_record(store: &dyn Store) {
    let raw = "{\"ChuHoSo\":\"Vũ 'Thị' \\u0000 \\\"Thử\\\"\"}\n\u{1F4DC}";
    commit(store, async |transaction| {
        transaction.put_replicas(&[replica(1, 1, at(0))]).await.unwrap();
        let of_dossier = InboxRow {
            dossier: Some(id(1)),
            observed: at(9),
            ..refused(raw)
        };
        transaction.put_inbox(&[of_dossier]).await.unwrap();
    })
    .await;
    want(store, 1, 1, at(1)).await;
    put(store, 1, parked(true), at(2)).await;
    let letters = store.dead_letters(9).await.unwrap();
    let kinds: Vec<_> = letters
        .iter()
        .map(|letter| (letter.system.as_str(), letter.operation.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [("book", "push.dossier"), ("one-stop", "webhook.dossier")],
        "oldest first"
    );
    assert!(
        letters
            .iter()
            .all(|letter| letter.dossier.as_deref() == Some(&code(1)))
    );
    assert_eq!(letters[0].cause, cause("refused-by-target"));
    assert_eq!(letters[1].cause, cause("bad-time"));

    let (letter, kept) = store.dead_letter(&letters[1].id).await.unwrap().unwrap();
    assert_eq!(
        (letter.id.as_str(), kept.as_deref()),
        (letters[1].id.as_str(), Some(raw))
    );
    let (letter, kept) = store.dead_letter(&letters[0].id).await.unwrap().unwrap();
    assert_eq!((letter.cause, kept), (cause("refused-by-target"), None));
    assert!(store.dead_letter("inbox-999").await.unwrap().is_none());
}

pub(super) async fn outbox_keeps_its_order_and_forgets_what_is_said(store: &dyn Store) {
    // later ids first: the order is that of their coming, not of their names
    let events: Vec<_> = [9, 3, 7, 1].map(|n| event(store, n)).into();
    commit(store, async |transaction| {
        transaction.put_outbox(&events[..2]).await.unwrap();
        transaction.put_outbox(&events[2..]).await.unwrap();
    })
    .await;
    assert_eq!(store.outbox_head(3).await.unwrap(), events[..3]);
    commit(store, async |transaction| {
        transaction
            .forget_outbox(&[&events[0].id, &events[2].id, "not there"])
            .await
            .unwrap();
    })
    .await;
    assert_eq!(
        store.outbox_head(9).await.unwrap(),
        [events[1].clone(), events[3].clone()]
    );
    assert_eq!(store.counts().await.unwrap().outbox, 2);
}

pub(super) async fn journal_knows_what_was_merged(store: &dyn Store) {
    let (one, two) = (event(store, 1), event(store, 2));
    commit(store, async |transaction| {
        transaction
            .put_journal(std::slice::from_ref(&one), at(0))
            .await
            .unwrap();
    })
    .await;
    let mut transaction = store.begin().await.unwrap();
    let seen = transaction.journaled(&[&one.id, &two.id]).await.unwrap();
    assert_eq!(seen, [(one.id.clone(), one.clone())].into());
    assert!(
        transaction.put_journal(&[one], at(1)).await.is_err(),
        "an event is merged once"
    );
}

pub(super) async fn shadows_cursors_and_replicas_are_replaced(store: &dyn Store) {
    let shadow = |hash: &str| -> Shadow {
        serde_json::from_value(json!({"held": {"summary": {"hash": hash}}})).unwrap()
    };
    for (version, hash) in [(1, "a"), (2, "b")] {
        commit(store, async |transaction| {
            let shadows = [("one-stop".to_owned(), id(1), shadow(hash))];
            transaction.put_shadows(&shadows).await.unwrap();
            transaction.put_cursor("one-stop", "changes", hash).await.unwrap();
            transaction
                .put_replicas(&[replica(1, version, at(version))])
                .await
                .unwrap();
            // what was written is seen before the commit by the one who wrote it
            let own = transaction.replicas(&[id(1), id(2)]).await.unwrap();
            assert_eq!((own.len(), own[&id(1)].version), (1, version));
        })
        .await;
    }
    assert_eq!(
        store.cursor("one-stop", "changes").await.unwrap().as_deref(),
        Some("b")
    );
    assert_eq!(store.cursor("one-stop", "other").await.unwrap(), None);
    let replicas = store.replicas(&[id(1), id(2)]).await.unwrap();
    assert_eq!(replicas.len(), 1);
    assert_eq!((replicas[&id(1)].version, replicas[&id(1)].updated), (2, at(2)));
    assert_eq!(replicas[&id(1)].dossier, replica(1, 2, at(2)).dossier);
    let mut transaction = store.begin().await.unwrap();
    let key = ("one-stop".to_owned(), id(1));
    let shadows = transaction
        .shadows(&[key.clone(), ("book".to_owned(), id(1))])
        .await
        .unwrap();
    assert_eq!(shadows, [(key, shadow("b"))].into());
}

pub(super) async fn empty_batches_do_nothing(store: &dyn Store) {
    commit(store, async |transaction| {
        transaction.put_inbox(&[]).await.unwrap();
        transaction.close_refused(&[]).await.unwrap();
        transaction.put_outbox(&[]).await.unwrap();
        transaction.forget_outbox(&[]).await.unwrap();
        transaction.owe("book", "changes", &[]).await.unwrap();
        transaction.forget_owed(&[]).await.unwrap();
        transaction.put_off(&[], at(0)).await.unwrap();
        transaction.want(&[], at(0)).await.unwrap();
        transaction.put_items(&[], at(0)).await.unwrap();
        transaction.save(&[], at(0)).await.unwrap();
        transaction.release(&[], at(0)).await.unwrap();
        assert!(transaction.resolve(&[]).await.unwrap().is_empty());
        assert!(transaction.journaled(&[]).await.unwrap().is_empty());
        assert!(transaction.replicas(&[]).await.unwrap().is_empty());
    })
    .await;
    assert!(store.replicas(&[]).await.unwrap().is_empty());
    assert!(store.parents("book", &[]).await.unwrap().is_empty());
    let (rows, next) = due(store, "book", 0, 9).await;
    assert_eq!((rows.len(), next), (0, None));
}

pub(super) async fn dead_letters_are_listed_oldest_first_of_whatever_kind_they_are(store: &dyn Store) {
    commit(store, async |transaction| {
        let since = |raw: &str, observed: i64| InboxRow {
            observed: at(observed),
            ..refused(raw)
        };
        transaction
            .put_inbox(&[since("{9}", 90), since("{3}", 30), since("{1}", 10)])
            .await
            .unwrap();
    })
    .await;
    for (n, due) in [(1, 70), (2, 20), (3, 50)] {
        want(store, n, 1, at(due)).await;
        put(store, n, parked(true), at(due)).await;
    }
    let listed = async |limit| -> Vec<i64> {
        let letters = store.dead_letters(limit).await.unwrap();
        let since = |letter: &DeadLetter| letter.since.duration_since(at(0)).as_secs();
        letters.iter().map(since).collect()
    };
    assert_eq!(listed(99).await, [10, 20, 30, 50, 70, 90]);
    assert_eq!(listed(4).await, [10, 20, 30, 50]);
    for letter in store.dead_letters(99).await.unwrap() {
        let (found, _) = store.dead_letter(&letter.id).await.unwrap().unwrap();
        assert_eq!(json!(found), json!(letter));
    }
    for none in ["inbox-99", "inbox-x", "delivery-book-dossier", ""] {
        assert!(store.dead_letter(none).await.unwrap().is_none(), "{none}");
    }
}
