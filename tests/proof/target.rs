//! The oracle as a process of its own, told and asked by the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::oracle::journal::{Journal, Plan, Told};
use crate::oracle::model::Oracle;
use crate::support::{Process, client, until};

/// The running oracle. Its books are on disk: killed and started again it has lost nothing.
pub(crate) struct Target {
    process: Process,
    journal: PathBuf,
    /// Where it takes requests.
    pub(crate) url: String,
    admin: String,
    http: reqwest::Client,
}

impl Target {
    /// Starts one with empty books in `folder`.
    pub(crate) async fn start(folder: &Path, plan: Plan) -> Result<Self, String> {
        let journal = folder.join("oracle.jsonl");
        Journal::create(&journal, plan).map_err(|error| error.to_string())?;
        Self::spawn(journal, None).await
    }

    async fn spawn(journal: PathBuf, port: Option<&str>) -> Result<Self, String> {
        // The example lies beside the folder of the tests: target/debug/deps/proof-…, target/debug/examples/oracle.
        let own = std::env::current_exe().unwrap();
        let program = own.ancestors().nth(2).unwrap().join("examples/oracle");
        let child = Command::new(&program)
            .arg(&journal)
            .args(port)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!(
                    "start {}, which `cargo build --examples` makes: {error}",
                    program.display()
                )
            })?;
        let mut process = Process::new(child);
        let said = until("the oracle listens", async || {
            let log = process.log();
            log.contains('\n')
                .then_some(log)
                .or_else(|| Some(format!("ended: {}", process.ended()?)))
        });
        let said = said.await?;
        let addresses = said
            .trim()
            .strip_prefix("oracle on ")
            .and_then(|rest| rest.split_once(", admin on "));
        let (address, admin) = addresses.ok_or_else(|| format!("the oracle did not start: {said}"))?;
        Ok(Self {
            url: format!("http://{address}"),
            admin: format!("http://{admin}"),
            process,
            journal,
            http: client(),
        })
    }

    /// Killed in the middle of whatever it does, and started again on its books, at the same address. How many writing
    /// requests it had begun whose caller was still waiting.
    pub(crate) async fn die_and_come_back(&mut self) -> Result<u64, String> {
        self.process.kill();
        let port = self.url.rsplit_once(':').map(|(_, port)| port.to_owned());
        *self = Self::spawn(self.journal.clone(), port.as_deref()).await?;
        let cut = self.books().await?["cut"].as_u64();
        cut.ok_or_else(|| "books that do not say what was cut off".to_owned())
    }

    /// Tells it something that is no request.
    pub(crate) async fn tell(&self, told: Told) -> Result<(), String> {
        let url = format!("{}/told", self.admin);
        let sent = self
            .http
            .post(url)
            .json(&told)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        sent.error_for_status().map_err(|error| error.to_string())?;
        Ok(())
    }

    /// How its books stand: `requests`, `rows` as key and version, how many `entries`, whether a `late` commit is to come,
    /// how often each mishap has `bitten`, how many writing requests are `open` and how many its last death has `cut` off.
    pub(crate) async fn books(&self) -> Result<Value, String> {
        let answer = self.http.get(format!("{}/books", self.admin)).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    /// The same oracle in this process, as its journal tells it, and every line of that.
    pub(crate) fn read(&self) -> (Oracle, Vec<Told>) {
        let told = Journal::lines(&self.journal).unwrap();
        let journal = Journal::open(&self.journal).unwrap();
        (journal.into_oracle(), told)
    }
}
