//! Deliver: brings one target to what the replica says, record by record.
//!
//! A reconciler, not a message handler: a row of the ledger says which version the target should have and which it
//! has, and a step makes the difference smaller by one exchange. A target that was away for a week gets the latest
//! state; a row that fails parks itself and blocks nobody. For one row, in this order:
//!
//! 1. [`plan`]: what the dossier lacks, whether the mapping wants it there, whether anything changed for this target;
//! 2. a look-up first (`find`), so that a record that a clerk had typed is adopted and not doubled;
//! 3. the intent is committed, *then* the call leaves: whatever dies afterwards, the row says "in doubt";
//! 4. [`settle`]: what the answer means for the row. Doubt ends by waiting until a late commit would show, then by a
//!    look-up; where there is none, by what the manifest declares, and by default a person decides.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{Pause, Progress, Shared, StageError};
use crate::adapter::{Adapter, Push};
use crate::connector::{Connector, Exchange};
use crate::dossier::{Dossier, DossierId, Stamp, fold_code, hash};
use crate::event::Event;
use crate::failpoint;
use crate::fault::Fault;
use crate::store::{CodeKey, Delivery, Item, Outcome, Presence, RowKey, State};

mod plan;
mod settle;

use plan::{Plan, Ways, Work};
use settle::Settled;

/// How long an adapter rests after an answer that refuses *us*: entitlement, account, quota.
const PAUSE: Duration = Duration::from_mins(1);

/// Calls that one exchange may take, each as long as the time-out: log in, call, log in anew, call again.
const CALLS: u32 = 4;

/// The stage: one for each hosted adapter that has pushes.
pub struct Deliver {
    shared: Arc<Shared>,
    adapter: Arc<Adapter>,
    connector: Arc<Connector>,
}

/// What a transaction is to write.
#[derive(Default)]
struct Changes {
    outcomes: Vec<Outcome>,
    items: Vec<Item>,
    events: Vec<Event>,
    released: Vec<(String, DossierId, String)>,
}

impl Changes {
    /// What waits for this row to be done goes on.
    fn release_children(&mut self, row: &Delivery) {
        if row.state == State::Applied && row.item.is_empty() {
            self.released
                .push((row.adapter.clone(), row.dossier, plan::after(&row.push)));
        }
    }
}

impl Deliver {
    /// The stage for `adapter`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, adapter: Arc<Adapter>, connector: Arc<Connector>) -> Self {
        Self {
            shared,
            adapter,
            connector,
        }
    }

    /// Takes the rows that are due, at most one per dossier and as many as the target takes at a time, and brings each
    /// one exchange further.
    ///
    /// # Errors
    /// The store is away. What was called meanwhile is in doubt, and settled as such.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let now = self.shared.clock.now();
        if let Some(pause) = self.shared.pauses.of(&self.adapter.name, now) {
            return Ok(Progress::Idle(Some(pause.until)));
        }
        let limit = u32::try_from(self.adapter.connection.concurrency).unwrap_or(u32::MAX);
        let (rows, next) = self.shared.store.due(&self.adapter.name, now, limit).await?;
        if rows.is_empty() {
            return Ok(Progress::Idle(next));
        }

        let mut changes = Changes::default();
        let mut works = Vec::new();
        for (fence, plan) in self.guard_keys(self.plan(rows, now).await?).await? {
            match plan {
                Plan::Write { row, version, items } => {
                    changes.release_children(&row);
                    changes.items.extend(items);
                    changes.outcomes.push(Outcome {
                        row: *row,
                        version,
                        fence,
                    });
                }
                Plan::Exchange(mut work) => {
                    if work.way != Ways::Find {
                        self.intend(&mut work.row, now);
                        changes.outcomes.push(Outcome {
                            fence,
                            row: work.row.clone(),
                            version: work.version,
                        });
                    }
                    works.push(*work);
                }
            }
        }
        failpoint::pass("deliver-before-intent");
        // Who committed the intent makes the call; a row that somebody else took meanwhile is theirs.
        let committed = self.commit(changes, now).await?;
        works.retain(|work| {
            let row = &work.row;
            work.way == Ways::Find || committed.contains(&(row.dossier, row.push.clone(), row.item.clone()))
        });

        let exchanges = join_all(works.iter().map(|work| self.exchange(work))).await;
        let now = self.shared.clock.now();
        let mut changes = Changes::default();
        for (work, exchange) in works.into_iter().zip(exchanges) {
            let settled = settle::settle(&self.shared, &self.adapter, work, exchange, now).await;
            self.note(settled, &mut changes, now);
        }
        self.commit(changes, now).await?;
        failpoint::pass("deliver-outcome-committed");
        Ok(Progress::Worked)
    }

    /// Plans every row on the mapping threads; with each plan, the attempt that the row was read with.
    async fn plan(&self, rows: Vec<Delivery>, now: Timestamp) -> Result<Vec<(i64, Plan)>, StageError> {
        let ids: Vec<DossierId> = rows.iter().map(|row| row.dossier).collect();
        let replicas = Arc::new(self.shared.store.replicas(&ids).await?);
        let parents = Arc::new(self.shared.store.parents(&self.adapter.name, &ids).await?);
        let identity = self
            .shared
            .adapters
            .iter()
            .any(|adapter| adapter.owns.rights().any(|(name, _)| name == "identity"));
        let plans = rows.into_iter().map(|row| {
            let (adapter, replicas, parents) = (
                Arc::clone(&self.adapter),
                Arc::clone(&replicas),
                Arc::clone(&parents),
            );
            async move {
                let fence = row.attempt;
                let kept = row.clone();
                let planned = self
                    .shared
                    .workers
                    .run(move || plan::plan(&adapter, row, &replicas, &parents, identity, now))
                    .await;
                let plan = planned.unwrap_or_else(|stuck| {
                    let cause = Fault::new("mapping-too-long")
                        .found(stuck.to_string())
                        .expected("a mapping that ends")
                        .remedy("mend the adapter's mapping, then change or retry the dossier");
                    Plan::parked(kept, cause, false)
                });
                (fence, plan)
            }
        });
        Ok(join_all(plans).await)
    }

    /// A key that is another dossier's in this system is not touched: a person decides whose it is. Of two dossiers under
    /// one key in the same batch, the second waits for its turn.
    async fn guard_keys(&self, plans: Vec<(i64, Plan)>) -> Result<Vec<(i64, Plan)>, StageError> {
        let key_of = |plan: &Plan| match plan {
            Plan::Exchange(work) if work.row.item.is_empty() => {
                let key = work.native.key.as_deref()?;
                Some((self.adapter.name.clone(), fold_code(key)))
            }
            _ => None,
        };
        let keys: Vec<CodeKey> = plans.iter().filter_map(|(_, plan)| key_of(plan)).collect();
        let known = self.shared.store.resolve(&keys).await?;
        let mut taken = HashSet::new();
        let mut guarded = Vec::with_capacity(plans.len());
        for (fence, plan) in plans {
            let Some(key) = key_of(&plan) else {
                guarded.push((fence, plan));
                continue;
            };
            let Plan::Exchange(work) = plan else { continue };
            if known.get(&key).is_some_and(|holder| *holder != work.row.dossier) {
                // Nothing was called, so the next version may look again.
                let cause = settle::taken("key-taken", "the key of another dossier of the bus");
                guarded.push((fence, Plan::parked(work.row, cause, false)));
            } else if taken.insert((key, work.row.push.clone())) {
                guarded.push((fence, Plan::Exchange(work)));
            }
        }
        Ok(guarded)
    }

    /// The row says "in doubt" before the call leaves, and until when a late commit must be reckoned with.
    fn intend(&self, row: &mut Delivery, now: Timestamp) {
        let settle =
            push_of(&self.adapter, &row.push).map_or(self.adapter.connection.settle, |push| push.settle);
        row.attempt += 1;
        row.holder = Some(self.shared.start.clone());
        row.state = State::InDoubt {
            until: now + self.adapter.connection.timeout * CALLS + settle,
        };
        // From here on nobody knows which version the target has.
        row.native_hash = None;
    }

    async fn exchange(&self, work: &Work) -> Exchange {
        let push = push_of(&self.adapter, &work.row.push).expect("a plan is made for a push of the adapter");
        let call = match work.way {
            Ways::Find => &push.find.as_ref().expect("planned because there is a find").call,
            Ways::Create => &push.create,
            Ways::Update => push.update.as_ref().expect("planned because there is an update"),
        };
        let scope = work.scope(push);
        if work.way == Ways::Find {
            return self.connector.exchange(call, &work.native.record, &scope).await;
        }
        failpoint::pass("deliver-intent-committed");
        let exchange = self.connector.exchange(call, &work.native.record, &scope).await;
        failpoint::pass("deliver-answered");
        exchange
    }

    /// Collects what follows from a settled exchange.
    fn note(&self, settled: Settled, changes: &mut Changes, now: Timestamp) {
        let Settled {
            row,
            version,
            fence,
            origin,
            link,
            pause,
        } = settled;
        let id = row.dossier;
        match &row.state {
            State::Parked { cause, .. } => {
                tracing::warn!(
                    adapter = row.adapter,
                    push = row.push,
                    dossier.id = %id,
                    cause = %cause.for_log(),
                    "delivery parked"
                );
            }
            State::InDoubt { until } => {
                tracing::warn!(adapter = row.adapter, push = row.push, dossier.id = %id, %until, "delivery in doubt");
            }
            _ => {}
        }
        changes.release_children(&row);
        if let Some(code) = link {
            let hlc = self.shared.hybrid.tick();
            let stamp = Stamp {
                effective: now,
                hlc,
                source: self.adapter.name.clone(),
                hash: hash::content(&code.as_str().into()),
            };
            let delta = Dossier::linked(origin, &self.adapter.name, &code, stamp);
            changes.events.push(Event::new(
                self.shared.store.id(),
                &self.adapter.name,
                None,
                now,
                hlc,
                delta,
                false,
            ));
        }
        if let Some(reason) = pause {
            tracing::error!(
                adapter = self.adapter.name,
                reason,
                "the system refuses us; the adapter is paused"
            );
            let until = now + PAUSE;
            self.shared
                .pauses
                .begin(&self.adapter.name, Pause { until, reason });
        }
        changes.outcomes.push(Outcome { row, version, fence });
    }

    async fn commit(&self, changes: Changes, now: Timestamp) -> Result<HashSet<RowKey>, StageError> {
        let mut transaction = self.shared.store.begin().await?;
        let written = transaction.save(&changes.outcomes, now).await?;
        transaction.put_items(&changes.items, now).await?;
        transaction.release(&changes.released, now).await?;
        transaction.put_outbox(&changes.events).await?;
        if !changes.events.is_empty() {
            transaction.put_clock(self.shared.hybrid.last()).await?;
        }
        transaction.commit().await?;
        if !changes.events.is_empty() {
            self.shared.outbox.ring();
        }
        Ok(written)
    }
}

/// The push of this name.
fn push_of<'a>(adapter: &'a Adapter, name: &str) -> Option<&'a Push> {
    adapter.pushes.iter().find(|push| push.name == name)
}

/// Whether the next call about this row has to be a look-up.
fn must_look(row: &Delivery) -> bool {
    row.presence == Presence::Unknown
}
