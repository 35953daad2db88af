//! Turns what a record says into what is new: the delta that becomes an event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::hash::content;
use super::held::Times;
use super::judge::not_owner;
use super::patch::Stated;
use super::stamp::whole_ms;
use super::{Dossier, Entry, Hlc, Moment, Origin, Ownership, Patch, Shadow, Stamp, Written};
use crate::fault::Fault;

/// One record of one system being taken in.
#[derive(Clone, Copy)]
pub struct Author<'a> {
    /// The system whose record it is.
    pub system: &'a str,
    /// Origin of the dossier that it speaks of.
    pub origin: &'a Origin,
    /// When the record was first seen; kept when a refused record is tried again.
    pub observed: Timestamp,
    /// When its system was asked for it, by the same clock: what the system has said since is newer, also where both name
    /// one time. `None`: the system sent it by itself.
    pub asked: Option<Timestamp>,
    /// The node's clock, ticked for this record.
    pub hlc: Hlc,
    /// What the system may write.
    pub owns: &'a Ownership,
    /// The replica, where there is one.
    pub known: Option<&'a Dossier>,
}

impl Author<'_> {
    /// Compares a record with what its system is believed to hold: the delta has only what differs, stamped, and may be
    /// empty. The shadow is brought up to date; it must be locked from before this call until the delta is stored.
    ///
    /// Effective time of a stamp: the end of the native time, not later than the record was seen, and later than what
    /// the system had been given. A late record keeps its own time. Without a native time: just after what was said and
    /// given; at the first meeting the dossier's receipt, or the Unix epoch where that is not known. Entries of a history
    /// are never lifted. A time of the schedule of which a system has stated the hour is not taken back by its stating the
    /// day alone. A native time more than a day ahead is a slip and counts as the time the record was seen.
    ///
    /// # Errors
    /// `not-owner` for each register, list, log or `links` that differs and that the system may not write. The shadow is
    /// untouched then.
    pub fn write(&self, patch: &Patch, shadow: &mut Shadow) -> Result<Dossier, Vec<Fault>> {
        let mut work = Work {
            author: self,
            shadow: shadow.clone(),
            delta: Dossier::new(self.origin.clone()),
            faults: BTreeMap::new(),
            times: self.times(patch),
        };
        work.links(patch);
        for (name, value) in &patch.registers {
            let completed = if name == "identity" {
                self.identified(value, patch)
            } else {
                value.clone()
            };
            work.register(name, completed);
        }
        for (list, items) in &patch.items {
            for (key, value) in items {
                work.item(list, key, value.clone());
            }
        }
        for list in &patch.complete {
            let stated = patch.items.get(list);
            for key in work.shadow.items(list) {
                if stated.is_none_or(|items| !items.contains_key(&key)) {
                    work.item(list, &key, Value::Null);
                }
            }
        }
        if let Some(state) = &patch.state {
            work.state(state);
        }
        for (log, entries) in &patch.history {
            work.history(log, entries);
        }
        if !work.faults.is_empty() {
            return Err(work.faults.into_values().collect());
        }
        *shadow = work.shadow;
        Ok(work.delta)
    }

    fn times(&self, patch: &Patch) -> Times {
        let known = || Moment::of(self.known?.register("schedule.received")?);
        let receipt = patch
            .received()
            .or_else(known)
            .map_or(Timestamp::UNIX_EPOCH, Moment::end);
        let unstated = Times {
            native: None,
            observed: whole_ms(self.observed),
            asked: self.asked.map(whole_ms),
            receipt: whole_ms(receipt),
        };
        unstated.at(patch.at())
    }

    /// The outcome of an identity check with its time and the applicant whom it was asked for.
    fn identified(&self, value: &Value, patch: &Patch) -> Value {
        let mut value = value.clone();
        if let Value::Object(map) = &mut value {
            let at = patch.at().unwrap_or(Moment::Instant(whole_ms(self.observed)));
            map.entry("at").or_insert_with(|| at.to_string().into());
            let person = self.known.and_then(|known| known.register("applicant.person"));
            if let Some(person) = person.or(patch.register("applicant.person")) {
                map.entry("person").or_insert_with(|| content(person).into());
            }
        }
        value
    }
}

/// A delta in the making.
struct Work<'a> {
    author: &'a Author<'a>,
    shadow: Shadow,
    delta: Dossier,
    /// By name, so that each is told once.
    faults: BTreeMap<String, Fault>,
    times: Times,
}

impl Work<'_> {
    fn may_write(&mut self, name: &str) -> bool {
        let Author {
            system, origin, owns, ..
        } = *self.author;
        let allowed = owns.allows(name, origin.system == system);
        if !allowed {
            self.faults.insert(name.to_owned(), not_owner(system, name));
        }
        allowed
    }

    fn stamp(&self, effective: Timestamp, hash: String) -> Stamp {
        Stamp {
            effective,
            hlc: self.author.hlc,
            source: self.author.system.to_owned(),
            hash,
        }
    }

    /// The record's own code links its system; codes of others need the right to state links.
    fn links(&mut self, patch: &Patch) {
        let system = self.author.system;
        let reference = patch.reference();
        let own = [(system, reference.code())]
            .into_iter()
            .filter(|(_, code)| !code.is_empty());
        let stated = patch
            .links()
            .iter()
            .map(|(system, code)| (system.as_str(), code.as_str()));
        for (target, code) in own.chain(stated) {
            let known = self
                .author
                .known
                .and_then(|known| known.links.get(target)?.get(code));
            let told = known.is_some_and(|stamp| target != system || stamp.source == system);
            let told = told || !self.shadow.is_new(format!("links/{target}/{code}"));
            if told || (target != system && !self.may_write("links")) {
                continue;
            }
            let stamp = self.stamp(self.times.own(), content(&serde_json::json!([target, code])));
            let codes = self.delta.links.entry(target.to_owned()).or_default();
            codes.insert(code.to_owned(), stamp);
        }
    }

    fn register(&mut self, name: &str, value: Value) {
        if let Some(written) = self.written(name, name, value) {
            self.delta.registers.insert(name.to_owned(), written);
        }
    }

    fn item(&mut self, list: &str, key: &str, value: Value) {
        if let Some(written) = self.written(&format!("{list}/{key}"), list, value) {
            self.delta
                .items
                .entry(list.to_owned())
                .or_default()
                .insert(key.to_owned(), written);
        }
    }

    /// The write of a register or item, if it says something new that the system may say.
    fn written(&mut self, path: &str, name: &str, value: Value) -> Option<Written<Value>> {
        let (effective, seen) = self.shadow.takes(path, &value, self.times)?;
        let stamp = self.stamp(effective, content(&value));
        self.may_write(name).then_some(Written { value, stamp, seen })
    }

    fn entry(&self, stated: &Stated) -> Entry {
        Entry {
            system: self.author.system.to_owned(),
            value: stated.value.clone(),
            at: stated.at,
            by: stated.by.clone(),
            note: stated.note.clone(),
            kind: stated.kind.clone(),
            after: None,
            place: 0,
            stamp: self.stamp(self.times.own(), String::new()),
            more: stated.more.clone(),
        }
    }

    /// A single status is the state that the system has.
    fn state(&mut self, stated: &Stated) {
        let entry = self.entry(stated);
        let times = self.times.at(stated.at);
        for entry in self.shadow.state(entry, times) {
            self.append("status", entry);
        }
    }

    /// A list of entries is history: each one stands for itself and is never lifted.
    fn history(&mut self, log: &str, stated: &[Stated]) {
        for (place, stated) in stated.iter().enumerate() {
            let mut entry = self.entry(stated);
            entry.place = u32::try_from(place).unwrap_or(u32::MAX);
            entry.stamp.effective = self.times.at(stated.at).own();
            entry.seal();
            if self.shadow.is_new(format!("{log}/{}", entry.identity()))
                && !self.shadow.swallows(log, &entry.value, entry.note.as_deref())
            {
                self.append(log, entry);
            }
        }
    }

    fn append(&mut self, log: &str, entry: Entry) {
        let id = entry.identity();
        let known = self.author.known.and_then(|known| known.logs.get(log));
        if known.is_none_or(|entries| !entries.contains_key(&id)) && self.may_write(log) {
            self.delta
                .logs
                .entry(log.to_owned())
                .or_default()
                .insert(id, entry);
        }
    }
}

#[cfg(test)]
#[path = "author_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "echo_tests.rs"]
mod echo_tests;
