//! A host that says 404 to everything for a while, as proxies do while the system behind them is taken down and put up
//! again. It is no word of the system: nothing is there or not there, taken or refused because of it.

use lienthong::store::{Delivery, State};
use serde_json::{Value, json};

use crate::support::{Act, MANIFEST, Site, Target, cli, code, until, worked};

on_both_stores! {
    host_that_says_404_to_everything_for_a_while_is_told_everything_once_when_it_is_back
    look_up_that_a_proxy_answered_404_is_not_taken_for_not_there
    host_whose_404_the_manifest_calls_a_refusal_leaves_dead_letters_that_arrive_once_when_retried
}

const PATHS: [&str; 4] = ["/find", "/create", "/update", "/step"];

/// A book with steps of the work, which it neither shows nor takes twice; `answer` is what its manifest says of answers
/// beside the rest.
fn manifest(answer: &str) -> String {
    let (head, push) = MANIFEST.split_once("answer = [").unwrap();
    format!(
        "{head}answer = [{answer}{push}{}",
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

/// What a gateway of the province says when it has no route.
fn no_route() -> Act {
    Act::Answer(
        404,
        vec![],
        json!({"code": 404, "message": "No matching resource found"}),
    )
}

/// The record that the target has of dossier `n`.
fn record(n: u32) -> Value {
    json!({"id": code(n), "name": format!("Vũ Thị Thử {n}"), "status": "x", "summary": "gõ tay"})
}

fn is_applied(row: &Delivery) -> bool {
    row.state == State::Applied && (!row.item.is_empty() || row.applied == Some(row.desired))
}

/// What the host did, and on which store.
async fn tell(site: &Site, what: &str) {
    let status = cli(site.socket(), &["status"]).await;
    let name = |service: &str| status[service].as_str().unwrap().to_owned();
    crate::stores::tell(&format!("{} · {}: {what}", name("store"), name("broker")));
}

async fn letters(site: &Site) -> Vec<Value> {
    let letters = cli(site.socket(), &["dead-letter", "list"]).await;
    letters.as_array().unwrap().clone()
}

/// Time goes on until each of these dossiers has arrived whole.
async fn arrived(site: &Site, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        until("it arrives", async || {
            site.advance(60);
            let rows = site.deliveries(&code(n), "book").await;
            (rows.len() > 2 && rows.iter().all(is_applied)).then_some(())
        })
        .await;
    }
}

async fn host_that_says_404_to_everything_for_a_while_is_told_everything_once_when_it_is_back() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &manifest(""), &target.url)]).await;
    // 1 is known, 2 is in doubt, 3 was typed in by a clerk, 4 is new.
    site.tell(&worked(1, 1)).await;
    site.row(&code(1), "book", 1, is_applied).await;
    target.next("/create", Act::DoAndCut);
    site.tell(&worked(2, 2)).await;
    site.delivery(&code(2), "book", |row| matches!(row.state, State::InDoubt { .. }))
        .await;
    target.type_in(record(3));
    for path in PATHS {
        target.rule(path, usize::MAX, |_| true, no_route());
    }
    let before = target.paths().len();
    let mut changed = worked(1, 2);
    changed["TrichYeuHoSo"] = json!("Đã sửa");
    for row in [&changed, &worked(3, 2), &worked(4, 2)] {
        site.tell(row).await;
    }
    let bitten = until("all of them were sent away again and again", async || {
        site.advance(60);
        let about = |n: u32| {
            let calls = PATHS.iter().flat_map(|path| target.calls(path));
            calls.filter(|call| call.body["id"] == json!(code(n))).count()
        };
        ((1..=4).all(|n| about(n) > 5)).then(|| target.paths().len() - before)
    })
    .await;
    assert!(letters(&site).await.is_empty(), "nobody is needed");

    target.relent();
    arrived(&site, 1..=4).await;
    let once = (1..=4).map(|n| (code(n), 1)).collect();
    assert_eq!(target.counts(), once, "no look-up was taken for \"not there\"");
    assert_eq!(target.steps().len(), 8);
    let first = target
        .records()
        .into_iter()
        .find(|record| record["id"] == json!(code(1)));
    assert_eq!(first.unwrap()["summary"], "Đã sửa");
    assert!(letters(&site).await.is_empty());
    tell(&site, &format!("{bitten} calls answered with 404 by the host")).await;
    site.stop().await;
}

/// How many records the target has of a dossier whose create is in doubt, and of one that a clerk had typed in, where a proxy
/// answers so many look-ups: the old instance is gone, the new one takes the other calls.
async fn records_after_look_ups_into_nothing(answer: &str, times: usize) -> [usize; 2] {
    let target = Target::start().await;
    let site = Site::start(&[("book", &manifest(answer), &target.url)]).await;
    target.next("/create", Act::DoAndCut);
    site.tell(&worked(1, 2)).await;
    site.delivery(&code(1), "book", |row| matches!(row.state, State::InDoubt { .. }))
        .await;
    target.type_in(record(2));
    let before = target.calls("/find").len();
    target.rule("/find", times, |_| true, no_route());
    site.tell(&worked(2, 2)).await;
    arrived(&site, 1..=2).await;
    let asked = target.calls("/find").len() - before;
    assert!(asked >= 2, "void: {asked} look-ups");
    tell(&site, &format!("{asked} look-ups, a proxy before them")).await;
    let counts = target.counts();
    site.stop().await;
    [counts[&code(1)], counts[&code(2)]]
}

async fn look_up_that_a_proxy_answered_404_is_not_taken_for_not_there() {
    assert_eq!(records_after_look_ups_into_nothing("", 6).await, [1, 1]);
    // the control: a manifest that takes it for the system's word
    let believing = "{ when = '$http.status == 404', is = \"missing\" }, ";
    assert_eq!(
        records_after_look_ups_into_nothing(believing, usize::MAX).await,
        [2, 2]
    );
}

async fn host_whose_404_the_manifest_calls_a_refusal_leaves_dead_letters_that_arrive_once_when_retried() {
    const DOSSIERS: u32 = 3;
    let target = Target::start().await;
    let refusing = "{ when = '$http.status == 404', is = \"refused\" }, ";
    let site = Site::start(&[("book", &manifest(refusing), &target.url)]).await;
    for path in PATHS {
        target.rule(path, usize::MAX, |_| true, no_route());
    }
    for n in 1..=DOSSIERS {
        site.tell(&worked(n, 2)).await;
    }
    let refused = until("each is a dead letter", async || {
        let letters = letters(&site).await;
        (letters.len() == DOSSIERS as usize).then_some(letters)
    })
    .await;
    assert_eq!(target.records(), [] as [Value; 0]);
    tell(
        &site,
        &format!("{} dossiers refused with 404 by the host", refused.len()),
    )
    .await;
    target.relent();
    for letter in refused {
        assert_eq!(letter["cause"]["code"], "refused-by-target");
        let id = letter["id"].as_str().unwrap();
        cli(
            site.socket(),
            &["dead-letter", "retry", id, "--by", "cán bộ trực"],
        )
        .await;
    }
    arrived(&site, 1..=DOSSIERS).await;
    let once = (1..=DOSSIERS).map(|n| (code(n), 1)).collect();
    assert_eq!(target.counts(), once);
    assert_eq!(target.steps().len(), 2 * DOSSIERS as usize);
    site.stop().await;
}
