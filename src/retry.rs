//! When to try again: the retry policy of deliveries, pulls and reconnections.
//!
//! Delays are spread by chance. The generator belongs to the thread: `fastrand::seed` makes what follows on it repeatable,
//! which the simulation needs.
//!
//! The only room that knows the crate `backoff`. That crate is no longer maintained (RUSTSEC-2025-0012, no known
//! vulnerability); everything here could move to another one without a caller noticing.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

/// Delays that double from `first` to `max`, each spread by half to both sides so that a thousand deliveries that
/// failed together do not come back together; after `give_up` since the first failure there is no next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Delay after the first failure, before spreading.
    pub first: Duration,
    /// Longest delay, before spreading.
    pub max: Duration,
    /// How long to go on after the first failure; `None` means for ever.
    pub give_up: Option<Duration>,
}

impl Policy {
    /// For what must come back by itself (a broker, a store): 0.2 s to 5 s, without end.
    pub const RECONNECT: Self = Self {
        first: Duration::from_millis(200),
        max: Duration::from_secs(5),
        give_up: None,
    };

    /// The delay before try number `failures + 1`, where `failures` (from 1) have passed since `elapsed` ago.
    /// `None`: give up.
    #[must_use]
    pub fn delay(&self, failures: u32, elapsed: Duration) -> Option<Duration> {
        if self.give_up.is_some_and(|limit| elapsed >= limit) {
            return None;
        }
        let mut backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.first)
            .with_max_interval(self.max)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        // Beyond 40 doublings every policy has long reached its longest delay.
        for _ in 1..failures.min(40) {
            backoff.next_backoff();
        }
        let centre = backoff.next_backoff()?;
        Some(centre.mul_f64(0.5 + fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        first: Duration::from_secs(4),
        max: Duration::from_mins(1),
        give_up: Some(Duration::from_hours(1)),
    };

    #[test]
    fn delays_double_up_to_the_longest_and_are_spread() {
        for (failures, centre) in [(1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (50, 60)] {
            let delay = POLICY.delay(failures, Duration::ZERO).unwrap();
            assert!(
                delay >= Duration::from_secs(centre) / 2 && delay <= Duration::from_secs(centre) * 3 / 2,
                "after {failures} failures: {delay:?}, expected about {centre} s"
            );
        }
        let spread: std::collections::BTreeSet<_> = (0..20)
            .map(|_| POLICY.delay(3, Duration::ZERO).unwrap())
            .collect();
        assert!(
            spread.len() > 1,
            "twenty deliveries that failed together come back at the same instant"
        );
    }

    #[test]
    fn seeded_thread_spreads_its_delays_the_same_way_again() {
        let delays = || {
            fastrand::seed(7);
            [1, 2, 3].map(|failures| POLICY.delay(failures, Duration::ZERO))
        };
        assert_eq!(delays(), delays());
    }

    #[test]
    fn gives_up_after_the_stated_time_and_never_without_one() {
        assert_eq!(POLICY.delay(9, Duration::from_hours(1)), None);
        assert!(
            Policy::RECONNECT
                .delay(1_000_000, Duration::from_secs(u64::from(u32::MAX)))
                .is_some()
        );
    }
}
