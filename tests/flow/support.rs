//! Worlds, the officials' work as a list of reports, a sender of signed records, and the built binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use lienthong::demo::input::Input;
use lienthong::demo::judge::{Beside, Verdict, judge};
use lienthong::demo::{Circumstances, FILES, SECRETS, World};
use lienthong::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::stores;

/// Longest time that anything in these tests may take; waits end as soon as what they wait for has come.
const PATIENCE: Duration = Duration::from_mins(3);

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// The shipped adapter folders.
pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")
}

/// A copy of the shipped adapter folders that a test may change.
pub(crate) struct Adapters(TempDir);

impl Adapters {
    pub(crate) fn copy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&shipped(), folder.path());
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Replaces a text that stands exactly once in a file.
    pub(crate) fn replace(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.0.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} stands once in {file}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        self
    }

    /// Adds to the end of a file.
    pub(crate) fn append(self, file: &str, more: &str) -> Self {
        let path = self.0.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + more).unwrap();
        self
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A world whose one-stop has these rows when the node comes and fetches them.
pub(crate) async fn world(adapters: Option<&Path>, before: &[Value]) -> World {
    world_through(adapters, None, before).await
}

/// The same, its node speaking to the portal through this variant.
pub(crate) async fn world_through(adapters: Option<&Path>, variant: Option<&str>, before: &[Value]) -> World {
    install_tls();
    let rows = before.iter().cloned().enumerate();
    let circumstances = Circumstances {
        variant: variant.map(str::to_owned),
        store: stores::postgres(),
        broker: Broker::chosen().await.url(),
        // The other systems are the demo's.
        only: &["one-stop", "national-portal"],
        ..Circumstances::default()
    };
    let (world, faults) = World::open(adapters, circumstances, rows).await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    world
}

/// Waits until `reached` holds and the node has nothing left to do.
pub(crate) async fn settle(world: &World, mut reached: impl FnMut(&World) -> bool) {
    let end = deadline();
    loop {
        let merged = stores::all_merged().await;
        let rested = world.rest(end, &mut reached).await.unwrap();
        assert!(
            rested,
            "what was waited for did not come; at the portal {:?}",
            verdict(world)
        );
        // What was on the way from the broker before it came to rest led to work after that.
        if merged {
            return;
        }
    }
}

/// Waits until the node has nothing left to do with what it was told by webhook: a record that was answered 200 is
/// stored.
pub(crate) async fn settle_told(world: &World) {
    settle(world, |_| true).await;
}

/// What the judge says of the portal, given what the one-stop holds.
pub(crate) fn verdict(world: &World) -> Verdict {
    verdict_for(world, &world.one_stop().rows("HoSo"))
}

/// What the judge says of the portal if these are the dossiers.
pub(crate) fn verdict_for(world: &World, held: &[Value]) -> Verdict {
    let portal = world.portal();
    judge(
        held,
        FILES,
        &Beside::default(),
        &portal.rows("HoSo"),
        &portal.rows("TienDo"),
    )
}

/// Both tables of the portal, in an order of their own.
#[derive(Debug, PartialEq)]
pub(crate) struct Portal {
    pub(crate) dossiers: BTreeMap<String, Value>,
    pub(crate) progress: Vec<String>,
}

pub(crate) fn portal(world: &World) -> Portal {
    let dossiers = world.portal().rows("HoSo");
    let count = dossiers.len();
    let dossiers: BTreeMap<_, _> = dossiers
        .into_iter()
        .map(|row| (row["MaHoSo"].as_str().unwrap().to_owned(), row))
        .collect();
    assert_eq!(dossiers.len(), count, "one record for each code");
    let mut progress: Vec<String> = world
        .portal()
        .rows("TienDo")
        .iter()
        .map(ToString::to_string)
        .collect();
    progress.sort();
    Portal { dossiers, progress }
}

/// How often the portal was asked to look up a dossier, to store one, to store a progress entry.
pub(crate) fn calls(world: &World) -> [u64; 3] {
    let calls = world.portal().calls();
    ["TraCuuHoSo", "DongBoHoSoMC", "CapNhatTienDoHoSoMC"].map(|name| calls.get(name).copied().unwrap_or(0))
}

/// The shipped dossiers as the one-stop has them at first.
pub(crate) fn dossiers() -> Vec<Value> {
    Input::load(None, None).unwrap().dossiers
}

/// A stand-in without a world, whose officials work only when told to.
pub(crate) async fn stand_in(name: &str, settings: Value) -> Sandbox {
    install_tls();
    let options = Options {
        settings: settings.as_object().unwrap().clone(),
        officials: false,
        ..Options::default()
    };
    Sandbox::start(&shipped().join(name), options).await.unwrap()
}

/// Looks again and again until it holds.
pub(crate) async fn within_patience(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = deadline();
    while !holds().await {
        assert!(Instant::now() < deadline, "what was waited for did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every report that the one-stop makes of the shipped dossiers: as they are at first, then, round by round, what the
/// officials have changed.
pub(crate) async fn reports() -> Vec<Vec<Value>> {
    let input = Input::load(None, None).unwrap();
    let one_stop = stand_in("one-stop", json!({})).await;
    for row in &input.dossiers {
        one_stop.insert("HoSo", row.clone()).await.unwrap();
    }
    for act in &input.script {
        one_stop.insert("KichBan", act.clone()).await.unwrap();
    }
    let mut before = one_stop.rows("HoSo");
    let mut rounds = vec![before.clone()];
    loop {
        one_stop.round("officials").await.unwrap();
        let after = one_stop.rows("HoSo");
        let changed: Vec<Value> = after
            .iter()
            .filter(|row| !before.contains(row))
            .cloned()
            .collect();
        if changed.is_empty() {
            break;
        }
        rounds.push(changed);
        before = after;
    }
    one_stop.stop().await;
    rounds
}

/// The shipped dossiers as they are when the officials have done everything.
pub(crate) async fn finals() -> Vec<Value> {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for row in reports().await.into_iter().flatten() {
        last.insert(code(&row).to_owned(), row);
    }
    // In the order in which they are shipped.
    dossiers()
        .iter()
        .map(|row| last.remove(code(row)).unwrap())
        .collect()
}

/// The one of these rows that bears this code.
pub(crate) fn by_code(rows: &[Value], wanted: &str) -> Value {
    rows.iter().find(|row| code(row) == wanted).unwrap().clone()
}

pub(crate) fn code(row: &Value) -> &str {
    row["MaHoSo"].as_str().unwrap()
}

/// Posts a record to the world's webhook, signed as the one-stop signs.
pub(crate) async fn tell(world: &World, row: &Value) -> (u16, Value) {
    let body = row.to_string();
    let secret = SECRETS
        .iter()
        .find(|(name, _)| *name == "ONE_STOP_WEBHOOK_SECRET")
        .unwrap()
        .1;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let response = client
        .post(world.webhook())
        .header("content-type", "application/json")
        .header("x-signature", signature)
        .body(body)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Posts records that the node must take.
pub(crate) async fn tell_all(world: &World, rows: &[Value]) {
    for row in rows {
        let (status, answer) = tell(world, row).await;
        assert_eq!((status, &answer["maLoi"]), (200, &json!("0")), "{}", code(row));
    }
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output, which must be one JSON value.
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.out) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }
}

/// The built binary with nothing of our environment that it listens to.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lienthong"));
    for (name, _) in std::env::vars() {
        if name.starts_with("LIENTHONG_") {
            command.env_remove(name);
        }
    }
    for (name, value) in SECRETS {
        command.env(name, value);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) async fn run<A: AsRef<str>>(arguments: &[A]) -> Ran {
    let mut command = binary();
    command.args(arguments.iter().map(AsRef::as_ref));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary against the world's node.
pub(crate) async fn ask(world: &World, arguments: &[&str]) -> Ran {
    let socket = world.node().admin().display().to_string();
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--socket", &socket]).collect();
    run(&arguments).await
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

pub(crate) fn install_tls() {
    // A second test of the same process finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
}
