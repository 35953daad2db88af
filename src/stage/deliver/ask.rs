//! A look-up: a row of the ledger that asks its system about the dossier. It changes nothing there, so it has no intent and
//! is never in doubt. What its answer means is said of the dossier in the transaction that notes the row as done; of the
//! answer itself nothing is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::changes::key;
use super::desk::expand;
use super::end::{back_off, refused};
use super::plan::Plan;
use crate::adapter::{Adapter, Inquiry, Lookup, Question, Spend, Word, about};
use crate::connector::{Connector, Exchange};
use crate::dossier::hash::content;
use crate::dossier::{Origin, Patch};
use crate::fault::Fault;
use crate::jq::Mark;
use crate::stage::ingest::Statement;
use crate::stage::{Shared, StageError, pause};
use crate::store::{Delivery, Quota, Replica, RowKey, State};

/// What a row waits for whose system allows no more such questions for now.
const QUOTA: &str = "quota";

/// What a row waits for that asks again and again.
const AGAIN: &str = "the next question";

/// Most answers that are remembered.
const REMEMBERED: usize = 1000;

/// A question that is to be asked.
pub(super) struct Asking {
    row: Delivery,
    version: i64,
    question: Question,
    /// The question's number.
    id: String,
    whom: Whom,
    /// What is said as long as nobody answers.
    meanwhile: Option<Value>,
}

/// The dossier that a fact is about.
#[derive(Clone)]
struct Whom {
    origin: Origin,
    /// Hash of the applicant as the question knew them.
    person: Option<String>,
}

/// How a row ends, and what is to be said of its dossier.
pub(super) struct Answered {
    pub(super) row: Delivery,
    pub(super) version: i64,
    pub(super) fact: Option<Statement>,
}

/// What an answer means.
#[derive(Clone)]
struct Meaning {
    /// What it says of a dossier; nothing, where the mapping leaves it out on purpose.
    fact: Option<Value>,
    /// When it was asked for, by the clock that never goes back.
    asked: Timestamp,
}

/// What a process knows of the questions that it has asked; nothing of it is stored.
#[derive(Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// By question: what its answer meant, and until when that serves.
    facts: BTreeMap<(String, String), (Meaning, Timestamp)>,
    /// By row that nobody answers: the question of which that was said.
    silent: BTreeMap<RowKey, String>,
    /// Look-ups whose system allows no more questions, and until when. By the steady clock, as is all of this.
    resting: BTreeMap<String, Timestamp>,
}

impl Memory {
    fn open(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the first look-up that rests may go on; `None`: none rests.
    pub(super) fn resting(&self, now: Timestamp) -> Option<Timestamp> {
        self.open()
            .resting
            .values()
            .copied()
            .filter(|until| *until > now)
            .min()
    }

    /// May this look-up ask?
    pub(super) fn may_ask(&self, lookup: &str, now: Timestamp) -> bool {
        self.open().resting.get(lookup).is_none_or(|until| *until <= now)
    }

    /// What an answer to the same question meant, if there was one that still serves.
    fn recall(&self, asking: &Asking, now: Timestamp) -> Option<Meaning> {
        let key = (asking.row.push.clone(), asking.question.hash.clone());
        let memory = self.open();
        let (meaning, until) = memory.facts.get(&key)?;
        (*until > now).then(|| meaning.clone())
    }

    /// Whether it is to be said that nobody answers this: once for each question of a row. After a restart the question is
    /// taken for the one of which it was said.
    fn is_silence_news(&self, asking: &Asking, failures: u32) -> bool {
        let mut memory = self.open();
        let key = key(&asking.row);
        let before = memory.silent.get(&key);
        let is_news = before.map_or(failures == 1, |before| *before != asking.question.hash);
        if before.is_some() || memory.silent.len() < REMEMBERED {
            memory.silent.insert(key, asking.question.hash.clone());
        }
        is_news
    }

    fn is_answered(&self, row: &Delivery) {
        self.open().silent.remove(&key(row));
    }

    fn remember(&self, asking: &Asking, meaning: &Meaning, (now, until): (Timestamp, Timestamp)) {
        let mut memory = self.open();
        if memory.facts.len() >= REMEMBERED {
            memory.facts.retain(|_, (_, until)| *until > now);
        }
        if memory.facts.len() < REMEMBERED {
            let key = (asking.row.push.clone(), asking.question.hash.clone());
            memory.facts.insert(key, (meaning.clone(), until));
        }
    }
}

/// The look-up of this name.
pub(super) fn lookup_of<'a>(adapter: &'a Adapter, name: &str) -> Option<&'a Lookup> {
    adapter.lookups.iter().find(|lookup| lookup.name == name)
}

/// Plans a row: pure.
pub(super) fn plan(
    adapter: &Adapter,
    lookup: &Lookup,
    mut row: Delivery,
    replica: &Replica,
    now: Timestamp,
) -> Result<Plan, Fault> {
    let version = replica.version;
    let view = adapter.needs.apply(&replica.dossier.view());
    let whom = Whom {
        origin: replica.dossier.origin.clone(),
        person: replica.dossier.register("applicant.person").map(content),
    };
    row.judged_by = None;
    if lookup.is_by_item() {
        let items = lookup.items(&view)?;
        if row.item.is_empty() {
            return Ok(expand(row, version, &items, true));
        }
        let Some(item) = items.iter().find(|item| item["id"] == row.item.as_str()) else {
            let reason = "the dossier no longer has this item".to_owned();
            return Ok(Plan::write(row, version, State::Skipped { reason }));
        };
        let question = lookup.inquiry_about(item, &view)?;
        return Ok(asking(lookup, row, version, question, whom, None, now));
    }
    match lookup.inquiry(&view)? {
        Inquiry::Nothing if row.applied.is_some() => Ok(Plan::write(row, version, State::Applied)),
        Inquiry::Nothing => {
            let reason = "the mapping does not ask about this dossier (when)".to_owned();
            Ok(Plan::write(row, version, State::Skipped { reason }))
        }
        Inquiry::Say(fact) => {
            let hash = content(&fact);
            let is_new = row.native_hash.as_ref() != Some(&hash);
            let fact = is_new.then(|| whom.says(fact, lookup, None)).transpose()?;
            row.native_hash = Some(hash);
            row.applied = Some(version);
            row.state = State::Applied;
            Ok(Plan::Answered(Box::new(Answered { row, version, fact })))
        }
        Inquiry::Ask(question) => {
            let meanwhile = lookup.meanwhile(&view)?;
            Ok(asking(lookup, row, version, question, whom, meanwhile, now))
        }
    }
}

/// Asks, unless the question was answered and it is not time to ask again.
fn asking(
    lookup: &Lookup,
    row: Delivery,
    version: i64,
    question: Question,
    whom: Whom,
    meanwhile: Option<Value>,
    now: Timestamp,
) -> Plan {
    if row.native_hash.as_ref() == Some(&question.hash) {
        let rest = rest(lookup, &row);
        if !matches!(&rest, State::Waiting { until: Some(until), .. } if *until <= now) {
            return Plan::write(row, version, rest);
        }
    }
    Plan::Ask(Box::new(Asking {
        row,
        version,
        question,
        id: uuid::Uuid::now_v7().simple().to_string(),
        whom,
        meanwhile,
    }))
}

/// How a row rests whose question was answered.
fn rest(lookup: &Lookup, row: &Delivery) -> State {
    match lookup.every.zip(row.looked) {
        Some((every, looked)) => State::Waiting {
            requirement: AGAIN.to_owned(),
            until: Some(looked + every),
        },
        None => State::Applied,
    }
}

impl Whom {
    fn says(&self, fact: Value, lookup: &Lookup, asked: Option<Timestamp>) -> Result<Statement, Fault> {
        let patch = Patch::parse(&about(fact, &self.origin, self.person.as_deref()));
        // The first fault is the one to mend first.
        let patch = patch.map_err(|mut faults| faults.swap_remove(0));
        let patch = patch.map(Patch::unnamed).map_err(|fault| {
            let field = fault.field.clone().unwrap_or_default();
            fault.field(format!("{}.map: {field}", lookup.name))
        })?;
        Ok(Statement { patch, asked })
    }
}

impl Asking {
    fn lookup<'a>(&self, adapter: &'a Adapter) -> &'a Lookup {
        lookup_of(adapter, &self.row.push).expect("a question is planned for a look-up of the adapter")
    }

    fn mark(&self) -> Mark {
        Mark::of(&(self.row.dossier, &self.row.item))
    }

    /// The row in this state, and nothing is said.
    fn left(self, state: State) -> Answered {
        Answered {
            version: self.version,
            row: Delivery { state, ..self.row },
            fact: None,
        }
    }

    /// The row whose question has this answer.
    fn answered(
        self,
        adapter: &Adapter,
        Meaning { fact, asked }: Meaning,
        (now, wall): (Timestamp, Timestamp),
    ) -> Answered {
        let lookup = self.lookup(adapter);
        let said = fact.map(|fact| self.whom.says(fact, lookup, Some(asked)));
        let fact = match said.transpose() {
            Ok(fact) => fact,
            Err(cause) => return self.unreadable(adapter, cause),
        };
        let (version, hash) = (self.version, self.question.hash);
        let mut row = Delivery {
            applied: Some(version),
            native_hash: Some(hash),
            looked: Some(now),
            applied_at: Some(wall),
            mapping: Some(adapter.version.clone()),
            failures: 0,
            failing_since: None,
            ..self.row
        };
        row.state = rest(lookup, &row);
        Answered { row, version, fact }
    }

    /// The mapping can make nothing of it: a newer one asks again.
    fn unreadable(mut self, adapter: &Adapter, cause: Fault) -> Answered {
        self.row.judged_by = Some(adapter.version.clone());
        self.left(State::Parked { cause, held: false })
    }
}

/// What may be asked now, and what becomes of the rest: what another question was answered with serves for the same one,
/// and what the system allows no more waits. Counted before it is asked, so that no crash gives anything anew.
pub(super) async fn allowed(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    memory: &Memory,
    asks: Vec<Asking>,
) -> Result<(Vec<Asking>, Vec<Answered>), StageError> {
    let (now, wall) = (shared.steady.now(), shared.clock.now());
    let (mut open, mut ended) = (Vec::new(), Vec::new());
    for asking in asks {
        match memory.recall(&asking, now) {
            Some(meaning) => ended.push(asking.answered(adapter, meaning, (now, wall))),
            None => open.push(asking),
        }
    }
    let mut limited = Vec::new();
    for asking in open {
        match spends(shared, adapter, &asking, wall).await {
            Ok(spends) => limited.push((asking, spends)),
            Err(cause) => ended.push(asking.unreadable(adapter, cause)),
        }
    }
    if limited.iter().all(|(_, spends)| spends.is_empty()) {
        return Ok((limited.into_iter().map(|(asking, _)| asking).collect(), ended));
    }
    let mut transaction = shared.store.begin().await?;
    let mut allowed = Vec::new();
    for (asking, spends) in limited {
        // An earlier one of this step may have used it up.
        if !memory.may_ask(&asking.row.push, now) {
            continue;
        }
        let quotas: Vec<Quota> = spends.iter().map(quota).collect();
        let Some(place) = transaction.spend(&adapter.name, &quotas).await? else {
            allowed.push(asking);
            continue;
        };
        let spend = &spends[place];
        let until = now + spend.until.duration_since(wall).max(SignedDuration::ZERO);
        if spend.for_all {
            memory.open().resting.insert(asking.row.push.clone(), until);
        } else {
            ended.push(asking.left(State::Waiting {
                requirement: QUOTA.to_owned(),
                until: Some(until),
            }));
        }
    }
    transaction.commit().await?;
    Ok((allowed, ended))
}

/// What asking this would use up, by the adapter's mappings.
async fn spends(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    asking: &Asking,
    wall: Timestamp,
) -> Result<Vec<Spend>, Fault> {
    let (of, name) = (Arc::clone(adapter), asking.row.push.clone());
    let asked = asking.question.asked.clone();
    let spends = shared
        .lane(adapter)
        .run(&asking.row.push, asking.mark(), move || {
            lookup_of(&of, &name).map_or(Ok(Vec::new()), |lookup| lookup.spends(&asked, wall))
        });
    spends
        .await
        .unwrap_or_else(|stuck| Err(pause::given_up(&asking.row.push, stuck)))
}

/// A use of a limit as the store counts it.
fn quota(spend: &Spend) -> Quota {
    Quota {
        name: spend.name.clone(),
        limit: spend.limit,
        until: spend.until,
    }
}

/// Asks.
pub(super) async fn ask(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    connector: &Connector,
    memory: &Memory,
    asking: Asking,
) -> Answered {
    let lookup = asking.lookup(adapter);
    let asked = shared.hybrid.now();
    let exchange = connector
        .exchange(&lookup.call, &asking.question.asked, &lookup.scope(&asking.id))
        .await;
    let (now, wall) = (shared.steady.now(), shared.clock.now());
    match exchange.verdict.word {
        Word::Done | Word::Missing => {
            memory.is_answered(&asking.row);
            let fact = match read(shared, adapter, &asking, &exchange).await {
                Ok(fact) => fact,
                Err(cause) => return asking.unreadable(adapter, cause),
            };
            let meaning = Meaning { fact, asked };
            if let Some(remember) = lookup.remember {
                memory.remember(&asking, &meaning, (now, now + remember));
            }
            asking.answered(adapter, meaning, (now, wall))
        }
        Word::Pause | Word::Login => {
            super::rest(shared, adapter, &exchange);
            asking.left(State::Due)
        }
        Word::Retry | Word::InDoubt => {
            let row = back_off(adapter, asking.row.clone(), &exchange.verdict, now);
            let fact = asking
                .meanwhile
                .clone()
                .filter(|_| memory.is_silence_news(&asking, row.failures));
            let said = fact.map(|fact| asking.whom.says(fact, lookup, None)).transpose();
            match said {
                Ok(fact) => Answered {
                    row,
                    version: asking.version,
                    fact,
                },
                Err(cause) => asking.unreadable(adapter, cause),
            }
        }
        Word::Exists | Word::Refused => asking.left(refused(exchange.verdict.reason)),
    }
}

/// What the answer means.
async fn read(
    shared: &Shared,
    adapter: &Arc<Adapter>,
    asking: &Asking,
    exchange: &Exchange,
) -> Result<Option<Value>, Fault> {
    let (of, name) = (Arc::clone(adapter), asking.row.push.clone());
    let answer = exchange
        .answer
        .as_ref()
        .map(|answer| answer.body.clone())
        .unwrap_or_default();
    let (asked, id) = (asking.question.asked.clone(), asking.id.clone());
    let read = shared
        .lane(adapter)
        .run(&asking.row.push, asking.mark(), move || {
            lookup_of(&of, &name).map_or(Ok(None), |lookup| lookup.fact(&answer, &asked, &id))
        });
    read.await
        .unwrap_or_else(|stuck| Err(pause::given_up(&asking.row.push, stuck)))
}
