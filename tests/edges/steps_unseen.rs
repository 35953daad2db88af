//! A target that takes actions and cannot be asked: what it has acknowledged is all that is known of it.

use jiff::SignedDuration;
use lienthong::store::{Delivery, State};
use serde_json::json;

use crate::steps::{ACTIONS, MANIFEST, at, office, stands, told};
use crate::support::{Act, Bench, Target, code};

on_both_stores! {
    state_is_that_of_the_last_action_which_was_acknowledged
    action_in_doubt_is_left_to_a_person_where_nothing_else_is_declared
    action_in_doubt_that_may_be_resent_is_resent_and_the_next_one_follows
    action_in_doubt_that_does_what_it_does_once_is_repeated_whatever_is_declared
    action_in_doubt_that_is_to_be_skipped_is_taken_as_done
    action_that_a_person_has_not_found_is_taken_again
}

/// The office without its look-up; `doubt` says what becomes of an action whose end nobody saw.
async fn bench(target: &Target, doubt: &str, idempotent: bool) -> Bench {
    office(target);
    let (head, rest) = MANIFEST.split_once("find =").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    let actions = ACTIONS.replace("{no: $remote} + .", ".");
    let actions = if idempotent {
        actions.replace("body = '.'", "body = '.', idempotent = true")
    } else {
        actions
    };
    let manifest = format!("{head}{}{doubt}{actions}", rest.replace("'.state'", "'.to'"));
    Bench::open(&[("office", &manifest, &target.url)]).await
}

async fn one(bench: &Bench) -> Delivery {
    bench.row(&code(1), "office", "status").await
}

fn declared(word: &str) -> String {
    format!("on_doubt = \"{word}\"\nbecause = \"bài thử\"\n")
}

/// The first action ends unclear, and its settle time passes.
async fn doubted(target: &Target, end: Act, doubt: &str, idempotent: bool) -> Bench {
    let bench = bench(target, doubt, idempotent).await;
    target.next("/act", end);
    bench.tell(&at(4, 0)).await;
    let settle = bench.now() + SignedDuration::from_secs(90);
    assert_eq!(bench.work("office").await, Some(settle));
    bench.advance(90);
    bench
}

async fn state_is_that_of_the_last_action_which_was_acknowledged() {
    let target = Target::start().await;
    let bench = bench(&target, "", false).await;
    bench.tell(&at(9, 0)).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted", "in_progress", "completed"]);
    let row = one(&bench).await;
    assert_eq!(
        (row.state, row.attempt, row.target_state),
        (State::Applied, 3, Some(json!("completed")))
    );
    let mut corrected = at(9, 1);
    corrected["TrichYeuHoSo"] = json!("Cấp lại");
    bench.tell(&corrected).await;
    bench.work("office").await;
    let bench = bench.reopen(|_| {}).await;
    bench.tell(&at(10, 10)).await;
    bench.work("office").await;
    assert_eq!(told(&target)[3..], ["returned"]);
    assert_eq!(target.paths(), ["/act"; 4]);
}

async fn action_in_doubt_is_left_to_a_person_where_nothing_else_is_declared() {
    for doubt in [String::new(), declared("park")] {
        let target = Target::start().await;
        let bench = doubted(&target, Act::DoAndCut, &doubt, false).await;
        bench.work("office").await;
        let parked = bench.parked(&code(1), "office", "status").await;
        assert_eq!(parked, [(0, "in-doubt-no-find".to_owned())]);
        assert!(matches!(
            one(&bench).await.state,
            State::Parked { held: true, .. }
        ));
        bench.tell(&at(9, 10)).await;
        bench.work("office").await;
        assert_eq!(told(&target), ["accepted"]);
    }
}

async fn action_in_doubt_that_may_be_resent_is_resent_and_the_next_one_follows() {
    let target = Target::start().await;
    let bench = doubted(
        &target,
        Act::Answer(502, vec![], json!({})),
        &declared("resend"),
        false,
    )
    .await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted", "accepted", "in_progress"]);
    assert_eq!(stands(&target), "in_progress");
    assert_eq!(one(&bench).await.state, State::Applied);
}

async fn action_in_doubt_that_does_what_it_does_once_is_repeated_whatever_is_declared() {
    let target = Target::start().await;
    let bench = doubted(&target, Act::Answer(502, vec![], json!({})), "", true).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted", "accepted", "in_progress"]);
    assert_eq!(one(&bench).await.state, State::Applied);
}

async fn action_in_doubt_that_is_to_be_skipped_is_taken_as_done() {
    let target = Target::start().await;
    let bench = doubted(&target, Act::DoAndCut, &declared("skip"), false).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted", "in_progress"]);
    let row = one(&bench).await;
    assert_eq!(
        (row.state, row.intent, row.target_state),
        (State::Applied, None, Some(json!("in_progress")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn action_in_doubt_that_is_no_longer_the_next_one_is_never_taken_for_another() {
    let other_way = |manifest: &std::path::Path| {
        // by now another way leads on from where the office was last known to stand
        let file = manifest.join("office/adapter.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("[\"accepted\", \"in_progress\"", "[\"in_progress\", \"accepted\"");
        std::fs::write(file, text).unwrap();
    };
    let target = Target::start().await;
    let bench = doubted(&target, Act::DoAndCut, &declared("skip"), false).await;
    let bench = bench.reopen(other_way).await;
    bench.work("office").await;
    let parked = bench.parked(&code(1), "office", "status").await;
    assert_eq!(parked, [(0, "in-doubt-no-find".to_owned())]);
    assert_eq!(told(&target), ["accepted"]);
}

async fn action_that_a_person_has_not_found_is_taken_again() {
    let target = Target::start().await;
    let bench = doubted(&target, Act::Answer(502, vec![], json!({})), "", false).await;
    bench.work("office").await;
    assert_eq!(bench.parked(&code(1), "office", "status").await.len(), 1);
    bench.retry(&one(&bench).await).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted", "accepted", "in_progress"]);
    let row = one(&bench).await;
    assert_eq!((row.state, row.intent), (State::Applied, None));
}
