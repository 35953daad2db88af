//! What must have become of the licence desk's dossiers: one row each at the one-stop under a code of its own, and what the
//! portal must show of them beside that row.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::reading::text;
use super::{Difference, Duplicate, Verdict};

/// What every paper at the desk holds: `%PDF-1.4` and the end of the line.
const PAPER: &[u8] = b"%PDF-1.4\n";

/// The hours at which the desk takes dossiers in and hands licences over.
const RECEIVED: &str = "080000";
const DUE: &str = "170000";

/// Judges the one-stop's rows against the desk's dossiers (`HoSo`, and `TinhTrang`, how they stand).
#[must_use]
pub fn judge_licences(desk: &[Value], standing: &[Value], one_stop: &[Value]) -> Verdict {
    let mut verdict = Verdict::default();
    for dossier in desk {
        let code = dossier["maHoSo"].as_str().unwrap_or_default();
        verdict.expected += 1;
        let rows: Vec<&Value> = one_stop.iter().filter(|row| row["MaHoSoNguon"] == code).collect();
        let Some(row) = rows.first() else {
            verdict.missing.push(code.to_owned());
            continue;
        };
        verdict.present += 1;
        for _ in rows.iter().skip(1) {
            verdict.duplicates.push(Duplicate {
                code: code.to_owned(),
                record: "dossier",
            });
        }
        let state = standing.iter().find(|state| state["maHoSo"] == code);
        let state = state
            .and_then(|state| state["MaTrangThai"].as_str())
            .unwrap_or("2");
        let day = |field: &str| dossier[field].as_str().unwrap_or_default().replace('-', "");
        // Whether the desk had been asked for the hours before the dossier was recorded is chance.
        let times = |field: &str, of_the_list: &str, of_the_desk: &str| {
            let day = day(field);
            [of_the_list, of_the_desk].map(|hour| json!(format!("{day}{hour}")))
        };
        let times = [
            ("NgayTiepNhan", times("ngayNhanHoSo", "000000", RECEIVED)),
            ("NgayHenTra", times("ngayHenTraGplx", "235959", DUE)),
        ];
        let born: Vec<&str> = dossier["ngaySinh"]
            .as_str()
            .unwrap_or_default()
            .rsplit('-')
            .collect();
        let expected = json!({
            "ChuHoSo": text(dossier, "hoTen").unwrap_or_default(),
            "SoGiayToChuHoSo": dossier["soCmnd"],
            "LoaiGiayToChuHoSo": "CCCD",
            "NgaySinhChuHoSo": born.join("/"),
            "GioiTinhChuHoSo": if dossier["gioiTinh"] == "M" { "Nam" } else { "Nữ" },
            "LoaiDuLieuKetNoi": "SyncGPLX",
            "MaTTHC": "1.002809",
            "DonViId": "000.00.07.H56",
            "KenhThucHien": "2",
            "TrangThaiHoSoId": state.parse::<u64>().unwrap_or_default(),
        });
        let fields = expected.as_object().into_iter().flatten();
        verdict.different.extend(
            fields
                .filter(|(field, value)| row[field.as_str()] != **value)
                .map(|(field, _)| field.as_str())
                .chain(
                    times
                        .iter()
                        .filter(|(field, either)| !either.contains(&row[*field]))
                        .map(|(field, _)| *field),
                )
                .map(|field| Difference {
                    code: code.to_owned(),
                    field: field.to_owned(),
                }),
        );
    }
    for row in one_stop {
        let source = row["MaHoSoNguon"].as_str().unwrap_or_default();
        if !source.is_empty() && desk.iter().all(|dossier| dossier["maHoSo"] != source) {
            verdict.unexpected.push(source.to_owned());
        }
    }
    verdict
}

/// Fields of the portal's item in which the desk's dossier and not the one-stop's row is the source, and that are not as it says.
pub(super) fn differences(dossier: &Value, item: &Value) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let papers = papers(dossier);
    if shown(item) != papers {
        fields.push("TaiLieuNop");
    }
    // Whatever has a file here was scanned.
    if item["HoSoCoThanhPhanSoHoa"] != if papers.is_empty() { "0" } else { "1" } {
        fields.push("HoSoCoThanhPhanSoHoa");
    }
    for (field, own, hour) in [
        ("NgayTiepNhan", "ngayNhanHoSo", RECEIVED),
        ("NgayHenTra", "ngayHenTraGplx", DUE),
    ] {
        let day = dossier[own].as_str().unwrap_or_default().replace('-', "");
        let at = if day.is_empty() {
            day
        } else {
            format!("{day}{hour}")
        };
        if item[field] != at {
            fields.push(field);
        }
    }
    let numbers = item["DinhDanhCHS"].as_array().into_iter().flatten();
    let mut numbers: Vec<(&Value, &Value)> = numbers
        .map(|id| (&id["LoaiDinhDanh"], &id["SoDinhDanh"]))
        .collect();
    numbers.sort_by_key(|(kind, _)| kind.to_string());
    let (new, old) = (json!("1"), json!("2"));
    let mut known = vec![(&new, &dossier["soCmnd"]), (&old, &dossier["soCmndCu"])];
    known.retain(|(_, number)| number.as_str().is_some_and(|number| !number.is_empty()));
    if numbers != known {
        fields.push("DinhDanhCHS");
    }
    fields
}

/// The papers that the portal must show: type and address of each file, whatever host gives it out.
fn papers(dossier: &Value) -> Vec<(String, String)> {
    let hash = hex::encode(Sha256::digest(PAPER));
    let papers = dossier["hoSoDinhKem"].as_array().into_iter().flatten();
    papers
        .map(|paper| {
            let name = paper["filedinhkem"]
                .as_str()
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .unwrap_or_default();
            let kind = paper["magiayto"].as_str().unwrap_or_default().to_owned();
            (kind, format!("/files/{hash}/{name}"))
        })
        .collect()
}

/// The same as the portal's item shows them.
fn shown(item: &Value) -> Vec<(String, String)> {
    let papers = item["TaiLieuNop"].as_array().into_iter().flatten();
    papers
        .map(|paper| {
            let link = paper["DuongDanTaiTepTin"].as_str().unwrap_or_default();
            let path = link.find("/files/").and_then(|at| link.get(at..)).unwrap_or(link);
            (
                paper["MaThanhPhanHoSo"].as_str().unwrap_or_default().to_owned(),
                path.to_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dossier() -> Value {
        json!({
            "maHoSo": "GPLX38-1", "hoTen": "Hà Thị Khuê", "soCmnd": "038076000667", "ngaySinh": "1976-06-11", "gioiTinh": "M",
            "ngayNhanHoSo": "2026-11-20", "ngayHenTraGplx": "2026-11-25",
            "hoSoDinhKem": [{"magiayto": "GKSK", "filedinhkem": "/gplx/0.pdf"}],
        })
    }

    fn row() -> Value {
        json!({
            "MaHoSoNguon": "GPLX38-1", "ChuHoSo": "Hà Thị Khuê", "SoGiayToChuHoSo": "038076000667", "LoaiGiayToChuHoSo": "CCCD",
            "NgaySinhChuHoSo": "11/06/1976", "GioiTinhChuHoSo": "Nam", "LoaiDuLieuKetNoi": "SyncGPLX", "MaTTHC": "1.002809",
            "DonViId": "000.00.07.H56", "KenhThucHien": "2", "NgayTiepNhan": "20261120000000", "NgayHenTra": "20261125235959",
            "TrangThaiHoSoId": 9,
        })
    }

    #[test]
    fn row_of_the_one_stop_is_judged_field_by_field_and_counted() {
        let standing = [json!({"maHoSo": "GPLX38-1", "MaTrangThai": "9"})];
        let judged = |rows: &[Value]| judge_licences(&[dossier()], &standing, rows);
        assert!(judged(&[row()]).is_clean(), "{:?}", judged(&[row()]));
        assert_eq!(judged(&[]).missing, ["GPLX38-1"]);
        assert_eq!(judged(&[row(), row()]).duplicates.len(), 1);
        for (field, value) in row()
            .as_object()
            .unwrap()
            .iter()
            .filter(|(field, _)| *field != "MaHoSoNguon")
        {
            let mut wrong = row();
            wrong[field.as_str()] = json!([value]);
            assert_eq!(judged(&[wrong]).different[0].field, *field);
        }
        let mut with_hours = row();
        with_hours["NgayTiepNhan"] = json!("20261120080000");
        with_hours["NgayHenTra"] = json!("20261125170000");
        assert!(judged(&[with_hours]).is_clean());
        let mut strange = row();
        strange["MaHoSoNguon"] = json!("GPLX38-2");
        assert_eq!(judged(&[row(), strange]).unexpected, ["GPLX38-2"]);
    }

    #[test]
    fn papers_and_numbers_at_the_portal_are_those_of_the_desk() {
        let mut item = json!({
            "TaiLieuNop": [{
                "MaThanhPhanHoSo": "GKSK",
                "DuongDanTaiTepTin": format!("http://127.0.0.1:1/files/{}/0.pdf", hex::encode(Sha256::digest(PAPER))),
            }],
            "DinhDanhCHS": [{"LoaiDinhDanh": "1", "SoDinhDanh": "038076000667"}],
            "HoSoCoThanhPhanSoHoa": "1", "NgayTiepNhan": "20261120080000", "NgayHenTra": "20261125170000",
        });
        assert_eq!(differences(&dossier(), &item), [""; 0]);
        item["DinhDanhCHS"][0]["SoDinhDanh"] = json!("038076000668");
        assert_eq!(differences(&dossier(), &item), ["DinhDanhCHS"]);
        item["TaiLieuNop"] = json!([]);
        assert_eq!(differences(&dossier(), &item), ["TaiLieuNop", "DinhDanhCHS"]);
        item["HoSoCoThanhPhanSoHoa"] = json!("0");
        item["NgayTiepNhan"] = json!("20261120000000");
        item["NgayHenTra"] = json!("");
        let days = ["HoSoCoThanhPhanSoHoa", "NgayTiepNhan", "NgayHenTra"];
        assert_eq!(differences(&dossier(), &item)[1..4], days);
    }
}
