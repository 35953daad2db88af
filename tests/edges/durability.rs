//! What a 2xx promises, with the real program: killed at any moment, it loses nothing and doubles nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use lienthong::sandbox::{Options, Sandbox};
use lienthong::store::State;
use serde_json::json;
use sqlx::Connection;
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::support::wire::{Fate, Wire};
use crate::support::{
    Act, Daemon, MANIFEST, Province, Target, cli, code, install_tls, post_signed, until, worked,
};

on_both_stores! {
    webhook_answered_2xx_survives_kill
    create_under_way_at_the_kill_is_in_doubt_until_its_settle_time_has_passed
    sigterm_under_load_ends_clean_and_doubles_nothing
    target_that_never_answers_does_not_hold_up_the_end
}

on_rabbitmq_too! {
    webhook_answered_2xx_survives_kill
    create_under_way_at_the_kill_is_in_doubt_until_its_settle_time_has_passed
    sigterm_under_load_ends_clean_and_doubles_nothing
    sigterm_amid_confirm_and_answer_waits_for_both_and_says_and_calls_nothing_twice
    sigkill_amid_confirm_and_answer_says_again_and_doubles_nothing
    target_that_never_answers_does_not_hold_up_the_end
}

/// Steps that each dossier has.
const STEPS: usize = 2;

/// A book with the steps of the work beside the dossiers, each looked for before it is made.
fn book() -> String {
    format!(
        "{MANIFEST}{}",
        r#"[push.step]
after = "dossier"
each = '.progress[]'
record = '{id: "\($dossier.code)#\($item.note)", name: $dossier.applicant.person.name}'
key = '.id'
echo = false
find = { path = '/find', body = '{id: $key}', records = '.result[]?' }
same_when = '.id == $record.id and .name == $record.name'
create = { path = '/create', body = '.' }
"#
    )
}

/// The same with a time-out that no busy machine comes near: then every call that is one too many is the daemon's.
fn patient_book() -> String {
    book().replace("timeout = \"20s\"", "timeout = \"10m\"")
}

/// What the book is to have of these dossiers.
fn booked_once(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<String, usize> {
    let of = |n| {
        let steps = (1..=STEPS).map(move |step| format!("{}#bước {step}", code(n)));
        std::iter::once(code(n)).chain(steps)
    };
    numbers.into_iter().flat_map(of).map(|id| (id, 1)).collect()
}

/// How often the book was asked about each record, or told of it.
fn called(book: &Target, path: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in book.calls(path) {
        let id = call.body["id"].as_str().unwrap().to_owned();
        *counts.entry(id).or_default() += 1;
    }
    counts
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

/// How often the portal has each step.
fn steps_at_portal(portal: &Sandbox) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in portal.rows("TienDo") {
        *counts
            .entry(format!("{} {}", row["MaHoSo"], row["ThoiDiemXuLy"]))
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
            async move {
                (
                    n,
                    post_signed(&hook, worked(n, STEPS).to_string().into_bytes()).await,
                )
            }
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
    let (portal, target) = (portal().await, Target::start().await);
    let province = Province::new(&[
        ("national-portal", None, &portal.url()),
        ("book", Some(&book()), &target.url),
    ]);
    let mut untold: Vec<u32> = (1..=40).collect();
    let mut accepted = Vec::new();
    let (mut kills, mut cut) = (0, 0);
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
        kills += 1;
        cut += batch.len() - taken.len();
        untold.retain(|n| !taken.contains(n));
        accepted.extend(taken);
    }
    // killed while deliveries are under way: when the book has heard of one, two … further dossiers
    for calls in [1, 2, 3] {
        let mut daemon = province.start().await;
        let before = target.calls("/create").len();
        let batch: Vec<u32> = untold.iter().copied().take(5).collect();
        let taken = tell(&mut daemon, &batch, |_, _| {}).await;
        target.called("/create", before + calls).await;
        daemon.kill();
        kills += 1;
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
    // Where others might share the store, what the dead had taken is theirs until its time is over.
    until("the portal and the book have heard of all", async || {
        (at_portal(&portal).len() == 40 && target.counts().len() == 40 * (1 + STEPS)).then_some(())
    })
    .await;
    let status = daemon.rest().await;
    // Whether the portal took a step whose answer was lost nobody can ask: such a one is left to a person.
    let parked = |(adapter, push, state, _): &&(String, String, String, i64)| {
        (adapter.as_str(), push.as_str(), state.as_str()) == ("national-portal", "progress", "parked")
    };
    let in_doubt: i64 = status
        .counts
        .deliveries
        .iter()
        .filter(parked)
        .map(|row| row.3)
        .sum();
    assert!(
        status
            .counts
            .deliveries
            .iter()
            .filter(|row| row.0 != "one-stop" && !parked(row))
            .all(|(_, _, state, _)| state == "applied"),
        "{status:?}"
    );
    assert_eq!(at_portal(&portal), once_each(1..=40));
    let steps = steps_at_portal(&portal);
    assert!(steps.values().all(|count| *count == 1), "{steps:?}");
    let missing = 40 * STEPS - steps.len();
    assert!(
        i64::try_from(missing).unwrap() <= in_doubt,
        "{missing} steps are missing, {in_doubt} are listed"
    );
    assert_eq!(
        target.counts(),
        booked_once(1..=40),
        "the book has no key of its own: it would show a double"
    );
    assert!(cut > 0, "void: no webhook was cut off");
    daemon
        .tell(&format!(
            "{kills} SIGKILLs cut off {cut} webhooks and left {in_doubt} steps in doubt for good"
        ))
        .await;
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
    daemon.tell("1 SIGKILL in an open create").await;
}

async fn sigterm_under_load_ends_clean_and_doubles_nothing() {
    let (portal, target) = (portal().await, Target::start().await);
    let province = Province::new(&[
        ("national-portal", None, &portal.url()),
        ("book", Some(&patient_book()), &target.url),
    ]);
    let mut untold: Vec<u32> = (1..=36).collect();
    let (mut terms, mut met, mut amid) = (0, 0, 0);
    for answers in [1, 2, 3, 4, 1, 2, 3, 4, 1] {
        let mut daemon = province.start().await;
        let batch: Vec<u32> = untold.iter().copied().take(4).collect();
        let taken = tell(&mut daemon, &batch, |daemon, count| {
            if count == answers {
                let (webhooks, calls) = (batch.len() - count, target.open());
                daemon.terminate();
                terms += 1;
                met += u32::from(webhooks + calls > 0);
                amid += webhooks + calls;
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
    let steps = steps_at_portal(&portal);
    assert!(
        steps.len() == 36 * STEPS && steps.values().all(|count| *count == 1),
        "{steps:?}"
    );
    assert_eq!(target.counts(), booked_once(1..=36));
    // nothing was in doubt: every call under way was waited for
    for path in ["/find", "/create"] {
        assert_eq!(called(&target, path), booked_once(1..=36), "{path}");
    }
    assert!(met > 0, "void: no SIGTERM met an open call");
    daemon
        .tell(&format!(
            "{terms} SIGTERMs, {met} of them amid open calls, {amid} in all"
        ))
        .await;
    portal.stop().await;
}

/// A daemon that tells a book and, over a wire to the broker, everybody; it makes a call whose answer waits for the barrier,
/// and a confirm waits on the wire. Dossiers 1 to 6 were told, and were answered 200.
async fn amid_confirm_and_answer(
    province: &Province,
    wire: &Wire,
    target: &Target,
) -> (Daemon, Arc<Barrier>) {
    let answer = Arc::new(Barrier::new(2));
    target.next("/create", Act::DoAndHold(Arc::clone(&answer)));
    let mut daemon = province.start().await;
    assert_eq!(tell(&mut daemon, &[1, 2, 3], |_, _| {}).await.len(), 3);
    target.called("/create", 1).await;
    until("all that was said so far is confirmed", async || {
        let status = cli(&province.socket(), &["status"]).await;
        (status["counts"]["outbox"] == 0).then_some(())
    })
    .await;
    wire.set(Fate::Hold);
    let before = wire.bitten();
    assert_eq!(tell(&mut daemon, &[4, 5, 6], |_, _| {}).await.len(), 3);
    until("a confirm is on the wire", async || {
        (wire.bitten() > before).then_some(())
    })
    .await;
    (daemon, answer)
}

async fn sigterm_amid_confirm_and_answer_waits_for_both_and_says_and_calls_nothing_twice() {
    let target = Target::start().await;
    let province = Province::new(&[("book", Some(&patient_book()), &target.url)]);
    let (places, wire) = province.wire().await;
    let mut first = province.start().await;
    let mut everything = places.overhear().await;
    first.terminate();
    assert_eq!(first.end().await.code(), Some(0), "{}", first.log());

    let (mut daemon, answer) = amid_confirm_and_answer(&province, &wire, &target).await;
    daemon.terminate();
    let door = daemon.hook.split('/').nth(2).unwrap().to_owned();
    until("it takes nothing in any more", async || {
        TcpStream::connect(&door).await.err()
    })
    .await;
    wire.set(Fate::Clear);
    answer.wait().await;
    assert_eq!(daemon.end().await.code(), Some(0), "{}", daemon.log());
    let log = daemon.log();
    assert!(
        !log.contains("dropped in the middle"),
        "within the soft limit: {log}"
    );
    let mut store = sqlx::PgConnection::connect(province.store_url()).await.unwrap();
    let left: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from delivery where state = 'in_doubt'),
                (select count(*) from claim), (select count(*) from lease)",
    )
    .fetch_one(&mut store)
    .await
    .unwrap();
    assert_eq!(left, (0, 0, 0), "doubts, claims, leases");

    let daemon = province.start().await;
    daemon.rest().await;
    for path in ["/find", "/create"] {
        assert_eq!(called(&target, path), booked_once(1..=6), "{path}");
    }
    assert_eq!(target.counts(), booked_once(1..=6));
    let said = everything.ids().await;
    assert!(said.values().all(|times| *times == 1), "{said:?}");
    daemon
        .tell(&format!(
            "SIGTERM amid {} pieces held back and a call, {} events said once",
            wire.bitten(),
            said.len()
        ))
        .await;
}

async fn sigkill_amid_confirm_and_answer_says_again_and_doubles_nothing() {
    let target = Target::start().await;
    let province = Province::new(&[("book", Some(&book()), &target.url)]);
    let (places, wire) = province.wire().await;
    let mut first = province.start().await;
    let mut everything = places.overhear().await;
    first.terminate();
    assert_eq!(first.end().await.code(), Some(0), "{}", first.log());

    let (mut daemon, answer) = amid_confirm_and_answer(&province, &wire, &target).await;
    daemon.kill();
    wire.set(Fate::Clear);
    drop(answer);
    let daemon = province.start().await;
    until("the book has heard of all", async || {
        (target.counts().len() == 6 * (1 + STEPS)).then_some(())
    })
    .await;
    daemon.rest().await;
    assert_eq!(target.counts(), booked_once(1..=6));
    let said = everything.ids().await;
    let again = said.values().filter(|times| **times > 1).count();
    assert!(again > 0, "void: nothing was said twice: {said:?}");
    daemon
        .tell(&format!(
            "SIGKILL amid {} pieces held back and a call, {again} events said again",
            wire.bitten()
        ))
        .await;
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
    drop(store);
    province
        .tell("1 SIGTERM amid a call that is never answered")
        .await;
}
