//! What befalls a whole RabbitMQ, or everything that a node has there. Each test says how often its fault bit, and is void
//! where it did not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Consumer};
use lienthong::broker::{self, Address, BrokerError};
use lienthong::event::Event;
use lienthong::stage::subscribe::Subscribe;
use serde_json::json;

use crate::broker::{bring, event, shared_over, version};
use crate::support::rabbit::{Places, Private, QUEUE, ids, rabbit, say, subscriber, take};
use crate::support::wire::{Fate, Wire};
use crate::support::{MANIFEST, Province, Target, cli, code, post, row, until};

on_both_stores! {
    daemon_repairs_what_it_has_on_the_broker_and_says_again_what_was_not_confirmed
    daemon_that_was_cut_off_again_and_again_holds_no_more_than_before_and_has_lost_nothing
}

/// Where the store's queue sends what it brought too often.
const DEAD: &str = "lienthong.dead.store";

fn events(numbers: std::ops::RangeInclusive<u32>) -> Vec<Event> {
    numbers.map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_confirmed_events_survive_sigkill_and_orderly_restart_and_both_in_a_row() {
    let private = Private::start().await;
    let broker = rabbit(&private.0.url());
    say(&*broker, events(1..=40)).await;
    let held = bring(&*broker, 5).await;
    private.kill().await;
    drop(held);
    let away = broker.publish(vec![event(41)]).await;
    assert!(matches!(away, Err(BrokerError::Away { .. })), "{away:?}");
    // A queue without a leader, which it has for a moment after a start, says that it has nothing.
    let all_there = async |when: &str| {
        let there = async || (private.0.messages(QUEUE).await == 40).then_some(());
        until(&format!("all forty are there {when}"), there).await;
    };
    private.restart().await;
    all_there("after SIGKILL").await;
    private.restart().await;
    all_there("after an orderly restart").await;
    private.kill().await;
    private.restart().await;
    private.restart().await;
    all_there("after both in a row").await;
    // and what is said while it comes back is there as well
    private.kill().await;
    let ((), failures) = tokio::join!(private.restart(), say(&*broker, events(41..=60)));
    assert!(failures > 0, "void: published while nothing was there");
    let again = take(&*broker, ids(&events(1..=60))).await;
    private.0.tell(&format!(
        "3 deaths and 2 orderly restarts, {failures} publishes failed, {again} events came again"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_is_new_outlives_a_broker_that_dies_right_after_the_first_confirm() {
    let private = Private::start().await;
    let broker = rabbit(&private.0.url());
    say(&*broker, events(1..=3)).await;
    private.kill().await;
    private.restart().await;
    take(&*broker, ids(&events(1..=3))).await;
    private.0.tell("1 death");
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_takes_nothing_is_told_with_where_to_look() {
    let places = Places::shared().await;
    let broker = rabbit(&places.url());
    say(&*broker, vec![event(1)]).await;
    let member = format!("{{'{}_{QUEUE}', node()}}", places.vhost);
    places
        .ctl(&["eval", &format!("ra:stop_server(quorum_queues, {member}).")])
        .await;
    let refused = broker.publish(vec![event(2)]).await.unwrap_err();
    let text = refused.to_string();
    let look = format!("rabbitmq-queues quorum_status --vhost {} {QUEUE}", places.vhost);
    assert!(text.contains(&look), "{text}");
    places
        .ctl(&["eval", &format!("ra:restart_server(quorum_queues, {member}).")])
        .await;
    say(&*broker, vec![event(2)]).await;
    take(&*broker, ids(&events(1..=2))).await;
    places.tell("1 queue without its only member");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_events_that_lead_nowhere_are_none_of_them_published_and_all_go_out_after_the_repair() {
    let places = Places::shared().await;
    let mut elsewhere = subscriber();
    elsewhere.keys = vec!["another.#".to_owned()];
    let broker = broker::open(&Address::from(places.url().as_str()), elsewhere).unwrap();
    let all = events(1..=500);
    for part in all.chunks(250) {
        let refused = broker.publish(part.to_vec()).await;
        let Err(BrokerError::Unroutable { exchange, key }) = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(exchange, "lienthong.events");
        assert!(key.starts_with("one-stop.-.-.vn.lienthong.dossier."), "{key}");
    }
    assert_eq!(places.messages(QUEUE).await, 0);
    let path = format!("vhosts/{}", places.vhost);
    let returned = until("the broker counts what it sent back", async || {
        let vhost = places.ask(reqwest::Method::GET, &path, &json!({})).await;
        let returned = vhost["message_stats"]["return_unroutable"].as_u64()?;
        (returned >= 500).then_some(returned)
    })
    .await;
    let repaired = rabbit(&places.url());
    say(&*repaired, all.clone()).await;
    take(&*repaired, ids(&all)).await;
    places.tell(&format!("{returned} returns"));
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_leads_nowhere_is_told_apart_from_its_neighbours() {
    let places = Places::shared().await;
    let mut part = subscriber();
    part.keys = vec!["one-stop.#".to_owned()];
    let broker = broker::open(&Address::from(places.url().as_str()), part).unwrap();
    let mut stranger = event(2);
    stranger.source = "/store/another".to_owned();
    let confirmed = broker.publish(vec![event(1), stranger, event(3)]).await;
    assert_eq!(confirmed.unwrap(), [true, false, true]);
    places.tell("1 event of 3 came back unroutable");
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_somebody_removed_is_there_again_and_what_was_not_confirmed_goes_out() {
    let places = Places::shared().await;
    let broker = rabbit(&places.url());
    say(&*broker, vec![event(1)]).await;
    take(&*broker, ids(&[event(1)])).await;
    let mut removed = 0;
    for queue in [QUEUE, DEAD] {
        places.remove_queue(queue).await;
        removed += 1;
    }
    let refused = broker.publish(vec![event(2)]).await;
    assert!(
        matches!(refused, Err(BrokerError::Unroutable { .. })),
        "{refused:?}"
    );
    let again = say(&*broker, vec![event(2)]).await;
    assert_eq!(broker.trouble(), None);
    take(&*broker, ids(&[event(2)])).await;
    places.tell(&format!(
        "{removed} queues removed, 1 event came back unroutable, {again} times more before it was confirmed"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn line_that_swallows_everything_is_noticed_by_its_silence_on_both_sides() {
    let places = Places::shared().await;
    let wire = Wire::to(places.port()).await;
    let broker = rabbit(&format!("{}?heartbeat=2", places.behind(&wire)));
    say(&*broker, vec![event(1)]).await;
    take(&*broker, ids(&[event(1)])).await;
    wire.set(Fate::Swallow);
    let silent = until("the silence is noticed", async || broker.receive(1).await.err()).await;
    assert!(silent.to_string().contains("heartbeat"), "{silent}");
    let lost = broker.publish(vec![event(2)]).await;
    assert!(matches!(lost, Err(BrokerError::Away { .. })), "{lost:?}");
    // now it is up and says nothing, which no heartbeat guards
    let mute = broker.publish(vec![event(2)]).await.unwrap_err().to_string();
    assert!(mute.contains("no answer within 10 s"), "{mute}");
    let bitten = wire.bitten();
    assert!(bitten > 0, "void");
    wire.set(Fate::Clear);
    say(&*broker, vec![event(2)]).await;
    take(&*broker, ids(&[event(2)])).await;
    places.tell(&format!("{bitten} pieces swallowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_held_longer_than_the_broker_waits_come_again_and_the_consumer_is_back() {
    let private = Private::start().await;
    // Half an hour, looked at every minute, unless something else is said before a channel is opened.
    for (setting, milliseconds) in [("consumer_timeout", 1000), ("channel_tick_interval", 200)] {
        private
            .0
            .ctl(&[
                "eval",
                &format!("application:set_env(rabbit, {setting}, {milliseconds})."),
            ])
            .await;
    }
    let broker = rabbit(&private.0.url());
    say(&*broker, events(1..=5)).await;
    let held = bring(&*broker, 5).await;
    let end = until("the broker waits no longer", async || {
        broker.receive(1).await.err()
    })
    .await;
    assert!(end.to_string().contains("PRECONDITION_FAILED"), "{end}");
    // Receipts of a channel that is gone are worth nothing.
    let receipts = held.into_iter().map(|one| one.receipt).collect();
    broker.acknowledge(receipts).await.unwrap();
    let again = take(&*broker, ids(&events(1..=5))).await;
    assert_eq!(again, 0, "each came to the new consumer once");
    say(&*broker, vec![event(6)]).await;
    take(&*broker, ids(&[event(6)])).await;
    assert_eq!(broker.trouble(), None);
    private
        .0
        .tell(&format!("1 consumer ended with 5 events in hand: {end}"));
}

/// A consumer on the connection that also publishes, as a node must not have it.
async fn shared_connection(places: &Places, queue: &str) -> (lapin::Channel, Consumer, lapin::Channel) {
    let connection = places.stranger().await;
    let consuming = connection.create_channel().await.unwrap();
    let one = BasicQosOptions::default();
    consuming.basic_qos(1, one).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consumer = consuming.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    let consumer = consumer.await.unwrap();
    let publishing = connection.create_channel().await.unwrap();
    let confirms = ConfirmSelectOptions::default();
    publishing.confirm_select(confirms).await.unwrap();
    (consuming, consumer, publishing)
}

/// `alarm` puts the broker out of action for publishers, `calm` back.
async fn blocked(alarm: &[&str], calm: &[&str]) {
    let private = Private::start().await;
    let broker = rabbit(&private.0.url());
    say(&*broker, events(1..=40)).await;
    // The control: a queue of its own with twenty messages, read on the connection that publishes.
    let stranger = private.0.stranger().await;
    let channel = stranger.create_channel().await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare("control".into(), durable, FieldTable::default());
    queue.await.unwrap();
    let publish = |channel: &lapin::Channel| {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let channel = channel.clone();
        async move {
            channel
                .basic_publish("".into(), "control".into(), options, b"?", properties)
                .await
        }
    };
    for _ in 0..20 {
        publish(&channel).await.unwrap().await.unwrap();
    }
    let (consuming, mut control, publishing) = shared_connection(&private.0, "control").await;
    let first = control.next().await.unwrap().unwrap();
    let held = bring(&*broker, 1).await;

    private.0.ctl(alarm).await;
    let refused = broker.publish(vec![event(41)]).await;
    assert!(matches!(refused, Err(BrokerError::Blocked { .. })), "{refused:?}");
    let trouble = broker.trouble().unwrap();
    assert!(trouble.contains("broker blocked"), "{trouble}");
    let unclear = publish(&publishing).await.unwrap();
    let ack = consuming.basic_ack(first.delivery_tag, BasicAckOptions::default());
    let _not_heard = tokio::time::timeout(Duration::from_secs(1), ack).await;
    // Ours brings and is heard, to the last event;
    let receipts = held.into_iter().map(|one| one.receipt).collect();
    broker.acknowledge(receipts).await.unwrap();
    take(&*broker, ids(&events(2..=40))).await;
    until("the acknowledgements are heard", async || {
        (private.0.messages(QUEUE).await == 0).then_some(())
    })
    .await;
    // meanwhile the control has not got its second.
    assert!(control.next().now_or_never().is_none(), "void: nothing stalls");
    private.0.ctl(calm).await;
    unclear.await.unwrap();
    let second = control.next().await.unwrap().unwrap();
    assert_ne!(second.delivery_tag, first.delivery_tag, "the control goes on now");
    say(&*broker, vec![event(41)]).await;
    assert_eq!(broker.trouble(), None);
    take(&*broker, ids(&[event(41)])).await;
    let alarm = alarm[0];
    private.0.tell(&format!(
        "1 alarm ({alarm}): the shared connection stood still, ours brought 40"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_without_memory_takes_nothing_and_still_brings_where_one_shared_connection_stalls() {
    blocked(
        &["set_vm_memory_high_watermark", "0.000001"],
        &["set_vm_memory_high_watermark", "absolute", "1GB"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_without_disk_takes_nothing_and_still_brings_where_one_shared_connection_stalls() {
    blocked(
        &["set_disk_free_limit", "1000000000000000"],
        &["set_disk_free_limit", "50MB"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_events_that_were_cut_off_thirty_times_are_merged_and_no_dead_letters() {
    const EVENTS: u32 = 20;
    let places = Places::shared().await;
    say(&*rabbit(&places.url()), events(1..=EVENTS)).await;
    let mut cuts = 0;
    while cuts < 30 {
        let broker = rabbit(&places.url());
        let brought = broker.receive(EVENTS as usize).await.unwrap();
        assert!(brought.iter().all(|one| one.event.is_ok()));
        cuts += 1;
        broker.close().await;
    }
    until("all of them are set aside", async || {
        (places.messages(DEAD).await == EVENTS).then_some(())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let shared = shared_over(&folder, rabbit(&places.url())).await;
    let subscribe = Subscribe::new(Arc::clone(&shared));
    until("all of them are merged", async || {
        subscribe.step().await.unwrap();
        (version(&*shared.store, EVENTS).await > 0 && version(&*shared.store, 1).await > 0).then_some(())
    })
    .await;
    for n in 1..=EVENTS {
        assert_eq!(version(&*shared.store, n).await, 1, "{}", code(n));
    }
    let letters = shared.store.dead_letters(9).await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
    until("the broker has heard of it", async || {
        subscribe.step().await.unwrap();
        (places.messages(DEAD).await == 0).then_some(())
    })
    .await;
    places.tell(&format!("{cuts} cuts, {EVENTS} events set aside, 0 dead letters"));
}

async fn daemon_repairs_what_it_has_on_the_broker_and_says_again_what_was_not_confirmed() {
    const DOSSIERS: u32 = 30;
    let private = Private::start().await;
    let target = Target::start().await;
    let province = Province::new(&[("register", Some(MANIFEST), &target.url)]);
    province.reconfigure(
        "[http]",
        &format!("[broker]\nurl = \"{}\"\n[http]", private.0.url()),
    );
    let mut daemon = province.start().await;
    let status = async || cli(&province.socket(), &["status"]).await;
    let (mut removed, mut kept) = (0, 0);
    for n in 1..=DOSSIERS {
        match n {
            5 => {
                // the node's own queues, while it runs; it takes webhooks before it has set them up
                let queues = until("both queues are there", async || {
                    let queues = private.0.queues().await;
                    (queues.len() == 2).then_some(queues)
                })
                .await;
                for queue in queues {
                    private.0.remove_queue(&queue).await;
                    removed += 1;
                }
            }
            15 => {
                // everything: queues, exchanges, the virtual host. What was confirmed and not brought is for a resync.
                until("all that was said has been brought", async || {
                    (target.counts().len() == 14).then_some(())
                })
                .await;
                daemon.rest().await;
                private.wipe().await;
            }
            20 => {
                until("what cannot be said is kept", async || {
                    let status = status().await;
                    kept = status["counts"]["outbox"].as_i64()?;
                    (kept > 0 && status["broker_trouble"].is_string()).then_some(())
                })
                .await;
                private.0.make_vhost().await;
            }
            _ => {}
        }
        let (status, _) = post(&daemon.hook, &row(n)).await;
        assert_eq!(status, 200, "the broker's absence is no concern of a webhook");
    }
    until("every dossier is there", async || {
        assert!(daemon.is_running(), "it ended: {}", daemon.log());
        (target.counts().len() == DOSSIERS as usize).then_some(())
    })
    .await;
    let end = daemon.rest().await;
    assert_eq!(end.broker_trouble, None);
    assert!(
        target.counts().values().all(|count| *count == 1),
        "{:?}",
        target.counts()
    );
    assert!(
        removed >= 2 && kept > 0,
        "void: {removed} queues removed, {kept} events kept"
    );
    daemon
        .tell(&format!(
            "{removed} queues removed, 1 wipe with {kept} events waiting"
        ))
        .await;
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
}

/// Of what was confirmed and lost with the disk before it was brought no node knows any more: only a resync will bring it
/// back. That it does not come is what is promised now, no more and no less.
#[tokio::test(flavor = "multi_thread")]
async fn broker_that_loses_its_disk_costs_what_it_had_confirmed_and_not_brought_and_nothing_else() {
    let private = Private::start().await;
    let wire = Wire::to(private.0.port()).await;
    let target = Target::start().await;
    let province = Province::new(&[("register", Some(MANIFEST), &target.url)]);
    province.reconfigure(
        "[http]",
        &format!("[broker]\nurl = \"{}\"\n[http]", private.0.behind(&wire)),
    );
    let mut daemon = province.start().await;
    let tell = async |numbers: std::ops::RangeInclusive<u32>| {
        for n in numbers {
            assert_eq!(post(&daemon.hook, &row(n)).await.0, 200);
        }
    };
    let outbox = async || {
        let status = cli(&province.socket(), &["status"]).await;
        status["counts"]["outbox"].as_i64().unwrap()
    };
    tell(1..=4).await;
    until("the first are there", async || {
        (target.counts().len() == 4).then_some(())
    })
    .await;
    daemon.rest().await;
    let queues = private.0.queues().await;

    wire.set(Fate::Withhold);
    tell(5..=8).await;
    until("they are confirmed", async || (outbox().await == 0).then_some(())).await;
    let withheld = wire.bitten();
    assert!(withheld > 0, "void: they were brought");
    wire.set(Fate::Hold);
    tell(9..=12).await;
    let kept = outbox().await;
    assert!(kept >= 4, "void: {kept} events wait for their confirm");
    tokio::join!(private.wipe(), tell(13..=14));
    // What was on the way died with the broker.
    wire.cut();
    wire.set(Fate::Clear);
    tell(15..=16).await;
    until("the loss is noticed", async || {
        let status = cli(&province.socket(), &["status"]).await;
        status["broker_trouble"].is_string().then_some(())
    })
    .await;
    private.0.make_vhost().await;

    let there: BTreeMap<String, usize> = (1..=4).chain(9..=16).map(|n| (code(n), 1)).collect();
    until("all that was not confirmed is there", async || {
        assert!(daemon.is_running(), "it ended: {}", daemon.log());
        (target.counts().len() >= there.len()).then_some(())
    })
    .await;
    let end = daemon.rest().await;
    assert_eq!(end.broker_trouble, None);
    assert_eq!(target.counts(), there);
    assert_eq!(private.0.queues().await, queues, "the queues are there again");
    assert_eq!(post(&daemon.hook, &row(17)).await.0, 200);
    until("what is new arrives", async || {
        target.counts().get(&code(17)).copied()
    })
    .await;
    daemon.rest().await;
    assert!(target.counts().values().all(|count| *count == 1));
    daemon
        .tell(&format!(
            "1 disk lost with {kept} events to be confirmed, which arrived, and 4 confirmed and not brought ({withheld} \
             pieces withheld), which did not"
        ))
        .await;
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
}

async fn daemon_that_was_cut_off_again_and_again_holds_no_more_than_before_and_has_lost_nothing() {
    const CUTS: u32 = 25;
    let places = Places::shared().await;
    let wire = Wire::to(places.port()).await;
    let target = Target::start().await;
    let province = Province::new(&[("register", Some(MANIFEST), &target.url)]);
    province.reconfigure(
        "[http]",
        &format!("[broker]\nurl = \"{}\"\n[http]", places.behind(&wire)),
    );
    let daemon = province.start().await;
    let mut before = None;
    for n in 1..=CUTS {
        let (status, _) = post(&daemon.hook, &row(n)).await;
        assert_eq!(status, 200);
        until("both connections work", async || {
            (target.counts().len() == n as usize).then_some(())
        })
        .await;
        if n == 10 {
            daemon.rest().await;
            before = Some(daemon.holdings());
        }
        wire.cut();
    }
    let status = daemon.rest().await;
    assert!(wire.made() > u64::from(CUTS), "void: {} connections", wire.made());
    assert!(
        target.counts().values().all(|count| *count == 1),
        "{:?}",
        target.counts()
    );
    let letters = cli(&province.socket(), &["dead-letter", "list"]).await;
    assert_eq!(letters, json!([]));
    let (before, after) = (before.unwrap(), daemon.holdings());
    // Threads that block come and go; ten cuts leave nothing behind, nor do fifteen more.
    let is_more = after.0 > before.0 + 8 || after.1 > before.1 + 8;
    assert!(
        !is_more,
        "files and threads: {before:?} after ten cuts, {after:?} after all"
    );
    daemon
        .tell(&format!(
            "{} cuts, {} connections, {} dossiers; files and threads {before:?}, then {after:?}",
            wire.bitten(),
            wire.made(),
            status.counts.dossiers
        ))
        .await;
}
