//! Two daemons, each with a store of its own, joined by RabbitMQ alone: what the one takes in the other brings to its target,
//! and what is said there comes back.

use serde_json::json;

use crate::support::rabbit::Places;
use crate::support::{
    Daemon, MANIFEST, OFFICE, Province, Target, cli, client, code, patch, post, row, until,
};

const NOWHERE: &str = "http://127.0.0.1:9";

/// The id of the store that this configuration names; its daemon is started for that.
async fn store_id(province: &Province) -> String {
    let mut daemon = province.start().await;
    let status = cli(&province.socket(), &["status"]).await;
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
    status["store_id"].as_str().unwrap().to_owned()
}

/// The lines of `[owns]` of a manifest.
pub(crate) fn owns(manifest: &str) -> String {
    let lines = manifest.lines().skip_while(|line| *line != "[owns]").skip(1);
    let lines = lines.take_while(|line| !line.is_empty() && !line.starts_with('['));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// What every node of the province has in its configuration.
fn agreed(account: &str) -> String {
    let shipped = include_str!("../../adapters/one-stop/adapter.toml");
    let systems = [("one-stop", shipped), ("book", MANIFEST), ("office", OFFICE)];
    let tables = systems.map(|(name, manifest)| {
        format!(
            "[province.adapters.{name}]\naccount = \"{account}\"\n[province.adapters.{name}.owns]\n{}",
            owns(manifest)
        )
    });
    tables.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn dossier_goes_from_one_store_to_the_target_of_another_once_and_its_news_come_back() {
    let places = Places::shared().await;
    let target = Target::start().await;
    let office = OFFICE.replace("[webhook.dossier]", "settle = \"90s\"\n[webhook.dossier]");
    let here = Province::new(&[]);
    let there = Province::new(&[
        ("book", Some(MANIFEST), target.url.as_str()),
        ("office", Some(office.as_str()), NOWHERE),
    ]);
    there.reconfigure(&format!("[adapter.one-stop]\nurl = \"{NOWHERE}\"\n"), "");
    let (account, _) = places.account();
    let accounts = format!(
        "accounts = {{ \"{}\" = \"{account}\", \"{}\" = \"{account}\" }}",
        store_id(&here).await,
        store_id(&there).await
    );
    let common = format!(
        "{}[broker]\nurl = \"{}\"\n{accounts}\n[http]",
        agreed(&account),
        places.url()
    );
    for province in [&here, &there] {
        province.reconfigure("[http]", &common);
    }
    let mut first = here.start().await;
    let mut second = there.start().await;
    // Its queue is there: what was said before that only a resync could bring.
    until("the second node listens", async || {
        let queues = places.queues().await;
        (queues
            .iter()
            .filter(|queue| queue.starts_with("lienthong.node."))
            .count()
            == 2)
            .then_some(())
    })
    .await;

    for n in 1..=6 {
        assert_eq!(post(&first.hook, &row(n)).await.0, 200);
    }
    at_the_target(&target, 6).await;
    // The node with the target dies, more comes meanwhile, and it goes on.
    second.kill();
    for n in 7..=9 {
        assert_eq!(post(&first.hook, &row(n)).await.0, 200);
    }
    first.rest().await;
    let mut second = there.start().await;
    at_the_target(&target, 9).await;

    // An office at the second node states something of a dossier that came into being at the first one.
    let mut said = patch(&code(1), 1);
    said["note"] = json!("Đã nhận đủ");
    let hook = second.hook.replace("/hooks/one-stop", "/hooks/office");
    let answer = client()
        .post(&hook)
        .header("x-key", "k")
        .json(&said)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    until("the first node has the note", async || {
        let story = cli(&here.socket(), &["dossier", "history", &code(1)]).await;
        story.to_string().contains(r#""path":"note""#).then_some(())
    })
    .await;
    second.rest().await;
    until("the first node has all that the second one said", async || {
        for n in 1..=9 {
            let story = cli(&here.socket(), &["dossier", "history", &code(n)]).await;
            // It hosts no book: only the second node's event can speak of one.
            if !story.to_string().contains(r#""system":"book""#) {
                return None;
            }
        }
        Some(())
    })
    .await;
    end(&mut first, &here).await;
    end(&mut second, &there).await;
    let (one, two) = (here.store().await, there.store().await);
    for n in 1..=9 {
        let replicas = (
            one.find_replica(&code(n)).await.unwrap(),
            two.find_replica(&code(n)).await.unwrap(),
        );
        let (Some(one), Some(two)) = replicas else {
            panic!("both nodes have {}", code(n))
        };
        assert_eq!(one.dossier, two.dossier, "the same dossier on both nodes");
        let note = (n == 1).then(|| json!("Đã nhận đủ"));
        assert_eq!(one.dossier.register("note"), note.as_ref());
    }
    places.tell("2 daemons with stores of their own: 9 dossiers at the target once, 1 note back, 1 SIGKILL");
}

/// Waits until the target has so many records, each once.
async fn at_the_target(target: &Target, count: usize) {
    until(&format!("{count} records"), async || {
        (target.records().len() >= count).then_some(())
    })
    .await;
    let mut ids: Vec<String> = target
        .records()
        .iter()
        .map(|record| record["id"].to_string())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), target.records().len()), (count, count));
}

/// Nothing waits and nothing was refused; the daemon ends.
async fn end(daemon: &mut Daemon, province: &Province) {
    daemon.rest().await;
    assert_eq!(cli(&province.socket(), &["dead-letter", "list"]).await, json!([]));
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
}
