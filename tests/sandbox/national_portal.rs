//! The national portal's stand-in.

use jiff::SignedDuration;
use lienthong::clock::ManualClock;
use lienthong::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::support::{adapter, answer, client, clock, start};

/// An item that the portal takes, with one of everything.
fn item() -> Value {
    serde_json::from_str(include_str!("item.json")).unwrap()
}

fn entry() -> Value {
    json!({
        "MaHoSo": "H56.17-260305-0012", "NguoiXuLy": "Trần Văn Mẫu", "ChucDanh": "Chuyên viên", "ThoiDiemXuLy": "20260306101500",
        "PhongBanXuLy": "Phòng QLXD", "NoiDungXuLy": "Thẩm định hồ sơ", "TrangThai": "4", "NgayBatDau": "20260306080000",
        "NgayKetThucTheoQuyDinh": "20260312170000",
    })
}

/// A portal and somebody who is logged in.
struct World {
    portal: Sandbox,
    client: reqwest::Client,
    clock: ManualClock,
    session: Value,
}

impl World {
    async fn new() -> Self {
        let clock = clock();
        let given = json!({"username": "tinh", "password": "mat-khau", "dstcode": "DICH"});
        let portal = start(&adapter("national-portal"), given, &clock).await;
        let mut world = Self {
            portal,
            client: client(),
            clock,
            session: Value::Null,
        };
        let answer = world.log_in("DICH", "tinh", "mat-khau").await;
        assert_eq!(answer["error_code"], "0", "{answer}");
        world.session = answer["session"].clone();
        world
    }

    async fn log_in(&self, destination: &str, user: &str, password: &str) -> Value {
        let request = self
            .client
            .post(format!("{}/auth", self.portal.url()))
            .header("dstcode", destination);
        answer(request.json(&json!({"username": user, "password": password})))
            .await
            .1
    }

    /// Calls a service; the portal says 200 whatever it thinks.
    async fn call(&self, service: &str, more: Value) -> Value {
        let mut body = json!({"session": self.session, "madonvi": "000.00.00.H56", "service": service});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let (status, answer) = answer(
            self.client
                .post(format!("{}/integration", self.portal.url()))
                .json(&body),
        )
        .await;
        assert_eq!(status, 200);
        answer
    }

    async fn store(&self, updating: &str, item: Value) -> Value {
        self.call("DongBoHoSoMC", json!({"isUpdating": updating, "data": [item]}))
            .await
    }
}

fn refused(answer: &Value, code: &str, message: &str) {
    assert_eq!(answer["error_code"], code, "{answer}");
    assert!(
        answer["message"].as_str().unwrap().contains(message),
        "{answer} does not say {message:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dossier_is_created_found_and_replaced() {
    let world = World::new().await;
    let nothing = world
        .call("TraCuuHoSo", json!({"mahoso": "H56.17-260305-0012"}))
        .await;
    assert_eq!(nothing["result"], json!([]));
    assert_eq!(world.store("False", item()).await["error_code"], "0");
    let found = world
        .call("TraCuuHoSo", json!({"mahoso": "H56.17-260305-0012"}))
        .await;
    assert_eq!(found["result"], json!([item()]));

    let mut newer = item();
    newer["TrangThaiHoSo"] = json!("9");
    assert_eq!(world.store("True", newer.clone()).await["error_code"], "0");
    assert_eq!(world.portal.rows("HoSo"), [newer]);
    assert!(world.portal.committed_at("HoSo", "H56.17-260305-0012").is_some());
    assert_eq!(world.portal.calls()["DongBoHoSoMC"], 2);
    assert_eq!(world.portal.faults(), []);
    world.portal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_create_of_a_dossier_is_told_that_it_exists() {
    let world = World::new().await;
    world.store("False", item()).await;
    refused(
        &world.store("False", item()).await,
        "3",
        "Hồ sơ H56.17-260305-0012 đã tồn tại",
    );
    assert_eq!(world.portal.rows("HoSo").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_of_an_unknown_dossier_changes_nothing() {
    let world = World::new().await;
    refused(
        &world.store("True", item()).await,
        "-1",
        "Hồ sơ H56.17-260305-0012 không tồn tại",
    );
    assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_item_refuses_the_whole_call() {
    let world = World::new().await;
    let mut wrong = item();
    wrong["MaHoSo"] = json!("H56.17-260305-0013");
    wrong["HinhThuc"] = json!("2");
    let answer = world
        .call(
            "DongBoHoSoMC",
            json!({"isUpdating": "False", "data": [item(), wrong]}),
        )
        .await;
    refused(&answer, "-1", "HinhThuc");
    assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());
}

/// Field by JSON pointer, what stands there instead (nothing: the field is away), what the portal says.
#[rustfmt::skip]
fn wrong_items() -> Vec<(&'static str, Option<Value>, &'static str)> {
    let text = |length: usize| Some(json!("đ".repeat(length)));
    vec![
        ("/MaHoSo", None, "MaHoSo: thiếu trường bắt buộc"),
        ("/TenTTHC", None, "TenTTHC: thiếu trường bắt buộc"),
        ("/Email", None, "Email: thiếu trường bắt buộc"),
        ("/SoDienThoai", None, "SoDienThoai: thiếu trường bắt buộc"),
        ("/NgayHenTra", None, "NgayHenTra: thiếu trường bắt buộc"),
        ("/MaHoSo", Some(json!("")), "MaHoSo: không được để trống"),
        ("/MaTTHC", Some(json!("")), "MaTTHC: không được để trống"),
        ("/TenTTHC", Some(json!(" ")), "TenTTHC: không được để trống"),
        ("/MaLinhVuc", Some(json!("")), "MaLinhVuc: không được để trống"),
        ("/TenLinhVuc", Some(json!("")), "TenLinhVuc: không được để trống"),
        ("/LoaiDoiTuong", Some(json!("")), "LoaiDoiTuong: không được để trống"),
        ("/TrichYeuHoSo", Some(json!("")), "TrichYeuHoSo: không được để trống"),
        ("/NgayTiepNhan", Some(json!("")), "NgayTiepNhan: không được để trống"),
        ("/TrangThaiHoSo", Some(json!("")), "TrangThaiHoSo: không được để trống"),
        ("/HinhThuc", Some(json!("")), "HinhThuc: không được để trống"),
        ("/DonViXuLy", Some(json!("\u{a0}")), "DonViXuLy: không được để trống"),
        ("/TrangThaiHoSo", Some(json!(2)), "TrangThaiHoSo: phải là chuỗi ký tự"),
        ("/NgayTra", Some(Value::Null), "NgayTra: phải là chuỗi ký tự"),
        ("/TrichYeuHoSo", text(1001), "TrichYeuHoSo: dài quá 1000 ký tự"),
        ("/TaiLieuNop/0/TenTepDinhKem", text(4001), "TenTepDinhKem: dài quá 4000 ký tự"),
        ("/DanhSachGiayToKetQua/0/TenGiayTo", text(2001), "TenGiayTo: dài quá 2000 ký tự"),
        ("/MaHoSo", Some(json!("H56.17-260231-0012")), "MaHoSo: không đúng cấu trúc"),
        ("/MaHoSo", Some(json!("H56.17-260305-012")), "MaHoSo: không đúng cấu trúc"),
        ("/MaHoSo", Some(json!("H56.17-260305-0012345")), "MaHoSo: không đúng cấu trúc"),
        ("/MaHoSo", Some(json!("56.17-260305-0012")), "MaHoSo: không đúng cấu trúc"),
        ("/MaHoSo", Some(json!("h56.17-260305-0012")), "MaHoSo: không đúng cấu trúc"),
        ("/MaHoSo", Some(json!("000.17.22-260305-0012")), "MaHoSo: không đúng cấu trúc"),
        ("/MaTTHC", Some(json!("TS_lop1")), "MaTTHC: không đúng cấu trúc"),
        ("/MaTTHC", Some(json!("1.00457")), "MaTTHC: không đúng cấu trúc"),
        ("/MaTTHC", Some(json!("0.004572")), "MaTTHC: không đúng cấu trúc"),
        ("/MaTTHC", Some(json!("1.004572.00.00.H56")), "MaTTHC: không đúng cấu trúc"),
        ("/KenhThucHien", Some(json!("0")), "KenhThucHien: phải là một trong 1, 2, 3"),
        ("/LoaiDoiTuong", Some(json!("5")), "LoaiDoiTuong: phải là một trong"),
        ("/TrangThaiHoSo", Some(json!("0")), "TrangThaiHoSo: phải là một trong"),
        ("/TrangThaiHoSo", Some(json!("11")), "TrangThaiHoSo: phải là một trong"),
        ("/HinhThuc", Some(json!("2")), "HinhThuc: phải là một trong"),
        ("/NoiNopHoSo", Some(json!("3")), "NoiNopHoSo: phải là một trong"),
        ("/HoSoCoThanhPhanSoHoa", Some(json!("True")), "HoSoCoThanhPhanSoHoa: phải là một trong"),
        ("/TaiKhoanDuocXacThucVoiVNeID", Some(json!("2")), "TaiKhoanDuocXacThucVoiVNeID: phải là một trong"),
        ("/DuocThanhToanTrucTuyen", Some(json!("4")), "DuocThanhToanTrucTuyen: phải là một trong"),
        ("/NgayTiepNhan", Some(json!("20260229093000")), "NgayTiepNhan: phải là thời điểm có thật"),
        ("/NgayTiepNhan", Some(json!("20260305243000")), "NgayTiepNhan: phải là thời điểm có thật"),
        ("/NgayTiepNhan", Some(json!("2026-03-05")), "NgayTiepNhan: phải là thời điểm có thật"),
        ("/NgayHenTra", Some(json!("20260319")), "NgayHenTra: phải là thời điểm có thật"),
        ("/NgayNopHoSo", Some(json!("20260431081500")), "NgayNopHoSo: phải là thời điểm có thật"),
        ("/SoGiayToChuHoSo", Some(json!("000000001")), "SoGiayToChuHoSo: 000000001 không phải"),
        ("/DinhDanhCHS/0/SoDinhDanh", Some(json!("000000001")), "SoDinhDanh: 000000001 không phải"),
        ("/DinhDanhCHS/0/SoDinhDanh", Some(json!("170000123")), "SoDinhDanh: loại 1 phải có 12 chữ số"),
        ("/DinhDanhCHS/0/LoaiDinhDanh", Some(json!("2")), "SoDinhDanh: loại 2 phải có 9 chữ số"),
        ("/DinhDanhCHS/0/LoaiDinhDanh", Some(json!("4")), "LoaiDinhDanh: phải là một trong"),
        ("/DinhDanhCHS", Some(json!({})), "DinhDanhCHS: phải là danh sách"),
        ("/TaiLieuNop", Some(json!("")), "TaiLieuNop: phải là danh sách"),
        ("/TaiLieuNop/0", Some(json!("f-1")), "TaiLieuNop: phải gồm các đối tượng"),
        ("/TaiLieuNop/0/IsDeleted", Some(json!("false")), "IsDeleted: phải là một trong"),
        ("/TaiLieuNop/0/DuongDanTaiTepTin", Some(json!("/tep/1.pdf")), "DuongDanTaiTepTin: phải là đường dẫn"),
        ("/TaiLieuNop/0/DuocTaiSuDung", Some(json!("3")), "DuocTaiSuDung: phải là một trong"),
        ("/DanhSachLePhi/0/Gia", Some(json!(100_000)), "Gia: phải là chuỗi ký tự"),
        ("/DanhSachLePhi/0/Gia", Some(json!("100.000")), "Gia: phải là số tiền"),
        ("/DanhSachLePhi/0/HinhThucThu", Some(json!("0")), "HinhThucThu: phải là một trong"),
        ("/DanhSachTepDinhKemKhac/0/SoLuong", Some(json!("2")), "SoLuong: phải là số nguyên"),
        ("/DanhSachHoSoBoSung/0/HoSoBoSungId", Some(json!("1")), "HoSoBoSungId: phải là số nguyên"),
        ("/DanhSachHoSoBoSung/0/TrangThaiBoSung", Some(json!(2)), "TrangThaiBoSung: phải là 0 hoặc 1"),
        ("/DanhSachHoSoBoSung/0/NgayBoSung", Some(json!("")), "NgayBoSung: không được để trống"),
        ("/DanhSachGiayToKetQua/0/DuongDanTepTinKetQua", Some(json!("")), "DuongDanTepTinKetQua: không được để trống"),
        ("/TenLinhvuc", Some(json!("Xây dựng")), "TenLinhvuc: không có trường này"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn portal_refuses_what_its_guide_forbids() {
    let world = World::new().await;
    for (pointer, value, message) in wrong_items() {
        let answer = world.store("False", changed(item(), pointer, value)).await;
        refused(&answer, "-1", message);
        refused(&answer, "-1", "(national portal guide, DongBoHoSoMC item)");
    }
    assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());
    assert_eq!(world.portal.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_at_their_limit_are_taken() {
    let world = World::new().await;
    let cases = [
        ("/TrichYeuHoSo", Some(json!("đ".repeat(1000)))),
        ("/NgayHenTra", Some(json!(""))),
        ("/Email", Some(json!(""))),
        ("/NgayTiepNhan", Some(json!("20240229235959"))),
        ("/MaTTHC", Some(json!("1.004572.000.00.00.H56"))),
        ("/MaTTHC", Some(json!("1.004572.H56"))),
        ("/KenhThucHien", None),
        ("/SoBienNhan", Some(json!("BN-1"))),
    ];
    for (number, (pointer, value)) in cases.into_iter().enumerate() {
        let item = changed(
            item(),
            "/MaHoSo",
            Some(json!(format!("000.17.22.H56-260305-{:04}", number + 1))),
        );
        let answer = world.store("False", changed(item, pointer, value)).await;
        assert_eq!(answer["error_code"], "0", "{pointer}: {answer}");
    }
    assert_eq!(world.portal.rows("HoSo").len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_progress_call_twice_shows_twice() {
    let world = World::new().await;
    world.store("False", item()).await;
    for _ in 0..2 {
        let answer = world
            .call("CapNhatTienDoHoSoMC", json!({"data": [entry()]}))
            .await;
        assert_eq!(answer["error_code"], "0", "{answer}");
    }
    assert_eq!(world.portal.rows("TienDo"), [entry(), entry()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_refused_by_the_guide_and_before_its_dossier() {
    let world = World::new().await;
    let orphan = world
        .call("CapNhatTienDoHoSoMC", json!({"data": [entry()]}))
        .await;
    refused(&orphan, "-1", "Hồ sơ H56.17-260305-0012 không tồn tại");
    world.store("False", item()).await;
    let cases = [
        (
            "/NguoiXuLy",
            Some(json!("đ".repeat(51))),
            "NguoiXuLy: dài quá 50 ký tự",
        ),
        ("/NguoiXuLy", Some(json!("")), "NguoiXuLy: không được để trống"),
        (
            "/NoiDungXuLy",
            Some(json!("")),
            "NoiDungXuLy: không được để trống",
        ),
        (
            "/ThoiDiemXuLy",
            Some(json!("20260230101500")),
            "ThoiDiemXuLy: phải là thời điểm có thật",
        ),
        ("/TrangThai", Some(json!("0")), "TrangThai: phải là một trong"),
        ("/TrangThai", None, "TrangThai: thiếu trường bắt buộc"),
        ("/TrangThai", Some(json!(4)), "TrangThai: phải là chuỗi ký tự"),
    ];
    for (pointer, value, message) in cases {
        let entry = changed(entry(), pointer, value);
        let answer = world.call("CapNhatTienDoHoSoMC", json!({"data": [entry]})).await;
        refused(&answer, "-1", message);
        refused(&answer, "-1", "(national portal guide, CapNhatTienDoHoSoMC item)");
    }
    assert_eq!(world.portal.rows("TienDo"), Vec::<Value>::new());
}

#[tokio::test]
async fn words_of_a_progress_entry_may_be_as_many_as_they_like() {
    let world = World::new().await;
    world.store("False", item()).await;
    let entry = changed(entry(), "/NoiDungXuLy", Some(json!("đ".repeat(4001))));
    let answer = world
        .call("CapNhatTienDoHoSoMC", json!({"data": [entry.clone()]}))
        .await;
    assert_eq!(answer["error_code"], "0");
    assert_eq!(world.portal.rows("TienDo"), [entry]);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_ends_after_its_time() {
    let world = World::new().await;
    world.clock.advance(SignedDuration::from_secs(599));
    assert_eq!(world.store("False", item()).await["error_code"], "0");
    world.clock.advance(SignedDuration::from_secs(1));
    refused(&world.store("True", item()).await, "-2", "session");
    let again = world.log_in("DICH", "tinh", "mat-khau").await;
    assert_ne!(again["session"], world.session);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_malformed_calls_are_refused_inside_200() {
    let world = World::new().await;
    refused(&world.log_in("DICH", "tinh", "sai").await, "-1", "mật khẩu");
    refused(&world.log_in("KHAC", "tinh", "mat-khau").await, "-1", "dstcode");
    refused(
        &world
            .call("TraCuuHoSo", json!({"session": "bịa", "mahoso": "x"}))
            .await,
        "-2",
        "session",
    );
    refused(
        &world
            .call("TraCuuHoSo", json!({"session": 7, "mahoso": "x"}))
            .await,
        "-2",
        "session",
    );
    refused(
        &world.call("TraCuuHoSo", json!({"mahoso": ""})).await,
        "-1",
        "mahoso",
    );
    refused(
        &world
            .call("TraCuuHoSo", json!({"madonvi": "", "mahoso": "x"}))
            .await,
        "-1",
        "madonvi",
    );
    refused(&world.call("KhongCo", json!({})).await, "-1", "service");
    refused(&world.store("true", item()).await, "-1", "isUpdating");
    refused(
        &world
            .call("DongBoHoSoMC", json!({"isUpdating": false, "data": [item()]}))
            .await,
        "-1",
        "isUpdating",
    );
    refused(
        &world
            .call("DongBoHoSoMC", json!({"isUpdating": "False", "data": []}))
            .await,
        "-1",
        "data",
    );
    refused(
        &world
            .call("DongBoHoSoMC", json!({"isUpdating": "False", "data": item()}))
            .await,
        "-1",
        "data",
    );
    refused(
        &world
            .call("DongBoHoSoMC", json!({"isUpdating": "False", "data": ["x"]}))
            .await,
        "-1",
        "data",
    );
    let twice = json!({"isUpdating": "False", "data": [item(), item()]});
    refused(&world.call("DongBoHoSoMC", twice).await, "-1", "hai lần");
    let request = world
        .client
        .post(format!("{}/integration", world.portal.url()))
        .body("không phải JSON");
    refused(&answer(request).await.1, "-2", "session");
    assert_eq!(world.portal.rows("HoSo"), Vec::<Value>::new());
    assert_eq!(world.portal.faults(), []);
}

fn changed(mut item: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match (item.pointer_mut(parent).unwrap(), value) {
        (Value::Object(object), Some(value)) => drop(object.insert(last.to_owned(), value)),
        (Value::Object(object), None) => assert!(object.remove(last).is_some(), "{pointer}"),
        (Value::Array(items), Some(value)) => items[last.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{pointer} leads to {other}"),
    }
    item
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_records_of_the_mapping_are_taken() {
    let world = World::new().await;
    let samples = adapter("national-portal").join("samples/push.dossier");
    let mut taken = 0;
    for entry in std::fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".native.json") {
            let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            taken += 1;
            record["MaHoSo"] = json!(format!("H56.17-260305-{taken:04}"));
            let answer = world.store("False", record).await;
            assert_eq!(answer["error_code"], "0", "{}: {answer}", path.display());
        }
    }
    assert!(taken >= 8, "only {taken} samples");
}
