//! `status`: is the node well, and what is it busy with?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::AdminError;
use crate::stage::{Pause, Shared};
use crate::store::Counts;

/// What `status` tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Id of the store.
    pub store_id: String,
    /// Name and version of the database.
    pub store: String,
    /// Name and version of the broker.
    pub broker: String,
    /// What is wrong with the broker, if anything is.
    #[serde(default)]
    pub broker_trouble: Option<String>,
    /// Hosted adapters.
    pub adapters: Vec<HostedAdapter>,
    /// Rows by state.
    pub counts: Counts,
    /// What has become of every record.
    pub records: Records,
    /// What has become of everything that systems should have.
    pub conservation: Conservation,
}

/// Every record that was kept is in exactly one of these heaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// They became events.
    pub mapped: i64,
    /// They said nothing new, were left out on purpose, closed by a newer one or discarded.
    pub ignored: i64,
    /// They cannot be placed yet.
    pub waiting: i64,
    /// Dead letters.
    pub refused: i64,
}

/// Every delivery that was ever wanted is in exactly one of these heaps: nothing is lost on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conservation {
    /// The system has the newest version.
    pub applied: i64,
    /// Due, waiting, backing off, in doubt.
    pub on_the_way: i64,
    /// Those of them of which nobody knows whether the last call took effect.
    pub in_doubt: i64,
    /// Dead letters.
    pub parked: i64,
    /// The mapping does not want them there.
    pub skipped: i64,
    /// A person gave them up.
    pub discarded: i64,
}

impl Records {
    fn of(counts: &Counts) -> Self {
        let mut records = Self::default();
        for (_, state, count) in &counts.inbox {
            match state.as_str() {
                "mapped" => records.mapped += count,
                "waiting" => records.waiting += count,
                "refused" => records.refused += count,
                _ => records.ignored += count,
            }
        }
        records
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> i64 {
        self.mapped + self.ignored + self.waiting + self.refused
    }
}

impl Conservation {
    fn of(counts: &Counts) -> Self {
        let mut heaps = Self::default();
        for (_, _, state, count) in &counts.deliveries {
            match state.as_str() {
                "applied" => heaps.applied += count,
                "parked" => heaps.parked += count,
                "skipped" => heaps.skipped += count,
                "discarded" => heaps.discarded += count,
                other => {
                    heaps.on_the_way += count;
                    if other == "in_doubt" {
                        heaps.in_doubt += count;
                    }
                }
            }
        }
        heaps
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> i64 {
        self.applied + self.on_the_way + self.parked + self.skipped + self.discarded
    }
}

/// An adapter that the node hosts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostedAdapter {
    /// Its name.
    pub name: String,
    /// The system's name for people.
    pub title: String,
    /// Version of its manifest, mappings and tables.
    pub version: String,
    /// Why it rests, if it does: its system refuses us, or a mapping is sick.
    pub pause: Option<Pause>,
}

pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Result<Json<Status>, AdminError> {
    let now = shared.clock.now();
    let adapters = shared.adapters.iter().map(|adapter| HostedAdapter {
        name: adapter.name.clone(),
        title: adapter.title.clone(),
        version: adapter.version.clone(),
        pause: shared.pauses.of(&adapter.name, now),
    });
    let mut counts = shared.store.counts().await?;
    for (_, since) in &mut counts.oldest_due {
        *since = shared.steady.on_the_wall(*since);
    }
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store_id: shared.store.id().to_owned(),
        store: shared.store.version().to_owned(),
        broker: shared.broker.version().to_owned(),
        broker_trouble: shared.broker.trouble(),
        adapters: adapters.collect(),
        records: Records::of(&counts),
        conservation: Conservation::of(&counts),
        counts,
    }))
}
