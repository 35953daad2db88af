//! Several records in one call.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::world::World;
use crate::adapter::{Adapter, Answer, Batch, Word};

const AT: &str = "2026-01-02T03:04:05Z";

fn told(adapter: &Adapter) -> &Batch {
    let push = adapter.pushes.iter().find(|push| push.name == "told");
    push.unwrap().batch.as_ref().unwrap()
}

fn answer(rows: &Json) -> Answer {
    Answer {
        status: 200,
        headers: BTreeMap::new(),
        body: json!({ "rows": rows }),
    }
}

#[test]
fn a_batch_is_of_one_dossier_or_of_many() {
    let adapter = World::sound().load().unwrap();
    let batch = told(&adapter);
    assert_eq!((batch.max, batch.wait, batch.across), (10, Duration::ZERO, false));
    let many = r#"batch = { max = 500, wait = "15m" }"#;
    let adapter = World::sound().with("batch = 10", many).load().unwrap();
    let batch = told(&adapter);
    assert_eq!(
        (batch.max, batch.wait, batch.across),
        (500, Duration::from_mins(15), true)
    );
}

#[test]
fn the_calls_of_a_batch_see_the_list_and_what_names_the_batch() {
    let body = "body = '{of: $dossier.code, batch: $batch, rows: .}'";
    let world = World::sound().with("body = '{part: $batch.number, rows: .}'", body);
    let adapter = world.load().unwrap();
    let push = adapter.pushes.iter().find(|push| push.name == "told").unwrap();
    let dossier = json!({"code": "H56-1"});
    let scope = push
        .scope_of_batch(Some(&dossier), "b1", 3, AT.parse().unwrap())
        .with("token", json!("t"));
    let call = push.create().unwrap();
    let request = call.request(&json!([{"id": "p1"}]), &scope).unwrap();
    let sent: Json = serde_json::from_slice(&request.body.unwrap()).unwrap();
    let expected = json!({
        "of": "H56-1", "batch": {"id": "b1", "number": 3, "at": AT}, "rows": [{"id": "p1"}],
    });
    assert_eq!(sent, expected);
}

#[test]
fn a_batch_of_many_dossiers_knows_none_of_them() {
    let world = World::sound()
        .with("batch = 10", r#"batch = { max = 500, wait = "15m" }"#)
        .with("part: $batch.number", "part: $dossier.code");
    let said = world.told();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("[unknown-variable] push.told.create.body: found $dossier"),
        "{said:?}"
    );
}

#[test]
fn each_record_has_its_own_verdict() {
    let adapter = World::sound().load().unwrap();
    let scope = adapter.pushes[0].scope_of_batch(Some(&json!({})), "b1", 1, AT.parse().unwrap());
    let rows = json!([
        {"id": "p1", "is": "done", "why": ""},
        {"id": 2, "is": "refused", "why": "x".repeat(300)},
        {"id": "p3", "is": "in_doubt"},
    ]);
    let said = told(&adapter).verdicts(&answer(&rows), &scope).unwrap().unwrap();
    let words: Vec<_> = said
        .iter()
        .map(|(key, verdict)| (key.as_str(), verdict.word))
        .collect();
    assert_eq!(
        words,
        [("2", Word::Refused), ("p1", Word::Done), ("p3", Word::InDoubt)]
    );
    assert_eq!(said["p1"].reason, None);
    assert_eq!(said["2"].reason.as_ref().unwrap().chars().count(), 200);
    let none = told(&adapter)
        .verdicts(&answer(&json!([])), &scope)
        .unwrap()
        .unwrap();
    assert!(none.is_empty(), "a record that is not named has no verdict");
}

#[test]
fn a_verdict_that_is_none_is_told() {
    let adapter = World::sound().load().unwrap();
    let scope = adapter.pushes[0].scope_of_batch(Some(&json!({})), "b1", 1, AT.parse().unwrap());
    let rows = [
        (json!([{"id": "", "is": "done"}]), "a verdict without a key"),
        (json!([{"is": "done"}]), "a verdict without a key"),
        (json!([{"id": "p1", "is": "fine"}]), "a word that is none"),
        (json!([{"id": "p1", "is": "pause"}]), "a word that is none"),
        (
            json!([{"id": "p1", "is": "done"}, {"id": "p1", "is": "refused"}]),
            "two verdicts for one key",
        ),
    ];
    for (rows, expected) in rows {
        let fault = told(&adapter).verdicts(&answer(&rows), &scope).unwrap_err();
        assert_eq!(
            (fault.code.as_str(), fault.found.as_deref()),
            ("bad-verdict", Some(expected))
        );
    }
}

#[test]
fn without_verdicts_the_word_of_the_call_holds_for_all() {
    let verdicts = "verdicts = '.rows[] | {key: .id, is: .is, reason: .why}'\n";
    let world = World::sound()
        .with(verdicts, "")
        .with("path = '/told', ", "path = '/told', idempotent = true, ");
    let adapter = world.load().unwrap();
    let scope = adapter.pushes[0].scope_of_batch(Some(&json!({})), "b1", 1, AT.parse().unwrap());
    assert_eq!(
        told(&adapter).verdicts(&answer(&json!([])), &scope).unwrap(),
        None
    );
}
