//! Consuming: what the broker brings is handed out and remembered until it is answered for. A receipt that was dropped
//! makes its event come again from here, without the broker counting it as a failure; a connection that dies takes its
//! receipts along, and the broker brings what they stood for again.
//!
//! The broker counts a cut connection as a failure of every event that was on it, so what it sets aside is most often
//! sound. It is read too, one at a time, as a suspect.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::timeout;

use super::link::Dial;
use super::message::{Accounts, Message};
use super::topology;
use crate::broker::{BrokerError, Receipt, Received, Unfit};
use crate::event::Event;

/// Events that were brought and not answered for, at most: one batch of the stage. When a connection is cut, the broker
/// counts a failed delivery for each of them.
const PREFETCH: u16 = 256;

/// How long to wait for the first event.
const QUIET: Duration = Duration::from_millis(500);

/// A connection for consuming.
pub(super) struct Consuming {
    pub(super) connection: Connection,
    events: Lane,
    suspects: Lane,
}

/// A queue that is read, on a channel of its own: an acknowledgement of all up to one event is for this queue alone.
struct Lane {
    suspect: bool,
    channel: Channel,
    consumer: Consumer,
    /// What was brought and is not yet told to the broker, in the order in which it came.
    brought: VecDeque<Brought>,
}

struct Brought {
    tag: u64,
    event: Result<Event, Unfit>,
    ear: oneshot::Receiver<()>,
    answered: bool,
}

impl Consuming {
    pub(super) async fn open(dial: &Dial) -> Result<Self, BrokerError> {
        let connection = dial.open("consumes").await?;
        let store_id = &dial.subscriber.store_id;
        let events = Lane::open(dial, &connection, topology::queue(store_id), PREFETCH, false).await?;
        let suspects = Lane::open(dial, &connection, topology::dead(store_id), 1, true).await?;
        Ok(Self {
            connection,
            events,
            suspects,
        })
    }

    pub(super) async fn receive(
        &mut self,
        dial: &Dial,
        accounts: &Accounts,
        limit: usize,
    ) -> Result<Vec<Received>, BrokerError> {
        let alone = self.suspects.ready(dial, accounts, 1)?;
        if !alone.is_empty() {
            return Ok(alone);
        }
        let mut received = self.events.ready(dial, accounts, limit)?;
        if !received.is_empty() {
            return Ok(received);
        }
        let first = async {
            tokio::select! {
                biased;
                event = self.events.consumer.next() => (&mut self.events, event),
                event = self.suspects.consumer.next() => (&mut self.suspects, event),
            }
        };
        let Ok((lane, first)) = timeout(QUIET, first).await else {
            return Ok(received);
        };
        received.push(lane.take(dial, accounts, first)?);
        if !lane.suspect {
            received.extend(lane.ready(dial, accounts, limit - 1)?);
        }
        Ok(received)
    }

    /// Tells the broker what was answered for.
    pub(super) async fn acknowledge(&mut self, dial: &Dial) -> Result<(), BrokerError> {
        self.events.acknowledge(dial).await?;
        self.suspects.acknowledge(dial).await
    }
}

impl Lane {
    async fn open(
        dial: &Dial,
        connection: &Connection,
        queue: String,
        prefetch: u16,
        suspect: bool,
    ) -> Result<Self, BrokerError> {
        let channel = dial.within(connection.create_channel()).await?;
        dial.within(channel.basic_qos(prefetch, BasicQosOptions::default()))
            .await?;
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let what = format!("read the queue {queue}");
        let consumer = dial
            .permitted(consumer, &what, &format!("`read` on {queue}"))
            .await?;
        Ok(Self {
            suspect,
            channel,
            consumer,
            brought: VecDeque::new(),
        })
    }

    /// What needs no waiting: what was handed out and dropped, then what has come.
    fn ready(
        &mut self,
        dial: &Dial,
        accounts: &Accounts,
        limit: usize,
    ) -> Result<Vec<Received>, BrokerError> {
        let mut received = self.again(limit);
        while received.len() < limit
            && let Some(next) = self.consumer.next().now_or_never()
        {
            received.push(self.take(dial, accounts, next)?);
        }
        Ok(received)
    }

    fn again(&mut self, limit: usize) -> Vec<Received> {
        let suspect = self.suspect;
        let hand = |brought: &mut Brought| {
            if brought.answered || brought.ear.try_recv() != Err(TryRecvError::Closed) {
                return None;
            }
            let (receipt, ear) = Receipt::new();
            brought.ear = ear;
            Some(Received {
                event: brought.event.clone(),
                suspect,
                receipt,
            })
        };
        self.brought.iter_mut().filter_map(hand).take(limit).collect()
    }

    fn take(
        &mut self,
        dial: &Dial,
        accounts: &Accounts,
        delivery: Option<lapin::Result<Delivery>>,
    ) -> Result<Received, BrokerError> {
        // A stream ends without an error when the broker cancels the consumer: its queue was deleted.
        let delivery = delivery.ok_or_else(|| dial.away("it has ended the subscription"))?;
        let delivery = delivery.map_err(|error| dial.away(&error.to_string()))?;
        let key = delivery.routing_key.as_str();
        let home = self.suspect.then(|| topology::queue(&dial.subscriber.store_id));
        let event = Message::new(key, &delivery.properties, &delivery.data, home.as_deref()).event(accounts);
        let (receipt, ear) = Receipt::new();
        self.brought.push_back(Brought {
            tag: delivery.delivery_tag,
            event: event.clone(),
            ear,
            answered: false,
        });
        Ok(Received {
            event,
            suspect: self.suspect,
            receipt,
        })
    }

    /// All up to the first that was not answered for in one word, the others one by one.
    async fn acknowledge(&mut self, dial: &Dial) -> Result<(), BrokerError> {
        for brought in &mut self.brought {
            brought.answered = brought.answered || brought.ear.try_recv() == Ok(());
        }
        let mut all = None;
        while let Some(first) = self.brought.pop_front_if(|first| first.answered) {
            all = Some(first.tag);
        }
        let single = self.brought.iter().filter(|one| one.answered).map(|one| one.tag);
        let words: Vec<(u64, bool)> = all
            .map(|tag| (tag, true))
            .into_iter()
            .chain(single.map(|tag| (tag, false)))
            .collect();
        self.brought.retain(|one| !one.answered);
        for (tag, multiple) in words {
            dial.within(self.channel.basic_ack(tag, BasicAckOptions { multiple }))
                .await?;
        }
        Ok(())
    }
}
