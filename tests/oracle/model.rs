//! The oracle as seen from outside: a request comes, something happens on the wire, and in the books now, later or never.
//!
//! ```text
//! let mut oracle = Oracle::new(seed, Class::Keyed, Mode::Mixed { percent: 40 }, times);
//! match oracle.call(now_ms, "POST", "/records", "", &record) {
//!     Reaction::Answer { status, headers, body, after_ms } => …      // and what the books say is committed already
//!     Reaction::Cut { after_ms } => …                                // committed or not: the caller cannot know
//!     Reaction::CutInBody { .. } => …                                // an answer that breaks off in its body
//!     Reaction::Silence => …                                         // until the caller gives up
//! }
//! oracle.tick(now_ms);                                               // late commits that are due
//! ```
//!
//! `call` ticks by itself; whoever has not called for a while ticks before looking into the books.
//!
//! Which requests it knows is said in [`asked`](super::asked).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::asked::{Asked, Class};
use super::books::{Books, DISORDER, Effect, OLDER, Refusal, Row, Traits, Verb, Write, text_of};
use super::mishap::{Mishap, Mode, Roll, Times};

/// What the caller sees of its request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction {
    /// An answer, after so long.
    Answer {
        /// HTTP status.
        status: u16,
        /// Headers beyond those of JSON, names in lower case.
        headers: Vec<(String, String)>,
        /// Its body.
        body: Value,
        /// From the arrival of the request to the answer.
        after_ms: u64,
    },
    /// The connection is cut without a byte of an answer.
    Cut {
        /// From the arrival of the request to the cut.
        after_ms: u64,
    },
    /// An answer whose body breaks off in the middle.
    CutInBody {
        /// HTTP status.
        status: u16,
        /// The body as it would have been.
        body: Value,
        /// From the arrival of the request to the cut.
        after_ms: u64,
    },
    /// Nothing at all; the caller gives up at last.
    Silence,
}

/// A commit that comes later than its caller thinks.
struct Late {
    due_ms: u64,
    /// Nobody is asked to wait so long.
    beyond: bool,
    request: u64,
    asked: Asked,
}

/// Something was asked about a record while a request before was still to take effect on it, within the settle time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// Key of the record.
    pub(crate) key: String,
    /// The request that came too early.
    pub(crate) request: u64,
    /// The one that was still under way.
    pub(crate) before: u64,
}

/// The target system.
pub(crate) struct Oracle {
    seed: u64,
    class: Class,
    mode: Mode,
    times: Times,
    traits: Traits,
    books: Books,
    requests: u64,
    /// How often each thing was asked: the second time is another roll of the dice.
    repeated: HashMap<String, u64>,
    late: Vec<Late>,
    overlaps: Vec<Overlap>,
    bitten: BTreeMap<Mishap, u64>,
}

impl Oracle {
    /// A system without rows.
    pub(crate) fn new(seed: u64, class: Class, mode: Mode, times: Times) -> Self {
        let traits = Traits {
            refuses_duplicates: class == Class::Refusing || mode.has(Mishap::RefusesDuplicates, seed),
            refuses_disorder: mode.has(Mishap::RefusesDisorder, seed),
            lossy: class == Class::Reporting || mode.has(Mishap::Lossy, seed),
        };
        Self {
            seed,
            class,
            mode,
            times,
            traits,
            books: Books::default(),
            requests: 0,
            repeated: HashMap::new(),
            late: Vec::new(),
            overlaps: Vec::new(),
            bitten: BTreeMap::new(),
        }
    }

    /// From now on nothing goes wrong; what was to be committed late still is. The system keeps its traits.
    pub(crate) fn calm(&mut self) {
        self.mode = Mode::Sound;
    }

    /// A request arrives: what happens on the wire. `path` without the query, both decoded; the query has no `?`.
    pub(crate) fn call(
        &mut self,
        now_ms: u64,
        method: &str,
        path: &str,
        query: &str,
        body: &Value,
    ) -> Reaction {
        self.tick(now_ms);
        self.requests += 1;
        let request = self.requests;
        let asked = Asked::new(self.class, method, path, query, body);
        let mut roll = self.roll(&format!("{method} {path} {query} {}", about(body)));
        let writes = asked.writes();
        self.note_overlaps(&asked, request);
        let after_ms = roll.between(1, 5);
        let befallen = match asked {
            Asked::Unknown => None,
            _ => self.mode.befalls(writes, &mut roll),
        };
        if let Some(mishap) = befallen {
            self.bite(mishap);
        }
        let plain = |status: u16, body: Value| Reaction::Answer {
            status,
            headers: Vec::new(),
            body,
            after_ms,
        };
        match befallen {
            Some(Mishap::Error500) => plain(500, json!({"code": "500", "message": "lỗi hệ thống"})),
            Some(Mishap::ErrorIn200) => plain(200, json!({"code": "99", "message": "hệ thống bận"})),
            Some(Mishap::TooMany) => Reaction::Answer {
                status: 429,
                // Whole seconds, as the header has it; 0 says: you may come at once, after your own pause.
                headers: vec![(
                    "retry-after".to_owned(),
                    (self.times.settle_ms / 4000).to_string(),
                )],
                body: json!({"code": "429", "message": "quá nhiều yêu cầu"}),
                after_ms,
            },
            Some(Mishap::LateCommit | Mishap::LateBeyondSettle) => {
                let delay = if befallen == Some(Mishap::LateCommit) {
                    self.times.late(&mut roll)
                } else {
                    self.times.too_late(&mut roll)
                };
                self.late.push(Late {
                    due_ms: now_ms + delay,
                    beyond: befallen == Some(Mishap::LateBeyondSettle),
                    request,
                    asked,
                });
                Reaction::Silence
            }
            hidden => {
                let (status, body) = self.perform(asked, request, now_ms);
                match hidden {
                    Some(Mishap::CommitThenDrop) => Reaction::Cut { after_ms },
                    Some(Mishap::CommitThen500) => {
                        plain(500, json!({"code": "500", "message": "lỗi hệ thống"}))
                    }
                    Some(Mishap::ResetInBody) => Reaction::CutInBody {
                        status,
                        body,
                        after_ms,
                    },
                    _ => plain(status, body),
                }
            }
        }
    }

    /// Commits that were to come later and are due now.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        let (mut due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition::<Vec<_>, _>(|late| late.due_ms <= now_ms);
        self.late = later;
        due.sort_by_key(|late| (late.due_ms, late.request));
        for late in due {
            self.perform(late.asked, late.request, late.due_ms);
        }
    }

    /// When the next late commit comes; `None` if there is none to come.
    pub(crate) fn next_late_ms(&self) -> Option<u64> {
        self.late.iter().map(|late| late.due_ms).min()
    }

    /// The system comes back from a backup that was made `back_ms` ago; what was under way is gone too.
    pub(crate) fn restore(&mut self, now_ms: u64, back_ms: u64) {
        self.tick(now_ms);
        self.late.clear();
        if self.books.restore(now_ms.saturating_sub(back_ms)) > 0 {
            self.bite(Mishap::Restored);
        }
    }

    /// Somebody at the system types a record in, or changes the one that is there.
    pub(crate) fn by_hand(&mut self, now_ms: u64, record: Value) {
        let write = Write {
            verb: Verb::ByHand,
            record,
        };
        let taken = self.books.commit(&write, self.traits, 0, now_ms, 0);
        debug_assert!(taken.is_ok(), "nobody refuses what was typed in");
    }

    /// The rows now.
    pub(crate) fn rows(&self) -> &[Row] {
        self.books.rows()
    }

    /// The entries now, in the order in which they were added.
    pub(crate) fn entries(&self) -> &[Row] {
        self.books.entries()
    }

    /// Every commit in its order, those too that a restore has undone.
    pub(crate) fn effects(&self) -> &[Effect] {
        self.books.effects()
    }

    /// How often each mishap has bitten.
    pub(crate) fn bitten(&self) -> &BTreeMap<Mishap, u64> {
        &self.bitten
    }

    /// What was asked too early.
    pub(crate) fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Whether it keeps texts in upper case and cut short.
    pub(crate) fn is_lossy(&self) -> bool {
        self.traits.lossy
    }

    fn note_overlaps(&mut self, asked: &Asked, request: u64) {
        let keys = asked.keys();
        let open = self.late.iter().filter(|late| !late.beyond);
        for late in open {
            let both = late.asked.keys().into_iter().filter(|key| keys.contains(key));
            self.overlaps.extend(both.map(|key| Overlap {
                key: key.to_owned(),
                request,
                before: late.request,
            }));
        }
    }

    fn bite(&mut self, mishap: Mishap) {
        *self.bitten.entry(mishap).or_default() += 1;
    }

    /// Chance about something, another one each time it is asked.
    fn roll(&mut self, about: &str) -> Roll {
        let times = self.repeated.entry(about.to_owned()).or_default();
        *times += 1;
        Roll::new(self.seed, &format!("{about} {times}"))
    }

    /// Does what was asked, as far as it can be done, and says so.
    fn perform(&mut self, asked: Asked, request: u64, now_ms: u64) -> (u16, Value) {
        match asked {
            Asked::Find { key, entries } => (
                200,
                json!({"code": "0", "records": self.books.find(&key, entries, now_ms)}),
            ),
            Asked::Changes { since } => (200, json!({"code": "0", "records": self.books.changes(since)})),
            Asked::Unknown => (405, json!({"code": "405", "message": "không có dịch vụ này"})),
            Asked::Write(writes) => {
                let batch = self.class == Class::Batch;
                let mut result = Vec::new();
                for write in &writes {
                    match self.commit(write, request, now_ms) {
                        Err(refusal) if !batch => return refused(refusal),
                        outcome => result.push(verdict(&write.record, outcome)),
                    }
                }
                let status = if batch { 200 } else { 201 };
                (status, json!({"code": "0", "result": result}))
            }
            Asked::WriteAll(writes) => {
                // All or nothing: one that cannot be taken refuses them all.
                if !writes.iter().all(Write::is_acceptable) {
                    return refused((422, "có bản ghi không hợp lệ"));
                }
                let outcomes = writes.iter().map(|write| self.commit(write, request, now_ms));
                let refusal = outcomes.filter_map(Result::err).last();
                refusal.map_or((200, json!({"code": "0"})), refused)
            }
        }
    }

    fn commit(&mut self, write: &Write, request: u64, now_ms: u64) -> Result<(), Refusal> {
        let mut roll = Roll::new(self.seed, &format!("lag {request} {}", about(&write.record)));
        let lag_ms = if self.mode.lags(&mut roll) {
            self.times.lag(&mut roll)
        } else {
            0
        };
        let outcome = self.books.commit(write, self.traits, request, now_ms, lag_ms);
        if outcome.is_ok() && lag_ms > 0 {
            self.bite(Mishap::SearchLag);
        }
        match outcome {
            Ok(()) if self.traits.lossy => self.bite(Mishap::Lossy),
            Err((409, _)) => self.bite(Mishap::RefusesDuplicates),
            Err(DISORDER | OLDER) => self.bite(Mishap::RefusesDisorder),
            _ => {}
        }
        outcome
    }
}

/// What chance about a request hangs on: the record, not its wording.
fn about(body: &Value) -> String {
    let name = |record: &Value| format!("{}{}", text_of(record, "id"), text_of(record, "text"));
    match body {
        Value::Array(records) => records.iter().map(name).collect(),
        record => name(record),
    }
}

fn verdict(record: &Value, outcome: Result<(), Refusal>) -> Value {
    let (code, message) = match outcome {
        Ok(()) => ("0".to_owned(), ""),
        Err((status, message)) => (status.to_string(), message),
    };
    json!({"id": record["id"], "text": record["text"], "code": code, "message": message})
}

fn refused((status, message): Refusal) -> (u16, Value) {
    (status, json!({"code": status.to_string(), "message": message}))
}
