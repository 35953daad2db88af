//! A node: builds the stages from a configuration, loops them, shuts them down.
//!
//! Every stage has a loop of its own; a broken one backs off and comes back, and none ends because the store, the
//! broker or a system went away. Shutdown is soft first: loops end after the step they are in. Steps that are not
//! done by then are dropped, which the ledger treats like any crash.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapter::Adapter;
use crate::admin;
use crate::broker::{self, BrokerError, Subscriber};
use crate::clock::Clock;
use crate::config::{Config, Resolved};
use crate::connector::{Connector, Http};
use crate::fault::Fault;
use crate::files::{Files, shelf};
use crate::jq::Workers;
use crate::retry::Policy;
use crate::stage::deliver::Deliver;
use crate::stage::ingest::again::Again;
use crate::stage::ingest::pull::Puller;
use crate::stage::ingest::webhook::Webhooks;
use crate::stage::publish::Publish;
use crate::stage::subscribe::Subscribe;
use crate::stage::{Progress, Shared, StageError};
use crate::store::{self, Store, StoreError};

/// Threads that run mappings, for each adapter, as long as there is work for them.
const MAPPING_THREADS: usize = 2;

/// Longest run of one mapping. The step bound ends a stuck one sooner; this is for what steps do not measure.
const MAPPING_LIMIT: Duration = Duration::from_secs(10);

/// Longest sleep of a stage that nothing wakes: a lost bell costs no more than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How long steps may go on after the word to stop.
const SOFT_STOP: Duration = Duration::from_secs(10);

/// Longest time that it may take to give up what only this node may do.
const LEAVE: Duration = Duration::from_secs(3);

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration or an adapter is at fault: all that was found.
    #[error("start: {} fault(s) in configuration and adapters", .0.len())]
    Faults(Vec<Fault>),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker cannot be opened.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// An address or socket cannot be listened on.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Address or path.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// An HTTP client cannot be made.
    #[error("set up HTTP: {0}")]
    Http(#[from] reqwest::Error),
}

/// A running node.
pub struct Node {
    shared: Arc<Shared>,
    webhooks: SocketAddr,
    admin: PathBuf,
    tasks: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Node {
    /// Loads the adapters, opens the store and the broker, starts every stage.
    ///
    /// # Errors
    /// Faults in the adapters (all of them), a store, broker or address that cannot be opened.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, NodeError> {
        let Resolved {
            adapters,
            elsewhere,
            store,
            broker,
        } = config.resolve().map_err(NodeError::Faults)?;
        let store = store::open(&store).await?;
        let broker = broker::open(&broker, subscriber(&*store, &adapters).await?)?;
        store.take(broker.is_local()).await?;
        let workers = Workers::new(MAPPING_THREADS, MAPPING_LIMIT);
        let mut shared = Shared::open(store, broker, clock, adapters, elsewhere, workers).await?;
        let files = Files::new(config.files.clone(), config.files_url.as_deref());
        if let Err(error) = files.sweep() {
            tracing::warn!(%error, "what was left of files that never came whole cannot be removed");
        }
        shared.files = Arc::new(files);
        let shared = Arc::new(shared);
        let doors: Vec<Webhooks> = shared
            .adapters
            .iter()
            .filter(|adapter| !adapter.webhooks.is_empty())
            .map(|adapter| Webhooks::new(Arc::clone(&shared), Arc::clone(adapter)))
            .collect();
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| NodeError::Listen {
                address: config.listen.to_string(),
                source,
            })?;
        let address = listener.local_addr().map_err(|source| NodeError::Listen {
            address: config.listen.to_string(),
            source,
        })?;
        shared.files.reached_at(&format!("http://{address}"));
        let socket = listen_admin(&config.socket)?;

        let node = Self {
            webhooks: address,
            admin: config.socket.clone(),
            tasks: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            shared,
        };
        let routes = doors
            .iter()
            .fold(shelf::routes(Arc::clone(&node.shared.files)), |routes, door| {
                routes.merge(door.routes())
            });
        node.serve(listener, routes);
        node.serve(socket, admin::routes(Arc::clone(&node.shared), node.soft.clone()));
        node.start_stages(doors)?;
        tracing::info!(
            store.id = node.shared.store.id(),
            store = node.shared.store.version(),
            broker = node.shared.broker.version(),
            webhooks = %address,
            adapters = node.shared.adapters.len(),
            "node started"
        );
        Ok(node)
    }

    fn start_stages(&self, doors: Vec<Webhooks>) -> Result<(), NodeError> {
        let shared = &self.shared;
        for door in doors {
            let door = Arc::new(door);
            self.drive("ingest", None, move || {
                let stage = Arc::clone(&door);
                async move { stage.step().await }
            });
        }
        let publish = Arc::new(Publish::new(Arc::clone(shared)));
        let published = CancellationToken::new();
        let end = published.clone().drop_guard();
        self.drive("publish", Some(shared.outbox.ear()), move || {
            let _until_the_loop_ends = &end;
            let stage = Arc::clone(&publish);
            async move { stage.step().await }
        });
        let subscribe = Arc::new(Subscribe::new(Arc::clone(shared)));
        // Who publishes waits for the subscriber's word: the subscriber is the last to go.
        self.drive_until(published, "subscribe", None, move || {
            let stage = Arc::clone(&subscribe);
            async move { stage.step().await }
        });
        for adapter in &shared.adapters {
            let connector = Arc::new(connector(shared, adapter)?);
            if !adapter.webhooks.is_empty() || !adapter.pulls.is_empty() {
                let again = Arc::new(Again::new(Arc::clone(shared), Arc::clone(adapter)));
                self.drive("again", Some(shared.records.ear()), move || {
                    let stage = Arc::clone(&again);
                    async move { stage.step().await }
                });
            }
            for index in 0..adapter.pulls.len() {
                let puller = Arc::new(Puller::new(
                    Arc::clone(shared),
                    Arc::clone(adapter),
                    index,
                    Arc::clone(&connector),
                ));
                self.drive("pull", None, move || {
                    let stage = Arc::clone(&puller);
                    async move { stage.step().await }
                });
            }
            if adapter.deliveries().next().is_some() {
                let deliver = Arc::new(Deliver::new(Arc::clone(shared), Arc::clone(adapter), connector));
                self.drive("deliver", Some(shared.deliveries.ear()), move || {
                    let stage = Arc::clone(&deliver);
                    async move { stage.step().await }
                });
            }
        }
        self.tasks.close();
        Ok(())
    }

    /// Loops a stage until the node stops.
    fn drive<F, S>(&self, name: &'static str, ear: Option<watch::Receiver<()>>, step: F)
    where
        F: Fn() -> S + Send + 'static,
        S: Future<Output = Result<Progress, StageError>> + Send + 'static,
    {
        self.drive_until(self.soft.clone(), name, ear, step);
    }

    /// The same, until `soft` says so.
    fn drive_until<F, S>(
        &self,
        soft: CancellationToken,
        name: &'static str,
        ear: Option<watch::Receiver<()>>,
        step: F,
    ) where
        F: Fn() -> S + Send + 'static,
        S: Future<Output = Result<Progress, StageError>> + Send + 'static,
    {
        let (hard, shared) = (self.hard.clone(), Arc::clone(&self.shared));
        let driven = async move {
            let mut ear = ear;
            let mut failures = 0;
            let mut told = String::new();
            while !soft.is_cancelled() {
                // A ring during the step counts: it may tell of a row that the step has not seen.
                if let Some(ear) = &mut ear {
                    ear.mark_unchanged();
                }
                let before = failures;
                let sleep = match AssertUnwindSafe(step()).catch_unwind().await {
                    Ok(Ok(Progress::Worked)) => {
                        failures = 0;
                        continue;
                    }
                    Ok(Ok(Progress::Idle(until))) => {
                        failures = 0;
                        let now = shared.clock.now();
                        until.map_or(LONGEST_SLEEP, |until| {
                            Duration::try_from(until.duration_since(now))
                                .unwrap_or_default()
                                .min(LONGEST_SLEEP)
                        })
                    }
                    Ok(Err(error)) => {
                        failures += 1;
                        // What stays the same is told once.
                        let error = error.to_string();
                        if failures == 1 || error != told {
                            tracing::error!(
                                stage = name,
                                failures,
                                error,
                                "stage failed; it goes on from its tables"
                            );
                        }
                        told = error;
                        Policy::RECONNECT
                            .delay(failures, Duration::ZERO)
                            .unwrap_or(LONGEST_SLEEP)
                    }
                    Err(_) => {
                        failures += 1;
                        tracing::error!(
                            stage = name,
                            failures,
                            "stage panicked; it goes on from its tables"
                        );
                        Policy::RECONNECT
                            .delay(failures, Duration::ZERO)
                            .unwrap_or(LONGEST_SLEEP)
                    }
                };
                tokio::select! {
                    () = soft.cancelled() => {}
                    () = tokio::time::sleep(sleep) => {}
                    // New work is no reason to hammer at what is broken.
                    () = rung(&mut ear), if failures == before || failures == 0 => {}
                }
            }
        };
        self.tasks.spawn(async move {
            tokio::select! {
                () = hard.cancelled() => tracing::warn!(stage = name, "stage dropped in the middle of a step"),
                () = driven => {}
            }
        });
    }

    fn serve<L>(&self, listener: L, routes: Router)
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let (soft, hard) = (self.soft.clone(), self.hard.clone());
        self.tasks.spawn(async move {
            let server = axum::serve(listener, routes).with_graceful_shutdown(soft.cancelled_owned());
            tokio::select! {
                () = hard.cancelled() => {}
                end = server.into_future() => {
                    if let Err(error) = end {
                        tracing::error!(%error, "server ended");
                    }
                }
            }
        });
    }

    /// Where webhooks are taken.
    #[must_use]
    pub fn webhooks(&self) -> SocketAddr {
        self.webhooks
    }

    /// Where the admin API listens.
    #[must_use]
    pub fn admin(&self) -> &PathBuf {
        &self.admin
    }

    /// What the stages share; for those who run a node inside their own process.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Stops: no new work, ten seconds for the steps under way, then an end.
    pub async fn stop(self) {
        self.soft.cancel();
        if tokio::time::timeout(SOFT_STOP, self.tasks.wait()).await.is_err() {
            self.hard.cancel();
            self.tasks.wait().await;
        }
        self.shared.broker.close().await;
        // So that whoever comes next does not wait until it is over by itself.
        let left = tokio::time::timeout(LEAVE, self.shared.store.leave(&self.shared.start)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!("what this node alone may do is not given up; it ends by itself");
        }
        // A socket file without a listener would puzzle the next start and every client.
        if let Err(error) = std::fs::remove_file(&self.admin) {
            tracing::debug!(%error, "admin socket not removed");
        }
        tracing::info!("node stopped");
    }
}

/// Place of the note of all keys that the store's queue was ever bound by, among the positions of pulls.
const BINDINGS: (&str, &str) = ("lienthong", "bindings");

/// Who listens for this store. Nobody can ask the broker by what keys a queue is bound, so it is noted before it is done.
async fn subscriber(store: &dyn Store, adapters: &[Adapter]) -> Result<Subscriber, StoreError> {
    let keys = broker::bindings(adapters);
    let noted = store.cursor(BINDINGS.0, BINDINGS.1).await?;
    let former: Vec<String> = noted
        .and_then(|noted| serde_json::from_str(&noted).ok())
        .unwrap_or_default();
    let all: BTreeSet<&String> = former.iter().chain(&keys).collect();
    if all.len() > former.len() {
        let mut transaction = store.begin().await?;
        let body = serde_json::json!(all).to_string();
        transaction.put_cursor(BINDINGS.0, BINDINGS.1, &body).await?;
        transaction.commit().await?;
    }
    Ok(Subscriber {
        store_id: store.id().to_owned(),
        adapters: adapters.iter().map(|adapter| adapter.name.clone()).collect(),
        keys,
        former,
    })
}

fn connector(shared: &Arc<Shared>, adapter: &Arc<Adapter>) -> Result<Connector, reqwest::Error> {
    Ok(Connector::new(
        Arc::clone(adapter),
        Box::new(Http::new(adapter.connection.timeout)?),
        Arc::clone(&shared.clock),
        Arc::clone(shared.lane(adapter)),
        Arc::clone(&shared.files),
    ))
}

/// Listens on the admin socket; a file that a killed process left behind is taken over, a living one is not.
fn listen_admin(path: &PathBuf) -> Result<UnixListener, NodeError> {
    let error = |source| NodeError::Listen {
        address: path.display().to_string(),
        source,
    };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(error(std::io::Error::new(
            std::io::ErrorKind::AddrInUse,
            "another node answers there; stop it, or give this one a socket of its own",
        )));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(error)?,
        Ok(_) => {
            return Err(error(std::io::Error::new(
                std::io::ErrorKind::AlreadyExists,
                "there is a file which is no socket; name another place, or remove it",
            )));
        }
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(other) => return Err(error(other)),
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    // Who may use the socket administers the node: its owner and group, nobody else.
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o660)).map_err(error)?;
    Ok(listener)
}

async fn rung(ear: &mut Option<watch::Receiver<()>>) {
    match ear {
        // The bell lives as long as the node: it never closes before the loop ends.
        Some(ear) => drop(ear.changed().await),
        None => std::future::pending().await,
    }
}
