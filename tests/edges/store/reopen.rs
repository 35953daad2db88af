//! What outlives the process that wrote it.

use std::sync::Arc;

use jiff::SignedDuration;
use lienthong::clock::{HybridClock, ManualClock};
use lienthong::dossier::Hlc;

use super::{Place, at, commit, event, hlc, row, want};

pub(super) async fn id_and_rows_outlive_the_process(place: &Place) {
    let store = place.open().await;
    let name = store.id().to_owned();
    assert!(!name.is_empty());
    let said = event(&*store, 1);
    commit(&*store, async |transaction| {
        transaction.put_outbox(std::slice::from_ref(&said)).await.unwrap();
    })
    .await;
    want(&*store, 1, 4, at(0)).await;
    drop(store);
    for _ in 0..2 {
        let store = place.open().await;
        assert_eq!(store.id(), name);
        assert_eq!(store.outbox_head(9).await.unwrap(), std::slice::from_ref(&said));
        assert_eq!(row(&*store, 1).await.desired, 4);
    }
    let other = Place::sqlite().await.open().await.id().to_owned();
    assert_ne!(other, name, "two stores are two");
    crate::stores::tell(&format!("{} · reopened", place.open().await.version()));
}

pub(super) async fn clock_never_goes_back(place: &Place) {
    let wall = ManualClock::new(at(100));
    let last = {
        let store = place.open().await;
        assert_eq!(
            store.clock().await.unwrap(),
            Hlc::default(),
            "a new store has no past"
        );
        let clock = HybridClock::new(Arc::new(wall.clone()), store.clock().await.unwrap());
        let mut last = clock.tick();
        assert_eq!(last, hlc(100));
        // many times through few connections
        for _ in 0..20 {
            commit(&*store, async |transaction| {
                transaction.put_clock(clock.last()).await.unwrap();
            })
            .await;
            assert_eq!(store.clock().await.unwrap(), last);
            last = clock.tick();
        }
        commit(&*store, async |transaction| {
            transaction.put_clock(clock.last()).await.unwrap();
        })
        .await;
        last
    };
    // the machine comes up an hour early
    wall.advance(SignedDuration::from_hours(-1));
    let store = place.open().await;
    assert_eq!(store.clock().await.unwrap(), last);
    let clock = HybridClock::new(Arc::new(wall), store.clock().await.unwrap());
    assert!(clock.tick() > last);
}

pub(super) async fn store_of_a_newer_version_is_refused(place: &Place) {
    drop(place.open().await);
    place.migrate_beyond().await;
    let refusal = match place.try_open().await {
        Err(refusal) => refusal.to_string(),
        Ok(_) => panic!("a store that this version does not understand was opened"),
    };
    assert!(refusal.contains("9999"), "{refusal}");
    assert!(refusal.contains("newer version"), "{refusal}");
}
