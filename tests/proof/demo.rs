//! The demo's sixty-two dossiers and all that the officials do with them, through the built daemon and the shipped adapters,
//! killed ten times and put to sleep four times, at moments that chance chooses. The demo's own judge says what became of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lienthong::demo::input::Input;
use lienthong::demo::judge::{Beside, Verdict, judge, judge_one_stop};
use lienthong::demo::{FILES, SECRETS};
use lienthong::sandbox::{Options, Sandbox};
use lienthong::store::DeadLetter;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::cell::Blow;
use crate::checks::leaked;
use crate::node::{Address, Node, Site};
use crate::oracle::mishap::Roll;
use crate::stores::tell;
use crate::support::{folder, install_tls, services, tail};

embedded_and_grown! {
    ten_kills_and_four_sleeps_while_sixty_dossiers_are_worked_on_lose_nothing_and_double_nothing
}

/// How often the daemon is killed, and how often stopped.
const KILLS: u64 = 10;
const STOPS: u64 = 4;

/// Spans in place of those of the real portal: what was open at a blow stays in doubt for three seconds.
const SPANS: [(&str, &str); 2] = [
    ("timeout  = \"60s\"", "timeout  = \"500ms\""),
    ("settle   = \"90s\"", "settle   = \"1s\""),
];

/// Longer than that.
const PAUSE: Duration = Duration::from_secs(4);

/// Longest time that the whole load may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// The shipped adapters with short spans.
fn adapters(folder: &Path) -> std::path::PathBuf {
    let adapters = folder.join("adapters");
    std::fs::create_dir(&adapters).unwrap();
    lienthong::adapter::shipped::write(&adapters).unwrap();
    let file = adapters.join("national-portal/adapter.toml");
    let mut manifest = std::fs::read_to_string(&file).unwrap();
    for (from, to) in SPANS {
        assert!(manifest.contains(from), "{from} is no longer in the manifest");
        manifest = manifest.replace(from, to);
    }
    std::fs::write(&file, manifest).unwrap();
    adapters
}

/// A stand-in, its settings by the name of their secret or as they are.
async fn stand_in(folder: &Path, secrets: &[(&str, &str)], webhook: Option<&str>) -> Sandbox {
    let known: BTreeMap<&str, &str> = SECRETS.into();
    let mut settings: Map<String, Value> = secrets
        .iter()
        .map(|(setting, secret)| ((*setting).to_owned(), json!(known[secret])))
        .collect();
    settings.extend(webhook.map(|webhook| ("webhook".to_owned(), json!(webhook))));
    Sandbox::start(
        folder,
        Options {
            settings,
            ..Options::default()
        },
    )
    .await
    .unwrap()
}

/// An address that is free now, and that every daemon of the test can have.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// How many acts of the officials' script are done.
fn played(one_stop: &Sandbox) -> usize {
    let done = one_stop.rows("DaLam");
    done.iter()
        .filter_map(|row| usize::try_from(row["SoBuoc"].as_u64()?).ok())
        .sum()
}

fn held(portal: &Sandbox) -> usize {
    portal.rows("HoSo").len() + portal.rows("TienDo").len()
}

async fn ten_kills_and_four_sleeps_while_sixty_dossiers_are_worked_on_lose_nothing_and_double_nothing() {
    install_tls();
    let folder = folder();
    let adapters = adapters(folder.path());
    let listen = free();
    let portal = [
        ("username", "NATIONAL_PORTAL_USER"),
        ("password", "NATIONAL_PORTAL_PASSWORD"),
    ];
    let portal = stand_in(&adapters.join("national-portal"), &portal, None).await;
    let one_stop = [
        ("user", "ONE_STOP_USER"),
        ("password", "ONE_STOP_PASSWORD"),
        ("secret", "ONE_STOP_WEBHOOK_SECRET"),
    ];
    let hook = format!("http://{listen}/hooks/one-stop");
    let one_stop = stand_in(&adapters.join("one-stop"), &one_stop, Some(&hook)).await;
    let systems = format!(
        "[adapter.one-stop]\nurl = \"{}\"\nsettings = {{ files = \"{FILES}\" }}\n[adapter.national-portal]\nurl = \"{}\"\n",
        one_stop.url(),
        portal.url()
    );
    let site = Site {
        folder: folder.path(),
        adapters: &adapters,
        systems: &systems,
        listen: &listen,
        hook: "/hooks/one-stop",
    };
    let mut node = Node::start(site, None, PAUSE, Address::default()).await.unwrap();

    let input = Input::load(None, None).unwrap();
    for row in &input.dossiers {
        one_stop.insert("HoSo", row.clone()).await.unwrap();
    }
    for act in &input.script {
        one_stop.insert("KichBan", act.clone()).await.unwrap();
    }
    // struck whenever the portal has some records more, whatever the daemon is doing then; every third time stopped
    let mut roll = Roll::new(7, "kills");
    let mut next = roll.between(1, 12);
    let mut blows = 0;
    let deadline = Instant::now() + PATIENCE;
    while played(&one_stop) < input.script.len()
        || one_stop.unsent() > 0
        || node.kills < KILLS
        || node.stops < STOPS
    {
        assert!(
            Instant::now() < deadline,
            "{} acts of {}, {} records at the portal, {} kills, {} stops\n{}",
            played(&one_stop),
            input.script.len(),
            held(&portal),
            node.kills,
            node.stops,
            tail(&node.log())
        );
        if blows < KILLS + STOPS && held(&portal) as u64 >= next {
            blows += 1;
            node.strike(if blows % 3 == 0 { Blow::Stop } else { Blow::Kill });
            next = held(&portal) as u64 + roll.between(5, 15);
        }
        node.look_after().await.unwrap();
        sleep(Duration::from_millis(roll.between(1, 20))).await;
    }
    let status = node.rest().await.unwrap();
    assert_eq!((node.kills, node.stops), (KILLS, STOPS), "{status:?}");

    let (kills, stops, unacknowledged) = (node.kills, node.stops, node.unacknowledged);
    let (store, log) = node.stop().await.unwrap();
    assert_eq!(leaked(&log), [""; 0]);
    let letters = store.dead_letters(1000).await.unwrap();
    let (rows, dossiers, progress) = (one_stop.rows("HoSo"), portal.rows("HoSo"), portal.rows("TienDo"));
    assert!(judge_one_stop(&input.dossiers, &rows).is_clean());
    let verdict = judge(&rows, FILES, &Beside::default(), &dossiers, &progress);
    let doubts = told(&verdict, &letters, &rows);
    tell(&format!(
        "{} · {} dossiers, {} acts: nothing missing or double · {kills} kills, {stops} sleeps, {doubts} calls in doubt for good, \
         {unacknowledged} events not acknowledged",
        services(&*store),
        rows.len(),
        input.script.len()
    ));
    portal.stop().await;
    one_stop.stop().await;
}

/// Nothing is missing, double or different; but an entry of the progress whose call was open at a kill may be missing, if
/// it is listed as such: the portal shows nobody whether it has it. How many were.
fn told(verdict: &Verdict, letters: &[DeadLetter], one_stop: &[Value]) -> usize {
    assert_eq!(verdict.missing, [""; 0]);
    assert_eq!(verdict.duplicates, []);
    assert_eq!(verdict.unexpected, [""; 0]);
    let doubts = || {
        letters
            .iter()
            .filter(|letter| letter.operation == "push.progress" && letter.cause.code == "in-doubt-no-find")
    };
    // The portal knows some dossiers under another code than the bus does.
    let own = |code: &str| {
        let row = one_stop.iter().find(|row| row["MaHoSoKhac"] == code);
        row.map_or(code.to_owned(), |row| row["MaHoSo"].as_str().unwrap().to_owned())
    };
    for difference in &verdict.different {
        assert_eq!(difference.field, "progress", "{difference:?}");
        let code = own(&difference.code);
        let is_listed = doubts().any(|letter| letter.dossier.as_ref() == Some(&code));
        assert!(is_listed, "{difference:?} is not listed among {letters:?}");
    }
    let count = doubts().count();
    assert!(count > 0, "no kill met an open call: they prove nothing");
    count
}
