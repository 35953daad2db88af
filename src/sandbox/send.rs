//! Tells others of changes, again and again until they take them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Room;
use super::faults::{FaultKind, Occasion};
use super::plan::Telling;
use crate::fault::Fault;

/// How many rows of one `[[send]]` are told at the same time.
const LANES: usize = 4;

/// Longest time for one call.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Longest time to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Longest answer that is read; the rest is of no interest.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Starts the lanes of each `[[send]]`.
pub(super) fn start(room: &Arc<Room>) -> Result<(), Fault> {
    if room.plan.sends.is_empty() {
        return Ok(());
    }
    let client = reqwest::Client::builder()
        .timeout(CALL_LIMIT)
        .connect_timeout(CONNECT_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| Fault::new("client-unusable").found(error.to_string()))?;
    for send in 0..room.plan.sends.len() {
        for _ in 0..LANES {
            let (room, stop, client) = (Arc::clone(room), room.stop.clone(), client.clone());
            let tasks = room.tasks.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(lane(&room, &client, send)).await;
            });
        }
    }
    Ok(())
}

async fn lane(room: &Arc<Room>, client: &reqwest::Client, send: usize) {
    let Some(outbox) = room.outboxes.get(send) else {
        return;
    };
    loop {
        let (key, row) = outbox.next().await;
        match tell(room, client, send, row).await {
            Ok(true) if room.faults.strike(Occasion::Told).is_some() => {
                room.faults.bit(FaultKind::ToldAgain);
                outbox.refused(key);
            }
            Ok(true) => outbox.taken(key, room.clock.now()),
            Ok(false) => outbox.refused(key),
            Err(fault) => {
                room.report(fault);
                outbox.refused(key);
            }
        }
    }
}

/// Tells once; whether it was taken.
async fn tell(room: &Arc<Room>, client: &reqwest::Client, send: usize, row: Value) -> Result<bool, Fault> {
    let telling = room.evaluate(move |room| room.plan.telling(send, &row)).await?;
    let Some(answer) = call(client, telling).await? else {
        return Ok(false);
    };
    room.evaluate(move |room| room.plan.taken(send, &answer)).await
}

/// Makes the call; `None` if nobody answered.
async fn call(client: &reqwest::Client, telling: Telling) -> Result<Option<Value>, Fault> {
    let mut request = client
        .post(&telling.url)
        .header("content-type", "application/json; charset=utf-8")
        .body(telling.body);
    for (name, value) in telling.headers {
        request = request.header(name, value);
    }
    let request = request.build().map_err(|error| {
        Fault::new("manifest-value")
            .field("send.url")
            .found(error.to_string())
    })?;
    let Ok(mut response) = client.execute(request).await else {
        return Ok(None);
    };
    let status = response.status().as_u16();
    let headers: Map<String, Value> = response
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            Some((
                name.as_str().to_owned(),
                Value::String(value.to_str().ok()?.to_owned()),
            ))
        })
        .collect();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_) | None) => break,
            Err(_) => return Ok(None),
        }
    }
    let body = serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null);
    Ok(Some(json!({"status": status, "headers": headers, "body": body})))
}
