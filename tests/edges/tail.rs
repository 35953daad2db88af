//! What a node learns, followed while it learns it.

use serde_json::{Value, json};

use crate::support::{Follower, Province, Site, ask, code, post, row, until};

fn told(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Dossier `n` with another summary, told a while later.
fn changed(n: u32, summary: &str, time: &str) -> Value {
    let mut row = row(n);
    row["TrichYeuHoSo"] = json!(summary);
    row["NgayCapNhat"] = json!(time);
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_tells_what_is_there_and_follows_what_comes_until_it_is_interrupted() {
    let site = Site::start(&[]).await;
    for n in 1..=3 {
        site.learn(&row(n)).await;
    }
    let ran = ask(site.socket(), &["event", "tail", "--json"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let events: Vec<Value> = ran.out.lines().map(told).collect();
    let dossiers: Vec<&str> = events
        .iter()
        .map(|event| event["dossier"].as_str().unwrap())
        .collect();
    assert_eq!(dossiers, [code(1), code(2), code(3)], "in the order of arrival");
    for event in &events {
        assert_eq!(
            (&event["type"], &event["adapter"]),
            (&json!("vn.lienthong.dossier.received"), &json!("one-stop"))
        );
        let writes = event["writes"].as_array().unwrap();
        for name in ["links/one-stop", "applicant.person", "schedule.due", "status"] {
            assert!(writes.contains(&json!(name)), "{name} in {writes:?}");
        }
        assert!(event.get("data").is_none());
    }
    let seq = |event: &Value| event["seq"].as_i64().unwrap();
    let second = seq(&events[1]).to_string();
    let since = ask(site.socket(), &["event", "tail", "--json", "--since", &second]).await;
    assert_eq!(since.out.lines().map(told).collect::<Vec<_>>(), events[2..]);
    let last = ask(site.socket(), &["event", "tail", "--json", "-n", "2"]).await;
    assert_eq!(last.out.lines().map(told).collect::<Vec<_>>(), events[1..]);
    let text = ask(site.socket(), &["event", "tail", "-n", "1"]).await.out;
    for said in ["received", "one-stop", &code(3), "applicant.person"] {
        assert!(text.contains(said), "{said} in {text}");
    }

    let mut follower = Follower::start(
        site.socket(),
        &["--json", "event", "tail", "--follow", "--since", &second],
    );
    assert_eq!(told(&follower.line().await), events[2], "what is there already");
    for (n, time) in [(2, "20260305083100"), (1, "20260305083200")] {
        site.learn(&changed(n, "Cấp lại", time)).await;
        let event = told(&follower.line().await);
        assert_eq!(
            (&event["dossier"], &event["writes"]),
            (&json!(code(n)), &json!(["summary"]))
        );
    }
    follower.interrupt();
    assert_eq!(follower.end().await, Some(0), "{}", follower.errors());
    assert_eq!(follower.errors(), "");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_named_by_what_is_followed() {
    let site = Site::start(&[]).await;
    site.learn(&row(1)).await;
    site.learn(&changed(1, "Vũ Thị Thử 1 xin cấp lại", "20260305083100"))
        .await;
    for arguments in [&["event", "tail"][..], &["event", "tail", "--json"]] {
        let said = ask(site.socket(), arguments).await.out;
        assert_eq!(said.lines().count(), 2, "{said}");
        for field in [
            "ChuHoSo",
            "SoGiayToChuHoSo",
            "SoDienThoai",
            "Email",
            "TrichYeuHoSo",
        ] {
            assert!(
                !said.contains(row(1)[field].as_str().unwrap()),
                "{field} in {said}"
            );
        }
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_ends_when_the_node_stops_and_says_where_to_go_on() {
    let province = Province::new(&[]);
    let mut daemon = province.start().await;
    post(&daemon.hook, &row(1)).await;
    let mut follower = Follower::start(&province.socket(), &["event", "tail", "--follow", "--since", "0"]);
    let line = follower.line().await;
    let seq = line.split_whitespace().next().unwrap().to_owned();
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0), "{}", daemon.log());
    assert_eq!(follower.end().await, Some(3));
    let said = until("it says why", async || {
        Some(follower.errors()).filter(|said| !said.is_empty())
    })
    .await;
    assert!(said.contains(&format!("event tail --since {seq}")), "{said}");

    // and it does go on there
    let daemon = province.start().await;
    post(&daemon.hook, &changed(1, "Cấp lại", "20260305083100")).await;
    let mut follower = Follower::start(
        &province.socket(),
        &["event", "tail", "--follow", "--since", &seq],
    );
    assert!(follower.line().await.ends_with("summary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_whose_reader_has_gone_ends() {
    let site = Site::start(&[]).await;
    site.learn(&row(1)).await;
    let mut follower = Follower::start(site.socket(), &["event", "tail", "--follow", "--since", "0"]);
    follower.line().await;
    follower.turn_away();
    // the reader's thread notices at its next line, the program at the one after
    let mut second = 0;
    until("it ends", async || {
        second += 1;
        let time = format!("202603050831{:02}", second % 60);
        site.learn(&changed(1, &format!("Cấp lại {second}"), &time)).await;
        follower.has_ended()
    })
    .await;
    assert_eq!(follower.end().await, Some(0), "{}", follower.errors());
    site.stop().await;
}
