//! Dead letters that a person tries again or gives up, by the command line.

use lienthong::fault::Fault;
use lienthong::store::{Delivery, InboxRow, InboxState, State};
use serde_json::{Value, json};

use crate::support::{Act, MANIFEST, Province, Ran, Site, Target, ask, cli, client, code, row, until};

on_both_stores! {
    refused_record_is_taken_when_it_is_retried_after_its_cause_is_gone
    parked_delivery_is_sent_when_it_is_retried
    retry_of_what_nobody_can_ask_about_sends_it_again
    discarded_delivery_is_given_up_also_in_newer_versions
    discarded_record_is_not_listed_when_it_is_sent_again_and_a_corrected_one_is_taken
    discard_ends_the_wait_for_the_report_of_a_call_in_doubt
    all_dead_letters_of_a_system_or_of_one_cause_are_retried_at_once
    more_dead_letters_than_fit_a_page_are_all_retried_and_each_once
    of_two_people_who_decide_at_once_the_second_is_told_so
    ruling_on_what_is_no_dead_letter_says_what_it_is
}

/// A counter whose records cannot be read while the site has set it up wrongly; the mapping itself is sound.
const COUNTER: &str = r#"lienthong = 1
title = "Quầy của bài thử"
originates = ["*"]
[owns]
procedure = "origin"
summary = "origin"
schedule = "origin"
[settings]
opened = "30/02/2026"
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
settle = "1s"
[webhook.dossier]
path = "/hooks/counter"
verify = 'true'
map = '''{dossier: {native: .id}, procedure: {code: "2.000488"}, summary: .text,
          schedule: {received: ($settings.opened | parse_date("%d/%m/%Y"))}}'''
code = '.id'
"#;

/// The steps of the work, which the target neither shows nor takes twice.
const STEPS: &str = r#"[push.step]
after = "dossier"
each = '.progress[]'
record = '{id: $dossier.code, text: $item.note}'
echo = false
create = { path = '/step', body = '.' }
on_doubt = "park"
because = "steps have no id, and the register does not show them"
"#;

async fn decide(site: &Site, arguments: &[&str]) -> Ran {
    ask(
        site.socket(),
        &[&["dead-letter"], arguments, &["--by", "lin"]].concat(),
    )
    .await
}

/// Ids of all dead letters.
async fn letters(site: &Site) -> Vec<String> {
    let letters = cli(site.socket(), &["dead-letter", "list"]).await;
    let ids = letters.as_array().unwrap().iter();
    ids.map(|letter| letter["id"].as_str().unwrap().to_owned())
        .collect()
}

fn refusal() -> Act {
    Act::Answer(200, vec![], json!({"code": "17", "message": "chưa được"}))
}

fn parked(row: &Delivery) -> bool {
    matches!(row.state, State::Parked { .. })
}

/// Dossier `n`, which the target has refused.
async fn refused_there(site: &Site, target: &Target, n: u32) -> String {
    let of = move |body: &Value| body["id"] == json!(code(n));
    target.rule("/create", 1, of, refusal());
    site.tell(&row(n)).await;
    site.delivery(&code(n), "book", parked).await.letter()
}

/// Dossier `n` with one step of work.
fn worked(n: u32) -> Value {
    let mut row = row(n);
    row["TrangThaiHoSoId"] = json!(4);
    row["NgayCapNhat"] = json!("20260305090000");
    row["TienTrinh"] = json!([{
        "MaHoSo": code(n), "ThoiGian": "20260305090000", "TrangThai": 4, "NguoiGui": "cb01",
        "TenNguoiGui": "Cán bộ Thử", "ThaoTac": "Chuyển xử lý", "NoiDung": "bước"
    }]);
    row
}

/// A step of dossier 1 of which nobody knows whether it arrived, left to a person.
async fn step_in_doubt(site: &Site, target: &Target, arrives: bool) -> String {
    let act = if arrives {
        Act::DoAndAnswer(500, json!({}))
    } else {
        Act::Answer(500, vec![], json!({}))
    };
    target.next("/step", act);
    site.tell(&worked(1)).await;
    site.row(&code(1), "book", 1, |row| {
        matches!(row.state, State::InDoubt { .. }) && row.failures == 0
    })
    .await;
    target.called("/step", 1).await;
    let settle = site.steady() + jiff::SignedDuration::from_secs(90);
    site.row(&code(1), "book", 1, |row| {
        row.state == State::InDoubt { until: settle }
    })
    .await;
    site.advance(90);
    site.row(&code(1), "book", 1, parked).await.letter()
}

async fn refused_record_is_taken_when_it_is_retried_after_its_cause_is_gone() {
    let province = Province::new(&[("counter", Some(COUNTER), "http://127.0.0.1:9")]);
    let mut daemon = province.start().await;
    let record = json!({"id": "Q-1", "text": "Cấp phiếu"});
    let hook = daemon.hook.replace("one-stop", "counter");
    let answer = client()
        .post(&hook)
        .body(record.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let socket = province.socket();
    let listed = cli(&socket, &["dead-letter", "list"]).await;
    let letter = listed[0].clone();
    let id = letter["id"].as_str().unwrap();
    assert_eq!(letter["cause"]["code"], "bad-time", "{letter}");
    let shown = ask(&socket, &["dead-letter", "show", id]).await.out;
    assert!(
        shown.contains(&format!("`lienthong dead-letter retry {id}`")) && shown.contains("--reason"),
        "{shown}"
    );

    // too early: it is refused again, and is the same dead letter as before
    let ran = ask(&socket, &["dead-letter", "retry", id, "--by", "lin"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.starts_with(&format!("{id}: retried")), "{}", ran.out);
    until("it is refused again", async || {
        daemon.log().matches("record refused").nth(1).map(drop)
    })
    .await;
    assert_eq!(cli(&socket, &["dead-letter", "list"]).await, listed);

    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0));
    province.reconfigure(
        "[adapter.counter]",
        "[adapter.counter]\nsettings = { opened = \"05/03/2026\" }",
    );
    let daemon = province.start().await;
    assert_eq!(
        cli(&socket, &["dead-letter", "list"]).await,
        listed,
        "nobody has said so yet"
    );
    assert_eq!(
        ask(&socket, &["dead-letter", "retry", id, "--by", "an"])
            .await
            .code,
        0
    );
    let shown = until("it is taken", async || {
        let ran = ask(&socket, &["dossier", "show", "q-1", "--json"]).await;
        (ran.code == 0).then(|| ran.json())
    })
    .await;
    assert_eq!(shown["origin"], json!({"system": "counter", "native": "Q-1"}));
    assert_eq!(cli(&socket, &["dead-letter", "list"]).await, json!([]));

    // once more is no harm, and says what was done
    let ran = ask(&socket, &["dead-letter", "retry", id, "--by", "lin"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("already retried by an") && ran.out.contains("the record was taken"),
        "{}",
        ran.out
    );
    let ran = ask(&socket, &["dead-letter", "show", id]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("it was retried by an"), "{}", ran.err);

    // its history has both decisions, and when the record was first seen
    let story = cli(&socket, &["dossier", "history", "Q-1"]).await;
    let happened: Vec<_> = story["happenings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|happening| (happening["what"].as_str().unwrap(), happening["by"].as_str()))
        .collect();
    assert_eq!(
        happened,
        [
            ("decision", Some("lin")),
            ("decision", Some("an")),
            ("event", None)
        ]
    );
    let event = &story["happenings"][2];
    assert_eq!(event["observed"], letter["since"], "its first observation");
    assert_eq!(event["operation"], "webhook.dossier");
    drop(daemon);
}

async fn parked_delivery_is_sent_when_it_is_retried() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    let letter = refused_there(&site, &target, 1).await;
    assert_eq!(letters(&site).await, [letter.as_str()]);
    let shown = cli(site.socket(), &["dossier", "show", &code(1)]).await;
    assert_eq!(shown["systems"][1]["open"][0]["letter"], letter.as_str());

    let ran = decide(&site, &["retry", &letter]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    site.arrived(&code(1), "book").await;
    assert_eq!(
        target.paths(),
        ["/find", "/create", "/find", "/create"],
        "asked first"
    );
    assert_eq!(target.counts(), [(code(1), 1)].into());
    assert!(letters(&site).await.is_empty());
    // The target's code is news of the dossier, by which its row is due once more for a moment.
    site.quiet().await;
    site.arrived(&code(1), "book").await;

    for _ in 0..2 {
        let ran = decide(&site, &["retry", &letter, "--json"]).await;
        assert_eq!(ran.code, 0);
        assert_eq!(ran.json()[0]["outcome"], "already", "{ran:?}");
        assert!(
            ran.json()[0]["said"]
                .as_str()
                .unwrap()
                .contains("the system has it")
        );
    }
    let ran = decide(&site, &["discard", &letter, "--reason", "double"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("it was retried by lin"), "{}", ran.out);
    site.quiet().await;
    assert_eq!(target.calls("/create").len(), 2, "nothing was done");
    site.stop().await;
}

async fn retry_of_what_nobody_can_ask_about_sends_it_again() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &format!("{MANIFEST}{STEPS}"), &target.url)]).await;
    let letter = step_in_doubt(&site, &target, false).await;
    assert!(target.steps().is_empty(), "a person has looked: it is not there");
    assert_eq!(decide(&site, &["retry", &letter]).await.code, 0);
    site.row(&code(1), "book", 1, |row| row.state == State::Applied)
        .await;
    assert_eq!(target.steps().len(), 1);
    site.stop().await;
}

async fn discarded_delivery_is_given_up_also_in_newer_versions() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &format!("{MANIFEST}{STEPS}"), &target.url)]).await;
    let letter = step_in_doubt(&site, &target, true).await;
    assert_eq!(target.steps().len(), 1, "a person has looked: it is there");
    let ran = decide(&site, &["discard", &letter]).await;
    assert_eq!(
        ran.code, 2,
        "without a reason it is a slip of the command line: {ran:?}"
    );
    for reason in [" ", "two\nlines", "\u{1b}[2J"] {
        let ran = decide(&site, &["discard", &letter, "--reason", reason]).await;
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.contains("the reason must be one line"), "{}", ran.err);
    }
    assert_eq!(letters(&site).await, [letter.as_str()]);

    let ran = decide(&site, &["discard", &letter, "--reason", "it had arrived"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(letters(&site).await.is_empty());
    let shown = ask(site.socket(), &["dossier", "show", &code(1)]).await.out;
    assert!(
        shown.contains("step no. 1: given up: by lin: it had arrived"),
        "{shown}"
    );

    let mut newer = worked(1);
    newer["TrichYeuHoSo"] = json!("Cấp lại");
    newer["NgayCapNhat"] = json!("20260305091000");
    site.learn(&newer).await;
    site.arrived(&code(1), "book").await;
    let given_up = site.row(&code(1), "book", 1, |_| true).await;
    assert!(matches!(given_up.state, State::Discarded { .. }), "{given_up:?}");
    assert_eq!(target.steps().len(), 1);

    let ran = decide(&site, &["discard", &letter, "--reason", "again"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("already discarded by lin") && ran.out.contains("it had arrived"),
        "{}",
        ran.out
    );
    let ran = decide(&site, &["retry", &letter]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.out.contains("there is no dead letter") && ran.out.contains("discarded by lin"),
        "{}",
        ran.out
    );
    let status = cli(site.socket(), &["status"]).await;
    let heaps = &status["conservation"];
    assert_eq!(
        (&heaps["discarded"], &heaps["parked"], &heaps["on_the_way"]),
        (&json!(1), &json!(0), &json!(0)),
        "{heaps}"
    );
    site.stop().await;
}

async fn discarded_record_is_not_listed_when_it_is_sent_again_and_a_corrected_one_is_taken() {
    let site = Site::start(&[]).await;
    let mut bad = row(1);
    bad["NgayTiepNhan"] = json!("20260231083000");
    let hook = site.hook("/hooks/one-stop");
    crate::support::post(&hook, &bad).await;
    let [letter] = letters(&site).await.try_into().unwrap();
    let ran = ask(
        site.socket(),
        &["dead-letter", "discard", &letter, "--reason", "typed twice"],
    )
    .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for _ in 0..2 {
        let (status, said) = crate::support::post(&hook, &bad).await;
        assert_eq!(
            (status, &said["maLoi"]),
            (200, &json!("refused")),
            "its sender still hears it"
        );
    }
    assert!(letters(&site).await.is_empty());
    site.tell(&row(1)).await;
    site.quiet().await;
    let story = cli(site.socket(), &["dossier", "history", &code(1)]).await;
    let decision = &story["happenings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|happening| happening["what"] == "decision");
    let whoami = std::process::Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(whoami.stdout).unwrap();
    let decision = decision.unwrap();
    assert_eq!(
        (&decision["by"], &decision["verb"], &decision["reason"]),
        (&json!(user.trim()), &json!("discard"), &json!("typed twice"))
    );
    site.stop().await;
}

async fn discard_ends_the_wait_for_the_report_of_a_call_in_doubt() {
    // a system that reports what it is sent, and has no look-up
    let reporting = format!(
        "{}{}",
        MANIFEST
            .replace("echo = false", "echo = '{dossier: $dossier.code, summary: .summary}'\non_doubt = \"park\"\nbecause = \"no look-up\"")
            .replace("find = { path = '/find', body = '{id: $key}', records = '.result[]?' }\n", "")
            .replace("same_when = '.id == $record.id and .name == $record.name'\n", "")
            .replace("needs = [\"*\"]", "needs = [\"*\"]\nowns = { summary = \"always\" }"),
        "[webhook.dossier]\npath = \"/hooks/book\"\nverify = 'true'\nmap = '{dossier: .id, summary: .summary}'\ncode = '.id'\n"
    );
    let target = Target::start().await;
    let site = Site::start(&[("book", &reporting, &target.url)]).await;
    target.next("/create", Act::Answer(500, vec![], json!({})));
    site.tell(&row(1)).await;
    let settle = site.steady() + jiff::SignedDuration::from_secs(90);
    site.delivery(&code(1), "book", |row| {
        row.state == State::InDoubt { until: settle }
    })
    .await;
    site.advance(90);
    let letter = site.delivery(&code(1), "book", parked).await;
    let pending = async || {
        let mut transaction = site.store().begin().await.unwrap();
        let key = ("book".to_owned(), letter.dossier);
        let shadows = transaction.shadows(std::slice::from_ref(&key)).await.unwrap();
        let shadow = serde_json::to_value(&shadows[&key]).unwrap();
        shadow["pending"].as_object().unwrap().len()
    };
    assert_eq!(pending().await, 1, "its report would be no news");
    assert_eq!(
        decide(&site, &["discard", &letter.letter(), "--reason", "never came"])
            .await
            .code,
        0
    );
    assert_eq!(pending().await, 0);
    site.stop().await;
}

async fn all_dead_letters_of_a_system_or_of_one_cause_are_retried_at_once() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    for n in 1..=3 {
        refused_there(&site, &target, n).await;
    }
    target.type_in(json!({"id": code(4), "name": "Somebody else"}));
    site.tell(&row(4)).await;
    site.delivery(&code(4), "book", parked).await;
    let mut bad = row(5);
    bad["NgayTiepNhan"] = json!("20260231083000");
    crate::support::post(&site.hook("/hooks/one-stop"), &bad).await;
    assert_eq!(letters(&site).await.len(), 5);

    let ran = decide(
        &site,
        &["retry", "--system", "book", "--cause", "refused-by-target"],
    )
    .await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.out
            .starts_with("3 dead letters of book with cause refused-by-target retried"),
        "{}",
        ran.out
    );
    for n in 1..=3 {
        site.arrived(&code(n), "book").await;
    }
    assert_eq!(letters(&site).await.len(), 2, "the others were not meant");

    // whose cause is still there comes back
    let ran = decide(&site, &["retry", "--system", "book", "--json"]).await;
    assert_eq!(ran.json(), json!({"system": "book", "cause": null, "retried": 1}));
    target.called("/find", 8).await;
    site.delivery(&code(4), "book", parked).await;
    let ran = decide(
        &site,
        &["retry", "--system", "one-stop", "--cause", "bad-time", "--json"],
    )
    .await;
    assert_eq!(ran.json()["retried"], 1);

    let ran = decide(&site, &["retry", "--system", "book", "--cause", "unheard-of"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("no dead letter of book with cause unheard-of"),
        "{}",
        ran.out
    );
    let ran = decide(&site, &["retry", "--system", "bok"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(
        ran.err.contains("bok") && ran.err.contains("adapter list"),
        "{}",
        ran.err
    );
    for wrong in [
        &["retry"][..],
        &["retry", "inbox-1", "--system", "book"],
        &["retry", "inbox-1", "--cause", "x"],
    ] {
        assert_eq!(decide(&site, wrong).await.code, 2, "{wrong:?}");
    }
    site.stop().await;
}

async fn more_dead_letters_than_fit_a_page_are_all_retried_and_each_once() {
    let site = Site::start(&[]).await;
    let rows: Vec<InboxRow> = (0..1_203)
        .map(|n| InboxRow {
            adapter: "one-stop".to_owned(),
            operation: "webhook.dossier".to_owned(),
            observed: site.now(),
            raw_hash: n.to_string(),
            raw: json!({"MaHoSo": n}).to_string(),
            state: InboxState::Refused(Fault::new("bad-time")),
            code: None,
            dossier: None,
            event: None,
            mapping: "v1".to_owned(),
            until: None,
        })
        .collect();
    let mut transaction = site.store().begin().await.unwrap();
    transaction.put_inbox(&rows).await.unwrap();
    transaction.commit().await.unwrap();
    // they fail again at once, while the command is under way
    let ran = decide(&site, &["retry", "--system", "one-stop"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.starts_with("1203 dead letters of one-stop retried"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("500 retried, more to come"), "{}", ran.err);
    until("all were taken in anew", async || {
        let letters = site.store().dead_letters(2_000).await.unwrap();
        let judged = letters.iter().filter(|letter| letter.cause.code != "bad-time");
        (judged.count() == 1_203).then_some(())
    })
    .await;
    site.stop().await;
}

async fn of_two_people_who_decide_at_once_the_second_is_told_so() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    let mut letters = Vec::new();
    for n in 1..=3 {
        letters.push(refused_there(&site, &target, n).await);
    }
    // the target stands still, so that none of them ends up where it was
    target.rule(
        "/find",
        99,
        |_| true,
        Act::Answer(429, vec![("retry-after", "86400")], json!({})),
    );
    let one = [
        &["retry"][..],
        &letters.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    let (ran, other) = tokio::join!(ask_as(&site, &one, "lin"), ask_as(&site, &one, "an"),);
    let mut outcomes = Vec::new();
    for (index, letter) in letters.iter().enumerate() {
        let pair = [&ran, &other].map(|ran| ran.json()[index].clone());
        assert!(pair.iter().all(|ruled| ruled["id"] == letter.as_str()));
        let mut both = pair
            .clone()
            .map(|ruled| ruled["outcome"].as_str().unwrap().to_owned());
        both.sort();
        outcomes.push(both);
    }
    assert!(
        outcomes.iter().all(|both| both == &["already", "done"]),
        "{outcomes:?}"
    );
    for n in 1..=3 {
        let story = cli(site.socket(), &["dossier", "history", &code(n)]).await;
        let decided = story["happenings"].as_array().unwrap().iter();
        assert_eq!(
            decided
                .filter(|happening| happening["what"] == "decision")
                .count(),
            1
        );
    }
    site.stop().await;
}

async fn ask_as(site: &Site, arguments: &[&str], by: &str) -> Ran {
    ask(
        site.socket(),
        &[&["--json", "dead-letter"], arguments, &["--by", by]].concat(),
    )
    .await
}

async fn ruling_on_what_is_no_dead_letter_says_what_it_is() {
    let target = Target::start().await;
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    let arrived = site.arrived(&code(1), "book").await.letter();
    let letter = refused_there(&site, &target, 2).await;
    for (id, said) in [
        ("inbox-4711", "there is no dead letter \"inbox-4711\""),
        ("retry", "there is no dead letter \"retry\""),
        ("inbox-1", "inbox-1 is no dead letter: the record was taken"),
        (arrived.as_str(), "is no dead letter: the system has it"),
    ] {
        for verb in [&["retry"][..], &["discard", "--reason", "x"]] {
            // a sound one beside it is decided all the same
            let ran = decide(&site, &[verb, &[id]].concat()).await;
            assert_eq!(ran.code, 3, "{ran:?}");
            assert!(ran.out.contains(said), "{said} in {}", ran.out);
        }
        let ran = ask(site.socket(), &["dead-letter", "show", id]).await;
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.contains(said), "{said} in {}", ran.err);
    }
    let ran = decide(&site, &["retry", "inbox-4711", &letter, &letter]).await;
    assert_eq!(ran.code, 3, "one of them is unknown");
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    site.arrived(&code(2), "book").await;
    site.stop().await;
}
