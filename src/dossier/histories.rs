//! Random histories for the laws: deltas of every kind, walks along the statuses, clocks and orders of arrival.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::testing::at;
use super::{Dossier, Entry, Hlc, Moment, Origin, Stamp, Status, Written};

pub(super) const SYSTEMS: [&str; 3] = ["one-stop", "portal", "sectoral"];

/// Small domains, so that stamps meet, tie and differ in every part.
pub(super) fn stamps() -> impl Strategy<Value = Stamp> {
    (0..3_i64, 0..3_u32, select(&SYSTEMS[..]), 0..2_u8).prop_map(|(second, counter, source, hash)| Stamp {
        effective: Timestamp::from_second(second).unwrap(),
        hlc: Hlc { wall_ms: 1, counter },
        source: source.to_owned(),
        hash: hash.to_string(),
    })
}

pub(super) fn writes() -> impl Strategy<Value = Written<Value>> {
    (stamps(), 0..3_u8, proptest::option::of("[ab]")).prop_map(|(stamp, value, seen)| Written {
        value: if value == 0 {
            Value::Null
        } else {
            json!({ "v": value })
        },
        stamp,
        seen,
    })
}

pub(super) fn entries() -> impl Strategy<Value = Entry> {
    (stamps(), select(&Status::ALL[..]), 0..4_i8, 0..2_u8).prop_map(|(stamp, value, day, raw)| Entry {
        system: stamp.source.clone(),
        value: value.code().to_owned(),
        at: (day > 0).then(|| Moment::Date(jiff::civil::date(2026, 3, day))),
        by: None,
        note: None,
        kind: None,
        after: None,
        place: 0,
        stamp,
        more: [
            ("raw".to_owned(), json!(raw)),
            ("from_newer_nodes".to_owned(), json!([raw])),
        ]
        .into_iter()
        .collect(),
    })
}

/// Deltas of dossiers that may have been joined: several origins, names that this version does not know.
pub(super) fn deltas() -> impl Strategy<Value = Dossier> {
    use proptest::collection::{btree_map, vec};
    let name = |names: &'static [&'static str]| select(names).prop_map(str::to_owned);
    let codes = || {
        btree_map(
            name(&["A", "B", "H56.14-240823-0001", "H56.15-240823-0002"]),
            stamps(),
            1..3,
        )
    };
    (
        name(&["HS-1", "hs-1", "HS-2"]),
        btree_map(name(&SYSTEMS), codes(), 0..3),
        btree_map(
            name(&["summary", "schedule.due", "unknown.register"]),
            writes(),
            0..3,
        ),
        btree_map(
            name(&["fees", "unknown_list"]),
            btree_map(name(&["A#1", "B#1"]), writes(), 1..3),
            0..2,
        ),
        vec((name(&["status", "unknown_log"]), entries()), 0..4),
    )
        .prop_map(|(native, links, registers, items, entries)| {
            let mut delta = Dossier {
                links,
                registers,
                items,
                ..Dossier::new(Origin::new("one-stop", &native))
            };
            for (log, entry) in entries {
                delta.logs.entry(log).or_default().insert(entry.identity(), entry);
            }
            delta
        })
}

/// One delta for each write of this one.
pub(super) fn split(delta: &Dossier) -> Vec<Dossier> {
    let empty = Dossier::new(delta.origin.clone());
    let mut parts = vec![empty.clone()];
    for (system, codes) in &delta.links {
        for (code, stamp) in codes {
            parts.push(Dossier::linked(delta.origin.clone(), system, code, stamp.clone()));
        }
    }
    for (name, written) in &delta.registers {
        let registers = BTreeMap::from([(name.clone(), written.clone())]);
        parts.push(Dossier {
            registers,
            ..empty.clone()
        });
    }
    for (list, items) in &delta.items {
        for (key, written) in items {
            let item = BTreeMap::from([(key.clone(), written.clone())]);
            parts.push(Dossier {
                items: BTreeMap::from([(list.clone(), item)]),
                ..empty.clone()
            });
        }
    }
    for (log, entries) in &delta.logs {
        for (id, entry) in entries {
            let entry = BTreeMap::from([(id.clone(), entry.clone())]);
            parts.push(Dossier {
                logs: BTreeMap::from([(log.clone(), entry)]),
                ..empty.clone()
            });
        }
    }
    parts
}

pub(super) fn merged(deltas: &[Dossier]) -> Dossier {
    let mut whole = deltas[0].clone();
    for delta in deltas {
        whole.merge(delta);
    }
    whole
}

pub(super) fn shuffled<T: Clone>(list: &[T], order: &[Index]) -> Vec<T> {
    let mut list = list.to_vec();
    for (place, index) in order.iter().enumerate().take(list.len()) {
        let other = index.index(list.len());
        list.swap(place, other);
    }
    list
}

/// A change as its system says it: the status, and `sent_back` or `revoked`.
pub(super) type Step = (Status, Option<&'static str>);

/// A walk along legal transitions, with the kind that a step needs. A status may be said several times, with its kind
/// each time or only the first.
pub(super) fn walks() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((any::<Index>(), any::<Index>(), any::<bool>()), 1..9).prop_map(|steps| {
        let mut walk: Vec<Step> = Vec::new();
        for (step, again, keeps_kind) in steps {
            let ways: Vec<_> = match walk.last() {
                None => Status::ALL.map(|status| (status, None)).to_vec(),
                Some(&(last, _)) => Status::ALL
                    .into_iter()
                    .flat_map(|next| [None, Some("sent_back"), Some("revoked")].map(|kind| (next, kind)))
                    .filter(|&(next, kind)| last.leads_to(next, kind))
                    .collect(),
            };
            let Some(&way) = ways.get(step.index(ways.len().max(1))) else {
                break;
            };
            let repeated = (way.0, way.1.filter(|_| keeps_kind));
            walk.push(way);
            walk.extend(std::iter::repeat_n(repeated, again.index(3)));
        }
        walk
    })
}

/// A walk of which some changes were never seen.
pub(super) fn gappy_walks() -> impl Strategy<Value = Vec<Step>> {
    walks().prop_flat_map(|walk| {
        let length = walk.len();
        proptest::sample::subsequence(walk, 1..=length)
    })
}

/// How the system states a change of the walk.
pub(super) fn said(habit: Habit, walk: &[Step], change: usize) -> Value {
    let (status, kind) = walk[change];
    json!({ "value": status.code(), "kind": kind, "at": habit.stated(change) })
}

/// How a system's clock runs and how precise its times are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habit {
    pub(super) skew: SignedDuration,
    pub(super) day_only: bool,
}

pub(super) fn habits() -> impl Strategy<Value = Habit> {
    (-6..=6_i64, any::<bool>()).prop_map(|(hours, day_only)| Habit {
        skew: SignedDuration::from_hours(hours),
        day_only,
    })
}

impl Habit {
    /// When the n-th change really happens.
    pub(super) fn real(self, change: usize) -> Timestamp {
        let step = if self.day_only {
            SignedDuration::from_hours(24)
        } else {
            SignedDuration::from_mins(7)
        };
        at("00:00:00") + step * i32::try_from(change).unwrap()
    }

    /// The time that the system states for it.
    pub(super) fn stated(self, change: usize) -> Moment {
        let native = self.real(change) + self.skew;
        if self.day_only {
            Moment::Date(jiff::tz::Offset::constant(7).to_datetime(native).date())
        } else {
            Moment::Instant(native)
        }
    }
}

/// The changes in the order in which they are taken in, each with the time at which it was seen. That time may lie
/// before the one of its predecessor: a record that was refused is tried again under its own.
pub(super) fn arrivals(habit: Habit, changes: usize, order: &[Index]) -> Vec<(usize, Timestamp)> {
    // every other time nothing came through before the last change had happened
    let outage = order.first().is_some_and(|chance| chance.index(2) == 0);
    let mut now = if outage {
        habit.real(changes)
    } else {
        Timestamp::MIN
    };
    let arrivals = shuffled(&(0..changes).collect::<Vec<_>>(), order).into_iter();
    arrivals
        .zip(order.iter().cycle())
        .map(|(change, chance)| {
            let real = habit.real(change);
            now = now
                .saturating_add(SignedDuration::from_millis(20))
                .unwrap()
                .max(real);
            let waited = (now - real).get_seconds() * 1000;
            let share = i64::try_from(chance.index(3)).unwrap();
            (change, now - SignedDuration::from_millis(waited * share / 2))
        })
        .collect()
}

pub(super) fn orders(length: usize) -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), length)
}
