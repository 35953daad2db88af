//! The national portal's stand-in behind a province's gateway and façade: other doors, the same house.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lienthong::adapter::{Adapter, Answer, Call, Login, Site, Word};
use lienthong::clock::{Clock, ManualClock};
use lienthong::jq::Scope;
use lienthong::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::support::{adapter, answer, client, clock, start};

const CODE: &str = "H56.17-260305-0012";

fn item() -> Value {
    serde_json::from_str(include_str!("item.json")).unwrap()
}

fn with(mut item: Value, field: &str, value: Value) -> Value {
    item[field] = value;
    item
}

fn entry() -> Value {
    json!({
        "MaHoSo": CODE, "NguoiXuLy": "Trần Văn Mẫu", "ThoiDiemXuLy": "20260306101500", "NoiDungXuLy": "Thẩm định hồ sơ",
        "TrangThai": "4",
    })
}

/// A portal with both other doors, and somebody with a token of the gateway.
struct World {
    portal: Sandbox,
    client: reqwest::Client,
    clock: ManualClock,
    token: String,
}

impl World {
    async fn new() -> Self {
        let clock = clock();
        let given = json!({"client_id": "tinh", "client_secret": "bi-mat"});
        let mut world = Self {
            portal: start(&adapter("national-portal"), given, &clock).await,
            client: client(),
            clock,
            token: String::new(),
        };
        let (status, answer) = world.log_in("tinh", "bi-mat").await;
        assert_eq!((status, &answer["expires_in"]), (200, &json!(3600)), "{answer}");
        answer["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut world.token);
        world
    }

    async fn log_in(&self, id: &str, secret: &str) -> (u16, Value) {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        self.ask_token("application/x-www-form-urlencoded", &form).await
    }

    async fn ask_token(&self, kind: &str, body: &str) -> (u16, Value) {
        let request = self.client.post(format!("{}/token", self.portal.url()));
        answer(request.header("content-type", kind).body(body.to_owned())).await
    }

    /// Calls the path with the token of the gateway, which the façade does not look at.
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.portal.url()));
        answer(request.bearer_auth(&self.token).json(body)).await
    }
}

/// One door: paths that create, update and tell progress.
type Door = [&'static str; 3];

const GATEWAY: Door = ["/them-moi", "/cap-nhat", "/tien-do"];
const FACADE: Door = [
    "/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=000.00.00.H56&isUpdating=False",
    "/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=000.00.00.H56&isUpdating=True",
    "/SynsTTHCC/CapNhatTienDoHoSoMC?MaDinhDanhDV=000.00.00.H56",
];

/// Posts, and hears a refusal inside 200 that says this.
async fn refused(world: &World, path: &str, body: &Value, code: &str, message: &str) {
    let (status, answer) = world.post(path, body).await;
    assert_eq!(
        (status, &answer["error_code"]),
        (200, &json!(code)),
        "{path}: {answer}"
    );
    let said = answer["message"].as_str().unwrap();
    assert!(
        said.contains(message),
        "{path}: {answer} does not say {message:?}"
    );
}

async fn taken(world: &World, path: &str, body: &Value) -> Value {
    let (status, answer) = world.post(path, body).await;
    assert_eq!(
        (status, &answer["error_code"]),
        (200, &json!("0")),
        "{path}: {answer}"
    );
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_takes_and_refuses_the_same() {
    for [create, update, progress] in [GATEWAY, FACADE] {
        let world = World::new().await;
        refused(&world, progress, &json!([entry()]), "-1", "không tồn tại").await;
        refused(&world, update, &json!([item()]), "-1", "không tồn tại").await;
        let wrong = with(item(), "TrangThaiHoSo", json!("0"));
        refused(
            &world,
            create,
            &json!([wrong]),
            "-1",
            "TrangThaiHoSo: phải là một trong",
        )
        .await;
        let misspelt = with(item(), "TenLinhvuc", json!("x"));
        refused(
            &world,
            create,
            &json!([misspelt]),
            "-1",
            "TenLinhvuc: không có trường này",
        )
        .await;
        for no_list in [json!([]), json!({"data": [item()]}), json!("x"), json!(["x"])] {
            refused(&world, create, &no_list, "-1", "data").await;
        }
        assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());

        taken(&world, create, &json!([item()])).await;
        refused(&world, create, &json!([item()]), "3", "đã tồn tại").await;
        let newer = with(item(), "TrangThaiHoSo", json!("9"));
        taken(&world, update, &json!([newer])).await;
        assert_eq!(world.portal.rows("HoSo"), [newer]);
        let late = with(entry(), "TrangThai", json!("11"));
        refused(
            &world,
            progress,
            &json!([late]),
            "-1",
            "TrangThai: phải là một trong",
        )
        .await;
        for _ in 0..2 {
            taken(&world, progress, &json!([entry()])).await;
        }
        assert_eq!(
            world.portal.rows("TienDo"),
            [entry(), entry()],
            "no entry has an id"
        );
        let calls = world.portal.calls();
        assert_eq!(
            (calls["DongBoHoSoMC"], calls["CapNhatTienDoHoSoMC"]),
            (10, 4),
            "{calls:?}"
        );
        assert_eq!(world.portal.faults(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_through_one_door_is_there_for_the_others() {
    let world = World::new().await;
    taken(&world, GATEWAY[0], &json!([item()])).await;
    refused(&world, FACADE[0], &json!([item()]), "3", "đã tồn tại").await;
    taken(&world, FACADE[2], &json!([entry()])).await;
    let newer = with(item(), "TrangThaiHoSo", json!("9"));
    taken(&world, FACADE[1], &json!([newer])).await;

    let (url, asked) = (
        world.portal.url(),
        json!({"username": "lienthong", "password": "mat-khau-mau"}),
    );
    let request = world.client.post(format!("{url}/auth")).header("dstcode", "");
    let (_, session) = answer(request.json(&asked)).await;
    let search = json!({
        "session": session["session"], "madonvi": "000.00.00.H56", "service": "TraCuuHoSo", "mahoso": CODE,
    });
    let (_, found) = answer(world.client.post(format!("{url}/integration")).json(&search)).await;
    assert_eq!(found["result"], json!([newer]));
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_opens_to_a_good_token_only() {
    let mut world = World::new().await;
    let good = world.token.clone();
    let session = json!({"username": "lienthong", "password": "mat-khau-mau"});
    let request = world.client.post(format!("{}/auth", world.portal.url()));
    let (_, opened) = answer(request.header("dstcode", "").json(&session)).await;
    let session = opened["session"].as_str().unwrap().to_owned();
    for bad in ["bịa", "", &session] {
        bad.clone_into(&mut world.token);
        for path in GATEWAY {
            let (status, answer) = world.post(path, &json!([item()])).await;
            assert_eq!(
                (status, &answer["fault"]["code"]),
                (401, &json!(900_901)),
                "{path}: {answer}"
            );
        }
    }
    let bare = world.client.post(format!("{}/them-moi", world.portal.url()));
    assert_eq!(answer(bare.json(&json!([item()]))).await.0, 401);
    assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());

    world.token = good;
    world.clock.advance(SignedDuration::from_secs(3599));
    taken(&world, GATEWAY[0], &json!([item()])).await;
    world.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(
        world.post(GATEWAY[1], &json!([item()])).await.0,
        401,
        "its time is over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn token_is_given_to_the_client_that_asks_by_the_standard() {
    let world = World::new().await;
    let form = "application/x-www-form-urlencoded";
    let said = |answer: (u16, Value)| {
        (
            answer.0,
            answer.1["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let rows = [
        (
            form,
            "grant_type=client_credentials&client_id=tinh&client_secret=sai",
            (401, "invalid_client"),
        ),
        (
            form,
            "grant_type=client_credentials&client_id=tinh",
            (401, "invalid_client"),
        ),
        (
            form,
            "grant_type=password&client_id=tinh&client_secret=bi-mat",
            (400, "unsupported_grant_type"),
        ),
        (
            form,
            "client_id=tinh&client_secret=bi-mat",
            (400, "invalid_request"),
        ),
        (
            "application/json",
            r#"{"grant_type":"client_credentials","client_id":"tinh","client_secret":"bi-mat"}"#,
            (400, "invalid_request"),
        ),
    ];
    for (kind, body, (status, word)) in rows {
        assert_eq!(
            said(world.ask_token(kind, body).await),
            (status, word.to_owned()),
            "{body}"
        );
    }
    let (_, again) = world.log_in("tinh", "bi-mat").await;
    assert_ne!(again["access_token"], json!(world.token));
}

#[tokio::test(flavor = "multi_thread")]
async fn facade_demands_agency_and_kind_of_call() {
    let world = World::new().await;
    let path = "/SynsTTHCC/DongBoHoSoMC";
    for query in ["", "?isUpdating=False", "?MaDinhDanhDV=&isUpdating=False"] {
        refused(
            &world,
            &format!("{path}{query}"),
            &json!([item()]),
            "-1",
            "MaDinhDanhDV",
        )
        .await;
    }
    for query in ["?MaDinhDanhDV=H56", "?MaDinhDanhDV=H56&isUpdating=true"] {
        refused(
            &world,
            &format!("{path}{query}"),
            &json!([item()]),
            "-1",
            "isUpdating",
        )
        .await;
    }
    assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());
    let answer = taken(&world, FACADE[0], &json!([item()])).await;
    assert!(answer["session"].is_string(), "{answer}");
}

/// Makes a call of the adapter: its verdict and answer.
async fn call(client: &reqwest::Client, call: &Call, about: &Value, scope: &Scope) -> (Word, Answer) {
    let request = call.request(about, scope).unwrap();
    let mut sent = client.post(&request.url);
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    let (status, body) = answer(sent.body(request.body.unwrap())).await;
    let answer = Answer {
        status,
        headers: BTreeMap::new(),
        body,
    };
    (call.judge(&Ok(&answer), scope).word, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_variant_speaks_to_its_own_door() {
    let sample = adapter("national-portal").join("samples/push.progress/accepted-and-examined.dossier.json");
    let dossier: Value = serde_json::from_str(&std::fs::read_to_string(sample).unwrap()).unwrap();
    for (variant, stranger) in [("lgsp", Some(Word::Login)), ("query", None)] {
        // The stand-in knows the account that a sample site has: its name in lower case.
        let given = json!({
            "client_id": "national_portal_client_id", "client_secret": "national_portal_client_secret",
        });
        let clock = clock();
        let portal = start(&adapter("national-portal"), given, &clock).await;
        let site = Site::sample("national-portal")
            .with_url(portal.url())
            .with_variant(Some(variant.to_owned()));
        let loaded = Adapter::load(&adapter("national-portal"), &site).unwrap();
        let push = |name: &str| loaded.pushes.iter().find(|push| push.name == name).unwrap();
        let (push, progress) = (push("dossier"), push("progress"));
        let update = push.update().unwrap();
        let native = push.native(&dossier, None).unwrap();
        let record = &native.record;
        let client = client();

        let mut token = json!("bia");
        if let Some(word) = stranger {
            let scope = push.scope(&dossier, &native, None).with("token", &token);
            for refused in [push.create().unwrap(), update] {
                assert_eq!(call(&client, refused, record, &scope).await.0, word);
            }
            let login = loaded.connection.login.as_ref().unwrap();
            let scope = Login::scope(clock.now());
            let (word, answer) = call(&client, &login.call, &Value::Null, &scope).await;
            assert_eq!(word, Word::Done, "{answer:?}");
            let session = login.session(&answer, &scope).unwrap().unwrap();
            assert_eq!(session.valid.as_secs(), 3600);
            token = json!(session.token);
        }
        assert_eq!(loaded.connection.login.is_some(), stranger.is_some());

        let scope = push.scope(&dossier, &native, None).with("token", &token);
        assert_eq!(call(&client, update, record, &scope).await.0, Word::Missing);
        assert_eq!(
            call(&client, push.create().unwrap(), record, &scope).await.0,
            Word::Done
        );
        assert_eq!(
            call(&client, push.create().unwrap(), record, &scope).await.0,
            Word::Exists
        );
        assert_eq!(call(&client, update, record, &scope).await.0, Word::Done);
        let wrong = with(record.clone(), "TrangThaiHoSo", json!("0"));
        assert_eq!(call(&client, update, &wrong, &scope).await.0, Word::Refused);
        for item in progress.items(&dossier).unwrap() {
            let entry = progress.native(&dossier, Some(&item)).unwrap();
            let scope = progress.scope(&dossier, &entry, None).with("token", &token);
            assert_eq!(
                call(&client, progress.create().unwrap(), &entry.record, &scope)
                    .await
                    .0,
                Word::Done
            );
        }
        assert_eq!(portal.rows("HoSo"), std::slice::from_ref(record));
        assert_eq!(portal.rows("TienDo").len(), 2);
        assert_eq!(portal.faults(), []);
    }
}
