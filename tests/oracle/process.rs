//! The oracle as a process of its own: `oracle JOURNAL [PORT]`.
//!
//! The journal is a file of JSON lines: the plan first, then everything that the oracle was told, each line written before
//! it is acted on. Since the model is deterministic the journal *is* the state: a killed oracle reads it again and goes
//! on, and a test reads it and has the same books before it. What was being answered at the kill was committed.
//!
//! Says `oracle on ADDRESS, admin on ADDRESS` on standard output and serves until it is killed.

#![expect(
    clippy::unwrap_used,
    reason = "a test's program that cannot go on ends where it stands"
)]

#[path = "mod.rs"]
mod oracle;
#[path = "wire.rs"]
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use lienthong::clock::{Clock, SystemClock};
use oracle::journal::{Journal, Told};
use oracle::model::Reaction;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

type Shared = Arc<Mutex<Journal>>;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().map(PathBuf::from);
    let port: u16 = arguments.next().map_or(0, |port| port.parse().unwrap());
    let mut journal = Journal::open(&file.expect("usage: oracle JOURNAL [PORT]")).unwrap();
    journal.tell(now_ms(), Told::Begin).unwrap();
    let shared: Shared = Arc::new(Mutex::new(journal));
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    say(&format!(
        "oracle on {}, admin on {}",
        listener.local_addr().unwrap(),
        admin.local_addr().unwrap()
    ));
    let routes = Router::new()
        .route("/told", post(tell))
        .route("/books", get(books))
        .with_state(Arc::clone(&shared));
    let tasks = TaskTracker::new();
    tasks.spawn(axum::serve(admin, routes).into_future());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            // A caller that breaks off is no fault of ours.
            drop(serve(stream, shared).await);
        });
    }
}

#[expect(
    clippy::print_stdout,
    reason = "this is how the program tells where it listens"
)]
fn say(line: &str) {
    println!("{line}");
}

fn now_ms() -> u64 {
    u64::try_from(SystemClock.now().as_millisecond()).unwrap()
}

/// Tells the oracle something that is no request: that it be calm, a restore, a record typed in.
async fn tell(State(shared): State<Shared>, Json(told): Json<Told>) {
    shared.lock().unwrap().tell(now_ms(), told).unwrap();
}

/// How things stand: what a test waits for.
async fn books(State(shared): State<Shared>) -> Json<Value> {
    let mut journal = shared.lock().unwrap();
    journal.tell(now_ms(), Told::Tick).unwrap();
    let oracle = journal.oracle();
    let versions: Vec<Value> = oracle
        .rows()
        .iter()
        .map(|row| json!([row.key, row.version]))
        .collect();
    Json(json!({
        "requests": oracle.requests(),
        "rows": versions,
        "entries": oracle.entries().len(),
        "late": oracle.next_late_ms().is_some(),
        "bitten": oracle.bitten(),
        "open": journal.open_calls(),
        "cut": journal.cut_calls(),
    }))
}

/// One connection, request after request, until the caller or a mishap ends it.
async fn serve(mut stream: TcpStream, shared: Shared) -> std::io::Result<()> {
    while let Some(request) = wire::read(&mut stream).await? {
        let told = Told::Call {
            method: request.method,
            path: request.path,
            query: request.query,
            body: request.body,
        };
        let (reaction, request, hold_ms) = {
            let mut journal = shared.lock().unwrap();
            let reaction = journal.tell(now_ms(), told)?;
            (reaction, journal.oracle().requests(), journal.hold_ms())
        };
        let reaction = reaction.expect("a call has a reaction");
        let stays = match &reaction {
            Reaction::Answer { after_ms, .. }
            | Reaction::Cut { after_ms }
            | Reaction::CutInBody { after_ms, .. } => stays(&mut stream, after_ms + hold_ms).await,
            Reaction::Silence => {
                wire::wait_for_the_end(&mut stream).await.ok();
                false
            }
        };
        // Before a byte of it is on the wire: what is not written down here was certainly not answered.
        shared.lock().unwrap().tell(now_ms(), Told::Ended { request })?;
        match reaction {
            Reaction::Answer {
                status,
                headers,
                body,
                ..
            } if stays => wire::answer(&mut stream, status, &headers, &body).await?,
            Reaction::CutInBody { status, body, .. } if stays => {
                return wire::begin_to_answer(&mut stream, status, &body).await;
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Lets so much time pass; whether the caller has waited for it.
async fn stays(stream: &mut TcpStream, ms: u64) -> bool {
    tokio::select! {
        () = sleep(Duration::from_millis(ms)) => true,
        // A caller that resets the connection has hung up, too.
        _ = wire::wait_for_the_end(stream) => false,
    }
}
