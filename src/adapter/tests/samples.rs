//! Golden samples: what they prove, and what is said where they do not.

use serde_json::{Value as Json, json};

use super::world::{World, told};
use crate::adapter::{Site, check, contract};

/// Every sample that the sound manifest asks for.
pub(super) fn complete() -> World {
    let world = World::sound();
    let dossier = json!({
        "id": "1", "code": "H56-1", "links": {}, "applicant": {"person": {"name": "Lê Thị Mẫu"}},
        "schedule": {"due": "2026-03-19"},
        "progress": [{"id": "p1", "value": "registered"}, {"id": "p2", "value": "completed"}],
    });
    let record = json!({"no": "H56-1", "name": "Lê Thị Mẫu", "office": "a"});
    let write =
        |name: &str, content: &Json| world.write(&format!("samples/{name}.json"), &content.to_string());
    for operation in ["webhook.book", "pull.changes"] {
        write(
            &format!("{operation}/completed.native"),
            &json!({"no": "H56-1", "state": "2"}),
        );
        write(
            &format!("{operation}/completed.patch"),
            &json!({"dossier": "H56-1", "status": {"value": "completed"}}),
        );
    }
    let row = |no: &str, state: &str| json!({"no": no, "state": state});
    write(
        "pull.changes/page.natives",
        &json!([row("H56-1", "2"), row("", "2"), row("H56-3", "9")]),
    );
    let rows = json!([{"no": "H56-1", "why": null}, {"no": "H56-3", "why": "table-missing-entry"}]);
    write(
        "pull.changes/page.acknowledge",
        &json!({"method": "POST", "path": "/taken", "body": {"rows": rows}}),
    );
    write(
        "webhook.book/unknown-state.native",
        &json!({"no": "H56-1", "state": "9"}),
    );
    write(
        "webhook.book/unknown-state.refused",
        &json!({"code": "table-missing-entry", "names": "tables/state.csv"}),
    );
    write("push.dossier/online.dossier", &dossier);
    write("push.dossier/online.native", &record);
    let create = json!({
        "method": "POST", "path": "/book", "headers": {"authorization": "Bearer token"},
        "body": {"no": "H56-1", "name": "Lê Thị Mẫu", "office": "a", "request": "sample"},
    });
    write("push.dossier/online.create", &create);
    write(
        "push.dossier/online.find",
        &json!({"method": "GET", "path": "/book/H56-1"}),
    );
    write(
        "push.dossier/online.update",
        &json!({"method": "PUT", "path": "/book/77", "body": record}),
    );
    write("push.dossier/online.with", &json!({"remote": "77"}));
    write(
        "push.dossier/online.echo",
        &json!({"dossier": "H56-1", "applicant": {"person": {"kind": "citizen", "name": "Lê Thị Mẫu"}}}),
    );
    for (case, found, decision) in [
        ("absent", json!([]), "create"),
        ("typed-in-before", json!([record]), "update"),
        (
            "of-another",
            json!([{"no": "H56-1", "name": "Trần Văn Mẫu"}]),
            "key taken",
        ),
        ("double", json!([record, record]), "duplicate in target"),
    ] {
        write(&format!("push.dossier/{case}.dossier"), &dossier);
        write(&format!("push.dossier/{case}.found"), &found);
        write(&format!("push.dossier/{case}.decision"), &json!(decision));
    }
    for (case, code, word) in [("there", 7, "exists"), ("lost-session", 8, "login")] {
        write(
            &format!("push.dossier/{case}.answer"),
            &json!({"status": 200, "body": {"code": code, "why": "x"}}),
        );
        write(&format!("push.dossier/{case}.verdict"), &json!({"is": word}));
    }
    write("push.told/two.dossier", &dossier);
    write(
        "push.told/two.natives",
        &json!([{"id": "p1", "step": "registered"}, {"id": "p2", "step": "completed"}]),
    );
    write(
        "push.told/two.create",
        &json!({
            "method": "POST", "path": "/told",
            "body": {"part": 1, "rows": [{"id": "p1", "step": "registered"}, {"id": "p2", "step": "completed"}]},
        }),
    );
    write(
        "push.told/one-refused.answer",
        &json!({"body": {"rows": [{"id": "p1", "is": "done"}, {"id": "p2", "is": "refused", "why": "x"}]}}),
    );
    write(
        "push.told/one-refused.verdicts",
        &json!({"p1": {"is": "done"}, "p2": {"is": "refused", "reason": "x"}}),
    );
    let mut closed = dossier.clone();
    closed["status"] = json!({"value": "completed"});
    write("push.work/new-there.dossier", &dossier);
    write(
        "push.work/new-there.found",
        &json!({"no": "H56-1", "state": "new"}),
    );
    write("push.work/new-there.state", &json!("new"));
    write(
        "push.work/new-there.step",
        &json!({"step": "accept", "record": {"for": "Lê Thị Mẫu"}}),
    );
    write(
        "push.work/new-there.echo",
        &json!({"dossier": "H56-1", "status": {"value": "accepted"}}),
    );
    write(
        "push.work/new-there.find",
        &json!({"method": "GET", "path": "/book/H56-1"}),
    );
    write("push.work/to-be-closed.dossier", &closed);
    write("push.work/to-be-closed.state", &json!("accepted"));
    write(
        "push.work/to-be-closed.step",
        &json!({"step": "close", "record": {}}),
    );
    write(
        "push.work/to-be-closed.call",
        &json!({"method": "POST", "path": "/book/77/close", "body": {}}),
    );
    write("push.work/to-be-closed.with", &json!({"remote": "77"}));
    write("push.work/closed-there.dossier", &closed);
    write("push.work/closed-there.state", &json!("closed"));
    write("push.work/closed-there.step", &Json::Null);
    write("push.work/lost-session.answer", &json!({"body": {"code": 8}}));
    write("push.work/lost-session.verdict", &json!({"is": "login"}));
    write("push.work/lost-session.with", &json!({"call": "close"}));
    write("push.step/two.dossier", &dossier);
    write(
        "push.step/two.natives",
        &json!([{"no": "H56-1", "step": "registered"}, {"no": "H56-1", "step": "completed"}]),
    );
    write("push.step/first.dossier", &dossier);
    write(
        "push.step/first.create",
        &json!({"method": "POST", "path": "/steps", "body": {"no": "H56-1", "step": "registered"}}),
    );
    world
}

fn faults(world: &World) -> Vec<String> {
    told(&check(world.folder.path(), &Site::sample("book")))
}

#[test]
fn complete_samples_prove_an_adapter() {
    let world = complete();
    assert_eq!(faults(&world), Vec::<String>::new());
    let cases = contract::run(&world.load().unwrap());
    let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "pull.changes/completed",
            "pull.changes/page",
            "push.dossier/absent",
            "push.dossier/double",
            "push.dossier/lost-session",
            "push.dossier/of-another",
            "push.dossier/online",
            "push.dossier/there",
            "push.dossier/typed-in-before",
            "push.step/first",
            "push.step/two",
            "push.told/one-refused",
            "push.told/two",
            "push.work/closed-there",
            "push.work/lost-session",
            "push.work/new-there",
            "push.work/to-be-closed",
            "webhook.book/completed",
            "webhook.book/unknown-state",
        ]
    );
}

#[test]
fn settings_and_name_of_the_site_play_no_part() {
    let world = complete();
    let site = Site::new("another-name", |_| Some("real".to_owned())).with_url("https://real.example.vn");
    assert_eq!(told(&check(world.folder.path(), &site)), Vec::<String>::new());
}

#[test]
fn what_differs_is_told_with_its_file() {
    let rows = [
        (
            "push.dossier/online.native",
            json!({"no": "H56-2", "name": "Lê Thị Mẫu", "office": "a", "floor": 1}),
            "samples/push.dossier/online.native.json: [sample-differs] found /no is \"H56-1\" and not \"H56-2\", /floor \
             is missing; next correct the mapping, or the sample if the new result is right",
        ),
        (
            "push.dossier/online.create",
            json!({"method": "PUT", "path": "/book"}),
            "samples/push.dossier/online.create.json: [sample-differs] found /method is \"POST\" and not \"PUT\", /body \
             is too many; next correct the mapping, or the sample if the new result is right",
        ),
        (
            "push.dossier/double.decision",
            json!("create"),
            "samples/push.dossier/double.decision.json: [sample-differs] found / is \"duplicate in target\" and not \
             \"create\"; next correct the mapping, or the sample if the new result is right",
        ),
        (
            "push.dossier/there.verdict",
            json!({"is": "exists", "reason": "y"}),
            "samples/push.dossier/there.verdict.json: [sample-differs] found /reason is \"x\" and not \"y\"; next correct \
             the mapping, or the sample if the new result is right",
        ),
        (
            "push.step/two.natives",
            json!([]),
            "samples/push.step/two.natives.json: [sample-differs] found / has 2 members and not 0; next correct the \
             mapping, or the sample if the new result is right",
        ),
        (
            "webhook.book/unknown-state.refused",
            json!({"code": "bad-time"}),
            "samples/webhook.book/unknown-state.refused.json: [sample-differs] found",
        ),
        (
            "webhook.book/completed.native",
            json!({"no": "H56-1", "state": "9"}),
            "samples/webhook.book/completed: [sample-refused] found",
        ),
        (
            "webhook.book/completed.native",
            json!({"no": 5, "state": "2"}),
            "samples/webhook.book/completed: [sample-refused] found",
        ),
        (
            "pull.changes/completed.acknowledge",
            json!({"method": "POST", "path": "/taken", "body": {"rows": [{"no": "H56-1", "why": "bad-time"}]}}),
            "samples/pull.changes/completed.acknowledge.json: [sample-differs] found /body/rows/0/why is null and not \
             \"bad-time\"",
        ),
        (
            "pull.changes/alone.natives",
            json!([{"no": "H56-1", "state": "2"}]),
            "samples/pull.changes/alone: [sample-incomplete] expected CASE.acknowledge.json beside natives",
        ),
        (
            "webhook.book/completed.acknowledge",
            json!({}),
            "samples/webhook.book/completed.acknowledge.json: [sample-unknown]",
        ),
        (
            "push.dossier/online.dossier",
            json!({"code": "H56-1", "schedule": {"due": null}}),
            "samples/push.dossier/online: [sample-refused] found [not-wanted]",
        ),
        (
            "push.dossier/online.nativ",
            json!({}),
            "samples/push.dossier/online.nativ.json: [sample-unknown]",
        ),
        (
            "push.dosier/online.native",
            json!({}),
            "samples/push.dosier: [sample-unknown]",
        ),
        (
            "push.dossier/alone.native",
            json!({}),
            "samples/push.dossier/alone: [sample-incomplete]",
        ),
        (
            "push.dossier/alone.found",
            json!([]),
            "samples/push.dossier/alone: [sample-incomplete]",
        ),
        (
            "push.dossier/alone.dossier",
            json!({}),
            "samples/push.dossier/alone: [sample-incomplete]",
        ),
        (
            "push.told/two.create",
            json!({"method": "POST", "path": "/told", "body": {"part": 2, "rows": []}}),
            "samples/push.told/two.create.json: [sample-differs] found /body/part is 1 and not 2, /body/rows has 2 members",
        ),
        (
            "push.told/one-refused.verdicts",
            json!({"p1": {"is": "done"}}),
            "samples/push.told/one-refused.verdicts.json: [sample-differs] found /p2 is too many",
        ),
        (
            "push.told/one-refused.answer",
            json!({"body": {"rows": [{"id": "p1", "is": "login"}]}}),
            "[bad-verdict] verdicts: found a word that is none; expected {key, is} once for each record, with one of \
             the words done, exists, missing, retry, refused, in_doubt; next correct the jq of `verdicts`",
        ),
        (
            "push.work/new-there.state",
            json!("accepted"),
            "samples/push.work/new-there.state.json: [sample-differs] found / is \"new\" and not \"accepted\"",
        ),
        (
            "push.work/closed-there.step",
            json!({"step": "close"}),
            "samples/push.work/closed-there.step.json: [sample-differs] found / is null and not an object",
        ),
        (
            "push.work/closed-there.echo",
            json!({"dossier": "H56-1"}),
            "samples/push.work/closed-there.echo.json: [sample-differs] found no step at all",
        ),
        (
            "push.work/to-be-closed.refused",
            json!({"code": "bad-step"}),
            "samples/push.work/to-be-closed.refused.json: [sample-differs] found no refusal",
        ),
        (
            "push.work/new-there.native",
            json!({}),
            "samples/push.work/new-there.native.json: [sample-unknown]",
        ),
        (
            "push.work/lost-session.with",
            json!({"call": "clos"}),
            "samples/push.work/lost-session: [sample-incomplete] expected CASE.with.json with a `call` that is one of \
             accept, close, find; next add it",
        ),
    ];
    for (name, content, expected) in rows {
        let world = complete();
        world.write(&format!("samples/{name}.json"), &content.to_string());
        let told = faults(&world);
        assert!(
            told.first().is_some_and(|first| first.starts_with(expected)),
            "{name}: {told:#?}"
        );
    }
}

#[test]
fn what_no_case_shows_is_told() {
    let rows = [
        ("pull.changes/completed.*", "a record and the patch that it gives"),
        ("pull.changes/page.*", "the request that acknowledges a record"),
        ("push.step/two.*", "a dossier and the record that it gives"),
        ("push.step/first.*", "the request of `create`"),
        ("push.dossier/there.*", "an answer that is judged \"exists\""),
        (
            "push.told/one-refused.*",
            "an answer and its verdict for each record",
        ),
        (
            "push.work/to-be-closed.*",
            "a state from which the next step is \"close\"",
        ),
        ("push.work/closed-there.*", "a state from which there is no step"),
        (
            "push.dossier/of-another.*",
            "what a find shows before \"key taken\"",
        ),
    ];
    for (pattern, expected) in rows {
        let world = complete();
        let (folder, stem) = pattern.trim_end_matches('*').split_once('/').unwrap();
        for entry in std::fs::read_dir(world.folder.path().join("samples").join(folder))
            .unwrap()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(stem) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        let told = faults(&world);
        let expected = format!("samples/{folder}: [sample-missing] expected {expected}");
        assert!(
            told.len() == 1 && told[0].starts_with(&expected),
            "{pattern}: {told:#?}"
        );
    }
}

#[test]
fn a_refusal_in_a_sample_names_the_field() {
    let world = complete();
    let dossier =
        json!({"code": "H56-1", "applicant": {"person": {"name": ""}}, "schedule": {"due": "2026-03-19"}});
    world.write("samples/push.dossier/no-name.dossier.json", &dossier.to_string());
    world.write(
        "samples/push.dossier/no-name.refused.json",
        r#"{"code": "mandatory-empty", "field": "name"}"#,
    );
    assert_eq!(faults(&world), Vec::<String>::new());
    world.write(
        "samples/push.dossier/no-name.refused.json",
        r#"{"code": "mandatory-empty", "field": "no"}"#,
    );
    assert_eq!(faults(&world).len(), 1);
}

#[test]
fn a_record_that_says_what_its_system_does_not_own_is_told() {
    let world = complete().with("owns = { status = \"always\", ", "owns = { ");
    let told = faults(&world);
    assert!(
        told.iter().any(|told| {
            told.starts_with("samples/webhook.book/completed: [sample-refused] found [not-owner] status")
        }),
        "{told:#?}"
    );
}
