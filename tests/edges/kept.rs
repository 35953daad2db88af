//! Records and events that wait, and what releases them.

use lienthong::dossier::Ownership;
use lienthong::store::Counts;
use serde_json::json;

use crate::support::{MANIFEST, OFFICE, Site, Target, desk, patch, until};

on_both_stores! {
    orphan_is_taken_when_a_link_tells_whose_it_is_with_the_time_it_came
    orphan_without_a_link_stays_where_it_is
    event_of_an_unknown_adapter_is_merged_once_the_adapter_is_hosted
    event_of_an_adapter_elsewhere_is_merged_once_the_province_has_agreed_on_it_and_judged_by_that
    event_from_a_clock_that_is_ahead_is_merged_when_ours_has_come_near
    other_content_under_a_known_event_id_is_refused_by_name_and_a_repetition_is_not
}

/// How many records of a system are in a state.
fn count(counts: &Counts, system: &str, state: &str) -> i64 {
    counts
        .inbox
        .iter()
        .filter(|(name, known, _)| name == system && known == state)
        .map(|(_, _, count)| *count)
        .sum()
}

async fn inbox(site: &Site, system: &str, state: &str, expected: i64) {
    until(&format!("{expected} {state} records of {system}"), async || {
        let counts = site.store().counts().await.unwrap();
        (count(&counts, system, state) == expected).then_some(())
    })
    .await;
}

async fn orphan_is_taken_when_a_link_tells_whose_it_is_with_the_time_it_came() {
    let target = Target::start().await;
    let desk = desk();
    let site = Site::start(&[
        ("book", MANIFEST, &target.url),
        ("office", OFFICE, "http://127.0.0.1:9"),
        ("desk", &desk, "http://127.0.0.1:9"),
    ])
    .await;
    let mut orphan = patch("D-7", 1);
    orphan["note"] = json!("từ bàn số bảy");
    orphan.as_object_mut().unwrap().remove("at");
    assert_eq!(site.says("/hooks/desk", &orphan).await, "waiting");
    inbox(&site, "desk", "waiting", 1).await;
    let came = site.now();
    site.advance(3600);

    let mut link = patch("O-1", 1);
    link["links"] = json!({ "desk": "d-7" });
    assert_eq!(site.says("/hooks/office", &link).await, "mapped");
    inbox(&site, "desk", "waiting", 0).await;
    inbox(&site, "desk", "mapped", 1).await;
    let note = until("the orphan's news", async || {
        let replica = site.store().find_replica("O-1").await.unwrap()?;
        replica.dossier.registers.get("note").cloned()
    })
    .await;
    assert_eq!(note.value, json!("từ bàn số bảy"));
    assert!(
        note.stamp.effective <= came,
        "stamped by when it came, not when it was taken"
    );
    site.stop().await;
}

async fn orphan_without_a_link_stays_where_it_is() {
    let desk = desk();
    let site = Site::start(&[
        ("office", OFFICE, "http://127.0.0.1:9"),
        ("desk", &desk, "http://127.0.0.1:9"),
    ])
    .await;
    assert_eq!(site.says("/hooks/desk", &patch("D-7", 1)).await, "waiting");
    let mut link = patch("O-1", 1);
    link["links"] = json!({ "desk": "D-8" });
    site.says("/hooks/office", &link).await;
    until("the link leads there", async || {
        site.store().find_replica("D-8").await.unwrap()
    })
    .await;
    assert_eq!(site.says("/hooks/desk", &patch("D-8", 1)).await, "mapped");
    inbox(&site, "desk", "waiting", 1).await;
    site.stop().await;
}

async fn event_of_an_unknown_adapter_is_merged_once_the_adapter_is_hosted() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    // what another node says of its office reaches this one before its configuration does
    let elsewhere = Site::start(&[("office", OFFICE, "http://127.0.0.1:9")]).await;
    let mut record = patch("O-1", 1);
    record["summary"] = json!("Từ sở");
    elsewhere.says("/hooks/office", &record).await;
    let event = elsewhere.said().await;
    elsewhere.stop().await;
    assert_eq!(site.hear(&event).await, [true], "answered for");
    inbox(&site, "office", "waiting", 1).await;

    let site = site.host("office", OFFICE).await;
    until("the office's dossier", async || {
        let replica = site.store().find_replica("O-1").await.unwrap()?;
        (replica.dossier.register("summary") == Some(&json!("Từ sở"))).then_some(())
    })
    .await;
    inbox(&site, "office", "waiting", 0).await;
    site.stop().await;
}

async fn event_of_an_adapter_elsewhere_is_merged_once_the_province_has_agreed_on_it_and_judged_by_that() {
    let elsewhere = Site::start(&[("office", OFFICE, "http://127.0.0.1:9")]).await;
    elsewhere.says("/hooks/office", &patch("O-1", 1)).await;
    let event = elsewhere.said().await;
    let all = elsewhere.rights("office");
    elsewhere.stop().await;
    let codes_only = Ownership::parse(&json!({"links": "always"})).unwrap();
    for (owns, becomes) in [(all, "mapped"), (codes_only, "refused")] {
        let site = Site::start(&[]).await;
        assert_eq!(site.hear(&event).await, [true], "answered for");
        inbox(&site, "office", "waiting", 1).await;

        let site = site.agree("office", owns).await;
        inbox(&site, "office", "waiting", 0).await;
        inbox(&site, "office", becomes, 1).await;
        let letters = site.store().dead_letters(9).await.unwrap();
        let causes: Vec<&str> = letters.iter().map(|letter| letter.cause.code.as_str()).collect();
        let replica = site.store().find_replica("O-1").await.unwrap();
        assert_eq!(replica.is_some(), becomes == "mapped");
        let expected: &[&str] = if becomes == "refused" { &["not-owner"] } else { &[] };
        assert_eq!(causes, expected);
        site.stop().await;
    }
}

async fn event_from_a_clock_that_is_ahead_is_merged_when_ours_has_come_near() {
    let site = Site::start(&[("office", OFFICE, "http://127.0.0.1:9")]).await;
    site.says("/hooks/office", &patch("O-1", 1)).await;
    let mut early = site.said().await;
    early.id = format!("early-{}", early.id);
    "/elsewhere/office".clone_into(&mut early.source);
    let hour = u64::try_from(jiff::SignedDuration::from_hours(1).as_millis()).unwrap();
    early.hlc.wall_ms += hour;
    assert_eq!(site.hear(&early).await, [true]);
    inbox(&site, "office", "waiting", 1).await;
    site.advance(54 * 60);
    inbox(&site, "office", "waiting", 1).await;
    site.advance(90);
    inbox(&site, "office", "waiting", 0).await;
    site.stop().await;
}

async fn other_content_under_a_known_event_id_is_refused_by_name_and_a_repetition_is_not() {
    let site = Site::start(&[("office", OFFICE, "http://127.0.0.1:9")]).await;
    site.says("/hooks/office", &patch("O-1", 1)).await;
    let event = site.said().await;
    assert_eq!(site.hear(&event).await, [true]);
    let mut other = event.clone();
    "another".clone_into(&mut other.subject);
    assert_eq!(site.hear(&other).await, [true]);
    inbox(&site, "office", "refused", 1).await;
    let letters = site.store().dead_letters(9).await.unwrap();
    assert_eq!(letters[0].cause.code, "event-conflict");
    site.stop().await;
}
