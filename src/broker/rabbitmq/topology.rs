//! What the broker must have. Declared on every new connection, so that a broker that was wiped is one like any other.
//!
//! A store's queue has no length limit. What was brought [`DELIVERY_LIMIT`] times without an answer (its connection ended
//! each time) goes, at least once, to a queue of its own, which the node reads too. That one has no limit that could be
//! reached, and no place where anything could go from there.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use tokio::time::{Instant, sleep_until};

use super::link::Dial;
use crate::broker::BrokerError;

/// All events.
pub(super) const EVENTS: &str = "lienthong.events";

/// What nodes say to each other about themselves.
const CONTROL: &str = "lienthong.control";

/// How often a message comes again before it is set aside. Each cut connection counts, so it is no small number.
const DELIVERY_LIMIT: i64 = 20;

/// The same for what was set aside: never. From version 4.0 on a queue that says nothing drops what came twenty times.
const NO_LIMIT: i64 = i32::MAX as i64;

/// How long a new queue is left alone. RabbitMQ writes down twice a second where the data of its quorum queues are; one
/// that was killed before it did has a queue afterwards that has lost everything and takes nothing any more.
const SETTLING: Duration = Duration::from_millis(1500);

/// AMQP's code for what an account may not do.
pub(super) const ACCESS_REFUSED: u16 = 403;

/// AMQP's code for what is not there.
const NOT_FOUND: u16 = 404;

/// AMQP's code for a declaration that contradicts what is there.
const PRECONDITION_FAILED: u16 = 406;

/// The queue of a store.
pub(super) fn queue(store_id: &str) -> String {
    format!("lienthong.node.{store_id}")
}

/// Exchange and queue of what a store was brought too often.
pub(super) fn dead(store_id: &str) -> String {
    format!("lienthong.dead.{store_id}")
}

/// Declares everything, and takes away bindings that are no longer asked for.
///
/// # Errors
/// The broker is away, has something under one of these names that differs, or refuses the account a right to it.
pub(super) async fn declare(connection: &Connection, dial: &Dial) -> Result<(), BrokerError> {
    let (queue, dead) = (queue(&dial.subscriber.store_id), dead(&dial.subscriber.store_id));
    for (name, kind) in [
        (EVENTS, ExchangeKind::Topic),
        (CONTROL, ExchangeKind::Topic),
        (&dead, ExchangeKind::Fanout),
    ] {
        exchange(connection, dial, name, kind).await?;
    }
    let channel = dial.within(connection.create_channel()).await?;
    let quorum = || {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments
    };
    if !is_there(connection, dial, &queue).await? {
        dial.is_young_until(Instant::now() + SETTLING);
    }
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(NO_LIMIT));
    declare_queue(&channel, dial, &dead, arguments).await?;
    bind(&channel, dial, &dead, &dead, "").await?;
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments.insert("x-dead-letter-exchange".into(), text(&dead));
    // At least once needs both; otherwise a dead letter could be lost on its way.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    declare_queue(&channel, dial, &queue, arguments).await?;
    for key in &dial.subscriber.keys {
        bind(&channel, dial, &queue, EVENTS, key).await?;
    }
    // After the new ones: no event falls between two configurations.
    for key in &dial.subscriber.former {
        if !dial.subscriber.keys.contains(key) {
            let unbound = channel.queue_unbind(
                queue.as_str().into(),
                EVENTS.into(),
                key.as_str().into(),
                FieldTable::default(),
            );
            let what = format!(
                "end that the queue {queue} is brought what has the key {key:?} on the exchange {EVENTS}"
            );
            dial.permitted(unbound, &what, &right_to_bind(&queue, EVENTS, key))
                .await?;
        }
    }
    dial.within(channel.close(200, "done".into())).await?;
    sleep_until(dial.is_young()).await;
    Ok(())
}

/// Where to look when the broker takes no events.
pub(super) fn look(dial: &Dial) -> String {
    format!(
        "see whether each queue has a leader: `rabbitmq-queues quorum_status --vhost {} {}`, and so on; delete one that \
         never gets one, its node declares it again",
        dial.vhost(),
        queue(&dial.subscriber.store_id)
    )
}

/// Whether the broker has this queue. Asked on a channel of its own: the answer no ends it.
async fn is_there(connection: &Connection, dial: &Dial, queue: &str) -> Result<bool, BrokerError> {
    let channel = dial.within(connection.create_channel()).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = async {
        match channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == Some(NOT_FOUND) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let is_there = dial.within(asked).await?;
    if is_there {
        dial.within(channel.close(200, "asked".into())).await?;
    }
    Ok(is_there)
}

fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// Declares an exchange. Where only the operator may declare it, it is enough that it is there.
async fn exchange(
    connection: &Connection,
    dial: &Dial,
    name: &str,
    kind: ExchangeKind,
) -> Result<(), BrokerError> {
    let mut is_missing = false;
    let declared = async {
        let channel = connection.create_channel().await?;
        let declare = |channel: &Channel, passive| {
            let options = ExchangeDeclareOptions {
                durable: true,
                passive,
                ..ExchangeDeclareOptions::default()
            };
            let channel = channel.clone();
            let kind = kind.clone();
            async move {
                channel
                    .exchange_declare(name.into(), kind, options, FieldTable::default())
                    .await?;
                channel.close(200, "done".into()).await
            }
        };
        match declare(&channel, false).await {
            // The refusal has ended the channel.
            Err(error) if code(&error) == Some(ACCESS_REFUSED) => {
                let channel = connection.create_channel().await?;
                let declared = declare(&channel, true).await;
                is_missing = matches!(&declared, Err(error) if code(error) == Some(NOT_FOUND));
                declared
            }
            declared => declared,
        }
    };
    let repair = format!("remove the exchange {name} on the broker; the node declares it again");
    let what = format!("exchange {name}");
    let declared = told(dial, declared, &what, repair).await;
    if is_missing {
        let account = dial.account();
        return Err(match name {
            EVENTS | CONTROL => BrokerError::Drift {
                what,
                difference: format!("it is not there, and the account {account} may not declare it"),
                repair: "load deploy/rabbitmq/definitions.json, which declares it".to_owned(),
            },
            own => dial.forbidden(
                &format!("declare the {what}"),
                "it is not there",
                &format!("`configure` on {own}"),
            ),
        });
    }
    declared
}

async fn declare_queue(
    channel: &Channel,
    dial: &Dial,
    name: &str,
    arguments: FieldTable,
) -> Result<(), BrokerError> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, arguments);
    let repair = format!(
        "run `rabbitmqctl delete_queue --vhost {} {name}` once nothing is in it any more; the node declares it again",
        dial.vhost()
    );
    told(
        dial,
        async { declared.await.map(drop) },
        &format!("queue {name}"),
        repair,
    )
    .await
}

async fn bind(
    channel: &Channel,
    dial: &Dial,
    queue: &str,
    exchange: &str,
    key: &str,
) -> Result<(), BrokerError> {
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    let what = format!("have the queue {queue} brought what has the key {key:?} on the exchange {exchange}");
    dial.permitted(bound, &what, &right_to_bind(queue, exchange, key))
        .await
}

/// What an account needs to bind a queue, and to unbind it.
fn right_to_bind(queue: &str, exchange: &str, key: &str) -> String {
    format!("`write` on {queue} and `read` on {exchange}, there also by topic for the key {key:?}")
}

/// A declaration that contradicts what is there is told as drift, one that the account may not make as that.
async fn told(
    dial: &Dial,
    declared: impl Future<Output = lapin::Result<()>>,
    what: &str,
    repair: String,
) -> Result<(), BrokerError> {
    let mut difference = None;
    let declared = async {
        let declared = declared.await;
        if let Err(error) = &declared
            && let ErrorKind::ProtocolError(error) = error.kind()
            && error.get_id() == PRECONDITION_FAILED
        {
            difference = Some(error.get_message().to_string());
        }
        declared
    };
    let right = format!("`configure` on the {what}");
    let declared = dial
        .permitted(declared, &format!("declare the {what}"), &right)
        .await;
    match difference {
        Some(difference) => Err(BrokerError::Drift {
            what: what.to_owned(),
            difference,
            repair,
        }),
        None => declared,
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
