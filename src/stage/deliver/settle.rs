//! What an answer means for a row.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::plan::{Ways, Work};
use super::push_of;
use crate::adapter::{Adapter, Decision, Verdict, Word};
use crate::connector::Exchange;
use crate::dossier::Origin;
use crate::fault::Fault;
use crate::jq::Scope;
use crate::retry::Policy;
use crate::stage::Shared;
use crate::store::{Delivery, Presence, State};

const PLANNED: &str = "a plan is made for a push of the adapter";

/// A settled exchange.
pub(super) struct Settled {
    pub(super) row: Delivery,
    pub(super) version: i64,
    /// The attempt that the row has in the store.
    pub(super) fence: i64,
    pub(super) origin: Origin,
    /// A code of the dossier in the target that was not known before.
    pub(super) link: Option<String>,
    /// Why the whole adapter rests.
    pub(super) pause: Option<String>,
}

/// Settles one exchange.
pub(super) async fn settle(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    work: Work,
    exchange: Exchange,
    now: Timestamp,
) -> Settled {
    let fence = work.row.attempt;
    let (version, origin, way) = (work.version, work.origin.clone(), work.way);
    let known = work.row.remote.clone();
    // This is logged. What a system says to a call about a dossier may name the applicant; its status does not. Without
    // an answer it is the log-in that failed, where nobody is spoken of.
    let pause = (exchange.verdict.word == Word::Pause).then(|| {
        let reason = match &exchange.answer {
            Some(answer) => Some(format!("HTTP {}", answer.status)),
            None => exchange.verdict.reason.clone(),
        };
        reason.unwrap_or_else(|| "no reason given".to_owned())
    });
    let row = if way == Ways::Find {
        found(shared, adapter, work, exchange, now).await
    } else {
        written(adapter, work, exchange, now)
    };
    let link = row
        .remote
        .clone()
        .filter(|remote| row.item.is_empty() && known.as_ref() != Some(remote));
    Settled {
        row,
        version,
        fence,
        origin,
        link,
        pause,
    }
}

/// After a look-up: what it found decides the next call. "None" is believed only with the verdict `done` or `missing`.
async fn found(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    work: Work,
    exchange: Exchange,
    now: Timestamp,
) -> Delivery {
    let decided = match (exchange.verdict.word, exchange.answer) {
        (Word::Missing, _) => Ok((Decision::Create, None)),
        (Word::Done, Some(answer)) => decide(shared, adapter, &work, answer.body, exchange.scope).await,
        // A look-up changes nothing, so nothing is in doubt after it.
        (Word::InDoubt, _) => {
            let verdict = Verdict {
                word: Word::Retry,
                ..exchange.verdict
            };
            return unsettled(adapter, work.row, verdict, now);
        }
        _ => return unsettled(adapter, work.row, exchange.verdict, now),
    };
    let mut row = work.row;
    match decided {
        Ok((Decision::Create, _)) => {
            row.presence = Presence::Absent;
            row.state = State::Due;
        }
        Ok((Decision::Same(_), remote)) => {
            row.presence = Presence::Present;
            row.remote = remote.or(work.native.key).or(row.remote);
            row.state = State::Due;
        }
        Ok((Decision::KeyTaken, _)) => {
            row.state = held(taken("key-taken", "another record under this dossier's key"));
        }
        Ok((Decision::Duplicate, _)) => {
            row.state = held(taken(
                "duplicate-in-target",
                "several records under this dossier's key",
            ));
        }
        Err(fault) => {
            row.state = State::Parked {
                cause: fault,
                held: false,
            }
        }
    }
    row
}

/// The cause where a record under this dossier's key cannot be taken for the dossier's.
pub(super) fn taken(code: &str, found: &str) -> Fault {
    Fault::new(code)
        .found(found)
        .expected("none, or one that is this dossier's")
        .remedy("compare the records in both systems and correct the code or the record that is wrong")
}

/// Parked until a person decides.
fn held(cause: Fault) -> State {
    State::Parked { cause, held: true }
}

async fn decide(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    work: &Work,
    answer: Value,
    scope: Scope,
) -> Result<(Decision, Option<String>), Fault> {
    let (adapter, name) = (Arc::clone(adapter), work.row.push.clone());
    let (native, view) = (work.native.clone(), work.view.clone());
    let decided = shared.workers.run(move || {
        let push = push_of(&adapter, &name).expect(PLANNED);
        let find = push.find.as_ref().expect("planned because there is a find");
        let records = find.call.records(&answer, &scope)?;
        let decision = push.decide(&records, &native, &view)?;
        let remote = match &decision {
            Decision::Same(record) => push.remote_of_found(record, &native, &view)?,
            _ => None,
        };
        Ok((decision, remote))
    });
    decided
        .await
        .unwrap_or_else(|stuck| Err(Fault::new("mapping-too-long").found(stuck.to_string())))
}

/// After a create or an update.
fn written(adapter: &Adapter, work: Work, exchange: Exchange, now: Timestamp) -> Delivery {
    let push = push_of(adapter, &work.row.push).expect(PLANNED);
    let Work {
        mut row,
        version,
        way,
        native,
        view,
        ..
    } = work;
    match exchange.verdict.word {
        Word::Done => {
            let remote = exchange
                .answer
                .and_then(|answer| push.remote(&answer.body, &native, &view).ok().flatten());
            row.remote = row.remote.or(remote).or(native.key);
            row.presence = Presence::Present;
            row.applied = Some(version);
            row.applied_at = Some(now);
            row.native_hash = Some(native.hash);
            row.mapping = Some(adapter.version.clone());
            row.failures = 0;
            row.failing_since = None;
            row.state = State::Applied;
            row
        }
        // The answer and the look-up contradict each other, or the record went: ask, but not in a hot circle.
        Word::Exists | Word::Missing if push.find.is_some() => {
            row.presence = Presence::Unknown;
            if row.failures == 0 {
                row.failures = 1;
                row.failing_since = Some(now);
                row.state = State::Due;
                row
            } else {
                back_off(adapter, row, &exchange.verdict, now)
            }
        }
        Word::Exists => {
            row.state = held(taken(
                "key-taken",
                "a record under this dossier's key, and no way to ask whose it is",
            ));
            row
        }
        Word::Missing if way == Ways::Update => {
            row.presence = Presence::Absent;
            back_off(adapter, row, &exchange.verdict, now)
        }
        _ => unsettled(adapter, row, exchange.verdict, now),
    }
}

/// Every verdict that means the same for all three ways.
fn unsettled(adapter: &Adapter, mut row: Delivery, verdict: Verdict, now: Timestamp) -> Delivery {
    match verdict.word {
        Word::InDoubt => {
            row.state = State::InDoubt {
                until: now + settle_time(adapter, &row.push),
            }
        }
        // The adapter rests as a whole; no attempt is burnt.
        Word::Pause | Word::Login => row.state = State::Due,
        Word::Retry => return back_off(adapter, row, &verdict, now),
        Word::Done | Word::Exists | Word::Missing | Word::Refused => {
            let cause = Fault::new("refused-by-target")
                .found(verdict.reason.unwrap_or_else(|| "a refusal without a reason".to_owned()))
                .expected("that the target takes the record")
                .remedy("correct the dossier in the system it comes from; the corrected version is sent by itself");
            row.state = State::Parked { cause, held: false };
            // An answer came: what fails next is another failure.
            row.failures = 0;
            row.failing_since = None;
        }
    }
    row
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
