//! The judge agrees with what people worked out by hand from the national portal's wire format, and catches every
//! single thing that is altered. The officials' script is played here by a few lines of plain Rust.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not foresee")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lienthong::demo::input::Input;
use lienthong::demo::judge::{
    Beside, DECLARATION, Expected, Form, ONE_STOP_DOSSIER, PORTAL_DOSSIER, PORTAL_PROGRESS, Verdict, avoided,
    expected, judge, judge_declarations,
};
use serde_json::{Value, json};

const FILES: &str = "https://motcua.example.vn";

/// What one act makes of a row: status code, the officer's action as it stands in the progress.
fn act_of(name: &str) -> (i64, &'static str) {
    match name {
        "TiepNhan" => (2, "Tiếp nhận hồ sơ"),
        "TuChoi" => (3, "Từ chối tiếp nhận"),
        "ChuyenXuLy" => (4, "Chuyển xử lý"),
        "ThamDinh" => (4, "Thẩm định hồ sơ"),
        "YeuCauBoSung" => (5, "Yêu cầu bổ sung"),
        "NhanBoSung" => (4, "Nhận bổ sung"),
        "YeuCauThanhToan" => (6, "Yêu cầu thanh toán"),
        "DaThanhToan" => (4, "Đã thanh toán"),
        "Rut" => (7, "Rút hồ sơ"),
        "Dung" => (8, "Dừng xử lý"),
        "KetThuc" => (9, "Kết thúc xử lý"),
        "TraKetQua" => (10, "Trả kết quả"),
        "TraLai" => (4, "Trả lại hồ sơ"),
        other => panic!("the script has an act that no official can do: {other}"),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The legal transitions of domain knowledge: what may follow a status.
fn may_follow(from: i64, act: &str) -> bool {
    let to = act_of(act).0;
    let next: &[i64] = match from {
        1 => &[2, 3, 5, 6, 7],
        2 => &[4, 5, 6, 7, 8, 9],
        4 => &[4, 5, 6, 9, 8, 7, 3],
        5 => &[1, 2, 4, 8, 7, 3],
        6 => &[1, 2, 4, 9, 8, 7],
        9 if act == "TraLai" => &[4],
        9 => &[10],
        _ => &[],
    };
    next.contains(&to)
}

fn play(row: &mut Value, act: &Value) {
    let at = act["ThoiGian"].clone();
    let (status, action) = act_of(text(act, "HanhDong"));
    let from = row["TrangThaiHoSoId"].as_i64().unwrap();
    assert!(
        may_follow(from, text(act, "HanhDong")),
        "{} from {from}",
        text(act, "HanhDong")
    );
    assert!(
        text(act, "ThoiGian") > text(row, "NgayCapNhat"),
        "acts go forward in time"
    );
    let stated = |field: &str, otherwise: &Value| act.get(field).unwrap_or(otherwise).clone();
    let before = row.clone();
    row["TrangThaiHoSoId"] = json!(status);
    row["NgayCapNhat"] = at.clone();
    match text(act, "HanhDong") {
        "TiepNhan" if text(row, "NgayTiepNhan").is_empty() => row["NgayTiepNhan"] = at.clone(),
        "TuChoi" => {
            row["NgayTuChoi"] = at.clone();
            row["LyDoTuChoi"] = stated("LyDoTuChoi", &act["NoiDung"]);
        }
        "YeuCauBoSung" => {
            row["NgayYeuCauBoSung"] = at.clone();
            row["LyDoBoSung"] = stated("LyDoBoSung", &act["NoiDung"]);
            row["ThoiHanBoSung"] = stated("ThoiHanBoSung", &json!(""));
            row["TrangThaiBoSung"] = json!("cho_bo_sung");
        }
        "NhanBoSung" => {
            row["NgayBoSung"] = at.clone();
            row["TrangThaiBoSung"] = json!("da_gui");
            row["NgayHenTra"] = stated("NgayHenTra", &before["NgayHenTra"]);
        }
        "Rut" | "Dung" => row["NgayKetThucXuLy"] = at.clone(),
        "KetThuc" => {
            row["NgayKetThucXuLy"] = at.clone();
            for field in ["SoKyHieuKetQua", "DinhKemKetQua"] {
                row[field] = stated(field, &json!(text(&before, field)));
            }
        }
        "TraKetQua" => row["NgayTra"] = at.clone(),
        _ => {}
    }
    row["TienTrinh"].as_array_mut().unwrap().push(json!({
        "MaHoSo": act["MaHoSo"], "ThoiGian": at, "TrangThai": status, "NguoiGui": "cb01",
        "TenNguoiGui": act["CanBo"], "ThaoTac": action, "NoiDung": act["NoiDung"],
    }));
}

/// The rows of the one-stop when the script has been played.
fn final_rows(count: Option<usize>) -> Vec<Value> {
    let input = Input::load(None, count).unwrap();
    let mut rows = input.dossiers;
    let places: BTreeMap<String, usize> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| (text(row, "MaHoSo").to_owned(), n))
        .collect();
    for act in &input.script {
        play(&mut rows[places[text(act, "MaHoSo")]], act);
    }
    rows
}

/// Everything written by hand: file name, dossier, its progress, and the one-stop's row.
fn by_hand() -> Vec<(String, Value, Vec<Value>, Value)> {
    let rows = final_rows(None);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expectations");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let read = files.iter().map(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let stated: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let row = rows
            .iter()
            .find(|row| row["MaHoSo"] == stated["MaHoSo"])
            .unwrap()
            .clone();
        (
            name,
            stated["portal"].clone(),
            stated["progress"].as_array().unwrap().clone(),
            row,
        )
    });
    read.collect()
}

fn fields(verdict: &Verdict) -> Vec<&str> {
    verdict
        .different
        .iter()
        .map(|difference| difference.field.as_str())
        .collect()
}

/// Every leaf and every empty list of a value, by pointer, with the field name the judge gives it.
fn leaves(value: &Value, pointer: &str, name: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                leaves(value, &format!("{pointer}/{key}"), &name, found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (n, value) in list.iter().enumerate() {
                leaves(value, &format!("{pointer}/{n}"), name, found);
            }
        }
        _ => found.push((pointer.to_owned(), name.to_owned())),
    }
}

/// Something else of the same kind.
fn altered(value: &Value) -> Value {
    match value {
        Value::Null => json!("x"),
        Value::String(text) => json!(format!("{text}x")),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        Value::Array(_) => json!([{"la": "x"}]),
        other => panic!("no such leaf at the portal: {other}"),
    }
}

#[test]
fn judge_expects_what_was_worked_out_by_hand() {
    let cases = by_hand();
    assert_eq!(cases.len(), 12);
    for (name, portal, log, row) in cases {
        let Expected::Due {
            item,
            progress,
            refused,
        } = expected(&row, FILES)
        else {
            panic!("{name}: due")
        };
        assert_eq!(item, portal, "{name}");
        assert_eq!(progress, log, "{name}");
        assert!(refused.is_empty(), "{name}");
        let verdict = judge(&[row], FILES, &Beside::default(), &[portal], &log);
        assert_eq!(
            (verdict.expected, verdict.present, verdict.is_clean()),
            (1, 1, true),
            "{name}"
        );
    }
}

#[test]
fn all_shipped_dossiers_are_due_but_those_nobody_received() {
    let rows = final_rows(None);
    let verdict = judge(&rows, FILES, &Beside::default(), &[], &[]);
    assert!(verdict.refused.is_empty(), "{:?}", verdict.refused);
    assert_eq!((verdict.expected, verdict.present, verdict.not_due), (60, 0, 2));
    assert_eq!(verdict.missing.len(), 60);
    let verdict = judge(&final_rows(Some(600)), FILES, &Beside::default(), &[], &[]);
    assert_eq!((verdict.expected, verdict.not_due), (580, 20));
}

#[test]
fn every_altered_field_is_named_and_no_other() {
    let mut tried = 0;
    for (name, portal, log, row) in by_hand() {
        let mut found = Vec::new();
        leaves(&portal, "", "", &mut found);
        for (pointer, field) in found.into_iter().filter(|(pointer, _)| pointer != "/MaHoSo") {
            let mut wrong = portal.clone();
            let leaf = wrong.pointer_mut(&pointer).unwrap();
            *leaf = altered(leaf);
            let verdict = judge(
                std::slice::from_ref(&row),
                FILES,
                &Beside::default(),
                &[wrong],
                &log,
            );
            assert_eq!(fields(&verdict), [field.as_str()], "{name}{pointer}");
            assert!(
                verdict.missing.is_empty() && verdict.duplicates.is_empty() && verdict.unexpected.is_empty()
            );
            tried += 1;
        }
        for key in portal.as_object().unwrap().keys().filter(|key| *key != "MaHoSo") {
            let mut wrong = portal.clone();
            wrong.as_object_mut().unwrap().remove(key);
            let verdict = judge(
                std::slice::from_ref(&row),
                FILES,
                &Beside::default(),
                &[wrong],
                &log,
            );
            assert_eq!(fields(&verdict), [key.as_str()], "{name} without {key}");
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn every_altered_field_of_the_progress_is_named_and_no_other() {
    for (name, portal, log, row) in by_hand() {
        for n in 0..log.len() {
            for key in log[n].as_object().unwrap().keys().filter(|key| *key != "MaHoSo") {
                let mut wrong = log.clone();
                wrong[n][key] = altered(&wrong[n][key]);
                let verdict = judge(
                    std::slice::from_ref(&row),
                    FILES,
                    &Beside::default(),
                    std::slice::from_ref(&portal),
                    &wrong,
                );
                assert_eq!(fields(&verdict), [format!("progress.{key}")], "{name} {n}");
                assert!(
                    verdict.duplicates.is_empty() && verdict.unexpected.is_empty(),
                    "{name} {n} {key}"
                );
            }
        }
    }
}

#[test]
fn missing_doubled_and_strange_records_are_counted() {
    for (name, portal, log, row) in by_hand() {
        let rows = [row];
        let code = text(&portal, "MaHoSo").to_owned();

        let verdict = judge(&rows, FILES, &Beside::default(), &[], &[]);
        assert_eq!(
            (verdict.missing.as_slice(), verdict.present),
            ([code.clone()].as_slice(), 0),
            "{name}"
        );

        let verdict = judge(
            &rows,
            FILES,
            &Beside::default(),
            &[portal.clone(), portal.clone()],
            &log,
        );
        assert_eq!(verdict.duplicates.len(), 1, "{name}");
        assert_eq!(
            (verdict.duplicates[0].code.as_str(), verdict.duplicates[0].record),
            (code.as_str(), "dossier")
        );
        assert!(verdict.different.is_empty() && !verdict.is_clean());

        let mut twice = log.clone();
        twice.push(log[0].clone());
        let verdict = judge(
            &rows,
            FILES,
            &Beside::default(),
            std::slice::from_ref(&portal),
            &twice,
        );
        assert_eq!(verdict.duplicates.len(), 1, "{name}");
        assert_eq!(verdict.duplicates[0].record, "progress");
        assert!(verdict.different.is_empty() && !verdict.is_clean());

        let verdict = judge(
            &rows,
            FILES,
            &Beside::default(),
            std::slice::from_ref(&portal),
            log.get(1..).unwrap(),
        );
        assert_eq!(fields(&verdict), ["progress"], "{name}");
        assert!(!verdict.is_clean());

        let mut stranger = portal.clone();
        stranger["MaHoSo"] = json!("H56.99-260101-0001");
        let verdict = judge(&rows, FILES, &Beside::default(), &[portal, stranger], &log);
        assert_eq!(verdict.unexpected, ["H56.99-260101-0001"], "{name}");
        assert!(!verdict.is_clean());
    }
}

#[test]
fn progress_may_come_in_any_order() {
    for (name, portal, mut log, row) in by_hand() {
        log.reverse();
        assert!(
            judge(&[row], FILES, &Beside::default(), &[portal], &log).is_clean(),
            "{name}"
        );
    }
}

#[test]
fn dossier_that_nobody_received_must_not_be_there() {
    let mut rows = final_rows(None);
    rows.retain(|row| text(row, "NgayTiepNhan").is_empty());
    let code = rows[0]["MaHoSo"].clone();
    let verdict = judge(&rows, FILES, &Beside::default(), &[json!({"MaHoSo": code})], &[]);
    assert_eq!((verdict.expected, verdict.not_due), (0, 2));
    assert_eq!(verdict.unexpected, [code.as_str().unwrap()]);
}

#[test]
fn decomposed_letters_at_the_portal_are_a_difference() {
    let (_, portal, log, row) = by_hand()
        .into_iter()
        .find(|case| case.0 == "decomposed-letters.json")
        .unwrap();
    let mut wrong = portal.clone();
    wrong["ChuHoSo"] = row["ChuHoSo"].clone();
    assert_ne!(
        wrong["ChuHoSo"], portal["ChuHoSo"],
        "the one-stop states decomposed letters"
    );
    assert_eq!(
        fields(&judge(&[row], FILES, &Beside::default(), &[wrong], &log)),
        ["ChuHoSo"]
    );
}

/// Declarations written by hand, as the judicial records system must hold them: file name, declaration, the one-stop's row.
fn declared_by_hand() -> Vec<(String, Value, Value)> {
    let rows = final_rows(None);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expectations/declarations");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = files.map(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let stated: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let code = &stated["declarationWSForm"]["receiveNo"];
        let row = rows.iter().find(|row| row["MaHoSo"] == *code).unwrap();
        (name, stated, row.clone())
    });
    read.collect()
}

/// The same as the system keeps it: received, and its state read.
fn kept(declaration: &Value) -> Value {
    let mut kept = declaration.clone();
    for (field, value) in [
        ("ID", json!("a")),
        ("DEC_STATUS_ID", json!(3)),
        ("Lan", json!(1)),
        ("DaDoc", json!(1)),
    ] {
        kept[field] = value;
    }
    kept
}

#[test]
fn judge_expects_the_declarations_that_were_worked_out_by_hand_and_names_every_altered_field() {
    let cases = declared_by_hand();
    assert_eq!(cases.len(), 3);
    let mut tried = 0;
    for (name, declaration, row) in cases {
        let rows = [row];
        let (verdict, parked) = judge_declarations(&rows, &[kept(&declaration)], &[]);
        assert!(verdict.is_clean(), "{name}: {verdict:?}");
        assert_eq!(
            (verdict.expected, verdict.present, parked),
            (1, 1, vec![]),
            "{name}"
        );
        let mut found = Vec::new();
        leaves(&declaration, "", "", &mut found);
        // These two say which dossier it is: with another one it is another's.
        found.retain(|(_, field)| field != "idReceivedDec" && field != "declarationWSForm.receiveNo");
        for (pointer, field) in found {
            let mut wrong = declaration.clone();
            let leaf = wrong.pointer_mut(&pointer).unwrap();
            *leaf = altered(leaf);
            let (verdict, _) = judge_declarations(&rows, &[kept(&wrong)], &[]);
            assert_eq!(fields(&verdict), [field.as_str()], "{name}{pointer}");
            tried += 1;
        }
        for pointer in ["/idReceivedDec", "/declarationWSForm/receiveNo"] {
            let mut wrong = declaration.clone();
            let leaf = wrong.pointer_mut(pointer).unwrap();
            *leaf = altered(leaf);
            let (verdict, _) = judge_declarations(&rows, &[kept(&wrong)], &[]);
            assert!(
                !verdict.is_clean() && !verdict.unexpected.is_empty(),
                "{name}{pointer}"
            );
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn company_is_not_declared_and_waits_for_a_person_with_its_cause() {
    let mut rows = final_rows(None);
    rows.retain(|row| text(row, "MaTTHC").starts_with("2.000488") && text(row, "LoaiDoiTuong") == "2");
    assert_eq!(rows.len(), 1);
    let (verdict, parked) = judge_declarations(&rows, &[], &[]);
    assert_eq!((verdict.expected, verdict.is_clean()), (0, true));
    assert_eq!(parked, [("000.00.14.H56-230913-0001".to_owned(), "not-taken")]);
    let declared = json!({"idReceivedDec": "2309130001", "declarationWSForm": {"receiveNo": "000.00.14.H56-230913-0001"}});
    let (verdict, _) = judge_declarations(&rows, &[kept(&declared)], &[]);
    assert_eq!(verdict.unexpected, ["2309130001"]);
}

#[test]
fn typing_that_was_spared_is_what_a_hand_counts_in_the_form_of_each_system() {
    let by_name = |name: &str| by_hand().into_iter().find(|case| case.0 == name).unwrap();
    // MaHoSo MaTTHC KenhThucHien ChuHoSo LoaiDoiTuong, kind and number of the applicant, Email SoDienThoai TrichYeuHoSo NgayNopHoSo
    // NgayTiepNhan NgayHenTra TrangThaiHoSo HinhThuc NgayTuChoi DonViXuLy, two papers, three of a fee; of a step officer, words
    // and state.
    let (_, portal, log, _) = by_name("by-post-dependent-unit-rejected.json");
    assert_eq!(fields_of(PORTAL_DOSSIER, &[portal]), 5 + 2 + 10 + 2 + 3);
    assert_eq!(fields_of(PORTAL_PROGRESS, &log), 3 + 3);
    // Number and two days; the person 10, the family 6, the request 12; two stays of 5; of the delegate name, address, paper and
    // number.
    let declared: BTreeMap<String, Value> = declared_by_hand()
        .into_iter()
        .map(|(name, declaration, _)| (name, kept(&declaration)))
        .collect();
    let count = |name: &str| fields_of(DECLARATION, std::slice::from_ref(&declared[name]));
    assert_eq!(count("delegated-by-post.json"), 3 + 10 + 6 + 12 + 2 * 5 + 4);
    // No temporary address, no known ethnic group, no spouse, no place of work of a pupil, nobody else.
    assert_eq!(
        count("number-of-two-agencies-department.json"),
        3 + 8 + 4 + 12 + 4 + 5
    );
    // Procedure, agency, channel, way out, summary; person 6, address 4; two days; a paper; of the form five, and of the licence
    // that is there six of seven. What the one-stop does with it later is not typed into this form.
    let row = serde_json::from_str(include_str!("expectations/one-stop/licence.json")).unwrap();
    assert_eq!(fields_of(ONE_STOP_DOSSIER, &[row]), 5 + 6 + 4 + 2 + 1 + 5 + 6);
}

/// The fields of these records that nobody had to type.
fn fields_of(form: Form, records: &[Value]) -> usize {
    let spared = avoided(form, records);
    assert_eq!(spared.records, records.len());
    spared.fields
}
