//! The parts of a node, stepped by the test: between any two steps it looks, says something or lets everything die.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lienthong::adapter::Adapter;
use lienthong::broker::{self, Subscriber};
use lienthong::clock::{Clock, ManualClock};
use lienthong::config::Config;
use lienthong::connector::{Connector, Http};
use lienthong::dossier::Dossier;
use lienthong::files::Files;
use lienthong::jq::Workers;
use lienthong::sandbox::{Options, Sandbox};
use lienthong::stage::deliver::Deliver;
use lienthong::stage::ingest::again::Again;
use lienthong::stage::ingest::pull::Puller;
use lienthong::stage::ingest::{Door, Record, admit};
use lienthong::stage::publish::Publish;
use lienthong::stage::subscribe::Subscribe;
use lienthong::stage::{Progress, Shared};
use lienthong::store::{self, DeadLetter, Decision, Delivery, InboxState, State, Verb};
use serde_json::Value;
use tempfile::TempDir;

use super::install_tls;
use super::site::{START, configure, shipped};

/// More steps than any test needs: a stage that takes them all never comes to rest.
const STEPS: usize = 300;

/// The parts, the place where they keep everything, and the clock that the test moves.
pub(crate) struct Bench {
    folder: TempDir,
    config: Config,
    clock: ManualClock,
    pub(crate) shared: Arc<Shared>,
}

impl Bench {
    /// The shipped one-stop and these systems: name, manifest, address.
    pub(crate) async fn open(systems: &[(&str, &str, &str)]) -> Self {
        Self::prepare(systems, |_| {}).await
    }

    /// The same beside a stand-in of the one-stop, in whose time everything happens.
    pub(crate) async fn beside(
        one_stop: &Sandbox,
        clock: &ManualClock,
        systems: &[(&str, &str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = configure(folder.path(), systems);
        config.systems[0].url = Some(one_stop.url());
        let shared = open(&config, Arc::new(clock.clone())).await;
        Self {
            folder,
            config,
            clock: clock.clone(),
            shared,
        }
    }

    /// The same, after something was done to the adapters' folders.
    pub(crate) async fn prepare(systems: &[(&str, &str, &str)], before: impl FnOnce(&Path)) -> Self {
        let clock = ManualClock::new(START.parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), systems);
        before(&config.adapters);
        let shared = open(&config, Arc::new(clock.clone())).await;
        Self {
            folder,
            config,
            clock,
            shared,
        }
    }

    /// Everything dies where it stands, `meanwhile` happens to the adapters' folders, and another process begins.
    pub(crate) async fn reopen(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self {
            folder,
            config,
            clock,
            shared,
        } = self;
        drop(shared);
        meanwhile(&config.adapters);
        let shared = open(&config, Arc::new(clock.clone())).await;
        Self {
            folder,
            config,
            clock,
            shared,
        }
    }

    /// The same, on a clock of the test.
    pub(crate) async fn reopen_on(self, clock: Arc<dyn Clock>) -> Self {
        let Self {
            folder,
            config,
            clock: manual,
            shared,
        } = self;
        drop(shared);
        let shared = open(&config, clock).await;
        Self {
            folder,
            config,
            clock: manual,
            shared,
        }
    }

    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("lienthong.db")
    }

    pub(crate) fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The steady time now.
    pub(crate) fn steady(&self) -> Timestamp {
        self.shared.steady.now()
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// The one-stop tells of this row, and everybody who should have it is told.
    pub(crate) async fn tell(&self, row: &Value) {
        assert_eq!(self.says("one-stop", row).await, InboxState::Mapped);
    }

    /// A system tells of this record through its first webhook; what became of it.
    pub(crate) async fn says(&self, system: &str, record: &Value) -> InboxState {
        let record = Record {
            adapter: Arc::clone(self.shared.adapter(system).unwrap()),
            door: Door::Webhook(0),
            raw: record.to_string(),
            value: record.clone(),
            observed: self.clock.now(),
            asked: None,
            kept: None,
        };
        let mut states = admit(&self.shared, vec![record], None).await.unwrap();
        self.spread().await;
        states.remove(0)
    }

    /// Takes every event where it belongs, and every record in anew that has waited for one.
    pub(crate) async fn spread(&self) {
        let again: Vec<Again> = self
            .shared
            .adapters
            .iter()
            .map(|adapter| Again::new(Arc::clone(&self.shared), Arc::clone(adapter)))
            .collect();
        let publish = Publish::new(Arc::clone(&self.shared));
        let subscribe = Subscribe::new(Arc::clone(&self.shared));
        for _ in 0..STEPS {
            let mut taken = false;
            for again in &again {
                taken |= again.step().await.unwrap() == Progress::Worked;
            }
            if self.shared.store.outbox_head(1).await.unwrap().is_empty() {
                if taken {
                    continue;
                }
                return;
            }
            let (published, merged) = tokio::join!(publish.step(), subscribe.step());
            published.unwrap();
            merged.unwrap();
        }
        panic!("events without end");
    }

    /// The stage that writes to this system.
    pub(crate) fn deliver(&self, system: &str) -> Deliver {
        let (adapter, connector) = self.reach(system);
        Deliver::new(Arc::clone(&self.shared), adapter, connector)
    }

    /// The stage that asks this system by its first pull.
    pub(crate) fn puller(&self, system: &str) -> Puller {
        let (adapter, connector) = self.reach(system);
        Puller::new(Arc::clone(&self.shared), adapter, 0, connector)
    }

    fn reach(&self, system: &str) -> (Arc<Adapter>, Arc<Connector>) {
        let adapter = self.shared.adapter(system).unwrap();
        let connector = Connector::new(
            Arc::clone(adapter),
            Box::new(Http::new(adapter.connection.timeout).unwrap()),
            Arc::clone(&self.shared.clock),
            Arc::clone(self.shared.lane(adapter)),
            Arc::clone(&self.shared.files),
        );
        (Arc::clone(adapter), Arc::new(connector))
    }

    /// One step of that stage, and the events that it leads to.
    pub(crate) async fn step(&self, system: &str) -> Progress {
        let progress = self.deliver(system).step().await.unwrap();
        self.spread().await;
        progress
    }

    /// Steps until there is nothing to do for this system before the clock moves: when that will be.
    pub(crate) async fn work(&self, system: &str) -> Option<Timestamp> {
        for _ in 0..STEPS {
            if let Progress::Idle(next) = self.step(system).await {
                return next;
            }
        }
        panic!("{system} never comes to rest");
    }

    /// What waits for a person.
    pub(crate) async fn letters(&self) -> Vec<DeadLetter> {
        self.shared.store.dead_letters(100).await.unwrap()
    }

    /// The dossier under this code.
    pub(crate) async fn dossier(&self, code: &str) -> Dossier {
        let replica = self.shared.store.find_replica(code).await.unwrap();
        replica.expect("a dossier under this code").dossier
    }

    /// How often the dossier has changed.
    pub(crate) async fn version(&self, code: &str) -> i64 {
        let replica = self.shared.store.find_replica(code).await.unwrap();
        replica.map_or(0, |replica| replica.version)
    }

    /// The rows of the ledger about one dossier at one system and push, those of items in their order.
    pub(crate) async fn rows(&self, code: &str, system: &str, push: &str) -> Vec<Delivery> {
        let id = self.dossier(code).await.id;
        let mut rows = self.shared.store.deliveries_of(id).await.unwrap();
        rows.retain(|row| row.adapter == system && row.push == push);
        rows
    }

    /// The row of the dossier itself.
    pub(crate) async fn row(&self, code: &str, system: &str, push: &str) -> Delivery {
        self.rows(code, system, push).await.remove(0)
    }

    /// A person has looked at a target that cannot be asked: the parked row is to be tried again.
    pub(crate) async fn retry(&self, row: &Delivery) {
        let decision = Decision {
            at: self.clock.now(),
            by: "cán bộ trực".to_owned(),
            letter: row.letter(),
            verb: Verb::Retry,
            reason: None,
        };
        let mut transaction = self.shared.store.begin().await.unwrap();
        let decided = transaction
            .decide(&[decision], &[], self.clock.now())
            .await
            .unwrap();
        assert_eq!(decided.len(), 1);
        transaction.commit().await.unwrap();
    }

    /// Codes of the causes for which rows of one push and dossier are parked, with the ordinals of their items.
    pub(crate) async fn parked(&self, code: &str, system: &str, push: &str) -> Vec<(i64, String)> {
        let rows = self.rows(code, system, push).await.into_iter();
        rows.filter_map(|row| match row.state {
            State::Parked { cause, .. } => Some((row.ordinal, cause.code)),
            _ => None,
        })
        .collect()
    }
}

/// The shipped stand-in of this system, which knows the node's account. Its officials rest until a test calls `round`.
pub(crate) async fn stand_in(clock: &ManualClock, name: &str, account: Value) -> Sandbox {
    install_tls();
    let Value::Object(settings) = account else {
        panic!("settings are an object")
    };
    let options = Options {
        settings,
        clock: Arc::new(clock.clone()),
        officials: false,
        ..Options::default()
    };
    Sandbox::start(&shipped(name), options).await.unwrap()
}

async fn open(config: &Config, clock: Arc<dyn Clock>) -> Arc<Shared> {
    let adapters = config
        .load_adapters()
        .unwrap_or_else(|faults| panic!("{faults:#?}"));
    let store = store::open(&config.store).await.unwrap();
    let broker = broker::open(&config.broker, Subscriber::default()).unwrap();
    let workers = Workers::new(1, Duration::from_secs(5));
    store.take(true).await.unwrap();
    let shared = Shared::open(store, broker, clock, adapters, BTreeMap::new(), workers).await;
    let mut shared = shared.unwrap();
    shared.files = Arc::new(Files::new(config.files.clone(), Some("https://bus.example.vn")));
    Arc::new(shared)
}
