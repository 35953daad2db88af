//! `dead-letter`: what cannot go on, why, and what to do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::{AdminError, Limit};
use crate::stage::Shared;
use crate::store::DeadLetter;

/// One dead letter with all that is kept of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened {
    /// The dead letter.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// The record as it came in, where it is a refused record. Holds personal data: for the one who mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<DeadLetter>>, AdminError> {
    let mut letters = shared.store.dead_letters(limit.limit).await?;
    for letter in &mut letters {
        letter.cause = letter.cause.for_log();
    }
    Ok(Json(letters))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Opened>, AdminError> {
    match shared.store.dead_letter(&id).await? {
        Some((letter, raw)) => Ok(Json(Opened { letter, raw })),
        None => Err(AdminError::NotFound(format!(
            "there is no dead letter {id:?}; `lienthong dead-letter list` shows those there are"
        ))),
    }
}
