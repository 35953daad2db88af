//! No word about a person in what the program says of itself, not even at its most talkative.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Act, MANIFEST, Province, Target, cli, code, post, post_signed, row};

/// Fields that tell who somebody is.
const PERSONAL: [&str; 14] = [
    "ChuHoSo",
    "SoGiayToChuHoSo",
    "NgaySinhChuHoSo",
    "SoDienThoai",
    "Email",
    "DiaChiChuHoSo",
    "HoTenNguoiUyQuyen",
    "SoGiayToNguoiUyQuyen",
    "SoDienThoaiNguoiUyQuyen",
    "DiaChiNguoiUyQuyen",
    "hoTen",
    "noiSinh",
    "thuongTru",
    "diaChiCuTru",
];

/// Every personal value of these rows, in every spelling that the bus or a system may give it.
fn personal(rows: &[Value]) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for row in rows {
        collect(row, &mut values);
    }
    // a year, a number that means "unknown": these are no secrets, and would be found anywhere
    values.retain(|value| value.chars().count() >= 8 && value != "000000001");
    values
}

fn collect(value: &Value, values: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Value::String(text) = value
                    && PERSONAL.contains(&name.as_str())
                {
                    values.extend(spellings(name, text));
                }
                collect(value, values);
            }
        }
        Value::Array(members) => members.iter().for_each(|member| collect(member, values)),
        _ => {}
    }
}

fn spellings(name: &str, text: &str) -> Vec<String> {
    let mut all = vec![
        text.to_owned(),
        text.to_uppercase(),
        format!("{:?}", text.as_bytes()),
    ];
    let parts: Vec<&str> = text.split('/').collect();
    if let ("NgaySinhChuHoSo", [day, month, year]) = (name, parts.as_slice()) {
        all.push(format!("{year}-{month}-{day}"));
        all.push(format!("{year}{month}{day}"));
    }
    if name.starts_with("SoDienThoai") {
        all.push(text.replace(['.', ' '], ""));
    }
    all.push(text.escape_default().to_string());
    all
}

/// Which of the values occur in a text.
fn found<'a>(values: &'a BTreeSet<String>, text: &str) -> Vec<&'a String> {
    values
        .iter()
        .filter(|value| text.contains(value.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_says_nothing_about_people_even_when_it_traces() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/dossiers.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .take(12)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut values = personal(&rows);
    assert!(values.len() > 60, "{values:?}");
    // What only the population database has, of everybody in it.
    let register = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/register.jsonl");
    for line in std::fs::read_to_string(register).unwrap().lines() {
        let person: Value = serde_json::from_str(line).unwrap();
        values.insert(person["ThuongTru"]["ChiTiet"].as_str().unwrap().to_owned());
    }
    let plain: BTreeSet<String> = rows
        .iter()
        .map(|row| row["ChuHoSo"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found(&plain, &text).len(), 12, "the search finds what is there");

    let mut demo = Command::new(env!("CARGO_BIN_EXE_lienthong"));
    demo.args(["demo", "--dossiers", "12"])
        .env("LIENTHONG_LOG", "trace")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || demo.output())
        .await
        .unwrap()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("TRACE") && said.contains("12 dossiers"),
        "it did trace"
    );
    assert_eq!(found(&values, &said), Vec::<&String>::new());
}

/// Somebody, in `row(n)`, who is easy to find.
fn somebody(n: u32) -> Value {
    let mut row = row(n);
    row["ChuHoSo"] = json!(format!("Nguyễn Phước Bí Mật {n}"));
    row["SoGiayToChuHoSo"] = json!(format!("0790909{n:05}"));
    row["SoDienThoai"] = json!(format!("0907.9{n:02}.818"));
    row["Email"] = json!(format!("bi.mat.{n}@example.vn"));
    row["NgaySinhChuHoSo"] = json!("27/11/1971");
    row["TrichYeuHoSo"] = json!(format!("Phiếu của Nguyễn Phước Bí Mật {n}"));
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn daemon_says_nothing_about_people_whose_records_fail() {
    let book = Target::start().await;
    let province = Province::new(&[("book", Some(MANIFEST), &book.url)]).logging("trace");
    let mut daemon = province.start().await;

    // records that are refused here, the wrong value being the personal one where that can be
    let refused = [
        (1, "TrangThaiHoSoId", json!(99)),
        (2, "NgaySinhChuHoSo", json!("31/11/1971")),
        (3, "NgayTiepNhan", json!("27/11/1971")),
        (4, "TrichYeuHoSo", Value::Null),
        (5, "GioiTinhChuHoSo", json!("Nguyễn Phước Bí Mật 5")),
        (6, "LoaiGiayToChuHoSo", json!("079090900006")),
        (7, "EForm", json!(["Nguyễn Phước Bí Mật 7"])),
        (8, "MaHoSo", json!({"ChuHoSo": "Nguyễn Phước Bí Mật 8"})),
        (9, "MaTTHC", json!("Nguyễn Phước Bí Mật 9")),
    ];
    let mut rows = Vec::new();
    for (n, field, wrong) in refused {
        let mut bad = somebody(n);
        rows.push(bad.clone());
        bad[field] = wrong;
        let (status, said) = post(&daemon.hook, &bad).await;
        assert_eq!(
            (status, &said["maLoi"]),
            (200, &json!("refused")),
            "{field}: {said}"
        );
    }
    rows.push(json!({"NgaySinhChuHoSo": "31/11/1971"}));
    // malformed, and unsigned
    let mut cut = somebody(10).to_string().into_bytes();
    cut.pop();
    rows.push(somebody(10));
    assert_eq!(post_signed(&daemon.hook, cut).await.unwrap().0, 400);

    // records that targets refuse, with the person in the refusal
    let about = |n: u32, text: &str| {
        let person = somebody(n);
        json!({"code": "17", "message": format!("{text}: {}, số {}", person["ChuHoSo"].as_str().unwrap(), person["SoGiayToChuHoSo"].as_str().unwrap())})
    };
    let of = |n: u32| move |body: &Value| body["id"] == json!(code(n));
    book.rule(
        "/create",
        1,
        of(11),
        Act::Answer(200, vec![], about(11, "không khớp")),
    );
    book.rule("/create", 1, of(12), Act::Answer(500, vec![], about(12, "lỗi")));
    book.rule(
        "/find",
        1,
        of(13),
        Act::Answer(429, vec![("retry-after", "86400")], about(13, "đông quá")),
    );
    book.type_in(json!({"id": code(14), "name": "Somebody else"}));
    for n in 11..=14 {
        rows.push(somebody(n));
        let (status, said) = post(&daemon.hook, &somebody(n)).await;
        assert_eq!((status, &said["maLoi"]), (200, &json!("0")), "{said}");
    }
    crate::support::until(
        "two are parked, one has arrived after a doubt, one waits",
        async || {
            let status = cli(&province.socket(), &["status"]).await;
            let mut rows: Vec<(String, i64)> = status["counts"]["deliveries"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| row[0] != "one-stop")
                .map(|row| (row[2].as_str().unwrap().to_owned(), row[3].as_i64().unwrap()))
                .collect();
            rows.sort();
            let expected =
                [("applied", 1), ("backing_off", 1), ("parked", 2)].map(|(state, n)| (state.to_owned(), n));
            (rows == expected).then_some(())
        },
    )
    .await;
    // a target that refuses us, in words about the person
    book.rule(
        "/find",
        1,
        of(15),
        Act::Answer(403, vec![], about(15, "không được phép tra cứu")),
    );
    rows.push(somebody(15));
    post(&daemon.hook, &somebody(15)).await;
    crate::support::until("the target rests", async || {
        daemon.log().contains("the adapter is paused").then_some(())
    })
    .await;

    let letters = cli(&province.socket(), &["dead-letter", "list"]).await;
    assert_eq!(letters.as_array().unwrap().len(), 11, "{letters:#}");
    daemon.terminate();
    daemon.end().await;

    let values = personal(&rows);
    let raw = crate::support::contents(&province.path("lienthong.db")).await;
    let kept = found(&values, &raw["inbox"]);
    assert!(
        kept.iter().any(|value| value.contains("Bí Mật 5")),
        "the search finds what is there"
    );
    let log = daemon.log();
    assert!(
        log.contains("record refused") && log.contains("delivery parked") && log.contains("TRACE"),
        "{log}"
    );
    assert_eq!(found(&values, &log), Vec::<&String>::new());
}
