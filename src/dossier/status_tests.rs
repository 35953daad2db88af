use std::collections::BTreeMap;

use super::*;
use crate::dossier::Stamp;

/// `"system at value[/kind]"`: an entry seen at once, or at the end of its day.
fn entry(text: &str, arrival: u32) -> Entry {
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap();
    let (system, at, value) = (word(), word(), word());
    let (value, kind) = value
        .split_once('/')
        .map_or((value, None), |(value, kind)| (value, Some(kind)));
    let at: super::super::Moment = at.parse().unwrap();
    Entry {
        system: system.to_owned(),
        value: value.to_owned(),
        at: Some(at),
        by: None,
        note: None,
        kind: kind.map(str::to_owned),
        after: None,
        place: 0,
        stamp: Stamp {
            effective: at.end(),
            hlc: Hlc {
                wall_ms: 0,
                counter: arrival,
            },
            source: system.to_owned(),
            hash: String::new(),
        },
        more: serde_json::Map::new(),
    }
}

fn log(texts: &[&str]) -> BTreeMap<String, Entry> {
    let entries = (0..).zip(texts).map(|(arrival, text)| entry(text, arrival));
    entries.map(|entry| (entry.identity(), entry)).collect()
}

fn current(log: &BTreeMap<String, Entry>) -> &str {
    &fold(log).current.unwrap().value
}

#[test]
fn the_status_follows_the_legal_transitions() {
    let log = log(&[
        "a 2026-03-02T01:00:00Z registered",
        "a 2026-03-03T01:00:00Z accepted",
        "a 2026-03-04T01:00:00Z in_progress",
        "a 2026-03-05T01:00:00Z completed",
    ]);
    let fold = fold(&log);
    assert_eq!(fold.current.unwrap().value, "completed");
    assert_eq!(fold.moved.len(), 4);
    assert!(fold.illegal.is_empty());
}

#[test]
fn a_status_without_predecessors_is_taken_from_nothing() {
    assert_eq!(
        current(&log(&["a 2026-03-05T01:00:00Z supplement_requested"])),
        "supplement_requested"
    );
}

#[test]
fn the_same_status_again_keeps_the_first_entry() {
    let log = log(&[
        "a 2026-03-02T01:00:00Z accepted",
        "b 2026-03-03T01:00:00Z accepted",
    ]);
    let fold = fold(&log);
    assert_eq!(fold.current.unwrap().system, "a");
    assert_eq!((fold.moved.len(), fold.repeated.len()), (1, 1));
}

#[test]
fn a_completed_dossier_is_taken_up_again_only_when_sent_back() {
    let done = [
        "a 2026-03-02T01:00:00Z accepted",
        "a 2026-03-03T01:00:00Z completed",
    ];
    let stray = log(&[done[0], done[1], "b 2026-03-04T01:00:00Z in_progress"]);
    assert_eq!(current(&stray), "completed");
    assert_eq!(fold(&stray).illegal.len(), 1);
    let revoked = log(&[done[0], done[1], "b 2026-03-04T01:00:00Z in_progress/revoked"]);
    assert_eq!(current(&revoked), "completed");
    let sent_back = log(&[done[0], done[1], "b 2026-03-04T01:00:00Z in_progress/sent_back"]);
    assert_eq!(current(&sent_back), "in_progress");
}

#[test]
fn a_returned_dossier_goes_back_to_completed_only_when_revoked() {
    let handed = [
        "a 2026-03-03T01:00:00Z completed",
        "a 2026-03-04T01:00:00Z returned",
    ];
    assert_eq!(
        current(&log(&[handed[0], handed[1], "b 2026-03-05T01:00:00Z completed"])),
        "returned"
    );
    assert_eq!(
        current(&log(&[
            handed[0],
            handed[1],
            "b 2026-03-05T01:00:00Z completed/revoked"
        ])),
        "completed"
    );
}

#[test]
fn a_late_earlier_entry_makes_a_later_one_legal() {
    let mut log = log(&[
        "a 2026-03-02T01:00:00Z registered",
        "a 2026-03-04T01:00:00Z in_progress",
    ]);
    assert_eq!(current(&log), "registered");
    let late = entry("b 2026-03-03T01:00:00Z accepted", 9);
    log.insert(late.identity(), late);
    assert_eq!(current(&log), "in_progress");
}

#[test]
fn a_day_stands_at_its_end() {
    let log = log(&[
        "a 2026-03-02T01:00:00Z accepted",
        "b 2026-03-03 supplement_requested",
        "a 2026-03-03T03:00:00Z in_progress",
    ]);
    assert_eq!(current(&log), "supplement_requested");
}

#[test]
fn a_day_stands_before_an_exact_entry_that_is_legal_only_after_it() {
    let log = log(&[
        "a 2026-03-02T01:00:00Z registered",
        "b 2026-03-03 accepted",
        "a 2026-03-03T03:00:00Z in_progress",
    ]);
    let fold = fold(&log);
    assert_eq!(fold.current.unwrap().value, "in_progress");
    assert_eq!((fold.moved.len(), fold.illegal.len()), (3, 0));
}

#[test]
fn a_day_of_another_date_does_not_move() {
    let log = log(&[
        "a 2026-03-02T01:00:00Z registered",
        "b 2026-03-04 accepted",
        "a 2026-03-03T03:00:00Z in_progress",
    ]);
    assert_eq!(current(&log), "accepted");
    assert_eq!(fold(&log).illegal.len(), 1);
}

#[test]
fn states_of_one_day_are_put_in_their_legal_order() {
    for texts in [
        [
            "a 2026-03-02 registered",
            "a 2026-03-03 in_progress",
            "a 2026-03-03 accepted",
        ],
        [
            "a 2026-03-02 registered",
            "a 2026-03-03 accepted",
            "a 2026-03-03 in_progress",
        ],
    ] {
        assert_eq!(current(&log(&texts)), "in_progress");
    }
}

#[test]
fn a_status_that_only_newer_nodes_know_moves_nothing() {
    let log = log(&[
        "a 2026-03-02T01:00:00Z accepted",
        "a 2026-03-03T01:00:00Z archived",
        "a 2026-03-04T01:00:00Z in_progress",
    ]);
    assert_eq!(current(&log), "in_progress");
    assert_eq!(fold(&log).illegal.len(), 1);
}

#[test]
fn final_statuses_lead_nowhere_without_a_kind() {
    for from in Status::ALL {
        let leads = Status::ALL
            .into_iter()
            .any(|to| to != from && from.leads_to(to, None));
        assert_eq!(leads, !from.is_final(), "{from}");
    }
}
