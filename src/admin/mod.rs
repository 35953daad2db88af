//! The admin API: what operators ask and tell a running node, over HTTP on a Unix socket. One file per noun; the CLI prints the
//! same values that the API sends. Personal data leaves here only with a single dead letter that is shown:
//! its raw record, and what was found or what a target said.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::stage::Shared;
use crate::store::StoreError;

pub mod adapter;
pub mod client;
pub mod dead_letter;
pub mod dossier;
pub mod event;
mod explain;
pub mod history;
pub mod status;

/// The routes, read aloud. Who waits for events is sent away when the node stops.
pub fn routes(shared: Arc<Shared>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/v1/status", get(status::show))
        .route("/v1/adapters", get(adapter::list))
        .route("/v1/dossiers", get(dossier::list))
        .route("/v1/dossiers/{code}", get(dossier::show))
        .route("/v1/dossiers/{code}/history", get(history::show))
        .route("/v1/events", get(event::list).layer(event::followers(stop)))
        .route("/v1/dead-letters", get(dead_letter::list))
        .route("/v1/dead-letters/{id}", get(dead_letter::show))
        .route("/v1/rulings/retry", post(dead_letter::retry))
        .route("/v1/rulings/discard", post(dead_letter::discard))
        .route("/v1/rulings/sweep", post(dead_letter::sweep))
        .fallback(unknown)
        .with_state(shared)
}

async fn unknown() -> AdminError {
    AdminError::NotFound(
        "the node does not know this question; are it and this program of the same version?".to_owned(),
    )
}

/// How many rows a list may have.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limit {
    /// At most so many.
    #[serde(default = "Limit::standard")]
    pub limit: u32,
}

impl Limit {
    fn standard() -> u32 {
        100
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// What was asked for cannot be done so.
    #[error("{0}")]
    Invalid(String),
    /// Too many ask at the same time.
    #[error("{0}")]
    Busy(String),
    /// The store is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An [`AdminError`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong.
    pub error: String,
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Busy(_) | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (
            status,
            Json(Refusal {
                error: self.to_string(),
            }),
        )
            .into_response()
    }
}
