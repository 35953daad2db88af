//! Requests as they leave, and answers as they are judged.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::world::World;
use crate::adapter::{Adapter, Answer, Call, Failure, Native, Push, Word};
use crate::jq::Scope;

fn adapter() -> Adapter {
    World::sound().load().unwrap()
}

fn dossier() -> Json {
    json!({
        "id": "1", "code": "H56-1", "links": {}, "procedure": {"code": "2.000488"}, "status": null,
        "applicant": {"person": {"name": "Lê Thị Mẫu"}}, "schedule": {"due": "2026-03-19"},
        "progress": [{"id": "p1", "value": "registered"}, {"id": "p2", "value": "completed"}],
    })
}

fn native(push: &Push) -> Native {
    push.native(&dossier(), None).unwrap()
}

fn scope(push: &Push, remote: Option<&str>) -> Scope {
    push.scope(&dossier(), &native(push), remote)
        .with("token", json!("t0k3n"))
        .with("id", json!("request-1"))
}

#[test]
fn a_request_has_address_headers_and_body() {
    let adapter = adapter();
    let push = &adapter.pushes[0];
    let request = push
        .create()
        .unwrap()
        .request(&native(push).record, &scope(push, None))
        .unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://book.example.vn/api/book")
    );
    let headers: BTreeMap<_, _> = request.headers.into_iter().collect();
    assert_eq!(headers["X-Agency"], "H56");
    assert_eq!(headers["Authorization"], "Bearer t0k3n");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        String::from_utf8(request.body.unwrap()).unwrap(),
        r#"{"no":"H56-1","name":"Lê Thị Mẫu","office":"a","request":"request-1"}"#
    );
    let update = push.update().unwrap();
    let request = update
        .request(&native(push).record, &scope(push, Some("a/b ?")))
        .unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("PUT", "https://book.example.vn/api/book/a%2Fb%20%3F")
    );
}

#[test]
fn a_value_never_leaves_the_path_or_breaks_a_header() {
    let world = World::sound().with("'\\($settings.agency)'", "'\\($system)'");
    let adapter = world.load().unwrap();
    let push = &adapter.pushes[0];
    let update = push.update().unwrap();
    for climbing in ["..", "."] {
        assert!(
            update
                .request(&native(push).record, &scope(push, Some(climbing)))
                .is_err(),
            "{climbing}"
        );
    }
    let broken = scope(push, Some("1")).with("token", json!("a\r\nX-Other: b"));
    let fault = update.request(&native(push).record, &broken).unwrap_err();
    assert_eq!(fault.code, "bad-header");
    assert!(!fault.to_string().contains("X-Other"), "{fault}");
}

#[test]
fn a_login_sends_no_session_and_sees_secrets() {
    let adapter = adapter();
    let login = adapter.connection.login.as_ref().unwrap();
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let scope = crate::adapter::Login::scope(now);
    let request = login.call.request(&Json::Null, &scope).unwrap();
    assert!(request.headers.iter().all(|(name, _)| name != "Authorization"));
    assert_eq!(request.body.unwrap(), b"user=bus&password=book_password");
    let answer = |body: Json| Answer {
        status: 200,
        headers: BTreeMap::new(),
        body,
    };
    let session = login
        .session(&answer(json!({"token": "x", "expires_in": "600"})), &scope)
        .unwrap()
        .unwrap();
    assert_eq!(
        (session.token.as_str(), session.valid),
        ("x", Duration::from_mins(10))
    );
    assert_eq!(
        login.session(&answer(json!({"token": null})), &scope).unwrap(),
        None
    );
    assert!(!format!("{session:?}").contains('x'.to_string().repeat(2).as_str()));
}

/// Judges an answer to a call that writes and to one that does not.
fn judged(status: u16, headers: &[(&str, &str)], body: &Json) -> [Word; 2] {
    let adapter = adapter();
    let push = &adapter.pushes[0];
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let answer = Answer {
        status,
        headers,
        body: body.clone(),
    };
    let judge = |call: &Call| call.judge(&Ok(&answer), &scope(push, None)).word;
    [
        judge(push.create().unwrap()),
        judge(&push.find.as_ref().unwrap().call),
    ]
}

#[test]
fn answers_that_no_rule_judges_are_judged_by_status() {
    let rows = [
        (200, [Word::Done, Word::Done]),
        (204, [Word::Done, Word::Done]),
        (302, [Word::InDoubt, Word::Retry]),
        (400, [Word::Refused, Word::Refused]),
        (401, [Word::Login, Word::Login]),
        (403, [Word::Pause, Word::Pause]),
        (404, [Word::Retry, Word::Retry]),
        (408, [Word::Retry, Word::Retry]),
        (409, [Word::Exists, Word::Exists]),
        (422, [Word::Refused, Word::Refused]),
        (429, [Word::Retry, Word::Retry]),
        (500, [Word::InDoubt, Word::Retry]),
        (503, [Word::InDoubt, Word::Retry]),
    ];
    for (status, words) in rows {
        assert_eq!(judged(status, &[], &json!({})), words, "{status}");
    }
}

#[test]
fn without_a_login_a_lost_session_pauses() {
    let world = World::sound();
    let path = world.folder.path().join("adapter.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once("[connection.login]").unwrap();
    let (_, tail) = rest.split_once("[webhook.book]").unwrap();
    let text = format!("{head}[webhook.book]{tail}").replace(", Authorization = 'Bearer \\($token)'", "");
    std::fs::write(&path, text).unwrap();
    let adapter = world.load().unwrap();
    let push = &adapter.pushes[0];
    for (status, body) in [(401, json!({})), (200, json!({"code": 8}))] {
        let answer = Answer {
            status,
            headers: BTreeMap::new(),
            body,
        };
        assert_eq!(
            push.create()
                .unwrap()
                .judge(&Ok(&answer), &scope(push, None))
                .word,
            Word::Pause
        );
    }
}

#[test]
fn the_first_rule_that_matches_decides_and_says_why() {
    let adapter = adapter();
    let push = &adapter.pushes[0];
    let judge = |body: Json| {
        let answer = Answer {
            status: 200,
            headers: BTreeMap::new(),
            body,
        };
        push.create().unwrap().judge(&Ok(&answer), &scope(push, None))
    };
    let verdict = judge(json!({"code": 7, "why": "x".repeat(300), "message": "other"}));
    assert_eq!(verdict.word, Word::Exists);
    assert_eq!(verdict.reason.unwrap().chars().count(), 200);
    let verdict = judge(json!({"code": 8, "message": "phiên hết hạn"}));
    assert_eq!(
        (verdict.word, verdict.reason.as_deref()),
        (Word::Login, Some("phiên hết hạn"))
    );
    let verdict = judge(json!({"code": 0}));
    assert_eq!((verdict.word, verdict.reason), (Word::Done, None));
}

#[test]
fn a_rule_that_fails_leaves_a_write_in_doubt_and_names_itself() {
    let adapter = adapter();
    let push = &adapter.pushes[0];
    let answer = Answer {
        status: 200,
        headers: BTreeMap::new(),
        body: json!([1]),
    };
    let verdict = push.create().unwrap().judge(&Ok(&answer), &scope(push, None));
    assert_eq!(verdict.word, Word::InDoubt);
    assert!(
        verdict
            .reason
            .unwrap()
            .starts_with("the rule adapter.toml:9 failed")
    );
    let find = &push.find.as_ref().unwrap().call;
    assert_eq!(find.judge(&Ok(&answer), &scope(push, None)).word, Word::Retry);
}

#[test]
fn failures_are_in_doubt_only_where_something_may_have_been_written() {
    let adapter = adapter();
    let push = &adapter.pushes[0];
    let find = &push.find.as_ref().unwrap().call;
    let undecodable = |status| {
        push.create()
            .unwrap()
            .decode(status, BTreeMap::new(), b"<html>")
            .unwrap_err()
    };
    let rows = [
        (
            Failure::NotConnected("refused".to_owned()),
            [Word::Retry, Word::Retry],
        ),
        (
            Failure::Broken("timed out".to_owned()),
            [Word::InDoubt, Word::Retry],
        ),
        (undecodable(200), [Word::InDoubt, Word::Retry]),
        (undecodable(502), [Word::InDoubt, Word::Retry]),
        // A gateway's page for people: the status is clear all the same.
        (undecodable(401), [Word::Login, Word::Login]),
        (undecodable(413), [Word::Refused, Word::Refused]),
        // It comes from a gateway that knows no such route: nothing was taken, and nobody said that nothing is there.
        (undecodable(404), [Word::Retry, Word::Retry]),
        (
            push.create()
                .unwrap()
                .decode(200, BTreeMap::new(), b"")
                .unwrap_err(),
            [Word::InDoubt, Word::Retry],
        ),
    ];
    for (failure, words) in rows {
        let judge = |call: &Call| call.judge(&Err(&failure), &scope(push, None)).word;
        assert_eq!([judge(push.create().unwrap()), judge(find)], words, "{failure:?}");
    }
}

#[test]
fn retry_obeys_the_wait_that_the_system_asks_for() {
    let adapter = adapter();
    let push = &adapter.pushes[0];
    let headers: BTreeMap<_, _> = [("retry-after".to_owned(), "7".to_owned())].into();
    let answer = Answer {
        status: 429,
        headers,
        body: Json::Null,
    };
    let verdict = push.create().unwrap().judge(&Ok(&answer), &scope(push, None));
    assert_eq!(
        (verdict.word, verdict.after),
        (Word::Retry, Some(Duration::from_secs(7)))
    );
}

#[test]
fn an_empty_answer_is_one_where_the_status_says_all() {
    let adapter = adapter();
    let create = adapter.pushes[0].create().unwrap();
    for status in [201, 204, 404, 500] {
        assert_eq!(
            create.decode(status, BTreeMap::new(), b"").unwrap().body,
            Json::Null,
            "{status}"
        );
    }
}

#[test]
fn a_refused_login_pauses() {
    let adapter = adapter();
    let login = adapter.connection.login.as_ref().unwrap();
    let scope = crate::adapter::Login::scope("2026-01-02T03:04:05Z".parse().unwrap());
    for (status, body) in [(401, json!({})), (200, json!({"code": 8}))] {
        let answer = Answer {
            status,
            headers: BTreeMap::new(),
            body,
        };
        assert_eq!(
            login.call.judge(&Ok(&answer), &scope).word,
            Word::Pause,
            "{status}"
        );
    }
}
