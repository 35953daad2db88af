//! Events that a node may die of: the sound ones among them are merged, those that it does die of take nothing else along.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use lienthong::adapter::{Adapter, Site};
use lienthong::broker::{Broker, BrokerError, Receipt, Received};
use lienthong::clock::{Clock, ManualClock};
use lienthong::event::Event;
use lienthong::jq::Workers;
use lienthong::stage::Shared;
use lienthong::stage::subscribe::Subscribe;
use lienthong::store::{self, DeadLetter, Decision, Verb};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::broker::event;
use crate::stores;
use crate::support::code;

on_both_stores! {
    sound_event_that_the_broker_suspects_is_merged_and_no_dead_letter
    suspect_that_nodes_die_of_is_a_dead_letter_after_the_third_death_and_can_be_tried_again
    event_that_breaks_a_batch_off_takes_none_of_the_others_along
}

/// Kills whoever merges this event, as long as it is armed.
#[derive(Clone)]
struct Poison {
    id: String,
    armed: Arc<AtomicBool>,
    in_hand: Arc<AtomicBool>,
    deaths: Arc<AtomicUsize>,
}

/// An event, whether it is a suspect, and where its answer is heard once it was brought.
type Held = (Event, bool, Option<oneshot::Receiver<()>>);

/// Brings what it has, in order, until it is answered for; suspects alone.
struct Bringer {
    poison: Poison,
    has: Mutex<Vec<Held>>,
}

#[async_trait]
impl Broker for Bringer {
    fn version(&self) -> &'static str {
        "bringer"
    }

    async fn publish(&self, events: Vec<Event>) -> Result<Vec<bool>, BrokerError> {
        Ok(vec![true; events.len()])
    }

    async fn receive(&self, limit: usize) -> Result<Vec<Received>, BrokerError> {
        let mut has = self.has.lock().unwrap();
        has.retain_mut(|(_, _, ear)| ear.as_mut().is_none_or(|ear| ear.try_recv() != Ok(())));
        let suspect = has.first().is_some_and(|(_, suspect, _)| *suspect);
        let limit = if suspect { 1 } else { limit };
        let brought = has
            .iter_mut()
            .take_while(|(_, is_suspect, _)| *is_suspect == suspect)
            .take(limit)
            .map(|(event, suspect, ear)| {
                let (receipt, new) = Receipt::new();
                *ear = Some(new);
                Received {
                    event: Ok(event.clone()),
                    suspect: *suspect,
                    receipt,
                }
            })
            .collect::<Vec<_>>();
        let ids = brought.iter().filter_map(|one| one.event.as_ref().ok());
        let poisoned = ids.clone().any(|event| event.id == self.poison.id);
        self.poison.in_hand.store(poisoned, Ordering::SeqCst);
        Ok(brought)
    }

    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<(), BrokerError> {
        receipts.into_iter().for_each(Receipt::acknowledge);
        Ok(())
    }
}

/// A clock in whose hand merging dies.
struct Deadly(ManualClock, Poison);

impl Clock for Deadly {
    fn now(&self) -> Timestamp {
        let Self(clock, poison) = self;
        if poison.armed.load(Ordering::SeqCst) && poison.in_hand.swap(false, Ordering::SeqCst) {
            poison.deaths.fetch_add(1, Ordering::SeqCst);
            panic!("a death in the middle of merging, as the test wants it");
        }
        clock.now()
    }

    fn uptime(&self) -> Duration {
        self.0.uptime()
    }

    fn boot(&self) -> String {
        self.0.boot()
    }
}

/// A node to which these events are brought, (event, suspect), and which dies of the third.
struct Node {
    shared: Arc<Shared>,
    poison: Poison,
    /// What it dies of is no more.
    is_mended: bool,
    _folder: TempDir,
}

impl Node {
    async fn with(events: &[(Event, bool)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store::open(&stores::url(folder.path())).await.unwrap();
        let poison = Poison {
            id: event(3).id,
            armed: Arc::default(),
            in_hand: Arc::default(),
            deaths: Arc::default(),
        };
        let has = events
            .iter()
            .map(|(event, suspect)| (event.clone(), *suspect, None));
        let broker = Bringer {
            poison: poison.clone(),
            has: Mutex::new(has.collect()),
        };
        let clock = ManualClock::new("2026-03-05T09:00:00Z".parse().unwrap());
        let clock = Arc::new(Deadly(clock, poison.clone()));
        let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/one-stop");
        let adapter = Adapter::load(&place, &Site::sample("one-stop")).unwrap();
        let workers = Workers::new(1, Duration::from_secs(5));
        let shared = Shared::open(
            store,
            Box::new(broker),
            clock,
            vec![adapter],
            BTreeMap::new(),
            workers,
        );
        Self {
            shared: Arc::new(shared.await.unwrap()),
            poison,
            is_mended: false,
            _folder: folder,
        }
    }

    fn deaths(&self) -> usize {
        self.poison.deaths.load(Ordering::SeqCst)
    }

    /// So many steps; `dies`: whoever dies of one is followed by a new process.
    async fn steps(&self, count: usize, dies: bool) {
        let mut subscribe = Subscribe::new(Arc::clone(&self.shared));
        for _ in 0..count {
            // Dying happens in merging, which an event is spared whose tries are over.
            let tries = format!("tries of {}", self.poison.id);
            let count = self.shared.store.cursor("lienthong", &tries).await.unwrap();
            let spared = count.as_deref() == Some("3") || self.is_mended;
            self.poison.armed.store(!spared, Ordering::SeqCst);
            match AssertUnwindSafe(subscribe.step()).catch_unwind().await {
                Ok(step) => drop(step.unwrap()),
                Err(_) if dies => subscribe = Subscribe::new(Arc::clone(&self.shared)),
                Err(_) => {}
            }
        }
    }

    async fn merged(&self) -> BTreeSet<String> {
        let mut merged = BTreeSet::new();
        for n in 1..=9 {
            if self.shared.store.find_replica(&code(n)).await.unwrap().is_some() {
                merged.insert(code(n));
            }
        }
        merged
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        self.shared.store.dead_letters(9).await.unwrap()
    }
}

fn codes(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers.into_iter().map(code).collect()
}

async fn sound_event_that_the_broker_suspects_is_merged_and_no_dead_letter() {
    let node = Node::with(&[(event(1), true), (event(2), true), (event(4), false)]).await;
    node.steps(3, true).await;
    assert_eq!(node.merged().await, codes([1, 2, 4]));
    assert!(node.letters().await.is_empty());
    assert_eq!(node.deaths(), 0);
}

async fn suspect_that_nodes_die_of_is_a_dead_letter_after_the_third_death_and_can_be_tried_again() {
    let mut node = Node::with(&[(event(3), true), (event(1), true)]).await;
    node.steps(3, true).await;
    assert_eq!(node.deaths(), 3);
    assert!(node.letters().await.is_empty(), "each death had its try");
    node.steps(2, true).await;
    assert_eq!(node.deaths(), 3, "it is not tried again by itself");
    assert_eq!(node.merged().await, codes([1]));
    let letters = node.letters().await;
    let [letter] = &letters[..] else {
        panic!("{letters:?}");
    };
    assert_eq!(letter.cause.code, "crashed-consumer");

    node.is_mended = true;
    let retry = Decision {
        at: "2026-03-05T10:00:00Z".parse().unwrap(),
        by: "cán bộ trực".to_owned(),
        letter: letter.id.clone(),
        verb: Verb::Retry,
        reason: None,
    };
    let mut transaction = node.shared.store.begin().await.unwrap();
    let (retry, at) = ([retry], "2026-03-05T10:00:00Z".parse().unwrap());
    let decided = transaction.decide(&retry, &[], at);
    assert_eq!(decided.await.unwrap().len(), 1);
    transaction.commit().await.unwrap();
    node.steps(1, true).await;
    assert_eq!(node.merged().await, codes([1, 3]));
    assert!(node.letters().await.is_empty());
}

async fn event_that_breaks_a_batch_off_takes_none_of_the_others_along() {
    let events: Vec<(Event, bool)> = (1..=9).map(|n| (event(n), false)).collect();
    let node = Node::with(&events).await;
    // one for the batch, two good ones, three deaths alone, the letter, and six more
    node.steps(1 + 2 + 3 + 1 + 6, false).await;
    assert_eq!(node.deaths(), 1 + 3);
    assert_eq!(node.merged().await, codes((1..=9).filter(|n| *n != 3)));
    let letters = node.letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].cause.code, "crashed-consumer");
}
