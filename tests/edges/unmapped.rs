//! Records that parse and cannot be taken: kept as they came, listed once, with what to do; nobody else is held up.

use serde_json::{Value, json};

use crate::support::{
    MANIFEST, SECRET, Site, Target, cli, client, code, contents, post, post_signed, row, sign, until,
};

on_both_stores! {
    unmappable_record_is_kept_raw_and_listed_once_with_its_remedy
    good_records_beside_a_bad_one_go_on
}

/// Where a person reads what is wrong with a record: file, field, remedy.
struct Wrong {
    what: &'static str,
    field: &'static str,
    value: Value,
    code: &'static str,
    file: Option<&'static str>,
}

fn wrongs() -> Vec<Wrong> {
    let wrong = |what, field, value, code, file| Wrong {
        what,
        field,
        value,
        code,
        file,
    };
    vec![
        wrong(
            "missing mandatory field",
            "TrichYeuHoSo",
            Value::Null,
            "field-missing",
            None,
        ),
        wrong(
            "empty mandatory field",
            "ChuHoSo",
            json!("  "),
            "field-missing",
            None,
        ),
        wrong(
            "unknown procedure",
            "MaTTHC",
            json!("9.999999.000.00.00.H56"),
            "table-missing-entry",
            Some("tables/procedures.csv"),
        ),
        wrong(
            "unknown status",
            "TrangThaiHoSoId",
            json!(99),
            "table-missing-entry",
            Some("tables/status.csv"),
        ),
        wrong(
            "unknown kind of applicant",
            "LoaiDoiTuong",
            json!("9"),
            "table-missing-entry",
            Some("tables/applicant-kind.csv"),
        ),
        wrong(
            "impossible day",
            "NgayTiepNhan",
            json!("20260231083000"),
            "bad-time",
            None,
        ),
        wrong(
            "impossible hour",
            "NgayHenTra",
            json!("20260312253000"),
            "bad-time",
            None,
        ),
        wrong(
            "impossible birth date",
            "NgaySinhChuHoSo",
            json!("31/02/1990"),
            "bad-time",
            None,
        ),
    ]
}

async fn unmappable_record_is_kept_raw_and_listed_once_with_its_remedy() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    let hook = site.hook("/hooks/one-stop");
    for (n, wrong) in (1..).zip(wrongs()) {
        // one field each, so that a letter is known by it
        let mut bad = row(n);
        bad[wrong.field] = wrong.value.clone();
        for time in 1..=3 {
            let (status, said) = post(&hook, &bad).await;
            assert_eq!(
                (status, &said["maLoi"]),
                (200, &json!("refused")),
                "{}, time {time}",
                wrong.what
            );
            assert!(
                said["moTa"].as_str().unwrap().contains(wrong.field),
                "{}: {said}",
                wrong.what
            );
        }
        // listed once, however often it was told, under the code that people ask for
        let letters = cli(site.socket(), &["dead-letter", "list"]).await;
        let [letter] = letters.as_array().unwrap().as_slice() else {
            panic!("{}: {letters:#?}", wrong.what)
        };
        assert_eq!(
            (&letter["system"], &letter["dossier"]),
            (&json!("one-stop"), &json!(code(n)))
        );
        let cause = &letter["cause"];
        assert_eq!(cause["code"], wrong.code, "{}: {cause}", wrong.what);
        assert_eq!(cause["field"], wrong.field, "{}: {cause}", wrong.what);
        assert!(cause["remedy"].is_string(), "{}: {cause}", wrong.what);
        if let Some(file) = wrong.file {
            assert_eq!(cause["file"], file, "{}: {cause}", wrong.what);
        }
        let opened = cli(
            site.socket(),
            &["dead-letter", "show", letter["id"].as_str().unwrap()],
        )
        .await;
        assert_eq!(opened["raw"], bad.to_string(), "{}: kept as it came", wrong.what);

        // the same dossier, sent correctly, arrives
        assert_eq!(target.counts().get(&code(n)), None, "{}", wrong.what);
        site.tell(&row(n)).await;
        site.arrived(&code(n), "book").await;
        assert_eq!(target.counts()[&code(n)], 1, "{}", wrong.what);
        let letters = cli(site.socket(), &["dead-letter", "list"]).await;
        assert_eq!(letters, json!([]), "{}: it is mended", wrong.what);
    }
    site.stop().await;
}

async fn good_records_beside_a_bad_one_go_on() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    let hook = site.hook("/hooks/one-stop");
    let mut bad = row(2);
    bad["TrangThaiHoSoId"] = json!(99);
    // told together, so that they may be stored together
    let rows = [row(1), bad, row(3)];
    let answers = futures_util::future::join_all(rows.iter().map(|row| post(&hook, row))).await;
    let words: Vec<&Value> = answers.iter().map(|(_, said)| &said["maLoi"]).collect();
    assert_eq!(words, ["0", "refused", "0"]);
    for n in [1, 3] {
        site.arrived(&code(n), "book").await;
    }
    assert!(site.deliveries(&code(2), "book").await.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_record_is_listed_until_a_newer_one_of_its_code_is_taken() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    let hook = site.hook("/hooks/one-stop");
    let wrong = |n, status: u32| {
        let mut row = row(n);
        row["TrangThaiHoSoId"] = json!(status);
        row
    };
    let listed = async || {
        let letters = cli(site.socket(), &["dead-letter", "list"]).await;
        let mut codes: Vec<String> = letters
            .as_array()
            .unwrap()
            .iter()
            .map(|letter| letter["dossier"].as_str().unwrap().to_owned())
            .collect();
        codes.sort();
        codes
    };
    site.learn(&row(1)).await;
    for bad in [wrong(1, 98), wrong(1, 99), wrong(2, 99)] {
        assert_eq!(post(&hook, &bad).await.1["maLoi"], "refused");
    }
    assert_eq!(listed().await, [code(1), code(1), code(2)]);

    // what was told before the refusal and is told once more mends nothing
    assert_eq!(post(&hook, &row(1)).await.0, 200);
    assert_eq!(listed().await, [code(1), code(1), code(2)]);

    // a newer record closes all that were refused before it, and no other dossier's
    let mut newer = row(1);
    newer["MaHoSo"] = json!(format!(" {} ", code(1).to_lowercase()));
    assert_eq!(post(&hook, &newer).await.1["maLoi"], "0");
    assert_eq!(listed().await, [code(2)]);
    let kept = contents(&site.file()).await;
    let closed = kept["inbox"]
        .matches("'ignored'|'a newer record was taken'")
        .count();
    assert_eq!(closed, 2, "kept, with the reason");

    // what is wrong again is listed again
    assert_eq!(post(&hook, &wrong(1, 98)).await.1["maLoi"], "refused");
    assert_eq!(listed().await, [code(1), code(2)]);
    site.stop().await;
}

/// A system that handles dossiers which came into being elsewhere.
const SECTORAL: &str = r#"lienthong = 1
title = "Hệ thống chuyên ngành của bài thử"
owns = { status = "always" }
[settings]
secret = "${ONE_STOP_WEBHOOK_SECRET}"
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[webhook.state]
path = "/hooks/sectoral"
verify = '$headers["x-signature"] | same($raw | hmac_sha256($settings.secret))'
map = '{dossier: .so, at: .luc, status: {value: .trang_thai, at: .luc}}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn record_of_a_code_that_nobody_knows_waits_as_an_orphan() {
    // named as the portal is, so that the one-stop's MaHoSoKhac is a code of this system
    let site = Site::start(&[("national-portal", SECTORAL, "http://127.0.0.1:9")]).await;
    let hook = site.hook("/hooks/sectoral");
    let record = |code: &str| {
        json!({"so": code, "luc": "2026-03-05T09:00:00Z", "trang_thai": "in_progress"}).to_string()
    };
    let tell = async |code: &str| {
        let (status, said) = post_signed(&hook, record(code).into_bytes()).await.unwrap();
        assert_eq!(status, 200, "{said}");
        said["code"].as_str().unwrap().to_owned()
    };

    for _ in 0..3 {
        assert_eq!(tell("CN-1").await, "waiting");
    }
    let kept = contents(&site.file()).await;
    let inbox: Vec<&str> = kept["inbox"].lines().collect();
    assert_eq!(
        inbox.len(),
        1,
        "waiting once, however often it was told: {inbox:?}"
    );
    assert!(inbox[0].contains("'waiting'|'orphan'"), "{inbox:?}");
    assert!(inbox[0].contains(&record("CN-1")), "kept as it came: {inbox:?}");
    for table in ["outbox", "journal", "dossier", "shadow", "delivery", "link"] {
        assert_eq!(kept[table], "", "an orphan brings nothing into being: {table}");
    }

    // under a code that a dossier has in this system, its word is taken
    let mut known = row(1);
    known["MaHoSoKhac"] = json!("CN-2");
    site.learn(&known).await;
    assert_eq!(
        tell(" cn-2 ").await,
        "mapped",
        "codes are compared, not their spelling"
    );
    until("the dossier has the state that was told", async || {
        let replica = site.store().find_replica(&code(1)).await.unwrap()?;
        (replica.dossier.status()?.value == "in_progress").then_some(())
    })
    .await;

    // signatures are asked for at this door too
    let unsigned = sign(SECRET, b"another body");
    let request = client().post(&hook).header("x-signature", unsigned);
    assert_eq!(request.body(record("CN-2")).send().await.unwrap().status(), 401);
    site.stop().await;
}
