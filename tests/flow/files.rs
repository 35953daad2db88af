//! Verbs that read what people wrote (adapters, configurations), and the daemon that starts from it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lienthong::demo::FILES;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Adapters, binary, dossiers, run, shipped, stand_in, text, within_patience};

fn codes(faults: &Value) -> Vec<&str> {
    let faults = faults.as_array().unwrap();
    faults
        .iter()
        .map(|fault| fault["code"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn shipped_adapters_pass_their_check_and_their_samples() {
    let folders = ["one-stop", "national-portal"].map(|name| text(&shipped().join(name)));
    let [one_stop, portal] = &folders;
    let ran = run(&["adapter", "check", one_stop, portal]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out.matches(": no faults").count(), 2, "{}", ran.out);
    let ran = run(&["adapter", "test", one_stop, portal, "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for report in ran.json().as_array().unwrap() {
        assert_eq!(report["faults"], json!([]));
        let cases = report["cases"].as_array().unwrap();
        assert!(cases.len() >= 8 && cases.iter().all(|case| case["passed"] == true));
    }
}

#[tokio::test]
async fn broken_adapter_is_told_all_its_faults_at_once() {
    let adapters = Adapters::copy()
        .replace(
            "one-stop/adapter.toml",
            "every   = \"30s\"",
            "every   = \"often\"",
        )
        .replace("one-stop/adapter.toml", "reply  = ", "repyl  = ")
        .replace(
            "one-stop/adapter.toml",
            "'.data[]'\ncursor",
            "'.data[] | no_such_function'\ncursor",
        )
        .append("one-stop/inbound.jq", "\n| no_such_filter\n")
        .append("one-stop/tables/channel.csv", "7\n");
    let folder = text(&adapters.folder().join("one-stop"));
    for verb in ["check", "test"] {
        let ran = run(&["adapter", verb, &folder, "--json"]).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        let reports = ran.json();
        let faults = &reports[0]["faults"];
        let places: Vec<&str> = faults
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|fault| fault["file"].as_str())
            .collect();
        for place in ["adapter.toml", "inbound.jq", "tables/channel.csv"] {
            assert!(places.contains(&place), "{place} in {places:?}");
        }
        assert!(codes(faults).len() >= 4, "{faults}");
        for fault in faults.as_array().unwrap() {
            assert!(fault["line"].is_u64() && fault["expected"].is_string(), "{fault}");
        }

        let ran = run(&["adapter", verb, &folder]).await;
        assert_eq!(ran.code, 2);
        for said in [
            "adapter.toml:",
            "often",
            "no_such_filter",
            "no_such_function",
            "channel.csv",
            "`reply`",
        ] {
            assert!(ran.out.contains(said), "{said} in {}", ran.out);
        }
    }
}

#[tokio::test]
async fn mapping_that_breaks_a_sample_is_judged_by_the_sample() {
    let adapters = Adapters::copy().replace(
        "national-portal/dossier.jq",
        "  Email: ($contact.email | text),\n",
        "",
    );
    let folder = text(&adapters.folder().join("national-portal"));
    let ran = run(&["adapter", "check", &folder]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.out.contains("[sample-differs]") && ran.out.contains("Email"),
        "{}",
        ran.out
    );
    let ran = run(&["adapter", "test", &folder]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("FAIL  push.dossier/") && ran.out.contains("Email"),
        "{}",
        ran.out
    );
}

/// A site's folder with its configuration.
struct Site(TempDir);

impl Site {
    /// A site whose systems are at these addresses.
    fn new(one_stop: &str, portal: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let text = format!(
            "[store]\nurl = \"sqlite://{at}/lienthong.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [admin]\nsocket = \"{at}/admin.sock\"\n[adapters]\nfolder = \"{}\"\n\
             [adapter.one-stop]\nurl = \"{one_stop}\"\nsettings = {{ files = \"{FILES}\" }}\n\
             [adapter.national-portal]\nurl = \"{portal}\"\n",
            shipped().display()
        );
        std::fs::write(folder.path().join("lienthong.toml"), text).unwrap();
        Self(folder)
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("lienthong.toml")
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("admin.sock")
    }
}

#[tokio::test]
async fn good_configuration_names_what_it_hosts() {
    let site = Site::new("http://127.0.0.1:1", "http://127.0.0.1:1");
    let config = text(&site.config());
    let ran = run(&["config", "check", "--config", &config]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in ["no faults; hosts", "one-stop", "national-portal"] {
        assert!(ran.out.contains(said), "{said} in {}", ran.out);
    }
    let ran = run(&["config", "check", "--config", &config, "--json"]).await;
    assert_eq!((ran.code, &ran.json()["faults"]), (0, &json!([])));
}

#[tokio::test]
async fn bad_configuration_is_told_all_its_faults_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lienthong.toml");
    std::fs::write(
        &path,
        "[store]\nulr = \"sqlite:///tmp/x.db\"\n[http]\nlisten = \"somewhere\"\n[admin]\nsocket = 7\n[adapter.one-stop]\nurl = 8\n",
    )
    .unwrap();
    let config = text(&path);
    for verb in [&["config", "check"][..], &["run"]] {
        let ran = run(&[verb, &["--config", &config]].concat()).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        for said in [
            format!("{config}:2:"),
            "store.url".to_owned(),
            format!("{config}:3:"),
            "http.listen".to_owned(),
            format!("{config}:6:"),
            "[adapters]".to_owned(),
            format!("{config}:8:"),
        ] {
            assert!(ran.err.contains(&said), "{said} in {}", ran.err);
        }
    }
    let ran = run(&["config", "check", "--config", &config, "--json"]).await;
    assert_eq!(ran.code, 2);
    assert!(codes(&ran.json()["faults"]).len() >= 5, "{ran:?}");
}

#[tokio::test]
async fn adapter_faults_and_missing_secrets_are_faults_of_the_configuration() {
    let site = Site::new("http://127.0.0.1:1", "http://127.0.0.1:1");
    let mut command = binary();
    command.args(["config", "check", "--config", &text(&site.config())]);
    for name in ["ONE_STOP_WEBHOOK_SECRET", "NATIONAL_PORTAL_PASSWORD"] {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    for said in [
        "one-stop/adapter.toml",
        "ONE_STOP_WEBHOOK_SECRET",
        "national-portal/adapter.toml",
        "NATIONAL_PORTAL_PASSWORD",
    ] {
        assert!(told.contains(said), "{said} in {told}");
    }
    let ran = run(&["config", "check", "--config", "/nowhere/lienthong.toml"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("/nowhere/lienthong.toml"), "{}", ran.err);
}

/// Starts the daemon and waits for its word that it listens.
fn start(config: &Path) -> std::process::Child {
    let mut child = binary()
        .args(["run", "--config", &text(config)])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("webhooks on http://") {
        said.clear();
        assert_ne!(
            lines.read_line(&mut said).unwrap(),
            0,
            "it ended before it listened"
        );
    }
    // Its log goes on; somebody has to read it.
    std::thread::spawn(move || lines.lines().for_each(drop));
    child
}

#[tokio::test]
async fn daemon_runs_from_its_configuration_until_it_is_told_to_stop() {
    let one_stop = stand_in(
        "one-stop",
        json!({"user": "lienthong", "password": "demo-one-stop-password"}),
    )
    .await;
    let portal = stand_in(
        "national-portal",
        json!({"username": "h56", "password": "demo-portal-password"}),
    )
    .await;
    for row in dossiers().into_iter().take(2) {
        one_stop.insert("HoSo", row).await.unwrap();
    }
    let site = Site::new(&one_stop.url(), &portal.url());
    let config = site.config();
    let mut child = tokio::task::spawn_blocking(move || start(&config)).await.unwrap();
    let socket = text(&site.socket());
    let applied = json!(["national-portal", "dossier", "applied", 2]);
    within_patience(async || {
        let ran = run(&["status", "--json", "--socket", &socket]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()["counts"]["deliveries"]
            .as_array()
            .unwrap()
            .contains(&applied)
    })
    .await;
    assert_eq!(portal.rows("HoSo").len(), 2);

    let stopped = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    let ended = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(
        !site.socket().exists(),
        "a socket without a listener would puzzle the next start"
    );
    one_stop.stop().await;
    portal.stop().await;
}
