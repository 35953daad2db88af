//! Listens and answers.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::Answer;
use super::{Room, route};
use crate::fault::Fault;

/// Longest body of a request.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// How long a stop waits for requests that were begun.
const GRACE: Duration = Duration::from_secs(2);

/// Begins to listen; the address is the one really taken.
pub(super) async fn start(
    room: &Arc<Room>,
    listen: SocketAddr,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<SocketAddr, Fault> {
    let unusable = |error: std::io::Error| {
        Fault::new("address-unusable")
            .field("listen")
            .found(format!("{listen}: {}", error.kind()))
    };
    let listener = TcpListener::bind(listen).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let router = Router::new().fallback(answer).with_state(Arc::clone(room));
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let stop = stop.clone();
    tasks.spawn(async move {
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

    // From here to the stored rows nobody else reads or writes the tables.
    let _turn = room.turn.lock().await;
    let now = room.clock.now();
    let decided = room
        .evaluate(move |room| {
            let (method, path) = (head.method.as_str(), head.uri.path());
            room.plan.respond(
                (method, path),
                now,
                |params| route::request(method, path, head.uri.query(), &headers, &body, params),
                |sees| sees.map_or_else(|| room.rows().all(), |keys| room.rows().some(&keys)),
            )
        })
        .await;
    let stored = match decided {
        Ok(Some((name, outcome))) => {
            room.count(&name);
            room.store(outcome).await
        }
        Ok(None) => return plain(StatusCode::NOT_FOUND, &json!({"error": "no route fits"})),
        Err(fault) => Err(fault),
    };
    match stored {
        Ok(answer) => written(answer),
        Err(fault) => {
            let body = json!({"error": fault.to_string()});
            room.report(fault);
            plain(StatusCode::INTERNAL_SERVER_ERROR, &body)
        }
    }
}

fn written(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(status, &answer.body);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn plain(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
