//! `event`: the journal in the order of arrival, as it is and as it grows. Names of what was written, no values.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::AdminError;
use crate::stage::Shared;
use crate::store::Journaled;

/// Most events of one answer.
const PAGE: u32 = 500;

/// Longest that an answer waits for events; whoever follows asks again.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the journal is looked at although no bell has rung.
const LOOK: Duration = Duration::from_secs(1);

/// How many may wait for events at the same time.
const FOLLOWERS: usize = 32;

/// Which events are asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Asked {
    /// Those after this place in the journal; absent: the last ones.
    pub after: Option<i64>,
    /// How many of the last ones.
    #[serde(default)]
    pub last: u32,
    /// Wait a while if there are none.
    #[serde(default)]
    pub wait: bool,
}

/// A part of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// The events, oldest first.
    pub events: Vec<Told>,
    /// The place to go on from.
    pub after: i64,
    /// Whether more are there already.
    pub more: bool,
}

/// An event, without what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// Its place in the journal.
    pub seq: i64,
    /// When it was merged here.
    pub recorded: Timestamp,
    /// Its id.
    pub id: String,
    /// What it mainly tells.
    #[serde(rename = "type")]
    pub kind: String,
    /// The adapter that said it.
    pub adapter: String,
    /// Its source: store and adapter.
    pub source: String,
    /// Code of the dossier, or its id while it has none.
    pub dossier: String,
    /// Names of what it writes.
    pub writes: Vec<String>,
}

impl From<Journaled> for Told {
    fn from(journaled: Journaled) -> Self {
        let event = journaled.event;
        Self {
            seq: journaled.seq,
            recorded: journaled.recorded,
            adapter: event.adapter().to_owned(),
            dossier: journaled.code.unwrap_or(event.subject),
            writes: event.data.names(),
            id: event.id,
            kind: event.kind,
            source: event.source,
        }
    }
}

/// What those who wait share.
#[derive(Clone)]
pub(super) struct Followers {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

pub(super) fn followers(stop: CancellationToken) -> Extension<Followers> {
    Extension(Followers {
        places: Arc::new(Semaphore::new(FOLLOWERS)),
        stop,
    })
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(followers): Extension<Followers>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page>, AdminError> {
    let after = match asked.after {
        Some(after) => after,
        None => shared.store.journal_before(asked.last).await?,
    };
    let place = followers.places.try_acquire();
    if asked.wait && place.is_err() {
        return Err(AdminError::Busy(format!(
            "{FOLLOWERS} others follow the events of this node already; try again when one of them has ended"
        )));
    }
    let deadline = Instant::now() + PATIENCE;
    // The subscriber rings it for the deliverers after each commit.
    let mut ear = shared.deliveries.ear();
    loop {
        ear.mark_unchanged();
        let told = shared.store.journal(after, PAGE).await?;
        let ends = !asked.wait || Instant::now() >= deadline || followers.stop.is_cancelled();
        if !told.is_empty() || ends {
            return Ok(Json(Page {
                after: told.last().map_or(after, |last| last.seq),
                more: told.len() >= PAGE as usize,
                events: told.into_iter().map(Told::from).collect(),
            }));
        }
        tokio::select! {
            // The bell lives as long as the node.
            _ = ear.changed() => {}
            () = followers.stop.cancelled() => {}
            () = sleep_until(deadline.min(Instant::now() + LOOK)) => {}
        }
    }
}
