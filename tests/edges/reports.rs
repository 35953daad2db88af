//! A system that is written to and tells: what it was sent comes back as no news, what its officers write does.

use std::pin::pin;
use std::sync::Arc;

use lienthong::store::InboxState;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Act, Bench, MANIFEST, OFFICE, Target, code, row};

/// An office that keeps 14 letters of a summary, without accents, and reports it so.
pub(crate) const PUSHED: &str = r"[push.dossier]
record = '{id: .code, name: .applicant.person.name, summary: .summary, note: .note, phone: .applicant.contact.phone, status: .status.value}'
key = '.id'
echo = '{dossier: .id, summary: (.summary | fold | cut(14)), note: .note, status: {value: .status}}'
find = { path = '/find', body = '{id: $key}', records = '.result[]?' }
same_when = '.id == $record.id and .name == $record.name'
create = { path = '/create', body = '.' }
update = { path = '/update', body = '.' }
";

/// The office with a push.
pub(crate) fn office(originates: &str, push: &str) -> String {
    let head = OFFICE
        .replace("originates = [\"*\"]", originates)
        .replace(
            "[connection]",
            "[connection]\nsettle = \"90s\"\ntimeout = \"20s\"\nreason = '.message'",
        )
        .replace(
            "[owns]",
            "subscribe = { procedures = [\"*\"] }\nneeds = [\"*\"]\nanswer = [{ when = '$http.status == 200 and .code != \"0\"', is = \"refused\" }]\n[owns]",
        );
    format!("{head}{push}")
}

/// The one-stop, an office that is written to and tells, and a register that is only written to.
pub(crate) async fn bench(office: &str, targets: [&Target; 2]) -> Bench {
    let [desk, book] = targets;
    let manifest = MANIFEST.replace("summary: .summary", "summary: .summary, note: .note");
    Bench::open(&[("office", office, &desk.url), ("book", &manifest, &book.url)]).await
}

/// The row of dossier 1 with this summary at this minute.
pub(crate) fn at(summary: &str, minute: u32) -> Value {
    let mut row = row(1);
    row["TrichYeuHoSo"] = json!(summary);
    row["NgayCapNhat"] = json!(format!("2026030509{minute:02}00"));
    row
}

/// What the office reports of dossier 1 at this minute of the 5th, by its own clock.
pub(crate) fn report(minute: u32, more: Value) -> Value {
    let mut report = json!({"dossier": code(1), "at": format!("2026-03-05T10:{minute:02}:00Z")});
    if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
        report.extend(more);
    }
    report
}

pub(crate) fn nothing_new() -> InboxState {
    InboxState::Ignored("nothing new".to_owned())
}

async fn summary(bench: &Bench) -> Value {
    let dossier = bench.dossier(&code(1)).await;
    dossier.register("summary").cloned().unwrap_or_default()
}

/// How many events there were.
async fn events(bench: &Bench) -> usize {
    let kept = crate::support::contents(&bench.file()).await;
    kept["journal"].lines().count() + kept["outbox"].lines().count()
}

pub(crate) const LONG: &str = "Cấp Phiếu lý lịch tư pháp số 1";

/// Everybody is given all there is.
pub(crate) async fn settle(bench: &Bench) {
    for system in ["office", "book", "office", "book"] {
        bench.work(system).await;
    }
}

/// The office is sent something; before the answer is read, `meanwhile` happens.
async fn sending(
    bench: &Bench,
    desk: &Target,
    path: &'static str,
    held: bool,
    meanwhile: impl AsyncFnOnce(),
) {
    let barrier = Arc::new(Barrier::new(2));
    if held {
        desk.next(path, Act::DoAndHold(Arc::clone(&barrier)));
    }
    let calls = desk.calls(path).len();
    let deliver = bench.deliver("office");
    let mut step = pin!(deliver.step());
    tokio::select! {
        biased;
        () = desk.called(path, calls + 1) => {}
        _ = &mut step => panic!("it goes on when the test says so"),
    }
    meanwhile().await;
    let answered = async {
        if held {
            barrier.wait().await;
        }
    };
    let (worked, ()) = tokio::join!(&mut step, answered);
    worked.unwrap();
    bench.spread().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_report_of_what_was_sent_is_no_news_whenever_it_comes() {
    let echo = || {
        report(
            0,
            json!({"summary": "cap phieu ly l", "status": {"value": "accepted"}}),
        )
    };
    for when in ["before the answer", "before the outcome is stored", "afterwards"] {
        let (desk, book) = (Target::start().await, Target::start().await);
        let bench = bench(&office("", PUSHED), [&desk, &book]).await;
        bench.tell(&at("Cũ", 0)).await;
        settle(&bench).await;
        bench.tell(&at(LONG, 1)).await;
        bench.work("book").await;
        let (version, before) = (bench.version(&code(1)).await, events(&bench).await);
        sending(
            &bench,
            &desk,
            "/update",
            when == "before the answer",
            async || {
                if when != "afterwards" {
                    assert_eq!(bench.says("office", &echo()).await, nothing_new(), "{when}");
                }
            },
        )
        .await;
        for _ in 0..2 {
            assert_eq!(bench.says("office", &echo()).await, nothing_new(), "{when}");
        }
        settle(&bench).await;
        assert_eq!(desk.paths(), ["/find", "/create", "/update"], "{when}");
        assert_eq!(book.calls("/update").len(), 1, "{when}");
        assert_eq!(bench.version(&code(1)).await, version, "{when}");
        assert_eq!(events(&bench).await, before, "{when}");
        assert_eq!(
            summary(&bench).await,
            LONG,
            "{when}: what was cut off there is not lost here"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_report_of_a_record_that_is_just_being_made_waits_for_its_link_and_is_no_news() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", PUSHED), [&desk, &book]).await;
    bench.tell(&at(LONG, 0)).await;
    bench.work("book").await;
    bench.step("office").await;
    let before = events(&bench).await;
    let echo = report(
        0,
        json!({"summary": "cap phieu ly l", "status": {"value": "accepted"}}),
    );
    sending(&bench, &desk, "/create", true, async || {
        let orphan = InboxState::Waiting("orphan".to_owned());
        assert_eq!(
            bench.says("office", &echo).await,
            orphan,
            "its code is not known yet"
        );
    })
    .await;
    settle(&bench).await;
    let counts = bench.shared.store.counts().await.unwrap();
    let of_office = counts.inbox.iter().filter(|(system, _, _)| system == "office");
    let states: Vec<_> = of_office
        .map(|(_, state, count)| (state.as_str(), *count))
        .collect();
    assert_eq!(states, [("ignored", 1)]);
    assert_eq!(events(&bench).await, before + 1, "only the link");
    assert_eq!(desk.paths(), ["/find", "/create"]);
    assert_eq!(summary(&bench).await, LONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_report_of_an_older_value_that_was_sent_is_no_news() {
    for newest_first in [false, true] {
        let (desk, book) = (Target::start().await, Target::start().await);
        let bench = bench(&office("", PUSHED), [&desk, &book]).await;
        for (text, minute) in [("Một", 0), ("Hai", 1), ("Ba", 2)] {
            bench.tell(&at(text, minute)).await;
            bench.work("office").await;
            bench.advance(60);
        }
        let mut reports = vec![("mot", 0), ("hai", 1), ("ba", 2)];
        if newest_first {
            reports.reverse();
        }
        let before = events(&bench).await;
        for (text, minute) in reports {
            let said = bench
                .says("office", &report(minute, json!({"summary": text})))
                .await;
            assert_eq!(said, nothing_new(), "{text}, newest first: {newest_first}");
        }
        bench.work("office").await;
        assert_eq!(events(&bench).await, before);
        assert_eq!(summary(&bench).await, "Ba");
        assert_eq!(desk.calls("/update").len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_report_that_comes_behind_an_officers_change_is_no_news() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", PUSHED), [&desk, &book]).await;
    bench.tell(&at(LONG, 0)).await;
    settle(&bench).await;
    let change = report(
        5,
        json!({"summary": "cua can bo", "status": {"value": "in_progress"}}),
    );
    assert_eq!(bench.says("office", &change).await, InboxState::Mapped);
    let late = report(
        0,
        json!({"summary": "cap phieu ly l", "status": {"value": "accepted"}}),
    );
    let before = events(&bench).await;
    assert_eq!(bench.says("office", &late).await, nothing_new());
    settle(&bench).await;
    assert_eq!(events(&bench).await, before);
    assert_eq!(summary(&bench).await, "cua can bo");
    assert_eq!(desk.paths(), ["/find", "/create"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn officers_change_while_the_answer_is_under_way_wins_too() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", PUSHED), [&desk, &book]).await;
    bench.tell(&at("Cũ", 30)).await;
    settle(&bench).await;
    bench.tell(&at(LONG, 40)).await;
    bench.work("book").await;
    // by a clock a day slow: first what it was sent, then what an officer made of it
    let slow = |minute: u32, text: &str| json!({"dossier": code(1), "at": format!("2026-03-04T10:{minute:02}:00Z"), "summary": text});
    sending(&bench, &desk, "/update", true, async || {
        assert_eq!(
            bench.says("office", &slow(0, "cap phieu ly l")).await,
            nothing_new()
        );
        assert_eq!(
            bench.says("office", &slow(1, "cua can bo")).await,
            InboxState::Mapped
        );
    })
    .await;
    settle(&bench).await;
    assert_eq!(summary(&bench).await, "cua can bo");
    assert_eq!(book.records()[0]["summary"], "cua can bo");
    assert_eq!(desk.paths(), ["/find", "/create", "/update"], "not taken back");
    // and it stays so when it is told again
    let again = report(50, json!({"summary": "cua can bo"}));
    assert_eq!(bench.says("office", &again).await, nothing_new());
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_was_sent_is_no_news_and_the_officers_next_one_is() {
    let (desk, book) = (Target::start().await, Target::start().await);
    let bench = bench(&office("", PUSHED), [&desk, &book]).await;
    bench.tell(&at(LONG, 30)).await;
    settle(&bench).await;
    let state = |minute: u32, value: &str| {
        let at = format!("2026-03-05T10:{minute:02}:00Z");
        report(
            minute,
            json!({"status": {"value": value, "at": at, "by": "Cán bộ phòng"}}),
        )
    };
    assert_eq!(bench.says("office", &state(0, "accepted")).await, nothing_new());
    assert_eq!(
        bench.says("office", &state(5, "in_progress")).await,
        InboxState::Mapped
    );
    settle(&bench).await;
    assert_eq!(
        bench.dossier(&code(1)).await.status().unwrap().value,
        "in_progress"
    );
    assert_eq!(book.records()[0]["status"], "in_progress");
    assert_eq!(desk.paths(), ["/find", "/create"]);
}
