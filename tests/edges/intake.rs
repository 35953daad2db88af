//! Dossiers that came into being in another system are recorded at the one-stop, once, and get its official code.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use lienthong::clock::ManualClock;
use lienthong::sandbox::Sandbox;
use lienthong::stage::Progress;
use lienthong::store::{InboxState, State};
use serde_json::{Value, json};

use crate::reports::nothing_new;
use crate::support::{Bench, MANIFEST, OFFICE, SHIPPED, START, Target, code, row, secret, stand_in};

on_both_stores! {
    dossier_of_another_system_is_at_the_one_stop_once_and_goes_on_under_its_code
    what_is_decided_on_it_elsewhere_is_done_at_the_one_stop_and_what_is_done_there_is_news
    report_that_comes_before_the_answer_waits_and_is_no_second_dossier
    process_that_dies_before_the_answer_finds_what_it_made_and_makes_no_other
    record_that_was_there_before_is_adopted_and_one_of_another_applicant_is_left_alone
    dossier_that_is_there_already_or_came_from_a_system_that_is_not_listed_is_not_recorded
    dossier_that_the_one_stop_refuses_is_parked_with_its_reason
    dossier_of_the_licence_desk_is_recorded_and_led_on_by_what_the_desk_decides
}

/// Its code at the licence desk, and the one that the one-stop gives it.
const NATIVE: &str = "GPLX38-260306-00001";
const CODE: &str = "H56.07-260306-0001";

/// A register of dossiers that takes none without an official code.
fn register() -> String {
    MANIFEST.replace(
        "needs = [\"*\"]",
        "needs = [\"*\"]\nrequires = { code = { within = \"1d\", otherwise = \"park\" } }",
    )
}

/// What the licence desk says of its dossier.
fn application() -> Value {
    json!({
        "dossier": {"native": NATIVE},
        "at": "2026-03-06T01:00:00Z",
        "procedure": {"code": "1.002809", "name": "Đổi giấy phép lái xe", "sector": {"code": "G07-DB", "name": "Đường bộ"}},
        "agency": {"code": "H56.07", "name": "Sở Giao thông vận tải"},
        "summary": "Đổi giấy phép lái xe - Lê Thị Mẫu",
        "applicant": {
            "person": {"kind": "citizen", "name": "Lê Thị Mẫu", "citizen_id": "038190000123", "birth_date": "1990-04-17"},
            "contact": {"phone": "0912000111"},
        },
        "schedule": {"received": "2026-03-06"},
        "status": {"value": "accepted", "at": "2026-03-06"},
    })
}

/// The licence desk has decided this.
fn decided(value: &str, hour: u32, note: &str) -> Value {
    json!({
        "dossier": {"native": NATIVE},
        "status": {"value": value, "at": format!("2026-03-07T{hour:02}:00:00Z"), "note": note},
    })
}

/// The one-stop's stand-in, and the time.
async fn one_stop() -> (Sandbox, ManualClock) {
    let clock = ManualClock::new(START.parse().unwrap());
    let account = json!({"user": secret("ONE_STOP_USER"), "password": secret("ONE_STOP_PASSWORD")});
    (stand_in(&clock, "one-stop", account).await, clock)
}

/// A province in which the licence desk has told of its dossier.
async fn told() -> (Bench, Sandbox, Target) {
    let register_of_all = Target::start().await;
    let systems = [
        ("driving-licence", OFFICE, "http://127.0.0.1:9"),
        ("book", &register(), &register_of_all.url),
    ];
    let (one_stop, clock) = one_stop().await;
    let bench = Bench::beside(&one_stop, &clock, &systems).await;
    let said = bench.says("driving-licence", &application()).await;
    assert_eq!(said, InboxState::Mapped);
    (bench, one_stop, register_of_all)
}

/// What the one-stop has, and would report: the only dossier.
fn only(one_stop: &Sandbox) -> Value {
    let [row] = one_stop.rows("HoSo").try_into().unwrap();
    row
}

/// How often the one-stop was told to record a dossier, and asked for one by its code elsewhere.
fn calls(one_stop: &Sandbox) -> [u64; 2] {
    let calls = one_stop.calls();
    let of = |route: &str| calls.get(route).copied().unwrap_or_default();
    [of("POST /HoSo/DongBoTaoMoiHoSo"), of("GET /HoSo/TimTheoMaNguon")]
}

/// The row is made at the one-stop; `meanwhile` happens before its answer is looked at, and says whether it ever is.
async fn recording(bench: &Bench, one_stop: &Sandbox, meanwhile: impl AsyncFnOnce() -> bool) {
    let deliver = bench.deliver("one-stop");
    loop {
        let mut step = pin!(deliver.step());
        // The one-stop stores the row before it answers: at the answer, which wakes us, we look no further.
        let recorded = poll_fn(|context| {
            if one_stop.count("HoSo") > 0 {
                return Poll::Ready(true);
            }
            let end = step.as_mut().poll(context);
            end.map(|progress| {
                let progress = progress.unwrap();
                assert!(matches!(progress, Progress::Worked), "nothing is left to record");
                false
            })
        });
        if recorded.await {
            if meanwhile().await {
                step.await.unwrap();
                bench.spread().await;
            }
            return;
        }
    }
}

async fn dossier_of_another_system_is_at_the_one_stop_once_and_goes_on_under_its_code() {
    let (bench, one_stop, book) = told().await;
    bench.work("book").await;
    let waits = bench.row(NATIVE, "book", "dossier").await.state;
    assert!(
        matches!(waits, State::Waiting { ref requirement, .. } if requirement == "code"),
        "{waits:?}"
    );

    bench.work("one-stop").await;
    let recorded = only(&one_stop);
    let columns = [
        "MaHoSo",
        "MaHoSoNguon",
        "LoaiDuLieuKetNoi",
        "ChuHoSo",
        "NgayTiepNhan",
    ];
    assert_eq!(
        columns.map(|column| recorded[column].as_str().unwrap()),
        [CODE, NATIVE, "SyncGPLX", "Lê Thị Mẫu", "20260306000000"]
    );
    let dossier = bench.dossier(CODE).await;
    assert_eq!(
        (dossier.id, dossier.code()),
        (bench.dossier(NATIVE).await.id, Some(CODE))
    );
    bench.work("book").await;
    assert_eq!(book.counts(), [(CODE.to_owned(), 1)].into());

    // What the one-stop reports of it says nothing new, however often and however late.
    let version = bench.version(CODE).await;
    for _ in 0..2 {
        assert_eq!(bench.says("one-stop", &recorded).await, nothing_new());
        bench.advance(3600);
        bench.work("one-stop").await;
        bench.work("book").await;
    }
    assert_eq!(bench.version(CODE).await, version);
    assert_eq!(bench.shared.store.counts().await.unwrap().dossiers, 1);
    assert_eq!((calls(&one_stop), only(&one_stop)), ([1, 1], recorded));
    assert_eq!(book.paths(), ["/find", "/create"]);
    let row = bench.row(CODE, "one-stop", "intake").await;
    assert_eq!(
        (row.state, row.remote.as_deref()),
        (State::Applied, Some(CODE)),
        "done, not left out"
    );
    assert_eq!(one_stop.faults(), []);
}

async fn what_is_decided_on_it_elsewhere_is_done_at_the_one_stop_and_what_is_done_there_is_news() {
    let (bench, one_stop, book) = told().await;
    bench.work("one-stop").await;
    let first = only(&one_stop);
    bench.advance(2 * 86_400);
    for (value, hour) in [("in_progress", 2), ("completed", 4)] {
        bench
            .says("driving-licence", &decided(value, hour, "Đã xem"))
            .await;
    }
    bench.work("one-stop").await;
    let led = only(&one_stop);
    let steps: Vec<u64> = led["TienTrinh"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["TrangThai"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [4, 9]);

    // Its own account of the two steps is news, once; what it had before them never is.
    assert_eq!(bench.says("one-stop", &led).await, InboxState::Mapped);
    let version = bench.version(CODE).await;
    for report in [&led, &first, &led] {
        assert_eq!(bench.says("one-stop", report).await, nothing_new());
    }
    assert_eq!(bench.version(CODE).await, version);

    // The officer at the counter gives the result back, and corrects what is not the one-stop's.
    let mut returned = led.clone();
    let at = "20260308083000";
    returned["TienTrinh"].as_array_mut().unwrap().push(json!({
        "MaHoSo": CODE, "ThoiGian": at, "TrangThai": 10, "TenNguoiGui": "Trần Thị Ví Dụ", "ThaoTac": "Trả kết quả", "NoiDung": ""
    }));
    for (column, value) in [
        ("NgayCapNhat", at),
        ("NgayTra", at),
        ("SoDienThoai", "0912000999"),
    ] {
        returned[column] = json!(value);
    }
    returned["TrangThaiHoSoId"] = json!(10);
    assert_eq!(bench.says("one-stop", &returned).await, InboxState::Mapped);
    let dossier = bench.dossier(CODE).await;
    assert_eq!(dossier.status().unwrap().value, "returned");
    assert_eq!(
        dossier.register("schedule.returned"),
        Some(&json!("2026-03-08T01:30:00Z"))
    );
    assert_eq!(
        dossier.register("applicant.contact"),
        Some(&json!({"phone": "0912000111"}))
    );
    bench.work("book").await;
    assert_eq!(book.records()[0]["status"], "returned");
    assert_eq!(calls(&one_stop), [1, 1]);
    assert_eq!(one_stop.faults(), []);
}

async fn report_that_comes_before_the_answer_waits_and_is_no_second_dossier() {
    let (bench, one_stop, _book) = told().await;
    recording(&bench, &one_stop, async || {
        let said = bench.says("one-stop", &only(&one_stop)).await;
        assert_eq!(said, InboxState::Waiting("orphan".to_owned()));
        true
    })
    .await;
    bench.work("one-stop").await;
    let counts = bench.shared.store.counts().await.unwrap();
    assert_eq!((counts.dossiers, counts.waiting.len()), (1, 0));
    let of_one_stop = counts.inbox.iter().filter(|(system, ..)| system == "one-stop");
    let states: Vec<_> = of_one_stop
        .map(|(_, state, count)| (state.as_str(), *count))
        .collect();
    assert_eq!(states, [("ignored", 1)]);
    assert_eq!(calls(&one_stop), [1, 1]);
}

async fn process_that_dies_before_the_answer_finds_what_it_made_and_makes_no_other() {
    let (bench, one_stop, book) = told().await;
    recording(&bench, &one_stop, async || false).await;
    let bench = bench.reopen(|_| {}).await;
    let recorded = only(&one_stop);
    let waits = InboxState::Waiting("orphan".to_owned());
    assert_eq!(bench.says("one-stop", &recorded).await, waits);
    let settled = bench.work("one-stop").await.unwrap();
    assert_eq!(
        calls(&one_stop),
        [1, 1],
        "it may still be on its way: nobody asks yet"
    );
    let in_doubt = bench.row(NATIVE, "one-stop", "intake").await.state;
    assert!(matches!(in_doubt, State::InDoubt { .. }), "{in_doubt:?}");

    bench.clock().advance(settled.duration_since(bench.now()));
    bench.work("one-stop").await;
    assert_eq!(calls(&one_stop), [1, 2], "found");
    let dossier = bench.dossier(CODE).await;
    assert_eq!(dossier.id, bench.dossier(NATIVE).await.id);
    let row = bench.row(CODE, "one-stop", "intake").await;
    assert_eq!(
        (row.state, row.remote.as_deref(), row.intent),
        (State::Applied, Some(CODE), None)
    );
    let counts = bench.shared.store.counts().await.unwrap();
    assert_eq!((counts.dossiers, counts.waiting.len()), (1, 0));
    let version = bench.version(CODE).await;
    assert_eq!(bench.says("one-stop", &recorded).await, nothing_new());
    assert_eq!((bench.version(CODE).await, only(&one_stop)), (version, recorded));
    bench.work("book").await;
    assert_eq!(book.counts(), [(CODE.to_owned(), 1)].into());
}

async fn record_that_was_there_before_is_adopted_and_one_of_another_applicant_is_left_alone() {
    for (number, adopted) in [("038190000123", true), ("038190000999", false)] {
        let (bench, one_stop, _book) = told().await;
        let mut typed = row(7);
        for (column, value) in [
            ("MaHoSo", "H56.07-260301-0044"),
            ("MaHoSoNguon", NATIVE),
            ("LoaiDuLieuKetNoi", "SyncGPLX"),
            ("MaTTHC", "1.002809.H56"),
            ("ChuHoSo", "LÊ THỊ MẪU"),
            ("SoGiayToChuHoSo", number),
        ] {
            typed[column] = json!(value);
        }
        one_stop.insert("HoSo", typed.clone()).await.unwrap();
        bench.work("one-stop").await;
        assert_eq!((calls(&one_stop), only(&one_stop)), ([0, 1], typed));
        let parked = bench.parked(NATIVE, "one-stop", "intake").await;
        let found = bench
            .shared
            .store
            .find_replica("H56.07-260301-0044")
            .await
            .unwrap();
        assert_eq!(found.is_some(), adopted);
        if adopted {
            assert_eq!(
                bench.row(NATIVE, "one-stop", "intake").await.state,
                State::Applied
            );
        } else {
            assert_eq!(parked, [(0, "key-taken".to_owned())]);
        }
    }
}

async fn dossier_that_is_there_already_or_came_from_a_system_that_is_not_listed_is_not_recorded() {
    let other = OFFICE.replace("/hooks/office", "/hooks/other");
    let systems = [
        ("driving-licence", OFFICE, "http://127.0.0.1:9"),
        ("other", &other, "http://127.0.0.1:9"),
    ];
    let (one_stop, clock) = one_stop().await;
    let bench = Bench::beside(&one_stop, &clock, &systems).await;
    let mut linked = application();
    linked["links"] = json!({"one-stop": "H56.07-260301-0044"});
    assert_eq!(bench.says("driving-licence", &linked).await, InboxState::Mapped);
    let mut unlisted = application();
    unlisted["dossier"] = json!({"native": "K-1"});
    assert_eq!(bench.says("other", &unlisted).await, InboxState::Mapped);
    bench.tell(&row(1)).await;
    bench.work("one-stop").await;
    for code in [NATIVE, "K-1", &code(1)] {
        let state = bench.row(code, "one-stop", "intake").await.state;
        assert!(matches!(state, State::Skipped { .. }), "{code}: {state:?}");
    }
    assert_eq!((calls(&one_stop), one_stop.count("HoSo")), ([0, 0], 0));
}

async fn dossier_that_the_one_stop_refuses_is_parked_with_its_reason() {
    let (bench, one_stop, _book) = told().await;
    let mut birth = application();
    birth["dossier"] = json!({"native": "GPLX38-260306-00002"});
    birth["procedure"] = json!({"code": "1.001193", "name": "Đăng ký khai sinh"});
    bench.says("driving-licence", &birth).await;
    bench.work("one-stop").await;
    let State::Parked { cause, .. } = bench.row("GPLX38-260306-00002", "one-stop", "intake").await.state
    else {
        panic!("parked")
    };
    assert_eq!(cause.code, "refused-by-target");
    let reason = "Thủ tục 1.001193 không thuộc danh mục được đồng bộ từ SyncGPLX";
    assert_eq!(cause.found.as_deref(), Some(reason));
    assert_eq!(
        only(&one_stop)["MaHoSo"],
        CODE,
        "the other one is none the worse for it"
    );
}

async fn dossier_of_the_licence_desk_is_recorded_and_led_on_by_what_the_desk_decides() {
    // ninety days before the test begins, in the first piece that is asked for; and on the day on which the licence is handed over,
    // in the last one
    for (received, pieces, returned) in [
        ("2025-12-10", 1, "2026-03-06T03:00:00Z"),
        ("2026-03-06", 5, "2026-03-06T03:40:00Z"),
    ] {
        goes_from_the_licence_desk_to_its_end(received, pieces, returned).await;
    }
}

async fn goes_from_the_licence_desk_to_its_end(on: &str, pieces: u32, end: &str) {
    let (one_stop, clock) = one_stop().await;
    let account = json!({
        "username": secret("DRIVING_LICENCE_USER"),
        "password": secret("DRIVING_LICENCE_PASSWORD"),
    });
    let desk = stand_in(&clock, "driving-licence", account).await;
    let register_of_all = Target::start().await;
    let (url, register) = (desk.url(), register());
    let systems = [
        ("driving-licence", SHIPPED, url.as_str()),
        ("book", &register, &register_of_all.url),
    ];
    let bench = Bench::beside(&one_stop, &clock, &systems).await;
    let received = include_str!(
        "../../adapters/driving-licence/samples/pull.dossiers/exchange-registered-online.native.json"
    );
    let mut received: Value = serde_json::from_str(received).unwrap();
    received["ngayNhanHoSo"] = json!(on);
    desk.insert("HoSo", received).await.unwrap();
    for state in ["4", "10"] {
        let line = json!({"maHoSo": "GPLX38-260518-00021", "MaTrangThai": state});
        desk.insert("KichBan", line).await.unwrap();
    }

    for piece in 0..pieces {
        if piece > 0 {
            bench.advance(10 * 60);
        }
        bench.puller("driving-licence").step().await.unwrap();
    }
    bench.spread().await;
    bench.work("one-stop").await;
    let recorded = only(&one_stop);
    let columns = [
        "MaHoSo",
        "MaHoSoNguon",
        "DonViId",
        "SoGiayToChuHoSo",
        "XaPhuongChuHoSo",
        "NgayTiepNhan",
    ];
    assert_eq!(
        columns.map(|column| recorded[column].as_str().unwrap()),
        [
            "000.00.07.H56-260306-0001",
            "GPLX38-260518-00021",
            "000.00.07.H56",
            "038190000123",
            "14902",
            &format!("{}000000", on.replace('-', ""))
        ]
    );
    for steps in [&[4][..], &[4, 9, 10]] {
        desk.round("officials").await.unwrap();
        bench.advance(30 * 60);
        bench.work("driving-licence").await;
        bench.work("one-stop").await;
        let led = only(&one_stop);
        let gone = led["TienTrinh"].as_array().unwrap().iter();
        assert!(
            gone.map(|step| &step["TrangThai"]).eq(steps),
            "{}",
            led["TienTrinh"]
        );
        for said in [InboxState::Mapped, nothing_new()] {
            assert_eq!(
                bench.says("one-stop", &led).await,
                said,
                "its own account of them is news, once"
            );
        }
    }
    let returned = bench.dossier("GPLX38-260518-00021").await;
    assert_eq!(returned.register("schedule.returned"), Some(&json!(end)));
    let hour = json!(format!("{on}T01:00:00Z"));
    assert_eq!(
        returned.register("schedule.received"),
        Some(&hour),
        "at eight, and not at the end of the day"
    );
    bench.work("book").await;
    assert_eq!(
        register_of_all.counts(),
        [("000.00.07.H56-260306-0001".to_owned(), 1)].into()
    );
    assert_eq!(register_of_all.records()[0]["status"], "returned");
    let counts = bench.shared.store.counts().await.unwrap();
    assert_eq!(
        (counts.dossiers, desk.faults(), one_stop.faults()),
        (1, vec![], vec![])
    );
}
