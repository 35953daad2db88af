//! What operators ask a running node, by the built binary over the admin socket.

use lienthong::demo::World;
use serde_json::{Value, json};

use crate::support::{ask, by_code, code, finals, run, settle_told, tell, tell_all, text, world};

/// Returned to the applicant: everything is where it should be.
const RETURNED: &str = "000.00.14.H56-230719-0001";

/// The one-stop's code of a dossier that the portal knows under another one.
const ALIASED: &str = "H56.07-260510-0001";
const ALIAS: &str = "000.00.00.H56-260510-90003";

/// Rejected before anybody received it: the portal does not count it.
const NEVER_RECEIVED: &str = "000.00.07.H56-230812-0001";

/// Of a record that no mapping can read.
const REFUSED: &str = "000.00.14.H56-230719-0099";

async fn province() -> (World, Vec<Value>) {
    let world = world(None, &[]).await;
    let finals = finals().await;
    let rows = [RETURNED, ALIASED, NEVER_RECEIVED].map(|code| by_code(&finals, code));
    tell_all(&world, &rows).await;
    settle_told(&world).await;
    (world, rows.to_vec())
}

/// A record that no mapping can read: the code of its channel is in no table.
async fn refused(world: &World, row: &Value) -> Value {
    let mut row = row.clone();
    row["MaHoSo"] = json!(REFUSED);
    row["KenhThucHien"] = json!("9");
    let (status, answer) = tell(world, &row).await;
    assert_eq!(status, 200, "kept, so the sender need not come again");
    assert_ne!(answer["maLoi"], "0", "but told that something is wrong");
    settle_told(world).await;
    row
}

/// Texts that tell who a person is.
fn personal(row: &Value) -> Vec<String> {
    let fields = [
        "ChuHoSo",
        "SoGiayToChuHoSo",
        "SoDienThoai",
        "Email",
        "DiaChiChuHoSo",
        "NgaySinhChuHoSo",
    ];
    fields
        .iter()
        .filter_map(|field| row[*field].as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_version_adapters_and_counts() {
    let (world, rows) = province().await;
    refused(&world, &rows[0]).await;
    let ran = ask(&world, &["status", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let status = ran.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let names: Vec<&Value> = status["adapters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|adapter| &adapter["name"])
        .collect();
    assert_eq!(names, [&json!("one-stop"), &json!("national-portal")]);
    assert_eq!(status["counts"]["dossiers"], 3);
    assert_eq!(status["counts"]["outbox"], 0);
    let deliveries = status["counts"]["deliveries"].as_array().unwrap();
    for row in [
        json!(["national-portal", "dossier", "applied", 2]),
        json!(["national-portal", "dossier", "skipped", 1]),
        json!(["national-portal", "progress", "waiting", 1]),
    ] {
        assert!(deliveries.contains(&row), "{row} in {deliveries:?}");
    }
    assert!(
        status["counts"]["inbox"]
            .as_array()
            .unwrap()
            .contains(&json!(["one-stop", "refused", 1]))
    );

    let ran = ask(&world, &["status"]).await;
    assert_eq!(ran.code, 0);
    for said in [
        "SQLite",
        "loopback",
        "3 dossiers",
        "ADAPTER",
        "one-stop",
        "skipped",
        "4 kept = 3 taken + 0 closed or nothing new + 0 waiting + 1 refused",
        "there + 1 on the way (0 in doubt) + 0 parked + 10 not sent + 0 given up",
    ] {
        assert!(ran.out.contains(said), "{said} in {}", ran.out);
    }
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapters_are_listed_with_operations_addresses_and_deliveries() {
    let (world, _) = province().await;
    let ran = ask(&world, &["adapter", "list", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let listed = ran.json();
    let [one_stop, portal] = listed.as_array().unwrap().as_slice() else {
        panic!("two adapters: {listed}")
    };
    assert_eq!(
        (&one_stop["name"], &portal["name"]),
        (&json!("one-stop"), &json!("national-portal"))
    );
    assert_eq!(
        (&one_stop["hosted"]["operations"], &portal["hosted"]["operations"]),
        (
            &json!([
                "webhook.dossier",
                "pull.changes",
                "push.decisions",
                "push.identity",
                "push.intake"
            ]),
            &json!(["push.dossier", "push.progress"])
        )
    );
    let address = world.portal().address().to_string();
    assert_eq!(portal["hosted"]["host"], address);
    assert_eq!(portal["hosted"]["pause"], Value::Null);
    assert!(
        portal["hosted"]["folder"]
            .as_str()
            .unwrap()
            .ends_with("/national-portal")
    );
    assert_eq!(portal["hosted"]["version"].as_str().unwrap().len(), 12);
    assert_eq!(portal["deliveries"]["skipped"], 1);
    assert_eq!(one_stop["deliveries"], json!({"skipped": 9}));

    let ran = ask(&world, &["adapter", "list"]).await;
    for said in ["OPERATIONS", "push.progress", &address, "go on", "1 skipped"] {
        assert!(ran.out.contains(said), "{said} in {}", ran.out);
    }
    for (_, secret) in lienthong::demo::SECRETS {
        assert!(!ran.out.contains(secret) || secret == "h56" || secret == "lienthong");
    }
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dossier_list_shows_the_last_changed_first() {
    let (world, rows) = province().await;
    let ran = ask(&world, &["dossier", "list", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let listed = ran.json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let times: Vec<&str> = listed
        .iter()
        .map(|row| row["updated"].as_str().unwrap())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");
    let open = |code: &str| {
        let row = listed.iter().find(|row| row["code"] == code).unwrap();
        (row["open"].as_i64().unwrap(), row["parked"].as_i64().unwrap())
    };
    assert_eq!((open(RETURNED), open(NEVER_RECEIVED)), ((0, 0), (1, 0)));

    let ran = ask(&world, &["dossier", "list"]).await;
    assert!(ran.out.lines().next().unwrap().contains("CODE"), "{}", ran.out);
    assert!(rows.iter().all(|row| ran.out.contains(code(row))), "{}", ran.out);
    let ran = ask(&world, &["dossier", "list", "--limit", "1", "--json"]).await;
    assert_eq!(ran.json().as_array().unwrap().len(), 1);
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dossier_that_arrived_is_shown_there_under_its_code_and_since_when() {
    let (world, _) = province().await;
    let ran = ask(&world, &["dossier", "show", RETURNED, "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown = ran.json();
    assert_eq!(
        (&shown["code"], &shown["status"], &shown["procedure"]),
        (&json!(RETURNED), &json!("returned"), &json!("2.000488"))
    );
    assert_eq!(shown["origin"], json!({"system": "one-stop", "native": RETURNED}));
    let [one_stop, portal] = shown["systems"].as_array().unwrap().as_slice() else {
        panic!("two systems: {shown}")
    };
    assert_eq!(
        (&one_stop["name"], &one_stop["there"], &one_stop["native"]),
        (&json!("one-stop"), &json!(true), &json!(RETURNED))
    );
    assert_eq!(
        (
            &portal["name"],
            &portal["there"],
            &portal["native"],
            &portal["open"]
        ),
        (
            &json!("national-portal"),
            &json!(true),
            &json!(RETURNED),
            &json!([])
        )
    );
    let since: jiff::Timestamp = portal["since"].as_str().unwrap().parse().unwrap();
    let committed = world.portal().committed_at("HoSo", RETURNED).unwrap();
    assert!(since >= committed, "known here after it was stored there");

    let ran = ask(&world, &["dossier", "show", RETURNED]).await;
    assert_eq!(ran.code, 0);
    let portal = ran
        .out
        .lines()
        .find(|line| line.contains("national-portal") && line.contains("yes"));
    assert!(
        portal.is_some_and(|line| line.contains(RETURNED) && line.contains("nothing")),
        "{}",
        ran.out
    );
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dossier_that_nobody_has_received_says_what_it_waits_for() {
    let (world, _) = province().await;
    let ran = ask(&world, &["dossier", "show", NEVER_RECEIVED, "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown = ran.json();
    assert_eq!(shown["status"], "rejected");
    let portal = &shown["systems"][1];
    assert_eq!(
        (&portal["there"], &portal["native"], &portal["since"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    let open = portal["open"].as_array().unwrap();
    let of = |what: &str| open.iter().find(|open| open["what"] == what).unwrap();
    assert_eq!(of("dossier")["state"], "skipped");
    assert_eq!(
        (&of("progress")["state"], &of("progress")["requirement"]),
        (&json!("waiting"), &json!("after dossier"))
    );

    let ran = ask(&world, &["dossier", "show", NEVER_RECEIVED]).await;
    for said in ["dossier: not sent", "progress: waits until dossier is there"] {
        assert!(ran.out.contains(said), "{said} in {}", ran.out);
    }
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dossier_is_found_by_any_of_its_codes_however_written() {
    let (world, _) = province().await;
    let by_own = ask(&world, &["dossier", "show", ALIASED, "--json"]).await.json();
    assert_eq!(
        by_own["links"],
        json!({"national-portal": [ALIAS], "one-stop": [ALIASED]})
    );
    assert_eq!(by_own["systems"][1]["native"], ALIAS);
    let id = by_own["id"].as_str().unwrap();
    let small = ALIAS.to_lowercase();
    for asked in [ALIAS, id, &small] {
        let ran = ask(&world, &["dossier", "show", asked, "--json"]).await;
        assert_eq!(ran.code, 0, "{asked}: {ran:?}");
        assert_eq!(ran.json(), by_own, "{asked}");
    }
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_with_their_remedy_and_shown_with_the_record() {
    let (world, rows) = province().await;
    assert_eq!(
        ask(&world, &["dead-letter", "list"]).await.out.trim(),
        "no dead letters"
    );
    assert_eq!(
        ask(&world, &["dead-letter", "list", "--json"]).await.json(),
        json!([])
    );

    let record = refused(&world, &rows[0]).await;
    let listed = ask(&world, &["dead-letter", "list", "--json"]).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    let letters = listed.json();
    let [letter] = letters.as_array().unwrap().as_slice() else {
        panic!("one dead letter, not {letters}")
    };
    assert_eq!(
        (
            &letter["system"],
            &letter["operation"],
            &letter["cause"]["code"],
            &letter["cause"]["field"]
        ),
        (
            &json!("one-stop"),
            &json!("webhook.dossier"),
            &json!("table-missing-entry"),
            &json!("KenhThucHien")
        )
    );
    assert_eq!(letter["cause"]["file"], "tables/channel.csv");
    assert!(letter["cause"]["remedy"].is_string());
    assert!(letter.get("raw").is_none(), "the record itself only on demand");

    let id = letter["id"].as_str().unwrap();
    let shown = ask(&world, &["dead-letter", "show", id, "--json"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let raw: Value = serde_json::from_str(shown.json()["raw"].as_str().unwrap()).unwrap();
    assert_eq!(raw, record, "as it came in");
    let shown = ask(&world, &["dead-letter", "show", id]).await.out;
    for said in [
        id,
        "table-missing-entry",
        "tables/channel.csv",
        "KenhThucHien",
        "next step",
    ] {
        assert!(shown.contains(said), "{said} in {shown}");
    }

    // asked for by its code, it is found before it is a dossier
    assert_eq!(letter["dossier"], REFUSED);
    let ran = ask(&world, &["dossier", "show", &REFUSED.to_lowercase()]).await;
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(
        ran.err.contains(&format!("`lienthong dead-letter show {id}`")),
        "{}",
        ran.err
    );
    let mut mended = record;
    mended["KenhThucHien"] = rows[0]["KenhThucHien"].clone();
    let (_, answer) = tell(&world, &mended).await;
    assert_eq!(answer["maLoi"], "0");
    settle_told(&world).await;
    let ran = ask(&world, &["dossier", "show", REFUSED, "--json"]).await;
    assert_eq!((ran.code, &ran.json()["code"]), (0, &json!(REFUSED)), "{ran:?}");
    assert_eq!(
        ask(&world, &["dead-letter", "list", "--json"]).await.json(),
        json!([])
    );

    let ran = ask(&world, &["dead-letter", "show", "inbox-4711"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains("inbox-4711") && ran.err.contains("dead-letter list"),
        "{}",
        ran.err
    );
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_asked_tells_who_a_person_is() {
    let (world, rows) = province().await;
    refused(&world, &rows[0]).await;
    for row in &rows {
        let texts = personal(row);
        assert!(texts.len() >= 4, "there is something to tell");
        for arguments in [
            &["status"][..],
            &["dossier", "list"],
            &["dossier", "show", code(row)],
            &["dossier", "history", code(row)],
            &["event", "tail"],
            &["adapter", "list"],
            &["dead-letter", "list"],
        ] {
            for json in [&[][..], &["--json"]] {
                let ran = ask(&world, &[arguments, json].concat()).await;
                assert_eq!(ran.code, 0, "{ran:?}");
                for text in &texts {
                    assert!(
                        !ran.out.contains(text) && !ran.err.contains(text),
                        "{arguments:?}"
                    );
                }
            }
        }
    }
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_code_is_an_answer_with_a_way_on() {
    let (world, _) = province().await;
    for code in ["000.00.14.H56-230719-9999", "a/b ?c#d%", ".."] {
        let ran = ask(&world, &["dossier", "show", code]).await;
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
        if code != ".." {
            assert!(
                ran.err.contains(code) && ran.err.contains("dead-letter list"),
                "{}",
                ran.err
            );
        }
        let ran = ask(&world, &["dossier", "show", code, "--json"]).await;
        assert_eq!(ran.code, 3);
        assert!(ran.json()["error"].is_string());
    }
    let ran = ask(&world, &["dossier", "show", ""]).await;
    assert_eq!(
        ran.code, 2,
        "no code at all is a slip of the command line: {ran:?}"
    );
    world.stop(false).await;
}

#[tokio::test]
async fn node_that_does_not_run_is_said_so_with_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = text(&folder.path().join("nobody.sock"));
    for arguments in [
        &["status"][..],
        &["dossier", "list"],
        &["dossier", "show", RETURNED],
        &["dossier", "history", RETURNED],
        &["event", "tail", "--follow"],
        &["adapter", "list"],
        &["dead-letter", "list"],
        &["dead-letter", "retry", "inbox-1"],
        &["dead-letter", "retry", "--system", "one-stop"],
        &["dead-letter", "discard", "inbox-1", "--reason", "x"],
    ] {
        let ran = run(&[arguments, &["--socket", &socket]].concat()).await;
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
        assert!(
            ran.err.contains(&socket) && ran.err.contains("lienthong run"),
            "{}",
            ran.err
        );
        let ran = run(&[arguments, &["--json", "--socket", &socket]].concat()).await;
        assert_eq!((ran.code, ran.err.as_str()), (3, ""));
        assert!(ran.json()["error"].as_str().unwrap().contains(&socket));
    }
}
