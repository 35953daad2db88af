//! Records that nobody would send, and somebody will.

use crate::support::{Site, post_signed, row};

/// Odd but well-formed JSON: it is judged like any record, kept, and the node goes on.
#[tokio::test(flavor = "multi_thread")]
async fn odd_records_are_judged_and_bring_nothing_down() {
    let site = Site::start(&[]).await;
    let with = |field: &str, value: &str| {
        let text = row(1).to_string();
        let sound = format!("\"{field}\":{}", row(1)[field]);
        assert_eq!(text.matches(&sound).count(), 1, "{field}");
        text.replace(&sound, &format!("\"{field}\":{value}"))
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let rows = [
        ("no object: list", "[]".to_owned(), 200, "refused"),
        ("no object: number", "42".to_owned(), 200, "refused"),
        ("no object: text", "\"hồ sơ\"".to_owned(), 200, "refused"),
        ("no object: null", "null".to_owned(), 200, "refused"),
        ("list of records", format!("[{}]", row(1)), 200, "refused"),
        ("nothing in it", "{}".to_owned(), 200, "refused"),
        (
            "nested beyond reason",
            with("EForm", &nested(100_000)),
            400,
            "malformed",
        ),
        (
            "nested deep",
            with("EForm", &format!("{{\"sau\":{}}}", nested(120))),
            200,
            "0",
        ),
        ("form is a list", with("EForm", "[1]"), 200, "refused"),
        (
            "number beyond numbers",
            with("TrangThaiHoSoId", "1e999"),
            400,
            "malformed",
        ),
        ("huge state", with("TrangThaiHoSoId", "1e300"), 200, "refused"),
        (
            "long state",
            with("TrangThaiHoSoId", &"9".repeat(400)),
            400,
            "malformed",
        ),
        (
            "state beyond 64 bits",
            with("TrangThaiHoSoId", "99999999999999999999"),
            200,
            "refused",
        ),
        ("state is half", with("TrangThaiHoSoId", "2.5"), 200, "refused"),
        (
            "state is an object",
            with("TrangThaiHoSoId", "{\"a\":{}}"),
            200,
            "refused",
        ),
        (
            "huge number in the form",
            with(
                "EForm",
                "{\"so\":1e308,\"nho\":1e-320,\"dai\":123456789012345678901234567890}",
            ),
            200,
            "0",
        ),
        (
            "huge fee",
            with(
                "LePhi",
                "[{\"MaPhiLePhi\":\"LP1\",\"TenPhiLePhi\":\"x\",\"Gia\":1e300,\"HinhThucThu\":1}]",
            ),
            200,
            "refused",
        ),
        (
            "negative fee",
            with(
                "LePhi",
                "[{\"MaPhiLePhi\":\"LP1\",\"TenPhiLePhi\":\"x\",\"Gia\":-5,\"HinhThucThu\":1}]",
            ),
            200,
            "refused",
        ),
        (
            "year 0",
            with("NgayTiepNhan", "\"00000101000000\""),
            200,
            "refused",
        ),
        ("year 9998", with("NgayHenTra", "\"99981231235959\""), 200, "0"),
        (
            "the end of the calendar",
            with("NgayHenTra", "\"99991231235959\""),
            200,
            "refused",
        ),
        ("steps are text", with("TienTrinh", "\"x\""), 200, "refused"),
        (
            "papers are an object",
            with("ThanhPhanHoSo", "{\"a\":1}"),
            200,
            "refused",
        ),
        ("code is blank", with("MaHoSo", "\"   \""), 200, "refused"),
        ("code is a number", with("MaHoSo", "17"), 200, "0"),
        (
            "code with a null character",
            with("MaHoSo", "\"H56\\u0000X\""),
            200,
            "0",
        ),
        (
            "code of 100,000 letters",
            with("MaHoSo", &format!("\"{}\"", "A".repeat(100_000))),
            200,
            "0",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, body, status, word) in rows {
        let (answered, said) = post_signed(&site.hook("/hooks/one-stop"), body.into_bytes())
            .await
            .unwrap();
        if (answered, said["maLoi"].as_str()) != (status, Some(word)) {
            wrong.push(format!("{what}: {answered} {said}, expected {status} {word}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // the same ones again lead to the same dossiers
    site.quiet().await;
    let dossiers = site.store().counts().await.unwrap().dossiers;
    assert_eq!(dossiers, 4, "the sound code and three odd ones");
    site.learn(&row(2)).await;
    site.stop().await;
}
