//! Systems that share nothing with this house, its stand-ins included: a population database by spyne, judicial records (both
//! versions) by pydantic, a portal by JSON Schema (`tests/peers`), each written from the descriptions of the real ones. What the shipped
//! adapters say must please them, and what they answer must be understood.

mod certificates;
mod peer;
mod province;
mod strict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lienthong::demo::SECRETS;
use lienthong::demo::input::Input;
use lienthong::demo::judge::{Parked, Verdict, expected, identity, judge_declarations};
use lienthong::sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use self::peer::{Peer, REGISTER, Site, secret};
use crate::support::until;

/// An address where nobody answers.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Both bear the number 2307190001 at judicial records.
const COLLIDING: [&str; 2] = ["000.00.14.H56-230719-0001", "000.17.22.H56-230719-0001"];

fn dossiers() -> Vec<Value> {
    Input::load(None, None).unwrap().dossiers
}

fn register() -> Vec<Value> {
    let text = std::fs::read_to_string(REGISTER).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn code(row: &Value) -> &str {
    row["MaHoSo"].as_str().unwrap()
}

fn list<'a>(shown: &'a Value, name: &str) -> &'a Vec<Value> {
    shown[name].as_array().unwrap()
}

/// Nothing of what the node said was wrong.
fn content(shown: &Value) {
    assert_eq!(shown["refused"], json!([]));
}

/// The register, reached this way, with more options.
fn population(way: &str, more: &Value) -> Peer {
    let (client, password) = match way {
        "exchange" => ("POPULATION_USER", "POPULATION_SECRET"),
        _ => ("POPULATION_CLIENT_ID", "POPULATION_CLIENT_SECRET"),
    };
    let options = json!({
        "way": way, "client": secret(client), "secret": secret(password), "citizens": REGISTER, "calls": 20,
        "auth_url": "https://ndxp.example.vn/auth", "api_key": secret("POPULATION_API_KEY"),
    });
    Peer::start("population", options, more)
}

fn judicial_records(more: &Value) -> Peer {
    let options = json!({
        "client": secret("JUDICIAL_RECORDS_CLIENT_ID"), "secret": secret("JUDICIAL_RECORDS_CLIENT_SECRET"), "calls": 10,
    });
    Peer::start("judicial_records", options, more)
}

fn portal(more: &Value) -> Peer {
    let options = json!({
        "user": secret("NATIONAL_PORTAL_USER"), "password": secret("NATIONAL_PORTAL_PASSWORD"), "calls": 25,
    });
    Peer::start("portal", options, more)
}

/// The portal behind a gateway or a façade of the province. A gateway has its addresses from whoever runs it.
fn portal_behind(way: &str, more: &Value) -> Peer {
    let options = json!({
        "way": way, "client": secret("NATIONAL_PORTAL_CLIENT_ID"), "secret": secret("NATIONAL_PORTAL_CLIENT_SECRET"), "calls": 25,
        "addresses": {"add": "/them-moi", "update": "/cap-nhat", "progress": "/tien-do"},
    });
    Peer::start("portal", options, more)
}

/// None of the dossiers names an officer, and the limits of the real register would make a long story of it.
fn of_population() -> Value {
    json!({"officer": "bo-phan-mot-cua", "rate": "500/s", "officer_rate": "100000/day"})
}

/// The one-stop with its own people at rest; where it tells is not known before the node listens.
async fn one_stop(folder: &Path, webhook: &str, before: Option<Sandbox>) -> Sandbox {
    let settings = [
        ("user", json!(secret("ONE_STOP_USER"))),
        ("password", json!(secret("ONE_STOP_PASSWORD"))),
        ("secret", json!(SECRETS[0].1)),
        ("webhook", json!(webhook)),
    ];
    let mut options = Options {
        settings: settings
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
        folder: Some(folder.to_owned()),
        officials: false,
        ..Options::default()
    };
    if let Some(before) = before {
        options.listen = before.address();
        before.stop().await;
    }
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/one-stop");
    Sandbox::start(&adapter, options).await.unwrap()
}

/// What the judge says of the declarations, and which dossiers rightly wait for a person.
fn declarations_judged(one_stop: &Sandbox, shown: &Value) -> (Verdict, BTreeSet<Parked>) {
    let held = list(shown, "declarations").iter().map(|entry| {
        let mut row = entry["body"].clone();
        row["DEC_STATUS_ID"] = entry["state"].clone();
        row["Lan"] = entry["changes"].clone();
        row["DaDoc"] = entry["read"].clone();
        row
    });
    let held: Vec<Value> = held.collect();
    let (verdict, parked) = judge_declarations(&one_stop.rows("HoSo"), &held, &[]);
    (verdict, parked.into_iter().collect())
}

/// How the check of the applicant came out: outcome and fields, once it has.
async fn checked(site: &Site, code: &str) -> (String, Vec<String>) {
    until(&format!("the applicant of {code} is checked"), async || {
        let replica = site.replica(code).await?;
        let identity = replica.dossier.register("identity")?;
        let outcome = identity["outcome"]
            .as_str()
            .filter(|outcome| *outcome != "unavailable")?;
        let fields = identity["fields"].as_array().into_iter().flatten();
        let fields = fields.filter_map(Value::as_str).map(str::to_owned);
        Some((outcome.to_owned(), fields.collect()))
    })
    .await
}

/// The dossiers that must be declared, by their number there, without the two of one number.
fn to_declare(rows: &[Value]) -> BTreeMap<String, &Value> {
    let due = rows.iter().filter(|row| {
        row["MaTTHC"].as_str().unwrap().starts_with("2.000488")
            && row["TrangThaiHoSoId"] != 1
            && row["SoGiayToChuHoSo"] != "000000001"
            && row["LoaiDoiTuong"] == "1"
            && !COLLIDING.contains(&code(row))
    });
    due.map(|row| (number(code(row)), row)).collect()
}

/// Day and sequence of a dossier's code.
fn number(code: &str) -> String {
    let parts: Vec<&str> = code.split('-').collect();
    format!("{}{}", parts[1], parts[2])
}

/// What its own list says of declarations: number there, state, and whether we have said that we read it.
fn declared(shown: &Value) -> BTreeMap<String, (i64, bool)> {
    let entries = list(shown, "declarations").iter();
    entries
        .map(|entry| {
            let number = entry["body"]["idReceivedDec"].as_str().unwrap().to_owned();
            (
                number,
                (
                    entry["state"].as_i64().unwrap(),
                    entry["read"] == entry["changes"],
                ),
            )
        })
        .collect()
}

/// The same without the word for being busy.
fn shown_but_busy(shown: &Value) -> Value {
    let refused = list(shown, "refused")
        .iter()
        .filter(|reason| **reason != "server error");
    json!({"refused": refused.collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn judicial_records_that_write_small_letters_are_understood() {
    let judicial = judicial_records(&json!({"small_letters": true, "calls": 3}));
    let site = Site::start(
        NOWHERE,
        &[("judicial-records", None, judicial.url.as_str(), json!({}))],
    )
    .await;
    let rows = dossiers();
    for row in rows.iter().filter(|row| COLLIDING.contains(&code(row))) {
        site.tell(row).await;
    }
    let all_read = |state: i64| {
        move |shown: &Value| declared(shown) == [("2307190001".to_owned(), (state, true))].into()
    };
    judicial.until("it is declared and read", all_read(3)).await;
    let letters = until("the second of one number is a dead letter", async || {
        let letters = site.dead_letters().await;
        (!letters.is_empty()).then_some(letters)
    });
    assert_eq!(letters.await[0].cause.code, "key-taken");
    judicial.told(&json!({"number": "2307190001", "state": 4})).await;
    judicial
        .told(&json!({"number": "2307190001", "state": 5, "day": "24/07/2023"}))
        .await;
    let shown = judicial.until("its states are read", all_read(5)).await;
    let first = list(&shown, "declarations")[0]["body"]["declarationWSForm"]["receiveNo"].clone();
    for code in COLLIDING {
        let status = if first == code { "completed" } else { "accepted" };
        until(&format!("{code} is {status}"), async || {
            let replica = site.replica(code).await?;
            (replica.dossier.status()?.value == status).then_some(())
        })
        .await;
    }
    assert!(
        shown["tokens_lost"].as_u64() > Some(0),
        "it has taken tokens back"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn register_answers_alike_on_every_way_to_it() {
    let register = register();
    for (variant, way) in [
        ("verification", "gateway"),
        ("xroad", "exchange"),
        ("facade", "facade"),
    ] {
        let population = population(way, &json!({"busy": 2}));
        let hosted = [(
            "population",
            Some(variant),
            population.url.as_str(),
            of_population(),
        )];
        let site = Site::start(NOWHERE, &hosted).await;
        for row in dossiers() {
            site.tell(&row).await;
        }
        for row in dossiers() {
            let (outcome, fields) = identity(&row, &register);
            // Who may only verify hears yes or no, from a register that does not see accents.
            let (outcome, fields) = match (variant, outcome) {
                ("verification", "weak_match") => ("match", vec![]),
                ("verification", "mismatch" | "not_found") => ("mismatch", vec![]),
                _ => (outcome, fields),
            };
            let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
            let found = checked(&site, code(&row)).await;
            assert_eq!(found, (outcome.to_owned(), fields), "{variant}: {}", code(&row));
        }
        content(&shown_but_busy(&population.shown().await));
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_entitled_hears_so_on_every_way() {
    let rows = dossiers();
    let (licensed, unlicensed) = (&rows[0], &rows[2]);
    for (variant, way) in [
        (None, "gateway"),
        (Some("verification"), "gateway"),
        (Some("xroad"), "exchange"),
        (Some("facade"), "facade"),
    ] {
        for more in [json!({"unlicensed": ["1.001193"]}), json!({"officers": []})] {
            let population = population(way, &more);
            let hosted = [("population", variant, population.url.as_str(), of_population())];
            let site = Site::start(NOWHERE, &hosted).await;
            for row in [licensed, unlicensed] {
                site.tell(row).await;
            }
            let nobody = more["officers"].is_array();
            let outcome = if nobody { "not_entitled" } else { "match" };
            assert_eq!(
                checked(&site, code(licensed)).await.0,
                outcome,
                "{variant:?} {more}"
            );
            assert_eq!(
                checked(&site, code(unlicensed)).await.0,
                "not_entitled",
                "{variant:?} {more}"
            );
            site.stop().await;
        }
    }
}

/// What a peer that wants something else must do: refuse everything, in words that hold this one.
async fn refuses(peer: &Peer, word: &str, kept: &str) {
    let shown = peer
        .until("it refuses", |shown| !list(shown, "refused").is_empty())
        .await;
    for reason in list(&shown, "refused") {
        assert!(reason.as_str().unwrap().contains(word), "{word}: {reason}");
    }
    assert_eq!(shown[kept], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_want_something_else_are_not_pleased() {
    let rows = dossiers();
    let row = &rows[0];
    // Their order, their namespace, one more field: nothing of it passes for an answer.
    for (wants, word) in [
        ("order", "MaDVC"),
        ("namespace", "No matching global declaration"),
        ("more", "TaiKhoan"),
    ] {
        for (variant, way) in [
            (None, "gateway"),
            (Some("verification"), "gateway"),
            (Some("xroad"), "exchange"),
        ] {
            let population = population(way, &json!({"wants": wants}));
            let hosted = [("population", variant, population.url.as_str(), of_population())];
            let site = Site::start(NOWHERE, &hosted).await;
            site.tell(row).await;
            refuses(&population, word, "asked").await;
            let outcome = until("a word on the applicant", async || {
                let replica = site.replica(code(row)).await?;
                Some(replica.dossier.register("identity")?["outcome"].clone())
            });
            assert_eq!(outcome.await, "unavailable");
            site.stop().await;
        }
    }
    let judicial = judicial_records(&json!({"wants": "more"}));
    let site = Site::start(
        NOWHERE,
        &[("judicial-records", None, judicial.url.as_str(), json!({}))],
    )
    .await;
    site.tell(row).await;
    refuses(&judicial, "idMoneyReceipt", "declarations").await;
    parked(&site, "judicial-records").await;
    site.stop().await;
    let paid = rows
        .iter()
        .find(|row| row["LePhi"].as_array().is_some_and(|fees| !fees.is_empty()) && row["NgayTiepNhan"] != "")
        .unwrap();
    let ways = [
        (None, "adapter"),
        (Some("lgsp"), "gateway"),
        (Some("query"), "facade"),
    ];
    let wants = [("more", "SoBienNhan"), ("number", "Gia")];
    for ((variant, way), (wants, word)) in ways.iter().flat_map(|way| wants.map(|wants| (*way, wants))) {
        let portal = match variant {
            None => portal(&json!({"wants": wants})),
            Some(_) => portal_behind(way, &json!({"wants": wants})),
        };
        // It waits for the register's word on the applicant.
        let population = population("gateway", &json!({}));
        let hosted = [
            ("population", None, population.url.as_str(), of_population()),
            ("national-portal", variant, portal.url.as_str(), json!({})),
        ];
        let site = Site::start(NOWHERE, &hosted).await;
        site.tell(paid).await;
        refuses(&portal, word, "dossiers").await;
        parked(&site, "national-portal").await;
        site.stop().await;
    }
}

/// Waits until the one dossier is a dead letter, for what the system said.
async fn parked(site: &Site, system: &str) {
    let letters = until("a dead letter", async || {
        let letters = site.dead_letters().await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert!(
        letters.iter().all(|letter| letter.system == system),
        "{letters:?}"
    );
    assert!(
        letters
            .iter()
            .any(|letter| letter.cause.code == "refused-by-target"),
        "{letters:?}"
    );
}
