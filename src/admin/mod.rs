//! The admin API: what operators ask a running node, over HTTP on a Unix socket. One file per noun; the CLI prints the
//! same values that the API sends. Personal data leaves here only with a single dead letter that is shown:
//! its raw record, and what was found or what a target said.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::stage::Shared;
use crate::store::StoreError;

pub mod client;
pub mod dead_letter;
pub mod dossier;
pub mod status;

/// The routes, read aloud.
pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(status::show))
        .route("/v1/dossiers", get(dossier::list))
        .route("/v1/dossiers/{code}", get(dossier::show))
        .route("/v1/dead-letters", get(dead_letter::list))
        .route("/v1/dead-letters/{id}", get(dead_letter::show))
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
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
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
