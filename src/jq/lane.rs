//! The mapping threads of one adapter, and a watch over how its mappings behave.
//!
//! Each adapter has a lane of its own, so that one whose every mapping runs to its bounds takes no thread from the
//! others. A record that a mapping cannot end with is that record's trouble; several different ones in a row, or work
//! that had to be given up, are the mapping's: then the lane's [`Keeper`] is told, who lets the adapter rest.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::meter;
use super::workers::{Stuck, Workers};

/// Different records in a row that an operation may run to its bounds with.
const STRIKES: usize = 3;

/// What makes an operation rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sickness {
    /// So many different records in a row went beyond the bounds of a run.
    Unbounded(usize),
    /// Work did not end in this time and was given up; its thread may still run.
    Stuck(Duration),
    /// No thread could be had.
    NoThread,
}

/// Tells records apart: what work of a lane is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// The mark of whatever names or is the record.
    #[must_use]
    pub fn of(record: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = DefaultHasher::new();
        record.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// A mark that nothing else has: for work that is about no single record, where each try counts.
    #[must_use]
    pub fn alone() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Who lets an adapter rest.
pub trait Keeper: Send + Sync + 'static {
    /// Does this operation rest now?
    fn rests(&self, operation: &str) -> bool;
    /// An operation is sick, for the so manyth time since it last did its work.
    fn sick(&self, operation: &str, sickness: Sickness, times: u32);
}

/// The lane of one adapter.
pub struct Lane {
    workers: Workers,
    watch: Arc<Watch>,
}

struct Watch {
    keeper: Box<dyn Keeper>,
    health: Mutex<BTreeMap<String, Health>>,
}

/// How an operation has behaved since it last did its work within bounds.
#[derive(Default)]
struct Health {
    /// The records that it could not end with. The same one, told again and again, counts once.
    struck: Vec<u64>,
    times: u32,
}

impl Lane {
    /// A lane with these threads, which it shares with nobody.
    #[must_use]
    pub fn new(workers: Workers, keeper: impl Keeper) -> Self {
        Self {
            workers,
            watch: Arc::new(Watch {
                keeper: Box::new(keeper),
                health: Mutex::default(),
            }),
        }
    }

    /// Runs work of an operation and waits for it; `about` tells records apart.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if it does not come to an end.
    pub async fn run<T: Send + 'static>(
        &self,
        operation: &str,
        about: Mark,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        let watched = self.watched(operation, about, work);
        self.told(operation, self.workers.run(watched).await)
    }

    /// The same, unless the operation rests when a thread takes it up: `None`, and nothing was done.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if it does not come to an end.
    pub async fn run_unless_resting<T: Send + 'static>(
        &self,
        operation: &str,
        about: Mark,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Stuck> {
        let watched = self.watched(operation, about, work);
        let (watch, name) = (Arc::clone(&self.watch), operation.to_owned());
        let ended = self.workers.run(move || {
            let rests = watch.keeper.rests(&name);
            (!rests).then(watched)
        });
        self.told(operation, ended.await)
    }

    /// The work, and a look at how it went.
    fn watched<T, W: FnOnce() -> T>(
        &self,
        operation: &str,
        Mark(about): Mark,
        work: W,
    ) -> impl FnOnce() -> T + use<T, W> {
        let (watch, operation) = (Arc::clone(&self.watch), operation.to_owned());
        let limit = self.workers.limit();
        move || {
            let begun = Instant::now();
            meter::forget_stops();
            let made = work();
            // Of what took longer, whoever gave it up has told.
            if begun.elapsed() < limit {
                watch.ended(&operation, about, meter::was_stopped());
            }
            made
        }
    }

    fn told<T>(&self, operation: &str, ended: Result<T, Stuck>) -> Result<T, Stuck> {
        match ended {
            Err(Stuck::TooSlow(limit)) => self.watch.is_sick(operation, Sickness::Stuck(limit)),
            Err(Stuck::NoThread) => self.watch.is_sick(operation, Sickness::NoThread),
            _ => {}
        }
        ended
    }
}

impl Watch {
    fn ended(&self, operation: &str, about: u64, stopped: bool) {
        let mut health = self.health();
        if !stopped {
            health.remove(operation);
            return;
        }
        let of = health.entry(operation.to_owned()).or_default();
        if !of.struck.contains(&about) {
            of.struck.push(about);
        }
        if of.struck.len() < STRIKES {
            return;
        }
        drop(health);
        self.is_sick(operation, Sickness::Unbounded(STRIKES));
    }

    fn is_sick(&self, operation: &str, sickness: Sickness) {
        let mut health = self.health();
        let of = health.entry(operation.to_owned()).or_default();
        of.struck.clear();
        of.times += 1;
        let times = of.times;
        drop(health);
        self.keeper.sick(operation, sickness, times);
    }

    fn health(&self) -> MutexGuard<'_, BTreeMap<String, Health>> {
        // Nobody panics while holding the lock with the map half changed.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jq::{Bounds, Scope};

    /// Notes what it is told; rests when it is told to.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<(Vec<String>, bool)>>);

    impl Notes {
        fn told(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap().0)
        }

        fn rest(&self, rests: bool) {
            self.0.lock().unwrap().1 = rests;
        }
    }

    impl Keeper for Notes {
        fn rests(&self, _operation: &str) -> bool {
            self.0.lock().unwrap().1
        }

        fn sick(&self, operation: &str, sickness: Sickness, times: u32) {
            let told = format!("{operation} {sickness:?} {times}");
            self.0.lock().unwrap().0.push(told);
        }
    }

    fn lane(workers: Workers) -> (Lane, Notes) {
        let notes = Notes::default();
        (Lane::new(workers, notes.clone()), notes)
    }

    fn fine() -> u8 {
        0
    }

    /// A filter runs to its bounds; its fault is swallowed, as that of a `code` is.
    fn endless() -> u8 {
        let small = Bounds {
            steps: 1000,
            ..Bounds::default()
        };
        let library = crate::jq::tests::library(&[]).unwrap().with_bounds(small);
        let filter = library
            .compile("last(repeat(1))", &[], &crate::jq::tests::at(1))
            .unwrap();
        assert!(filter.one(&json!(0), &Scope::new()).is_err());
        1
    }

    #[tokio::test]
    async fn several_different_records_in_a_row_make_an_operation_sick() {
        for workers in [Workers::new(1, Duration::from_secs(30)), Workers::inline()] {
            let (lane, notes) = lane(workers);
            let said = async |about: u32, work: fn() -> u8| {
                assert!(lane.run("pull.changes", Mark::of(&about), work).await.is_ok());
                notes.told()
            };
            for _ in 0..5 {
                assert_eq!(
                    said(1, endless).await,
                    Vec::<String>::new(),
                    "one and the same record"
                );
            }
            assert_eq!(said(2, endless).await, Vec::<String>::new());
            assert_eq!(said(0, fine).await, Vec::<String>::new(), "the row is broken");
            assert_eq!(said(3, endless).await, Vec::<String>::new());
            assert_eq!(said(4, endless).await, Vec::<String>::new());
            lane.run("webhook.dossier", Mark::of(&0), fine).await.unwrap();
            assert_eq!(
                said(5, endless).await,
                ["pull.changes Unbounded(3) 1"],
                "another's work breaks none"
            );
            for about in 6..8 {
                assert_eq!(said(about, endless).await, Vec::<String>::new(), "it begins anew");
            }
            assert_eq!(said(8, endless).await, ["pull.changes Unbounded(3) 2"]);
            said(0, fine).await;
            for about in 9..11 {
                said(about, endless).await;
            }
            assert_eq!(
                said(11, endless).await,
                ["pull.changes Unbounded(3) 1"],
                "it was well meanwhile"
            );
        }
    }

    #[tokio::test]
    async fn stuck_work_makes_an_operation_sick_at_once() {
        let limit = Duration::from_millis(50);
        let (lane, notes) = lane(Workers::new(1, limit));
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let stuck = move || gate.recv().is_ok();
        assert_eq!(
            lane.run("push.dossier", Mark::of(&1), stuck).await,
            Err(Stuck::TooSlow(limit))
        );
        assert_eq!(notes.told(), ["push.dossier Stuck(50ms) 1"]);
        drop(release);
    }

    #[tokio::test]
    async fn resting_operation_does_what_is_under_way_and_begins_nothing() {
        let (lane, notes) = lane(Workers::new(1, Duration::from_secs(30)));
        assert_eq!(
            lane.run_unless_resting("webhook.dossier", Mark::of(&1), fine)
                .await,
            Ok(Some(0))
        );
        notes.rest(true);
        assert_eq!(
            lane.run_unless_resting("webhook.dossier", Mark::of(&1), fine)
                .await,
            Ok(None)
        );
        assert_eq!(lane.run("push.dossier.create", Mark::of(&1), fine).await, Ok(0));
    }
}
