//! What is still to be told: snapshots of rows, in order for each row, many rows at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::lock;

/// Most snapshots that wait to be told; beyond it the stand-in takes no changes.
const MOST_WAITING: usize = 100_000;

/// The waiting snapshots of one `[[send]]`.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    news: Notify,
    pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Key -> its snapshots, the oldest first. A key is in `ready`, in `later` or in somebody's hands, once.
    waiting: BTreeMap<String, VecDeque<Value>>,
    ready: VecDeque<String>,
    /// Keys that were not taken, with the time of the next try; the pause is one for all, so this is in order.
    later: VecDeque<(Instant, String)>,
    accepted: BTreeMap<String, Timestamp>,
}

impl Outbox {
    /// `pause` is how long a row that was not taken waits.
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            pause,
        }
    }

    pub(super) fn has_room(&self, more: usize) -> bool {
        self.len() + more <= MOST_WAITING
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.state).waiting.values().map(VecDeque::len).sum()
    }

    /// Adds a snapshot behind the others of this row.
    pub(super) fn put(&self, key: String, row: Value) {
        let mut state = lock(&self.state);
        let rows = state.waiting.entry(key.clone()).or_default();
        rows.push_back(row);
        if rows.len() == 1 {
            state.ready.push_back(key);
            drop(state);
            self.news.notify_one();
        }
    }

    /// The next row to be told of, with its oldest snapshot. Waits for one; nobody else gets this row until
    /// [`Outbox::taken`] or [`Outbox::refused`] was called.
    pub(super) async fn next(&self) -> (String, Value) {
        loop {
            let news = self.news.notified();
            let due = {
                let mut state = lock(&self.state);
                let now = Instant::now();
                while state.later.front().is_some_and(|(due, _)| *due <= now) {
                    if let Some((_, key)) = state.later.pop_front() {
                        state.ready.push_back(key);
                    }
                }
                if let Some(key) = state.ready.pop_front() {
                    let row = state.waiting.get(&key).and_then(VecDeque::front).cloned();
                    let more = !state.ready.is_empty();
                    drop(state);
                    if more {
                        self.news.notify_one();
                    }
                    return (key, row.expect("a key that is ready has a snapshot"));
                }
                state.later.front().map(|(due, _)| *due)
            };
            match due {
                None => news.await,
                Some(due) => tokio::select! {
                    () = news => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    /// The oldest snapshot of this row was taken at this time.
    pub(super) fn taken(&self, key: String, at: Timestamp) {
        let mut state = lock(&self.state);
        state.accepted.entry(key.clone()).or_insert(at);
        let Some(rows) = state.waiting.get_mut(&key) else {
            return;
        };
        rows.pop_front();
        if rows.is_empty() {
            state.waiting.remove(&key);
        } else {
            state.ready.push_back(key);
            drop(state);
            self.news.notify_one();
        }
    }

    /// It was not taken; the row is told again after the pause.
    pub(super) fn refused(&self, key: String) {
        lock(&self.state)
            .later
            .push_back((Instant::now() + self.pause, key));
        self.news.notify_one();
    }

    /// When a snapshot of this row was first taken.
    pub(super) fn accepted_at(&self, key: &str) -> Option<Timestamp> {
        lock(&self.state).accepted.get(key).copied()
    }
}
