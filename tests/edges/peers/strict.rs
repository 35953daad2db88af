//! The peers themselves: what pleases them, and that every deviation from it is refused by name.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::certificates::{by_hand, judicial_records_2};
use super::peer::{Peer, secret};
use super::{dossiers, expected, judicial_records, list, population, portal, portal_behind};
use lienthong::demo::FILES;
use lienthong::demo::judge::Expected;

async fn post(peer: &Peer, path: &str, headers: &[(&str, &str)], body: String) -> String {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let request = peer
        .client
        .post(format!("{}{path}", peer.url))
        .headers(headers)
        .body(body);
    request.send().await.unwrap().text().await.unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A bearer token of the peer's gateway, as a header.
async fn token(peer: &Peer, account: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", secret(&format!("{account}_CLIENT_ID"))),
        ("client_secret", secret(&format!("{account}_CLIENT_SECRET"))),
    ];
    let form: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace('&', "%26").replace(' ', "+")))
        .collect();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer: Value = serde_json::from_str(&post(peer, "/token", &headers, form.join("&")).await).unwrap();
    format!("Bearer {}", answer["access_token"].as_str().unwrap())
}

/// The value with another one at this place; `null`: with none.
fn otherwise(sound: &Value, pointer: &str, value: Value) -> Value {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let mut otherwise = sound.clone();
    let parent = otherwise.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(fields), Value::Null) => {
            drop(fields.shift_remove(last).expect("a field that is there"));
        }
        (Value::Object(fields), value) => drop(fields.insert(last.to_owned(), value)),
        (Value::Array(items), value) => items[last.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("no place in {other}"),
    }
    otherwise
}

/// The sound body pleases, no deviation does; what was refused names the field.
async fn judged(
    peer: &Peer,
    deviations: &[(&str, Value)],
    sound: &Value,
    say: impl AsyncFn(Value) -> String,
) {
    for (pointer, value) in deviations {
        let before = list(&peer.shown().await, "refused").len();
        let answer = say(otherwise(sound, pointer, value.clone())).await;
        let refused = list(&peer.shown().await, "refused").clone();
        assert_eq!(refused.len(), before + 1, "{pointer} = {value}: {answer}");
        let field = pointer
            .rsplit('/')
            .find(|part| part.parse::<u32>().is_err())
            .unwrap();
        let reason = refused[before].as_str().unwrap();
        assert!(reason.contains(field), "{pointer} = {value}: {reason}");
    }
    let before = peer.shown().await["refused"].clone();
    let answer = say(sound.clone()).await;
    assert_eq!(peer.shown().await["refused"], before, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn portal_of_others_refuses_each_deviation() {
    let portal = portal(&json!({"calls": 1000}));
    let log_in =
        json!({"username": secret("NATIONAL_PORTAL_USER"), "password": secret("NATIONAL_PORTAL_PASSWORD")});
    let session = post(&portal, "/auth", &[JSON, ("dstcode", "")], log_in.to_string()).await;
    let session: Value = serde_json::from_str(&session).unwrap();
    let rows = dossiers();
    let full = |row: &&Value| {
        let lists = ["LePhi", "ThanhPhanHoSo", "TienTrinh"];
        lists
            .iter()
            .all(|name| row[*name].as_array().is_some_and(|list| !list.is_empty()))
            && row["LoaiGiayToChuHoSo"] == "CCCD"
            && row["NgayTiepNhan"] != ""
    };
    let Expected::Due {
        mut item, progress, ..
    } = expected(rows.iter().find(full).unwrap(), FILES)
    else {
        panic!("a dossier that is due");
    };
    item["DanhSachHoSoBoSung"] = json!([{"HoSoBoSungId": 1, "NoiDungBoSung": "Thiếu ảnh", "NgayBoSung": "20260306080000", "TrangThaiBoSung": 0}]);
    item["DanhSachGiayToKetQua"] =
        json!([{"TenGiayTo": "a.pdf", "GiayToId": "1", "DuongDanTepTinKetQua": "https://a.vn/a.pdf"}]);
    let call = json!({
        "session": session["session"], "madonvi": "000.00.00.H56", "service": "DongBoHoSoMC", "isUpdating": "False", "data": [item],
    });
    let deviations = [
        ("/madonvi", json!("H57")),
        ("/isUpdating", json!("false")),
        ("/isUpdating", json!(false)),
        ("/data/0/MaHoSo", json!("H56.14-260230-0001")),
        ("/data/0/MaTTHC", json!("TS_lop1.000.00.00.H22")),
        ("/data/0/TenTTHC", json!("")),
        ("/data/0/LoaiDoiTuong", json!(1)),
        ("/data/0/SoGiayToChuHoSo", json!("000000001")),
        (
            "/data/0/DinhDanhCHS/0",
            json!({"LoaiDinhDanh": "1", "SoDinhDanh": "171234567"}),
        ),
        ("/data/0/TrichYeuHoSo", json!("a".repeat(1001))),
        ("/data/0/NgayTiepNhan", json!("")),
        ("/data/0/NgayTiepNhan", json!("2026-03-05T09:30:00")),
        ("/data/0/NgayHenTra", json!("20260231170000")),
        ("/data/0/NgayHenTra", Value::Null),
        ("/data/0/TrangThaiHoSo", json!("0")),
        ("/data/0/TrangThaiHoSo", json!(2)),
        ("/data/0/HinhThuc", json!("2")),
        ("/data/0/DonViXuLy", json!("H56.14")),
        ("/data/0/TaiLieuNop/0/IsDeleted", json!(false)),
        (
            "/data/0/TaiLieuNop/0/DuongDanTaiTepTin",
            json!("https://motcua.example.vn/Đơn đề nghị.pdf"),
        ),
        ("/data/0/DanhSachLePhi/0/Gia", json!(150_000)),
        ("/data/0/DanhSachLePhi/0/Gia", json!("150.000")),
        ("/data/0/DanhSachHoSoBoSung/0/HoSoBoSungId", json!("1")),
        ("/data/0/DanhSachHoSoBoSung/0/TrangThaiBoSung", json!("đã gửi")),
        (
            "/data/0/DanhSachGiayToKetQua/0/TenGiayTo",
            json!("a".repeat(2001)),
        ),
        ("/data/0/NgayTiepNhanHoSo", json!("")),
    ];
    judged(&portal, &deviations, &call, async |call| {
        post(&portal, "/integration", &[JSON], call.to_string()).await
    })
    .await;
    let call = json!({
        "session": session["session"], "madonvi": "000.00.00.H56", "service": "CapNhatTienDoHoSoMC", "data": progress,
    });
    let step = progress[0].clone();
    let deviations = [
        ("/data/0/MaHoSo", json!("H56.14-260101-9999")),
        ("/data/0/NguoiXuLy", json!("")),
        ("/data/0/NguoiXuLy", json!("a".repeat(51))),
        ("/data/0/ThoiDiemXuLy", json!("20260306")),
        ("/data/0/NoiDungXuLy", json!(" ")),
        ("/data/0/TrangThai", json!("11")),
        ("/data", json!(vec![step; 11])),
    ];
    judged(&portal, &deviations, &call, async |call| {
        post(&portal, "/integration", &[JSON], call.to_string()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn judicial_records_of_others_refuse_each_deviation() {
    let judicial = judicial_records(&json!({"calls": 1000}));
    let token = token(&judicial, "JUDICIAL_RECORDS").await;
    let sound = json!({
        "idMinistryJustice": 3838, "idReceivedDec": "2603050007", "dateReceivedDec": "05/03/2026",
        "datePromissoryDec": "", "idMoneyReceipt": "",
        "declarationWSForm": {
            "fullName": "Lê Thị Mẫu", "genderId": 0, "birthDateStr": "04/1990", "nationalityId": 3106, "ethnicId": -1,
            "idTypeId": 3, "identifyNo": "038190000123", "phone": "0912000111", "declareDate": "05/03/2026",
            "declareTypeId": 3846, "requestQty": 1, "objectRequestId": 72, "formType": 1,
        },
        "residenceWSForm": [{"fromDateStr": "09/1990", "toDateStr": "06/1996", "residencePlace": "Xã Quan Sơn"}],
        "mandatorWSForm": null,
    });
    let form = |field: &str| format!("/declarationWSForm/{field}");
    let mandatory = [
        "fullName",
        "genderId",
        "birthDateStr",
        "nationalityId",
        "idTypeId",
        "identifyNo",
        "phone",
        "declareDate",
        "declareTypeId",
        "requestQty",
        "objectRequestId",
        "formType",
    ];
    let missing = mandatory.map(|field| (form(field), Value::Null));
    let wrong = [
        ("/idReceivedDec".to_owned(), json!(2_603_050_007_u64)),
        ("/idReceivedDec".to_owned(), json!("H56.14-260305-0007")),
        ("/idReceivedDec".to_owned(), json!("2602300007")),
        ("/dateReceivedDec".to_owned(), json!("2026-03-05")),
        ("/datePromissoryDec".to_owned(), json!("5/3/2026")),
        (form("genderId"), json!(2)),
        (form("genderId"), json!("0")),
        (form("birthDateStr"), json!("30/02/1990")),
        (form("identifyNo"), json!("171234567")),
        (form("phone"), json!("0912.000.111")),
        (form("declareTypeId"), json!(1)),
        (form("requestQty"), json!(0)),
        (form("formType"), json!("So1")),
        (form("hoTen"), json!("Lê Thị Mẫu")),
        ("/residenceWSForm/0/toDateStr".to_owned(), json!("")),
        ("/residenceWSForm/0/residencePlace".to_owned(), Value::Null),
        ("/mandatorWSForm".to_owned(), json!({"fullName": "Lê Mẫu"})),
    ];
    let all: Vec<(String, Value)> = missing.into_iter().chain(wrong).collect();
    let all: Vec<(&str, Value)> = all
        .iter()
        .map(|(pointer, value)| (pointer.as_str(), value.clone()))
        .collect();
    let authorization = ("authorization", token.as_str());
    judged(&judicial, &all, &sound, async |body| {
        post(
            &judicial,
            "/apiLyLichTuPhap/nhanHoSoDangKy",
            &[JSON, authorization],
            body.to_string(),
        )
        .await
    })
    .await;
    let twice = post(
        &judicial,
        "/apiLyLichTuPhap/nhanHoSoDangKy",
        &[JSON, authorization],
        sound.to_string(),
    )
    .await;
    assert!(twice.contains("đã tồn tại"), "{twice}");
    let nobody = post(
        &judicial,
        "/apiLyLichTuPhap/traDsTrangThaiHs",
        &[JSON],
        json!({"infoType": 2}).to_string(),
    )
    .await;
    assert!(nobody.contains("Invalid Credentials"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn register_of_others_refuses_each_deviation() {
    let population = population("gateway", &json!({"calls": 1000}));
    let token = token(&population, "POPULATION").await;
    let sound = "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:dan=\"http://dancuquocgia.bca\">\
        <soapenv:Header/><soapenv:Body><dan:TraCuuThongTinCongDan><dan:MaYeuCau>1</dan:MaYeuCau><dan:MaDVC>1.004572</dan:MaDVC>\
        <dan:MaTichHop>037</dan:MaTichHop><dan:MaCanBo>canbo01</dan:MaCanBo><dan:MaDonVi>H56.17</dan:MaDonVi>\
        <dan:SoDinhDanh>038190000123</dan:SoDinhDanh><dan:HoVaTen>LÊ THỊ MẪU</dan:HoVaTen><dan:NgayThangNamSinh>\
        <dan:NgayThangNam>19900417</dan:NgayThangNam></dan:NgayThangNamSinh></dan:TraCuuThongTinCongDan></soapenv:Body></soapenv:Envelope>";
    let headers = [
        ("content-type", "text/xml; charset=utf-8"),
        ("soapaction", "\"\""),
        ("authorization", token.as_str()),
    ];
    let deviations = [
        (
            "http://dancuquocgia.bca",
            "http://dancuquocgia.bca/",
            "TraCuuThongTinCongDan",
        ),
        ("dan:MaDVC>", "MaDVC>", "MaDVC"),
        ("<dan:MaDVC>1.004572</dan:MaDVC>", "", "MaDVC"),
        ("<dan:MaDonVi>H56.17</dan:MaDonVi>", "<dan:MaDonVi/>", "MaDonVi"),
        ("<dan:MaDonVi>H56.17</dan:MaDonVi>", "", "MaDonVi"),
        (
            "<dan:MaDVC>1.004572</dan:MaDVC><dan:MaTichHop>037</dan:MaTichHop>",
            "<dan:MaTichHop>037</dan:MaTichHop><dan:MaDVC>1.004572</dan:MaDVC>",
            "MaDVC",
        ),
        (">037<", ">033<", "MaTichHop"),
        (">038190000123<", ">38190000123<", "SoDinhDanh"),
        ("<dan:SoDinhDanh>038190000123</dan:SoDinhDanh>", "", "SoDinhDanh"),
        (
            "<dan:NgayThangNam>19900417</dan:NgayThangNam>",
            "",
            "NgayThangNamSinh",
        ),
        (">19900417<", ">17041990<", "NgayThangNamSinh"),
        (
            "</dan:NgayThangNam>",
            "</dan:NgayThangNam><dan:Nam>1990</dan:Nam>",
            "Nam",
        ),
        (
            "<dan:HoVaTen>LÊ THỊ MẪU</dan:HoVaTen>",
            "<dan:HoVaTen></dan:HoVaTen>",
            "HoVaTen",
        ),
    ];
    for (from, to, word) in deviations {
        assert!(sound.contains(from), "{from}");
        let answer = post(&population, "/", &headers, sound.replace(from, to)).await;
        assert!(
            answer.contains("Fault") && answer.contains(word),
            "{from} -> {to}: {answer}"
        );
    }
    assert_eq!(population.shown().await["asked"], json!([]));
    let answer = post(&population, "/", &headers, sound.to_owned()).await;
    assert!(answer.contains("SoCongDan=\"0\""), "{answer}");
    let again = post(&population, "/", &headers, sound.to_owned()).await;
    assert!(again.contains("MaYeuCau was used before"), "{again}");
    let json = [headers[0], headers[2]];
    let answer = post(&population, "/", &json, sound.to_owned()).await;
    assert!(answer.contains("SOAPAction"), "{answer}");
}

/// An item that the portal must have, as it is before anything has happened to it.
fn item() -> Value {
    let rows = dossiers();
    let Expected::Due { item, .. } = expected(&rows[0], FILES) else {
        panic!("a dossier that is due");
    };
    item
}

const WRONG_ITEMS: [(&str, &str); 4] = [
    ("/0/TrangThaiHoSo", "0"),
    ("/0/NgayTiepNhan", ""),
    ("/0/TaiLieuNop/0/DuocSoHoa", "2"),
    ("/0/TenTTHC", " "),
];

#[tokio::test(flavor = "multi_thread")]
async fn gateway_of_others_refuses_each_deviation() {
    let portal = portal_behind("gateway", &json!({"calls": 1000}));
    let token = token(&portal, "NATIONAL_PORTAL").await;
    let authorization = ("authorization", token.as_str());
    let sound = json!([item()]);
    let deviations = WRONG_ITEMS.map(|(pointer, value)| (pointer, json!(value)));
    judged(&portal, &deviations, &sound, async |body| {
        post(&portal, "/them-moi", &[JSON, authorization], body.to_string()).await
    })
    .await;
    let again = post(&portal, "/them-moi", &[JSON, authorization], sound.to_string()).await;
    assert!(again.contains("đã tồn tại"), "{again}");
    let nobody = post(&portal, "/cap-nhat", &[JSON], sound.to_string()).await;
    assert!(nobody.contains("Invalid Credentials"), "{nobody}");
    let mut unknown = sound.clone();
    unknown[0]["MaHoSo"] = json!("H56.14-260603-9999");
    for (path, body, word) in [
        ("/cap-nhat", unknown.to_string(), "không tồn tại"),
        // What is wrapped in a call of the other way is no list.
        (
            "/them-moi",
            json!({"service": "DongBoHoSoMC", "data": sound}).to_string(),
            "array",
        ),
        ("/them-moi?isUpdating=False", sound.to_string(), "no address"),
        ("/integration", sound.to_string(), "no address"),
    ] {
        let answer = post(&portal, path, &[JSON, authorization], body).await;
        assert!(answer.contains(word), "{path}: {answer}");
    }
    assert_eq!(list(&portal.shown().await, "dossiers").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn facade_of_others_refuses_each_deviation() {
    let portal = portal_behind("facade", &json!({}));
    let sound = json!([item()]);
    let create = "/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=000.00.00.H56&isUpdating=False";
    let deviations = WRONG_ITEMS.map(|(pointer, value)| (pointer, json!(value)));
    judged(&portal, &deviations, &sound, async |body| {
        post(&portal, create, &[JSON], body.to_string()).await
    })
    .await;
    for (path, word) in [
        (
            "/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=H56&isUpdating=False",
            "MaDinhDanhDV",
        ),
        ("/SynsTTHCC/DongBoHoSoMC?isUpdating=True", "MaDinhDanhDV"),
        ("/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=000.00.00.H56", "isUpdating"),
        (
            "/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=000.00.00.H56&isUpdating=true",
            "isUpdating",
        ),
        ("/SynsTTHCC/TraCuuHoSo?MaDinhDanhDV=000.00.00.H56", "no address"),
        (create, "đã tồn tại"),
    ] {
        let answer = post(&portal, path, &[JSON], sound.to_string()).await;
        assert!(answer.contains(word), "{path}: {answer}");
    }
    assert_eq!(list(&portal.shown().await, "dossiers").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn judicial_records_2_of_others_refuse_each_deviation() {
    let ministry = judicial_records_2(&json!({}));
    let mut sound = by_hand();
    sound["fileHoSo"] =
        json!([{"tenLoaiFile": "Căn cước", "tenFile": "cc.pdf", "noiDungFile": "JVBERi0xLjQK"}]);
    let deviations = [
        ("/authKey", json!("khoa-khac")),
        ("/maTinh", json!("58")),
        ("/maTinh", json!(38)),
        ("/maHoSoMCDT", json!("2606030001")),
        ("/maHoSoMCDT", json!("H56.14-260631-0001")),
        ("/ngayTiepNhan", json!("2026-06-03")),
        ("/nguonDangKy", json!("")),
        ("/toKhai/loaiPhieu", json!("So1")),
        ("/toKhai/soLuongCap", json!(3)),
        ("/toKhai/nycGioiTinh", json!("0")),
        ("/toKhai/nycQuocTich", json!("3106")),
        ("/toKhai/nycDanToc", json!("55305")),
        ("/toKhai/nycNgaySinh", json!("30/02/1988")),
        ("/toKhai/nycSoGiayTo", json!("000000001")),
        ("/toKhai/nycHoTen", Value::Null),
        ("/toKhai/hoTen", json!("Cao Thị Ví Dụ")),
        ("/toKhai/uyQuyen", json!("0")),
        ("/toKhai/quaTrinhCTNNNLV/0/tuThangNam", json!("01/02/2002")),
        ("/toKhai/quaTrinhCTNNNLV/0/diaChiCuTru", json!("")),
        ("/fileHoSo/0/noiDungFile", json!("%PDF")),
        ("/fileHoSo/0/tenFile", json!("")),
    ];
    judged(&ministry, &deviations, &sound, async |body| {
        post(&ministry, "/api/lltp/nhanHoSo", &[JSON], body.to_string()).await
    })
    .await;
    let twice = post(&ministry, "/api/lltp/nhanHoSo", &[JSON], sound.to_string()).await;
    assert!(twice.contains("đã được tiếp nhận"), "{twice}");
    let question = json!({"authKey": "khoa-khac", "maTinh": "38", "maHoSoMCDT": sound["maHoSoMCDT"]});
    let nobody = post(&ministry, "/api/lltp/traKetQua", &[JSON], question.to_string()).await;
    assert!(nobody.contains("authKey"), "{nobody}");
    assert_eq!(list(&ministry.shown().await, "declarations").len(), 1);
}
