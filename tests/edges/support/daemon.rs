//! The built program as a process of its own.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use lienthong::admin::client::Client;
use lienthong::admin::status::Status;
use lienthong::demo::SECRETS;
use lienthong::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::rabbit::Places;
use super::wire::Wire;
use super::{LIMIT, install_tls, until};
use crate::stores;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lienthong");

/// A configuration on disk and everything it names.
pub(crate) struct Province {
    folder: TempDir,
    store: String,
    /// RabbitMQ, where the test is to have it.
    pub(crate) broker: Option<Places>,
    log: &'static str,
}

impl Province {
    /// A province whose one-stop answers nowhere and tells of its dossiers, with these targets: name, manifest, address.
    /// Without a manifest it is the shipped adapter of that name, with short spans.
    pub(crate) fn new(targets: &[(&str, Option<&str>, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let adapters = folder.path().join("adapters");
        std::fs::create_dir(&adapters).unwrap();
        lienthong::adapter::shipped::write(&adapters).unwrap();
        let place = folder.path().display();
        let store = stores::url(folder.path());
        let broker = stores::is_on_rabbitmq().then(|| stores::aside(Places::shared));
        let section = broker.as_ref().map_or_else(String::new, |places| {
            format!("[broker]\nurl = \"{}\"\n", places.url())
        });
        let mut config = format!(
            "[store]\nurl = \"{store}\"\n{section}[http]\nlisten = \"127.0.0.1:0\"\n\
             [admin]\nsocket = \"{place}/admin.sock\"\n[adapters]\nfolder = \"adapters\"\n\
             [adapter.one-stop]\nurl = \"http://127.0.0.1:9\"\n"
        );
        for (name, manifest, url) in targets {
            let file = adapters.join(name).join("adapter.toml");
            let manifest = match manifest {
                Some(manifest) => (*manifest).to_owned(),
                None => std::fs::read_to_string(&file).unwrap(),
            };
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, short(&manifest)).unwrap();
            write!(config, "[adapter.{name}]\nurl = \"{url}\"\n").unwrap();
        }
        std::fs::write(folder.path().join("lienthong.toml"), config).unwrap();
        if broker.is_some() {
            // What a killed daemon had taken stays its own for four time-outs and half a minute.
            let file = adapters.join("one-stop/adapter.toml");
            let manifest = std::fs::read_to_string(&file).unwrap();
            let hasty = manifest.replace("settle   = \"60s\"", "timeout  = \"2s\"\nsettle   = \"1s\"");
            assert_ne!(hasty, manifest, "the one-stop has other spans than it had");
            std::fs::write(&file, hasty).unwrap();
        }
        Self {
            folder,
            store,
            broker,
            log: "info",
        }
    }

    /// The same with another filter of the log.
    pub(crate) fn logging(self, log: &'static str) -> Self {
        Self { log, ..self }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a fault did, and to what; the daemon has ended.
    pub(crate) async fn tell(&self, what: &str) {
        let store = self.store().await;
        let places = self.broker.as_ref();
        let broker = places.map_or_else(|| "loopback".to_owned(), Places::version);
        stores::tell(&format!("{} · {broker}: {what}", store.version()));
    }

    /// Opens the store; the daemon has ended.
    pub(crate) async fn store(&self) -> Box<dyn Store> {
        store::open(&self.store).await.unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    /// Starts the daemon and waits until it takes webhooks.
    pub(crate) async fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        let url = until("the daemon listens", async || {
            if let Some(end) = daemon.child.try_wait().unwrap() {
                panic!("the daemon ended at once, {end}: {}", daemon.log());
            }
            let log = daemon.log();
            let (_, rest) = log.split_once("webhooks on ")?;
            Some(rest.split_once(',')?.0.to_owned())
        });
        let url = url.await;
        daemon.hook = format!("{url}/hooks/one-stop");
        daemon
    }

    /// Address of its store.
    pub(crate) fn store_url(&self) -> &str {
        &self.store
    }

    /// Changes a word of the configuration for the daemons that are started from now on.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let file = self.folder.path().join("lienthong.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} is to be there");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    }

    /// From now on a wire lies between daemon and broker.
    pub(crate) async fn wire(&self) -> (Places, Wire) {
        let places = self.broker.clone().expect("a test on RabbitMQ");
        let wire = Wire::to(places.port()).await;
        self.reconfigure(&places.url(), &places.behind(&wire));
        (places, wire)
    }

    /// Starts the daemon.
    pub(crate) fn spawn(&self) -> Daemon {
        let mut child = Command::new(PROGRAM)
            .arg("run")
            .arg("--config")
            .arg(self.path("lienthong.toml"))
            .env("LIENTHONG_LOG", self.log)
            .envs(SECRETS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::default();
        let ears = vec![
            listen(child.stdout.take().unwrap(), &said),
            listen(child.stderr.take().unwrap(), &said),
        ];
        Daemon {
            child,
            ears,
            said,
            hook: String::new(),
            socket: self.socket(),
            store: self.store.clone(),
        }
    }
}

/// Spans that a test can wait for, in place of those of a real system.
fn short(manifest: &str) -> String {
    let manifest = manifest
        .replace("timeout  = \"60s\"", "timeout  = \"2s\"")
        .replace("settle   = \"90s\"", "settle   = \"1s\"")
        .replace("timeout = \"20s\"", "timeout = \"2s\"")
        .replace("settle = \"90s\"", "settle = \"1s\"");
    assert!(
        manifest.contains("\"1s\""),
        "a manifest has other spans than it had"
    );
    manifest
}

/// Collects what a process says.
fn listen(mut pipe: impl Read + Send + 'static, said: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length) = pipe.read(&mut piece)
            && length > 0
        {
            said.lock().unwrap().extend_from_slice(&piece[..length]);
        }
    })
}

/// The daemon; killed when the test ends before it.
pub(crate) struct Daemon {
    child: Child,
    ears: Vec<JoinHandle<()>>,
    said: Arc<Mutex<Vec<u8>>>,
    pub(crate) hook: String,
    socket: PathBuf,
    store: String,
}

impl Daemon {
    /// What it has said so far, on both pipes.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// SIGKILL, now.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(&self.child, "TERM");
    }

    /// How many files and sockets it has open, and how many threads.
    pub(crate) fn holdings(&self) -> (usize, usize) {
        let count = |what| {
            let folder = format!("/proc/{}/{what}", self.child.id());
            std::fs::read_dir(folder).unwrap().count()
        };
        (count("fd"), count("task"))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and has heard all that it said.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let end = until("the daemon ends", async || self.child.try_wait().unwrap()).await;
        for ear in self.ears.drain(..) {
            ear.join().unwrap();
        }
        end
    }

    /// What a fault did, and to which store and broker, as it says itself.
    pub(crate) async fn tell(&self, what: &str) {
        install_tls();
        let client = Client::new(&self.socket).unwrap();
        let status: Status = client.get(&["status"], &[]).await.unwrap();
        stores::tell(&format!("{} · {}: {what}", status.store, status.broker));
    }

    /// Waits until nothing is left that it could do.
    pub(crate) async fn rest(&self) -> Status {
        install_tls();
        let client = Client::new(&self.socket).unwrap();
        until("the daemon comes to rest", async || {
            // First: what is merged after it has made nothing due that the status does not show.
            let merged = stores::is_merged(&self.store).await;
            let status: Status = client.get(&["status"], &[]).await.unwrap();
            let open = ["due", "in_doubt", "backing_off", "waiting"];
            let busy = status.counts.outbox > 0
                || status
                    .counts
                    .deliveries
                    .iter()
                    .any(|(_, _, state, count)| *count > 0 && open.contains(&state.as_str()));
            (merged && !busy).then_some(status)
        })
        .await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output, which must be one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks the node behind a socket, as an operator does.
pub(crate) async fn ask(socket: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--socket").arg(socket);
    // The node may run on this test's own threads.
    let output: Output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same with `--json`, of a question that has an answer.
pub(crate) async fn cli(socket: &Path, arguments: &[&str]) -> Value {
    let ran = ask(socket, &[&["--json"], arguments].concat()).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.json()
}

/// The program following something, line by line; killed when the test ends before it.
pub(crate) struct Follower {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Follower {
    /// Starts it against the node behind a socket.
    pub(crate) fn start(socket: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .arg("--socket")
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::default();
        listen(child.stderr.take().unwrap(), &said);
        let (sender, lines) = mpsc::unbounded_channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // ends when the program does, or when the test no longer listens
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, said }
    }

    /// Its next line.
    pub(crate) async fn line(&mut self) -> String {
        let line = tokio::time::timeout(LIMIT, self.lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("no line came; {}", self.errors()));
        line.unwrap_or_else(|| panic!("it has ended; {}", self.errors()))
    }

    /// Nobody reads its lines any more.
    pub(crate) fn turn_away(&mut self) {
        self.lines.close();
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        signal(&self.child, "INT");
    }

    /// What it has said on standard error.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> Option<()> {
        self.child.try_wait().unwrap().map(drop)
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        until("the program ends", async || self.child.try_wait().unwrap())
            .await
            .code()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let told = Command::new("sh")
        .args(["-c", &format!("kill -{name} {id}")])
        .status();
    assert!(told.unwrap().success());
}
