//! What a system is believed to hold of one dossier.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::content;
use super::held::{Held, Times};
use super::state::States;
use super::{Entry, Patch, Stamp};

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
    /// What pushes under way will make the system report: intent → path → hash.
    pending: BTreeMap<String, BTreeMap<String, String>>,
}

impl Shadow {
    /// Notes that a push took effect: the system has now been given these registers, items and status under these
    /// stamps (from [`Dossier::stamps`](super::Dossier::stamps), without what the push does not carry).
    pub fn give(&mut self, stamps: &BTreeMap<String, Stamp>) {
        for (path, stamp) in stamps {
            let held = self.held.entry(path.clone()).or_default();
            if held.given.as_ref().is_none_or(|given| given < stamp) {
                held.given = Some(stamp.clone());
            }
        }
    }

    /// Notes, with the intent of a push, what the system will report once it took effect: until the intent is settled
    /// such a report is an echo.
    pub fn intend(&mut self, intent: &str, echo: &Patch) {
        self.pending.insert(intent.to_owned(), hashes(echo));
    }

    /// Settles an intent. If the push took effect, the system now holds what it will report.
    pub fn settle(&mut self, intent: &str, took_effect: bool) {
        let echo = self.pending.remove(intent).unwrap_or_default();
        if took_effect {
            for (path, hash) in echo {
                self.held.entry(path).or_default().hash = Some(hash);
            }
        }
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
        let pending = self.is_pending(path, &hash);
        let held = self.held.entry(path.to_owned()).or_default();
        let effective = held.takes(&hash, pending, times)?;
        Some((effective, held.given.as_ref().map(Stamp::digest)))
    }

    /// Takes a report of the dossier's state: the entries that it makes, stamped.
    pub(super) fn state(&mut self, entry: Entry, times: Times) -> Vec<Entry> {
        let path = |entry: &Entry| format!("status/{}", entry.identity());
        if entry.at.is_some() && self.was_told(&path(&entry)) {
            return Vec::new();
        }
        let pending = self.is_pending("status", &content(&entry.value.as_str().into()));
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

    fn is_pending(&self, path: &str, hash: &str) -> bool {
        self.pending
            .values()
            .any(|echo| echo.get(path).is_some_and(|pending| pending == hash))
    }
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
