//! Gives files out: `GET /files/{sha256}/{name}`, the address that `as_link` makes.
//!
//! Nobody logs in: who knows the hash has been told it by a system that was sent the link, and nobody can guess it. The name
//! is only for people. What is altered or gone is not found.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Files, media_type};

/// What every answer says: no browser guesses another type, keeps a copy, or runs what is in it.
const GUARDS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "private, no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
];

/// The route.
pub fn routes(files: Arc<Files>) -> Router {
    Router::new()
        .route("/files/{hash}/{name}", get(give))
        .with_state(files)
}

async fn give(State(files): State<Arc<Files>>, Path((hash, _)): Path<(String, String)>) -> Response {
    let named = hash.clone();
    let read = tokio::task::spawn_blocking(move || files.read(&named)).await;
    match read {
        Ok(Ok(bytes)) => (GUARDS, [(header::CONTENT_TYPE, media_type(&bytes))], bytes).into_response(),
        Ok(Err(fault)) => {
            if fault.code == "file-altered" {
                tracing::error!(
                    file = hash,
                    "a file was altered; restore the folder of files from its backup"
                );
            }
            StatusCode::NOT_FOUND.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
