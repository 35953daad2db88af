//! The way back: what another system decides is done at the one-stop, by its own actions, in order and once.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lienthong::clock::SystemClock;
use lienthong::config::{Config, System};
use lienthong::demo::{FILES, SECRETS};
use lienthong::node::Node;
use lienthong::sandbox::{self, Sandbox};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

embedded_and_grown! {
    three_statuses_that_came_while_the_one_stop_was_down_are_taken_one_by_one
    what_an_official_does_after_the_office_wins_and_is_not_undone
}

/// The official code of the one-stop's dossier.
const CODE: &str = "000.00.14.H56-260305-0001";

/// A sectoral office: what it posts is a patch as it stands.
const OFFICE: &str = r#"lienthong = 1
title = "Sở của bài thử"
originates = ["*"]
[owns]
procedure = "origin"
applicant = "origin"
results = "always"
supplements = "always"
status = "always"
progress = "always"
links = "always"
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[webhook.dossier]
path = "/hooks/office"
verify = '$headers["x-key"] == "k"'
map = '.'
"#;

/// The one-stop's row as it stands when the office takes over.
fn accepted() -> Value {
    json!({
        "MaHoSo": CODE, "MaHoSoKhac": "", "MaTTHC": "2.000488.000.00.00.H56",
        "TenTTHC": "Cấp Phiếu lý lịch tư pháp", "MaLinhVuc": "G15-LLTP", "TenLinhVuc": "Lý lịch tư pháp",
        "CapThucHien": "province", "MucDo": "mot_phan", "DonViId": "000.00.14.H56", "TenDonVi": "Sở Tư pháp",
        "KenhThucHien": "2", "LoaiDoiTuong": "1", "ChuHoSo": "Vũ Thị Thử",
        "SoGiayToChuHoSo": "038060000001", "LoaiGiayToChuHoSo": "CCCD", "NgaySinhChuHoSo": "30/07/1960",
        "TrichYeuHoSo": "Cấp Phiếu lý lịch tư pháp", "NgayNopHoSo": "20260305082000",
        "NgayTiepNhan": "20260305083000", "NgayHenTra": "20260312083000", "TrangThaiHoSoId": 2,
        "HinhThucTra": 1, "NgayCapNhat": "20260305083000", "ThanhPhanHoSo": [], "LePhi": [], "EForm": {},
        "TienTrinh": [{
            "MaHoSo": CODE, "ThoiGian": "20260305083000", "TrangThai": 2, "NguoiGui": "cb01",
            "TenNguoiGui": "Lê Thị Quầy", "ThaoTac": "Tiếp nhận hồ sơ", "NoiDung": "Tiếp nhận hồ sơ"
        }]
    })
}

/// What the office says of it, as of this minute of the next day.
fn office(minute: u32, more: Value) -> Value {
    let mut record = json!({
        "dossier": { "native": "S-1" },
        "links": { "one-stop": CODE },
        "at": format!("2026-03-06T02:{minute:02}:00Z"),
        "procedure": { "code": "2.000488", "name": "Cấp Phiếu lý lịch tư pháp" },
        "applicant": { "person": { "kind": "citizen", "name": "Vũ Thị Thử", "citizen_id": "038060000001" } }
    });
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record
}

fn state(value: &str, minute: u32, note: &str) -> Value {
    json!({ "value": value, "at": format!("2026-03-06T02:{minute:02}:00Z"), "by": "Trần Văn Sở", "note": note })
}

struct Province {
    folder: TempDir,
    node: Node,
    address: SocketAddr,
}

impl Province {
    /// The one-stop's stand-in with its row, and a node that hosts it and the office. The stand-in tells the node.
    async fn start() -> (Self, Sandbox) {
        static TLS: std::sync::Once = std::sync::Once::new();
        TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("rows")).unwrap();
        let adapter = folder.path().join("office");
        std::fs::create_dir_all(&adapter).unwrap();
        std::fs::write(adapter.join("adapter.toml"), OFFICE).unwrap();
        let one_stop = open(folder.path(), None, "").await;
        let system = |name: &str, folder: String, url: String, settings: Value| System {
            name: name.to_owned(),
            folder,
            variant: None,
            url: Some(url),
            settings: settings.as_object().cloned().unwrap_or_default(),
        };
        let secrets: HashMap<&str, &str> = SECRETS.into();
        let broker = crate::broker::Broker::chosen().await.url();
        let config = Config {
            file: "lienthong.toml".to_owned(),
            store: crate::stores::url(folder.path()),
            broker: broker.as_deref().unwrap_or("loopback:").into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            socket: folder.path().join("admin.sock"),
            adapters: folder.path().to_owned(),
            files: None,
            files_url: None,
            province: BTreeMap::new(),
            systems: vec![
                system(
                    "one-stop",
                    format!("{}/adapters/one-stop", env!("CARGO_MANIFEST_DIR")),
                    one_stop.url(),
                    json!({ "files": FILES }),
                ),
                system(
                    "office",
                    adapter.display().to_string(),
                    "http://127.0.0.1:9".to_owned(),
                    json!({}),
                ),
            ],
            environment: Arc::new(move |name| secrets.get(name).map(ToString::to_string)),
        };
        let node = Node::start(&config, Arc::new(SystemClock)).await.unwrap();
        let province = Self {
            folder,
            node,
            address: one_stop.address(),
        };
        one_stop.stop().await;
        let one_stop = province.one_stop().await;
        one_stop.insert("HoSo", accepted()).await.unwrap();
        (province, one_stop)
    }

    /// The stand-in where it was, with the rows that it had.
    async fn one_stop(&self) -> Sandbox {
        let hook = format!("http://{}/hooks/one-stop", self.node.webhooks());
        open(self.folder.path(), Some(self.address), &hook).await
    }

    async fn says(&self, record: &Value) {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_mins(1))
            .no_proxy()
            .build()
            .unwrap();
        let request = client
            .post(format!("http://{}/hooks/office", self.node.webhooks()))
            .header("x-key", "k")
            .json(record);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["code"], "mapped", "{answer}");
    }

    /// The status log as system and value, in order.
    async fn states(&self) -> Vec<(String, String)> {
        let replica = self.node.shared().store.find_replica(CODE).await.unwrap();
        let view = replica.unwrap().dossier.view();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        view["status_log"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(&entry["system"]), text(&entry["value"])))
            .collect()
    }

    /// Waits until the node has told the one-stop all there is.
    async fn settled(&self) {
        until("nothing left to do", async || {
            // What still comes from the broker is not in the ledger.
            if !crate::stores::all_merged().await {
                return None;
            }
            let store = &self.node.shared().store;
            let counts = store.counts().await.unwrap();
            let replica = store.find_replica("S-1").await.unwrap()?;
            let rows = store.deliveries_of(replica.dossier.id).await.unwrap();
            let row = rows.iter().find(|row| row.adapter == "one-stop")?;
            (counts.outbox == 0 && row.state == lienthong::store::State::Applied).then_some(())
        })
        .await;
    }
}

async fn open(folder: &Path, listen: Option<SocketAddr>, webhook: &str) -> Sandbox {
    let secrets: HashMap<&str, &str> = SECRETS.into();
    let mut settings = Map::new();
    for (setting, secret) in [
        ("user", "ONE_STOP_USER"),
        ("password", "ONE_STOP_PASSWORD"),
        ("secret", "ONE_STOP_WEBHOOK_SECRET"),
    ] {
        settings.insert(setting.to_owned(), json!(secrets[secret]));
    }
    settings.insert("webhook".to_owned(), json!(webhook));
    let options = sandbox::Options {
        settings,
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        folder: Some(folder.join("rows")),
        ..sandbox::Options::default()
    };
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/one-stop");
    Sandbox::start(&place, options).await.unwrap()
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: that never came about");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The steps of the one-stop's row: state and action.
fn steps(one_stop: &Sandbox) -> Vec<(i64, String)> {
    let rows = one_stop.rows("HoSo");
    let steps = rows[0]["TienTrinh"].as_array().unwrap();
    steps
        .iter()
        .map(|step| {
            let action = step["ThaoTac"].as_str().unwrap().to_owned();
            (step["TrangThai"].as_i64().unwrap(), action)
        })
        .collect()
}

async fn three_statuses_that_came_while_the_one_stop_was_down_are_taken_one_by_one() {
    let (province, one_stop) = Province::start().await;
    province
        .says(&office(
            0,
            json!({ "status": [state("in_progress", 0, "Tiếp nhận thụ lý")] }),
        ))
        .await;
    until("the first state at the one-stop", async || {
        (one_stop.rows("HoSo")[0]["TrangThaiHoSoId"] == 4).then_some(())
    })
    .await;
    province.settled().await;
    one_stop.stop().await;

    for (minute, value, note) in [
        (10, "supplement_requested", "Bổ sung bản sao căn cước"),
        (20, "in_progress", "Đã nhận bổ sung"),
        (30, "completed", "Đã có kết quả"),
    ] {
        let result = json!([{ "code": "KQ.G15.000001", "number": "12/LLTP", "files": [] }]);
        let mut more = json!({ "status": [state(value, minute, note)] });
        if value == "completed" {
            more["results"] = result;
        }
        province.says(&office(minute, more)).await;
    }
    let one_stop = province.one_stop().await;
    until("the last state at the one-stop", async || {
        (one_stop.rows("HoSo")[0]["TrangThaiHoSoId"] == 9).then_some(())
    })
    .await;
    province.settled().await;
    let states: Vec<i64> = steps(&one_stop).iter().map(|(state, _)| *state).collect();
    assert_eq!(states, [2, 4, 5, 4, 9], "{:?}", steps(&one_stop));
    let row = &one_stop.rows("HoSo")[0];
    assert_eq!(row["SoKyHieuKetQua"], "12/LLTP");

    // What it told of our own actions was no news: its own first state, and the office's four.
    until("the one-stop's news of all of it", async || {
        (one_stop.unsent() == 0).then_some(())
    })
    .await;
    province.settled().await;
    let states = province.states().await;
    let own: Vec<&str> = states
        .iter()
        .filter(|(system, _)| system == "one-stop")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(own, ["accepted"], "{states:?}");
    assert_eq!(states.len(), 5, "{states:?}");
    assert!(
        province
            .node
            .shared()
            .store
            .dead_letters(9)
            .await
            .unwrap()
            .is_empty()
    );
    one_stop.stop().await;
    province.node.stop().await;
}

async fn what_an_official_does_after_the_office_wins_and_is_not_undone() {
    let (province, one_stop) = Province::start().await;
    province
        .says(&office(
            0,
            json!({ "status": [state("in_progress", 0, "Thụ lý")] }),
        ))
        .await;
    until("the office's state at the one-stop", async || {
        (one_stop.rows("HoSo")[0]["TrangThaiHoSoId"] == 4).then_some(())
    })
    .await;
    province.settled().await;
    let act = json!({
        "MaHoSo": CODE, "HanhDong": "YeuCauBoSung", "ThoiGian": "20260306150000", "CanBo": "Lê Thị Quầy",
        "NoiDung": "Bổ sung ảnh"
    });
    one_stop.insert("KichBan", act).await.unwrap();
    until("the official's state in the dossier", async || {
        let states = province.states().await;
        (states.last()? == &("one-stop".to_owned(), "supplement_requested".to_owned())).then_some(())
    })
    .await;
    province.settled().await;
    let states: Vec<i64> = steps(&one_stop).iter().map(|(state, _)| *state).collect();
    assert_eq!(states, [2, 4, 5], "nothing was done there again");
    one_stop.stop().await;
    province.node.stop().await;
}
