//! The stand-in for the judicial records system: which declarations it takes, whom it tells what of them, and how it refuses.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lienthong::clock::ManualClock;
use lienthong::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::support::{adapter, answer, client, clock, start};

struct World {
    sandbox: Sandbox,
    token: String,
}

impl World {
    async fn new(settings: Value) -> Self {
        Self::at(settings, &clock()).await
    }

    async fn at(settings: Value, clock: &ManualClock) -> Self {
        let sandbox = start(&adapter("judicial-records"), settings, clock).await;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "lienthong"),
            ("client_secret", "mat-khau-mau"),
        ];
        let (status, opened) = log_in(&sandbox, &form).await;
        assert_eq!((status, &opened["expires_in"]), (200, &json!(3600)));
        let token = opened["access_token"].as_str().unwrap().to_owned();
        Self { sandbox, token }
    }

    async fn call(&self, function: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/apiLyLichTuPhap/{function}", self.sandbox.url());
        answer(client().post(url).bearer_auth(&self.token).json(body)).await
    }

    async fn declare(&self, declaration: &Value) -> Value {
        let (status, answer) = self.call("nhanHoSoDangKy", declaration).await;
        assert_eq!(status, 200);
        answer
    }

    /// Ids and states that are listed.
    async fn listed(&self) -> Vec<(String, u64)> {
        let (_, answer) = self.call("traDsTrangThaiHs", &json!({"infoType": 2})).await;
        assert_eq!(answer["STATUS"], 1, "{answer}");
        let rows = answer["LISTCONTENT"].as_array().unwrap().iter();
        let pair = |row: &Value| {
            let id = row["DECLARATION_ID"].as_str().unwrap().to_owned();
            (id, row["DEC_STATUS_ID"].as_u64().unwrap())
        };
        rows.map(pair).collect()
    }

    async fn read(&self, ids: &str) -> Value {
        let body = json!({"declarationId": ids, "infoType": 2});
        self.call("danhDauHsThanhCong", &body).await.1
    }

    /// What the officials will do with a declaration.
    async fn script(&self, number: &str, lines: &[(&str, &str)]) {
        for (action, day) in lines {
            let line = json!({"idReceivedDec": number, "HanhDong": action, "Ngay": day});
            self.sandbox.insert("KichBan", line).await.unwrap();
        }
    }
}

async fn log_in(sandbox: &Sandbox, form: &[(&str, &str)]) -> (u16, Value) {
    let body: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let request = client()
        .post(format!("{}/token", sandbox.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"));
    answer(request).await
}

/// The golden declarations of the adapter, by case.
fn samples() -> Vec<(String, Value)> {
    let folder: PathBuf = adapter("judicial-records").join("samples/push.dossier");
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(case) = name.strip_suffix(".native.json") {
            let text = std::fs::read_to_string(&path).unwrap();
            samples.push((case.to_owned(), serde_json::from_str(&text).unwrap()));
        }
    }
    samples
}

/// A sound declaration.
fn declaration() -> Value {
    let mut samples = samples().into_iter();
    samples.find(|(case, _)| case == "received-online").unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_declarations_are_taken_each_number_once() {
    let world = World::new(json!({})).await;
    let samples = samples();
    assert!(samples.len() >= 15, "{}", samples.len());
    let mut numbers = BTreeSet::new();
    for (n, (case, mut declaration)) in (1000..).zip(samples) {
        if !case.starts_with("number-of-two-agencies") {
            declaration["idReceivedDec"] = json!(format!("260305{n}"));
        }
        let fresh = numbers.insert(declaration["idReceivedDec"].to_string());
        let answer = world.declare(&declaration).await;
        let description = answer["DESCRIPTION"].as_str().unwrap();
        assert_eq!(answer["STATUS"], u64::from(fresh), "{case}: {answer}");
        assert_eq!(answer["ID"].is_string(), fresh, "{case}");
        assert_eq!(description.contains("2307190001 đã tồn tại"), !fresh, "{case}");
    }
    assert_eq!(world.sandbox.rows("ToKhai").len(), numbers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guide_forbids_is_refused_by_name() {
    let world = World::new(json!({})).await;
    #[rustfmt::skip]
    let rows = [
        ("/idReceivedDec", json!("000.00.14.H56-260305-0007"), "idReceivedDec: phải là yyMMdd và số thứ tự"),
        ("/idReceivedDec", json!("2613050007"), "idReceivedDec: phải là yyMMdd và số thứ tự"),
        ("/dateReceivedDec", json!("2026-03-05"), "dateReceivedDec: phải là dd/MM/yyyy"),
        ("/dateReceivedDec", json!("29/02/2026"), "dateReceivedDec: phải là dd/MM/yyyy"),
        ("/datePromissoryDec", json!("03/2026"), "datePromissoryDec: phải là dd/MM/yyyy"),
        ("/idMinistryJustice", json!(null), "idMinistryJustice: thiếu trường bắt buộc"),
        ("/declarationForm", json!({}), "declarationForm: không có trường này"),
        ("/declarationWSForm", json!(null), "declarationWSForm: thiếu trường bắt buộc"),
        ("/declarationWSForm/fullName", json!("  "), "declarationWSForm.fullName: không được để trống"),
        ("/declarationWSForm/genderId", json!(2), "declarationWSForm.genderId: phải là một trong 0, 1"),
        ("/declarationWSForm/genderId", json!("1"), "declarationWSForm.genderId: phải là số nguyên"),
        ("/declarationWSForm/birthDateStr", json!("30/02/1990"), "declarationWSForm.birthDateStr: phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
        ("/declarationWSForm/nationalityId", json!(-1), "declarationWSForm.nationalityId: không có trong danh mục"),
        ("/declarationWSForm/identifyNo", json!("000000001"), "declarationWSForm.identifyNo: 000000001 không phải là số giấy tờ"),
        ("/declarationWSForm/identifyNo", json!("171234567"), "declarationWSForm.identifyNo: căn cước công dân phải có 12 chữ số"),
        ("/declarationWSForm/phone", json!(""), "declarationWSForm.phone: thiếu trường bắt buộc"),
        ("/declarationWSForm/declareDate", json!(null), "declarationWSForm.declareDate: thiếu trường bắt buộc"),
        ("/declarationWSForm/declareTypeId", json!(1), "declarationWSForm.declareTypeId: phải là một trong 3844, 3845, 3846, 3847"),
        ("/declarationWSForm/declareTypeId", json!(3845), "mandatorWSForm: thiếu trường bắt buộc khi ủy quyền"),
        ("/declarationWSForm/requestQty", json!(0), "declarationWSForm.requestQty: phải từ 1"),
        ("/declarationWSForm/objectRequestId", json!(null), "declarationWSForm.objectRequestId: thiếu trường bắt buộc"),
        ("/declarationWSForm/formType", json!(3), "declarationWSForm.formType: phải là một trong 1, 2"),
        ("/declarationWSForm/delivery", json!(2), "declarationWSForm.delivery: phải là một trong 0, 1"),
        ("/declarationWSForm/fulName", json!("x"), "declarationWSForm.fulName: không có trường này"),
        ("/residenceWSForm/0/fromDateStr", json!(""), "residenceWSForm.fromDateStr: thiếu trường bắt buộc"),
        ("/residenceWSForm/1/toDateStr", json!("13/2008"), "residenceWSForm.toDateStr: phải là MM/yyyy hoặc nay"),
        ("/residenceWSForm/1/residencePlace", json!(null), "residenceWSForm.residencePlace: thiếu trường bắt buộc"),
        ("/mandatorWSForm", json!({"fullName": ""}), "mandatorWSForm.fullName: thiếu trường bắt buộc"),
    ];
    for (pointer, value, expected) in rows {
        let mut declaration = declaration();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        declaration.pointer_mut(parent).unwrap()[field] = value.clone();
        let answer = world.declare(&declaration).await;
        let expected = format!("{expected} (LGSP guide, nhanHoSoDangKy)");
        assert_eq!(
            answer,
            json!({"STATUS": 0, "DESCRIPTION": expected}),
            "{pointer} {value}"
        );
    }
    assert!(world.sandbox.rows("ToKhai").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_listed_until_they_were_read_as_they_were_listed() {
    let world = World::new(json!({})).await;
    let id = world.declare(&declaration()).await["ID"]
        .as_str()
        .unwrap()
        .to_owned();
    world
        .script("2603050007", &[("XuLy", ""), ("CapPhieu", "17/03/2026")])
        .await;
    assert_eq!(world.listed().await, [(id.clone(), 3)]);
    world.sandbox.round("officials").await.unwrap();
    assert_eq!(world.read(&id).await["STATUS"], 1);
    assert_eq!(
        world.listed().await,
        [(id.clone(), 4)],
        "it changed after it was listed"
    );
    assert_eq!(world.read(&id).await["STATUS"], 1);
    assert_eq!(world.listed().await, []);
    world.sandbox.round("officials").await.unwrap();
    assert_eq!(world.listed().await, [(id.clone(), 5)]);
    let row = world.sandbox.rows("ToKhai").remove(0);
    assert_eq!(row["ISSUE_DATE"], "17/03/2026");
    assert_eq!(world.read(&id).await["STATUS"], 1);
    assert_eq!(world.read(&id).await["STATUS"], 1, "said twice, it does no harm");
    world.sandbox.round("officials").await.unwrap();
    assert_eq!(world.listed().await, []);

    let stranger = world.read(&format!("{id};nobody")).await;
    assert_eq!(
        stranger["DESCRIPTION"],
        "declarationId: không có tờ khai này (LGSP guide, danhDauHsThanhCong)"
    );
    for (function, body) in [
        ("traDsTrangThaiHs", json!({"infoType": 1})),
        ("danhDauHsThanhCong", json!({"infoType": 3, "declarationId": id})),
        ("danhDauHsThanhCong", json!({"infoType": 2, "declarationId": ""})),
    ] {
        assert_eq!(
            world.call(function, &body).await.1["STATUS"],
            0,
            "{function} {body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_be_in_small_letters() {
    let world = World::new(json!({"small_letters": true})).await;
    let answer = world.declare(&declaration()).await;
    assert_eq!(
        (&answer["status"], answer["id"].is_string()),
        (&json!(1), true),
        "{answer}"
    );
    let (_, list) = world.call("traDsTrangThaiHs", &json!({"infoType": 2})).await;
    assert_eq!(list["listcontent"][0]["declaration_id"], answer["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gate_is_closed_without_a_token_that_is_still_good() {
    let clock = clock();
    let mut world = World::at(json!({}), &clock).await;
    let closed = (
        401,
        json!({"fault": {"code": 900_901, "message": "Invalid Credentials"}}),
    );
    let list = json!({"infoType": 2});
    clock.advance(jiff::SignedDuration::from_secs(3600));
    assert_eq!(world.call("traDsTrangThaiHs", &list).await, closed);
    world.token = "guessed".to_owned();
    assert_eq!(world.call("nhanHoSoDangKy", &declaration()).await, closed);
    let right = [("grant_type", "client_credentials"), ("client_id", "lienthong")];
    for (more, expected) in [
        (("client_secret", "guessed"), (401, "invalid_client")),
        (("grant_type", "password"), (400, "unsupported_grant_type")),
    ] {
        let form: Vec<_> = right
            .into_iter()
            .filter(|(name, _)| *name != more.0)
            .chain([more])
            .collect();
        let (status, said) = log_in(&world.sandbox, &form).await;
        assert_eq!((status, said["error"].as_str().unwrap()), expected);
    }
}
