//! Two dossiers that become one, codes that may be one, and creates that are open.

use lienthong::dossier::Shadow;
use lienthong::store::{Delivery, InboxState, Item, Presence, State, Store};
use serde_json::json;

use super::records::record;
use super::{at, code, commit, event, id, item, outcome, parked, put, replica, row, save, want, wanted};

fn shadow(hash: &str) -> Shadow {
    serde_json::from_value(json!({"held": {"summary": {"hash": hash}}})).unwrap()
}

fn step(n: u32, name: &str) -> Item {
    Item {
        adapter: "book".to_owned(),
        push: "step".to_owned(),
        dossier: id(n),
        item: name.to_owned(),
        ordinal: 1,
        version: 1,
        again: false,
    }
}

pub(super) async fn what_was_kept_of_the_one_that_goes_is_kept_of_the_one_that_stays(store: &dyn Store) {
    let (gone, stays) = (1, 2);
    let key = |code: &str| ("portal".to_owned(), code.to_owned());
    let kept = |system: &str, n: u32, hash: &str| (system.to_owned(), id(n), shadow(hash));
    let event = event(store, gone);
    commit(store, async |transaction| {
        transaction
            .put_replicas(&[
                replica(gone, 3, at(1)),
                replica(stays, 4, at(1)),
                replica(3, 1, at(1)),
            ])
            .await
            .unwrap();
        let links = [(key("A"), id(gone)), (key("B"), id(stays)), (key("C"), id(3))];
        transaction.put_links(&links).await.unwrap();
        transaction
            .put_journal(std::slice::from_ref(&event), at(0))
            .await
            .unwrap();
        let mut of_gone = record("{1}", InboxState::Mapped);
        of_gone.dossier = Some(id(gone));
        transaction.put_inbox(&[of_gone]).await.unwrap();
        let shadows = [
            kept("one-stop", gone, "theirs"),
            kept("portal", gone, "theirs"),
            kept("portal", stays, "mine"),
        ];
        transaction.put_shadows(&shadows).await.unwrap();
        let of = |n: u32| wanted(n, 1);
        transaction
            .want(&[of(gone), of(stays), of(3)], at(0))
            .await
            .unwrap();
        let steps = [step(gone, "a"), step(gone, "b"), step(stays, "b")];
        transaction.put_items(&steps, at(0)).await.unwrap();
    })
    .await;
    put(store, stays, parked(true), at(1)).await;

    commit(store, async |transaction| {
        transaction.join(id(gone), id(stays)).await.unwrap();
    })
    .await;
    let mut transaction = store.begin().await.unwrap();
    let led = transaction
        .resolve(&[key("A"), key("B"), key("C")])
        .await
        .unwrap();
    let expected = [(key("A"), id(stays)), (key("B"), id(stays)), (key("C"), id(3))];
    assert_eq!(led, expected.into());
    let keys: Vec<_> = ["one-stop", "portal"]
        .iter()
        .flat_map(|system| [gone, stays].map(|n| ((*system).to_owned(), id(n))))
        .collect();
    let expected = [
        (("one-stop".to_owned(), id(stays)), shadow("theirs")),
        (("portal".to_owned(), id(stays)), shadow("mine")),
    ];
    assert_eq!(transaction.shadows(&keys).await.unwrap(), expected.clone().into());
    drop(transaction);
    assert_eq!(
        store.shadows(&keys).await.unwrap(),
        expected.into(),
        "readers see the same"
    );

    assert!(store.deliveries_of(id(gone)).await.unwrap().is_empty());
    let rows = store.deliveries_of(id(stays)).await.unwrap();
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row.push.as_str(), row.item.as_str()))
        .collect();
    assert_eq!(names, [("dossier", ""), ("step", "a"), ("step", "b")]);
    assert_eq!(
        row(store, stays).await.state,
        parked(true),
        "its own rows are as they were"
    );
    assert_eq!(row(store, 3).await.state, State::Due);
    assert!(store.replicas(&[id(gone)]).await.unwrap().is_empty());
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.dossiers, counts.inbox.len()), (2, 1));
    let found = store.find_replica(&id(gone).to_string()).await.unwrap();
    assert_eq!(
        found.map(|found| found.dossier.id),
        Some(id(stays)),
        "the old id still leads there"
    );
}

pub(super) async fn alias_leads_to_the_dossier_that_lives_on_however_often_it_was_joined(store: &dyn Store) {
    commit(store, async |transaction| {
        transaction.join(id(1), id(2)).await.unwrap();
        transaction.join(id(2), id(3)).await.unwrap();
        transaction.join(id(4), id(3)).await.unwrap();
        // said twice
        transaction.join(id(4), id(3)).await.unwrap();
    })
    .await;
    let mut transaction = store.begin().await.unwrap();
    let led = transaction
        .aliases(&[id(1), id(2), id(3), id(4), id(5)])
        .await
        .unwrap();
    assert_eq!(led, [(id(1), id(3)), (id(2), id(3)), (id(4), id(3))].into());
    assert!(transaction.aliases(&[]).await.unwrap().is_empty());
}

pub(super) async fn codes_of_both_forms_are_candidates(store: &dyn Store) {
    let links = [
        (("one-stop".to_owned(), code(1)), id(1)),
        (("portal".to_owned(), "H56.14-260305-0001".to_owned()), id(2)),
        (("book".to_owned(), "H56.14-260305-0001".to_owned()), id(2)),
        (("one-stop".to_owned(), code(2)), id(3)),
        (("portal".to_owned(), "G01-26".to_owned()), id(3)),
    ];
    commit(store, async |transaction| {
        transaction.put_links(&links).await.unwrap();
    })
    .await;
    let mut transaction = store.begin().await.unwrap();
    let modern = |n: u32| format!("H56.14-260305-{n:04}");
    let found = transaction
        .candidates(&[modern(1), modern(2), modern(3), "G01-26".to_owned()])
        .await
        .unwrap();
    let mut both = vec![id(1), id(2)];
    both.sort();
    let expected = [(modern(1), both), (modern(2), vec![id(3)])];
    assert_eq!(
        found,
        expected.into(),
        "each once; what is no official code has no other form"
    );
    assert!(transaction.candidates(&[]).await.unwrap().is_empty());
}

pub(super) async fn create_is_open_until_it_is_known_what_became_of_it(store: &dyn Store) {
    let (absent, unknown, present) = (Presence::Absent, Presence::Unknown, Presence::Present);
    let doubt = || State::InDoubt { until: at(90) };
    let later = State::BackingOff { next: at(9) };
    let discarded = State::Discarded {
        reason: "by hand".to_owned(),
    };
    // whether the effect of its last intent is unknown, and whether that makes it an open create
    let rows = [
        ("on its way", absent, doubt(), true, true),
        ("without a look-up", unknown, doubt(), true, true),
        ("left to a person", unknown, parked(true), true, true),
        ("a look-up that was refused", unknown, parked(false), true, true),
        ("to be looked at", unknown, later, true, true),
        ("a change of a record", present, doubt(), true, false),
        ("given up by a person", unknown, discarded, true, false),
        ("refused", unknown, parked(false), false, false),
        ("not yet begun", unknown, State::Due, false, false),
    ];
    for (n, (_, presence, state, unknown, _)) in (1..).zip(&rows) {
        want(store, n, 1, at(0)).await;
        let row = Delivery {
            presence: *presence,
            state: state.clone(),
            intent: unknown.then(|| "intent".to_owned()),
            holder: Some("start".to_owned()),
            ..row(store, n).await
        };
        save(store, outcome(row), at(0)).await;
    }
    // a person has looked and found that it was not made
    want(store, 40, 1, at(0)).await;
    let asked = Delivery {
        intent: Some("intent".to_owned()),
        holder: None,
        ..row(store, 40).await
    };
    save(store, outcome(asked), at(0)).await;
    // an item of a dossier is no dossier
    commit(store, async |transaction| {
        transaction.put_items(&[step(50, "s")], at(0)).await.unwrap();
    })
    .await;
    let of_item = item(store, 50, "s").await;
    let of_item = Delivery {
        intent: Some("intent".to_owned()),
        holder: Some("start".to_owned()),
        state: doubt(),
        ..of_item
    };
    save(store, outcome(of_item), at(0)).await;

    let mut transaction = store.begin().await.unwrap();
    let open = transaction.open_creates("book").await.unwrap();
    for (n, (what, _, _, _, expected)) in (1..).zip(&rows) {
        assert_eq!(open.contains(&id(n)), *expected, "{what}");
    }
    assert_eq!(open.len(), 5);
    assert!(transaction.open_creates("other").await.unwrap().is_empty());
}

pub(super) async fn transaction_sees_the_rows_of_a_dossier_as_it_has_written_them(store: &dyn Store) {
    want(store, 1, 1, at(0)).await;
    let mut transaction = store.begin().await.unwrap();
    transaction
        .put_items(&[step(1, "b"), step(2, "x")], at(0))
        .await
        .unwrap();
    let rows = transaction.deliveries(id(1)).await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.item.as_str()).collect();
    assert_eq!(names, ["", "b"]);
    assert_eq!(
        store.deliveries_of(id(1)).await.unwrap().len(),
        1,
        "nobody else does"
    );
    assert!(transaction.deliveries(id(9)).await.unwrap().is_empty());
}
