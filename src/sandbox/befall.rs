//! What a fault does to a request.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{future, stream};
use serde_json::json;
use tokio::sync::MutexGuard;
use tokio::time::sleep;

use super::Room;
use super::faults::{FaultKind, Occasion};
use super::plan::Outcome;
use super::rows::Change;
use super::serve::{Asked, Decided, absent, plain, written};
use crate::fault::Fault;

/// Lets `kind` befall a request that would come to `decided`. The turn is the request's own and ends here.
pub(super) async fn befall(
    room: &Arc<Room>,
    kind: FaultKind,
    asked: &Arc<Asked>,
    decided: Decided,
    turn: MutexGuard<'_, ()>,
) -> Result<Response, Fault> {
    let response = match kind {
        FaultKind::LateAnswer => {
            let answer = room.carry_out(decided).await?;
            drop(turn);
            room.faults.bit(kind);
            sleep(room.faults.late()).await;
            return Ok(written(answer));
        }
        FaultKind::LateCommit => {
            drop(turn);
            return late_commit(room, asked).await;
        }
        FaultKind::SessionLost => {
            room.forget_sessions()?;
            match room.decide(asked).await? {
                Some(decided) => written(room.carry_out(decided).await?),
                None => absent(),
            }
        }
        FaultKind::ErrorIn200 => {
            let (room, asked) = (Arc::clone(room), Arc::clone(asked));
            let answer = room
                .evaluate(move |room| room.plan.error_in_200(&asked.plain(), room.clock.now()))
                .await?;
            written(answer)
        }
        FaultKind::FailedAfterCommit => {
            room.store(decided.1).await?;
            failure(room.faults.coin())
        }
        FaultKind::CutAfterCommit => {
            room.store(decided.1).await?;
            cut()
        }
        FaultKind::Failed => failure(room.faults.coin()),
        FaultKind::Cut => cut(),
        FaultKind::Busy => busy(),
        // Befalls what is told, never what is asked.
        FaultKind::ToldAgain => return Ok(written(room.carry_out(decided).await?)),
    };
    room.faults.bit(kind);
    Ok(response)
}

/// The call lies in a queue until its caller has given up, and is then done as if nothing were.
///
/// The caller hangs up meanwhile, which ends whatever waits for an answer: the commit is a task of its own.
async fn late_commit(room: &Arc<Room>, asked: &Arc<Asked>) -> Result<Response, Fault> {
    let (room, asked, stop) = (Arc::clone(room), Arc::clone(asked), room.stop.clone());
    let tasks = room.tasks.clone();
    let commit = async move {
        sleep(room.faults.late()).await;
        let _turn = room.turn.lock().await;
        let Some(decided) = room.decide(&asked).await? else {
            room.faults.missed(FaultKind::LateCommit);
            return Ok(absent());
        };
        // What was good then may be refused now.
        let commits = matches!(room.occasion(&decided.1), Occasion::Asked { writes: true, .. });
        let answer = room.carry_out(decided).await?;
        if commits {
            room.faults.bit(FaultKind::LateCommit);
        } else {
            room.faults.missed(FaultKind::LateCommit);
        }
        Ok(written(answer))
    };
    let done = tasks.spawn(async move { stop.run_until_cancelled(commit).await });
    // A stand-in that stops leaves its callers without an answer.
    done.await.ok().flatten().unwrap_or_else(|| Ok(cut()))
}

impl Room {
    /// What a request that would come to this is to the faults.
    pub(super) fn occasion(&self, outcome: &Outcome) -> Occasion {
        let sessions = &self.plan.sessions;
        let is_session = |change: &Change| sessions.contains(&change.table);
        let opens = outcome.changes.iter().any(is_session);
        Occasion::Asked {
            writes: outcome.changes.iter().any(|change| !is_session(change)),
            session: !opens && sessions.iter().any(|table| self.rows().len(table) > 0),
        }
    }

    fn forget_sessions(&self) -> Result<(), Fault> {
        let sessions = &self.plan.sessions;
        sessions.iter().try_for_each(|table| self.rows().forget(table))
    }
}

/// A page of the gateway before the system, or the words of the framework that it is built with: both are met.
fn failure(page: bool) -> Response {
    if page {
        let page = "<html><body><h1>503 Service Unavailable</h1></body></html>";
        return of_the_gateway(StatusCode::SERVICE_UNAVAILABLE, page);
    }
    let body = json!({"status": 500, "error": "Internal Server Error", "message": ""});
    plain(StatusCode::INTERNAL_SERVER_ERROR, &body)
}

fn busy() -> Response {
    let page = "<html><body><h1>429 Too Many Requests</h1></body></html>";
    let mut response = of_the_gateway(StatusCode::TOO_MANY_REQUESTS, page);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn of_the_gateway(status: StatusCode, page: &'static str) -> Response {
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Closes the connection without an answer: a body that breaks before its first byte keeps even the head from leaving.
fn cut() -> Response {
    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
    let body = stream::once(future::ready(Err::<Vec<u8>, _>(broken)));
    Response::new(Body::from_stream(body))
}
