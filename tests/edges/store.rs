//! What a store promises, for every back end: each sentence of `src/store/mod.rs` that could be broken.

mod decisions;
mod dossiers;
mod due;
mod inbox;
mod items;
mod joined;
mod ledger;
mod owed;
mod past;
mod quota;
mod records;
mod reopen;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use lienthong::dossier::{Dossier, DossierId, Hlc, Origin, Stamp};
use lienthong::event::Event;
use lienthong::fault::Fault;
use lienthong::store::{
    self, Claim, Delivery, Look, Outcome, Replica, State, Store, StoreError, Transaction, Wanted,
};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use crate::stores::Database;
use crate::support::code;

/// Where a store lies; it can be opened again and again.
struct Place {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { file: PathBuf, _folder: TempDir },
    Postgres(Database),
}

impl Place {
    #[expect(clippy::unused_async, reason = "the suite makes both kinds of places alike")]
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lienthong.db");
        Self {
            url: format!("sqlite://{}", file.display()),
            kind: Kind::Sqlite {
                file,
                _folder: folder,
            },
        }
    }

    async fn postgres() -> Self {
        let database = Database::create().await;
        Self {
            url: database.url(),
            kind: Kind::Postgres(database),
        }
    }

    async fn open(&self) -> Box<dyn Store> {
        self.try_open().await.unwrap()
    }

    async fn try_open(&self) -> Result<Box<dyn Store>, StoreError> {
        store::open(&self.url).await
    }

    /// A newer version of the program has been here.
    async fn migrate_beyond(&self) {
        match &self.kind {
            Kind::Sqlite { file, .. } => {
                let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
                    .await
                    .unwrap();
                sqlx::query(
                    "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                     values (9999, 'from the future', 1, x'00', 0)",
                )
                .execute(&pool)
                .await
                .unwrap();
                pool.close().await;
            }
            Kind::Postgres(database) => {
                database
                    .execute(
                        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                         values (9999, 'from the future', true, '', 0)",
                    )
                    .await;
            }
        }
    }
}

/// Every fact on every back end, each a test with its name.
macro_rules! conformance {
    ($($backend:ident: $place:ident;)*) => { $(conformance!(@facts $backend $place;
        records::dropped_transaction_leaves_no_trace
        records::who_decides_about_the_same_dossier_takes_turns
        records::refused_and_waiting_records_are_listed_once
        records::records_that_were_taken_are_all_kept
        records::refused_record_is_found_by_its_code_until_a_newer_one_is_taken
        records::dead_letter_tells_cause_and_keeps_the_raw_record
        records::dead_letters_are_listed_oldest_first_of_whatever_kind_they_are
        records::outbox_keeps_its_order_and_forgets_what_is_said
        records::journal_knows_what_was_merged
        records::shadows_cursors_and_replicas_are_replaced
        dossiers::link_keeps_leading_where_it_led
        dossiers::dossier_is_found_by_any_of_its_codes
        dossiers::dossiers_are_listed_last_changed_first_with_what_is_open
        records::empty_batches_do_nothing
        ledger::want_makes_due_what_may_be_worked_on
        ledger::want_never_takes_a_delivery_back
        ledger::save_writes_every_state_as_it_was
        ledger::save_leaves_rows_of_another_attempt_alone
        ledger::save_makes_due_what_was_wanted_meanwhile
        ledger::release_frees_only_those_who_wait_for_it
        ledger::parent_is_done_once_it_was_applied
        ledger::row_knows_the_newest_version_that_others_have_a_part_in
        inbox::records_are_released_by_what_they_wait_for
        inbox::records_that_wait_for_a_time_come_at_that_time
        inbox::settled_record_is_what_became_of_it_and_comes_no_more
        inbox::record_that_is_listed_already_is_not_listed_twice_when_it_is_settled
        inbox::newer_mapping_releases_what_an_older_one_judged_and_nothing_else
        quota::counts_are_forgotten_two_days_after_their_window
        quota::limit_counts_up_to_its_end_for_each_adapter_and_name
        quota::what_one_limit_refuses_uses_up_no_other
        owed::what_is_owed_is_owed_once_with_its_last_cause_until_it_is_forgotten
        owed::what_was_put_off_comes_at_its_time_and_keeps_it_when_it_is_owed_anew
        joined::what_was_kept_of_the_one_that_goes_is_kept_of_the_one_that_stays
        joined::alias_leads_to_the_dossier_that_lives_on_however_often_it_was_joined
        joined::codes_of_both_forms_are_candidates
        joined::create_is_open_until_it_is_known_what_became_of_it
        joined::transaction_sees_the_rows_of_a_dossier_as_it_has_written_them
        items::items_are_added_once_and_tried_again_where_that_helps
        items::item_that_is_there_takes_the_place_that_it_has_now
        due::one_row_of_a_dossier_at_a_time
        due::items_come_in_their_order
        due::doubt_about_a_dossier_holds_back_all_of_it
        due::rows_of_other_pushes_are_not_hidden_by_what_is_not_asked_for
        due::mates_are_the_next_items_up_to_one_whose_time_has_not_come
        due::times_are_kept_and_the_next_one_is_told
        due::oldest_rows_come_first_and_not_more_than_asked_for
        decisions::retried_record_is_to_be_taken_in_anew_and_keeps_its_first_observation
        decisions::discarded_record_does_not_come_back_as_it_was
        decisions::retried_delivery_begins_anew_and_asks_first_where_that_can_be
        decisions::delivery_that_was_never_sent_still_counts_as_such_when_retried
        decisions::discarded_delivery_stays_given_up
        decisions::dead_letter_is_named_apart_from_its_neighbours
        decisions::walk_meets_each_dead_letter_of_a_system_once
        past::journal_is_followed_in_the_order_of_arrival
        past::past_of_a_dossier_has_its_events_records_joins_and_decisions
        past::counts_tell_what_waits_and_since_when_the_oldest_is_due;
        reopen::id_and_rows_outlive_the_process
        reopen::clock_never_goes_back
        reopen::store_of_a_newer_version_is_refused
    );)* };
    (@facts $backend:ident $place:ident; $($room:ident::$fact:ident)*; $($closed:ident::$after:ident)*) => {
        mod $backend {
            $(#[tokio::test]
            async fn $fact() {
                let place = super::Place::$place().await;
                super::$room::$fact(&*place.open().await).await;
            })*
            $(#[tokio::test]
            async fn $after() {
                super::$closed::$after(&super::Place::$place().await).await;
            })*
        }
    };
}

conformance! {
    on_sqlite: sqlite;
    on_postgres: postgres;
}

mod alone_on_sqlite {
    //! What a store of one process promises beside.

    #[tokio::test]
    async fn what_was_put_off_comes_at_once_after_a_start_of_the_machine() {
        let place = super::Place::sqlite().await;
        super::owed::what_was_put_off_comes_at_once_after_a_start_of_the_machine(&*place.open().await).await;
    }

    #[tokio::test]
    async fn transactions_take_turns() {
        let place = super::Place::sqlite().await;
        super::records::transactions_take_turns(&*place.open().await).await;
    }

    #[tokio::test]
    async fn waits_count_their_full_length_again_after_a_start_of_the_machine() {
        let place = super::Place::sqlite().await;
        super::inbox::waits_count_their_full_length_again_after_a_start_of_the_machine(&*place.open().await)
            .await;
    }
}

/// Second number `n` of the test's time.
fn at(n: i64) -> Timestamp {
    Timestamp::from_second(1_772_700_000).unwrap() + SignedDuration::from_secs(n)
}

fn hlc(n: i64) -> Hlc {
    Hlc {
        wall_ms: at(n).as_millisecond().unsigned_abs(),
        counter: 0,
    }
}

fn origin(n: u32) -> Origin {
    Origin::new("one-stop", &code(n))
}

fn id(n: u32) -> DossierId {
    origin(n).id()
}

/// Dossier `n`, which bears a code in this system.
fn dossier(n: u32, system: &str, native: &str) -> Dossier {
    let stamp = Stamp {
        effective: at(0),
        hlc: hlc(0),
        source: "one-stop".to_owned(),
        hash: "00".to_owned(),
    };
    Dossier::linked(origin(n), system, native, stamp)
}

fn replica(n: u32, version: i64, updated: Timestamp) -> Replica {
    Replica {
        dossier: dossier(n, "one-stop", &code(n)),
        version,
        updated,
    }
}

fn event(store: &dyn Store, n: u32) -> Event {
    let hlc = hlc(i64::from(n));
    Event::new(
        store.id(),
        "one-stop",
        None,
        at(0),
        hlc,
        dossier(n, "one-stop", &code(n)),
        true,
    )
}

/// That the target should have a version of dossier `n`.
fn wanted(n: u32, version: i64) -> Wanted {
    Wanted {
        adapter: "book".to_owned(),
        push: "dossier".to_owned(),
        dossier: id(n),
        version,
        own: false,
    }
}

/// The rows of `adapter` that may be worked on, and when the next one comes due.
async fn due(store: &dyn Store, adapter: &str, now: i64, limit: u32) -> (Vec<Delivery>, Option<Timestamp>) {
    due_of(store, adapter, &["another", "dossier", "step"], now, limit).await
}

/// The same of these pushes.
async fn due_of(
    store: &dyn Store,
    adapter: &str,
    pushes: &[&str],
    now: i64,
    most: u32,
) -> (Vec<Delivery>, Option<Timestamp>) {
    let look = Look {
        pushes: pushes.to_vec(),
        most,
    };
    let claim = Claim {
        holder: "start",
        until: at(now + 60),
    };
    store.due(adapter, &[look], &claim, at(now)).await.unwrap()
}

fn cause(code: &str) -> Fault {
    Fault::new(code).found("x").remedy("y")
}

fn parked(held: bool) -> State {
    State::Parked {
        cause: cause("refused-by-target"),
        held,
    }
}

async fn commit(store: &dyn Store, write: impl AsyncFnOnce(&mut dyn Transaction)) {
    let mut transaction = store.begin().await.unwrap();
    write(transaction.as_mut()).await;
    transaction.commit().await.unwrap();
}

async fn want(store: &dyn Store, n: u32, version: i64, now: Timestamp) {
    commit(store, async |transaction| {
        transaction.want(&[wanted(n, version)], now).await.unwrap();
    })
    .await;
}

/// The row of dossier `n` itself.
async fn row(store: &dyn Store, n: u32) -> Delivery {
    item(store, n, "").await
}

/// The row of an item of it.
async fn item(store: &dyn Store, n: u32, item: &str) -> Delivery {
    let rows = store.deliveries_of(id(n)).await.unwrap();
    rows.into_iter()
        .find(|row| row.item == item)
        .expect("a row of the ledger")
}

/// What became of a row, in the version that is wanted, by whoever read it last.
fn outcome(row: Delivery) -> Outcome {
    Outcome {
        intended: false,
        version: row.desired,
        fence: row.attempt,
        row,
    }
}

async fn save(store: &dyn Store, outcome: Outcome, now: Timestamp) {
    commit(store, async |transaction| {
        transaction.save(&[outcome], now).await.unwrap();
    })
    .await;
}

/// Brings the row of dossier `n` into this state.
async fn put(store: &dyn Store, n: u32, state: State, now: Timestamp) {
    let row = row(store, n).await;
    save(store, outcome(Delivery { state, ..row }), now).await;
}
