//! The lists of a dossier: documents, fees, supplements, results.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reading::{Read, amount, code, cut, link, list, mandatory, moment, one_line, stated, text, yes};

/// `TaiLieuNop`: numbered within their type, in the plain text order of `TYPE#NUMBER`.
pub(super) fn documents(row: &Value, files: &str) -> Read<Vec<Value>> {
    let mut seen = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for document in list(row, "ThanhPhanHoSo")? {
        let kind = mandatory(document, "MaGiayTo")?;
        let id = numbered(&mut seen, &kind);
        let path = stated(document, "DuongDan")?;
        let item = json!({
            "TepDinhKemId": id,
            "TenTepDinhKem": cut(&text(document, "TenTepDinhKem")?, 4000),
            "IsDeleted": "False",
            "MaThanhPhanHoSo": kind,
            "DuongDanTaiTepTin": if path.is_empty() { String::new() } else { link(files, &path) },
            "DuocSoHoa": if yes(document, "DuocSoHoa")? { "1" } else { "0" },
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
        let price = amount(fee, "Gia")?;
        let item = json!({
            "TenPhiLePhi": text(fee, "TenPhiLePhi")?,
            "MaPhiLePhi": kind,
            "HinhThucThu": code(fee, "HinhThucThu", &["1", "2"])?,
            "Gia": price.to_string(),
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

/// `DanhSachGiayToKetQua`: every file of the result, not only the first; under `-` while the result has no number.
pub(super) fn results(row: &Value, files: &str) -> Read<Vec<Value>> {
    let mut number = text(row, "SoKyHieuKetQua")?;
    if number.is_empty() {
        "-".clone_into(&mut number);
    }
    let paths = stated(row, "DinhKemKetQua")?;
    let paths = paths.split("##").filter(|path| !path.is_empty());
    let items = paths.zip(1..).map(|(path, n)| {
        json!({
            "TenGiayTo": cut(&one_line(path.rsplit('/').next().unwrap_or(path)), 2000),
            "MaThanhPhanHoSo": "",
            "GiayToId": format!("{number}#{n}"),
            "DuongDanTepTinKetQua": link(files, path),
            "MaGiayToKetQua": "",
        })
    });
    Ok(items.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_result_are_not_lost_where_its_number_is() {
        let mut row = json!({"SoKyHieuKetQua": "", "DinhKemKetQua": "/kq/a.pdf##/kq/Phụ lục+1.pdf"});
        let ids = |row: &Value| -> Vec<Value> {
            let items = results(row, "https://example.vn").unwrap();
            items.iter().map(|item| item["GiayToId"].clone()).collect()
        };
        assert_eq!(ids(&row), ["-#1", "-#2"]);
        row["SoKyHieuKetQua"] = json!("12/QĐ");
        assert_eq!(ids(&row), ["12/QĐ#1", "12/QĐ#2"]);
        let second = &results(&row, "https://example.vn").unwrap()[1];
        assert_eq!(second["TenGiayTo"], "Phụ lục+1.pdf");
        assert_eq!(
            second["DuongDanTepTinKetQua"],
            "https://example.vn/kq/Ph%E1%BB%A5%20l%E1%BB%A5c%2B1.pdf"
        );
    }
}
