//! What befalls a RabbitMQ and the way there, and that nothing is lost by it. Each test counts how often its fault bit.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::FieldTable;
use lienthong::broker::{self, Address, BrokerError};
use lienthong::event::Event;

use crate::broker::{bring, event};
use crate::support::rabbit::{Places, Private, STORE, ids, rabbit, say, subscriber, take};
use crate::support::wire::{Fate, Wire};
use crate::support::{MANIFEST, Province, Target, cli, post, row, until};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_connections_are_cut_in_the_middle() {
    let places = Places::shared().await;
    let wire = Wire::to(places.port()).await;
    let broker = rabbit(&places.behind(&wire));
    let direct = rabbit(&places.url());
    wire.set(Fate::Cut);
    let events: Vec<Event> = (1..=400).map(event).collect();
    let (failures, again) = tokio::join!(
        async {
            let mut failures = 0;
            for part in events.chunks(40) {
                failures += say(&*broker, part.to_vec()).await;
            }
            failures
        },
        take(&*direct, ids(&events))
    );
    assert!(
        wire.bitten() > 0 && failures > 0,
        "void: {} cuts, {failures} failures",
        wire.bitten()
    );
    places.tell(&format!(
        "{} cuts, {failures} not confirmed, {again} came again",
        wire.bitten()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn confirm_that_does_not_come_ends_the_wait_and_the_event_is_said_again() {
    let places = Places::shared().await;
    let wire = Wire::to(places.port()).await;
    let broker = rabbit(&places.behind(&wire));
    assert_eq!(broker.publish(vec![event(1)]).await.unwrap(), [true]);
    wire.set(Fate::Hold);
    let unclear = broker.publish(vec![event(2)]).await;
    assert!(matches!(unclear, Err(BrokerError::Away { .. })), "{unclear:?}");
    wire.set(Fate::Clear);
    say(&*broker, vec![event(2)]).await;
    assert!(wire.bitten() > 0, "void");
    places.tell(&format!("{} pieces held back", wire.bitten()));
    let direct = rabbit(&places.url());
    take(&*direct, ids(&[event(1), event(2)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_is_back_after_an_operator_closed_every_connection() {
    let places = Places::shared().await;
    let broker = rabbit(&places.url());
    say(&*broker, vec![event(1)]).await;
    let held = bring(&*broker, 1).await;
    places
        .ctl(&["close_all_connections", "--vhost", "VHOST", "a test"])
        .await;
    let end = until("the end is noticed", async || broker.receive(1).await.err()).await;
    places.tell(&format!("every connection closed once: {end}"));
    // receipts of a connection that is gone are worth nothing
    broker
        .acknowledge(held.into_iter().map(|one| one.receipt).collect())
        .await
        .unwrap();
    say(&*broker, vec![event(2)]).await;
    take(&*broker, ids(&[event(1), event(2)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_that_are_no_longer_asked_for_are_taken_away() {
    let places = Places::shared().await;
    let mut wide = subscriber();
    wide.keys.push("*.*.2-000488.#".to_owned());
    let address = Address::from(places.url().as_str());
    let before = broker::open(&address, wide.clone()).unwrap();
    say(&*before, vec![event(1)]).await;
    assert_eq!(places.bindings().await, ["*.*.2-000488.#", "*.-.#", "one-stop.#"]);
    let mut narrow = subscriber();
    narrow.former = wide.keys;
    let after = broker::open(&address, narrow).unwrap();
    say(&*after, vec![event(2)]).await;
    assert_eq!(places.bindings().await, ["*.-.#", "one-stop.#"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_is_no_event_of_its_account_is_brought_as_unfit() {
    let places = Places::shared().await;
    let broker = rabbit(&places.url());
    say(&*broker, vec![event(1)]).await;
    take(&*broker, ids(&[event(1)])).await;
    let stranger = places.stranger().await;
    let channel = stranger.create_channel().await.unwrap();
    let headers = |source: &str| {
        let event = serde_json::to_value(event(2)).unwrap();
        let mut headers = FieldTable::default();
        for name in [
            "specversion",
            "id",
            "type",
            "subject",
            "time",
            "dataschema",
            "hlc",
        ] {
            let value = event[name].as_str().unwrap();
            headers.insert(
                format!("cloudEvents_{name}").into(),
                lapin::types::AMQPValue::LongString(value.into()),
            );
        }
        headers.insert(
            "cloudEvents_source".into(),
            lapin::types::AMQPValue::LongString(source.into()),
        );
        headers
    };
    let body = serde_json::to_vec(&event(2).data).unwrap();
    let (user, _) = places.account();
    let json = || BasicProperties::default().with_content_type("application/json".into());
    let sent = [
        (
            json().with_headers(headers("/store/one-stop")),
            body.clone(),
            "account-missing",
        ),
        (
            json()
                .with_headers(headers("/other/one-stop"))
                .with_user_id(user.as_str().into()),
            body.clone(),
            "account-mismatch",
        ),
        (
            json().with_user_id(user.as_str().into()),
            b"{".to_vec(),
            "event-malformed",
        ),
        (BasicProperties::default(), Vec::new(), "event-malformed"),
    ];
    for (properties, body, code) in sent {
        let options = BasicPublishOptions::default();
        let exchange = "lienthong.events";
        channel
            .basic_publish(exchange.into(), "one-stop.x".into(), options, &body, properties)
            .await
            .unwrap();
        let brought = bring(&*broker, 1).await.remove(0);
        let unfit = brought.event.unwrap_err();
        assert_eq!(unfit.fault.code, code);
        assert_eq!(
            broker.reread(&unfit.raw),
            Err(unfit),
            "looked at again, it is no better"
        );
        broker.acknowledge(vec![brought.receipt]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_with_a_private_ca_is_trusted_by_its_certificate_and_no_other() {
    let places = Places::shared().await;
    let open = |ca: Option<&str>| {
        let mut address = Address::from(places.tls().as_str());
        address.ca = ca.map(|name| format!("{}/tls/{name}", places.folder).into());
        broker::open(&address, subscriber()).unwrap()
    };
    say(&*open(Some("ca.pem")), vec![event(1)]).await;
    for ca in [Some("other-ca.pem"), None] {
        let refused = open(ca).publish(vec![event(2)]).await.unwrap_err().to_string();
        assert!(
            refused.contains("certificate") && refused.contains("broker.ca"),
            "{refused}"
        );
        let (_, password) = places.account();
        assert!(!refused.contains(&password), "{refused}");
    }
    let mut elsewhere = Address::from(places.tls().replace("@localhost", "@127.0.0.1").as_str());
    elsewhere.ca = Some(format!("{}/tls/ca.pem", places.folder).into());
    let refused = broker::open(&elsewhere, subscriber())
        .unwrap()
        .publish(vec![event(2)])
        .await;
    assert!(
        refused.unwrap_err().to_string().contains("certificate"),
        "its certificate is for localhost"
    );
    let mut missing = Address::from(places.tls().as_str());
    missing.ca = Some("/nowhere/ca.pem".into());
    let told = broker::open(&missing, subscriber()).err().unwrap().to_string();
    assert!(
        told.starts_with("open the broker: read broker.ca /nowhere/ca.pem: "),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_that_is_not_there_is_an_error_in_time_and_no_more() {
    let broker = rabbit("amqp://somebody:s3cret@127.0.0.1:1/x");
    let away = tokio::time::timeout(Duration::from_secs(20), broker.receive(1))
        .await
        .unwrap();
    let told = away.unwrap_err().to_string();
    assert!(
        told.starts_with("reach the broker at amqp://somebody@127.0.0.1:1/x: "),
        "{told}"
    );
    assert_eq!(STORE, subscriber().store_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dossier_arrives_once_whatever_is_killed_between_daemon_and_broker() {
    const DOSSIERS: u32 = 30;
    let private = Private::start().await;
    let target = Target::start().await;
    let province = Province::new(&[("register", Some(MANIFEST), &target.url)]);
    let broker = format!("[broker]\nurl = \"{}\"\n[http]", private.0.url());
    province.reconfigure("[http]", &broker);
    let mut daemon = province.start().await;
    for n in 1..=DOSSIERS {
        match n {
            // A broker that dies within half a second of a queue's making forgets its data (`SETTLING`). A node waits for that
            // to be over, but one that is killed meanwhile and starts again does not know how new its queue is.
            2 => {
                until("the first is there", async || {
                    (target.counts().len() == 1).then_some(())
                })
                .await;
            }
            8 | 20 => {
                daemon.kill();
                daemon = province.start().await;
            }
            14 => private.kill().await,
            17 => {
                let status = cli(&province.socket(), &["status"]).await;
                assert!(
                    status["counts"]["outbox"].as_i64() > Some(0),
                    "void: the broker is not away: {status}"
                );
            }
            25 => private.restart().await,
            _ => {}
        }
        let (status, _) = post(&daemon.hook, &row(n)).await;
        assert_eq!(status, 200, "the broker's absence is no concern of a webhook");
    }
    until("every dossier is there", async || {
        let counts = target.counts();
        (counts.len() == DOSSIERS as usize).then_some(())
    })
    .await;
    let status = daemon.rest().await;
    assert_eq!(status.counts.dossiers, i64::from(DOSSIERS));
    assert_eq!(status.broker_trouble, None);
    assert!(
        target.counts().values().all(|count| *count == 1),
        "{:?}",
        target.counts()
    );
    let (_, password) = private.0.account();
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
    assert!(!daemon.log().contains(&password), "the password is in the log");
    private
        .0
        .tell("2 deaths of the daemon, 1 of the broker and 1 start, each under load");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_a_dead_letter_and_comes_no_more() {
    let places = Places::shared().await;
    let province = Province::new(&[]);
    let broker = format!("[broker]\nurl = \"{}\"\n[http]", places.url());
    province.reconfigure("[http]", &broker);
    let daemon = province.start().await;
    let (status, _) = post(&daemon.hook, &row(1)).await;
    assert_eq!(status, 200);
    daemon.rest().await;
    let stranger = places.stranger().await;
    let channel = stranger.create_channel().await.unwrap();
    for _ in 0..2 {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        channel
            .basic_publish(
                "lienthong.events".into(),
                "one-stop.x".into(),
                options,
                b"?",
                properties,
            )
            .await
            .unwrap();
    }
    let id = until("it is listed", async || {
        let letters = cli(&province.socket(), &["dead-letter", "list"]).await;
        assert!(
            letters.as_array().unwrap().len() < 2,
            "the same message is one letter: {letters}"
        );
        let letter = letters.get(0)?;
        assert_eq!(letter["cause"]["code"], "event-malformed");
        Some(letter["id"].as_str().unwrap().to_owned())
    })
    .await;
    until("the queue is empty", async || {
        let queues = places
            .ctl(&["list_queues", "--vhost", "VHOST", "name", "messages"])
            .await;
        let held = queues
            .lines()
            .filter(|line| line.starts_with("lienthong.node"))
            .count();
        assert_eq!(held, 1, "{queues}");
        queues
            .lines()
            .any(|line| line.starts_with("lienthong.node") && line.ends_with("\t0"))
            .then_some(())
    })
    .await;
    // looked at again it is no better, and does not keep the node busy
    cli(
        &province.socket(),
        &["dead-letter", "retry", &id, "--by", "cán bộ trực"],
    )
    .await;
    until("it is refused again", async || {
        let letters = cli(&province.socket(), &["dead-letter", "list"]).await;
        letters.get(0).map(drop)
    })
    .await;
}
