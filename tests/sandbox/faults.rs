//! Faults that a stand-in is told to suffer: each really happens, to what is stored as well, and is counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lienthong::fault::Fault;
use lienthong::sandbox::{FaultKind, Faults, Options, Sandbox};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{LIMIT, Receiver, answer, client, clock, install_tls, settings, within_limit};

const TOML: &str = r#"
[tables]
Things   = '.id'
Sessions = '.token'

[settings]
webhook = ""

[[route]]
on     = "POST /session/{token}"
answer = '{body: {token: .params.token}, rows: {Sessions: [{token: .params.token}]}}'

[[route]]
on     = "POST /things/{id}"
when   = '$db.Sessions[.headers.token // ""] | . == null or .closed == true'
answer = '{status: 401, body: {said: "no such session"}}'

[[route]]
on     = "POST /things/{id}"
name   = "put"
answer = '{body: {said: "stored"}, rows: {Things: [{id: .params.id}]}}'

[[route]]
on     = "DELETE /session/{token}"
answer = '{rows: {Sessions: [{token: .params.token, closed: true}]}}'

[[route]]
on     = "GET /things/{id}"
name   = "get"
answer = '{body: $db.Things[.params.id]}'

[[send]]
table = "Things"
when  = '$settings.webhook != ""'
url   = '\($settings.webhook)'
body  = '{told: .id}'
pause = "20ms"

[faults]
error_in_200 = '{body: {said: "something is wrong inside"}}'
session_lost = ["Sessions"]
"#;

/// A time that no test lives to see.
const FOR_EVER: Duration = Duration::from_hours(1);

fn made_up(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sandbox.toml"), text).unwrap();
    folder
}

async fn start(folder: &Path, given: Value, faults: Faults) -> Result<Sandbox, Vec<Fault>> {
    install_tls();
    let options = Options {
        settings: settings(given),
        clock: Arc::new(clock()),
        faults,
        ..Options::default()
    };
    Sandbox::start(folder, options).await
}

/// A stand-in on which every request that can suffers `kind`; the session `open` is open.
struct World {
    kind: FaultKind,
    sandbox: Sandbox,
    client: reqwest::Client,
    _folder: TempDir,
}

impl World {
    async fn suffering(kind: FaultKind, late: Duration) -> Self {
        let folder = made_up(TOML);
        let faults = Faults::new(1, 1, late, [kind]);
        let sandbox = start(folder.path(), json!({}), faults).await.unwrap();
        sandbox
            .insert("Sessions", json!({"token": "open"}))
            .await
            .unwrap();
        Self {
            kind,
            sandbox,
            client: client(),
            _folder: folder,
        }
    }

    fn put(&self, id: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/things/{id}", self.sandbox.url());
        self.client.post(url).header("token", "open")
    }

    async fn get(&self, id: &str) -> (u16, Value) {
        answer(self.client.get(format!("{}/things/{id}", self.sandbox.url()))).await
    }

    fn bitten(&self) -> u64 {
        self.sandbox.bitten()[&self.kind]
    }

    fn things(&self) -> usize {
        self.sandbox.count("Things")
    }
}

/// Everything that comes back on a connection of its own, until it is closed.
async fn bytes_back(sandbox: &Sandbox, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(sandbox.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ntoken: open\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut back = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut back))
        .await
        .unwrap()
        .unwrap();
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answer_is_stored_long_before_it_comes() {
    let world = World::suffering(FaultKind::LateAnswer, FOR_EVER).await;
    let call = world.put("a").timeout(LIMIT).send();
    tokio::select! {
        answer = call => panic!("it came: {answer:?}"),
        () = within_limit(|| world.things() == 1 && world.bitten() == 1) => {}
    }
    // A read suffers it too, and is not kept from its turn by the answer that is held back.
    let read = world
        .client
        .get(format!("{}/things/a", world.sandbox.url()))
        .send();
    tokio::select! {
        answer = read => panic!("it came: {answer:?}"),
        () = within_limit(|| world.bitten() == 2) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_commit_comes_although_the_caller_has_hung_up() {
    let world = World::suffering(FaultKind::LateCommit, Duration::from_secs(3)).await;
    let error = world
        .put("a")
        .timeout(Duration::from_millis(300))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(
        world.get("a").await,
        (200, Value::Null),
        "reads are answered meanwhile"
    );
    within_limit(|| world.things() == 1).await;
    assert_eq!(world.bitten(), 1);
    assert_eq!(world.sandbox.calls()["put"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_commit_of_a_session_that_is_gone_by_then_stores_nothing_and_is_not_counted() {
    let world = World::suffering(FaultKind::LateCommit, Duration::from_secs(1)).await;
    let call = world.put("a");
    let url = format!("{}/session/open", world.sandbox.url());
    let (given, ()) = tokio::join!(answer(call), async {
        let gone = world.client.delete(url).send().await.unwrap();
        assert_eq!(gone.status(), 200);
    });
    assert_eq!(given.0, 401);
    assert_eq!((world.things(), world.bitten()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_stores_nothing_and_one_after_the_commit_does() {
    for (kind, stored) in [(FaultKind::Failed, 0), (FaultKind::FailedAfterCommit, 20)] {
        let world = World::suffering(kind, FOR_EVER).await;
        let mut seen = BTreeSet::new();
        for n in 0..20 {
            let response = world.put(&n.to_string()).send().await.unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            seen.insert((response.status().as_u16(), kind));
        }
        let wanted = [
            (500, "application/json; charset=utf-8".to_owned()),
            (503, "text/html; charset=utf-8".to_owned()),
        ];
        assert_eq!(
            seen,
            BTreeSet::from(wanted),
            "{kind:?}: of a server and of a gateway"
        );
        assert_eq!((world.things(), world.bitten()), (stored, 20), "{kind:?}");
        assert!(!world.sandbox.calls().contains_key("put"), "no route answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connection_brings_not_a_byte_back() {
    for (kind, stored) in [(FaultKind::Cut, 0), (FaultKind::CutAfterCommit, 1)] {
        let world = World::suffering(kind, FOR_EVER).await;
        assert_eq!(bytes_back(&world.sandbox, "/things/a").await, "", "{kind:?}");
        assert_eq!((world.things(), world.bitten()), (stored, 1), "{kind:?}");
        let error = world.put("b").send().await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_do_not_suffer_what_needs_a_commit() {
    for kind in FaultKind::OF_WRITES {
        let world = World::suffering(kind, FOR_EVER).await;
        assert_eq!(world.get("a").await, (200, Value::Null), "{kind:?}");
        let opened = world
            .client
            .post(format!("{}/session/other", world.sandbox.url()));
        assert_eq!(answer(opened).await.0, 200, "a session is no commit: {kind:?}");
        assert_eq!(world.bitten(), 0, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_system_says_when_to_come_again() {
    let world = World::suffering(FaultKind::Busy, FOR_EVER).await;
    let response = world.put("a").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &HeaderValue::from_static("1"))
    );
    assert_eq!((world.things(), world.bitten()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn error_in_200_is_the_systems_own_and_stores_nothing() {
    let world = World::suffering(FaultKind::ErrorIn200, FOR_EVER).await;
    let said = json!({"said": "something is wrong inside"});
    assert_eq!(answer(world.put("a")).await, (200, said));
    assert_eq!((world.things(), world.bitten()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_session_is_told_in_the_systems_own_words_until_a_new_one_is_opened() {
    let world = World::suffering(FaultKind::SessionLost, FOR_EVER).await;
    assert_eq!(
        answer(world.put("a")).await,
        (401, json!({"said": "no such session"}))
    );
    assert_eq!((world.sandbox.count("Sessions"), world.bitten()), (0, 1));
    // Nobody has a session: nothing to lose.
    assert_eq!(answer(world.put("a")).await.0, 401);
    assert_eq!((world.things(), world.bitten()), (0, 1));
    let opened = world.client.post(format!("{}/session/open", world.sandbox.url()));
    assert_eq!(answer(opened).await.0, 200, "opening one is not befallen");
    assert_eq!(answer(world.put("a")).await.0, 401);
    assert_eq!(world.bitten(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_sessions_do_not_come_back_with_the_stand_in() {
    let (folder, rows) = (made_up(TOML), tempfile::tempdir().unwrap());
    let faults = Faults::new(1, 1, FOR_EVER, [FaultKind::SessionLost]);
    for sessions in [1, 0] {
        let options = Options {
            folder: Some(rows.path().to_owned()),
            faults: faults.clone(),
            ..Options::default()
        };
        install_tls();
        let sandbox = Sandbox::start(folder.path(), options).await.unwrap();
        if sessions == 1 {
            sandbox
                .insert("Sessions", json!({"token": "open"}))
                .await
                .unwrap();
        }
        assert_eq!(sandbox.count("Sessions"), sessions);
        assert!(bytes_back(&sandbox, "/things/a").await.contains("401"));
        sandbox.stop().await;
    }
    assert_eq!(
        faults.bitten()[&FaultKind::SessionLost],
        1,
        "counted over both lives"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_told_again() {
    let folder = made_up(TOML);
    let mut receiver = Receiver::refusing(0).await;
    let faults = Faults::new(1, 2, FOR_EVER, [FaultKind::ToldAgain]);
    let sandbox = start(folder.path(), json!({"webhook": receiver.url}), faults)
        .await
        .unwrap();
    sandbox.insert("Things", json!({"id": "a"})).await.unwrap();
    let first = receiver.next().await;
    assert_eq!(receiver.next().await.1, first.1, "the same bytes");
    within_limit(|| sandbox.unsent() == 0).await;
    assert!(sandbox.bitten()[&FaultKind::ToldAgain] >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_faults_befall_nobody() {
    let folder = made_up(TOML);
    let faults = Faults::new(1, 1, FOR_EVER, FaultKind::OF_READS);
    faults.end();
    let sandbox = start(folder.path(), json!({}), faults).await.unwrap();
    let asked = client().get(format!("{}/things/a", sandbox.url()));
    assert_eq!(answer(asked).await, (200, Value::Null));
    let bitten = sandbox.bitten();
    assert_eq!(bitten.len(), FaultKind::OF_READS.len());
    assert!(bitten.values().all(|times| *times == 0), "{bitten:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_that_the_description_has_no_words_for_is_refused_at_the_start() {
    let folder = made_up(TOML.split("[faults]").next().unwrap());
    let faults = Faults::new(1, 1, FOR_EVER, FaultKind::OF_READS);
    let refused = start(folder.path(), json!({}), faults).await.err().unwrap();
    let fields: Vec<_> = refused
        .iter()
        .map(|fault| (fault.code.as_str(), fault.field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        fields,
        [
            ("missing-key", "faults.error_in_200"),
            ("missing-key", "faults.session_lost")
        ]
    );
    let folder = made_up(&TOML.replace("[\"Sessions\"]", "[\"Session\"]"));
    let refused = start(folder.path(), json!({}), Faults::default())
        .await
        .err()
        .unwrap();
    assert_eq!(refused[0].code, "sandbox-no-table");
}
