//! What a look-up has shown, and the call that follows from it. "None" is believed only with the verdict `done` or
//! `missing`: a search that failed and was answered with 200 would cause a double.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::end::{Settled, held, taken, unsettled};
use super::work::Work;
use super::{PLANNED, push_of, steps};
use crate::adapter::{Adapter, Decision, Verdict, Word};
use crate::connector::Exchange;
use crate::dossier::fold_code;
use crate::fault::Fault;
use crate::jq::{Mark, Scope};
use crate::stage::{Shared, pause};
use crate::store::{Presence, State};

/// What a target that is asked shows.
enum Shown {
    /// What bears the record's key, and its id there.
    Record(Decision, Option<String>),
    /// How a target that takes actions stands with the dossier, and the dossier's id there.
    Stands(Value, Option<String>),
}

/// Settles a look-up.
pub(super) async fn looked(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    mut work: Work,
    exchange: Exchange,
    now: Timestamp,
) -> Settled {
    let records = match (exchange.verdict.word, exchange.answer) {
        (Word::Missing, _) => None,
        (Word::Done, Some(answer)) => Some(answer.body),
        // A look-up changes nothing, so nothing is in doubt after it.
        (Word::InDoubt, _) => {
            let verdict = Verdict {
                word: Word::Retry,
                ..exchange.verdict
            };
            return doubt_stays(adapter, work, verdict, now);
        }
        _ => return doubt_stays(adapter, work, exchange.verdict, now),
    };
    let shown = read(shared, adapter, &work, records, exchange.scope).await;
    let doubted = work.row.is_open();
    let key = work.native.as_ref().and_then(|native| native.key.clone());
    work.row.state = State::Due;
    let mut took_effect = None;
    let row = &mut work.row;
    match shown {
        Ok(Shown::Record(Decision::Create, _)) => {
            // One that is known there by a name of its own may only have another key by now, as after a join: whether it is
            // gone its update says.
            let has_own_name = match (&row.remote, &key) {
                (Some(remote), Some(key)) => fold_code(remote) != fold_code(key),
                _ => false,
            };
            row.presence = if has_own_name {
                Presence::Present
            } else {
                Presence::Absent
            };
            took_effect = doubted.then_some(false);
        }
        Ok(Shown::Record(Decision::Same(_), remote)) => {
            row.presence = Presence::Present;
            row.remote = remote.or(key).or(row.remote.take());
            // Of a record that is only ever made, being there is all there is to know.
            let only_made = push_of(adapter, &row.push).is_some_and(|push| push.update().is_none());
            took_effect = (doubted && only_made).then_some(true);
        }
        Ok(Shown::Record(Decision::KeyTaken, _)) => {
            took_effect = doubted.then_some(false);
            row.state = held(taken("key-taken", "another record under this dossier's key"));
        }
        Ok(Shown::Record(Decision::Duplicate, _)) => {
            row.state = held(taken(
                "duplicate-in-target",
                "several records under this dossier's key",
            ));
        }
        Ok(Shown::Stands(state, remote)) => {
            row.presence = if state.is_null() {
                Presence::Absent
            } else {
                Presence::Present
            };
            // Nothing else was said to it meanwhile: if it moved, the action has moved it.
            let stood = row.target_state.as_ref().filter(|_| doubted);
            took_effect = stood.map(|stood| *stood != state);
            let has_moved = row.target_state.as_ref() != Some(&state);
            row.target_state = Some(state);
            row.remote = remote.or(row.remote.take());
            // Where it really stands, and what is right to do next, is not known before what it was told last shows.
            let told = row.native_hash.is_some() && !doubted && !has_moved;
            let settle = push_of(adapter, &row.push).map_or(adapter.connection.settle, |push| push.settle);
            if let Some(shows) = steps::shows_later(row, settle).filter(|_| told) {
                row.presence = Presence::Unknown;
                row.state = State::BackingOff { next: shows.max(now) };
            }
        }
        Err(fault) if fault.code == "duplicate-in-target" => row.state = held(fault),
        Err(fault) => {
            row.judged_by = Some(adapter.version.clone());
            row.state = State::Parked {
                cause: fault,
                held: false,
            };
        }
    }
    Settled::of(work, took_effect)
}

/// Nobody could be asked. What was in doubt is in doubt still: the row is not taken for one whose last call is known.
fn doubt_stays(adapter: &Adapter, work: Work, verdict: Verdict, now: Timestamp) -> Settled {
    let doubted = work.row.is_open();
    let mut settled = unsettled(adapter, work, verdict, now);
    if doubted {
        settled.row.presence = Presence::Unknown;
        settled.row.state = match settled.row.state {
            State::BackingOff { next } => State::InDoubt { until: next },
            State::Due => State::InDoubt { until: now },
            other => other,
        };
    }
    settled
}

async fn read(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    work: &Work,
    answer: Option<Value>,
    scope: Scope,
) -> Result<Shown, Fault> {
    let (adapter, name) = (Arc::clone(adapter), work.row.push.clone());
    let (native, view) = (work.native.clone(), work.view.clone());
    let operation = format!("push.{}.find", work.row.push);
    let about = Mark::of(&(work.row.dossier, &work.row.item));
    let lane = Arc::clone(shared.lane(&adapter));
    let read = lane.run(&operation, about, move || {
        let push = push_of(&adapter, &name).expect(PLANNED);
        let find = push.find.as_ref().expect("planned because there is a find");
        let records = match &answer {
            Some(answer) => find.call.records(answer, &scope)?,
            None => Vec::new(),
        };
        if let Some(steps) = push.steps() {
            let shown = match records.as_slice() {
                [] => Value::Null,
                [one] => one.clone(),
                _ => {
                    return Err(taken(
                        "duplicate-in-target",
                        "several records under this dossier's key",
                    ));
                }
            };
            let remote = if shown.is_null() {
                None
            } else {
                push.remote_of_shown(&shown, &view)?
            };
            return Ok(Shown::Stands(steps.state(&shown, &view)?, remote));
        }
        let native = native.expect("a record is looked for by what it is");
        let decision = push.decide(&records, &native, &view)?;
        let remote = match &decision {
            Decision::Same(record) => push.remote_of_found(record, &native, &view)?,
            _ => None,
        };
        Ok(Shown::Record(decision, remote))
    });
    read.await
        .unwrap_or_else(|stuck| Err(pause::given_up(&operation, stuck)))
}
