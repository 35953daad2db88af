//! A stand-in's filters and what they give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::faults::{FaultKind, Faults};
use super::route::Pattern;
use super::rows::{Change, no_table};
use crate::fault::Fault;
use crate::jq::{Error, Filter, Scope, Text};

/// Everything of `sandbox.toml`, ready to run.
pub(super) struct Plan {
    /// Table -> filter giving the key of a row; `None`: rows are only added.
    pub(super) keys: BTreeMap<String, Option<Filter>>,
    pub(super) settings: Value,
    pub(super) routes: Vec<Route>,
    pub(super) works: Vec<Work>,
    pub(super) sends: Vec<Send>,
    pub(super) error_in_200: Option<Filter>,
    /// Tables of the open sessions.
    pub(super) sessions: Vec<String>,
}

pub(super) struct Route {
    pub(super) name: String,
    pub(super) pattern: Pattern,
    pub(super) when: Option<Filter>,
    pub(super) sees: Option<BTreeMap<String, Filter>>,
    pub(super) answer: Filter,
}

pub(super) struct Work {
    pub(super) name: String,
    pub(super) every: Duration,
    pub(super) answer: Filter,
}

pub(super) struct Send {
    pub(super) table: String,
    pub(super) when: Option<Filter>,
    pub(super) url: Text,
    pub(super) headers: Vec<(String, Text)>,
    pub(super) body: Filter,
    pub(super) done: Option<Filter>,
    pub(super) pause: Duration,
}

/// What is said to whoever asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

/// What a filter gave: an answer, and rows to be stored before it is given.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    pub(super) changes: Vec<Change>,
}

/// A call to somebody else, ready to be made, and made again with the same bytes.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// Which rows a filter is shown: keys by table, or everything.
pub(super) type Sees = Option<BTreeMap<String, BTreeSet<String>>>;

impl Plan {
    /// Names of the tables, and whether their rows have a key.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, bool)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key.is_some()))
    }

    /// Whether the description has what these faults need.
    pub(super) fn can_suffer(&self, faults: &Faults) -> Result<(), Vec<Fault>> {
        let kinds = faults.bitten();
        let needs = [
            (FaultKind::ErrorIn200, self.error_in_200.is_some(), "error_in_200"),
            (FaultKind::SessionLost, !self.sessions.is_empty(), "session_lost"),
        ];
        let missing: Vec<Fault> = needs
            .into_iter()
            .filter(|(kind, there, _)| kinds.contains_key(kind) && !there)
            .map(|(_, _, key)| {
                Fault::new("missing-key")
                    .file("sandbox.toml")
                    .field(format!("faults.{key}"))
                    .expected("how this system says it, for a stand-in that is to suffer it")
                    .remedy("add the key, or leave this fault out")
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// Answers a request by the first route that fits: its name and what it gives. `request` makes the request as the
    /// filters see it from the named parts of the path, `rows` shows the rows that a route may see.
    pub(super) fn respond(
        &self,
        (method, path): (&str, &str),
        now: Timestamp,
        request: impl Fn(&BTreeMap<String, String>) -> Value,
        rows: impl Fn(Sees) -> Value,
    ) -> Result<Option<(String, Outcome)>, Fault> {
        let scope = self.scope(now);
        for route in &self.routes {
            let Some(params) = route.pattern.fits(method, path) else {
                continue;
            };
            let request = request(&params);
            let sees = route
                .sees
                .as_ref()
                .map(|sees| keys_seen(sees, &request, &scope))
                .transpose()?;
            let scope = scope.clone().with("db", rows(sees));
            let fits = route
                .when
                .as_ref()
                .map_or(Ok(true), |when| when.holds(&request, &scope));
            if fits.map_err(fault)? {
                let given = route.answer.one(&request, &scope).map_err(fault)?;
                return Ok(Some((route.name.clone(), self.outcome(given)?)));
            }
        }
        Ok(None)
    }

    /// How the system says with HTTP 200 that something is wrong inside it.
    pub(super) fn error_in_200(&self, request: &Value, now: Timestamp) -> Result<Answer, Fault> {
        let words = self.error_in_200.as_ref();
        let words = words.expect("the start refuses this fault where there are no words for it");
        let given = words.one(request, &self.scope(now)).map_err(fault)?;
        self.outcome(given).map(|outcome| outcome.answer)
    }

    /// What the system does by itself, once.
    pub(super) fn work(&self, work: usize, now: Timestamp, rows: &Value) -> Result<Outcome, Fault> {
        let work = self.works.get(work).expect("the index of a work of this plan");
        self.outcome(work.answer.one(rows, &self.scope(now)).map_err(fault)?)
    }

    /// An outcome that only stores this row.
    pub(super) fn insertion(&self, table: &str, row: &Value) -> Result<Outcome, Fault> {
        self.outcome(json!({"rows": {table: [row]}}))
    }

    /// Whom these changes are to be told: the send by its index, the row's key, the row.
    pub(super) fn told(&self, changes: &[Change]) -> Result<Vec<(usize, String, Value)>, Fault> {
        let scope = self.settings();
        let mut told = Vec::new();
        for change in changes {
            for (index, send) in self
                .sends
                .iter()
                .enumerate()
                .filter(|(_, send)| send.table == change.table)
            {
                let wanted = send
                    .when
                    .as_ref()
                    .map_or(Ok(true), |when| when.holds(&change.row, &scope));
                if let (true, Some(key)) = (wanted.map_err(fault)?, &change.key) {
                    told.push((index, key.clone(), change.row.clone()));
                }
            }
        }
        Ok(told)
    }

    /// The call that tells of a row.
    pub(super) fn telling(&self, send: usize, row: &Value) -> Result<Telling, Fault> {
        let send = self.sends.get(send).expect("the index of a send of this plan");
        let scope = self.settings();
        let body = send.body.one(row, &scope).map_err(fault)?.to_string();
        let url = send.url.render(row, &scope).map_err(fault)?;
        let scope = scope.with("raw", Value::String(body.clone()));
        let headers = send
            .headers
            .iter()
            .map(|(name, text)| Ok((name.clone(), text.render(row, &scope).map_err(fault)?)));
        Ok(Telling {
            url,
            headers: headers.collect::<Result<_, Fault>>()?,
            body,
        })
    }

    /// Whether the answer says that the row was taken.
    pub(super) fn taken(&self, send: usize, answer: &Value) -> Result<bool, Fault> {
        let send = self.sends.get(send).expect("the index of a send of this plan");
        match &send.done {
            Some(done) => done.holds(answer, &self.settings()).map_err(fault),
            None => Ok(answer["status"]
                .as_u64()
                .is_some_and(|status| (200..300).contains(&status))),
        }
    }

    fn settings(&self) -> Scope {
        Scope::new().with("settings", self.settings.clone())
    }

    fn scope(&self, now: Timestamp) -> Scope {
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.settings()
            .with("now", Value::String(now))
            .with("id", Value::String(Uuid::now_v7().to_string()))
    }

    /// Reads `{status, headers, body, rows}`; all are optional.
    fn outcome(&self, given: Value) -> Result<Outcome, Fault> {
        let Value::Object(mut given) = given else {
            return Err(unfit("no object"));
        };
        let status = match given.remove("status") {
            None => 200,
            Some(status) => status
                .as_u64()
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (200..600).contains(status))
                .ok_or_else(|| unfit("a status that HTTP does not have"))?,
        };
        let headers = match given.remove("headers") {
            None => Vec::new(),
            Some(Value::Object(headers)) => headers
                .into_iter()
                .map(|(name, value)| {
                    Ok((
                        name,
                        value
                            .as_str()
                            .ok_or_else(|| unfit("a header that is no text"))?
                            .to_owned(),
                    ))
                })
                .collect::<Result<_, Fault>>()?,
            Some(_) => return Err(unfit("headers that are no object")),
        };
        let body = given.remove("body").unwrap_or(Value::Null);
        let changes = match given.remove("rows") {
            None => Vec::new(),
            Some(Value::Object(tables)) => self.changes(tables)?,
            Some(_) => return Err(unfit("rows that are no object")),
        };
        match given.keys().next() {
            Some(key) => Err(unfit("a key that it does not have").field(key)),
            None => Ok(Outcome {
                answer: Answer {
                    status,
                    headers,
                    body,
                },
                changes,
            }),
        }
    }

    fn changes(&self, tables: Map<String, Value>) -> Result<Vec<Change>, Fault> {
        let mut changes = Vec::new();
        for (table, rows) in tables {
            let key_of = self.keys.get(&table).ok_or_else(|| no_table(&table))?;
            let Value::Array(rows) = rows else {
                return Err(unfit("rows that are no list").field(table));
            };
            for row in rows {
                let key = match key_of {
                    None => None,
                    Some(key_of) => match key_of.one(&row, &Scope::new()).map_err(fault)? {
                        Value::String(key) if !key.is_empty() => Some(key),
                        _ => return Err(unfit("a row without its key").field(table)),
                    },
                };
                changes.push(Change {
                    table: table.clone(),
                    key,
                    row,
                });
            }
        }
        Ok(changes)
    }
}

/// The keys that a route's `sees` gives; what is no text is nobody's key.
fn keys_seen(
    sees: &BTreeMap<String, Filter>,
    request: &Value,
    scope: &Scope,
) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let mut keys_of = BTreeMap::new();
    for (table, filter) in sees {
        let keys = filter.all(request, scope).map_err(fault)?;
        let keys = keys.into_iter().filter_map(|key| {
            if let Value::String(key) = key {
                Some(key)
            } else {
                None
            }
        });
        keys_of.insert(table.clone(), keys.collect());
    }
    Ok(keys_of)
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Fault(fault) => *fault,
        Error::Ignored(reason) => {
            Fault::new("mapping-error").found(format!("ignore({reason:?}) in a stand-in"))
        }
    }
}

fn unfit(found: &str) -> Fault {
    Fault::new("sandbox-answer")
        .found(found)
        .expected("{status, headers, body, rows: {TABLE: [row, …]}}")
}
