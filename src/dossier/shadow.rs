//! What a system is believed to hold of one dossier, and the rule by which its statements are stamped.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::content;
use super::stamp::{shift_ms, whole_ms};
use super::state::States;
use super::{Moment, Patch, Stamp};

/// What a system is believed to hold of one dossier: made of what it reported and of what it was given. Kept by the
/// node that hosts the system's adapter, changed in the transaction that stores the delta; never sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shadow {
    /// By register (`schedule.due`), item (`components/TP01#1`) and `status`.
    pub(super) held: BTreeMap<String, Held>,
    /// The states that the system said the dossier had.
    pub(super) states: States,
    /// What the system told that is never taken back: `status/IDENTITY`, `progress/IDENTITY`, `links/SYSTEM/CODE`.
    told: BTreeSet<String>,
    /// What pushes under way will make the system report: intent → path → hash.
    pending: BTreeMap<String, BTreeMap<String, String>>,
}

/// One register as a system is believed to hold it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Held {
    /// Hash of the value, as the system's own inbound mapping yields it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    /// End of the newest native time under which the system stated it, by its own clock: it may lie in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<Timestamp>,
    /// Effective time of that statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effective: Option<Timestamp>,
    /// Stamp of what it was last given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) given: Option<Stamp>,
}

/// The times that stamps of one record are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// End of the native time's precision; `None` where the system gave no time.
    pub(super) native: Option<Timestamp>,
    /// When the record was seen.
    pub(super) observed: Timestamp,
    /// The dossier's receipt, or the Unix epoch where it is not known. Never "now": who does not say when must not beat
    /// who does.
    pub(super) receipt: Timestamp,
}

impl Times {
    /// The same times for a statement with its own native time, where it has one.
    pub(super) fn at(self, stated: Option<Moment>) -> Self {
        let native = stated.map(|at| {
            let end = whole_ms(at.end());
            if at.is_plausible(self.observed) {
                end
            } else {
                self.observed
            }
        });
        Self {
            native: native.or(self.native),
            ..self
        }
    }

    /// The statement's own time: never later than it was seen.
    pub(super) fn own(&self) -> Timestamp {
        self.native.unwrap_or(self.receipt).min(self.observed)
    }
}

impl Held {
    /// Takes a statement of the system: its effective time, or `None` where it says nothing new.
    ///
    /// `effective = max(own, given + 1 ms)`: who writes after having been given a value beats it, however slow the clock.
    /// Of two statements of one system the natively newer one stands higher, also where a fast clock was cut off and the
    /// older one came in later. A late statement is not lifted.
    pub(super) fn takes(&mut self, hash: &str, pending: bool, times: Times) -> Option<Timestamp> {
        let echo = pending || self.hash.as_deref() == Some(hash);
        let given = self.given.as_ref().map(|stamp| stamp.effective);
        if self.is_late(times.native) {
            let below = self
                .effective
                .map_or(Timestamp::MAX, |effective| shift_ms(effective, -1));
            return (!echo).then(|| times.own().min(below));
        }
        let newer = self.said < times.native;
        self.said = self.said.max(times.native);
        if echo {
            // what it confirms is what it was given: a late statement must stay below that
            self.effective = self.effective.max(given);
            return None;
        }
        let after_given = given.map(|given| shift_ms(given, 1));
        let after_said = self.effective.map(|said| {
            if newer || times.native.is_none() {
                shift_ms(said, 1)
            } else {
                said
            }
        });
        let floor = after_given.max(after_said);
        let effective = match times.native {
            Some(_) => floor.map_or(times.own(), |floor| floor.max(times.own())),
            None => floor.unwrap_or(times.own()),
        };
        self.hash = Some(hash.to_owned());
        self.effective = Some(effective);
        Some(effective)
    }

    /// Whether a native time is older than the system's newest statement here.
    pub(super) fn is_late(&self, native: Option<Timestamp>) -> bool {
        matches!((native, self.said), (Some(native), Some(said)) if native < said)
    }
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

    /// Notes something that is never taken back; returns whether the system tells it for the first time.
    pub(super) fn is_new(&mut self, path: String) -> bool {
        self.told.insert(path)
    }

    pub(super) fn was_told(&self, path: &str) -> bool {
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

    pub(super) fn is_pending(&self, path: &str, hash: &str) -> bool {
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
