//! Dossiers as they are found and listed.

use lienthong::store::{Delivery, Item, State, Store};

use super::{at, code, commit, dossier, id, outcome, parked, put, replica, row, save, wanted};

pub(super) async fn link_keeps_leading_where_it_led(store: &dyn Store) {
    let key = |system: &str, code: &str| (system.to_owned(), code.to_owned());
    let links = [
        (key("portal", "A"), id(1)),
        (key("portal", "A"), id(2)),
        (key("book", "A"), id(2)),
    ];
    commit(store, async |transaction| {
        transaction.put_links(&links).await.unwrap();
    })
    .await;
    commit(store, async |transaction| {
        transaction
            .put_links(&[(key("portal", "A"), id(3)), (key("portal", "B"), id(3))])
            .await
            .unwrap();
    })
    .await;
    let mut transaction = store.begin().await.unwrap();
    let asked = [
        key("portal", "A"),
        key("book", "A"),
        key("portal", "B"),
        key("portal", "C"),
    ];
    let led = transaction.resolve(&asked).await.unwrap();
    let expected = [
        (key("portal", "A"), id(1)),
        (key("book", "A"), id(2)),
        (key("portal", "B"), id(3)),
    ];
    assert_eq!(led, expected.into());
}

pub(super) async fn dossier_is_found_by_any_of_its_codes(store: &dyn Store) {
    commit(store, async |transaction| {
        let mut one = replica(1, 1, at(0));
        one.dossier.merge(&dossier(1, "national-portal", "G01-Đ1"));
        transaction
            .put_replicas(&[one, replica(2, 1, at(0))])
            .await
            .unwrap();
        let links = [(("national-portal".to_owned(), "G01-Đ1".to_owned()), id(1))];
        transaction.put_links(&links).await.unwrap();
    })
    .await;
    for name in [
        code(1),
        id(1).to_string(),
        "G01-Đ1".to_owned(),
        " g01-đ1 ".to_owned(),
    ] {
        let found = store.find_replica(&name).await.unwrap();
        assert_eq!(found.map(|replica| replica.dossier.id), Some(id(1)), "{name}");
    }
    assert!(store.find_replica("G01").await.unwrap().is_none());
}

pub(super) async fn dossiers_are_listed_last_changed_first_with_what_is_open(store: &dyn Store) {
    commit(store, async |transaction| {
        let replicas = [replica(1, 1, at(5)), replica(2, 1, at(9)), replica(3, 1, at(1))];
        transaction.put_replicas(&replicas).await.unwrap();
        transaction
            .want(&[wanted(1, 1), wanted(2, 1), wanted(3, 1)], at(9))
            .await
            .unwrap();
        let step = Item {
            adapter: "book".to_owned(),
            push: "step".to_owned(),
            dossier: id(1),
            item: "s".to_owned(),
            ordinal: 1,
            version: 1,
            again: false,
        };
        transaction.put_items(&[step], at(9)).await.unwrap();
    })
    .await;
    put(store, 2, parked(false), at(9)).await;
    save(
        store,
        outcome(Delivery {
            state: State::Applied,
            applied: Some(1),
            ..row(store, 3).await
        }),
        at(9),
    )
    .await;
    let list = store.list_replicas(9).await.unwrap();
    let seen: Vec<_> = list
        .iter()
        .map(|line| (line.id, line.open, line.parked))
        .collect();
    assert_eq!(seen, [(id(2), 0, 1), (id(1), 2, 0), (id(3), 0, 0)]);
    assert_eq!(list[0].code.as_deref(), Some(code(2).as_str()));
    assert_eq!(store.list_replicas(1).await.unwrap().len(), 1);
    let counts = store.counts().await.unwrap();
    let expected = [
        ("dossier", "applied", 1),
        ("dossier", "due", 1),
        ("dossier", "parked", 1),
        ("step", "due", 1),
    ];
    let expected =
        expected.map(|(push, state, count)| ("book".to_owned(), push.to_owned(), state.to_owned(), count));
    assert_eq!((counts.dossiers, counts.deliveries), (3, expected.to_vec()));
}
