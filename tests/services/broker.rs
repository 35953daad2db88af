//! The broker of a test's daemons, chosen from outside: with `LIENTHONG_TEST_BROKER=rabbitmq` it is the run's RabbitMQ
//! (`tests/services/rabbitmq`), a virtual host of its own for each caller; otherwise the one inside the process.

#![allow(dead_code, reason = "each target that includes this uses another part of it")]

use std::env::var;

use lapin::options::QueueDeclareOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

/// A broker; `None` is the one inside the process.
pub(crate) struct Broker(Option<String>);

impl Broker {
    /// The one that was chosen.
    pub(crate) async fn chosen() -> Self {
        match var("LIENTHONG_TEST_BROKER").unwrap_or_default().as_str() {
            "" | "loopback" => Self(None),
            "rabbitmq" => Self(Some(vhost().await)),
            other => panic!("LIENTHONG_TEST_BROKER is {other:?}: say rabbitmq or loopback"),
        }
    }

    /// The name under which a node speaks of the one that was chosen.
    pub(crate) fn name() -> &'static str {
        match var("LIENTHONG_TEST_BROKER").as_deref() {
            Ok("rabbitmq") => "rabbitmq",
            _ => "loopback",
        }
    }

    /// The run's RabbitMQ, whatever was chosen.
    pub(crate) async fn rabbitmq() -> Self {
        Self(Some(vhost().await))
    }

    /// Its address, unless it is the one inside the process.
    pub(crate) fn url(&self) -> Option<String> {
        self.0.clone()
    }

    /// Its section of a configuration, with the line end.
    pub(crate) fn section(&self) -> String {
        self.0
            .as_ref()
            .map_or_else(String::new, |url| format!("[broker]\nurl = \"{url}\"\n"))
    }

    /// Whether it has nothing to bring to this store.
    pub(crate) async fn is_empty(&self, store_id: &str) -> bool {
        let Some(url) = &self.0 else {
            return true;
        };
        let count = async {
            let runtime = lapin::runtime::default_runtime()?;
            let (properties, tls) = (ConnectionProperties::default(), OwnedTLSConfig::default());
            let connection = Connection::connect_with_config(url, properties, tls, runtime).await?;
            let channel = connection.create_channel().await?;
            let mut messages = 0;
            for queue in [
                format!("lienthong.node.{store_id}"),
                format!("lienthong.dead.{store_id}"),
            ] {
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                let found = channel.queue_declare(queue.into(), passive, FieldTable::default());
                messages += found.await?.message_count();
            }
            connection.close(200, "asked".into()).await?;
            lapin::Result::Ok(messages)
        };
        count.await.is_ok_and(|messages| messages == 0)
    }
}

/// Address of a virtual host that nobody else has.
async fn vhost() -> String {
    // A second one changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    let named = |name: &str| {
        var(name).unwrap_or_else(|_| {
            panic!("{name} is not set: run tests/run, or first eval \"$(tests/services/rabbitmq start)\"")
        })
    };
    let (url, management) = (
        named("LIENTHONG_TEST_RABBITMQ"),
        named("LIENTHONG_TEST_RABBITMQ_MANAGEMENT"),
    );
    let account = url.strip_prefix("amqp://").and_then(|rest| rest.split_once('@'));
    let (user, password) = account.and_then(|(account, _)| account.split_once(':')).unwrap();
    let vhost = uuid::Uuid::now_v7().simple().to_string();
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_mins(1))
        .no_proxy()
        .build()
        .unwrap();
    let all = serde_json::json!({"configure": ".*", "write": ".*", "read": ".*"});
    for (path, body) in [
        (format!("vhosts/{vhost}"), serde_json::json!({})),
        (format!("permissions/{vhost}/{user}"), all),
    ] {
        let request = client.put(format!("{management}/api/{path}")).json(&body);
        let answer = request.basic_auth(user, Some(password)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
    format!("{url}/{vhost}")
}
