//! The webhook's door: what is turned away leaves no trace, and nothing that comes in brings the house down.

use std::collections::BTreeMap;

use lienthong::store::{Delivery, State};
use serde_json::{Value, json};

use crate::support::{SECRET, Site, client, code, contents, post, row, sign, until};

/// The one-stop's limit: 10 MiB unless its manifest says otherwise.
const LIMIT: usize = 10 << 20;

/// Everything that is kept. Where a pull stands and the clock's reading are no part of any record.
async fn kept(site: &Site) -> BTreeMap<String, String> {
    let mut contents = contents(&site.file()).await;
    assert!(contents.contains_key("inbox") && contents.contains_key("outbox"));
    contents.remove("cursor");
    contents.remove("meta");
    contents
}

async fn send(site: &Site, signature: Option<String>, body: Vec<u8>) -> (u16, Value) {
    let mut request = client().post(site.hook("/hooks/one-stop")).body(body);
    if let Some(signature) = signature {
        request = request.header("x-signature", signature);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A good record goes the whole way to the replica.
async fn takes_a_good_record(site: &Site, n: u32) {
    site.learn(&row(n)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_bodies_leave_no_trace() {
    let site = Site::start(&[]).await;
    takes_a_good_record(&site, 1).await;
    site.quiet().await;
    // Nobody else has spoken of it, so nothing is sent back to where it came from.
    until("nothing is to be done at the one-stop", async || {
        let rows = site.deliveries(&code(1), "one-stop").await;
        let stays = |row: &Delivery| matches!(row.state, State::Skipped { .. });
        (!rows.is_empty() && rows.iter().all(stays)).then_some(())
    })
    .await;
    let before = kept(&site).await;
    assert!(
        before["inbox"].contains(&code(1)),
        "the look at the store sees records"
    );

    let good = row(2).to_string().into_bytes();
    let cut = good[..good.len() - 1].to_vec();
    let mut not_text = good.clone();
    let name = not_text
        .windows(3)
        .position(|three| three == b"V\xc5\xa9")
        .unwrap();
    not_text[name + 2] = 0xff;
    let mut double_coded = good.clone();
    double_coded.extend_from_slice(&good);
    let signed = |body: &[u8]| Some(sign(SECRET, body));
    let mark = {
        let mut body = b"\xef\xbb\xbf".to_vec();
        body.extend_from_slice(&good);
        body
    };
    let large = {
        let mut row = row(2);
        row["TrichYeuHoSo"] = Value::from("x".repeat(LIMIT));
        row.to_string().into_bytes()
    };
    let rows = [
        ("malformed: cut", signed(&cut), cut.clone(), 400, "malformed"),
        (
            "malformed: two records",
            signed(&double_coded),
            double_coded.clone(),
            400,
            "malformed",
        ),
        (
            "malformed: byte order mark",
            signed(&mark),
            mark.clone(),
            400,
            "malformed",
        ),
        ("malformed: nothing", signed(b""), Vec::new(), 400, "malformed"),
        (
            "malformed: blanks",
            signed(b" \n"),
            b" \n".to_vec(),
            400,
            "malformed",
        ),
        (
            "a form",
            signed(b"MaHoSo=1"),
            b"MaHoSo=1".to_vec(),
            400,
            "malformed",
        ),
        ("XML", signed(b"<HoSo/>"), b"<HoSo/>".to_vec(), 400, "malformed"),
        (
            "half a letter",
            signed(br#"{"MaHoSo":"\ud800"}"#),
            br#"{"MaHoSo":"\ud800"}"#.to_vec(),
            400,
            "malformed",
        ),
        // the signature is over text, which this is not
        (
            "not UTF-8",
            signed(&not_text),
            not_text.clone(),
            401,
            "unauthenticated",
        ),
        (
            "not UTF-8, signed as text",
            signed(String::from_utf8_lossy(&not_text).as_bytes()),
            not_text.clone(),
            400,
            "malformed",
        ),
        ("unsigned", None, good.clone(), 401, "unauthenticated"),
        (
            "an empty signature",
            Some(String::new()),
            good.clone(),
            401,
            "unauthenticated",
        ),
        (
            "no signature at all",
            Some("yes".to_owned()),
            good.clone(),
            401,
            "unauthenticated",
        ),
        (
            "signed with another key",
            Some(sign("another", &good)),
            good.clone(),
            401,
            "unauthenticated",
        ),
        (
            "signed with no key",
            Some(sign("", &good)),
            good.clone(),
            401,
            "unauthenticated",
        ),
        (
            "signature of another body",
            signed(row(3).to_string().as_bytes()),
            good.clone(),
            401,
            "unauthenticated",
        ),
        (
            "half a signature",
            signed(&good).map(|mut text| {
                text.truncate(32);
                text
            }),
            good.clone(),
            401,
            "unauthenticated",
        ),
        (
            "malformed and unsigned",
            None,
            cut.clone(),
            401,
            "unauthenticated",
        ),
        ("a byte too long", signed(&large), large.clone(), 413, "too-big"),
        ("too long and unsigned", None, large.clone(), 413, "too-big"),
    ];
    for (what, signature, body, status, word) in rows {
        let (answered, said) = send(&site, signature, body).await;
        assert_eq!(
            (answered, said["maLoi"].as_str()),
            (status, Some(word)),
            "{what}: {said}"
        );
        assert!(
            said["moTa"].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {said}"
        );
        assert_eq!(kept(&site).await, before, "{what}");
    }
    takes_a_good_record(&site, 2).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn body_at_the_limit_is_taken_and_one_far_beyond_it_is_told_so() {
    let site = Site::start(&[]).await;
    let mut full = row(1);
    full["GhiChuNoiBo"] = Value::from("");
    let room = LIMIT - full.to_string().len();
    full["GhiChuNoiBo"] = Value::from("x".repeat(room));
    let body = full.to_string().into_bytes();
    assert_eq!(body.len(), LIMIT);
    let (status, said) = send(&site, Some(sign(SECRET, &body)), body).await;
    assert_eq!((status, &said["maLoi"]), (200, &json!("0")), "{said}");

    let far = vec![b' '; 4 * LIMIT];
    let (status, said) = send(&site, None, far).await;
    assert_eq!((status, &said["maLoi"]), (413, &json!("too-big")));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_are_not_there_say_so() {
    let site = Site::start(&[]).await;
    let (http, body) = (client(), row(1).to_string());
    for path in [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/two-stop",
        "/hooks/one-stop/x",
        "/v1/status",
        "/hooks/../etc",
    ] {
        let request = http
            .post(site.hook(path))
            .header("x-signature", sign(SECRET, body.as_bytes()));
        let status = request.body(body.clone()).send().await.unwrap().status();
        assert_eq!(status, 404, "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let request = http.request(method.parse().unwrap(), site.hook("/hooks/one-stop"));
        let status = request.body(body.clone()).send().await.unwrap().status();
        assert_eq!(status, 405, "{method}");
    }
    assert_eq!(kept(&site).await["inbox"], "");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn record_told_twice_at_once_is_one_dossier_with_one_event() {
    let site = Site::start(&[]).await;
    let (url, row) = (site.hook("/hooks/one-stop"), row(1));
    let answers = futures_util::future::join_all((0..16).map(|_| post(&url, &row))).await;
    for (status, said) in answers {
        assert_eq!((status, &said["maLoi"]), (200, &json!("0")));
    }
    site.learn(&row).await;
    let kept = kept(&site).await;
    assert_eq!(kept["journal"].lines().count(), 1);
    assert_eq!(kept["dossier"].lines().count(), 1);
    let counts = site.store().counts().await.unwrap();
    let of = |wanted: &str| {
        counts
            .inbox
            .iter()
            .find(|(_, state, _)| state == wanted)
            .map(|(_, _, n)| *n)
    };
    assert_eq!((of("mapped"), of("ignored")), (Some(1), Some(16)));
    site.stop().await;
}
