//! Suspects: events that a node may die of. The broker says so of what it brought again and again without an answer; most
//! often only the connection was cut. So do we of the events of a step that broke off in the middle of merging.
//!
//! A suspect is merged like any other event, but alone, and that it is tried is written down before. What came to its
//! end is no suspect any more. A third death makes a dead letter of it: `crashed-consumer`, to be tried three times more
//! when a person says so. An error of store or broker on the way is no death.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Subscribe, Told};
use crate::broker::Unfit;
use crate::event::Event;
use crate::fault::Fault;
use crate::stage::StageError;
use crate::store::KeptRecord;

/// How often a suspect is tried.
const TRIES: u64 = 3;

/// Whose counts the tries are, among those of adapters.
const NODE: &str = "lienthong";

/// What this process knows of its own steps.
#[derive(Default)]
pub(super) struct Suspicion {
    /// Events of the step that is under way.
    under_way: AtomicUsize,
    /// How many events are still to be merged one by one.
    alone: AtomicUsize,
    /// The event whose last try ended in an error: it is counted already.
    counted: Mutex<Option<String>>,
}

impl Suspicion {
    /// Whether the last steps give reason to take events one by one.
    pub(super) fn is_careful(&self) -> bool {
        // Only a step that broke off leaves anything here.
        let broken = self.under_way.swap(0, Ordering::Relaxed);
        self.alone.fetch_max(broken, Ordering::Relaxed).max(broken) > 0
    }

    pub(super) fn begins(&self, events: usize) {
        self.under_way.store(events, Ordering::Relaxed);
    }

    /// The step came to its end, for better or worse; `failed`: the suspect that is still one.
    pub(super) fn ends(&self, failed: Option<String>) {
        self.under_way.store(0, Ordering::Relaxed);
        if failed.is_none() {
            let one_less = |left: usize| left.checked_sub(1);
            let _none_left = self
                .alone
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        }
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    fn is_counted(&self, id: &str) -> bool {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.as_deref() == Some(id)
    }
}

/// How a dead letter of this kind is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    suspect: Event,
}

/// The suspect that this record is, if it is one.
pub(super) fn kept(record: &KeptRecord) -> Option<Event> {
    serde_json::from_str(&record.raw)
        .ok()
        .map(|Kept { suspect }| suspect)
}

impl Subscribe {
    /// Writes down that this is tried now, or makes a dead letter of it.
    pub(super) async fn try_alone(&self, (event, place): Told) -> Result<Told, StageError> {
        let Ok(event) = event else {
            return Ok((event, place));
        };
        if self.suspicion.is_counted(&event.id) {
            return Ok((Ok(event), place));
        }
        let mut transaction = self.shared.store.begin().await?;
        let before = transaction
            .count_on(NODE, &format!("tries of {}", event.id), 1)
            .await?;
        transaction.commit().await?;
        // Counting on beyond the last try begins the next round of them.
        if before % (TRIES + 1) < TRIES {
            return Ok((Ok(event), place));
        }
        let adapter = Some(event.adapter().to_owned());
        let id = Some(event.id.clone());
        let raw = serde_json::json!(Kept { suspect: event }).to_string();
        let fault = Fault::new("crashed-consumer")
            .found(format!("an event during whose merge a node died {TRIES} times"))
            .expected("an event that can be merged")
            .remedy("look in the log for what the node died of; once that is mended, retry this");
        let unfit = Unfit {
            adapter,
            event: id,
            raw,
            fault,
        };
        Ok((Err(unfit), place))
    }
}
