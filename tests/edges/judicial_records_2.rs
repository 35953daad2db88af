//! The second version of the judicial records adapter against its stand-in: every dossier is declared under its whole code, its
//! certificate comes back to it alone and goes on to the one-stop and the national portal, and of convictions nothing is kept.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lienthong::clock::ManualClock;
use lienthong::sandbox::{FaultKind, Faults, Options, Sandbox};
use lienthong::stage::Progress;
use lienthong::store::State;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Bench, SHIPPED, START, contents, install_tls, row, secret, stand_in};

on_both_stores! {
    two_dossiers_of_one_number_are_both_declared_and_each_gets_its_own_certificate
    declaration_whose_answer_was_lost_is_neither_doubled_nor_parked
    certificate_goes_on_to_the_one_stop_and_the_portal_as_a_link_that_is_no_news_when_it_comes_back
    request_for_papers_by_the_ministry_beats_what_the_one_stop_did_before_it
}

/// Two dossiers that have one number in version 1.
const CODES: [&str; 2] = ["000.00.14.H56-230719-0001", "000.17.22.H56-230719-0001"];

const NAME: &str = "judicial-records-2";

/// A dossier with the form of its procedure.
fn dossier(code: &str) -> Value {
    let mut row = row(1);
    row["MaHoSo"] = json!(code);
    row["DonViId"] = json!(code.split('-').next());
    row["LoaiDuLieuKetNoi"] = json!("LLTPMCDT");
    row["NgayNopHoSo"] = json!("20230719122100");
    row["NgayTiepNhan"] = json!("20230719124500");
    row["NgayHenTra"] = json!("20230724124500");
    row["NgayCapNhat"] = json!("20230719124500");
    row["EForm"] = json!({
        "loaiPhieu": "So2", "soLuongCap": 1, "mucDich": "Du học", "yeuCauCDNCV": 1, "quocTich": "VN", "danToc": "01",
        "quaTrinhCuTru": [{"tuThangNam": "09/1990", "denThangNam": "", "diaChiCuTru": "Xã Quan Sơn"}],
    });
    row
}

/// The ministry's stand-in, in the time of the node.
async fn ministry(clock: &ManualClock, faults: Faults) -> Sandbox {
    install_tls();
    let key = json!(secret("JUDICIAL_RECORDS_2_AUTH_KEY"));
    let options = Options {
        settings: [("auth_key".to_owned(), key)].into_iter().collect(),
        clock: Arc::new(clock.clone()),
        officials: false,
        faults,
        ..Options::default()
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(NAME);
    Sandbox::start(&folder, options).await.unwrap()
}

/// The ministry, and a node's parts with the shipped adapter.
async fn connected(faults: Faults) -> (Sandbox, Bench) {
    let ministry = ministry(&ManualClock::new(START.parse().unwrap()), faults).await;
    let bench = Bench::open(&[(NAME, SHIPPED, &ministry.url())]).await;
    (ministry, bench)
}

/// The certificate of a dossier, as bytes.
fn certificate(code: &str) -> Vec<u8> {
    format!("%PDF-1.7 Phiếu của {code}").into_bytes()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The officials do this with a declaration.
async fn act(ministry: &Sandbox, code: &str, action: &str, outcome: &Value) {
    let line = json!({"maHoSoMCDT": code, "HanhDong": action, "ketQuaXuLy": outcome});
    ministry.insert("KichBan", line).await.unwrap();
    ministry.round("officials").await.unwrap();
}

/// The officials issue the certificate, with everything that they know of the person.
async fn issue(ministry: &Sandbox, code: &str, number: &str) {
    let file = STANDARD.encode(certificate(code));
    let outcome = json!({
        "soPhieuLLTP": number, "ngayCapPhieu": "06/03/2026", "loaiPhieu": "2", "nguoiKy": "Trần Văn Ký Mẫu", "chucVu": "Phó Giám đốc",
        "tinhTrangAnTich": "Có án tích chưa xoá", "phieuLLTP": file,
        "thongTinAn": [{"soBanAn": "77/2019/HS-ST", "toiDanh": "Tội trộm cắp mẫu"}],
        "dsCDNCV": [{"chucVu": "Giám đốc công ty mẫu", "thoiHan": "24 tháng"}],
    });
    act(ministry, code, "XuLy", &Value::Null).await;
    act(ministry, code, "CapPhieu", &outcome).await;
}

/// Asks what has become of the declarations when it is time to ask again.
async fn ask(bench: &Bench) {
    bench.advance(30 * 60);
    bench.work(NAME).await;
}

async fn status(bench: &Bench, code: &str) -> String {
    bench.dossier(code).await.status().unwrap().value.clone()
}

async fn results(bench: &Bench, code: &str) -> Value {
    bench.dossier(code).await.view()["results"].take()
}

async fn two_dossiers_of_one_number_are_both_declared_and_each_gets_its_own_certificate() {
    let (ministry, bench) = connected(Faults::default()).await;
    for code in CODES {
        bench.tell(&dossier(code)).await;
    }
    bench.work(NAME).await;
    let mut declared: Vec<Value> = ministry.rows("ToKhai");
    declared.sort_by_key(|row| row["maHoSoMCDT"].to_string());
    let codes: Vec<&Value> = declared.iter().map(|row| &row["maHoSoMCDT"]).collect();
    assert_eq!(codes, CODES);

    issue(&ministry, CODES[0], "01/LLTP").await;
    ask(&bench).await;
    assert_eq!(status(&bench, CODES[0]).await, "completed");
    assert_eq!(status(&bench, CODES[1]).await, "accepted");
    assert_eq!(results(&bench, CODES[1]).await, json!({}));
    issue(&ministry, CODES[1], "02/LLTP").await;
    ask(&bench).await;
    for (code, number) in CODES.into_iter().zip(["01/LLTP", "02/LLTP"]) {
        assert_eq!(status(&bench, code).await, "completed");
        let results = results(&bench, code).await;
        let [(_, result)] = results.as_object().unwrap().iter().collect::<Vec<_>>()[..] else {
            panic!("{results}")
        };
        assert_eq!(result["number"], number);
        assert_eq!(result["files"][0]["$file"], hash(&certificate(code)));
        let kept = bench.shared.files.read(&hash(&certificate(code))).unwrap();
        assert_eq!(kept, certificate(code));
    }

    // Who has its certificate is asked for no more.
    let asked = ministry.calls()["traKetQua"];
    ask(&bench).await;
    assert_eq!(ministry.calls()["traKetQua"], asked);
}

async fn declaration_whose_answer_was_lost_is_neither_doubled_nor_parked() {
    for kind in [
        FaultKind::CutAfterCommit,
        FaultKind::FailedAfterCommit,
        FaultKind::ErrorIn200,
    ] {
        let faults = Faults::new(1, 1, Duration::ZERO, [kind]);
        let (ministry, bench) = connected(faults.clone()).await;
        bench.tell(&dossier(CODES[0])).await;
        bench.work(NAME).await;
        assert!(faults.bitten()[&kind] > 0, "{kind:?}");
        faults.end();
        for _ in 0..6 {
            bench.advance(120);
            bench.work(NAME).await;
        }
        assert_eq!(ministry.rows("ToKhai").len(), 1, "{kind:?}");
        let row = bench.row(CODES[0], NAME, "dossier").await;
        assert!(matches!(row.state, State::Applied), "{kind:?}: {row:?}");

        issue(&ministry, CODES[0], "01/LLTP").await;
        ask(&bench).await;
        assert_eq!(status(&bench, CODES[0]).await, "completed", "{kind:?}");
    }
}

/// Asks the one-stop what has changed there.
async fn pull(bench: &Bench) {
    let puller = bench.puller("one-stop");
    while puller.step().await.unwrap() == Progress::Worked {}
    bench.spread().await;
}

async fn certificate_goes_on_to_the_one_stop_and_the_portal_as_a_link_that_is_no_news_when_it_comes_back() {
    let clock = ManualClock::new(START.parse().unwrap());
    let of = |user: &str, password: &str| json!({"user": secret(user), "password": secret(password)});
    let one_stop = stand_in(&clock, "one-stop", of("ONE_STOP_USER", "ONE_STOP_PASSWORD")).await;
    let account =
        json!({"username": secret("NATIONAL_PORTAL_USER"), "password": secret("NATIONAL_PORTAL_PASSWORD")});
    let portal = stand_in(&clock, "national-portal", account).await;
    let ministry = ministry(&clock, Faults::default()).await;
    let systems = [
        (NAME, SHIPPED, &*ministry.url()),
        ("national-portal", SHIPPED, &*portal.url()),
    ];
    let bench = Bench::beside(&one_stop, &clock, &systems).await;
    one_stop.insert("HoSo", dossier(CODES[0])).await.unwrap();
    pull(&bench).await;
    bench.work(NAME).await;
    issue(&ministry, CODES[0], "01/LLTP").await;
    ask(&bench).await;
    let hash = hash(&certificate(CODES[0]));
    let link = format!("https://bus.example.vn/files/{hash}/Phieu-LLTP-01-LLTP.pdf");

    bench.work("one-stop").await;
    let row = one_stop.rows("HoSo").remove(0);
    assert_eq!(
        (
            &row["TrangThaiHoSoId"],
            &row["SoKyHieuKetQua"],
            &row["DinhKemKetQua"]
        ),
        (&json!(9), &json!("01/LLTP"), &json!(link))
    );
    let before = results(&bench, CODES[0]).await;
    bench.advance(60);
    pull(&bench).await;
    assert_eq!(results(&bench, CODES[0]).await, before);
    bench.work("one-stop").await;
    assert_eq!(one_stop.rows("HoSo"), [row], "nothing is done twice there");

    bench.work("national-portal").await;
    let reported = portal.rows("HoSo").remove(0);
    assert_eq!(reported["TrangThaiHoSo"], "9");
    let [file] = &reported["DanhSachGiayToKetQua"].as_array().unwrap()[..] else {
        panic!("{reported}")
    };
    assert_eq!(file["DuongDanTepTinKetQua"], link);
    assert_eq!(file["GiayToId"], "01/LLTP#1");
}

async fn request_for_papers_by_the_ministry_beats_what_the_one_stop_did_before_it() {
    let (ministry, bench) = connected(Faults::default()).await;
    let mut told = dossier(CODES[0]);
    bench.tell(&told).await;
    bench.work(NAME).await;
    // The one-stop hands the dossier on; the ministry begins to work, and finds that something is missing.
    let mut forward = |at: &str| {
        told["TrangThaiHoSoId"] = json!(4);
        told["NgayCapNhat"] = json!(at);
        told["TienTrinh"] = json!([{
            "MaHoSo": CODES[0], "ThoiGian": at, "TrangThai": 4, "NguoiGui": "cb01", "TenNguoiGui": "Cán bộ Thử",
            "ThaoTac": "Chuyển xử lý", "NoiDung": "Chuyển xử lý",
        }]);
        told.clone()
    };
    let forwarded = forward("20230720080000");
    bench.tell(&forwarded).await;
    act(&ministry, CODES[0], "XuLy", &Value::Null).await;
    ask(&bench).await;
    assert_eq!(status(&bench, CODES[0]).await, "in_progress");
    act(&ministry, CODES[0], "YeuCauBoSung", &Value::Null).await;
    ask(&bench).await;
    assert_eq!(status(&bench, CODES[0]).await, "supplement_requested");

    // Asked again and again, it says the same, and nothing changes.
    let before = bench.version(CODES[0]).await;
    ask(&bench).await;
    assert_eq!(bench.version(CODES[0]).await, before);
    // The one-stop has what was missing, and the ministry knows nothing of it yet.
    let again = forward("20260306110000");
    bench.advance(60 * 60);
    bench.tell(&again).await;
    ask(&bench).await;
    assert_eq!(status(&bench, CODES[0]).await, "in_progress");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_conviction_is_kept() {
    let (ministry, bench) = connected(Faults::default()).await;
    bench.tell(&dossier(CODES[0])).await;
    bench.work(NAME).await;
    issue(&ministry, CODES[0], "01/LLTP").await;
    ask(&bench).await;
    let kept = contents(&bench.file()).await;
    let in_any = |text: &str| kept.values().any(|rows| rows.contains(text));
    assert!(in_any("01/LLTP"), "the search finds what is there");
    for secret in [
        "án tích",
        "77/2019/HS-ST",
        "trộm cắp",
        "Giám đốc",
        "24 tháng",
        "Ký Mẫu",
        "tinhTrangAnTich",
        "thongTinAn",
        "dsCDNCV",
        "phieuLLTP",
    ] {
        let tables: Vec<&String> = kept
            .iter()
            .filter(|(_, rows)| rows.contains(secret))
            .map(|(table, _)| table)
            .collect();
        assert_eq!(tables, [""; 0], "{secret}");
    }
}
