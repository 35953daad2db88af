//! The store: every durable fact of a node, behind one door.
//!
//! A stage opens a [`Transaction`], reads what it decides on, writes what it decided and commits; each method takes a
//! batch, so that a loaded node writes many rows at the price of one and a lone event waits for nobody. Whatever is
//! not committed did not happen. Back ends have the same files: `sqlite/` is the embedded default, which one process has for
//! itself; `postgres/` may be shared by several nodes.
//!
//! What a row means and which states it may have is in [`rows`]; the words are those of the CLI.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::clock::{Clock, Steady};
use crate::dossier::{Dossier, DossierId, Hlc, Shadow};
use crate::event::Event;

mod cells;
mod decisions;
mod letter;
mod past;
mod postgres;
pub mod rows;
mod sqlite;
mod stored;

pub use decisions::{Decided, Decision, Fate, LettersOf, Now, Verb, Walk};
pub use past::{Journaled, Past, PastRecord};
pub use rows::{
    ADAPTER_PAUSED, CLOCK_AHEAD, CREATE_OPEN, Claim, Come, Counts, DeadLetter, Delivery, EVENT, HeldRecord,
    InboxRow, InboxState, Item, KeptRecord, Look, ORPHAN, Outcome, Owed, Parent, Presence, Quota, Replica,
    ReplicaSummary, SUPERSEDED, Said, Sent, State, Taken, UNKNOWN_ADAPTER, Wanted,
};

/// Why the store could not do its work. The caller retries: nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address does not name a store this build has. It may hold a password: only its scheme is told.
    #[error(
        "open the store: {0:?} begins no address of a store; write sqlite:///path/to/lienthong.db or \
         postgres://user@host/database"
    )]
    Address(String),
    /// The server is none to entrust a store to.
    #[error("open the store: {0}")]
    Server(String),
    /// Other nodes work on it, and this one or one of them has a broker in its own process, which the others cannot hear.
    #[error(
        "open the store: another node works on {0}, and nodes that share a store need a broker between them; stop the other \
         one, or give all of them the address of a broker in place of loopback:"
    )]
    Shared(String),
    /// The database refused or did not answer.
    #[error("use the store: {0}")]
    Database(#[from] sqlx::Error),
    /// Another process works on it.
    #[error("open the store: another process works on {0}; stop it, or give this node a store of its own")]
    Taken(String),
    /// The file cannot be created or locked.
    #[error("open the store {file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The tables could not be brought up to date.
    #[error("migrate the store: {0}")]
    Migration(#[from] MigrateError),
    /// A newer version of the program has changed the tables; this one does not know what they mean.
    #[error(
        "open the store: its tables are of version {0}, made by a newer version of lienthong; start that one, or restore \
         a backup from before it"
    )]
    Newer(i64),
    /// A stored document is not what this version writes.
    #[error("read a stored {what}: {source}")]
    Document {
        /// The table.
        what: &'static str,
        /// What serde says.
        source: serde_json::Error,
    },
}

impl StoreError {
    /// Whether the database has let go of this transaction in favour of another one, so that the same may well succeed
    /// when it is begun anew: two that waited for each other.
    fn is_passing(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        // serialization_failure, deadlock_detected
        error
            .code()
            .is_some_and(|code| ["40001", "40P01"].contains(&&*code))
    }

    /// Whether the database cannot be reached just now: there is nobody, or it is starting, ending or full. Whoever comes
    /// again later may well find it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let (Self::Database(error) | Self::Migration(MigrateError::Execute(error))) = self else {
            return false;
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            // connection_exception, operator_intervention, too_many_connections
            sqlx::Error::Database(error) => error
                .code()
                .is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "53300"),
            _ => false,
        }
    }
}

/// How often one transaction is begun anew before its error is told.
const ATTEMPTS: u32 = 5;

/// Longest pause before the first of them, in milliseconds; each is twice as long as the one before.
const PAUSE_MS: u64 = 20;

/// Attempts at one transaction, for those who have no loop of a stage around them.
#[derive(Debug, Default)]
pub struct Attempts(u32);

impl Attempts {
    /// Whether it is worth beginning anew after this error; where it is, after a pause of random length.
    pub async fn again(&mut self, error: &StoreError) -> bool {
        self.0 += 1;
        if self.0 >= ATTEMPTS || !error.is_passing() {
            return false;
        }
        tracing::debug!(attempt = self.0, %error, "transaction begun anew");
        let longest = PAUSE_MS << self.0;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..longest))).await;
        true
    }
}

/// A system's code, normalised for look-ups (see [`crate::dossier::fold_code`]).
pub type CodeKey = (String, String);

/// A row of the ledger of one adapter: dossier, push, item.
pub type RowKey = (DossierId, String, String);

/// Reads, and the way into a transaction.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Id of this store, made once when it was created: the `<store id>` of event sources.
    fn id(&self) -> &str;
    /// Name and version of the database, for results and `status`.
    fn version(&self) -> &str;
    /// Last stored reading of the hybrid logical clock.
    async fn clock(&self) -> Result<Hlc, StoreError>;
    /// Says that this process works on the store from now on; `alone`: its broker reaches nobody else, so nobody else may.
    async fn take(&self, alone: bool) -> Result<(), StoreError>;
    /// This process ends: what its claims and leases keep from others is theirs from now on.
    async fn leave(&self, _holder: &str) -> Result<(), StoreError> {
        Ok(())
    }
    /// The clock by which the ledger's times are told. Where its past is lost, waits that are stored count their full
    /// length again.
    async fn steady(&self, clock: Arc<dyn Clock>) -> Result<Steady, StoreError>;
    /// Opens a write transaction. Where only one process works on the store there is one at a time; otherwise
    /// [`Transaction::lock`] makes those take turns who decide about the same things.
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError>;

    /// Whether the holder of this claim may do, until its time is over, what one node at a time does. `now` is that of the
    /// steady clock, as is the claim's time.
    async fn lease(&self, name: &str, claim: &Claim<'_>, now: Timestamp) -> Result<bool, StoreError>;

    /// The oldest `limit` events that no broker has confirmed.
    async fn outbox_head(&self, limit: u32) -> Result<Vec<Event>, StoreError>;
    /// Rows of `adapter` that may be worked on at `now`: one per dossier and look (no two calls about one dossier overlap),
    /// items in their order, nothing while another row of the dossier is in doubt. Beside them the time at which the
    /// adapter's next row comes due.
    ///
    /// The dossiers of these rows are the claimant's until the claim is over, or until it asks again and they are no longer
    /// among what it gets; no other gets a row of theirs meanwhile. A store of one process, with one worker for each
    /// adapter, needs no claims.
    async fn due(
        &self,
        adapter: &str,
        looks: &[Look<'_>],
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<(Vec<Delivery>, Option<Timestamp>), StoreError>;
    /// Rows that may go with this one at `now`, its own not among them: open items of the same push and dossier that come
    /// next in their order, up to the first one whose time has not come.
    async fn mates(&self, row: &Delivery, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError>;
    /// Kept records that are to be taken in anew at `now`, by the steady clock, in the order in which they came.
    async fn records_again(
        &self,
        said: Said,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError>;
    /// The dossiers with these ids, as far as they are there.
    async fn replicas(&self, ids: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError>;
    /// What `(adapter, dossier)` is believed to hold; an empty shadow where nothing is known is left out.
    async fn shadows(
        &self,
        keys: &[(String, DossierId)],
    ) -> Result<HashMap<(String, DossierId), Shadow>, StoreError>;
    /// The rows of these dossiers themselves (not of their items) at `adapter`, by dossier and push.
    async fn parents(
        &self,
        adapter: &str,
        ids: &[DossierId],
    ) -> Result<HashMap<(DossierId, String), Parent>, StoreError>;
    /// The dossiers behind these codes, as far as they are known.
    async fn resolve(&self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError>;
    /// What a pull had stored as its position.
    async fn cursor(&self, adapter: &str, operation: &str) -> Result<Option<String>, StoreError>;
    /// Acknowledgements that are owed to a pull's system and may be made at `now`, by the steady clock; oldest first.
    async fn owed(
        &self,
        adapter: &str,
        operation: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Owed>, StoreError>;

    /// The dossier that people call `code`: official code, any system's code, or id.
    async fn find_replica(&self, code: &str) -> Result<Option<Replica>, StoreError>;
    /// Dossiers, last changed first.
    async fn list_replicas(&self, limit: u32) -> Result<Vec<ReplicaSummary>, StoreError>;
    /// All rows of the ledger about one dossier.
    async fn deliveries_of(&self, id: DossierId) -> Result<Vec<Delivery>, StoreError>;
    /// Parked deliveries and refused records, oldest first.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError>;
    /// One of them, with the record as it came in where it was a refused record.
    async fn dead_letter(&self, id: &str) -> Result<Option<(DeadLetter, Option<String>)>, StoreError>;
    /// What is kept under the id of a dead letter, also once it is none any more.
    async fn fate(&self, letter: &str) -> Result<Option<Fate>, StoreError>;
    /// Ids of at most `limit` dead letters that a decision could be written for, from where `walk` stands; and where it
    /// stands then. Fewer than `limit`: there are no more.
    async fn letters(
        &self,
        of: &LettersOf,
        walk: &Walk,
        limit: u32,
    ) -> Result<(Vec<String>, Walk), StoreError>;
    /// Refused and waiting records that people know under `code`, oldest first.
    async fn held_records(&self, code: &str) -> Result<Vec<HeldRecord>, StoreError>;
    /// How many rows there are in each state.
    async fn counts(&self) -> Result<Counts, StoreError>;
    /// Merged events in the order of arrival, those after this place in the journal.
    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<Journaled>, StoreError>;
    /// The place in the journal after which the last `count` events lie.
    async fn journal_before(&self, count: u32) -> Result<i64, StoreError>;
    /// What happened to a dossier that systems know under these codes.
    async fn past(&self, id: DossierId, codes: &[String]) -> Result<Past, StoreError>;
}

/// One write transaction. Dropped without [`Transaction::commit`], it leaves no trace.
#[async_trait]
pub trait Transaction: Send {
    /// Whoever decides about these dossiers, about what they were joined with, or about these codes and the dossiers that
    /// they lead to, waits from now on until this transaction ends; and so does this one for those before it. To be
    /// called before anything is read that is decided on, and once: who asks for more later may have to begin anew.
    async fn lock(&mut self, dossiers: &[DossierId], codes: &[CodeKey]) -> Result<(), StoreError>;
    /// The dossiers behind these codes, as far as they are known.
    async fn resolve(&mut self, keys: &[CodeKey]) -> Result<HashMap<CodeKey, DossierId>, StoreError>;
    /// The dossiers with these ids, as far as they are there.
    async fn replicas(&mut self, ids: &[DossierId]) -> Result<HashMap<DossierId, Replica>, StoreError>;
    /// What `(adapter, dossier)` is believed to hold; an empty shadow where nothing is known is left out.
    async fn shadows(
        &mut self,
        keys: &[(String, DossierId)],
    ) -> Result<HashMap<(String, DossierId), Shadow>, StoreError>;
    /// Those of these events that were merged before, by id.
    async fn journaled(&mut self, events: &[&str]) -> Result<HashMap<String, Event>, StoreError>;
    /// Those of these ids that were joined with another dossier: id → the dossier that lives on.
    async fn aliases(&mut self, ids: &[DossierId]) -> Result<HashMap<DossierId, DossierId>, StoreError>;
    /// Dossiers that any system knows under a code which is one of these once its agency is written in the new form.
    async fn candidates(&mut self, codes: &[String]) -> Result<HashMap<String, Vec<DossierId>>, StoreError>;
    /// Dossiers of whose creation in this system nobody knows yet whether it took effect, be it on its way, in doubt or
    /// left to a person.
    async fn open_creates(&mut self, adapter: &str) -> Result<Vec<DossierId>, StoreError>;
    /// All rows of the ledger about one dossier.
    async fn deliveries(&mut self, id: DossierId) -> Result<Vec<Delivery>, StoreError>;

    /// Keeps records and what became of them. A refused or waiting record that is already listed is not listed twice.
    async fn put_inbox(&mut self, rows: &[InboxRow]) -> Result<(), StoreError>;
    /// Writes what became of kept records that were taken in anew: by their place in the inbox.
    async fn settle_records(&mut self, rows: &[(i64, InboxRow)]) -> Result<(), StoreError>;
    /// Has the records that wait for this taken in anew.
    async fn release_records(&mut self, come: &[Come]) -> Result<(), StoreError>;
    /// Has everything tried again that an older version of this adapter's mapping could not make anything of: refused
    /// records, and parked deliveries that no person holds. How many.
    async fn release_judged(
        &mut self,
        adapter: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Closes the refused records for which a newer one of the same adapter and code was taken: they become ignored. A
    /// record that had come before the refused one too is no newer one, only repeated.
    async fn close_refused(&mut self, taken: &[Taken]) -> Result<(), StoreError>;
    /// Replaces shadows.
    async fn put_shadows(&mut self, shadows: &[(String, DossierId, Shadow)]) -> Result<(), StoreError>;
    /// Queues events for the broker.
    async fn put_outbox(&mut self, events: &[Event]) -> Result<(), StoreError>;
    /// Forgets events that the broker confirmed.
    async fn forget_outbox(&mut self, events: &[&str]) -> Result<(), StoreError>;
    /// Moves a pull's position.
    async fn put_cursor(&mut self, adapter: &str, operation: &str, body: &str) -> Result<(), StoreError>;
    /// Owes a pull's system these acknowledgements: what its call names the record by, each once, and the cause code of a
    /// refused one. One that is owed already keeps its place and its time, and takes the new cause.
    async fn owe(
        &mut self,
        adapter: &str,
        operation: &str,
        records: &[(Value, Option<String>)],
    ) -> Result<(), StoreError>;
    /// Forgets acknowledgements that were made.
    async fn forget_owed(&mut self, owed: &[Owed]) -> Result<(), StoreError>;
    /// Writes failures and limits of acknowledgements that were not taken, which are not made again before `until`.
    async fn put_off(&mut self, owed: &[Owed], until: Timestamp) -> Result<(), StoreError>;
    /// Counts on by so many from where this count of an adapter stands: the number before the first of them.
    async fn count_on(&mut self, adapter: &str, operation: &str, by: u64) -> Result<u64, StoreError>;
    /// Counts one use of each of these limits of an adapter. Where one of them does not allow it, nothing is counted: the
    /// place of that one. A time that ends before what was counted last counts as that: a clock set back gives nothing anew.
    async fn spend(&mut self, adapter: &str, quotas: &[Quota]) -> Result<Option<usize>, StoreError>;
    /// Stores the clock's reading, so that it never goes back over a restart.
    async fn put_clock(&mut self, hlc: Hlc) -> Result<(), StoreError>;
    /// Notes events as merged.
    async fn put_journal(&mut self, events: &[Event], received: Timestamp) -> Result<(), StoreError>;
    /// Replaces dossiers.
    async fn put_replicas(&mut self, replicas: &[Replica]) -> Result<(), StoreError>;
    /// What is kept under the id `gone` is kept under `stays` from now on, where nothing was kept there: links, journal,
    /// records, shadows, the rows of the ledger that `gone` alone has. What is left of the ledger goes.
    async fn join(&mut self, gone: DossierId, stays: DossierId) -> Result<(), StoreError>;
    /// Adds links; a code that already leads to a dossier keeps leading there, and one of a dossier that was joined with
    /// another leads to that one.
    async fn put_links(&mut self, links: &[(CodeKey, DossierId)]) -> Result<(), StoreError>;
    /// Raises the desired version of deliveries and makes due what may be worked on.
    async fn want(&mut self, wanted: &[Wanted], now: Timestamp) -> Result<(), StoreError>;
    /// Adds rows for items that have none. One that the target has is due again only if the target takes it again; a
    /// parked one that no person holds gets another try.
    async fn put_items(&mut self, items: &[Item], now: Timestamp) -> Result<(), StoreError>;
    /// Writes what became of deliveries. A row whose attempt is no longer the one it was read with is left alone:
    /// somebody else owns it; nor is an intent written for who has not claimed the dossier. A row that a newer version was wanted for meanwhile is due again. The rows that were
    /// written: who committed an intent makes its call, and nobody else.
    async fn save(&mut self, outcomes: &[Outcome], now: Timestamp) -> Result<HashSet<RowKey>, StoreError>;
    /// Makes due the rows of `(adapter, dossier)` that wait for `requirement`.
    async fn release(
        &mut self,
        waiting: &[(String, DossierId, String)],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Writes what people decided about dead letters and keeps the decisions. Of the targets of `asked` (adapter, push) a
    /// retried delivery asks first what they have; of the others a person has said that the last call took no effect. A
    /// letter that is none any more, or whose record is just being taken in anew, is left alone. Those that were decided.
    async fn decide(
        &mut self,
        decisions: &[Decision],
        asked: &[(String, String)],
        now: Timestamp,
    ) -> Result<Vec<Decided>, StoreError>;
    /// Makes it durable.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens the store that `url` names, creating or migrating its tables.
///
/// # Errors
/// An address that names no known store, a file that cannot be opened or written, a server that cannot be reached or is
/// none to entrust a store to, tables of a newer version.
pub async fn open(url: &str) -> Result<Box<dyn Store>, StoreError> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        "sqlite" => Ok(Box::new(sqlite::Sqlite::open(rest).await?)),
        "postgres" | "postgresql" => Ok(Box::new(postgres::Postgres::open(url).await?)),
        _ => Err(StoreError::Address(scheme.to_owned())),
    }
}

/// What brings the tables up to date: number, name and statements of each migration, oldest first.
fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|(version, name, sql)| {
        Migration::new(
            *version,
            (*name).into(),
            MigrationType::Simple,
            AssertSqlSafe((*sql).to_owned()).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

/// A dossier that was read from a store, and the version it had there.
impl Replica {
    /// A dossier that this store hears of for the first time.
    #[must_use]
    pub fn new(dossier: Dossier) -> Self {
        Self {
            dossier,
            version: 0,
            updated: Timestamp::UNIX_EPOCH,
        }
    }
}
