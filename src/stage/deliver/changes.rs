//! What one transaction of the stage writes: rows of the ledger, new items, links, and what the shadow of the target's
//! system learns from a call that is about to leave or has been answered.

use std::collections::{BTreeMap, HashSet};

use super::work::{Gift, after};
use crate::dossier::{Dossier, DossierId, Origin, Stamp, fold_code, hash};
use crate::event::Event;
use crate::stage::ingest::{self, Statement};
use crate::stage::{Shared, StageError};
use crate::store::{CREATE_OPEN, CodeKey, Come, Delivery, Item, Outcome, RowKey, State, Transaction};

/// What a system's shadow learns of an intent.
pub(super) enum Lesson {
    /// The call is about to leave. Of the row's intent before it nobody will ask any more whether it took effect.
    Intended { gift: Box<Gift>, before: Option<String> },
    /// It is known whether it took effect.
    Settled(bool),
}

/// The writes, collected.
#[derive(Default)]
pub(super) struct Changes {
    outcomes: Vec<Outcome>,
    items: Vec<(RowKey, Vec<Item>)>,
    events: Vec<Event>,
    links: Vec<(CodeKey, DossierId)>,
    released: Vec<(String, DossierId, String)>,
    come: Vec<Come>,
    lessons: Vec<(RowKey, String, Lesson)>,
    facts: Vec<(Delivery, i64, Statement)>,
    /// How many batches of each push are about to leave.
    batches: BTreeMap<String, u64>,
}

/// What a transaction of the stage has come to.
pub(super) struct Written {
    /// The rows that were written: who committed an intent makes its call, and nobody else.
    pub(super) rows: HashSet<RowKey>,
    /// The number of the batch before these ones, by push.
    pub(super) batches: BTreeMap<String, u64>,
}

/// The key of a row within its adapter.
pub(super) fn key(row: &Delivery) -> RowKey {
    (row.dossier, row.push.clone(), row.item.clone())
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The row says that a call is about to leave.
    pub(super) fn intent(&mut self, row: Delivery, version: i64, fence: i64) {
        self.outcomes.push(Outcome {
            row,
            version,
            fence,
            intended: true,
        });
    }

    /// What becomes of a row. What waits for it to be done goes on.
    pub(super) fn row(&mut self, row: Delivery, version: i64, fence: i64) {
        if row.state == State::Applied && row.item.is_empty() {
            self.released
                .push((row.adapter.clone(), row.dossier, after(&row.push)));
        }
        self.outcomes.push(Outcome {
            row,
            version,
            fence,
            intended: false,
        });
    }

    /// The items that this row stands for, if the row is written.
    pub(super) fn items(&mut self, row: &Delivery, items: Vec<Item>) {
        if !items.is_empty() {
            self.items.push((key(row), items));
        }
    }

    /// What the shadow learns, if the row is written.
    pub(super) fn lesson(&mut self, row: &Delivery, intent: String, lesson: Lesson) {
        self.lessons.push((key(row), intent, lesson));
    }

    /// What the row's system says of its dossier, if the row is written.
    pub(super) fn facts(&mut self, row: &Delivery, version: i64, fact: Option<Statement>) {
        self.facts.extend(fact.map(|fact| (row.clone(), version, fact)));
    }

    /// A batch is about to leave; its place among those of its push that leave now, from 1.
    pub(super) fn batch(&mut self, push: &str) -> u64 {
        let count = self.batches.entry(push.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// Records of this system that waited for the end of a create are looked at again.
    pub(super) fn create_is_settled(&mut self, adapter: &str) {
        let come = Come {
            adapter: adapter.to_owned(),
            reason: CREATE_OPEN,
            code: None,
        };
        if !self.come.contains(&come) {
            self.come.push(come);
        }
    }

    /// The target knows the dossier under this code. Known here at once, and said to others.
    pub(super) fn link(&mut self, shared: &Shared, adapter: &str, id: DossierId, origin: Origin, code: &str) {
        let now = shared.hybrid.now();
        let hlc = shared.hybrid.tick();
        let stamp = Stamp {
            effective: now,
            hlc,
            source: adapter.to_owned(),
            hash: hash::content(&code.into()),
        };
        let delta = Dossier::linked(origin, adapter, code, stamp);
        self.links.push(((adapter.to_owned(), fold_code(code)), id));
        self.events.push(Event::new(
            shared.store.id(),
            adapter,
            None,
            now,
            hlc,
            delta,
            false,
        ));
    }

    /// Writes it all.
    pub(super) async fn commit(self, shared: &Shared, adapter: &str) -> Result<Written, StageError> {
        let now = shared.steady.now();
        let mut transaction = shared.store.begin().await?;
        let dossiers: Vec<DossierId> = self.outcomes.iter().map(|outcome| outcome.row.dossier).collect();
        transaction.lock(&dossiers, &[]).await?;
        let written = transaction.save(&self.outcomes, now).await?;
        // A row that is no longer there was joined with another dossier's, which has items of its own.
        let items: Vec<Item> = self
            .items
            .into_iter()
            .filter(|(key, _)| written.contains(key))
            .flat_map(|(_, items)| items)
            .collect();
        transaction.put_items(&items, now).await?;
        transaction.release(&self.released, now).await?;
        transaction.put_links(&self.links).await?;
        transaction.put_outbox(&self.events).await?;
        // In one order, so that two nodes do not wait for each other's numbers.
        let mut numbers = BTreeMap::new();
        for (push, count) in self.batches {
            let last = transaction.count_on(adapter, &batches(&push), count).await?;
            numbers.insert(push, last);
        }
        let lessons: Vec<_> = self
            .lessons
            .into_iter()
            .filter(|(key, _, _)| written.contains(key))
            .collect();
        if !lessons.is_empty() {
            let mut dossiers: Vec<DossierId> = lessons.iter().map(|((id, _, _), _, _)| *id).collect();
            dossiers.sort_unstable();
            dossiers.dedup();
            let keys: Vec<_> = dossiers.iter().map(|id| (adapter.to_owned(), *id)).collect();
            let mut shadows = transaction.shadows(&keys).await?;
            // Not by a wall that was set back since reports of the older value were kept.
            let now = shared.hybrid.now();
            for ((id, _, _), intent, lesson) in lessons {
                let shadow = shadows.entry((adapter.to_owned(), id)).or_default();
                match lesson {
                    Lesson::Intended { gift, before } => {
                        if let Some(before) = before {
                            shadow.settle(&before, None, now);
                        }
                        shadow.intend(&intent, &gift.echo, &gift.stamps);
                    }
                    Lesson::Settled(took_effect) => shadow.settle(&intent, Some(took_effect), now),
                }
            }
            let shadows: Vec<_> = shadows
                .into_iter()
                .map(|((adapter, id), shadow)| (adapter, id, shadow))
                .collect();
            transaction.put_shadows(&shadows).await?;
        }
        let facts: Vec<_> = self
            .facts
            .into_iter()
            .filter(|(row, ..)| written.contains(&key(row)))
            .collect();
        let says = !self.events.is_empty() || !facts.is_empty();
        say(shared, transaction.as_mut(), adapter, facts).await?;
        transaction.release_records(&self.come).await?;
        if !self.events.is_empty() {
            transaction.put_clock(shared.hybrid.last()).await?;
        }
        transaction.commit().await?;
        if says {
            shared.outbox.ring();
        }
        if !self.come.is_empty() {
            shared.records.ring();
        }
        Ok(Written {
            rows: written,
            batches: numbers,
        })
    }
}

/// Says what an adapter's system answered. A row whose fact cannot be taken is parked.
async fn say(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    adapter: &str,
    facts: Vec<(Delivery, i64, Statement)>,
) -> Result<(), StageError> {
    let Some(adapter) = shared.adapter(adapter).filter(|_| !facts.is_empty()) else {
        return Ok(());
    };
    let (rows, statements): (Vec<_>, Vec<_>) = facts
        .into_iter()
        .map(|(row, version, fact)| {
            let dossier = row.dossier;
            ((row, version), (dossier, fact))
        })
        .unzip();
    let ends = ingest::say(shared, transaction, adapter, &statements).await?;
    let refused = rows.into_iter().zip(ends).filter_map(|((row, version), end)| {
        let cause = end.err()?;
        Some(Outcome {
            fence: row.attempt,
            row: Delivery {
                judged_by: Some(adapter.version.clone()),
                // Nothing was said: the question is open.
                native_hash: None,
                state: State::Parked { cause, held: false },
                ..row
            },
            version,
            intended: false,
        })
    });
    transaction
        .save(&refused.collect::<Vec<_>>(), shared.steady.now())
        .await?;
    Ok(())
}

/// Where the number of a push's last batch is kept.
fn batches(push: &str) -> String {
    format!("batch.{push}")
}
