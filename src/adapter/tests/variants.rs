//! Variants: what is laid over a manifest, whose line a fault names, and what a variant has to prove.

use std::collections::BTreeMap;

use serde_json::json;

use super::samples::complete;
use super::world::{World, told};
use crate::adapter::{Acknowledge, Adapter, Answer, Site, check, contract, variants};
use crate::fault::Fault;

/// Another way to the same book: a gateway with a bearer token and a call of its own for each kind of record.
const GATE: &str = r#"[settings]
password = false
client = "${BOOK_CLIENT}"
quick = false
[connection]
url = "https://gate.example.vn"
headers = { X-Agency = false }
[connection.login]
path = '/token'
send = "form"
body = '{grant_type: "client_credentials", client_id: $settings.client}'
token = '.access_token'
valid = '.expires_in'
[webhook.book]
verify = '$headers["x-key"] == $settings.client'
[push]
dossier = { find = false, same_when = false, update = false, create = { path = '/add', body = '[.]' } }
step = { on_doubt = false, because = false }
told = false
work = false
"#;

fn gated() -> World {
    let world = World::sound();
    world.write("variants/gate.toml", GATE);
    world
}

fn site(variant: &str) -> Site {
    Site::sample("book").with_variant(Some(variant.to_owned()))
}

fn load(world: &World, variant: &str) -> Result<Adapter, Vec<Fault>> {
    Adapter::load(world.folder.path(), &site(variant))
}

/// What is said about the variant when this stands in place of the other.
fn told_with(from: &str, to: &str) -> Vec<String> {
    let world = World::sound();
    assert_eq!(GATE.matches(from).count(), 1, "{from:?} is to be there once");
    world.write("variants/gate.toml", &GATE.replace(from, to));
    told(&load(&world, "gate").unwrap_err())
}

#[test]
fn a_variant_says_only_what_differs() {
    let world = gated();
    assert_eq!(variants(world.folder.path()), ["gate"]);
    let (base, gate) = (world.load().unwrap(), load(&world, "gate").unwrap());
    assert_eq!(
        (base.variant.as_deref(), gate.variant.as_deref()),
        (None, Some("gate"))
    );
    assert_ne!(gate.version, base.version);
    assert_eq!(gate.title, base.title);
    assert_eq!(
        gate.connection.settle, base.connection.settle,
        "tables merge key by key"
    );
    assert_eq!(gate.connection.url, "https://gate.example.vn");
    let [dossier, step] = gate.pushes.as_slice() else {
        panic!("an operation can be removed too: {:?}", gate.pushes);
    };
    assert!(
        dossier.find.is_none() && dossier.update().is_none(),
        "false removes a key"
    );
    assert!(base.pushes[0].find.is_some(), "and only from the variant");
    assert_eq!(step.after.as_deref(), Some("dossier"));

    let record = dossier
        .native(
            &json!({"code": "H56-1", "applicant": {"person": {"name": "Lê Thị Mẫu"}}}),
            None,
        )
        .unwrap();
    let scope = dossier
        .scope(&json!({}), &record, None)
        .with("token", json!("t0k3n"));
    let request = dossier.create().unwrap().request(&record.record, &scope).unwrap();
    assert_eq!(request.url, "https://gate.example.vn/add");
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Authorization", "content-type"]);
    assert_eq!(
        String::from_utf8(request.body.unwrap()).unwrap(),
        r#"[{"no":"H56-1","name":"Lê Thị Mẫu","office":"a"}]"#
    );
}

#[test]
fn a_call_is_replaced_whole() {
    let world = gated();
    let gate = load(&world, "gate").unwrap();
    let answer = json!({"id": "9"});
    let push = &gate.pushes[0];
    let record = push
        .native(
            &json!({"code": "H56-1", "applicant": {"person": {"name": "A"}}}),
            None,
        )
        .unwrap();
    assert_eq!(
        push.remote(&answer, &record, &json!({})).unwrap().as_deref(),
        Some("H56-1"),
        "the `remote` of the other create is gone"
    );
    let login = gate.connection.login.unwrap();
    let scope = crate::adapter::Login::scope("2026-01-02T03:04:05Z".parse().unwrap());
    let request = login.call.request(&json!(null), &scope).unwrap();
    assert_eq!(request.url, "https://gate.example.vn/token");
    assert_eq!(
        request.body.unwrap(),
        b"grant_type=client_credentials&client_id=book_client"
    );
}

#[test]
fn an_acknowledgement_is_a_call_like_others() {
    let world = World::sound();
    world.write(
        "variants/gate.toml",
        "[pull.changes.acknowledge]\nurl = 'https://seen.example.vn'\nkeep = '.id'\n",
    );
    let gate = load(&world, "gate").unwrap();
    let acknowledge = gate.pulls[0].acknowledge.as_ref().unwrap();
    let scope = Acknowledge::scope().with("token", json!("t0k3n"));
    let request = acknowledge.call.request(&json!([]), &scope).unwrap();
    assert_eq!(
        (request.url.as_str(), request.body),
        ("https://seen.example.vn", None)
    );
    assert_eq!(acknowledge.batch, None, "the other one's is gone");
    world.write("variants/gate.toml", "pull.changes.acknowledge = false");
    assert!(load(&world, "gate").unwrap().pulls[0].acknowledge.is_none());
}

#[test]
fn each_fault_names_the_file_and_line_that_it_comes_from() {
    let rows: [(&str, &str, &[&str]); 7] = [
        (
            "path = '/token'",
            "pfad = '/token'",
            &[
                "variants/gate.toml:8: [missing-key] connection.login.path:",
                "variants/gate.toml:9: [unknown-key] connection.login.pfad:",
            ],
        ),
        (
            "[webhook.book]\n",
            "[webhok.book]\n",
            &["variants/gate.toml:14: [unknown-key] webhok: expected `webhook`;"],
        ),
        (
            "valid = '.expires_in'",
            "valid = \"\"\"\n.expires_in\n| foo\"\"\"",
            &["variants/gate.toml:15: [unknown-function] connection.login.valid:"],
        ),
        (
            "\"https://gate.example.vn\"",
            "\"gate\"",
            &["variants/gate.toml:6: [bad-url] connection.url:"],
        ),
        (
            "[settings]\n",
            "owns = { status = \"never\" }\n[settings]\n",
            &["variants/gate.toml:1: [unknown-right] owns.status:"],
        ),
        (
            "[settings]\n",
            "[settings\n",
            &["variants/gate.toml:1: [manifest-syntax] "],
        ),
        // What a removal leaves behind is said of the place that removed it.
        (
            "same_when = false, ",
            "",
            &["variants/gate.toml:17: [missing-key] push.dossier.find:"],
        ),
    ];
    for (from, to, expected) in rows {
        let told = told_with(from, to);
        assert_eq!(told.len(), expected.len(), "{to}: {told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{to}: {told}");
        }
    }
}

#[test]
fn a_fault_of_the_manifest_itself_is_told_once() {
    let world = World::sound().with("key = '.no'", "key = '.no | foo'");
    world.write("variants/gate.toml", GATE);
    let told = told(&check(world.folder.path(), &Site::sample("book")));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("adapter.toml:46: [unknown-function] push.dossier.key:"),
        "{told:#?}"
    );
}

#[test]
fn a_rule_of_a_variant_names_itself() {
    let world = World::sound();
    world.write(
        "variants/gate.toml",
        "answer = [\n  { when = '.code == 7', is = \"exists\" },\n]\n",
    );
    let gate = load(&world, "gate").unwrap();
    let push = &gate.pushes[0];
    let record = push
        .native(
            &json!({"code": "H56-1", "applicant": {"person": {"name": "A"}}}),
            None,
        )
        .unwrap();
    let answer = Answer {
        status: 200,
        headers: BTreeMap::new(),
        body: json!([1]),
    };
    let scope = push
        .scope(&json!({}), &record, None)
        .with("token", json!("t0k3n"));
    let reason = push.create().unwrap().judge(&Ok(&answer), &scope).reason.unwrap();
    assert!(
        reason.starts_with("the rule variants/gate.toml:2 failed"),
        "{reason}"
    );
}

#[test]
fn false_is_a_value_where_there_is_nothing_to_remove() {
    let world = World::sound().with("agency = \"H56\"", "agency = \"H56\"\nquick = true");
    let visible = |variant: &str| {
        world.write("variants/gate.toml", variant);
        let gate = load(&world, "gate").unwrap();
        gate.pushes[0]
            .native(
                &json!({"code": "1", "applicant": {"person": {"name": "A"}}}),
                None,
            )
            .unwrap()
            .record
    };
    let record = "push.dossier.record = '{no: .code, name: \"A\", office: ($settings | tojson)}'\n";
    assert_eq!(visible(record)["office"], r#"{"agency":"H56","quick":true}"#);
    let settings = "[settings]\nagency = false\nquick = false\nnew = false\n";
    assert_eq!(
        visible(&format!("{record}{settings}"))["office"],
        r#"{"new":false,"quick":false}"#
    );

    // `echo = false` says something; there was none before, and with jq below it says the same.
    world.write("variants/gate.toml", "push.dossier.echo = false");
    load(&world, "gate").unwrap();
    // A key that is not there cannot be removed.
    world.write("variants/gate.toml", "push.step.settle = false");
    assert_eq!(
        told(&load(&world, "gate").unwrap_err())[0],
        "variants/gate.toml:1: [wrong-type] push.step.settle: found true or false; expected text; next write it in the \
         expected form"
    );
}

#[test]
fn a_variant_that_the_adapter_does_not_have_is_told_with_the_nearest() {
    let said = |world: &World, name: &str| told(&load(world, name).unwrap_err());
    let world = gated();
    assert_eq!(
        said(&world, "gaet"),
        [
            "lienthong.toml: [variant-unknown] adapter.book.variant: found \"gaet\"; expected \"gate\"; next correct the name"
        ]
    );
    // A name is no path.
    assert_eq!(
        said(&world, "../adapter"),
        [
            "lienthong.toml: [variant-unknown] adapter.book.variant: found \"../adapter\"; expected one of: gate; next \
             choose one of these, or remove the key"
        ]
    );
    assert_eq!(
        said(&World::sound(), "gate"),
        [
            "lienthong.toml: [variant-unknown] adapter.book.variant: found \"gate\"; expected an adapter with a file in \
             variants/; next remove the key: this adapter has no variants"
        ]
    );
}

#[test]
fn a_filter_is_used_if_any_form_uses_it() {
    let world = gated();
    world.write("spare.jq", ".no");
    let unused = |world: &World| {
        let told = told(&check(world.folder.path(), &Site::sample("book")));
        told.iter()
            .filter(|told| told.contains("[filter-unused]"))
            .count()
    };
    assert_eq!(unused(&world), 1, "told once");
    world.write(
        "variants/gate.toml",
        &GATE.replace("[webhook.book]", "[webhook.book]\nmap = 'spare'"),
    );
    assert_eq!(unused(&world), 0);
}

#[test]
fn a_variant_is_proven_by_cases_of_its_own() {
    let world = complete();
    world.write("variants/gate.toml", GATE);
    let missing = told(&check(world.folder.path(), &Site::sample("book")));
    let expected: Vec<String> = [
        ("webhook.book", "a record and the patch that it gives"),
        ("pull.changes", "a record and the patch that it gives"),
        ("pull.changes", "the request that acknowledges a record"),
        ("push.dossier", "a dossier and the record that it gives"),
        ("push.dossier", "the request of `create`"),
        ("push.dossier", "what will be reported of a record"),
        ("push.step", "a dossier and the record that it gives"),
        ("push.step", "the request of `create`"),
        ("push.dossier", "an answer that is judged \"exists\""),
        ("push.dossier", "an answer that is judged \"login\""),
    ]
    .map(|(operation, what)| format!("samples/{operation}@gate: [sample-missing] expected {what}"))
    .into();
    assert_eq!(missing.len(), expected.len(), "{missing:#?}");
    for (told, expected) in missing.iter().zip(&expected) {
        assert!(told.starts_with(expected), "{told} is not {expected}");
    }

    // The same cases, but for the requests and the way to look.
    for folder in ["webhook.book", "pull.changes", "push.dossier", "push.step"] {
        for (name, content) in world.files(&format!("samples/{folder}")) {
            let part = name.rsplit('.').nth(1).unwrap();
            if !["find", "update", "found", "decision"].contains(&part) {
                let content = match (folder, part) {
                    ("push.dossier", "create") => json!({
                        "method": "POST", "path": "/add",
                        "body": [{"no": "H56-1", "name": "Lê Thị Mẫu", "office": "a"}],
                    })
                    .to_string(),
                    _ => content,
                };
                world.write(&format!("samples/{folder}@gate/{name}"), &content);
            }
        }
    }
    for case in ["absent", "double", "of-another", "typed-in-before"] {
        world.remove(&format!("samples/push.dossier@gate/{case}.dossier.json"));
    }
    assert_eq!(
        told(&check(world.folder.path(), &Site::sample("book"))),
        Vec::<String>::new()
    );
    let cases = contract::run(&load(&world, "gate").unwrap());
    assert!(cases.iter().all(|case| case.name.contains("@gate/")), "{cases:?}");
    let cases = contract::run(&world.load().unwrap());
    assert!(cases.iter().all(|case| !case.name.contains('@')), "{cases:?}");

    // One that differs, and one that no form has.
    world.write(
        "samples/push.dossier@gate/online.create.json",
        "{\"method\": \"POST\", \"path\": \"/book\"}",
    );
    world.write("samples/push.dossier@gaet/online.create.json", "{}");
    let told = told(&check(world.folder.path(), &Site::sample("book")));
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(
        told[0],
        "samples/push.dossier@gaet: [sample-unknown] expected `gate`; next correct the name of the folder"
    );
    assert!(
        told[1].starts_with("samples/push.dossier@gate/online.create.json: [sample-differs]"),
        "{told:#?}"
    );
}
