//! Each adapter's own calls, made against its stand-in: what the manifest sends is what the system takes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use lienthong::adapter::{Adapter, Answer, Call, Decision, Login, Request, Site, Word};
use lienthong::clock::{Clock, ManualClock};
use lienthong::jq::Scope;
use lienthong::sandbox::Sandbox;
use serde_json::{Map, Value, json};

use crate::support::{Receiver, adapter, client, clock, start};

/// An adapter and its stand-in.
pub(crate) struct World {
    pub(crate) adapter: Adapter,
    pub(crate) sandbox: Sandbox,
    client: reqwest::Client,
    pub(crate) clock: ManualClock,
}

impl World {
    /// The stand-in knows the accounts and secrets that a sample site has: their names in lower case.
    pub(crate) async fn new(name: &str, given: Value) -> Self {
        let clock = clock();
        let sandbox = start(&adapter(name), given, &clock).await;
        let site = Site::sample(name).with_url(sandbox.url());
        let adapter = Adapter::load(&adapter(name), &site).unwrap();
        Self {
            adapter,
            sandbox,
            client: client(),
            clock,
        }
    }

    async fn send(&self, request: Request) -> Answer {
        let method = request.method.parse().unwrap();
        let mut call = self.client.request(method, &request.url);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        let response = call.body(request.body.unwrap_or_default()).send().await.unwrap();
        let status = response.status().as_u16();
        Answer {
            status,
            headers: BTreeMap::new(),
            body: response.json().await.unwrap(),
        }
    }

    pub(crate) async fn call(&self, call: &Call, about: &Value, scope: &Scope) -> (Word, Answer) {
        let answer = self.send(call.request(about, scope).unwrap()).await;
        (call.judge(&Ok(&answer), scope).word, answer)
    }

    pub(crate) async fn log_in(&self) -> Value {
        let login = self.adapter.connection.login.as_ref().unwrap();
        let scope = Login::scope(self.clock.now());
        let (word, answer) = self.call(&login.call, &Value::Null, &scope).await;
        assert_eq!(word, Word::Done);
        json!(login.session(&answer, &scope).unwrap().unwrap().token)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stop_is_pulled_page_by_page() {
    let here = World::new(
        "one-stop",
        json!({"user": "one_stop_user", "password": "one_stop_password", "page_size": 2}),
    )
    .await;
    for (code, changed) in [
        ("A", "20260301080000"),
        ("B", "20260302080000"),
        ("C", "20260303080000"),
    ] {
        here.sandbox
            .insert("HoSo", json!({"MaHoSo": code, "NgayCapNhat": changed}))
            .await
            .unwrap();
    }
    let pull = &here.adapter.pulls[0];
    let now = here.clock.now();

    let never = pull.span(None, now);
    let stranger = pull
        .scope(&never, &Value::Null)
        .with("token", json!("bia"))
        .with("now", json!(now));
    assert_eq!(
        here.call(&pull.call, &Value::Null, &stranger).await.0,
        Word::Login
    );

    let token = here.log_in().await;
    let mut codes = Vec::new();
    let (mut page, mut latest) = (Some(Value::Null), None);
    while let Some(asked) = page {
        let scope = pull
            .scope(&never, &asked)
            .with("token", &token)
            .with("now", json!(now));
        let (word, answer) = here.call(&pull.call, &Value::Null, &scope).await;
        assert_eq!(word, Word::Done);
        for record in pull.call.records(&answer.body, &scope).unwrap() {
            codes.push(record["MaHoSo"].clone());
            latest = latest.max(pull.cursor(&record).unwrap());
        }
        page = pull.next(&answer.body, &scope).unwrap();
    }
    assert_eq!(codes, ["A", "B", "C"]);
    assert_eq!(latest, Some("2026-03-03T01:00:00Z".parse::<Timestamp>().unwrap()));

    // From the cursor on, the overlap of five minutes included, there is the last one only.
    let scope = pull
        .scope(&pull.span(latest, now), &Value::Null)
        .with("token", &token)
        .with("now", json!(now));
    let (_, answer) = here.call(&pull.call, &Value::Null, &scope).await;
    assert_eq!(pull.call.records(&answer.body, &scope).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stop_signs_so_that_the_webhook_believes_it() {
    let mut receiver = Receiver::refusing(0).await;
    let given = json!({"webhook": receiver.url, "secret": "one_stop_webhook_secret"});
    let here = World::new("one-stop", given).await;
    here.sandbox
        .insert("HoSo", json!({"MaHoSo": "A", "ChuHoSo": "Lê Thị Mẫu"}))
        .await
        .unwrap();
    let (headers, body) = receiver.next().await;
    let headers: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();

    let webhook = &here.adapter.webhooks[0];
    let now = here.clock.now();
    let believed = |raw: &[u8], headers| webhook.verify(raw, headers, &Map::new(), now).unwrap();
    assert!(receiver.url.ends_with(&webhook.path));
    assert!(believed(&body, &headers));
    let mut changed = body.to_vec();
    *changed.last_mut().unwrap() = b' ';
    assert!(!believed(&changed, &headers));
    assert!(!believed(&body, &BTreeMap::new()));

    assert_eq!(webhook.reply(&json!({"ok": true}))["maLoi"], "0");
    let refused = webhook.reply(&json!({"ok": false, "code": "body-too-big", "reason": "quá dài"}));
    assert_eq!(refused, json!({"maLoi": "body-too-big", "moTa": "quá dài"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn portal_takes_a_dossier_from_search_to_progress() {
    let given = json!({"username": "national_portal_user", "password": "national_portal_password"});
    let here = World::new("national-portal", given).await;
    let sample = adapter("national-portal").join("samples/push.progress/accepted-and-examined.dossier.json");
    let dossier: Value = serde_json::from_str(&std::fs::read_to_string(sample).unwrap()).unwrap();
    let push = &here
        .adapter
        .pushes
        .iter()
        .find(|push| push.name == "dossier")
        .unwrap();
    let find = &push.find.as_ref().unwrap().call;
    let update = push.update().unwrap();
    let native = push.native(&dossier, None).unwrap();
    let plain = push.scope(&dossier, &native, None);

    let stranger = plain.clone().with("token", json!("bia"));
    for call in [find, push.create().unwrap(), update] {
        assert_eq!(here.call(call, &native.record, &stranger).await.0, Word::Login);
    }

    let scope = plain.clone().with("token", here.log_in().await);
    let (word, answer) = here.call(find, &native.record, &scope).await;
    let found = find.records(&answer.body, &scope).unwrap();
    assert_eq!(
        (word, push.decide(&found, &native, &dossier).unwrap()),
        (Word::Done, Decision::Create)
    );
    assert_eq!(here.call(update, &native.record, &scope).await.0, Word::Missing);
    assert_eq!(
        here.call(push.create().unwrap(), &native.record, &scope).await.0,
        Word::Done
    );
    assert_eq!(
        here.call(push.create().unwrap(), &native.record, &scope).await.0,
        Word::Exists
    );

    let (_, answer) = here.call(find, &native.record, &scope).await;
    let found = find.records(&answer.body, &scope).unwrap();
    assert_eq!(
        push.decide(&found, &native, &dossier).unwrap(),
        Decision::Same(native.record.clone())
    );
    assert_eq!(here.call(update, &native.record, &scope).await.0, Word::Done);

    let progress = &here
        .adapter
        .pushes
        .iter()
        .find(|push| push.name == "progress")
        .unwrap();
    for item in progress.items(&dossier).unwrap() {
        let entry = progress.native(&dossier, Some(&item)).unwrap();
        let scope = progress
            .scope(&dossier, &entry, None)
            .with("token", here.log_in().await);
        assert_eq!(
            here.call(progress.create().unwrap(), &entry.record, &scope)
                .await
                .0,
            Word::Done
        );
    }
    assert_eq!(here.sandbox.rows("TienDo").len(), 2);

    // What the portal refuses is a refusal, and a session that has ended is a login.
    let mut wrong = native.record.clone();
    wrong["TrangThaiHoSo"] = json!("0");
    assert_eq!(here.call(update, &wrong, &scope).await.0, Word::Refused);
    here.clock.advance(SignedDuration::from_secs(600));
    assert_eq!(here.call(update, &native.record, &scope).await.0, Word::Login);
    assert_eq!(here.sandbox.faults(), []);
}
