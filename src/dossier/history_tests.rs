use serde_json::json;

use super::*;
use crate::dossier::testing::{Desk, at, patch};

/// Two systems, each with a node that merges what the other says, and the events in the order in which they arrived.
struct Stage {
    one_stop: Desk,
    portal: Desk,
    events: Vec<Dossier>,
}

impl Stage {
    fn new() -> Self {
        Self {
            one_stop: Desk::new("one-stop"),
            portal: Desk::new("portal"),
            events: Vec::new(),
        }
    }

    /// A system reports a record whose native time is that of its being seen.
    fn says(&mut self, system: &str, time: &str, mut record: Value) -> &mut Self {
        record["at"] = json!(at(time));
        self.says_late(system, time, record)
    }

    /// A system reports a record with a time of its own.
    fn says_late(&mut self, system: &str, observed: &str, record: Value) -> &mut Self {
        let desk = if system == "portal" {
            &mut self.portal
        } else {
            &mut self.one_stop
        };
        let delta = desk.tries(at(observed), &patch(record)).unwrap();
        self.portal.known.merge(&delta);
        self.one_stop.known.merge(&delta);
        self.events.push(delta);
        self
    }

    /// A push brought everything to this system.
    fn given(&mut self, system: &str) -> &mut Self {
        let desk = if system == "portal" {
            &mut self.portal
        } else {
            &mut self.one_stop
        };
        desk.shadow.give(&desk.known.stamps());
        self
    }

    fn history(&self) -> History {
        let events: Vec<_> = (1..).zip(&self.events).collect();
        history(&events)
    }

    /// Fates of the writes of a path, by event.
    fn fates(&self, path: &str) -> Vec<Fate> {
        let history = self.history();
        let writes = history.parts.iter().flat_map(|part| &part.writes);
        writes
            .filter(|write| write.path == path)
            .map(|write| write.fate)
            .collect()
    }

    /// Conflicts: path, events of both sides, whose holds.
    fn conflicts(&self) -> Vec<(String, [i64; 2], Option<String>)> {
        let told = self.history().conflicts.into_iter().map(|conflict| {
            let holds = [&conflict.lesser, &conflict.greater]
                .into_iter()
                .find(|side| side.holds)
                .map(|side| side.system.clone());
            (
                conflict.path,
                [conflict.lesser.event, conflict.greater.event],
                holds,
            )
        });
        told.collect()
    }
}

#[test]
fn a_write_holds_until_a_greater_one_replaces_it() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "01:00:00", json!({"summary": "a", "note": "x"}))
        .says("one-stop", "02:00:00", json!({"summary": "b"}));
    assert_eq!(stage.fates("summary"), [Fate::Replaced { by: 2 }, Fate::Holds]);
    assert_eq!(stage.fates("note"), [Fate::Holds]);
    assert!(
        stage.conflicts().is_empty(),
        "one system does not contradict itself"
    );
}

#[test]
fn a_late_write_never_held() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "02:00:00", json!({"summary": "newer"}))
        .says_late(
            "one-stop",
            "03:00:00",
            json!({"summary": "older", "at": "2026-03-05T01:00:00Z"}),
        );
    assert_eq!(stage.fates("summary"), [Fate::Holds, Fate::Lost { to: 1 }]);
}

#[test]
fn what_is_told_again_is_known() {
    let mut stage = Stage::new();
    stage.says("one-stop", "01:00:00", json!({"summary": "a"}));
    let again = stage.events[0].clone();
    stage.events.push(again);
    assert_eq!(stage.fates("summary"), [Fate::Holds, Fate::Known { from: 1 }]);
}

#[test]
fn two_who_knew_nothing_of_each_other_are_in_conflict() {
    let mut stage = Stage::new();
    stage
        .says(
            "one-stop",
            "01:00:00",
            json!({"schedule": {"due": "2026-03-09"}, "note": "same"}),
        )
        .says(
            "portal",
            "02:00:00",
            json!({"schedule": {"due": "2026-03-10"}, "note": "same"}),
        );
    assert_eq!(
        stage.conflicts(),
        [("schedule.due".to_owned(), [1, 2], Some("portal".to_owned()))],
        "who says the same does not contradict"
    );
}

#[test]
fn who_had_been_given_a_value_corrects_it_and_is_in_no_conflict() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "01:00:00", json!({"note": "a"}))
        .given("portal")
        .says("portal", "02:00:00", json!({"note": "b"}))
        .given("one-stop")
        .says("one-stop", "03:00:00", json!({"note": "c"}));
    assert!(stage.conflicts().is_empty());
    assert_eq!(
        stage.fates("note"),
        [Fate::Replaced { by: 2 }, Fate::Replaced { by: 3 }, Fate::Holds]
    );
}

#[test]
fn knowledge_passes_through_what_was_given() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "01:00:00", json!({"note": "a"}))
        .says("one-stop", "01:10:00", json!({"note": "b"}))
        .given("portal")
        .says("portal", "02:00:00", json!({"note": "c"}))
        .says("portal", "02:10:00", json!({"note": "d"}));
    // "d" names what the portal had been given; that it also knew "a" follows
    assert!(stage.conflicts().is_empty());
}

#[test]
fn of_two_systems_that_wrote_on_in_ignorance_the_last_writes_are_told_once() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "01:00:00", json!({"note": "a"}))
        .says("portal", "01:05:00", json!({"note": "b"}))
        .says("one-stop", "01:10:00", json!({"note": "c"}))
        .says("portal", "01:15:00", json!({"note": "d"}));
    assert_eq!(
        stage.conflicts(),
        [("note".to_owned(), [3, 4], Some("portal".to_owned()))]
    );
    // who is given the outcome and writes on settles it; the conflict stays told, and neither side holds
    stage
        .given("one-stop")
        .says("one-stop", "01:20:00", json!({"note": "e"}));
    assert_eq!(stage.conflicts(), [("note".to_owned(), [3, 4], None)]);
}

#[test]
fn conflicts_do_not_depend_on_the_order_of_arrival() {
    let mut stage = Stage::new();
    stage
        .says(
            "one-stop",
            "01:00:00",
            json!({"note": "a", "fees": [{"code": "LP01", "amount": 1}]}),
        )
        .says(
            "portal",
            "01:05:00",
            json!({"note": "b", "fees": [{"code": "LP01", "amount": 2}]}),
        )
        .given("one-stop")
        .says("one-stop", "01:10:00", json!({"note": "c"}));
    let sides = |history: History| -> Vec<_> {
        let all = history.conflicts.into_iter();
        all.map(|conflict| {
            (
                conflict.path,
                conflict.lesser.effective,
                conflict.greater.effective,
            )
        })
        .collect()
    };
    let straight = sides(stage.history());
    assert_eq!(straight.len(), 2, "note and fees/LP01#1: {straight:?}");
    stage.events.reverse();
    assert_eq!(sides(stage.history()), straight);
}

#[test]
fn a_write_whose_author_had_been_given_what_no_event_tells_is_not_called_a_conflict() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "01:00:00", json!({"note": "a"}))
        .says("one-stop", "01:10:00", json!({"note": "b"}))
        .given("portal")
        .says("portal", "02:00:00", json!({"note": "c"}));
    stage.events.remove(1);
    assert!(stage.conflicts().is_empty());
}

#[test]
fn a_late_statement_was_made_before_its_author_had_been_given_the_newer_one() {
    let mut stage = Stage::new();
    stage
        .says("portal", "02:00:00", json!({"note": "p"}))
        .given("one-stop")
        .says("one-stop", "03:00:00", json!({"note": "newest"}))
        .says_late(
            "one-stop",
            "04:00:00",
            json!({"note": "late", "at": "2026-03-05T01:00:00Z"}),
        );
    assert_eq!(stage.conflicts(), [("note".to_owned(), [3, 1], None)]);
}

#[test]
fn entries_tell_what_they_do_to_the_status() {
    let mut stage = Stage::new();
    let status = |value: &str| json!({"status": {"value": value}});
    stage
        .says("one-stop", "01:00:00", status("accepted"))
        .says("portal", "01:30:00", status("accepted"))
        .says("one-stop", "02:00:00", status("withdrawn"))
        .says("one-stop", "03:00:00", status("completed"))
        .says(
            "one-stop",
            "04:00:00",
            json!({"progress": [{"value": "completed", "at": "2026-03-05"}]}),
        );
    let history = stage.history();
    let told: Vec<_> = history
        .parts
        .iter()
        .flat_map(|part| &part.entries)
        .map(|told| (told.log.as_str(), told.value.as_str(), &told.standing))
        .collect();
    let overtaken = Standing::Overtaken {
        after: Some("withdrawn".to_owned()),
    };
    assert_eq!(
        told,
        [
            ("status", "accepted", &Standing::Moves),
            ("status", "accepted", &Standing::Repeats),
            ("status", "withdrawn", &Standing::Moves),
            ("status", "completed", &overtaken),
            ("progress", "completed", &Standing::Kept),
        ]
    );
    let newest = stage.one_stop.known.overtaken().unwrap();
    assert_eq!(
        (newest.value.as_str(), newest.system.as_str()),
        ("completed", "one-stop")
    );
    assert_eq!(stage.one_stop.known.status().unwrap().value, "withdrawn");
}

#[test]
fn an_entry_known_to_the_day_moves_before_the_exact_one_that_needs_it() {
    let mut stage = Stage::new();
    stage
        .says("one-stop", "01:00:00", json!({"status": {"value": "accepted"}}))
        .says_late(
            "portal",
            "05:00:00",
            json!({"status": {"value": "completed", "at": "2026-03-05"}}),
        )
        .says("one-stop", "06:00:00", json!({"status": {"value": "returned"}}));
    let history = stage.history();
    assert!(
        history
            .parts
            .iter()
            .flat_map(|part| &part.entries)
            .all(|told| told.standing == Standing::Moves),
        "{history:?}"
    );
    assert_eq!(stage.one_stop.known.overtaken(), None);
}

#[test]
fn names_and_statuses_are_told_and_no_other_value() {
    let mut stage = Stage::new();
    stage.says(
        "one-stop",
        "01:00:00",
        json!({"applicant": {"person": {"name": "Lê Thị Mẫu"}}, "form": {"purpose": "đi xa"}, "status": {
            "value": "accepted", "by": "Trần Văn Mẫu", "note": "Thẩm định"}}),
    );
    let told = serde_json::to_string(&stage.history()).unwrap();
    for name in ["applicant.person", "form.purpose", "accepted", "HS-1"] {
        assert!(told.contains(name), "{name} in {told}");
    }
    for value in ["Lê Thị Mẫu", "đi xa", "Trần Văn Mẫu", "Thẩm định"] {
        assert!(!told.contains(value), "{value} in {told}");
    }
    assert_eq!(
        stage.events[0].names(),
        ["links/one-stop", "applicant.person", "form.purpose", "status"]
    );
}
