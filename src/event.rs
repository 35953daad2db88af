//! What the bus says to itself and to strangers: CloudEvents 1.0 whose data is a partial dossier.
//!
//! The data of an event *is* a [`Dossier`] that holds only what was written, so that merging an event, a snapshot or
//! a whole dossier is one operation. `id` is unique in the province: the hybrid logical clock never gives a store the
//! same reading twice, and the store's id stands beside it. The bus never filters on the type; it informs strangers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dossier::{Dossier, Hlc};

/// Version of the data's schema, named in every event (`schemas/events/`).
pub const DATA_SCHEMA: &str = "urn:lienthong:schema:dossier-event:1";

/// What an event mainly tells, for those who only listen (`vn.lienthong.dossier.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// A dossier came into being.
    #[serde(rename = "vn.lienthong.dossier.received")]
    Received,
    /// A result was issued or changed.
    #[serde(rename = "vn.lienthong.dossier.result-issued")]
    ResultIssued,
    /// The status log gained an entry.
    #[serde(rename = "vn.lienthong.dossier.status-changed")]
    StatusChanged,
    /// The population database was asked about the applicant.
    #[serde(rename = "vn.lienthong.dossier.identity-checked")]
    IdentityChecked,
    /// Anything else was written.
    #[serde(rename = "vn.lienthong.dossier.updated")]
    Updated,
    /// Another system's code for the dossier became known, and nothing else.
    #[serde(rename = "vn.lienthong.dossier.linked")]
    Linked,
}

impl EventType {
    /// The type that says most about `delta`; `born` where it is the dossier's first event.
    #[must_use]
    pub fn of(delta: &Dossier, born: bool) -> Self {
        if born {
            Self::Received
        } else if delta.items.contains_key("results") {
            Self::ResultIssued
        } else if delta.logs.contains_key("status") {
            Self::StatusChanged
        } else if delta.registers.contains_key("identity") {
            Self::IdentityChecked
        } else if delta.registers.is_empty() && delta.items.is_empty() && delta.logs.is_empty() {
            Self::Linked
        } else {
            Self::Updated
        }
    }
}

/// One event, in the JSON form in which it is stored; over AMQP the same attributes travel as headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: String,
    /// Unique in the province: `<hlc>@<store id>`.
    pub id: String,
    /// `/<store id>/<adapter>`: who says it.
    pub source: String,
    /// What it mainly tells.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The dossier's code, or its id while it has no official code.
    pub subject: String,
    /// When the record was observed, UTC.
    pub time: Timestamp,
    /// [`DATA_SCHEMA`].
    pub dataschema: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The author's hybrid logical clock.
    pub hlc: Hlc,
    /// What was written.
    pub data: Dossier,
}

impl Event {
    /// The event by which `adapter`, hosted by the store `store_id`, says `delta`.
    ///
    /// `subject` is the code by which people know the dossier, where there is one.
    #[must_use]
    pub fn new(
        store_id: &str,
        adapter: &str,
        subject: Option<&str>,
        time: Timestamp,
        hlc: Hlc,
        kind: EventType,
        data: Dossier,
    ) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id: format!("{hlc}@{store_id}"),
            source: format!("/{store_id}/{adapter}"),
            kind,
            subject: subject.map_or_else(|| data.id.to_string(), str::to_owned),
            time,
            dataschema: DATA_SCHEMA.to_owned(),
            datacontenttype: "application/json".to_owned(),
            hlc,
            data,
        }
    }

    /// The adapter that says it: the last part of `source`.
    #[must_use]
    pub fn adapter(&self) -> &str {
        self.source.rsplit('/').next().unwrap_or_default()
    }
}
