//! The embedded broker: a bounded queue inside the process. The confirm of an event is its subscriber's commit, so
//! an event is in the outbox or in the journal at every moment, whatever dies.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::{Broker, BrokerError, Receipt, Received};
use crate::event::Event;

/// Events on the way between publisher and subscriber, at most.
const CAPACITY: usize = 1024;

/// Longest wait for a confirm; the subscriber's transaction takes milliseconds, and a lost one is published again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

/// How long `receive` waits for the first event.
const QUIET: Duration = Duration::from_millis(500);

/// The in-process broker.
#[derive(Debug)]
pub struct Loopback {
    publisher: mpsc::Sender<Received>,
    subscriber: Mutex<mpsc::Receiver<Received>>,
}

impl Loopback {
    /// An empty broker.
    #[must_use]
    pub fn new() -> Self {
        let (publisher, subscriber) = mpsc::channel(CAPACITY);
        Self {
            publisher,
            subscriber: Mutex::new(subscriber),
        }
    }
}

impl Default for Loopback {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Broker for Loopback {
    fn version(&self) -> &'static str {
        "loopback"
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn publish(&self, events: Vec<Event>) -> Result<Vec<bool>, BrokerError> {
        let mut confirms = Vec::with_capacity(events.len());
        for event in events {
            let (receipt, confirmed) = Receipt::new();
            self.publisher
                .send(Received {
                    suspect: false,
                    event: Ok(event),
                    receipt,
                })
                .await
                .map_err(|_| BrokerError::Closed)?;
            confirms.push(confirmed);
        }
        let mut answers = Vec::with_capacity(confirms.len());
        for confirmed in confirms {
            answers.push(matches!(timeout(CONFIRM_TIMEOUT, confirmed).await, Ok(Ok(()))));
        }
        Ok(answers)
    }

    async fn receive(&self, limit: usize) -> Result<Vec<Received>, BrokerError> {
        let mut subscriber = self.subscriber.lock().await;
        let mut received = Vec::new();
        if let Ok(0) = timeout(QUIET, subscriber.recv_many(&mut received, limit)).await {
            return Err(BrokerError::Closed);
        }
        Ok(received)
    }

    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<(), BrokerError> {
        receipts.into_iter().for_each(Receipt::acknowledge);
        Ok(())
    }
}
