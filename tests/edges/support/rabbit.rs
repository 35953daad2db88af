//! A real RabbitMQ: the shared one of the run, a virtual host of its own for each test; or a private one for tests that
//! strike the whole broker. And a wire between a node and it that can be cut.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use lienthong::broker::{self, Address, Broker, Subscriber};
use lienthong::event::Event;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::{client, install_tls, until};

/// The store of the tests.
pub(crate) const STORE: &str = "store";

/// Its queue.
pub(crate) const QUEUE: &str = "lienthong.node.store";

/// Where a broker is.
#[derive(Clone)]
pub(crate) struct Places {
    amqp: String,
    amqps: String,
    pub(crate) folder: String,
    management: String,
    version: String,
    pub(crate) vhost: String,
}

/// A broker of this test alone; gone with it.
pub(crate) struct Private(pub(crate) Places);

impl Drop for Private {
    fn drop(&mut self) {
        drop(script(&["stop", &self.0.folder]));
    }
}

impl Private {
    pub(crate) async fn start() -> Self {
        let said = tokio::task::spawn_blocking(|| script(&["start"])).await.unwrap();
        let named = |name: &str| {
            let line = format!("export {name}=");
            let value = said.lines().find_map(|told| told.strip_prefix(&line));
            value.unwrap_or_else(|| panic!("{name} in {said}")).to_owned()
        };
        Self(Places::new(named).await)
    }

    /// SIGKILL, now.
    pub(crate) async fn kill(&self) {
        self.script("kill").await;
    }

    /// Starts it again; if it runs, it is ended in order before.
    pub(crate) async fn restart(&self) {
        self.script("restart").await;
    }

    /// Kills it and starts it with nothing of what it had.
    pub(crate) async fn wipe(&self) {
        self.script("wipe").await;
    }

    async fn script(&self, verb: &'static str) {
        let folder = self.0.folder.clone();
        tokio::task::spawn_blocking(move || script(&[verb, &folder]))
            .await
            .unwrap();
    }
}

fn script(arguments: &[&str]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/rabbitmq");
    let output = Command::new(file).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
    text(output.stdout)
}

impl Places {
    /// The shared broker, and a virtual host that is new.
    pub(crate) async fn shared() -> Self {
        let named = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!("{name} is not set: run tests/run, or first eval \"$(tests/services/rabbitmq start)\"")
            })
        };
        Self::new(named).await
    }

    async fn new(named: impl Fn(&str) -> String) -> Self {
        install_tls();
        let places = Self {
            amqp: named("LIENTHONG_TEST_RABBITMQ"),
            amqps: named("LIENTHONG_TEST_RABBITMQ_TLS"),
            folder: named("LIENTHONG_TEST_RABBITMQ_DIR"),
            management: named("LIENTHONG_TEST_RABBITMQ_MANAGEMENT"),
            version: named("LIENTHONG_TEST_RABBITMQ_VERSION"),
            vhost: uuid::Uuid::now_v7().simple().to_string(),
        };
        places.make_vhost().await;
        places
    }

    /// The virtual host, which an operator makes and no node.
    pub(crate) async fn make_vhost(&self) {
        let path = format!("vhosts/{}", self.vhost);
        self.ask(reqwest::Method::PUT, &path, &json!({})).await;
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        let path = format!("permissions/{}/{}", self.vhost, self.account().0);
        self.ask(reqwest::Method::PUT, &path, &all).await;
    }

    /// What a fault did, and to which broker.
    pub(crate) fn tell(&self, what: &str) {
        eprintln!("RabbitMQ {}: {what}", self.version);
    }

    /// How many messages are in a queue. (What `list_queues` says of it is old.)
    pub(crate) async fn messages(&self, queue: &str) -> u32 {
        let stranger = self.stranger().await;
        let channel = stranger.create_channel().await.unwrap();
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = channel.queue_declare(queue.into(), passive, FieldTable::default());
        found.await.unwrap().message_count()
    }

    pub(crate) fn account(&self) -> (String, String) {
        let (account, _) = self
            .amqp
            .strip_prefix("amqp://")
            .unwrap()
            .split_once('@')
            .unwrap();
        let (user, password) = account.split_once(':').unwrap();
        (user.to_owned(), password.to_owned())
    }

    /// Asks the broker's management.
    pub(crate) async fn ask(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let (user, password) = self.account();
        let request = client().request(method, format!("{}/api/{path}", self.management));
        let answer = request
            .basic_auth(user, Some(password))
            .json(body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or(Value::Null)
    }

    /// The names of all queues.
    pub(crate) async fn queues(&self) -> Vec<String> {
        let path = format!("queues/{}", self.vhost);
        let found = self.ask(reqwest::Method::GET, &path, &json!({})).await;
        let names = found.as_array().unwrap().iter();
        names
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Somebody removes a queue.
    pub(crate) async fn remove_queue(&self, queue: &str) {
        let path = format!("queues/{}/{queue}", self.vhost);
        self.ask(reqwest::Method::DELETE, &path, &json!({})).await;
    }

    /// Keys by which the store's queue is bound to the events.
    pub(crate) async fn bindings(&self) -> Vec<String> {
        let path = format!("bindings/{}/e/lienthong.events/q/{QUEUE}", self.vhost);
        let found = self.ask(reqwest::Method::GET, &path, &json!({})).await;
        let keys = found.as_array().unwrap().iter();
        let mut keys: Vec<String> = keys
            .map(|one| one["routing_key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort_unstable();
        keys
    }

    pub(crate) async fn ctl(&self, arguments: &[&str]) -> String {
        let told = [&["ctl", &self.folder], arguments].concat();
        let told: Vec<String> = told
            .into_iter()
            .map(|word| word.replace("VHOST", &self.vhost))
            .collect();
        let run = move || script(&told.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.amqp, self.vhost)
    }

    pub(crate) fn tls(&self) -> String {
        format!("{}/{}", self.amqps, self.vhost)
    }

    /// The same broker behind a wire.
    pub(crate) fn behind(&self, wire: &Wire) -> String {
        let (user, password) = self.account();
        format!("amqp://{user}:{password}@127.0.0.1:{}/{}", wire.port, self.vhost)
    }

    pub(crate) fn port(&self) -> u16 {
        self.amqp.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// A stranger's connection.
    pub(crate) async fn stranger(&self) -> Connection {
        connect(&self.url()).await.unwrap()
    }
}

/// A connection of nobody in particular.
pub(crate) async fn connect(url: &str) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let tls = OwnedTLSConfig::default();
    let properties = ConnectionProperties::default();
    Connection::connect_with_config(url, properties, tls, runtime).await
}

/// The broker as a node of the tests' store has it.
pub(crate) fn rabbit(url: &str) -> Box<dyn Broker> {
    broker::open(&Address::from(url), subscriber()).unwrap()
}

pub(crate) fn subscriber() -> Subscriber {
    Subscriber {
        store_id: STORE.to_owned(),
        keys: vec!["*.-.#".to_owned(), "one-stop.#".to_owned()],
        former: Vec::new(),
    }
}

/// Says all of this, as the stage does: what was not confirmed is said again. How often that was so.
pub(crate) async fn say(broker: &dyn Broker, events: Vec<Event>) -> usize {
    let mut open = events;
    let mut failures = 0;
    let mut told = None;
    until("everything is confirmed", async || {
        let confirmed = match broker.publish(open.clone()).await {
            Ok(confirmed) => confirmed,
            Err(error) => {
                failures += 1;
                if told.as_ref() != Some(&error) {
                    eprintln!("{error}");
                    told = Some(error);
                }
                return None;
            }
        };
        failures += confirmed.iter().filter(|one| !**one).count();
        let mut confirmed = confirmed.into_iter();
        open.retain(|_| confirmed.next() != Some(true));
        open.is_empty().then_some(())
    })
    .await;
    failures
}

/// Takes until all of these have come; how often one came that was there already.
pub(crate) async fn take(broker: &dyn Broker, mut wanted: BTreeSet<String>) -> usize {
    let mut again = 0;
    until("everything has come", async || {
        let received = broker.receive(100).await.unwrap_or_default();
        let mut receipts = Vec::new();
        for one in received {
            let id = one.event.unwrap().id;
            again += usize::from(!wanted.remove(&id));
            receipts.push(one.receipt);
        }
        broker.acknowledge(receipts).await.unwrap();
        wanted.is_empty().then_some(())
    })
    .await;
    again
}

pub(crate) fn ids(events: &[Event]) -> BTreeSet<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

/// What befalls a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fate {
    Clear,
    /// Each connection dies after some bytes.
    Cut,
    /// Nothing arrives any more, and nobody is told.
    Swallow,
    /// What the broker says waits on the way.
    Hold,
}

/// A wire to a broker.
pub(crate) struct Wire {
    port: u16,
    fate: Arc<AtomicU8>,
    bitten: Arc<AtomicU64>,
    _end: DropGuard,
}

impl Wire {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let end = CancellationToken::new();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            fate: Arc::default(),
            bitten: Arc::default(),
            _end: end.clone().drop_guard(),
        };
        let (fate, bitten) = (Arc::clone(&wire.fate), Arc::clone(&wire.bitten));
        let tasks = TaskTracker::new();
        tasks
            .clone()
            .spawn(end.clone().run_until_cancelled_owned(async move {
                while let Ok((near, _)) = listener.accept().await {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                        continue;
                    };
                    let (fate, bitten) = (Arc::clone(&fate), Arc::clone(&bitten));
                    tasks.spawn(end.clone().run_until_cancelled_owned(async move {
                        let (near_in, near_out) = near.into_split();
                        let (far_in, far_out) = far.into_split();
                        tokio::select! {
                            () = carry(near_in, far_out, false, &fate, &bitten) => {}
                            () = carry(far_in, near_out, true, &fate, &bitten) => {}
                        }
                    }));
                }
            }));
        wire
    }

    pub(crate) fn set(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::SeqCst);
    }

    /// How often the fate was met.
    pub(crate) fn bitten(&self) -> u64 {
        self.bitten.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    is_answer: bool,
    fate: &AtomicU8,
    bitten: &AtomicU64,
) {
    let is = |wanted: Fate| fate.load(Ordering::SeqCst) == wanted as u8;
    let mut left = fastrand::usize(3_000..60_000);
    let mut buffer = vec![0; 4 << 10];
    while let Ok(length) = from.read(&mut buffer).await
        && length > 0
    {
        if is(Fate::Hold) && is_answer {
            bitten.fetch_add(1, Ordering::SeqCst);
            while is(Fate::Hold) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if is(Fate::Swallow) {
            bitten.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        if is(Fate::Cut) && length > left {
            bitten.fetch_add(1, Ordering::SeqCst);
            drop(to.write_all(&buffer[..left]).await);
            return;
        }
        left = left.saturating_sub(length);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
