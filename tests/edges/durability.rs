//! What a 2xx promises, with the real program: killed at any moment, it loses nothing and doubles nothing.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use lienthong::sandbox::{Options, Sandbox};
use lienthong::store::State;
use serde_json::json;

use crate::support::{Act, Daemon, MANIFEST, Province, Target, code, install_tls, post_signed, row};

on_both_stores! {
    webhook_answered_2xx_survives_kill
    create_under_way_at_the_kill_is_in_doubt_until_its_settle_time_has_passed
    sigterm_under_load_ends_clean_and_doubles_nothing
    target_that_never_answers_does_not_hold_up_the_end
}

/// The shipped stand-in of the portal.
async fn portal() -> Sandbox {
    install_tls();
    let secrets: BTreeMap<&str, &str> = lienthong::demo::SECRETS.into();
    let settings = json!({
        "username": secrets["NATIONAL_PORTAL_USER"], "password": secrets["NATIONAL_PORTAL_PASSWORD"],
    });
    let options = Options {
        settings: settings.as_object().unwrap().clone(),
        ..Options::default()
    };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/national-portal");
    Sandbox::start(&folder, options).await.unwrap()
}

/// How many records the portal has under each code.
fn at_portal(portal: &Sandbox) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in portal.rows("HoSo") {
        *counts
            .entry(row["MaHoSo"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

fn once_each(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<String, usize> {
    numbers.into_iter().map(|n| (code(n), 1)).collect()
}

/// Tells of these dossiers, several at a time, as far as the daemon lives; those that were taken. `taken` hears of each
/// 2xx at once.
async fn tell(daemon: &mut Daemon, numbers: &[u32], mut taken: impl FnMut(&mut Daemon, usize)) -> Vec<u32> {
    let hook = daemon.hook.clone();
    let mut answers = stream::iter(numbers.to_vec())
        .map(|n| {
            let hook = hook.clone();
            async move { (n, post_signed(&hook, row(n).to_string().into_bytes()).await) }
        })
        .buffer_unordered(4);
    let mut accepted = Vec::new();
    while let Some((n, answer)) = answers.next().await {
        // 503 while the daemon is stopping: come again
        if let Some((200, said)) = answer {
            assert_eq!(said["maLoi"], "0", "{said}");
            accepted.push(n);
            taken(daemon, accepted.len());
        }
    }
    accepted
}

async fn webhook_answered_2xx_survives_kill() {
    let (portal, book) = (portal().await, Target::start().await);
    let province = Province::new(&[
        ("national-portal", None, &portal.url()),
        ("book", Some(MANIFEST), &book.url),
    ]);
    let mut untold: Vec<u32> = (1..=40).collect();
    let mut accepted = Vec::new();
    // killed right after the first, the third … answer of a start, whatever the deliveries are busy with
    for answers in [1, 3, 2, 5, 1, 4] {
        let mut daemon = province.start().await;
        let batch: Vec<u32> = untold.iter().copied().take(7).collect();
        let taken = tell(&mut daemon, &batch, |daemon, count| {
            if count == answers {
                daemon.kill();
            }
        });
        let taken = taken.await;
        assert!(taken.len() >= answers);
        untold.retain(|n| !taken.contains(n));
        accepted.extend(taken);
    }
    // killed while deliveries are under way: when the book has heard of one, two … further dossiers
    for calls in [1, 2, 3] {
        let mut daemon = province.start().await;
        let before = book.calls("/create").len();
        let batch: Vec<u32> = untold.iter().copied().take(5).collect();
        let taken = tell(&mut daemon, &batch, |_, _| {}).await;
        book.called("/create", before + calls).await;
        daemon.kill();
        untold.retain(|n| !taken.contains(n));
        accepted.extend(taken);
    }

    let mut daemon = province.start().await;
    accepted.extend(tell(&mut daemon, &untold, |_, _| {}).await);
    accepted.sort_unstable();
    assert_eq!(
        accepted,
        (1..=40).collect::<Vec<_>>(),
        "every dossier was taken in the end"
    );
    let status = daemon.rest().await;
    assert!(
        status
            .counts
            .deliveries
            .iter()
            .filter(|(adapter, ..)| adapter != "one-stop")
            .all(|(_, _, state, _)| state == "applied"),
        "{status:?}"
    );
    assert_eq!(at_portal(&portal), once_each(1..=40));
    assert_eq!(
        book.counts(),
        once_each(1..=40),
        "the book has no key of its own: it would show a double"
    );
    daemon.terminate();
    assert!(daemon.end().await.success());
    portal.stop().await;
}

async fn create_under_way_at_the_kill_is_in_doubt_until_its_settle_time_has_passed() {
    let book = Target::start().await;
    book.next("/create", Act::DoAndHang);
    let province = Province::new(&[("book", Some(MANIFEST), &book.url)]);
    let mut daemon = province.start().await;
    assert_eq!(tell(&mut daemon, &[1], |_, _| {}).await, [1]);
    book.called("/create", 1).await;
    daemon.kill();

    let until = {
        let store = province.store().await;
        let replica = store.find_replica(&code(1)).await.unwrap().unwrap();
        let mut rows = store.deliveries_of(replica.dossier.id).await.unwrap();
        rows.retain(|row| row.adapter == "book");
        assert_eq!(rows.len(), 1);
        match rows[0].state {
            State::InDoubt { until } => until,
            ref other => panic!("in doubt, not {other:?}"),
        }
    };

    let daemon = province.start().await;
    book.called("/find", 2).await;
    daemon.rest().await;
    assert_eq!(
        book.paths(),
        ["/find", "/create", "/find", "/update"],
        "found, and brought up to date"
    );
    let asked = &book.calls("/find")[1];
    assert!(asked.at >= until, "asked at {}, in doubt until {until}", asked.at);
    assert_eq!(book.counts(), once_each([1]));
    let shown = crate::support::cli(&province.socket(), &["dossier", "show", &code(1)]).await;
    assert_eq!(shown["links"]["book"], json!([code(1)]), "{shown}");
    let at_book = shown["systems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|system| system["name"] == "book")
        .unwrap();
    assert_eq!(
        (&at_book["there"], &at_book["open"]),
        (&json!(true), &json!([])),
        "{shown}"
    );
}

async fn sigterm_under_load_ends_clean_and_doubles_nothing() {
    let (portal, book) = (portal().await, Target::start().await);
    let province = Province::new(&[
        ("national-portal", None, &portal.url()),
        ("book", Some(MANIFEST), &book.url),
    ]);
    let mut untold: Vec<u32> = (1..=36).collect();
    for answers in [1, 2, 3, 4, 1, 2, 3, 4, 1] {
        let mut daemon = province.start().await;
        let batch: Vec<u32> = untold.iter().copied().take(4).collect();
        let taken = tell(&mut daemon, &batch, |daemon, count| {
            if count == answers {
                daemon.terminate();
            }
        });
        let taken = taken.await;
        untold.retain(|n| !taken.contains(n));
        assert_eq!(daemon.end().await.code(), Some(0), "{}", daemon.log());
        let log = daemon.log();
        assert!(log.contains("node stopped"), "{log}");
        assert!(
            !log.contains("dropped in the middle"),
            "within the soft limit: {log}"
        );
        assert!(!log.contains("panicked"), "{log}");
        assert!(!province.socket().exists(), "its socket goes with it");
    }
    let mut daemon = province.start().await;
    tell(&mut daemon, &untold, |_, _| {}).await;
    daemon.rest().await;
    assert_eq!(at_portal(&portal), once_each(1..=36));
    assert_eq!(book.counts(), once_each(1..=36));
    // nothing was in doubt: every call under way was waited for
    assert_eq!(book.calls("/create").len(), 36);
    assert_eq!(book.calls("/find").len(), 36);
    portal.stop().await;
}

async fn target_that_never_answers_does_not_hold_up_the_end() {
    let book = Target::start().await;
    book.rule("/create", usize::MAX, |_| true, Act::DoAndHang);
    let patient = MANIFEST.replace("timeout = \"20s\"", "timeout = \"10m\"");
    let province = Province::new(&[("book", Some(&patient), &book.url)]);
    let mut daemon = province.start().await;
    assert_eq!(tell(&mut daemon, &[1], |_, _| {}).await, [1]);
    book.called("/create", 1).await;
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0), "{}", daemon.log());
    let store = province.store().await;
    let replica = store.find_replica(&code(1)).await.unwrap().unwrap();
    let rows = store.deliveries_of(replica.dossier.id).await.unwrap();
    assert!(
        rows.iter()
            .any(|row| row.adapter == "book" && matches!(row.state, State::InDoubt { .. })),
        "{rows:?}"
    );
    assert_eq!(book.counts(), once_each([1]));
}
