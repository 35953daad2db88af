//! Questions about one dossier: asked once, within what their system allows, and nothing kept of the answers but what they
//! mean.

use lienthong::stage::Progress;
use lienthong::store::State;
use serde_json::{Value, json};

use crate::support::{Act, Bench, MANIFEST, Target, code, row};

on_both_stores! {
    wait_for_an_outcome_begins_when_the_dossier_could_first_have_been_delivered
    question_is_asked_once_and_anew_when_its_words_change
    answer_about_somebody_who_is_no_longer_the_applicant_does_not_count
    where_there_is_nothing_to_ask_something_else_is_said_once
    silence_is_said_once_and_ends_with_the_answer_and_deliveries_wait_for_it_no_longer_than_they_may
    silence_is_said_anew_of_an_applicant_who_is_corrected_meanwhile
    item_whose_question_has_changed_is_asked_about_at_once_and_the_others_when_it_is_time
    limit_for_all_lets_the_rest_wait_untouched
    same_question_of_another_dossier_is_answered_from_memory
    question_of_a_process_that_dies_is_asked_again_and_its_answer_said_once
    answer_that_the_mapping_cannot_read_is_asked_for_again_by_a_newer_one
    question_may_be_asked_again_every_so_often
    system_that_may_not_say_it_is_refused_and_told_so
}

/// A register that knows people by number, and in which a look-up is made in an officer's name.
const REGISTER: &str = r#"lienthong = 1
title = "Sổ dân cư của bài thử"
subscribe = { procedures = ["*"] }
needs = ["applicant.person", "handling", "identity"]
owns = { identity = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
timeout = "20s"
retry = { first = "4s", max = "60s", give_up = "7d" }
[lookup.identity]
when = '.applicant.person.kind == "citizen"'
otherwise = '{identity: {outcome: "not_applicable"}}'
meanwhile = '{identity: {outcome: "unavailable"}}'
asks = '{number: .applicant.person.citizen_id, name: .applicant.person.name, officer: (.handling.officer // "không rõ")}'
path = '/person'
body = '. + {request: $id}'
map = 'if .name == null then {identity: {outcome: "not_found"}} elif .name == $asked.name then {identity: {outcome: "match", request: $id}} else {identity: {outcome: "mismatch", fields: ["name"]}} end'
"#;

fn with(more: &str) -> String {
    format!("{REGISTER}{more}\n")
}

/// Knows everybody as they are asked for, and a secret about each.
async fn register() -> Target {
    let target = Target::start().await;
    target.serve("/person", |_, asked| {
        (200, json!({"name": asked["name"], "address": "Ngõ Kín 77"}))
    });
    target
}

async fn bench(manifest: &str, target: &Target) -> Bench {
    Bench::open(&[("population", manifest, &target.url)]).await
}

async fn identity(bench: &Bench, n: u32) -> Value {
    bench.dossier(&code(n)).await.view()["identity"].clone()
}

async fn outcome(bench: &Bench, n: u32) -> Value {
    identity(bench, n).await["outcome"].clone()
}

async fn state(bench: &Bench, n: u32) -> State {
    bench.row(&code(n), "population", "lookup.identity").await.state
}

fn at(mut row: Value, minute: u32) -> Value {
    row["NgayCapNhat"] = json!(format!("2026030509{minute:02}00"));
    row
}

fn named(n: u32, name: &str, minute: u32) -> Value {
    let mut row = at(row(n), minute);
    row["ChuHoSo"] = json!(name);
    row
}

async fn question_is_asked_once_and_anew_when_its_words_change() {
    let target = register().await;
    let bench = bench(REGISTER, &target).await;
    bench.tell(&row(1)).await;
    bench.work("population").await;
    assert_eq!(outcome(&bench, 1).await, "match");
    assert_eq!(target.calls("/person").len(), 1);
    let asked = target.calls("/person").remove(0).body;
    assert_eq!(
        identity(&bench, 1).await["request"],
        asked["request"],
        "the number of the request is all that is kept of it"
    );

    let mut row = at(row(1), 1);
    row["TrichYeuHoSo"] = json!("Cấp lại");
    bench.tell(&row).await;
    bench.work("population").await;
    assert_eq!(
        target.calls("/person").len(),
        1,
        "nothing that is asked about has changed"
    );

    bench.tell(&named(1, "Vũ Thị Khác", 2)).await;
    assert_eq!(
        identity(&bench, 1).await,
        Value::Null,
        "what was found of another applicant does not count"
    );
    bench.work("population").await;
    assert_eq!(outcome(&bench, 1).await, "match");
    let requests: Vec<Value> = target
        .calls("/person")
        .into_iter()
        .map(|call| call.body["request"].clone())
        .collect();
    assert_eq!(requests.len(), 2);
    assert_ne!(requests[0], requests[1], "no number is used twice");
    assert_eq!(state(&bench, 1).await, State::Applied);
}

async fn answer_about_somebody_who_is_no_longer_the_applicant_does_not_count() {
    let target = register().await;
    let bench = bench(REGISTER, &target).await;
    bench.tell(&row(1)).await;
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    target.next("/person", Act::DoAndHold(std::sync::Arc::clone(&gate)));
    let deliver = bench.deliver("population");
    let (asked, ()) = tokio::join!(deliver.step(), async {
        target.called("/person", 1).await;
        bench.tell(&named(1, "Vũ Thị Khác", 1)).await;
        gate.wait().await;
    });
    assert_eq!(asked.unwrap(), Progress::Worked);
    bench.spread().await;
    assert_eq!(identity(&bench, 1).await, Value::Null);
    bench.work("population").await;
    assert_eq!(outcome(&bench, 1).await, "match");
    assert_eq!(target.calls("/person").len(), 2);
}

async fn where_there_is_nothing_to_ask_something_else_is_said_once() {
    let target = register().await;
    let bench = bench(REGISTER, &target).await;
    let mut company = row(1);
    company["LoaiDoiTuong"] = json!("2");
    company["LoaiGiayToChuHoSo"] = json!("MST");
    company["SoGiayToChuHoSo"] = json!("2800123456");
    bench.tell(&company).await;
    bench.work("population").await;
    assert_eq!(outcome(&bench, 1).await, "not_applicable");
    let version = bench.version(&code(1)).await;
    bench.work("population").await;
    assert_eq!(bench.version(&code(1)).await, version);
    assert_eq!(target.calls("/person").len(), 0);
}

async fn silence_is_said_once_and_ends_with_the_answer_and_deliveries_wait_for_it_no_longer_than_they_may() {
    let target = register().await;
    let books = Target::start().await;
    let waiting = MANIFEST.replacen(
        "needs = [\"*\"]",
        "needs = [\"*\"]\nrequires = { identity = { within = \"10m\", otherwise = \"deliver\" } }",
        1,
    );
    let systems = [
        ("population", REGISTER, target.url.as_str()),
        ("book", waiting.as_str(), books.url.as_str()),
    ];
    let bench = Bench::open(&systems).await;
    target.rule(
        "/person",
        3,
        |_| true,
        Act::Answer(500, vec![], json!({"Fault": "Vũ Thị Thử 1 ở Ngõ Kín 77"})),
    );
    bench.tell(&row(1)).await;
    let next = bench.work("population").await.expect("another try");
    bench.work("book").await;
    assert_eq!(outcome(&bench, 1).await, "unavailable");
    assert_eq!(books.calls("/find").len(), 0, "it waits for the outcome");
    let version = bench.version(&code(1)).await;
    assert!(next > bench.now());
    for _ in 0..2 {
        bench.advance(300);
        bench.work("population").await;
    }
    assert_eq!(bench.version(&code(1)).await, version, "said once");
    bench.work("book").await;
    assert_eq!(books.records().len(), 1, "ten minutes are over");

    bench.advance(300);
    bench.work("population").await;
    assert_eq!(outcome(&bench, 1).await, "match");
    assert_eq!(target.calls("/person").len(), 4);
    let row = bench.row(&code(1), "population", "lookup.identity").await;
    assert_eq!((row.failures, row.failing_since), (0, None));
}

async fn wait_for_an_outcome_begins_when_the_dossier_could_first_have_been_delivered() {
    let target = register().await;
    target.rule("/person", 999, |_| true, Act::Answer(500, vec![], json!({})));
    let books = Target::start().await;
    let waiting = MANIFEST
        .replacen(
            "needs = [\"*\"]",
            "needs = [\"*\"]\nrequires = { identity = { within = \"10m\", otherwise = \"deliver\" } }",
            1,
        )
        .replacen("[push.dossier]", "[push.dossier]\nwhen = '.schedule.received'", 1);
    let systems = [
        ("population", REGISTER, target.url.as_str()),
        ("book", waiting.as_str(), books.url.as_str()),
    ];
    let bench = Bench::open(&systems).await;
    let registered = |n: u32| {
        let mut row = at(row(n), 0);
        row["NgayTiepNhan"] = json!("");
        row["TrangThaiHoSoId"] = json!(1);
        row
    };
    let work = async || {
        bench.work("population").await;
        bench.work("book").await;
    };
    // Received at once, an hour after it was registered, on the next day: each waits the whole time.
    bench.tell(&row(1)).await;
    for n in 2..=3 {
        bench.tell(&registered(n)).await;
    }
    work().await;
    for n in 2..=3 {
        let state = bench.row(&code(n), "book", "dossier").await.state;
        assert!(matches!(state, State::Skipped { .. }), "{state:?}");
    }
    for (n, before) in [(1, 0), (2, 60 * 60), (3, 23 * 60 * 60)] {
        bench.advance(before);
        if n > 1 {
            bench.tell(&at(row(n), 1)).await;
        }
        work().await;
        bench.advance(9 * 60);
        // A newer version meanwhile changes nothing of that.
        let mut newer = at(row(n), 2);
        newer["TrichYeuHoSo"] = json!("Cấp lại");
        bench.tell(&newer).await;
        work().await;
        let sent = usize::try_from(n).unwrap();
        assert_eq!(books.records().len(), sent - 1, "{n} waits");
        assert_eq!(outcome(&bench, n).await, "unavailable");
        bench.advance(60);
        work().await;
        assert_eq!(books.records().len(), sent, "{n} is there after ten minutes");
    }
}

async fn silence_is_said_anew_of_an_applicant_who_is_corrected_meanwhile() {
    let target = register().await;
    let bench = bench(REGISTER, &target).await;
    target.rule("/person", 4, |_| true, Act::Answer(500, vec![], json!({})));
    let deliver = bench.deliver("population");
    let ask = async || {
        while deliver.step().await.unwrap() == Progress::Worked {}
        bench.spread().await;
    };
    bench.tell(&named(1, "Lê Thị Mẫu", 1)).await;
    ask().await;
    assert_eq!(outcome(&bench, 1).await, "unavailable");
    bench.tell(&named(1, "Lê Thị Mậu", 2)).await;
    assert_eq!(outcome(&bench, 1).await, Value::Null, "said of another applicant");
    bench.advance(300);
    ask().await;
    assert_eq!(outcome(&bench, 1).await, "unavailable");
    let version = bench.version(&code(1)).await;
    for _ in 0..2 {
        bench.advance(300);
        ask().await;
    }
    assert_eq!(bench.version(&code(1)).await, version, "once");
    assert_eq!(target.calls("/person").len(), 4);
}

/// Asks about each paper that a dossier's form names, again and again.
const PAPERS: &str = r#"lienthong = 1
title = "Kho giấy tờ của bài thử"
subscribe = { procedures = ["*"] }
needs = ["form"]
owns = { components = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[lookup.papers]
each = '.form.giayTo[]?'
asks = '{path}'
every = "1d"
path = '/paper'
body = '.'
map = '{components: [{type: "GT", ordinal: 1, name: .name}]}'
"#;

async fn item_whose_question_has_changed_is_asked_about_at_once_and_the_others_when_it_is_time() {
    let target = Target::start().await;
    target.serve("/paper", |_, asked| (200, json!({"name": asked["path"]})));
    let bench = Bench::open(&[("papers", PAPERS, &target.url)]).await;
    let told = |first: &str, minute: u32| {
        let mut row = at(row(1), minute);
        row["EForm"] = json!({"giayTo": [{"id": "1", "path": first}, {"id": "2", "path": "/b"}]});
        row
    };
    let asked = || -> Vec<String> {
        let calls = target.calls("/paper").into_iter();
        calls
            .map(|call| call.body["path"].as_str().unwrap().to_owned())
            .collect()
    };
    bench.tell(&told("/a", 1)).await;
    bench.work("papers").await;
    assert_eq!(asked(), ["/a", "/b"]);
    bench.tell(&told("/c", 2)).await;
    bench.work("papers").await;
    assert_eq!(asked(), ["/a", "/b", "/c"]);
    bench.advance(24 * 60 * 60);
    bench.work("papers").await;
    assert_eq!(asked().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_for_each_officer_holds_over_a_restart_and_ends_at_midnight() {
    let target = register().await;
    let manifest = with("quota = [{ limit = \"2/day\", per = '.officer' }]");
    let mut bench = bench(&manifest, &target).await;
    let of = |n: u32, officer: &str| {
        let mut row = row(n);
        row["NguoiDangXuLy"] = json!(officer);
        row
    };
    for n in 1..=2 {
        bench.tell(&of(n, "cb01")).await;
    }
    bench.work("population").await;
    bench = bench.reopen(|_| {}).await;
    bench.tell(&of(3, "cb01")).await;
    bench.tell(&of(4, "cb02")).await;
    bench.work("population").await;
    assert_eq!(
        target.calls("/person").len(),
        3,
        "what was asked before the restart counts"
    );
    assert_eq!(outcome(&bench, 4).await, "match", "others have their own");
    // 2026-03-06 09:00 in Việt Nam
    let midnight = "2026-03-06T17:00:00Z".parse().unwrap();
    assert_eq!(
        state(&bench, 3).await,
        State::Waiting {
            requirement: "quota".to_owned(),
            until: Some(midnight)
        }
    );
    bench.advance(15 * 3600);
    bench.work("population").await;
    assert_eq!(outcome(&bench, 3).await, "match");
}

async fn limit_for_all_lets_the_rest_wait_untouched() {
    let target = register().await;
    let bench = bench(&with("quota = [{ limit = \"5/s\" }]"), &target).await;
    for n in 1..=12 {
        bench.tell(&row(n)).await;
    }
    let deliver = bench.deliver("population");
    let mut asked = Vec::new();
    for _ in 0..3 {
        let next = loop {
            match deliver.step().await.unwrap() {
                Progress::Worked => {}
                Progress::Idle(next) => break next,
            }
        };
        asked.push(target.calls("/person").len());
        if let Some(next) = next {
            assert!(
                next <= bench.now() + std::time::Duration::from_secs(1),
                "the next second, not later"
            );
        }
        bench.advance(1);
    }
    assert_eq!(asked, [5, 10, 12]);
}

async fn same_question_of_another_dossier_is_answered_from_memory() {
    let target = register().await;
    let bench = bench(&with("remember = \"10m\""), &target).await;
    let of_one = |n: u32| {
        let mut row = row(n);
        for column in ["ChuHoSo", "SoGiayToChuHoSo"] {
            row[column] = self::row(1)[column].clone();
        }
        row
    };
    bench.tell(&of_one(1)).await;
    let deliver = bench.deliver("population");
    while deliver.step().await.unwrap() == Progress::Worked {}
    bench.tell(&of_one(2)).await;
    while deliver.step().await.unwrap() == Progress::Worked {}
    bench.spread().await;
    assert_eq!(outcome(&bench, 2).await, "match");
    assert_eq!(target.calls("/person").len(), 1);
    bench.advance(601);
    bench.tell(&of_one(3)).await;
    while deliver.step().await.unwrap() == Progress::Worked {}
    assert_eq!(target.calls("/person").len(), 2, "ten minutes are over");
}

async fn question_of_a_process_that_dies_is_asked_again_and_its_answer_said_once() {
    let target = register().await;
    let bench = bench(REGISTER, &target).await;
    bench.tell(&row(1)).await;
    let version = bench.version(&code(1)).await;
    let deliver = bench.deliver("population");
    target.next("/person", Act::DoAndHang);
    tokio::select! {
        _ = deliver.step() => panic!("there was no answer"),
        () = target.called("/person", 1) => {}
    }
    drop(deliver);
    let bench = bench.reopen(|_| {}).await;
    bench.work("population").await;
    assert_eq!(target.calls("/person").len(), 2);
    assert_eq!(outcome(&bench, 1).await, "match");
    assert_eq!(bench.version(&code(1)).await, version + 1);
}

async fn answer_that_the_mapping_cannot_read_is_asked_for_again_by_a_newer_one() {
    let target = register().await;
    let broken = REGISTER.replace("{outcome: \"match\", request: $id}", "{outcome: \"perhaps\"}");
    let bench = bench(&broken, &target).await;
    bench.tell(&row(1)).await;
    bench.work("population").await;
    assert_eq!(
        bench.parked(&code(1), "population", "lookup.identity").await[0].1,
        "unknown-code"
    );
    let bench = bench
        .reopen(|adapters| std::fs::write(adapters.join("population/adapter.toml"), REGISTER).unwrap())
        .await;
    bench.work("population").await;
    assert_eq!(outcome(&bench, 1).await, "match");
}

async fn question_may_be_asked_again_every_so_often() {
    let target = register().await;
    let bench = bench(&with("every = \"1h\""), &target).await;
    bench.tell(&row(1)).await;
    let next = bench.work("population").await.expect("the next question");
    assert_eq!(next, bench.now() + std::time::Duration::from_hours(1));
    bench.advance(3599);
    bench.work("population").await;
    assert_eq!(target.calls("/person").len(), 1);
    bench.advance(1);
    bench.work("population").await;
    assert_eq!(target.calls("/person").len(), 2);
}

async fn system_that_may_not_say_it_is_refused_and_told_so() {
    let target = register().await;
    let bench = bench(
        &REGISTER.replace("owns = { identity = \"always\" }\n", ""),
        &target,
    )
    .await;
    bench.tell(&row(1)).await;
    bench.work("population").await;
    assert_eq!(
        bench.parked(&code(1), "population", "lookup.identity").await[0].1,
        "not-owner"
    );
    assert_eq!(identity(&bench, 1).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_answer_is_kept_or_published() {
    let target = register().await;
    let bench = bench(&with("remember = \"10m\""), &target).await;
    bench.tell(&row(1)).await;
    let deliver = bench.deliver("population");
    while deliver.step().await.unwrap() == Progress::Worked {}
    let outbox = bench.shared.store.outbox_head(10).await.unwrap();
    assert_eq!(outbox.len(), 1);
    let published = serde_json::to_string(&outbox).unwrap();
    assert!(
        published.contains("match") && !published.contains("Ngõ Kín"),
        "{published}"
    );
    target.rule(
        "/person",
        9,
        |_| true,
        Act::Answer(403, vec![], json!({"name": "Ngõ Kín 77"})),
    );
    bench.tell(&row(2)).await;
    while deliver.step().await.unwrap() == Progress::Worked {}
    bench.spread().await;
    let stored = [bench.file(), bench.file().with_extension("db-wal")]
        .map(|file| std::fs::read(file).unwrap_or_default())
        .concat();
    let holds = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("Vũ Thị Thử 1"), "the search finds what is there");
    assert!(!holds("Ngõ Kín"));
}
