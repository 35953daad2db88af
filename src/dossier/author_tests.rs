use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::dossier::testing::{Desk, at, origin, patch, states};

fn effective(delta: &Dossier, register: &str) -> String {
    delta.registers[register].stamp.effective.to_string()
}

/// A stamp of another system, counting from this time.
fn foreign(time: &str) -> Stamp {
    Stamp {
        effective: at(time),
        hlc: Hlc::default(),
        source: "portal".to_owned(),
        hash: "x".to_owned(),
    }
}

fn given(register: &str, time: &str) -> BTreeMap<String, Stamp> {
    BTreeMap::from([(register.to_owned(), foreign(time))])
}

#[test]
fn a_first_record_is_written_whole_and_links_its_own_code() {
    let mut desk = Desk::new("one-stop");
    let delta = desk.reports(
        "03:00:00",
        json!({ "at": "2026-03-05T02:30:00Z", "summary": "Xin cấp phép", "note": null,
                "fees": [{ "code": "LP01", "amount": 1000 }], "status": { "value": "accepted" } }),
    );
    assert_eq!(effective(&delta, "summary"), "2026-03-05T02:30:00Z");
    assert_eq!(delta.registers["note"].value, Value::Null);
    assert_eq!(delta.registers["summary"].seen, None);
    assert!(delta.items["fees"].contains_key("LP01#1"));
    assert_eq!(delta.status().unwrap().value, "accepted");
    assert_eq!(delta.codes_in("one-stop"), ["HS-1"]);
    assert_eq!(delta.id, origin().id());
}

#[test]
fn a_record_that_says_nothing_new_gives_an_empty_delta() {
    let mut desk = Desk::new("one-stop");
    let record = json!({ "at": "2026-03-05T02:30:00Z", "summary": "Ho\u{301}a", "fees": [{ "code": "LP01" }],
                         "form": { "Ho\u{323}": 1 }, "status": { "value": "accepted" },
                         "progress": [{ "value": "accepted", "at": "2026-03-05T02:00:00Z" }] });
    assert!(!desk.reports("03:00:00", record).is_empty());
    let again = json!({ "at": "2026-03-05T02:40:00Z", "summary": "Hóa", "fees": [{ "code": "LP01" }],
                        "form": { "Họ": 1 }, "status": { "value": "accepted" },
                        "progress": [{ "value": "accepted", "at": "2026-03-05T09:00:00+07:00" }] });
    assert!(desk.reports("03:01:00", again).is_empty());
}

#[test]
fn what_a_system_may_not_write_is_refused_as_a_whole() {
    let mut desk = Desk::new("portal");
    desk.owns = Ownership::parse(&json!({ "note": "always", "summary": "origin" })).unwrap();
    let record = patch(
        json!({ "note": "x", "summary": "y", "links": { "sectoral": "S-1" },
                               "results": [{ "number": "1" }, { "number": "2" }], "status": { "value": "accepted" } }),
    );
    let faults = desk.tries(at("03:00:00"), &record).unwrap_err();
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.code.as_str(), fault.field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("not-owner", "links"),
            ("not-owner", "results"),
            ("not-owner", "status"),
            ("not-owner", "summary")
        ]
    );
    assert_eq!(desk.shadow, Shadow::default());
}

#[test]
fn who_writes_after_having_been_given_a_value_beats_it() {
    for (native, expected) in [
        (json!("2026-03-05T01:00:00Z"), "2026-03-05T02:00:00.001Z"),
        (json!("2026-03-05T02:30:00Z"), "2026-03-05T02:30:00Z"),
        (json!("2026-03-04"), "2026-03-05T02:00:00.001Z"),
        (json!("2026-03-05"), "2026-03-05T03:00:00Z"),
        (json!(null), "2026-03-05T02:00:00.001Z"),
    ] {
        let mut desk = Desk::new("one-stop");
        desk.shadow.give(&given("summary", "02:00:00"));
        let delta = desk.reports("03:00:00", json!({ "at": native, "summary": "x" }));
        assert_eq!(effective(&delta, "summary"), expected, "{native}");
        assert_eq!(
            delta.registers["summary"].seen,
            Some(foreign("02:00:00").digest())
        );
    }
}

#[test]
fn a_late_record_keeps_its_own_time() {
    let mut desk = Desk::new("one-stop");
    desk.reports(
        "03:00:00",
        json!({ "at": "2026-03-05T02:30:00Z", "summary": "new" }),
    );
    desk.shadow.give(&given("summary", "02:50:00"));
    let delta = desk.reports(
        "03:01:00",
        json!({ "at": "2026-03-05T02:20:00Z", "summary": "old" }),
    );
    assert_eq!(effective(&delta, "summary"), "2026-03-05T02:20:00Z");
    assert_eq!(desk.known.registers["summary"].value, "new");
    assert!(
        desk.reports(
            "03:02:00",
            json!({ "at": "2026-03-05T02:30:00Z", "summary": "new" })
        )
        .is_empty()
    );
}

#[test]
fn a_late_record_of_a_fast_clock_stays_below_the_newer_one() {
    let mut desk = Desk::new("one-stop");
    let newer = desk.reports(
        "03:00:00",
        json!({ "at": "2026-03-05T04:10:00Z", "summary": "new" }),
    );
    assert_eq!(effective(&newer, "summary"), "2026-03-05T03:00:00Z");
    let older = desk.reports(
        "03:01:00",
        json!({ "at": "2026-03-05T04:05:00Z", "summary": "old" }),
    );
    assert_eq!(effective(&older, "summary"), "2026-03-05T02:59:59.999Z");
    assert_eq!(desk.known.registers["summary"].value, "new");
}

#[test]
fn a_newer_record_that_was_seen_earlier_and_taken_in_later_stands_above_the_older_one() {
    let mut desk = Desk::new("one-stop");
    desk.reports(
        "03:00:00",
        json!({ "at": "2026-03-05T04:05:00Z", "summary": "old" }),
    );
    let retried = desk.reports(
        "02:50:00",
        json!({ "at": "2026-03-05T04:10:00Z", "summary": "new" }),
    );
    assert_eq!(effective(&retried, "summary"), "2026-03-05T03:00:00.001Z");
    assert_eq!(desk.known.registers["summary"].value, "new");
}

#[test]
fn a_year_mistyped_does_not_make_all_later_records_old() {
    let mut desk = Desk::new("one-stop");
    let record = |at: &str, note: &str, state: &str| json!({ "at": at, "note": note, "status": { "value": state, "at": at } });
    desk.reports(
        "03:00:00",
        record("2062-03-05T02:00:00Z", "slip", "supplement_requested"),
    );
    desk.reports(
        "04:00:00",
        record("2026-03-05T03:30:00Z", "corrected", "in_progress"),
    );
    assert_eq!(desk.known.registers["note"].value, "corrected");
    assert_eq!(desk.known.status().unwrap().value, "in_progress");
}

#[test]
fn a_record_is_no_news_before_the_replica_has_its_first_telling() {
    let mut desk = Desk::new("one-stop");
    let record = json!({ "links": { "portal": "P-1" }, "note": "x", "status": { "value": "accepted" },
                         "progress": { "value": "accepted" } });
    assert!(!desk.reports("03:00:00", record.clone()).is_empty());
    desk.known = Dossier::new(origin());
    assert!(desk.reports("03:00:01", record).is_empty());
}

#[test]
fn without_a_native_time_a_first_statement_counts_from_the_receipt() {
    let mut desk = Desk::new("one-stop");
    let unknown = desk.reports("03:00:00", json!({ "note": "x" }));
    assert_eq!(effective(&unknown, "note"), "1970-01-01T00:00:00Z");
    let stated = desk.reports(
        "03:00:00",
        json!({ "summary": "x", "schedule": { "received": "2026-03-04" } }),
    );
    assert_eq!(effective(&stated, "summary"), "2026-03-04T16:59:59.999Z");
    let known = desk.reports("03:00:00", json!({ "channel": "post" }));
    assert_eq!(effective(&known, "channel"), "2026-03-04T16:59:59.999Z");
    let next = desk.reports("04:00:00", json!({ "channel": "online" }));
    assert_eq!(effective(&next, "channel"), "2026-03-04T17:00:00Z");
}

#[test]
fn history_is_never_lifted_and_each_entry_is_told_once() {
    let mut desk = Desk::new("one-stop");
    desk.shadow.give(&given("status", "02:00:00"));
    let entry =
        |value: &str, time: &str| json!({ "value": value, "at": format!("2026-03-05T{time}Z"), "by": null });
    let first = desk.reports("03:00:00", json!({ "status": [entry("accepted", "01:00:00")] }));
    let stamp = &first.status().unwrap().stamp;
    assert_eq!(stamp.effective.to_string(), "2026-03-05T01:00:00Z");
    let list = json!({ "status": [entry("in_progress", "01:30:00"), entry("accepted", "01:00:00")] });
    assert_eq!(states(&desk.reports("03:01:00", list)), ["in_progress"]);
    assert!(
        desk.reports("03:01:00", json!({ "status": [entry("accepted", "01:00:00")] }))
            .is_empty()
    );
}

#[test]
fn entries_of_one_time_keep_the_order_of_their_list() {
    let entry = |value: &str, time: &str| json!({ "value": value, "at": time });
    let rising = json!([
        entry("registered", "2026-03-03"),
        entry("accepted", "2026-03-04"),
        entry("supplement_requested", "2026-03-04")
    ]);
    let mut falling = rising.clone();
    falling.as_array_mut().unwrap().reverse();
    for list in [rising, falling] {
        let mut desk = Desk::new("one-stop");
        desk.reports("03:00:00", json!({ "status": list }));
        assert_eq!(
            states(&desk.known),
            ["registered", "accepted", "supplement_requested"]
        );
    }
}

#[test]
fn a_complete_list_deletes_what_the_system_had_and_shows_no_more() {
    let mut desk = Desk::new("one-stop");
    desk.reports(
        "03:00:00",
        json!({ "at": "2026-03-05T01:00:00Z", "fees": [{ "code": "A" }, { "code": "B" }] }),
    );
    let mut other = Desk::new("portal");
    desk.known
        .merge(&other.reports("03:00:00", json!({ "fees": [{ "code": "C" }] })));
    let record = json!({ "at": "2026-03-05T02:00:00Z", "fees": [{ "code": "A" }] });
    assert!(
        desk.tries(at("03:00:00"), &patch(record.clone()))
            .unwrap()
            .is_empty()
    );
    let delta = desk
        .tries(at("03:00:00"), &patch(record).complete(&["fees"]))
        .unwrap();
    assert_eq!(delta.items["fees"].keys().collect::<Vec<_>>(), ["B#1"]);
    let view = desk.known.view();
    assert_eq!(
        view["fees"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["A#1", "C#1"]
    );
    assert_eq!(view["deleted"], json!({ "fees": ["B#1"] }));
    let silent = json!({ "at": "2026-03-05T02:30:00Z", "summary": "x" });
    let delta = desk
        .tries(at("03:00:00"), &patch(silent).complete(&["fees"]))
        .unwrap();
    assert!(
        delta.items.is_empty(),
        "a record without a word of fees deletes none"
    );
}

#[test]
fn an_identity_check_counts_only_for_the_applicant_it_was_asked_for() {
    let mut desk = Desk::new("one-stop");
    desk.reports(
        "03:00:00",
        json!({ "applicant": { "person": { "name": "Lê Thị Mẫu", "citizen_id": "000000001" } } }),
    );
    assert_eq!(
        desk.known.view()["applicant"]["person"]["citizen_id"],
        Value::Null
    );
    let mut register = Desk::new("population");
    register.known = desk.known.clone();
    let checked = register.reports("03:10:00", json!({ "identity": { "outcome": "match" } }));
    desk.known.merge(&checked);
    assert_eq!(
        desk.known.view()["identity"],
        json!({ "outcome": "match", "at": "2026-03-05T03:10:00Z" })
    );
    desk.reports(
        "04:00:00",
        json!({ "applicant": { "person": { "name": "Lê Thị Mẫu B" } } }),
    );
    assert_eq!(desk.known.view()["identity"], Value::Null);
}

#[test]
fn a_shadow_survives_storage() {
    let mut desk = Desk::new("one-stop");
    desk.shadow.give(&given("summary", "02:00:00"));
    for time in ["01:00:00", "02:00:00"] {
        let time = format!("2026-03-05T{time}Z");
        desk.reports(
            "03:00:00",
            json!({ "at": time, "summary": "x", "status": { "value": "accepted" } }),
        );
    }
    let stored = serde_json::to_string(&desk.shadow).unwrap();
    assert_eq!(serde_json::from_str::<Shadow>(&stored).unwrap(), desk.shadow);
    assert_eq!(serde_json::from_str::<Shadow>("{}").unwrap(), Shadow::default());
}

#[test]
fn an_answer_says_nothing_against_what_its_system_said_after_the_question() {
    for native in [Some("2026-03-05T02:00:00Z"), None] {
        let record =
            |summary: &str| json!({ "at": native, "summary": summary, "status": { "value": summary } });
        let mut desk = Desk::new("one-stop");
        desk.reports("03:00:02", record("accepted"));
        desk.asked = Some(at("03:00:01"));
        let delta = desk.reports("03:00:03", record("in_progress"));
        assert_eq!(delta, Dossier::new(origin()), "asked before, at {native:?}");
        // asked afterwards, or in the same instant, it is news
        for (asked, summary) in [("03:00:02", "in_progress"), ("03:00:04", "completed")] {
            desk.asked = Some(at(asked));
            desk.reports("03:00:05", record(summary));
            assert_eq!(
                desk.known.view()["summary"],
                summary,
                "asked at {asked}, at {native:?}"
            );
        }
    }
}

#[test]
fn rows_of_one_answer_are_no_older_than_each_other() {
    let mut desk = Desk::new("one-stop");
    desk.asked = Some(at("03:00:00"));
    for summary in ["first", "second"] {
        let record = json!({ "at": "2026-03-05T02:00:00Z", "summary": summary });
        desk.reports("03:00:09", record);
        assert_eq!(desk.known.view()["summary"], summary);
    }
}

#[test]
fn an_answer_of_a_later_native_time_is_news_whenever_it_was_asked_for() {
    let mut desk = Desk::new("one-stop");
    let record = |time: &str, summary: &str| json!({ "at": time, "summary": summary });
    desk.reports("03:00:02", record("2026-03-05T02:00:00Z", "older"));
    desk.asked = Some(at("03:00:01"));
    desk.reports("03:00:03", record("2026-03-05T02:00:01Z", "newer"));
    assert_eq!(desk.known.view()["summary"], "newer");
}

#[test]
fn a_day_does_not_take_back_the_hour_that_its_system_has_stated() {
    let mut desk = Desk::new("desk");
    let due = |time: &str| json!({ "schedule": { "due": time } });
    assert!(!desk.reports("01:00:00", due("2026-03-06")).is_empty());
    // 01:30 in Vietnam, the day before in universal time
    assert!(!desk.reports("02:00:00", due("2026-03-05T18:30:00Z")).is_empty());
    for (hour, news) in [
        ("2026-03-06", false),
        ("2026-03-05T18:30:00Z", false),
        ("2026-03-05", true),
        ("2026-03-06", true),
        ("2026-03-06T10:00:00Z", true),
        ("2026-03-06", false),
        ("2026-03", true),
    ] {
        assert_eq!(!desk.reports("03:00:00", due(hour)).is_empty(), news, "{hour}");
    }
    // What it was given in place of it is another matter.
    assert!(!desk.reports("04:00:00", due("2026-03-06T10:00:00Z")).is_empty());
    desk.shadow
        .intend("push", &patch(due("2026-03-07T10:00:00Z")), &BTreeMap::new());
    desk.shadow.settle("push", Some(true), at("04:30:00"));
    assert!(!desk.reports("05:00:00", due("2026-03-06")).is_empty());
    // Outside the schedule a day is a text like another one.
    let form = |text: &str| json!({ "note": text });
    for note in ["2026-03-05T18:30:00Z", "2026-03-06"] {
        assert!(!desk.reports("06:00:00", form(note)).is_empty(), "{note}");
    }
}
