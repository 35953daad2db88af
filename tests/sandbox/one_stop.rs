//! The one-stop's stand-in.

use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use lienthong::clock::ManualClock;
use lienthong::sandbox::Sandbox;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Receiver, adapter, answer, client, clock, start};

pub(crate) fn dossier(code: &str, changed: &str) -> Value {
    json!({
        "MaHoSo": code, "NgayTiepNhan": "", "NgayHenTra": "20260319170000", "NgayKetThucXuLy": "", "NgayTra": "",
        "NgayTuChoi": "", "TrangThaiHoSoId": 1, "NgayCapNhat": changed, "TienTrinh": [],
    })
}

fn line(code: &str, action: &str, at: &str) -> Value {
    json!({"MaHoSo": code, "HanhDong": action, "ThoiGian": at, "CanBo": "Nguyễn Văn Mẫu", "NoiDung": "Nội dung"})
}

pub(crate) struct World {
    pub(crate) one_stop: Sandbox,
    client: reqwest::Client,
    pub(crate) clock: ManualClock,
}

impl World {
    pub(crate) async fn new(more: Value) -> Self {
        let clock = clock();
        let one_stop = start(&adapter("one-stop"), more, &clock).await;
        Self {
            one_stop,
            client: client(),
            clock,
        }
    }

    async fn log_in(&self, password: &str) -> Value {
        let body = json!({"taiKhoan": "lienthong", "matKhau": password});
        answer(
            self.client
                .post(format!("{}/dang-nhap", self.one_stop.url()))
                .json(&body),
        )
        .await
        .1
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        answer(
            self.client
                .get(format!("{}{path}", self.one_stop.url()))
                .bearer_auth(token),
        )
        .await
    }

    /// Asks for an action on a dossier.
    pub(crate) async fn act(&self, action: &str, code: &str, token: &str, sent: &Value) -> (u16, Value) {
        self.post(&format!("/HoSo/{action}/{code}"), token, sent).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, sent: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.one_stop.url());
        answer(self.client.post(url).bearer_auth(token).json(sent)).await
    }

    pub(crate) async fn put(&self, table: &str, row: Value) {
        self.one_stop.insert(table, row).await.unwrap();
    }

    pub(crate) async fn token(&self) -> String {
        self.log_in("mat-khau-mau").await["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn codes(answer: &Value) -> Vec<&str> {
    answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["MaHoSo"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_order_page_by_page_from_a_time_on() {
    let world = World::new(json!({"page_size": 2})).await;
    for (code, changed) in [
        ("A", "20260305093000"),
        ("B", "20260301080000"),
        ("C", "20260303080000"),
        ("D", "20260302080000"),
    ] {
        world.put("HoSo", dossier(code, changed)).await;
    }
    let token = world.token().await;
    let (_, first) = world
        .get("/HoSo/DanhSachThayDoi?tuNgay=20260302080000&trang=1", &token)
        .await;
    assert_eq!(
        (codes(&first), &first["trang"], &first["tongTrang"]),
        (vec!["D", "C"], &json!(1), &json!(2))
    );
    let (_, second) = world
        .get("/HoSo/DanhSachThayDoi?tuNgay=20260302080000&trang=2", &token)
        .await;
    assert_eq!(codes(&second), ["A"]);
    let (_, beyond) = world
        .get("/HoSo/DanhSachThayDoi?tuNgay=20260302080000&trang=3", &token)
        .await;
    assert_eq!(codes(&beyond), Vec::<&str>::new());
    let (_, all) = world.get("/HoSo/DanhSachThayDoi?tuNgay=", &token).await;
    assert_eq!((codes(&all), &all["tongTrang"]), (vec!["B", "D"], &json!(2)));
    let (_, none) = world
        .get("/HoSo/DanhSachThayDoi?tuNgay=20270101000000&trang=1", &token)
        .await;
    assert_eq!((codes(&none), &none["tongTrang"]), (vec![], &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_are_refused() {
    let world = World::new(json!({})).await;
    assert_eq!(world.log_in("sai").await["maLoi"], "1");
    let token = world.token().await;
    for path in [
        "/HoSo/DanhSachThayDoi?tuNgay=2026-03-02",
        "/HoSo/DanhSachThayDoi?tuNgay=20260302080000&trang=0",
        "/HoSo/DanhSachThayDoi?trang=-1",
        "/HoSo/DanhSachThayDoi?trang=",
    ] {
        assert_eq!(world.get(path, &token).await.1["maLoi"], "2", "{path}");
    }
    assert_eq!(world.get("/HoSo/GetByMa/X", &token).await.1["maLoi"], "4");
    assert_eq!(world.get("/khac", &token).await.0, 404);
    assert_eq!(world.one_stop.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_asked_for_and_ends_after_its_time() {
    let world = World::new(json!({})).await;
    world
        .put("HoSo", dossier("H56.14-260305-0001", "20260305093000"))
        .await;
    let path = "/HoSo/GetByMa/H56.14-260305-0001";
    assert_eq!(world.get(path, "bia").await.0, 401);
    assert_eq!(
        answer(world.client.get(format!("{}{path}", world.one_stop.url())))
            .await
            .0,
        401
    );
    assert_eq!(world.get("/HoSo/DanhSachThayDoi", "bia").await.0, 401);
    let token = world.token().await;
    world.clock.advance(SignedDuration::from_secs(599));
    assert_eq!(
        world.get(path, &token).await.1["data"]["MaHoSo"],
        "H56.14-260305-0001"
    );
    world.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(world.get(path, &token).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn officials_do_one_line_of_a_dossier_a_round_in_the_order_of_the_script() {
    let world = World::new(json!({})).await;
    for (code, action, at) in [
        ("A", "TiepNhan", "20260305100000"),
        ("A", "ThamDinh", "20260306100000"),
        ("B", "TuChoi", "20260305110000"),
        ("A", "KetThuc", "20260307100000"),
    ] {
        world.put("KichBan", line(code, action, at)).await;
    }
    world.put("HoSo", dossier("A", "20260305093000")).await;
    let states = |world: &World| -> Vec<Value> {
        world
            .one_stop
            .rows("HoSo")
            .iter()
            .map(|row| row["TrangThaiHoSoId"].clone())
            .collect()
    };

    world.one_stop.round("officials").await.unwrap();
    assert_eq!(
        states(&world),
        [2],
        "the script waits for the dossiers that it names"
    );
    world.put("HoSo", dossier("B", "20260305093000")).await;
    world.one_stop.round("officials").await.unwrap();
    assert_eq!(states(&world), [4, 3]);
    for _ in 0..3 {
        world.one_stop.round("officials").await.unwrap();
    }
    assert_eq!(states(&world), [9, 3]);

    let a = &world.one_stop.rows("HoSo")[0];
    assert_eq!(
        (&a["NgayTiepNhan"], &a["NgayKetThucXuLy"], &a["NgayCapNhat"]),
        (
            &json!("20260305100000"),
            &json!("20260307100000"),
            &json!("20260307100000"),
        )
    );
    let labels: Vec<_> = a["TienTrinh"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["ThaoTac"].clone())
        .collect();
    assert_eq!(labels, ["Tiếp nhận hồ sơ", "Thẩm định hồ sơ", "Kết thúc xử lý"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_leads_to_its_state_and_fills_its_columns() {
    let at = "20260306100000";
    #[rustfmt::skip]
    let cases = [
        ("TiepNhan", json!({}), 2, json!({"NgayTiepNhan": at})),
        ("TuChoi", json!({"LyDoTuChoi": "Sai thẩm quyền"}), 3, json!({"NgayTuChoi": at, "LyDoTuChoi": "Sai thẩm quyền"})),
        ("ChuyenXuLy", json!({}), 4, json!({})),
        ("ThamDinh", json!({}), 4, json!({})),
        ("YeuCauBoSung", json!({"ThoiHanBoSung": "20260313170000", "LyDoBoSung": "Thiếu"}), 5, json!({"NgayYeuCauBoSung": at,
            "LyDoBoSung": "Thiếu", "ThoiHanBoSung": "20260313170000", "TrangThaiBoSung": "cho_bo_sung"})),
        ("NhanBoSung", json!({"NgayHenTra": "20260323170000"}), 4, json!({"TrangThaiBoSung": "da_gui", "NgayBoSung": at,
            "NgayHenTra": "20260323170000"})),
        ("YeuCauThanhToan", json!({}), 6, json!({})),
        ("DaThanhToan", json!({}), 4, json!({})),
        ("Rut", json!({}), 7, json!({"NgayKetThucXuLy": at})),
        ("Dung", json!({}), 8, json!({"NgayKetThucXuLy": at})),
        ("KetThuc", json!({"SoKyHieuKetQua": "12/GP", "DinhKemKetQua": "/kq/1.pdf"}), 9, json!({"NgayKetThucXuLy": at,
            "SoKyHieuKetQua": "12/GP", "DinhKemKetQua": "/kq/1.pdf"})),
        ("TraKetQua", json!({}), 10, json!({"NgayTra": at})),
        ("TraLai", json!({}), 4, json!({})),
    ];
    let world = World::new(json!({})).await;
    for (action, given, _, _) in &cases {
        let mut line = line(action, action, at);
        line.as_object_mut()
            .unwrap()
            .extend(given.as_object().unwrap().clone());
        world.put("KichBan", line).await;
        world.put("HoSo", dossier(action, "20260305093000")).await;
    }
    world.one_stop.round("officials").await.unwrap();
    for ((action, _, state, columns), row) in cases.iter().zip(world.one_stop.rows("HoSo")) {
        assert_eq!(row["TrangThaiHoSoId"], json!(state), "{action}");
        assert_eq!(row["NgayCapNhat"], at, "{action}");
        let mut expected = dossier(action, at);
        expected
            .as_object_mut()
            .unwrap()
            .extend(columns.as_object().unwrap().clone());
        for column in [
            "NgayTiepNhan",
            "NgayHenTra",
            "NgayKetThucXuLy",
            "NgayTra",
            "NgayTuChoi",
        ] {
            assert_eq!(row[column], expected[column], "{action}: {column}");
        }
        for (column, value) in columns.as_object().unwrap() {
            assert_eq!(&row[column], value, "{action}: {column}");
        }
        let step = &row["TienTrinh"][0];
        assert_eq!(
            (&step["TrangThai"], &step["ThoiGian"], &step["TenNguoiGui"]),
            (&json!(state), &json!(at), &json!("Nguyễn Văn Mẫu"),)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_action_in_the_script_is_a_fault_and_changes_nothing() {
    let world = World::new(json!({})).await;
    world
        .put("KichBan", line("A", "NghiPhep", "20260305100000"))
        .await;
    world.put("HoSo", dossier("A", "20260305093000")).await;
    let fault = world.one_stop.round("officials").await.unwrap_err();
    assert!(fault.to_string().contains("NghiPhep"), "{fault}");
    assert_eq!(world.one_stop.rows("HoSo"), [dossier("A", "20260305093000")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_is_told_signed_until_it_is_taken() {
    let mut receiver = Receiver::refusing(2).await;
    let world = World::new(json!({"webhook": receiver.url, "secret": "bi-mat"})).await;
    let row = dossier("H56.14-260305-0001", "20260305093000");
    world.put("HoSo", row.clone()).await;
    assert_eq!(world.one_stop.accepted_at("H56.14-260305-0001"), None);

    let mut bodies = Vec::new();
    for _ in 0..3 {
        let (headers, body) = receiver.next().await;
        let mut mac = Hmac::<Sha256>::new_from_slice(b"bi-mat").unwrap();
        mac.update(&body);
        assert_eq!(headers["x-signature"], hex::encode(mac.finalize().into_bytes()));
        bodies.push(body);
    }
    assert_eq!(serde_json::from_slice::<Value>(&bodies[0]).unwrap(), row);
    assert!(bodies.iter().all(|body| *body == bodies[0]));

    // The third was taken; what comes next is the next change.
    world
        .put(
            "KichBan",
            line("H56.14-260305-0001", "TiepNhan", "20260305100000"),
        )
        .await;
    world.one_stop.round("officials").await.unwrap();
    let (_, body) = receiver.next().await;
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["TrangThaiHoSoId"],
        2
    );
    assert!(world.one_stop.accepted_at("H56.14-260305-0001").is_some());
    assert_eq!(world.one_stop.faults(), []);
    world.one_stop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clerk_corrects_columns_of_a_dossier_and_neither_its_code_nor_its_state() {
    let world = World::new(json!({})).await;
    world.put("HoSo", dossier("A", "20260305080000")).await;
    let correct = async |code: &str, sent: Value| {
        let (status, said) = world.post(&format!("/quay/HoSo/{code}"), "", &sent).await;
        assert_eq!(status, 200);
        said["maLoi"].as_str().unwrap().to_owned()
    };
    assert_eq!(correct("B", json!({"NgayHenTra": ""})).await, "4");
    for wrong in [
        json!({}),
        json!([]),
        json!({"MaHoSo": "B"}),
        json!({"NgayCapNhat": ""}),
        json!({"TrangThaiHoSoId": 10}),
        json!({"NgayHenTra": "", "KhongCo": "1"}),
    ] {
        assert_eq!(correct("A", wrong.clone()).await, "2", "{wrong}");
    }
    assert_eq!(world.one_stop.rows("HoSo"), [dossier("A", "20260305080000")]);
    assert_eq!(correct("A", json!({"NgayHenTra": "20260320170000"})).await, "0");
    let mut corrected = dossier("A", "20260305093000");
    corrected["NgayHenTra"] = json!("20260320170000");
    assert_eq!(world.one_stop.rows("HoSo"), [corrected]);
}
