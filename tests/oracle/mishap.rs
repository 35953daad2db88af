//! What goes wrong at the oracle, how often, and how long it may take.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One way in which a target system disappoints its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mishap {
    /// Commits, then the connection is cut before a byte of the answer.
    CommitThenDrop,
    /// Commits, then answers 500.
    CommitThen500,
    /// Answers 500; nothing was committed.
    Error500,
    /// Answers nothing until the caller has given up, then commits, within the declared settle time.
    LateCommit,
    /// The same beyond the declared settle time: nobody can promise anything here. For negative controls only.
    LateBeyondSettle,
    /// 429 with Retry-After; nothing was committed.
    TooMany,
    /// 200 with an error in the body; nothing was committed.
    ErrorIn200,
    /// Commits; the answer breaks off in the middle of its body.
    ResetInBody,
    /// What was committed is found by a search only after a while, within the declared settle time.
    SearchLag,
    /// A create of what is there already is refused with 409; without this mishap it makes a second row.
    RefusesDuplicates,
    /// A version older than the one it has, or an item that does not follow the last one, is refused.
    RefusesDisorder,
    /// Keeps texts in upper case and cut short, and shows and reports them so.
    Lossy,
    /// Was restored from a backup: what was committed after it is gone. Bites when [`Oracle::restore`] is called.
    ///
    /// [`Oracle::restore`]: super::model::Oracle::restore
    Restored,
}

impl Mishap {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::CommitThenDrop,
        Self::CommitThen500,
        Self::Error500,
        Self::LateCommit,
        Self::LateBeyondSettle,
        Self::TooMany,
        Self::ErrorIn200,
        Self::ResetInBody,
        Self::SearchLag,
        Self::RefusesDuplicates,
        Self::RefusesDisorder,
        Self::Lossy,
        Self::Restored,
    ];

    /// Those that befall a single writing request; of these a mixed mode rolls one.
    const OF_WRITES: [Self; 7] = [
        Self::CommitThenDrop,
        Self::CommitThen500,
        Self::Error500,
        Self::LateCommit,
        Self::TooMany,
        Self::ErrorIn200,
        Self::ResetInBody,
    ];

    /// Those that befall a reading request: it commits nothing, so a late one would be a silence.
    const OF_READS: [Self; 5] = [
        Self::CommitThenDrop,
        Self::Error500,
        Self::TooMany,
        Self::ErrorIn200,
        Self::ResetInBody,
    ];

    /// Those of a system that refuses for now.
    const OF_BUSY: [Self; 3] = [Self::Error500, Self::TooMany, Self::ErrorIn200];

    fn may_befall(self, writes: bool) -> bool {
        match self {
            Self::LateBeyondSettle => writes,
            _ if writes => Self::OF_WRITES.contains(&self),
            // A single mishap that is about commits must bite there, and not spend itself on searches.
            _ => Self::OF_BUSY.contains(&self),
        }
    }
}

impl fmt::Display for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => f.write_str(&name),
            _ => Err(fmt::Error),
        }
    }
}

/// How the oracle behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub(crate) enum Mode {
    /// Nothing goes wrong.
    Sound,
    /// One mishap, for so many of a hundred requests; one that is a trait of the system (refuses, lossy) is there always.
    Only {
        /// Which.
        mishap: Mishap,
        /// Of a hundred requests that it may befall.
        percent: u8,
    },
    /// A system that answers, and refuses for now: 500, 429 or 200 with an error, and nothing committed.
    Busy {
        /// Of a hundred requests.
        percent: u8,
    },
    /// A system that refuses duplicates and disorder, and cuts connections after commits: what is repeated is refused.
    Strict {
        /// Of a hundred writes that are cut.
        percent: u8,
    },
    /// Each request may meet any mishap but [`Mishap::LateBeyondSettle`]; traits of the system are drawn once.
    Mixed {
        /// Of a hundred requests.
        percent: u8,
    },
}

impl Mode {
    /// What befalls this request, if anything.
    pub(crate) fn befalls(self, writes: bool, roll: &mut Roll) -> Option<Mishap> {
        let (among, percent): (&[Mishap], u8) = match self {
            Self::Only { ref mishap, percent } if mishap.may_befall(writes) => {
                (std::slice::from_ref(mishap), percent)
            }
            Self::Busy { percent } => (&Mishap::OF_BUSY, percent),
            Self::Strict { percent } if writes => (&[Mishap::CommitThenDrop], percent),
            Self::Sound | Self::Only { .. } | Self::Strict { .. } => return None,
            Self::Mixed { percent } if writes => (&Mishap::OF_WRITES, percent),
            Self::Mixed { percent } => (&Mishap::OF_READS, percent),
        };
        (roll.of_hundred() < percent).then(|| *roll.among(among))
    }

    /// How often what this mode brings has bitten; what a system of this class does always is no weather.
    pub(crate) fn bites(self, bitten: &BTreeMap<Mishap, u64>) -> u64 {
        let among: Vec<Mishap> = match self {
            Self::Sound => Vec::new(),
            Self::Only { mishap, .. } => vec![mishap],
            Self::Busy { .. } => Mishap::OF_BUSY.into(),
            Self::Strict { .. } => vec![Mishap::CommitThenDrop],
            Self::Mixed { .. } => Mishap::OF_WRITES.into(),
        };
        among.iter().filter_map(|mishap| bitten.get(mishap)).sum()
    }

    /// Whether the system has this trait.
    pub(crate) fn has(self, mishap: Mishap, seed: u64) -> bool {
        match self {
            Self::Sound | Self::Busy { .. } => false,
            Self::Only { mishap: only, .. } => only == mishap,
            Self::Strict { .. } => matches!(mishap, Mishap::RefusesDuplicates | Mishap::RefusesDisorder),
            Self::Mixed { .. } => Roll::new(seed, &mishap.to_string()).of_hundred() < 50,
        }
    }

    /// Whether a search lags behind this commit.
    pub(crate) fn lags(self, roll: &mut Roll) -> bool {
        match self {
            Self::Sound | Self::Busy { .. } | Self::Strict { .. } => false,
            Self::Only { mishap, percent } => mishap == Mishap::SearchLag && roll.of_hundred() < percent,
            Self::Mixed { percent } => roll.of_hundred() < percent,
        }
    }
}

/// The times that the adapter declares, which the mishaps keep to or break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Times {
    /// How long the caller waits for an answer.
    pub(crate) timeout_ms: u64,
    /// The longest that a late commit or a lagging search may take after the caller has given up.
    pub(crate) settle_ms: u64,
}

impl Times {
    /// From the arrival of a request to its late commit: after the caller has given up, well within settle.
    pub(crate) fn late(self, roll: &mut Roll) -> u64 {
        self.timeout_ms + roll.between(self.settle_ms / 10, self.settle_ms * 3 / 10)
    }

    /// The same, too late for everybody: after the look-up that follows the settle time, and after what follows that.
    pub(crate) fn too_late(self, roll: &mut Roll) -> u64 {
        self.timeout_ms + roll.between(self.settle_ms * 2, self.settle_ms * 3) + self.timeout_ms
    }

    /// From a commit to when a search shows it. Together with the latest late commit well within settle: the
    /// rest is for what a busy machine takes.
    pub(crate) fn lag(self, roll: &mut Roll) -> u64 {
        roll.between(self.settle_ms / 10, self.settle_ms * 3 / 10)
    }
}

/// Chance that depends on nothing but the seed and what it is about: the same request meets the same fate whatever came
/// before it. The generator is `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Roll(u64);

impl Roll {
    /// Chance about one thing.
    pub(crate) fn new(seed: u64, about: &str) -> Self {
        // FNV-1a: the standard hasher does not promise the same values in the next compiler.
        let hash = about.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut roll = Self(seed ^ hash);
        roll.next();
        roll
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.max(low) - low + 1)
    }

    /// From 0 to 99.
    pub(crate) fn of_hundred(&mut self) -> u8 {
        u8::try_from(self.between(0, 99)).unwrap_or(0)
    }

    /// One of these.
    pub(crate) fn among<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let last = u64::try_from(of.len()).unwrap_or(1) - 1;
        &of[usize::try_from(self.between(0, last)).unwrap_or(0)]
    }
}
