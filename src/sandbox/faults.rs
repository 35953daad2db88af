//! The faults that a stand-in suffers on purpose: which, how often, and which of them have bitten.
//!
//! Each kind has its own seeded row of requests on which it comes due. A kind that is due waits for the next request on
//! which it makes sense (only a call that stores something can be cut after its commit); of several, the one that has
//! waited longest takes it, so a request suffers one fault at most. The first of each kind comes early, so that a short
//! run sees every kind. Nothing here does harm: [`super::befall`] does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock;

/// A way in which a system misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Does what it is asked at once and answers after the caller has given up.
    LateAnswer,
    /// Stores after the caller has given up.
    LateCommit,
    /// Answers HTTP 500 or 503 and stores nothing.
    Failed,
    /// Stores, then answers HTTP 500 or 503.
    FailedAfterCommit,
    /// Cuts the connection without an answer and stores nothing.
    Cut,
    /// Stores, then cuts the connection without an answer.
    CutAfterCommit,
    /// Answers HTTP 429 with Retry-After and stores nothing.
    Busy,
    /// Answers HTTP 200 with an error of its own wording and stores nothing.
    ErrorIn200,
    /// Forgets the open sessions: the call, and every other of an old session, is told so in the system's own words.
    SessionLost,
    /// Does not hear that what it told was taken, and tells it again.
    ToldAgain,
}

/// What a fault would befall.
#[derive(Debug, Clone, Copy)]
pub(super) enum Occasion {
    /// A request: whether rows would be stored (a session is none), and whether it is one in a session.
    Asked { writes: bool, session: bool },
    /// Something that was told to somebody and taken.
    Told,
}

impl FaultKind {
    /// Every kind that a system of which one only reads can suffer.
    pub const OF_READS: [Self; 6] = [
        Self::LateAnswer,
        Self::Failed,
        Self::Cut,
        Self::Busy,
        Self::ErrorIn200,
        Self::SessionLost,
    ];

    /// Those that need a call which stores something.
    pub const OF_WRITES: [Self; 3] = [Self::LateCommit, Self::FailedAfterCommit, Self::CutAfterCommit];

    /// The name under which it is counted, for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::LateAnswer => "answered late",
            Self::LateCommit => "stored late",
            Self::Failed => "failed (500, 503)",
            Self::FailedAfterCommit => "stored, then failed (500, 503)",
            Self::Cut => "cut the connection",
            Self::CutAfterCommit => "stored, then cut the connection",
            Self::Busy => "was busy (429)",
            Self::ErrorIn200 => "said 200 with an error in it",
            Self::SessionLost => "lost its sessions",
            Self::ToldAgain => "told again what was taken",
        }
    }

    fn befalls(self, occasion: Occasion) -> bool {
        match (self, occasion) {
            (Self::ToldAgain, Occasion::Told) => true,
            (Self::ToldAgain, Occasion::Asked { .. }) | (_, Occasion::Told) => false,
            (Self::SessionLost, Occasion::Asked { session, .. }) => session,
            (
                Self::LateCommit | Self::FailedAfterCommit | Self::CutAfterCommit,
                Occasion::Asked { writes, .. },
            ) => writes,
            (Self::LateAnswer | Self::Failed | Self::Cut | Self::Busy | Self::ErrorIn200, _) => true,
        }
    }
}

/// Which faults a stand-in suffers; none by default. Clones share the count, so that a stand-in may be started again
/// with what is left of it.
#[derive(Debug, Clone, Default)]
pub struct Faults(Option<Arc<Schedule>>);

#[derive(Debug)]
struct Schedule {
    every: u64,
    late: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ended: bool,
    asked: u64,
    told: u64,
    kinds: Vec<Due>,
    bitten: BTreeMap<FaultKind, u64>,
    coin: Dice,
}

/// From which request on a kind waits for its turn.
#[derive(Debug)]
struct Due {
    kind: FaultKind,
    at: u64,
    dice: Dice,
}

impl Faults {
    /// Each of these kinds on one request in `every` on the average. `late` is how long answers and commits are held
    /// back; it has to be longer than the caller waits. The same `seed` gives the same requests, by their number.
    #[must_use]
    pub fn new(seed: u64, every: u32, late: Duration, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        let every = u64::from(every.max(1));
        let mut seeds = Dice(seed);
        let coin = Dice(seeds.roll());
        let due = |kind| {
            let mut dice = Dice(seeds.roll());
            let at = dice.up_to(every.div_ceil(3));
            Due { kind, at, dice }
        };
        let kinds: Vec<Due> = kinds.into_iter().map(due).collect();
        let state = State {
            ended: false,
            asked: 0,
            told: 0,
            bitten: kinds.iter().map(|due| (due.kind, 0)).collect(),
            kinds,
            coin,
        };
        Self(Some(Arc::new(Schedule {
            every,
            late,
            state: Mutex::new(state),
        })))
    }

    /// From now on nothing is befallen any more.
    pub fn end(&self) {
        if let Some(schedule) = &self.0 {
            lock(&schedule.state).ended = true;
        }
    }

    /// How often each kind has taken effect; 0 for one that is switched on and has not yet.
    #[must_use]
    pub fn bitten(&self) -> BTreeMap<FaultKind, u64> {
        let bitten = |schedule: &Arc<Schedule>| lock(&schedule.state).bitten.clone();
        self.0.as_ref().map(bitten).unwrap_or_default()
    }

    /// Counts the occasion; the fault that befalls it, if any.
    pub(super) fn strike(&self, occasion: Occasion) -> Option<FaultKind> {
        let schedule = self.0.as_ref()?;
        let mut state = lock(&schedule.state);
        if state.ended {
            return None;
        }
        let number = match occasion {
            Occasion::Asked { .. } => &mut state.asked,
            Occasion::Told => &mut state.told,
        };
        *number += 1;
        let number = *number;
        let struck = state
            .kinds
            .iter_mut()
            .filter(|due| due.at <= number && due.kind.befalls(occasion))
            .min_by_key(|due| due.at)?;
        struck.at = number + schedule.every / 2 + struck.dice.up_to(schedule.every);
        Some(struck.kind)
    }

    /// It has taken effect.
    pub(super) fn bit(&self, kind: FaultKind) {
        if let Some(schedule) = &self.0 {
            *lock(&schedule.state).bitten.entry(kind).or_default() += 1;
        }
    }

    /// It came to nothing: its next occasion is not put off.
    pub(super) fn missed(&self, kind: FaultKind) {
        if let Some(schedule) = &self.0 {
            let mut state = lock(&schedule.state);
            for due in state.kinds.iter_mut().filter(|due| due.kind == kind) {
                due.at = 0;
            }
        }
    }

    /// How long an answer or a commit is held back.
    pub(super) fn late(&self) -> Duration {
        self.0.as_ref().map(|schedule| schedule.late).unwrap_or_default()
    }

    /// One of two ways to say the same thing.
    pub(super) fn coin(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|schedule| lock(&schedule.state).coin.up_to(2) == 1)
    }
}

/// `SplitMix64` of Steele, Lea and Flood (OOPSLA 2014): the same numbers from the same seed, everywhere.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 1 to `most`.
    fn up_to(&mut self, most: u64) -> u64 {
        1 + self.roll() % most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Occasion = Occasion::Asked {
        writes: false,
        session: true,
    };
    const WRITE: Occasion = Occasion::Asked {
        writes: true,
        session: true,
    };

    fn all(seed: u64) -> Faults {
        let kinds = [FaultKind::OF_READS.as_slice(), &FaultKind::OF_WRITES].concat();
        Faults::new(seed, 60, Duration::ZERO, kinds)
    }

    fn struck(faults: &Faults, occasions: impl IntoIterator<Item = Occasion>) -> Vec<Option<FaultKind>> {
        occasions
            .into_iter()
            .map(|occasion| faults.strike(occasion))
            .collect()
    }

    #[test]
    fn same_seed_strikes_the_same_requests_and_another_seed_others() {
        let strikes = |seed| struck(&all(seed), [WRITE; 300]);
        assert_eq!(strikes(7), strikes(7));
        assert_ne!(strikes(7), strikes(8));
    }

    #[test]
    fn each_kind_takes_its_share_and_its_first_one_early() {
        for seed in 0..50 {
            let early = struck(&all(seed), [WRITE; 40]);
            let strikes = struck(&all(seed), [WRITE; 6000]);
            for kind in all(seed).bitten().into_keys() {
                assert!(early.contains(&Some(kind)), "{kind:?} not among the first 40");
                let times = strikes.iter().filter(|struck| **struck == Some(kind)).count();
                assert!((80..=125).contains(&times), "{kind:?} {times} times in 6000");
            }
        }
    }

    #[test]
    fn what_needs_a_commit_waits_for_one() {
        let faults = all(1);
        for struck in struck(&faults, [READ; 100]).into_iter().flatten() {
            assert!(!FaultKind::OF_WRITES.contains(&struck));
        }
        let first = struck(&faults, [WRITE; 3]);
        for kind in FaultKind::OF_WRITES {
            assert!(first.contains(&Some(kind)), "{kind:?} has waited longest");
        }
    }

    #[test]
    fn kind_that_came_to_nothing_is_the_next_to_strike() {
        let faults = all(1);
        let struck = struck(&faults, [WRITE; 40]);
        assert!(struck.contains(&Some(FaultKind::LateCommit)));
        faults.missed(FaultKind::LateCommit);
        assert_eq!(
            faults.strike(READ).filter(|kind| *kind == FaultKind::LateCommit),
            None
        );
        assert_eq!(faults.strike(WRITE), Some(FaultKind::LateCommit));
    }

    #[test]
    fn nothing_is_befallen_after_the_end() {
        let faults = all(1);
        faults.end();
        assert!(struck(&faults, [WRITE; 200]).iter().all(Option::is_none));
        assert_eq!(struck(&Faults::default(), [WRITE; 200]), [None; 200]);
    }
}
