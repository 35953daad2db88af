//! What one row of the one-stop must have become at the national portal.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::lists::{documents, fees, results, supplements};
use super::reading::{
    Read, birth, code, cut, digits, is_dossier_code, list, mandatory, moment, procedure_root, text, yes,
};

/// National roots of the procedures that the province exchanges, the judge's own list.
const PROCEDURES: [&str; 7] = [
    "1.000656", "1.000894", "1.001193", "1.002809", "1.004227", "1.009994", "2.000488",
];

/// Kinds of identity papers at the one-stop.
const PAPERS: [&str; 4] = ["CCCD", "CMND", "MST", "HC"];

/// The id that senders write when they know none; it is nobody's.
const NOBODY: &str = "000000001";

/// What must be at the portal for one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// The dossier is there.
    Due {
        /// The item of `DongBoHoSoMC`, every field.
        item: Value,
        /// The items of `CapNhatTienDoHoSoMC`, every field, in no particular order.
        progress: Vec<Value>,
        /// Steps that are no such item and deserve to be refused by themselves: field and finding.
        refused: Vec<String>,
    },
    /// The dossier is not there, and rightly: the reason.
    NotDue(String),
    /// The row deserves to be refused: field and finding, never a value.
    Refused(String),
}

/// Works out what must be at the portal for `row`, whose files stand under `files` (`https://motcua.example.vn`).
#[must_use]
pub fn expected(row: &Value, files: &str) -> Expected {
    match judged(row, files) {
        Err(cause) => Expected::Refused(cause),
        Ok((item, steps)) if !item["NgayTiepNhan"].as_str().unwrap_or_default().is_empty() => Expected::Due {
            item,
            progress: steps.items,
            refused: steps.refused,
        },
        // The portal counts a dossier from its receipt on; before that it asks for a mandatory field that nobody has.
        Ok(_) => Expected::NotDue("NgayTiepNhan: not received yet".to_owned()),
    }
}

/// The steps of a dossier: those that the portal takes, and the causes of those that it does not.
#[derive(Default)]
struct Steps {
    items: Vec<Value>,
    refused: Vec<String>,
}

fn judged(row: &Value, files: &str) -> Read<(Value, Steps)> {
    let own = mandatory(row, "MaHoSo")?;
    let procedure = mandatory(row, "MaTTHC")?;
    let procedure = procedure_root(&procedure)
        .filter(|root| PROCEDURES.contains(&root.as_str()))
        .ok_or("MaTTHC: unknown procedure")?;
    mandatory(row, "DonViId")?;
    moment(row, "NgayCapNhat")?;
    birth(row, "NgaySinhChuHoSo")?;
    if !text(row, "GioiTinhChuHoSo")?.is_empty() {
        code(row, "GioiTinhChuHoSo", &["Nam", "Nữ"])?;
    }
    // The code under which the portal knows the dossier goes before the one-stop's own.
    let portal_code = text(row, "MaHoSoKhac")?;
    let key = if portal_code.is_empty() {
        own
    } else {
        portal_code.clone()
    };
    if portal_code.is_empty() && !is_dossier_code(&key) {
        return Err("MaHoSo: no dossier code".to_owned());
    }
    let (number, ids) = identity(row)?;
    let channel = match text(row, "KenhThucHien")?.as_str() {
        "" => "1".to_owned(),
        _ => code(row, "KenhThucHien", &["1", "2", "3"])?,
    };
    let documents = documents(row, files)?;
    let digitised = documents.iter().any(|document| document["DuocSoHoa"] == "1");
    let fees = fees(row)?;
    let status_now = status(row, "TrangThaiHoSoId")?;
    // Whoever is still asked to pay has not paid.
    let paid_online = status_now != "6"
        && fees
            .iter()
            .any(|fee| fee["HinhThucThu"] == "2" && fee["Gia"] != "0");
    if yes(row, "UyQuyen")? && !text(row, "LoaiGiayToNguoiUyQuyen")?.is_empty() {
        code(row, "LoaiGiayToNguoiUyQuyen", &PAPERS)?;
    }
    let item = json!({
        "MaHoSo": key,
        "MaTTHC": procedure,
        "TenTTHC": mandatory(row, "TenTTHC")?,
        "MaLinhVuc": mandatory(row, "MaLinhVuc")?,
        "TenLinhVuc": mandatory(row, "TenLinhVuc")?,
        "KenhThucHien": channel,
        "ChuHoSo": mandatory(row, "ChuHoSo")?,
        "SoGiayToChuHoSo": number,
        "LoaiDoiTuong": code(row, "LoaiDoiTuong", &["1", "2", "3", "4"])?,
        "MaDoiTuong": "",
        "DinhDanhCHS": ids,
        "Email": text(row, "Email")?,
        "Fax": "",
        "SoDienThoai": phone(&text(row, "SoDienThoai")?),
        "TrichYeuHoSo": cut(&mandatory(row, "TrichYeuHoSo")?, 1000),
        "ThongTinKhac": "",
        "NgayNopHoSo": moment(row, "NgayNopHoSo")?,
        "NgayTiepNhan": moment(row, "NgayTiepNhan")?,
        "NgayHenTra": moment(row, "NgayHenTra")?,
        "TrangThaiHoSo": status_now,
        "NgayTra": moment(row, "NgayTra")?,
        "ThongTinTra": "",
        "HinhThuc": code(row, "HinhThucTra", &["0", "1"])?,
        "NgayKetThucXuLy": moment(row, "NgayKetThucXuLy")?,
        "NgayTuChoi": moment(row, "NgayTuChoi")?,
        "DonViXuLy": mandatory(row, "TenDonVi")?,
        "GhiChu": "",
        "NoiNopHoSo": "2",
        "HoSoCoThanhPhanSoHoa": if digitised { "1" } else { "0" },
        // As long as the population database has not confirmed the applicant.
        "TaiKhoanDuocXacThucVoiVNeID": "0",
        "DuocThanhToanTrucTuyen": if paid_online { "2" } else { "0" },
        "DSKetNoiCSDL": [],
        "TaiLieuNop": documents,
        "DanhSachLePhi": fees,
        "DanhSachTepDinhKemKhac": [],
        "DanhSachHoSoBoSung": supplements(row)?,
        "DanhSachGiayToKetQua": results(row, files)?,
    });
    let progress = progress(row, item["MaHoSo"].as_str().unwrap_or_default())?;
    Ok((item, progress))
}

/// One of the ten statuses of the portal; 0 is the one-stop's own and never goes up.
fn status(row: &Value, field: &str) -> Read<String> {
    code(row, field, &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])
}

/// The applicant's number and the list `DinhDanhCHS`; both empty if the number is not known.
fn identity(row: &Value) -> Read<(String, Vec<Value>)> {
    let number = text(row, "SoGiayToChuHoSo")?;
    let kind = text(row, "LoaiGiayToChuHoSo")?;
    if !kind.is_empty() {
        code(row, "LoaiGiayToChuHoSo", &PAPERS)?;
    }
    if number.is_empty() || number == NOBODY {
        return Ok((String::new(), Vec::new()));
    }
    let (portal_kind, fits) = match kind.as_str() {
        "CCCD" => ("1", digits(&number) && number.len() == 12),
        "CMND" => ("2", digits(&number) && number.len() == 9),
        "MST" => ("3", is_tax_code(&number)),
        "HC" => ("3", true),
        _ => return Err("LoaiGiayToChuHoSo: empty".to_owned()),
    };
    if !fits {
        return Err("SoGiayToChuHoSo: no number of its kind".to_owned());
    }
    let ids = vec![json!({"LoaiDinhDanh": portal_kind, "SoDinhDanh": number})];
    Ok((number, ids))
}

/// Ten digits, with `-` and three for a dependent unit; since July 2025 also a citizen id.
fn is_tax_code(number: &str) -> bool {
    match number.split_once('-') {
        None => digits(number) && (number.len() == 10 || number.len() == 12),
        Some((main, unit)) => digits(main) && main.len() == 10 && digits(unit) && unit.len() == 3,
    }
}

/// The items of `CapNhatTienDoHoSoMC`. A row that is there twice (same time, status, officer and note) is one event.
///
/// A step that nobody did, or that says nothing, is refused by itself: the dossier is due without it.
fn progress(row: &Value, key: &str) -> Read<Steps> {
    let mut seen = BTreeSet::new();
    let mut steps = Steps::default();
    for event in list(row, "TienTrinh")? {
        let at = moment(event, "ThoiGian")?;
        if at.is_empty() {
            return Err("ThoiGian: empty".to_owned());
        }
        let status = status(event, "TrangThai")?;
        let officer = first_filled(event, ["TenNguoiGui", "NguoiGui"])?;
        let note = first_filled(event, ["NoiDung", "ThaoTac"])?;
        let due = moment(event, "NgayHetHanBuocXuLy")?;
        if !seen.insert((at.clone(), status.clone(), officer.clone(), note.clone())) {
            continue;
        }
        if officer.is_empty() {
            steps.refused.push("NguoiGui: empty".to_owned());
        } else if note.is_empty() {
            steps.refused.push("ThaoTac: empty".to_owned());
        } else {
            steps.items.push(json!({
                "MaHoSo": key,
                "NguoiXuLy": cut(&officer, 50),
                "ChucDanh": "",
                "ThoiDiemXuLy": at,
                "PhongBanXuLy": "",
                "NoiDungXuLy": note,
                "TrangThai": status,
                "NgayBatDau": "",
                "NgayKetThucTheoQuyDinh": due,
            }));
        }
    }
    Ok(steps)
}

/// The first of two fields that says something, else empty.
fn first_filled(event: &Value, fields: [&str; 2]) -> Read<String> {
    let first = text(event, fields[0])?;
    if first.is_empty() {
        text(event, fields[1])
    } else {
        Ok(first)
    }
}

/// A number as it is dialled: officers type dots and blanks between the digits.
pub(super) fn phone(stated: &str) -> String {
    stated
        .chars()
        .filter(|letter| !matches!(letter, '.' | ' '))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Value {
        json!({
            "MaHoSo": "H56.14-260429-0001", "MaTTHC": "2.000488.H56", "TenTTHC": "Mẫu", "DonViId": "H56.14",
            "MaLinhVuc": "G15-LT", "TenLinhVuc": "Lý lịch tư pháp",
            "TenDonVi": "Sở Mẫu", "KenhThucHien": "2", "LoaiDoiTuong": "1", "ChuHoSo": "Lê Mẫu",
            "SoGiayToChuHoSo": "038051000938", "LoaiGiayToChuHoSo": "CCCD", "NgaySinhChuHoSo": "1951",
            "TrichYeuHoSo": "Mẫu", "NgayTiepNhan": "20260429191600", "TrangThaiHoSoId": 2, "HinhThucTra": 0
        })
    }

    fn refusal(field: &str, value: Value) -> String {
        let mut row = row();
        row[field] = value;
        match expected(&row, "https://example.vn") {
            Expected::Refused(cause) => cause,
            other => format!("not refused: {other:?}"),
        }
    }

    #[test]
    fn rows_that_deserve_it_are_refused_by_field() {
        assert!(matches!(expected(&row(), ""), Expected::Due { .. }));
        let fields = [
            "MaHoSo",
            "MaTTHC",
            "ChuHoSo",
            "TrangThaiHoSoId",
            "LoaiDoiTuong",
            "TenTTHC",
            "TrichYeuHoSo",
            "MaLinhVuc",
            "TenLinhVuc",
        ];
        for field in fields.into_iter().chain(["DonViId", "TenDonVi"]) {
            assert_eq!(refusal(field, json!("")), format!("{field}: empty"));
            assert_eq!(refusal(field, Value::Null), format!("{field}: empty"));
        }
        let cases = [
            ("MaHoSo", json!("số 7"), "MaHoSo: no dossier code"),
            ("MaTTHC", json!("9.999999"), "MaTTHC: unknown procedure"),
            (
                "MaTTHC",
                json!("TS_lop1.000.00.00.H22"),
                "MaTTHC: unknown procedure",
            ),
            ("TrangThaiHoSoId", json!(0), "TrangThaiHoSoId: unknown code"),
            ("TrangThaiHoSoId", json!(11), "TrangThaiHoSoId: unknown code"),
            ("KenhThucHien", json!("9"), "KenhThucHien: unknown code"),
            ("LoaiDoiTuong", json!("5"), "LoaiDoiTuong: unknown code"),
            (
                "LoaiGiayToChuHoSo",
                json!("GPLX"),
                "LoaiGiayToChuHoSo: unknown code",
            ),
            ("GioiTinhChuHoSo", json!("X"), "GioiTinhChuHoSo: unknown code"),
            ("HinhThucTra", json!(3), "HinhThucTra: unknown code"),
            (
                "SoGiayToChuHoSo",
                json!("03805100093"),
                "SoGiayToChuHoSo: no number of its kind",
            ),
            (
                "NgayTiepNhan",
                json!("20260230080000"),
                "NgayTiepNhan: no such date",
            ),
            (
                "NgaySinhChuHoSo",
                json!("31/11/1960"),
                "NgaySinhChuHoSo: no such date",
            ),
            ("ChuHoSo", json!(["Lê Mẫu"]), "ChuHoSo: no text"),
            ("ChuHoSo", json!("\n"), "ChuHoSo: empty"),
            ("UyQuyen", json!("có"), "UyQuyen: neither yes nor no"),
            ("LoaiGiayToChuHoSo", json!(""), "LoaiGiayToChuHoSo: empty"),
            (
                "ThanhPhanHoSo",
                json!([{"MaGiayTo": "TP01", "DuocSoHoa": 2}]),
                "DuocSoHoa: neither yes nor no",
            ),
            (
                "TienTrinh",
                json!([{"ThoiGian": "sáng nay"}]),
                "ThoiGian: no such date",
            ),
            (
                "LePhi",
                json!([{"MaPhiLePhi": "LP01", "Gia": "100.000"}]),
                "Gia: no amount in đồng",
            ),
        ];
        for (field, value, cause) in cases {
            assert_eq!(refusal(field, value), cause);
        }
    }

    fn due(row: &Value) -> (Value, Vec<Value>, Vec<String>) {
        match expected(row, "") {
            Expected::Due {
                item,
                progress,
                refused,
            } => (item, progress, refused),
            other => panic!("not due: {other:?}"),
        }
    }

    #[test]
    fn no_channel_is_the_counter() {
        let mut row = row();
        assert_eq!(due(&row).0["KenhThucHien"], "2");
        row["KenhThucHien"] = json!(" ");
        assert_eq!(due(&row).0["KenhThucHien"], "1");
        row.as_object_mut().unwrap().remove("KenhThucHien");
        assert_eq!(due(&row).0["KenhThucHien"], "1");
    }

    #[test]
    fn nothing_is_paid_while_it_is_asked_for() {
        let mut row = row();
        row["LePhi"] = json!([{"MaPhiLePhi": "LP01", "Gia": 150_000.0, "HinhThucThu": 2}]);
        let item = due(&row).0;
        assert_eq!(item["DuocThanhToanTrucTuyen"], "2");
        assert_eq!(item["DanhSachLePhi"][0]["Gia"], "150000");
        row["TrangThaiHoSoId"] = json!(6);
        assert_eq!(due(&row).0["DuocThanhToanTrucTuyen"], "0");
    }

    #[test]
    fn step_without_an_officer_or_words_is_refused_and_the_dossier_is_not() {
        let mut row = row();
        row["TienTrinh"] = json!([
            {"ThoiGian": "20260429191600", "TrangThai": 2, "NguoiGui": "cb01", "ThaoTac": "Tiếp nhận\nhồ sơ"},
            {"ThoiGian": "20260429191700", "TrangThai": 4, "ThaoTac": "Chuyển xử lý"},
            {"ThoiGian": "20260429191800", "TrangThai": 4, "NguoiGui": "cb01"},
        ]);
        let (_, progress, refused) = due(&row);
        assert_eq!(progress.len(), 1);
        assert_eq!(progress[0]["NoiDungXuLy"], "Tiếp nhận hồ sơ");
        assert_eq!(refused, ["NguoiGui: empty", "ThaoTac: empty"]);
    }

    #[test]
    fn dossier_that_nobody_has_received_is_not_due() {
        let mut row = row();
        row["NgayTiepNhan"] = json!("");
        assert!(matches!(expected(&row, ""), Expected::NotDue(_)));
    }

    #[test]
    fn dossier_without_an_official_code_is_known_by_the_portals() {
        let mut row = row();
        row["MaHoSo"] = json!("số 7");
        row["MaHoSoKhac"] = json!("000.00.00.H56-260429-90001");
        let Expected::Due { item, .. } = expected(&row, "") else {
            panic!("it is due")
        };
        assert_eq!(item["MaHoSo"], "000.00.00.H56-260429-90001");
    }
}
