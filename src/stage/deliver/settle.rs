//! What an answer means for a row.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::end::{Settled, back_off, held, taken, unsettled};
use super::look::looked;
use super::work::{Way, Work};
use super::{PLANNED, flapping, push_of};
use crate::adapter::{Adapter, Verdict, Word};
use crate::connector::Exchange;
use crate::fault::Fault;
use crate::jq::Mark;
use crate::stage::{Shared, pause};
use crate::store::{Presence, State};

/// Settles one exchange.
pub(super) async fn settle(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    work: Work,
    exchange: Exchange,
) -> Settled {
    let known = work.row.remote.clone();
    let read = read(shared, adapter, &work, &exchange).await;
    let (now, wall) = (shared.steady.now(), shared.clock.now());
    let mut settled = match work.way {
        Way::Look => looked(shared, adapter, work, exchange, now).await,
        Way::Step => stepped(adapter, work, exchange, read.state, now, wall),
        Way::Create | Way::Update => written(adapter, work, exchange, read.remote, now, wall),
    };
    let row = &settled.row;
    settled.link = row
        .remote
        .clone()
        .filter(|remote| row.item.is_empty() && known.as_ref() != Some(remote));
    settled
}

/// What the mappings read from a call that took effect.
#[derive(Default)]
struct Read {
    /// The record's id there, as the answer to a create or update says.
    remote: Option<String>,
    /// The state that an action has led to, where the target cannot be asked.
    state: Option<Result<Value, Fault>>,
}

async fn read(shared: &Shared, adapter: &Arc<Adapter>, work: &Work, exchange: &Exchange) -> Read {
    let push = push_of(adapter, &work.row.push).expect(PLANNED);
    let by_step = work.way == Way::Step;
    let nothing = work.way == Way::Look || (by_step && push.find.is_some());
    let (Word::Done, false, Some(native)) = (exchange.verdict.word, nothing, work.native.clone()) else {
        return Read::default();
    };
    let operation = &work.call(push).name;
    let about = Mark::of(&(work.row.dossier, &work.row.item));
    let (push, view) = (push.clone(), work.view.clone());
    let answer = exchange.answer.as_ref().map(|answer| answer.body.clone());
    let reading = shared
        .lane(adapter)
        .run(operation, about, move || match push.steps() {
            Some(steps) if by_step => Read {
                remote: None,
                state: Some(steps.state(&native.record, &view)),
            },
            _ => Read {
                remote: answer.and_then(|answer| push.remote(&answer, &native, &view).ok().flatten()),
                state: None,
            },
        });
    reading.await.unwrap_or_else(|stuck| Read {
        remote: None,
        state: by_step.then(|| Err(pause::given_up(operation, stuck))),
    })
}

/// After a create or an update.
fn written(
    adapter: &Adapter,
    mut work: Work,
    exchange: Exchange,
    said: Option<String>,
    now: Timestamp,
    wall: Timestamp,
) -> Settled {
    let push = push_of(adapter, &work.row.push).expect(PLANNED);
    match exchange.verdict.word {
        Word::Done => {
            let remote = said.or_else(|| work.native().key.clone());
            let row = &mut work.row;
            row.remote = match work.way {
                Way::Create => remote.or(row.remote.take()),
                _ => row.remote.take().or(remote),
            };
            row.presence = Presence::Present;
            row.applied = Some(work.version);
            row.state = State::Applied;
            applied(adapter, work, now, wall)
        }
        // The answer and the look-up contradict each other, or the record went: ask, but not in a hot circle.
        Word::Exists | Word::Missing if push.find.is_some() => {
            work.row.presence = Presence::Unknown;
            if exchange.verdict.word == Word::Missing {
                work.row.remote = None;
            }
            if work.row.failures == 0 {
                work.row.failures = 1;
                work.row.failing_since = Some(now);
                work.row.state = State::Due;
            } else {
                work.row = back_off(adapter, work.row, &exchange.verdict, now);
            }
            Settled::of(work, Some(false))
        }
        // What is there is the record of the call before this one, whose end nobody saw.
        Word::Exists if work.way == Way::Create && work.before.is_some() => {
            work.row.presence = Presence::Present;
            work.row.remote = work.row.remote.take().or_else(|| work.native().key.clone());
            // Of which version it is nobody knows where several were sent: what can be updated is.
            if work.before == work.row.intent && push.update().is_none() {
                work.row.applied = Some(work.version);
                work.row.state = State::Applied;
                return applied(adapter, work, now, wall);
            }
            work.row.state = State::Due;
            work.before = None;
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
    led_to: Option<Result<Value, Fault>>,
    now: Timestamp,
    wall: Timestamp,
) -> Settled {
    let push = push_of(adapter, &work.row.push).expect(PLANNED);
    if push.find.is_some() {
        // asked again before anything else
        work.row.presence = Presence::Unknown;
    }
    match exchange.verdict.word {
        Word::Done => {
            let row = &mut work.row;
            match led_to {
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
            row.state = State::Due;
            applied(adapter, work, now, wall)
        }
        // It stands where the action would lead, or is not there at all.
        Word::Exists | Word::Missing if push.find.is_some() => {
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
