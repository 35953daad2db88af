//! A record that a system tells of while nobody knows whether we have made it there ourselves.

use jiff::SignedDuration;
use lienthong::store::{InboxState, State};
use serde_json::{Value, json};

use crate::reports::office;
use crate::support::{Act, Bench, Site, Target, cli, code, patch, row, until};

on_both_stores! {
    record_that_we_may_have_made_waits_and_is_linked_when_it_is_found
    record_waits_on_while_nobody_can_be_asked
    record_waits_on_while_a_person_has_to_say_what_became_of_the_create
    record_is_taken_when_a_create_in_doubt_is_skipped_or_made_again
    refused_create_holds_up_no_record
    skipped_create_is_followed_by_the_newer_version_that_came_meanwhile
}

/// The office gives its records numbers of its own, and tells them.
const NUMBERED: &str = r"[push.dossier]
record = '{id: .code, name: .applicant.person.name, summary: .summary}'
key = '.id'
echo = '{dossier: .id, summary: .summary}'
find = { path = '/find', body = '{id: $key}', records = '.result[]?', remote = '.no' }
same_when = '.id == $record.id and .name == $record.name'
create = { path = '/create', body = '.', remote = '.no' }
update = { path = '/update', body = '{no: $remote} + .' }
";

fn numbered(target: &Target) {
    target.serve("/create", |records, body| {
        let no = format!("R-{}", records.len() + 7);
        let mut record = body.clone();
        record["no"] = json!(no);
        records.push(record);
        (200, json!({"code": "0", "no": no}))
    });
}

/// Dossier 1 is being made; the call has ended as the target says.
async fn opened(target: &Target, originates: &str, push: &str, end: Act) -> Bench {
    numbered(target);
    target.next("/create", end);
    let bench = Bench::open(&[("office", &office(originates, push), &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("office").await;
    assert!(!bench.row(&code(1), "office", "dossier").await.is_certain());
    bench
}

fn waits() -> InboxState {
    InboxState::Waiting("create open".to_owned())
}

const EVERYTHING: &str = "originates = [\"*\"]";

async fn inbox(bench: &Bench, state: &str) -> i64 {
    let counts = bench.shared.store.counts().await.unwrap();
    let of = counts
        .inbox
        .iter()
        .filter(|(system, known, _)| system == "office" && known == state);
    of.map(|(_, _, count)| count).sum()
}

async fn record_that_we_may_have_made_waits_and_is_linked_when_it_is_found() {
    let target = Target::start().await;
    let bench = opened(&target, EVERYTHING, NUMBERED, Act::DoAndCut).await;
    let mut record = patch("R-7", 1);
    record["note"] = json!("của cán bộ");
    assert_eq!(bench.says("office", &record).await, waits());
    // another citizen's is none of that, and the same record is kept once
    assert_eq!(bench.says("office", &patch("R-8", 2)).await, InboxState::Mapped);
    assert_eq!(bench.says("office", &record).await, waits());
    assert_eq!(inbox(&bench, "waiting").await, 1);

    bench.advance(90);
    bench.work("office").await;
    assert_eq!(inbox(&bench, "waiting").await, 0);
    let dossier = bench.dossier("R-7").await;
    assert_eq!(dossier.id, bench.dossier(&code(1)).await.id);
    assert_eq!(dossier.register("note"), Some(&json!("của cán bộ")));
    assert_eq!(bench.shared.store.counts().await.unwrap().dossiers, 2);
    assert_eq!(target.calls("/create").len(), 1);
    assert_eq!(
        bench.row(&code(1), "office", "dossier").await.state,
        State::Applied
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn record_that_we_have_not_made_is_taken_for_what_it_is() {
    for (originates, expected) in [(EVERYTHING, "mapped"), ("", "waiting")] {
        let target = Target::start().await;
        let end = Act::Answer(502, vec![], json!({}));
        let bench = opened(&target, originates, NUMBERED, end).await;
        assert_eq!(bench.says("office", &patch("S-1", 1)).await, waits());
        bench.advance(90);
        bench.work("office").await;
        assert_eq!(inbox(&bench, expected).await, 1, "{originates}");
        let found = bench.shared.store.find_replica("S-1").await.unwrap();
        assert_eq!(found.is_some(), originates == EVERYTHING, "born, or an orphan");
        assert_eq!(target.counts(), [(code(1), 1)].into());
        let kept = crate::support::contents(&bench.file()).await;
        assert!(!kept["inbox"].contains("create open"), "{}", kept["inbox"]);
    }
}

async fn record_waits_on_while_nobody_can_be_asked() {
    let target = Target::start().await;
    let bench = opened(&target, EVERYTHING, NUMBERED, Act::DoAndCut).await;
    assert_eq!(bench.says("office", &patch("R-7", 1)).await, waits());
    bench.advance(90);
    // the look-up fails, and another one is refused: neither says what became of the create
    target.next("/find", Act::Answer(503, vec![], json!({})));
    let next = bench.work("office").await.unwrap();
    assert_eq!(inbox(&bench, "waiting").await, 1);
    assert_eq!(bench.says("office", &patch("R-9", 1)).await, waits());
    bench.clock().advance(next.duration_since(bench.now()));
    target.next(
        "/find",
        Act::Answer(200, vec![], json!({"code": "9", "message": "sai tham số"})),
    );
    bench.work("office").await;
    let parked = bench.parked(&code(1), "office", "dossier").await;
    assert_eq!(parked, [(0, "refused-by-target".to_owned())]);
    assert_eq!(inbox(&bench, "waiting").await, 2);
    assert_eq!(bench.says("office", &patch("R-10", 1)).await, waits());

    // the next version asks again
    let mut newer = row(1);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    newer["NgayCapNhat"] = json!("20260305093000");
    bench.tell(&newer).await;
    bench.work("office").await;
    assert_eq!(target.calls("/create").len(), 1);
    assert_eq!(bench.dossier("R-7").await.id, bench.dossier(&code(1)).await.id);
    assert_eq!(inbox(&bench, "waiting").await, 0);
}

/// The same office where nobody can look.
fn unseen(doubt: &str) -> String {
    let lines = NUMBERED
        .lines()
        .filter(|line| !line.starts_with("find") && !line.starts_with("same"));
    let push = lines.collect::<Vec<_>>().join("\n") + "\n";
    push.replace("[push.dossier]\n", &format!("[push.dossier]\n{doubt}"))
}

async fn record_waits_on_while_a_person_has_to_say_what_became_of_the_create() {
    let target = Target::start().await;
    let bench = opened(&target, EVERYTHING, &unseen(""), Act::DoAndCut).await;
    assert_eq!(bench.says("office", &patch("R-7", 1)).await, waits());
    bench.advance(90);
    bench.work("office").await;
    let parked = bench.parked(&code(1), "office", "dossier").await;
    assert_eq!(parked, [(0, "in-doubt-no-find".to_owned())]);
    assert_eq!(inbox(&bench, "waiting").await, 1);
    assert_eq!(bench.says("office", &patch("R-8", 1)).await, waits());
    assert_eq!(bench.says("office", &patch("R-9", 2)).await, InboxState::Mapped);
}

#[tokio::test(flavor = "multi_thread")]
async fn record_is_taken_when_a_person_gives_the_create_up() {
    let target = Target::start().await;
    numbered(&target);
    target.next("/create", Act::DoAndCut);
    let manifest = office(EVERYTHING, &unseen(""));
    let site = Site::start(&[("office", &manifest, &target.url)]).await;
    site.tell(&row(1)).await;
    let settle = site.now() + SignedDuration::from_secs(90);
    site.delivery(&code(1), "office", |row| {
        row.state == State::InDoubt { until: settle }
    })
    .await;
    assert_eq!(site.says("/hooks/office", &patch("R-7", 1)).await, "waiting");
    site.advance(90);
    let parked = site
        .delivery(&code(1), "office", |row| {
            matches!(row.state, State::Parked { .. })
        })
        .await;
    let letter = parked.letter();
    cli(
        site.socket(),
        &["dead-letter", "discard", &letter, "--reason", "có hồ sơ R-7"],
    )
    .await;
    until("the record is taken", async || {
        let counts = site.store().counts().await.unwrap();
        counts.waiting.is_empty().then_some(())
    })
    .await;
    until("a dossier of its own", async || {
        site.store().find_replica("R-7").await.unwrap()
    })
    .await;
    assert_eq!(target.calls("/create").len(), 1);
    site.stop().await;
}

async fn record_is_taken_when_a_create_in_doubt_is_skipped_or_made_again() {
    for (doubt, calls) in [("skip", 1), ("resend", 2)] {
        let target = Target::start().await;
        let doubt = format!("on_doubt = \"{doubt}\"\nbecause = \"bài thử\"\n");
        let end = Act::Answer(502, vec![], json!({}));
        let bench = opened(&target, EVERYTHING, &unseen(&doubt), end).await;
        assert_eq!(bench.says("office", &patch("S-1", 1)).await, waits());
        bench.advance(90);
        bench.work("office").await;
        assert_eq!(inbox(&bench, "waiting").await, 0, "{doubt}");
        assert_eq!(target.calls("/create").len(), calls);
        assert_eq!(
            bench.row(&code(1), "office", "dossier").await.state,
            State::Applied
        );
    }
}

async fn refused_create_holds_up_no_record() {
    let target = Target::start().await;
    numbered(&target);
    let refusal = json!({"code": "9", "message": "thiếu tên"});
    target.next("/create", Act::Answer(200, vec![], refusal));
    let manifest = office(EVERYTHING, &unseen(""));
    let bench = Bench::open(&[("office", &manifest, &target.url)]).await;
    bench.tell(&row(1)).await;
    bench.work("office").await;
    assert_eq!(bench.parked(&code(1), "office", "dossier").await.len(), 1);
    assert_eq!(bench.says("office", &patch("R-7", 1)).await, InboxState::Mapped);
}

async fn skipped_create_is_followed_by_the_newer_version_that_came_meanwhile() {
    let target = Target::start().await;
    let doubt = "on_doubt = \"skip\"\nbecause = \"bài thử\"\n";
    let bench = opened(&target, EVERYTHING, &unseen(doubt), Act::DoAndCut).await;
    let mut newer = row(1);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    newer["NgayCapNhat"] = json!("20260305093000");
    bench.tell(&newer).await;
    bench.advance(90);
    bench.work("office").await;
    assert_eq!(target.calls("/create").len(), 1);
    let sent: Vec<Value> = target
        .calls("/update")
        .iter()
        .map(|call| call.body["summary"].clone())
        .collect();
    assert_eq!(sent, ["Cấp lại"]);
}
