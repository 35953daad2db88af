//! The oracle does what its modes say.

use serde_json::{Value, json};

use crate::oracle::asked::Class;
use crate::oracle::books::UNACCEPTABLE;
use crate::oracle::mishap::{Mishap, Mode, Times};
use crate::oracle::model::{Oracle, Reaction};

const TIMES: Times = Times {
    timeout_ms: 200,
    settle_ms: 500,
};

fn record(version: i64) -> Value {
    json!({"id": "H-1", "text": format!("#{version} thử")})
}

/// An oracle that this befalls each time.
fn always(class: Class, mishap: Mishap) -> Oracle {
    Oracle::new(7, class, Mode::Only { mishap, percent: 100 }, TIMES)
}

fn status(reaction: &Reaction) -> Option<u16> {
    match reaction {
        Reaction::Answer { status, .. } | Reaction::CutInBody { status, .. } => Some(*status),
        Reaction::Cut { .. } | Reaction::Silence => None,
    }
}

fn found(oracle: &mut Oracle, now_ms: u64) -> usize {
    match oracle.call(now_ms, "GET", "/records", "id=H-1", &Value::Null) {
        Reaction::Answer {
            status: 200, body, ..
        } => body["records"].as_array().unwrap().len(),
        other => panic!("a search, not {other:?}"),
    }
}

#[test]
fn each_mishap_of_a_write_shows_on_the_wire_and_commits_or_not() {
    let rows = [
        (Mishap::CommitThenDrop, None, 1),
        (Mishap::CommitThen500, Some(500), 1),
        (Mishap::Error500, Some(500), 0),
        (Mishap::TooMany, Some(429), 0),
        (Mishap::ErrorIn200, Some(200), 0),
        (Mishap::ResetInBody, Some(201), 1),
        (Mishap::LateCommit, None, 0),
        (Mishap::LateBeyondSettle, None, 0),
    ];
    for (mishap, seen, committed) in rows {
        let mut oracle = always(Class::Keyed, mishap);
        let reaction = oracle.call(0, "POST", "/records", "", &record(1));
        assert_eq!(
            (status(&reaction), oracle.rows().len()),
            (seen, committed),
            "{mishap}: {reaction:?}"
        );
        assert_eq!(oracle.bitten()[&mishap], 1);
    }
}

#[test]
fn late_commit_comes_after_the_caller_gave_up_and_within_settle() {
    for seed in 0..200 {
        let mode = Mode::Only {
            mishap: Mishap::LateCommit,
            percent: 100,
        };
        let mut oracle = Oracle::new(seed, Class::Keyed, mode, TIMES);
        assert_eq!(
            oracle.call(1000, "POST", "/records", "", &record(1)),
            Reaction::Silence
        );
        oracle.tick(1000 + TIMES.timeout_ms);
        assert_eq!(oracle.rows().len(), 0);
        assert_eq!(found(&mut oracle, 1000 + TIMES.timeout_ms + TIMES.settle_ms), 1);

        let mode = Mode::Only {
            mishap: Mishap::LateBeyondSettle,
            percent: 100,
        };
        let mut oracle = Oracle::new(seed, Class::Keyed, mode, TIMES);
        oracle.call(1000, "POST", "/records", "", &record(1));
        assert_eq!(found(&mut oracle, 1000 + TIMES.timeout_ms + TIMES.settle_ms), 0);
        assert_eq!(oracle.rows().len(), 0);
        let late = oracle.next_late_ms().unwrap();
        oracle.tick(late);
        assert_eq!(oracle.rows().len(), 1);
    }
}

#[test]
fn search_lags_behind_creates_and_updates() {
    let mut oracle = always(Class::Keyed, Mishap::SearchLag);
    oracle.call(0, "POST", "/records", "", &record(1));
    assert_eq!(oracle.rows().len(), 1);
    assert_eq!(found(&mut oracle, 1), 0);
    assert_eq!(found(&mut oracle, TIMES.settle_ms), 1);
    oracle.call(1000, "PATCH", "/records", "", &record(2));
    let shown =
        |oracle: &mut Oracle, now_ms| match oracle.call(now_ms, "GET", "/records", "id=H-1", &Value::Null) {
            Reaction::Answer { body, .. } => body["records"][0]["text"].clone(),
            other => panic!("{other:?}"),
        };
    assert_eq!(shown(&mut oracle, 1001), "#1 thử");
    assert_eq!(shown(&mut oracle, 1000 + TIMES.settle_ms), "#2 thử");
}

#[test]
fn duplicates_are_taken_silently_unless_the_system_refuses_them() {
    let twice = |mut oracle: Oracle| {
        oracle.call(0, "POST", "/records", "", &record(1));
        let second = oracle.call(1, "POST", "/records", "", &record(1));
        (status(&second), oracle.rows().len())
    };
    assert_eq!(
        twice(Oracle::new(1, Class::Keyed, Mode::Sound, TIMES)),
        (Some(201), 2)
    );
    assert_eq!(
        twice(Oracle::new(1, Class::Refusing, Mode::Sound, TIMES)),
        (Some(409), 1)
    );
    assert_eq!(
        twice(always(Class::Keyed, Mishap::RefusesDuplicates)),
        (Some(409), 1)
    );
}

#[test]
fn disorder_is_taken_silently_unless_the_system_refuses_it() {
    let mut silent = Oracle::new(1, Class::Append, Mode::Sound, TIMES);
    let mut strict = always(Class::Append, Mishap::RefusesDisorder);
    for (oracle, answers) in [
        (&mut silent, [201, 201, 201, 201]),
        (&mut strict, [201, 422, 201, 422]),
    ] {
        let calls = [
            ("PUT", "/records", record(5)),
            ("PUT", "/records", record(4)),
            ("POST", "/entries", record(1)),
            ("POST", "/entries", record(3)),
        ];
        let said =
            calls.map(|(method, path, body)| status(&oracle.call(0, method, path, "", &body)).unwrap());
        assert_eq!(said, answers);
    }
    assert_eq!(strict.bitten()[&Mishap::RefusesDisorder], 2);
}

#[test]
fn restored_system_has_lost_what_came_after_its_backup() {
    let mut oracle = Oracle::new(1, Class::Keyed, Mode::Sound, TIMES);
    oracle.call(1_000, "POST", "/records", "", &record(1));
    oracle.call(2_000, "PATCH", "/records", "", &record(2));
    oracle.restore(3_000, 1_500);
    assert_eq!(oracle.rows()[0].version, 1);
    assert_eq!(oracle.effects().iter().filter(|effect| effect.undone).count(), 1);
    oracle.restore(3_000, 3_000);
    assert_eq!(oracle.rows(), []);
    assert_eq!(oracle.bitten()[&Mishap::Restored], 2);
    assert_eq!(
        status(&oracle.call(4_000, "PATCH", "/records", "", &record(3))),
        Some(404)
    );
}

#[test]
fn batch_is_judged_record_by_record_or_as_a_whole() {
    let unfit = json!({"id": "H-1", "text": format!("#2 {UNACCEPTABLE}")});
    let batch = json!([record(1), unfit, record(3)]);
    let mut oracle = Oracle::new(1, Class::Batch, Mode::Sound, TIMES);
    let Reaction::Answer {
        status: 200, body, ..
    } = oracle.call(0, "POST", "/batch", "", &batch)
    else {
        panic!("verdicts")
    };
    let codes: Vec<_> = body["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].clone())
        .collect();
    assert_eq!(codes, ["0", "422", "0"]);
    assert_eq!(oracle.entries().len(), 2);
    assert_eq!(status(&oracle.call(0, "PUT", "/batch", "", &batch)), Some(422));
    assert_eq!(oracle.rows(), [], "all or nothing");
    assert_eq!(
        status(&oracle.call(0, "PUT", "/batch", "", &json!([record(1), record(2)]))),
        Some(200)
    );
    assert_eq!(oracle.rows().len(), 1);
}

#[test]
fn fate_of_a_request_depends_on_the_seed_and_on_how_often_it_was_made() {
    let fates = |seed: u64, before: usize| {
        let mut oracle = Oracle::new(seed, Class::Keyed, Mode::Mixed { percent: 50 }, TIMES);
        for n in 0..before {
            oracle.call(0, "GET", "/records", &format!("id=H-{n}"), &Value::Null);
        }
        (0..40)
            .map(|n| oracle.call(n, "POST", "/records", "", &record(1)))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        fates(3, 0),
        fates(3, 20),
        "what came before about others does not matter"
    );
    assert_ne!(fates(3, 0), fates(4, 0));
    let kinds: std::collections::BTreeSet<_> = fates(3, 0)
        .iter()
        .map(std::mem::discriminant)
        .map(|d| format!("{d:?}"))
        .collect();
    assert_eq!(kinds.len(), 4, "all four reactions");
}

#[test]
fn calm_oracle_keeps_its_promises_and_its_traits() {
    let mut oracle = always(Class::Keyed, Mishap::LateCommit);
    oracle.call(0, "POST", "/records", "", &record(1));
    oracle.calm();
    assert_eq!(found(&mut oracle, 0), 0);
    assert_eq!(
        found(&mut oracle, TIMES.timeout_ms + TIMES.settle_ms),
        1,
        "what was under way still comes"
    );
    let mut lossy = always(Class::Keyed, Mishap::Lossy);
    lossy.calm();
    lossy.call(0, "POST", "/records", "", &record(1));
    assert_eq!(lossy.rows()[0].record["text"], "#1 THỬ");
}

#[test]
fn reporting_system_tells_what_changed_since() {
    let mut oracle = Oracle::new(1, Class::Reporting, Mode::Sound, TIMES);
    oracle.call(0, "POST", "/records", "", &record(1));
    oracle.by_hand(5, json!({"id": "H-2", "text": "#4 gõ tay"}));
    let Reaction::Answer { body, .. } = oracle.call(9, "GET", "/changes", "since=1", &Value::Null) else {
        panic!("an answer")
    };
    assert_eq!(
        body["records"],
        json!([{"id": "H-2", "text": "#4 GÕ TAY", "at": "1970-01-01T00:00:00.005Z"}])
    );
}
