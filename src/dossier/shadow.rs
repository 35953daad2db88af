//! What a system is believed to hold of one dossier.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::content;
use super::held::{Held, Times};
use super::state::States;
use super::{Entry, Moment, Patch, Stamp, fold_text};

/// What a system is believed to hold of one dossier: made of what it reported and of what it was given. Kept by the
/// node that hosts the system's adapter, changed in the transaction that stores the delta; never sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shadow {
    /// By register (`schedule.due`), item (`components/TP01#1`) and `status`.
    held: BTreeMap<String, Held>,
    /// The states that the system said the dossier had.
    pub(super) states: States,
    /// What the system told that is never taken back: `status/IDENTITY`, `progress/IDENTITY`, `links/SYSTEM/CODE`.
    told: BTreeSet<String>,
    /// What pushes under way will make the system report, by the name of their intent.
    pending: BTreeMap<String, Echo>,
    /// Entries that the system was given and has not reported yet.
    owed: Vec<Owed>,
}

/// How many entries that a system never reports are remembered.
const OWED: usize = 64;

/// What a system will report of a push once that took effect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Echo {
    /// Hash by path: registers, items, `status` where it is a state.
    held: BTreeMap<String, String>,
    /// Entries of logs.
    entries: Vec<Owed>,
    /// Under which stamps the dossier holds what the push carries.
    stamps: BTreeMap<String, Stamp>,
    /// The same was sent before, and nobody knows whether that took effect.
    repeated: bool,
}

/// An entry as a system will report it: its time and officer may be its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Owed {
    log: String,
    value: String,
    /// Folded.
    note: String,
}

impl Owed {
    fn new(log: &str, value: &str, note: Option<&str>) -> Self {
        Self {
            log: log.to_owned(),
            value: value.to_owned(),
            note: fold_text(note.unwrap_or_default()),
        }
    }
}

impl Shadow {
    /// Notes that a push took effect: the system has now been given these registers, items and status under these
    /// stamps (from [`Dossier::stamps`](super::Dossier::stamps), without what the push does not carry).
    pub fn give(&mut self, stamps: &BTreeMap<String, Stamp>) {
        for (path, stamp) in stamps {
            self.held.entry(path.clone()).or_default().give(stamp.clone());
        }
    }

    /// Notes, with the intent of a push, what the system will report once it took effect: until the intent is settled
    /// such a report is an echo. Of `stamps`, those are kept that the echo speaks of.
    pub fn intend(&mut self, intent: &str, echo: &Patch, stamps: &BTreeMap<String, Stamp>) {
        let held = hashes(echo);
        let entries = echo.history.iter().flat_map(|(log, entries)| {
            entries
                .iter()
                .map(move |entry| Owed::new(log, &entry.value, entry.note.as_deref()))
        });
        let entries: Vec<Owed> = entries.collect();
        let carried = |path: &str| {
            held.contains_key(path) || (path == "status" && entries.iter().any(|entry| entry.log == path))
        };
        let stamps = stamps
            .iter()
            .filter(|(path, _)| carried(path))
            .map(|(path, stamp)| (path.clone(), stamp.clone()))
            .collect();
        let echo = Echo {
            held,
            entries,
            stamps,
            repeated: self.pending.contains_key(intent),
        };
        self.pending.insert(intent.to_owned(), echo);
    }

    /// Settles an intent at a time of the system's world. If the push took effect, the system has been given what it
    /// carried and holds what it will report. `None`: nobody knows, and nobody will ask any more, as another push takes
    /// its place; should it have taken effect, its report says nothing new all the same. A repetition that took no effect
    /// says nothing of the call that it repeats.
    pub fn settle(&mut self, intent: &str, took_effect: Option<bool>, at: Timestamp) {
        let Some(echo) = self.pending.remove(intent) else {
            return;
        };
        match took_effect {
            Some(true) => {
                for (path, hash) in echo.held {
                    self.held.entry(path).or_default().is_given(hash, at);
                }
                self.give(&echo.stamps);
                self.owed.extend(echo.entries);
                let excess = self.owed.len().saturating_sub(OWED);
                self.owed.drain(..excess);
            }
            Some(false) if echo.repeated => {
                self.pending.insert(intent.to_owned(), echo);
            }
            Some(false) => {}
            None => {
                for (path, hash) in echo.held {
                    self.held.entry(path).or_default().was_given(hash, at);
                }
            }
        }
    }

    /// Whether the system already reports, and no push under way is to change, all that it would report of a push with
    /// this echo. Of entries of logs, which it keeps for ever, this says nothing.
    #[must_use]
    pub fn holds(&self, echo: &Patch) -> bool {
        hashes(echo).iter().all(|(path, hash)| {
            let held = self.held.get(path).and_then(|held| held.hash.as_ref());
            held == Some(hash) && !self.pending.values().any(|echo| echo.held.contains_key(path))
        })
    }

    /// Takes in what was kept of the system under another id of the same dossier; what both say stays as it is here.
    pub fn absorb(&mut self, other: Self) {
        for (path, held) in other.held {
            self.held.entry(path).or_insert(held);
        }
        if self.states == States::default() {
            self.states = other.states;
        }
        self.told.extend(other.told);
        for (intent, echo) in other.pending {
            self.pending.entry(intent).or_insert(echo);
        }
        self.owed.extend(other.owed);
    }

    /// Whether an entry that the system tells for the first time is one that it was given, and not yet told of. Each one
    /// given swallows one told.
    pub(super) fn swallows(&mut self, log: &str, value: &str, note: Option<&str>) -> bool {
        let told = Owed::new(log, value, note);
        let pending = self.pending.values_mut().map(|echo| &mut echo.entries);
        for owed in pending.chain([&mut self.owed]) {
            if let Some(place) = owed.iter().position(|owed| *owed == told) {
                owed.remove(place);
                return true;
            }
        }
        false
    }

    /// Takes a statement on a register or item; `None` where it says nothing new. Gives the effective time and the
    /// digest of what the system had been given.
    pub(super) fn takes(
        &mut self,
        path: &str,
        value: &Value,
        times: Times,
    ) -> Option<(Timestamp, Option<String>)> {
        let hash = content(value);
        let pending = self.is_pending(path, &hash, times);
        let held = self.held.entry(path.to_owned()).or_default();
        let echo = pending || held.is_less(&hash);
        let effective = held.takes(&hash, echo, times)?;
        held.on_day(&hash, day(path, value).as_ref().map(content));
        Some((effective, held.given.as_ref().map(Stamp::digest)))
    }

    /// Takes a report of the dossier's state: the entries that it makes, stamped.
    pub(super) fn state(&mut self, entry: Entry, times: Times) -> Vec<Entry> {
        let path = |entry: &Entry| format!("status/{}", entry.identity());
        if entry.at.is_some() && self.was_told(&path(&entry)) {
            return Vec::new();
        }
        let pending = self.is_pending("status", &content(&entry.value.as_str().into()), times);
        let held = self.held.entry("status".to_owned()).or_default();
        let mut made = self.states.take(entry, held, pending, times);
        made.retain(|entry| self.is_new(path(entry)));
        made
    }

    /// Notes something that is never taken back; returns whether the system tells it for the first time.
    pub(super) fn is_new(&mut self, path: String) -> bool {
        self.told.insert(path)
    }

    fn was_told(&self, path: &str) -> bool {
        self.told.contains(path)
    }

    /// Keys of the items of a list that the system is believed to have.
    pub(super) fn items(&self, list: &str) -> Vec<String> {
        let gone = content(&Value::Null);
        let held = self
            .held
            .iter()
            .filter(|(_, held)| held.hash.as_ref().is_some_and(|hash| *hash != gone));
        held.filter_map(|(path, _)| path.strip_prefix(list)?.strip_prefix('/').map(str::to_owned))
            .collect()
    }

    /// Whether a push under way makes the system report this. If it reports it now and did not before, the push took
    /// effect here, whatever its answer will be: what its officers write from now on is written over that.
    fn is_pending(&mut self, path: &str, hash: &str, times: Times) -> bool {
        let mut pending = self.pending.values_mut();
        let Some(echo) = pending.find(|echo| echo.held.get(path).is_some_and(|pending| pending == hash))
        else {
            return false;
        };
        let held = self.held.entry(path.to_owned()).or_default();
        if held.hash.as_deref() != Some(hash)
            && !held.is_late(times.native)
            && !held.is_overtaken(times)
            && !held.had(hash, times)
        {
            echo.held.remove(path);
            held.is_given(hash.to_owned(), times.observed);
            if let Some(stamp) = echo.stamps.remove(path) {
                held.give(stamp);
            }
        }
        true
    }
}

/// The day of a time of the schedule that is stated with its hour.
fn day(path: &str, value: &Value) -> Option<Value> {
    let stated = path.strip_prefix("schedule.").and_then(|_| Moment::of(value));
    Some(stated?.day()?.to_string().into())
}

/// What a patch says, as hashes by path.
fn hashes(patch: &Patch) -> BTreeMap<String, String> {
    let registers = patch
        .registers
        .iter()
        .map(|(name, value)| (name.clone(), content(value)));
    let items = patch.items.iter().flat_map(|(list, items)| {
        items
            .iter()
            .map(move |(key, value)| (format!("{list}/{key}"), content(value)))
    });
    let state = patch
        .state
        .iter()
        .map(|state| ("status".to_owned(), content(&state.value.as_str().into())));
    registers.chain(items).chain(state).collect()
}
