//! The source: tells of its dossiers until it hears that they are kept, tells some things twice, and some late.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::time::sleep;

use crate::node::Address;
use crate::oracle::judge::Accepted;
use crate::oracle::mishap::Roll;
use crate::oracle::source::{TOKEN, record};
use crate::support::{client, until};

/// Of a hundred statements, so many are made once more when a newer one has been made: sources deliver at least once, and
/// not in order.
const REPEATED: u8 = 25;

/// Longest time between two statements about a dossier.
const RHYTHM_MS: u64 = 120;

/// Each round begins so much later after the one before it than that one did.
const ROUND: Duration = Duration::from_millis(200);

/// The source.
pub(crate) struct Source {
    daemon: Address,
    seed: u64,
    http: reqwest::Client,
    accepted: Mutex<Accepted>,
}

impl Source {
    pub(crate) fn new(daemon: Address, seed: u64) -> Self {
        Self {
            daemon,
            seed,
            http: client(),
            accepted: Mutex::default(),
        }
    }

    /// What the bus has answered for.
    pub(crate) fn accepted(&self) -> Accepted {
        self.accepted.lock().unwrap().clone()
    }

    /// Speaks of dossiers, so many at once, of each in so many versions, and of others after them until that is `enough`,
    /// at most `rounds` times. Each version has one item more.
    pub(crate) async fn speak(
        &self,
        at_once: u32,
        versions: i64,
        rounds: u32,
        enough: &AtomicBool,
    ) -> Result<(), String> {
        let lanes = (1..=at_once).map(|lane| async move {
            for round in 0..rounds {
                if round > 0 && enough.load(Ordering::SeqCst) {
                    break;
                }
                // what was said before needs time to meet the faults
                sleep(ROUND * round).await;
                self.tell_all(lane + round * at_once, versions).await?;
            }
            Ok(())
        });
        try_join_all(lanes).await.map(drop)
    }

    /// Tells of dossier `n` in version after version, in the rhythm of people.
    async fn tell_all(&self, n: u32, versions: i64) -> Result<(), String> {
        let mut roll = Roll::new(self.seed, &format!("source {n}"));
        for version in 1..=versions {
            self.tell(n, version, version).await?;
            if version > 1 && roll.of_hundred() < REPEATED {
                self.tell(n, version - 1, version - 1).await?;
            }
            sleep(Duration::from_millis(roll.between(0, RHYTHM_MS))).await;
        }
        Ok(())
    }

    /// Tells of dossier `n` until the bus has answered for it.
    pub(crate) async fn tell(&self, n: u32, version: i64, items: i64) -> Result<(), String> {
        let said = self.say(&record(n, version, items)).await?;
        if !["mapped", "ignored"].contains(&said.as_str()) {
            return Err(format!("dossier {n} in version {version} was judged: {said}"));
        }
        self.accepted.lock().unwrap().note(n, version, items);
        Ok(())
    }

    /// Sends a record until the bus has kept it: how it was judged.
    pub(crate) async fn say(&self, record: &Value) -> Result<String, String> {
        let said = until("a record is kept", async || {
            let request = self.http.post(self.daemon.hook()?).header(TOKEN.0, TOKEN.1);
            let answer = request.json(record).send().await.ok()?;
            if answer.status() != 200 {
                return None;
            }
            answer.json::<Value>().await.ok()
        });
        Ok(said.await?["code"].as_str().unwrap_or_default().to_owned())
    }
}
