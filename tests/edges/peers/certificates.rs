//! Version 2 of the judicial records system as others wrote it: declarations under whole codes, and certificates that reach the
//! one-stop and the portal of others, with their numbers and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lienthong::demo::FILES;
use lienthong::demo::judge::{Expected, expected};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::peer::{Peer, Site, secret};
use super::{COLLIDING, code, content, dossiers, list, of_population, one_stop, population, portal};
use crate::support::until;

const DELEGATED: &str = "H56.14-260603-0001";

/// What only the system may know of a person.
const CONVICTION: &str = "Tội trộm cắp mẫu";

pub(super) fn judicial_records_2(more: &Value) -> Peer {
    let options = json!({
        "key": secret("JUDICIAL_RECORDS_2_AUTH_KEY"),
        "addresses": {"declare": "/api/lltp/nhanHoSo", "show": "/api/lltp/traKetQua"},
    });
    Peer::start("judicial_records_2", options, more)
}

/// Judicial dossiers that wait for their certificate: the two that have one number in version 1, and one by a delegate.
fn rows() -> Vec<Value> {
    let mut rows = dossiers();
    rows.retain(|row| COLLIDING.contains(&code(row)) || code(row) == DELEGATED);
    rows
}

fn certificate(code: &str) -> Vec<u8> {
    format!("%PDF-1.7 Phiếu của {code}\n").into_bytes()
}

fn number(code: &str) -> String {
    format!(
        "{}/2026/LLTP",
        COLLIDING.iter().position(|other| *other == code).unwrap_or(9)
    )
}

/// The declaration of the delegated dossier, worked out by hand.
pub(super) fn by_hand() -> Value {
    let mut stated: Value =
        serde_json::from_str(include_str!("expected/delegated-declaration-2.json")).unwrap();
    stated["authKey"] = json!(secret("JUDICIAL_RECORDS_2_AUTH_KEY"));
    stated
}

/// Every declaration is brought into this state, with its certificate at the end.
async fn decide(ministry: &Peer, state: i64) {
    for row in rows() {
        let code = code(&row);
        let mut act = json!({"code": code, "state": state});
        if state == 9 {
            act["result"] = json!({
                "soPhieuLLTP": number(code), "ngayCapPhieu": "30/06/2026", "loaiPhieu": "1", "nguoiKy": "Trần Văn Ký Mẫu",
                "chucVu": "Phó Giám đốc", "tinhTrangAnTich": "Có án tích", "thongTinAn": [{"toiDanh": CONVICTION}], "dsCDNCV": [],
                "phieuLLTP": STANDARD.encode(certificate(code)),
            });
        }
        ministry.told(&act).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_others_reach_the_one_stop_and_the_portal_of_others_with_number_and_file() {
    let rows = rows();
    assert_eq!(rows.len(), 3);
    let ministry = judicial_records_2(&json!({"lose": 2, "busy": 2}));
    let (population, portal) = (population("gateway", &json!({})), portal(&json!({})));
    let folder = tempfile::tempdir().unwrap();
    let one_stop_before = one_stop(folder.path(), "", None).await;
    let hosted = [
        ("population", None, population.url.as_str(), of_population()),
        ("judicial-records-2", None, ministry.url.as_str(), json!({})),
        ("national-portal", None, portal.url.as_str(), json!({})),
    ];
    let site = Site::start(&one_stop_before.url(), &hosted).await;
    let one_stop = one_stop(folder.path(), &site.hook(), Some(one_stop_before)).await;
    for row in &rows {
        one_stop.insert("HoSo", row.clone()).await.unwrap();
    }

    // Declared whole and once each under the whole code, although two answers were lost.
    let shown = ministry.until("all are declared and asked for", |shown| {
        let declared = list(shown, "declarations");
        declared.len() == 3 && declared.iter().all(|entry| entry["asked"].as_u64() > Some(0))
    });
    let shown = shown.await;
    content(&shown);
    assert_eq!(shown["lost"], json!({"answers": 2, "questions": 2}));
    for row in &rows {
        let mut declared = list(&shown, "declarations").iter();
        let declared = declared.find(|entry| entry["code"] == row["MaHoSo"]).unwrap();
        assert_eq!(declared["body"]["toKhai"]["nycHoTen"], row["ChuHoSo"]);
        assert_eq!(declared["body"]["toKhai"]["nycSoGiayTo"], row["SoGiayToChuHoSo"]);
        if code(row) == DELEGATED {
            assert_eq!(declared["body"], by_hand());
        }
    }
    site.rest().await;
    assert!(site.dead_letters().await.is_empty());

    // The officials work on them and issue the certificates.
    for (state, national) in [(4, "4"), (9, "9")] {
        decide(&ministry, state).await;
        let all = |shown: &Value| {
            list(shown, "dossiers")
                .iter()
                .filter(|item| item["TrangThaiHoSo"] == national)
                .count()
                == 3
        };
        portal.until("the portal says how they stand", all).await;
    }
    let with_result = |shown: &Value| {
        let mut items = list(shown, "dossiers").iter();
        items.all(|item| {
            item["DanhSachGiayToKetQua"]
                .as_array()
                .is_some_and(|results| !results.is_empty())
        })
    };
    portal.until("the portal shows every result", with_result).await;
    until("the one-stop has told of it", async || {
        (one_stop.unsent() == 0).then_some(())
    })
    .await;
    site.rest().await;
    let shown = portal.shown().await;
    content(&shown);
    let held = one_stop.rows("HoSo");
    for row in &rows {
        let code = code(row);
        let link = format!(
            "{}/files/{}/Phieu-LLTP-{}.pdf",
            site.url(),
            hex::encode(Sha256::digest(certificate(code))),
            number(code).replace('/', "-")
        );
        let served = portal
            .client
            .get(&link)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(
            served,
            certificate(code),
            "whoever follows the link has the certificate"
        );
        let now = held.iter().find(|now| now["MaHoSo"] == code).unwrap();
        for (column, stated) in [
            ("TrangThaiHoSoId", json!(9)),
            ("SoKyHieuKetQua", json!(number(code))),
            ("DinhKemKetQua", json!(link)),
        ] {
            assert_eq!(now[column], stated, "{code}: {column}");
        }
        let Expected::Due {
            mut item, progress, ..
        } = expected(row, FILES)
        else {
            panic!("{code} is due");
        };
        assert_eq!(progress, [] as [Value; 0]);
        // What has come since: state, end and the result, in the words of those who decided.
        item["TrangThaiHoSo"] = json!("9");
        item["NgayKetThucXuLy"] = now["NgayKetThucXuLy"].clone();
        item["DanhSachGiayToKetQua"] = json!([{
            "TenGiayTo": link.rsplit('/').next(), "MaThanhPhanHoSo": "", "GiayToId": format!("{}#1", number(code)),
            "DuongDanTepTinKetQua": link, "MaGiayToKetQua": "",
        }]);
        let mut items = list(&shown, "dossiers")
            .iter()
            .filter(|item| item["MaHoSo"] == code);
        let (mut there, none) = (items.next().unwrap().clone(), items.next());
        assert_eq!(none, None);
        // The register is another matter.
        for field in ["TaiKhoanDuocXacThucVoiVNeID", "DSKetNoiCSDL"] {
            there[field] = item[field].clone();
        }
        assert_eq!(there, item);
        let steps = list(&shown, "progress")
            .iter()
            .filter(|step| step["MaHoSo"] == code);
        let states: Vec<&Value> = steps.map(|step| &step["TrangThai"]).collect();
        assert_eq!(states, ["4", "9"], "{code}");
    }
    assert_eq!(list(&shown, "dossiers").len(), 3);
    // What a person was convicted of goes no further.
    for row in &rows {
        let replica = site.replica(code(row)).await.unwrap();
        assert!(!format!("{:?}", replica.dossier.view()).contains(CONVICTION));
    }
    assert!(!shown.to_string().contains(CONVICTION) && !json!(held).to_string().contains(CONVICTION));
    content(&ministry.shown().await);
    assert!(site.dead_letters().await.is_empty());
    one_stop.stop().await;
    site.stop().await;
}
