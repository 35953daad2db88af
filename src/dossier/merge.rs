//! The dossier as a set of stamped writes, and how two such sets become one.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::canonical;
use super::link::closer;
use super::{DossierId, Entry, Origin, Stamp};

/// A value with the stamp it was written under.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Written<T> {
    /// What was written; `null` is "known to be empty", for an item "deleted".
    pub value: T,
    /// When and by whom.
    pub stamp: Stamp,
    /// Digest of the stamp of what the author had been given here; `None`: it had been given nothing. Two writes of
    /// which neither had seen the other are a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// Without the value, which may be personal.
impl<T> fmt::Debug for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("stamp", &self.stamp)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Written<Value> {
    /// Total order of writes: by stamp. Equal stamps with different content are not made by an honest author, yet must
    /// not make two nodes differ.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.stamp
            .cmp(&other.stamp)
            .then_with(|| canonical(&self.value).cmp(&canonical(&other.value)))
            .then_with(|| self.seen.cmp(&other.seen))
    }

    /// Whether it holds where the other is written too.
    pub(super) fn beats(&self, other: &Self) -> bool {
        self.order(other).is_gt()
    }
}

/// A dossier, or a part of one: a snapshot, a replica and the delta of one event have the same form.
///
/// A state-based CRDT: [`merge`](Dossier::merge) is a join. Serialised it is the data of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dossier {
    /// Follows from the origin; see [`Origin::id`].
    pub id: DossierId,
    /// Where the dossier came into being.
    pub origin: Origin,
    /// System → code → who linked it. Only grows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, BTreeMap<String, Stamp>>,
    /// Register → newest write. Fields of a section are registers with a dotted name: `schedule.due`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registers: BTreeMap<String, Written<Value>>,
    /// List → key → newest write; `null` is a tombstone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<String, BTreeMap<String, Written<Value>>>,
    /// Log → identity of the entry → entry. Only grows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub logs: BTreeMap<String, BTreeMap<String, Entry>>,
}

impl Dossier {
    /// A dossier of which nothing is known but its origin.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            id: origin.id(),
            origin,
            links: BTreeMap::new(),
            registers: BTreeMap::new(),
            items: BTreeMap::new(),
            logs: BTreeMap::new(),
        }
    }

    /// Whether nothing was written: an empty delta is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.registers.is_empty() && self.items.is_empty() && self.logs.is_empty()
    }

    /// Takes in what another part says; returns whether that changed anything.
    ///
    /// A part of another dossier is taken for one that a link has joined with this: the smaller id survives, its origin
    /// with it.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        if (other.id, &other.origin) < (self.id, &self.origin) {
            self.id = other.id;
            self.origin = other.origin.clone();
            changed = true;
        }
        for (system, codes) in &other.links {
            let mine = self.links.entry(system.clone()).or_default();
            changed |= join(mine, codes, |new, old| closer(system, new, old));
        }
        changed |= join(&mut self.registers, &other.registers, Written::beats);
        for (list, items) in &other.items {
            changed |= join(self.items.entry(list.clone()).or_default(), items, Written::beats);
        }
        for (log, entries) in &other.logs {
            changed |= join(self.logs.entry(log.clone()).or_default(), entries, Entry::beats);
        }
        changed
    }

    /// The stamp of everything that has one winner, by path (`schedule.due`, `components/TP01#1`, and `status` for the
    /// entry that holds): what a target has been given once a push of this dossier took effect.
    #[must_use]
    pub fn stamps(&self) -> BTreeMap<String, Stamp> {
        let registers = self
            .registers
            .iter()
            .map(|(name, written)| (name.clone(), written.stamp.clone()));
        let items = self.items.iter().flat_map(|(list, items)| {
            items
                .iter()
                .map(move |(key, written)| (format!("{list}/{key}"), written.stamp.clone()))
        });
        let status = self
            .status()
            .map(|entry| ("status".to_owned(), entry.stamp.clone()));
        registers.chain(items).chain(status).collect()
    }

    /// The part that one system is the source of: what a node answers to a resync, original stamps kept.
    #[must_use]
    pub fn part_of(&self, system: &str) -> Self {
        let mut part = self.clone();
        part.registers.retain(|_, written| written.stamp.source == system);
        for codes in part.links.values_mut() {
            codes.retain(|_, stamp| stamp.source == system);
        }
        for items in part.items.values_mut() {
            items.retain(|_, written| written.stamp.source == system);
        }
        for entries in part.logs.values_mut() {
            entries.retain(|_, entry| entry.system == system);
        }
        part.links.retain(|_, codes| !codes.is_empty());
        part.items.retain(|_, items| !items.is_empty());
        part.logs.retain(|_, entries| !entries.is_empty());
        part
    }

    /// Value of a register; `None` where nothing was said or it is known to be empty.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<&Value> {
        self.registers
            .get(name)
            .map(|written| &written.value)
            .filter(|value| !value.is_null())
    }

    /// Root code of the procedure.
    #[must_use]
    pub fn procedure_code(&self) -> Option<&str> {
        self.register("procedure")?.get("code")?.as_str()
    }

    /// Code of the procedure's sector.
    #[must_use]
    pub fn sector(&self) -> Option<&str> {
        self.register("procedure")?.get("sector")?.get("code")?.as_str()
    }

    /// Administrative level of the procedure: `province`, `district` or `commune`.
    #[must_use]
    pub fn level(&self) -> Option<&str> {
        self.register("procedure")?.get("level")?.as_str()
    }

    /// The entry that gives the dossier its status now: the fold over the legal transitions.
    #[must_use]
    pub fn status(&self) -> Option<&Entry> {
        super::status::fold(self.logs.get("status")?).current
    }
}

/// Joins `new` into `mine`: per key the one that `beats` the other. Returns whether anything changed.
fn join<V: Clone>(
    mine: &mut BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    beats: impl Fn(&V, &V) -> bool,
) -> bool {
    let mut changed = false;
    for (key, value) in new {
        match mine.entry(key.clone()) {
            Slot::Vacant(slot) => {
                slot.insert(value.clone());
                changed = true;
            }
            Slot::Occupied(mut slot) if beats(value, slot.get()) => {
                slot.insert(value.clone());
                changed = true;
            }
            Slot::Occupied(_) => {}
        }
    }
    changed
}
