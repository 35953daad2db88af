//! RabbitMQ over AMQP 0-9-1: one topic exchange for the province, one quorum queue for each store.
//!
//! Publishing and consuming have a connection each: a broker that is short of memory stops reading the one and goes on
//! with the other. Whatever goes wrong on a connection, it is dropped and the next exchange builds another one and sets
//! everything up again; how often that is tried is for the stage that asks. Nothing here waits without a limit, and no
//! task of ours runs beside the stages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as Cell, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::Connection;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Address, Broker, BrokerError, Receipt, Received, Subscriber, Unfit};
use crate::event::Event;

mod consumer;
mod greeting;
mod key;
mod link;
mod message;
mod publisher;
mod topology;

use consumer::Consuming;
pub use key::bindings;
pub(super) use link::account;
use link::{Dial, Health, Line};
use message::{Accounts, Message};
use publisher::Publishing;

/// How long an orderly end may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The broker.
pub(super) struct RabbitMq {
    dial: Dial,
    accounts: Accounts,
    publisher: Mutex<Line<Publishing>>,
    consumer: Mutex<Line<Consuming>>,
    publishing: Cell<Health>,
    consuming: Cell<Health>,
    /// The queue was gone and was set up anew.
    replaced: AtomicBool,
}

impl RabbitMq {
    /// # Errors
    /// The address cannot be understood, or the CA cannot be read.
    pub(super) fn new(address: &Address, subscriber: Subscriber) -> Result<Self, BrokerError> {
        let own_store = subscriber.store_id.clone();
        let hosted = subscriber.adapters.clone();
        let dial = Dial::new(address, subscriber)?;
        let own_account = dial.account().to_owned();
        let mut speakers = address.speakers.clone();
        speakers.extend(hosted.into_iter().map(|adapter| (adapter, own_account.clone())));
        Ok(Self {
            accounts: Accounts {
                own_store,
                own_account,
                others: address.accounts.clone(),
                speakers,
            },
            dial,
            publisher: Mutex::new(Line::new()),
            consumer: Mutex::new(Line::new()),
            publishing: Cell::default(),
            consuming: Cell::default(),
            replaced: AtomicBool::new(false),
        })
    }

    async fn try_publish(
        &self,
        line: &mut Line<Publishing>,
        events: &[Event],
        confirmed: &mut Vec<bool>,
    ) -> Result<(), BrokerError> {
        line.may_open()?;
        if line.live.is_none() {
            let joined = Publishing::open(&self.dial).await?;
            held(&self.publishing).connection = Some(joined.connection.status().clone());
            line.opened(joined);
        }
        match &mut line.live {
            Some(joined) => joined.publish(&self.dial, events, confirmed).await,
            None => Err(BrokerError::Closed),
        }
    }

    async fn try_receive(
        &self,
        line: &mut Line<Consuming>,
        limit: usize,
    ) -> Result<Vec<Received>, BrokerError> {
        line.may_open()?;
        // Where a queue is deleted and declared again in no time, the broker does not always end the subscription to the
        // old one, and brings to it what nobody hears.
        if self.replaced.swap(false, Ordering::SeqCst) {
            line.live = None;
        }
        if line.live.is_none() {
            line.opened(Consuming::open(&self.dial).await?);
        }
        match &mut line.live {
            Some(joined) => joined.receive(&self.dial, &self.accounts, limit).await,
            None => Err(BrokerError::Closed),
        }
    }
}

#[async_trait]
impl Broker for RabbitMq {
    fn version(&self) -> &'static str {
        greeting::name()
    }

    fn trouble(&self) -> Option<String> {
        let publishing = held(&self.publishing);
        let is_blocked = publishing
            .connection
            .as_ref()
            .is_some_and(lapin::ConnectionStatus::blocked);
        let blocked = is_blocked.then(|| publisher::blocked(&self.dial));
        let trouble = held(&self.consuming).trouble.clone();
        blocked
            .or(trouble)
            .or_else(|| publishing.trouble.clone())
            .map(|error| error.to_string())
    }

    async fn publish(&self, events: Vec<Event>) -> Result<Vec<bool>, BrokerError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut line = self.publisher.lock().await;
        let mut confirmed = Vec::with_capacity(events.len());
        let published = self.try_publish(&mut line, &events, &mut confirmed).await;
        held(&self.publishing).trouble = published.as_ref().err().cloned();
        if let Err(error) = published {
            if matches!(error, BrokerError::Unroutable { .. }) {
                self.replaced.store(true, Ordering::SeqCst);
            }
            // A connection on which an event came back, was refused or waits is as good as before.
            let sound = matches!(
                error,
                BrokerError::Unroutable { .. }
                    | BrokerError::Unconfirmed { .. }
                    | BrokerError::Blocked { .. }
            );
            if !sound {
                held(&self.publishing).connection = None;
                line.broken(error.clone());
            }
            if !confirmed.contains(&true) {
                return Err(error);
            }
            confirmed.resize(events.len(), false);
        }
        Ok(confirmed)
    }

    async fn receive(&self, limit: usize) -> Result<Vec<Received>, BrokerError> {
        let mut line = self.consumer.lock().await;
        let received = self.try_receive(&mut line, limit).await;
        held(&self.consuming).trouble = received.as_ref().err().cloned();
        received.map_err(|error| line.broken(error))
    }

    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<(), BrokerError> {
        receipts.into_iter().for_each(Receipt::acknowledge);
        let mut line = self.consumer.lock().await;
        if let Some(joined) = &mut line.live
            && let Err(error) = joined.acknowledge(&self.dial).await
        {
            // All is durable here; what the broker did not hear of comes again and is known then.
            tracing::debug!(%error, "acknowledgement not heard");
            held(&self.consuming).trouble = Some(line.broken(error));
        }
        Ok(())
    }

    fn reread(&self, raw: &str) -> Result<Event, Unfit> {
        if let Ok(event) = serde_json::from_str(raw) {
            return Ok(event);
        }
        match serde_json::from_str::<Message>(raw) {
            Ok(message) => message.event(&self.accounts),
            Err(error) => Err(Unfit {
                adapter: None,
                event: None,
                raw: raw.to_owned(),
                fault: super::malformed("event", &error.to_string()),
            }),
        }
    }

    async fn close(&self) {
        let publisher = async {
            self.publisher
                .lock()
                .await
                .live
                .take()
                .map(|joined| joined.connection)
        };
        let consumer = async {
            self.consumer
                .lock()
                .await
                .live
                .take()
                .map(|joined| joined.connection)
        };
        let both = async {
            for connection in [publisher.await, consumer.await].into_iter().flatten() {
                end(&connection).await;
            }
        };
        if timeout(CLOSE_LIMIT * 2, both).await.is_err() {
            tracing::debug!("broker connections cut, not closed");
        }
    }
}

async fn end(connection: &Connection) {
    let closed = timeout(CLOSE_LIMIT, connection.close(200, "the node stops".into())).await;
    if let Ok(Err(error)) = closed {
        tracing::debug!(%error, "broker connection not closed in order");
    }
}

fn held<T>(cell: &Cell<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}
