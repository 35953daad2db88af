//! What one native record says of a dossier, as an adapter's mapping gave it: checked, normalised, taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use super::id::judge_code;
use super::moment::in_utc;
use super::{ITEMS, Moment, SECTIONS, item, schema};
use crate::fault::Fault;

/// Under which code a record speaks of its dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A dossier code, as the system knows it.
    Code(String),
    /// A code that means something in this system only.
    Native(String),
}

impl Reference {
    /// The code, of whichever kind.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Code(code) | Self::Native(code) => code,
        }
    }
}

/// An entry of a log as a record states it, before it is stamped.
#[derive(Clone, PartialEq)]
pub(super) struct Stated {
    pub(super) value: String,
    pub(super) at: Option<Moment>,
    pub(super) by: Option<String>,
    pub(super) note: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) more: Map<String, Value>,
}

/// A statement about one dossier: only what the record says. An absent register says nothing, `null` says "known to be
/// empty".
#[derive(Clone, PartialEq)]
pub struct Patch {
    reference: Reference,
    links: BTreeMap<String, String>,
    at: Option<Moment>,
    pub(super) registers: BTreeMap<String, Value>,
    /// `null` for an item that the record says is deleted.
    pub(super) items: BTreeMap<String, BTreeMap<String, Value>>,
    pub(super) complete: BTreeSet<String>,
    /// The status given as one value: the state that the system has.
    pub(super) state: Option<Stated>,
    /// Entries given as lists, in the order of time as far as the record tells it.
    pub(super) history: BTreeMap<String, Vec<Stated>>,
}

impl Patch {
    /// Checks a mapping's output against `schemas/dossier.schema.json#/$defs/patch` and takes it apart. All text becomes
    /// NFC; instants become universal time; the number 000000001, which means "unknown", becomes `null`.
    ///
    /// # Errors
    /// All faults at once, each naming its field and never a value: see [`schema::faults`], and `patch-duplicate-item`.
    pub fn parse(value: &Value) -> Result<Self, Vec<Fault>> {
        let value = composed(value);
        let faults = schema::faults(schema::patch(), &value);
        if !faults.is_empty() {
            return Err(faults);
        }
        let Value::Object(mut map) = value else {
            unreachable!("the schema lets only objects pass")
        };
        let mut faults = Vec::new();
        let mut patch = Self {
            reference: reference(map.remove("dossier")),
            links: BTreeMap::new(),
            at: map.remove("at").and_then(|at| Moment::of(&at)),
            registers: BTreeMap::new(),
            items: BTreeMap::new(),
            complete: BTreeSet::new(),
            state: None,
            history: BTreeMap::new(),
        };
        for (name, value) in map {
            match (name.as_str(), value) {
                ("links", Value::Object(links)) => {
                    let links = links.into_iter();
                    patch.links = links
                        .filter_map(|(system, code)| Some((system, text(&code)?)))
                        .collect();
                }
                ("status", Value::Object(entry)) => patch.state = Some(stated(entry)),
                ("status" | "progress", value) => {
                    patch.history.insert(name, history(value));
                }
                (list, Value::Array(items)) if ITEMS.contains(&list) => match item::keyed(list, items) {
                    Ok(items) => {
                        patch.items.insert(name, items);
                    }
                    Err(found) => faults.extend(found),
                },
                ("applicant", Value::Object(parts)) => {
                    for (part, value) in parts {
                        patch
                            .registers
                            .insert(format!("applicant.{part}"), without_dummy(value));
                    }
                }
                (section, Value::Object(fields)) if SECTIONS.contains(&section) => {
                    for (field, value) in fields {
                        let value = if section == "schedule" {
                            in_utc(value)
                        } else {
                            value
                        };
                        patch.registers.insert(format!("{section}.{field}"), value);
                    }
                }
                (_, value) => {
                    patch.registers.insert(name, value);
                }
            }
        }
        faults.extend(judge_code("dossier", patch.reference.code()).err());
        for (system, code) in &patch.links {
            faults.extend(judge_code(&format!("links.{system}"), code).err());
        }
        if faults.is_empty() { Ok(patch) } else { Err(faults) }
    }

    /// Says that the record lists these items completely: what the system was believed to have and the record does not
    /// show is deleted. A list that the record has no word of says nothing, as ever.
    #[must_use]
    pub fn complete(mut self, lists: &[&str]) -> Self {
        let shown = lists.iter().filter(|list| self.items.contains_key(**list));
        self.complete = shown.map(|&list| list.to_owned()).collect();
        self
    }

    /// The code under which the record speaks of its dossier.
    #[must_use]
    pub fn reference(&self) -> Reference {
        self.reference.clone()
    }

    /// The same without that code: the dossier is known, and its system need not have a code for it.
    #[must_use]
    pub fn unnamed(self) -> Self {
        Self {
            reference: Reference::Code(String::new()),
            ..self
        }
    }

    /// Codes of other systems that the record tells: system → code.
    #[must_use]
    pub fn links(&self) -> &BTreeMap<String, String> {
        &self.links
    }

    /// When the record was last changed in its system, as stated.
    #[must_use]
    pub fn at(&self) -> Option<Moment> {
        self.at
    }

    /// Value of a register, where the record states it.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<&Value> {
        self.registers.get(name)
    }

    /// Root code of the procedure, where the record states it.
    #[must_use]
    pub fn procedure_code(&self) -> Option<&str> {
        self.registers.get("procedure")?.get("code")?.as_str()
    }

    /// The dossier's receipt, where the record states it.
    #[must_use]
    pub fn received(&self) -> Option<Moment> {
        self.registers.get("schedule.received").and_then(Moment::of)
    }
}

/// Names only: a patch is full of personal data.
impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patch")
            .field("registers", &self.registers.keys())
            .field("items", &self.items.keys())
            .field("state", &self.state.as_ref().map(|state| &state.value))
            .field("history", &self.history.keys())
            .finish_non_exhaustive()
    }
}

fn reference(value: Option<Value>) -> Reference {
    match value {
        Some(Value::Object(native)) => {
            Reference::Native(native.get("native").and_then(text).unwrap_or_default())
        }
        code => Reference::Code(code.as_ref().and_then(text).unwrap_or_default()),
    }
}

/// The text of a code, trimmed.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| text.trim().to_owned())
}

/// All strings in the composed form of their letters (NFC), names of fields too: a form's fields are named by people.
fn composed(value: &Value) -> Value {
    match value {
        Value::String(text) => text.nfc().collect::<String>().into(),
        Value::Array(list) => list.iter().map(composed).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.nfc().collect::<String>(), composed(value)))
            .collect(),
        other => other.clone(),
    }
}

/// A number that stands for "unknown" in existing systems; it passes their validation and belongs to nobody.
const DUMMY: &str = "000000001";

fn without_dummy(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        for name in ["citizen_id", "old_id", "tax_code", "passport"] {
            if let Some(number) = map.get_mut(name)
                && number.as_str().is_some_and(|number| number.trim() == DUMMY)
            {
                *number = Value::Null;
            }
        }
    }
    value
}

/// Null keys of an entry say nothing: a mapping yields them for fields that were not there.
fn stated(mut entry: Map<String, Value>) -> Stated {
    entry.retain(|_, value| !value.is_null());
    for name in ["started", "due"] {
        if let Some(time) = entry.get_mut(name) {
            *time = in_utc(time.take());
        }
    }
    let at = entry.remove("at").as_ref().and_then(Moment::of);
    let mut take = |name: &str| {
        entry
            .remove(name)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    Stated {
        value: take("value").unwrap_or_default(),
        at,
        by: take("by"),
        note: take("note"),
        kind: take("kind"),
        more: entry,
    }
}

/// Entries in the order of time: as listed, or turned round where the list has its newest entry first.
fn history(value: Value) -> Vec<Stated> {
    let list = match value {
        Value::Array(list) => list,
        entry => vec![entry],
    };
    let mut entries: Vec<_> = list
        .into_iter()
        .filter_map(|entry| match entry {
            Value::Object(entry) => Some(stated(entry)),
            _ => None,
        })
        .collect();
    let mut ends = entries.iter().filter_map(|entry| entry.at).map(Moment::end);
    if let (Some(first), Some(last)) = (ends.next(), ends.next_back())
        && first > last
    {
        entries.reverse();
    }
    entries
}
