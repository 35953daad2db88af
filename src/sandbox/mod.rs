//! Stand-ins: small systems that speak a real system's protocol, keep their own rows and refuse what it refuses.
//!
//! In: an adapter's folder with its `sandbox.toml` and `sandbox/*.jq`; HTTP requests; rows that a test puts in. Out:
//! answers, and calls to others where the system tells of its changes by itself. A stand-in shares no filter and no
//! table with the mapping that it tests, so that one misreading cannot be graded by itself.
//!
//! Requests are taken one at a time: what one stored, the next sees, and a request's rows are stored before it is
//! answered. With a folder given, every stored row is a line in a file there and is read again at the next start;
//! without one, nothing outlives the stand-in.
//!
//! | file | does |
//! |---|---|
//! | `manifest` | reads `sandbox.toml` |
//! | `compile` | compiles its filters |
//! | `plan` | runs them and reads what they give |
//! | `rows` | the tables |
//! | `route` | finds the route of a request |
//! | `serve` | listens and answers |
//! | `work` | what its officials do on their own |
//! | `outbox`, `send` | what it tells others, and how |
//! | `faults`, `befall` | the faults that it suffers on purpose, and what they do |

mod befall;
mod compile;
mod faults;
mod manifest;
mod outbox;
mod plan;
mod route;
mod rows;
mod send;
mod serve;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, SystemClock};
use crate::fault::Fault;
use crate::jq::Workers;

pub use faults::{FaultKind, Faults};

use outbox::Outbox;
use plan::{Outcome, Plan};
use rows::Rows;

/// How long one filter of a stand-in may run.
const FILTER_LIMIT: Duration = Duration::from_secs(10);

/// How many faults are kept for [`Sandbox::faults`]; older ones go.
const FAULTS_KEPT: usize = 100;

/// What a stand-in is started with.
#[derive(Clone)]
pub struct Options {
    /// Overrides the `[settings]` of `sandbox.toml`, key by key. A key that is not there is a fault.
    pub settings: Map<String, Value>,
    /// Where to listen. The default is a free port of the loopback address.
    pub listen: SocketAddr,
    /// Where to keep the rows as JSON lines, one file a table. The default keeps them in memory only. What others were
    /// still to be told is not kept.
    pub folder: Option<PathBuf>,
    /// Tells the time to the filters (`$now`) and stamps the rows.
    pub clock: Arc<dyn Clock>,
    /// Whether the officials work on their own. If not, they do a round when [`Sandbox::round`] is called.
    pub officials: bool,
    /// Which faults it suffers on purpose. The default is none.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Map::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder: None,
            clock: Arc::new(SystemClock),
            officials: true,
            faults: Faults::default(),
        }
    }
}

/// A running stand-in. Dropping it ends its tasks soon; [`Sandbox::stop`] waits for them.
pub struct Sandbox {
    room: Arc<Room>,
    address: SocketAddr,
    _end: DropGuard,
}

/// What the tasks of one stand-in share.
struct Room {
    plan: Arc<Plan>,
    workers: Workers,
    clock: Arc<dyn Clock>,
    /// Held from reading the tables to storing the outcome, by whoever does that.
    turn: tokio::sync::Mutex<()>,
    rows: Mutex<Rows>,
    outboxes: Vec<Outbox>,
    calls: Mutex<BTreeMap<String, u64>>,
    faults: Faults,
    /// What went wrong inside, unintended.
    wrong: Mutex<VecDeque<Fault>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Sandbox {
    /// Starts the stand-in that lies in an adapter's folder.
    ///
    /// # Errors
    /// All faults of `sandbox.toml` and its filters at once; or one if the folder or the address cannot be used.
    pub async fn start(folder: &Path, options: Options) -> Result<Self, Vec<Fault>> {
        let plan = Arc::new(Plan::read(folder, options.settings)?);
        plan.can_suffer(&options.faults)?;
        let rows = Rows::open(plan.tables(), options.folder).map_err(|fault| vec![fault])?;
        let outboxes = plan.sends.iter().map(|send| Outbox::new(send.pause)).collect();
        let room = Arc::new(Room {
            plan,
            workers: Workers::new(2, FILTER_LIMIT),
            clock: options.clock,
            turn: tokio::sync::Mutex::new(()),
            rows: Mutex::new(rows),
            outboxes,
            calls: Mutex::new(BTreeMap::new()),
            faults: options.faults,
            wrong: Mutex::new(VecDeque::new()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let address = serve::start(&room, options.listen)
            .await
            .map_err(|fault| vec![fault])?;
        if options.officials {
            work::start(&room);
        }
        send::start(&room).map_err(|fault| vec![fault])?;
        room.tasks.close();
        Ok(Self {
            address,
            _end: room.stop.clone().drop_guard(),
            room,
        })
    }

    /// Where it answers: `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The rows of a table, in the order in which they first came; empty if there is no such table.
    #[must_use]
    pub fn rows(&self, table: &str) -> Vec<Value> {
        self.room.rows().list(table)
    }

    /// How many rows a table has; 0 if there is no such table.
    #[must_use]
    pub fn count(&self, table: &str) -> usize {
        self.room.rows().len(table)
    }

    /// When the row of this key was first stored; kept beside the row, not in it.
    #[must_use]
    pub fn committed_at(&self, table: &str, key: &str) -> Option<Timestamp> {
        self.room.rows().committed_at(table, key)
    }

    /// When somebody first took what was sent about the row of this key.
    #[must_use]
    pub fn accepted_at(&self, key: &str) -> Option<Timestamp> {
        self.room
            .outboxes
            .iter()
            .filter_map(|outbox| outbox.accepted_at(key))
            .min()
    }

    /// How many changes are still to be taken by somebody.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.room.outboxes.iter().map(Outbox::len).sum()
    }

    /// How often each route answered, by its name (else by its `on`).
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.room.calls).clone()
    }

    /// What went wrong inside the stand-in itself, the newest hundred: a filter that failed, a table that was full.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        lock(&self.room.wrong).iter().cloned().collect()
    }

    /// How often each fault that it suffers on purpose has taken effect.
    #[must_use]
    pub fn bitten(&self) -> BTreeMap<FaultKind, u64> {
        self.room.faults.bitten()
    }

    /// Puts a row in, as a clerk of the system would: whoever is told of changes is told of this one.
    ///
    /// # Errors
    /// No such table, a row without its key, or a table that is full.
    pub async fn insert(&self, table: &str, row: Value) -> Result<(), Fault> {
        let _turn = self.room.turn.lock().await;
        let table = table.to_owned();
        let outcome = self
            .room
            .evaluate(move |room| room.plan.insertion(&table, &row))
            .await?;
        self.room.store(outcome).await.map(drop)
    }

    /// Has the officials do one round now, whether or not they also work on their own.
    ///
    /// # Errors
    /// No such work, or what went wrong in it; then nothing was stored.
    pub async fn round(&self, work: &str) -> Result<(), Fault> {
        match self.room.plan.works.iter().position(|known| known.name == work) {
            Some(index) => work::round(&self.room, index).await,
            None => Err(Fault::new("sandbox-no-work")
                .found(work)
                .expected("a work of sandbox.toml")),
        }
    }

    /// Stops listening, working and sending, and waits for every task. What was not yet taken is given up.
    pub async fn stop(self) {
        self.room.stop.cancel();
        self.room.tasks.wait().await;
    }
}

impl Room {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        lock(&self.rows)
    }

    /// Runs a piece of work that evaluates filters on a thread with a stack for them.
    async fn evaluate<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let room = Arc::clone(self);
        match self.workers.run(move || work(&room)).await {
            Ok(result) => result,
            Err(stuck) => Err(Fault::new("mapping-stuck").found(stuck.to_string())),
        }
    }

    /// Stores what a filter gave and queues what others are to be told of it. The caller holds the turn.
    async fn store(self: &Arc<Self>, outcome: Outcome) -> Result<plan::Answer, Fault> {
        let told = if self.plan.sends.is_empty() {
            Vec::new()
        } else {
            let changes = outcome.changes.clone();
            self.evaluate(move |room| room.plan.told(&changes)).await?
        };
        if self.outboxes.iter().any(|outbox| !outbox.has_room(told.len())) {
            return Err(Fault::new("sandbox-full").found("too many changes that nobody has taken yet"));
        }
        self.rows().store(outcome.changes, self.clock.now())?;
        for (send, key, row) in told {
            if let Some(outbox) = self.outboxes.get(send) {
                outbox.put(key, row);
            }
        }
        Ok(outcome.answer)
    }

    fn count(&self, route: &str) {
        *lock(&self.calls).entry(route.to_owned()).or_default() += 1;
    }

    fn report(&self, fault: Fault) {
        tracing::warn!(code = %fault.code, "sandbox: {}", fault.for_log());
        let mut wrong = lock(&self.wrong);
        if wrong.len() == FAULTS_KEPT {
            wrong.pop_front();
        }
        wrong.push_back(fault);
    }
}

/// Nobody panics while holding these locks with the data half changed, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
