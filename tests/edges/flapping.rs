//! Two systems that write the same register and keep it each in its own way: an end after a few turns, not a storm.

use lienthong::store::{InboxState, State};
use serde_json::json;

use crate::reports::office;
use crate::support::{Bench, Target, code, row};

/// Says that what it is sent is what it reports, which is not so.
const PUSHED: &str = r"[push.dossier]
record = '{id: .code, summary: .summary}'
key = '.id'
echo = '{dossier: .id, summary: .summary}'
put = { path = '/put', body = '.' }
";

/// A system at this name with its hook.
fn system(name: &str) -> String {
    office("", PUSHED).replace("/hooks/office", &format!("/hooks/{name}"))
}

/// Keeps the newest record of each dossier.
fn keeping(target: &Target) {
    target.serve("/put", |records, body| {
        records.retain(|record| record["id"] != body["id"]);
        records.push(body.clone());
        (200, json!({"code": "0"}))
    });
}

/// What a system holds of dossier 1, in its own letters.
fn held(target: &Target, letters: fn(&str) -> String) -> String {
    let records = target.records();
    let record = records.iter().find(|record| record["id"] == code(1)).unwrap();
    letters(record["summary"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mappings_that_disagree_end_as_one_dead_letter() {
    let (large, small) = (Target::start().await, Target::start().await);
    let bench = Bench::open(&[
        ("large", &system("large"), &large.url),
        ("small", &system("small"), &small.url),
    ])
    .await;
    for target in [&large, &small] {
        keeping(target);
    }
    for n in 1..=2 {
        bench.tell(&row(n)).await;
    }
    let mut turns = 0;
    loop {
        bench.advance(2);
        for system in ["large", "small"] {
            bench.work(system).await;
        }
        let mut news = 0;
        for (system, target, letters) in [
            ("large", &large, str::to_uppercase as fn(&str) -> String),
            ("small", &small, str::to_lowercase),
        ] {
            let report = json!({"dossier": code(1), "at": bench.now(), "summary": held(target, letters)});
            news += usize::from(bench.says(system, &report).await == InboxState::Mapped);
            // the other system learns of it before it tells of its own
            for system in ["large", "small"] {
                bench.work(system).await;
            }
        }
        turns += 1;
        assert!(turns < 40, "no end of it");
        if news == 0 {
            break;
        }
    }
    let parked: Vec<_> = [
        bench.parked(&code(1), "large", "dossier").await,
        bench.parked(&code(1), "small", "dossier").await,
    ]
    .concat();
    assert_eq!(parked, [(0, "flapping".to_owned())], "one of them is enough");
    let calls = large.calls("/put").len() + small.calls("/put").len();
    assert!(calls <= 16, "{calls} calls");
    let letters = bench.shared.store.dead_letters(9).await.unwrap();
    assert!(letters[0].cause.remedy.is_some());

    // the other dossier is none the worse, and is written on
    let mut newer = row(2);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    newer["NgayCapNhat"] = json!("20260305093000");
    bench.tell(&newer).await;
    for (system, target) in [("large", &large), ("small", &small)] {
        bench.work(system).await;
        let row = bench.row(&code(2), system, "dossier").await;
        assert_eq!((row.state, row.applied), (State::Applied, Some(row.desired)));
        let records = target.records();
        let record = records.iter().find(|record| record["id"] == code(2)).unwrap();
        assert_eq!(record["summary"], "Cấp lại");
    }
}
