//! A node of the simulated province: the real stages over the real store, its doubles at the edges, and its death.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use lienthong::adapter::Adapter;
use lienthong::clock::{Clock, ManualClock};
use lienthong::connector::Connector;
use lienthong::dossier::Ownership;
use lienthong::jq::Workers;
use lienthong::stage::deliver::Deliver;
use lienthong::stage::ingest::again::Again;
use lienthong::stage::ingest::pull::Puller;
use lienthong::stage::publish::Publish;
use lienthong::stage::subscribe::Subscribe;
use lienthong::stage::{Bell, Progress, Shared, StageError};
use lienthong::store::{self, Store, StoreError};
use tokio::sync::watch;

use crate::broker::{Exchange, Port};
use crate::controls::Control;
use crate::gates::{Driven, Gates, Step, Task, drive};
use crate::honesty::SharedHonesty;
use crate::source::{SharedSource, Teller};
use crate::store::GapStore;
use crate::target::{Line, SharedTarget, locked};

/// Steps that a node can have under way at most: tasks of the first node come before those of the second.
pub(crate) const TASKS: usize = 32;

/// The task of a node's start.
pub(crate) const START: usize = TASKS - 1;

/// What all nodes of a world stand on.
pub(crate) struct Ground {
    pub(crate) gates: Arc<Gates>,
    pub(crate) truth: ManualClock,
    pub(crate) exchange: Arc<Mutex<Exchange>>,
    pub(crate) source: SharedSource,
    pub(crate) honesty: SharedHonesty,
    pub(crate) control: Option<Control>,
}

/// A node.
pub(crate) struct Node {
    pub(crate) number: usize,
    file: PathBuf,
    pub(crate) clock: ManualClock,
    adapters: Vec<Arc<Adapter>>,
    /// What the adapters of the other nodes may write.
    elsewhere: BTreeMap<String, Ownership>,
    /// The system behind each adapter; the source has none.
    lines: Vec<Option<SharedTarget>>,
    shared: Option<Arc<Shared>>,
    /// Its store without gaps, for those who only look.
    plain: Option<Arc<dyn Store>>,
    starting: Option<Step<Result<Started, StoreError>>>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) starts: u32,
}

/// How long a stage sleeps at most, as in the real node.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_secs(1);

/// What a start ends with.
type Started = (Shared, Arc<dyn Store>);

/// A stage of a node, and its step under way.
pub(crate) struct Slot {
    pub(crate) name: String,
    /// Whether it looks now and then by itself: a lost bell costs no more than that.
    looks: bool,
    /// It asks again and again, whatever happened.
    pub(crate) is_pull: bool,
    begin: Box<dyn Fn() -> Step<Result<Progress, StageError>> + Send>,
    /// Whether there is work, where somebody outside can tell.
    ready: Option<Box<dyn Fn() -> bool + Send>>,
    /// Hears the bell of the stage before it.
    ear: Option<watch::Receiver<()>>,
    running: Option<Step<Result<Progress, StageError>>>,
    /// When the step under way began, and how much had happened until then.
    began: (Timestamp, u64),
    /// It found nothing: when, by the time that is true everywhere, and until when, by the node's clock.
    idle: Option<(Timestamp, Option<Timestamp>)>,
}

impl Slot {
    fn of<S: Send + Sync + 'static>(
        name: &str,
        stage: S,
        step: impl Fn(Arc<S>) -> Step<Result<Progress, StageError>> + Send + 'static,
    ) -> Self {
        let stage = Arc::new(stage);
        Self {
            name: name.to_owned(),
            looks: true,
            is_pull: false,
            begin: Box::new(move || step(Arc::clone(&stage))),
            ready: None,
            ear: None,
            running: None,
            began: (Timestamp::UNIX_EPOCH, 0),
            idle: None,
        }
    }

    fn woken_by(self, bell: &Bell) -> Self {
        Self {
            ear: Some(bell.ear()),
            ..self
        }
    }

    fn ready_when(self, ready: impl Fn() -> bool + Send + 'static) -> Self {
        Self {
            ready: Some(Box::new(ready)),
            ..self
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether a step may find something to do. `now` is the time that is true everywhere, `wall` what the node's clock
    /// shows.
    pub(crate) fn may_work(&self, now: Timestamp, wall: Timestamp) -> bool {
        if self.running.is_some() {
            return false;
        }
        if let Some(ready) = &self.ready
            && (ready() || !self.looks)
        {
            return ready();
        }
        let Some((since, until)) = self.idle else {
            return true;
        };
        if until.is_some_and(|until| until <= wall) {
            return true;
        }
        let rung = self
            .ear
            .as_ref()
            .is_some_and(|ear| ear.has_changed().unwrap_or(false));
        rung || (self.looks && now >= since + LONGEST_SLEEP)
    }

    /// When it is to look again, by the node's clock.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.idle.and_then(|(_, until)| until)
    }

    /// Looks again, whatever it was told.
    pub(crate) fn forget_idle(&mut self) {
        self.idle = None;
    }
}

impl Node {
    pub(crate) fn new(
        number: usize,
        file: PathBuf,
        clock: ManualClock,
        adapters: Vec<(Arc<Adapter>, Option<SharedTarget>)>,
        elsewhere: BTreeMap<String, Ownership>,
    ) -> Self {
        let (adapters, lines) = adapters.into_iter().unzip();
        Self {
            number,
            file,
            clock,
            adapters,
            elsewhere,
            lines,
            shared: None,
            plain: None,
            starting: None,
            slots: Vec::new(),
            starts: 0,
        }
    }

    /// The number of a slot among all tasks of the world.
    pub(crate) fn task(&self, slot: usize) -> Task {
        self.number * TASKS + slot
    }

    /// Whether the adapter of this system is one of its own.
    pub(crate) fn hosts(&self, name: &str) -> bool {
        self.adapters.iter().any(|adapter| adapter.name == name)
    }

    /// The parts of an open node.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// The store of an open node, without gaps.
    pub(crate) fn plain(&self) -> Option<&Arc<dyn Store>> {
        self.plain.as_ref()
    }

    /// Begins to start from the file.
    pub(crate) fn start(&mut self, ground: &Ground) {
        self.starts += 1;
        let url = format!("sqlite://{}", self.file.display());
        let (gates, honesty) = (Arc::clone(&ground.gates), Arc::clone(&ground.honesty));
        let (number, control) = (self.number, ground.control);
        let port = Port::new(&ground.exchange, self.number, &gates);
        let clock = Arc::new(self.clock.clone());
        let adapters = self
            .adapters
            .iter()
            .map(|adapter| Adapter::clone(adapter))
            .collect();
        let elsewhere = self.elsewhere.clone();
        self.starting = Some(Box::pin(async move {
            let plain: Arc<dyn Store> = Arc::from(gates.call(store::open(&url)).await?);
            let store = GapStore::new(Arc::clone(&plain), number, &gates, &honesty, control);
            let (store, port) = (Box::new(store), Box::new(port));
            let shared = Shared::open(store, port, clock, adapters, elsewhere, Workers::inline()).await?;
            Ok((shared, plain))
        }));
    }

    /// Its memory is gone, in the middle of whatever it was doing.
    pub(crate) fn die(&mut self) {
        self.slots.clear();
        self.starting = None;
        self.shared = None;
        self.plain = None;
    }

    /// Whether it is on its way up.
    pub(crate) fn is_starting(&self) -> bool {
        self.starting.is_some()
    }

    /// Goes on starting, as far as that comes by itself.
    pub(crate) async fn drive_start(&mut self, ground: &Ground) -> Option<String> {
        let mut starting = self.starting.take()?;
        match drive(&ground.gates, self.task(START), &mut starting).await {
            Driven::Waits => {
                self.starting = Some(starting);
                Some("held".to_owned())
            }
            Driven::Done(Ok((shared, plain))) => {
                let shared = Arc::new(shared);
                self.plain = Some(plain);
                self.slots = self.build(&shared, ground);
                self.shared = Some(shared);
                ground.gates.note_change();
                Some("up".to_owned())
            }
            Driven::Done(Err(error)) => panic!("a store of our own opens: {error}"),
        }
    }

    fn build(&self, shared: &Arc<Shared>, ground: &Ground) -> Vec<Slot> {
        let mut slots = Vec::new();
        if let Some(adapter) = self.adapters.iter().find(|adapter| !adapter.webhooks.is_empty()) {
            let teller = Teller {
                source: Arc::clone(&ground.source),
                shared: Arc::clone(shared),
                adapter: Arc::clone(adapter),
                gates: Arc::clone(&ground.gates),
            };
            let slot = Slot::of("ingest", teller.clone(), |teller| {
                Box::pin(async move { teller.step().await })
            });
            slots.push(Slot {
                looks: false,
                ..slot.ready_when(move || teller.is_ready())
            });
        }
        let tellers = shared
            .adapters
            .iter()
            .filter(|adapter| !adapter.webhooks.is_empty() || !adapter.pulls.is_empty());
        for adapter in tellers {
            let again = Again::new(Arc::clone(shared), Arc::clone(adapter));
            let slot = Slot::of("again", again, |again| {
                Box::pin(async move { again.step().await })
            });
            slots.push(slot.woken_by(&shared.records));
        }
        let publish = Publish::new(Arc::clone(shared));
        let slot = Slot::of("publish", publish, |publish| {
            Box::pin(async move { publish.step().await })
        });
        slots.push(slot.woken_by(&shared.outbox));
        let subscribe = Subscribe::new(Arc::clone(shared));
        let slot = Slot::of("subscribe", subscribe, |subscribe| {
            Box::pin(async move { subscribe.step().await })
        });
        let (exchange, number) = (Arc::clone(&ground.exchange), self.number);
        slots.push(slot.ready_when(move || locked(&exchange).has(number)));
        for (adapter, target) in shared.adapters.iter().zip(&self.lines) {
            let Some(target) = target else { continue };
            let line = Line::new(target, &ground.gates, &ground.truth, adapter.connection.timeout);
            let connector = Arc::new(Connector::new(
                Arc::clone(adapter),
                Box::new(line),
                Arc::clone(&shared.clock),
                Arc::clone(shared.lane(adapter)),
                Arc::clone(&shared.files),
            ));
            for index in 0..adapter.pulls.len() {
                let (shared, adapter) = (Arc::clone(shared), Arc::clone(adapter));
                let name = format!("pull {}", adapter.name);
                let puller = Puller::new(shared, adapter, index, Arc::clone(&connector));
                let slot = Slot::of(&name, puller, |puller| {
                    Box::pin(async move { puller.step().await })
                });
                slots.push(Slot {
                    looks: false,
                    is_pull: true,
                    ..slot
                });
            }
            let name = format!("deliver {}", adapter.name);
            let deliver = Deliver::new(Arc::clone(shared), Arc::clone(adapter), connector);
            let slot = Slot::of(&name, deliver, |deliver| {
                Box::pin(async move { deliver.step().await })
            });
            slots.push(slot.woken_by(&shared.deliveries));
        }
        slots
    }

    /// Begins a step, or lets the one under way go on, as far as it comes by itself. What it came to, if to
    /// anything.
    pub(crate) async fn drive(&mut self, slot: usize, ground: &Ground) -> Option<String> {
        let task = self.task(slot);
        let slot = &mut self.slots[slot];
        let mut step = slot.running.take().unwrap_or_else(|| {
            slot.began = (ground.truth.now(), ground.gates.changes());
            // A ring during the step counts: it may tell of a row that the step has not seen.
            if let Some(ear) = &mut slot.ear {
                ear.mark_unchanged();
            }
            (slot.begin)()
        });
        let (began, changes) = slot.began;
        match drive(&ground.gates, task, &mut step).await {
            Driven::Waits => {
                slot.running = Some(step);
                let held = ground.gates.held();
                let gaps: Vec<String> = held
                    .iter()
                    .filter(|held| held.task == task)
                    .map(ToString::to_string)
                    .collect();
                Some(format!("held {gaps:?}"))
            }
            Driven::Done(Ok(Progress::Worked)) => {
                // Those who wait by themselves for something to come say that they worked when nothing came.
                let nothing = changes == ground.gates.changes();
                slot.idle = nothing.then_some((began, None));
                (!nothing).then(|| "worked".to_owned())
            }
            Driven::Done(Ok(Progress::Idle(until))) => {
                slot.idle = Some((began, until));
                None
            }
            Driven::Done(Err(error)) => {
                slot.idle = None;
                Some(format!("failed: {error}"))
            }
        }
    }
}
