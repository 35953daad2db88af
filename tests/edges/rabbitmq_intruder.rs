//! The rights of `deploy/rabbitmq/definitions.json`, loaded into a broker: nodes can work with them, and an intruder who has
//! the account of one cannot touch what is another's. Every refusal here is the broker's own.

use std::pin::Pin;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ErrorKind, ExchangeKind};
use lienthong::broker::{self, Address, Broker, Subscriber};
use lienthong::event::Event;
use serde_json::json;

use crate::broker::{bring, event};
use crate::support::rabbit::{Private, connect, ids, say, take};

const DEFINITIONS: &str = include_str!("../../deploy/rabbitmq/definitions.json");

/// Account, store, adapter, sector.
const MINE: [&str; 4] = ["so-tu-phap", "0198c1e0a2", "judicial-records", "G15"];
const THEIRS: [&str; 4] = ["so-xay-dung", "0198c1f4b7", "permits", "G09"];

/// Their queue, and what else is theirs.
const QUEUE: &str = "lienthong.node.0198c1f4b7";
const DEAD: &str = "lienthong.dead.0198c1f4b7";

type Attempt = Pin<Box<dyn Future<Output = lapin::Result<()>>>>;

/// A broker with the definitions; each account's password is its name.
async fn broker_with_definitions() -> Private {
    let private = Private::start().await;
    let file = format!("{}/definitions.json", private.0.folder);
    std::fs::write(&file, DEFINITIONS).unwrap();
    private.0.ctl(&["import_definitions", &file]).await;
    for account in [MINE[0], THEIRS[0], "bao-cao"] {
        private.0.ctl(&["change_password", account, account]).await;
    }
    private
}

fn url(private: &Private, account: &str) -> String {
    format!(
        "amqp://{account}:{account}@127.0.0.1:{}/lienthong",
        private.0.port()
    )
}

/// The broker as the node of this account has it.
fn node(private: &Private, [account, store_id, adapter, sector]: [&str; 4]) -> Box<dyn Broker> {
    let mut address = Address::from(url(private, account).as_str());
    address.accounts = [MINE, THEIRS]
        .map(|[account, store_id, ..]| (store_id.to_owned(), account.to_owned()))
        .into();
    let keys = [
        "*.-.#".to_owned(),
        format!("{adapter}.#"),
        format!("*.{sector}.*.#"),
    ];
    let subscriber = Subscriber {
        store_id: store_id.to_owned(),
        keys: keys.into(),
        former: Vec::new(),
    };
    broker::open(&address, subscriber).unwrap()
}

fn said_by([_, store_id, adapter, _]: [&str; 4], n: u32) -> Event {
    let mut event = event(n);
    event.source = format!("/{store_id}/{adapter}");
    event.id = format!("{adapter}-{n}");
    event
}

/// Publishes and waits for the broker's word.
async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
) -> lapin::Result<()> {
    publish_body(channel, exchange, key, properties, b"{}").await
}

async fn publish_body(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
    body: &[u8],
) -> lapin::Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
    confirm.await?.await.map(drop)
}

/// An event as the node of this account would say it, except that it comes under this key.
async fn forge(channel: &Channel, account: &str, key: &str, event: &Event) -> lapin::Result<()> {
    let mut headers = FieldTable::default();
    for (name, value) in json!(event).as_object().unwrap() {
        if let (Some(text), false) = (value.as_str(), name == "datacontenttype") {
            let text = AMQPValue::LongString(text.into());
            headers.insert(format!("cloudEvents_{name}").into(), text);
        }
    }
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_user_id(account.into())
        .with_headers(headers);
    let body = serde_json::to_vec(&event.data).unwrap();
    publish_body(channel, "lienthong.events", key, properties, &body).await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    let arguments = FieldTable::default();
    channel
        .queue_bind(queue.into(), exchange.into(), key.into(), options, arguments)
        .await
}

/// What is tried, how the broker answers, and how it is done.
type Try = (&'static str, u16, fn(Channel) -> Attempt);

/// What an intruder with my account tries, and the broker's answer to it.
fn attempts() -> Vec<Try> {
    vec![
        ("speaks on the control exchange in their name", 403, |channel| {
            Box::pin(async move {
                let properties = BasicProperties::default();
                publish(&channel, "lienthong.control", "0198c1f4b7.claim", properties).await
            })
        }),
        ("says an event of their adapter", 403, |channel| {
            Box::pin(async move {
                let key = "permits.G09.-.vn.lienthong.dossier.received";
                publish(&channel, "lienthong.events", key, BasicProperties::default()).await
            })
        }),
        ("says an event of its own with their account", 406, |channel| {
            Box::pin(async move {
                let forged = BasicProperties::default().with_user_id(THEIRS[0].into());
                publish(&channel, "lienthong.events", "judicial-records.x", forged).await
            })
        }),
        ("writes straight into their queue", 403, |channel| {
            Box::pin(async move { publish(&channel, "", QUEUE, BasicProperties::default()).await })
        }),
        ("makes a dead letter of theirs", 403, |channel| {
            Box::pin(async move { publish(&channel, DEAD, "", BasicProperties::default()).await })
        }),
        ("consumes their queue", 403, |channel| {
            Box::pin(async move {
                let options = BasicConsumeOptions::default();
                let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default());
                consumer.await.map(drop)
            })
        }),
        ("takes one of their dead letters", 403, |channel| {
            Box::pin(async move {
                let got = channel.basic_get(DEAD.into(), BasicGetOptions::default());
                got.await.map(drop)
            })
        }),
        (
            "has the events of their adapter brought to its own queue",
            403,
            |channel| {
                Box::pin(async move {
                    bind(
                        &channel,
                        "lienthong.node.0198c1e0a2",
                        "lienthong.events",
                        "permits.#",
                    )
                    .await
                })
            },
        ),
        (
            "has the events of their sector brought to its own queue",
            403,
            |channel| {
                Box::pin(async move {
                    let key = "*.G09.*.#";
                    bind(&channel, "lienthong.node.0198c1e0a2", "lienthong.events", key).await
                })
            },
        ),
        ("has every event brought to its own queue", 403, |channel| {
            Box::pin(
                async move { bind(&channel, "lienthong.node.0198c1e0a2", "lienthong.events", "#").await },
            )
        }),
        ("binds their queue", 403, |channel| {
            Box::pin(async move { bind(&channel, QUEUE, "lienthong.events", "judicial-records.#").await })
        }),
        ("removes their queue", 403, |channel| {
            Box::pin(async move {
                let removed = channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default());
                removed.await.map(drop)
            })
        }),
        ("empties their queue", 403, |channel| {
            Box::pin(async move {
                let emptied = channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default());
                emptied.await.map(drop)
            })
        }),
        ("removes the exchange of all", 403, |channel| {
            Box::pin(async move {
                let options = ExchangeDeleteOptions::default();
                channel.exchange_delete("lienthong.events".into(), options).await
            })
        }),
        ("declares the exchange of all anew", 403, |channel| {
            Box::pin(async move {
                let options = ExchangeDeclareOptions::default();
                let arguments = FieldTable::default();
                channel
                    .exchange_declare(
                        "lienthong.events".into(),
                        ExchangeKind::Fanout,
                        options,
                        arguments,
                    )
                    .await
            })
        }),
        ("declares a queue beside its own", 403, |channel| {
            Box::pin(async move {
                let options = QueueDeclareOptions::default();
                let queue = channel.queue_declare("so-tu-phap.more".into(), options, FieldTable::default());
                queue.await.map(drop)
            })
        }),
    ]
}

fn refusal(tried: lapin::Result<()>) -> Option<u16> {
    match tried.err()?.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_work_with_the_rights_they_are_given_and_an_intruder_gets_nowhere() {
    let private = broker_with_definitions().await;
    let (mine, theirs) = (node(&private, MINE), node(&private, THEIRS));
    // Both work: what has no sector goes to everybody.
    let both = [said_by(MINE, 1), said_by(THEIRS, 2)];
    for broker in [&mine, &theirs] {
        assert!(broker.receive(1).await.unwrap().is_empty(), "the queue is set up");
    }
    say(&*mine, vec![both[0].clone()]).await;
    say(&*theirs, vec![both[1].clone()]).await;
    take(&*mine, ids(&both)).await;
    assert_eq!((mine.trouble(), theirs.trouble()), (None, None));

    let (mut refused, all) = (0, attempts());
    for (what, code, attempt) in &all {
        let connection = connect(&url(&private, MINE[0])).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let answer = refusal(attempt(channel).await);
        assert_eq!(answer, Some(*code), "an intruder {what}");
        refused += 1;
    }
    let elsewhere = format!("amqp://so-tu-phap:so-tu-phap@127.0.0.1:{}/%2f", private.0.port());
    assert!(
        connect(&elsewhere).await.is_err(),
        "an intruder goes to another virtual host"
    );

    // and theirs is as it was
    take(&*theirs, ids(&both)).await;
    say(&*theirs, vec![said_by(THEIRS, 3)]).await;
    take(&*theirs, ids(&[said_by(THEIRS, 3)])).await;
    private
        .0
        .tell(&format!("{refused} of {} attempts refused", all.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_names_another_adapter_than_its_key_is_refused_by_every_receiver() {
    let private = broker_with_definitions().await;
    let (mine, theirs) = (node(&private, MINE), node(&private, THEIRS));
    for broker in [&mine, &theirs] {
        assert!(broker.receive(1).await.unwrap().is_empty(), "the queue is set up");
    }
    let connection = connect(&url(&private, MINE[0])).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let own = |event: &Event| format!("judicial-records.-.-.{}", event.kind);
    let sound = said_by(MINE, 1);
    forge(&channel, MINE[0], &own(&sound), &sound).await.unwrap();
    take(&*theirs, ids(&[sound])).await;

    // my store and my account, under a key that I may use, in the name of adapters that are others'
    let named = ["permits", "one-stop", "national-portal"];
    for (n, adapter) in (2..).zip(named) {
        let mut forged = said_by(MINE, n);
        forged.source = format!("/{}/{adapter}", MINE[1]);
        forge(&channel, MINE[0], &own(&forged), &forged).await.unwrap();
        let brought = bring(&*theirs, 1).await.remove(0);
        let unfit = brought.event.unwrap_err();
        assert_eq!(unfit.fault.code, "key-mismatch", "{unfit:?}");
        assert_eq!(
            theirs.reread(&unfit.raw),
            Err(unfit),
            "looked at again, it is no better"
        );
        theirs.acknowledge(vec![brought.receipt]).await.unwrap();
    }
    private.0.tell(&format!(
        "{} events in another adapter's name refused",
        named.len()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn listener_hears_everything_and_says_nothing() {
    let private = broker_with_definitions().await;
    let mine = node(&private, MINE);
    assert!(mine.receive(1).await.unwrap().is_empty(), "the queue is set up");
    let listener = connect(&url(&private, "bao-cao")).await.unwrap();
    let channel = listener.create_channel().await.unwrap();
    let options = QueueDeclareOptions::default();
    let queue = channel.queue_declare("bao-cao.all".into(), options, FieldTable::default());
    queue.await.unwrap();
    bind(&channel, "bao-cao.all", "lienthong.events", "#")
        .await
        .unwrap();
    say(&*mine, vec![said_by(MINE, 1)]).await;
    let got = channel.basic_get("bao-cao.all".into(), BasicGetOptions::default());
    assert!(got.await.unwrap().is_some());
    let said = publish(
        &channel,
        "lienthong.events",
        "bao-cao.x",
        BasicProperties::default(),
    )
    .await;
    assert_eq!(refusal(said), Some(403));
}

#[tokio::test(flavor = "multi_thread")]
async fn account_without_a_password_lets_nobody_in() {
    let private = broker_with_definitions().await;
    private.0.ctl(&["clear_password", MINE[0]]).await;
    for password in ["", MINE[0]] {
        let url = format!(
            "amqp://{}:{password}@127.0.0.1:{}/lienthong",
            MINE[0],
            private.0.port()
        );
        assert!(connect(&url).await.is_err());
    }
}
