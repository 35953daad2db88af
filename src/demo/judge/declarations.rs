//! What the judicial records system must hold: one declaration for each citizen's dossier that was taken in, and what its
//! officials have decided must stand at the one-stop.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::expected::phone;
use super::reading::{list, moment, procedure_root, stated, text, yes};
use super::{Difference, Duplicate, Expected, Verdict, compare, expected};

/// Root of the procedure whose dossiers are declared.
const PROCEDURE: &str = "2.000488";

/// The id that senders write when they know none; it is nobody's.
const NOBODY: &str = "000000001";

/// The province's Department of Justice in the ministry's list of agencies.
pub(in crate::demo) const DEPARTMENT: u64 = 3838;

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

/// The declaration of a dossier, every field; or the cause for which it rightly waits for a person.
fn declaration(row: &Value) -> Result<Value, &'static str> {
    if read(row, "LoaiDoiTuong") != "1" {
        return Err("not-taken");
    }
    let code = needed(read(row, "MaHoSo"))?;
    let mut parts = code.rsplit('-').map(str::to_owned);
    let (number, date) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mandator = mandator(row)?;
    let mut form = person(row)?;
    form.extend(request(row, !mandator.is_null())?);
    let stays = list(&row["EForm"], "quaTrinhCuTru").unwrap_or_default().iter();
    Ok(json!({
        "idMinistryJustice": DEPARTMENT,
        "idReceivedDec": format!("{date}{number}"),
        "dateReceivedDec": day(&read(row, "NgayTiepNhan")),
        "datePromissoryDec": day(&read(row, "NgayHenTra")),
        "idMoneyReceipt": "",
        "declarationWSForm": form,
        "residenceWSForm": stays.map(stay).collect::<Vec<_>>(),
        "mandatorWSForm": mandator,
    }))
}

/// The part of the form that says whose records are asked for.
fn person(row: &Value) -> Result<Map<String, Value>, &'static str> {
    let form = &row["EForm"];
    let gender = match read(row, "GioiTinhChuHoSo").as_str() {
        "Nam" => 1,
        "Nữ" => 0,
        _ => return Err("mandatory-empty"),
    };
    let (paper, number) = paper(row, "ChuHoSo").ok_or("mandatory-empty")?;
    // Of nationalities one is known.
    let nationality = match needed(as_stated(form, "quocTich"))?.as_str() {
        "VN" => 3106,
        _ => return Err("table-missing-entry"),
    };
    Ok(object(json!({
        "fullName": needed(read(row, "ChuHoSo"))?,
        "genderId": gender,
        "birthDateStr": needed(read(row, "NgaySinhChuHoSo"))?,
        "birthPlace": as_stated(form, "noiSinh"),
        "nationalityId": nationality,
        // Of ethnic groups one is known; the others go as unknown.
        "ethnicId": if form["danToc"] == "01" { 55305 } else { -1 },
        "residence": as_stated(form, "thuongTru"),
        "reRegionId": -1,
        "residenceTemporary": as_stated(form, "tamTru"),
        "rtRegionId": -1,
        "idTypeId": paper,
        "identifyNo": number,
        "idIssueDate": "",
        "idIssuePlace": "",
        "dadName": as_stated(&form["cha"], "hoTen"),
        "dadDob": as_stated(&form["cha"], "namSinh"),
        "momName": as_stated(&form["me"], "hoTen"),
        "momDob": as_stated(&form["me"], "namSinh"),
        "partnerName": as_stated(&form["voChong"], "hoTen"),
        "partnerDob": as_stated(&form["voChong"], "namSinh"),
        "otherName": "",
        "phone": needed(phone(&read(row, "SoDienThoai")))?,
        "email": read(row, "Email"),
    })))
}

/// The part of the form that says what is asked for and how it is handed over.
fn request(row: &Value, delegated: bool) -> Result<Map<String, Value>, &'static str> {
    let form = &row["EForm"];
    let submitted = Some(read(row, "NgayNopHoSo")).filter(|at| !at.is_empty());
    let by_post = read(row, "HinhThucTra") == "1";
    let copies: u64 = needed(as_stated(form, "soLuongCap"))?
        .parse()
        .map_err(|_| "bad-value")?;
    let certificate = match needed(as_stated(form, "loaiPhieu"))?.as_str() {
        "So1" => 1,
        "So2" => 2,
        _ => return Err("table-missing-entry"),
    };
    Ok(object(json!({
        "ministryJusticeId": DEPARTMENT,
        "declareDate": day(&submitted.unwrap_or_else(|| read(row, "NgayTiepNhan"))),
        "declareTypeId": if delegated { 3845 } else { 3846 },
        "requestQty": copies,
        "requestQtyAdd": 0,
        "objectRequestId": 72,
        "agencyRequestId": -1,
        "regionRequestId": -1,
        "formType": certificate,
        "isBanPosition": form["yeuCauCDNCV"],
        "delivery": u8::from(by_post),
        "deliveryAddress": if by_post { read(row, "DiaChiChuHoSo") } else { String::new() },
        "deliveryDistrict": "",
        "note": "",
        "purpose": as_stated(form, "mucDich"),
        "receiveNo": read(row, "MaHoSo"),
        "declarationPortalID": "",
    })))
}

/// Where the person has lived; who is still there lives there until now.
fn stay(stated: &Value) -> Value {
    let end = Some(as_stated(stated, "denThangNam")).filter(|end| !end.is_empty());
    json!({
        "fromDateStr": as_stated(stated, "tuThangNam"),
        "toDateStr": end.unwrap_or_else(|| "nay".to_owned()),
        "residencePlace": as_stated(stated, "diaChiCuTru"),
        "jobName": as_stated(stated, "ngheNghiep"),
        "workPlace": as_stated(stated, "noiLamViec"),
    })
}

/// Who declares for the applicant, if somebody does; a delegated declaration without a name is not taken.
fn mandator(row: &Value) -> Result<Value, &'static str> {
    let form = &row["EForm"];
    let has = yes(row, "UyQuyen").unwrap_or_default();
    if !has && !yes(form, "uyQuyen").unwrap_or_default() {
        return Ok(Value::Null);
    }
    if !has || read(row, "HoTenNguoiUyQuyen").is_empty() {
        return Err("mandatory-empty");
    }
    let (paper, number) = paper(row, "NguoiUyQuyen").unwrap_or((-1, String::new()));
    Ok(json!({
        "fullName": read(row, "HoTenNguoiUyQuyen"),
        "genderId": -1,
        "birthDateStr": "",
        "birthPlaceId": -1,
        "residence": read(row, "DiaChiNguoiUyQuyen"),
        "regionId": -1,
        "idTypeId": paper,
        "identifyNo": number,
        "idIssueDate": "",
        "idIssuePlace": "",
        "mandatorRelation": "",
        "mandatorDate": "",
    }))
}

/// Kind and number of the identity paper of `whom`, where one is known.
fn paper(row: &Value, whom: &str) -> Option<(i8, String)> {
    let number = text(row, &format!("SoGiayTo{whom}")).unwrap_or_default();
    let kind = match text(row, &format!("LoaiGiayTo{whom}")).ok()?.as_str() {
        "CCCD" => 3,
        "CMND" => 1,
        "HC" => 0,
        _ => return None,
    };
    (!number.is_empty() && number != NOBODY).then_some((kind, number))
}

/// A column of the row; empty if there is none.
fn read(row: &Value, field: &str) -> String {
    text(row, field).unwrap_or_default()
}

/// A field of the procedure's own form, blanks as they are.
fn as_stated(form: &Value, field: &str) -> String {
    stated(form, field).unwrap_or_default()
}

/// A text without which nothing is declared.
fn needed(text: String) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("mandatory-empty")
    } else {
        Ok(text)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The day of a local date-time, dd/MM/yyyy; empty for none.
fn day(at: &str) -> String {
    match (at.get(..4), at.get(4..6), at.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{day}/{month}/{year}"),
        _ => String::new(),
    }
}

/// Names of the fields in which the declaration is not as it must be, and of what was decided there and is not known at the
/// one-stop.
fn differences(declaration: &Value, held: &Value, row: &Value) -> Vec<String> {
    // Beside what was declared the system keeps what became of it.
    let own = declaration.as_object().into_iter().flatten();
    let declared: Value = own
        .map(|(field, _)| (field.clone(), held[field.as_str()].clone()))
        .collect();
    let mut fields = compare::fields(declaration, &declared);
    // A day that a supplement has put off is not told: version 1 has no call for a change.
    if !text(row, "NgayBoSung").unwrap_or_default().is_empty() {
        fields.retain(|field| field != "datePromissoryDec");
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
        assert_eq!(verdict.different[0].field, "declarationWSForm.fullName");
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
            ["residenceWSForm.residencePlace"]
        );
    }
}
