//! What every stand-in can, shown on one that is made up.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lienthong::sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::support::{Receiver, answer, client, clock, settings, start};

const TOML: &str = r#"
[tables]
Things = '.id'
Notes  = ""

[settings]
webhook = ""
word    = "default"

[[route]]
on     = "POST /things/{id}"
name   = "put"
answer = '{status: 201, headers: {"x-word": $settings.word}, body: {id: .params.id, before: ($db.Things[.params.id] != null)}, rows: {Things: [{id: .params.id, n: .body.n}], Notes: [{n: .body.n}]}}'

[[route]]
on     = "POST /broken"
answer = '{body: "said", rows: {Things: [{id: "good"}, {id: ""}]}}'

[[route]]
on     = "POST /failing"
answer = 'error("on purpose")'

[[route]]
on     = "GET /seen/{id}"
sees   = { Things = '.params.id' }
answer = '{body: $db}'

[[send]]
table = "Things"
when  = '$settings.webhook != ""'
url   = '\($settings.webhook)'
body  = '{told: .n}'
pause = "20ms"
"#;

fn made_up(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sandbox.toml"), text).unwrap();
    folder
}

async fn put(client: &reqwest::Client, sandbox: &Sandbox, id: &str, n: u32) -> (u16, Value) {
    answer(
        client
            .post(format!("{}/things/{id}", sandbox.url()))
            .json(&json!({"n": n})),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_stored_before_the_answer_and_keep_the_time_of_their_first_coming() {
    let folder = made_up(TOML);
    let clock = clock();
    let sandbox = start(folder.path(), json!({"word": "given"}), &clock).await;
    let client = client();
    assert_eq!(
        put(&client, &sandbox, "a", 1).await,
        (201, json!({"id": "a", "before": false}))
    );
    let first = sandbox.committed_at("Things", "a").unwrap();
    clock.advance(jiff::SignedDuration::from_secs(60));
    assert_eq!(
        put(&client, &sandbox, "a", 2).await,
        (201, json!({"id": "a", "before": true}))
    );
    assert_eq!(sandbox.rows("Things"), [json!({"id": "a", "n": 2})]);
    assert_eq!(sandbox.rows("Notes"), [json!({"n": 1}), json!({"n": 2})]);
    assert_eq!(sandbox.committed_at("Things", "a"), Some(first));
    assert_eq!(sandbox.calls()["put"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_cannot_be_stored_stores_nothing() {
    let folder = made_up(TOML);
    let sandbox = start(folder.path(), json!({}), &clock()).await;
    for path in ["broken", "failing"] {
        let (status, _) = answer(client().post(format!("{}/{path}", sandbox.url()))).await;
        assert_eq!(status, 500, "{path}");
    }
    assert_eq!(sandbox.rows("Things"), Vec::<Value>::new());
    let codes: Vec<_> = sandbox.faults().into_iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["sandbox-answer", "mapping-error"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn route_sees_only_the_rows_that_it_names() {
    let folder = made_up(TOML);
    let sandbox = start(folder.path(), json!({}), &clock()).await;
    let client = client();
    put(&client, &sandbox, "a", 1).await;
    put(&client, &sandbox, "b", 2).await;
    let (_, seen) = answer(client.get(format!("{}/seen/b", sandbox.url()))).await;
    assert_eq!(seen, json!({"Things": {"b": {"id": "b", "n": 2}}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_row_are_told_in_order_each_as_it_was() {
    let folder = made_up(TOML);
    let mut receiver = Receiver::refusing(3).await;
    let sandbox = start(folder.path(), json!({"webhook": receiver.url}), &clock()).await;
    let client = client();
    for n in 1..=5 {
        put(&client, &sandbox, "a", n).await;
    }
    let mut told = Vec::new();
    for _ in 0..8 {
        let (_, body) = receiver.next().await;
        told.push(serde_json::from_slice::<Value>(&body).unwrap()["told"].clone());
    }
    assert_eq!(told, [1, 1, 1, 1, 2, 3, 4, 5], "three were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_keeps_the_change_and_does_not_hold_up_the_stop() {
    let folder = made_up(TOML);
    let sandbox = start(folder.path(), json!({"webhook": "http://127.0.0.1:9/"}), &clock()).await;
    put(&client(), &sandbox, "a", 1).await;
    assert_eq!(sandbox.unsent(), 1);
    assert_eq!(sandbox.accepted_at("a"), None);
    tokio::time::timeout(crate::support::LIMIT, sandbox.stop())
        .await
        .unwrap();
}

async fn kept(folder: &Path, kept: &Path) -> Sandbox {
    let options = Options {
        folder: Some(kept.to_owned()),
        clock: Arc::new(clock()),
        settings: settings(json!({})),
        ..Options::default()
    };
    Sandbox::start(folder, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_a_folder_outlive_the_stand_in() {
    let (folder, home) = (made_up(TOML), tempfile::tempdir().unwrap());
    let sandbox = kept(folder.path(), home.path()).await;
    for n in 1..=2 {
        put(&client(), &sandbox, "a", n).await;
    }
    let first = sandbox.committed_at("Things", "a");
    sandbox.stop().await;
    let torn = home.path().join("Notes.jsonl");
    let mut notes = fs::read_to_string(&torn).unwrap();
    notes.push_str("{\"at\":");
    fs::write(&torn, notes).unwrap();

    let again = kept(folder.path(), home.path()).await;
    assert_eq!(again.rows("Things"), [json!({"id": "a", "n": 2})]);
    assert_eq!(again.rows("Notes"), [json!({"n": 1}), json!({"n": 2})]);
    put(&client(), &again, "b", 3).await;
    assert_eq!(again.committed_at("Things", "a"), first);
    again.stop().await;
    let last = kept(folder.path(), home.path()).await;
    assert_eq!(
        last.rows("Notes").len(),
        3,
        "the torn line did not spoil the next"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn body_beyond_ten_mebibytes_is_refused() {
    let folder = made_up(TOML);
    let sandbox = start(folder.path(), json!({}), &clock()).await;
    let request = client()
        .post(format!("{}/things/a", sandbox.url()))
        .body(vec![b' '; 10 * 1024 * 1024 + 1]);
    assert_eq!(answer(request).await.0, 413);
    assert_eq!(sandbox.rows("Things"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_descriptions_are_refused_by_name() {
    let broken = |from: &str, to: &str| {
        assert!(TOML.contains(from), "{from}");
        made_up(&TOML.replacen(from, to, 1))
    };
    #[rustfmt::skip]
    let cases = [
        ("on     = \"POST /broken\"", "on     = \"POST broken\"", json!({}), "manifest-value", "route.on"),
        ("Things = '.params.id'", "Other = '.params.id'", json!({}), "sandbox-no-table", "route.sees"),
        ("table = \"Things\"", "table = \"Notes\"", json!({}), "manifest-value", "send.table"),
        ("pause = \"20ms\"", "pause = \"soon\"", json!({}), "manifest-value", "send[0].pause"),
        ("{body: $db}", "{body: $dbs}", json!({}), "unknown-variable", "route[3].answer"),
        ("pause =", "paus =", json!({}), "manifest-syntax", "unknown field"),
        ("[tables]", "[tables]", json!({"wort": 1}), "manifest-unknown-key", "settings.wort"),
    ];
    for (from, to, given, code, says) in cases {
        let folder = broken(from, to);
        let options = Options {
            settings: settings(given),
            ..Options::default()
        };
        let faults = Sandbox::start(folder.path(), options).await.err().unwrap();
        assert_eq!(faults[0].code, code, "{faults:?}");
        assert!(faults[0].to_string().contains(says), "{}", faults[0]);
    }
}
