//! A RabbitMQ that has something of ours which is not what it has to be: one clear error with its repair, and no hammering.

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lienthong::broker::{self, Address, BrokerError};
use serde_json::json;

use crate::broker::event;
use crate::support::rabbit::{Places, QUEUE, ids, rabbit, say, subscriber, take};

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_is_another_is_told_once_with_its_repair() {
    let places = Places::shared().await;
    let stranger = places.stranger().await;
    let channel = stranger.create_channel().await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, FieldTable::default())
        .await
        .unwrap();
    let broker = rabbit(&places.url());
    let drift = broker.receive(1).await.unwrap_err();
    let text = drift.to_string();
    assert!(matches!(drift, BrokerError::Drift { .. }), "{text}");
    assert!(
        text.contains("inequivalent arg") && text.contains("rabbitmqctl delete_queue --vhost"),
        "{text}"
    );
    assert_eq!(
        broker.receive(1).await.unwrap_err(),
        drift,
        "the broker is left alone for a while"
    );
    assert_eq!(broker.publish(vec![event(1)]).await.unwrap_err(), drift);
    assert_eq!(broker.trouble(), Some(text));
    places.remove_queue(QUEUE).await;
    say(&*broker, vec![event(1)]).await;
    take(&*broker, ids(&[event(1)])).await;
    places.tell("1 queue that is another, told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_difference_is_named_with_its_repair() {
    let quorum = |limit: i64, exchange: &str| {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
        for (name, value) in [
            ("x-dead-letter-exchange", exchange),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
        ] {
            arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        arguments
    };
    let mut told = 0;
    let ours = "lienthong.dead.store";
    let mut classic = FieldTable::default();
    classic.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    for (arguments, difference) in [
        (classic, ""), // whatever the broker looks at first
        (quorum(7, ours), "x-delivery-limit"),
        (quorum(20, "elsewhere"), "x-dead-letter-exchange"),
    ] {
        let places = Places::shared().await;
        let stranger = places.stranger().await;
        let channel = stranger.create_channel().await.unwrap();
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel.queue_declare(QUEUE.into(), durable, arguments);
        queue.await.unwrap();
        let drift = rabbit(&places.url()).publish(vec![event(1)]).await.unwrap_err();
        let text = drift.to_string();
        assert!(matches!(drift, BrokerError::Drift { .. }), "{text}");
        assert!(
            text.contains(&format!("inequivalent arg '{difference}")),
            "{text}"
        );
        assert!(
            text.contains(QUEUE) && text.contains("rabbitmqctl delete_queue"),
            "{text}"
        );
        told += 1;
        places.tell(&format!("{told} queues that differ, each told"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exchange_of_another_kind_is_named_with_its_repair() {
    let places = Places::shared().await;
    let stranger = places.stranger().await;
    let channel = stranger.create_channel().await.unwrap();
    let (options, arguments) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let exchange = channel.exchange_declare(
        "lienthong.events".into(),
        ExchangeKind::Fanout,
        options,
        arguments,
    );
    exchange.await.unwrap();
    let told = rabbit(&places.url()).receive(1).await.unwrap_err();
    let text = told.to_string();
    assert!(matches!(told, BrokerError::Drift { .. }), "{text}");
    assert!(text.contains("remove the exchange lienthong.events"), "{text}");
    places.tell("1 exchange of another kind, told");
}

#[tokio::test(flavor = "multi_thread")]
async fn exchange_that_is_missing_and_not_the_nodes_to_declare_is_named_with_its_repair() {
    let places = Places::shared().await;
    let (user, password) = (format!("limited{}", places.vhost), "limited");
    let account = json!({"password": password, "tags": ""});
    places
        .ask(reqwest::Method::PUT, &format!("users/{user}"), &account)
        .await;
    let own = "^lienthong\\.(node|dead)\\.store$";
    let rights = json!({"configure": own, "write": ".*", "read": ".*"});
    let path = format!("permissions/{}/{user}", places.vhost);
    places.ask(reqwest::Method::PUT, &path, &rights).await;
    let url = format!(
        "amqp://{user}:{password}@127.0.0.1:{}/{}",
        places.port(),
        places.vhost
    );
    let broker = broker::open(&Address::from(url.as_str()), subscriber()).unwrap();
    let told = broker.receive(1).await.unwrap_err();
    let text = told.to_string();
    assert!(matches!(told, BrokerError::Drift { .. }), "{text}");
    assert!(
        text.contains("it is not there") && text.contains("deploy/rabbitmq/definitions.json"),
        "{text}"
    );
    places.tell("1 exchange that is missing, told");
}
