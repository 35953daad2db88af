//! The demo, as people run it; and that it says so when a mapping is wrong.

use std::collections::BTreeSet;

use lienthong::demo::input::Input;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::stores::{Database, tell};
use crate::support::{Adapters, Ran, code, dossiers, run, text};

const SYSTEM: [&str; 8] = [
    "name",
    "expected",
    "present",
    "missing",
    "duplicates",
    "different",
    "refused",
    "parked",
];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The counts of a system, in the order of [`SYSTEM`] from `expected` to `refused`, and what is parked.
pub(crate) fn system<'a>(report: &'a Value, name: &str) -> ([u64; 6], &'a Value) {
    let systems = report["systems"].as_array().unwrap();
    let system = systems.iter().find(|system| system["name"] == name).unwrap();
    let [_, counts @ .., parked] = SYSTEM;
    (counts.map(|key| system[key].as_u64().unwrap()), &system[parked])
}

/// Progress entries that the portal must have when the officials are done: those of dossiers that were received.
fn progress() -> usize {
    let input = Input::load(None, None).unwrap();
    let own = |row: &Value| input.script.iter().filter(|act| code(act) == code(row)).count();
    let steps = |row: &Value| {
        let steps = row["TienTrinh"].as_array().unwrap();
        steps
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
            .len()
    };
    let received = |row: &&Value| {
        let acts = input.script.iter().filter(|act| code(act) == code(row));
        row["NgayTiepNhan"] != "" || acts.into_iter().any(|act| act["HanhDong"] == "TiepNhan")
    };
    input
        .dossiers
        .iter()
        .filter(received)
        .map(|row| own(row) + steps(row))
        .sum()
}

#[tokio::test]
async fn demo_runs_on_a_store_and_a_broker_of_its_owner_and_refuses_a_store_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("own.db").display());
    let broker = Broker::rabbitmq().await.url().unwrap();
    let arguments = [
        "demo",
        "--json",
        "--dossiers",
        "2",
        "--store",
        &store,
        "--broker",
        &broker,
    ];
    let ran = run(&arguments).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["broker"], broker_name());
    assert_eq!(system(&ran.json(), "one-stop").0[1], 2);
    let again = run(&arguments).await;
    assert_eq!(again.code, 2, "{again:?}");
    let faults = again.out + &again.err;
    assert!(
        faults.contains("store-in-use") && faults.contains("--store"),
        "{faults}"
    );
}

/// What the run's RabbitMQ is called.
fn broker_name() -> String {
    format!(
        "RabbitMQ {}",
        std::env::var("LIENTHONG_TEST_RABBITMQ_VERSION").unwrap()
    )
}

/// Runs the demo as an operator does, on each store with each broker; all of it is where it should be. `grown`: how many dossiers
/// it takes on PostgreSQL and RabbitMQ, twelve elsewhere.
async fn on_every_store_and_broker(arguments: &[&str], grown: &str) {
    for store in ["SQLite", "PostgreSQL"] {
        for broker in ["loopback".to_owned(), broker_name()] {
            let database = match store {
                "PostgreSQL" => Some(Database::create().await),
                _ => None,
            };
            let is_grown = store == "PostgreSQL" && broker != "loopback";
            let dossiers = if is_grown { grown } else { "12" };
            let mut all: Vec<String> = ["demo", "--json", "--dossiers", dossiers]
                .iter()
                .chain(arguments)
                .map(ToString::to_string)
                .collect();
            all.extend(
                database
                    .iter()
                    .flat_map(|database| ["--store".to_owned(), database.url()]),
            );
            if broker != "loopback" {
                all.extend(["--broker".to_owned(), Broker::rabbitmq().await.url().unwrap()]);
            }
            let ran = run(&all).await;
            assert_eq!(ran.code, 0, "{store} and {broker}: {ran:?}");
            let report = ran.json();
            assert_eq!(report["findings"], json!([]));
            let (on, over) = (
                report["store"].as_str().unwrap(),
                report["broker"].as_str().unwrap(),
            );
            assert!(on.starts_with(store) && over == broker, "{on}, {over}");
            for name in ["one-stop", "population", "driving-licence", "national-portal"] {
                let ([expected, present, missing, duplicates, different, _], _) = system(&report, name);
                assert_eq!(
                    (present, missing, duplicates, different),
                    (expected, 0, 0, 0),
                    "{name}"
                );
                assert!(expected > 2, "{name}");
            }
            // On trial a declaration may be lost that a person looks for; whoever is not there is named.
            let ([expected, present, missing, duplicates, different, _], parked) =
                system(&report, "judicial-records");
            let lost = report["faults"]["lost_declarations"]
                .as_array()
                .map_or(0, Vec::len);
            assert_eq!((missing, duplicates, different), (0, 0, 0), "judicial-records");
            assert!(expected > 2, "judicial-records");
            assert!(
                present <= expected && usize::try_from(expected - present).unwrap() <= lost,
                "{present} of {expected} declarations, {lost} lost"
            );
            if dossiers == "62" {
                assert_eq!(
                    (&parked["mandatory-empty"], &parked["not-taken"]),
                    (&json!(1), &json!(1))
                );
            }
            let bitten = report["faults"]["bitten"].as_object();
            let kinds = bitten.into_iter().flat_map(serde_json::Map::values);
            let times = kinds
                .filter_map(Value::as_object)
                .flat_map(serde_json::Map::values);
            let bites: u64 = times.filter_map(Value::as_u64).sum();
            assert_eq!(bites > 0, arguments.contains(&"--faults"), "void: {bites} bites");
            tell(&format!(
                "{on} · {over} · demo --dossiers {dossiers} {} clean · faults bit {bites} times",
                arguments.join(" ")
            ));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_is_clean_on_every_store_and_broker() {
    on_every_store_and_broker(&[], "12").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_with_faults_is_clean_on_every_store_and_broker() {
    // All that are shipped: a delegated declaration, a company and two of one number among them.
    on_every_store_and_broker(&["--faults", "--seed", "11"], "62").await;
}

#[tokio::test]
async fn sixty_two_shipped_dossiers_arrive_complete_and_once() {
    let ran = run(&["demo", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(
        keys(&report),
        [
            "dossiers",
            "systems",
            "identity",
            "avoided",
            "latency_ms",
            "broker",
            "store",
            "findings"
        ]
    );
    for system in report["systems"].as_array().unwrap() {
        assert_eq!(keys(system), SYSTEM);
    }
    assert_eq!(report["dossiers"], 62);
    assert_eq!(system(&report, "one-stop"), ([62, 62, 0, 0, 0, 0], &json!({})));
    // Two are never received: a rejected one and one that nobody has looked at.
    assert_eq!(
        system(&report, "national-portal"),
        ([60 + 12, 60 + 12, 0, 0, 0, 0], &json!({}))
    );
    assert_eq!(
        system(&report, "driving-licence"),
        ([12, 12, 0, 0, 0, 0], &json!({}))
    );
    assert_eq!(system(&report, "population"), ([74, 74, 0, 0, 0, 0], &json!({})));
    // Two agencies have given one number, of one applicant nobody knows the number, and one is a company.
    let by_hand = json!({"key-taken": 1, "mandatory-empty": 1, "not-taken": 1});
    assert_eq!(
        system(&report, "judicial-records"),
        ([11, 11, 0, 0, 0, 3], &by_hand)
    );
    assert_eq!(
        report["identity"],
        json!({"match": 53, "mismatch": 3, "not_applicable": 10, "not_found": 2, "weak_match": 6})
    );
    let avoided = &report["avoided"];
    assert_eq!(keys(avoided), ["judicial-records", "national-portal", "one-stop"]);
    // One was declared before it was rejected, one before it was withdrawn.
    assert_eq!(avoided["judicial-records"]["records"], 13);
    assert_eq!(avoided["one-stop"]["records"], 12);
    let records = usize::try_from(avoided["national-portal"]["records"].as_u64().unwrap()).unwrap();
    // Beside what the one-stop's officials did: three times what four licence dossiers go through (3, 2, 1 and no step), and
    // both states of the two certificates that are issued.
    assert_eq!(records - 72 - progress(), 3 * 6 + 4);
    assert_eq!(keys(&report["latency_ms"]), ["p50", "p99"]);
    let latency = |key: &str| report["latency_ms"][key].as_i64().unwrap();
    assert!(latency("p50") <= latency("p99"));
    assert_eq!(report["broker"], "loopback");
    assert!(report["store"].as_str().unwrap().starts_with("SQLite 3."));
    assert_eq!(report["findings"], json!([]));
    assert_eq!(ran.err, "", "who reads JSON hears nothing else");
}

#[tokio::test]
async fn three_dossiers_are_the_first_three() {
    let ran = run(&["demo", "--json", "--dossiers", "3"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["dossiers"], 3);
    assert_eq!(system(&report, "one-stop").0, [3, 3, 0, 0, 0, 0]);
    assert_eq!(system(&report, "driving-licence").0, [1, 1, 0, 0, 0, 0]);
    assert_eq!(system(&report, "national-portal").0, [4, 4, 0, 0, 0, 0]);
}

#[tokio::test]
async fn more_dossiers_than_there_are_come_as_copies_under_codes_of_their_own() {
    let ran = run(&["demo", "--json", "--dossiers", "65"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["dossiers"], 65);
    assert_eq!(system(&report, "one-stop").0, [65, 65, 0, 0, 0, 0]);
    assert_eq!(
        system(&report, "national-portal").0,
        [63 + 12, 63 + 12, 0, 0, 0, 0]
    );
}

#[tokio::test]
async fn people_read_a_table_and_a_verdict() {
    let ran = run(&["demo", "--dossiers", "2"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in [
        "2 dossiers",
        "SYSTEM",
        "PARKED",
        "one-stop",
        "national-portal",
        "A field is what that system's form asks a clerk for",
        "once and true",
    ] {
        assert!(ran.out.contains(said), "{said:?} in {}", ran.out);
    }
    for row in dossiers().iter().take(2) {
        assert!(!ran.out.contains(row["ChuHoSo"].as_str().unwrap()));
    }
}

/// The demo with one line of an outbound mapping gone: six dossiers, and two of the licence desk. It must notice.
async fn without(file: &str, line: &str) -> (Ran, Value) {
    let adapters = Adapters::copy().replace(&format!("national-portal/{file}"), line, "");
    let folder = text(adapters.folder());
    let ran = run(&["demo", "--json", "--dossiers", "6", "--adapters", &folder]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let report = ran.json();
    (ran, report)
}

fn finding<'a>(report: &'a Value, parts: &[&str]) -> Option<&'a Value> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| {
        let finding = finding.as_str().unwrap();
        parts.iter().all(|part| finding.contains(part))
    })
}

#[tokio::test]
async fn field_that_the_dossier_mapping_forgets_and_the_portal_does_not_miss_is_found_by_the_judge() {
    // It stands last in its paragraph, so the comma before it goes as well.
    let (ran, report) = without(
        "dossier.jq",
        ",\n  KenhThucHien: (.channel // \"direct\" | coded(\"channel\"))",
    )
    .await;
    let (counts, parked) = system(&report, "national-portal");
    assert_eq!((counts, parked), ([8, 8, 0, 0, 8, 0], &json!({})));
    assert!(
        finding(&report, &["national-portal", "KenhThucHien differs"]).is_some(),
        "{ran:?}"
    );
}

#[tokio::test]
async fn field_that_the_dossier_mapping_forgets_and_the_portal_demands_is_parked_by_name() {
    let (ran, report) = without("dossier.jq", "  Email: ($contact.email | text),\n").await;
    let (counts, parked) = system(&report, "national-portal");
    let [expected, present, missing, ..] = counts;
    assert_eq!((expected, present, missing), (8, 0, 8));
    assert_eq!(parked, &json!({"refused-by-target": 8}));
    assert!(finding(&report, &["push.dossier", "Email"]).is_some(), "{ran:?}");
}

#[tokio::test]
async fn field_that_the_progress_mapping_forgets_and_the_portal_does_not_miss_is_found_by_the_judge() {
    let (ran, report) = without("progress.jq", "  NgayBatDau: (.started | portal_time),\n").await;
    let (counts, parked) = system(&report, "national-portal");
    assert_eq!((counts, parked), ([8, 8, 0, 0, 8, 0], &json!({})));
    assert!(
        finding(&report, &["national-portal", "progress.NgayBatDau differs"]).is_some(),
        "{ran:?}"
    );
}

#[tokio::test]
async fn field_that_the_progress_mapping_forgets_and_the_portal_demands_is_parked_by_name() {
    let (ran, report) = without("progress.jq", "  NoiDungXuLy: (.note | text),\n").await;
    let (counts, parked) = system(&report, "national-portal");
    let entries = parked["mandatory-empty"].as_u64().unwrap();
    assert_eq!(
        (counts, parked),
        ([8, 8, 0, 0, 8, 0], &json!({"mandatory-empty": entries}))
    );
    assert!(
        finding(&report, &["push.progress", "NoiDungXuLy"]).is_some(),
        "{ran:?}"
    );
}
