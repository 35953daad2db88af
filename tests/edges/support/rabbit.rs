//! A real RabbitMQ: the shared one of the run, a virtual host of its own for each test; or a private one for tests that
//! strike the whole broker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use lienthong::broker::{self, Address, Broker, Subscriber};
use lienthong::event::Event;
use serde_json::{Value, json};

use super::wire::Wire;
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
        crate::stores::tell(&format!("{}: {what}", self.version()));
    }

    /// Its name and version.
    pub(crate) fn version(&self) -> String {
        format!("RabbitMQ {}", self.version)
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

    /// Begins to keep every message that nodes send from now on; a node has been there before.
    pub(crate) async fn overhear(&self) -> Eavesdropper {
        let connection = self.stranger().await;
        let queue = "nghe-het";
        let channel = until("a queue that gets everything", async || {
            // An exchange that is not there yet closes the channel.
            let channel = connection.create_channel().await.unwrap();
            let (options, none) = (QueueDeclareOptions::default(), FieldTable::default);
            channel
                .queue_declare(queue.into(), options, none())
                .await
                .unwrap();
            for exchange in ["lienthong.events", "lienthong.control"] {
                let options = QueueBindOptions::default();
                let bound = channel.queue_bind(queue.into(), exchange.into(), "#".into(), options, none());
                bound.await.ok()?;
            }
            Some(channel)
        })
        .await;
        Eavesdropper {
            queue,
            channel,
            heard: Vec::new(),
            ids: BTreeMap::new(),
            _connection: connection,
        }
    }

    /// A stranger's connection.
    pub(crate) async fn stranger(&self) -> Connection {
        connect(&self.url()).await.unwrap()
    }
}

/// Who keeps every message, with its properties.
pub(crate) struct Eavesdropper {
    queue: &'static str,
    channel: Channel,
    heard: Vec<String>,
    /// How often each event was said.
    ids: BTreeMap<String, usize>,
    _connection: Connection,
}

impl Eavesdropper {
    /// Everything that was said so far.
    pub(crate) async fn heard(&mut self) -> &[String] {
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(self.queue.into(), options).await.unwrap() {
            let text = String::from_utf8_lossy(&message.delivery.data);
            let (key, properties) = (&message.delivery.routing_key, &message.delivery.properties);
            if let Some(id) = properties.message_id() {
                *self.ids.entry(id.to_string()).or_default() += 1;
            }
            self.heard.push(format!("{key} {properties:?} {text}"));
        }
        &self.heard
    }

    /// How often each event was said so far.
    pub(crate) async fn ids(&mut self) -> &BTreeMap<String, usize> {
        self.heard().await;
        &self.ids
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
        adapters: vec!["one-stop".to_owned()],
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
