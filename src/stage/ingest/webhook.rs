//! The door for systems that tell us: `POST /hooks/…`.
//!
//! Who is not who it says, sends too much or not the declared syntax gets a 4xx and leaves no trace. A 2xx means that
//! the record is durable. Requests that come together are stored together: the handler queues the record and waits,
//! [`Webhooks::step`] takes what has queued up and commits it as one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::{Door, Record, admit};
use crate::adapter::Adapter;
use crate::jq::Mark;
use crate::stage::{Progress, Shared, StageError, pause};
use crate::store::InboxState;

/// Records that wait for the next commit; more are answered 503.
const QUEUE: usize = 512;

/// Records stored in one transaction, at most.
const BATCH: usize = 128;

/// Bodies that are read at the same time; more are answered 503, so that memory has a bound.
const READERS: usize = 64;

/// Longest time a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for the commit before the sender is told to come again.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of a body that is too big is read beyond its limit, in bytes.
const DISCARDED: usize = 64 << 20;

/// How long a step waits for the first record; a node that stops waits as long for this stage.
const QUIET: Duration = Duration::from_millis(500);

/// What a sender is told to wait, in seconds, when the record could not be stored.
const RETRY_AFTER: &str = "5";

type Queued = (Record, oneshot::Sender<InboxState>);

/// The stage behind the door of one adapter: none waits for another's records.
pub struct Webhooks {
    shared: Arc<Shared>,
    adapter: Arc<Adapter>,
    queue: Mutex<mpsc::Receiver<Queued>>,
    door: mpsc::Sender<Queued>,
    readers: Arc<Semaphore>,
}

impl Webhooks {
    /// The stage for the webhooks of `adapter`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, adapter: Arc<Adapter>) -> Self {
        let (door, queue) = mpsc::channel(QUEUE);
        Self {
            shared,
            adapter,
            queue: Mutex::new(queue),
            door,
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Waits a moment for records, stores all that have come, answers their senders.
    ///
    /// # Errors
    /// The store is away; the senders are told to come again.
    pub async fn step(&self) -> Result<Progress, StageError> {
        let mut queued = Vec::new();
        let waited = {
            let mut queue = self.queue.lock().await;
            timeout(QUIET, queue.recv_many(&mut queued, BATCH)).await
        };
        if waited.is_err() {
            return Ok(Progress::Worked);
        }
        let (records, answers): (Vec<_>, Vec<_>) = queued.into_iter().unzip();
        // On an error the senders' halves are dropped unanswered, and they hear 503.
        let states = admit(&self.shared, records, None).await?;
        for (answer, state) in answers.into_iter().zip(states) {
            // A sender that has gone sends the same again, and the record says nothing new then.
            drop(answer.send(state));
        }
        Ok(Progress::Worked)
    }

    /// The routes of the webhooks.
    pub fn routes(&self) -> Router {
        let mut router = Router::new();
        for (index, webhook) in self.adapter.webhooks.iter().enumerate() {
            let hook = Hook {
                shared: Arc::clone(&self.shared),
                adapter: Arc::clone(&self.adapter),
                index,
                door: self.door.clone(),
                readers: Arc::clone(&self.readers),
            };
            router = router.route(&webhook.path, post(receive).with_state(Arc::new(hook)));
        }
        router
    }
}

struct Hook {
    shared: Arc<Shared>,
    adapter: Arc<Adapter>,
    index: usize,
    door: mpsc::Sender<Queued>,
    readers: Arc<Semaphore>,
}

async fn receive(
    State(hook): State<Arc<Hook>>,
    Path(path): Path<HashMap<String, String>>,
    request: Request<Body>,
) -> Response {
    let webhook = &hook.adapter.webhooks[hook.index];
    if hook.shared.is_behind() {
        let lead = hook.shared.hybrid.lead().as_secs();
        tracing::error!(
            lead_seconds = lead,
            "this machine's clock was set back; nothing is taken in until it is right"
        );
        return hook.come_again().await;
    }
    let (head, body) = request.into_parts();
    let Ok(reading) = hook.readers.try_acquire() else {
        return hook.come_again().await;
    };
    let raw = match timeout(BODY_TIMEOUT, read(body, webhook.limit)).await {
        Ok(Some(raw)) => raw,
        Ok(None) => {
            let reason = format!("a body of at most {} bytes is taken", webhook.limit);
            return hook
                .answer(StatusCode::PAYLOAD_TOO_LARGE, "too-big", &reason)
                .await;
        }
        Err(_) => {
            let reason = "the body did not come in time";
            return hook.answer(StatusCode::REQUEST_TIMEOUT, "too-slow", reason).await;
        }
    };
    let headers = plain(&head.headers);
    let path: Map<String, Value> = path
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    match hook.verify(&raw, &headers, &path).await {
        Some(true) => {}
        Some(false) => {
            let reason = "the signature does not match the body";
            return hook
                .answer(StatusCode::UNAUTHORIZED, "unauthenticated", reason)
                .await;
        }
        None => return hook.come_again().await,
    }
    // Until here: what waits to be verified takes memory, and nobody knows yet from whom it comes.
    drop(reading);
    let decoded = if raw.is_empty() {
        // An answer may be empty, a record may not.
        Err("there is no body".to_owned())
    } else {
        webhook.receive.decode(&raw)
    };
    let value = match decoded {
        Ok(value) => value,
        Err(problem) => {
            return hook.answer(StatusCode::BAD_REQUEST, "malformed", &problem).await;
        }
    };
    let (text, value) = if webhook.files.is_empty() {
        // What decodes is text: every form in which records are received is.
        (String::from_utf8_lossy(&raw).into_owned(), value)
    } else {
        match hook.keep_files(value).await {
            Some(value) => (value.to_string(), value),
            None => return hook.come_again().await,
        }
    };
    let record = Record {
        adapter: Arc::clone(&hook.adapter),
        door: Door::Webhook(hook.index),
        raw: text,
        value,
        observed: hook.shared.hybrid.now(),
        asked: None,
        kept: None,
    };
    let (answer, answered) = oneshot::channel();
    if hook.door.try_send((record, answer)).is_err() {
        return hook.come_again().await;
    }
    match timeout(COMMIT_TIMEOUT, answered).await {
        Ok(Ok(state)) => {
            let (code, reason) = match &state {
                InboxState::Mapped => ("mapped", String::new()),
                InboxState::Ignored(reason) => ("ignored", reason.clone()),
                InboxState::Waiting(reason) => ("waiting", reason.clone()),
                InboxState::Refused(fault) => ("refused", fault.for_log().to_string()),
            };
            hook.answer(StatusCode::OK, code, &reason).await
        }
        _ => hook.come_again().await,
    }
}

/// The body, unless it has more than `limit` bytes or breaks off. Of a body that is too big some more is read and thrown
/// away: a sender that is cut off in the middle sees a broken connection and sends the same again, one that is heard to
/// the end sees the refusal.
async fn read(body: Body, limit: usize) -> Option<Vec<u8>> {
    let mut pieces = body.into_data_stream();
    let mut raw = Vec::new();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.ok()?;
        length += piece.len();
        if length <= limit {
            raw.extend_from_slice(&piece);
        } else if length > limit.saturating_add(DISCARDED) {
            return None;
        } else {
            raw = Vec::new();
        }
    }
    (length <= limit).then_some(raw)
}

impl Hook {
    /// Whether the sender is who it says; `None` while that cannot be told.
    async fn verify(
        &self,
        raw: &[u8],
        headers: &BTreeMap<String, String>,
        path: &Map<String, Value>,
    ) -> Option<bool> {
        let (adapter, index) = (Arc::clone(&self.adapter), self.index);
        let (raw, headers, path) = (raw.to_vec(), headers.clone(), path.clone());
        let now = self.shared.clock.now();
        let about = Mark::of(&raw);
        let verify = move || adapter.webhooks[index].verify(&raw, &headers, &path, now);
        match self.at_the_door("verify", about, verify).await {
            Some(Ok(verdict)) => Some(verdict),
            // It did not come to an end, so it has not said no.
            Some(Err(fault)) if ["mapping-too-long", "mapping-too-big"].contains(&fault.code.as_str()) => {
                None
            }
            // A header that is absent or odd makes the expression fail: that is no proof of anything.
            Some(Err(_)) => Some(false),
            None => None,
        }
    }

    /// The record with references in place of the files that it brought; `None` while they cannot be kept.
    async fn keep_files(&self, mut record: Value) -> Option<Value> {
        let (files, places) = (
            Arc::clone(&self.shared.files),
            self.adapter.webhooks[self.index].files.clone(),
        );
        let kept = tokio::task::spawn_blocking(move || files.cut(&mut record, &places).map(|()| record));
        match kept.await.ok()? {
            Ok(record) => Some(record),
            Err(fault) => {
                tracing::error!(adapter = self.adapter.name, %fault, "a file that a record brought cannot be kept");
                None
            }
        }
    }

    /// The answer in the words of the system, where its adapter has some.
    async fn answer(&self, status: StatusCode, code: &str, reason: &str) -> Response {
        let ok = status.is_success() && code != "refused";
        let plain = json!({"ok": ok, "code": code, "reason": reason});
        let (adapter, index, outcome) = (Arc::clone(&self.adapter), self.index, plain.clone());
        let reply = move || adapter.webhooks[index].reply(&outcome);
        let body = self.at_the_door("reply", Mark::alone(), reply).await;
        (status, axum::Json(body.unwrap_or(plain))).into_response()
    }

    /// Runs jq that stands at the door; `None` if it rests, or did not come to an end.
    async fn at_the_door<T: Send + 'static>(
        &self,
        part: &str,
        about: Mark,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let operation = pause::at_the_door(&self.adapter.webhooks[self.index].name, part);
        let lane = self.shared.lane(&self.adapter);
        lane.run_unless_resting(&operation, about, work)
            .await
            .ok()
            .flatten()
    }

    async fn come_again(&self) -> Response {
        let reason = "the record could not be stored; send it again";
        let answer = self.answer(StatusCode::SERVICE_UNAVAILABLE, "come-again", reason);
        let mut response = answer.await;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
        response
    }
}

/// Headers by lower-case name; a value that is no text is left out.
fn plain(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}
