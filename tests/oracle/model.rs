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
//! | request | class | does |
//! |---|---|---|
//! | `GET /records?id=KEY` | keyed, steps, reporting | `{code: "0", records: […]}` |
//! | `POST /records` | keyed, refusing, steps, reporting | makes a row; 409 where there is one if the system refuses duplicates, and always in the class `refusing` |
//! | `PATCH /records` | keyed, refusing, reporting | changes the row; 404 where there is none |
//! | `PUT /records` | put, append, append-shown | makes or changes the row |
//! | `POST /entries` | append, append-shown | adds an entry, again if it is told again |
//! | `GET /entries?id=KEY` | append-shown | `{code: "0", records: […]}` |
//! | `POST /steps/NAME` | steps | takes the row one step further; 422 unless it is the next step |
//! | `POST /batch` | batch | a list of records, each added as an entry; `{code: "0", result: [{id, text, code, message}]}` |
//! | `PUT /batch` | batch | a list of records, all made or changed, or none: one verdict |
//! | `GET /changes?since=N` | reporting | rows that changed after commit `N`, each with its `change` |
//!
//! Every answer is a JSON object with a `code`: `"0"` took effect, `"99"` busy (it did not), else a refusal.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::books::{Act, Books, Effect, Refusal, Row, Traits, Write, text_of};
use super::mishap::{Mishap, Mode, Roll, Times};

/// Kind of target system: which requests it knows, and what they promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    /// Records that can be looked for by key; a create makes a row each time.
    Keyed,
    /// One idempotent call; no look-up.
    Put,
    /// No look-up, but a second create is refused.
    Refusing,
    /// Entries without identity that nobody can ask for.
    Append,
    /// Entries that a look-up shows.
    AppendShown,
    /// Takes actions in their order, refuses others.
    Steps,
    /// Many records a call.
    Batch,
    /// Like keyed, and tells what it holds.
    Reporting,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Keyed,
        Self::Put,
        Self::Refusing,
        Self::Append,
        Self::AppendShown,
        Self::Steps,
        Self::Batch,
        Self::Reporting,
    ];
}

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

/// A request, understood.
enum Asked {
    Find {
        key: String,
        entries: bool,
    },
    Changes {
        since: u64,
    },
    Write(Vec<Write>),
    /// The same, all or nothing, with one verdict.
    WriteAll(Vec<Write>),
    Unknown,
}

/// A commit that comes later than its caller thinks.
struct Late {
    due_ms: u64,
    request: u64,
    asked: Asked,
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
    bitten: BTreeMap<Mishap, u64>,
}

impl Oracle {
    /// A system without rows.
    pub(crate) fn new(seed: u64, class: Class, mode: Mode, times: Times) -> Self {
        let traits = Traits {
            refuses_duplicates: class == Class::Refusing || mode.has(Mishap::RefusesDuplicates, seed),
            refuses_disorder: mode.has(Mishap::RefusesDisorder, seed),
            lossy: mode.has(Mishap::Lossy, seed),
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
        let asked = self.understand(method, path, query, body);
        let mut roll = self.roll(&format!("{method} {path} {query} {}", about(body)));
        let writes = matches!(asked, Asked::Write(_) | Asked::WriteAll(_));
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
            act: Act::ByHand,
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

    /// How many requests came.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Whether it keeps texts in upper case and cut short.
    pub(crate) fn is_lossy(&self) -> bool {
        self.traits.lossy
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

    fn understand(&self, method: &str, path: &str, query: &str, body: &Value) -> Asked {
        use Class::{Append, AppendShown, Batch, Keyed, Put, Refusing, Reporting, Steps};
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let key = || parameter("id").unwrap_or_default().to_owned();
        let write = |act: Act| Write {
            act,
            record: body.clone(),
        };
        let each = |act: Act| {
            let records = body.as_array().into_iter().flatten();
            records
                .map(|record| Write {
                    act,
                    record: record.clone(),
                })
                .collect()
        };
        match (method, path, self.class) {
            ("GET", "/records", Keyed | Steps | Reporting) => Asked::Find {
                key: key(),
                entries: false,
            },
            ("GET", "/entries", AppendShown) => Asked::Find {
                key: key(),
                entries: true,
            },
            ("GET", "/changes", Reporting) => Asked::Changes {
                since: parameter("since")
                    .and_then(|since| since.parse().ok())
                    .unwrap_or(0),
            },
            ("POST", "/records", Keyed | Refusing | Steps | Reporting) => {
                Asked::Write(vec![write(Act::Created)])
            }
            ("PATCH", "/records", Keyed | Refusing | Reporting) => Asked::Write(vec![write(Act::Updated)]),
            ("PUT", "/records", Put | Append | AppendShown) => Asked::Write(vec![write(Act::Updated)]),
            ("POST", "/entries", Append | AppendShown) => Asked::Write(vec![write(Act::Appended)]),
            ("POST", path, Steps) if path.starts_with("/steps/") => Asked::Write(vec![write(Act::Stepped)]),
            ("POST", "/batch", Batch) => Asked::Write(each(Act::Appended)),
            ("PUT", "/batch", Batch) => Asked::WriteAll(each(Act::Updated)),
            _ => Asked::Unknown,
        }
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
                        Ok(()) => result.push(verdict(&write.record, Ok(()))),
                        Err(refusal) if batch => result.push(verdict(&write.record, Err(refusal))),
                        Err((status, message)) => {
                            return (status, json!({"code": status.to_string(), "message": message}));
                        }
                    }
                }
                let status = if batch { 200 } else { 201 };
                (status, json!({"code": "0", "result": result}))
            }
            Asked::WriteAll(writes) => {
                // All or nothing: one that cannot be taken refuses them all.
                let unfit = writes
                    .iter()
                    .any(|write| text_of(&write.record, "text").contains(super::books::UNACCEPTABLE));
                if unfit {
                    return (422, json!({"code": "422", "message": "có bản ghi không hợp lệ"}));
                }
                for write in &writes {
                    if let Err((status, message)) = self.commit(write, request, now_ms) {
                        return (status, json!({"code": status.to_string(), "message": message}));
                    }
                }
                (200, json!({"code": "0"}))
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
        // One call makes and changes: which of them it is shows in the books.
        let puts = matches!(
            self.class,
            Class::Put | Class::Append | Class::AppendShown | Class::Batch
        );
        let key = text_of(&write.record, "id");
        let there = self.books.rows().iter().any(|row| row.key == key);
        let write = match write.act {
            Act::Updated if puts && !there => &Write {
                act: Act::Created,
                ..write.clone()
            },
            _ => write,
        };
        let refused = self.books.commit(write, self.traits, request, now_ms, lag_ms);
        if refused.is_ok() && lag_ms > 0 {
            self.bite(Mishap::SearchLag);
        }
        match refused {
            Ok(()) if self.traits.lossy => self.bite(Mishap::Lossy),
            Err((409, _)) => self.bite(Mishap::RefusesDuplicates),
            Err((422, message)) if message.contains("thứ tự") || message.contains("cũ hơn") => {
                self.bite(Mishap::RefusesDisorder);
            }
            _ => {}
        }
        refused
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
