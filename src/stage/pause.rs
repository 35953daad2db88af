//! Adapters that rest, and why. An adapter that rests harms nobody but itself.
//!
//! **Its system refuses us**, not a record: entitlement, account, quota. Its deliveries wait a minute.
//!
//! **Its mappings are sick.** Every run of a mapping is bounded, and a record that a mapping cannot end with is refused
//! or parked with a cause that names the mapping; one such record stops nothing. But where three different ones in a
//! row end so, or a run had to be given up by the clock, it is the mapping: then the whole adapter rests, first for a
//! minute, each time twice as long, an hour at most, until the operation does its work again. Meanwhile
//!
//! - what its system tells by webhook is taken in and kept raw, as `waiting (adapter paused)`, and mapped afterwards, with
//!   the time at which it came. Only where `verify` itself is sick nobody can tell who is calling: the door answers
//!   503, and the system tells again. A sick `reply` is left out of the answers;
//! - nothing is pulled, nothing kept is taken in anew, and deliveries stay due: no attempt is burnt;
//! - each adapter has its own lane of threads, doors and loops, so the others do not notice.
//!
//! A rest is kept in memory: a node that starts, perhaps with a mended mapping, tries at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::fault::Fault;
use crate::jq::{Keeper, Sickness, Stuck};

/// How long an adapter rests at first.
const SHORTEST: Duration = Duration::from_mins(1);

/// How long it rests at most.
const LONGEST: Duration = Duration::from_hours(1);

/// What `verify` and `reply` of a webhook are called by its lane. They go on while the adapter's mappings rest, unless they
/// are what is sick.
pub(super) fn at_the_door(webhook: &str, part: &str) -> String {
    format!("webhook.{webhook}.{part}")
}

fn is_at_the_door(operation: &str) -> bool {
    operation
        .strip_prefix("webhook.")
        .is_some_and(|rest| rest.contains('.'))
}

/// The cause of a record whose mapping was given up.
pub(super) fn given_up(operation: &str, stuck: Stuck) -> Fault {
    Fault::new("mapping-too-long")
        .file("adapter.toml")
        .field(operation)
        .found(stuck.to_string())
        .expected("a mapping that ends")
        .remedy("mend the adapter's mapping; what it could not take is then tried again")
}

/// Adapters that rest.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<BTreeMap<(String, Cause), Pause>>);

/// One adapter's rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it is tried again.
    pub until: Timestamp,
    /// Why it rests.
    pub reason: String,
}

/// What makes an adapter rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// Its system.
    System,
    /// The mapping of this operation.
    Mapping(String),
}

impl Pauses {
    /// Lets an adapter rest because its system refuses us.
    pub fn system_refuses(&self, adapter: &str, reason: String, now: Timestamp) {
        tracing::error!(adapter, reason, "the system refuses us; the adapter is paused");
        self.begin(
            adapter,
            Cause::System,
            Pause {
                until: now + SHORTEST,
                reason,
            },
        );
    }

    /// The rest of an adapter, for whatever reason, as long as it lasts: the longest of several.
    #[must_use]
    pub fn of(&self, adapter: &str, now: Timestamp) -> Option<Pause> {
        self.longest(adapter, now, |_| true)
    }

    /// The same, if its mappings are the reason.
    #[must_use]
    pub fn of_mappings(&self, adapter: &str, now: Timestamp) -> Option<Pause> {
        self.longest(adapter, now, |cause| *cause != Cause::System)
    }

    fn begin(&self, adapter: &str, cause: Cause, pause: Pause) {
        self.held().insert((adapter.to_owned(), cause), pause);
    }

    fn longest(&self, adapter: &str, now: Timestamp, counts: impl Fn(&Cause) -> bool) -> Option<Pause> {
        let held = self.held();
        let pauses = held
            .iter()
            .filter(|((of, cause), pause)| of == adapter && counts(cause) && now < pause.until);
        pauses
            .map(|(_, pause)| pause)
            .max_by_key(|pause| pause.until)
            .cloned()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<(String, Cause), Pause>> {
        // Nobody panics while holding the lock with the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets one adapter rest when its lane says that a mapping is sick.
pub(super) struct Nurse {
    pub(super) adapter: String,
    pub(super) pauses: Arc<Pauses>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Keeper for Nurse {
    fn rests(&self, operation: &str) -> bool {
        let now = self.clock.now();
        let rest = if is_at_the_door(operation) {
            let sick = Cause::Mapping(operation.to_owned());
            self.pauses.longest(&self.adapter, now, |cause| *cause == sick)
        } else {
            self.pauses.of_mappings(&self.adapter, now)
        };
        rest.is_some()
    }

    fn sick(&self, operation: &str, sickness: Sickness, times: u32) {
        let reason = match sickness {
            Sickness::Unbounded(records) => format!(
                "{operation}: {records} different records in a row took its mapping beyond its bounds; mend the mapping"
            ),
            Sickness::Stuck(limit) => {
                format!(
                    "{operation}: its mapping did not end within {limit:?} and was given up; mend the mapping"
                )
            }
            Sickness::NoThread => {
                format!(
                    "{operation}: no thread could be had for its mapping; see to the machine's limits, or restart"
                )
            }
        };
        let rest = SHORTEST
            .saturating_mul(1 << times.saturating_sub(1).min(16))
            .min(LONGEST);
        let until = self.clock.now() + rest;
        // Found by whoever reads the log, not only by whoever asks for the status.
        tracing::error!(adapter = self.adapter, operation, reason, %until, "the adapter is paused");
        let pause = Pause { until, reason };
        self.pauses
            .begin(&self.adapter, Cause::Mapping(operation.to_owned()), pause);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::clock::ManualClock;

    fn nurse() -> (Nurse, ManualClock) {
        let clock = ManualClock::new("2026-03-06T02:00:00Z".parse().unwrap());
        let nurse = Nurse {
            adapter: "book".to_owned(),
            pauses: Arc::default(),
            clock: Arc::new(clock.clone()),
        };
        (nurse, clock)
    }

    #[test]
    fn rest_grows_with_every_relapse_up_to_an_hour() {
        let (nurse, clock) = nurse();
        let minutes = |times| {
            nurse.sick("pull.changes", Sickness::Unbounded(3), times);
            let pause = nurse.pauses.of("book", clock.now()).unwrap();
            pause.until.duration_since(clock.now()).as_mins()
        };
        let rests: Vec<i64> = [1, 2, 3, 6, 7, 40].into_iter().map(minutes).collect();
        assert_eq!(rests, [1, 2, 4, 32, 60, 60]);
        clock.advance(SignedDuration::from_mins(60));
        assert_eq!(nurse.pauses.of("book", clock.now()), None);
    }

    #[test]
    fn sick_mapping_lets_the_adapter_rest_and_its_door_goes_on() {
        let (nurse, clock) = nurse();
        nurse.sick("webhook.dossier", Sickness::Stuck(Duration::from_secs(5)), 1);
        for operation in ["webhook.dossier", "pull.changes", "push.dossier"] {
            assert!(nurse.rests(operation), "{operation}");
        }
        let verify = |webhook| at_the_door(webhook, "verify");
        assert!(!nurse.rests(&verify("dossier")));
        assert!(nurse.pauses.of_mappings("book", clock.now()).is_some());
        assert!(nurse.pauses.of("other", clock.now()).is_none());
        nurse.sick(&verify("dossier"), Sickness::Unbounded(3), 1);
        assert!(nurse.rests(&verify("dossier")));
        assert!(!nurse.rests(&verify("other")));
    }

    #[test]
    fn system_that_refuses_us_stops_no_mapping_and_ends_no_longer_rest() {
        let (nurse, clock) = nurse();
        let now = clock.now();
        nurse.pauses.system_refuses("book", "HTTP 403".to_owned(), now);
        assert_eq!(nurse.pauses.of("book", now).unwrap().reason, "HTTP 403");
        assert!(!nurse.rests("webhook.dossier"));
        nurse.sick("push.dossier", Sickness::NoThread, 3);
        nurse.pauses.system_refuses("book", "HTTP 403".to_owned(), now);
        assert!(
            nurse
                .pauses
                .of("book", now)
                .unwrap()
                .reason
                .starts_with("push.dossier")
        );
    }
}
