//! The states that a system says a dossier has, one at a time, as entries of the status log.
//!
//! A system that is asked again and again says the same state again and again: that is no news. But reports may come in
//! any order, and a late one may show that the state had changed and changed back in between. So the system's own
//! sequence is kept, and each run of the same state in it has an entry in the log.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Entry;
use super::hash::content;
use super::held::{Held, Times};
use super::stamp::shift_ms;

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
    /// The entry it would make, where none was needed: the system had said the same before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unwritten: Option<Box<Entry>>,
    /// Identity and effective time of the entry it made. A report of what the system was given has made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<(String, Timestamp)>,
}

impl States {
    /// Takes a report: the entries that it makes, stamped. Usually none or one; a late report can bring up the one that
    /// followed it.
    pub(super) fn take(
        &mut self,
        mut entry: Entry,
        held: &mut Held,
        pending: bool,
        times: Times,
    ) -> Vec<Entry> {
        let hash = content(&entry.value.as_str().into());
        let states = &mut self.0;
        let end = times
            .native
            .or(states.last().map(|last| last.end))
            .unwrap_or(Timestamp::MIN);
        let index = states.partition_point(|state| state.end <= end);
        let before = states.get(index.wrapping_sub(1));
        if entry.at.is_none() {
            let earlier = states.iter().take(index).rev();
            entry.after = earlier
                .filter_map(|state| state.written.as_ref())
                .map(|(id, _)| id.clone())
                .next();
        }
        let again = before.is_some_and(|before| before.value == entry.value);
        let mut state = State {
            end,
            value: entry.value.clone(),
            unwritten: Some(Box::new(entry)),
            written: None,
        };
        let mut made = Vec::new();
        if index < states.len() || held.is_late(times.native) {
            states.insert(index, state);
        } else if let Some(effective) = held.takes(&hash, pending, times) {
            made.extend(state.write(effective));
            states.push(state);
        } else {
            if !again {
                // the state it was given: another system's entry says so
                state.unwritten = None;
            }
            states.push(state);
        }
        // from the end, so that each can be kept below what follows it
        for first in self.unwritten_runs() {
            let states = &mut self.0;
            let below = states
                .iter()
                .skip(first + 1)
                .find_map(|state| Some(shift_ms(state.written.as_ref()?.1, -1)));
            let own = states[first].end.min(times.observed);
            let effective = match below {
                Some(below) => own.min(below),
                None => held.effective.map_or(own, |said| own.max(shift_ms(said, 1))),
            };
            if below.is_none() {
                held.effective = Some(effective);
            }
            made.extend(states[first].write(effective));
        }
        self.prune();
        made
    }

    /// Index of the first report of each run of the same state of which no entry tells, the last run first.
    fn unwritten_runs(&self) -> Vec<usize> {
        let mut runs = Vec::new();
        let mut first = 0;
        for run in self.0.chunk_by(|one, two| one.value == two.value) {
            if run.iter().all(|state| state.unwritten.is_some()) {
                runs.push(first);
            }
            first += run.len();
        }
        runs.reverse();
        runs
    }

    /// Forgets reports in the middle of a run: only its ends can become ends of new runs.
    fn prune(&mut self) {
        let states = &self.0;
        let same = |one: usize, two: usize| {
            states.get(one).map(|state| &state.value) == states.get(two).map(|state| &state.value)
        };
        let kept = (0..states.len()).map(|index| {
            let inner =
                index > 0 && index + 1 < states.len() && same(index - 1, index) && same(index, index + 1);
            !(inner && states[index].unwritten.is_some())
        });
        let mut kept = kept.collect::<Vec<_>>().into_iter();
        self.0.retain(|_| kept.next().unwrap_or(true));
    }
}

impl State {
    /// Makes the entry, counting from this time.
    fn write(&mut self, effective: Timestamp) -> Option<Entry> {
        let mut entry = *self.unwritten.take()?;
        entry.stamp.effective = effective;
        entry.seal();
        self.written = Some((entry.identity(), effective));
        Some(entry)
    }
}
