//! Creates that are made a second time: after a doubt without a look-up, and after a record has gone.

use lienthong::store::{Presence, State};
use serde_json::{Value, json};

use crate::support::{Act, Bench, MANIFEST, Target, code, row};

on_both_stores! {
    refusal_of_our_own_record_a_second_time_is_its_success
    newer_version_that_meets_our_own_record_of_before_changes_it
    record_that_was_there_before_us_is_not_taken_for_ours
    record_that_a_person_has_not_found_and_that_is_there_all_the_same_is_not_taken_for_ours
    doubt_outlives_a_repetition_that_is_known_to_have_failed
    record_that_has_gone_is_made_anew_and_known_by_its_new_number
}

/// A register that cannot be asked, but refuses a second record under the same key with a code of its own.
fn unseen(create: &str) -> String {
    let (head, rest) = MANIFEST.split_once("find =").unwrap();
    let (_, update) = rest.split_once("update =").unwrap();
    let head = head.replace(
        "answer = [",
        "answer = [{ when = '.code == \"3\"', is = \"exists\" }, { when = '.code == \"4\"', is = \"missing\" }, ",
    );
    format!("{head}create = {create}\nupdate ={update}")
}

const IDEMPOTENT: &str = "{ path = '/create', body = '.', idempotent = true }";

/// Keeps one record under each key.
fn strict(target: &Target) {
    target.serve("/create", |records, body| {
        if records.iter().any(|record| record["id"] == body["id"]) {
            return (200, json!({"code": "3", "message": "đã tồn tại"}));
        }
        records.push(body.clone());
        (200, json!({"code": "0"}))
    });
}

fn newer() -> Value {
    let mut row = row(1);
    row["TrichYeuHoSo"] = json!("Cấp lại");
    row["NgayCapNhat"] = json!("20260305093000");
    row
}

/// Dossier 1, whose create has ended unclear.
async fn doubted(target: &Target, end: Act) -> Bench {
    strict(target);
    target.next("/create", end);
    let bench = Bench::open(&[("book", &unseen(IDEMPOTENT), &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("book").await;
    bench
}

async fn refusal_of_our_own_record_a_second_time_is_its_success() {
    // what was there already may be of an older version: it is brought to this one
    let ends = [
        (Act::DoAndCut, &["/create", "/create", "/update"][..]),
        (Act::Answer(502, vec![], json!({})), &["/create", "/create"]),
    ];
    for (end, paths) in ends {
        let target = Target::start().await;
        let bench = doubted(&target, end).await;
        bench.advance(90);
        bench.work("book").await;
        assert_eq!(target.paths(), paths);
        assert_eq!(target.counts(), [(code(1), 1)].into());
        let row = bench.row(&code(1), "book", "dossier").await;
        assert_eq!((row.state, row.presence), (State::Applied, Presence::Present));
        assert_eq!((row.intent, row.remote), (None, Some(code(1))));
        // from now on it is changed
        bench.tell(&newer()).await;
        bench.work("book").await;
        assert_eq!(target.records()[0]["summary"], "Cấp lại");
    }
}

async fn newer_version_that_meets_our_own_record_of_before_changes_it() {
    let target = Target::start().await;
    let bench = doubted(&target, Act::DoAndCut).await;
    bench.tell(&newer()).await;
    bench.advance(90);
    bench.work("book").await;
    assert_eq!(target.paths(), ["/create", "/create", "/update"]);
    assert_eq!(target.counts(), [(code(1), 1)].into());
    assert_eq!(target.records()[0]["summary"], "Cấp lại");
    let row = bench.row(&code(1), "book", "dossier").await;
    assert_eq!((row.state, row.applied), (State::Applied, Some(row.desired)));
}

async fn record_that_was_there_before_us_is_not_taken_for_ours() {
    let target = Target::start().await;
    strict(&target);
    target.type_in(json!({"id": code(1), "name": "Somebody else"}));
    let bench = Bench::open(&[("book", &unseen(IDEMPOTENT), &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("book").await;
    let parked = bench.parked(&code(1), "book", "dossier").await;
    assert_eq!(parked, [(0, "key-taken".to_owned())]);

    // nor after a call that is known not to have arrived
    let target = Target::start().await;
    strict(&target);
    target.next("/create", Act::Answer(429, vec![], json!({})));
    let bench = Bench::open(&[("book", &unseen(IDEMPOTENT), &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("book").await;
    target.type_in(json!({"id": code(1), "name": "Somebody else"}));
    bench.advance(60);
    bench.work("book").await;
    let parked = bench.parked(&code(1), "book", "dossier").await;
    assert_eq!(parked, [(0, "key-taken".to_owned())]);
    assert_eq!(target.counts(), [(code(1), 1)].into());
}

async fn record_that_a_person_has_not_found_and_that_is_there_all_the_same_is_not_taken_for_ours() {
    let target = Target::start().await;
    strict(&target);
    target.next("/create", Act::Answer(502, vec![], json!({})));
    let unseen = unseen("{ path = '/create', body = '.' }");
    let bench = Bench::open(&[("book", &unseen, &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("book").await;
    bench.advance(90);
    bench.work("book").await;
    let parked = bench.parked(&code(1), "book", "dossier").await;
    assert_eq!(parked, [(0, "in-doubt-no-find".to_owned())]);
    target.type_in(json!({"id": code(1), "name": "Somebody else"}));
    bench.retry(&bench.row(&code(1), "book", "dossier").await).await;
    bench.work("book").await;
    let parked = bench.parked(&code(1), "book", "dossier").await;
    assert_eq!(parked, [(0, "key-taken".to_owned())]);
}

async fn doubt_outlives_a_repetition_that_is_known_to_have_failed() {
    let target = Target::start().await;
    let bench = doubted(&target, Act::DoAndCut).await;
    // the target is too busy for the second try, and so nobody knows more than before
    target.next("/create", Act::Answer(429, vec![], json!({})));
    bench.advance(90);
    let next = bench.work("book").await.unwrap();
    let row = bench.row(&code(1), "book", "dossier").await;
    assert!(
        row.is_open() && matches!(row.state, State::BackingOff { .. }),
        "{row:?}"
    );
    bench.clock().advance(next.duration_since(bench.now()));
    bench.work("book").await;
    assert_eq!(target.paths(), ["/create", "/create", "/create", "/update"]);
    let row = bench.row(&code(1), "book", "dossier").await;
    assert_eq!(
        (row.state, row.intent),
        (State::Applied, None),
        "the refusal shows that it is there"
    );
    assert_eq!(target.counts(), [(code(1), 1)].into());
}

async fn record_that_has_gone_is_made_anew_and_known_by_its_new_number() {
    let target = Target::start().await;
    target.serve("/create", |records, body| {
        let no = format!("N{}", 1 + records.len());
        let mut record = body.clone();
        record["no"] = json!(no);
        records.push(record);
        (200, json!({"code": "0", "no": no}))
    });
    let manifest = unseen("{ path = '/create', body = '.', remote = '.no' }").replace(
        "update = { path = '/update', body = '.' }",
        "update = { path = '/update', body = '{no: $remote} + .' }",
    );
    let bench = Bench::open(&[("book", &manifest, &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("book").await;
    assert_eq!(
        bench.row(&code(1), "book", "dossier").await.remote.as_deref(),
        Some("N1")
    );
    // an officer throws it away: its number is not given again
    target.serve("/update", |_, _| (200, json!({"code": "4"})));
    bench.tell(&newer()).await;
    bench.work("book").await;
    bench.advance(60);
    bench.work("book").await;
    let row = bench.row(&code(1), "book", "dossier").await;
    assert_eq!((row.state, row.remote.as_deref()), (State::Applied, Some("N2")));
    target.serve("/update", |records, body| {
        let record = records.iter_mut().find(|record| record["no"] == body["no"]);
        record.unwrap()["summary"] = body["summary"].clone();
        (200, json!({"code": "0"}))
    });
    let mut third = newer();
    third["TrichYeuHoSo"] = json!("Lần ba");
    third["NgayCapNhat"] = json!("20260305094000");
    bench.tell(&third).await;
    bench.work("book").await;
    assert_eq!(target.calls("/create").len(), 2);
    assert_eq!(target.records()[1]["summary"], "Lần ba");
    let dossier = bench.dossier(&code(1)).await;
    assert!(
        dossier.codes_in("book").contains(&"N2"),
        "{:?}",
        dossier.codes_in("book")
    );
}
