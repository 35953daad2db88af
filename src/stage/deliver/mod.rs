//! Deliver: brings one target to what the replica says, record by record.
//!
//! A reconciler, not a message handler: a row of the ledger says which version the target should have and which it
//! has, and a step makes the difference smaller by one exchange. A target that was away for a week gets the latest
//! state; a row that fails parks itself and blocks nobody. For one row, in this order:
//!
//! 1. [`plan`], [`desk`], [`steps`]: what the dossier lacks, whether the mapping wants it there, whether anything changed
//!    for this target that its own system has not said;
//! 2. a look-up first (`find`), so that a record that a clerk had typed is adopted and not doubled;
//! 3. the intent is committed, *then* the call leaves: whatever dies afterwards, the row says "in doubt"; what the
//!    system will report of the call is in its shadow from then on, so that its report is no news;
//! 4. [`settle`], [`look`]: what the answer means for the row. Doubt ends by waiting until a late commit would show, then
//!    by a look-up; where there is none, by what the manifest declares, and by default a person decides.
//!
//! A look-up ([`ask`]) is a row like others that asks and writes nothing.
//!
//! Rows whose push takes several records in one call travel together ([`batch`]), each with an intent and an end of its
//! own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jiff::Timestamp;

use super::{CALLS, Progress, Shared, StageError, pause};
use crate::adapter::{Adapter, Push, Verdict, Word};
use crate::connector::{Connector, Exchange};
use crate::dossier::fold_code;
use crate::failpoint;
use crate::jq::{Mark, Scope, Stuck};
use crate::store::{Claim, CodeKey, Delivery, Presence, State};

mod ask;
mod batch;
mod changes;
mod desk;
mod end;
mod flapping;
mod look;
mod plan;
mod settle;
mod steps;
mod work;

use ask::{Answered, Asking, Memory};
use batch::{Group, Part};
use changes::{Changes, Lesson, key};
use end::Settled;
use plan::{Known, Plan};
use work::Way;

/// How much longer than its exchange a step may take, before another node may look at the same dossiers.
const MARGIN: Duration = Duration::from_secs(30);

/// The stage: one for each hosted adapter that has pushes or look-ups.
pub struct Deliver {
    shared: Arc<Shared>,
    adapter: Arc<Adapter>,
    connector: Arc<Connector>,
    memory: Memory,
}

impl Deliver {
    /// The stage for `adapter`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, adapter: Arc<Adapter>, connector: Arc<Connector>) -> Self {
        Self {
            shared,
            adapter,
            connector,
            memory: Memory::default(),
        }
    }

    /// Takes the rows that are due, at most one per dossier and as many as the target takes at a time, and brings each
    /// one exchange further.
    ///
    /// # Errors
    /// The store is away. What was called meanwhile is in doubt, and settled as such.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let wall = self.shared.clock.now();
        if let Some(pause) = self.shared.pauses.of(&self.adapter.name, wall) {
            return Ok(Progress::Idle(Some(pause.until)));
        }
        let now = self.shared.steady.now();
        let (rows, next) = self.due(now).await?;
        if rows.is_empty() {
            return Ok(self.idle(next));
        }
        let mut changes = Changes::default();
        let (mut works, mut asks) = (Vec::new(), Vec::new());
        for plan in self.guard_keys(self.plan(rows, now).await?).await? {
            match plan {
                Plan::Write {
                    row,
                    version,
                    fence,
                    items,
                    taken_as_done,
                } => {
                    changes.items(&row, items);
                    self.note(*row, version, fence, taken_as_done.then_some(true), &mut changes);
                }
                Plan::Exchange(work) => works.push(*work),
                Plan::Ask(asking) => asks.push(*asking),
                Plan::Answered(answered) => self.say(*answered, &mut changes),
            }
        }
        let (groups, postponed) = batch::group(&self.adapter, works, now);
        let (asks, ended) = ask::allowed(&self.shared, &self.adapter, &self.memory, asks).await?;
        for answered in ended {
            self.say(answered, &mut changes);
        }
        if groups.is_empty() && asks.is_empty() && changes.is_empty() {
            let resting = self.memory.resting(now);
            return Ok(self.idle(next.into_iter().chain(postponed).chain(resting).min()));
        }
        let mut groups = self.intend(groups, &mut changes, now);
        failpoint::pass("deliver-before-intent");
        // Who committed the intent makes the call; a row that somebody else took meanwhile is theirs.
        let written = changes.commit(&self.shared, &self.adapter.name).await?;
        for group in &mut groups {
            group.number += written.batches.get(&group.push).copied().unwrap_or(0);
            group
                .works
                .retain(|work| work.way == Way::Look || written.rows.contains(&key(&work.row)));
        }
        groups.retain(|group| !group.works.is_empty());

        let exchanges = join_all(groups.iter().map(|group| self.exchange(group, now)));
        let answers = join_all(asks.into_iter().map(|asking| self.ask(asking)));
        let (exchanges, answers) = join(exchanges, answers).await;
        let mut changes = Changes::default();
        for answered in answers {
            self.say(answered, &mut changes);
        }
        for (group, exchange) in groups.into_iter().zip(exchanges) {
            self.settle(group, exchange, &mut changes).await;
        }
        changes.commit(&self.shared, &self.adapter.name).await?;
        failpoint::pass("deliver-outcome-committed");
        Ok(Progress::Worked)
    }

    /// The rows to be worked on, oldest first; beside them when the next one comes due.
    async fn due(&self, now: Timestamp) -> Result<(Vec<Delivery>, Option<Timestamp>), StageError> {
        let claim = Claim {
            holder: &self.shared.start,
            until: now + (self.adapter.connection.timeout * CALLS + MARGIN),
        };
        let looks = batch::looks(&self.adapter, |lookup| self.memory.may_ask(lookup, now));
        let due = self.shared.store.due(&self.adapter.name, &looks, &claim, now);
        let (rows, next) = due.await?;
        Ok((rows, next.into_iter().chain(self.memory.resting(now)).min()))
    }

    /// Nothing to do before this time of the steady clock.
    fn idle(&self, next: Option<Timestamp>) -> Progress {
        Progress::Idle(next.map(|next| self.shared.steady.on_the_wall(next)))
    }

    /// Plans every row on the adapter's threads, and the rows that may travel with one of them. What is not planned
    /// because the adapter's mappings have to rest stays as it is.
    async fn plan(&self, rows: Vec<Delivery>, now: Timestamp) -> Result<Vec<Plan>, StageError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let mates = match push_of(&self.adapter, &row.push).and_then(batch::mates) {
                Some(limit) if !row.item.is_empty() => self.shared.store.mates(&row, now, limit).await?,
                _ => Vec::new(),
            };
            all.push(row);
            all.extend(mates);
        }
        let known = Arc::new(Known::of(&self.shared, &self.adapter, &all, now).await?);
        let plans = all.into_iter().map(|row| {
            let (adapter, known) = (Arc::clone(&self.adapter), Arc::clone(&known));
            async move {
                let kept = row.clone();
                let operation = format!("push.{}", row.push);
                let about = Mark::of(&(row.dossier, &row.item));
                let planned =
                    self.shared
                        .lane(&self.adapter)
                        .run_unless_resting(&operation, about, move || plan::plan(&adapter, row, &known));
                match planned.await {
                    Ok(plan) => plan,
                    Err(Stuck::NoThread) => None,
                    Err(stuck) => {
                        let cause = pause::given_up(&operation, stuck);
                        Some(Plan::unmappable(kept, cause, &self.adapter.version))
                    }
                }
            }
        });
        Ok(join_all(plans).await.into_iter().flatten().collect())
    }

    /// A key that is another dossier's in this system is not touched: a person decides whose it is. Of two dossiers under
    /// one key in the same step, the second waits for its turn.
    async fn guard_keys(&self, plans: Vec<Plan>) -> Result<Vec<Plan>, StageError> {
        let key_of = |plan: &Plan| match plan {
            Plan::Exchange(work) if work.row.item.is_empty() => {
                let key = work.native.as_ref()?.key.as_deref()?;
                Some((self.adapter.name.clone(), fold_code(key)))
            }
            _ => None,
        };
        let keys: Vec<CodeKey> = plans.iter().filter_map(key_of).collect();
        let known = self.shared.store.resolve(&keys).await?;
        let mut taken = HashSet::new();
        let mut guarded = Vec::with_capacity(plans.len());
        for plan in plans {
            let Some(key) = key_of(&plan) else {
                guarded.push(plan);
                continue;
            };
            let Plan::Exchange(work) = plan else { continue };
            if known.get(&key).is_some_and(|holder| *holder != work.row.dossier) {
                // Nothing was called, so the next version may look again.
                let cause = end::taken("key-taken", "the key of another dossier of the bus");
                guarded.push(Plan::parked(work.row, cause, false));
            } else if taken.insert((key, work.row.push.clone())) {
                guarded.push(Plan::Exchange(work));
            }
        }
        Ok(guarded)
    }

    /// Before a call that writes leaves, its rows say "in doubt", and until when a late commit must be reckoned with.
    fn intend(&self, mut groups: Vec<Group>, changes: &mut Changes, now: Timestamp) -> Vec<Group> {
        for group in &mut groups {
            if group.way == Way::Look {
                continue;
            }
            let push = push_of(&self.adapter, &group.push).expect(PLANNED);
            if group.together {
                group.number = changes.batch(&group.push);
            }
            for work in &mut group.works {
                let intent = work.intent();
                let row = &mut work.row;
                work.before = row.intent.clone().filter(|_| row.is_open());
                row.attempt += 1;
                row.holder = Some(self.shared.start.clone());
                row.state = State::InDoubt {
                    until: now + self.adapter.connection.timeout * CALLS + push.settle,
                };
                // From here on nobody knows which version the target has.
                row.native_hash = None;
                let before = row.intent.replace(intent.clone());
                if let Some(gift) = work.gift.take() {
                    let before = before.filter(|before| *before != intent);
                    let gift = Box::new(gift);
                    changes.lesson(&work.row, intent, Lesson::Intended { gift, before });
                }
                changes.intent(work.row.clone(), work.version, work.fence);
                work.fence = work.row.attempt;
            }
        }
        groups
    }

    async fn ask(&self, asking: Asking) -> Answered {
        ask::ask(&self.shared, &self.adapter, &self.connector, &self.memory, asking).await
    }

    /// A row that has asked, and what is said of its dossier.
    fn say(&self, answered: Answered, changes: &mut Changes) {
        let Answered { row, version, fact } = answered;
        let fence = row.attempt;
        changes.facts(&row, version, fact);
        self.note(row, version, fence, None, changes);
    }

    /// Makes the call, unless the process slept so long since the intent that its time is over: by now somebody else
    /// may reckon with what it has not done.
    async fn exchange(&self, group: &Group, intended: Timestamp) -> Exchange {
        let push = push_of(&self.adapter, &group.push).expect(PLANNED);
        if group.way != Way::Look {
            failpoint::pass("deliver-intent-committed");
        }
        let slept = self.shared.steady.now().duration_since(intended);
        if group.way != Way::Look && slept > self.adapter.connection.timeout.try_into().unwrap_or_default() {
            tracing::warn!(
                adapter = self.adapter.name,
                push = group.push,
                slept_s = slept.as_secs(),
                "a call did not leave in time: machine or database stood still; it is made anew later"
            );
            return Exchange {
                verdict: Verdict {
                    word: Word::Retry,
                    reason: Some("the call did not leave in time".to_owned()),
                    after: None,
                },
                answer: None,
                scope: Scope::new(),
            };
        }
        let (call, input, scope) = group.call(push, self.shared.clock.now());
        let exchange = self.connector.exchange(call, &input, &scope).await;
        if group.way != Way::Look {
            failpoint::pass("deliver-answered");
        }
        exchange
    }

    async fn settle(&self, group: Group, exchange: Exchange, changes: &mut Changes) {
        if exchange.verdict.word == Word::Pause {
            rest(&self.shared, &self.adapter, &exchange);
        }
        let together = group.together;
        let mut all = Vec::new();
        for part in batch::apart(&self.shared, &self.adapter, group, exchange).await {
            all.push(match part {
                Part::Judged(work, exchange) => {
                    settle::settle(&self.shared, &self.adapter, *work, exchange).await
                }
                Part::Halved(work) => Settled::of(*work, Some(false)),
            });
        }
        if together {
            batch::keep_together(&mut all);
        }
        for settled in all {
            let (mut row, mut took_effect) = (settled.row, settled.took_effect);
            if let Some(code) = &settled.link {
                changes.link(
                    &self.shared,
                    &self.adapter.name,
                    row.dossier,
                    settled.origin,
                    code,
                );
            }
            // What took no effect says nothing of the call before it, whose end nobody saw.
            if took_effect == Some(false)
                && let Some(before) = settled.before
                && let Some(intent) = row.intent.replace(before)
            {
                changes.lesson(&row, intent, Lesson::Settled(false));
                took_effect = None;
            }
            self.note(row, settled.version, settled.fence, took_effect, changes);
        }
    }

    /// Collects what becomes of a row, and what follows from it. Whether its last intent took effect, if that is known now.
    fn note(
        &self,
        mut row: Delivery,
        version: i64,
        fence: i64,
        took_effect: Option<bool>,
        changes: &mut Changes,
    ) {
        match &row.state {
            State::Parked { cause, .. } => {
                tracing::warn!(
                    adapter = row.adapter,
                    push = row.push,
                    dossier.id = %row.dossier,
                    cause = %cause.for_log(),
                    "delivery parked"
                );
            }
            State::InDoubt { until } => {
                let until = self.shared.steady.on_the_wall(*until);
                tracing::warn!(adapter = row.adapter, push = row.push, dossier.id = %row.dossier, %until, "delivery in doubt");
            }
            _ => {}
        }
        let was_open = row.is_open();
        if let Some(took_effect) = took_effect
            && let Some(intent) = row.intent.take()
        {
            changes.lesson(&row, intent, Lesson::Settled(took_effect));
        }
        let settled = took_effect.is_some() || row.presence == Presence::Present;
        if was_open && settled && row.item.is_empty() && reports(&self.adapter) {
            changes.create_is_settled(&self.adapter.name);
        }
        changes.row(row, version, fence);
    }
}

/// The system refuses us: the adapter rests.
fn rest(shared: &Shared, adapter: &Adapter, exchange: &Exchange) {
    // This is logged. What a system says to a call about a dossier may name the applicant; its status does not. Without an
    // answer it is the log-in that failed, where nobody is spoken of.
    let reason = match &exchange.answer {
        Some(answer) => Some(format!("HTTP {}", answer.status)),
        None => exchange.verdict.reason.clone(),
    };
    let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
    shared
        .pauses
        .system_refuses(&adapter.name, reason, shared.clock.now());
}

const PLANNED: &str = "a plan is made for a push of the adapter";

/// The push of this name.
fn push_of<'a>(adapter: &'a Adapter, name: &str) -> Option<&'a Push> {
    adapter.pushes.iter().find(|push| push.name == name)
}

/// Does its system tell the bus of its dossiers?
fn reports(adapter: &Adapter) -> bool {
    !adapter.webhooks.is_empty() || !adapter.pulls.is_empty()
}
