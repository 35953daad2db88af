//! A small province in one temporary folder: the stand-ins, a node between them, its store, socket and adapters.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::province::{JUDICIAL_RECORDS, LICENCES, ONE_STOP, POPULATION, PORTAL, Province, SECRETS};
use super::standing::Standing;
use super::trial::{self, Trial};
use super::{adapters, licences};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::fault::Fault;
use crate::node::{Node, NodeError};
use crate::sandbox::Sandbox;
use crate::store::{self, StoreError};

/// Where the files of the one-stop are said to lie; the same for the mapping and the judge.
pub const FILES: &str = "https://motcua.example.vn";

/// How often the world is looked at while waiting for it to come to rest.
const LOOK: Duration = Duration::from_millis(50);

/// How many looks make one that is shown.
const SHOWN_EVERY: u32 = 5;

/// Why the world could not be made or looked at.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The input, an adapter or a stand-in is at fault: all that was found.
    #[error("run the demo: {} fault(s) in its input or adapters", .0.len())]
    Faults(Vec<Fault>),
    /// The node could not start.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The temporary folder.
    #[error("use a temporary folder: {0}")]
    Folder(#[from] std::io::Error),
}

impl From<Vec<Fault>> for DemoError {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Faults(faults)
    }
}

/// What is not as usual in a world.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// The node speaks to the portal through this variant of its adapter.
    pub variant: Option<String>,
    /// Only these systems are there, the one-stop and the portal among them, and asked as often as their manifests say; none:
    /// all, and asked all the while.
    pub only: &'static [&'static str],
    /// Address of the node's store, an empty one; absent: a file in the world's folder.
    pub store: Option<String>,
    /// Address of the node's broker; absent: the one inside the process.
    pub broker: Option<String>,
    /// The stand-ins suffer these faults, and the node's patience fits them.
    pub trial: Trial,
    /// How many dossiers the licence desk has before the bus comes: it lists by the day of receipt, so that one which
    /// is entered later with an earlier day is never listed again.
    pub licences: usize,
}

/// The world, running.
pub struct World {
    folder: TempDir,
    adapters: PathBuf,
    circumstances: Circumstances,
    node: Node,
    province: Province,
}

impl World {
    /// Makes a world whose one-stop has these rows already and tells nobody of its changes yet: the node fetches them.
    /// Without `adapters`, the shipped ones are used. What the one-stop cannot take comes back as faults, with the row's
    /// place.
    ///
    /// # Errors
    /// A fault in the adapters or stand-ins, a node that cannot start.
    pub async fn open(
        adapters: Option<&Path>,
        circumstances: Circumstances,
        before: impl IntoIterator<Item = (usize, Value)>,
    ) -> Result<(Self, Vec<Fault>), DemoError> {
        let folder = tempfile::Builder::new().prefix("lienthong-demo-").tempdir()?;
        let adapters = match adapters {
            None => adapters::shipped(folder.path())?,
            // A folder that is not there is told by whoever reads it.
            Some(given) if !given.is_dir() => given.to_owned(),
            Some(given) => adapters::copied(given, folder.path())?,
        };
        let province =
            Province::start(folder.path(), &adapters, &circumstances.trial, circumstances.only).await?;
        let faults = record(province.of(ONE_STOP), before).await;
        if circumstances.licences > 0 {
            licences::enter(province.of(LICENCES), circumstances.licences, SystemClock.now()).await?;
        }
        let config = config(folder.path(), &adapters, &province, &circumstances);
        if circumstances.only.is_empty() {
            // Before anything is written over, so that a fault is told by the line on which people know it.
            config.load_adapters()?;
            trial::hurry(&adapters, circumstances.trial.seed().is_some())?;
        }
        if let Some(url) = &circumstances.store {
            refuse_used(url).await?;
        }
        let node = Node::start(&config, Arc::new(SystemClock)).await?;
        let world = Self {
            folder,
            adapters,
            circumstances,
            node,
            province,
        };
        Ok((world, faults))
    }

    /// Switches the one-stop's webhook on: from now on it tells the node of every change.
    ///
    /// # Errors
    /// The one-stop cannot be started again with the rows that it had.
    pub async fn connect_webhook(self) -> Result<Self, DemoError> {
        let (folder, trial) = (self.folder.path(), &self.circumstances.trial);
        let webhook = self.webhook();
        let province = self
            .province
            .connect(folder, &self.adapters, trial, &webhook)
            .await?;
        Ok(Self { province, ..self })
    }

    /// The node stops, `meanwhile` happens at the one-stop, and another node goes on in the same folder: same store, same
    /// address for webhooks, same socket.
    ///
    /// # Errors
    /// The second node cannot start.
    pub async fn restart(self, meanwhile: impl AsyncFnOnce(&Sandbox)) -> Result<Self, DemoError> {
        let mut config = config(
            self.folder.path(),
            &self.adapters,
            &self.province,
            &self.circumstances,
        );
        config.listen = self.node.webhooks();
        self.node.stop().await;
        meanwhile(self.province.of(ONE_STOP)).await;
        let node = Node::start(&config, Arc::new(SystemClock)).await?;
        Ok(Self { node, ..self })
    }

    /// Where the node takes the one-stop's records.
    #[must_use]
    pub fn webhook(&self) -> String {
        format!("http://{}/hooks/one-stop", self.node.webhooks())
    }

    /// Clerks record dossiers at the one-stop. What it cannot take at all comes back as faults, with the row's place.
    pub async fn record(&self, rows: impl IntoIterator<Item = (usize, Value)>) -> Vec<Fault> {
        record(self.one_stop(), rows).await
    }

    /// Waits until `settled` holds and the node has nothing left that it could do now, twice in a row; at the
    /// `deadline` the world is left as it is. Whether it came to rest.
    ///
    /// # Errors
    /// The node's store cannot be read.
    pub async fn rest(
        &self,
        deadline: Instant,
        settled: impl FnMut(&Self) -> bool,
    ) -> Result<bool, DemoError> {
        self.rest_watched(deadline, settled, |_| {}).await
    }

    /// The same; `watch` is shown now and then where everything stands.
    pub(super) async fn rest_watched(
        &self,
        deadline: Instant,
        mut settled: impl FnMut(&Self) -> bool,
        mut watch: impl FnMut(Standing),
    ) -> Result<bool, DemoError> {
        let (mut quiet, mut looks) = (0, 0);
        while quiet < 2 {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(LOOK).await;
            let calm = settled(self) && self.one_stop().unsent() == 0;
            let shown = looks % SHOWN_EVERY == 0;
            looks += 1;
            let mut idle = false;
            if calm || shown {
                let standing = self.standing().await?;
                idle = standing.is_idle();
                if shown {
                    watch(standing);
                }
            }
            quiet = if calm && idle { quiet + 1 } else { 0 };
        }
        watch(self.standing().await?);
        Ok(true)
    }

    /// Where everything stands.
    ///
    /// # Errors
    /// The node's store cannot be read.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        Ok(Standing {
            recorded: self.one_stop().count("HoSo"),
            dossiers: self.portal().count("HoSo"),
            progress: self.portal().count("TienDo"),
            acts: None,
            counts: self.node.shared().store.counts().await?,
        })
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The one-stop's stand-in.
    #[must_use]
    pub fn one_stop(&self) -> &Sandbox {
        self.province.of(ONE_STOP)
    }

    /// The national portal's stand-in.
    #[must_use]
    pub fn portal(&self) -> &Sandbox {
        self.province.of(PORTAL)
    }

    /// The licence desk's stand-in.
    #[must_use]
    pub fn licences(&self) -> &Sandbox {
        self.province.of(LICENCES)
    }

    /// The judicial records system's stand-in.
    #[must_use]
    pub fn judicial_records(&self) -> &Sandbox {
        self.province.of(JUDICIAL_RECORDS)
    }

    /// The population database's stand-in.
    #[must_use]
    pub fn population(&self) -> &Sandbox {
        self.province.of(POPULATION)
    }

    /// What the stand-ins suffer.
    #[must_use]
    pub fn trial(&self) -> &Trial {
        &self.circumstances.trial
    }

    /// The folder where everything lives.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends everything. With `keep`, the folder stays; otherwise it goes.
    pub async fn stop(mut self, keep: bool) {
        self.folder.disable_cleanup(keep);
        self.node.stop().await;
        self.province.stop().await;
    }
}

/// The judge expects what this world has said, and nothing from before it.
async fn refuse_used(url: &str) -> Result<(), DemoError> {
    let store = store::open(url).await?;
    let counts = store.counts().await?;
    if counts.dossiers > 0 || !counts.inbox.is_empty() {
        let fault = Fault::new("store-in-use")
            .field("--store")
            .found(format!("a store with {} dossiers", counts.dossiers))
            .expected("an empty one")
            .remedy("create a database for the demo, or leave the option out");
        return Err(DemoError::Faults(vec![fault]));
    }
    Ok(())
}

async fn record(one_stop: &Sandbox, rows: impl IntoIterator<Item = (usize, Value)>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, row) in rows {
        if let Err(fault) = one_stop.insert("HoSo", row).await {
            faults.push(fault.line(index + 1));
        }
    }
    faults
}

fn config(folder: &Path, adapters: &Path, province: &Province, circumstances: &Circumstances) -> Config {
    let secrets: HashMap<&str, &str> = SECRETS.into();
    Config {
        file: "lienthong.toml".to_owned(),
        store: circumstances
            .store
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", folder.join("lienthong.db").display())),
        broker: circumstances.broker.as_deref().unwrap_or("loopback:").into(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        socket: folder.join("admin.sock"),
        adapters: adapters.to_owned(),
        files: Some(folder.join("files")),
        files_url: None,
        province: BTreeMap::new(),
        systems: province.systems(circumstances.variant.as_ref()),
        environment: Arc::new(move |name| secrets.get(name).map(ToString::to_string)),
    }
}
