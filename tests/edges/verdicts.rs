//! What an answer does to a delivery, through the real connector.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use jiff::SignedDuration;
use lienthong::store::{Delivery, State};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::{Act, MANIFEST, Site, Target, code, row};

fn is_parked(row: &Delivery) -> bool {
    matches!(row.state, State::Parked { .. })
}

fn cause(row: &Delivery) -> (&str, bool) {
    match &row.state {
        State::Parked { cause, held } => (cause.code.as_str(), *held),
        other => panic!("parked, not {other:?}"),
    }
}

/// The next version of a dossier: another summary, a minute later.
fn newer(n: u32) -> serde_json::Value {
    let mut row = row(n);
    row["TrichYeuHoSo"] = json!("Cấp lại Phiếu lý lịch tư pháp");
    row["NgayCapNhat"] = json!("20260305083100");
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_inside_200_parks_the_dossier_and_a_newer_version_releases_it() {
    let target = Target::start().await;
    target.next(
        "/create",
        Act::Answer(
            200,
            vec![],
            json!({"code": "17", "message": "thiếu tên lĩnh vực"}),
        ),
    );
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    site.tell(&row(1)).await;
    site.tell(&row(2)).await;
    let (refused, other) = {
        let first = target_of_refusal(&site).await;
        (first, 3 - first)
    };
    let parked = site.delivery(&code(refused), "book", is_parked).await;
    assert_eq!(cause(&parked), ("refused-by-target", false));
    let State::Parked { cause, .. } = &parked.state else {
        unreachable!()
    };
    assert_eq!(
        cause.found.as_deref(),
        Some("thiếu tên lĩnh vực"),
        "the target's own words"
    );
    site.arrived(&code(other), "book").await;

    site.advance(24 * 3600);
    site.learn(&newer(other)).await;
    site.arrived(&code(other), "book").await;
    assert!(
        !target.counts().contains_key(&code(refused)),
        "time alone releases nothing"
    );

    site.learn(&newer(refused)).await;
    site.arrived(&code(refused), "book").await;
    assert_eq!(target.counts()[&code(refused)], 1);
    site.stop().await;
}

/// Which of two dossiers was refused: whichever came first.
async fn target_of_refusal(site: &Site) -> u32 {
    crate::support::until("one of two is parked", async || {
        for n in [1, 2] {
            if site.deliveries(&code(n), "book").await.iter().any(is_parked) {
                return Some(n);
            }
        }
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    for path in ["/find", "/create"] {
        let target = Target::start().await;
        let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
        target.next(
            path,
            Act::Answer(429, vec![("retry-after", "3600")], json!({"message": "đông quá"})),
        );
        site.tell(&row(1)).await;
        let row = site
            .delivery(&code(1), "book", |row| {
                matches!(row.state, State::BackingOff { .. })
            })
            .await;
        let State::BackingOff { next } = row.state else {
            unreachable!()
        };
        assert_eq!(next, site.now() + SignedDuration::from_hours(1), "{path}");
        assert_eq!(row.failures, 1, "{path}");
        let calls = target.paths().len();

        // another dossier passes meanwhile; this one is not touched before its time
        site.advance(3599);
        site.tell(&crate::support::row(2)).await;
        site.arrived(&code(2), "book").await;
        assert_eq!(target.counts(), [(code(2), 1)].into(), "{path}");
        assert_eq!(target.paths().len(), calls + 2, "{path}: {:?}", target.paths());

        site.advance(1);
        let row = site.arrived(&code(1), "book").await;
        assert_eq!((row.failures, row.failing_since), (0, None), "{path}");
        assert_eq!(target.counts()[&code(1)], 1, "{path}");
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn target_that_is_down_gets_the_newest_version_when_it_comes_up() {
    let address = {
        let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        free.local_addr().unwrap()
    };
    let site = Site::start(&[("book", MANIFEST, &format!("http://{address}"))]).await;
    site.tell(&row(1)).await;
    let down = site
        .delivery(&code(1), "book", |row| {
            matches!(row.state, State::BackingOff { .. })
        })
        .await;
    assert_eq!((down.failures, down.attempt), (1, 0), "nothing was sent");
    site.learn(&newer(1)).await;
    // the dossier's news do not make us ask a sick target sooner
    let still = site.delivery(&code(1), "book", |row| row.desired == 2).await;
    assert_eq!(still.state, down.state);

    site.advance(3600);
    let again = site.delivery(&code(1), "book", |row| row.failures == 2).await;
    assert_eq!(again.failing_since, down.failing_since);

    let target = Target::at(address).await;
    site.advance(3600);
    site.arrived(&code(1), "book").await;
    assert_eq!(target.paths(), ["/find", "/create"], "the newest version, once");
    assert_eq!(target.records()[0]["summary"], newer(1)["TrichYeuHoSo"]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_that_stays_down_is_given_up_in_the_end() {
    let manifest = MANIFEST.replace("give_up = \"7d\"", "give_up = \"1h\"");
    let site = Site::start(&[("book", &manifest, "http://127.0.0.1:9")]).await;
    site.tell(&row(1)).await;
    site.delivery(&code(1), "book", |row| row.failures == 1).await;
    site.advance(3601);
    let parked = site.delivery(&code(1), "book", is_parked).await;
    assert_eq!(cause(&parked), ("gave-up", false));
    site.stop().await;
}

/// The manifest of a target that wants a session.
fn with_sessions() -> String {
    MANIFEST.replace("reason = '.message'", "reason = '.message'\nheaders = { Authorization = 'Bearer \\($token)' }\nconcurrency = 8\n[connection.login]\npath = '/login'\nbody = '{}'\ntoken = '.token'\nvalid = \"1h\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_ended_is_renewed_once_for_all_who_find_it_so() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &with_sessions(), &target.url)]).await;
    site.tell(&row(1)).await;
    site.arrived(&code(1), "book").await;
    assert_eq!(target.calls("/login").len(), 1);

    // eight dossiers come due at the same moment
    let busy = Act::Answer(429, vec![("retry-after", "600")], json!({"message": "đông quá"}));
    target.rule("/find", 8, |_| true, busy);
    for n in 2..=9 {
        site.tell(&row(n)).await;
    }
    for n in 2..=9 {
        site.delivery(&code(n), "book", |row| row.failures == 1).await;
    }
    // all eight calls are under way when they learn that their session is over
    target.end_sessions();
    let over = Act::Gather(
        Arc::new(Barrier::new(8)),
        401,
        json!({"message": "the session is over"}),
    );
    target.rule("/find", 8, |_| true, over);
    site.advance(600);
    for n in 2..=9 {
        site.arrived(&code(n), "book").await;
    }
    assert_eq!(target.calls("/login").len(), 2, "{:?}", target.paths());
    assert!(target.calls("/create").iter().all(|call| call.token.is_some()));
    assert_eq!(target.records().len(), 9);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_ends_early_or_in_time_burns_no_attempt() {
    let target = Target::start().await;
    let site = Site::start(&[("book", &with_sessions(), &target.url)]).await;
    site.tell(&row(1)).await;
    site.arrived(&code(1), "book").await;
    // its stated hour is over: renewed before anything is sent with it
    site.advance(3600);
    site.learn(&newer(1)).await;
    let row = site.arrived(&code(1), "book").await;
    assert_eq!(row.failures, 0);
    assert_eq!(
        target.paths(),
        ["/login", "/find", "/create", "/login", "/update"]
    );
    let last = target.calls("/update").pop().unwrap();
    assert_eq!(last.token.as_deref(), Some("Bearer s2"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_that_refuses_us_rests_and_harms_nobody_else() {
    for path in ["/find", "/create"] {
        let (closed, open) = (Target::start().await, Target::start().await);
        let site = Site::start(&[("closed", MANIFEST, &closed.url), ("open", MANIFEST, &open.url)]).await;
        closed.rule(
            path,
            usize::MAX,
            |_| true,
            Act::Answer(403, vec![], json!({"message": "không được phép"})),
        );
        site.tell(&row(1)).await;
        closed.called(path, 1).await;
        site.arrived(&code(1), "open").await;
        let rests = site
            .delivery(&code(1), "closed", |row| row.state == State::Due)
            .await;
        assert_eq!((rests.failures, rests.failing_since), (0, None), "{path}");

        let calls = closed.paths().len();
        site.tell(&row(2)).await;
        site.learn(&newer(1)).await;
        site.arrived(&code(1), "open").await;
        site.arrived(&code(2), "open").await;
        assert_eq!(closed.paths().len(), calls, "{path}: it rests as a whole");

        closed.relent();
        site.advance(60);
        for n in [1, 2] {
            site.arrived(&code(n), "closed").await;
            assert_eq!(closed.counts()[&code(n)], 1, "{path}");
        }
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn record_that_a_clerk_had_typed_is_adopted_and_another_ones_is_left_alone() {
    let target = Target::start().await;
    target.type_in(json!({"id": code(1), "name": "Vũ Thị Thử 1", "by": "clerk"}));
    target.type_in(json!({"id": code(2), "name": "Somebody else"}));
    target.type_in(json!({"id": code(3), "name": "Vũ Thị Thử 3"}));
    target.type_in(json!({"id": code(3), "name": "Vũ Thị Thử 3"}));
    let site = Site::start(&[("book", MANIFEST, &target.url)]).await;
    for n in 1..=3 {
        site.tell(&row(n)).await;
    }
    site.arrived(&code(1), "book").await;
    let taken = site.delivery(&code(2), "book", is_parked).await;
    assert_eq!(cause(&taken), ("key-taken", true));
    let double = site.delivery(&code(3), "book", is_parked).await;
    assert_eq!(cause(&double), ("duplicate-in-target", true));
    assert_eq!(target.calls("/create").len(), 0);
    assert_eq!(target.counts(), [(code(1), 1), (code(2), 1), (code(3), 2)].into());

    // a person has to look: a newer version asks again for nothing
    let calls = target.paths().len();
    site.learn(&newer(2)).await;
    site.learn(&newer(1)).await;
    site.arrived(&code(1), "book").await;
    assert_eq!(target.paths().len(), calls + 1, "{:?}", target.paths());
    site.stop().await;
}
