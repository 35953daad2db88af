//! The stages: each a room of its own with one door, `step`, which does one read, at most one exchange with the
//! outside and one transaction (`deliver` has two: intent, call, outcome).
//!
//! Data flows one way: [`ingest`] writes the outbox, [`publish`] takes it to the broker, [`subscribe`] merges what the
//! broker brings into the replica and says what targets should have, [`deliver`] brings it there. Stages do not call
//! each other; each reads the table that the one before it wrote, and a bell only saves the wait for the next look.
//! A step may die at any point: the next one goes on from the tables.
//!
//! What is an adapter's own (doors, pulls, kept records, deliveries) runs in loops of its own and on threads of its own,
//! so that a broken system or mapping harms only itself; [`pause`] says when an adapter rests, and what goes on then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::adapter::Adapter;
use crate::broker::{Broker, BrokerError};
use crate::clock::{Clock, HybridClock, Steady};
use crate::dossier::Ownership;
use crate::files::Files;
use crate::jq::{Lane, Workers};
use crate::store::{Attempts, Claim, Come, Store, StoreError, UNKNOWN_ADAPTER};

pub mod deliver;
pub mod ingest;
mod pause;
pub mod publish;
pub mod subscribe;

use pause::Nurse;
pub use pause::{Pause, Pauses};

/// How far a writer's clock may be ahead of ours before its events are held, and ours behind what it has shown before we
/// take nothing in.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// How long a node keeps what one node at a time does, beside the time that a step of it takes: so long it stands still when
/// that node dies.
const LEASE: Duration = Duration::from_secs(20);

/// Calls that one exchange with a system may take, each as long as its time-out: log in, call, log in anew, call again.
const CALLS: u32 = 4;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It worked; there may be more.
    Worked,
    /// Nothing to do before this time, unless the bell rings.
    Idle(Option<Timestamp>),
}

/// Why a step could not work. The next one starts from the tables.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// What all stages of a node share.
pub struct Shared {
    /// The store.
    pub store: Box<dyn Store>,
    /// The broker.
    pub broker: Box<dyn Broker>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// The clock of stored deadlines.
    pub steady: Steady,
    /// Hybrid logical clock of this node.
    pub hybrid: HybridClock,
    /// Adapters that this node hosts.
    pub adapters: Vec<Arc<Adapter>>,
    /// What the adapters may write that other stores' nodes host.
    elsewhere: BTreeMap<String, Ownership>,
    /// The files of this store.
    pub files: Arc<Files>,
    /// The threads that run mappings, by adapter.
    lanes: BTreeMap<String, Arc<Lane>>,
    /// This process start: the holder of the intents that it commits.
    pub start: String,
    /// Adapters that rest.
    pub pauses: Arc<Pauses>,
    /// Rings when there is something in the outbox.
    pub outbox: Bell,
    /// Rings when deliveries may have come due.
    pub deliveries: Bell,
    /// Rings when kept records are to be taken in anew.
    pub records: Bell,
}

impl Shared {
    /// Takes up the store where the process before left it: its clocks go on, and what waited for a better mapping or for
    /// an adapter that is known now is tried again. Each adapter gets threads of its own, like `workers`. Files it keeps none
    /// until somebody says where.
    ///
    /// # Errors
    /// The store is away.
    pub async fn open(
        store: Box<dyn Store>,
        broker: Box<dyn Broker>,
        clock: Arc<dyn Clock>,
        adapters: Vec<Adapter>,
        elsewhere: BTreeMap<String, Ownership>,
        workers: Workers,
    ) -> Result<Self, StoreError> {
        let hybrid = HybridClock::new(Arc::clone(&clock), store.clock().await?);
        let steady = store.steady(Arc::clone(&clock)).await?;
        let mut attempts = Attempts::default();
        while let Err(error) = release(&*store, &adapters, elsewhere.keys(), steady.now()).await {
            if !attempts.again(&error).await {
                return Err(error);
            }
        }
        let pauses: Arc<Pauses> = Arc::default();
        let (nursed, nurses_clock) = (Arc::clone(&pauses), Arc::clone(&clock));
        let lane = move |adapter: &Adapter| {
            let nurse = Nurse {
                adapter: adapter.name.clone(),
                pauses: Arc::clone(&nursed),
                clock: Arc::clone(&nurses_clock),
            };
            let lane = Lane::new(workers.another(), nurse);
            (adapter.name.clone(), Arc::new(lane))
        };
        let lanes = adapters.iter().map(lane).collect();
        Ok(Self {
            lanes,
            pauses,
            store,
            broker,
            clock,
            steady,
            hybrid,
            adapters: adapters.into_iter().map(Arc::new).collect(),
            elsewhere,
            files: Arc::new(Files::new(None, None)),
            start: uuid::Uuid::now_v7().simple().to_string(),
            outbox: Bell::new(),
            deliveries: Bell::new(),
            records: Bell::new(),
        })
    }

    /// Whether the wall clock was set back so far that what is recorded now would look older than what was recorded
    /// before: then nothing is taken in until somebody has set it right, or its time has come.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.hybrid.lead() > CLOCK_TOLERANCE
    }

    /// Whether this node may go on with what one node at a time does for the store, for at least as long as `step` takes.
    ///
    /// # Errors
    /// The store is away.
    pub(crate) async fn leads(&self, work: &str, step: Duration) -> Result<bool, StoreError> {
        let now = self.steady.now();
        let claim = Claim {
            holder: &self.start,
            until: now + (LEASE + step * 2),
        };
        self.store.lease(work, &claim, now).await
    }

    /// The threads that run the mappings of a hosted adapter.
    ///
    /// # Panics
    /// If the node does not host it.
    #[must_use]
    pub fn lane(&self, adapter: &Adapter) -> &Arc<Lane> {
        self.lanes
            .get(&adapter.name)
            .expect("each hosted adapter has its lane")
    }

    /// The hosted adapter of this name.
    #[must_use]
    pub fn adapter(&self, name: &str) -> Option<&Arc<Adapter>> {
        self.adapters.iter().find(|adapter| adapter.name == name)
    }

    /// What each adapter of the province may write, as far as it is known here.
    pub(crate) fn rights(&self) -> impl Iterator<Item = (&str, &Ownership)> {
        let hosted = self.adapters.iter();
        let hosted = hosted.map(|adapter| (adapter.name.as_str(), &adapter.owns));
        hosted.chain(self.elsewhere.iter().map(|(name, owns)| (name.as_str(), owns)))
    }
}

/// Has everything tried again that waited for these adapters, or for these versions of them.
async fn release<'a>(
    store: &dyn Store,
    adapters: &'a [Adapter],
    elsewhere: impl Iterator<Item = &'a String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    let mut come = Vec::new();
    for adapter in adapters {
        let released = transaction
            .release_judged(&adapter.name, &adapter.version, now)
            .await?;
        if released > 0 {
            tracing::info!(
                adapter = adapter.name,
                released,
                "what an older mapping could not take is tried again"
            );
        }
    }
    let known = adapters.iter().map(|adapter| &adapter.name).chain(elsewhere);
    come.extend(known.map(|adapter| Come {
        adapter: adapter.clone(),
        reason: UNKNOWN_ADAPTER,
        code: None,
    }));
    transaction.release_records(&come).await?;
    transaction.commit().await
}

/// Wakes the stage behind it. A ring that nobody waits for is not lost, many rings are one.
#[derive(Debug)]
pub struct Bell(watch::Sender<()>);

impl Bell {
    /// A bell that has not rung.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// Rings.
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// An ear that hears every later ring.
    #[must_use]
    pub fn ear(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}
