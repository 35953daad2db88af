//! Calls whose end nobody saw: nothing more is said until a late commit would show, then the target is asked.

use jiff::SignedDuration;
use lienthong::store::{Delivery, Presence, State};
use serde_json::json;

use crate::support::{Act, MANIFEST, Site, Target, code, row};

on_both_stores! {
    error_500_after_the_commit_is_settled_by_a_look_up
    answer_that_breaks_off_is_settled_by_a_look_up
    answer_that_never_comes_is_settled_by_a_look_up
    unreadable_answer_is_settled_by_a_look_up
    create_that_never_arrived_is_made_after_the_doubt_and_once
    look_up_that_breaks_off_puts_nothing_in_doubt
    update_in_doubt_is_never_followed_by_an_older_state
}

fn in_doubt(row: &Delivery) -> bool {
    // an intent before the call leaves is a doubt too, but its end is later
    matches!(row.state, State::InDoubt { .. })
}

/// Settles a doubt: at `settle` after the unclear end, and not before.
async fn settles(site: &Site, target: &Target) {
    let settle = site.steady() + SignedDuration::from_secs(90);
    let doubt = site
        .delivery(&code(1), "book", |row| {
            row.state == State::InDoubt { until: settle }
        })
        .await;
    assert_eq!((doubt.attempt, doubt.failures), (1, 0));
    assert!(doubt.holder.is_some());
    assert_eq!(target.paths(), ["/find", "/create"]);

    // a newer version has to wait as well; other dossiers need not
    site.advance(89);
    let mut newer = row(1);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    newer["NgayCapNhat"] = json!("20260305083100");
    site.learn(&newer).await;
    site.tell(&row(2)).await;
    site.arrived(&code(2), "book").await;
    let about = |call: &crate::support::Call| call.body["id"] == json!(code(1));
    let all = || {
        ["/find", "/create", "/update"]
            .map(|path| target.calls(path).iter().filter(|call| about(call)).count())
    };
    assert_eq!(all(), [1, 1, 0], "nothing is asked or said about it meanwhile");

    site.advance(1);
    let row = site.arrived(&code(1), "book").await;
    assert_eq!(row.presence, Presence::Present);
    assert_eq!(all(), [2, 1, 1], "asked, found, brought up to date");
    assert_eq!(target.counts()[&code(1)], 1);
    assert_eq!(target.records()[0]["summary"], "Cấp lại");
    let known = site.store().find_replica(&code(1)).await.unwrap().unwrap();
    assert_eq!(known.dossier.keys_for("book"), [code(1)], "linked");
}

async fn error_500_after_the_commit_is_settled_by_a_look_up() {
    let target = Target::start().await;
    target.next("/create", Act::DoAndAnswer(500, json!({"message": "lỗi"})));
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    settles(&site, &target).await;
    site.stop().await;
}

async fn answer_that_breaks_off_is_settled_by_a_look_up() {
    let target = Target::start().await;
    target.next("/create", Act::DoAndCut);
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    settles(&site, &target).await;
    site.stop().await;
}

async fn answer_that_never_comes_is_settled_by_a_look_up() {
    let target = Target::start().await;
    target.next("/create", Act::DoAndHang);
    // the client's patience is real time, the rest is the test's clock
    let manifest = MANIFEST.replace("timeout = \"20s\"", "timeout = \"300ms\"");
    let site = Site::start(&[("book", &manifest, &target.url)]).await;
    site.tell(&row(1)).await;
    settles(&site, &target).await;
    site.stop().await;
}

async fn unreadable_answer_is_settled_by_a_look_up() {
    let target = Target::start().await;
    target.next("/create", Act::DoAndAnswer(200, json!("not an object")));
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    settles(&site, &target).await;
    site.stop().await;
}

async fn create_that_never_arrived_is_made_after_the_doubt_and_once() {
    let target = Target::start().await;
    target.next(
        "/create",
        Act::Answer(502, vec![], json!({"message": "bad gateway"})),
    );
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    site.delivery(&code(1), "book", in_doubt).await;
    target.called("/create", 1).await;
    site.delivery(&code(1), "book", |row| {
        row.state
            == State::InDoubt {
                until: site.steady() + SignedDuration::from_secs(90),
            }
    })
    .await;
    site.advance(90);
    site.arrived(&code(1), "book").await;
    assert_eq!(target.paths(), ["/find", "/create", "/find", "/create"]);
    assert_eq!(target.counts(), [(code(1), 1)].into());
    site.stop().await;
}

async fn look_up_that_breaks_off_puts_nothing_in_doubt() {
    let target = Target::start().await;
    target.next("/find", Act::DoAndCut);
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    let row = site
        .delivery(&code(1), "book", |row| {
            matches!(row.state, State::BackingOff { .. })
        })
        .await;
    assert_eq!(row.attempt, 0);
    site.advance(60);
    site.arrived(&code(1), "book").await;
    assert_eq!(target.paths(), ["/find", "/find", "/create"]);
    site.stop().await;
}

async fn update_in_doubt_is_never_followed_by_an_older_state() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    site.arrived(&code(1), "book").await;
    let version = |text: &str, time: &str| {
        let mut row = row(1);
        row["TrichYeuHoSo"] = json!(text);
        row["NgayCapNhat"] = json!(time);
        row
    };
    target.next("/update", Act::DoAndAnswer(500, json!({})));
    site.tell(&version("hai", "20260305083200")).await;
    target.called("/update", 1).await;
    site.delivery(&code(1), "book", |row| {
        row.state
            == State::InDoubt {
                until: site.steady() + SignedDuration::from_secs(90),
            }
    })
    .await;
    // late news of an older state, then newer ones
    site.tell(&version("một", "20260305083100")).await;
    site.learn(&version("ba", "20260305083300")).await;
    site.advance(90);
    site.arrived(&code(1), "book").await;
    let said: Vec<_> = target
        .calls("/update")
        .iter()
        .map(|call| call.body["summary"].clone())
        .collect();
    assert_eq!(said, ["hai", "ba"]);
    assert_eq!(target.calls("/create").len(), 1);
    site.stop().await;
}
