//! Runs the demo: stand-ins, a node between them, officials at work, and the judge at the end.
//!
//! A third of the dossiers is in the one-stop before the bus comes and is fetched by the pull; the others are recorded
//! while it runs and are told by webhook, as is everything that the officials do. Everything lives in one temporary
//! folder: adapters, the node's store and socket, the rows of the stand-ins.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::input::Input;
use super::report::{self, Report};
use crate::clock::SystemClock;
use crate::config::{Config, System};
use crate::fault::Fault;
use crate::node::{Node, NodeError};
use crate::sandbox::{self, Sandbox};
use crate::store::StoreError;

/// Where the files of the one-stop are said to lie; the same for the mapping and the judge.
pub(super) const FILES: &str = "https://motcua.example.vn";

/// The province's secrets, in this world.
const SECRETS: [(&str, &str); 5] = [
    ("ONE_STOP_WEBHOOK_SECRET", "demo-webhook-secret"),
    ("ONE_STOP_USER", "lienthong"),
    ("ONE_STOP_PASSWORD", "demo-one-stop-password"),
    ("NATIONAL_PORTAL_USER", "h56"),
    ("NATIONAL_PORTAL_PASSWORD", "demo-portal-password"),
];

/// How often the world is looked at while waiting for it to come to rest.
const LOOK: Duration = Duration::from_millis(50);

/// How long the world may take to come to rest, plus [`PER_DOSSIER`].
const PATIENCE: Duration = Duration::from_mins(2);

/// What each dossier adds to the patience.
const PER_DOSSIER: Duration = Duration::from_millis(500);

/// What the demo is to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Dossiers in the one-stop's format, one a line; the shipped ones otherwise.
    pub input: Option<PathBuf>,
    /// How many of them; more than there are: copies under other codes.
    pub dossiers: Option<usize>,
    /// Adapter folders in place of the shipped ones.
    pub adapters: Option<PathBuf>,
}

/// Why the demo could not be run to its end.
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

/// The world of the demo, still running when the report is there.
pub struct World {
    folder: TempDir,
    node: Node,
    one_stop: Sandbox,
    portal: Sandbox,
}

/// Runs the demo. `tell` hears how far it has come.
///
/// # Errors
/// A fault in the input, the adapters or the stand-ins, a node that cannot start. What the judge finds is no error; it
/// stands in the report.
pub async fn run(options: &Options, tell: impl Fn(&str)) -> Result<(World, Report), DemoError> {
    let input = Input::load(options.input.as_deref(), options.dossiers)?;
    let folder = tempfile::Builder::new().prefix("lienthong-demo-").tempdir()?;
    let adapters = adapters(options.adapters.as_deref(), folder.path())?;

    let portal = Sandbox::start(
        &adapters.join("national-portal"),
        stand_in(
            folder.path(),
            "national-portal",
            [
                ("username", secret("NATIONAL_PORTAL_USER")),
                ("password", secret("NATIONAL_PORTAL_PASSWORD")),
            ],
        )?,
    )
    .await?;
    let before = Sandbox::start(&adapters.join("one-stop"), one_stop(folder.path(), None, None)?).await?;

    let mut refused = Vec::new();
    let third = input.dossiers.len() / 3;
    let (earlier, later): (Vec<_>, Vec<_>) = input.dossiers.iter().enumerate().partition(|(index, row)| {
        *index < third && row["NgayCapNhat"].as_str().is_some_and(|time| !time.is_empty())
    });
    tell(&format!(
        "{} dossiers are in the one-stop before the bus comes",
        earlier.len()
    ));
    record(&before, &earlier, &mut refused).await;

    let node = Node::start(
        &config(folder.path(), &adapters, &before, &portal),
        Arc::new(SystemClock),
    )
    .await?;
    let deadline =
        Instant::now() + PATIENCE + PER_DOSSIER * u32::try_from(input.dossiers.len()).unwrap_or(u32::MAX);
    tell("the bus is switched on and fetches them (pull)");
    rest(&node, deadline, || {
        before.calls().contains_key("GET /HoSo/DanhSachThayDoi")
    })
    .await?;

    let address = before.address();
    before.stop().await;
    let webhook = format!("http://{}/hooks/one-stop", node.webhooks());
    let one_stop = Sandbox::start(
        &adapters.join("one-stop"),
        one_stop(folder.path(), Some(address), Some(webhook))?,
    )
    .await?;
    tell(&format!(
        "{} more are recorded at the counters (webhook); the officials go to work",
        later.len()
    ));
    record(&one_stop, &later, &mut refused).await;
    for act in &input.script {
        if let Err(fault) = one_stop.insert("KichBan", act.clone()).await {
            return Err(DemoError::Faults(vec![fault]));
        }
    }
    let acts = input.script.len();
    let mut told = 0;
    rest(&node, deadline, || {
        let done = played(&one_stop);
        if done / 25 > told {
            told = done / 25;
            tell(&format!("{done} of {acts} acts of the officials are done"));
        }
        done >= acts && one_stop.unsent() == 0
    })
    .await?;

    let world = World {
        folder,
        node,
        one_stop,
        portal,
    };
    let report = report::make(&world, &input, refused).await?;
    Ok((world, report))
}

impl World {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The one-stop's stand-in.
    #[must_use]
    pub fn one_stop(&self) -> &Sandbox {
        &self.one_stop
    }

    /// The national portal's stand-in.
    #[must_use]
    pub fn portal(&self) -> &Sandbox {
        &self.portal
    }

    /// The folder where everything lives.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends everything. With `keep`, the folder stays; otherwise it goes.
    pub async fn stop(mut self, keep: bool) {
        self.folder.disable_cleanup(keep);
        self.one_stop.stop().await;
        self.node.stop().await;
        self.portal.stop().await;
    }
}

/// The adapters to use: those given, or the shipped ones, written where they can be looked at.
fn adapters(given: Option<&Path>, folder: &Path) -> Result<PathBuf, std::io::Error> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let target = folder.join("adapters");
    std::fs::create_dir(&target)?;
    crate::adapter::shipped::write(&target)?;
    Ok(target)
}

fn secret(name: &str) -> Value {
    json!(
        SECRETS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    )
}

fn stand_in<const N: usize>(
    folder: &Path,
    name: &str,
    settings: [(&str, Value); N],
) -> Result<sandbox::Options, std::io::Error> {
    let rows = folder.join("rows").join(name);
    std::fs::create_dir_all(&rows)?;
    let settings: Map<String, Value> = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(sandbox::Options {
        settings,
        folder: Some(rows),
        ..sandbox::Options::default()
    })
}

fn one_stop(
    folder: &Path,
    listen: Option<SocketAddr>,
    webhook: Option<String>,
) -> Result<sandbox::Options, std::io::Error> {
    let mut options = stand_in(
        folder,
        "one-stop",
        [
            ("user", secret("ONE_STOP_USER")),
            ("password", secret("ONE_STOP_PASSWORD")),
            ("secret", secret("ONE_STOP_WEBHOOK_SECRET")),
            ("webhook", json!(webhook.unwrap_or_default())),
        ],
    )?;
    if let Some(listen) = listen {
        options.listen = listen;
    }
    Ok(options)
}

fn config(folder: &Path, adapters: &Path, one_stop: &Sandbox, portal: &Sandbox) -> Config {
    let secrets: HashMap<String, String> = SECRETS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let system = |name: &str, sandbox: &Sandbox, settings: Value| System {
        name: name.to_owned(),
        folder: name.to_owned(),
        url: Some(sandbox.url()),
        settings: settings.as_object().cloned().unwrap_or_default(),
    };
    Config {
        store: format!("sqlite://{}", folder.join("lienthong.db").display()),
        broker: "loopback:".to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        socket: folder.join("admin.sock"),
        adapters: adapters.to_owned(),
        systems: vec![
            system("one-stop", one_stop, json!({"files": FILES})),
            system("national-portal", portal, json!({})),
        ],
        environment: Arc::new(move |name| secrets.get(name).cloned()),
    }
}

/// Clerks record dossiers. What the one-stop itself cannot take is noted.
async fn record(one_stop: &Sandbox, rows: &[(usize, &Value)], refused: &mut Vec<Fault>) {
    for (index, row) in rows {
        if let Err(fault) = one_stop.insert("HoSo", (*row).clone()).await {
            refused.push(fault.line(index + 1));
        }
    }
}

/// How many acts of the script are done.
fn played(one_stop: &Sandbox) -> usize {
    let done = one_stop.rows("DaLam");
    done.iter()
        .filter_map(|row| row["SoBuoc"].as_u64())
        .map(|count| usize::try_from(count).unwrap_or(0))
        .sum()
}

/// Waits until `settled` holds and the node has nothing left that it could do now, twice in a row. At the deadline the
/// judge sees the world as it is.
async fn rest(node: &Node, deadline: Instant, mut settled: impl FnMut() -> bool) -> Result<(), StoreError> {
    let mut quiet = 0;
    while quiet < 2 && Instant::now() < deadline {
        sleep(LOOK).await;
        quiet = if settled() && idle(node).await? {
            quiet + 1
        } else {
            0
        };
    }
    Ok(())
}

async fn idle(node: &Node) -> Result<bool, StoreError> {
    let counts = node.shared().store.counts().await?;
    let busy = counts.deliveries.iter().any(|(_, _, state, count)| {
        *count > 0 && ["due", "in_doubt", "backing_off"].contains(&state.as_str())
    });
    Ok(counts.outbox == 0 && !busy)
}
