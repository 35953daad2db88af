//! What an answer means for a row.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::look::{held, looked, taken};
use super::work::{Way, Work};
use super::{PLANNED, flapping, push_of};
use crate::adapter::{Adapter, Verdict, Word};
use crate::connector::Exchange;
use crate::dossier::Origin;
use crate::fault::Fault;
use crate::retry::Policy;
use crate::stage::Shared;
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
    /// A create that was open is no longer.
    pub(super) create_settled: bool,
}

impl Settled {
    /// The end of a work, its row as it is to be.
    pub(super) fn of(work: Work, took_effect: Option<bool>) -> Self {
        let open = work.way == Way::Create || (work.way == Way::Look && work.doubted);
        Self {
            create_settled: open && work.row.item.is_empty() && work.row.is_certain(),
            version: work.version,
            fence: work.fence,
            origin: work.origin,
            link: None,
            took_effect,
            row: work.row,
        }
    }
}

/// Settles one exchange.
pub(super) async fn settle(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    work: Work,
    exchange: Exchange,
) -> Settled {
    let now = shared.steady.now();
    let known = work.row.remote.clone();
    let mut settled = match work.way {
        Way::Look => looked(shared, adapter, work, exchange, now).await,
        Way::Step => stepped(adapter, work, exchange, now, shared.clock.now()),
        Way::Create | Way::Update => written(adapter, work, exchange, now, shared.clock.now()),
    };
    let row = &settled.row;
    settled.link = row
        .remote
        .clone()
        .filter(|remote| row.item.is_empty() && known.as_ref() != Some(remote));
    settled
}

/// After a create or an update.
fn written(
    adapter: &Adapter,
    mut work: Work,
    exchange: Exchange,
    now: Timestamp,
    wall: Timestamp,
) -> Settled {
    let push = push_of(adapter, &work.row.push).expect(PLANNED);
    let word = exchange.verdict.word;
    match word {
        Word::Done => {
            let (native, view) = (work.native(), &work.view);
            let said = exchange
                .answer
                .and_then(|answer| push.remote(&answer.body, native, view).ok().flatten());
            let remote = said.or_else(|| native.key.clone());
            let row = &mut work.row;
            row.remote = row.remote.take().or(remote);
            row.presence = Presence::Present;
            row.applied = Some(work.version);
            row.state = State::Applied;
            applied(adapter, work, now, wall)
        }
        // The answer and the look-up contradict each other, or the record went: ask, but not in a hot circle.
        Word::Exists | Word::Missing if push.find.is_some() => {
            work.row.presence = Presence::Unknown;
            if work.row.failures == 0 {
                work.row.failures = 1;
                work.row.failing_since = Some(now);
                work.row.state = State::Due;
            } else {
                work.row = back_off(adapter, work.row, &exchange.verdict, now);
            }
            Settled::of(work, Some(false))
        }
        Word::Exists => {
            work.row.state = held(taken(
                "key-taken",
                "a record under this dossier's key, and no way to ask whose it is",
            ));
            Settled::of(work, Some(false))
        }
        Word::Missing if work.way == Way::Update => {
            work.row.presence = Presence::Absent;
            work.row = back_off(adapter, work.row, &exchange.verdict, now);
            Settled::of(work, Some(false))
        }
        _ => unsettled(adapter, work, exchange.verdict, now),
    }
}

/// After an action. Where the target can be asked, it is asked how it stands before the next one; `applied` comes only
/// when there is none.
fn stepped(
    adapter: &Adapter,
    mut work: Work,
    exchange: Exchange,
    now: Timestamp,
    wall: Timestamp,
) -> Settled {
    let push = push_of(adapter, &work.row.push).expect(PLANNED);
    match exchange.verdict.word {
        Word::Done => {
            let can_look = push.find.is_some();
            let row = &mut work.row;
            row.presence = if can_look {
                Presence::Unknown
            } else {
                Presence::Present
            };
            if !can_look && let Some(steps) = push.steps() {
                let record = work.native.as_ref().map(|native| &native.record);
                match record.map(|record| steps.state(record, &work.view)) {
                    Some(Ok(state)) => row.target_state = Some(state),
                    Some(Err(fault)) => {
                        row.judged_by = Some(adapter.version.clone());
                        row.state = State::Parked {
                            cause: fault,
                            held: false,
                        };
                        return Settled::of(work, Some(true));
                    }
                    None => {}
                }
            }
            row.state = State::Due;
            applied(adapter, work, now, wall)
        }
        // It stands where the action would lead, or is not there at all: asked before anything else.
        Word::Exists | Word::Missing if push.find.is_some() => {
            work.row.presence = Presence::Unknown;
            work.row.target_state = None;
            work.row = back_off(adapter, work.row, &exchange.verdict, now);
            Settled::of(work, Some(false))
        }
        Word::Exists => {
            let verdict = Verdict {
                word: Word::Refused,
                ..exchange.verdict
            };
            unsettled(adapter, work, verdict, now)
        }
        _ => unsettled(adapter, work, exchange.verdict, now),
    }
}

/// The target has this record now.
fn applied(adapter: &Adapter, mut work: Work, now: Timestamp, wall: Timestamp) -> Settled {
    let hash = work.native().hash.clone();
    let row = &mut work.row;
    flapping::note(&mut row.recent, &hash, now);
    row.native_hash = Some(hash);
    row.applied_at = Some(wall);
    row.mapping = Some(adapter.version.clone());
    row.failures = 0;
    row.failing_since = None;
    row.batch_limit = None;
    Settled::of(work, Some(true))
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
            let cause = Fault::new("refused-by-target")
                .found(verdict.reason.unwrap_or_else(|| "a refusal without a reason".to_owned()))
                .expected("that the target takes the record")
                .remedy("correct the dossier in the system it comes from; the corrected version is sent by itself");
            let row = &mut work.row;
            row.state = State::Parked { cause, held: false };
            // An answer came: what fails next is another failure.
            row.failures = 0;
            row.failing_since = None;
        }
    }
    Settled::of(work, took_effect)
}

fn back_off(adapter: &Adapter, mut row: Delivery, verdict: &Verdict, now: Timestamp) -> Delivery {
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
