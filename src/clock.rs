//! Clocks: wall time that tests can move, the steady clock of stored deadlines, and the hybrid logical clock that never
//! goes backwards.
//!
//! Nobody else reads the machine's clock. A node that is set back an hour goes on from its own last reading, so
//! later statements never look older than earlier ones; how far it runs ahead of the wall is for the node to judge
//! ([`HybridClock::lead`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::dossier::Hlc;

/// A machine's clocks.
pub trait Clock: Send + Sync {
    /// The wall time now. People and time servers may turn it.
    fn now(&self) -> Timestamp;
    /// Time since the machine was started, sleep included. Nobody turns it.
    fn uptime(&self) -> Duration;
    /// Names this start of the machine.
    fn boot(&self) -> String;
}

/// A time as people in the province read it.
#[must_use]
pub fn local(at: Timestamp) -> String {
    let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The clocks of the machine that the process runs on (Linux).
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

    fn uptime(&self) -> Duration {
        Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
    }

    /// Where the kernel does not say, each call names another start: deadlines then count anew, which is safe.
    fn boot(&self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(
            |_| uuid::Uuid::now_v7().to_string(),
            |text| text.trim().to_owned(),
        )
    }
}

/// A clock that stands still until it is moved: for tests and the simulation. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Debug)]
struct Manual {
    wall: Timestamp,
    uptime: Duration,
    boot: u32,
}

impl ManualClock {
    /// A clock that shows this time, on a machine that has just been started.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Manual {
            wall: now,
            uptime: Duration::ZERO,
            boot: 0,
        })))
    }

    /// The wall shows this time from now on, as if somebody had turned it; it may be an earlier one.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall = now;
    }

    /// Time passes; if it is negative, the wall alone is turned back. Stops at the end of the calendar.
    pub fn advance(&self, by: SignedDuration) {
        let mut manual = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        manual.wall = manual.wall.saturating_add(by).unwrap_or(manual.wall);
        manual.uptime += Duration::try_from(by).unwrap_or_default();
    }

    /// The machine is started anew.
    pub fn reboot(&self) {
        let mut manual = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        manual.boot += 1;
        manual.uptime = Duration::ZERO;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall
    }

    fn uptime(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).uptime
    }

    fn boot(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .boot
            .to_string()
    }
}

/// Where the steady clock was set: what the wall showed at a moment of the machine's uptime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The start of the machine that the uptime counts from.
    boot: String,
    uptime: Duration,
    wall: Timestamp,
}

impl Anchor {
    /// Sets the steady clock by the wall.
    #[must_use]
    pub fn new(clock: &dyn Clock) -> Self {
        Self {
            boot: clock.boot(),
            uptime: clock.uptime(),
            wall: clock.now(),
        }
    }

    /// Sets it by another clock, which shows this now.
    #[must_use]
    pub fn at(clock: &dyn Clock, now: Timestamp) -> Self {
        Self {
            wall: now,
            ..Self::new(clock)
        }
    }

    /// Whether the machine has not been started anew since.
    #[must_use]
    pub fn holds(&self, clock: &dyn Clock) -> bool {
        self.boot == clock.boot()
    }
}

/// The clock of stored deadlines (settle, retries, waits): as far as nobody turned the wall clock it shows the same. It
/// goes on evenly over restarts of the process; after a restart of the machine, which has no memory of how long it was
/// off, it is set anew, and every deadline counts its full length again.
pub struct Steady {
    clock: Arc<dyn Clock>,
    anchor: Anchor,
}

impl Steady {
    /// The clock that was set at `anchor`, on this start of the machine.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, anchor: Anchor) -> Self {
        Self { clock, anchor }
    }

    /// The steady time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since = self.clock.uptime().saturating_sub(self.anchor.uptime);
        self.anchor.wall.saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// What the wall shows, or will show if nobody turns it, at a steady time.
    #[must_use]
    pub fn on_the_wall(&self, at: Timestamp) -> Timestamp {
        let from_now = at.duration_since(self.now());
        self.clock.now().saturating_add(from_now).unwrap_or(at)
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

    /// The wall time, but never earlier than a reading made or observed before: what is seen now was not seen before what
    /// was kept already, whoever turned the clock since. Looking moves nothing: a wall that ran ahead for a moment leaves no
    /// trace, as long as nothing was kept meanwhile.
    pub fn now(&self) -> Timestamp {
        let ms = self.wall_ms().max(self.last().wall_ms);
        i64::try_from(ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// Takes in when something was seen that is kept from now on: later readings are not earlier.
    pub fn keep(&self, seen: Timestamp) {
        let wall_ms = seen.as_millisecond().try_into().unwrap_or(0);
        self.observe(Hlc { wall_ms, counter: 0 });
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
    fn what_is_seen_after_the_wall_was_set_back_is_not_seen_earlier() {
        let (wall, hybrid) = clocks();
        let first = hybrid.now();
        assert_eq!(first, at("2026-03-05T02:30:00Z"));
        hybrid.keep(first);
        wall.advance(SignedDuration::from_hours(-2));
        assert_eq!(hybrid.now(), first);
        wall.advance(SignedDuration::from_hours(3));
        assert_eq!(hybrid.now(), at("2026-03-05T03:30:00Z"));
    }

    #[test]
    fn wall_that_ran_ahead_while_nothing_was_kept_leaves_no_trace() {
        let (wall, hybrid) = clocks();
        hybrid.keep(hybrid.now());
        wall.advance(SignedDuration::from_hours(5));
        assert_eq!(hybrid.now(), at("2026-03-05T07:30:00Z"));
        wall.set(at("2026-03-05T02:31:00Z"));
        assert_eq!(hybrid.now(), at("2026-03-05T02:31:00Z"));
        assert!(hybrid.lead() <= SignedDuration::ZERO);
    }

    #[test]
    fn steady_time_does_not_follow_a_wall_that_is_turned() {
        let (wall, _) = clocks();
        let steady = Steady::new(Arc::new(wall.clone()), Anchor::new(&wall));
        wall.advance(SignedDuration::from_mins(10));
        assert_eq!(steady.now(), at("2026-03-05T02:40:00Z"));
        wall.set(at("2026-03-05T01:00:00Z"));
        assert_eq!(steady.now(), at("2026-03-05T02:40:00Z"));
        wall.advance(SignedDuration::from_mins(1));
        assert_eq!(steady.now(), at("2026-03-05T02:41:00Z"));
        assert_eq!(
            steady.on_the_wall(at("2026-03-05T02:51:00Z")),
            at("2026-03-05T01:11:00Z")
        );
    }

    #[test]
    fn an_anchor_holds_until_the_machine_is_started_anew() {
        let (wall, _) = clocks();
        let anchor = Anchor::new(&wall);
        wall.advance(SignedDuration::from_hours(3));
        assert!(anchor.holds(&wall));
        wall.reboot();
        assert!(!anchor.holds(&wall));
    }

    #[test]
    fn the_machine_names_its_start_and_its_uptime_grows() {
        let before = SystemClock.uptime();
        assert_eq!(SystemClock.boot(), SystemClock.boot());
        assert!(SystemClock.uptime() >= before && before > Duration::ZERO);
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
