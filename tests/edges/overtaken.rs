//! What a system answers is as old as the question: what it said meanwhile by itself is newer, also within one second of its
//! clock.

use std::sync::Arc;

use lienthong::stage::Progress;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Act, Bench, Target};

on_both_stores! {
    answer_that_was_asked_for_before_a_webhook_came_takes_nothing_back
}

/// A system that tells of its dossiers and is asked for them, and says of each when it changed, to the second.
const REGISTER: &str = r#"lienthong = 1
title = "Sổ của bài thử"
originates = ["*"]
owns = { procedure = "always", summary = "always", note = "always", status = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[webhook.dossier]
path = "/hooks/register"
verify = 'true'
map = 'inbound'
[pull.dossiers]
every = "30s"
path = '/list'
body = '{}'
records = '.rows[]'
map = 'inbound'
"#;

const INBOUND: &str = r#"
  {dossier: {native: .ma}, at: .luc, procedure: {code: "1.002809", name: "x"}, summary: .noiDung, status: {value: .trangThai}}
  + if .ghiChu then {note: .ghiChu} else {} end
"#;

fn row(summary: &str, status: &str) -> Value {
    json!({"ma": "HS-1", "luc": "2026-03-06T01:59:50Z", "noiDung": summary, "trangThai": status})
}

async fn answer_that_was_asked_for_before_a_webhook_came_takes_nothing_back() {
    let target = Target::start().await;
    let systems = [("register", REGISTER, &*target.url)];
    let bench = Bench::prepare(&systems, |adapters| {
        std::fs::write(adapters.join("register/inbound.jq"), INBOUND).unwrap();
    })
    .await;
    let puller = bench.puller("register");
    bench.says("register", &row("lần đầu", "accepted")).await;

    let barrier = Arc::new(Barrier::new(2));
    let mut older = row("trước khi hỏi", "in_progress");
    older["ghiChu"] = json!("chỉ có ở đây");
    target.next(
        "/list",
        Act::Gather(Arc::clone(&barrier), 200, json!({"rows": [older]})),
    );
    bench.advance(1);
    let (asked, ()) = tokio::join!(puller.step(), async {
        target.called("/list", 1).await;
        bench.advance(1);
        bench.says("register", &row("sau khi hỏi", "completed")).await;
        bench.advance(1);
        barrier.wait().await;
    });
    assert_ne!(asked.unwrap(), Progress::Worked);
    bench.spread().await;
    let view = bench.dossier("HS-1").await.view();
    assert_eq!(view["summary"], "sau khi hỏi");
    assert_eq!(view["status"]["value"], "completed");
    // what only the answer says is news all the same
    assert_eq!(view["note"], "chỉ có ở đây");

    // asked again, it is believed: it was asked for after the webhook
    target.serve("/list", |_, _| {
        (200, json!({"rows": [row("đã sửa lại", "completed")]}))
    });
    bench.advance(60);
    puller.step().await.unwrap();
    bench.spread().await;
    assert_eq!(bench.dossier("HS-1").await.view()["summary"], "đã sửa lại");
}
