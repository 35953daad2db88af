//! The built daemon: its configuration, its life and its deaths.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lienthong::admin::client::Client;
use lienthong::admin::status::Status;
use lienthong::demo::SECRETS;
use lienthong::store::{self, Store};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

use crate::broker::Broker;
use crate::cell::Blow;
use crate::stores;
use crate::support::{LIMIT, Process, install_tls, is_stopped, tail, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lienthong");

/// Deliveries in these states are still on the way. What waits may wait for ever, for a parent that is parked: whether it
/// may is for the judge to say.
const OPEN: [&str; 3] = ["due", "in_doubt", "backing_off"];

/// How often it is to be found at rest, one time after another.
const QUIET: u32 = 3;

/// Where the daemon of a province is now; it has another process and another port after each death.
#[derive(Debug, Clone, Default)]
pub(crate) struct Address(Arc<Mutex<Option<(Pid, String)>>>);

impl Address {
    fn set(&self, now: Option<(Pid, String)>) {
        *self.0.lock().unwrap() = now;
    }

    /// Where the source is taken in, if the daemon lives.
    pub(crate) fn hook(&self) -> Option<String> {
        self.0.lock().unwrap().as_ref().map(|(_, hook)| hook.clone())
    }

    /// Signals the daemon from outside, whatever it is doing.
    pub(crate) fn strike(&self, signal: Signal) {
        // One that has died meanwhile does not hear it.
        self.pid().map(|pid| kill_process(pid, signal));
    }

    /// Whether SIGSTOP has frozen the daemon.
    pub(crate) fn is_stopped(&self) -> bool {
        self.pid().is_some_and(is_stopped)
    }

    fn pid(&self) -> Option<Pid> {
        self.0.lock().unwrap().as_ref().map(|(pid, _)| *pid)
    }
}

/// What a daemon is started with.
pub(crate) struct Site<'a> {
    /// Where everything of it lies.
    pub(crate) folder: &'a Path,
    /// The folder of the adapter folders.
    pub(crate) adapters: &'a Path,
    /// Its tables `[adapter.NAME]`.
    pub(crate) systems: &'a str,
    /// Address where webhooks are taken; port 0 is another one for each process.
    pub(crate) listen: &'a str,
    /// Path of the webhook that the test speaks to.
    pub(crate) hook: &'static str,
}

/// A daemon that is started again whenever it dies.
pub(crate) struct Node {
    folder: PathBuf,
    store: String,
    broker: Broker,
    hook: &'static str,
    process: Process,
    address: Address,
    /// What the processes before this one have said.
    before: String,
    /// How long it lies still when it was stopped.
    pause: Duration,
    /// How often it was killed.
    pub(crate) kills: u64,
    /// How often it was stopped, and woke again.
    pub(crate) stops: u64,
    /// What the broker had for it at its kills and was not acknowledged; none where the broker dies with it.
    pub(crate) unacknowledged: u64,
}

impl Node {
    /// Writes the configuration and starts the first daemon, with this fail point armed: `NAME:NTH:ACT`. `address` is kept
    /// up to date.
    pub(crate) async fn start(
        site: Site<'_>,
        failpoint: Option<&str>,
        pause: Duration,
        address: Address,
    ) -> Result<Self, String> {
        let Site {
            folder,
            adapters,
            systems,
            listen,
            hook,
        } = site;
        let store = stores::url(folder);
        let broker = Broker::chosen().await;
        let systems = format!("{}{systems}", broker.section());
        configure(folder, &store, adapters, &systems, listen);
        let mut node = Self {
            folder: folder.to_owned(),
            store,
            broker,
            hook,
            process: spawn(folder, failpoint),
            address,
            before: String::new(),
            pause,
            kills: 0,
            stops: 0,
            unacknowledged: 0,
        };
        node.listening().await?;
        Ok(node)
    }

    /// Waits until the daemon listens; one that was killed or stopped before is treated as ever.
    async fn listening(&mut self) -> Result<(), String> {
        loop {
            let log = self.process.log();
            if let Some((_, rest)) = log.split_once("webhooks on ")
                && let Some((url, _)) = rest.split_once(',')
            {
                self.address
                    .set(Some((self.process.pid(), format!("{url}{}", self.hook))));
                return Ok(());
            }
            if !Box::pin(self.look_after()).await? {
                sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Looks after the daemon once: one that was killed is started again, without a fail point, one that was stopped is
    /// woken after its pause. Whether there was something to do.
    ///
    /// # Errors
    /// It ended in another way than by the kill that was meant for it.
    pub(crate) async fn look_after(&mut self) -> Result<bool, String> {
        if let Some(end) = self.process.ended() {
            self.address.set(None);
            if std::os::unix::process::ExitStatusExt::signal(&end) != Some(Signal::KILL.as_raw()) {
                return Err(format!("the daemon ended by itself, {end}"));
            }
            self.kills += 1;
            self.before = self.log();
            if self.broker.url().is_some() {
                let store = store::open(&self.store)
                    .await
                    .map_err(|error| error.to_string())?;
                self.unacknowledged += u64::from(self.broker.left(store.id()).await);
            }
            self.process = spawn(&self.folder, None);
            self.listening().await?;
            return Ok(true);
        }
        if is_stopped(self.process.pid()) {
            sleep(self.pause).await;
            self.process.signal(Signal::CONT);
            self.stops += 1;
            return Ok(true);
        }
        Ok(false)
    }

    /// Killed, and left so.
    pub(crate) async fn fall(&mut self) -> Result<(), String> {
        self.strike(Blow::Kill);
        self.fallen().await
    }

    /// Waits until it was killed by the blow that was meant for it; it is left so.
    pub(crate) async fn fallen(&mut self) -> Result<(), String> {
        let end = until("the daemon is killed", async || self.process.ended()).await?;
        if std::os::unix::process::ExitStatusExt::signal(&end) != Some(Signal::KILL.as_raw()) {
            return Err(format!(
                "the daemon ended by itself, {end}\n{}",
                tail(&self.log())
            ));
        }
        self.address.set(None);
        self.kills += 1;
        Ok(())
    }

    /// Starts one that has fallen, with this fail point armed. Whether it comes to listen: not if it ends before that, or
    /// stands where somebody who looks wants it to be struck.
    pub(crate) async fn rises(
        &mut self,
        failpoint: Option<&str>,
        is_to_fall: impl Fn() -> bool,
    ) -> Result<bool, String> {
        self.before = self.log();
        self.process = spawn(&self.folder, failpoint);
        let rises = until("it falls or listens", async || {
            let falls = is_to_fall() || self.process.ended().is_some();
            let listens = || self.process.log().contains("webhooks on ");
            if falls {
                Some(false)
            } else {
                listens().then_some(true)
            }
        });
        let rises = rises.await?;
        if rises {
            self.listening().await?;
        }
        Ok(rises)
    }

    /// Killed, and started again while something that it needs is away: when it has said so twice, that comes back.
    ///
    /// # Errors
    /// It ends in place of waiting.
    pub(crate) async fn start_without(&mut self, said: &str, back: impl AsyncFnOnce()) -> Result<(), String> {
        self.strike(Blow::Kill);
        until("it is killed", async || self.process.ended()).await?;
        self.kills += 1;
        self.before = self.log();
        self.process = spawn(&self.folder, None);
        until("it waits", async || {
            (self.process.log().matches(said).count() > 1).then_some(())
        })
        .await?;
        back().await;
        self.listening().await
    }

    /// Struck from outside, at whatever moment; the next look after it starts it again, or wakes it after its pause.
    pub(crate) fn strike(&self, blow: Blow) {
        self.process.signal(blow.signal());
    }

    /// Waits until it was stopped by the blow that was meant for it.
    pub(crate) async fn stopped(&self) -> Result<(), String> {
        until("the daemon is stopped", async || {
            is_stopped(self.process.pid()).then_some(())
        })
        .await
    }

    /// Address of its store.
    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    /// What a second daemon says that is started on the same store.
    pub(crate) fn second(&self) -> Output {
        command(&self.folder, None).output().unwrap()
    }

    /// Looks after the daemon as long as anybody waits for that. Ends only where the daemon ends by itself: why.
    pub(crate) async fn live(&mut self) -> String {
        loop {
            if let Err(failure) = self.look_after().await {
                return format!("{failure}\n{}", tail(&self.log()));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What all its processes have said.
    pub(crate) fn log(&self) -> String {
        format!("{}{}", self.before, self.process.log())
    }

    /// Waits until nothing is left that it could do; a blow that was still to come may fall meanwhile.
    ///
    /// # Errors
    /// That never comes about.
    pub(crate) async fn rest(&mut self) -> Result<Status, String> {
        install_tls();
        let admin = Client::new(&self.folder.join("admin.sock")).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + LIMIT;
        let mut last = None;
        // An event that moves on between two of the counts is in neither of them: one look is not enough.
        let mut quiet = 0;
        // The same for one that leaves the broker after the counts and before the broker is asked.
        let mut merged = None;
        while Instant::now() < deadline {
            if self.look_after().await? {
                continue;
            }
            // One that is frozen in the middle does not answer.
            let asked = timeout(Duration::from_secs(2), admin.get::<Status>(&["status"], &[])).await;
            if let Ok(Ok(status)) = asked {
                let rows = &status.counts.deliveries;
                let is_open = |state: &str| OPEN.contains(&state);
                let busy = rows
                    .iter()
                    .any(|(_, _, state, count)| *count > 0 && is_open(state));
                quiet = if busy || status.counts.outbox > 0 {
                    0
                } else {
                    quiet + 1
                };
                if quiet == QUIET {
                    if merged.as_ref() == Some(&status.counts) {
                        return Ok(status);
                    }
                    // What was confirmed may still lie there, or on the way from there.
                    let is_back =
                        self.broker.is_empty(&status.store_id).await && stores::is_merged(&self.store).await;
                    merged = is_back.then(|| status.counts.clone());
                    quiet = 0;
                }
                last = Some(status.counts);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!(
            "the daemon never comes to rest: {last:?}\n{}",
            tail(&self.log())
        ))
    }

    /// Where everything of it lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The most memory that the process has had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let pid = self.process.pid().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok())
            .expect("Linux says how much memory a process has had")
    }

    /// The operator's program, speaking to the daemon.
    pub(crate) fn cli(&self, words: &[&str]) -> Process {
        let mut command = Command::new(PROGRAM);
        command
            .args(words)
            .arg("--socket")
            .arg(self.folder.join("admin.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Process::new(command.spawn().unwrap())
    }

    /// What it says of itself, if it can.
    pub(crate) async fn status(&self) -> Option<Status> {
        install_tls();
        let admin = Client::new(&self.folder.join("admin.sock")).ok()?;
        admin.get(&["status"], &[]).await.ok()
    }

    /// Ends it as an operator does, and opens what it leaves behind.
    pub(crate) async fn stop(mut self) -> Result<(Box<dyn Store>, String), String> {
        self.process.signal(Signal::TERM);
        let end = until("the daemon ends", async || self.process.ended()).await?;
        if !end.success() {
            return Err(format!("the daemon was told to end, and ended with {end}"));
        }
        let store = store::open(&self.store)
            .await
            .map_err(|error| error.to_string())?;
        Ok((store, self.log()))
    }
}

fn configure(folder: &Path, store: &str, adapters: &Path, systems: &str, listen: &str) {
    let (place, adapters) = (folder.display(), adapters.display());
    let config = format!(
        "[store]\nurl = \"{store}\"\n[http]\nlisten = \"{listen}\"\n\
         [admin]\nsocket = \"{place}/admin.sock\"\n[adapters]\nfolder = \"{adapters}\"\n{systems}"
    );
    std::fs::write(folder.join("lienthong.toml"), config).unwrap();
}

fn spawn(folder: &Path, failpoint: Option<&str>) -> Process {
    Process::new(command(folder, failpoint).spawn().unwrap())
}

fn command(folder: &Path, failpoint: Option<&str>) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("run")
        .arg("--config")
        .arg(folder.join("lienthong.toml"))
        .env("LIENTHONG_LOG", "info")
        .env("NO_COLOR", "1")
        .env_remove("LIENTHONG_FAILPOINT")
        .envs(SECRETS)
        .envs(failpoint.map(|point| ("LIENTHONG_FAILPOINT", point)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
