//! The end of an exchange, and what the verdicts mean that say the same whatever was called.

use std::time::Duration;

use jiff::Timestamp;

use super::push_of;
use super::work::{Way, Work};
use crate::adapter::{Adapter, Verdict, Word};
use crate::dossier::Origin;
use crate::fault::Fault;
use crate::retry::Policy;
use crate::store::{Delivery, Presence, State};

/// A settled exchange.
pub(super) struct Settled {
    pub(super) row: Delivery,
    pub(super) version: i64,
    /// The attempt that the row has in the store.
    pub(super) fence: i64,
    pub(super) origin: Origin,
    /// A code of the dossier in the target that was not known before.
    pub(super) link: Option<String>,
    /// Whether the row's last intent took effect, where that is known now.
    pub(super) took_effect: Option<bool>,
    /// The intent before it, where it is to be found out yet whether that took effect.
    pub(super) before: Option<String>,
}

impl Settled {
    /// The end of a work, its row as it is to be.
    pub(super) fn of(work: Work, took_effect: Option<bool>) -> Self {
        Self {
            version: work.version,
            fence: work.fence,
            origin: work.origin,
            link: None,
            took_effect,
            before: work.before,
            row: work.row,
        }
    }
}

/// Every verdict that means the same for all ways.
pub(super) fn unsettled(adapter: &Adapter, mut work: Work, verdict: Verdict, now: Timestamp) -> Settled {
    // Until the next try somebody may have typed the record in: "none" was believed for this one create.
    if work.way == Way::Create && push_of(adapter, &work.row.push).is_some_and(|push| push.find.is_some()) {
        work.row.presence = Presence::Unknown;
    }
    // A look-up says nothing of the call before it.
    let mut took_effect = (work.way != Way::Look).then_some(false);
    match verdict.word {
        Word::InDoubt => {
            took_effect = None;
            work.row.state = State::InDoubt {
                until: now + settle_time(adapter, &work.row.push),
            };
        }
        // The adapter rests as a whole; no attempt is burnt.
        Word::Pause | Word::Login => work.row.state = State::Due,
        Word::Retry => work.row = back_off(adapter, work.row, &verdict, now),
        Word::Done | Word::Exists | Word::Missing | Word::Refused => {
            let row = &mut work.row;
            row.state = refused(verdict.reason);
            // An answer came: what fails next is another failure.
            row.failures = 0;
            row.failing_since = None;
        }
    }
    Settled::of(work, took_effect)
}

/// Parked because the target takes no such record, or answers no such question.
pub(super) fn refused(reason: Option<String>) -> State {
    let reason = reason.unwrap_or_else(|| "a refusal without a reason".to_owned());
    let cause = Fault::new("refused-by-target")
        .found(reason)
        .expected("that the target takes the record")
        .remedy("correct the dossier in the system it comes from; the corrected version is sent by itself");
    State::Parked { cause, held: false }
}

pub(super) fn back_off(adapter: &Adapter, mut row: Delivery, verdict: &Verdict, now: Timestamp) -> Delivery {
    row.failures += 1;
    let since = *row.failing_since.get_or_insert(now);
    let elapsed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    row.state = if let Some(delay) = policy(adapter).delay(row.failures, elapsed) {
        State::BackingOff {
            next: now + verdict.after.map_or(delay, |after| after.max(delay)),
        }
    } else {
        let cause = Fault::new("gave-up")
            .found(format!(
                "{} tries since {since}; the last: {}",
                row.failures,
                verdict.reason.as_deref().unwrap_or("no reason given")
            ))
            .expected("an answer within the time that the manifest's `retry.give_up` allows")
            .remedy("see to the target system; then retry the delivery");
        State::Parked { cause, held: false }
    };
    row
}

fn policy(adapter: &Adapter) -> Policy {
    let retry = &adapter.connection.retry;
    Policy {
        first: retry.first,
        max: retry.max,
        give_up: Some(retry.give_up),
    }
}

/// How long after an unclear end nothing is asked or sent.
fn settle_time(adapter: &Adapter, push: &str) -> Duration {
    push_of(adapter, push).map_or(adapter.connection.settle, |push| push.settle)
}

/// The cause where a record under this dossier's key cannot be taken for the dossier's.
pub(super) fn taken(code: &str, found: &str) -> Fault {
    Fault::new(code)
        .found(found)
        .expected("none, or one that is this dossier's")
        .remedy("compare the records in both systems and correct the code or the record that is wrong")
}

/// Parked until a person decides.
pub(super) fn held(cause: Fault) -> State {
    State::Parked { cause, held: true }
}
