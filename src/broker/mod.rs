//! The broker: takes events from a store's outbox and brings them to every store that subscribes.
//!
//! Delivery is at least once; the journal makes it once. An event counts as published only when its confirm has come,
//! and a receiver answers for an event only after its own commit. Retries live in the outbox, never here.

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::event::Event;

mod loopback;

pub use loopback::Loopback;

/// Why the broker did not take or bring events. The caller comes back: what was not confirmed is still in the outbox.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// The address does not name a broker this build has.
    #[error("open the broker: {0:?} is no address of a broker; write loopback:")]
    Address(String),
    /// The other side is gone or shutting down.
    #[error("reach the broker: it is closed")]
    Closed,
}

/// An event that was brought, and the duty to say what became of it.
#[derive(Debug)]
pub struct Received {
    /// The event.
    pub event: Event,
    /// To be given back by [`Broker::acknowledge`] once the event is durable here; dropped, it comes again.
    pub receipt: Receipt,
}

/// Proof of having received one event.
#[derive(Debug)]
pub struct Receipt(oneshot::Sender<()>);

impl Receipt {
    /// A receipt, and the ear of the broker that gave it: hears the acknowledgement, or that there will be none.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<()>) {
        let (answer, ear) = oneshot::channel();
        (Self(answer), ear)
    }

    /// Acknowledges the event towards the broker that gave the receipt. A broker that no longer listens brings the event
    /// again, and the journal knows it then.
    pub fn acknowledge(self) {
        let _gone = self.0.send(());
    }
}

/// A broker.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Name and version, for results and `status`.
    fn version(&self) -> &str;
    /// Whether it ends at this process: nobody else hears what is published.
    fn is_local(&self) -> bool {
        false
    }
    /// Publishes events in order and waits for their confirms. In the same order: whether it was confirmed.
    async fn publish(&self, events: Vec<Event>) -> Result<Vec<bool>, BrokerError>;
    /// Brings at most `limit` events; waits half a second for the first, then brings none.
    async fn receive(&self, limit: usize) -> Result<Vec<Received>, BrokerError>;
    /// Answers for events that are durable here.
    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<(), BrokerError>;
}

/// Opens the broker that `url` names.
///
/// # Errors
/// An address that names no known broker.
pub fn open(url: &str) -> Result<Box<dyn Broker>, BrokerError> {
    match url {
        "loopback:" => Ok(Box::new(Loopback::new())),
        _ => Err(BrokerError::Address(url.to_owned())),
    }
}
