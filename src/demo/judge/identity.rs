//! How the check of an applicant must come out, from a row of the one-stop and what the register holds.

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::reading::{one_line, text};

/// The id that senders write when they know none; it is nobody's.
const NOBODY: &str = "000000001";

/// The outcome for this row, given the citizens of the register; and the names of the fields that differ.
#[must_use]
pub fn outcome(row: &Value, register: &[Value]) -> (&'static str, Vec<&'static str>) {
    let stated = |field| text(row, field).unwrap_or_default();
    let (number, name, born) = (
        stated("SoGiayToChuHoSo"),
        stated("ChuHoSo"),
        stated("NgaySinhChuHoSo"),
    );
    let column = match stated("LoaiGiayToChuHoSo").as_str() {
        "CCCD" => "SoDinhDanh",
        "CMND" => "SoCMND",
        _ => return ("not_applicable", Vec::new()),
    };
    let citizen = stated("LoaiDoiTuong") == "1";
    if !citizen || number.is_empty() || number == NOBODY || name.is_empty() || born.is_empty() {
        return ("not_applicable", Vec::new());
    }
    let Some(person) = register.iter().find(|person| person[column] == number.as_str()) else {
        return ("not_found", Vec::new());
    };
    let parts = ["Ho", "ChuDem", "Ten"].map(|part| person["HoVaTen"][part].as_str().unwrap_or_default());
    let registered = one_line(&parts.join(" "));
    let same = |form: fn(&str) -> String| form(&registered) == form(&name);
    let accents = !same(str::to_uppercase) && same(bare);
    let mut differ = Vec::new();
    if !same(bare) {
        differ.push("name");
    }
    if !same_day(&born, &person["NgayThangNamSinh"]) {
        differ.push("birth_date");
    }
    match (differ.is_empty(), accents) {
        (false, _) => ("mismatch", differ),
        (true, true) => ("weak_match", vec!["name"]),
        (true, false) => ("match", Vec::new()),
    }
}

/// What the officers of the one-stop must have been told of the check; its time and number are those that they were told.
#[must_use]
pub fn told_of_check(code: &str, outcome: &str, fields: &[&str], told: Option<&Value>) -> Value {
    let outcome = match outcome {
        "match" => "khop",
        "weak_match" => "khop_khong_dau",
        "mismatch" => "khac_biet",
        "not_found" => "khong_tim_thay",
        _ => "khong_ap_dung",
    };
    let fields: Vec<&str> = fields
        .iter()
        .map(|field| {
            if *field == "name" {
                "Họ và tên"
            } else {
                "Ngày sinh"
            }
        })
        .collect();
    let same = |key: &str| told.map_or(Value::Null, |told| told[key].clone());
    json!({
        "MaHoSo": code,
        "KetQuaXacThuc": outcome,
        "TruongKhacBiet": fields.join(", "),
        "ThoiDiemXacThuc": same("ThoiDiemXacThuc"),
        "MaYeuCau": same("MaYeuCau"),
    })
}

/// Without accents and case; đ is d.
fn bare(text: &str) -> String {
    let letters = text.nfd().filter(|letter| !is_combining_mark(*letter));
    letters.collect::<String>().to_lowercase().replace('đ', "d")
}

/// Day, month and year as the one-stop writes them against the register's; of a month it is the year that counts.
fn same_day(stated: &str, registered: &Value) -> bool {
    let parts: Vec<&str> = stated.split('/').rev().collect();
    let day = registered["NgayThangNam"].as_str().unwrap_or_default();
    match parts.as_slice() {
        [_, _, _] if !day.is_empty() => parts.concat() == day,
        [year, ..] => registered["Nam"].as_str() == Some(year),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::input::Input;
    use crate::demo::province::register;

    /// Worked out by hand from `dossiers.jsonl` and `register.jsonl`: everybody else who has a number is a match.
    const OTHERWISE: [(&str, &str, &[&str]); 21] = [
        ("H56.07-260322-0001", "not_applicable", &[]),   // a passport
        ("H56.30-260511-0001", "not_applicable", &[]),   // a company
        ("H56.30-260505-0001", "weak_match", &["name"]), // Hoà, Hòa
        ("H56.14-260508-0001", "weak_match", &["name"]), // Thuỷ, Thủy
        ("000.00.30.H56-230802-0001", "not_applicable", &[]), // a school
        ("000.00.30.H56-230815-0001", "not_applicable", &[]),
        ("000.21.30.H56-231122-0001", "mismatch", &["birth_date"]), // 4 and 5 December
        ("000.00.14.H56-230717-0001", "not_applicable", &[]),       // number unknown
        ("000.21.30.H56-231104-0001", "weak_match", &["name"]),
        ("H56.14-260404-0001", "weak_match", &["name"]),
        ("H56.30-260329-0001", "not_applicable", &[]),
        ("000.00.14.H56-231117-0001", "mismatch", &["name"]), // Thử, Thảo
        ("H56.30-260324-0001", "not_applicable", &[]),
        ("000.00.07.H56-230812-0001", "weak_match", &["name"]),
        ("H56.30-260402-0001", "not_found", &[]),
        ("000.00.30.H56-231103-0001", "not_applicable", &[]),
        ("000.00.30.H56-230820-0001", "not_applicable", &[]),
        ("H56.22.17-260503-0001", "not_found", &[]),
        ("000.17.22.H56-230719-0001", "weak_match", &["name"]),
        ("000.00.07.H56-230926-0001", "mismatch", &["name", "birth_date"]),
        ("000.00.14.H56-230913-0001", "not_applicable", &[]), // a company
    ];

    #[test]
    fn outcomes_are_those_worked_out_by_hand() {
        let (input, register) = (Input::load(None, None).unwrap(), register());
        let mut otherwise = Vec::new();
        for row in &input.dossiers {
            let (outcome, fields) = outcome(row, &register);
            if outcome != "match" {
                otherwise.push((row["MaHoSo"].as_str().unwrap(), outcome, fields));
            }
        }
        let expected = OTHERWISE.map(|(code, outcome, fields)| (code, outcome, fields.to_vec()));
        assert_eq!(otherwise, expected);
    }

    #[test]
    fn dates_are_compared_as_far_as_both_are_known() {
        let born = |day: &str, year: &str| serde_json::json!({"NgayThangNam": day, "Nam": year});
        assert!(same_day("17/04/1990", &born("19900417", "1990")));
        assert!(!same_day("17/04/1990", &born("19900418", "1990")));
        assert!(same_day("17/04/1990", &born("", "1990")));
        assert!(same_day("04/1990", &born("19901231", "1990")));
        assert!(same_day("1990", &born("19901231", "1990")));
        assert!(!same_day("1990", &born("19891231", "1989")));
    }
}
