//! The real store, with a gap before and after everything it does. The one file that follows the traits of the store.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lienthong::clock::{Clock, Steady};
use lienthong::dossier::{DossierId, Hlc, Shadow};
use lienthong::event::Event;
use lienthong::store::{
    Claim, CodeKey, Come, Counts, DeadLetter, Decided, Decision, Delivery, Fate, HeldRecord, InboxRow, Item,
    Journaled, KeptRecord, LettersOf, Look, Outcome, Owed, Parent, Past, Quota, Replica, ReplicaSummary,
    RowKey, Said, State, Store, StoreError, Taken, Transaction, Walk, Wanted,
};
use serde_json::{Value, json};

use crate::controls::Control;
use crate::gates::{Gap, Gates};
use crate::honesty::{Merged, SharedHonesty};
use crate::target::locked;

/// A store with gaps.
pub(crate) struct GapStore {
    inner: Arc<dyn Store>,
    /// Whose it is.
    node: usize,
    gates: Arc<Gates>,
    honesty: SharedHonesty,
    /// What this store does wrong, where a test wants to see the judge notice.
    control: Option<Control>,
    /// Rows whose intent was not written, for as long as this process lives.
    forgotten: Arc<Mutex<HashSet<(String, RowKey)>>>,
    /// Somebody has the one write transaction. Who waits for it is held by us: in the real pool it would wait for a
    /// step that waits for the scheduler.
    writing: Arc<AtomicBool>,
}

impl GapStore {
    pub(crate) fn new(
        inner: Arc<dyn Store>,
        node: usize,
        gates: &Arc<Gates>,
        honesty: &SharedHonesty,
        control: Option<Control>,
    ) -> Self {
        Self {
            inner,
            node,
            gates: Arc::clone(gates),
            honesty: Arc::clone(honesty),
            control,
            forgotten: Arc::default(),
            writing: Arc::default(),
        }
    }

    /// Gives out the rows too that wait for another call about their dossier, one of each, and items in their order.
    async fn unlock(&self, adapter: &str, rows: &mut Vec<Delivery>) -> Result<(), StoreError> {
        for dossier in self.inner.list_replicas(u32::MAX).await? {
            if rows.iter().any(|row| row.dossier == dossier.id) {
                continue;
            }
            let all = self.inner.deliveries_of(dossier.id).await?;
            let is_first = |row: &Delivery| {
                row.item.is_empty()
                    || all.iter().all(|other| {
                        (&other.adapter, &other.push) != (&row.adapter, &row.push)
                            || other.item.is_empty()
                            || other.ordinal >= row.ordinal
                            || !is_open(&other.state)
                    })
            };
            let mut waiting = all
                .iter()
                .filter(|row| row.adapter == adapter && row.state == State::Due);
            rows.extend(waiting.find(|row| is_first(row)).cloned());
        }
        Ok(())
    }
}

/// Whether something is still to be done.
fn is_open(state: &State) -> bool {
    matches!(
        state,
        State::Due | State::Waiting { .. } | State::BackingOff { .. } | State::InDoubt { .. }
    )
}

/// The write transaction is somebody's as long as this lives.
struct Writing(Arc<AtomicBool>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

macro_rules! read {
    ($self:ident.$method:ident($($argument:expr),*)) => {{
        $self.gates.pass(Gap::Read).await;
        $self.gates.call($self.inner.$method($($argument),*)).await
    }};
}

#[async_trait]
impl Store for GapStore {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn version(&self) -> &str {
        self.inner.version()
    }

    async fn clock(&self) -> Result<Hlc, StoreError> {
        read!(self.clock())
    }

    async fn take(&self, alone: bool) -> Result<(), StoreError> {
        self.gates.call(self.inner.take(alone)).await
    }

    async fn steady(&self, clock: Arc<dyn Clock>) -> Result<Steady, StoreError> {
        read!(self.steady(clock))
    }

    /// Of a store of one process: no gap.
    async fn lease(&self, name: &str, claim: &Claim<'_>, now: Timestamp) -> Result<bool, StoreError> {
        self.gates.call(self.inner.lease(name, claim, now)).await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.gates.pass(Gap::Begin).await;
        while self.writing.swap(true, Ordering::SeqCst) {
            self.gates.wait().await;
        }
        let writing = Writing(Arc::clone(&self.writing));
        let inner = self.gates.call(self.inner.begin()).await?;
        Ok(Box::new(GapTransaction {
            inner,
            node: self.node,
            gates: Arc::clone(&self.gates),
            honesty: Arc::clone(&self.honesty),
            kept: Vec::new(),
            merged: Vec::new(),
            control: self.control,
            forgotten: Arc::clone(&self.forgotten),
            writing,
        }))
    }

    async fn outbox_head(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        read!(self.outbox_head(limit))
    }

    async fn due(
        &self,
        adapter: &str,
        looks: &[Look<'_>],
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<(Vec<Delivery>, Option<Timestamp>), StoreError> {
        let (mut rows, next) = read!(self.due(adapter, looks, claim, now))?;
        let in_doubt = |row: &&Delivery| matches!(row.state, State::InDoubt { .. });
        self.gates.note_doubts(rows.iter().filter(in_doubt).count());
        if self.control == Some(Control::NoLock) {
            self.gates.call(self.unlock(adapter, &mut rows)).await?;
        }
        Ok((rows, next))
    }

    async fn mates(&self, row: &Delivery, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        read!(self.mates(row, now, limit))
    }

    async fn shadows(
        &self,
        keys: &[(String, DossierId)],
    ) -> Result<HashMap<(String, DossierId), Shadow>, StoreError> {
        Ok(remembered(self.control, read!(self.shadows(keys))?))
    }

    async fn records_again(
        &self,
        said: Said,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError> {
        read!(self.records_again(said, now, limit))
    }

    async fn replicas(&self, ids: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError> {
        read!(self.replicas(ids))
    }

    async fn parents(
        &self,
        adapter: &str,
        ids: &[DossierId],
    ) -> Result<HashMap<(DossierId, String), Parent>, StoreError> {
        read!(self.parents(adapter, ids))
    }

    async fn resolve(&self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError> {
        read!(self.resolve(keys))
    }

    async fn cursor(&self, adapter: &str, operation: &str) -> Result<Option<String>, StoreError> {
        read!(self.cursor(adapter, operation))
    }

    async fn owed(
        &self,
        adapter: &str,
        operation: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Owed>, StoreError> {
        read!(self.owed(adapter, operation, now, limit))
    }

    async fn find_replica(&self, code: &str) -> Result<Option<Replica>, StoreError> {
        read!(self.find_replica(code))
    }

    async fn list_replicas(&self, limit: u32) -> Result<Vec<ReplicaSummary>, StoreError> {
        read!(self.list_replicas(limit))
    }

    async fn deliveries_of(&self, id: DossierId) -> Result<Vec<Delivery>, StoreError> {
        read!(self.deliveries_of(id))
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        read!(self.dead_letters(limit))
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<(DeadLetter, Option<String>)>, StoreError> {
        read!(self.dead_letter(id))
    }

    async fn held_records(&self, code: &str) -> Result<Vec<HeldRecord>, StoreError> {
        read!(self.held_records(code))
    }

    async fn fate(&self, letter: &str) -> Result<Option<Fate>, StoreError> {
        read!(self.fate(letter))
    }

    async fn letters(
        &self,
        of: &LettersOf,
        walk: &Walk,
        limit: u32,
    ) -> Result<(Vec<String>, Walk), StoreError> {
        read!(self.letters(of, walk, limit))
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<Journaled>, StoreError> {
        read!(self.journal(after, limit))
    }

    async fn journal_before(&self, count: u32) -> Result<i64, StoreError> {
        read!(self.journal_before(count))
    }

    async fn past(&self, id: DossierId, codes: &[String]) -> Result<Past, StoreError> {
        read!(self.past(id, codes))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        read!(self.counts())
    }
}

/// What is remembered of what systems hold, with a safeguard taken away.
fn remembered(
    control: Option<Control>,
    shadows: HashMap<(String, DossierId), Shadow>,
) -> HashMap<(String, DossierId), Shadow> {
    match control {
        Some(Control::NoShadow) => HashMap::new(),
        Some(Control::NoStamp) => shadows
            .into_iter()
            .map(|(key, shadow)| (key, ungiven(&shadow)))
            .collect(),
        _ => shadows,
    }
}

struct GapTransaction {
    inner: Box<dyn Transaction>,
    node: usize,
    gates: Arc<Gates>,
    honesty: SharedHonesty,
    /// Events that are held in the inbox once this is durable, and events that are merged.
    kept: Vec<String>,
    merged: Vec<Merged>,
    control: Option<Control>,
    forgotten: Arc<Mutex<HashSet<(String, RowKey)>>>,
    writing: Writing,
}

impl GapTransaction {
    /// The outcome of a call whose intent was never written: the row in the store is that from before it.
    fn forgetful(&self, mut outcome: Outcome) -> Outcome {
        let key = (outcome.row.adapter.clone(), row_key(&outcome.row));
        if locked(&self.forgotten).remove(&key) {
            outcome.fence -= 1;
        }
        outcome
    }
}

macro_rules! statement {
    ($self:ident.$method:ident($($argument:expr),*)) => {{
        $self.gates.pass(Gap::Statement).await;
        $self.gates.call($self.inner.$method($($argument),*)).await
    }};
}

#[async_trait]
impl Transaction for GapTransaction {
    /// The only write transaction there is: no gap.
    async fn lock(&mut self, dossiers: &[DossierId], codes: &[CodeKey]) -> Result<(), StoreError> {
        self.gates.call(self.inner.lock(dossiers, codes)).await
    }

    async fn resolve(&mut self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError> {
        statement!(self.resolve(keys))
    }

    async fn replicas(&mut self, ids: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError> {
        statement!(self.replicas(ids))
    }

    async fn shadows(
        &mut self,
        keys: &[(String, DossierId)],
    ) -> Result<HashMap<(String, DossierId), Shadow>, StoreError> {
        Ok(remembered(self.control, statement!(self.shadows(keys))?))
    }

    async fn journaled(&mut self, events: &[&str]) -> Result<HashMap<String, Event>, StoreError> {
        statement!(self.journaled(events))
    }

    async fn aliases(&mut self, ids: &[DossierId]) -> Result<HashMap<DossierId, DossierId>, StoreError> {
        statement!(self.aliases(ids))
    }

    async fn candidates(&mut self, codes: &[String]) -> Result<HashMap<String, Vec<DossierId>>, StoreError> {
        statement!(self.candidates(codes))
    }

    async fn open_creates(&mut self, adapter: &str) -> Result<Vec<DossierId>, StoreError> {
        statement!(self.open_creates(adapter))
    }

    async fn deliveries(&mut self, id: DossierId) -> Result<Vec<Delivery>, StoreError> {
        statement!(self.deliveries(id))
    }

    async fn put_inbox(&mut self, rows: &[InboxRow]) -> Result<(), StoreError> {
        self.kept.extend(rows.iter().filter_map(|row| row.event.clone()));
        statement!(self.put_inbox(rows))
    }

    async fn settle_records(&mut self, rows: &[(i64, InboxRow)]) -> Result<(), StoreError> {
        statement!(self.settle_records(rows))
    }

    async fn release_records(&mut self, come: &[Come]) -> Result<(), StoreError> {
        statement!(self.release_records(come))
    }

    async fn release_judged(
        &mut self,
        adapter: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        statement!(self.release_judged(adapter, version, now))
    }

    async fn close_refused(&mut self, taken: &[Taken]) -> Result<(), StoreError> {
        statement!(self.close_refused(taken))
    }

    async fn put_shadows(&mut self, shadows: &[(String, DossierId, Shadow)]) -> Result<(), StoreError> {
        statement!(self.put_shadows(shadows))
    }

    async fn put_outbox(&mut self, events: &[Event]) -> Result<(), StoreError> {
        statement!(self.put_outbox(events))
    }

    async fn forget_outbox(&mut self, events: &[&str]) -> Result<(), StoreError> {
        for event in events {
            locked(&self.honesty).forgotten(event);
        }
        statement!(self.forget_outbox(events))
    }

    async fn put_cursor(&mut self, adapter: &str, operation: &str, body: &str) -> Result<(), StoreError> {
        statement!(self.put_cursor(adapter, operation, body))
    }

    async fn spend(&mut self, adapter: &str, quotas: &[Quota]) -> Result<Option<usize>, StoreError> {
        statement!(self.spend(adapter, quotas))
    }

    async fn owe(
        &mut self,
        adapter: &str,
        operation: &str,
        records: &[(Value, Option<String>)],
    ) -> Result<(), StoreError> {
        statement!(self.owe(adapter, operation, records))
    }

    async fn forget_owed(&mut self, owed: &[Owed]) -> Result<(), StoreError> {
        statement!(self.forget_owed(owed))
    }

    async fn put_off(&mut self, owed: &[Owed], until: Timestamp) -> Result<(), StoreError> {
        statement!(self.put_off(owed, until))
    }

    async fn put_clock(&mut self, hlc: Hlc) -> Result<(), StoreError> {
        statement!(self.put_clock(hlc))
    }

    async fn count_on(&mut self, adapter: &str, operation: &str, by: u64) -> Result<u64, StoreError> {
        statement!(self.count_on(adapter, operation, by))
    }

    async fn put_journal(&mut self, events: &[Event], received: Timestamp) -> Result<(), StoreError> {
        self.merged.extend(events.iter().map(Merged::new));
        statement!(self.put_journal(events, received))
    }

    async fn put_replicas(&mut self, replicas: &[Replica]) -> Result<(), StoreError> {
        statement!(self.put_replicas(replicas))
    }

    async fn join(&mut self, gone: DossierId, stays: DossierId) -> Result<(), StoreError> {
        statement!(self.join(gone, stays))
    }

    async fn put_links(&mut self, links: &[(CodeKey, DossierId)]) -> Result<(), StoreError> {
        statement!(self.put_links(links))
    }

    async fn want(&mut self, wanted: &[Wanted], now: Timestamp) -> Result<(), StoreError> {
        statement!(self.want(wanted, now))
    }

    async fn put_items(&mut self, items: &[Item], now: Timestamp) -> Result<(), StoreError> {
        statement!(self.put_items(items, now))
    }

    async fn save(&mut self, outcomes: &[Outcome], now: Timestamp) -> Result<HashSet<RowKey>, StoreError> {
        match self.control {
            Some(Control::NoIntent) => {
                let (intents, others): (Vec<Outcome>, Vec<Outcome>) =
                    outcomes.iter().cloned().partition(is_intent);
                let others: Vec<Outcome> = others
                    .into_iter()
                    .map(|outcome| self.forgetful(outcome))
                    .collect();
                let mut written = statement!(self.save(&others, now))?;
                written.extend(intents.iter().map(|intent| row_key(&intent.row)));
                let mut forgotten = locked(&self.forgotten);
                forgotten.extend(
                    intents
                        .iter()
                        .map(|intent| (intent.row.adapter.clone(), row_key(&intent.row))),
                );
                Ok(written)
            }
            Some(Control::NoSettle) => {
                let outcomes: Vec<Outcome> = outcomes.iter().map(|outcome| settled(outcome, now)).collect();
                statement!(self.save(&outcomes, now))
            }
            Some(Control::NoMemory) => {
                let outcomes: Vec<Outcome> = outcomes.iter().map(|outcome| again(outcome, now)).collect();
                statement!(self.save(&outcomes, now))
            }
            _ => statement!(self.save(outcomes, now)),
        }
    }

    async fn decide(
        &mut self,
        decisions: &[Decision],
        asked: &[(String, String)],
        now: Timestamp,
    ) -> Result<Vec<Decided>, StoreError> {
        statement!(self.decide(decisions, asked, now))
    }

    async fn release(
        &mut self,
        waiting: &[(String, DossierId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        statement!(self.release(waiting, now))
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.gates.pass(Gap::Commit).await;
        let Self {
            inner,
            node,
            gates,
            honesty,
            kept,
            merged,
            writing,
            ..
        } = *self;
        gates.call(inner.commit()).await?;
        locked(&honesty).stored(node, kept, &merged, gates.time());
        drop(writing);
        gates.note_change();
        gates.pass(Gap::Committed).await;
        Ok(())
    }
}

/// Whether the outcome is an intent: the row is in doubt because a call is about to leave.
fn is_intent(outcome: &Outcome) -> bool {
    outcome.intended
}

/// The shadow of a system that was never given anything: what it writes is not newer than what it could see.
fn ungiven(shadow: &Shadow) -> Shadow {
    fn strip(value: &mut Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| name != "given" && name != "stamps");
            fields.values_mut().for_each(strip);
        }
    }
    let mut value = json!(shadow);
    strip(&mut value);
    serde_json::from_value(value).expect("a shadow without a field that may be absent")
}

/// A record that took effect, as one that is made again before the hour is over.
fn again(outcome: &Outcome, now: Timestamp) -> Outcome {
    let mut outcome = outcome.clone();
    if outcome.row.state == State::Applied {
        outcome.row.native_hash = None;
        outcome.row.state = State::BackingOff {
            next: now + SignedDuration::from_mins(20),
        };
    }
    outcome
}

/// The outcome, its doubt over at once.
fn settled(outcome: &Outcome, now: Timestamp) -> Outcome {
    let mut outcome = outcome.clone();
    if let State::InDoubt { until } = &mut outcome.row.state {
        *until = now;
    }
    outcome
}

fn row_key(row: &Delivery) -> RowKey {
    (row.dossier, row.push.clone(), row.item.clone())
}
