//! The stand-in for the ministry's judicial records system: which declarations it takes, what it shows of them, and how it
//! refuses.

use lienthong::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::support::{adapter, answer, client, clock, start};

struct World {
    sandbox: Sandbox,
}

impl World {
    async fn new() -> Self {
        let sandbox = start(&adapter("judicial-records-2"), json!({}), &clock()).await;
        Self { sandbox }
    }

    /// Sends a declaration; the sentence that it is answered with.
    async fn declare(&self, declaration: &Value) -> String {
        let url = format!("{}/api/lltp/nhanHoSo", self.sandbox.url());
        let response = client().post(url).json(declaration).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        response.text().await.unwrap()
    }

    async fn show(&self, code: &str, key: &str) -> Value {
        let url = format!("{}/api/lltp/traKetQua", self.sandbox.url());
        let body = json!({"authKey": key, "maTinh": "38", "maHoSoMCDT": code});
        let (status, shown) = answer(client().post(url).json(&body)).await;
        assert_eq!(status, 200);
        shown
    }

    async fn act(&self, code: &str, action: &str, outcome: Value) {
        let line = json!({"maHoSoMCDT": code, "HanhDong": action, "ketQuaXuLy": outcome});
        self.sandbox.insert("KichBan", line).await.unwrap();
        self.sandbox.round("officials").await.unwrap();
    }
}

/// The golden declarations of the adapter as they are sent, by case.
fn samples() -> Vec<(String, Value)> {
    let folder = adapter("judicial-records-2").join("samples/push.dossier");
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(case) = name.strip_suffix(".native.json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut declaration: Value = serde_json::from_str(&text).unwrap();
            declaration["authKey"] = json!("khoa-mau");
            declaration["maTinh"] = json!("38");
            declaration["tenTinh"] = json!("Tỉnh Thanh Hoá");
            for file in declaration["fileHoSo"].as_array_mut().unwrap() {
                file["noiDungFile"] = json!("JVBERi0xLjQ=");
            }
            samples.push((case.to_owned(), declaration));
        }
    }
    samples
}

/// A sound declaration.
fn declaration() -> Value {
    let mut samples = samples().into_iter();
    samples.find(|(case, _)| case == "received-online").unwrap().1
}

const CODE: &str = "000.00.14.H56-260305-0007";

#[tokio::test(flavor = "multi_thread")]
async fn golden_declarations_are_taken_each_code_once() {
    let world = World::new().await;
    let samples = samples();
    assert!(samples.len() >= 12, "{}", samples.len());
    for (n, (case, mut declaration)) in (1000..).zip(samples.clone()) {
        if !case.starts_with("number-of-two-agencies") {
            declaration["maHoSoMCDT"] = json!(format!("000.00.14.H56-260305-{n}"));
        }
        assert_eq!(
            world.declare(&declaration).await,
            "Gửi hồ sơ thành công",
            "{case}"
        );
        let code = declaration["maHoSoMCDT"].as_str().unwrap();
        let again = format!("Hồ sơ {code} đã được tiếp nhận");
        assert_eq!(world.declare(&declaration).await, again, "{case}");
    }
    assert_eq!(world.sandbox.rows("ToKhai").len(), samples.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_declaration_may_be_is_refused_by_name() {
    let world = World::new().await;
    #[rustfmt::skip]
    let rows = [
        ("/maHoSoMCDT", json!("2603050007"), "maHoSoMCDT: phải là mã hồ sơ đầy đủ"),
        ("/maHoSoMCDT", json!("000.00.14.H56-261305-0007"), "maHoSoMCDT: phải là mã hồ sơ đầy đủ"),
        ("/ngayTiepNhan", json!("2026-03-05"), "ngayTiepNhan: phải là dd/MM/yyyy"),
        ("/ngayTiepNhan", json!("29/02/2026"), "ngayTiepNhan: phải là dd/MM/yyyy"),
        ("/tenTinh", json!(""), "tenTinh: không được để trống"),
        ("/toKhai", json!(null), "toKhai: thiếu trường bắt buộc"),
        ("/toKhai/nycHoTen", json!("  "), "toKhai.nycHoTen: không được để trống"),
        ("/toKhai/nycGioiTinh", json!("0"), "toKhai.nycGioiTinh: phải là một trong 1, 2"),
        ("/toKhai/nycGioiTinh", json!(2), "toKhai.nycGioiTinh: phải là chuỗi ký tự"),
        ("/toKhai/nycNgaySinh", json!("30/02/1990"), "toKhai.nycNgaySinh: phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
        ("/toKhai/nycQuocTich", json!("3106"), "toKhai.nycQuocTich: phải là mã hai chữ cái"),
        ("/toKhai/nycDanToc", json!("55305"), "toKhai.nycDanToc: phải là mã từ 01 đến 54"),
        ("/toKhai/nycSoGiayTo", json!("000000001"), "toKhai.nycSoGiayTo: 000000001 không phải là số giấy tờ"),
        ("/toKhai/nycSoGiayTo", json!("171234567"), "toKhai.nycSoGiayTo: căn cước công dân phải có 12 chữ số"),
        ("/toKhai/loaiPhieu", json!("So2"), "toKhai.loaiPhieu: phải là một trong 1, 2"),
        ("/toKhai/soLuongCap", json!("0"), "toKhai.soLuongCap: phải từ 1"),
        ("/toKhai/uyQuyen", json!("1"), "toKhai.nuqHoTen: thiếu trường bắt buộc"),
        ("/toKhai/hoTen", json!("x"), "toKhai.hoTen: không có trường này"),
        ("/toKhai/quaTrinhCTNNNLV/0/tuThangNam", json!("13/2008"), "toKhai.quaTrinhCTNNNLV.tuThangNam: phải là MM/yyyy"),
        ("/toKhai/quaTrinhCTNNNLV/1/diaChiCuTru", json!(null), "toKhai.quaTrinhCTNNNLV.diaChiCuTru: thiếu trường bắt buộc"),
        ("/fileHoSo", json!(null), "fileHoSo: phải là danh sách"),
        ("/fileHoSo/0/noiDungFile", json!("https://motcua.example.vn/tep/1.pdf"), "fileHoSo.noiDungFile: phải là base64"),
        ("/fileHoSo/0/tenFile", json!(""), "fileHoSo.tenFile: không được để trống"),
    ];
    for (pointer, value, expected) in rows {
        let mut declaration = declaration();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = declaration.pointer_mut(parent).unwrap();
        match field.parse::<usize>() {
            Ok(place) => parent[place] = value.clone(),
            Err(_) => parent[field] = value.clone(),
        }
        let expected = format!("Gửi hồ sơ không thành công: {expected}");
        assert_eq!(world.declare(&declaration).await, expected, "{pointer} {value}");
    }
    for (field, value, expected) in [
        ("authKey", "guessed", "authKey không hợp lệ"),
        ("maTinh", "58", "authKey không thuộc tỉnh 58"),
    ] {
        let mut declaration = declaration();
        declaration[field] = json!(value);
        assert_eq!(world.declare(&declaration).await, expected);
    }
    assert!(world.sandbox.rows("ToKhai").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_declaration_is_shown_at_a_time_with_its_certificate_once_that_is_issued() {
    let world = World::new().await;
    let unknown = json!({"status": 0, "statusDescription": "Không tìm thấy hồ sơ", "value": null});
    assert_eq!(world.show(CODE, "khoa-mau").await, unknown);
    world.declare(&declaration()).await;
    let shown = |state: u32, outcome: Value| {
        let row = json!({"maHoSoMCDT": CODE, "trangThaiXuLy": state, "ketQuaXuLy": outcome});
        json!({"status": 1, "statusDescription": "", "value": [row]})
    };
    assert_eq!(world.show(CODE, "khoa-mau").await, shown(1, Value::Null));
    world.act(CODE, "XuLy", Value::Null).await;
    world.act(CODE, "YeuCauBoSung", Value::Null).await;
    assert_eq!(world.show(CODE, "khoa-mau").await, shown(5, Value::Null));
    world.act(CODE, "XuLy", Value::Null).await;
    let certificate = json!({"soPhieuLLTP": "01/LLTP", "phieuLLTP": "JVBERi0xLjQ="});
    world.act(CODE, "CapPhieu", certificate.clone()).await;
    assert_eq!(world.show(CODE, "khoa-mau").await, shown(9, certificate));
    let stranger = json!({"status": 0, "statusDescription": "authKey không hợp lệ", "value": null});
    assert_eq!(world.show(CODE, "guessed").await, stranger);
}
