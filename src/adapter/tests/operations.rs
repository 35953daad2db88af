//! What pushes, pulls and webhooks make of dossiers and records.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::world::World;
use crate::adapter::{Acknowledge, Decision, Fact, OnDoubt};

fn dossier() -> Json {
    json!({
        "id": "1", "code": "H56-1", "applicant": {"person": {"name": "Lê Thị Mẫu"}}, "schedule": {"due": "2026-03-19"},
        "progress": [{"id": "p1", "value": "registered"}, {"id": "p2", "value": "completed"}],
    })
}

#[test]
fn a_record_has_a_key_and_a_hash_that_follows_its_content() {
    let adapter = World::sound().load().unwrap();
    let push = &adapter.pushes[0];
    let native = push.native(&dossier(), None).unwrap();
    assert_eq!(native.key.as_deref(), Some("H56-1"));
    assert_eq!(native.hash.len(), 64);
    let mut other = dossier();
    other["progress"] = json!([]);
    assert_eq!(
        push.native(&other, None).unwrap().hash,
        native.hash,
        "the record does not show progress"
    );
    other["applicant"]["person"]["name"] = json!("Lê Thị Khác");
    assert_ne!(push.native(&other, None).unwrap().hash, native.hash);
}

#[test]
fn an_empty_mandatory_field_is_named_and_not_the_person() {
    let adapter = World::sound().load().unwrap();
    let push = &adapter.pushes[0];
    let mut dossier = dossier();
    dossier["applicant"]["person"]["name"] = json!("  ");
    let fault = push.native(&dossier, None).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "[mandatory-empty] name: found nothing; expected a value; next complete the dossier where it was recorded; \
         push.dossier cannot be sent without name"
    );
    dossier["code"] = Json::Null;
    let fault = push.native(&dossier, None).unwrap_err();
    assert_eq!(
        fault.remedy.unwrap(),
        "the mapping must fill in no itself: the code is always there"
    );
}

#[test]
fn items_become_rows_of_their_own() {
    let adapter = World::sound().load().unwrap();
    let push = &adapter.pushes[1];
    assert_eq!(
        (push.after.as_deref(), push.on_doubt),
        (Some("dossier"), OnDoubt::Resend)
    );
    let items = push.items(&dossier()).unwrap();
    let native = push.native(&dossier(), items.get(1)).unwrap();
    assert_eq!(native.record, json!({"no": "H56-1", "step": "completed"}));
    let without = json!({"progress": [{"value": "registered"}]});
    assert_eq!(push.items(&without).unwrap_err().code, "item-without-id");
    let twice = json!({"progress": [{"id": "p1"}, {"id": "p1"}]});
    assert_eq!(push.items(&twice).unwrap_err().code, "item-twice");
}

#[test]
fn a_dossier_is_sent_only_when_wanted() {
    let adapter = World::sound().load().unwrap();
    let push = &adapter.pushes[0];
    assert!(push.wanted(&dossier()).unwrap());
    assert!(!push.wanted(&json!({"schedule": {"due": null}})).unwrap());
    assert!(
        adapter.pushes[1].wanted(&json!({})).unwrap(),
        "without `when` it always is"
    );
}

#[test]
fn what_a_find_shows_decides() {
    let adapter = World::sound().load().unwrap();
    let push = &adapter.pushes[0];
    let native = push.native(&dossier(), None).unwrap();
    let decide = |found: &[Json]| push.decide(found, &native, &dossier()).unwrap();
    let same = json!({"no": "H56-1", "name": "LÊ THỊ  MẪU", "id": 5});
    let other = json!({"no": "H56-1", "name": "Trần Văn Mẫu", "id": 6});
    assert_eq!(decide(&[]), Decision::Create);
    assert_eq!(decide(std::slice::from_ref(&same)), Decision::Same(same.clone()));
    assert_eq!(decide(std::slice::from_ref(&other)), Decision::KeyTaken);
    assert_eq!(decide(&[same.clone(), other]), Decision::Duplicate);
    assert_eq!(
        push.remote_of_found(&same, &native, &dossier())
            .unwrap()
            .as_deref(),
        Some("5")
    );
    assert_eq!(
        push.remote(&json!({"id": "9"}), &native, &dossier())
            .unwrap()
            .as_deref(),
        Some("9")
    );
    assert_eq!(
        push.remote(&json!({}), &native, &dossier()).unwrap().as_deref(),
        Some("H56-1")
    );
}

#[test]
fn a_record_has_its_code_though_it_cannot_be_mapped() {
    let code = r#"code = 'if .no == "?" then error else .no end'"#;
    let adapter = World::sound()
        .with("limit = \"1 MiB\"", &format!("limit = \"1 MiB\"\n{code}"))
        .with("every = \"30s\"", &format!("every = \"30s\"\n{code}"))
        .load()
        .unwrap();
    let (webhook, pull) = (&adapter.webhooks[0], &adapter.pulls[0]);
    let unmappable = json!({"no": " h56-1", "state": "9"});
    assert!(webhook.map(&unmappable).is_err());
    assert_eq!(webhook.code(&unmappable).as_deref(), Some("H56-1"));
    assert_eq!(pull.code(&unmappable).as_deref(), Some("H56-1"));
    let strayed = "x".repeat(101);
    for no in [json!("?"), json!(7), json!(null), json!(" "), json!(strayed)] {
        assert_eq!(webhook.code(&json!({"no": no})), None);
    }
    let without = World::sound().load().unwrap();
    assert_eq!(without.webhooks[0].code(&unmappable), None);
}

#[test]
fn a_webhook_is_verified_and_read() {
    let adapter = World::sound().load().unwrap();
    let webhook = &adapter.webhooks[0];
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let verify = |key: &str, office: &str| {
        let headers = BTreeMap::from([("x-key".to_owned(), key.to_owned())]);
        let path = Map::from_iter([("office".to_owned(), json!(office))]);
        webhook.verify(b"{}", &headers, &path, now).unwrap()
    };
    assert!(verify("book_password", "a"));
    assert!(!verify("guessed", "a"));
    assert!(!verify("book_password", "b"));
    let facts = webhook.map(&json!({"no": "H56-1", "state": "2"})).unwrap();
    assert_eq!(
        facts,
        [Fact::Patch {
            patch: json!({"dossier": "H56-1", "status": {"value": "completed"}}),
            complete: Vec::new(),
        }]
    );
    let fault = webhook.map(&json!({"no": "H56-1", "state": "9"})).unwrap_err();
    assert_eq!(fault.code, "table-missing-entry");
    assert_eq!(webhook.reply(&json!({"ok": true})), json!({"accepted": true}));
    assert_eq!(webhook.limit, 1 << 20);
}

#[test]
fn a_snapshot_marks_what_a_record_shows_completely() {
    let snapshot = "limit = \"1 MiB\"\nsnapshot = [\"components\", \"fees\"]";
    let adapter = World::sound().with("limit = \"1 MiB\"", snapshot).load().unwrap();
    let (webhook, pull) = (&adapter.webhooks[0], &adapter.pulls[0]);
    assert_eq!(
        (webhook.snapshot(), pull.snapshot()),
        (&["components", "fees"][..], &[][..])
    );
    let facts = webhook.map(&json!({"no": "H56-1", "state": "2"})).unwrap();
    let marked =
        |fact: &Fact| matches!(fact, Fact::Patch { complete, .. } if *complete == ["components", "fees"]);
    assert!(facts.iter().all(marked), "{facts:?}");
}

#[test]
fn a_mapping_without_output_is_a_fault_and_leaving_out_says_why() {
    let world = World::sound();
    world.write("inbound.jq", "if .no then ignore(\"a trial\") else empty end");
    let adapter = world.load().unwrap();
    let webhook = &adapter.webhooks[0];
    assert_eq!(
        webhook.map(&json!({"no": 1})).unwrap(),
        [Fact::Ignored("a trial".to_owned())]
    );
    assert_eq!(webhook.map(&json!({})).unwrap_err().code, "mapping-empty");
}

#[test]
fn a_pull_asks_from_its_cursor_with_overlap() {
    let adapter = World::sound().load().unwrap();
    let pull = &adapter.pulls[0];
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let now = at("2026-01-02T10:00:00Z");
    let first = pull.span(None, now);
    assert_eq!((first.since, first.until), (None, now));
    let span = pull.span(Some(at("2026-01-02T09:00:00Z")), now);
    assert_eq!(span.since, Some(at("2026-01-02T08:55:00Z")));
    let scope = pull.scope(&span, &json!(3)).with("token", json!("t"));
    let request = pull.call.request(&Json::Null, &scope).unwrap();
    assert_eq!(
        request.url,
        "https://book.example.vn/api/changes?from=2026-01-02T08%3A55%3A00Z&page=3"
    );
    assert_eq!(request.method, "GET");
    let answer =
        json!({"rows": [{"at": "2026-01-02T09:30:00Z"}, {"at": "2027-01-01T00:00:00Z"}], "next": null});
    let records = pull.call.records(&answer, &scope).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(pull.next(&answer, &scope).unwrap(), None);
    assert_eq!(pull.next(&json!({"next": 4}), &scope).unwrap(), Some(json!(4)));
    let before = Some(at("2026-01-02T09:00:00Z"));
    let reached = |latest| pull.reached(before, &span, latest, now);
    assert_eq!(
        reached(pull.cursor(&records[0]).unwrap()),
        Some(at("2026-01-02T09:30:00Z"))
    );
    assert_eq!(
        reached(pull.cursor(&records[1]).unwrap()),
        Some(now),
        "a record from the future"
    );
    assert_eq!(reached(None), before, "nothing new");
    assert_eq!(
        pull.cursor(&json!({"at": "yesterday"})).unwrap_err().code,
        "bad-cursor"
    );
}

#[test]
fn a_record_is_acknowledged_by_what_was_kept_of_it() {
    let adapter = World::sound().load().unwrap();
    let acknowledge = adapter.pulls[0].acknowledge.as_ref().unwrap();
    assert_eq!(acknowledge.batch, Some(50));
    let record = json!({"no": "H56-1", "state": "2", "name": "Lê Thị Mẫu"});
    let kept = acknowledge.keep(&record).unwrap().unwrap();
    assert_eq!(kept, json!("H56-1"), "nobody's name");
    for unnamed in [json!({}), json!({"no": null}), json!({"no": ""})] {
        assert_eq!(acknowledge.keep(&unnamed).unwrap(), None);
    }
    assert!(acknowledge.keep(&json!("no record")).is_err());
    let other = json!("H56-2");
    let scope = Acknowledge::scope().with("token", json!("t"));
    let about = Acknowledge::about([(&kept, None), (&other, Some("table-missing-entry"))]);
    let request = acknowledge.call.request(&about, &scope).unwrap();
    assert_eq!(request.url, "https://book.example.vn/api/taken");
    let body: Json = serde_json::from_slice(&request.body.unwrap()).unwrap();
    let rows = json!([{"no": "H56-1", "why": null}, {"no": "H56-2", "why": "table-missing-entry"}]);
    assert_eq!(body, json!({"rows": rows}));
}

#[test]
fn a_window_is_left_behind_even_if_it_was_empty() {
    let world = World::sound().with(
        "overlap = \"5m\"",
        "overlap = \"5m\"\nwindow = \"1h\"\nstart = \"1d\"",
    );
    let adapter = world.load().unwrap();
    let pull = &adapter.pulls[0];
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let now = at("2026-01-02T10:00:00Z");
    let span = pull.span(None, now);
    assert_eq!(
        (span.since, span.until),
        (Some(at("2026-01-01T10:00:00Z")), at("2026-01-01T11:00:00Z"))
    );
    let cursor = pull.reached(None, &span, None, now);
    assert_eq!(cursor, Some(at("2026-01-01T11:00:00Z")));
    let span = pull.span(cursor, now);
    assert_eq!(
        (span.since, span.until),
        (Some(at("2026-01-01T10:55:00Z")), at("2026-01-01T12:00:00Z"))
    );
}

#[test]
fn a_record_that_brought_files_is_kept_without_their_bytes_and_read_again() {
    let xml = "<kq><ma>1</ma><tep>JVBERi0=</tep></kq>";
    let without = json!({"kq": {"ma": "1", "tep": {"$file": "0".repeat(64)}}});
    let world = World::sound().with("limit = \"1 MiB\"", "receive = \"xml\"\nfiles = [\".kq.tep\"]");
    let webhook = world.load().unwrap().webhooks.remove(0);
    assert_eq!(webhook.kept(&without.to_string()).unwrap(), without);
    // one from before it was told that there are files
    assert_eq!(webhook.kept(xml).unwrap()["kq"]["ma"], "1");
    assert!(webhook.kept("neither").is_err());
}
