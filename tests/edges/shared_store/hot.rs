//! Many workers, few dossiers: each is told its versions in order and by one at a time, whoever dies meanwhile.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use lienthong::dossier::DossierId;
use lienthong::store::{self, Delivery, Outcome, State, Store, Wanted};
use sqlx::Connection;

use super::{due, id, intend, now, want};
use crate::stores::{Database, tell};

const WORKERS: usize = 8;
const NODES: usize = 4;
const DOSSIERS: u32 = 4;
const VERSIONS: i64 = 12;

/// Of a hundred calls, so many kill the worker that made it.
const DEADLY: u8 = 8;

/// What the target was told, call by call; and what went wrong in that.
#[derive(Default)]
struct Target {
    calls: BTreeMap<(DossierId, String), Vec<i64>>,
    open: BTreeMap<DossierId, usize>,
    wrong: Vec<String>,
}

/// Time as all of them see it: a worker's every look takes two seconds.
#[derive(Default)]
struct Time(AtomicI64);

impl Time {
    fn now(&self) -> Timestamp {
        now() + SignedDuration::from_millis(self.0.fetch_add(2000, Ordering::SeqCst))
    }
}

#[derive(Default)]
struct Counts {
    deaths: AtomicU64,
    /// Looks that found work for others only.
    idle: AtomicU64,
    /// Intents that were not written: somebody else had the dossier.
    late: AtomicU64,
}

struct Scene {
    time: Time,
    target: Mutex<Target>,
    counts: Counts,
}

impl Scene {
    /// One call; whether the worker outlives it.
    async fn call(&self, row: &Delivery) -> bool {
        {
            let mut target = self.target.lock().unwrap();
            let target = &mut *target;
            let open = target.open.entry(row.dossier).or_default();
            *open += 1;
            if *open > 1 {
                target
                    .wrong
                    .push(format!("two calls at once about {}", row.dossier));
            }
            let calls = target.calls.entry((row.dossier, row.push.clone())).or_default();
            if calls.last().is_some_and(|last| *last > row.desired) {
                target.wrong.push(format!("{} after {calls:?}", row.desired));
            }
            calls.push(row.desired);
        }
        for _ in 0..fastrand::u8(..20) {
            tokio::task::yield_now().await;
        }
        let mut target = self.target.lock().unwrap();
        *target.open.get_mut(&row.dossier).unwrap() -= 1;
        fastrand::u8(..100) >= DEADLY
    }

    /// Works until every dossier has arrived.
    async fn work(&self, store: &dyn Store, worker: usize) {
        let mut life = 0;
        loop {
            let holder = format!("worker {worker}, life {life}");
            let now = self.time.now();
            let rows = due(store, &holder, now).await;
            if rows.is_empty() {
                self.counts.idle.fetch_add(1, Ordering::SeqCst);
                if self.is_done(store).await {
                    return;
                }
            }
            // one of them: the others are left to whoever comes
            let Some(row) = rows.into_iter().next() else {
                continue;
            };
            let written = intend(store, &holder, std::slice::from_ref(&row), now).await;
            if written.is_empty() {
                self.counts.late.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let alive = self.call(&row).await;
            // the next version is wanted before it is known what became of this one
            if row.desired < VERSIONS {
                let next = Wanted {
                    adapter: row.adapter.clone(),
                    push: row.push.clone(),
                    dossier: row.dossier,
                    version: row.desired + 1,
                    own: false,
                };
                let mut transaction = store.begin().await.unwrap();
                transaction.want(&[next], self.time.now()).await.unwrap();
                transaction.commit().await.unwrap();
            }
            if !alive {
                self.counts.deaths.fetch_add(1, Ordering::SeqCst);
                life += 1;
                continue;
            }
            let outcome = Outcome {
                version: row.desired,
                fence: row.attempt + 1,
                intended: false,
                row: Delivery {
                    attempt: row.attempt + 1,
                    applied: Some(row.desired),
                    holder: None,
                    state: State::Applied,
                    ..row
                },
            };
            let mut transaction = store.begin().await.unwrap();
            transaction.save(&[outcome], self.time.now()).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }

    async fn is_done(&self, store: &dyn Store) -> bool {
        for n in 1..=DOSSIERS {
            for row in store.deliveries_of(id(n)).await.unwrap() {
                if row.applied != Some(VERSIONS) || row.state != State::Applied {
                    return false;
                }
            }
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_each_dossier_eight_workers_tell_the_versions_in_order_and_one_at_a_time() {
    let database = Database::create().await;
    let nodes = join_all((0..NODES).map(|_| async { store::open(&database.url()).await.unwrap() })).await;
    let scene = Scene {
        time: Time::default(),
        target: Mutex::default(),
        counts: Counts::default(),
    };
    want(&*nodes[0], DOSSIERS).await;
    let workers = (0..WORKERS).map(|worker| scene.work(&*nodes[worker % NODES], worker));
    join_all(workers).await;
    let target = scene.target.into_inner().unwrap();
    assert_eq!(target.wrong, [""; 0]);
    assert_eq!(target.calls.len(), 2 * DOSSIERS as usize, "none is starved");
    for calls in target.calls.values() {
        assert_eq!(calls.last(), Some(&VERSIONS), "{calls:?}");
    }
    let Counts { deaths, idle, late } = scene.counts;
    let (deaths, idle, late) = (deaths.into_inner(), idle.into_inner(), late.into_inner());
    assert!(
        deaths > 0 && idle > 0,
        "no death or no contention, the run is void"
    );
    let calls: usize = target.calls.values().map(Vec::len).sum();
    tell(&format!(
        "{} · {WORKERS} workers, {DOSSIERS} dossiers: {calls} calls in order; {deaths} deaths in a call, {idle} looks that \
         found the work of others, {late} intents refused",
        nodes[0].version()
    ));
}

#[tokio::test]
async fn rows_that_are_claimed_one_by_one_break_the_order() {
    // the control: what skips locked rows gives the second version away while the first is being sent
    let database = Database::create().await;
    database
        .execute("create table job (dossier int, version int); insert into job values (1, 1), (1, 2)")
        .await;
    let claim = "select version from job order by version limit 1 for update skip locked";
    let (mut first, mut second) = (database.connect().await, database.connect().await);
    let mut one = first.begin().await.unwrap();
    let mut other = second.begin().await.unwrap();
    let held: i32 = sqlx::query_scalar(claim).fetch_one(&mut *one).await.unwrap();
    let given: i32 = sqlx::query_scalar(claim).fetch_one(&mut *other).await.unwrap();
    assert_eq!((held, given), (1, 2), "both of one dossier, at once");
}
