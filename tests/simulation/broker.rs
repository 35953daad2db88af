//! A broker that keeps its promises and no more: an event may come late, twice and in another order, its confirm may be
//! lost, and an acknowledgement too. What it has confirmed it brings until it hears that it arrived.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use lienthong::broker::{Broker, BrokerError, Receipt, Received};
use lienthong::event::Event;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::gates::{Gap, Gates};
use crate::honesty::SharedHonesty;
use crate::oracle::mishap::Roll;
use crate::target::locked;

/// Of a hundred events, how many meet each mishap while faults are on.
const LOST: u8 = 5;
const CONFIRM_LOST: u8 = 10;
const ACKNOWLEDGEMENT_LOST: u8 = 10;
/// Of a hundred exchanges, how many find the broker away.
const AWAY: u8 = 5;

/// The exchange and one queue for each node, as they are on the broker's disks.
pub(crate) struct Exchange {
    queues: Vec<Queue>,
    roll: Roll,
    faults: bool,
    honesty: SharedHonesty,
    published: u64,
    /// How often an event was brought again.
    redelivered: u64,
    /// How often a confirm did not come.
    unconfirmed: u64,
}

#[derive(Default)]
struct Queue {
    ready: Vec<(Event, bool)>,
    brought: Vec<(Event, oneshot::Receiver<()>)>,
}

impl Exchange {
    /// For so many nodes.
    pub(crate) fn new(nodes: usize, honesty: &SharedHonesty, roll: Roll) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            queues: (0..nodes).map(|_| Queue::default()).collect(),
            roll,
            faults: true,
            honesty: Arc::clone(honesty),
            published: 0,
            redelivered: 0,
            unconfirmed: 0,
        }))
    }

    /// From now on everything arrives, once and in order.
    pub(crate) fn calm(&mut self) {
        self.faults = false;
    }

    /// How many events were published, repetitions included.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered
    }

    pub(crate) fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// Whether nothing is on the way.
    pub(crate) fn is_empty(&mut self) -> bool {
        for node in 0..self.queues.len() {
            self.collect(node);
        }
        self.queues
            .iter()
            .all(|queue| queue.ready.is_empty() && queue.brought.is_empty())
    }

    /// Whether something waits for a node.
    pub(crate) fn has(&mut self, node: usize) -> bool {
        self.collect(node);
        !self.queues[node].ready.is_empty()
    }

    fn happens(&mut self, percent: u8) -> bool {
        self.faults && self.roll.of_hundred() < percent
    }

    /// Finds out what became of the events that were brought to a node.
    fn collect(&mut self, node: usize) {
        for (event, mut ear) in std::mem::take(&mut self.queues[node].brought) {
            let heard = ear.try_recv();
            if heard.is_ok() {
                locked(&self.honesty).acknowledged(node, &event.id);
            }
            match heard {
                Ok(()) if !self.happens(ACKNOWLEDGEMENT_LOST) => {}
                Err(TryRecvError::Empty) => self.queues[node].brought.push((event, ear)),
                Ok(()) | Err(TryRecvError::Closed) => self.queues[node].ready.push((event, true)),
            }
        }
    }

    fn take(&mut self, node: usize, limit: usize) -> Vec<Received> {
        self.collect(node);
        let ready = self.queues[node].ready.len().min(limit);
        let count = if self.faults && ready > 0 {
            usize::try_from(self.roll.between(1, ready as u64)).unwrap()
        } else {
            ready
        };
        let mut received = Vec::with_capacity(count);
        for _ in 0..count {
            let last = self.queues[node].ready.len() as u64 - 1;
            let place = if self.faults {
                usize::try_from(self.roll.between(0, last)).unwrap()
            } else {
                0
            };
            let (event, again) = self.queues[node].ready.remove(place);
            self.redelivered += u64::from(again);
            let (receipt, ear) = Receipt::new();
            self.queues[node].brought.push((event.clone(), ear));
            received.push(Received {
                suspect: false,
                event: Ok(event),
                receipt,
            });
        }
        received
    }
}

/// A node's connection to the broker.
pub(crate) struct Port {
    exchange: Arc<Mutex<Exchange>>,
    node: usize,
    gates: Arc<Gates>,
}

impl Port {
    pub(crate) fn new(exchange: &Arc<Mutex<Exchange>>, node: usize, gates: &Arc<Gates>) -> Self {
        Self {
            exchange: Arc::clone(exchange),
            node,
            gates: Arc::clone(gates),
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        locked(&self.exchange)
    }
}

#[async_trait]
impl Broker for Port {
    fn version(&self) -> &'static str {
        "simulated"
    }

    async fn publish(&self, events: Vec<Event>) -> Result<Vec<bool>, BrokerError> {
        self.gates.pass(Gap::Publish).await;
        let confirms = {
            let mut exchange = self.exchange();
            if exchange.happens(AWAY) {
                return Err(BrokerError::Closed);
            }
            let mut confirms = Vec::with_capacity(events.len());
            for event in events {
                let lost = exchange.happens(LOST);
                let confirmed = !lost && !exchange.happens(CONFIRM_LOST);
                if confirmed {
                    locked(&exchange.honesty).confirmed(&event.id);
                }
                if !lost {
                    for queue in &mut exchange.queues {
                        queue.ready.push((event.clone(), false));
                    }
                }
                exchange.unconfirmed += u64::from(!confirmed);
                exchange.published += 1;
                confirms.push(confirmed);
            }
            confirms
        };
        self.gates.note_change();
        self.gates.pass(Gap::Published).await;
        Ok(confirms)
    }

    async fn receive(&self, limit: usize) -> Result<Vec<Received>, BrokerError> {
        let received = {
            let mut exchange = self.exchange();
            if exchange.happens(AWAY) {
                return Err(BrokerError::Closed);
            }
            exchange.take(self.node, limit)
        };
        if !received.is_empty() {
            self.gates.pass(Gap::Received).await;
        }
        Ok(received)
    }

    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<(), BrokerError> {
        self.gates.pass(Gap::Acknowledge).await;
        receipts.into_iter().for_each(Receipt::acknowledge);
        self.gates.note_change();
        self.gates.pass(Gap::Acknowledged).await;
        Ok(())
    }
}
