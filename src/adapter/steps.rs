//! `steps`: a target that takes actions, not states, is led where it should be one action at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::call::{Call, Kind};
use super::push::{Native, Push, hash};
use super::settings::Settings;
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::jq::{Filter, Scope};
use crate::read::{ANY, Table, nearest};

/// The actions of a target, and how the next one is chosen.
#[derive(Debug, Clone)]
pub struct Steps {
    calls: BTreeMap<String, Call>,
    next: Filter,
    state: Option<Filter>,
    settings: Settings,
    /// `push.NAME`.
    place: String,
}

/// The next call: one of the push's actions, and what it is to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name: `[push.X.step.NAME]`.
    pub step: String,
    /// Its record. There is no key; the hash covers step and record.
    pub native: Native,
}

impl Steps {
    /// Reads `steps`, `state` and `[push.X.step.NAME]`. `variables`: what the calls see, beside `$remote`.
    pub(super) fn read(
        table: &Table<'_>,
        wire: &Arc<Wire>,
        workshop: &Workshop<'_>,
        variables: &[&'static str],
    ) -> Option<Self> {
        table.demand(&[(
            "step",
            "[push.NAME.step.ACTION]: a call for each action that `steps` can name",
        )]);
        let mapping = |key| {
            table
                .get(key)
                .and_then(|value| workshop.filter(&value, Sight::Mapping, &["settings", "system", "dossier"]))
        };
        let (next, state) = (mapping("steps"), mapping("state"));
        let kind = Kind {
            writes: true,
            idempotent: false,
            records: false,
            variables: variables.iter().copied().chain(["remote"]).collect(),
        };
        let written = table.get("step").and_then(|value| value.table(ANY));
        let mut calls = BTreeMap::new();
        for (name, value) in written.iter().flat_map(Table::entries) {
            let call = value
                .table(Push::UPDATE)
                .and_then(|table| Call::read(&table, &kind, wire, workshop));
            calls.extend(call.map(|call| (name.to_owned(), call)));
        }
        Some(Self {
            calls,
            next: next?,
            state,
            settings: wire.settings.clone(),
            place: table.path().to_owned(),
        })
    }

    /// The call of this step.
    #[must_use]
    pub fn call(&self, step: &str) -> Option<&Call> {
        self.calls.get(step)
    }

    /// Every call.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// Names of the steps.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.calls.keys().map(String::as_str)
    }

    /// The state of the target, from the record that `find` has shown, or without a find from the record of the last
    /// step that was acknowledged; that record itself where the manifest has no `state`. Null (nothing was shown or
    /// acknowledged yet) stays null.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn state(&self, shown: &Json, dossier: &Json) -> Result<Json, Fault> {
        match &self.state {
            Some(state) if !shown.is_null() => state.one(shown, &self.scope(dossier)).map_err(super::fault),
            _ => Ok(shown.clone()),
        }
    }

    /// The next call for a target in `state`; `None`: it is where it should be. Of several the first.
    ///
    /// # Errors
    /// The fault of the jq; `bad-step` for what is no `{step, record}`, `step-unknown` for an action without a call.
    pub fn next(&self, state: &Json, dossier: &Json) -> Result<Option<Step>, Fault> {
        let named = self.next.all(state, &self.scope(dossier)).map_err(super::fault)?;
        let Some(named) = named.into_iter().next().filter(|named| !named.is_null()) else {
            return Ok(None);
        };
        let (step, record) = parts(named).ok_or_else(|| {
            self.fault("bad-step")
                .found("something else")
                .expected("an object of `step`, the name of an action, and `record`, what it is to send")
                .remedy("write {step: \"NAME\", record: …} in the jq")
        })?;
        if !self.calls.contains_key(&step) {
            return Err(self.unknown(&step));
        }
        let native = Native {
            hash: hash(&json!({"step": step, "record": record})),
            record,
            key: None,
            item: None,
            step: Some(step.clone()),
        };
        Ok(Some(Step { step, native }))
    }

    fn unknown(&self, step: &str) -> Fault {
        let known: Vec<_> = self.names().collect();
        let fault = self.fault("step-unknown").found(format!("{step:?}"));
        match nearest(step, &known) {
            Some(near) => fault.expected(format!("\"{near}\"")).remedy("correct the name"),
            None => fault
                .expected(format!("one of: {}", known.join(", ")))
                .remedy(format!("add [{}.step.{step}], or correct the name", self.place)),
        }
    }

    fn fault(&self, code: &str) -> Fault {
        Fault::new(code)
            .file("adapter.toml")
            .field(format!("{}.steps", self.place))
    }

    fn scope(&self, dossier: &Json) -> Scope {
        self.settings.mapping().with("dossier", dossier)
    }
}

/// Step and record of what the jq gave: these two and nothing else.
fn parts(named: Json) -> Option<(String, Json)> {
    let Json::Object(mut named) = named else {
        return None;
    };
    let (step, record) = (named.remove("step"), named.remove("record"));
    match (step, record) {
        (Some(Json::String(step)), Some(record)) if named.is_empty() => Some((step, record)),
        _ => None,
    }
}
