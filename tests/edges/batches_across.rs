//! Records of several dossiers in one call: when it leaves, what it holds up, and what becomes of each of them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lienthong::store::{Delivery, State};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Act, Bench, MANIFEST, Target, code, row};

on_both_stores! {
    lone_record_waits_no_longer_than_a_batch_may
    creates_and_changes_travel_apart
    no_more_batches_are_under_way_than_the_target_takes_at_a_time
    mixed_answer_parks_the_dossiers_that_it_refuses_and_no_other
    batch_that_is_refused_whole_is_halved_until_the_bad_record_stands_alone
    batch_that_may_be_repeated_is_repeated_as_one_after_a_doubt
}

/// A register that takes records together; `how` is its batch.
fn manifest(how: &str) -> String {
    let (head, _) = MANIFEST.split_once("create =").unwrap();
    format!("{head}{how}")
}

/// Three at most, and the answer judges each.
const JUDGED: &str = r#"batch = { max = 3, wait = "15m" }
verdicts = '.result[] | {key: .id, is: .is, reason: .reason}'
create = { path = '/batch', body = '{batch: $batch, records: .}' }
update = { path = '/change', body = '{batch: $batch, records: .}' }
"#;

fn ids(body: &Value) -> Vec<String> {
    let records = body["records"].as_array().unwrap().iter();
    records
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect()
}

fn codes(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(code).collect()
}

fn sent(target: &Target, path: &str) -> Vec<Vec<String>> {
    target.calls(path).iter().map(|call| ids(&call.body)).collect()
}

/// Keeps what comes in a batch, twice if it comes twice, and says of each what `judge` says.
fn judging(target: &Target, judge: impl Fn(&str) -> &'static str + Send + Sync + Clone + 'static) {
    for path in ["/batch", "/change"] {
        let judge = judge.clone();
        target.serve(path, move |records, body| {
            let mut result = Vec::new();
            for record in body["records"].as_array().unwrap() {
                let word = judge(record["id"].as_str().unwrap());
                if word == "done" && path == "/batch" {
                    records.push(record.clone());
                }
                result.push(json!({"id": record["id"], "is": word, "reason": "thiếu ngày"}));
            }
            (200, json!({"code": "0", "result": result}))
        });
    }
}

async fn bench(target: &Target, how: &str) -> Bench {
    let manifest = manifest(how);
    Bench::open(&[("book", &manifest, &target.url)]).await
}

async fn tell(bench: &Bench, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        bench.advance(1);
        bench.tell(&row(n)).await;
    }
}

async fn one(bench: &Bench, n: u32) -> Delivery {
    bench.row(&code(n), "book", "dossier").await
}

/// When a batch goes at the latest in which dossier `n` is the oldest.
async fn goes(bench: &Bench, n: u32) -> Option<Timestamp> {
    Some(one(bench, n).await.due + SignedDuration::from_mins(15))
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_leaves_when_it_is_full_and_not_before() {
    let target = Target::start().await;
    judging(&target, |_| "done");
    let bench = bench(&target, JUDGED).await;
    tell(&bench, 1..=2).await;
    assert_eq!(bench.work("book").await, goes(&bench, 1).await);
    assert_eq!(target.calls("/batch").len(), 0);
    tell(&bench, 3..=4).await;
    assert_eq!(bench.work("book").await, goes(&bench, 4).await);
    assert_eq!(sent(&target, "/batch"), [codes(1..=3)], "the oldest");
    let batch = &target.calls("/batch")[0].body["batch"];
    assert_eq!((&batch["number"], &batch["at"]), (&json!(1), &json!(bench.now())));
    assert!(batch["id"].is_string(), "{batch}");
    for n in 1..=3 {
        assert_eq!(one(&bench, n).await.state, State::Applied);
    }
    assert_eq!(one(&bench, 4).await.state, State::Due);
}

async fn lone_record_waits_no_longer_than_a_batch_may() {
    let target = Target::start().await;
    judging(&target, |_| "done");
    let bench = bench(&target, JUDGED).await;
    tell(&bench, [1]).await;
    let goes = Some(bench.now() + SignedDuration::from_mins(15));
    assert_eq!(bench.work("book").await, goes);
    // one that comes later does not make it wait longer, and goes with it
    bench.advance(14 * 60 - 1);
    tell(&bench, [2]).await;
    assert_eq!(bench.work("book").await, goes);
    bench.advance(59);
    assert_eq!(bench.work("book").await, goes);
    assert_eq!(target.calls("/batch").len(), 0);
    bench.advance(1);
    assert_eq!(bench.work("book").await, None);
    assert_eq!(sent(&target, "/batch"), [codes(1..=2)]);
}

async fn creates_and_changes_travel_apart() {
    let target = Target::start().await;
    judging(&target, |_| "done");
    let bench = bench(&target, JUDGED).await;
    tell(&bench, 1..=3).await;
    bench.work("book").await;
    let mut newer = row(2);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    newer["NgayCapNhat"] = json!("20260305093000");
    bench.tell(&newer).await;
    tell(&bench, [4]).await;
    bench.work("book").await;
    bench.advance(15 * 60);
    bench.work("book").await;
    assert_eq!(sent(&target, "/batch")[1..], [codes([4])]);
    assert_eq!(sent(&target, "/change"), [codes([2])]);
}

/// A yearly book beside the register: its name comes first, its batch may wait for an hour.
const ARCHIVE: &str = r#"create = { path = '/create', body = '.' }
update = { path = '/update', body = '.' }
[push.archive]
record = '{id: .code, name: .applicant.person.name}'
key = '.id'
echo = false
batch = { max = 4, wait = "1h" }
create = { path = '/batch', body = '{records: .}', idempotent = true }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn batch_that_waits_holds_up_nothing_else_of_its_dossiers() {
    let target = Target::start().await;
    // the yearly book is another one than the register
    target.serve("/batch", |_, _| (200, json!({"code": "0"})));
    let manifest = manifest(ARCHIVE).replace("timeout =", "concurrency = 1\ntimeout =");
    let bench = Bench::open(&[("book", &manifest, &target.url)]).await;
    tell(&bench, 1..=3).await;
    let next = bench.work("book").await;
    let waits = bench.row(&code(1), "book", "archive").await;
    assert_eq!(waits.state, State::Due);
    assert_eq!(next, Some(waits.due + SignedDuration::from_hours(1)));
    assert_eq!(target.calls("/create").len(), 3);
    assert_eq!(target.calls("/batch").len(), 0);
    tell(&bench, 4..=9).await;
    bench.work("book").await;
    assert_eq!(target.calls("/create").len(), 9);
    assert_eq!(
        sent(&target, "/batch"),
        [codes(1..=4), codes(5..=8)],
        "two were full"
    );
    bench.advance(3600);
    bench.work("book").await;
    assert_eq!(sent(&target, "/batch")[2..], [codes([9])]);
    assert_eq!(target.calls("/create").len(), 9);
}

async fn no_more_batches_are_under_way_than_the_target_takes_at_a_time() {
    let target = Target::start().await;
    judging(&target, |_| "done");
    let how = JUDGED.replace("max = 3, wait = \"15m\"", "max = 2, wait = \"0s\"");
    let manifest = manifest(&how).replace("timeout =", "concurrency = 2\ntimeout =");
    let bench = Bench::open(&[("book", &manifest, &target.url)]).await;
    tell(&bench, 1..=8).await;
    let mut calls = Vec::new();
    loop {
        let before = target.paths().len();
        let worked = bench.step("book").await;
        let paths = target.paths().split_off(before);
        if matches!(worked, lienthong::stage::Progress::Idle(_)) {
            break;
        }
        calls.push(paths.len());
    }
    let sizes: Vec<usize> = sent(&target, "/batch").iter().map(Vec::len).collect();
    assert!(calls.iter().all(|calls| *calls <= 2), "{calls:?}");
    assert!(calls.contains(&2), "{calls:?}");
    assert_eq!(sizes, [2; 4]);
    assert_eq!(target.counts().len(), 8);
    assert_eq!(target.records().len(), 8);
}

async fn mixed_answer_parks_the_dossiers_that_it_refuses_and_no_other() {
    let target = Target::start().await;
    judging(&target, |id| if id == code(2) { "refused" } else { "done" });
    let bench = bench(&target, JUDGED).await;
    tell(&bench, 1..=3).await;
    bench.work("book").await;
    let parked = bench.parked(&code(2), "book", "dossier").await;
    assert_eq!(parked, [(0, "refused-by-target".to_owned())]);
    for n in [1, 3] {
        assert_eq!(one(&bench, n).await.state, State::Applied);
    }
    bench.advance(3600);
    bench.work("book").await;
    assert_eq!(sent(&target, "/batch"), [codes(1..=3)]);
}

async fn batch_that_is_refused_whole_is_halved_until_the_bad_record_stands_alone() {
    let target = Target::start().await;
    target.serve("/batch", |records, body| {
        if ids(body).contains(&code(6)) {
            return (422, json!({"code": "17", "message": "một hồ sơ thiếu ngày"}));
        }
        records.extend(body["records"].as_array().unwrap().iter().cloned());
        (200, json!({"code": "0"}))
    });
    let how = r#"batch = { max = 16, wait = "15m" }
create = { path = '/batch', body = '{records: .}', idempotent = true }
"#;
    let bench = bench(&target, how).await;
    tell(&bench, 1..=16).await;
    bench.work("book").await;
    let parked = bench.parked(&code(6), "book", "dossier").await;
    assert_eq!(parked, [(0, "refused-by-target".to_owned())]);
    let good: Vec<(String, usize)> = (1..=16).filter(|n| *n != 6).map(|n| (code(n), 1)).collect();
    assert_eq!(target.counts(), good.into_iter().collect(), "each once");
    // the whole, and two halves of each part that holds the bad one
    assert_eq!(target.calls("/batch").len(), 9, "{:?}", sent(&target, "/batch"));
    for n in (1..=16).filter(|n| *n != 6) {
        let row = one(&bench, n).await;
        assert_eq!((row.state, row.batch_limit), (State::Applied, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unclear_end_puts_every_dossier_of_a_batch_in_doubt_and_each_ends_right() {
    let ends = [
        (Act::DoAndCut, true),
        (Act::DoAndAnswer(500, json!({})), true),
        (Act::Answer(502, vec![], json!({})), false),
    ];
    for (end, took_effect) in ends {
        let target = Target::start().await;
        judging(&target, |_| "done");
        target.next("/batch", end);
        let bench = bench(&target, JUDGED).await;
        tell(&bench, 1..=3).await;
        let settle = bench.now() + SignedDuration::from_secs(90);
        assert_eq!(bench.work("book").await, Some(settle));
        for n in 1..=3 {
            assert_eq!(one(&bench, n).await.state, State::InDoubt { until: settle });
        }
        bench.advance(89);
        bench.work("book").await;
        assert_eq!(target.calls("/batch").len(), 1);
        bench.advance(1);
        bench.work("book").await;
        bench.advance(15 * 60);
        bench.work("book").await;
        for n in 1..=3 {
            let row = one(&bench, n).await;
            assert_eq!((row.state, row.intent), (State::Applied, None), "{took_effect}");
            assert_eq!(target.counts()[&code(n)], 1, "{took_effect}");
        }
        let calls = if took_effect { 1 } else { 2 };
        assert_eq!(target.calls("/batch").len(), calls);
        assert_eq!(target.calls("/find").len(), 6);
        // found, and brought up to date, as nobody knows what of it was kept
        let changed = if took_effect { vec![codes(1..=3)] } else { vec![] };
        assert_eq!(sent(&target, "/change"), changed);
    }
}

async fn batch_that_may_be_repeated_is_repeated_as_one_after_a_doubt() {
    let target = Target::start().await;
    target.serve("/batch", |records, body| {
        for record in body["records"].as_array().unwrap() {
            if !records.contains(record) {
                records.push(record.clone());
            }
        }
        (200, json!({"code": "0"}))
    });
    target.next("/batch", Act::DoAndCut);
    let how = r#"batch = { max = 3, wait = "15m" }
create = { path = '/batch', body = '{id: $batch.id, records: .}', idempotent = true }
"#;
    let manifest = manifest(how)
        .replace("find = { path", "# find = { path")
        .replace("same_when", "# same_when");
    let bench = Bench::open(&[("book", &manifest, &target.url)]).await;
    tell(&bench, 1..=3).await;
    bench.work("book").await;
    bench.advance(90);
    bench.work("book").await;
    bench.advance(15 * 60);
    bench.work("book").await;
    assert_eq!(sent(&target, "/batch"), [codes(1..=3), codes(1..=3)]);
    let calls = target.calls("/batch");
    assert_eq!(calls[0].body, calls[1].body, "the same bytes");
    assert_eq!(target.counts().into_values().collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_dies_during_a_batch_leaves_all_of_it_in_doubt_and_doubles_nothing() {
    for took_effect in [true, false] {
        let target = Target::start().await;
        judging(&target, |_| "done");
        let barrier = Arc::new(Barrier::new(2));
        let end = if took_effect {
            Act::DoAndHold(Arc::clone(&barrier))
        } else {
            Act::Gather(Arc::clone(&barrier), 503, json!({}))
        };
        let bench = bench(&target, JUDGED).await;
        tell(&bench, 1..=3).await;
        // looked for, one after the other
        while target.calls("/find").len() < 3 {
            bench.step("book").await;
        }
        target.next("/batch", end);
        {
            let deliver = bench.deliver("book");
            tokio::select! {
                _ = deliver.step() => panic!("the answer is held back"),
                () = target.called("/batch", 1) => {}
            }
        }
        let bench = bench.reopen(|_| {}).await;
        for n in 1..=3 {
            assert!(!one(&bench, n).await.is_certain());
        }
        // four calls' time-outs and the settle time, counted from the intent
        let until = bench.now() + SignedDuration::from_secs(4 * 20 + 90);
        assert_eq!(bench.work("book").await, Some(until));
        bench.advance(4 * 20 + 90);
        bench.work("book").await;
        bench.advance(15 * 60);
        bench.work("book").await;
        for n in 1..=3 {
            assert_eq!(one(&bench, n).await.state, State::Applied, "{took_effect}");
            assert_eq!(target.counts()[&code(n)], 1, "{took_effect}");
        }
        let numbers: Vec<_> = target
            .calls("/batch")
            .iter()
            .map(|call| call.body["batch"]["number"].clone())
            .collect();
        let expected = if took_effect {
            vec![json!(1)]
        } else {
            vec![json!(1), json!(2)]
        };
        assert_eq!(numbers, expected);
    }
}
