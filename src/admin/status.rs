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
    /// Hosted adapters.
    pub adapters: Vec<HostedAdapter>,
    /// Rows by state.
    pub counts: Counts,
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
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store_id: shared.store.id().to_owned(),
        store: shared.store.version().to_owned(),
        broker: shared.broker.version().to_owned(),
        adapters: adapters.collect(),
        counts: shared.store.counts().await?,
    }))
}
