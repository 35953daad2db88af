//! The first flow where a province meets the portal in another way: through its gateway with bearer tokens, or through a
//! façade that is called with the query. The stand-in keeps the same tables whoever hands it a record.

use lienthong::demo::FILES;
use lienthong::demo::judge::{Expected, expected};
use serde_json::json;

use crate::support::{
    ask, by_code, calls, code, dossiers, finals, portal, reports, run, settle, settle_told, shipped, tell,
    tell_all, text, verdict, verdict_for, world_through,
};

embedded_and_grown! {
    dossiers_arrive_complete_and_once_through_the_gateway
    dossiers_arrive_complete_and_once_through_the_facade
}

/// A third is there before the bus and fetched by the pull; the rest and everything that the officials do is told by
/// webhook.
async fn whole_flow_through(variant: &str) {
    let mut reports = reports().await;
    let first = reports.remove(0);
    let (earlier, later) = first.split_at(20);
    let world = world_through(None, Some(variant), earlier).await;
    settle(&world, |world| {
        let verdict = verdict(world);
        verdict.is_clean() && verdict.present > 0
    })
    .await;
    tell_all(&world, later).await;
    for round in &reports {
        tell_all(&world, round).await;
    }
    settle_told(&world).await;

    let verdict = verdict_for(&world, &finals().await);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.expected, verdict.present), (60, 60));
    let [looked_up, ..] = calls(&world);
    assert_eq!(looked_up, 0, "there is nothing to look up with");
    let calls = world.portal().calls();
    assert!(
        !calls.contains_key("POST /auth") && !calls.contains_key("POST /integration"),
        "{calls:?}"
    );
    assert_eq!(world.portal().faults(), []);
    let letters = ask(&world, &["dead-letter", "list", "--json"]).await.json();
    assert_eq!(letters, json!([]), "nothing was refused on the way");

    // Told once more, and by another node in the same folder, it changes nothing.
    let there = portal(&world);
    let world = world.restart(async |_| {}).await.unwrap();
    tell_all(&world, &finals().await).await;
    settle_told(&world).await;
    assert_eq!(portal(&world), there);
    world.stop(false).await;
}

async fn dossiers_arrive_complete_and_once_through_the_gateway() {
    whole_flow_through("lgsp").await;
}

async fn dossiers_arrive_complete_and_once_through_the_facade() {
    whole_flow_through("query").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_typed_by_hand_is_left_alone_where_nobody_can_ask_whose_it_is() {
    for variant in ["lgsp", "query"] {
        let world = world_through(None, Some(variant), &[]).await;
        let rows = finals().await;
        let row = by_code(&rows, "000.00.14.H56-230719-0001");
        let Expected::Due { item, .. } = expected(&row, FILES) else {
            panic!("it is due")
        };
        let mut typed = item.clone();
        typed["Email"] = json!("");
        world.portal().insert("HoSo", typed.clone()).await.unwrap();
        assert_eq!(tell(&world, &row).await.0, 200);
        settle_told(&world).await;
        assert_eq!(world.portal().rows("HoSo"), [typed], "{variant}");
        let letters = ask(&world, &["dead-letter", "list", "--json"]).await.json();
        assert_eq!(
            (&letters[0]["dossier"], &letters[0]["cause"]["code"]),
            (&json!(code(&row)), &json!("key-taken")),
            "{variant}: {letters}"
        );
        world.stop(false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_that_the_gateway_no_longer_knows_is_renewed_once_for_all() {
    let rows: Vec<_> = dossiers().into_iter().take(6).collect();
    let world = world_through(None, Some("lgsp"), &rows[..3]).await;
    let arrived = |world: &lienthong::demo::World| {
        let verdict = verdict(world);
        verdict.is_clean() && verdict.present > 0
    };
    settle(&world, arrived).await;
    assert_eq!(world.portal().calls()["POST /token"], 1);
    for mut token in world.portal().rows("The") {
        token["until"] = json!(0);
        world.portal().insert("The", token).await.unwrap();
    }
    tell_all(&world, &rows[3..]).await;
    settle_told(&world).await;
    let verdict = verdict_for(&world, &rows);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!(world.portal().calls()["POST /token"], 2);
    world.stop(false).await;
}

#[tokio::test]
async fn variant_of_a_configuration_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("lienthong.toml");
    let check = async |variant: &str| {
        let written = format!(
            "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"{}\"\n[adapter.national-portal]\nvariant = {variant}\n",
            shipped().display()
        );
        std::fs::write(&config, written).unwrap();
        run(&["config", "check", "--config", &text(&config)]).await
    };
    for variant in ["\"lgsp\"", "\"query\""] {
        let ran = check(variant).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let ran = check("\"querry\"").await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err
            .contains("adapter.national-portal.variant: found \"querry\"; expected \"query\""),
        "{}",
        ran.err
    );
    let ran = check("7").await;
    assert!(
        ran.code == 2 && ran.err.contains("adapter.national-portal.variant"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn samples_of_each_variant_are_run_with_those_of_the_adapter() {
    let ran = run(&[
        "adapter",
        "test",
        &text(&shipped().join("national-portal")),
        "--json",
    ])
    .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let reports = ran.json();
    let names: Vec<&str> = reports[0]["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    for name in [
        "push.dossier/received-online",
        "push.dossier@lgsp/received-online",
        "push.dossier@query/received-online",
        "push.progress@lgsp/examined",
        "push.progress@query/examined",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}
