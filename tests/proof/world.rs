//! A daemon that brings what the source says to one oracle, through a proxy: the whole of it, from the first record to what
//! is left on disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lienthong::store::Store;
use tempfile::TempDir;

use crate::cell::{Blow, Point, word};
use crate::node::{Address, Node, Site};
use crate::oracle::asked::Class;
use crate::oracle::journal::{Plan, Told};
use crate::oracle::judge::{Accepted, Claim, Expects, Violation, judge};
use crate::oracle::ledger;
use crate::oracle::mishap::{Mode, Times};
use crate::oracle::model::Oracle;
use crate::proxy::{Proxy, Strike, Way};
use crate::source::Source;
use crate::support::{folder, until};
use crate::target::Target;

/// What the adapters beside the oracle declare.
pub(crate) const TIMES: Times = Times {
    timeout_ms: 250,
    settle_ms: 600,
};

/// Longer than an intent that was cut off stays in doubt: four calls, and the settle time.
pub(crate) const PAUSE: Duration = Duration::from_secs(2);

/// A dossier that nobody has spoken of before.
pub(crate) const FRESH: u32 = 9999;

/// What a world is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design {
    pub(crate) seed: u64,
    pub(crate) class: Class,
    /// What is otherwise in the adapter's manifest: a piece of it, and what stands in its place.
    pub(crate) edit: Option<(&'static str, &'static str)>,
    pub(crate) mode: Mode,
    /// What the target keeps to; what its adapter declares unless a test says otherwise.
    pub(crate) times: Times,
    /// `None`: nothing stands between the daemon and its target.
    pub(crate) way: Option<Way>,
    /// Where the daemon is struck, how, and at the how manieth time that it comes there.
    pub(crate) strike: Option<(Point, Blow, u64)>,
}

impl Design {
    /// Nothing goes wrong.
    pub(crate) fn sound(seed: u64, class: Class) -> Self {
        Self {
            seed,
            class,
            edit: None,
            mode: Mode::Sound,
            times: TIMES,
            way: None,
            strike: None,
        }
    }
}

/// All of it, running.
pub(crate) struct World {
    folder: TempDir,
    class: Class,
    adapter: String,
    pub(crate) target: Target,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) node: Node,
    pub(crate) source: Source,
}

impl World {
    pub(crate) async fn start(design: Design) -> Result<Self, String> {
        let folder = folder();
        let Design {
            seed,
            class,
            edit,
            mode,
            times,
            way,
            strike,
        } = design;
        let plan = Plan {
            seed,
            class,
            mode,
            times,
        };
        let target = Target::start(folder.path(), plan).await?;
        // The proxy must know whom to strike before there is anybody to strike.
        let daemon = Address::default();
        let on_the_way = strike.and_then(|(point, blow, nth)| {
            Some(Strike {
                moment: point.moment()?,
                nth,
                signal: blow.signal(),
                daemon: daemon.clone(),
            })
        });
        let inside = strike.filter(|(point, _, _)| point.moment().is_none());
        let inside = inside.map(|(point, blow, nth)| format!("{}:{nth}:{}", word(point), word(blow)));
        let proxy = match way {
            Some(way) => Some(Proxy::start(&target.url, seed, way, on_the_way).await),
            None => None,
        };
        let url = proxy.as_ref().map_or(&target.url, |proxy| &proxy.url);
        let adapter = word(class);
        let site = Site {
            folder: folder.path(),
            adapters: &adapters(folder.path(), &adapter, edit),
            systems: &format!("[adapter.source]\n[adapter.{adapter}]\nurl = \"{url}\"\n"),
            listen: "127.0.0.1:0",
            hook: "/hooks/source",
        };
        let node = Node::start(site, inside.as_deref(), PAUSE, daemon.clone()).await?;
        let source = Source::new(daemon, seed);
        Ok(Self {
            folder,
            class,
            adapter,
            target,
            proxy,
            node,
            source,
        })
    }

    /// Nothing goes wrong from now on; waits until nothing is left to do, says something new, and waits until that is done
    /// too, and until no late commit is to come.
    pub(crate) async fn recover(&mut self) -> Result<(), String> {
        self.target.tell(Told::Calm).await?;
        self.proxy.iter().for_each(Proxy::calm);
        self.node.rest().await?;
        self.source.tell(FRESH, 1, 1).await?;
        self.node.rest().await?;
        if self.class == Class::Reporting {
            // What it reports of the last call is still to come.
            let asked = self.asked().await?;
            until("the target is asked what has changed", async || {
                (self.asked().await.ok()? > asked + 1).then_some(())
            })
            .await?;
            self.node.rest().await?;
        }
        until("the last late commit", async || {
            let books = self.target.books().await.ok()?;
            (books["late"] == false).then_some(())
        })
        .await
    }

    /// How often the target was asked something.
    async fn asked(&self) -> Result<u64, String> {
        let books = self.target.books().await?;
        books["requests"]
            .as_u64()
            .ok_or_else(|| "books without a count".to_owned())
    }

    /// Ends the daemon, and looks at what is left.
    pub(crate) async fn end(self) -> Result<Left, String> {
        let (kills, stops) = (self.node.kills, self.node.stops);
        let (store, log) = self.node.stop().await?;
        let accepted = self.source.accepted();
        let claims = ledger::claims(store.as_ref(), &self.adapter, accepted.records.keys()).await;
        let (oracle, journal) = self.target.read();
        Ok(Left {
            claims: claims.map_err(|error| error.to_string())?,
            class: self.class,
            adapter: self.adapter,
            ways: self.proxy.as_ref().map_or(0, Proxy::bitten),
            folder: self.folder,
            store,
            log,
            accepted,
            oracle,
            journal,
            kills,
            stops,
        })
    }
}

/// The adapters beside the oracle; copies of the two that are needed where one of them is to be another.
fn adapters(folder: &Path, adapter: &str, edit: Option<(&str, &str)>) -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/adapters");
    let Some((from, to)) = edit else { return beside };
    let own = folder.join("adapters");
    for name in ["source", adapter] {
        std::fs::create_dir_all(own.join(name)).unwrap();
        for file in std::fs::read_dir(beside.join(name)).unwrap() {
            let file = file.unwrap();
            let mut text = std::fs::read_to_string(file.path()).unwrap();
            if name == adapter && file.file_name() == "adapter.toml" {
                assert!(text.contains(from), "{from} is no longer in the manifest");
                text = text.replace(from, to);
            }
            std::fs::write(own.join(name).join(file.file_name()), text).unwrap();
        }
    }
    own
}

/// What is left when all is over.
pub(crate) struct Left {
    pub(crate) folder: TempDir,
    class: Class,
    pub(crate) adapter: String,
    pub(crate) store: Box<dyn Store>,
    pub(crate) log: String,
    pub(crate) accepted: Accepted,
    pub(crate) claims: Vec<Claim>,
    pub(crate) oracle: Oracle,
    pub(crate) journal: Vec<Told>,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    /// Connections that met the proxy's fault.
    pub(crate) ways: u64,
}

impl Left {
    /// What the judge says.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let entries = matches!(self.class, Class::Append | Class::AppendShown | Class::Batch);
        let expects = Expects {
            records: true,
            entries,
        };
        judge(&self.accepted, expects, &self.oracle, &self.claims)
    }
}
