//! A system that lists what has changed until it is told that we have it: told of what is durable, and of that for certain.

use std::sync::{Arc, Mutex};

use lienthong::stage::Progress;
use lienthong::stage::ingest::pull::Puller;
use serde_json::{Value, json};

use crate::support::{Act, Bench, Target};

on_both_stores! {
    what_was_kept_is_acknowledged_though_the_process_died_before_and_nothing_else
    acknowledgement_whose_answer_nobody_heard_is_made_again
    system_that_fails_is_told_again_behind_a_later_page_and_not_before_it_wants_to
    record_that_the_system_will_not_be_told_of_keeps_no_other
    record_that_says_nothing_new_is_acknowledged_again
}

/// A system where dossiers come into being, as far as it says of which procedure they are.
const LISTING: &str = r#"lienthong = 1
title = "Sổ chuyên ngành của bài thử"
originates = ["*"]
owns = { procedure = "always", status = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
timeout = "20s"
retry = { first = "4s", max = "60s" }
[pull.changes]
every = "30s"
path = '/list'
body = '{}'
records = '.rows[]'
map = '''
if .procedure then {procedure: {code: .procedure, name: "Đổi giấy phép lái xe"}} else {} end
+ {dossier: {native: .code}, status: {value: .state, at: "2026-03-06T01:00:00Z"}}'''
[pull.changes.acknowledge]
path = '/seen'
keep = '.id'
body = 'map([.record, .error])'
"#;

/// The system, what it lists, and the node's parts that ask it.
struct Listing {
    target: Target,
    rows: Arc<Mutex<Vec<Value>>>,
    bench: Bench,
    puller: Puller,
}

impl Listing {
    async fn of(rows: &[Value]) -> Self {
        let target = Target::start().await;
        let rows = Arc::new(Mutex::new(rows.to_vec()));
        let listed = Arc::clone(&rows);
        target.serve("/list", move |_, _| {
            (200, json!({"rows": *listed.lock().unwrap()}))
        });
        target.serve("/seen", |_, _| (200, json!({})));
        let bench = Bench::open(&[("register", LISTING, &target.url)]).await;
        let puller = bench.puller("register");
        Self {
            target,
            rows,
            bench,
            puller,
        }
    }

    /// The process dies where it stands, another one begins, and the system lists something else meanwhile.
    async fn reopen(self, rows: &[Value]) -> Self {
        *self.rows.lock().unwrap() = rows.to_vec();
        let Self {
            target,
            rows,
            bench,
            puller,
        } = self;
        drop(puller);
        let bench = bench.reopen(|_| {}).await;
        let puller = bench.puller("register");
        Self {
            target,
            rows,
            bench,
            puller,
        }
    }

    async fn step(&self) -> Progress {
        self.puller.step().await.unwrap()
    }

    /// Steps until there is nothing to do before the clock moves.
    async fn rest(&self) {
        while self.step().await == Progress::Worked {}
    }

    /// What it was told, call by call.
    fn told(&self) -> Vec<Value> {
        let calls = self.target.calls("/seen");
        calls.into_iter().map(|call| call.body).collect()
    }

    /// How many acknowledgements are owed, whenever they may be made.
    async fn owed(&self) -> usize {
        let later = self.bench.steady() + jiff::SignedDuration::from_hours(1);
        let owed = self.bench.shared.store.owed("register", "changes", later, 99);
        owed.await.unwrap().len()
    }
}

/// What it lists of a dossier; the record's id serves as the dossier's code too.
fn listed(id: &str) -> Value {
    json!({"id": id, "code": id, "state": "in_progress", "procedure": "1.002809"})
}

fn many(ids: &[&str]) -> Vec<Value> {
    ids.iter().map(|id| listed(id)).collect()
}

async fn what_was_kept_is_acknowledged_though_the_process_died_before_and_nothing_else() {
    let mut page = many(&["news", "orphan", "broken", "nameless", "news"]);
    page[1].as_object_mut().unwrap().remove("procedure");
    page[2]["state"] = json!("eaten");
    page[3]["id"] = json!(null);
    let listing = Listing::of(&page).await;
    assert_eq!(listing.step().await, Progress::Worked);
    assert_eq!(listing.target.paths(), ["/list"], "the page is stored first");
    assert_eq!(listing.owed().await, 3);

    let listing = listing.reopen(&[listed("later")]).await;
    let counts = listing.bench.shared.store.counts().await.unwrap();
    let of_the_page: i64 = counts
        .inbox
        .iter()
        .filter(|(name, ..)| name == "register")
        .map(|(.., n)| n)
        .sum();
    assert_eq!(of_the_page, 4, "taken, waiting and refused: {counts:?}");
    listing.rest().await;
    assert_eq!(
        listing.target.paths(),
        ["/list", "/list", "/seen"],
        "the newest state is seen first"
    );
    let told = json!([
        ["news", null],
        ["orphan", null],
        ["broken", "unknown-code"],
        ["later", null]
    ]);
    assert_eq!(listing.told(), [told]);
    assert_eq!(listing.owed().await, 0);

    listing.rows.lock().unwrap().clear();
    listing.bench.advance(30);
    listing.rest().await;
    assert_eq!(listing.target.paths()[3..], ["/list"], "nothing is owed any more");
}

async fn acknowledgement_whose_answer_nobody_heard_is_made_again() {
    let listing = Listing::of(&many(&["a", "b"])).await;
    listing.target.next("/seen", Act::DoAndHang);
    listing.step().await;
    tokio::select! {
        _ = listing.step() => panic!("the answer never comes"),
        () = listing.target.called("/seen", 1) => {}
    }
    let listing = listing.reopen(&[]).await;
    listing.rest().await;
    let both = json!([["a", null], ["b", null]]);
    assert_eq!(listing.told(), [both.clone(), both]);
    assert_eq!(listing.owed().await, 0);
}

async fn system_that_fails_is_told_again_behind_a_later_page_and_not_before_it_wants_to() {
    let listing = Listing::of(&many(&["a"])).await;
    listing.target.next("/seen", Act::Answer(500, vec![], json!({})));
    listing
        .target
        .next("/seen", Act::Answer(503, vec![("retry-after", "50")], json!({})));
    let told_by = async |seconds| {
        listing.bench.advance(seconds);
        listing.rest().await;
        (listing.target.calls("/list").len(), listing.told().len())
    };
    assert_eq!(told_by(0).await, (1, 1));
    assert_eq!(told_by(29).await, (1, 1), "its turn comes with the next page");
    assert_eq!(told_by(1).await, (2, 2));
    assert_eq!(told_by(30).await, (3, 2), "it wants to be left alone");
    assert_eq!(listing.owed().await, 1);
    assert_eq!(told_by(30).await, (4, 3));
    assert_eq!(listing.owed().await, 0);
}

async fn record_that_the_system_will_not_be_told_of_keeps_no_other() {
    let listing = Listing::of(&many(&["a", "b", "c", "d"])).await;
    let has_c = |body: &Value| body.as_array().unwrap().iter().any(|told| told[0] == "c");
    listing
        .target
        .rule("/seen", usize::MAX, has_c, Act::Answer(400, vec![], json!({})));
    listing.rest().await;
    let ids: Vec<String> = listing
        .told()
        .iter()
        .map(|told| {
            told.as_array()
                .unwrap()
                .iter()
                .map(|told| told[0].as_str().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(ids, ["abcd", "ab", "cd", "c", "d"]);
    assert_eq!(listing.owed().await, 1);
    listing.target.relent();
    *listing.rows.lock().unwrap() = Vec::new();
    listing.bench.advance(30);
    listing.rest().await;
    assert_eq!(listing.told().last().unwrap(), &json!([["c", null]]));
    assert_eq!(listing.owed().await, 0);
}

async fn record_that_says_nothing_new_is_acknowledged_again() {
    let listing = Listing::of(&many(&["a"])).await;
    listing.rest().await;
    listing.bench.advance(30);
    listing.rest().await;
    let one = json!([["a", null]]);
    assert_eq!(
        listing.told(),
        [one.clone(), one],
        "it lists it still, so it has not heard us"
    );
    let counts = listing.bench.shared.store.counts().await.unwrap();
    let kept = counts.inbox.iter().find(|(name, ..)| name == "register");
    assert_eq!(
        kept.map(|(_, state, n)| (state.as_str(), *n)),
        Some(("mapped", 1))
    );
}
