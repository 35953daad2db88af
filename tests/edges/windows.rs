//! A pull that may ask for a limited span only goes through its past window by window, without waiting between them.

use lienthong::stage::Progress;
use serde_json::json;

use crate::support::{Bench, Target};

const REGISTER: &str = r#"lienthong = 1
title = "Sổ của bài thử"
originates = ["*"]
owns = { procedure = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[pull.dossiers]
every = "10m"
start = "90d"
overlap = "7d"
window = "21d"
path = '/list'
body = '{from: ($since | format_time("%Y-%m-%d")), to: ($until | format_time("%Y-%m-%d"))}'
records = '.rows[]'
map = '{dossier: {native: .}, procedure: {code: "1.002809", name: "x"}}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_the_past_follow_each_other_at_once_and_then_it_waits() {
    let target = Target::start().await;
    target.serve("/list", |_, _| (200, json!({"rows": []})));
    // the tests begin on 6 March 2026, 9 o'clock in Việt Nam
    let bench = Bench::open(&[("register", REGISTER, &target.url)]).await;
    let puller = bench.puller("register");
    let spans = || -> Vec<(String, String)> {
        let text = |call: &serde_json::Value| call.as_str().unwrap().to_owned();
        let calls = target.calls("/list").into_iter();
        calls
            .map(|call| (text(&call.body["from"]), text(&call.body["to"])))
            .collect()
    };
    let mut steps = 0;
    let next = loop {
        steps += 1;
        match puller.step().await.unwrap() {
            Progress::Worked if steps < 20 => {}
            Progress::Worked => panic!("it never waits: {:?}", spans()),
            Progress::Idle(next) => break next,
        }
    };
    let expected = [
        ("2025-12-06", "2025-12-27"),
        ("2025-12-20", "2026-01-17"),
        ("2026-01-10", "2026-02-07"),
        ("2026-01-31", "2026-02-28"),
        ("2026-02-21", "2026-03-06"),
    ];
    let spans = spans();
    let found: Vec<_> = spans
        .iter()
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(next, Some(bench.now() + std::time::Duration::from_mins(10)));
}
