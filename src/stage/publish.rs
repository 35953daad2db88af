//! Publish: outbox → broker. An event leaves the outbox when its confirm has come, never before.

use std::sync::Arc;
use std::time::Duration;

use super::{Progress, Shared, StageError};
use crate::failpoint;

/// Events published in one step.
const BATCH: u32 = 256;

/// The stage.
pub struct Publish {
    shared: Arc<Shared>,
}

impl Publish {
    /// The stage over these parts.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Publishes the oldest events and forgets those that were confirmed.
    ///
    /// # Errors
    /// The store or the broker is away; the events stay in the outbox.
    pub async fn step(&self) -> Result<Progress, StageError> {
        // Nodes that share the store take turns, so that what one system said first also leaves first.
        if !self.shared.leads("publish", Duration::ZERO).await? {
            return Ok(Progress::Idle(None));
        }
        let events = self.shared.store.outbox_head(BATCH).await?;
        if events.is_empty() {
            return Ok(Progress::Idle(None));
        }
        let ids: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
        let confirms = self.shared.broker.publish(events).await?;
        let confirmed: Vec<&str> = ids
            .iter()
            .zip(&confirms)
            .filter(|(_, confirmed)| **confirmed)
            .map(|(id, _)| id.as_str())
            .collect();
        failpoint::pass("publish-confirmed");
        let mut transaction = self.shared.store.begin().await?;
        transaction.forget_outbox(&confirmed).await?;
        transaction.commit().await?;
        Ok(Progress::Worked)
    }
}
