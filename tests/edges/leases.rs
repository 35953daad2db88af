//! Who committed an intent makes its call and writes its outcome, in time or not at all.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::SignedDuration;
use lienthong::store::{Delivery, Outcome, Presence, State};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::{Act, Bench, MANIFEST, Target, Watch, code, contents, row};

/// A register that reports what it is sent.
fn reporting() -> String {
    let manifest = MANIFEST.replace("echo = false", "echo = '{dossier: .id, summary: .summary}'");
    format!(
        "{manifest}{}",
        r#"[webhook.report]
path = "/hooks/book"
verify = 'true'
map = '.'
"#
    )
}

/// A bench with dossier 1, on a clock that is watched; the register was asked and has none.
async fn looked(manifest: &str, target: &Target) -> (Bench, Arc<Watch>) {
    let bench = Bench::open(&[("book", manifest, &target.url)]).await;
    let watch = Watch::new(bench.clock());
    let bench = bench
        .reopen_on(Arc::<Watch>::clone(&watch) as Arc<dyn lienthong::clock::Clock>)
        .await;
    bench.tell(&row(1)).await;
    bench.step("book").await;
    let row = one(&bench).await;
    assert_eq!((row.presence, row.attempt), (Presence::Absent, 0));
    (bench, watch)
}

async fn one(bench: &Bench) -> Delivery {
    bench.row(&code(1), "book", "dossier").await
}

#[tokio::test(flavor = "multi_thread")]
async fn call_whose_process_slept_beyond_its_time_out_is_not_made() {
    let target = Target::start().await;
    let (bench, watch) = looked(MANIFEST, &target).await;
    let id = bench.dossier(&code(1)).await.id;
    watch.when_intended(&bench.shared, id, |clock| {
        clock.advance(SignedDuration::from_secs(21));
    });
    bench.step("book").await;
    assert_eq!(target.paths(), ["/find"], "by now somebody else may be at it");
    let slept = one(&bench).await;
    assert!(matches!(slept.state, State::BackingOff { .. }), "{slept:?}");
    assert_eq!((slept.attempt, slept.failures, slept.intent), (1, 1, None));

    bench.advance(60);
    bench.work("book").await;
    assert_eq!(target.paths(), ["/find", "/find", "/create"]);
    assert_eq!(one(&bench).await.state, State::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn call_within_its_time_is_made() {
    let target = Target::start().await;
    let (bench, watch) = looked(MANIFEST, &target).await;
    let id = bench.dossier(&code(1)).await.id;
    watch.when_intended(&bench.shared, id, |clock| {
        clock.advance(SignedDuration::from_secs(20));
    });
    bench.step("book").await;
    assert_eq!(target.paths(), ["/find", "/create"]);
    assert_eq!(one(&bench).await.applied, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_dies_between_intent_and_call_leaves_a_doubt_and_the_call_is_made_once() {
    let target = Target::start().await;
    let (bench, watch) = looked(MANIFEST, &target).await;
    let id = bench.dossier(&code(1)).await.id;
    watch.when_intended(&bench.shared, id, |_| resume_unwind(Box::new("it dies")));
    let deliver = bench.deliver("book");
    let died = AssertUnwindSafe(deliver.step()).catch_unwind().await;
    assert!(died.is_err(), "the step came to its end");
    drop((deliver, watch));
    let bench = bench.reopen(|_| {}).await;
    assert_eq!(target.paths(), ["/find"], "nothing has left");
    let doubt = one(&bench).await;
    let until = bench.now() + SignedDuration::from_secs(4 * 20 + 90);
    assert_eq!(
        (doubt.state, doubt.attempt),
        (State::InDoubt { until }, 1),
        "nobody knows that"
    );
    assert_eq!(bench.work("book").await, Some(until));
    bench.advance(4 * 20 + 90);
    bench.work("book").await;
    assert_eq!(target.paths(), ["/find", "/find", "/create"]);
    assert_eq!(one(&bench).await.state, State::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcome_of_a_row_that_somebody_else_has_taken_changes_nothing() {
    let target = Target::start().await;
    let (bench, _) = looked(&reporting(), &target).await;
    let barrier = Arc::new(Barrier::new(2));
    target.next("/create", Act::DoAndHold(Arc::clone(&barrier)));
    let deliver = bench.deliver("book");
    let mut step = pin!(deliver.step());
    tokio::select! {
        _ = &mut step => panic!("the answer is held back"),
        () = target.called("/create", 1) => {}
    }
    // another process has read the row when its time was over, and goes on with it
    let row = one(&bench).await;
    let taken = Outcome {
        intended: false,
        fence: row.attempt,
        version: row.desired,
        row: Delivery {
            attempt: row.attempt + 1,
            holder: Some("another".to_owned()),
            intent: Some("another".to_owned()),
            ..row
        },
    };
    let mut transaction = bench.shared.store.begin().await.unwrap();
    let written = transaction.save(&[taken], bench.now()).await.unwrap();
    assert_eq!(written.len(), 1);
    transaction.commit().await.unwrap();
    let before = contents(&bench.file()).await;

    let (worked, _) = tokio::join!(&mut step, barrier.wait());
    worked.unwrap();
    let after = contents(&bench.file()).await;
    for table in ["delivery", "shadow"] {
        assert_eq!(after[table], before[table], "{table}");
    }
    assert_eq!(target.records().len(), 1);
    assert_eq!(json!(one(&bench).await.holder), "another");
}
