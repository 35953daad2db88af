//! Mappings that never end or eat memory: their own adapter rests, and nothing else notices.

use std::process::Command;

use futures_util::future::{Either, join_all, select};
use lienthong::store::{Counts, State};
use serde_json::{Value, json};

use crate::support::{MANIFEST, OFFICE, Province, Site, Target, cli, client, code, patch, post, row, until};

on_both_stores! {
    one_record_that_eats_memory_stops_nobody_however_often_it_comes
    what_was_kept_during_the_rest_is_mapped_after_it
    dossiers_that_a_sick_push_cannot_take_park_and_the_others_wait
    sick_pull_waits_and_its_poisonous_record_alone_does_not_make_it_sick
    door_whose_own_jq_is_sick_keeps_nothing_unproven_and_tells_to_come_again
    daemon_raises_the_alarm_in_its_log
    mappings_that_eat_all_they_can_fit_into_two_gibibytes
}

/// What poisons a mapping; the rest of the record is as it should be.
const POISON: &str = "độc";

/// Never ends.
const ENDLESS: &str = "last(repeat(1))";

/// Wants a gigabyte.
const GREEDY: &str = r#""x" * 1000000000"#;

/// An office that takes dossiers too, and whose mapping does this with poison.
fn office(sick: &str) -> String {
    let map = format!("map = 'if .note == \"{POISON}\" then {sick} else . end'");
    let (head, push) = MANIFEST.split_once("[push.dossier]").unwrap();
    assert!(head.contains("settle = \"90s\""));
    let manifest = OFFICE
        .replace("map = '.'", &map)
        .replace(
            "[owns]",
            "subscribe = { procedures = [\"*\"] }\nneeds = [\"*\"]\n[owns]",
        )
        .replace("[webhook.dossier]", "settle = \"90s\"\n[webhook.dossier]");
    format!("{manifest}[push.dossier]{push}")
}

fn poison(n: u32) -> Value {
    let mut record = patch(&code(n), n);
    record["note"] = json!(POISON);
    record
}

/// Tells until the node says what became of the record: a node that is slow asks to be told again.
async fn tell(site: &Site, record: &Value) -> String {
    loop {
        let said = site.says("/hooks/office", record).await;
        if said != "come-again" {
            return said;
        }
    }
}

/// The rest of an adapter, as operators are told of it.
async fn pause(site: &Site, name: &str) -> Value {
    let status = cli(site.socket(), &["status"]).await;
    let adapters = status["adapters"].as_array().unwrap();
    let adapter = adapters.iter().find(|adapter| adapter["name"] == name);
    adapter.unwrap()["pause"].clone()
}

fn count(counts: &Counts, system: &str, state: &str) -> i64 {
    let rows = counts
        .inbox
        .iter()
        .filter(|(name, known, _)| name == system && known == state);
    rows.map(|(_, _, count)| count).sum()
}

async fn inbox(site: &Site, state: &str) -> i64 {
    count(&site.store().counts().await.unwrap(), "office", state)
}

#[tokio::test(flavor = "multi_thread")]
async fn mapping_that_never_ends_pauses_its_adapter_and_nothing_else() {
    let (book, other) = (Target::start().await, Target::start().await);
    let site = Site::start(&[
        ("book", MANIFEST, &book.url),
        ("office", &office(ENDLESS), &other.url),
    ])
    .await;
    // Forty records, each of which would keep a thread busy for seconds, while others go about their work.
    let poisoned: Vec<Value> = (101..=140).map(poison).collect();
    let said = {
        let sick = join_all(poisoned.iter().map(|record| tell(&site, record)));
        let arrives = async |n| {
            site.tell(&row(n)).await;
            site.arrived(&code(n), "book").await;
        };
        let Either::Right(((), sick)) = select(Box::pin(sick), Box::pin(arrives(1))).await else {
            panic!("a dossier had to wait for the mapping of another system")
        };
        let others = join_all((2..=5).map(arrives));
        tokio::join!(sick, others).0
    };
    let refused = said.iter().filter(|said| *said == "refused").count();
    assert!(
        said.iter().all(|said| said == "refused" || said == "waiting"),
        "{said:?}"
    );
    assert!(
        (1..10).contains(&refused),
        "the mapping was soon left alone: {said:?}"
    );
    let kept = (inbox(&site, "refused").await, inbox(&site, "waiting").await);
    assert_eq!(kept.0 + kept.1, 40, "none was lost");

    // Operators see it by name, with what to do, and only it.
    let rest = pause(&site, "office").await;
    assert!(
        rest["reason"].as_str().unwrap().starts_with("webhook.dossier: "),
        "{rest}"
    );
    assert!(rest["until"].is_string(), "{rest}");
    for well in ["book", "one-stop"] {
        assert_eq!(pause(&site, well).await, Value::Null, "{well}");
    }
    let letters = cli(site.socket(), &["dead-letter", "list"]).await;
    let cause = &letters[0]["cause"];
    assert_eq!(
        (&cause["code"], &cause["file"]),
        (&json!("mapping-too-long"), &json!("adapter.toml"))
    );
    assert!(
        cause["field"].as_str().unwrap().starts_with("webhook.dossier"),
        "{cause}"
    );

    // While it rests its door is open, and what is to go there waits without a try.
    assert_eq!(tell(&site, &patch(&code(150), 150)).await, "waiting");
    site.tell(&row(6)).await;
    site.arrived(&code(6), "book").await;
    let waits = site
        .delivery(&code(6), "office", |row| row.state == State::Due)
        .await;
    assert_eq!((waits.attempt, waits.failures), (0, 0));
    assert_eq!(other.counts().get(&code(6)), None);

    // With the folder mended and the node started anew, everything that was kept goes its way.
    let site = site
        .restart(|_, adapters| std::fs::write(adapters.join("office/adapter.toml"), office(".")).unwrap())
        .await;
    for n in (101..=140).chain([150]) {
        site.arrived(&code(n), "book").await;
    }
    for n in 1..=6 {
        site.arrived(&code(n), "office").await;
    }
    assert_eq!(inbox(&site, "mapped").await, 41);
    assert_eq!(
        (inbox(&site, "refused").await, inbox(&site, "waiting").await),
        (0, 0)
    );
    assert!(
        book.counts().values().all(|count| *count == 1),
        "{:?}",
        book.counts()
    );
    assert_eq!(pause(&site, "office").await, Value::Null);
    site.stop().await;
}

async fn one_record_that_eats_memory_stops_nobody_however_often_it_comes() {
    let book = Target::start().await;
    let site = Site::start(&[
        ("book", MANIFEST, &book.url),
        ("office", &office(GREEDY), "http://127.0.0.1:9"),
    ])
    .await;
    for _ in 0..5 {
        assert_eq!(tell(&site, &poison(1)).await, "refused");
    }
    for n in 2..6 {
        assert_eq!(tell(&site, &poison(n)).await, "refused");
        assert_eq!(
            tell(&site, &patch(&code(n + 10), n)).await,
            "mapped",
            "others in between"
        );
        site.arrived(&code(n + 10), "book").await;
    }
    assert_eq!(pause(&site, "office").await, Value::Null);
    let letters = cli(site.socket(), &["dead-letter", "list"]).await;
    assert_eq!(
        letters.as_array().unwrap().len(),
        5,
        "one for each record: {letters}"
    );
    assert_eq!(letters[0]["cause"]["code"], "mapping-too-big");
    assert_eq!(letters[0]["cause"]["field"], "webhook.dossier.map");
    site.stop().await;
}

async fn what_was_kept_during_the_rest_is_mapped_after_it() {
    let book = Target::start().await;
    let site = Site::start(&[
        ("book", MANIFEST, &book.url),
        ("office", &office(GREEDY), "http://127.0.0.1:9"),
    ])
    .await;
    for n in 1..=3 {
        assert_eq!(tell(&site, &poison(n)).await, "refused");
    }
    let until_then = pause(&site, "office").await["until"].clone();
    let until_then: jiff::Timestamp = serde_json::from_value(until_then).unwrap();
    assert_eq!(until_then.duration_since(site.now()).as_secs(), 60);
    for n in 4..=8 {
        assert_eq!(tell(&site, &patch(&code(n), n)).await, "waiting");
        assert_eq!(tell(&site, &patch(&code(n), n)).await, "waiting", "listed once");
    }
    assert_eq!(inbox(&site, "waiting").await, 5);
    site.advance(59);
    assert_eq!(tell(&site, &patch(&code(9), 9)).await, "waiting");
    site.advance(1);
    for n in 4..=9 {
        site.arrived(&code(n), "book").await;
    }
    assert_eq!(
        (inbox(&site, "waiting").await, inbox(&site, "refused").await),
        (0, 3)
    );
    assert_eq!(pause(&site, "office").await, Value::Null);

    // One that relapses before it has done anything rests twice as long.
    for n in 11..=13 {
        assert_eq!(tell(&site, &poison(n)).await, "refused");
    }
    site.advance(60);
    for n in 14..=16 {
        assert_eq!(tell(&site, &poison(n)).await, "refused");
    }
    site.advance(119);
    assert_ne!(pause(&site, "office").await, Value::Null);
    site.advance(1);
    assert_eq!(pause(&site, "office").await, Value::Null);
    site.stop().await;
}

async fn dossiers_that_a_sick_push_cannot_take_park_and_the_others_wait() {
    let record = "record = '";
    let sick = format!("{record}if .summary == \"{POISON}\" then {GREEDY} else null end // ");
    let sick = MANIFEST.replace(record, &sick);
    let (book, other) = (Target::start().await, Target::start().await);
    let site = Site::start(&[("book", &sick, &book.url), ("other", MANIFEST, &other.url)]).await;
    for n in 1..=3 {
        let mut row = row(n);
        row["TrichYeuHoSo"] = json!(POISON);
        site.learn(&row).await;
        site.arrived(&code(n), "other").await;
        if n == 3 {
            // What the other target has answered makes the dossier due anew, and now the adapter rests.
            break;
        }
        let parked = site
            .delivery(&code(n), "book", |row| matches!(row.state, State::Parked { .. }))
            .await;
        let State::Parked { cause, held } = parked.state else {
            unreachable!()
        };
        assert_eq!((cause.code.as_str(), held), ("mapping-too-big", false));
        assert_eq!(cause.field.as_deref(), Some("push.dossier.record"));
    }
    let rest = until("a rest", async || {
        let rest = pause(&site, "book").await;
        (rest != Value::Null).then_some(rest)
    })
    .await;
    let reason = rest["reason"].as_str().unwrap();
    assert!(reason.starts_with("push.dossier: 3 different records"), "{rest}");
    site.learn(&row(4)).await;
    site.arrived(&code(4), "other").await;
    let waits = site.delivery(&code(4), "book", |_| true).await;
    assert_eq!((waits.state, waits.attempt), (State::Due, 0));
    assert_eq!(book.paths(), Vec::<String>::new());

    site.advance(60);
    site.arrived(&code(4), "book").await;
    let site = site
        .restart(|_, adapters| std::fs::write(adapters.join("book/adapter.toml"), MANIFEST).unwrap())
        .await;
    for n in 1..=3 {
        site.arrived(&code(n), "book").await;
    }
    assert!(
        book.counts().values().all(|count| *count == 1),
        "{:?}",
        book.counts()
    );
    site.stop().await;
}

async fn sick_pull_waits_and_its_poisonous_record_alone_does_not_make_it_sick() {
    let pulled = OFFICE.split_once("[webhook.dossier]").unwrap().0;
    let pull = format!(
        "{pulled}[pull.changes]\nevery = \"1s\"\npath = '/find'\nbody = '{{id: \"x\"}}'\nrecords = '.result[] | .said'\n\
         map = 'if .note == \"{POISON}\" then {GREEDY} else . end'\n"
    );
    let (source, book) = (Target::start().await, Target::start().await);
    let site = Site::start(&[("book", MANIFEST, &book.url), ("office", &pull, &source.url)]).await;
    let show = |record: Value| source.type_in(json!({"id": "x", "said": record}));
    let asked_again = async || {
        let before = source.calls("/find").len();
        until("the source is asked twice more", async || {
            site.advance(1);
            (source.calls("/find").len() >= before + 2).then_some(())
        })
        .await;
    };
    // The one record there is, shown again and again.
    show(poison(1));
    for _ in 0..4 {
        asked_again().await;
    }
    assert_eq!(pause(&site, "office").await, Value::Null);
    show(patch(&code(2), 2));
    site.advance(1);
    site.arrived(&code(2), "book").await;

    // Three more, and nothing else: read once, then nothing is asked before the rest is over.
    let site = site.restart(|_, _| {}).await;
    source.relent();
    for n in 3..=8 {
        show(poison(n));
    }
    until("the pull rests", async || {
        site.advance(1);
        (pause(&site, "office").await != Value::Null).then_some(())
    })
    .await;
    let asked = source.calls("/find").len();
    site.tell(&row(20)).await;
    site.arrived(&code(20), "book").await;
    site.advance(30);
    site.tell(&row(21)).await;
    site.arrived(&code(21), "book").await;
    assert_eq!(source.calls("/find").len(), asked);
    // What was kept of them is judged first, and may prolong the rest.
    until("the source is asked again", async || {
        site.advance(60);
        (source.calls("/find").len() > asked).then_some(())
    })
    .await;
    site.stop().await;
}

async fn door_whose_own_jq_is_sick_keeps_nothing_unproven_and_tells_to_come_again() {
    let verify = format!("verify = '({GREEDY}) == \"k\"'");
    let sick = OFFICE.replace(r#"verify = '$headers["x-key"] == "k"'"#, &verify);
    assert_ne!(sick, OFFICE);
    let site = Site::start(&[("office", &sick, "http://127.0.0.1:9")]).await;
    for n in 1..=5 {
        let hook = site.hook("/hooks/office");
        let (status, said) = post(&hook, &patch(&code(n), n)).await;
        assert_eq!((status, &said["code"]), (503, &json!("come-again")), "{said}");
    }
    let rest = pause(&site, "office").await;
    assert!(
        rest["reason"]
            .as_str()
            .unwrap()
            .starts_with("webhook.dossier.verify: "),
        "{rest}"
    );
    assert!(site.store().counts().await.unwrap().inbox.is_empty());
    site.tell(&row(1)).await;

    let reply = OFFICE.replace("map = '.'", &format!("map = '.'\nreply = '{GREEDY}'"));
    let site = site
        .restart(|_, adapters| std::fs::write(adapters.join("office/adapter.toml"), reply).unwrap())
        .await;
    for n in 1..=5 {
        let said = tell(&site, &patch(&code(n), n)).await;
        assert!(
            said == "mapped" || said == "waiting",
            "durable, so it is not answered with an error: {said}"
        );
    }
    assert!(
        pause(&site, "office").await["reason"]
            .as_str()
            .unwrap()
            .starts_with("webhook.dossier.reply: ")
    );
    site.stop().await;
}

async fn daemon_raises_the_alarm_in_its_log() {
    let target = Target::start().await;
    let province = Province::new(&[("office", Some(&office(GREEDY)), &target.url)]);
    let mut daemon = province.start().await;
    let hook = daemon.hook.replace("/hooks/one-stop", "/hooks/office");
    for n in 1..=3 {
        let told = client().post(&hook).header("x-key", "k").json(&poison(n));
        assert_eq!(told.send().await.unwrap().status(), 200);
    }
    let log = until("an alarm", async || {
        let log = daemon.log();
        log.contains("the adapter is paused").then_some(log)
    })
    .await;
    let line = log
        .lines()
        .find(|line| line.contains("the adapter is paused"))
        .unwrap();
    assert!(
        line.contains("ERROR") && line.contains("office") && line.contains("webhook.dossier"),
        "{line}"
    );
    assert!(!log.contains("VU THI THU"), "nobody is named");
    daemon.kill();
}

async fn mappings_that_eat_all_they_can_fit_into_two_gibibytes() {
    // Each eats in another way: texts, lists, objects, outputs, matches, stack, closures.
    let greedy = [
        (GREEDY, "big"),
        (r#"reduce range(40) as $i ("x"; . + .)"#, "big"),
        ("[range(1e9)]", "big"),
        ("reduce range(60) as $i ([1]; . + .)", "big"),
        ("reduce range(60) as $i (1; {a: ., b: .})", "big"),
        (r#"[range(1e6) | "x" * 100000]"#, "big"),
        ("[range(3e5)] | [combinations(2)]", "big"),
        ("def f: (f, f); f", "long"),
        ("def f: reduce . as $x (0; f); f", "long"),
        ("def f(g): f(g | . + 1); f(.)", "long"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let adapter = folder.path().join("office");
    let samples = adapter.join("samples/webhook.dossier");
    std::fs::create_dir_all(&samples).unwrap();
    let mut map = String::new();
    for (n, (code, bound)) in (1..).zip(greedy) {
        map.extend(["if .n == ", &n.to_string(), " then (", code, ") else . end | "]);
        std::fs::write(
            samples.join(format!("greedy-{n}.native.json")),
            json!({"n": n}).to_string(),
        )
        .unwrap();
        let refused = json!({"code": format!("mapping-too-{bound}")}).to_string();
        std::fs::write(samples.join(format!("greedy-{n}.refused.json")), refused).unwrap();
    }
    std::fs::write(
        adapter.join("inbound.jq"),
        format!("{map}if .n then error(\"it came to an end\") else . end"),
    )
    .unwrap();
    let manifest = OFFICE.replace("map = '.'", "map = 'inbound'");
    std::fs::write(adapter.join("adapter.toml"), manifest).unwrap();
    let sound = json!({"dossier": "A"}).to_string();
    for part in ["native", "patch"] {
        std::fs::write(samples.join(format!("sound.{part}.json")), &sound).unwrap();
    }
    let limited = format!(
        "ulimit -v 2097152; exec '{}' adapter test '{}' --json",
        env!("CARGO_BIN_EXE_lienthong"),
        adapter.display()
    );
    let run = move || Command::new("sh").args(["-c", &limited]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let reports: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let cases = reports[0]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), greedy.len() + 1, "{reports}");
    for case in cases {
        assert_eq!(case["passed"], true, "{case}");
    }
}
