//! `dossier`: where is it, and what does it wait for? Codes, systems and states; no word about the people in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminError, Limit};
use crate::dossier::history::Overtaken;
use crate::dossier::{DossierId, Origin};
use crate::stage::Shared;
use crate::store::{Delivery, HeldRecord, Replica, ReplicaSummary, State as DeliveryState};

/// A dossier as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    /// Id, the same on every node.
    pub id: DossierId,
    /// Official code, if it has one.
    pub code: Option<String>,
    /// Where it came into being.
    pub origin: Origin,
    /// Codes by system.
    pub links: BTreeMap<String, Vec<String>>,
    /// Procedure code.
    pub procedure: Option<String>,
    /// Current status.
    pub status: Option<String>,
    /// The newest report of the status, where it is not legal after the current one and moved nothing.
    pub overtaken: Option<Overtaken>,
    /// When it last changed on this store.
    pub updated: Timestamp,
    /// Each system that has it or should have it.
    pub systems: Vec<System>,
}

/// A dossier in one system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct System {
    /// Name of the system.
    pub name: String,
    /// Is it there?
    pub there: bool,
    /// The code it has there.
    pub native: Option<String>,
    /// Since when the present version is there.
    pub since: Option<Timestamp>,
    /// What is still to come, and why it is not there yet. Empty: everything is where it should be.
    pub open: Vec<Open>,
}

/// A delivery that is not where it should be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    /// Push, and the item if it is one's.
    pub what: String,
    /// State of the delivery.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// Id of the dead letter, if it is one.
    pub letter: Option<String>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<ReplicaSummary>>, AdminError> {
    Ok(Json(shared.store.list_replicas(limit.limit).await?))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(code): Path<String>,
) -> Result<Json<Shown>, AdminError> {
    let replica = find(&shared, &code).await?;
    let dossier = replica.dossier;
    let deliveries = shared.store.deliveries_of(dossier.id).await?;
    let links: BTreeMap<String, Vec<String>> = dossier
        .links
        .keys()
        .map(|system| {
            let codes = dossier
                .keys_for(system)
                .into_iter()
                .map(std::string::ToString::to_string)
                .collect();
            (system.clone(), codes)
        })
        .collect();
    let mut systems = vec![System {
        name: dossier.origin.system.clone(),
        there: true,
        native: Some(dossier.origin.native.clone()),
        since: None,
        open: Vec::new(),
    }];
    for chunk in deliveries.chunk_by(|a, b| a.adapter == b.adapter) {
        let target = system(&shared, chunk);
        if target.name == dossier.origin.system {
            // It has the dossier anyway: what is not sent there (as yet) waits for nothing.
            let waits = |open: &Open| !matches!(open.state, DeliveryState::Skipped { .. });
            systems[0].since = target.since;
            systems[0].open = target.open.into_iter().filter(waits).collect();
        } else if is_told(chunk) || !target.open.is_empty() {
            systems.push(target);
        }
    }
    Ok(Json(Shown {
        id: dossier.id,
        code: dossier.code().map(str::to_owned),
        procedure: dossier.procedure_code().map(str::to_owned),
        status: dossier.status().map(|entry| entry.value.clone()),
        overtaken: dossier.overtaken(),
        origin: dossier.origin,
        updated: replica.updated,
        links,
        systems,
    }))
}

/// Is the system told of the dossier? One that is only asked has none, and is shown as long as it owes an answer.
fn is_told(deliveries: &[Delivery]) -> bool {
    deliveries.iter().any(|row| !row.push.starts_with("lookup."))
}

/// The dossier that people call so, or where to look for it.
pub(super) async fn find(shared: &Shared, code: &str) -> Result<Replica, AdminError> {
    if let Some(replica) = shared.store.find_replica(code).await? {
        return Ok(replica);
    }
    let held = shared.store.held_records(code).await?;
    Err(AdminError::NotFound(unknown(code, &held)))
}

/// A state with its times as the wall shows them and without what was found: a target's own words may name a person.
/// `dead-letter show` has them.
pub(super) fn for_list(shared: &Shared, state: &DeliveryState) -> DeliveryState {
    let on_the_wall = |at: &Timestamp| shared.steady.on_the_wall(*at);
    match state {
        DeliveryState::Parked { cause, held } => DeliveryState::Parked {
            cause: cause.for_log(),
            held: *held,
        },
        DeliveryState::Waiting { requirement, until } => DeliveryState::Waiting {
            requirement: requirement.clone(),
            until: until.as_ref().map(on_the_wall),
        },
        DeliveryState::InDoubt { until } => DeliveryState::InDoubt {
            until: on_the_wall(until),
        },
        DeliveryState::BackingOff { next } => DeliveryState::BackingOff {
            next: on_the_wall(next),
        },
        DeliveryState::Applied
        | DeliveryState::Due
        | DeliveryState::Skipped { .. }
        | DeliveryState::Discarded { .. } => state.clone(),
    }
}

/// What people call a delivery within its system.
pub(super) fn delivery(row: &Delivery) -> String {
    if row.item.is_empty() {
        row.push.clone()
    } else {
        format!("{} no. {}", row.push, row.ordinal)
    }
}

/// Why there is no dossier under the code, and where to look next.
fn unknown(code: &str, held: &[HeldRecord]) -> String {
    let refused: Vec<String> = held
        .iter()
        .filter(|record| record.waits.is_none())
        .map(|record| format!("`lienthong dead-letter show {}`", record.id))
        .collect();
    let waiting = held
        .iter()
        .find_map(|record| Some((record, record.waits.as_ref()?)));
    match (refused.as_slice(), waiting) {
        ([], None) => format!(
            "no dossier is known under {code:?}; a record that could not be read is under `lienthong dead-letter list`"
        ),
        ([], Some((record, reason))) => format!(
            "no dossier is known under {code:?}, but a record of it from {} waits: {reason}",
            record.system
        ),
        ([one], _) => {
            format!("no dossier is known under {code:?}, but a record of it was refused: {one} says why")
        }
        (all, _) => format!(
            "no dossier is known under {code:?}, but {} records of it were refused: {} say why",
            all.len(),
            all.join(", ")
        ),
    }
}

/// One target's rows as one line and what is open.
fn system(shared: &Shared, rows: &[Delivery]) -> System {
    let records = || rows.iter().filter(|row| row.item.is_empty());
    System {
        name: rows[0].adapter.clone(),
        there: records().any(|row| row.remote.is_some() && row.applied.is_some()),
        native: records().find_map(|row| row.remote.clone()),
        since: records().filter_map(|row| row.applied_at).max(),
        open: rows
            .iter()
            .filter(|row| row.state != DeliveryState::Applied)
            .map(|row| Open {
                what: delivery(row),
                state: for_list(shared, &row.state),
                letter: matches!(row.state, DeliveryState::Parked { .. }).then(|| row.letter()),
            })
            .collect(),
    }
}
