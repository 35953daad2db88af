//! Stored deadlines: what a person or a time server does to the wall clock neither hastens nor delays them.

use jiff::SignedDuration;
use lienthong::store::State;
use serde_json::json;

use crate::support::{Act, MANIFEST, Site, Target, code, post, row};

on_both_stores! {
    doubt_lasts_its_time_whichever_way_the_wall_clock_is_turned
    doubt_counts_its_full_length_again_after_the_machine_was_started_anew
    node_whose_clock_was_set_back_takes_nothing_in_until_it_is_right
}

/// A node whose create of dossier 1 has ended unclear a moment ago.
async fn doubtful(target: &Target) -> Site {
    target.next("/create", Act::DoAndAnswer(500, json!({})));
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    let settle = site.steady() + SignedDuration::from_secs(90);
    site.delivery(&code(1), "book", |row| {
        row.state == State::InDoubt { until: settle }
    })
    .await;
    site
}

/// Nothing is asked while others go on, and a moment later it is.
async fn settles_in_a_moment(site: &Site, target: &Target) {
    site.tell(&row(2)).await;
    site.arrived(&code(2), "book").await;
    let about = |call: &&crate::support::Call| call.body["id"] == json!(code(1));
    assert_eq!(target.calls("/find").iter().filter(about).count(), 1, "too early");
    site.advance(1);
    site.arrived(&code(1), "book").await;
    assert_eq!(target.counts()[&code(1)], 1);
}

async fn doubt_lasts_its_time_whichever_way_the_wall_clock_is_turned() {
    for turned in [-240, 240] {
        let target = Target::start().await;
        let site = doubtful(&target).await;
        site.turn(turned);
        site.advance(89);
        settles_in_a_moment(&site, &target).await;
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doubt_goes_on_over_a_restart_of_the_process_with_another_wall_clock() {
    let target = Target::start().await;
    let site = doubtful(&target).await;
    site.advance(60);
    let site = site
        .restart(|clock, _| {
            clock.set("2031-01-01T00:00:00Z".parse().unwrap());
            clock.advance(SignedDuration::from_secs(29));
        })
        .await;
    settles_in_a_moment(&site, &target).await;
    site.stop().await;
}

async fn doubt_counts_its_full_length_again_after_the_machine_was_started_anew() {
    let target = Target::start().await;
    let site = doubtful(&target).await;
    site.advance(60);
    let site = site
        .restart(|clock, _| {
            clock.advance(SignedDuration::from_hours(5));
            clock.reboot();
        })
        .await;
    site.advance(89);
    settles_in_a_moment(&site, &target).await;
    site.stop().await;
}

async fn node_whose_clock_was_set_back_takes_nothing_in_until_it_is_right() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    site.arrived(&code(1), "book").await;
    site.turn(-3600);
    let (status, answer) = post(&site.hook("/hooks/one-stop"), &row(2)).await;
    assert_eq!((status, &answer["maLoi"]), (503, &json!("come-again")));
    assert!(site.store().find_replica(&code(2)).await.unwrap().is_none());
    site.turn(3600);
    site.tell(&row(2)).await;
    site.arrived(&code(2), "book").await;
    site.stop().await;
}
