//! The lists of a dossier: documents, fees, supplements, results.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reading::{Read, code, cut, digits, list, mandatory, moment, text};

/// `TaiLieuNop`: numbered within their type, in the plain text order of `TYPE#NUMBER`.
pub(super) fn documents(row: &Value, files: &str) -> Read<Vec<Value>> {
    let mut seen = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for document in list(row, "ThanhPhanHoSo")? {
        let kind = mandatory(document, "MaGiayTo")?;
        let id = numbered(&mut seen, &kind);
        let path = text(document, "DuongDan")?;
        let item = json!({
            "TepDinhKemId": id,
            "TenTepDinhKem": cut(&text(document, "TenTepDinhKem")?, 4000),
            "IsDeleted": "False",
            "MaThanhPhanHoSo": kind,
            "DuongDanTaiTepTin": if path.is_empty() { String::new() } else { format!("{files}{path}") },
            "DuocSoHoa": code(document, "DuocSoHoa", &["0", "1"])?,
            "DuocTaiSuDung": "0",
            "DuocLayTuKhoDMQG": "0",
            "MaKetQuaThayThe": "",
        });
        by_id.insert(id, item);
    }
    Ok(by_id.into_values().collect())
}

/// `KIND#N`, N counting those of one kind from 1.
fn numbered(seen: &mut BTreeMap<String, usize>, kind: &str) -> String {
    let number = seen.entry(kind.to_owned()).or_default();
    *number += 1;
    format!("{kind}#{number}")
}

/// `DanhSachLePhi`, amounts as text; numbered and ordered as the documents are.
pub(super) fn fees(row: &Value) -> Read<Vec<Value>> {
    let mut seen = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for fee in list(row, "LePhi")? {
        let kind = mandatory(fee, "MaPhiLePhi")?;
        let amount = mandatory(fee, "Gia")?;
        if !digits(&amount) {
            return Err("Gia: no amount in đồng".to_owned());
        }
        let item = json!({
            "TenPhiLePhi": text(fee, "TenPhiLePhi")?,
            "MaPhiLePhi": kind,
            "HinhThucThu": code(fee, "HinhThucThu", &["1", "2"])?,
            "Gia": amount,
            "LoaiPhiLePhi": if kind.starts_with("LP") { "1" } else { "2" },
        });
        by_id.insert(numbered(&mut seen, &kind), item);
    }
    Ok(by_id.into_values().collect())
}

/// `DanhSachHoSoBoSung`: the one request that a row can hold.
pub(super) fn supplements(row: &Value) -> Read<Vec<Value>> {
    let requested = moment(row, "NgayYeuCauBoSung")?;
    let received = moment(row, "NgayBoSung")?;
    moment(row, "ThoiHanBoSung")?;
    if requested.is_empty() {
        return Ok(Vec::new());
    }
    let done = matches!(text(row, "TrangThaiBoSung")?.as_str(), "da_gui" | "ket_thuc");
    Ok(vec![json!({
        "HoSoBoSungId": 1,
        "NguoiYeuCauBoSung": "",
        "NoiDungBoSung": text(row, "LyDoBoSung")?,
        "NgayBoSung": requested,
        "NguoiTiepNhanBoSung": "",
        "ThongTinTiepNhan": "",
        "NgayTiepNhanBoSung": received,
        "TrangThaiBoSung": i32::from(done),
        "DanhSachGiayToBoSung": [],
        "DanhSachLePhiBoSung": [],
        "NgayHenTraTruoc": "",
        "NgayHenTraMoi": "",
    })])
}

/// `DanhSachGiayToKetQua`: every file of the result, not only the first.
pub(super) fn results(row: &Value, files: &str) -> Read<Vec<Value>> {
    let number = text(row, "SoKyHieuKetQua")?;
    let paths = text(row, "DinhKemKetQua")?;
    if number.is_empty() {
        return Ok(Vec::new());
    }
    let paths = paths.split("##").filter(|path| !path.is_empty());
    let items = paths.zip(1..).map(|(path, n)| {
        json!({
            "TenGiayTo": cut(path.rsplit('/').next().unwrap_or(path), 2000),
            "MaThanhPhanHoSo": "",
            "GiayToId": format!("{number}#{n}"),
            "DuongDanTepTinKetQua": format!("{files}{path}"),
            "MaGiayToKetQua": "",
        })
    });
    Ok(items.collect())
}
