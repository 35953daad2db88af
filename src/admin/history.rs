//! `dossier history`: everything that happened to a dossier, in the order of time. Names, codes and statuses; no other
//! value of the dossier.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminError, dossier};
use crate::dossier::history::{Conflict, Overtaken, Part, history};
use crate::dossier::{DossierId, Origin, fold_code};
use crate::fault::Fault;
use crate::stage::Shared;
use crate::store::{Delivery, InboxState, Journaled, Past, PastRecord, State as DeliveryState, Verb};

/// A dossier's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Story {
    /// Id, the same on every node.
    pub id: DossierId,
    /// Official code, if it has one.
    pub code: Option<String>,
    /// Where it came into being.
    pub origin: Origin,
    /// Current status.
    pub status: Option<String>,
    /// The newest report of the status, where it moved nothing.
    pub overtaken: Option<Overtaken>,
    /// What happened, oldest first.
    pub happenings: Vec<Happening>,
    /// Writes of two systems that did not know of each other.
    pub conflicts: Vec<Conflict>,
    /// How its deliveries stand.
    pub deliveries: Vec<Standing>,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Happening {
    /// When, by this node's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A record came in that did not become an event, or not at once.
    Record(Received),
    /// An event was merged.
    Event(Merged),
    /// A dossier under this other id turned out to be the same.
    Joined {
        /// The id.
        id: DossierId,
    },
    /// A system was brought up to date; the last time.
    Applied {
        /// The system.
        system: String,
        /// Push, and the item if it is one's.
        delivery: String,
    },
    /// A person decided about a dead letter.
    Decision {
        /// Who.
        by: String,
        /// What.
        verb: Verb,
        /// Id of the dead letter.
        letter: String,
        /// Why, if that was said.
        reason: Option<String>,
    },
}

/// A record that was refused, waits or was closed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Received {
    /// `inbox-17`.
    pub id: String,
    /// The system that it came from.
    pub system: String,
    /// Its operation.
    pub operation: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: RecordFate,
}

/// What became of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum RecordFate {
    /// It can't be taken as it is; a dead letter.
    Refused {
        /// Why, and what to do; without what was found.
        cause: Fault,
    },
    /// It cannot be placed yet.
    Waiting {
        /// What it waits for.
        reason: String,
    },
    /// It was refused once and is no longer listed.
    Closed {
        /// Why.
        reason: String,
    },
}

/// An event that was merged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Merged {
    /// Its place in the journal, by which fates and conflicts name it.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// What it mainly tells.
    #[serde(rename = "type")]
    pub kind: String,
    /// The system that said it.
    pub system: String,
    /// When the record was observed that it was made from.
    pub observed: Timestamp,
    /// The operation through which that came; absent: it came from another node, or tells what a delivery found.
    pub operation: Option<String>,
    /// Version of the mapping that made it.
    pub mapping: Option<String>,
    /// The id that the dossier had then, if it is another one now.
    pub under: Option<DossierId>,
    /// What it wrote, and what became of it.
    #[serde(flatten)]
    pub part: Part,
}

/// How a delivery stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    /// The system.
    pub system: String,
    /// Push, and the item if it is one's.
    pub delivery: String,
    /// State.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// Id of the dead letter, if it is one.
    pub letter: Option<String>,
    /// How many calls were made that write.
    pub attempts: i64,
    /// How many of the last ones in a row did not take effect.
    pub failures: u32,
    /// Since when the system should have it.
    pub since: Timestamp,
    /// When it was last brought up to date.
    pub applied: Option<Timestamp>,
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(code): Path<String>,
) -> Result<Json<Story>, AdminError> {
    let dossier = dossier::find(&shared, &code).await?.dossier;
    let mut codes: Vec<String> = dossier
        .links
        .values()
        .flat_map(|codes| codes.keys())
        .chain([&dossier.origin.native])
        .map(|code| fold_code(code))
        .collect();
    codes.sort_unstable();
    codes.dedup();
    let past = shared.store.past(dossier.id, &codes).await?;
    let deliveries = shared.store.deliveries_of(dossier.id).await?;

    let events: Vec<_> = past
        .events
        .iter()
        .map(|told| (told.seq, &told.event.data))
        .collect();
    let story = history(&events);
    let mut happenings = happenings(dossier.id, past, story.parts);
    happenings.extend(deliveries.iter().filter_map(|row| {
        Some(Happening {
            at: row.applied_at.filter(|_| row.applied.is_some())?,
            what: What::Applied {
                system: row.adapter.clone(),
                delivery: dossier::delivery(row),
            },
        })
    }));
    // What came at one time stays in the order in which it is read here.
    happenings.sort_by_key(|happening| happening.at);
    Ok(Json(Story {
        id: dossier.id,
        code: dossier.code().map(str::to_owned),
        status: dossier.status().map(|entry| entry.value.clone()),
        overtaken: dossier.overtaken(),
        origin: dossier.origin,
        happenings,
        conflicts: story.conflicts,
        deliveries: deliveries.iter().map(|row| standing(&shared, row)).collect(),
    }))
}

/// Records, events, joins and decisions.
fn happenings(id: DossierId, past: Past, parts: Vec<Part>) -> Vec<Happening> {
    let Past {
        events,
        joined,
        records,
        decisions,
    } = past;
    let times: HashMap<i64, Timestamp> = events.iter().map(|told| (told.seq, told.recorded)).collect();
    let first = events.first().map(|told| told.recorded);
    let mut all = Vec::new();
    let mut made: HashMap<String, (String, String)> = HashMap::new();
    for record in records {
        if let Some(event) = &record.event {
            made.insert(event.clone(), (record.operation.clone(), record.mapping.clone()));
        }
        all.extend(received(record));
    }
    for (told, part) in events.into_iter().zip(parts) {
        let from = made.remove(&told.event.id);
        all.push(merged(id, told, from, part));
    }
    // Joins that older versions made have no place; they were not before the first event.
    all.extend(joined.into_iter().filter_map(|(other, place)| {
        let at = place.and_then(|place| times.get(&place).copied()).or(first)?;
        Some(Happening {
            at,
            what: What::Joined { id: other },
        })
    }));
    all.extend(decisions.into_iter().map(|decision| Happening {
        at: decision.at,
        what: What::Decision {
            by: decision.by,
            verb: decision.verb,
            letter: decision.letter,
            reason: decision.reason,
        },
    }));
    all
}

/// What is to be told of a record beside its event.
fn received(record: PastRecord) -> Option<Happening> {
    let fate = match record.state {
        InboxState::Mapped => return None,
        InboxState::Refused(cause) => RecordFate::Refused {
            cause: cause.for_log(),
        },
        InboxState::Waiting(reason) => RecordFate::Waiting { reason },
        InboxState::Ignored(reason) => RecordFate::Closed { reason },
    };
    Some(Happening {
        at: record.observed,
        what: What::Record(Received {
            id: record.id,
            system: record.adapter,
            operation: record.operation,
            fate,
        }),
    })
}

fn merged(id: DossierId, told: Journaled, from: Option<(String, String)>, part: Part) -> Happening {
    let (operation, mapping) = from.unzip();
    let event = told.event;
    Happening {
        at: told.recorded,
        what: What::Event(Merged {
            seq: told.seq,
            system: event.adapter().to_owned(),
            observed: event.time,
            operation,
            mapping,
            under: (event.data.id != id).then_some(event.data.id),
            id: event.id,
            kind: event.kind,
            part,
        }),
    }
}

fn standing(shared: &Shared, row: &Delivery) -> Standing {
    Standing {
        system: row.adapter.clone(),
        delivery: dossier::delivery(row),
        state: dossier::for_list(shared, &row.state),
        letter: matches!(row.state, DeliveryState::Parked { .. }).then(|| row.letter()),
        attempts: row.attempt,
        failures: row.failures,
        since: shared.steady.on_the_wall(row.created),
        applied: row.applied_at,
    }
}
