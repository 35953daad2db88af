//! Consuming: what the broker brings is handed out and remembered until it is answered for. A receipt that was dropped
//! makes its event come again from here, without the broker counting it as a failure; a connection that dies takes its
//! receipts along, and the broker brings what they stood for again.

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
    channel: Channel,
    events: Consumer,
    dead: Consumer,
    /// What was brought and is not yet told to the broker, by delivery tag.
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
        let channel = dial.within(connection.create_channel()).await?;
        dial.within(channel.basic_qos(PREFETCH, BasicQosOptions::default()))
            .await?;
        let store_id = &dial.subscriber.store_id;
        let consume = |queue: String| {
            let options = BasicConsumeOptions::default();
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default())
        };
        let events = dial.within(consume(topology::queue(store_id))).await?;
        let dead = dial.within(consume(topology::dead(store_id))).await?;
        Ok(Self {
            connection,
            channel,
            events,
            dead,
            brought: VecDeque::new(),
        })
    }

    pub(super) async fn receive(
        &mut self,
        dial: &Dial,
        accounts: &Accounts,
        limit: usize,
    ) -> Result<Vec<Received>, BrokerError> {
        let mut received = self.again(limit);
        if received.is_empty() {
            let Ok(first) = timeout(QUIET, self.next()).await else {
                return Ok(received);
            };
            received.push(self.take(dial, accounts, first)?);
        }
        while received.len() < limit
            && let Some(next) = self.next().now_or_never()
        {
            received.push(self.take(dial, accounts, next)?);
        }
        Ok(received)
    }

    /// What was handed out and dropped.
    fn again(&mut self, limit: usize) -> Vec<Received> {
        let mut received = Vec::new();
        for brought in &mut self.brought {
            if received.len() == limit {
                break;
            }
            if !brought.answered && brought.ear.try_recv() == Err(TryRecvError::Closed) {
                let (receipt, ear) = Receipt::new();
                brought.ear = ear;
                received.push(Received {
                    event: brought.event.clone(),
                    receipt,
                });
            }
        }
        received
    }

    async fn next(&mut self) -> (Option<lapin::Result<Delivery>>, bool) {
        tokio::select! {
            biased;
            event = self.events.next() => (event, false),
            dead = self.dead.next() => (dead, true),
        }
    }

    fn take(
        &mut self,
        dial: &Dial,
        accounts: &Accounts,
        (delivery, dead): (Option<lapin::Result<Delivery>>, bool),
    ) -> Result<Received, BrokerError> {
        // A stream ends without an error when the broker cancels the consumer: its queue was deleted.
        let delivery = delivery.ok_or_else(|| dial.away("it has ended the subscription"))?;
        let delivery = delivery.map_err(|error| dial.away(&error.to_string()))?;
        let event = Message::new(&delivery.properties, &delivery.data, dead).judge(accounts);
        let (receipt, ear) = Receipt::new();
        self.brought.push_back(Brought {
            tag: delivery.delivery_tag,
            event: event.clone(),
            ear,
            answered: false,
        });
        Ok(Received { event, receipt })
    }

    /// Tells the broker what was answered for: all up to the first that was not in one word, the others one by one.
    pub(super) async fn acknowledge(&mut self, dial: &Dial) -> Result<(), BrokerError> {
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
