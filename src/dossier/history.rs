//! What became of each statement on a dossier: which write holds, which was replaced or came too late, which two were
//! made without knowing of each other, which status entries moved nothing.
//!
//! Derived from the events alone, never stored: whoever has the same events tells the same, but for the places of the
//! events, which are those of the journal that they are read from. Names, codes and statuses only; no other value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::{fold, in_order};
use super::{Dossier, Entry, Moment, Written};

/// The story of a dossier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// What each event told, in the order of the events.
    pub parts: Vec<Part>,
    /// Writes of which neither author knew the other, by path.
    pub conflicts: Vec<Conflict>,
}

/// What one event told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Registers and items, by path.
    pub writes: Vec<Write>,
    /// Entries of logs.
    pub entries: Vec<Told>,
    /// Codes in other systems.
    pub links: Vec<Link>,
}

/// A write of a register or an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// `schedule.due`, `fees/LP01#1`.
    pub path: String,
    /// Since when it counts.
    pub effective: Timestamp,
    /// Whether the item was taken away by it, or the register said to be empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emptied: bool,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a write. Events are named by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It is what the dossier says.
    Holds,
    /// It held until this event came.
    Replaced {
        /// The event.
        by: i64,
    },
    /// It never held: when it came, this event had told something under a greater stamp.
    Lost {
        /// The event.
        to: i64,
    },
    /// This event had told it before.
    Known {
        /// The event.
        from: i64,
    },
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// `status`, `progress`.
    pub log: String,
    /// The status that it speaks of.
    pub value: String,
    /// When it happened, as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// What it does in its log.
    #[serde(flatten)]
    pub standing: Standing,
}

/// What an entry does in its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// It brought the dossier into this status.
    Moves,
    /// It says the status that the dossier had.
    Repeats,
    /// It is not legal where it stands in time and moves nothing.
    Overtaken {
        /// The status that the dossier had then.
        after: Option<String>,
    },
    /// It is one of a log that nothing is folded from.
    Kept,
}

/// A code of the dossier in a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The system.
    pub system: String,
    /// The code.
    pub code: String,
}

/// Two writes of one path, different in value, of which neither author had been given the other. Of the writes that two
/// systems made while they knew nothing of each other, these are the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The path.
    pub path: String,
    /// The write under the smaller stamp.
    pub lesser: Side,
    /// The write under the greater one.
    pub greater: Side,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The system that wrote.
    pub system: String,
    /// Since when the write counts.
    pub effective: Timestamp,
    /// Place of the event that told it.
    pub event: i64,
    /// Whether it is what the dossier says now.
    pub holds: bool,
}

/// A report of the dossier's state that is the newest one and moves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overtaken {
    /// The status that was reported.
    pub value: String,
    /// The system that reported it.
    pub system: String,
    /// When, as stated.
    pub at: Option<Moment>,
}

/// The story that these events tell, in the order of their arrival, each with its place in the journal.
#[must_use]
pub fn history(events: &[(i64, &Dossier)]) -> History {
    let mut lines: BTreeMap<String, Line<'_>> = BTreeMap::new();
    let mut status: BTreeMap<String, Entry> = BTreeMap::new();
    for (place, event) in events {
        for (path, written) in writes(event) {
            lines.entry(path).or_default().take(*place, written);
        }
        for (id, entry) in event.logs.get("status").into_iter().flatten() {
            let known = status.get(id);
            if known.is_none_or(|known| entry.beats(known)) {
                status.insert(id.clone(), entry.clone());
            }
        }
    }
    let standings = standings(&status);
    let parts = events.iter().map(|(place, event)| Part {
        writes: writes(event)
            .map(|(path, written)| Write {
                effective: written.stamp.effective,
                emptied: written.value.is_null(),
                fate: lines[&path].fate(*place, written),
                path,
            })
            .collect(),
        entries: told(event, &standings),
        links: event
            .links
            .iter()
            .flat_map(|(system, codes)| {
                codes.keys().map(|code| Link {
                    system: system.clone(),
                    code: code.clone(),
                })
            })
            .collect(),
    });
    History {
        parts: parts.collect(),
        conflicts: lines
            .iter()
            .flat_map(|(path, line)| line.conflicts(path))
            .collect(),
    }
}

impl Dossier {
    /// The newest report of the state, if it is not legal where it stands: the status shown is an older one.
    #[must_use]
    pub fn overtaken(&self) -> Option<Overtaken> {
        let log = self.logs.get("status")?;
        let (id, newest) = in_order(log).pop()?;
        fold(log).illegal.contains(&id).then(|| Overtaken {
            value: newest.value.clone(),
            system: newest.system.clone(),
            at: newest.at,
        })
    }
}

/// Writes of registers and items, by path.
fn writes(event: &Dossier) -> impl Iterator<Item = (String, &Written<Value>)> {
    let registers = event
        .registers
        .iter()
        .map(|(name, written)| (name.clone(), written));
    let items = event.items.iter().flat_map(|(list, items)| {
        items
            .iter()
            .map(move |(key, written)| (format!("{list}/{key}"), written))
    });
    registers.chain(items)
}

fn told(event: &Dossier, standings: &BTreeMap<String, Standing>) -> Vec<Told> {
    let mut all = Vec::new();
    for (log, entries) in &event.logs {
        for (id, entry) in in_order(entries) {
            let folded = standings.get(id).filter(|_| log == "status");
            all.push(Told {
                log: log.clone(),
                value: entry.value.clone(),
                at: entry.at,
                standing: folded.cloned().unwrap_or(Standing::Kept),
            });
        }
    }
    all
}

/// What each entry of the whole status log does, by its identity.
fn standings(log: &BTreeMap<String, Entry>) -> BTreeMap<String, Standing> {
    let fold = fold(log);
    let mut moved = fold.moved.iter().peekable();
    let mut current: Option<String> = None;
    let mut standings = BTreeMap::new();
    for (id, _) in in_order(log) {
        let standing = if fold.illegal.contains(&id) {
            Standing::Overtaken {
                after: current.clone(),
            }
        } else if fold.repeated.contains(&id) {
            Standing::Repeats
        } else {
            // An entry of which only the day is known may have moved the dossier before one that stands before it.
            if !standings.contains_key(id) {
                for step in moved.by_ref() {
                    standings.insert((*step).to_owned(), Standing::Moves);
                    current = log.get(*step).map(|entry| entry.value.clone());
                    if *step == id {
                        break;
                    }
                }
            }
            Standing::Moves
        };
        standings.insert(id.to_owned(), standing);
    }
    standings
}

/// All writes of one path, in the order of arrival; each once.
#[derive(Default)]
struct Line<'a> {
    writes: Vec<Arrived<'a>>,
    /// Which of them is the greatest.
    greatest: usize,
}

struct Arrived<'a> {
    place: i64,
    written: &'a Written<Value>,
    fate: Fate,
}

/// What a write knows: of each system, how many of its writes in the order of stamps.
type Known<'a> = BTreeMap<&'a str, usize>;

impl<'a> Line<'a> {
    fn take(&mut self, place: i64, written: &'a Written<Value>) {
        if self.find(written).is_some() {
            return;
        }
        let mut fate = Fate::Holds;
        if let Some(holder) = self.writes.get_mut(self.greatest) {
            if written.beats(holder.written) {
                holder.fate = Fate::Replaced { by: place };
                self.greatest = self.writes.len();
            } else {
                fate = Fate::Lost { to: holder.place };
            }
        }
        self.writes.push(Arrived { place, written, fate });
    }

    fn find(&self, written: &Written<Value>) -> Option<&Arrived<'a>> {
        self.writes.iter().find(|arrived| arrived.written == written)
    }

    fn fate(&self, place: i64, written: &Written<Value>) -> Fate {
        match self.find(written) {
            Some(arrived) if arrived.place == place => arrived.fate,
            Some(arrived) => Fate::Known { from: arrived.place },
            None => Fate::Holds,
        }
    }

    /// Pairs of writes by different systems, neither of which knew the other; of each such pair of systems the last.
    fn conflicts(&self, path: &str) -> Vec<Conflict> {
        let mut order: Vec<&Arrived<'_>> = self.writes.iter().collect();
        order.sort_by(|one, two| one.written.order(two.written));
        let known = knowledge(&order);
        let source = |index: usize| order[index].written.stamp.source.as_str();
        // of two, only the greater can have known the other
        let strangers = |lesser: usize, greater: usize| {
            let number = known[lesser].get(source(lesser));
            source(lesser) != source(greater) && known[greater].get(source(lesser)) < number
        };
        let last = |index: usize, system: &str| {
            (0..order.len())
                .rev()
                .find(|&other| source(other) == system && strangers(index.min(other), index.max(other)))
        };
        let mut conflicts = Vec::new();
        for greater in 0..order.len() {
            for lesser in 0..greater {
                let differ = order[lesser].written.stamp.hash != order[greater].written.stamp.hash;
                if differ
                    && strangers(lesser, greater)
                    && last(greater, source(lesser)) == Some(lesser)
                    && last(lesser, source(greater)) == Some(greater)
                {
                    conflicts.push(Conflict {
                        path: path.to_owned(),
                        lesser: order[lesser].side(),
                        greater: order[greater].side(),
                    });
                }
            }
        }
        conflicts
    }
}

/// What each of these writes knows, smallest stamp first: what its system had said itself, what that system had been
/// given, and what was known to whoever had said it.
fn knowledge<'a>(order: &[&Arrived<'a>]) -> Vec<Known<'a>> {
    let mut all: Vec<Known<'a>> = Vec::with_capacity(order.len());
    for (index, arrived) in order.iter().enumerate() {
        let source = arrived.written.stamp.source.as_str();
        let mut own = all
            .iter()
            .zip(order)
            .rev()
            .find(|(_, earlier)| earlier.written.stamp.source == source)
            .map(|(known, _)| known.clone())
            .unwrap_or_default();
        if let Some(seen) = &arrived.written.seen {
            let place = order
                .iter()
                .position(|other| other.written.stamp.digest() == *seen);
            match place {
                Some(given) if given < index => learn(&mut own, &all[given]),
                // A statement that was late when it was taken in was made before its author had been given that.
                Some(_) => {}
                // What it had been given is in no event that is here: it may have known all before it.
                None => all.iter().for_each(|known| learn(&mut own, known)),
            }
        }
        *own.entry(source).or_default() += 1;
        all.push(own);
    }
    all
}

fn learn<'a>(known: &mut Known<'a>, more: &Known<'a>) {
    for (source, number) in more {
        let mine = known.entry(source).or_default();
        *mine = (*mine).max(*number);
    }
}

impl Arrived<'_> {
    fn side(&self) -> Side {
        Side {
            system: self.written.stamp.source.clone(),
            effective: self.written.stamp.effective,
            event: self.place,
            holds: self.fate == Fate::Holds,
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
