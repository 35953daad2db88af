//! The one-stop told us nothing; we asked. Position, pages, sessions, and states that were never seen.

use lienthong::demo::World;
use lienthong::demo::input::Input;
use serde_json::{Value, json};

use crate::support::{Adapters, ask, by_code, calls, code, dossiers, portal, settle, verdict, world};

embedded_and_grown! {
    second_node_goes_on_where_the_first_one_stopped
    list_longer_than_a_page_is_read_to_its_end
    rows_that_are_listed_again_say_nothing_new
    session_lost_between_two_pages_is_renewed_once_and_nothing_is_lost
    row_with_an_impossible_change_time_is_refused_and_the_page_it_stands_on_arrives
    states_that_came_and_went_unseen_do_not_keep_the_portal_from_the_last_one
    completion_after_a_supplement_that_nobody_saw_come_in_is_a_completion
}

const LIST: &str = "GET /HoSo/DanhSachThayDoi";

fn asked(world: &World) -> u64 {
    world.one_stop().calls().get(LIST).copied().unwrap_or(0)
}

/// Everything that the one-stop holds and that is due is at the portal, and nothing else.
fn arrived(world: &World) -> bool {
    let verdict = verdict(world);
    verdict.is_clean() && verdict.expected == verdict.present && verdict.expected > 0
}

/// Waits for this many more questions. One question follows another only when the answer to it is stored.
async fn asked_again(world: &World, more: u64) {
    let before = asked(world);
    settle(world, |world| asked(world) >= before + more).await;
}

async fn position(world: &World) -> Value {
    let store = &world.node().shared().store;
    let cursor = store.cursor("one-stop", "changes").await.unwrap().unwrap();
    serde_json::from_str(&cursor).unwrap()
}

/// Adapters whose one-stop is asked so often; when the node starts, it is asked at once.
fn asking_every(time: &str) -> Adapters {
    Adapters::copy().replace(
        "one-stop/adapter.toml",
        "every   = \"30s\"",
        &format!("every   = \"{time}\""),
    )
}

async fn second_node_goes_on_where_the_first_one_stopped() {
    let mut rows = dossiers();
    rows.sort_by_key(|row| row["NgayCapNhat"].to_string());
    let (before, after) = rows.split_at(40);
    let world = world(None, before).await;
    settle(&world, arrived).await;
    let (there, [looked_up, stored, _]) = (portal(&world), calls(&world));
    let stand = position(&world).await;
    let since = stand["since"].as_str().unwrap().to_owned();

    let world = world
        .restart(async |one_stop| {
            for row in after {
                one_stop.insert("HoSo", row.clone()).await.unwrap();
            }
        })
        .await
        .unwrap();
    assert_eq!(position(&world).await["since"], since.as_str(), "it survived");
    settle(&world, arrived).await;
    let now = portal(&world);
    for (code, row) in &there.dossiers {
        assert_eq!(now.dossiers.get(code), Some(row), "untouched");
    }
    // The new ones were looked up and stored once each, the old ones not at all.
    let new = u64::try_from(now.dossiers.len() - there.dossiers.len()).unwrap();
    let [looked_up_now, stored_now, _] = calls(&world);
    assert_eq!((looked_up_now - looked_up, stored_now - stored), (new, new));
    assert!(
        position(&world).await["since"].as_str().unwrap() > since.as_str(),
        "it moved on"
    );
    world.stop(false).await;
}

async fn list_longer_than_a_page_is_read_to_its_end() {
    let adapters = asking_every("1d").replace("one-stop/sandbox.toml", "page_size = 50", "page_size = 7");
    let world = world(Some(adapters.folder()), &dossiers()).await;
    settle(&world, |world| asked(world) >= 9 && arrived(world)).await;
    assert_eq!(asked(&world), 9, "sixty-two rows are nine pages of seven");
    let known = ask(&world, &["status", "--json"]).await.json();
    assert_eq!(known["counts"]["dossiers"], 62);
    world.stop(false).await;
}

async fn rows_that_are_listed_again_say_nothing_new() {
    let adapters = asking_every("1s");
    let mut rows = dossiers();
    rows.truncate(4);
    // Refused every time it is listed: one dead letter, not one for each time.
    rows[3]["KenhThucHien"] = json!("9");
    // The newest, so that the overlap always covers it.
    rows[3]["NgayCapNhat"] = json!("20260620080000");
    let world = world(Some(adapters.folder()), &rows).await;
    settle(&world, arrived).await;
    let (once, before) = (portal(&world), calls(&world));
    asked_again(&world, 3).await;
    assert_eq!(portal(&world), once);
    assert_eq!(calls(&world), before);
    let letters = ask(&world, &["dead-letter", "list", "--json"]).await.json();
    assert_eq!(letters.as_array().unwrap().len(), 1, "{letters}");
    assert_eq!(letters[0]["cause"]["field"], "KenhThucHien");
    world.stop(false).await;
}

async fn session_lost_between_two_pages_is_renewed_once_and_nothing_is_lost() {
    // A one-stop that forgets the first session as soon as it has given the first page.
    let forget = "\n| if .body.trang == 1 and ($db.PhienLam | length) == 1 then
    . + {rows: {PhienLam: [$db.PhienLam[] | .until = 0]}}
  else . end\n";
    let adapters = asking_every("1d")
        .replace("one-stop/sandbox.toml", "page_size = 50", "page_size = 10")
        .append("one-stop/sandbox/changes.jq", forget);
    let world = world(Some(adapters.folder()), &dossiers()).await;
    settle(&world, |world| {
        world.one_stop().rows("PhienLam").len() == 2 && arrived(world)
    })
    .await;
    let calls = world.one_stop().calls();
    assert_eq!(calls["POST /dang-nhap"], 2, "{calls:?}");
    assert_eq!(world.one_stop().rows("PhienLam").len(), 2);
    // Seven pages, and the one that was refused for want of a session.
    assert_eq!(asked(&world), 8);
    assert_eq!(world.one_stop().faults(), []);
    let known = ask(&world, &["status", "--json"]).await.json();
    assert_eq!(known["counts"]["dossiers"], 62);
    world.stop(false).await;
}

async fn row_with_an_impossible_change_time_is_refused_and_the_page_it_stands_on_arrives() {
    let adapters = asking_every("1d");
    let mut rows = dossiers();
    rows.truncate(6);
    rows[2]["NgayCapNhat"] = json!("20260230080000");
    let world = world(Some(adapters.folder()), &rows).await;
    settle(&world, arrived).await;
    assert_eq!(
        verdict(&world).refused,
        [("NgayCapNhat: no such date".to_owned(), 1)].into()
    );
    let letters = ask(&world, &["dead-letter", "list", "--json"]).await.json();
    assert_eq!(letters.as_array().unwrap().len(), 1, "{letters}");
    let cause = &letters[0]["cause"];
    assert_eq!(
        (&cause["code"], &cause["field"]),
        (&json!("bad-time"), &json!("NgayCapNhat"))
    );
    let since = position(&world).await["since"].clone();
    assert!(since.is_string(), "the others carry the position on");
    world.stop(false).await;
}

/// A world in which the one-stop is looked at only at these moments: at first, and after so many rounds of the officials
/// each time.
async fn seen_after(rounds: &[usize]) -> World {
    // Its officials work when the test says so. The times of their script are long past, so the whole list is asked for.
    let adapters = asking_every("1d")
        .replace("one-stop/adapter.toml", "overlap = \"5m\"", "overlap = \"3650d\"")
        .replace("one-stop/sandbox.toml", "every  = \"1s\"", "every  = \"86400s\"");
    let input = Input::load(None, None).unwrap();
    let mut world = world(Some(adapters.folder()), &input.dossiers).await;
    settle(&world, arrived).await;
    for act in input.script {
        world.one_stop().insert("KichBan", act).await.unwrap();
    }
    for &rounds in rounds {
        world = world
            .restart(async |one_stop| {
                for _ in 0..rounds {
                    one_stop.round("officials").await.unwrap();
                }
            })
            .await
            .unwrap();
        settle(&world, arrived).await;
    }
    world
}

async fn status(world: &World, code: &str) -> Value {
    let shown = ask(world, &["dossier", "show", code, "--json"]).await.json();
    shown["status"].clone()
}

async fn states_that_came_and_went_unseen_do_not_keep_the_portal_from_the_last_one() {
    // Accepted when it was first seen; returned, after five other states, when it was seen again.
    let world = seen_after(&[6]).await;
    assert_eq!(status(&world, "H56.07-260322-0001").await, "returned");
    world.stop(false).await;
}

async fn completion_after_a_supplement_that_nobody_saw_come_in_is_a_completion() {
    // Seen waiting for a supplement, then completed: that it was worked on in between, only its steps tell.
    let world = seen_after(&[2, 3]).await;
    let row = by_code(&world.one_stop().rows("HoSo"), "H56.07-260322-0001");
    assert_eq!(row["TrangThaiHoSoId"], json!(9));
    assert_eq!(status(&world, code(&row)).await, "completed");
    world.stop(false).await;
}
