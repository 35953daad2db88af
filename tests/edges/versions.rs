//! A new version of a mapping: it sends nothing again by itself, and takes what the old one could not.

use std::path::Path;

use lienthong::store::{InboxState, State};
use serde_json::{Value, json};

use crate::support::{Act, Bench, MANIFEST, OFFICE, Target, code, row};

on_both_stores! {
    changed_mapping_sends_nothing_and_with_a_change_of_one_dossier_only_that_one
    unknown_code_parks_its_dossiers_until_the_table_has_it
    refused_record_is_taken_by_itself_when_its_code_is_known_with_the_time_it_came
    mapping_that_a_new_version_breaks_parks_what_changes_and_a_mended_one_sends_it
}

/// The adapter's manifest with this replaced.
fn rewrite(from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    move |adapters| {
        let file = adapters.join("book/adapter.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }
}

/// A table with these lines.
fn table(system: &'static str, name: &'static str, lines: &'static str) -> impl FnOnce(&Path) {
    move |adapters| {
        let folder = adapters.join(system).join("tables");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), format!("native,canonical,name\n{lines}")).unwrap();
    }
}

/// Dossier `n` with another summary.
fn newer(n: u32) -> Value {
    let mut row = row(n);
    row["TrichYeuHoSo"] = json!("Cấp lại");
    row["NgayCapNhat"] = json!("20260305093000");
    row
}

async fn changed_mapping_sends_nothing_and_with_a_change_of_one_dossier_only_that_one() {
    let target = Target::start().await;
    let bench = Bench::open(&[("book", MANIFEST, &target.url)]).await;
    for n in 1..=3 {
        bench.tell(&row(n)).await;
    }
    bench.work("book").await;
    let old = bench.row(&code(1), "book", "dossier").await.mapping;
    let calls = target.paths().len();
    let bench = bench
        .reopen(rewrite(
            "summary: .summary",
            "summary: .summary, phone: .applicant.contact.phone",
        ))
        .await;
    bench.work("book").await;
    assert_eq!(target.paths().len(), calls, "nothing is sent");

    bench.tell(&newer(2)).await;
    bench.work("book").await;
    assert_eq!(target.paths()[calls..], ["/update"]);
    let sent = &target.calls("/update")[0].body;
    assert_eq!(
        (&sent["id"], &sent["phone"]),
        (&json!(code(2)), &json!("0958000002"))
    );
    let row = bench.row(&code(2), "book", "dossier").await;
    assert_ne!(row.mapping, old);
    assert_eq!(bench.row(&code(1), "book", "dossier").await.mapping, old);
}

/// A register with its own words for the channel.
fn with_table() -> String {
    MANIFEST.replace(
        "summary: .summary",
        "summary: .summary, channel: (.channel | to_native(\"channel\"))",
    )
}

async fn unknown_code_parks_its_dossiers_until_the_table_has_it() {
    let target = Target::start().await;
    let manifest = with_table();
    let bench = Bench::prepare(
        &[("book", &manifest, &target.url)],
        table("book", "channel.csv", "D,direct,Trực tiếp\n"),
    )
    .await;
    let mut direct = row(1);
    direct["KenhThucHien"] = json!("1");
    bench.tell(&direct).await;
    // the target refuses one of its own accord: no table mends that
    let mut refused = row(2);
    refused["KenhThucHien"] = json!("1");
    let no = json!({"code": "17", "message": "thiếu ngày"});
    target.rule(
        "/create",
        1,
        |body| body["id"] == json!(code(2)),
        Act::Answer(200, vec![], no),
    );
    bench.tell(&refused).await;
    bench.tell(&row(3)).await;
    bench.work("book").await;
    let parked = bench.parked(&code(3), "book", "dossier").await;
    assert_eq!(parked, [(0, "table-missing-entry".to_owned())]);
    let row = bench.row(&code(3), "book", "dossier").await;
    let version = bench.shared.adapter("book").unwrap().version.clone();
    assert_eq!((row.judged_by.as_ref(), row.attempt), (Some(&version), 0));
    assert_eq!(bench.row(&code(2), "book", "dossier").await.judged_by, None);
    let State::Parked { cause, held } = row.state else {
        unreachable!()
    };
    assert_eq!((cause.file.as_deref(), held), (Some("tables/channel.csv"), false));

    // the same mapping is asked in vain, and so not asked
    let calls = target.paths().len();
    let bench = bench.reopen(|_| {}).await;
    bench.work("book").await;
    assert_eq!(target.paths().len(), calls);
    assert_eq!(bench.parked(&code(3), "book", "dossier").await.len(), 1);

    let bench = bench
        .reopen(table(
            "book",
            "channel.csv",
            "D,direct,Trực tiếp\nO,online,Trực tuyến\n",
        ))
        .await;
    bench.work("book").await;
    assert_eq!(bench.parked(&code(3), "book", "dossier").await, []);
    assert_eq!(
        bench.parked(&code(2), "book", "dossier").await.len(),
        1,
        "refused there, not here"
    );
    assert_eq!(target.counts(), [(code(1), 1), (code(3), 1)].into());
    assert_eq!(target.records()[1]["channel"], "O");
    assert_eq!(bench.row(&code(3), "book", "dossier").await.judged_by, None);
}

async fn refused_record_is_taken_by_itself_when_its_code_is_known_with_the_time_it_came() {
    let manifest = OFFICE.replace(
        "map = '.'",
        "map = '. + {channel: (.channel | to_canonical(\"channel\"))}'",
    );
    let bench = Bench::prepare(
        &[("office", &manifest, "http://127.0.0.1:9")],
        table("office", "channel.csv", "D,direct,Trực tiếp\n"),
    )
    .await;
    let mut record = crate::support::patch("O-1", 1);
    record["channel"] = json!("O");
    record.as_object_mut().unwrap().remove("at");
    let InboxState::Refused(fault) = bench.says("office", &record).await else {
        panic!("refused")
    };
    assert_eq!(fault.code, "table-missing-entry");
    let came = bench.now();
    bench.advance(3600);
    let bench = bench.reopen(|_| {}).await;
    bench.spread().await;
    assert_eq!(bench.shared.store.dead_letters(9).await.unwrap().len(), 1);

    let bench = bench
        .reopen(table(
            "office",
            "channel.csv",
            "D,direct,Trực tiếp\nO,online,Trực tuyến\n",
        ))
        .await;
    bench.spread().await;
    assert!(bench.shared.store.dead_letters(9).await.unwrap().is_empty());
    let channel = bench.dossier("O-1").await.registers["channel"].clone();
    assert_eq!(channel.value, "online");
    assert!(channel.stamp.effective <= came);
}

async fn mapping_that_a_new_version_breaks_parks_what_changes_and_a_mended_one_sends_it() {
    let target = Target::start().await;
    let bench = Bench::open(&[("book", MANIFEST, &target.url)]).await;
    for n in 1..=2 {
        bench.tell(&row(n)).await;
    }
    bench.work("book").await;
    let bench = bench
        .reopen(rewrite("summary: .summary", "summary: (.summary | error(\"x\"))"))
        .await;
    bench.tell(&newer(1)).await;
    bench.work("book").await;
    assert_eq!(bench.parked(&code(1), "book", "dossier").await.len(), 1);
    assert_eq!(
        bench.parked(&code(2), "book", "dossier").await,
        [],
        "nothing had changed there"
    );
    let bench = bench
        .reopen(rewrite("summary: (.summary | error(\"x\"))", "summary: .summary"))
        .await;
    bench.work("book").await;
    let records = target.records();
    let record = records.iter().find(|record| record["id"] == json!(code(1)));
    assert_eq!(record.unwrap()["summary"], "Cấp lại");
    assert_eq!(target.calls("/update").len(), 1);
}
