//! The ten national statuses, the legal transitions between them, and the fold that gives the current one.
//!
//! The fold is a pure function of the set of entries, computed anew each time and never stored or sent: so every node
//! judges alike, and an entry that comes late can make another one legal.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Entry, Hlc, Moment};

/// A status of the national list (national portal, list of dossier statuses 1 to 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// 1, submitted and not yet looked at.
    Registered,
    /// 2, taken in: the clock runs.
    Accepted,
    /// 3, not taken in.
    Rejected,
    /// 4, being handled.
    InProgress,
    /// 5, papers are missing.
    SupplementRequested,
    /// 6, the applicant has to pay.
    PaymentRequested,
    /// 7, taken back by the applicant.
    Withdrawn,
    /// 8, handling ended without a result.
    Stopped,
    /// 9, handling ended with a result.
    Completed,
    /// 10, the result was handed over.
    Returned,
}

impl Status {
    /// All of them, in the order of their national numbers.
    pub const ALL: [Self; 10] = [
        Self::Registered,
        Self::Accepted,
        Self::Rejected,
        Self::InProgress,
        Self::SupplementRequested,
        Self::PaymentRequested,
        Self::Withdrawn,
        Self::Stopped,
        Self::Completed,
        Self::Returned,
    ];

    /// The code by which the status is known in events, patches and code tables.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::InProgress => "in_progress",
            Self::SupplementRequested => "supplement_requested",
            Self::PaymentRequested => "payment_requested",
            Self::Withdrawn => "withdrawn",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Returned => "returned",
        }
    }

    /// Whether the dossier's handling has ended for good.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Rejected | Self::Withdrawn | Self::Stopped | Self::Returned
        )
    }

    /// Whether a dossier in this status may go on to `next` by an entry of this kind.
    pub(super) fn leads_to(self, next: Self, kind: Option<&str>) -> bool {
        use Status::{
            Accepted, Completed, InProgress, PaymentRequested, Registered, Rejected, Returned, Stopped,
            SupplementRequested, Withdrawn,
        };
        match self {
            Registered => matches!(
                next,
                Accepted | Rejected | SupplementRequested | PaymentRequested | Withdrawn
            ),
            Accepted => matches!(
                next,
                InProgress | SupplementRequested | PaymentRequested | Withdrawn | Stopped | Completed
            ),
            InProgress => matches!(
                next,
                SupplementRequested | PaymentRequested | Completed | Stopped | Withdrawn | Rejected
            ),
            SupplementRequested => matches!(
                next,
                Registered | Accepted | InProgress | Stopped | Withdrawn | Rejected
            ),
            PaymentRequested => matches!(
                next,
                Registered | Accepted | InProgress | Completed | Stopped | Withdrawn
            ),
            Completed => next == Returned || (next == InProgress && kind == Some("sent_back")),
            Returned => next == Completed && kind == Some("revoked"),
            Rejected | Withdrawn | Stopped => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is no code of the list of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("find the code in the list of statuses")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(code: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.code() == code)
            .ok_or(UnknownStatus)
    }
}

/// What a set of entries comes to.
#[derive(Debug, Clone, Default)]
pub struct Fold<'a> {
    /// The entry that gave the dossier its status.
    pub current: Option<&'a Entry>,
    /// Identities of the entries that moved the dossier on, in order.
    pub moved: Vec<&'a str>,
    /// Identities of entries that say the status again that the dossier had.
    pub repeated: Vec<&'a str>,
    /// Identities of entries that were not legal where they stand. They stay in the log.
    pub illegal: Vec<&'a str>,
}

/// An entry with its identity and its place in time.
struct Placed<'a> {
    id: &'a str,
    entry: &'a Entry,
    /// When it counts from; see [`placed`].
    time: Timestamp,
}

impl<'a> Placed<'a> {
    fn key(&self) -> (Timestamp, Timestamp, Hlc, u32, &'a str) {
        (
            self.time,
            stated(self.entry),
            self.entry.stamp.hlc,
            self.entry.place,
            self.id,
        )
    }

    /// Whether the other entry, of which only the period is known, may have come before this one although it stands
    /// at the end of its period.
    fn may_follow(&self, other: &Self) -> bool {
        other
            .entry
            .at
            .is_some_and(|at| !at.is_exact() && at.covers(stated(self.entry)))
    }
}

/// The time that an entry states, unless it is a slip that lies far ahead of when it was seen.
fn native(entry: &Entry) -> Option<Moment> {
    entry.at.filter(|at| at.is_plausible(entry.stamp.effective))
}

/// End of the time that an entry states; its stamp's where it states none.
fn stated(entry: &Entry) -> Timestamp {
    native(entry).map_or(entry.stamp.effective, Moment::end)
}

/// The entries in the order in which they count.
///
/// Each counts from its stamp's effective time, which is never later than its record was seen. A clock that runs fast
/// is thereby cut off, and in the order of arrival: so that entries of one system keep the order which that system gave
/// them, each counts from no earlier than the natively earlier ones of its system.
fn placed(entries: &BTreeMap<String, Entry>) -> Vec<Placed<'_>> {
    let mut all: Vec<_> = entries
        .iter()
        .map(|(id, entry)| Placed {
            id,
            entry,
            time: entry.stamp.effective,
        })
        .collect();
    all.sort_by_key(|one| (stated(one.entry), one.entry.stamp.hlc, one.entry.place, one.id));
    let mut latest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for one in all.iter_mut().filter(|one| native(one.entry).is_some()) {
        let latest = latest.entry(&one.entry.system).or_insert(one.time);
        *latest = one.time.max(*latest);
        one.time = *latest;
    }
    all.sort_by_key(Placed::key);
    all
}

/// The entries of a log in the order of time, with their identities.
#[must_use]
pub fn in_order(entries: &BTreeMap<String, Entry>) -> Vec<(&str, &Entry)> {
    placed(entries)
        .into_iter()
        .map(|one| (one.id, one.entry))
        .collect()
}

/// Folds a status log: the legal transitions in the order of time.
///
/// From nothing every status is legal. The same value again is no transition. An entry known only to the day (month,
/// year) stands at its end, unless an entry of that period is legal only after it.
#[must_use]
pub fn fold(entries: &BTreeMap<String, Entry>) -> Fold<'_> {
    let placed = placed(entries);
    let mut fold = Fold::default();
    let mut done = vec![false; placed.len()];
    for index in 0..placed.len() {
        if done[index] {
            continue;
        }
        let one = &placed[index];
        if fold
            .current
            .is_some_and(|current| current.value == one.entry.value)
        {
            fold.repeated.push(one.id);
            continue;
        }
        let waiting: Vec<_> = (index + 1..placed.len())
            .filter(|&later| !done[later] && one.may_follow(&placed[later]))
            .collect();
        let Some(path) = path(fold.current, one.entry, &waiting, &placed) else {
            fold.illegal.push(one.id);
            continue;
        };
        for step in path.into_iter().chain([index]) {
            done[step] = true;
            fold.moved.push(placed[step].id);
            fold.current = Some(placed[step].entry);
        }
    }
    fold
}

/// The fewest of the `waiting` entries that lead from `current` to where `target` is legal: none of them where it is
/// legal at once, `None` where no way leads there.
fn path(
    current: Option<&Entry>,
    target: &Entry,
    waiting: &[usize],
    placed: &[Placed<'_>],
) -> Option<Vec<usize>> {
    let mut ways = VecDeque::from([Vec::new()]);
    // each status needs to be reached only once: the first way to it is the shortest
    let mut reached: Vec<&str> = current.map(|entry| entry.value.as_str()).into_iter().collect();
    while let Some(way) = ways.pop_front() {
        let here = way
            .last()
            .map_or(current, |&last: &usize| Some(placed[last].entry));
        if legal(here, target) {
            return Some(way);
        }
        for &next in waiting {
            let entry = placed[next].entry;
            if !way.contains(&next) && !reached.contains(&entry.value.as_str()) && legal(here, entry) {
                reached.push(&entry.value);
                ways.push_back(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

/// Whether an entry may follow another. A status that this version does not know leads nowhere and is led to by none.
fn legal(current: Option<&Entry>, next: &Entry) -> bool {
    let Ok(to) = next.value.parse::<Status>() else {
        return false;
    };
    match current.map(|entry| entry.value.parse::<Status>()) {
        None => true,
        Some(Ok(from)) => from.leads_to(to, next.kind.as_deref()),
        Some(Err(UnknownStatus)) => false,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
