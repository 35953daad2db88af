//! What the bus says to itself and to strangers: CloudEvents 1.0 whose data is a partial dossier.
//!
//! The data of an event *is* a [`Dossier`] that holds only what was written, so that merging an event, a snapshot or
//! a whole dossier is one operation. `id` is unique in the province: the hybrid logical clock never gives a store the
//! same reading twice, and the store's id stands beside it. The bus never filters on the type; it informs strangers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::dossier::{Dossier, Hlc, schema};
use crate::fault::Fault;

/// One event, in the JSON form in which it is stored; over AMQP the same attributes travel as headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: String,
    /// Unique in the province: `<hlc>@<store id>`.
    pub id: String,
    /// `/<store id>/<adapter>`: who says it.
    pub source: String,
    /// What it mainly tells (see [`Dossier::event_type`]).
    #[serde(rename = "type")]
    pub kind: String,
    /// The dossier's code, or its id while it has no official code.
    pub subject: String,
    /// When the record was observed, UTC.
    pub time: Timestamp,
    /// Name and version of the schema that `data` is valid against (`schemas/events/`).
    pub dataschema: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The author's hybrid logical clock.
    pub hlc: Hlc,
    /// What was written.
    pub data: Dossier,
}

impl Event {
    /// The event by which `adapter`, hosted by the store `store_id`, says `data`; `born`: the dossier comes into being
    /// with it. `subject` is the code by which people know the dossier, where there is one.
    #[must_use]
    pub fn new(
        store_id: &str,
        adapter: &str,
        subject: Option<&str>,
        time: Timestamp,
        hlc: Hlc,
        data: Dossier,
        born: bool,
    ) -> Self {
        let kind = data.event_type(born);
        Self {
            specversion: "1.0".to_owned(),
            id: format!("{hlc}@{store_id}"),
            source: format!("/{store_id}/{adapter}"),
            kind: kind.to_owned(),
            subject: subject.map_or_else(|| data.id.to_string(), str::to_owned),
            time,
            dataschema: schema::event(kind).map_or_else(String::new, |schema| schema.uri.clone()),
            datacontenttype: "application/json".to_owned(),
            hlc,
            data,
        }
    }

    /// What is wrong with the data by its published schema. What we say ourselves is checked before it is stored.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        match schema::event(&self.kind) {
            Some(schema) => schema::faults(&schema.validator, &json!(self.data)),
            None => vec![Fault::new("unknown-event-type").field("type").found(&self.kind)],
        }
    }

    /// The store that says it: the first part of `source`.
    #[must_use]
    pub fn store_id(&self) -> &str {
        self.source.split('/').nth(1).unwrap_or_default()
    }

    /// The adapter that says it: the last part of `source`.
    #[must_use]
    pub fn adapter(&self) -> &str {
        self.source.rsplit('/').next().unwrap_or_default()
    }
}
