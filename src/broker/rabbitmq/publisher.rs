//! Publishing: a window of events is written at once, then their confirms are waited for. Confirmed is what the broker has
//! on the disks of its queue, not what it sent back because there was no queue.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use tokio::time::{Instant, timeout_at};

use super::link::{Dial, LIMIT};
use super::{key, message, topology};
use crate::broker::BrokerError;
use crate::event::Event;

/// Events on the way to the broker without a confirm, at most.
const WINDOW: usize = 256;

/// A connection for publishing.
pub(super) struct Publishing {
    pub(super) connection: Connection,
    channel: Channel,
    /// That events lead nowhere was told; it is told once until they lead somewhere again.
    warned: bool,
}

impl Publishing {
    pub(super) async fn open(dial: &Dial) -> Result<Self, BrokerError> {
        let connection = dial.open("publishes").await?;
        let channel = dial.within(connection.create_channel()).await?;
        dial.within(channel.confirm_select(ConfirmSelectOptions::default()))
            .await?;
        Ok(Self {
            connection,
            channel,
            warned: false,
        })
    }

    /// Publishes these events; `confirmed` gets an answer for each of them that was judged.
    ///
    /// # Errors
    /// Whatever kept any of them from being confirmed.
    pub(super) async fn publish(
        &mut self,
        dial: &Dial,
        events: &[Event],
        confirmed: &mut Vec<bool>,
    ) -> Result<(), BrokerError> {
        for window in events.chunks(WINDOW) {
            self.publish_window(dial, window, confirmed).await?;
        }
        Ok(())
    }

    async fn publish_window(
        &mut self,
        dial: &Dial,
        events: &[Event],
        confirmed: &mut Vec<bool>,
    ) -> Result<(), BrokerError> {
        if self.connection.status().blocked() {
            return Err(blocked(dial));
        }
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let what = format!("write to the exchange {}", topology::EVENTS);
        let right = "`write` on it, there also by topic for the keys of its adapters";
        let mut confirms = Vec::with_capacity(events.len());
        for event in events {
            let written = message::write(event, dial.account());
            let (properties, body) = written.map_err(|error| dial.away(&error.to_string()))?;
            let key = key::of(event);
            let published = self.channel.basic_publish(
                topology::EVENTS.into(),
                key.as_str().into(),
                mandatory,
                &body,
                properties,
            );
            let published = dial.permitted(published, &what, right).await?;
            confirms.push((key, published));
        }
        let deadline = Instant::now() + LIMIT;
        let mut nowhere = None;
        let mut refused = false;
        for (key, confirm) in confirms {
            match timeout_at(deadline, confirm).await {
                Ok(Ok(Confirmation::Ack(None))) => confirmed.push(true),
                // An event that no queue takes is sent back and confirmed all the same.
                Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                    nowhere.get_or_insert(key);
                    confirmed.push(false);
                }
                Ok(Ok(Confirmation::Nack(None) | Confirmation::NotRequested)) => {
                    refused = true;
                    confirmed.push(false);
                }
                Ok(Err(error)) => return Err(dial.refused(&error, &what, right)),
                Err(_) if self.connection.status().blocked() => return Err(blocked(dial)),
                Err(_) => {
                    let limit = LIMIT.as_secs();
                    let look = topology::look(dial);
                    return Err(dial.away(&format!("no confirm within {limit} s; if that stays so, {look}")));
                }
            }
        }
        if let Some(key) = nowhere {
            return Err(self.repair(dial, key).await);
        }
        self.warned = false;
        if refused {
            return Err(BrokerError::Unconfirmed {
                place: dial.place().to_owned(),
                look: topology::look(dial),
            });
        }
        Ok(())
    }

    /// The node's own queue takes what its own adapters say: an event that comes back shows that the queue is gone.
    async fn repair(&mut self, dial: &Dial, key: String) -> BrokerError {
        if !self.warned {
            tracing::warn!(
                exchange = topology::EVENTS,
                key,
                "events lead nowhere; exchanges and queues are set up anew"
            );
            self.warned = true;
        }
        match topology::declare(&self.connection, dial).await {
            Ok(()) => BrokerError::Unroutable {
                exchange: topology::EVENTS.to_owned(),
                key,
            },
            Err(error) => error,
        }
    }
}

pub(super) fn blocked(dial: &Dial) -> BrokerError {
    BrokerError::Blocked {
        place: dial.place().to_owned(),
    }
}
