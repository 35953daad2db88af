//! Targets that take actions: the next one, its request, and what will be reported of it.

use serde_json::{Value as Json, json};

use super::world::{NEXT_STEP, World};
use crate::adapter::{Adapter, Push, Steps};
use crate::dossier::Patch;

fn dossier(status: &str) -> Json {
    json!({
        "id": "1", "code": "H56-1", "links": {}, "applicant": {"person": {"name": "Lê Thị Mẫu"}},
        "status": {"value": status},
    })
}

fn work(adapter: &Adapter) -> (&Push, &Steps) {
    let push = adapter.pushes.iter().find(|push| push.name == "work").unwrap();
    (push, push.steps().unwrap())
}

/// The sound adapter, led on by other jq.
fn led_by(next: &str) -> Adapter {
    let world = World::sound();
    world.write("next_step.jq", next);
    world.load().unwrap()
}

#[test]
fn the_state_of_the_target_names_the_next_step_until_there_is_none() {
    let adapter = led_by(NEXT_STEP);
    let (push, steps) = work(&adapter);
    assert!(push.create().is_none() && push.update().is_none());
    let next = |state: &str, status: &str| {
        let next = steps.next(&json!(state), &dossier(status)).unwrap();
        next.map(|next| (next.step, next.native.record))
    };
    let accept = json!({"for": "Lê Thị Mẫu"});
    assert_eq!(next("new", "completed"), Some(("accept".to_owned(), accept)));
    assert_eq!(next("accepted", "accepted"), None);
    let close = Some(("close".to_owned(), json!({})));
    assert_eq!(next("accepted", "completed"), close);
    assert_eq!(next("closed", "completed"), None);
}

#[test]
fn state_is_read_from_what_was_shown_and_nothing_shown_is_null() {
    let adapter = led_by(NEXT_STEP);
    let (_, steps) = work(&adapter);
    let state = |shown: Json| steps.state(&shown, &dossier("accepted")).unwrap();
    assert_eq!(state(json!({"state": "new"})), "new");
    assert_eq!(state(Json::Null), Json::Null);
    let plain = World::sound().with("state = '.state'\n", "").load().unwrap();
    let shown = json!({"state": "new"});
    let (_, steps) = work(&plain);
    assert_eq!(steps.state(&shown, &dossier("accepted")).unwrap(), shown);
}

#[test]
fn of_several_steps_the_first_is_next_and_null_is_none() {
    let adapter = led_by(r#"{step: "close", record: 1}, {step: "accept", record: 2}"#);
    let next = |adapter: &Adapter| work(adapter).1.next(&Json::Null, &dossier("accepted")).unwrap();
    assert_eq!(next(&adapter).unwrap().step, "close");
    assert_eq!(next(&led_by("null")), None);
}

#[test]
fn equal_records_of_two_steps_have_two_hashes() {
    let adapter = led_by("{step: ., record: {}}");
    let (_, steps) = work(&adapter);
    let native = |step: &str| {
        let next = steps.next(&json!(step), &dossier("accepted")).unwrap().unwrap();
        (next.native.hash, next.native.step, next.native.key)
    };
    let (hash, step, key) = native("accept");
    assert_eq!((hash.len(), step.as_deref(), key), (64, Some("accept"), None));
    assert_ne!(hash, native("close").0);
    assert_eq!(hash, native("accept").0);
}

#[test]
fn what_is_no_step_is_told_and_never_its_content() {
    let rows = [
        (
            "\"close\"",
            "[bad-step] push.work.steps: found something else; expected an object of `step`, the name of an \
          action, and `record`, what it is to send; next write {step: \"NAME\", record: …} in the jq",
        ),
        ("{step: \"close\"}", "[bad-step]"),
        ("{step: \"close\", record: 1, body: 2}", "[bad-step]"),
        ("{step: 1, record: 1}", "[bad-step]"),
        (
            "{step: \"clsoe\", record: 1}",
            "[step-unknown] push.work.steps: found \"clsoe\"; expected \"close\"; next correct the name",
        ),
        (
            "{step: \"reopen\", record: 1}",
            "[step-unknown] push.work.steps: found \"reopen\"; expected one of: accept, close; next add \
             [push.work.step.reopen], or correct the name",
        ),
    ];
    for (jq, expected) in rows {
        let adapter = led_by(jq);
        let fault = work(&adapter)
            .1
            .next(&Json::Null, &dossier("accepted"))
            .unwrap_err();
        let told = fault.to_string();
        assert!(
            told.starts_with(&format!("adapter.toml: {expected}")),
            "{jq}: {told}"
        );
    }
}

#[test]
fn a_look_up_comes_before_there_is_a_record_and_a_step_knows_whom_it_is_about() {
    let adapter = led_by(NEXT_STEP);
    let (push, steps) = work(&adapter);
    let dossier = dossier("accepted");
    let find = &push.find.as_ref().unwrap().call;
    let scope = push.scope_of_find(&dossier, None).with("token", json!("t"));
    let request = find.request(&Json::Null, &scope).unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("GET", "https://book.example.vn/api/book/H56-1")
    );
    let shown = json!({"id": 77, "state": "new"});
    let remote = push.remote_of_shown(&shown, &dossier).unwrap();
    assert_eq!(remote.as_deref(), Some("77"));
    assert_eq!(push.remote_of_shown(&json!({}), &dossier).unwrap(), None);

    let next = steps.next(&json!("new"), &dossier).unwrap().unwrap();
    let call = steps.call(&next.step).unwrap();
    assert!(call.writes && !call.idempotent && steps.call("close").unwrap().idempotent);
    let scope = push
        .scope(&dossier, &next.native, remote.as_deref())
        .with("token", json!("t"));
    let request = call.request(&next.native.record, &scope).unwrap();
    assert_eq!(request.url, "https://book.example.vn/api/book/77/accept");
    assert!(steps.call("reopen").is_none());
}

#[test]
fn what_will_be_reported_of_a_step_or_record_is_a_patch() {
    let adapter = led_by(NEXT_STEP);
    let (push, steps) = work(&adapter);
    let seen = dossier("accepted");
    let next = steps.next(&json!("new"), &seen).unwrap().unwrap();
    let echo = push.echo(&next.native, &seen).unwrap().unwrap();
    assert_eq!(echo, json!({"dossier": "H56-1", "status": {"value": "accepted"}}));
    assert!(Patch::parse(&echo).is_ok());

    let record = &adapter.pushes[0];
    let native = record.native(&seen, None).unwrap();
    let echo = record.echo(&native, &seen).unwrap().unwrap();
    assert_eq!(echo["applicant"]["person"]["name"], "Lê Thị Mẫu");
    let silent = &adapter.pushes[1];
    assert_eq!(silent.echo(&native, &seen).unwrap(), None);
}
