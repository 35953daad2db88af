//! What the officers of a system write there wins, goes to all others and is not sent back.

use std::path::Path;

use jiff::SignedDuration;
use lienthong::store::{InboxState, State};
use serde_json::{Value, json};

use crate::reports::{LONG, PUSHED, at, bench, nothing_new, office, report, settle};
use crate::support::{Target, code, patch, worked};

#[tokio::test(flavor = "multi_thread")]
async fn officers_change_wins_goes_to_the_others_and_not_back() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", PUSHED), [&desk, &book]).await;
    bench.tell(&at(LONG, 30)).await;
    settle(&bench).await;
    let given = bench.dossier(&code(1)).await.registers["summary"].stamp.effective;
    // its clock is a year slow
    let slow = json!({"dossier": code(1), "at": "2025-03-05T10:00:00Z", "summary": "cua can bo"});
    assert_eq!(bench.says("office", &slow).await, InboxState::Mapped);
    let written = bench.dossier(&code(1)).await.registers["summary"].clone();
    assert_eq!(written.value, "cua can bo");
    assert_eq!(written.stamp.effective, given + SignedDuration::from_millis(1));
    settle(&bench).await;
    assert_eq!(book.records()[0]["summary"], "cua can bo");
    assert_eq!(desk.paths(), ["/find", "/create"], "who wrote it has it");
    let row = bench.row(&code(1), "office", "dossier").await;
    assert_eq!((row.state, row.applied), (State::Applied, Some(row.desired)));

    // what others change afterwards goes there with all the rest
    let mut newer = at(LONG, 40);
    newer["SoDienThoai"] = json!("0958099999");
    bench.tell(&newer).await;
    bench.work("office").await;
    let sent = &desk.calls("/update")[0].body;
    assert_eq!(
        (&sent["phone"], &sent["summary"]),
        (&json!("0958099999"), &json!("cua can bo"))
    );
    assert_eq!(desk.calls("/update").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_system_does_not_report_is_sent_although_its_echo_would_be_the_same() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", PUSHED), [&desk, &book]).await;
    bench.tell(&at(LONG, 0)).await;
    bench.work("office").await;
    let echo = report(
        0,
        json!({"summary": "cap phieu ly l", "status": {"value": "accepted"}}),
    );
    assert_eq!(bench.says("office", &echo).await, nothing_new());
    let mut newer = at(LONG, 1);
    newer["SoDienThoai"] = json!("0958088888");
    bench.tell(&newer).await;
    bench.work("office").await;
    assert_eq!(desk.records()[0]["phone"], "0958088888");
}

/// The office takes entries of progress one by one; their time and officer become its own.
const ENTRIES: &str = r#"[push.step]
after = "dossier"
each = '.progress[]'
record = '{id: $dossier.code, value: .value, text: .note}'
echo = '{dossier: .id, progress: [{value: .value, note: .text}]}'
create = { path = '/step', body = '.' }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_that_was_sent_swallows_one_and_what_its_officers_enter_is_not_sent_back() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", &format!("{PUSHED}{ENTRIES}")), [&desk, &book]).await;
    bench.tell(&worked(1, 2)).await;
    bench.work("office").await;
    assert_eq!(desk.steps().len(), 2);
    let entry = |minute: u32, text: &str| json!({"value": "in_progress", "at": format!("2026-03-05T10:{minute:02}:00Z"), "by": "Cán bộ phòng", "note": text});
    let both = [entry(0, "BƯỚC 1"), entry(1, "bước 2")];
    let version = bench.version(&code(1)).await;
    for _ in 0..2 {
        let said = bench.says("office", &report(1, json!({"progress": both}))).await;
        assert_eq!(said, nothing_new());
    }
    assert_eq!(bench.version(&code(1)).await, version);

    // the same words once more are an entry of its own, told once
    let more = [entry(0, "BƯỚC 1"), entry(1, "bước 2"), entry(9, "Bước 1")];
    let said = bench.says("office", &report(9, json!({"progress": more}))).await;
    assert_eq!(said, InboxState::Mapped);
    let said = bench.says("office", &report(9, json!({"progress": more}))).await;
    assert_eq!(said, nothing_new());
    assert_eq!(bench.dossier(&code(1)).await.logs["progress"].len(), 3);
    bench.work("office").await;
    assert_eq!(desk.steps().len(), 2, "{:?}", desk.steps());
    assert_eq!(desk.calls("/update").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dossier_that_came_into_being_there_is_not_sent_there_until_others_have_a_part_in_it() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let manifest = office("originates = [\"*\"]", PUSHED);
    let bench = bench(&manifest, [&desk, &book]).await;
    let mut birth = patch(&code(7), 7);
    birth["summary"] = json!("cua phong");
    birth["note"] = Value::Null;
    birth["status"] = json!({"value": "accepted"});
    assert_eq!(bench.says("office", &birth).await, InboxState::Mapped);
    settle(&bench).await;
    assert_eq!(book.counts(), [(code(7), 1)].into());
    assert_eq!(desk.paths(), [""; 0], "{:?}", desk.calls("/update"));
    desk.type_in(json!({"id": code(7), "name": "VU THI THU"}));
    // the register's link has come back meanwhile: that is no word about the dossier
    let bench = bench.reopen(|_: &Path| {}).await;
    birth["at"] = json!("2026-03-05T03:00:00Z");
    birth["summary"] = json!("cua phong sua");
    assert_eq!(bench.says("office", &birth).await, InboxState::Mapped);
    settle(&bench).await;
    assert_eq!(book.records()[0]["summary"], "cua phong sua");
    assert_eq!(desk.calls("/create").len(), 0);
}
