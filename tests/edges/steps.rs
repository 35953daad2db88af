//! A target that takes actions and can be asked how it stands: led one action at a time, whatever happens to a call.

use jiff::SignedDuration;
use lienthong::store::{Presence, State};
use serde_json::{Value, json};

use crate::support::{Act, Bench, Target, code, row};

on_both_stores! {
    statuses_that_came_while_the_target_was_away_are_taken_one_by_one
    nothing_is_asked_where_nothing_is_to_be_done
    action_whose_end_nobody_saw_is_looked_at_and_repeated_only_if_it_did_not_take_effect
    target_that_takes_an_action_and_does_not_move_is_asked_again_when_it_must_show_and_then_left_to_a_person
    target_that_shows_late_what_it_did_is_not_told_again
    target_that_shows_late_what_it_did_is_not_told_again_in_other_words
    action_that_is_refused_parks_the_dossier_and_the_next_version_asks_and_tries_again
    target_whose_officers_went_ahead_is_asked_and_never_taken_back
    dossier_that_stands_twice_in_the_target_is_for_a_person
}

/// An office that takes a dossier from state to state.
pub(crate) const MANIFEST: &str = r#"lienthong = 1
title = "Phòng một cửa của bài thử"
subscribe = { procedures = ["*"] }
needs = ["*"]
answer = [{ when = '$http.status == 200 and .code != "0"', is = "refused" }]
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
timeout = "20s"
settle = "90s"
retry = { first = "4s", max = "60s", give_up = "7d" }
reason = '.message'
[push.status]
find = { path = '/stand', body = '{id: $dossier.code}', records = '.result[]?', remote = '.no' }
state = '.state'
steps = '''
  ["accepted", "in_progress", "completed", "returned"] as $way
  | (. // "") as $at
  | ($way | index($dossier.status.value) // -1) as $want
  | ($way | index($at) // -1) as $is
  | if $is < $want then $way[$is + 1] | {step: ., record: {id: $dossier.code, to: .}} else empty end
'''
echo = false
"#;

/// Its actions.
pub(crate) const ACTIONS: &str = r"step.accepted = { path = '/act', body = '{no: $remote} + .' }
step.in_progress = { path = '/act', body = '{no: $remote} + .' }
step.completed = { path = '/act', body = '{no: $remote} + .' }
step.returned = { path = '/act', body = '{no: $remote} + .' }
";

/// The one-stop's row of dossier 1 with this status at this minute.
pub(crate) fn at(status: u32, minute: u32) -> Value {
    let mut row = row(1);
    row["TrichYeuHoSo"] = json!(format!("Cấp Phiếu, lần {minute}"));
    row["TrangThaiHoSoId"] = json!(status);
    row["NgayCapNhat"] = json!(format!("2026030509{minute:02}00"));
    row
}

/// The office keeps each dossier once, by its own number; it takes actions in their order only.
pub(crate) fn office(target: &Target) {
    target.type_in(json!({"id": code(1), "no": "N1", "state": "registered"}));
    target.serve("/stand", |records, body| {
        let found: Vec<&Value> = records
            .iter()
            .filter(|record| record["id"] == body["id"])
            .collect();
        (200, json!({"code": "0", "result": found}))
    });
    target.serve("/act", |records, body| {
        let before = match body["to"].as_str().unwrap() {
            "accepted" => "registered",
            "in_progress" => "accepted",
            "completed" => "in_progress",
            _ => "completed",
        };
        let record = records.iter_mut().find(|record| record["id"] == body["id"]);
        match record {
            Some(record) if record["state"] == before => {
                record["state"] = body["to"].clone();
                (200, json!({"code": "0"}))
            }
            _ => (200, json!({"code": "9", "message": "sai thứ tự"})),
        }
    });
}

/// The actions that the office was told, in their order.
pub(crate) fn told(target: &Target) -> Vec<String> {
    let calls = target.calls("/act");
    calls
        .iter()
        .map(|call| call.body["to"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn stands(target: &Target) -> Value {
    target.records()[0]["state"].clone()
}

async fn bench(target: &Target) -> Bench {
    office(target);
    let manifest = format!("{MANIFEST}{ACTIONS}");
    Bench::open(&[("office", &manifest, &target.url)]).await
}

async fn one(bench: &Bench) -> lienthong::store::Delivery {
    bench.row(&code(1), "office", "status").await
}

async fn statuses_that_came_while_the_target_was_away_are_taken_one_by_one() {
    let target = Target::start().await;
    let bench = bench(&target).await;
    target.rule(
        "/stand",
        usize::MAX,
        |_| true,
        Act::Answer(503, vec![], json!({})),
    );
    for (status, minute) in [(2, 0), (4, 10), (9, 20)] {
        bench.tell(&at(status, minute)).await;
        bench.work("office").await;
    }
    assert_eq!(told(&target), [""; 0]);
    target.relent();
    bench.advance(3600);
    let mut attempts = Vec::new();
    while matches!(bench.step("office").await, lienthong::stage::Progress::Worked) {
        attempts.push(one(&bench).await.attempt);
    }
    assert_eq!(told(&target), ["accepted", "in_progress", "completed"]);
    assert_eq!(stands(&target), "completed");
    let since: Vec<_> = target
        .paths()
        .into_iter()
        .skip_while(|path| path == "/stand")
        .collect();
    assert_eq!(
        since,
        ["/act", "/stand", "/act", "/stand", "/act", "/stand"],
        "asked before each of them, and after"
    );
    assert!(
        attempts.is_sorted() && attempts.contains(&1) && attempts.contains(&2),
        "{attempts:?}"
    );
    let row = one(&bench).await;
    assert_eq!(
        (row.state, row.attempt, row.remote.as_deref()),
        (State::Applied, 3, Some("N1"))
    );
    assert_eq!(row.applied, Some(row.desired));
    assert!(target.calls("/act").iter().all(|call| call.body["no"] == "N1"));
}

async fn nothing_is_asked_where_nothing_is_to_be_done() {
    let target = Target::start().await;
    let bench = bench(&target).await;
    bench.tell(&at(2, 0)).await;
    bench.work("office").await;
    let calls = target.paths().len();
    let mut corrected = at(2, 1);
    corrected["TrichYeuHoSo"] = json!("Cấp lại");
    bench.tell(&corrected).await;
    bench.work("office").await;
    assert_eq!(target.paths().len(), calls, "{:?}", target.paths());
    let row = one(&bench).await;
    assert_eq!((row.state, row.applied), (State::Applied, Some(row.desired)));
}

async fn action_whose_end_nobody_saw_is_looked_at_and_repeated_only_if_it_did_not_take_effect() {
    let ends = [
        (Act::DoAndCut, true),
        (Act::DoAndAnswer(500, json!({})), true),
        (Act::Answer(502, vec![], json!({})), false),
    ];
    for (end, took_effect) in ends {
        let target = Target::start().await;
        let bench = bench(&target).await;
        target.next("/act", end);
        bench.tell(&at(4, 0)).await;
        let settle = bench.now() + SignedDuration::from_secs(90);
        assert_eq!(bench.work("office").await, Some(settle));
        let until = bench.steady() + SignedDuration::from_secs(90);
        assert_eq!(one(&bench).await.state, State::InDoubt { until });
        // a newer status waits as well
        bench.advance(89);
        bench.tell(&at(9, 10)).await;
        assert_eq!(bench.work("office").await, Some(settle));
        assert_eq!(target.paths(), ["/stand", "/act"]);
        bench.advance(1);
        bench.work("office").await;
        let mut expected = vec!["accepted"];
        expected.extend((!took_effect).then_some("accepted"));
        expected.extend(["in_progress", "completed"]);
        assert_eq!(told(&target), expected);
        let row = one(&bench).await;
        assert_eq!((row.state, row.intent), (State::Applied, None));
        assert_eq!(stands(&target), "completed");
    }
}

async fn target_that_takes_an_action_and_does_not_move_is_asked_again_when_it_must_show_and_then_left_to_a_person()
 {
    let target = Target::start().await;
    let bench = bench(&target).await;
    target.serve("/act", |_, _| (200, json!({"code": "0"})));
    bench.tell(&at(2, 0)).await;
    let settle = bench.now() + SignedDuration::from_secs(90);
    assert_eq!(bench.work("office").await, Some(settle));
    assert_eq!(target.paths(), ["/stand", "/act", "/stand"]);
    bench.advance(90);
    assert_eq!(bench.work("office").await, None);
    assert_eq!(target.paths(), ["/stand", "/act", "/stand", "/stand"]);
    let parked = bench.parked(&code(1), "office", "status").await;
    assert_eq!(parked, [(0, "step-without-effect".to_owned())]);
    assert!(matches!(
        one(&bench).await.state,
        State::Parked { held: true, .. }
    ));
    bench.tell(&at(4, 10)).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted"]);
}

async fn target_that_shows_late_what_it_did_is_not_told_again() {
    let target = Target::start().await;
    let bench = bench(&target).await;
    target.serve("/act", |records, body| {
        records[0]["next"] = body["to"].clone();
        (200, json!({"code": "0"}))
    });
    bench.tell(&at(2, 0)).await;
    bench.step("office").await;
    bench.step("office").await;
    // the first look-up after the action fails: that is no sign that it had no effect
    target.next("/stand", Act::Answer(503, vec![], json!({})));
    let next = bench.work("office").await.unwrap();
    bench.clock().advance(next.duration_since(bench.now()));
    bench.work("office").await;
    assert_eq!(bench.parked(&code(1), "office", "status").await, []);
    assert_eq!(told(&target), ["accepted"]);

    target.serve("/stand", |records, _| {
        let next = records[0]["next"].clone();
        records[0]["state"] = next;
        (200, json!({"code": "0", "result": records}))
    });
    bench.advance(90);
    bench.work("office").await;
    assert_eq!(one(&bench).await.state, State::Applied);
    assert_eq!(told(&target), ["accepted"]);
}

/// The dossier has changed meanwhile, and with it what would be told.
async fn target_that_shows_late_what_it_did_is_not_told_again_in_other_words() {
    let target = Target::start().await;
    office(&target);
    let manifest = format!("{MANIFEST}{ACTIONS}");
    let (plain, worded) = ("to: .}", "to: ., text: $dossier.summary}");
    assert!(manifest.contains(plain), "the manifest has {plain}");
    let manifest = manifest.replace(plain, worded);
    let bench = Bench::open(&[("office", &manifest, &target.url)]).await;
    target.serve("/act", |records, body| {
        records[0]["next"] = body["to"].clone();
        (200, json!({"code": "0"}))
    });
    bench.tell(&at(2, 0)).await;
    bench.step("office").await;
    bench.step("office").await;
    assert_eq!(told(&target), ["accepted"]);
    bench.tell(&at(2, 1)).await;
    let settle = bench.now() + SignedDuration::from_secs(90);
    assert_eq!(bench.work("office").await, Some(settle));
    assert_eq!(target.paths(), ["/stand", "/act", "/stand"]);

    target.serve("/stand", |records, _| {
        records[0]["state"] = records[0]["next"].clone();
        (200, json!({"code": "0", "result": records}))
    });
    bench.advance(90);
    bench.work("office").await;
    assert_eq!(one(&bench).await.state, State::Applied);
    assert_eq!(told(&target), ["accepted"]);
}

async fn action_that_is_refused_parks_the_dossier_and_the_next_version_asks_and_tries_again() {
    let target = Target::start().await;
    let bench = bench(&target).await;
    let refusal = json!({"code": "9", "message": "chưa có cán bộ thụ lý"});
    target.next("/act", Act::Answer(200, vec![], refusal));
    bench.tell(&at(2, 0)).await;
    bench.work("office").await;
    let State::Parked { cause, held } = one(&bench).await.state else {
        panic!("parked")
    };
    assert_eq!(
        (cause.code.as_str(), cause.found.as_deref(), held),
        ("refused-by-target", Some("chưa có cán bộ thụ lý"), false)
    );
    // meanwhile the officers take the dossier in themselves
    target.next(
        "/stand",
        Act::DoAndAnswer(
            200,
            json!({"code": "0", "result": [{"no": "N1", "state": "accepted"}]}),
        ),
    );
    bench.tell(&at(2, 1)).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted"], "asked first: nothing was left to do");
    assert_eq!(one(&bench).await.state, State::Applied);

    let two = Target::start().await;
    let bench = self::bench(&two).await;
    two.next("/act", Act::Answer(200, vec![], json!({"code": "9"})));
    bench.tell(&at(2, 0)).await;
    bench.work("office").await;
    bench.tell(&at(2, 1)).await;
    bench.work("office").await;
    assert_eq!(told(&two), ["accepted", "accepted"]);
    assert_eq!(stands(&two), "accepted");
}

async fn target_whose_officers_went_ahead_is_asked_and_never_taken_back() {
    let target = Target::start().await;
    let bench = bench(&target).await;
    bench.tell(&at(2, 0)).await;
    bench.work("office").await;
    let row = one(&bench).await;
    assert_eq!((&row.state, row.presence), (&State::Applied, Presence::Unknown));
    target.serve("/stand", |records, _| {
        records[0]["state"] = json!("completed");
        (200, json!({"code": "0", "result": records}))
    });
    bench.tell(&at(4, 10)).await;
    bench.work("office").await;
    assert_eq!(told(&target), ["accepted"]);
    assert_eq!(one(&bench).await.state, State::Applied);
}

async fn dossier_that_stands_twice_in_the_target_is_for_a_person() {
    let target = Target::start().await;
    let bench = bench(&target).await;
    target.type_in(json!({"id": code(1), "no": "N2", "state": "registered"}));
    bench.tell(&at(2, 0)).await;
    bench.work("office").await;
    let parked = bench.parked(&code(1), "office", "status").await;
    assert_eq!(parked, [(0, "duplicate-in-target".to_owned())]);
    assert_eq!(told(&target), [""; 0]);
}
