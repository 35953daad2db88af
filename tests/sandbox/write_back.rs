//! The one-stop is led by its own actions: each is taken, and what is reported of it is what was said would be.

use lienthong::adapter::{Fact, Step, Word};
use lienthong::dossier::{Author, Dossier, Hlc, Origin, Ownership, Patch, Shadow};
use serde_json::{Value, json};

use crate::wire::World;

const OWN: &str =
    include_str!("../../adapters/one-stop/samples/webhook.dossier/submitted-online.native.json");
const CODE: &str = "H56.14-260429-0001";
const BY: &str = "Phạm Văn Ví Dụ";

/// A dossier of the one-stop, as the bus knows it.
struct Bus {
    world: World,
    dossier: Dossier,
    told: u32,
}

impl Bus {
    /// Submitted online, not yet taken in.
    async fn new() -> Self {
        let given = json!({"user": "one_stop_user", "password": "one_stop_password"});
        let world = World::new("one-stop", given).await;
        world.clock.set("2026-06-01T00:00:00Z".parse().unwrap());
        let row: Value = serde_json::from_str(OWN).unwrap();
        world.sandbox.insert("HoSo", row).await.unwrap();
        let mut bus = Self {
            world,
            dossier: Dossier::new(Origin::new("one-stop", CODE)),
            told: 0,
        };
        let report = bus.report();
        let owns = bus.world.adapter.owns.clone();
        bus.hears("one-stop", &owns, &report);
        bus
    }

    /// What a system says for the first time is merged.
    fn hears(&mut self, system: &str, owns: &Ownership, patch: &Value) {
        self.told += 1;
        let observed = "2026-05-31T00:00:00Z".parse().unwrap();
        let origin = self.dossier.origin.clone();
        let author = Author {
            system,
            origin: &origin,
            observed,
            asked: None,
            hlc: Hlc {
                wall_ms: 1,
                counter: self.told,
            },
            owns,
            known: Some(&self.dossier),
        };
        let patch = Patch::parse(patch).unwrap();
        let delta = author.write(&patch, &mut Shadow::default()).unwrap();
        self.dossier.merge(&delta);
    }

    fn decides(&mut self, patch: &Value) {
        let owns =
            json!({"status": "always", "progress": "always", "results": "always", "supplements": "always"});
        let owns = Ownership::parse(&owns).unwrap();
        let mut patch = patch.clone();
        patch["dossier"] = json!("CP-7");
        self.hears("construction-permits", &owns, &patch);
    }

    /// The row as the one-stop reports it now, mapped.
    fn report(&self) -> Value {
        let row = self.world.sandbox.rows("HoSo").remove(0);
        let mut facts = self.world.adapter.webhooks[0].map(&row).unwrap();
        let Some(Fact::Patch { patch, .. }) = facts.pop().filter(|_| facts.is_empty()) else {
            panic!("a report is one patch")
        };
        patch
    }

    /// Takes the next action; `None` if there is none to take.
    async fn step(&self, token: &Value) -> Option<Step> {
        let push = &self.world.adapter.pushes[0];
        let steps = push.steps().unwrap();
        let view = self.world.adapter.needs.apply(&self.dossier.view());
        assert!(push.wanted(&view).unwrap());
        let find = &push.find.as_ref().unwrap().call;
        let scope = push.scope_of_find(&view, None).with("token", token);
        let (word, answer) = self.world.call(find, &Value::Null, &scope).await;
        assert_eq!(word, Word::Done);
        let [shown] = find.records(&answer.body, &scope).unwrap().try_into().unwrap();
        let remote = push.remote_of_shown(&shown, &view).unwrap();
        let state = steps.state(&shown, &view).unwrap();
        let next = steps.next(&state, &view).unwrap()?;

        let before = self.report();
        let call = steps.call(&next.step).unwrap();
        let scope = push
            .scope(&view, &next.native, remote.as_deref())
            .with("token", token);
        let (word, answer) = self.world.call(call, &next.native.record, &scope).await;
        assert_eq!(word, Word::Done, "{}: {}", next.step, answer.body);
        let echo = push.echo(&next.native, &view).unwrap().unwrap();
        Patch::parse(&echo).unwrap();
        let after = self.report();
        for (place, value) in parts(&echo) {
            assert!(
                parts(&after).contains(&(place.clone(), value)),
                "{}: said, not reported: {place}",
                next.step
            );
        }
        let mut news = Vec::new();
        for part in parts(&after) {
            if !parts(&before).contains(&part) && !parts(&echo).contains(&part) {
                news.push(part);
            }
        }
        // The one-stop's own account of a step that only a state led to is news: one entry, which nobody else has stated.
        let stated = |entry: &Value| {
            let mut progress = view["progress"].as_array().into_iter().flatten();
            progress.any(|known| known["system"] != "one-stop" && known["note"] == entry["note"])
        };
        let own_account = |(place, entry): &(String, Value)| place == "progress" && !stated(entry);
        assert!(
            news.len() <= 1 && news.iter().all(own_account),
            "{}: reported, not said: {:?}",
            next.step,
            news.iter().map(|(place, _)| place).collect::<Vec<_>>()
        );
        Some(next)
    }

    /// All actions until there is none, by name.
    async fn steps(&self) -> Vec<String> {
        let token = self.world.log_in().await;
        let mut steps = Vec::new();
        while let Some(step) = self.step(&token).await {
            steps.push(step.step);
            assert!(steps.len() < 20, "it never ends: {steps:?}");
        }
        steps
    }

    fn states(&self) -> Vec<Value> {
        let row = self.world.sandbox.rows("HoSo").remove(0);
        let steps = row["TienTrinh"].as_array().unwrap();
        steps.iter().map(|step| step["TrangThai"].clone()).collect()
    }
}

/// Registers, items and entries of a patch, each by its place; but the time of the whole report.
fn parts(patch: &Value) -> Vec<(String, Value)> {
    let mut parts = Vec::new();
    for (name, value) in patch.as_object().unwrap() {
        match value {
            _ if name == "at" => {}
            Value::Array(list) => parts.extend(list.iter().map(|part| (name.clone(), part.clone()))),
            Value::Object(fields) if name == "schedule" => {
                parts.extend(
                    fields
                        .iter()
                        .map(|(field, value)| (format!("schedule.{field}"), value.clone())),
                );
            }
            _ => parts.push((name.clone(), value.clone())),
        }
    }
    parts
}

fn entry(value: &str, at: &str, note: Option<&str>) -> Value {
    json!({"value": value, "at": at, "by": BY, "note": note})
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_decided_while_the_one_stop_was_down_is_done_in_its_order() {
    let mut bus = Bus::new().await;
    bus.decides(&json!({
        "status": [
            entry("accepted", "2026-05-01T01:00:00Z", None),
            entry("in_progress", "2026-05-02T01:00:00Z", None),
            entry("supplement_requested", "2026-05-03T01:00:00Z", Some("Thiếu đơn")),
            entry("in_progress", "2026-05-04T01:00:00Z", None),
            entry("completed", "2026-05-06T01:00:00Z", None),
            entry("in_progress", "2026-05-07T01:00:00Z", Some("Sai tên")).as_object().map(|entry| {
                let mut entry = entry.clone();
                entry.insert("kind".to_owned(), json!("sent_back"));
                Value::Object(entry)
            }),
            entry("completed", "2026-05-08T01:00:00Z", None),
            entry("returned", "2026-05-09T01:00:00Z", None),
        ],
        "progress": [
            entry("in_progress", "2026-05-05T01:00:00Z", Some("Đã kiểm tra thực địa")),
            entry("completed", "2026-05-08T01:00:00Z", Some("Ký giấy phép")),
        ],
        "supplements": [{"requested": "2026-05-03T01:00:00Z", "unit": "QLXD", "deadline": "2026-05-20T10:00:00Z"}],
        "results": [{"number": "12/GPXD", "name": "Giấy phép xây dựng"}],
    }));
    let taken = bus.steps().await;
    assert_eq!(
        taken,
        [
            "accept",
            "forward",
            "supplement",
            "supplement_sent",
            "forward",
            "finish",
            "send_back",
            "finish",
            "return"
        ]
    );
    assert_eq!(bus.states(), [2, 4, 5, 4, 4, 9, 4, 9, 10]);
    let row = bus.world.sandbox.rows("HoSo").remove(0);
    let columns = [
        "NgayTiepNhan",
        "NgayYeuCauBoSung",
        "ThoiHanBoSung",
        "NgayBoSung",
        "NgayKetThucXuLy",
        "NgayTra",
        "SoKyHieuKetQua",
    ];
    assert_eq!(
        columns.map(|column| row[column].as_str().unwrap()),
        [
            "20260501080000",
            "20260503080000",
            "20260520170000",
            "20260504080000",
            "20260508080000",
            "20260509080000",
            "12/GPXD"
        ]
    );
    assert_eq!(bus.steps().await, [""; 0], "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_to_the_day_gets_the_one_stops_own_time() {
    let mut bus = Bus::new().await;
    bus.decides(&json!({
        "status": [entry("accepted", "2026-05-01", None), entry("in_progress", "2026-05-02", None)],
        "results": [{"number": "12/GPXD"}],
    }));
    let token = bus.world.log_in().await;
    for step in ["accept", "forward", "result"] {
        // Times that only the one-stop knows cannot be said before; the rest is checked all the same.
        let view = bus.world.adapter.needs.apply(&bus.dossier.view());
        let push = &bus.world.adapter.pushes[0];
        let row = bus.world.sandbox.rows("HoSo").remove(0);
        let steps = push.steps().unwrap();
        let state = steps.state(&row, &view).unwrap();
        let next = steps.next(&state, &view).unwrap().unwrap();
        assert_eq!(next.step, step);
        let scope = push.scope(&view, &next.native, Some(CODE)).with("token", &token);
        let (word, _) = bus
            .world
            .call(steps.call(step).unwrap(), &next.native.record, &scope)
            .await;
        assert_eq!(word, Word::Done);
        let echo = push.echo(&next.native, &view).unwrap().unwrap();
        assert_eq!(echo["status"][0].get("at"), None);
    }
    assert_eq!(bus.steps().await, [""; 0]);
    let row = bus.world.sandbox.rows("HoSo").remove(0);
    assert_eq!(row["TienTrinh"][0]["ThoiGian"], "20260601070000");
    assert_eq!(row["SoKyHieuKetQua"], "12/GPXD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_who_went_on_meanwhile_is_not_pulled_back() {
    let mut bus = Bus::new().await;
    bus.decides(&json!({"status": [
        entry("accepted", "2026-05-01T01:00:00Z", None),
        entry("supplement_requested", "2026-05-02T01:00:00Z", Some("Thiếu đơn")),
        entry("in_progress", "2026-05-03T01:00:00Z", None),
    ]}));
    let token = bus.world.log_in().await;
    assert_eq!(bus.step(&token).await.unwrap().step, "accept");
    // The officer has the paper in hand and asks for no supplement.
    let line = json!({"MaHoSo": CODE, "HanhDong": "ChuyenXuLy", "ThoiGian": "20260504080000", "CanBo": "Nguyễn Văn Mẫu"});
    bus.world.sandbox.insert("KichBan", line).await.unwrap();
    bus.world.sandbox.round("officials").await.unwrap();

    assert_eq!(bus.steps().await, [""; 0]);
    assert_eq!(bus.states(), [2, 4]);
}
