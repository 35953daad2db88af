//! Clocks: wall time that tests can move, and the hybrid logical clock that never goes backwards.
//!
//! Nobody else reads the machine's clock. A node that is set back an hour goes on from its own last reading, so
//! later statements never look older than earlier ones; how far it runs ahead of the wall is for the node to judge
//! ([`HybridClock::lead`]).

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::dossier::Hlc;

/// A source of wall time.
pub trait Clock: Send + Sync {
    /// The wall time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved: for tests and the simulation. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Shows this time from now on; it may be an earlier one.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves on by this much, or back if it is negative; stops at the end of the calendar.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hybrid logical clock of a node: wall time where it moves on, a counter where it does not.
pub struct HybridClock {
    wall: Arc<dyn Clock>,
    last: Mutex<Hlc>,
}

impl HybridClock {
    /// A clock that goes on after `last`, the newest reading that the node had stored before it stopped.
    #[must_use]
    pub fn new(wall: Arc<dyn Clock>, last: Hlc) -> Self {
        Self {
            wall,
            last: Mutex::new(last),
        }
    }

    /// A reading greater than every earlier one and than every one observed.
    pub fn tick(&self) -> Hlc {
        let wall_ms = self.wall_ms();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = if wall_ms > last.wall_ms {
            Hlc { wall_ms, counter: 0 }
        } else {
            last.next()
        };
        *last
    }

    /// Takes in another node's reading: later ticks are greater than it. Whether it may be believed (it may lie far
    /// ahead) is for the caller to judge first.
    pub fn observe(&self, other: Hlc) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(other);
    }

    /// The newest reading made or observed, to be stored.
    pub fn last(&self) -> Hlc {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the newest reading lies ahead of the wall clock; zero or less in good order. A node that was set back
    /// sees it grow and must stop taking records in.
    pub fn lead(&self) -> SignedDuration {
        let ahead = i128::from(self.last().wall_ms) - i128::from(self.wall_ms());
        SignedDuration::from_millis(ahead.try_into().unwrap_or(i64::MAX))
    }

    fn wall_ms(&self) -> u64 {
        self.wall.now().as_millisecond().try_into().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn clocks() -> (ManualClock, HybridClock) {
        let wall = ManualClock::new(at("2026-03-05T02:30:00Z"));
        let hybrid = HybridClock::new(Arc::new(wall.clone()), Hlc::default());
        (wall, hybrid)
    }

    #[test]
    fn readings_grow_while_the_wall_clock_stands_or_jumps_back() {
        let (wall, hybrid) = clocks();
        let first = hybrid.tick();
        let second = hybrid.tick();
        wall.advance(SignedDuration::from_hours(-1));
        let third = hybrid.tick();
        assert!(first < second && second < third);
        assert_eq!(hybrid.lead(), SignedDuration::from_hours(1));
        wall.set(at("2026-03-05T02:30:00.001Z"));
        let fourth = hybrid.tick();
        assert_eq!(
            fourth,
            Hlc {
                wall_ms: first.wall_ms + 1,
                counter: 0
            }
        );
        assert!(fourth > third);
    }

    #[test]
    fn a_reading_follows_what_was_observed_and_what_was_stored() {
        let (wall, hybrid) = clocks();
        let other = Hlc {
            wall_ms: hybrid.tick().wall_ms + 60_000,
            counter: 5,
        };
        hybrid.observe(other);
        assert_eq!(hybrid.tick(), Hlc { counter: 6, ..other });
        hybrid.observe(Hlc::default());
        assert_eq!(hybrid.last(), Hlc { counter: 6, ..other });
        let restarted = HybridClock::new(Arc::new(wall), hybrid.last());
        assert_eq!(restarted.tick(), Hlc { counter: 7, ..other });
    }
}
