//! What the tests stand on.

use std::io::Read;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use lienthong::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::broker::Broker;

/// Longest time that anything in these tests may take, on a machine that has much else to do.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);

/// Where files in memory lie on Linux.
const MEMORY: &str = "/dev/shm";

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until there is something to see; an error with `what` if that never comes about.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(seen) = look().await {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            return Err(format!("{what}: that never came about"));
        }
        sleep(LOOK).await;
    }
}

/// A folder for stores and journals, in memory where that is possible: a process that is killed loses nothing that it has
/// written, and a disk that others keep busy makes every commit longer than the calls that the tests are about.
pub(crate) fn folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("lienthong-proof-");
    builder.tempdir_in(MEMORY).or_else(|_| builder.tempdir()).unwrap()
}

/// What `cli::main` does first.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// A client as the source and the test have it.
pub(crate) fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder()
        .timeout(LIMIT)
        .no_proxy()
        .build()
        .unwrap()
}

/// A program as a process of its own, killed when the test ends before it.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Process {
    /// Takes a child whose output goes into pipes.
    pub(crate) fn new(mut child: Child) -> Self {
        let said = Arc::default();
        listen(child.stdout.take().unwrap(), &said);
        listen(child.stderr.take().unwrap(), &said);
        Self { child, said }
    }

    /// What it has said so far, on both pipes.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal; one that has ended does not hear it.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).ok();
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL, now.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether SIGSTOP has frozen a process.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // `pid (name) state …`; the name may hold anything.
    stat.is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Collects what a process says.
fn listen(mut pipe: impl Read + Send + 'static, said: &Arc<Mutex<Vec<u8>>>) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length) = pipe.read(&mut piece)
            && length > 0
        {
            said.lock().unwrap().extend_from_slice(&piece[..length]);
        }
    });
}

/// The end of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(25);
    format!("  the daemon's last words:\n    {}", lines[from..].join("\n    "))
}

/// Name and version of everything that a result is about. To be asked by the test's own task.
pub(crate) fn services(store: &dyn Store) -> String {
    format!("{} · {}", store.version(), Broker::version())
}
