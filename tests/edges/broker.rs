//! What a broker promises, for every one of them; and what the stages make of it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lienthong::adapter::{Adapter, Site};
use lienthong::broker::{self, Broker, Received, Subscriber};
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
use crate::support::rabbit::{Places, rabbit};

/// Every fact on every broker, each a test with its name.
macro_rules! conformance {
    ($($broker:ident: $open:expr;)*) => { $(conformance!(@facts $broker $open;
        event_comes_until_it_is_acknowledged
        event_whose_receipt_was_dropped_comes_again
        events_come_in_the_order_in_which_they_were_published
        nothing_to_bring_is_no_error
    );)* };
    (@facts $broker:ident $open:expr; $($fact:ident)*) => {
        mod $broker {
            $(#[tokio::test]
            async fn $fact() {
                super::$fact(&*$open.await).await;
            })*
        }
    };
}

conformance! {
    loopback: super::loopback();
    rabbitmq: super::rabbitmq();
}

#[expect(clippy::unused_async, reason = "the suite makes both brokers alike")]
async fn loopback() -> Box<dyn Broker> {
    broker::open(&"loopback:".into(), Subscriber::default()).unwrap()
}

async fn rabbitmq() -> Box<dyn Broker> {
    rabbit(&Places::shared().await.url())
}

pub(crate) fn event(n: u32) -> Event {
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
pub(crate) async fn bring(broker: &dyn Broker, count: usize) -> Vec<Received> {
    let mut brought = Vec::new();
    while brought.len() < count {
        brought.extend(broker.receive(count - brought.len()).await.unwrap());
    }
    brought
}

/// Says events until each was confirmed, as the stage does.
async fn say_all(broker: &dyn Broker, mut open: Vec<Event>) {
    while !open.is_empty() {
        let mut confirmed = broker.publish(open.clone()).await.unwrap().into_iter();
        open.retain(|_| confirmed.next() != Some(true));
    }
}

async fn event_comes_until_it_is_acknowledged(broker: &dyn Broker) {
    tokio::join!(say_all(broker, vec![event(1), event(2)]), async {
        let brought = bring(broker, 2).await;
        let receipts = brought.into_iter().map(|received| received.receipt).collect();
        broker.acknowledge(receipts).await.unwrap();
    });
    assert!(broker.receive(9).await.unwrap().is_empty());
}

async fn event_whose_receipt_was_dropped_comes_again(broker: &dyn Broker) {
    let events = vec![event(1), event(2), event(3)];
    tokio::join!(say_all(broker, events), async {
        let mut brought = bring(broker, 3).await;
        drop(brought.remove(1));
        let receipts = brought.into_iter().map(|received| received.receipt).collect();
        broker.acknowledge(receipts).await.unwrap();
        let again = bring(broker, 1).await.remove(0);
        assert_eq!(again.event, Ok(event(2)), "the right one");
        broker.acknowledge(vec![again.receipt]).await.unwrap();
    });
    assert!(broker.receive(9).await.unwrap().is_empty());
}

async fn events_come_in_the_order_in_which_they_were_published(broker: &dyn Broker) {
    let events: Vec<Event> = (1..=20).rev().map(event).collect();
    tokio::join!(say_all(broker, events.clone()), async {
        let brought = bring(broker, events.len()).await;
        let (said, receipts): (Vec<_>, Vec<_>) = brought
            .into_iter()
            .map(|one| (one.event.unwrap(), one.receipt))
            .unzip();
        assert_eq!(said, events);
        broker.acknowledge(receipts).await.unwrap();
    });
}

async fn nothing_to_bring_is_no_error(broker: &dyn Broker) {
    assert!(broker.receive(9).await.unwrap().is_empty());
    assert!(broker.publish(Vec::new()).await.unwrap().is_empty());
}

/// In one process the confirm is the subscriber's commit.
#[tokio::test]
async fn loopback_confirms_only_what_was_acknowledged() {
    let broker = loopback().await;
    let mut publish = pin!(broker.publish(vec![event(1), event(2), event(3)]));
    assert!(publish.as_mut().now_or_never().is_none());
    let mut brought = bring(&*broker, 3).await;
    assert!(
        publish.as_mut().now_or_never().is_none(),
        "received is not yet durable"
    );
    drop(brought.remove(1));
    let receipts = brought.into_iter().map(|received| received.receipt).collect();
    broker.acknowledge(receipts).await.unwrap();
    assert_eq!(
        publish.await.unwrap(),
        [true, false, true],
        "said of the right one"
    );
}

/// The parts of a node that hosts the one-stop, stepped by the test.
async fn shared(folder: &TempDir) -> Arc<Shared> {
    shared_over(folder, loopback().await).await
}

pub(crate) async fn shared_over(folder: &TempDir, broker: Box<dyn Broker>) -> Arc<Shared> {
    let store = store::open(&format!("sqlite://{}/lienthong.db", folder.path().display()))
        .await
        .unwrap();
    let clock = Arc::new(ManualClock::new("2026-03-05T09:00:00Z".parse().unwrap()));
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/one-stop");
    let adapter = Adapter::load(&place, &Site::sample("one-stop")).unwrap();
    let workers = Workers::new(1, Duration::from_secs(5));
    let shared = Shared::open(store, broker, clock, vec![adapter], BTreeMap::new(), workers);
    Arc::new(shared.await.unwrap())
}

async fn say(store: &dyn Store, event: &Event) {
    let mut transaction = store.begin().await.unwrap();
    transaction.put_outbox(std::slice::from_ref(event)).await.unwrap();
    transaction.commit().await.unwrap();
}

pub(crate) async fn version(store: &dyn Store, n: u32) -> i64 {
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
