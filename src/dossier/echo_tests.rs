//! What a system reports of what it was given is no news.

use serde_json::{Value, json};

use super::*;
use crate::dossier::testing::{Desk, at, patch, states};

fn effective(delta: &Dossier, register: &str) -> String {
    delta.registers[register].stamp.effective.to_string()
}

#[test]
fn an_echo_of_what_a_system_may_not_write_is_no_violation() {
    let mut desk = Desk::new("portal");
    desk.owns = Ownership::parse(&json!({ "note": "always" })).unwrap();
    let pushed = patch(json!({ "summary": "y", "status": { "value": "accepted" } }));
    desk.shadow.intend("intent-1", &pushed, &BTreeMap::new());
    assert!(desk.tries(at("03:00:00"), &pushed).unwrap().registers.is_empty());
    desk.shadow.settle("intent-1", Some(true), at("03:00:30"));
    assert!(desk.tries(at("03:01:00"), &pushed).unwrap().is_empty());
    desk.shadow
        .intend("intent-2", &patch(json!({ "summary": "z" })), &BTreeMap::new());
    desk.shadow.settle("intent-2", Some(false), at("03:01:30"));
    assert!(
        desk.tries(at("03:02:00"), &patch(json!({ "summary": "z" })))
            .is_err()
    );
}

/// The system is given `record` by a push that took effect at this time.
fn gives(desk: &mut Desk, record: Value, time: &str) {
    let stamps = desk.known.stamps();
    desk.shadow.intend(time, &patch(record), &stamps);
    desk.shadow.settle(time, Some(true), at(time));
}

#[test]
fn an_older_value_that_a_system_was_given_is_an_echo_until_it_was_given_another() {
    let mut desk = Desk::new("portal");
    gives(&mut desk, json!({ "summary": "a" }), "01:00:00");
    gives(&mut desk, json!({ "summary": "b" }), "02:00:00");
    let late = json!({ "at": "2026-03-05T01:30:00Z", "summary": "a" });
    assert!(desk.reports("03:00:00", late).registers.is_empty());
    let set_back = json!({ "at": "2026-03-05T02:30:00Z", "summary": "a" });
    assert_eq!(
        desk.reports("03:00:00", set_back).registers["summary"].value,
        json!("a")
    );
}

#[test]
fn an_older_value_that_comes_back_after_the_newer_one_was_reported_is_set_back_however_slow_the_clock() {
    let mut desk = Desk::new("portal");
    gives(&mut desk, json!({ "summary": "a" }), "01:00:00");
    gives(&mut desk, json!({ "summary": "b" }), "02:00:00");
    // its clock is an hour slow
    let report = |at: &str, summary: &str| json!({ "at": format!("2026-03-05T{at}Z"), "summary": summary });
    assert!(
        desk.reports("02:01:00", report("01:01:00", "b"))
            .registers
            .is_empty()
    );
    assert!(
        desk.reports("02:02:00", report("00:01:00", "a"))
            .registers
            .is_empty(),
        "late"
    );
    let set_back = desk.reports("02:30:00", report("01:30:00", "a"));
    assert_eq!(set_back.registers["summary"].value, json!("a"));
}

#[test]
fn an_older_value_under_a_time_that_has_not_come_yet_is_an_echo_until_the_newer_one_was_reported() {
    let mut desk = Desk::new("portal");
    gives(&mut desk, json!({ "summary": "a" }), "01:00:00");
    gives(&mut desk, json!({ "summary": "b" }), "02:00:00");
    // its clock is an hour fast
    let report = |at: &str, summary: &str| json!({ "at": format!("2026-03-05T{at}Z"), "summary": summary });
    assert!(
        desk.reports("02:00:10", report("02:30:00", "a"))
            .registers
            .is_empty()
    );
    assert!(
        desk.reports("02:01:00", report("03:01:00", "b"))
            .registers
            .is_empty()
    );
    assert!(
        desk.reports("02:02:00", report("02:30:00", "a"))
            .registers
            .is_empty()
    );
    let set_back = desk.reports("02:30:00", report("03:30:00", "a"));
    assert_eq!(set_back.registers["summary"].value, json!("a"));
}

#[test]
fn a_late_report_of_what_was_given_is_no_news_behind_an_officers_change() {
    let mut desk = Desk::new("portal");
    gives(
        &mut desk,
        json!({ "summary": "a", "status": { "value": "accepted" } }),
        "01:00:00",
    );
    let report = |at: &str, summary: &str, status: &str| json!({ "at": format!("2026-03-05T{at}Z"), "summary": summary, "status": { "value": status } });
    let change = desk.reports("02:00:00", report("01:30:00", "b", "in_progress"));
    assert_eq!(states(&change), ["in_progress"]);
    assert!(
        desk.reports("02:01:00", report("01:00:05", "a", "accepted"))
            .is_empty()
    );
    // at the same time, as where only the day is stated, it may have been set back
    let again = desk.reports("02:02:00", report("01:30:00", "a", "in_progress"));
    assert_eq!(again.registers["summary"].value, json!("a"));
}

#[test]
fn a_system_that_states_days_sets_back_what_it_was_given_on_the_day_on_which_it_changed_it() {
    let mut desk = Desk::new("portal");
    gives(&mut desk, json!({ "summary": "a" }), "01:00:00");
    let report = |summary: &str| json!({ "at": "2026-03-05", "summary": summary });
    assert!(desk.reports("01:10:00", report("a")).registers.is_empty());
    assert!(!desk.reports("02:00:00", report("b")).registers.is_empty());
    let set_back = desk.reports("03:00:00", report("a"));
    assert_eq!(set_back.registers["summary"].value, json!("a"));
    assert_eq!(desk.known.register("summary"), Some(&json!("a")));
}

#[test]
fn a_report_of_what_is_being_sent_shows_that_it_took_effect() {
    let mut desk = Desk::new("portal");
    let mut other = Desk::new("one-stop");
    desk.known.merge(&other.reports(
        "02:00:00",
        json!({ "at": "2026-03-05T02:00:00Z", "summary": "x" }),
    ));
    let stamps = desk.known.stamps();
    desk.shadow
        .intend("intent", &patch(json!({ "summary": "x" })), &stamps);
    let report = |at: &str, summary: &str| json!({ "at": format!("2026-03-05T{at}Z"), "summary": summary });
    // an officer's change before it and after it, both by a clock an hour slow
    let before = desk.reports("02:00:10", report("01:00:10", "before"));
    assert_eq!(effective(&before, "summary"), "2026-03-05T01:00:10Z");
    assert!(
        desk.reports("02:00:20", report("01:00:20", "x"))
            .registers
            .is_empty()
    );
    let after = desk.reports("02:00:30", report("01:00:30", "after"));
    assert_eq!(effective(&after, "summary"), "2026-03-05T02:00:00.001Z");
    // the answer comes last, and takes nothing back
    desk.shadow.settle("intent", Some(true), at("02:00:40"));
    assert!(
        desk.reports("02:01:00", report("01:00:50", "after"))
            .registers
            .is_empty()
    );
}

#[test]
fn a_system_holds_what_it_reports_and_not_what_is_being_changed() {
    let mut desk = Desk::new("portal");
    let echo = |summary: &str| patch(json!({ "summary": summary, "status": { "value": "accepted" } }));
    assert!(!desk.shadow.holds(&echo("a")));
    gives(
        &mut desk,
        json!({ "summary": "a", "status": { "value": "accepted" } }),
        "01:00:00",
    );
    assert!(desk.shadow.holds(&echo("a")));
    assert!(!desk.shadow.holds(&echo("b")));
    desk.reports(
        "02:00:00",
        json!({ "at": "2026-03-05T02:00:00Z", "summary": "b" }),
    );
    assert!(desk.shadow.holds(&echo("b")));
    desk.shadow.intend("intent", &echo("c"), &BTreeMap::new());
    assert!(!desk.shadow.holds(&echo("b")) && !desk.shadow.holds(&echo("c")));
}

#[test]
fn each_entry_that_a_system_was_given_swallows_one_whatever_its_time_and_officer() {
    let mut desk = Desk::new("one-stop");
    let told = |at: &str, by: &str, note: &str| json!({ "progress": [{ "value": "in_progress", "at": format!("2026-03-05T{at}Z"), "by": by, "note": note }] });
    gives(
        &mut desk,
        told("01:00:00", "Lê Văn Mẫu", "Thẩm định hồ sơ"),
        "01:00:00",
    );
    let own = told("01:00:07", "cb01", "THẨM ĐỊNH  hồ sơ");
    assert!(
        !desk
            .reports("01:01:00", own.clone())
            .logs
            .contains_key("progress")
    );
    assert!(
        !desk.reports("01:02:00", own).logs.contains_key("progress"),
        "told again"
    );
    let second = told("01:30:00", "cb01", "Thẩm định hồ sơ");
    assert_eq!(
        desk.reports("01:31:00", second).logs["progress"].len(),
        1,
        "only one was given"
    );
}

#[test]
fn an_entry_is_swallowed_while_it_is_not_known_whether_the_push_took_effect() {
    let mut desk = Desk::new("one-stop");
    let entry = json!({ "status": [{ "value": "accepted", "at": "2026-03-05T01:00:00Z", "note": "n" }] });
    desk.shadow
        .intend("intent", &patch(entry.clone()), &BTreeMap::new());
    assert!(!desk.reports("01:01:00", entry).logs.contains_key("status"));
}

#[test]
fn what_a_push_may_have_given_before_another_took_its_place_is_no_news() {
    let mut desk = Desk::new("portal");
    desk.shadow
        .intend("intent", &patch(json!({ "summary": "a" })), &BTreeMap::new());
    desk.shadow.settle("intent", None, at("02:00:00"));
    let report = |at: &str| json!({ "at": format!("2026-03-05T{at}Z"), "summary": "a" });
    assert!(desk.reports("03:00:00", report("01:30:00")).registers.is_empty());
    assert!(!desk.reports("03:00:00", report("02:30:00")).registers.is_empty());
}

#[test]
fn what_was_in_doubt_is_no_news_though_its_repetition_took_no_effect() {
    let mut desk = Desk::new("portal");
    let pushed = json!({ "summary": "a" });
    for _ in ["unclear end", "refused for now"] {
        desk.shadow
            .intend("intent", &patch(pushed.clone()), &BTreeMap::new());
    }
    desk.shadow.settle("intent", Some(false), at("02:00:00"));
    assert!(desk.reports("03:00:00", pushed).registers.is_empty());
}

#[test]
fn a_push_gives_only_what_its_echo_speaks_of() {
    let mut desk = Desk::new("portal");
    let mut other = Desk::new("one-stop");
    let record = json!({ "at": "2026-03-05T02:00:00Z", "summary": "x", "note": "y" });
    desk.known.merge(&other.reports("02:00:00", record));
    gives(&mut desk, json!({ "summary": "x" }), "02:01:00");
    let slow = json!({ "at": "2026-03-05T01:00:00Z", "summary": "z", "note": "z" });
    let delta = desk.reports("03:00:00", slow);
    assert_eq!(effective(&delta, "summary"), "2026-03-05T02:00:00.001Z");
    assert_eq!(effective(&delta, "note"), "2026-03-05T01:00:00Z");
}
