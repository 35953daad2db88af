//! A small target system over HTTP. It keeps what it is told, twice if it is told twice, and answers as the test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use lienthong::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::LIMIT;

/// What the target does with a call, in place of doing what it is asked for.
#[derive(Clone)]
pub(crate) enum Act {
    /// Keeps nothing, answers so.
    Answer(u16, Vec<(&'static str, &'static str)>, Value),
    /// Does it, answers so.
    DoAndAnswer(u16, Value),
    /// Does it; the answer breaks off in the middle.
    DoAndCut,
    /// Does it; the answer never comes.
    DoAndHang,
    /// Waits until so many calls are here, then answers so.
    Gather(Arc<Barrier>, u16, Value),
    /// Does it; answers when the test comes to the barrier too.
    DoAndHold(Arc<Barrier>),
}

/// What a path does when nothing else was said: the records that it works on, what it was sent; status and answer.
type Service = Arc<dyn Fn(&mut Vec<Value>, &Value) -> (u16, Value) + Send + Sync>;

/// A call that came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) token: Option<String>,
    pub(crate) at: Timestamp,
}

struct Rule {
    path: &'static str,
    applies: Box<dyn Fn(&Value) -> bool + Send>,
    left: usize,
    act: Act,
}

#[derive(Default)]
struct Books {
    calls: Vec<Call>,
    records: Vec<Value>,
    steps: Vec<Value>,
    sessions: usize,
    /// Sessions up to this number are over.
    over: usize,
    rules: Vec<Rule>,
    services: BTreeMap<&'static str, Service>,
}

struct Office {
    books: Mutex<Books>,
    /// Calls that came and are not answered yet.
    open: AtomicUsize,
    called: watch::Sender<usize>,
}

/// The running target.
pub(crate) struct Target {
    pub(crate) url: String,
    office: Arc<Office>,
    _tasks: TaskTracker,
    _end: DropGuard,
}

impl Target {
    pub(crate) async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// A target at an address that was free a moment ago.
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let office = Arc::new(Office {
            books: Mutex::default(),
            open: AtomicUsize::new(0),
            called: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/{path}", axum::routing::post(answer))
            .with_state(Arc::clone(&office));
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        let stopped = end.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                _ = axum::serve(listener, router) => {}
            }
        });
        Self {
            url,
            office,
            _tasks: tasks,
            _end: end.drop_guard(),
        }
    }

    /// The next `times` calls of this path that `applies` holds for are treated so.
    pub(crate) fn rule(
        &self,
        path: &'static str,
        times: usize,
        applies: impl Fn(&Value) -> bool + Send + 'static,
        act: Act,
    ) {
        self.office.books.lock().unwrap().rules.push(Rule {
            path,
            applies: Box::new(applies),
            left: times,
            act,
        });
    }

    /// The next call of this path is treated so.
    pub(crate) fn next(&self, path: &'static str, act: Act) {
        self.rule(path, 1, |_| true, act);
    }

    /// From now on this path does so.
    pub(crate) fn serve(
        &self,
        path: &'static str,
        service: impl Fn(&mut Vec<Value>, &Value) -> (u16, Value) + Send + Sync + 'static,
    ) {
        let mut books = self.office.books.lock().unwrap();
        books.services.insert(path, Arc::new(service));
    }

    /// Forgets what is left of its rules.
    pub(crate) fn relent(&self) {
        self.office.books.lock().unwrap().rules.clear();
    }

    /// All sessions that were opened so far are over.
    pub(crate) fn end_sessions(&self) {
        let mut books = self.office.books.lock().unwrap();
        books.over = books.sessions;
    }

    /// What was kept by `/create`, in its order, as `/update` has left it.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.office.books.lock().unwrap().records.clone()
    }

    /// How many records it has under each id.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in self.records() {
            *counts
                .entry(record["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        counts
    }

    /// What was kept by `/step`, in its order.
    pub(crate) fn steps(&self) -> Vec<Value> {
        self.office.books.lock().unwrap().steps.clone()
    }

    /// A clerk removes these records.
    pub(crate) fn remove(&self, these: impl Fn(&Value) -> bool) {
        let mut books = self.office.books.lock().unwrap();
        books.records.retain(|record| !these(record));
    }

    /// A clerk types a record in.
    pub(crate) fn type_in(&self, record: Value) {
        self.office.books.lock().unwrap().records.push(record);
    }

    pub(crate) fn calls(&self, path: &str) -> Vec<Call> {
        let books = self.office.books.lock().unwrap();
        books
            .calls
            .iter()
            .filter(|call| call.path == path)
            .cloned()
            .collect()
    }

    /// The paths of all calls so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        let books = self.office.books.lock().unwrap();
        books.calls.iter().map(|call| call.path.clone()).collect()
    }

    /// How many calls are here and not answered.
    pub(crate) fn open(&self) -> usize {
        self.office.open.load(Ordering::SeqCst)
    }

    /// Waits until this path was called so often.
    pub(crate) async fn called(&self, path: &str, times: usize) {
        let mut ear = self.office.called.subscribe();
        let heard = ear.wait_for(|_| self.calls(path).len() >= times);
        let heard = tokio::time::timeout(LIMIT, heard).await;
        heard
            .unwrap_or_else(|_| panic!("{times} calls of {path}, of {:?}", self.paths()))
            .unwrap();
    }
}

/// A call that is not answered yet.
struct Open(Arc<Office>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(
    State(office): State<Arc<Office>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = format!("/{path}");
    office.open.fetch_add(1, Ordering::SeqCst);
    let _open = Open(Arc::clone(&office));
    let body: Value = serde_json::from_slice(&body).unwrap();
    let token = headers
        .get("authorization")
        .map(|token| token.to_str().unwrap().to_owned());
    let act = office.note(&path, &body, token.clone());
    let reply = |status: u16, body: &Value| {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        (status, axum::Json(body.clone())).into_response()
    };
    match act {
        None => {
            let (status, body) = office.serve(&path, body, token.as_deref());
            reply(status, &body)
        }
        Some(Act::Answer(status, headers, body)) => {
            let mut response = reply(status, &body);
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Some(Act::DoAndAnswer(status, said)) => {
            office.serve(&path, body, token.as_deref());
            reply(status, &said)
        }
        Some(Act::DoAndCut) => {
            office.serve(&path, body, token.as_deref());
            let pieces = [
                Ok(Bytes::from_static(b"{\"code\"")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ];
            Response::builder()
                .header("content-type", "application/json")
                .header("content-length", "12")
                .body(Body::from_stream(stream::iter(pieces)))
                .unwrap()
        }
        Some(Act::DoAndHang) => {
            office.serve(&path, body, token.as_deref());
            std::future::pending().await
        }
        Some(Act::Gather(barrier, status, said)) => {
            barrier.wait().await;
            reply(status, &said)
        }
        Some(Act::DoAndHold(barrier)) => {
            let (status, body) = office.serve(&path, body, token.as_deref());
            barrier.wait().await;
            reply(status, &body)
        }
    }
}

impl Office {
    /// Notes the call, and finds what the test has said about it.
    fn note(&self, path: &str, body: &Value, token: Option<String>) -> Option<Act> {
        let act = {
            let mut books = self.books.lock().unwrap();
            books.calls.push(Call {
                path: path.to_owned(),
                body: body.clone(),
                token,
                at: SystemClock.now(),
            });
            let rule = books
                .rules
                .iter_mut()
                .find(|rule| rule.left > 0 && rule.path == path && (rule.applies)(body));
            rule.map(|rule| {
                rule.left -= 1;
                rule.act.clone()
            })
        };
        self.called.send_modify(|calls| *calls += 1);
        act
    }

    /// What it does when nothing else was said.
    fn serve(&self, path: &str, body: Value, token: Option<&str>) -> (u16, Value) {
        let mut books = self.books.lock().unwrap();
        let session = token.and_then(|token| token.strip_prefix("Bearer s")?.parse::<usize>().ok());
        if session.is_some_and(|session| session <= books.over) {
            return (401, json!({"message": "the session is over"}));
        }
        if let Some(service) = books.services.get(path).cloned() {
            return service(&mut books.records, &body);
        }
        let id = body["id"].clone();
        let answer = match path {
            "/login" => {
                books.sessions += 1;
                json!({"code": "0", "token": format!("s{}", books.sessions)})
            }
            "/find" => {
                let found: Vec<&Value> = books.records.iter().filter(|record| record["id"] == id).collect();
                json!({"code": "0", "result": found})
            }
            "/create" => {
                books.records.push(body);
                json!({"code": "0"})
            }
            "/update" => match books.records.iter_mut().find(|record| record["id"] == id) {
                Some(record) => {
                    *record = body;
                    json!({"code": "0"})
                }
                None => json!({"code": "4", "message": "no such record"}),
            },
            "/step" => {
                books.steps.push(body);
                json!({"code": "0"})
            }
            other => panic!("no manifest of these tests calls {other}"),
        };
        (200, answer)
    }
}
