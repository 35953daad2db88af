//! A system of `tests/peers`, started, and a node that meets it through the shipped adapters.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use lienthong::clock::SystemClock;
use lienthong::config::{Config, System};
use lienthong::demo::{FILES, SECRETS};
use lienthong::node::Node;
use lienthong::store::{DeadLetter, Replica, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::stores;
use crate::support::{client, post, until};

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

/// The citizens whom the register knows.
pub(super) const REGISTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/register.jsonl");

/// Accounts at systems that the demo does not have, beside its secrets.
const EXCHANGE: [(&str, &str); 4] = [
    ("POPULATION_USER", "h56-truc"),
    ("POPULATION_SECRET", "khoa-cua-truc"),
    ("POPULATION_API_KEY", "khoa-api-cua-truc"),
    ("JUDICIAL_RECORDS_2_AUTH_KEY", "khoa-cua-tinh-o-lltp"),
];

/// What a secret is at the peers.
pub(super) fn secret(name: &str) -> &'static str {
    let all = SECRETS.iter().chain(&EXCHANGE);
    all.clone().find(|(known, _)| *known == name).unwrap().1
}

/// A peer, running.
pub(super) struct Peer {
    child: Child,
    pub(super) client: reqwest::Client,
    pub(super) url: String,
}

impl Peer {
    /// Starts one with its options, and more of them.
    pub(super) fn start(name: &str, mut options: Value, more: &Value) -> Self {
        for (option, value) in more.as_object().unwrap() {
            options[option] = value.clone();
        }
        let folder = Path::new(HOUSE).join("tests/peers");
        let mut child = Command::new(folder.join(".venv/bin/python"))
            .arg(folder.join(name).with_extension("py"))
            .arg(options.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/strangers/install sees to it that the peers are there");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = block_in_place(|| lines.next()).expect("its port: it has ended, see above");
        let url = format!("http://127.0.0.1:{}", port.unwrap());
        Self {
            child,
            client: client(),
            url,
        }
    }

    /// What it holds and what it has refused.
    pub(super) async fn shown(&self) -> Value {
        let request = self.client.get(format!("{}/peer", self.url));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Its people do this.
    pub(super) async fn told(&self, act: &Value) {
        let request = self.client.post(format!("{}/peer", self.url)).json(act);
        let status = request.send().await.unwrap().status();
        assert!(status.is_success(), "{act}");
    }

    /// What it shows once something that the test waits for holds.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let shown = self.shown().await;
            holds(&shown).then_some(shown)
        })
        .await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A system that a node hosts: name, variant, address, settings.
pub(super) type Hosted<'a> = (&'a str, Option<&'a str>, &'a str, Value);

/// A node with the shipped adapters, whose spans are short.
pub(super) struct Site {
    node: Node,
    // goes after the node
    _folder: TempDir,
}

impl Site {
    pub(super) async fn start(one_stop: &str, hosted: &[Hosted<'_>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let adapters = folder.path().join("adapters");
        std::fs::create_dir(&adapters).unwrap();
        lienthong::adapter::shipped::write(&adapters).unwrap();
        let one_stop = ("one-stop", None, one_stop, json!({"files": FILES}));
        let systems = std::iter::once(&one_stop).chain(hosted);
        let systems = systems.map(|(name, variant, url, settings)| {
            hurry(&adapters.join(name).join("adapter.toml"));
            System {
                name: (*name).to_owned(),
                folder: (*name).to_owned(),
                variant: variant.map(str::to_owned),
                url: Some((*url).to_owned()),
                settings: settings.as_object().cloned().unwrap(),
            }
        });
        let secrets: HashMap<&str, &str> = SECRETS.into_iter().chain(EXCHANGE).collect();
        let config = Config {
            file: "lienthong.toml".to_owned(),
            store: stores::url(folder.path()),
            broker: "loopback:".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            socket: folder.path().join("admin.sock"),
            adapters: adapters.clone(),
            files: Some(folder.path().join("files")),
            files_url: None,
            province: BTreeMap::new(),
            systems: systems.collect(),
            environment: Arc::new(move |name| secrets.get(name).map(ToString::to_string)),
        };
        let node = Node::start(&config, Arc::new(SystemClock)).await.unwrap();
        Self {
            node,
            _folder: folder,
        }
    }

    /// Where the node listens, and gives out files.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.node.webhooks())
    }

    /// Where the one-stop tells.
    pub(super) fn hook(&self) -> String {
        format!("{}/hooks/one-stop", self.url())
    }

    /// The one-stop tells of this row, and the node takes it.
    pub(super) async fn tell(&self, row: &Value) {
        let (status, answer) = post(&self.hook(), row).await;
        assert_eq!((status, &answer["maLoi"]), (200, &json!("0")), "{answer}");
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.node.shared().store
    }

    /// The dossier under this code.
    pub(super) async fn replica(&self, code: &str) -> Option<Replica> {
        self.store().find_replica(code).await.unwrap()
    }

    pub(super) async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.store().dead_letters(200).await.unwrap()
    }

    /// Waits until nothing is left to do. Steps of dossiers that were not received yet wait for these; how a dossier stands at
    /// the licence desk or with the ministry is asked again and again.
    pub(super) async fn rest(&self) {
        until("the node comes to rest", async || {
            let counts = self.store().counts().await.unwrap();
            let busy = counts.deliveries.iter().any(|(_, push, state, count)| {
                let open = match state.as_str() {
                    "due" | "in_doubt" | "backing_off" => true,
                    "waiting" => !matches!(push.as_str(), "progress" | "lookup.status" | "lookup.result"),
                    _ => false,
                };
                open && *count > 0
            });
            (counts.outbox == 0 && !busy).then_some(())
        })
        .await;
    }

    pub(super) async fn stop(self) {
        self.node.stop().await;
    }
}

/// Spans that a test can wait for.
fn hurry(manifest: &Path) {
    let text = std::fs::read_to_string(manifest).unwrap();
    let mut hurried = text.clone();
    for (long, short) in [
        ("every   = \"30s\"", "every   = \"1s\""),
        ("every    = \"10m\"", "every    = \"1s\""),
        ("every = \"30m\"", "every = \"1s\""),
        ("every  = \"30m\"", "every  = \"1s\""),
        ("settle   = \"90s\"", "settle   = \"2s\""),
        ("settle   = \"60s\"", "settle   = \"2s\""),
        ("first = \"10s\"", "first = \"200ms\""),
    ] {
        hurried = hurried.replace(long, short);
    }
    assert_ne!(
        hurried,
        text,
        "{} has other spans than it had",
        manifest.display()
    );
    std::fs::write(manifest, hurried).unwrap();
}
