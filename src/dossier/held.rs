//! One thing that a system is believed to hold, and the rule by which its statements on it are stamped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stamp::{shift_ms, whole_ms};
use super::{Moment, Stamp};

/// One register as a system is believed to hold it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Held {
    /// Hash of the value, as the system's own inbound mapping yields it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    /// Hash of the day of that value, where it is a time of the schedule with its hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    /// End of the newest native time under which the system stated it, by its own clock: it may lie in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<Timestamp>,
    /// Effective time of that statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effective: Option<Timestamp>,
    /// As of when, by the node's clock, it was stated: when it was asked for, or else seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<Timestamp>,
    /// Stamp of what it was last given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) given: Option<Stamp>,
    /// Whether the value is one that it was given.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pushed: bool,
    /// Values that it had and was given newer ones in place of, oldest first, and those that it was given and changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    older: Vec<Older>,
}

/// A value that a system had once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Older {
    hash: String,
    /// When something else took its place: whoever states it under a later time has set it back on purpose.
    until: Timestamp,
    /// It had it because it was given it, and not by its own doing.
    pushed: bool,
    /// The system itself has reported what took its place: `until` is a time of its own clock.
    #[serde(default)]
    confirmed: bool,
}

impl Older {
    /// Whether the system states it as of a time when it had it. Before it has reported the value that took its place, a
    /// time that has not come yet says only that its clock is fast or its dates are coarse.
    fn was(&self, hash: &str, times: Times) -> bool {
        self.hash == hash
            && times.native.is_some_and(|native| {
                if self.confirmed {
                    native < self.until
                } else {
                    native <= self.until || native > times.observed
                }
            })
    }
}

/// How many older values are remembered.
const OLDER: usize = 8;

/// The times that stamps of one record are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// End of the native time's precision; `None` where the system gave no time.
    pub(super) native: Option<Timestamp>,
    /// When the record was seen.
    pub(super) observed: Timestamp,
    /// When the question was asked that the record answers, if it answers one.
    pub(super) asked: Option<Timestamp>,
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
    /// The system was given something that is under this stamp in the dossier.
    pub(super) fn give(&mut self, stamp: Stamp) {
        if self.given.as_ref().is_none_or(|given| *given < stamp) {
            self.given = Some(stamp);
        }
    }

    /// The system was given this value.
    pub(super) fn is_given(&mut self, hash: String, at: Timestamp) {
        let before = self
            .hash
            .replace(hash)
            .filter(|before| self.hash.as_ref() != Some(before));
        if let Some(hash) = before {
            self.day = None;
            self.had_before(Older {
                hash,
                until: at,
                pushed: self.pushed,
                confirmed: false,
            });
        }
        self.pushed = true;
    }

    /// The system may have been given this value before; from `until` on it should have another one.
    pub(super) fn was_given(&mut self, hash: String, until: Timestamp) {
        self.had_before(Older {
            hash,
            until,
            pushed: true,
            confirmed: false,
        });
    }

    fn had_before(&mut self, before: Older) {
        self.older.retain(|older| older.hash != before.hash);
        self.older.push(before);
        let excess = self.older.len().saturating_sub(OLDER);
        self.older.drain(..excess);
    }

    /// Notes the day of a value that it has just stated.
    pub(super) fn on_day(&mut self, hash: &str, day: Option<String>) {
        if self.hash.as_deref() == Some(hash) {
            self.day = day;
        }
    }

    /// Whether a value says no more than the day of what it has stated with its hour.
    pub(super) fn is_less(&self, hash: &str) -> bool {
        self.day.as_deref() == Some(hash)
    }

    /// Whether it had this value at this time of its own.
    pub(super) fn had(&self, hash: &str, times: Times) -> bool {
        self.older.iter().any(|older| older.was(hash, times))
    }

    /// The same where it had the value because it was given it.
    pub(super) fn had_as_given(&self, hash: &str, times: Times) -> bool {
        self.older
            .iter()
            .any(|older| older.pushed && older.was(hash, times))
    }

    /// Takes a statement of the system: its effective time, or `None` where it says nothing new.
    ///
    /// `effective = max(own, given + 1 ms)`: who writes after having been given a value beats it, however slow the clock.
    /// Of two statements of one system the natively newer one stands higher, also where a fast clock was cut off and the
    /// older one came in later. A late statement is not lifted.
    pub(super) fn takes(&mut self, hash: &str, pending: bool, times: Times) -> Option<Timestamp> {
        let echo = pending || self.hash.as_deref() == Some(hash) || self.had(hash, times);
        let given = self.given.as_ref().map(|stamp| stamp.effective);
        if self.is_late(times.native) {
            let below = self
                .effective
                .map_or(Timestamp::MAX, |effective| shift_ms(effective, -1));
            return (!echo).then(|| times.own().min(below));
        }
        if self.is_overtaken(times) {
            return None;
        }
        let newer = self.said < times.native;
        self.said = self.said.max(times.native);
        if echo {
            // what it confirms is what it was given: a late statement must stay below that
            self.effective = self.effective.max(given);
            if let Some(native) = times.native
                && self.hash.as_deref() == Some(hash)
            {
                // from then on, by its own clock, whatever it had before is not there any more
                for older in &mut self.older {
                    older.until = if older.confirmed {
                        older.until.min(native)
                    } else {
                        native
                    };
                    older.confirmed = true;
                }
            }
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
        if let Some(before) = self.hash.replace(hash.to_owned())
            && self.pushed
            && let Some(native) = times.native
        {
            // A late report of it is no news, one of the same time is: it may have been set back.
            self.had_before(Older {
                hash: before,
                until: native,
                pushed: true,
                confirmed: true,
            });
        }
        self.pushed = false;
        self.effective = Some(effective);
        self.known = Some(times.asked.unwrap_or(times.observed));
        Some(effective)
    }

    /// Whether a native time is older than the system's newest statement here.
    pub(super) fn is_late(&self, native: Option<Timestamp>) -> bool {
        matches!((native, self.said), (Some(native), Some(said)) if native < said)
    }

    /// Whether the system has stated something else here after it was asked for this: of two statements of one time, or
    /// without a time, that is the newer one. A record that the system sent by itself may have been on its way for as
    /// long as it likes; of that nobody knows.
    pub(super) fn is_overtaken(&self, times: Times) -> bool {
        let asked_before = matches!((times.asked, self.known), (Some(asked), Some(known)) if asked < known);
        asked_before && (times.native.is_none() || times.native == self.said)
    }
}
