//! Several records in one call. Each row has an intent and an end of its own; the call is only how they travel.
//!
//! Where the answer judges each record, each row is settled by its own verdict; a record that the answer does not name
//! is in doubt. Where it does not, the call is idempotent and its verdict is that of all. A batch that is refused whole
//! is halved: its rows go again in smaller ones, until the record that spoils it stands alone. An unclear end puts every
//! row in doubt.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::changes::{Changes, batches};
use super::push_of;
use super::work::{Way, Work};
use crate::adapter::{Adapter, Call, Push, Verdict, Word};
use crate::connector::Exchange;
use crate::dossier::hash;
use crate::jq::{Mark, Scope};
use crate::stage::{Shared, StageError};

/// Works that make one call.
pub(super) struct Group {
    pub(super) push: String,
    pub(super) way: Way,
    pub(super) works: Vec<Work>,
    /// The call takes a list, also of one.
    pub(super) together: bool,
    /// The number of the batch, counted by push.
    pub(super) number: u64,
}

/// How many rows of this adapter a step looks at.
pub(super) fn rows(adapter: &Adapter) -> u32 {
    let across = adapter.pushes.iter().filter_map(|push| {
        let batch = push.batch.as_ref()?;
        batch.across.then_some(batch.max)
    });
    let rows = adapter
        .connection
        .concurrency
        .saturating_mul(across.max().unwrap_or(1).max(1));
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// How many more rows of the same dossier may travel with one of this push.
pub(super) fn mates(push: &Push) -> Option<u32> {
    let batch = push.batch.as_ref().filter(|batch| !batch.across)?;
    u32::try_from(batch.max.saturating_sub(1)).ok()
}

/// Puts works together to calls, at most as many as the target takes at a time: the rest stays due. A batch that is
/// still to grow is left for later: beside the groups, the time at which the first such one goes as it is.
pub(super) fn group(adapter: &Adapter, works: Vec<Work>, now: Timestamp) -> (Vec<Group>, Option<Timestamp>) {
    let mut groups: Vec<Group> = Vec::new();
    for work in works {
        let batch = push_of(adapter, &work.row.push).and_then(|push| push.batch.as_ref());
        let together = batch.is_some() && matches!(work.way, Way::Create | Way::Update);
        let fits = |group: &&mut Group| {
            let Some(batch) = batch.filter(|_| together && group.together) else {
                return false;
            };
            let most = group
                .works
                .iter()
                .chain([&work])
                .map(|work| limit(work, batch.max));
            group.push == work.row.push
                && group.way == work.way
                && group.works.len() < most.min().unwrap_or(1)
                && (batch.across
                    || group
                        .works
                        .iter()
                        .all(|other| other.row.dossier == work.row.dossier))
        };
        if let Some(group) = groups.iter_mut().find(fits) {
            group.works.push(work);
        } else {
            groups.push(Group {
                push: work.row.push.clone(),
                way: work.way,
                works: vec![work],
                together,
                number: 0,
            });
        }
    }
    let mut postponed = None;
    groups.retain(|group| {
        let wait = push_of(adapter, &group.push)
            .and_then(|push| push.batch.as_ref())
            .filter(|batch| group.together && group.works.len() < batch.max && !batch.wait.is_zero());
        let oldest = group.works.iter().map(|work| work.row.due).min();
        let goes = wait.zip(oldest).map(|(batch, oldest)| oldest + batch.wait);
        let was_refused = group.works.iter().any(|work| work.row.batch_limit.is_some());
        match goes.filter(|goes| now < *goes && !was_refused) {
            Some(goes) => {
                postponed = Some(postponed.map_or(goes, |first: Timestamp| first.min(goes)));
                false
            }
            None => true,
        }
    });
    // One dossier's calls to one target never overlap, whatever travels with what.
    let mut busy = HashSet::new();
    groups.retain(|group| {
        let free = group.works.iter().all(|work| !busy.contains(&work.row.dossier));
        if free {
            busy.extend(group.works.iter().map(|work| work.row.dossier));
        }
        free
    });
    groups.truncate(adapter.connection.concurrency);
    (groups, postponed)
}

/// Most records of a batch in which this one travels.
fn limit(work: &Work, max: usize) -> usize {
    let own = work.row.batch_limit.and_then(|limit| usize::try_from(limit).ok());
    own.map_or(max, |own| own.min(max)).max(1)
}

/// The number of the next batch of a push, noted with the intent.
pub(super) async fn number(
    shared: &Shared,
    adapter: &str,
    changes: &mut Changes,
    push: &Push,
) -> Result<u64, StageError> {
    let last = if let Some(last) = changes.last_batch(&push.name) {
        last
    } else {
        let stored = shared.store.cursor(adapter, &batches(&push.name)).await?;
        stored.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    changes.batch(&push.name, last + 1);
    Ok(last + 1)
}

impl Group {
    /// The call, what it is about, and its variables.
    pub(super) fn call<'a>(&self, push: &'a Push, now: Timestamp) -> (&'a Call, Value, Scope) {
        let first = &self.works[0];
        if !self.together {
            return (first.call(push), first.input(), first.scope(push));
        }
        let intents: Vec<Value> = self.works.iter().map(|work| work.intent().into()).collect();
        let id = hash::content(&intents.into());
        let across = push.batch.as_ref().is_some_and(|batch| batch.across);
        let view = (!across).then_some(&first.view);
        let scope = push
            .scope_of_batch(view, &id, self.number, now)
            .with("id", Value::from(id.as_str()));
        let input = self.works.iter().map(Work::input).collect();
        (first.call(push), input, scope)
    }
}

/// The exchange of a group as that of each of its works.
pub(super) async fn apart(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    group: Group,
    exchange: Exchange,
) -> Vec<(Work, Exchange)> {
    let alone = |work: Work, verdict: Verdict| {
        let exchange = Exchange {
            verdict,
            // the answer speaks of all: what it holds of one record only its verdict tells
            answer: None,
            scope: exchange.scope.clone(),
        };
        (work, exchange)
    };
    if !group.together {
        return group.works.into_iter().zip([exchange]).collect();
    }
    let verdict = &exchange.verdict;
    if verdict.word == Word::Done {
        return match verdicts(shared, adapter, &group.push, &exchange).await {
            Ok(None) => {
                let done = verdict.clone();
                group
                    .works
                    .into_iter()
                    .map(|work| alone(work, done.clone()))
                    .collect()
            }
            Ok(Some(said)) => group
                .works
                .into_iter()
                .map(|work| {
                    let key = work.native().key.as_deref();
                    let verdict = key.and_then(|key| said.get(key)).cloned();
                    let verdict = verdict.unwrap_or_else(|| in_doubt("the answer does not name the record"));
                    alone(work, verdict)
                })
                .collect(),
            Err(reason) => {
                let doubt = in_doubt(&reason);
                group
                    .works
                    .into_iter()
                    .map(|work| alone(work, doubt.clone()))
                    .collect()
            }
        };
    }
    let refused = matches!(verdict.word, Word::Refused | Word::Exists | Word::Missing);
    if refused && group.works.len() > 1 {
        let half = u32::try_from(group.works.len().div_ceil(2)).unwrap_or(u32::MAX);
        // Nothing of it took effect, and no record has been judged yet.
        let again = Verdict {
            word: Word::Retry,
            ..verdict.clone()
        };
        return group
            .works
            .into_iter()
            .map(|mut work| {
                work.row.batch_limit = Some(half);
                alone(work, again.clone())
            })
            .collect();
    }
    let whole = verdict.clone();
    group
        .works
        .into_iter()
        .map(|work| alone(work, whole.clone()))
        .collect()
}

async fn verdicts(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    push: &str,
    exchange: &Exchange,
) -> Result<Option<BTreeMap<String, Verdict>>, String> {
    let Some(answer) = exchange.answer.clone() else {
        return Ok(None);
    };
    let (adapter, push, scope) = (Arc::clone(adapter), push.to_owned(), exchange.scope.clone());
    let operation = format!("push.{push}.verdicts");
    let about = Mark::of(&answer.body.to_string());
    let lane = Arc::clone(shared.lane(&adapter));
    let read = lane.run(&operation, about, move || {
        let batch = push_of(&adapter, &push).and_then(|push| push.batch.as_ref());
        batch.map_or(Ok(None), |batch| batch.verdicts(&answer, &scope))
    });
    match read.await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(stuck) => Err(stuck.to_string()),
    }
}

fn in_doubt(reason: &str) -> Verdict {
    Verdict {
        word: Word::InDoubt,
        reason: Some(reason.to_owned()),
        after: None,
    }
}
