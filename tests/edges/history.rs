//! What happened to a dossier, as operators are told it.

use lienthong::store::State;
use serde_json::{Value, json};

use crate::support::{Act, MANIFEST, Site, Target, ask, cli, client, code, row, until};

/// A second desk at which the same dossiers are worked on; it is given nothing.
const DESK: &str = r#"lienthong = 1
title = "Bàn thứ hai của bài thử"
[owns]
procedure = "always"
applicant = "always"
schedule = "always"
status = "always"
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[webhook.dossier]
path = "/hooks/desk"
verify = 'true'
map = '{dossier: {native: .id}, procedure: {code: "2.000488"}, applicant: {person: .person}, at: .at} + .says'
code = '.id'
"#;

/// The desk says something about dossier 1.
async fn desk_says(site: &Site, at: &str, says: Value) {
    let person =
        json!({"kind": "citizen", "name": row(1)["ChuHoSo"], "citizen_id": row(1)["SoGiayToChuHoSo"]});
    let record = json!({"id": code(1), "at": at, "person": person, "says": says});
    let answer = client()
        .post(site.hook("/hooks/desk"))
        .body(record.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    site.quiet().await;
}

async fn story(site: &Site) -> Value {
    cli(site.socket(), &["dossier", "history", &code(1)]).await
}

fn happened(story: &Value, what: &str) -> Vec<Value> {
    let all = story["happenings"].as_array().unwrap().iter();
    all.filter(|happening| happening["what"] == what)
        .cloned()
        .collect()
}

/// The text for people, without the personal data that must not be in it.
async fn text(site: &Site) -> String {
    let ran = ask(site.socket(), &["dossier", "history", &code(1).to_lowercase()]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let json = story(site).await.to_string();
    for personal in [
        "ChuHoSo",
        "SoGiayToChuHoSo",
        "SoDienThoai",
        "TrichYeuHoSo",
        "DiaChiChuHoSo",
    ] {
        let value = row(1)[personal].as_str().unwrap().to_owned();
        assert!(!ran.out.contains(&value) && !json.contains(&value), "{personal}");
    }
    ran.out
}

#[tokio::test(flavor = "multi_thread")]
async fn history_shows_two_systems_that_wrote_without_knowing_of_each_other() {
    let target = Target::start().await;
    let site = Site::start(&[
        ("book", MANIFEST, &target.url),
        ("desk", DESK, "http://127.0.0.1:9"),
    ])
    .await;
    site.tell(&row(1)).await;
    site.arrived(&code(1), "book").await;
    desk_says(
        &site,
        "2026-03-05T03:00:00Z",
        json!({"schedule": {"due": "2026-03-20"}}),
    )
    .await;
    site.arrived(&code(1), "book").await;

    let story = story(&site).await;
    let events = happened(&story, "event");
    let conflicts = story["conflicts"].as_array().unwrap();
    let due: Vec<&Value> = conflicts
        .iter()
        .filter(|conflict| conflict["path"] == "schedule.due")
        .collect();
    let [due] = due.as_slice() else {
        panic!("{story:#}")
    };
    let from = |system: &str| {
        let event = events
            .iter()
            .find(|event| event["system"] == system && event["writes"] != json!([]));
        event.unwrap()
    };
    assert_eq!(
        (
            &due["lesser"]["system"],
            &due["lesser"]["event"],
            &due["lesser"]["holds"]
        ),
        (&json!("one-stop"), &from("one-stop")["seq"], &json!(false))
    );
    assert_eq!(
        (
            &due["greater"]["system"],
            &due["greater"]["event"],
            &due["greater"]["holds"]
        ),
        (&json!("desk"), &from("desk")["seq"], &json!(true))
    );
    let fate = |event: &Value| {
        let writes = event["writes"].as_array().unwrap();
        writes
            .iter()
            .find(|write| write["path"] == "schedule.due")
            .unwrap()["fate"]
            .clone()
    };
    assert_eq!(
        (fate(from("one-stop")), fate(from("desk"))),
        (json!("replaced"), json!("holds"))
    );
    assert_eq!(from("desk")["operation"], "webhook.dossier");
    let version = cli(site.socket(), &["adapter", "list"]).await;
    let desk = version
        .as_array()
        .unwrap()
        .iter()
        .find(|adapter| adapter["name"] == "desk");
    assert_eq!(from("desk")["mapping"], desk.unwrap()["hosted"]["version"]);
    // the target's own link is an event, and its delivery is told
    assert!(
        events
            .iter()
            .any(|event| event["links"] == json!([{"system": "book", "code": code(1)}]))
    );
    let [applied] = happened(&story, "applied").try_into().unwrap();
    assert_eq!(
        (&applied["system"], &applied["delivery"]),
        (&json!("book"), &json!("dossier"))
    );
    assert_eq!(
        story["deliveries"][0]["attempts"], 1,
        "it is not sent what it has no field for"
    );

    let said = text(&site).await;
    for line in [
        "schedule.due: one-stop (event",
        "did not know of each other; that of desk holds",
        "replaced by event",
        "book brought up to date (dossier)",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_of_a_status_that_is_not_legal_is_told_to_operators() {
    let site = Site::start(&[("desk", DESK, "http://127.0.0.1:9")]).await;
    site.tell(&row(1)).await;
    site.quiet().await;
    desk_says(
        &site,
        "2026-03-05T03:00:00Z",
        json!({"status": {"value": "withdrawn", "by": "Trần Văn Mẫu"}}),
    )
    .await;
    let shown = cli(site.socket(), &["dossier", "show", &code(1)]).await;
    assert_eq!(
        (&shown["status"], &shown["overtaken"]),
        (&json!("withdrawn"), &Value::Null)
    );

    desk_says(
        &site,
        "2026-03-05T04:00:00Z",
        json!({"status": {"value": "completed", "at": "2026-03-05T04:00:00Z"}}),
    )
    .await;
    let shown = cli(site.socket(), &["dossier", "show", &code(1)]).await;
    assert_eq!(shown["status"], "withdrawn", "it moves nothing");
    assert_eq!(
        shown["overtaken"],
        json!({"value": "completed", "system": "desk", "at": "2026-03-05T04:00:00Z"})
    );
    let said = ask(site.socket(), &["dossier", "show", &code(1)]).await.out;
    assert!(
        said.contains(
            "withdrawn; desk has reported completed (2026-03-05T04:00:00Z), which is not legal after that"
        ),
        "{said}"
    );
    let said = text(&site).await;
    assert!(
        said.contains("overtaken: not legal after withdrawn, moves nothing"),
        "{said}"
    );
    assert!(!said.contains("Trần Văn Mẫu"), "{said}");
    let told: Vec<Value> = happened(&story(&site).await, "event")
        .iter()
        .flat_map(|event| event["entries"].as_array().unwrap().clone())
        .map(|entry| json!([entry["value"], entry["standing"]]))
        .collect();
    assert_eq!(
        json!(told),
        json!([
            ["accepted", "moves"],
            ["withdrawn", "moves"],
            ["completed", "overtaken"]
        ])
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_tells_of_refused_records_doubts_and_joins() {
    let target = Target::start().await;
    // whoever is in either system is born there
    let births = DESK.replace("[owns]", "originates = [\"*\"]\n[owns]\nlinks = \"always\"");
    let site = Site::start(&[
        ("book", MANIFEST, &target.url),
        ("desk", &births, "http://127.0.0.1:9"),
    ])
    .await;
    let mut bad = row(1);
    bad["NgayTiepNhan"] = json!("20260231083000");
    crate::support::post(&site.hook("/hooks/one-stop"), &bad).await;
    target.next("/create", Act::Answer(500, vec![], json!({})));
    site.tell(&row(1)).await;
    let doubt = site
        .delivery(&code(1), "book", |row| {
            row.state
                == State::InDoubt {
                    until: site.now() + jiff::SignedDuration::from_secs(90),
                }
        })
        .await;
    let story_now = story(&site).await;
    let [record] = happened(&story_now, "record").try_into().unwrap();
    assert_eq!(
        (&record["fate"], &record["reason"]),
        (&json!("closed"), &json!("a newer record was taken"))
    );
    let delivery = &story_now["deliveries"][0];
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&json!("in_doubt"), &json!(1))
    );

    // born again at the desk under a code of its own, until its other code shows that they are one
    let person =
        json!({"kind": "citizen", "name": row(1)["ChuHoSo"], "citizen_id": row(1)["SoGiayToChuHoSo"]});
    for says in [json!({}), json!({"links": {"one-stop": code(1)}})] {
        let record = json!({"id": "BAN-7", "at": "2026-03-05T04:00:00Z", "person": person, "says": says});
        let posted = client().post(site.hook("/hooks/desk")).body(record.to_string());
        assert_eq!(posted.send().await.unwrap().status(), 200);
        site.quiet().await;
    }
    let joined = until("the two are one", async || {
        let shown = cli(site.socket(), &["dossier", "show", &code(1)]).await;
        (shown["links"]["desk"] == json!(["BAN-7"])).then_some(shown)
    })
    .await;
    let story_then = story(&site).await;
    let [join] = happened(&story_then, "joined").try_into().unwrap();
    assert_ne!(join["id"], joined["id"]);
    let events = happened(&story_then, "event");
    let under: Vec<&Value> = events.iter().map(|event| &event["under"]).collect();
    assert!(
        under.contains(&&join["id"]) && under.contains(&&Value::Null),
        "{under:?}"
    );
    let last = events.last().unwrap();
    assert_eq!(join["at"], last["at"], "with the event that showed it");
    assert!(text(&site).await.contains("joined with the dossier"));
    drop(doubt);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_the_ledger_are_told_by_the_wall_whoever_has_turned_it() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    target.rule(
        "/find",
        9,
        |_| true,
        Act::Answer(429, vec![("retry-after", "600")], json!({})),
    );
    site.tell(&row(1)).await;
    site.delivery(&code(1), "book", |row| {
        matches!(row.state, State::BackingOff { .. })
    })
    .await;
    let next = async |site: &Site| {
        let shown = cli(site.socket(), &["dossier", "show", &code(1)]).await;
        let open = shown["systems"][1]["open"][0].clone();
        open["next"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    let ten_minutes = jiff::SignedDuration::from_mins(10);
    assert_eq!(next(&site).await, site.now() + ten_minutes);
    site.turn(-5 * 60 * 60);
    assert_eq!(next(&site).await, site.now() + ten_minutes);
    site.stop().await;
}
