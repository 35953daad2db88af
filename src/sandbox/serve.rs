//! Listens and answers.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::befall::befall;
use super::plan::{Answer, Outcome};
use super::{Room, route};
use crate::fault::Fault;

/// Longest body of a request.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// How long a stop waits for requests that were begun.
const GRACE: Duration = Duration::from_secs(2);

/// Begins to listen; the address is the one really taken.
pub(super) async fn start(room: &Arc<Room>, listen: SocketAddr) -> Result<SocketAddr, Fault> {
    let unusable = |error: std::io::Error| {
        Fault::new("address-unusable")
            .field("listen")
            .found(format!("{listen}: {}", error.kind()))
    };
    let listener = TcpListener::bind(listen).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let router = Router::new().fallback(answer).with_state(Arc::clone(room));
    let stop = room.stop.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    room.tasks.spawn(async move {
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = server.into_future() => {
                if let Err(error) = ended {
                    tracing::error!("sandbox: the server ended: {error}");
                }
            }
            () = patience => {}
        }
    });
    Ok(address)
}

/// A request, read whole.
pub(super) struct Asked {
    head: Parts,
    headers: Map<String, Value>,
    body: Bytes,
}

impl Asked {
    /// The request as the filters see it, given the named parts of its path.
    fn with(&self, params: &BTreeMap<String, String>) -> Value {
        let (method, uri) = (self.head.method.as_str(), &self.head.uri);
        route::request(method, uri.path(), uri.query(), &self.headers, &self.body, params)
    }

    /// The same, for what is not about a route.
    pub(super) fn plain(&self) -> Value {
        self.with(&BTreeMap::new())
    }
}

/// What a request comes to: the name of its route, and what that gives.
pub(super) type Decided = (String, Outcome);

async fn answer(State(room): State<Arc<Room>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({"error": "body longer than 10 MiB"}),
        );
    };
    let headers: Map<String, Value> = head
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((
                name.as_str().to_owned(),
                Value::String(value.to_str().ok()?.to_owned()),
            ))
        })
        .collect();
    let asked = Arc::new(Asked { head, headers, body });

    // From here to the stored rows nobody else reads or writes the tables.
    let turn = room.turn.lock().await;
    let answered = match room.decide(&asked).await {
        Ok(Some(decided)) => match room.faults.strike(room.occasion(&decided.1)) {
            None => room.carry_out(decided).await.map(written),
            Some(kind) => befall(&room, kind, &asked, decided, turn).await,
        },
        Ok(None) => Ok(absent()),
        Err(fault) => Err(fault),
    };
    answered.unwrap_or_else(|fault| {
        let body = json!({"error": fault.to_string()});
        room.report(fault);
        plain(StatusCode::INTERNAL_SERVER_ERROR, &body)
    })
}

impl Room {
    /// What a request comes to, if a route fits it. The caller holds the turn.
    pub(super) async fn decide(self: &Arc<Self>, asked: &Arc<Asked>) -> Result<Option<Decided>, Fault> {
        let (asked, now) = (Arc::clone(asked), self.clock.now());
        self.evaluate(move |room| {
            room.plan.respond(
                (asked.head.method.as_str(), asked.head.uri.path()),
                now,
                |params| asked.with(params),
                |sees| sees.map_or_else(|| room.rows().all(), |keys| room.rows().some(&keys)),
            )
        })
        .await
    }

    /// Does what was decided: its rows are stored before its answer is given. The caller holds the turn.
    pub(super) async fn carry_out(self: &Arc<Self>, (route, outcome): Decided) -> Result<Answer, Fault> {
        self.count(&route);
        self.store(outcome).await
    }
}

pub(super) fn absent() -> Response {
    plain(StatusCode::NOT_FOUND, &json!({"error": "no route fits"}))
}

/// A text under a type of its own goes as it is, such as XML; everything else is JSON.
pub(super) fn written(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut names = answer.headers.iter().map(|(name, _)| name);
    let typed = names.any(|name| name.eq_ignore_ascii_case("content-type"));
    let mut response = match answer.body {
        Value::String(text) if typed => of(status, text),
        body => plain(status, &body),
    };
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(super) fn plain(status: StatusCode, body: &Value) -> Response {
    of(status, body.to_string())
}

fn of(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
