//! The licence system's stand-in, and the adapter's calls made against it: what it lists and shows becomes dossiers that go
//! their way.

use jiff::{SignedDuration, Timestamp};
use lienthong::adapter::{Fact, Inquiry, Lookup, Word, about};
use lienthong::clock::Clock;
use lienthong::dossier::{Author, Dossier, Hlc, Origin, Patch, Shadow};
use serde_json::{Value, json};

use crate::wire::World;

/// A record as the adapter's sample has it, received on 2026-05-18; here with its portrait.
const RECORD: &str = include_str!(
    "../../adapters/driving-licence/samples/pull.dossiers/exchange-registered-online.native.json"
);
const PORTRAIT: &str = "iVBORw0KGgoAAAANSUhEUg==";

fn record(code: &str, received: &str) -> Value {
    let mut record: Value = serde_json::from_str(RECORD).unwrap();
    record["maHoSo"] = json!(code);
    record["ngayNhanHoSo"] = json!(received);
    record["anhChanDung"] = json!(PORTRAIT);
    record
}

/// The licence system with these dossiers, in the time of the first asking.
async fn world(dossiers: &[(&str, &str)]) -> World {
    let given = json!({"username": "driving_licence_user", "password": "driving_licence_password"});
    let world = World::new("driving-licence", given).await;
    world.clock.set("2026-05-20T20:00:00Z".parse().unwrap());
    for (code, received) in dossiers {
        world
            .sandbox
            .insert("HoSo", record(code, received))
            .await
            .unwrap();
    }
    world
}

/// The answer to a call that nobody's manifest makes.
async fn call(world: &World, body: &Value) -> Value {
    let url = format!("{}/apiDVC-GPLX/tcdbdvcdata/mapi/g", world.sandbox.url());
    crate::support::answer(crate::support::client().post(url).json(body))
        .await
        .1
}

/// The records of one asking, from `cursor` on.
async fn pulled(world: &World, token: &Value, cursor: Option<Timestamp>) -> Vec<Value> {
    let pull = &world.adapter.pulls[0];
    let span = pull.span(cursor, world.clock.now());
    let scope = pull.scope(&span, &Value::Null).with("token", token);
    let (verdict, answer) = world.call(&pull.call, &Value::Null, &scope).await;
    assert_eq!(verdict, Word::Done, "{}", answer.body);
    pull.call.records(&answer.body, &scope).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dossiers_are_listed_by_whole_days_and_without_their_portraits() {
    // It is the 21st in Vietnam, where a day begins seven hours before ours.
    let world = world(&[
        ("A", "2026-05-21"),
        ("B", "2026-05-11"),
        ("C", "2026-05-10"),
        ("D", "2026-02-20"),
        ("E", "2026-02-19"),
    ])
    .await;
    let mut desk_40 = record("F", "2026-05-21");
    desk_40["maDonVi"] = json!("40");
    world.sandbox.insert("HoSo", desk_40).await.unwrap();
    let token = world.log_in().await;
    let codes = async |cursor: Option<&str>| -> Vec<Value> {
        let cursor = cursor.map(|cursor| cursor.parse().unwrap());
        let records = pulled(&world, &token, cursor).await;
        assert!(!json!(records).to_string().contains(PORTRAIT));
        records.iter().map(|record| record["maHoSo"].clone()).collect()
    };
    assert_eq!(
        codes(Some("2026-05-18T10:00:00Z")).await,
        ["B", "A"],
        "a week of overlap"
    );
    assert_eq!(codes(Some("2026-05-17T10:00:00Z")).await, ["C", "B", "A"]);
    assert_eq!(
        codes(None).await,
        ["D"],
        "from ninety days ago, three weeks at once"
    );
    assert_eq!(world.sandbox.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn longest_span_that_the_adapter_asks_for_is_one_that_is_answered() {
    let world = world(&[]).await;
    let token = world.log_in().await;
    let asked = |from: &str, to: &str| json!({"session": token, "donViXuLy": "38", "service": "DanhSachHoSo", "ngayNhan1": from, "ngayNhan2": to});
    assert_eq!(
        call(&world, &asked("2026-05-01", "2026-05-31")).await["data"],
        json!([])
    );
    for (from, to, sentence) in [
        (
            "2026-05-01",
            "2026-06-01",
            "Khoảng thời gian không được quá 31 ngày",
        ),
        ("2026-05-02", "2026-05-01", "ngayNhan1 không được sau ngayNhan2"),
        (
            "01/05/2026",
            "2026-05-31",
            "ngayNhan1, ngayNhan2 phải có dạng yyyy-MM-dd",
        ),
        (
            "2026-02-30",
            "2026-03-01",
            "ngayNhan1, ngayNhan2 phải có dạng yyyy-MM-dd",
        ),
    ] {
        let answer = call(&world, &asked(from, to)).await;
        assert_eq!(
            answer,
            json!({"error_code": "-6", "result": sentence}),
            "{from} {to}"
        );
    }
    // At any hour, and however long nobody has asked.
    for hours in 0..48 {
        let cursor = "2026-03-01T00:30:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours);
        pulled(&world, &token, Some(cursor)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_other_desks_and_unknown_services_are_refused() {
    let world = world(&[("A", "2026-05-18")]).await;
    let token = world.log_in().await;
    let base = json!({"session": token, "donViXuLy": "38", "service": "TraCuuHoSo", "mahoso": "A"});
    let with = |key: &str, value: Value| {
        let mut body = base.clone();
        body[key] = value;
        body
    };
    assert_eq!(call(&world, &base).await["data"][0]["MaHoSo"], "A");
    for (body, code) in [
        (with("session", json!("bia")), "-2"),
        (with("session", Value::Null), "-2"),
        (with("donViXuLy", json!("40")), "-3"),
        (with("service", json!("XoaHoSo")), "-4"),
        (with("mahoso", json!("")), "-6"),
        (json!([]), "-2"),
    ] {
        assert_eq!(call(&world, &body).await["error_code"], code, "{body}");
    }
    assert_eq!(call(&world, &with("mahoso", json!("X"))).await["data"], json!([]));
    let file = |path: &str| json!({"session": token, "donViXuLy": "38", "service": "LayTaiLieuHoSo", "duongdanteptin": path});
    let shown = call(&world, &file("/gplx/21.pdf")).await;
    let pdf = json!([{"Base64": "JVBERi0xLjQK", "DuongDan": "/gplx/21.pdf", "TenTaiLieu": "21.pdf"}]);
    assert_eq!(shown["TepTinDinhKem"], pdf);
    world
        .sandbox
        .insert("Tep", json!({"duongDan": "/gplx/21.pdf", "base64": "QQ=="}))
        .await
        .unwrap();
    assert_eq!(
        call(&world, &file("/gplx/21.pdf")).await["TepTinDinhKem"][0]["Base64"],
        "QQ=="
    );
    assert_eq!(call(&world, &file("/etc/passwd")).await["error_code"], "-7");
    world.clock.advance(SignedDuration::from_secs(600));
    assert_eq!(call(&world, &base).await["error_code"], "-2");
    assert_eq!(world.sandbox.faults(), []);
}

/// A dossier as the bus knows it from the licence system alone.
struct Bus {
    world: World,
    token: Value,
    dossier: Dossier,
    shadow: Shadow,
    told: u32,
}

impl Bus {
    /// What the system says is compared with what it said before, and merged; whether it was news.
    fn hears(&mut self, patch: &Value) -> bool {
        self.told += 1;
        let origin = self.dossier.origin.clone();
        let author = Author {
            system: "driving-licence",
            origin: &origin,
            observed: self.world.clock.now(),
            asked: None,
            hlc: Hlc {
                wall_ms: 1,
                counter: self.told,
            },
            owns: &self.world.adapter.owns,
            known: Some(&self.dossier),
        };
        let patch = Patch::parse(patch).unwrap();
        let delta = author.write(&patch, &mut self.shadow).unwrap();
        self.dossier.merge(&delta);
        !delta.is_empty()
    }

    async fn pull(&mut self) -> bool {
        let records = pulled(&self.world, &self.token, Some(self.world.clock.now())).await;
        let mut facts = self.world.adapter.pulls[0].map(&records[0]).unwrap();
        let Some(Fact::Patch { patch, .. }) = facts.pop() else {
            panic!("a record is one patch")
        };
        self.hears(&patch)
    }

    fn lookup(&self) -> &Lookup {
        let mut lookups = self.world.adapter.lookups.iter();
        lookups.find(|lookup| lookup.name == "lookup.status").unwrap()
    }

    /// Asks as long as the answers change the question, as the bus does; whether there was anything to ask.
    async fn ask(&mut self) -> bool {
        let mut before = None;
        loop {
            let view = self.world.adapter.needs.apply(&self.dossier.view());
            let Inquiry::Ask(question) = self.lookup().inquiry(&view).unwrap() else {
                return before.is_some();
            };
            if before.as_ref() == Some(&question.hash) {
                return true;
            }
            let scope = self.lookup().scope("1").with("token", &self.token);
            let (word, answer) = self
                .world
                .call(&self.lookup().call, &question.asked, &scope)
                .await;
            assert_eq!(word, Word::Done);
            let fact = self
                .lookup()
                .fact(&answer.body, &question.asked, "1")
                .unwrap()
                .unwrap();
            self.hears(&about(fact, &self.dossier.origin, None));
            before = Some(question.hash);
        }
    }

    fn moves(&self) -> Vec<String> {
        let view = self.dossier.view();
        let mut moves: Vec<_> = view["status_log"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["moved"].is_u64())
            .collect();
        moves.sort_by_key(|entry| entry["moved"].as_u64());
        moves
            .iter()
            .map(|entry| entry["value"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dossier_goes_through_the_states_that_nobody_saw_between_two_askings() {
    for (script, moves) in [
        (
            vec!["4", "9", "10"],
            vec!["accepted", "in_progress", "completed", "returned"],
        ),
        (vec!["10"], vec!["accepted", "completed", "returned"]),
        (
            vec!["5", "10"],
            vec![
                "accepted",
                "supplement_requested",
                "in_progress",
                "completed",
                "returned",
            ],
        ),
        (
            vec!["9", "4", "9"],
            vec!["accepted", "completed", "in_progress", "completed"],
        ),
    ] {
        let world = world(&[("A", "2026-05-21")]).await;
        for state in &script {
            let line = json!({"maHoSo": "A", "MaTrangThai": state, "HinhThucNhanKQ": "0"});
            world.sandbox.insert("KichBan", line).await.unwrap();
        }
        let token = world.log_in().await;
        let dossier = Dossier::new(Origin::new("driving-licence", "A"));
        let mut bus = Bus {
            world,
            token,
            dossier,
            shadow: Shadow::default(),
            told: 0,
        };
        assert!(bus.pull().await);
        for _ in &script {
            bus.world.clock.advance(SignedDuration::from_mins(1));
            bus.world.sandbox.round("officials").await.unwrap();
            assert!(bus.ask().await);
            assert!(!bus.pull().await, "the list says nothing new: {script:?}");
        }
        assert_eq!(bus.moves(), moves, "{script:?}");
        assert_eq!(bus.dossier.register("return_mode"), Some(&json!("counter")));
        let hour = Some(&json!("2026-05-21T01:00:00Z"));
        assert_eq!(bus.dossier.register("schedule.received"), hour);
        let ended = bus.dossier.status().unwrap().value == "returned";
        assert_eq!(bus.ask().await, !ended, "what has ended is not asked about");
        assert_eq!(bus.world.sandbox.faults(), []);
    }
}
