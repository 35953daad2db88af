//! What the judicial records system must hold: one declaration for each citizen's dossier that was taken in, and what its
//! officials have decided must stand at the one-stop.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reading::{list, mandatory, moment, procedure_root, text};
use super::{Difference, Duplicate, Expected, Verdict, expected};

/// Root of the procedure whose dossiers are declared.
const PROCEDURE: &str = "2.000488";

/// The id that senders write when they know none; it is nobody's.
const NOBODY: &str = "000000001";

/// A delivery that must end with a person: code of the dossier and cause.
pub type Parked = (String, &'static str);

/// Judges the declarations (`ToKhai`) against the rows of the one-stop. Beside the verdict, the dossiers that rightly wait for
/// a person. `lost`: codes of dossiers of whose declaration nobody knows whether it was taken.
#[must_use]
pub fn judge_declarations(one_stop: &[Value], held: &[Value], lost: &[&str]) -> (Verdict, Vec<Parked>) {
    let (mut verdict, mut parked) = (Verdict::default(), Vec::new());
    let mut due: BTreeMap<String, Vec<(String, &Value, Value)>> = BTreeMap::new();
    for row in one_stop.iter().filter(|row| is_declared(row) && !is_over(row)) {
        let code = text(row, "MaHoSo").unwrap_or_default();
        match declaration(row) {
            Ok(declaration) => {
                let number = declaration["idReceivedDec"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                due.entry(number).or_default().push((code, row, declaration));
            }
            Err(cause) => parked.push((code, cause)),
        }
    }
    let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for row in held {
        found
            .entry(row["idReceivedDec"].as_str().unwrap_or_default())
            .or_default()
            .push(row);
    }
    for (number, dossiers) in &due {
        verdict.expected += 1;
        let copies = found.remove(number.as_str()).unwrap_or_default();
        for _ in copies.iter().skip(1) {
            verdict.duplicates.push(Duplicate {
                code: number.clone(),
                record: "declaration",
            });
        }
        let named = |row: &Value| {
            row["declarationWSForm"]["receiveNo"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let holder = copies.first().map(|row| named(row));
        for (code, ..) in dossiers.iter().filter(|(code, ..)| Some(code) != holder.as_ref()) {
            if copies.is_empty() {
                if !lost.contains(&code.as_str())
                    && dossiers.iter().all(|(code, ..)| !lost.contains(&code.as_str()))
                {
                    verdict.missing.push(code.clone());
                }
            } else {
                // Two agencies have given one number: whoever came second is for a person.
                parked.push((code.clone(), "key-taken"));
            }
        }
        let Some(copy) = copies.first() else { continue };
        verdict.present += 1;
        match dossiers.iter().find(|(code, ..)| Some(code) == holder.as_ref()) {
            None => verdict.unexpected.push(number.clone()),
            Some((code, row, declaration)) => {
                let mut fields = differences(declaration, copy, row);
                // Whose a declaration is that a person has to look for nobody knows yet, nor who is to hear what became of it:
                // its dossier waits as before, and is nowhere else.
                if lost.contains(&code.as_str()) && waits(row) {
                    fields.retain(|field| field != "TrangThaiHoSoId");
                }
                verdict
                    .different
                    .extend(fields.into_iter().map(|field| Difference {
                        code: code.clone(),
                        field,
                    }));
            }
        }
    }
    // What was rejected or withdrawn may have been declared before that.
    let over = |code: &Value| {
        let mut rows = one_stop.iter().filter(|row| is_declared(row) && is_over(row));
        rows.any(|row| row["MaHoSo"] == *code)
    };
    for (number, mut copies) in found {
        if copies
            .first()
            .is_some_and(|copy| over(&copy["declarationWSForm"]["receiveNo"]))
        {
            copies.remove(0);
        }
        verdict
            .unexpected
            .extend(std::iter::repeat_n(number.to_owned(), copies.len()));
    }
    (verdict, parked)
}

/// Is it registered only, rejected or withdrawn?
fn is_over(row: &Value) -> bool {
    matches!(text(row, "TrangThaiHoSoId").as_deref(), Ok("1" | "3" | "7"))
}

/// Is it received or being worked on, so that the certificate is still to come?
fn waits(row: &Value) -> bool {
    matches!(text(row, "TrangThaiHoSoId").as_deref(), Ok("2" | "4"))
}

/// A dossier of this procedure that the bus can take and that somebody has received.
fn is_declared(row: &Value) -> bool {
    let procedure = text(row, "MaTTHC").ok().and_then(|code| procedure_root(&code));
    procedure.as_deref() == Some(PROCEDURE)
        && moment(row, "NgayTiepNhan").is_ok_and(|at| !at.is_empty())
        && matches!(expected(row, ""), Expected::Due { .. })
}

/// The fields of its declaration that the dossier fixes for good; or the cause for which it rightly waits for a person.
fn declaration(row: &Value) -> Result<Value, &'static str> {
    let read = |field| text(row, field).unwrap_or_default();
    if read("LoaiDoiTuong") != "1" {
        return Err("not-taken");
    }
    let number = read("SoGiayToChuHoSo");
    let phone: String = read("SoDienThoai").chars().filter(char::is_ascii_digit).collect();
    let gender = match read("GioiTinhChuHoSo").as_str() {
        "Nam" => 1,
        "Nữ" => 0,
        _ => return Err("mandatory-empty"),
    };
    if number.is_empty() || number == NOBODY || phone.is_empty() {
        return Err("mandatory-empty");
    }
    let form = &row["EForm"];
    let code = mandatory(row, "MaHoSo").map_err(|_| "mandatory-empty")?;
    let received: Vec<&str> = code.rsplit('-').take(2).collect();
    let stays = list(form, "quaTrinhCuTru").unwrap_or_default().iter();
    Ok(json!({
        "idReceivedDec": format!("{}{}", received[1], received[0]),
        "declarationWSForm": {
            "fullName": read("ChuHoSo"),
            "genderId": gender,
            "birthDateStr": read("NgaySinhChuHoSo"),
            "idTypeId": match read("LoaiGiayToChuHoSo").as_str() { "CCCD" => 3, "CMND" => 1, _ => 0 },
            "identifyNo": number,
            "phone": phone,
            "formType": if form["loaiPhieu"] == "So2" { 2 } else { 1 },
            "requestQty": form["soLuongCap"],
            "isBanPosition": form["yeuCauCDNCV"],
            "purpose": text(form, "mucDich").unwrap_or_default(),
            "receiveNo": code,
        },
        "residenceWSForm": stays.map(|stay| json!({
            "fromDateStr": text(stay, "tuThangNam").unwrap_or_default(),
            "residencePlace": text(stay, "diaChiCuTru").unwrap_or_default(),
        })).collect::<Vec<_>>(),
    }))
}

/// Names of the fields in which the declaration is not as it must be, and of what was decided there and is not known at the
/// one-stop.
fn differences(declaration: &Value, held: &Value, row: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    let form = declaration["declarationWSForm"].as_object().into_iter().flatten();
    fields.extend(
        form.filter(|(field, value)| held["declarationWSForm"][field.as_str()] != **value)
            .map(|(field, _)| field.clone()),
    );
    let stays = |whole: &Value| {
        let stays = whole["residenceWSForm"].as_array().cloned().unwrap_or_default();
        let of = |stay: &Value| (stay["fromDateStr"].clone(), stay["residencePlace"].clone());
        stays.iter().map(of).collect::<Vec<_>>()
    };
    if stays(declaration) != stays(held) {
        fields.push("residenceWSForm".to_owned());
    }
    let status = text(row, "TrangThaiHoSoId").unwrap_or_default();
    if held["DEC_STATUS_ID"] == 5 && !matches!(status.as_str(), "9" | "10") {
        fields.push("TrangThaiHoSoId".to_owned());
    }
    if held["Lan"] != held["DaDoc"] {
        fields.push("not acknowledged".to_owned());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::input::Input;

    fn rows() -> Vec<Value> {
        let input = Input::load(None, None).unwrap();
        let wanted = [
            "000.00.14.H56-230719-0001",
            "000.17.22.H56-230719-0001",
            "000.00.14.H56-230717-0001",
        ];
        let rows = input.dossiers.into_iter();
        rows.filter(|row| wanted.iter().any(|code| row["MaHoSo"] == *code))
            .collect()
    }

    fn held(row: &Value) -> Value {
        let mut held = declaration(row).unwrap();
        let more = json!({"DEC_STATUS_ID": 3, "Lan": 1, "DaDoc": 1});
        held.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        held
    }

    #[test]
    fn of_two_dossiers_with_one_number_one_is_there_and_the_other_waits_for_a_person() {
        let rows = rows();
        let of = |code: &str| rows.iter().find(|row| row["MaHoSo"] == code).unwrap();
        let (first, second) = (of("000.00.14.H56-230719-0001"), of("000.17.22.H56-230719-0001"));
        for (there, waits) in [(first, second), (second, first)] {
            let (verdict, parked) = judge_declarations(&rows, &[held(there)], &[]);
            assert_eq!((verdict.expected, verdict.present), (1, 1));
            assert!(verdict.is_clean(), "{verdict:?}");
            let waits = waits["MaHoSo"].as_str().unwrap().to_owned();
            // and one whose applicant's number nobody knows
            let unknown = ("000.00.14.H56-230717-0001".to_owned(), "mandatory-empty");
            assert_eq!(parked, [unknown, (waits, "key-taken")]);
        }
        let mut mixed = held(first);
        mixed["declarationWSForm"]["fullName"] = second["ChuHoSo"].clone();
        let (verdict, _) = judge_declarations(&rows, &[mixed], &[]);
        assert_eq!(verdict.different[0].field, "fullName");
    }

    #[test]
    fn what_is_missing_doubled_strange_or_not_known_at_the_one_stop_is_named() {
        let rows = rows();
        let there = held(&rows[0]);
        let fields = |verdict: &Verdict| {
            verdict
                .different
                .iter()
                .map(|other| other.field.clone())
                .collect::<Vec<_>>()
        };
        let (missing, _) = judge_declarations(&rows, &[], &[]);
        assert_eq!(missing.missing.len(), 2);
        let (lost, _) = judge_declarations(&rows, &[], &["000.00.14.H56-230719-0001"]);
        assert!(lost.is_clean(), "a person looks for it");
        let mut rejected = rows.clone();
        rejected[0]["TrangThaiHoSoId"] = json!(3);
        let number = rejected[0]["MaHoSo"].clone();
        rejected.retain(|row| row["MaHoSo"] == number);
        assert!(
            judge_declarations(&rejected, std::slice::from_ref(&there), &[])
                .0
                .is_clean(),
            "declared before it was rejected"
        );
        assert!(judge_declarations(&rejected, &[], &[]).0.is_clean());
        let (doubled, _) = judge_declarations(&rows, &[there.clone(), there.clone()], &[]);
        assert_eq!(doubled.duplicates.len(), 1);
        let mut strange = there.clone();
        strange["idReceivedDec"] = json!("9912310001");
        let (unexpected, _) = judge_declarations(&rows, &[there.clone(), strange], &[]);
        assert_eq!(unexpected.unexpected, ["9912310001"]);
        let mut issued = there.clone();
        issued["DEC_STATUS_ID"] = json!(5);
        issued["Lan"] = json!(3);
        assert_eq!(
            fields(&judge_declarations(&rows, std::slice::from_ref(&issued), &[]).0),
            ["TrangThaiHoSoId", "not acknowledged"]
        );
        let whose = rows[0]["MaHoSo"].as_str().unwrap();
        for (state, excused) in [(2, true), (4, true), (5, false), (6, false)] {
            let mut stands = rows.clone();
            stands[0]["TrangThaiHoSoId"] = json!(state);
            let (verdict, _) = judge_declarations(&stands, std::slice::from_ref(&issued), &[whose]);
            let wrong = fields(&verdict).iter().any(|field| field == "TrangThaiHoSoId");
            assert_eq!(wrong, !excused, "state {state}");
            assert!(fields(&verdict).iter().any(|field| field == "not acknowledged"));
        }
        let mut moved = there;
        moved["residenceWSForm"][0]["residencePlace"] = json!("khác");
        assert_eq!(
            fields(&judge_declarations(&rows, &[moved], &[]).0),
            ["residenceWSForm"]
        );
    }
}
