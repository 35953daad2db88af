//! The poller: asks a system that does not tell us what is new.
//!
//! Its position lies in the store and moves in the transaction that stores the records, so that no crash skips one.
//! A run asks from the newest time that was seen, less the overlap, page by page; the position moves on when its last
//! page is stored. Records that were seen before say nothing new and cost a comparison.
//!
//! A system that wants to be told what we have is told after each page, of what is durable only: the transaction that
//! stores the records stores with them what is owed to it, and that goes when it has answered. What it did not take it is
//! told again behind a later page, and not before: it may take our word for what has become of the record meanwhile, and
//! then we have seen that.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Door, Position, Record, admit};
use crate::adapter::{Acknowledge, Adapter, Pull, RetrySettings, Span, Word};
use crate::connector::Connector;
use crate::fault::Fault;
use crate::jq::{Mark, Scope};
use crate::retry::Policy;
use crate::stage::{CALLS, Progress, Shared, StageError};
use crate::store::Owed;

/// Acknowledgements of one call where the manifest has no `batch`.
const MOST_OWED: u32 = 1000;

/// The stage: one for each pull of each hosted adapter.
pub struct Puller {
    shared: Arc<Shared>,
    adapter: Arc<Adapter>,
    index: usize,
    connector: Arc<Connector>,
    schedule: Mutex<Schedule>,
}

/// When to ask next, by the steady clock; lost with the process, which then asks at once.
#[derive(Default)]
struct Schedule {
    next: Option<Timestamp>,
    failures: u32,
    failing_since: Option<Timestamp>,
    /// A page is stored, and the system has not been told yet.
    owes: bool,
}

/// Where a pull stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stand {
    /// Newest native time of all finished runs; asked from here, less the overlap.
    since: Option<Timestamp>,
    /// The run under way.
    run: Option<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// What all its pages ask for.
    since: Option<Timestamp>,
    until: Timestamp,
    /// Whether `until` was in the past when it began: the next one follows at once.
    #[serde(default)]
    past: bool,
    /// Newest native time so far.
    newest: Option<Timestamp>,
    /// The page to ask for; null for the first.
    page: Value,
}

impl Puller {
    /// The stage for the pull `index` of `adapter`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, adapter: Arc<Adapter>, index: usize, connector: Arc<Connector>) -> Self {
        Self {
            shared,
            adapter,
            index,
            connector,
            schedule: Mutex::default(),
        }
    }

    fn pull(&self) -> &Pull {
        &self.adapter.pulls[self.index]
    }

    /// Asks for one page, if it is time, and stores it; or tells the system that we have what the page before listed.
    ///
    /// # Errors
    /// The store is away. A system that does not answer is no error: it is asked again later.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let mut schedule = self.schedule.lock().await;
        let now = self.shared.clock.now();
        let steady = self.shared.steady.now();
        if let Some(next) = schedule.next
            && steady < next
            && !schedule.owes
        {
            return Ok(self.idle(next));
        }
        if let Some(pause) = self.shared.pauses.of_mappings(&self.adapter.name, now) {
            return Ok(Progress::Idle(Some(pause.until)));
        }
        if self.shared.is_behind() {
            return Ok(self.failed(&mut schedule, steady, "this machine's clock was set back"));
        }
        let pull = self.pull();
        let duty = format!("pull {} {}", self.adapter.name, pull.name);
        if !self
            .shared
            .leads(&duty, self.adapter.connection.timeout * CALLS)
            .await?
        {
            return Ok(Progress::Idle(None));
        }
        if let Some(acknowledge) = pull.acknowledge.as_ref().filter(|_| schedule.owes) {
            return self.acknowledge(acknowledge, &mut schedule, steady).await;
        }
        let stored = self.shared.store.cursor(&self.adapter.name, &pull.name).await?;
        // A position of another version is no reason to stop: the pull begins anew, and repetitions change nothing.
        let mut stand: Stand = stored
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let mut run = stand.run.take().unwrap_or_else(|| {
            let Span { since, until } = pull.span(stand.since, now);
            Run {
                since,
                until,
                past: until < now,
                newest: None,
                page: Value::Null,
            }
        });
        let span = Span {
            since: run.since,
            until: run.until,
        };
        let scope = pull.scope(&span, &run.page);
        let asked = self.shared.hybrid.now();
        let exchange = self.connector.exchange(&pull.call, &Value::Null, &scope).await;
        let page = match (exchange.verdict.word, exchange.answer) {
            (Word::Done, Some(answer)) => self.read(answer.body, exchange.scope, run.page.clone()).await,
            (word, _) => Err(exchange
                .verdict
                .reason
                .unwrap_or_else(|| format!("the answer was judged {word:?}"))),
        };
        let page = match page {
            Ok(page) => page,
            Err(reason) => return Ok(self.failed(&mut schedule, steady, &reason)),
        };
        let observed = self.shared.hybrid.now();
        let records: Vec<Record> = page
            .records
            .into_iter()
            .map(|value| Record {
                adapter: Arc::clone(&self.adapter),
                door: Door::Pull(self.index),
                raw: value.to_string(),
                value,
                observed,
                asked: Some(asked),
                kept: None,
            })
            .collect();
        run.newest = run.newest.max(page.newest);
        let (more, past) = (page.next.is_some(), run.past);
        match page.next {
            Some(next) => stand.run = Some(Run { page: next, ..run }),
            None => stand.since = pull.reached(stand.since, &span, run.newest, now),
        }
        let position = Position {
            adapter: &self.adapter.name,
            operation: &pull.name,
            body: json!(stand).to_string(),
            owed: page.owed,
        };
        admit(&self.shared, records, Some(position)).await?;
        let goes_on = more || past;
        *schedule = Schedule {
            next: (!goes_on).then(|| steady + pull.every),
            owes: pull.acknowledge.is_some(),
            ..Schedule::default()
        };
        Ok(self.asked(&schedule))
    }

    /// What there is to do after a page.
    fn asked(&self, schedule: &Schedule) -> Progress {
        match schedule.next {
            Some(next) if !schedule.owes => self.idle(next),
            _ => Progress::Worked,
        }
    }

    /// Tells the system what we have, in one call.
    async fn acknowledge(
        &self,
        acknowledge: &Acknowledge,
        schedule: &mut Schedule,
        now: Timestamp,
    ) -> Result<Progress, StageError> {
        let (adapter, operation) = (&self.adapter.name, &self.pull().name);
        let most = acknowledge.batch.unwrap_or(MOST_OWED);
        let mut owed = self.shared.store.owed(adapter, operation, now, most).await?;
        let fits = |(row, place): &(Owed, u32)| row.batch_limit.is_none_or(|limit| *place < limit);
        owed = owed
            .into_iter()
            .zip(0..)
            .take_while(fits)
            .map(|(row, _)| row)
            .collect();
        if owed.is_empty() {
            schedule.owes = false;
            return Ok(self.asked(schedule));
        }
        let about = Acknowledge::about(owed.iter().map(|row| (&row.record, row.error.as_deref())));
        let exchange = self
            .connector
            .exchange(&acknowledge.call, &about, &Acknowledge::scope())
            .await;
        let now = self.shared.steady.now();
        let mut transaction = self.shared.store.begin().await?;
        match exchange.verdict.word {
            Word::Done | Word::Exists | Word::Missing => transaction.forget_owed(&owed).await?,
            // One that the system does not take must not keep the others: halves are told until it stands alone.
            Word::Refused if owed.len() > 1 => {
                let half = u32::try_from(owed.len() / 2).ok();
                for row in &mut owed {
                    row.batch_limit = half;
                }
                transaction.put_off(&owed, now).await?;
            }
            word => {
                for row in &mut owed {
                    row.failures += 1;
                }
                let failures = owed[0].failures;
                let delay = self.policy().delay(failures, Duration::ZERO).unwrap_or_default();
                let delay = delay.max(exchange.verdict.after.unwrap_or_default());
                transaction.put_off(&owed, now + delay).await?;
                // What a system says of records may name persons; its status does not.
                let reason = match &exchange.answer {
                    Some(answer) => Some(format!("HTTP {}", answer.status)),
                    None => exchange.verdict.reason,
                };
                // What else is owed waits for the next page, so that a sick system is asked once for each.
                schedule.owes = word == Word::Refused;
                tracing::warn!(
                    adapter,
                    operation,
                    failures,
                    records = owed.len(),
                    reason,
                    "acknowledgement not taken; made again later"
                );
            }
        }
        transaction.commit().await?;
        Ok(self.asked(schedule))
    }

    /// Nothing to ask before this time of the steady clock.
    fn idle(&self, next: Timestamp) -> Progress {
        Progress::Idle(Some(self.shared.steady.on_the_wall(next)))
    }

    async fn read(&self, body: Value, scope: Scope, page: Value) -> Result<Page, String> {
        let (adapter, index) = (Arc::clone(&self.adapter), self.index);
        let read = self
            .shared
            .lane(&self.adapter)
            .run(&self.pull().call.name, Mark::alone(), move || {
                let pull = &adapter.pulls[index];
                let records = pull.call.records(&body, &scope)?;
                let mut newest = None;
                let mut owed = Vec::new();
                for record in &records {
                    // A record whose time cannot be read does not carry the position on, and stops no other record;
                    // the mapping judges it.
                    match pull.cursor(record) {
                        Ok(time) => newest = newest.max(time),
                        Err(fault) => {
                            let fault = fault.for_log();
                            tracing::warn!(adapter = adapter.name, operation = pull.name, %fault, "record without a readable time");
                        }
                    }
                    // Nor is one told of that cannot be named; the system lists it again.
                    owed.push(match pull.acknowledge.as_ref().map(|to| to.keep(record)) {
                        Some(Ok(kept)) => kept,
                        Some(Err(fault)) => {
                            let fault = fault.for_log();
                            tracing::warn!(adapter = adapter.name, operation = pull.name, %fault, "record that cannot be acknowledged");
                            None
                        }
                        None => None,
                    });
                }
                let next = pull.next(&body, &scope)?;
                if next.as_ref() == Some(&page) {
                    return Err(Fault::new("page-repeats")
                        .field(format!("pull.{}.next", pull.name))
                        .found("the page that was just read")
                        .expected("the page after it, or nothing")
                        .remedy("correct the jq of `next`"));
                }
                Ok(Page {
                    records,
                    owed,
                    newest,
                    next,
                })
            })
            .await;
        match read {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(fault)) => Err(Fault::for_log(&fault).to_string()),
            Err(stuck) => Err(stuck.to_string()),
        }
    }

    /// A system is asked and told for ever: nothing of it is parked for a person.
    fn policy(&self) -> Policy {
        let RetrySettings { first, max, .. } = self.adapter.connection.retry;
        Policy {
            first,
            max,
            give_up: None,
        }
    }

    fn failed(&self, schedule: &mut Schedule, now: Timestamp, reason: &str) -> Progress {
        schedule.failures += 1;
        let since = *schedule.failing_since.get_or_insert(now);
        let elapsed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let policy = self.policy();
        let delay = policy.delay(schedule.failures, elapsed).unwrap_or(policy.max);
        let next = now + delay;
        schedule.next = Some(next);
        tracing::warn!(
            adapter = self.adapter.name,
            operation = self.pull().name,
            failures = schedule.failures,
            reason,
            "pull failed; asking again later"
        );
        self.idle(next)
    }
}

/// One page of an answer.
struct Page {
    records: Vec<Value>,
    /// What the system is told each of them by.
    owed: Vec<Option<Value>>,
    newest: Option<Timestamp>,
    next: Option<Value>,
}
