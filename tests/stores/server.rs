//! A PostgreSQL server of one test, to be killed and set wrongly; `tests/services/postgresql` starts it.

use std::path::Path;
use std::process::Command;

use sqlx::postgres::PgConnection;

use super::database;

/// The server; it goes with the test.
pub(crate) struct Server {
    folder: String,
    /// The address of its first database.
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::of("start", None).await
    }

    /// A replica that follows this one.
    pub(crate) async fn standby(&self) -> Self {
        Self::of("standby", Some(&self.folder)).await
    }

    async fn of(verb: &'static str, folder: Option<&str>) -> Self {
        let said = script(verb, folder).await;
        let mut lines = said.lines().map(str::to_owned);
        let (folder, url) = (lines.next().unwrap(), lines.next().unwrap());
        Self { folder, url }
    }

    /// SIGKILL for all its processes.
    pub(crate) async fn crash(&self) {
        script("crash", Some(&self.folder)).await;
    }

    /// An immediate stop: it leaves as it stands.
    pub(crate) async fn stop_at_once(&self) {
        script("kill", Some(&self.folder)).await;
    }

    pub(crate) async fn restart(&self) {
        script("restart", Some(&self.folder)).await;
    }

    /// A replica takes decisions of its own from now on.
    pub(crate) async fn promote(&self) {
        script("promote", Some(&self.folder)).await;
    }

    /// Runs a statement in its first database.
    pub(crate) async fn execute(&self, sql: &str) {
        database::run(&self.url, sql).await;
    }

    /// A connection of a stranger to its first database.
    pub(crate) async fn connect(&self) -> PgConnection {
        database::connect(&self.url).await
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.url.rsplit_once('@').unwrap();
        rest.split_once('/').unwrap().0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        command("stop", Some(&self.folder)).output().ok();
    }
}

fn command(verb: &str, folder: Option<&str>) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/postgresql");
    let mut command = Command::new(script);
    command.arg(verb).args(folder);
    command
}

async fn script(verb: &'static str, folder: Option<&str>) -> String {
    let mut command = command(verb, folder);
    let ran = tokio::task::spawn_blocking(move || command.output());
    let ran = ran.await.unwrap().unwrap();
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{verb}: {complaint}");
    String::from_utf8(ran.stdout).unwrap()
}
