use serde_json::{Value, json};

use super::KEPT;
use crate::dossier::status;
use crate::dossier::testing::{Desk, at, patch, states};

/// A record that says one state: `"value"` or `"value/kind"`, at a time of day.
fn state(value: &str, time: &str) -> Value {
    let (value, kind) = value
        .split_once('/')
        .map_or((value, None), |(value, kind)| (value, Some(kind)));
    json!({ "status": { "value": value, "kind": kind, "at": format!("2026-03-05T{time}Z") } })
}

fn current(desk: &Desk) -> &str {
    &desk.known.status().unwrap().value
}

#[test]
fn a_state_reported_after_having_been_given_one_beats_it() {
    let mut desk = Desk::new("one-stop");
    desk.reports(
        "01:00:00",
        json!({ "status": { "value": "accepted", "at": "2026-03-05T00:00:00Z" } }),
    );
    let mut portal = Desk::new("portal");
    let in_progress = json!({ "status": [{ "value": "in_progress", "at": "2026-03-05T02:00:00Z" }] });
    desk.known.merge(&portal.reports("02:00:00", in_progress));
    desk.shadow.give(&desk.known.stamps());
    let slow = json!({ "status": { "value": "supplement_requested", "at": "2026-03-05T01:30:00Z" } });
    desk.reports("03:00:00", slow);
    assert_eq!(desk.known.status().unwrap().value, "supplement_requested");
}

#[test]
fn a_state_said_again_is_no_entry_until_a_late_change_lies_between() {
    let mut desk = Desk::new("one-stop");
    let state = |value: &str, time: &str| json!({ "status": { "value": value, "at": format!("2026-03-05T{time}Z") } });
    desk.reports("03:00:00", state("in_progress", "01:00:00"));
    assert!(
        desk.reports("03:01:00", state("in_progress", "02:00:00"))
            .is_empty()
    );
    let late = desk.reports("03:02:00", state("supplement_requested", "01:30:00"));
    assert_eq!(states(&late), ["supplement_requested", "in_progress"]);
    assert_eq!(desk.known.status().unwrap().value, "in_progress");
    assert_eq!(
        desk.known.status().unwrap().at.unwrap().to_string(),
        "2026-03-05T02:00:00Z"
    );
    assert!(
        desk.reports("03:03:00", state("supplement_requested", "01:30:00"))
            .is_empty()
    );
}

#[test]
fn a_state_without_a_time_that_comes_back_is_an_entry_of_its_own() {
    let mut desk = Desk::new("one-stop");
    for value in [
        "in_progress",
        "in_progress",
        "supplement_requested",
        "in_progress",
        "supplement_requested",
    ] {
        desk.reports("03:00:00", json!({ "status": { "value": value } }));
    }
    let expected = [
        "in_progress",
        "supplement_requested",
        "in_progress",
        "supplement_requested",
    ];
    assert_eq!(states(&desk.known), expected);
}

/// Found by the law of the states: the report in the middle of a run was forgotten, and with it the step between two
/// late ones.
#[test]
fn a_report_in_the_middle_of_a_run_becomes_a_run_between_two_late_ones() {
    let walk = [
        "returned",
        "returned",
        "returned",
        "completed/revoked",
        "completed/revoked",
        "returned",
        "completed/revoked",
        "in_progress/sent_back",
        "completed",
    ];
    let mut desk = Desk::new("one-stop");
    for change in [0, 1, 2, 3, 4, 8, 6, 5, 7] {
        desk.reports("03:00:00", state(walk[change], &format!("01:0{change}:00")));
    }
    assert_eq!(current(&desk), "completed");
    let expected = [
        "returned",
        "completed",
        "returned",
        "completed",
        "in_progress",
        "completed",
    ];
    assert_eq!(states(&desk.known), expected);
}

#[test]
fn a_kind_is_told_whichever_report_of_its_run_comes_first() {
    for arrivals in [
        ["completed/revoked 01:02:00", "completed 01:03:00"],
        ["completed 01:03:00", "completed/revoked 01:02:00"],
    ] {
        let mut desk = Desk::new("one-stop");
        desk.reports("03:00:00", state("returned", "01:00:00"));
        for arrival in arrivals {
            let (value, time) = arrival.split_once(' ').unwrap();
            desk.reports("03:00:00", state(value, time));
        }
        assert_eq!(current(&desk), "completed", "{arrivals:?}");
    }
}

#[test]
fn a_kind_that_is_stated_later_than_its_state_is_told() {
    let mut desk = Desk::new("one-stop");
    desk.reports("03:00:00", state("completed", "01:00:00"));
    desk.reports("03:00:00", state("in_progress", "01:01:00"));
    assert_eq!(current(&desk), "completed");
    desk.reports("03:00:00", state("in_progress/sent_back", "01:02:00"));
    assert_eq!(current(&desk), "in_progress");
    assert!(
        desk.reports("03:00:00", state("in_progress", "01:03:00"))
            .is_empty()
    );
}

#[test]
fn a_late_state_stays_below_what_the_system_was_given_and_confirmed() {
    let mut desk = Desk::new("one-stop");
    desk.reports("01:00:00", state("in_progress", "01:00:00"));
    let mut portal = Desk::new("portal");
    let given = json!({ "status": [{ "value": "supplement_requested", "at": "2026-03-05T02:00:00Z" }] });
    desk.known.merge(&portal.reports("02:00:00", given));
    let pushed = patch(state("supplement_requested", "02:00:00"));
    desk.shadow
        .intend("intent-1", &pushed, &std::collections::BTreeMap::new());
    desk.shadow.settle("intent-1", Some(true), at("02:10:00"));
    desk.shadow.give(&desk.known.stamps());
    assert!(
        desk.reports("03:00:00", state("supplement_requested", "02:30:00"))
            .is_empty()
    );
    desk.reports("03:01:00", state("payment_requested", "01:30:00"));
    let late = desk.reports("03:02:00", state("in_progress", "01:40:00"));
    assert_eq!(states(&late), ["in_progress"]);
    assert_eq!(current(&desk), "supplement_requested");
}

/// The record that brings it up may have been seen days before: it was refused then and is tried again.
#[test]
fn a_report_that_is_brought_up_counts_from_when_it_was_seen_itself() {
    let day = |value: &str, day: u8| {
        patch(json!({ "status": { "value": value, "at": format!("2026-03-{day:02}") } }))
    };
    let seen = |day: u8| at(&format!("2026-03-{day:02}T03:00:00Z"));
    let mut desk = Desk::new("one-stop");
    desk.tries(seen(1), &day("in_progress", 1)).unwrap();
    assert!(desk.tries(seen(9), &day("in_progress", 9)).unwrap().is_empty());
    let delta = desk.tries(seen(3), &day("supplement_requested", 3)).unwrap();
    let times: Vec<_> = delta.logs["status"]
        .values()
        .map(|entry| entry.stamp.effective)
        .collect();
    assert!(times.contains(&seen(9)) && times.contains(&seen(3)), "{times:?}");
    desk.tries(seen(5), &day("payment_requested", 5)).unwrap();
    let expected = [
        "in_progress",
        "supplement_requested",
        "payment_requested",
        "in_progress",
    ];
    assert_eq!(states(&desk.known), expected);
    assert_eq!(current(&desk), "in_progress");
}

/// Supplement requested, in progress, completed: who polls too seldom sees no second state, and the third may not follow
/// the first.
#[test]
fn a_step_that_polling_missed_is_missing_until_it_is_told() {
    let in_progress = json!({ "value": "in_progress", "at": "2026-03-05T02:00:00Z" });
    for missed in [json!(in_progress), json!([in_progress])] {
        let mut desk = Desk::new("one-stop");
        desk.reports("01:10:00", state("supplement_requested", "01:00:00"));
        desk.reports("03:10:00", state("completed", "03:00:00"));
        let fold = status::fold(&desk.known.logs["status"]);
        assert_eq!(fold.current.unwrap().value, "supplement_requested");
        assert_eq!(fold.illegal.len(), 1);
        desk.reports("04:00:00", json!({ "status": missed }));
        let fold = status::fold(&desk.known.logs["status"]);
        assert_eq!(fold.current.unwrap().value, "completed");
        assert!(fold.illegal.is_empty());
    }
}

#[test]
fn a_record_read_again_and_again_does_not_make_the_shadow_grow() {
    let mut desk = Desk::new("one-stop");
    desk.reports("01:00:00", state("accepted", "00:00:00"));
    desk.reports("01:00:00", state("in_progress", "00:10:00"));
    desk.reports("01:00:00", state("in_progress", "00:20:00"));
    let before = desk.shadow.clone();
    for value in [
        "accepted 00:00:00",
        "in_progress 00:10:00",
        "in_progress 00:20:00",
    ] {
        let (value, time) = value.split_once(' ').unwrap();
        assert!(desk.reports("02:00:00", state(value, time)).is_empty());
    }
    assert_eq!(desk.shadow, before);
}

#[test]
fn of_a_long_run_the_ends_and_the_newest_reports_are_kept() {
    let mut desk = Desk::new("one-stop");
    for minute in 0..60 {
        desk.reports("12:00:00", state("in_progress", &format!("01:{minute:02}:00")));
    }
    let shadow = serde_json::to_value(&desk.shadow).unwrap();
    let kept = shadow["states"].as_array().unwrap();
    assert_eq!(kept.len(), KEPT + 2);
    assert_eq!(kept[0]["end"], "2026-03-05T01:00:00Z");
    assert_eq!(kept[1]["end"], format!("2026-03-05T01:{}:00Z", 59 - KEPT));
    assert_eq!(kept[KEPT + 1]["end"], "2026-03-05T01:59:00Z");
}
