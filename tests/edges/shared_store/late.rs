//! Transactions that took their place early and are committed late. What is there is met whenever it comes; who remembered
//! only how far it had read would miss it, and the controls do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use lienthong::dossier::{Dossier, Hlc, Stamp};
use lienthong::event::Event;
use lienthong::store::{self, Store};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{now, origin};
use crate::stores::{Database, tell};
use crate::support::code;

/// Writers at once, and transactions of each.
const WRITERS: u32 = 8;
const EACH: u32 = 25;

fn event(store: &dyn Store, n: u32) -> Event {
    let hlc = Hlc {
        wall_ms: 1_772_700_000_000 + u64::from(n),
        counter: 0,
    };
    let stamp = Stamp {
        effective: now(),
        hlc,
        source: "one-stop".to_owned(),
        hash: "00".to_owned(),
    };
    let dossier = Dossier::linked(origin(n), "one-stop", &code(n), stamp);
    Event::new(store.id(), "one-stop", None, now(), hlc, dossier, true)
}

fn ids(events: &[Event]) -> BTreeSet<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

/// Who follows a table by its last place: what it sees for the first time.
struct Naive {
    connection: PgConnection,
    last: i64,
    seen: BTreeSet<String>,
}

impl Naive {
    async fn of(database: &Database) -> Self {
        Self {
            connection: database.connect().await,
            last: 0,
            seen: BTreeSet::new(),
        }
    }

    async fn look(&mut self) {
        let rows = sqlx::query("select seq, event_id from outbox where seq > $1 order by seq")
            .bind(self.last)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        for row in rows {
            self.last = row.get("seq");
            self.seen.insert(row.get("event_id"));
        }
    }
}

#[tokio::test]
async fn event_whose_transaction_is_committed_last_is_published_and_nobody_waits_for_it() {
    let database = Database::create().await;
    let store = store::open(&database.url()).await.unwrap();
    let mut naive = Naive::of(&database).await;
    let late = event(&*store, 1);
    let mut slow = store.begin().await.unwrap();
    slow.put_outbox(std::slice::from_ref(&late)).await.unwrap();
    let mut there = Vec::new();
    for n in 2..=11 {
        let mut transaction = store.begin().await.unwrap();
        let said = event(&*store, n);
        transaction.put_outbox(std::slice::from_ref(&said)).await.unwrap();
        // a third of them leave a gap that nobody ever fills
        if n % 3 == 0 {
            drop(transaction);
        } else {
            transaction.commit().await.unwrap();
            there.push(said);
        }
    }
    assert_eq!(store.outbox_head(99).await.unwrap(), there, "without waiting");
    naive.look().await;
    slow.commit().await.unwrap();
    naive.look().await;
    let mut all = vec![late.clone()];
    all.extend(there);
    assert_eq!(store.outbox_head(99).await.unwrap(), all);
    let missed: BTreeSet<String> = ids(&all).difference(&naive.seen).cloned().collect();
    assert_eq!(missed, [late.id].into(), "the control must miss it");
    tell(&format!(
        "{} · 1 late commit, 3 gaps: all {} events published; a cursor misses {}",
        store.version(),
        all.len(),
        missed.len()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn journal_is_followed_without_a_gap_while_many_write_and_some_take_it_back() {
    let database = Database::create().await;
    let store = store::open(&database.url()).await.unwrap();
    let is_over = AtomicBool::new(false);
    let writers = (0..WRITERS).map(|writer| {
        let store = &*store;
        async move {
            let mut committed = BTreeSet::new();
            for turn in 0..EACH {
                let n = 1 + writer * EACH + turn;
                let said = event(store, n);
                let mut transaction = store.begin().await.unwrap();
                transaction.put_outbox(std::slice::from_ref(&said)).await.unwrap();
                transaction
                    .put_journal(std::slice::from_ref(&said), now())
                    .await
                    .unwrap();
                if fastrand::u8(..10) < 3 {
                    drop(transaction);
                } else {
                    transaction.commit().await.unwrap();
                    committed.insert(said.id);
                }
            }
            committed
        }
    });
    let follow = async {
        let (mut last, mut seen) = (0, BTreeSet::new());
        let mut naive = Naive::of(&database).await;
        loop {
            let over = is_over.load(Ordering::SeqCst);
            naive.look().await;
            for one in store.journal(last, 7).await.unwrap() {
                assert!(one.seq > last, "in order");
                last = one.seq;
                assert!(seen.insert(one.event.id), "once");
            }
            if over && store.journal(last, 1).await.unwrap().is_empty() {
                naive.look().await;
                return (last, seen, naive.seen);
            }
        }
    };
    let all = async {
        let all = join_all(writers).await;
        is_over.store(true, Ordering::SeqCst);
        all
    };
    let (all, (last, seen, naive)) = tokio::join!(all, follow);
    let committed: BTreeSet<String> = all.into_iter().flatten().collect();
    assert_eq!(seen, committed);
    let gaps = usize::try_from(last).unwrap() - committed.len();
    let missed = committed.difference(&naive).count();
    assert!(gaps > 0, "nothing was taken back");
    assert!(missed > 0, "nothing was committed late, the run is void");
    tell(&format!(
        "{} · {} events of {WRITERS} writers, {gaps} gaps: none missed; a cursor on the outbox misses {missed}",
        store.version(),
        committed.len()
    ));
}
