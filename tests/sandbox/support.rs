//! A client, and a receiver that does as it is told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use lienthong::clock::ManualClock;
use lienthong::sandbox::{Options, Sandbox};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Longest time that anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn adapter(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(name)
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new("2026-03-05T02:30:00Z".parse::<Timestamp>().unwrap())
}

pub(crate) fn settings(settings: Value) -> Map<String, Value> {
    match settings {
        Value::Object(settings) => settings,
        other => panic!("settings are an object, not {other}"),
    }
}

/// Starts a stand-in whose officials rest until a test calls `round`.
pub(crate) async fn start(folder: &Path, given: Value, clock: &ManualClock) -> Sandbox {
    install_tls();
    let options = Options {
        settings: settings(given),
        clock: Arc::new(clock.clone()),
        officials: false,
        ..Options::default()
    };
    Sandbox::start(folder, options).await.unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder()
        .timeout(LIMIT)
        .no_proxy()
        .build()
        .unwrap()
}

/// An answer, its body read as JSON.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) fn install_tls() {
    // A second test of the same process finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Looks again and again until it holds.
pub(crate) async fn within_limit(holds: impl Fn() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, look).await.unwrap();
}

/// What a receiver was told: its headers and the bytes of the body.
pub(crate) type Told = (HeaderMap, Bytes);

/// Answers `503` to the first calls, then `200`; passes on every call that it got.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    _tasks: TaskTracker,
}

type Shared = Arc<(Mutex<u32>, mpsc::UnboundedSender<Told>)>;

impl Receiver {
    pub(crate) async fn refusing(first: u32) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/one-stop", listener.local_addr().unwrap());
        let (sender, told) = mpsc::unbounded_channel();
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::new((Mutex::new(first), sender)));
        let tasks = TaskTracker::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            told,
            _tasks: tasks,
        }
    }

    pub(crate) async fn next(&mut self) -> Told {
        tokio::time::timeout(LIMIT, self.told.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

async fn receive(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let (refuse, sender) = &*shared;
    sender.send((headers, body)).unwrap();
    let mut left = refuse.lock().unwrap();
    if *left > 0 {
        *left -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}
