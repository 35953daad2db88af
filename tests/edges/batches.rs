//! Items of one dossier that travel together: each with an end of its own, whatever becomes of the call.

use jiff::SignedDuration;
use lienthong::store::{Presence, State};
use serde_json::{Value, json};

use crate::support::{Act, Bench, MANIFEST, Target, code, worked};

on_both_stores! {
    items_of_a_dossier_travel_together_in_their_order
    mixed_answer_parks_what_it_refuses_and_sends_nothing_else_again
    item_that_is_to_come_again_later_holds_back_those_behind_it_and_nothing_is_doubled
    item_that_was_not_named_is_looked_for_and_sent_if_it_is_not_there
    batch_that_is_refused_whole_is_halved_until_the_bad_item_stands_alone
    batch_that_comes_too_early_comes_again_as_one
}

/// A register that takes several steps of one dossier in a call.
fn manifest(how: &str) -> String {
    format!(
        "{MANIFEST}{}{how}",
        r#"[push.step]
after = "dossier"
each = '.progress[]'
record = '{id: $dossier.code, text: $item.note}'
key = '.text'
echo = false
"#
    )
}

/// The answer judges each of them.
const JUDGED: &str = r"batch = 4
verdicts = '.result[] | {key: .text, is: .is, reason: .reason}'
create = { path = '/steps', body = '{batch: $batch, steps: .}' }
";

/// One answer for all, and the call may be made twice.
const REPEATED: &str = r"batch = 8
create = { path = '/steps', body = '{batch: $batch, steps: .}', idempotent = true }
";

/// The register can be asked about each of them.
const SHOWN: &str = r"batch = 4
verdicts = '.result[] | {key: .text, is: .is, reason: .reason}'
find = { path = '/shown', body = '{text: $key}', records = '.result[]' }
same_when = '.id == $record.id and .text == $record.text'
create = { path = '/steps', body = '{batch: $batch, steps: .}' }
";

fn text(step: usize) -> String {
    format!("bước {step}")
}

fn texts(steps: &Value) -> Vec<String> {
    let steps = steps.as_array().unwrap().iter();
    steps
        .map(|step| step["text"].as_str().unwrap().to_owned())
        .collect()
}

/// What the target was sent, call by call.
fn sent(target: &Target) -> Vec<Vec<String>> {
    let calls = target.calls("/steps");
    calls.iter().map(|call| texts(&call.body["steps"])).collect()
}

/// What the target keeps.
fn kept(target: &Target) -> Vec<String> {
    let mut kept = texts(&target.records().into());
    kept.sort();
    kept
}

/// Steps with these numbers.
fn steps(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(text).collect()
}

/// A register that says of each step what `judge` says: `done`, another word, or nothing. It keeps what is done, twice if
/// it is sent twice.
fn judging(target: &Target, judge: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) {
    target.serve("/steps", move |records, body| {
        let mut result = Vec::new();
        for step in body["steps"].as_array().unwrap() {
            let text = step["text"].as_str().unwrap();
            match judge(text) {
                Some("done") => {
                    records.push(step.clone());
                    result.push(json!({"text": text, "is": "done"}));
                }
                Some(word) => {
                    result.push(json!({"text": text, "is": word, "reason": format!("{text} thiếu ngày")}));
                }
                None => {}
            }
        }
        (200, json!({"code": "0", "result": result}))
    });
    target.serve("/shown", |records, body| {
        let found: Vec<&Value> = records
            .iter()
            .filter(|record| record["text"] == body["text"])
            .collect();
        (200, json!({"code": "0", "result": found}))
    });
    // the dossier itself is none of what is counted here
    for path in ["/find", "/create", "/update"] {
        target.serve(path, |_, _| (200, json!({"code": "0", "result": []})));
    }
}

async fn bench(target: &Target, how: &str) -> Bench {
    let manifest = manifest(how);
    Bench::open(&[("book", &manifest, &target.url)]).await
}

async fn items_of_a_dossier_travel_together_in_their_order() {
    let target = Target::start().await;
    judging(&target, |_| Some("done"));
    let bench = bench(&target, JUDGED).await;
    bench.tell(&worked(1, 6)).await;
    bench.work("book").await;
    assert_eq!(sent(&target), [steps(1..=4), steps(5..=6)]);
    let batches: Vec<Value> = target
        .calls("/steps")
        .iter()
        .map(|call| call.body["batch"].clone())
        .collect();
    assert_eq!(
        (&batches[0]["number"], &batches[1]["number"]),
        (&json!(1), &json!(2))
    );
    assert_ne!(batches[0]["id"], batches[1]["id"]);
    assert_eq!(batches[0]["at"], json!(bench.now()));
    let rows = bench.rows(&code(1), "book", "step").await;
    for row in &rows[1..] {
        assert_eq!(
            (&row.state, row.attempt, row.presence, &row.intent),
            (&State::Applied, 1, Presence::Present, &None),
            "{row:?}"
        );
    }

    // the numbers of batches outlive the process
    let bench = bench.reopen(|_| {}).await;
    bench.tell(&worked(1, 7)).await;
    bench.work("book").await;
    assert_eq!(sent(&target)[2..], [steps([7])]);
    assert_eq!(target.calls("/steps")[2].body["batch"]["number"], 3);
}

async fn mixed_answer_parks_what_it_refuses_and_sends_nothing_else_again() {
    let target = Target::start().await;
    judging(&target, |text| {
        Some(if text == "bước 2" { "refused" } else { "done" })
    });
    let bench = bench(&target, JUDGED).await;
    bench.tell(&worked(1, 4)).await;
    bench.work("book").await;
    let refused = [(2, "refused-by-target".to_owned())];
    assert_eq!(bench.parked(&code(1), "book", "step").await, refused);
    let State::Parked { cause, held } = &bench.rows(&code(1), "book", "step").await[2].state else {
        unreachable!()
    };
    assert_eq!(
        (cause.found.as_deref(), *held),
        (Some("bước 2 thiếu ngày"), false)
    );
    assert_eq!(kept(&target), steps([1, 3, 4]));

    // with the next version it is tried again, with what is new, and nothing that was taken is
    bench.tell(&worked(1, 5)).await;
    bench.work("book").await;
    assert_eq!(sent(&target), [steps(1..=4), steps([2, 5])]);
    assert_eq!(kept(&target), steps([1, 3, 4, 5]));
    assert_eq!(bench.parked(&code(1), "book", "step").await, refused);
}

async fn item_that_is_to_come_again_later_holds_back_those_behind_it_and_nothing_is_doubled() {
    let target = Target::start().await;
    judging(&target, |text| {
        Some(if text == "bước 3" { "retry" } else { "done" })
    });
    let bench = bench(&target, JUDGED).await;
    bench.tell(&worked(1, 6)).await;
    bench.work("book").await;
    assert_eq!(sent(&target), [steps(1..=4)], "what is behind it waits");
    judging(&target, |_| Some("done"));
    bench.advance(60);
    bench.work("book").await;
    assert_eq!(sent(&target), [steps(1..=4), steps([3, 5, 6])]);
    assert_eq!(kept(&target), steps(1..=6));
}

#[tokio::test(flavor = "multi_thread")]
async fn item_that_the_answer_does_not_name_is_in_doubt_alone() {
    let target = Target::start().await;
    judging(&target, |text| (text != "bước 3").then_some("done"));
    let bench = bench(&target, JUDGED).await;
    bench.tell(&worked(1, 6)).await;
    let settle = bench.now() + SignedDuration::from_secs(90);
    assert_eq!(bench.work("book").await, Some(settle));
    let states: Vec<State> = bench.rows(&code(1), "book", "step").await[1..5]
        .iter()
        .map(|row| row.state.clone())
        .collect();
    let doubt = State::InDoubt { until: settle };
    assert_eq!(states, [State::Applied, State::Applied, doubt, State::Applied]);
    assert_eq!(
        sent(&target),
        [steps(1..=4)],
        "nothing is said about it meanwhile"
    );

    bench.advance(90);
    bench.work("book").await;
    let parked = bench.parked(&code(1), "book", "step").await;
    assert_eq!(parked, [(3, "in-doubt-no-find".to_owned())]);
    assert_eq!(sent(&target), [steps(1..=4), steps(5..=6)]);
}

async fn item_that_was_not_named_is_looked_for_and_sent_if_it_is_not_there() {
    for there in [true, false] {
        let target = Target::start().await;
        judging(&target, |_| Some("done"));
        // the first answer leaves the third out
        target.serve("/steps", move |records, body| {
            let mut result = Vec::new();
            for step in body["steps"].as_array().unwrap() {
                let left_out = body["batch"]["number"] == 1 && step["text"] == "bước 3";
                if there || !left_out {
                    records.push(step.clone());
                }
                if !left_out {
                    result.push(json!({"text": step["text"], "is": "done"}));
                }
            }
            (200, json!({"code": "0", "result": result}))
        });
        let bench = bench(&target, SHOWN).await;
        bench.tell(&worked(1, 4)).await;
        bench.work("book").await;
        assert_eq!(
            sent(&target),
            [steps(1..=4)],
            "first looked for, then sent together"
        );
        assert_eq!(target.calls("/shown").len(), 4);

        bench.advance(90);
        bench.work("book").await;
        assert_eq!(target.calls("/shown").len(), 5);
        let again = if there { vec![] } else { vec![steps([3])] };
        assert_eq!(sent(&target)[1..], again, "there: {there}");
        assert_eq!(kept(&target), steps(1..=4), "there: {there}");
        assert_eq!(bench.parked(&code(1), "book", "step").await, []);
    }
}

/// Ends of a call that nobody sees, and whether it took effect.
fn unclear_ends() -> Vec<(&'static str, Act, bool)> {
    vec![
        ("cut after it was kept", Act::DoAndCut, true),
        ("500 after it was kept", Act::DoAndAnswer(500, json!({})), true),
        ("502 before it came", Act::Answer(502, vec![], json!({})), false),
    ]
}

/// Sends six steps, of which the first call ends unclear; nothing is said until a late commit would show.
async fn doubted(target: &Target, end: &Act, how: &str) -> Bench {
    target.next("/steps", end.clone());
    let bench = bench(target, how).await;
    bench.tell(&worked(1, 6)).await;
    let settle = bench.now() + SignedDuration::from_secs(90);
    assert_eq!(bench.work("book").await, Some(settle));
    let first = sent(target).remove(0).len();
    for row in &bench.rows(&code(1), "book", "step").await[1..=first] {
        assert_eq!(row.state, State::InDoubt { until: settle });
    }
    bench.advance(89);
    bench.tell(&worked(1, 7)).await;
    assert_eq!(bench.work("book").await, Some(settle));
    assert_eq!(
        sent(target).len(),
        1,
        "nothing is said about the dossier meanwhile"
    );
    bench.advance(1);
    bench.work("book").await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn unclear_end_of_a_batch_that_nobody_can_ask_about_leaves_every_item_to_a_person() {
    for (what, end, took_effect) in unclear_ends() {
        let target = Target::start().await;
        judging(&target, |_| Some("done"));
        let bench = doubted(&target, &end, JUDGED).await;
        let expected: Vec<_> = (1..=4)
            .map(|ordinal| (ordinal, "in-doubt-no-find".to_owned()))
            .collect();
        assert_eq!(bench.parked(&code(1), "book", "step").await, expected, "{what}");
        assert_eq!(sent(&target), [steps(1..=4), steps(5..=7)], "{what}");
        bench.tell(&worked(1, 8)).await;
        bench.work("book").await;
        assert_eq!(sent(&target)[2..], [steps([8])], "{what}: never a second time");
        let there = if took_effect { 1 } else { 5 };
        assert_eq!(kept(&target), steps(there..=8), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unclear_end_of_a_batch_that_may_be_repeated_is_repeated_as_it_was() {
    for (what, end, _) in unclear_ends() {
        let target = Target::start().await;
        judging(&target, |_| Some("done"));
        target.serve("/steps", |records, body| {
            for step in body["steps"].as_array().unwrap() {
                if !records.contains(step) {
                    records.push(step.clone());
                }
            }
            (200, json!({"code": "0"}))
        });
        let bench = doubted(&target, &end, REPEATED).await;
        assert_eq!(sent(&target), [steps(1..=6), steps(1..=7)], "{what}");
        assert_eq!(kept(&target), steps(1..=7), "{what}");
        let rows = bench.rows(&code(1), "book", "step").await;
        assert!(
            rows.iter().all(|row| row.state == State::Applied),
            "{what}: {rows:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unclear_end_of_a_batch_whose_items_are_shown_is_settled_item_by_item() {
    for (what, end, took_effect) in unclear_ends() {
        let target = Target::start().await;
        judging(&target, |_| Some("done"));
        let bench = doubted(&target, &end, SHOWN).await;
        let mut expected = vec![steps(1..=4)];
        expected.extend((!took_effect).then(|| steps(1..=4)));
        expected.push(steps(5..=7));
        assert_eq!(sent(&target), expected, "{what}");
        assert_eq!(kept(&target), steps(1..=7), "{what}: each once");
        assert_eq!(bench.parked(&code(1), "book", "step").await, [], "{what}");
    }
}

async fn batch_that_is_refused_whole_is_halved_until_the_bad_item_stands_alone() {
    let target = Target::start().await;
    judging(&target, |_| Some("done"));
    target.serve("/steps", |records, body| {
        let steps = body["steps"].as_array().unwrap();
        if steps.iter().any(|step| step["text"] == "bước 3") {
            return (200, json!({"code": "17", "message": "có bước thiếu ngày"}));
        }
        records.extend(steps.iter().cloned());
        (200, json!({"code": "0"}))
    });
    let bench = bench(&target, REPEATED).await;
    bench.tell(&worked(1, 8)).await;
    // a refusal is an answer: nothing waits
    assert_eq!(bench.work("book").await, None);
    let halves = [1..=8, 1..=4, 1..=2, 3..=4, 3..=3, 4..=4, 5..=8];
    assert_eq!(sent(&target), halves.map(steps));
    assert_eq!(kept(&target), steps([1, 2, 4, 5, 6, 7, 8]), "each once");
    let parked = bench.parked(&code(1), "book", "step").await;
    assert_eq!(parked, [(3, "refused-by-target".to_owned())]);
    let rows = bench.rows(&code(1), "book", "step").await;
    assert!(
        rows.iter()
            .all(|row| row.failures == 0 && row.failing_since.is_none()),
        "{rows:?}"
    );

    // the size of later batches is none of their business
    bench.tell(&worked(1, 12)).await;
    bench.work("book").await;
    assert_eq!(sent(&target)[7..], [steps([3]), steps(9..=12)]);
}

async fn batch_that_comes_too_early_comes_again_as_one() {
    let target = Target::start().await;
    judging(&target, |_| Some("done"));
    target.next("/steps", Act::Answer(429, vec![], json!({})));
    let bench = bench(&target, JUDGED).await;
    bench.tell(&worked(1, 4)).await;
    // delays are spread, but not within a batch
    let next = bench.work("book").await.unwrap();
    bench.clock().advance(next.duration_since(bench.now()));
    bench.work("book").await;
    assert_eq!(sent(&target), [steps(1..=4), steps(1..=4)]);
    assert_eq!(kept(&target), steps(1..=4));
}
