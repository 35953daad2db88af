//! What a broker promises, for every one of them; and what the stages make of it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lienthong::adapter::{Adapter, Site};
use lienthong::broker::{self, Broker, Received};
use lienthong::clock::ManualClock;
use lienthong::dossier::{Dossier, Hlc, Origin, Stamp};
use lienthong::event::Event;
use lienthong::jq::Workers;
use lienthong::stage::Shared;
use lienthong::stage::publish::Publish;
use lienthong::stage::subscribe::Subscribe;
use lienthong::store::{self, Store};
use tempfile::TempDir;

use crate::support::code;

/// Every fact on every broker, each a test with its name.
macro_rules! conformance {
    ($($broker:ident: $url:literal;)*) => { $(conformance!(@facts $broker $url;
        event_is_confirmed_only_when_it_is_acknowledged
        event_whose_receipt_was_dropped_is_not_confirmed
        events_come_in_the_order_in_which_they_were_published
        nothing_to_bring_is_no_error
    );)* };
    (@facts $broker:ident $url:literal; $($fact:ident)*) => {
        mod $broker {
            $(#[tokio::test]
            async fn $fact() {
                super::$fact(&*lienthong::broker::open($url).unwrap()).await;
            })*
        }
    };
}

conformance! {
    loopback: "loopback:";
}

fn event(n: u32) -> Event {
    let hlc = Hlc {
        wall_ms: 1_772_700_000_000 + u64::from(n),
        counter: 0,
    };
    let time = "2026-03-05T08:40:00Z".parse().unwrap();
    let stamp = Stamp {
        effective: time,
        hlc,
        source: "one-stop".to_owned(),
        hash: "00".to_owned(),
    };
    let delta = Dossier::linked(Origin::new("one-stop", &code(n)), "one-stop", &code(n), stamp);
    Event::new("store", "one-stop", None, time, hlc, delta, true)
}

/// Brings so many events, however many come at a time.
async fn bring(broker: &dyn Broker, count: usize) -> Vec<Received> {
    let mut brought = Vec::new();
    while brought.len() < count {
        brought.extend(broker.receive(count - brought.len()).await.unwrap());
    }
    brought
}

async fn event_is_confirmed_only_when_it_is_acknowledged(broker: &dyn Broker) {
    let mut publish = pin!(broker.publish(vec![event(1), event(2)]));
    assert!(publish.as_mut().now_or_never().is_none());
    let brought = bring(broker, 2).await;
    assert!(
        publish.as_mut().now_or_never().is_none(),
        "received is not yet durable"
    );
    let receipts = brought.into_iter().map(|received| received.receipt).collect();
    broker.acknowledge(receipts).await.unwrap();
    assert_eq!(publish.await.unwrap(), [true, true]);
}

async fn event_whose_receipt_was_dropped_is_not_confirmed(broker: &dyn Broker) {
    let mut publish = pin!(broker.publish(vec![event(1), event(2), event(3)]));
    assert!(publish.as_mut().now_or_never().is_none());
    let mut brought = bring(broker, 3).await;
    drop(brought.remove(1));
    let receipts = brought.into_iter().map(|received| received.receipt).collect();
    broker.acknowledge(receipts).await.unwrap();
    assert_eq!(
        publish.await.unwrap(),
        [true, false, true],
        "said of the right one"
    );
}

async fn events_come_in_the_order_in_which_they_were_published(broker: &dyn Broker) {
    let events: Vec<Event> = (1..=20).rev().map(event).collect();
    let mut publish = pin!(broker.publish(events.clone()));
    assert!(publish.as_mut().now_or_never().is_none());
    let brought = bring(broker, events.len()).await;
    let (said, receipts): (Vec<_>, Vec<_>) = brought.into_iter().map(|one| (one.event, one.receipt)).unzip();
    assert_eq!(said, events);
    broker.acknowledge(receipts).await.unwrap();
    assert_eq!(publish.await.unwrap(), [true; 20]);
}

async fn nothing_to_bring_is_no_error(broker: &dyn Broker) {
    assert!(broker.receive(9).await.unwrap().is_empty());
    assert!(broker.publish(Vec::new()).await.unwrap().is_empty());
}

#[test]
fn unknown_broker_is_named() {
    let Err(refusal) = broker::open("amqp://rabbit") else {
        panic!("no such broker yet");
    };
    assert_eq!(
        refusal.to_string(),
        "open the broker: \"amqp://rabbit\" is no address of a broker; write loopback:"
    );
}

/// The parts of a node that hosts the one-stop, stepped by the test.
async fn shared(folder: &TempDir) -> Arc<Shared> {
    let store = store::open(&format!("sqlite://{}/lienthong.db", folder.path().display()))
        .await
        .unwrap();
    let clock = Arc::new(ManualClock::new("2026-03-05T09:00:00Z".parse().unwrap()));
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/one-stop");
    let adapter = Adapter::load(&place, &Site::sample("one-stop")).unwrap();
    let broker = broker::open("loopback:").unwrap();
    let workers = Workers::new(1, Duration::from_secs(5));
    let shared = Shared::open(store, broker, clock, vec![adapter], workers);
    Arc::new(shared.await.unwrap())
}

async fn say(store: &dyn Store, event: &Event) {
    let mut transaction = store.begin().await.unwrap();
    transaction.put_outbox(std::slice::from_ref(event)).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn version(store: &dyn Store, n: u32) -> i64 {
    store
        .find_replica(&code(n))
        .await
        .unwrap()
        .map_or(0, |replica| replica.version)
}

#[tokio::test]
async fn event_that_nobody_acknowledged_is_published_again_and_merged_once() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&folder).await;
    let (publish, subscribe) = (
        Publish::new(Arc::clone(&shared)),
        Subscribe::new(Arc::clone(&shared)),
    );
    say(&*shared.store, &event(1)).await;
    // a subscriber that dies with what it has received
    for _ in 0..2 {
        let (published, brought) =
            tokio::join!(publish.step(), async { drop(bring(&*shared.broker, 1).await) });
        published.unwrap();
        let () = brought;
        assert_eq!(
            shared.store.outbox_head(9).await.unwrap(),
            [event(1)],
            "still to be said"
        );
    }
    let (published, merged) = tokio::join!(publish.step(), subscribe.step());
    published.unwrap();
    merged.unwrap();
    assert!(shared.store.outbox_head(9).await.unwrap().is_empty());
    assert_eq!(version(&*shared.store, 1).await, 1);
}

#[tokio::test]
async fn event_that_was_merged_and_not_forgotten_changes_nothing_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared(&folder).await;
    let (publish, subscribe) = (
        Publish::new(Arc::clone(&shared)),
        Subscribe::new(Arc::clone(&shared)),
    );
    say(&*shared.store, &event(1)).await;
    // a publisher that dies between the confirm and its own commit
    let (confirmed, merged) = tokio::join!(shared.broker.publish(vec![event(1)]), subscribe.step());
    assert_eq!(confirmed.unwrap(), [true]);
    merged.unwrap();
    assert_eq!(version(&*shared.store, 1).await, 1);
    assert_eq!(shared.store.outbox_head(9).await.unwrap().len(), 1);

    let (published, merged) = tokio::join!(publish.step(), subscribe.step());
    published.unwrap();
    merged.unwrap();
    assert!(shared.store.outbox_head(9).await.unwrap().is_empty());
    assert_eq!(version(&*shared.store, 1).await, 1, "merged once");
    // nor twice in one batch
    let (confirmed, merged) = tokio::join!(shared.broker.publish(vec![event(2), event(2)]), subscribe.step());
    assert_eq!(confirmed.unwrap(), [true, true]);
    merged.unwrap();
    assert_eq!(version(&*shared.store, 2).await, 1);
}
