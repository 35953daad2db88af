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

use super::end::Settled;
use super::push_of;
use super::work::{Way, Work};
use crate::adapter::{Adapter, Batch, Call, Push, Verdict, Word};
use crate::connector::Exchange;
use crate::dossier::{DossierId, hash};
use crate::jq::{Mark, Scope};
use crate::stage::Shared;
use crate::store::{Look, State};

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

/// Whether records of several dossiers travel together.
fn is_across(push: &Push) -> bool {
    push.batch.as_ref().is_some_and(|batch| batch.across)
}

/// At which pushes a step looks together, and how many of their rows. What waits for a batch to grow is looked at apart:
/// it must not hide a row that need not wait, be it of the same dossier.
pub(super) fn looks(adapter: &Adapter, may_ask: impl Fn(&str) -> bool) -> Vec<Look<'_>> {
    let concurrency = adapter.connection.concurrency;
    let rows = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (across, others): (Vec<&Push>, Vec<&Push>) = adapter.pushes.iter().partition(|push| is_across(push));
    let lookups = adapter.lookups.iter().map(|lookup| lookup.name.as_str());
    let others = others.iter().map(|push| push.name.as_str());
    let mut looks = vec![Look {
        pushes: others.chain(lookups.filter(|name| may_ask(name))).collect(),
        most: rows(concurrency),
    }];
    looks.extend(across.into_iter().map(|push| {
        let max = push.batch.as_ref().map_or(1, |batch| batch.max);
        // Beside what leaves, a batch of creates and one of updates may still be growing.
        Look {
            pushes: vec![push.name.as_str()],
            most: rows(max.saturating_mul(concurrency + 2)),
        }
    }));
    looks
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
        match place(adapter, &groups, &work) {
            Some(group) => groups[group].works.push(work),
            None => groups.push(Group::new(adapter, work)),
        }
    }
    let mut postponed = None;
    let looked_for: Vec<(String, DossierId)> = groups
        .iter()
        .filter(|group| group.way == Way::Look)
        .map(|group| (group.push.clone(), group.works[0].row.dossier))
        .collect();
    groups.retain(|group| {
        let Some(batch) = growing(adapter, group) else {
            return true;
        };
        // What is still to be looked for may travel with it: first look, then send.
        let grows = looked_for.iter().any(|(push, dossier)| {
            *push == group.push && (batch.across || *dossier == group.works[0].row.dossier)
        });
        let goes = group.works.iter().map(|work| work.row.due + batch.wait).min();
        let waits = goes.filter(|goes| now < *goes);
        postponed = postponed.into_iter().chain(waits).min();
        !grows && waits.is_none()
    });
    // One dossier's calls to one target never overlap, whatever travels with what.
    let mut busy = HashSet::new();
    groups.retain_mut(|group| {
        group.works.retain(|work| !busy.contains(&work.row.dossier));
        busy.extend(group.works.iter().map(|work| work.row.dossier));
        !group.works.is_empty()
    });
    groups.truncate(adapter.connection.concurrency);
    (groups, postponed)
}

/// The group that a work joins, if there is one.
fn place(adapter: &Adapter, groups: &[Group], work: &Work) -> Option<usize> {
    let batch = push_of(adapter, &work.row.push)?.batch.as_ref()?;
    let fits = |group: &Group| {
        let works = group.works.iter().chain([work]);
        let most = works.map(|work| limit(work, batch.max)).min().unwrap_or(1);
        group.together && group.push == work.row.push && group.way == work.way && group.works.len() < most
    };
    if batch.across {
        return groups.iter().position(fits);
    }
    // In their order: with the last of its line or after it.
    let same_line = |group: &Group| {
        let dossier = group.works[0].row.dossier;
        group.push == work.row.push && dossier == work.row.dossier
    };
    let last = groups.iter().rposition(same_line)?;
    fits(&groups[last]).then_some(last)
}

/// The rules of a batch that may still grow. One that was refused has grown enough.
fn growing<'a>(adapter: &'a Adapter, group: &Group) -> Option<&'a Batch> {
    let batch = push_of(adapter, &group.push)?.batch.as_ref()?;
    let was_refused = group.works.iter().any(|work| work.row.batch_limit.is_some());
    (group.together && !was_refused && group.works.len() < batch.max).then_some(batch)
}

/// Most records of a batch in which this one travels.
fn limit(work: &Work, max: usize) -> usize {
    let own = work.row.batch_limit.and_then(|limit| usize::try_from(limit).ok());
    own.map_or(max, |own| own.min(max)).max(1)
}

impl Group {
    fn new(adapter: &Adapter, work: Work) -> Self {
        let batched = push_of(adapter, &work.row.push).is_some_and(|push| push.batch.is_some());
        Self {
            push: work.row.push.clone(),
            way: work.way,
            together: batched && matches!(work.way, Way::Create | Way::Update),
            works: vec![work],
            number: 0,
        }
    }

    /// The call, what it is about, and its variables.
    pub(super) fn call<'a>(&self, push: &'a Push, now: Timestamp) -> (&'a Call, Value, Scope) {
        let first = &self.works[0];
        if !self.together {
            return (first.call(push), first.input(), first.scope(push));
        }
        let intents: Vec<Value> = self.works.iter().map(|work| work.intent().into()).collect();
        let id = hash::content(&intents.into());
        let view = (!is_across(push)).then_some(&first.view);
        let scope = push
            .scope_of_batch(view, &id, self.number, now)
            .with("id", Value::from(id.as_str()));
        let input = self.works.iter().map(Work::input).collect();
        (first.call(push), input, scope)
    }
}

/// One row's part in the exchange of its group.
pub(super) enum Part {
    /// How it ended for this record.
    Judged(Box<Work>, Exchange),
    /// It goes again in a smaller batch: nothing of it took effect, and no record has been judged yet.
    Halved(Box<Work>),
}

/// The exchange of a group as that of each of its works.
pub(super) async fn apart(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    group: Group,
    exchange: Exchange,
) -> Vec<Part> {
    let verdict = exchange.verdict.clone();
    let judged = |work: Work, verdict: Verdict| {
        let exchange = Exchange {
            verdict,
            // the answer speaks of all: what it holds of one record only its verdict tells
            answer: None,
            scope: exchange.scope.clone(),
        };
        Part::Judged(Box::new(work), exchange)
    };
    let works = group.works.into_iter();
    match verdict.word {
        _ if !group.together => works
            .zip([exchange])
            .map(|(work, exchange)| Part::Judged(Box::new(work), exchange))
            .collect(),
        Word::Done => {
            let said = verdicts(shared, adapter, &group.push, &exchange).await;
            let of = |work: &Work| match &said {
                Ok(None) => verdict.clone(),
                Ok(Some(said)) => {
                    let said = work.native().key.as_ref().and_then(|key| said.get(key));
                    said.cloned()
                        .unwrap_or_else(|| in_doubt("the answer does not name the record"))
                }
                Err(reason) => in_doubt(reason),
            };
            works
                .map(|work| {
                    let verdict = of(&work);
                    judged(work, verdict)
                })
                .collect()
        }
        Word::Refused | Word::Exists | Word::Missing if works.len() > 1 => {
            let half = u32::try_from(works.len().div_ceil(2)).unwrap_or(u32::MAX);
            works
                .map(|mut work| {
                    work.row.batch_limit = Some(half);
                    work.row.state = State::Due;
                    Part::Halved(Box::new(work))
                })
                .collect()
        }
        _ => works.map(|work| judged(work, verdict.clone())).collect(),
    }
}

/// What failed together comes back together.
pub(super) fn keep_together(all: &mut [Settled]) {
    let next = |settled: &Settled| match settled.row.state {
        State::BackingOff { next } => Some(next),
        _ => None,
    };
    let Some(latest) = all.iter().filter_map(next).max() else {
        return;
    };
    for settled in all {
        if let State::BackingOff { next } = &mut settled.row.state {
            *next = latest;
        }
    }
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
