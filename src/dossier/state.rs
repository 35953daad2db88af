//! The states that a system says a dossier has, one at a time, as entries of the status log.
//!
//! A system that is asked again and again says the same state again and again: that is no news. But reports may come in
//! any order, and a late one may show that the state had changed and changed back in between. So the system's reports
//! are kept in its own order of time, and each run of the same state in them has an entry in the log: one for the run,
//! and one for each kind (`sent_back`, `revoked`) that a report of it gives, because a kind can make legal what is not
//! legal without it.
//!
//! Reports that made no entry are kept too, those in the middle of a run included: two late reports on both sides of
//! one make it a run of its own, and the step that it tells may be what makes the next one legal. Only of a run that
//! grows beyond [`KEPT`] such reports the oldest of its middle are forgotten.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Entry;
use super::hash::content;
use super::held::{Held, Times};
use super::stamp::shift_ms;

/// How many reports in the middle of a run are kept although no entry tells of them. A bound, because a system that
/// states the time of each poll as that of its record would make the shadow grow without end.
pub(super) const KEPT: usize = 16;

/// The states of one system in its own order of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct States(Vec<State>);

/// One report of a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    /// End of its native time.
    end: Timestamp,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    told: Told,
}

/// What tells of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// The entry that it made: identity and effective time.
    Written(String, Timestamp),
    /// Another system's entry: this system reports what it was given. Effective time of what it holds with it.
    Given(Option<Timestamp>),
    /// Another report of its run. The entry that it would make.
    Not(Box<Entry>),
}

impl States {
    /// Takes a report: the entries that it makes, stamped. Usually none or one; a late report can bring up others that
    /// were known and had said nothing new.
    pub(super) fn take(
        &mut self,
        mut entry: Entry,
        held: &mut Held,
        pending: bool,
        times: Times,
    ) -> Vec<Entry> {
        if held.is_overtaken(times) {
            return Vec::new();
        }
        let states = &mut self.0;
        let hash = content(&entry.value.as_str().into());
        let last = states.last().map(|last| last.end);
        let end = times.native.or(last).unwrap_or(Timestamp::MIN);
        let index = states.partition_point(|state| state.end <= end);
        if entry.at.is_none() {
            entry.after = states.iter().take(index).rev().find_map(State::written);
        }
        // what it counts from if it is brought up by another record: that one may have been seen earlier
        entry.stamp.effective = end.min(times.observed);
        let before = index.checked_sub(1).and_then(|before| states.get(before));
        let again = before.is_some_and(|before| before.value == entry.value);
        let mut state = State {
            end,
            value: entry.value.clone(),
            kind: entry.kind.clone(),
            told: Told::Not(Box::new(entry)),
        };
        let repeats = before.is_some_and(|before| before.says_the_same(&state));
        let mut made = Vec::new();
        if index == states.len() && !held.is_late(times.native) {
            if let Some(effective) = held.takes(&hash, pending, times) {
                made.extend(state.write(effective));
            } else if !again {
                state.told = Told::Given(held.effective);
            }
        } else if held.had_as_given(&hash, times) {
            state.told = Told::Given(None);
        }
        if !repeats || !state.is_untold() {
            states.insert(index, state);
        }
        made.extend(self.bring_up(held));
        self.forget();
        made
    }

    /// Makes the entries that are missing.
    fn bring_up(&mut self, held: &mut Held) -> Vec<Entry> {
        let mut made = Vec::new();
        // from the end, so that each can be kept below what follows it
        for index in self.missing().into_iter().rev() {
            let Some([state, later @ ..]) = self.0.get_mut(index..) else {
                continue;
            };
            let Told::Not(entry) = &state.told else { continue };
            let own = entry.stamp.effective;
            let effective = if later.iter().all(State::is_untold) {
                let newest = held.effective.map_or(own, |said| own.max(shift_ms(said, 1)));
                held.effective = Some(newest);
                newest
            } else {
                let next = later.iter().find_map(State::effective);
                next.map_or(own, |next| own.min(shift_ms(next, -1)))
            };
            made.extend(state.write(effective));
        }
        made
    }

    /// Indexes of the reports that need an entry of their own, in order: the first of a run of which nothing tells, and
    /// the first of each kind that no entry of its run has.
    fn missing(&self) -> Vec<usize> {
        let mut missing = Vec::new();
        let mut start = 0;
        for run in self.runs() {
            let given = run.iter().any(|state| matches!(state.told, Told::Given(_)));
            let mut told = run.iter().any(|state| !state.is_untold());
            let mut kinds: Vec<_> = run
                .iter()
                .filter(|state| !state.is_untold())
                .map(State::kind)
                .collect();
            for (place, state) in run.iter().enumerate().filter(|_| !given) {
                if !told || (state.kind.is_some() && !kinds.contains(&state.kind())) {
                    missing.push(start + place);
                    kinds.push(state.kind());
                    told = true;
                }
            }
            start += run.len();
        }
        missing
    }

    /// Forgets what a run has too much of: see [`KEPT`].
    fn forget(&mut self) {
        let mut kept = Vec::with_capacity(self.0.len());
        for run in self.runs() {
            let inner = 1..run.len().saturating_sub(1);
            let untold = |place: &usize| run.get(*place).is_some_and(State::is_untold);
            let mut excess = inner.clone().filter(untold).count().saturating_sub(KEPT);
            for place in 0..run.len() {
                let forgotten = excess > 0 && inner.contains(&place) && untold(&place);
                excess -= usize::from(forgotten);
                kept.push(!forgotten);
            }
        }
        let mut kept = kept.into_iter();
        self.0.retain(|_| kept.next().unwrap_or(true));
    }

    /// Neighbours that say the same state.
    fn runs(&self) -> impl Iterator<Item = &[State]> {
        self.0.chunk_by(|one, next| one.value == next.value)
    }
}

impl State {
    fn is_untold(&self) -> bool {
        matches!(self.told, Told::Not(_))
    }

    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Identity of the entry that it made.
    fn written(&self) -> Option<String> {
        match &self.told {
            Told::Written(id, _) => Some(id.clone()),
            Told::Given(_) | Told::Not(_) => None,
        }
    }

    /// Effective time of what tells of it.
    fn effective(&self) -> Option<Timestamp> {
        match self.told {
            Told::Written(_, effective) => Some(effective),
            Told::Given(effective) => effective,
            Told::Not(_) => None,
        }
    }

    /// Whether the other report adds nothing to this one: a record that was read twice.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.end, &self.value, &self.kind) == (other.end, &other.value, &other.kind)
    }

    /// Makes the entry, counting from this time; none where something tells of the report already.
    fn write(&mut self, effective: Timestamp) -> Option<Entry> {
        let Told::Not(entry) = &self.told else { return None };
        let mut entry = (**entry).clone();
        entry.stamp.effective = effective;
        entry.seal();
        self.told = Told::Written(entry.identity(), effective);
        Some(entry)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
