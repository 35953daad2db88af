//! Records that nobody would send, and somebody will.

use lienthong::dossier::{Dossier, Origin, Stamp};
use lienthong::event::Event;

use crate::support::{Bench, Site, post_signed, row};

on_both_stores! {
    odd_records_are_judged_and_bring_nothing_down
    event_with_a_code_beyond_reason_is_refused_and_its_neighbours_are_merged
}

/// Letters that cannot be told in fewer.
fn noise(letters: usize) -> String {
    let mut roll = 7_u64;
    let letter = |_| {
        roll = roll
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from_u32(0x1E00 + u32::try_from(roll >> 57).unwrap()).unwrap()
    };
    (0..letters).map(letter).collect()
}

async fn event_with_a_code_beyond_reason_is_refused_and_its_neighbours_are_merged() {
    let bench = Bench::open(&[]).await;
    let events: Vec<Event> = [noise(9), noise(5000), noise(10)]
        .iter()
        .map(|code| {
            let hlc = bench.shared.hybrid.tick();
            let stamp = Stamp {
                effective: bench.now(),
                hlc,
                source: "one-stop".to_owned(),
                hash: String::new(),
            };
            let origin = Origin::new("one-stop", &format!("HS-{}", code.chars().count()));
            let linked = Dossier::linked(origin, "one-stop", code, stamp);
            Event::new(
                bench.shared.store.id(),
                "one-stop",
                None,
                bench.now(),
                hlc,
                linked,
                false,
            )
        })
        .collect();
    let mut transaction = bench.shared.store.begin().await.unwrap();
    transaction.put_outbox(&events).await.unwrap();
    transaction.commit().await.unwrap();
    bench.spread().await;
    let counts = bench.shared.store.counts().await.unwrap();
    assert_eq!(counts.dossiers, 2);
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].cause.code, "code-too-long");
}

/// Odd but well-formed JSON: it is judged like any record, kept, and the node goes on.
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
            "refused",
        ),
        (
            "code that no index holds",
            with("MaHoSo", &format!("\"{}\"", noise(5000))),
            200,
            "refused",
        ),
        (
            "the longest code",
            with("MaHoSo", &format!("\"{}\"", noise(255))),
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
