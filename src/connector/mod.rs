//! Connectors: the protocols in which the bus speaks to systems.
//!
//! A [`Connector`] takes a call of an adapter, sends its request through the protocol's [`Transport`] and says how it
//! ended, in the closed list of verdict words; no caller looks at status codes or messages. It holds the session where
//! the system wants one: one caller logs in for all, before the session's end or when the system says it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::adapter::{Adapter, Answer, Call, Failure, Request, Verdict, Word};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::files::{Files, unspoilt};
use crate::jq::{Lane, Mark, Scope, Stuck};

mod http;

pub use http::Http;

/// Carries a request to the system and its answer back; knows nothing of what they mean.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends once. Never repeats by itself: a repetition is a decision of the ledger.
    ///
    /// # Errors
    /// How far the request got; that decides whether it may have taken effect.
    async fn send(&self, request: Request) -> Result<Reply, Failure>;
}

/// What came back, not yet decoded.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Exchange {
    /// The judgement.
    pub verdict: Verdict,
    /// The decoded answer, where there was one.
    pub answer: Option<Answer>,
    /// The variables with which it was judged, session and time included: what reads the answer needs them.
    pub scope: Scope,
}

/// Speaks to one system.
pub struct Connector {
    adapter: Arc<Adapter>,
    transport: Box<dyn Transport>,
    clock: Arc<dyn Clock>,
    lane: Arc<Lane>,
    files: Arc<Files>,
    session: Mutex<Option<Session>>,
}

/// What the system gave us at log-in. `number` tells sessions apart, so that many callers who find one stale renew it
/// once.
#[derive(Clone)]
struct Session {
    token: String,
    until: Timestamp,
    number: u64,
}

/// A session is renewed this long before its end.
const RENEW_BEFORE: Duration = Duration::from_secs(15);

impl Connector {
    /// A connector for this adapter over this transport. `lane`: the threads on which the adapter's jq runs; `files`: from where
    /// bodies are filled, and where what answers bring is kept.
    #[must_use]
    pub fn new(
        adapter: Arc<Adapter>,
        transport: Box<dyn Transport>,
        clock: Arc<dyn Clock>,
        lane: Arc<Lane>,
        files: Arc<Files>,
    ) -> Self {
        Self {
            files,
            adapter,
            transport,
            clock,
            lane,
            session: Mutex::new(None),
        }
    }

    /// Makes a call: `input` is what it is about, `scope` its variables.
    ///
    /// On the verdict `login` the session is renewed and the call repeated once; if that ends the same way, or no
    /// session can be had, the verdict is `pause`.
    pub async fn exchange(&self, call: &Call, input: &Value, scope: &Scope) -> Exchange {
        let scope = &scope
            .clone()
            .with("now", json!(self.clock.now()))
            .with("token", Value::Null);
        let mut stale = None;
        loop {
            let session = match self.session(stale).await {
                Ok(session) => session,
                Err(exchange) => return exchange,
            };
            let scope = match &session {
                Some(session) => scope.clone().with("token", json!(session.token)),
                None => scope.clone(),
            };
            let exchange = self.once(call, input, &scope).await;
            if exchange.verdict.word != Word::Login {
                return exchange;
            }
            match session {
                Some(session) if stale.is_none() => stale = Some(session.number),
                _ => {
                    return Exchange {
                        verdict: pause("the system does not accept our session"),
                        ..exchange
                    };
                }
            }
        }
    }

    /// The session to use, if the system has any: a fresh one if there is none, it is at its end, or it is the `stale`
    /// one. The lock is held over the log-in, so that everybody else waits for the same session.
    async fn session(&self, stale: Option<u64>) -> Result<Option<Session>, Exchange> {
        let Some(login) = &self.adapter.connection.login else {
            return Ok(None);
        };
        let mut held = self.session.lock().await;
        let now = self.clock.now();
        if let Some(session) = &*held
            && Some(session.number) != stale
            && now < session.until
        {
            return Ok(Some(session.clone()));
        }
        // Rules of the connection are for all calls, and may name the token that this one has not got yet.
        let scope = Scope::new().with("now", json!(now)).with("token", Value::Null);
        let exchange = self.once(&login.call, &Value::Null, &scope).await;
        match (exchange.verdict.word, &exchange.answer) {
            (Word::Done, Some(answer)) => {
                let (login, answer) = (login.clone(), answer.clone());
                let (name, about) = (login.call.name.clone(), Mark::alone());
                let read = self
                    .lane
                    .run(&name, about, move || login.session(&answer, &scope));
                let read = read.await;
                let Ok(Ok(Some(opened))) = read else {
                    let reason = match read {
                        Ok(Err(fault)) => Fault::to_string(&fault),
                        Err(stuck) => stuck.to_string(),
                        Ok(Ok(_)) => "the answer to the log-in holds no session".to_owned(),
                    };
                    return Err(Exchange {
                        verdict: pause(&reason),
                        ..exchange
                    });
                };
                let usable = opened.valid.saturating_sub(RENEW_BEFORE).max(opened.valid / 2);
                let session = Session {
                    token: opened.token,
                    until: now + usable,
                    number: held.as_ref().map_or(0, |old| old.number + 1),
                };
                *held = Some(session.clone());
                Ok(Some(session))
            }
            // Nobody was reached or the system asks to come again: so does the call that wanted the session. The call
            // itself was not sent, so nothing is in doubt.
            (Word::Retry | Word::InDoubt | Word::Missing, _) => Err(Exchange {
                verdict: Verdict {
                    word: Word::Retry,
                    ..exchange.verdict
                },
                answer: None,
                scope: exchange.scope,
            }),
            _ => {
                let reason = exchange.verdict.reason.unwrap_or_default();
                Err(Exchange {
                    verdict: pause(&format!("the log-in was refused: {reason}")),
                    answer: None,
                    scope: exchange.scope,
                })
            }
        }
    }

    /// The answer with references in place of the files that it brought. What cannot be kept is no answer: it is asked for
    /// again. Of a page with several records, those whose file is none are judged by themselves.
    async fn keep_files(&self, call: &Call, mut answer: Answer) -> Result<Answer, Failure> {
        let (files, places) = (Arc::clone(&self.files), call.files.clone());
        let (status, headers) = (answer.status, answer.headers.clone());
        let has_records = call.has_records();
        let kept = tokio::task::spawn_blocking(move || {
            files.cut(&mut answer.body, &places)?;
            if !has_records {
                unspoilt(&answer.body)?;
            }
            Ok::<_, Fault>(answer)
        });
        let problem = match kept.await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "its files could not be kept".to_owned(),
        };
        Err(Failure::Undecodable {
            status,
            headers,
            problem,
        })
    }

    /// Builds the request, sends it once, judges the answer.
    async fn once(&self, call: &Call, input: &Value, scope: &Scope) -> Exchange {
        let about = Mark::of(&input.to_string());
        let request = {
            let (call, input, scope) = (call.clone(), input.clone(), scope.clone());
            let name = call.name.clone();
            let files = Arc::clone(&self.files);
            let work = move || call.request_with(&input, &scope, &|body| files.fill(body));
            self.lane.run(&name, about, work).await
        };
        let request = match request {
            Ok(Ok(request)) => request,
            Ok(Err(fault)) => return unsent(Word::Refused, &fault.to_string(), scope),
            // The machine's trouble, not the record's.
            Err(stuck @ Stuck::NoThread) => return unsent(Word::Retry, &stuck.to_string(), scope),
            Err(stuck) => return unsent(Word::Refused, &stuck.to_string(), scope),
        };
        let outcome = match self.transport.send(request).await {
            Ok(reply) => call.decode(reply.status, reply.headers, &reply.body),
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Ok(answer) if !call.files.is_empty() => self.keep_files(call, answer).await,
            outcome => outcome,
        };
        let judged = {
            let (call, scope, outcome) = (call.clone(), scope.clone(), outcome.clone());
            let name = call.name.clone();
            let work = move || call.judge(&outcome.as_ref(), &scope);
            self.lane.run(&name, about, work).await
        };
        let verdict = judged.unwrap_or_else(|stuck| Verdict {
            word: if call.writes { Word::InDoubt } else { Word::Retry },
            reason: Some(stuck.to_string()),
            after: None,
        });
        Exchange {
            verdict,
            answer: outcome.ok(),
            scope: scope.clone(),
        }
    }
}

/// The call could not even be written down: nothing was sent. Where it is refused, a person must mend the adapter.
fn unsent(word: Word, reason: &str, scope: &Scope) -> Exchange {
    Exchange {
        verdict: Verdict {
            word,
            reason: Some(reason.to_owned()),
            after: None,
        },
        answer: None,
        scope: scope.clone(),
    }
}

fn pause(reason: &str) -> Verdict {
    Verdict {
        word: Word::Pause,
        reason: Some(reason.to_owned()),
        after: None,
    }
}
