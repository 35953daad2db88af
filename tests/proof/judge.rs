//! The judge catches each kind of violation, and nothing else.

use serde_json::{Value, json};

use crate::oracle::asked::Class;
use crate::oracle::judge::{Accepted, Claim, Expects, Stand, Violation, judge, void};
use crate::oracle::mishap::{Mishap, Mode, Times};
use crate::oracle::model::{Oracle, Reaction};

const TIMES: Times = Times {
    timeout_ms: 200,
    settle_ms: 500,
};

const RECORDS: Expects = Expects {
    records: true,
    entries: false,
};

/// Only what the commits themselves show.
const COMMITS: Expects = Expects {
    records: false,
    entries: false,
};

const ENTRIES: Expects = Expects {
    records: false,
    entries: true,
};

fn record(version: i64) -> Value {
    json!({"id": "H-1", "name": "Vũ Thị Thử", "text": format!("#{version} cấp phiếu lý lịch tư pháp")})
}

fn oracle(class: Class, mode: Mode) -> Oracle {
    Oracle::new(1, class, mode, TIMES)
}

/// A sound target after these calls: method, path, body.
fn after(class: Class, calls: &[(&str, &str, Value)]) -> Oracle {
    let mut oracle = oracle(class, Mode::Sound);
    for (method, path, body) in calls {
        let reaction = oracle.call(0, method, path, "", body);
        assert!(
            matches!(
                reaction,
                Reaction::Answer {
                    status: 200 | 201,
                    ..
                }
            ),
            "{reaction:?}"
        );
    }
    oracle
}

/// The source told of the dossier in these versions, and of so many items.
fn accepted(versions: &[i64], items: i64) -> Accepted {
    let mut accepted = Accepted::default();
    let records = versions
        .iter()
        .map(|version| (*version, record(*version)))
        .collect();
    accepted.records.insert("H-1".to_owned(), records);
    let items = (1..=items).map(|place| (place, record(place))).collect();
    accepted.items.insert("H-1".to_owned(), items);
    accepted
}

fn claim(item: Option<i64>, stand: Stand) -> Claim {
    Claim {
        key: "H-1".to_owned(),
        item,
        stand,
    }
}

fn applied(item: Option<i64>) -> Claim {
    claim(item, Stand::Applied)
}

fn parked(item: Option<i64>) -> Claim {
    claim(item, Stand::Parked("in-doubt-no-find".to_owned()))
}

/// The numbers of the invariants that are violated.
fn numbers(found: &[Violation]) -> Vec<String> {
    let told = found.iter().map(ToString::to_string);
    told.map(|text| text.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn record_that_arrived_once_in_its_newest_version_is_no_violation() {
    let oracle = after(
        Class::Keyed,
        &[("POST", "/records", record(1)), ("PATCH", "/records", record(3))],
    );
    // versions may be left out: the newest counts
    assert_eq!(
        judge(&accepted(&[1, 2, 3], 0), RECORDS, &oracle, &[applied(None)]),
        []
    );
}

#[test]
fn record_that_is_neither_there_nor_parked_is_lost() {
    let nowhere = after(Class::Keyed, &[]);
    let open = claim(None, Stand::Other("due".to_owned()));
    assert_eq!(
        numbers(&judge(&accepted(&[1], 0), RECORDS, &nowhere, &[])),
        ["I1"]
    );
    assert_eq!(
        numbers(&judge(&accepted(&[1], 0), RECORDS, &nowhere, &[open])),
        ["I1"]
    );
    assert_eq!(judge(&accepted(&[1], 0), RECORDS, &nowhere, &[parked(None)]), []);

    let older = after(Class::Keyed, &[("POST", "/records", record(1))]);
    let found = judge(
        &accepted(&[1, 2], 0),
        RECORDS,
        &older,
        &[claim(None, Stand::Other("due".to_owned()))],
    );
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["I1 lost: H-1 in version 2; the ledger says due"]
    );
    assert_eq!(judge(&accepted(&[1, 2], 0), RECORDS, &older, &[parked(None)]), []);
}

#[test]
fn row_under_a_key_that_nobody_spoke_of_is_invented() {
    let mut stranger = record(1);
    stranger["id"] = json!("H-2");
    let oracle = after(
        Class::Keyed,
        &[("POST", "/records", record(1)), ("POST", "/records", stranger)],
    );
    assert_eq!(
        judge(&accepted(&[1], 0), RECORDS, &oracle, &[applied(None)]),
        [Violation::Invented {
            what: "H-2".to_owned(),
            version: 1,
        }]
    );
}

#[test]
fn second_row_of_one_key_is_a_double_even_if_it_is_parked() {
    let oracle = after(
        Class::Keyed,
        &[("POST", "/records", record(1)), ("POST", "/records", record(1))],
    );
    for claim in [applied(None), parked(None)] {
        assert_eq!(
            judge(&accepted(&[1], 0), RECORDS, &oracle, &[claim]),
            [Violation::Doubled {
                what: "H-1".to_owned(),
                count: 2,
                requests: vec![1, 2],
            }]
        );
    }
}

#[test]
fn target_that_went_back_is_stale_even_if_it_is_right_in_the_end() {
    let calls = [
        ("PUT", "/records", record(1)),
        ("PUT", "/records", record(3)),
        ("PUT", "/records", record(2)),
        ("PUT", "/records", record(3)),
    ];
    let oracle = after(Class::Put, &calls);
    let found = judge(&accepted(&[1, 2, 3], 0), RECORDS, &oracle, &[applied(None)]);
    assert_eq!(
        found,
        [Violation::Stale {
            what: "H-1".to_owned(),
            from: 3,
            to: 2,
            request: 3
        }]
    );
}

#[test]
fn version_that_nobody_stated_is_invented() {
    let oracle = after(Class::Put, &[("PUT", "/records", record(2))]);
    assert_eq!(
        numbers(&judge(&accepted(&[1], 0), RECORDS, &oracle, &[parked(None)])),
        ["I3"]
    );
}

#[test]
fn items_are_there_once_and_in_order() {
    let entry = |place: i64| ("POST", "/entries", record(place));
    let all = [applied(Some(1)), applied(Some(2)), applied(Some(3))];
    let of = |places: &[i64], claims: &[Claim]| {
        let calls: Vec<_> = places.iter().map(|place| entry(*place)).collect();
        numbers(&judge(
            &accepted(&[], 3),
            ENTRIES,
            &after(Class::Append, &calls),
            claims,
        ))
    };
    let nothing: [&str; 0] = [];
    assert_eq!(of(&[1, 2, 3], &all), nothing);
    assert_eq!(of(&[1, 3, 2], &all), ["I4"]);
    assert_eq!(of(&[1, 2, 2, 3], &all), ["I2"]);
    assert_eq!(of(&[1, 2, 3, 4], &all), ["I3"], "one that nobody stated");
    // one that is parked may be there or not
    let doubtful = [applied(Some(1)), parked(Some(2)), applied(Some(3))];
    assert_eq!(of(&[1, 3], &doubtful), nothing);
    assert_eq!(of(&[1, 2, 3], &doubtful), nothing);
    assert_eq!(of(&[1, 3], &all), ["I1", "I5"]);
    assert_eq!(of(&[1, 3], &[applied(Some(1)), applied(Some(3))]), ["I1"]);
}

#[test]
fn entry_that_says_something_else_differs_whatever_the_ledger_says() {
    let mut other = record(2);
    other["name"] = json!("Cán bộ khác");
    let oracle = after(
        Class::Append,
        &[("POST", "/entries", record(1)), ("POST", "/entries", other)],
    );
    for second in [applied(Some(2)), parked(Some(2))] {
        assert_eq!(
            judge(&accepted(&[], 2), ENTRIES, &oracle, &[applied(Some(1)), second]),
            [Violation::Differs {
                what: "item 2 of H-1".to_owned(),
                fields: vec!["name".to_owned()],
            }]
        );
    }
}

#[test]
fn ledger_that_says_applied_must_be_right_field_by_field() {
    let with = |field: &str, value: &str| {
        let mut record = record(1);
        record[field] = json!(value);
        let oracle = after(Class::Keyed, &[("POST", "/records", record)]);
        judge(&accepted(&[1], 0), RECORDS, &oracle, &[applied(None)])
    };
    let differs = |fields: &[&str]| {
        let fields = fields.iter().map(ToString::to_string).collect();
        vec![Violation::Differs {
            what: "H-1".to_owned(),
            fields,
        }]
    };
    assert_eq!(with("note", "more than is asked for"), []);
    assert_eq!(with("name", "Vũ Thị"), differs(&["name"]));
    assert_eq!(with("text", "#1 khác"), differs(&["text"]));
    let nowhere = after(Class::Keyed, &[]);
    assert_eq!(
        numbers(&judge(&accepted(&[1], 0), RECORDS, &nowhere, &[applied(None)])),
        ["I1", "I5"]
    );
    // there, and the bus does not know it
    let there = after(Class::Keyed, &[("POST", "/records", record(1))]);
    for claims in [vec![], vec![claim(None, Stand::Other("in_doubt".to_owned()))]] {
        assert_eq!(
            numbers(&judge(&accepted(&[1], 0), RECORDS, &there, &claims)),
            ["I5"]
        );
    }
}

#[test]
fn lossy_row_is_compared_by_what_it_can_hold() {
    let mode = Mode::Only {
        mishap: Mishap::Lossy,
        percent: 100,
    };
    let mut oracle = oracle(Class::Keyed, mode);
    oracle.call(0, "POST", "/records", "", &record(12));
    assert_eq!(oracle.rows()[0].record["text"], "#12 CẤP PHIẾU LÝ LỊCH TƯ");
    assert_eq!(judge(&accepted(&[12], 0), RECORDS, &oracle, &[applied(None)]), []);
    assert_eq!(void(&oracle, &[Mishap::Lossy]), []);
}

#[test]
fn mishap_that_never_bit_makes_the_run_void() {
    let oracle = after(Class::Keyed, &[]);
    assert_eq!(
        void(&oracle, &[Mishap::LateCommit]),
        [Violation::Void {
            fault: "late-commit".to_owned()
        }]
    );
}

#[test]
fn steps_follow_each_other() {
    let mut start = record(0);
    start["text"] = json!("mới đến");
    let step = |place: i64| ("POST", "/steps/next", record(place));
    let sound = after(
        Class::Steps,
        &[("POST", "/records", start.clone()), step(1), step(2)],
    );
    assert_eq!(
        judge(&accepted(&[1, 2], 0), RECORDS, &sound, &[applied(None)]),
        []
    );
    let mut disordered = after(Class::Steps, &[("POST", "/records", start), step(1)]);
    let refused = disordered.call(0, "POST", "/steps/next", "", &record(3));
    assert!(
        matches!(refused, Reaction::Answer { status: 422, .. }),
        "{refused:?}"
    );
}

#[test]
fn request_about_a_record_while_one_before_it_may_still_take_effect_is_an_overlap() {
    let late = |mishap| Mode::Only { mishap, percent: 100 };
    let asked_after = |mishap, ms: u64| {
        let mut oracle = oracle(Class::Keyed, late(mishap));
        let reaction = oracle.call(0, "POST", "/records", "", &record(1));
        assert_eq!(reaction, Reaction::Silence);
        oracle.calm();
        oracle.call(ms, "POST", "/records", "", &record(2));
        let found = judge(&Accepted::default(), COMMITS, &oracle, &[]);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let told = "I4 overlap: request 2 about H-1 came while request 1 could still take effect";
    assert_eq!(asked_after(Mishap::LateCommit, 1), [told]);
    assert_eq!(asked_after(Mishap::LateCommit, 60_000), [""; 0]);
    // nobody is asked to wait for that
    assert_eq!(asked_after(Mishap::LateBeyondSettle, 1), [""; 0]);
}

#[test]
fn step_that_took_effect_before_the_one_before_it_is_disorder() {
    let mut oracle = oracle(Class::Steps, Mode::Sound);
    for (text, path) in [("#1 a", "/records"), ("#2 a", "/steps/next")] {
        let mut body = record(1);
        body["text"] = json!(text);
        oracle.call(0, "POST", path, "", &body);
    }
    // set back by hand, then taken on from there
    oracle.by_hand(1, record(3));
    let mut body = record(1);
    body["text"] = json!("#4 a");
    oracle.call(2, "POST", "/steps/next", "", &body);
    let found = judge(&Accepted::default(), COMMITS, &oracle, &[]);
    assert_eq!(numbers(&found), ["I4"], "{found:?}");
}
