//! The line to a simulated system: the oracle at its far end, gaps on the way, and a note of every call.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lienthong::adapter::{Failure, Request};
use lienthong::clock::{Clock, ManualClock};
use lienthong::connector::{Reply, Transport};
use serde_json::{Value, json};

use crate::gates::{Gap, Gates};
use crate::officer::set_back;
use crate::oracle::model::{Oracle, Reaction};

/// A system and what is known about the calls to it.
pub(crate) struct Target {
    pub(crate) oracle: Oracle,
    /// Nobody answers.
    pub(crate) down: bool,
    /// It takes nothing from us: every call is answered with 403.
    pub(crate) shut: bool,
    /// How slow its clock is.
    pub(crate) behind: SignedDuration,
    pub(crate) calls: Vec<Call>,
    /// Calls that reached it and asked for more than a look.
    pub(crate) writes: u64,
    /// Calls under way, and the most there ever were.
    open: usize,
    pub(crate) peak: usize,
    /// Keys of the records that calls under way write.
    written: Vec<String>,
    /// What must not be and was seen on the way.
    pub(crate) seen: Vec<String>,
    /// Calls that ended without an answer.
    pub(crate) unanswered: u64,
}

/// A call that was made or tried.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    /// Key of the record that it is about; empty for a call about none or several.
    pub(crate) about: String,
    /// It found nobody, or nobody who would take it.
    pub(crate) refused: bool,
}

/// A system that several hold.
pub(crate) type SharedTarget = Arc<Mutex<Target>>;

pub(crate) fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Target {
    pub(crate) fn new(oracle: Oracle) -> SharedTarget {
        Arc::new(Mutex::new(Self {
            oracle,
            down: false,
            shut: false,
            behind: SignedDuration::ZERO,
            calls: Vec::new(),
            writes: 0,
            open: 0,
            peak: 0,
            written: Vec::new(),
            seen: Vec::new(),
            unanswered: 0,
        }))
    }
}

/// A node's line to a system.
pub(crate) struct Line {
    target: SharedTarget,
    gates: Arc<Gates>,
    /// The time that is true everywhere, however a node's clock was turned.
    truth: ManualClock,
    timeout: Duration,
}

impl Line {
    pub(crate) fn new(
        target: &SharedTarget,
        gates: &Arc<Gates>,
        truth: &ManualClock,
        timeout: Duration,
    ) -> Self {
        Self {
            target: Arc::clone(target),
            gates: Arc::clone(gates),
            truth: truth.clone(),
            timeout,
        }
    }

    /// Holds the step until the answer is there, or the caller's patience is over: then there is none.
    async fn hear(&self, sent: Timestamp, after: Duration) -> Result<(), Failure> {
        self.gates
            .pass_after(Gap::Sent, Some(sent + after.min(self.timeout)))
            .await;
        if after >= self.timeout || self.truth.now() > sent + self.timeout {
            return Err(Failure::Broken("no answer in time".to_owned()));
        }
        Ok(())
    }
}

/// A call is under way as long as this lives.
struct Open<'a> {
    target: &'a SharedTarget,
    /// Keys of the records that it writes.
    writes: Vec<String>,
}

impl<'a> Open<'a> {
    fn new(target: &'a SharedTarget, writes: Vec<String>) -> Self {
        let mut open = locked(target);
        open.open += 1;
        open.peak = open.peak.max(open.open);
        for key in &writes {
            if open.written.contains(key) {
                open.seen
                    .push(format!("I4 overlap: two calls write {key} at the same time"));
            }
        }
        open.written.extend_from_slice(&writes);
        drop(open);
        Self { target, writes }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut open = locked(self.target);
        open.open -= 1;
        for key in &self.writes {
            if let Some(place) = open.written.iter().position(|written| written == key) {
                open.written.swap_remove(place);
            }
        }
    }
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request) -> Result<Reply, Failure> {
        self.gates.pass(Gap::Send).await;
        let sent = self.truth.now();
        let (path, query) = address(&request.url);
        let body = request.body.as_deref().map_or(Value::Null, |body| {
            serde_json::from_slice(body).unwrap_or(Value::Null)
        });
        let _open = Open::new(&self.target, written(&request.method, &body));
        let reaction = {
            let mut target = locked(&self.target);
            let refused = target.down || target.shut;
            target.calls.push(Call {
                at: sent,
                method: request.method.clone(),
                about: about(&query, &body),
                refused,
            });
            if target.down {
                return Err(Failure::NotConnected("nobody listens".to_owned()));
            }
            target.writes += u64::from(request.method != "GET");
            let (method, behind) = (&request.method, target.behind);
            let mut reaction = if target.shut {
                Reaction::Answer {
                    status: 403,
                    headers: Vec::new(),
                    body: json!({"code": "403", "message": "tài khoản đã bị khóa"}),
                    after_ms: 1,
                }
            } else {
                target.oracle.call(millis(sent), method, &path, &query, &body)
            };
            if let Reaction::Answer { body, .. } = &mut reaction {
                set_back(body, behind);
            }
            reaction
        };
        self.gates.note_change();
        let reply = match reaction {
            Reaction::Answer {
                status,
                headers,
                body,
                after_ms,
            } => {
                let heard = self.hear(sent, Duration::from_millis(after_ms)).await;
                heard.map(|()| Reply {
                    status,
                    headers: headers.into_iter().collect(),
                    body: body.to_string().into_bytes(),
                })
            }
            Reaction::Cut { after_ms } | Reaction::CutInBody { after_ms, .. } => {
                let heard = self.hear(sent, Duration::from_millis(after_ms)).await;
                heard.and(Err(Failure::Broken("connection reset".to_owned())))
            }
            Reaction::Silence => self
                .hear(sent, self.timeout)
                .await
                .and(Err(Failure::Broken("no answer in time".to_owned()))),
        };
        if reply.is_err() {
            locked(&self.target).unanswered += 1;
        }
        self.gates.pass(Gap::Answered).await;
        reply
    }
}

/// Keys of the records that a request writes, each once.
fn written(method: &str, body: &Value) -> Vec<String> {
    let records = match body {
        Value::Array(records) => records.as_slice(),
        record => std::slice::from_ref(record),
    };
    let keys = records.iter().filter_map(|record| record["id"].as_str());
    let keys: BTreeSet<&str> = keys.filter(|_| method != "GET").collect();
    keys.into_iter().map(str::to_owned).collect()
}

/// Key of the record that a request is about.
fn about(query: &str, body: &Value) -> String {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("id="));
    asked
        .or_else(|| body["id"].as_str())
        .unwrap_or_default()
        .to_owned()
}

/// Milliseconds since 1970, as the oracle counts time.
pub(crate) fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

/// Path and query of an address, decoded.
fn address(url: &str) -> (String, String) {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind.find('/').map_or("/", |slash| behind.split_at(slash).1);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (decoded(path), decoded(query))
}

/// Text with its `%XX` replaced.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten();
        let code = code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
