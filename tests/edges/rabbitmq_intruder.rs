//! The rights of `deploy/rabbitmq/definitions.json`, loaded into a broker: nodes can work with them, and an intruder who has
//! the account of one cannot touch what is another's. Every refusal here is the broker's own.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ErrorKind, ExchangeKind};
use lienthong::adapter::{Adapter, Site};
use lienthong::broker::{self, Address, Broker, BrokerError, Subscriber};
use lienthong::event::Event;
use serde_json::json;

use crate::broker::{bring, event};
use crate::support::rabbit::{Private, connect, ids, say, take};

const DEFINITIONS: &str = include_str!("../../deploy/rabbitmq/definitions.json");

/// Who speaks through an account: its store, and the shipped adapters that it hosts.
#[derive(Clone, Copy)]
struct Party {
    account: &'static str,
    store_id: &'static str,
    adapters: &'static [&'static str],
}

const MINE: Party = Party {
    account: "so-tu-phap",
    store_id: "0198c1e0a2",
    adapters: &["judicial-records"],
};
const THEIRS: Party = Party {
    account: "so-giao-thong",
    store_id: "0198c1f4b7",
    adapters: &["driving-licence"],
};
const CENTRE: Party = Party {
    account: "trung-tam",
    store_id: "0198c20d13",
    adapters: &["one-stop", "population", "national-portal"],
};
const PARTIES: [Party; 3] = [MINE, THEIRS, CENTRE];

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
    for account in PARTIES.map(|party| party.account).into_iter().chain(["bao-cao"]) {
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
fn node(private: &Private, party: Party) -> Box<dyn Broker> {
    node_that_asks_for(private, party, party.keys())
}

fn node_that_asks_for(private: &Private, party: Party, keys: Vec<String>) -> Box<dyn Broker> {
    let mut address = Address::from(url(private, party.account).as_str());
    address.accounts = PARTIES
        .map(|party| (party.store_id.to_owned(), party.account.to_owned()))
        .into();
    let speaker = |party: Party, adapter: &&str| ((*adapter).to_owned(), party.account.to_owned());
    let speakers = PARTIES
        .iter()
        .flat_map(|party| party.adapters.iter().map(|adapter| speaker(*party, adapter)));
    address.speakers = speakers.collect();
    let subscriber = Subscriber {
        store_id: party.store_id.to_owned(),
        adapters: party.adapters.iter().map(ToString::to_string).collect(),
        keys,
        former: Vec::new(),
    };
    broker::open(&address, subscriber).unwrap()
}

impl Party {
    /// What its node asks the broker for.
    fn keys(self) -> Vec<String> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        let load = |name: &&str| Adapter::load(&shipped.join(name), &Site::sample(name)).unwrap();
        broker::bindings(&self.adapters.iter().map(load).collect::<Vec<_>>())
    }
}

fn said_by(party: Party, n: u32) -> Event {
    said_as(party, party.adapters[0], n)
}

fn said_as(party: Party, adapter: &str, n: u32) -> Event {
    let mut event = event(n);
    event.source = format!("/{}/{adapter}", party.store_id);
    event.id = format!("{adapter}-{n}");
    event
}

/// The event, stating its procedure.
fn of_procedure(event: &Event, code: &str, sector: &str) -> Event {
    let mut json = json!(event);
    let stamp = json["data"]["links"]["one-stop"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    let procedure =
        json!({"code": code, "name": "một thủ tục", "sector": {"code": sector, "name": "một lĩnh vực"}});
    json["data"]["registers"] = json!({"procedure": {"value": procedure, "stamp": stamp}});
    serde_json::from_value(json).unwrap()
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
    let properties = said_through(account, event);
    let body = serde_json::to_vec(&event.data).unwrap();
    publish_body(channel, "lienthong.events", key, properties, &body).await
}

fn said_through(account: &str, event: &Event) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in json!(event).as_object().unwrap() {
        if let (Some(text), false) = (value.as_str(), name == "datacontenttype") {
            let text = AMQPValue::LongString(text.into());
            headers.insert(format!("cloudEvents_{name}").into(), text);
        }
    }
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_user_id(account.into())
        .with_headers(headers)
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
                let key = "driving-licence.-.1-002809.vn.lienthong.dossier.received";
                publish(&channel, "lienthong.events", key, BasicProperties::default()).await
            })
        }),
        ("says an event of its own with their account", 406, |channel| {
            Box::pin(async move {
                let forged = BasicProperties::default().with_user_id(THEIRS.account.into());
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
                        "driving-licence.#",
                    )
                    .await
                })
            },
        ),
        (
            "has the events of their procedure brought to its own queue",
            403,
            |channel| {
                Box::pin(async move {
                    let key = "*.*.1-002809.#";
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
        let connection = connect(&url(&private, MINE.account)).await.unwrap();
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
async fn each_account_has_the_rights_that_its_shipped_adapters_take_and_is_brought_their_procedures() {
    let private = broker_with_definitions().await;
    let nodes = PARTIES.map(|party| (party, node(&private, party)));
    for (party, broker) in &nodes {
        let keys = party.keys();
        assert!(
            broker.receive(1).await.unwrap().is_empty(),
            "{}: {keys:?}",
            party.account
        );
        assert!(
            keys.len() > 2,
            "{}: void, nothing is subscribed to: {keys:?}",
            party.account
        );
    }
    // Each adapter says something of every procedure, with its sector, which no `*.-.#` brings.
    let procedures = [
        ("2.000488", "G15-LLTP"),
        ("1.002809", "G07-DB"),
        ("1.001193", "G15-HT"),
    ];
    let mut said = Vec::new();
    for (party, broker) in &nodes {
        for adapter in party.adapters {
            for (n, (code, sector)) in (1..).zip(procedures) {
                let event = of_procedure(&said_as(*party, adapter, n), code, sector);
                say(&**broker, vec![event.clone()]).await;
                said.push((code, *party, event));
            }
        }
    }
    for (party, broker) in &nodes {
        let for_them = |code: &str| match party.account {
            "so-tu-phap" => code == "2.000488",
            "so-giao-thong" => code == "1.002809",
            _ => true,
        };
        let wanted: Vec<&Event> = said
            .iter()
            .filter(|(code, author, _)| author.account == party.account || for_them(code))
            .map(|(.., event)| event)
            .collect();
        let mut brought = BTreeSet::new();
        for one in bring(&**broker, wanted.len()).await {
            brought.insert(one.event.unwrap().id);
            one.receipt.acknowledge();
        }
        let wanted: BTreeSet<String> = wanted.iter().map(|event| event.id.clone()).collect();
        assert_eq!(brought, wanted, "{}", party.account);
        assert!(
            broker.receive(1).await.unwrap().is_empty(),
            "{} and nothing else",
            party.account
        );
    }
    private.0.tell(&format!(
        "{} accounts, {} events brought by key",
        nodes.len(),
        said.len()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn right_that_an_account_lacks_is_named_with_what_it_is_for_and_its_repair() {
    let private = broker_with_definitions().await;
    let told = |told: BrokerError, parts: &[&str]| {
        let text = told.to_string();
        assert!(matches!(told, BrokerError::Forbidden { .. }), "{text}");
        for part in ["the account so-tu-phap", "deploy/rabbitmq/definitions.json"]
            .iter()
            .chain(parts)
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    };
    // a subscription that is wider than the rights
    let mut keys = MINE.keys();
    keys.push("*.*.1-002809.#".to_owned());
    let wide = node_that_asks_for(&private, MINE, keys);
    let parts = [
        "lienthong.node.0198c1e0a2",
        "`read` on lienthong.events",
        "*.*.1-002809.#",
    ];
    told(wide.receive(1).await.unwrap_err(), &parts);
    assert!(
        wide.trouble().unwrap().contains("*.*.1-002809.#"),
        "status tells it"
    );
    // a store that is another's
    let mut stranger = THEIRS;
    stranger.account = MINE.account;
    let parts = ["declare the exchange lienthong.dead.0198c1f4b7", "`configure`"];
    let elsewhere = node(&private, stranger).receive(1).await.unwrap_err();
    told(elsewhere, &parts);
    // an adapter that is another's
    let broker = node(&private, MINE);
    let parts = [
        "write to the exchange lienthong.events",
        "driving-licence.-.-.",
        "`write`",
    ];
    told(
        broker
            .publish(vec![said_as(MINE, "driving-licence", 1)])
            .await
            .unwrap_err(),
        &parts,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_names_another_adapter_than_its_key_is_refused_by_every_receiver() {
    let private = broker_with_definitions().await;
    let (mine, theirs) = (node(&private, MINE), node(&private, THEIRS));
    for broker in [&mine, &theirs] {
        assert!(broker.receive(1).await.unwrap().is_empty(), "the queue is set up");
    }
    let connection = connect(&url(&private, MINE.account)).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let own = |event: &Event| format!("judicial-records.-.-.{}", event.kind);
    let sound = said_by(MINE, 1);
    forge(&channel, MINE.account, &own(&sound), &sound).await.unwrap();
    take(&*theirs, ids(&[sound])).await;

    // my store and my account, under a key that I may use, in the name of adapters that are others'
    let named = ["driving-licence", "one-stop", "national-portal"];
    for (n, adapter) in (2..).zip(named) {
        let mut forged = said_by(MINE, n);
        forged.source = format!("/{}/{adapter}", MINE.store_id);
        forge(&channel, MINE.account, &own(&forged), &forged)
            .await
            .unwrap();
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

/// My account makes its own queue anew, so that it sets everything aside under their key: no right of the broker's is in the way.
#[tokio::test(flavor = "multi_thread")]
async fn event_that_an_own_queue_sets_aside_under_their_key_is_refused_by_every_receiver() {
    let private = broker_with_definitions().await;
    let (mine, theirs) = (node(&private, MINE), node(&private, THEIRS));
    for broker in [&mine, &theirs] {
        assert!(broker.receive(1).await.unwrap().is_empty(), "the queue is set up");
    }
    mine.close().await;
    let connection = connect(&url(&private, MINE.account)).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (own_queue, own_exchange) = ("lienthong.node.0198c1e0a2", "lienthong.dead.0198c1e0a2");
    let removed = channel.queue_delete(own_queue.into(), QueueDeleteOptions::default());
    removed.await.unwrap();
    let mut forged = said_by(MINE, 1);
    forged.source = format!("/{}/driving-licence", MINE.store_id);
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-dead-letter-exchange", "lienthong.events".to_owned()),
        (
            "x-dead-letter-routing-key",
            format!("driving-licence.-.-.{}", forged.kind),
        ),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.as_str().into()));
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(own_queue.into(), options, arguments);
    declared.await.unwrap();
    bind(&channel, own_queue, own_exchange, "").await.unwrap();
    let properties = said_through(MINE.account, &forged).with_expiration("1".into());
    let body = serde_json::to_vec(&forged.data).unwrap();
    publish_body(&channel, own_exchange, "", properties, &body)
        .await
        .unwrap();

    let brought = bring(&*theirs, 1).await.remove(0);
    assert!(!brought.suspect);
    let unfit = brought.event.unwrap_err();
    assert_eq!(unfit.fault.code, "dead-letter-forwarded", "{unfit:?}");
    assert_eq!(unfit.fault.found.as_deref(), Some(own_queue));
    assert_eq!(
        theirs.reread(&unfit.raw),
        Err(unfit),
        "looked at again, it is no better"
    );
    theirs.acknowledge(vec![brought.receipt]).await.unwrap();
    private
        .0
        .tell("1 event set aside under another adapter's key came through and was refused");
}

/// My account makes its own exchange anew, binds that of all behind it, and speaks there under their key: no right of the
/// broker's is in the way, and nothing in the message shows it.
#[tokio::test(flavor = "multi_thread")]
async fn event_that_an_own_exchange_hands_on_under_their_key_is_refused_by_every_receiver() {
    let private = broker_with_definitions().await;
    let (mine, theirs, centre) = (
        node(&private, MINE),
        node(&private, THEIRS),
        node(&private, CENTRE),
    );
    for broker in [&mine, &theirs, &centre] {
        assert!(broker.receive(1).await.unwrap().is_empty(), "the queue is set up");
    }
    mine.close().await;
    let connection = connect(&url(&private, MINE.account)).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let own_exchange = "lienthong.dead.0198c1e0a2";
    let removed = channel.exchange_delete(own_exchange.into(), ExchangeDeleteOptions::default());
    removed.await.unwrap();
    let (options, arguments) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let declared = channel.exchange_declare(own_exchange.into(), ExchangeKind::Fanout, options, arguments);
    declared.await.unwrap();
    let (options, arguments) = (ExchangeBindOptions::default(), FieldTable::default());
    let bound = channel.exchange_bind(
        "lienthong.events".into(),
        own_exchange.into(),
        "".into(),
        options,
        arguments,
    );
    bound.await.unwrap();
    let mut forged = said_by(MINE, 1);
    forged.source = format!("/{}/driving-licence", MINE.store_id);
    let key = format!("driving-licence.-.-.{}", forged.kind);
    let properties = said_through(MINE.account, &forged);
    let body = serde_json::to_vec(&forged.data).unwrap();
    publish_body(&channel, own_exchange, &key, properties, &body)
        .await
        .unwrap();

    // by the one that hosts the adapter, and by one that knows it from the province
    for receiver in [&theirs, &centre] {
        let brought = bring(&**receiver, 1).await.remove(0);
        let unfit = brought.event.unwrap_err();
        assert_eq!(unfit.fault.code, "adapter-mismatch", "{unfit:?}");
        assert_eq!(unfit.fault.found.as_deref(), Some(MINE.account));
        assert_eq!(
            receiver.reread(&unfit.raw),
            Err(unfit),
            "looked at again, it is no better"
        );
        receiver.acknowledge(vec![brought.receipt]).await.unwrap();
    }
    private
        .0
        .tell("1 event handed on under another adapter's key came through and was refused by 2 receivers");
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
    private.0.ctl(&["clear_password", MINE.account]).await;
    for password in ["", MINE.account] {
        let url = format!(
            "amqp://{}:{password}@127.0.0.1:{}/lienthong",
            MINE.account,
            private.0.port()
        );
        assert!(connect(&url).await.is_err());
    }
}
