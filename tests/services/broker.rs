//! The broker of a test's daemons: that of what the test stands on (`tests/stores`). RabbitMQ is the run's
//! (`tests/services/rabbitmq`), a virtual host of its own for each caller.

#![allow(dead_code, reason = "each target that includes this uses another part of it")]

use std::env::var;

use lapin::options::QueueDeclareOptions;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use crate::stores;

/// A broker; `None` is the one inside the process.
pub(crate) struct Broker(Option<String>);

impl Broker {
    /// The one of what the test stands on. To be asked for by the test's own task.
    pub(crate) async fn chosen() -> Self {
        if stores::is_on_rabbitmq() {
            return Self::rabbitmq().await;
        }
        Self(None)
    }

    /// Its name and version, as the run's RabbitMQ has said it. To be asked by the test's own task.
    pub(crate) fn version() -> String {
        if stores::is_on_rabbitmq() {
            let version = var("LIENTHONG_TEST_RABBITMQ_VERSION").unwrap_or_default();
            return format!("RabbitMQ {version}");
        }
        "loopback".to_owned()
    }

    /// The run's RabbitMQ, whatever the test stands on.
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
        self.looked_at(store_id)
            .await
            .is_ok_and(|(messages, _)| messages == 0)
    }

    /// How many events it will bring to this store, whose node was killed, again or for the first time: once it has noticed.
    pub(crate) async fn left(&self, store_id: &str) -> u32 {
        for _ in 0..200 {
            if let Ok((messages, 0)) = self.looked_at(store_id).await {
                return messages;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        0
    }

    /// Messages that wait for this store, and who reads them.
    async fn looked_at(&self, store_id: &str) -> lapin::Result<(u32, u32)> {
        let Some(url) = &self.0 else {
            return Ok((0, 0));
        };
        let runtime = lapin::runtime::default_runtime()?;
        let (properties, tls) = (ConnectionProperties::default(), OwnedTLSConfig::default());
        let connection = Connection::connect_with_config(url, properties, tls, runtime).await?;
        let channel = connection.create_channel().await?;
        let (mut messages, mut consumers) = (0, 0);
        for queue in [
            format!("lienthong.node.{store_id}"),
            format!("lienthong.dead.{store_id}"),
        ] {
            let passive = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let found = channel.queue_declare(queue.into(), passive, FieldTable::default());
            let found = found.await?;
            messages += found.message_count();
            consumers += found.consumer_count();
        }
        connection.close(200, "asked".into()).await?;
        Ok((messages, consumers))
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
