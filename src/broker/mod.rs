//! The broker: takes events from a store's outbox and brings them to every store that subscribes.
//!
//! Delivery is at least once; the journal makes it once. An event counts as published only when its confirm has come,
//! and a receiver answers for an event only after its own commit. Retries live in the outbox, never here. What comes and
//! is no event is brought too, as [`Unfit`]: it is kept for a person and answered for, so that it never comes in a circle.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::event::Event;
use crate::fault::Fault;

mod loopback;
mod rabbitmq;

pub use loopback::Loopback;
pub use rabbitmq::bindings;

/// Why the broker did not take or bring events. The caller comes back: what was not confirmed is still in the outbox.
/// No password is ever a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The address does not name a broker this build has.
    #[error("open the broker: {0:?} is no address of a broker; write loopback:, amqp://… or amqps://…")]
    Address(String),
    /// The certificates of the broker's CA cannot be read.
    #[error("open the broker: read broker.ca {file}: {cause}")]
    Ca {
        /// The file.
        file: String,
        /// What the system says.
        cause: String,
    },
    /// The other side is gone or shutting down.
    #[error("reach the broker: it is closed")]
    Closed,
    /// The broker cannot be reached, or went away in the middle.
    #[error("reach the broker at {place}: {cause}")]
    Away {
        /// Its address, without the password.
        place: String,
        /// What happened.
        cause: String,
    },
    /// The broker takes nothing because its memory or disk is full; what it has it still brings.
    #[error(
        "publish: broker blocked, {place} is short of memory or disk; free some there, nothing is lost meanwhile"
    )]
    Blocked {
        /// Its address, without the password.
        place: String,
    },
    /// Something of ours is there, and is not what it has to be.
    #[error("set up the broker: {what} is not what it has to be: {difference}; next {repair}")]
    Drift {
        /// The exchange or queue.
        what: String,
        /// What the broker says.
        difference: String,
        /// What an operator does.
        repair: String,
    },
    /// The account lacks a right that its node needs.
    #[error("use the broker: the account {account} may not {what} ({cause}); next {repair}")]
    Forbidden {
        /// The account.
        account: String,
        /// What was tried, with the name of the exchange or queue and the key.
        what: String,
        /// What the broker says.
        cause: String,
        /// What an operator does.
        repair: String,
    },
    /// The broker has no queue for an event, and took none of the others.
    #[error("publish: exchange {exchange} leads nowhere for the key {key}; it was set up anew")]
    Unroutable {
        /// The exchange.
        exchange: String,
        /// The routing key.
        key: String,
    },
    /// The broker refused every event.
    #[error("publish: the broker at {place} refused every event; next {look}")]
    Unconfirmed {
        /// Its address, without the password.
        place: String,
        /// Where an operator looks.
        look: String,
    },
}

/// Where the broker is, and what is known of who speaks there.
#[derive(Clone, Default)]
pub struct Address {
    /// `loopback:`, `amqp://account:password@host:port/vhost`, or `amqps://…`.
    pub url: String,
    /// The password, where it does not stand in the address.
    pub password: Option<String>,
    /// Certificates (PEM) of the CA that signed the broker's, beside those of the system.
    pub ca: Option<PathBuf>,
    /// Store id → the account through which that store speaks; of a store that is not listed it is the store's id.
    pub accounts: BTreeMap<String, String>,
    /// Adapter → the account of the store that hosts it. For the adapters of this node its own account speaks; one that
    /// stands nowhere may come through any, and whoever merges does not know it either.
    pub speakers: BTreeMap<String, String>,
}

impl Address {
    /// The account through which this node speaks, where the broker has accounts.
    #[must_use]
    pub fn account(&self) -> Option<String> {
        rabbitmq::account(&self.url)
    }
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("url", &without_password(&self.url))
            .field("ca", &self.ca)
            .field("accounts", &self.accounts)
            .field("speakers", &self.speakers)
            .finish_non_exhaustive()
    }
}

/// The address as people may see it.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((account, place)) => {
            let account = account.split(':').next().unwrap_or_default();
            format!("{scheme}://{account}@{place}")
        }
        None => url.to_owned(),
    }
}

/// Who listens: a store, and which events it asks for.
#[derive(Debug, Clone, Default)]
pub struct Subscriber {
    /// Id of the store.
    pub store_id: String,
    /// Names of the adapters that it hosts: what is said in their name comes from nobody else.
    pub adapters: Vec<String>,
    /// Binding keys of what its adapters ask for (see [`bindings`]).
    pub keys: Vec<String>,
    /// Keys of earlier configurations; those that are no longer asked for are taken away.
    pub former: Vec<String>,
}

/// What came and cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Adapter that it claims to come from, as far as that can be read.
    pub adapter: Option<String>,
    /// Id of the event, as far as that can be read.
    pub event: Option<String>,
    /// All that came, as text; [`Broker::reread`] looks at it again.
    pub raw: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Something that was brought, and the duty to say what became of it.
#[derive(Debug)]
pub struct Received {
    /// The event.
    pub event: Result<Event, Unfit>,
    /// It was brought again and again and never answered for. It comes alone: what died of it, if anything did, takes
    /// nothing else along.
    pub suspect: bool,
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
    /// Its name, for results and `status`.
    fn version(&self) -> &str;
    /// Whether it ends at this process: nobody else hears what is published.
    fn is_local(&self) -> bool {
        false
    }
    /// What is wrong with it right now, for `status`.
    fn trouble(&self) -> Option<String> {
        None
    }
    /// Publishes events in order and waits for their confirms. In the same order: whether it was confirmed.
    async fn publish(&self, events: Vec<Event>) -> Result<Vec<bool>, BrokerError>;
    /// Brings at most `limit` events, or one suspect; waits half a second for the first, then brings none.
    async fn receive(&self, limit: usize) -> Result<Vec<Received>, BrokerError>;
    /// Answers for events that are durable here.
    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<(), BrokerError>;
    /// Looks again at what was kept: an event, or the text of an [`Unfit`] that may have become fit.
    ///
    /// # Errors
    /// It is still unfit.
    fn reread(&self, raw: &str) -> Result<Event, Unfit> {
        serde_json::from_str(raw).map_err(|error| Unfit {
            adapter: None,
            event: None,
            raw: raw.to_owned(),
            fault: malformed("event", &error.to_string()),
        })
    }
    /// Hands back what was not answered for and ends the connections. What is asked of it later opens them again.
    async fn close(&self) {}
}

/// What came is no event of ours.
fn malformed(field: &str, found: &str) -> Fault {
    Fault::new("event-malformed")
        .field(field)
        .found(found)
        .expected("a CloudEvent 1.0 in binary mode whose data is a part of a dossier")
        .remedy("have whoever sent it correct its program; then discard this")
}

/// Opens the broker at `address` for `subscriber`. One that is away is no error here: it is waited for.
///
/// # Errors
/// An address that names no known broker, a CA that cannot be read.
pub fn open(address: &Address, subscriber: Subscriber) -> Result<Box<dyn Broker>, BrokerError> {
    match address.url.split(':').next() {
        Some("loopback") if address.url == "loopback:" => Ok(Box::new(Loopback::new())),
        Some("amqp" | "amqps") => Ok(Box::new(rabbitmq::RabbitMq::new(address, subscriber)?)),
        _ => Err(BrokerError::Address(without_password(&address.url))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_in_no_text() {
        let mut address = Address::from("amqp://so-tu-phap:b%40d@mq.example.vn/x");
        address.password = Some("b@d".to_owned());
        assert_eq!(
            format!("{address:?}"),
            "Address { url: \"amqp://so-tu-phap@mq.example.vn/x\", ca: None, accounts: {}, speakers: {}, .. }"
        );
        let Err(refusal) = open(&Address::from("mqtt://user:b@d@host"), Subscriber::default()) else {
            panic!("no such broker");
        };
        assert_eq!(
            refusal.to_string(),
            "open the broker: \"mqtt://user@host\" is no address of a broker; write loopback:, amqp://… or amqps://…"
        );
    }
}
