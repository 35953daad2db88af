//! Items of a dossier: in their order, after it, once; and what a doubt about one does to the others.

use jiff::SignedDuration;
use lienthong::store::{Delivery, State};
use serde_json::{Value, json};

use crate::support::{Act, MANIFEST, Site, Target, code, until, worked};

on_both_stores! {
    items_are_sent_in_order_once_and_after_their_dossier
    items_of_a_dossier_that_the_target_refused_wait_for_it
}

/// The steps of the work, which the target neither shows nor takes twice.
fn manifest() -> String {
    format!(
        "{MANIFEST}{}",
        r#"[push.step]
after = "dossier"
each = '.progress[]'
record = '{id: $dossier.code, text: $item.note}'
echo = false
create = { path = '/step', body = '.' }
on_doubt = "park"
because = "steps have no id, and the register does not show them"
"#
    )
}

/// What the target was told of one dossier's steps.
fn told(target: &Target, n: u32) -> Vec<String> {
    let steps = target.steps();
    let of = steps.iter().filter(|step| step["id"] == json!(code(n)));
    of.map(|step| step["text"].as_str().unwrap().to_owned()).collect()
}

fn second_of(n: u32) -> impl Fn(&Value) -> bool + Send + 'static {
    move |body| body["id"] == json!(code(n)) && body["text"] == "bước 2"
}

fn applied(row: &Delivery) -> bool {
    row.state == State::Applied
}

async fn items_are_sent_in_order_once_and_after_their_dossier() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &manifest(), &target.url)]).await;
    site.tell(&worked(1, 3)).await;
    site.row(&code(1), "book", 3, applied).await;
    assert_eq!(target.paths(), ["/find", "/create", "/step", "/step", "/step"]);
    assert_eq!(told(&target, 1), ["bước 1", "bước 2", "bước 3"]);

    site.tell(&worked(1, 5)).await;
    site.row(&code(1), "book", 5, applied).await;
    assert_eq!(
        told(&target, 1),
        ["bước 1", "bước 2", "bước 3", "bước 4", "bước 5"]
    );
    site.stop().await;
}

async fn items_of_a_dossier_that_the_target_refused_wait_for_it() {
    let target = Target::start().await;
    target.next(
        "/create",
        Act::Answer(200, vec![], json!({"code": "17", "message": "chưa được"})),
    );
    let site = Site::start(&[("book", &manifest(), &target.url)]).await;
    site.tell(&worked(1, 2)).await;
    site.delivery(&code(1), "book", |row| matches!(row.state, State::Parked { .. }))
        .await;
    let after = State::Waiting {
        requirement: "after dossier".to_owned(),
        until: None,
    };
    until("the steps wait", async || {
        let rows = site.deliveries(&code(1), "book").await;
        rows.iter()
            .any(|row| row.push == "step" && row.state == after)
            .then_some(())
    })
    .await;
    assert!(target.steps().is_empty());
    site.tell(&worked(1, 3)).await;
    site.row(&code(1), "book", 3, applied).await;
    assert_eq!(told(&target, 1), ["bước 1", "bước 2", "bước 3"]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn item_that_backs_off_holds_back_later_ones_of_its_dossier_only() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &manifest(), &target.url)]).await;
    target.rule(
        "/step",
        1,
        second_of(1),
        Act::Answer(429, vec![("retry-after", "600")], json!({})),
    );
    site.tell(&worked(1, 4)).await;
    let sick = site
        .row(&code(1), "book", 2, |row| {
            matches!(row.state, State::BackingOff { .. })
        })
        .await;
    assert_eq!(
        sick.state,
        State::BackingOff {
            next: site.now() + SignedDuration::from_secs(600)
        }
    );

    // another dossier goes on, and so does this one itself
    site.tell(&worked(2, 3)).await;
    site.row(&code(2), "book", 3, applied).await;
    let mut newer = worked(1, 5);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    site.tell(&newer).await;
    site.row(&code(1), "book", 5, |row| row.state == State::Due).await;
    site.arrived(&code(1), "book").await;
    assert_eq!(target.records()[0]["summary"], "Cấp lại");
    assert_eq!(told(&target, 1), ["bước 1"], "later steps wait");

    site.advance(600);
    site.row(&code(1), "book", 5, applied).await;
    assert_eq!(
        told(&target, 1),
        ["bước 1", "bước 2", "bước 3", "bước 4", "bước 5"]
    );
    assert_eq!(told(&target, 2), ["bước 1", "bước 2", "bước 3"]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn item_in_doubt_that_nobody_can_ask_about_is_left_to_a_person() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &manifest(), &target.url)]).await;
    target.rule("/step", 1, second_of(1), Act::DoAndCut);
    site.tell(&worked(1, 2)).await;
    let settle = site.now() + SignedDuration::from_secs(90);
    site.row(&code(1), "book", 2, |row| {
        row.state == State::InDoubt { until: settle }
    })
    .await;
    site.advance(90);
    let parked = site
        .row(&code(1), "book", 2, |row| {
            matches!(row.state, State::Parked { .. })
        })
        .await;
    let State::Parked { cause, held } = &parked.state else {
        unreachable!()
    };
    assert_eq!((cause.code.as_str(), *held), ("in-doubt-no-find", true));
    assert!(cause.remedy.is_some());

    // a newer version sends what is new, and leaves this one to the person
    site.tell(&worked(1, 3)).await;
    site.row(&code(1), "book", 3, applied).await;
    let still = site.row(&code(1), "book", 2, |_| true).await;
    assert_eq!(still.state, parked.state);
    assert_eq!(
        told(&target, 1),
        ["bước 1", "bước 2", "bước 3"],
        "never a second time"
    );
    site.stop().await;
}
