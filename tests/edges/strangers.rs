//! Strangers on the broker: a client in Python that knows nothing of this house but its schemas hears what is said, and says
//! what nobody should say. An `AsyncAPI` tool reads the description of the messages.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::several_stores::owns;
use crate::support::rabbit::Places;
use crate::support::{
    Daemon, MANIFEST, OFFICE, Province, Target, cli, client, code, patch, post, row, until,
};

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");

/// The account and the store of the stranger who says things.
const ACCOUNT: &str = "nguoi-la";
const STORE: &str = "0198c1f4b7";

/// A program of `tests/strangers`, started.
struct Stranger {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Stranger {
    fn start(words: &[&str]) -> Self {
        let folder = Path::new(HOUSE).join("tests/strangers");
        let mut child = Command::new(folder.join(".venv/bin/python"))
            .arg(folder.join("stranger.py"))
            .args(words)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/strangers/install sees to it that the stranger is there");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that it prints.
    fn line(&mut self) -> Option<String> {
        block_in_place(|| self.lines.next()).transpose().unwrap()
    }

    /// Everything that it still prints; it must end well.
    fn rest(mut self) -> Vec<Value> {
        let mut told = Vec::new();
        while let Some(line) = self.line() {
            told.push(serde_json::from_str(&line).unwrap());
        }
        let end = block_in_place(|| self.child.wait()).unwrap();
        assert!(end.success(), "the stranger is not content: see above");
        told
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // One that has ended does not mind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A daemon on a virtual host of its own, where the stranger's account speaks for the stranger's store.
async fn daemon(places: &Places, targets: &[(&str, Option<&str>, &str)]) -> (Province, Daemon) {
    let province = Province::new(targets);
    let accounts = format!("accounts = {{ \"{STORE}\" = \"{ACCOUNT}\" }}");
    let broker = format!("[broker]\nurl = \"{}\"\n{accounts}\n[http]", places.url());
    province.reconfigure("[http]", &broker);
    let daemon = province.start().await;
    (province, daemon)
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_hears_every_event_as_the_schemas_and_the_cloudevents_package_have_it() {
    const DOSSIERS: u32 = 12;
    let places = Places::shared().await;
    let (_province, daemon) = daemon(&places, &[]).await;
    let (status, _) = post(&daemon.hook, &row(99)).await;
    assert_eq!(status, 200);
    // The exchange is there once the node has said something.
    daemon.rest().await;
    let mut stranger = Stranger::start(&["hear", &places.url(), &DOSSIERS.to_string()]);
    assert_eq!(stranger.line().as_deref(), Some("ready"));
    for n in 1..=DOSSIERS {
        let (status, _) = post(&daemon.hook, &row(n)).await;
        assert_eq!(status, 200);
    }
    let heard = stranger.rest();
    let subjects: BTreeSet<&str> = heard
        .iter()
        .filter_map(|event| event["subject"].as_str())
        .collect();
    let codes: Vec<String> = (1..=DOSSIERS).map(code).collect();
    assert_eq!(subjects, codes.iter().map(String::as_str).collect());
    let (account, _) = places.account();
    assert!(heard.iter().all(|event| event["account"] == json!(account)));
    places.tell(&format!("a stranger heard {} events, each valid", heard.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_hears_every_type_of_event_and_each_is_as_its_schema_has_it() {
    let places = Places::shared().await;
    let book = Target::start().await;
    let office = OFFICE
        .replace("[owns]", "[owns]\nidentity = \"always\"")
        .replace("[webhook.dossier]", "settle = \"90s\"\n[webhook.dossier]");
    let targets = [
        ("book", Some(MANIFEST), book.url.as_str()),
        ("office", Some(office.as_str()), "http://127.0.0.1:9"),
    ];
    let (_province, daemon) = daemon(&places, &targets).await;
    assert_eq!(post(&daemon.hook, &row(99)).await.0, 200);
    daemon.rest().await;
    let mut stranger = Stranger::start(&["hear", &places.url(), "every"]);
    assert_eq!(stranger.line().as_deref(), Some("ready"));
    // An office receives a dossier, the book gives it a code of its own, the office works on it to the end.
    let hook = daemon.hook.replace("/hooks/one-stop", "/hooks/office");
    for (minute, said) in [
        json!({}),
        json!({"identity": {"outcome": "mismatch", "fields": ["name"]}}),
        json!({"note": "Bổ sung phiếu hẹn"}),
        json!({"status": {"value": "in_progress"}}),
        json!({"results": [{"code": "KQ", "number": "133/PLLTP-STP"}]}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = patch(&code(1), 1);
        record["at"] = json!(format!("2026-03-06T02:0{minute}:00Z"));
        record
            .as_object_mut()
            .unwrap()
            .extend(said.as_object().unwrap().clone());
        let request = client().post(&hook).header("x-key", "k").json(&record);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["code"], "mapped", "{record}: {answer}");
    }
    let mut heard: BTreeMap<String, u32> = BTreeMap::new();
    for event in stranger.rest() {
        let kind = event["type"].as_str().unwrap();
        *heard
            .entry(kind.replace("vn.lienthong.dossier.", ""))
            .or_default() += 1;
    }
    let types: Vec<&str> = heard.keys().map(String::as_str).collect();
    assert_eq!(
        types,
        [
            "identity-checked",
            "linked",
            "received",
            "result-issued",
            "status-changed",
            "updated"
        ]
    );
    places.tell(&format!("a stranger heard {heard:?}, each valid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_should_not_say_is_refused_or_held_and_what_is_newer_is_kept() {
    let places = Places::shared().await;
    let password = json!({"password": ACCOUNT, "tags": ""});
    places
        .ask(Method::PUT, &format!("users/{ACCOUNT}"), &password)
        .await;
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    let rights = format!("permissions/{}/{ACCOUNT}", places.vhost);
    places.ask(Method::PUT, &rights, &all).await;
    let (_first, mut speaker) = daemon(&places, &[]).await;
    assert_eq!(post(&speaker.hook, &row(1)).await.0, 200);
    speaker.rest().await;
    let mut stranger = Stranger::start(&["hear", &places.url(), "1"]);
    assert_eq!(stranger.line().as_deref(), Some("ready"));
    assert_eq!(post(&speaker.hook, &row(2)).await.0, 200);
    let heard = stranger.rest().remove(0);
    speaker.rest().await;
    speaker.terminate();
    assert_eq!(speaker.end().await.code(), Some(0));

    // Another node, in a province that has moved the one-stop to the stranger's store.
    let book = Target::start().await;
    let office = OFFICE.replace("[webhook.dossier]", "settle = \"90s\"\n[webhook.dossier]");
    let province = Province::new(&[
        ("book", Some(MANIFEST), book.url.as_str()),
        ("office", Some(office.as_str()), "http://127.0.0.1:9"),
    ]);
    let one_stop = "[adapter.one-stop]\nurl = \"http://127.0.0.1:9\"\n";
    let shipped = include_str!("../../adapters/one-stop/adapter.toml");
    let owns = owns(shipped);
    let agreed = format!(
        "[province.adapters.one-stop]\naccount = \"{ACCOUNT}\"\n[province.adapters.one-stop.owns]\n{owns}"
    );
    province.reconfigure(one_stop, &agreed);
    let broker = format!(
        "[broker]\nurl = \"{}\"\naccounts = {{ \"{STORE}\" = \"{ACCOUNT}\" }}\n[http]",
        places.url()
    );
    province.reconfigure("[http]", &broker);
    let mut daemon = province.start().await;
    let file = province.path("heard.json");
    std::fs::write(&file, heard.to_string()).unwrap();

    let (user, password) = places.account();
    let own = places
        .url()
        .replace(&format!("{user}:{password}@"), &format!("{ACCOUNT}:{ACCOUNT}@"));
    let said = Stranger::start(&["say", &own, STORE, file.to_str().unwrap()]).rest();
    let names: Vec<&str> = said.iter().filter_map(|case| case["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "malformed",
            "without-time",
            "forged",
            "under-another-key",
            "not-its-own",
            "a-year-ahead",
            "stranger-adapter",
            "its-listeners",
            "newer"
        ]
    );
    let socket = province.socket();
    let refused = until("six are refused", async || {
        let letters = cli(&socket, &["dead-letter", "list"]).await;
        let letters = letters.as_array().unwrap().clone();
        (letters.len() >= 6).then_some(letters)
    })
    .await;
    let mut causes: BTreeMap<&str, u32> = BTreeMap::new();
    for letter in &refused {
        *causes
            .entry(letter["cause"]["code"].as_str().unwrap())
            .or_default() += 1;
    }
    let expected = [
        ("account-mismatch", 1),
        ("adapter-mismatch", 1),
        ("event-malformed", 2),
        ("key-mismatch", 1),
        ("not-owner", 1),
    ];
    assert_eq!(causes, BTreeMap::from(expected));
    let status = until("two are held", async || {
        let status = cli(&socket, &["status"]).await;
        let waiting = |adapter: &str| {
            let counts = status["counts"]["inbox"].as_array().unwrap().iter();
            let of_adapter = counts.filter(|count| count[0] == adapter && count[1] == "waiting");
            of_adapter.filter_map(|count| count[2].as_i64()).sum::<i64>()
        };
        (waiting("one-stop") == 1 && waiting("cadastre") == 1).then_some(status)
    })
    .await;
    assert_eq!(status["broker_trouble"], Value::Null);
    until("the newer one is merged", async || {
        let story = cli(&socket, &["dossier", "history", &code(2)]).await;
        story
            .to_string()
            .contains("vn.lienthong.dossier.archived")
            .then_some(())
    })
    .await;
    // The node is as well as it was.
    let hook = daemon.hook.replace("/hooks/one-stop", "/hooks/office");
    let request = client()
        .post(&hook)
        .header("x-key", "k")
        .json(&patch(&code(3), 3));
    assert_eq!(request.send().await.unwrap().status(), 200);
    daemon.rest().await;
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
    let url = format!("sqlite://{}", province.path("lienthong.db").display());
    let store = lienthong::store::open(&url).await.unwrap();
    let id: Value = heard["data"]["id"].clone();
    let id = serde_json::from_value(id).unwrap();
    let kept = json!(store.replicas(&[id]).await.unwrap()[&id].dossier);
    assert_eq!(
        kept["registers"]["applicant.household"]["value"],
        json!({"members": 4})
    );
    assert_eq!(kept["registers"]["procedure"]["value"]["future"], "còn mới");
    places.tell(&format!(
        "of {} messages of a stranger 6 were refused, 2 held, 1 kept",
        said.len()
    ));
}

#[test]
fn asyncapi_document_is_valid_for_a_tool_of_others() {
    let folder = Path::new(HOUSE).join("tests/strangers");
    let output = Command::new("node")
        .arg(folder.join("asyncapi.mjs"))
        .arg(Path::new(HOUSE).join("schemas/asyncapi.yaml"))
        .output()
        .expect("tests/strangers/install sees to it that node is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let described: BTreeSet<&str> = messages
        .iter()
        .filter_map(|message| message["name"].as_str())
        .collect();
    let files = std::fs::read_dir(Path::new(HOUSE).join("schemas/events")).unwrap();
    let schemas = files.map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    let published: Vec<Value> = schemas.collect();
    let published: BTreeSet<&str> = published
        .iter()
        .filter_map(|schema| schema["title"].as_str())
        .collect();
    assert_eq!(described, published);
    assert!(
        messages
            .iter()
            .all(|message| message["payload"] == true && message["headers"].is_object())
    );
}
