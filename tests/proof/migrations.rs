//! Deaths while the tables of a store are made or brought up to date, one at each commit: just before it, when all of a
//! migration was done and nothing of it is kept, and just after it, before the next one begins. A file's daemon dies by a
//! fail point. A database's stands still on the wire before what it is about to send, and is killed there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::oracle::asked::Class;
use crate::oracle::source::key;
use crate::stores::database::{Database, connect, run};
use crate::stores::server::Server;
use crate::stores::{Back, on, tell};
use crate::support::{folder, services};
use crate::world::{Design, Left, World};

mod on_sqlite {
    use super::{Back, on};

    #[tokio::test(flavor = "multi_thread")]
    async fn store_that_is_made_anew_is_whole_after_a_death_at_any_of_its_commits() {
        on(Back::Sqlite, super::made_anew(None)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn store_of_an_older_version_keeps_what_it_holds_after_a_death_at_any_commit_of_its_migration() {
        on(Back::Sqlite, super::brought_up_to_date(None)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn journal_that_a_migration_writes_anew_is_there_once_after_a_death_at_any_of_its_commits() {
        on(Back::Sqlite, super::journal_written_anew()).await;
    }
}

mod on_postgres {
    use super::{Server, Wire};

    #[tokio::test(flavor = "multi_thread")]
    async fn store_that_is_made_anew_is_whole_after_a_death_at_any_of_its_commits() {
        let server = Server::start().await;
        let wire = Wire::to(server.address()).await;
        super::on(wire.back(&server), super::made_anew(Some((&server, &wire)))).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn store_of_an_older_version_keeps_what_it_holds_after_a_death_at_any_commit_of_its_migration() {
        let server = Server::start().await;
        let wire = Wire::to(server.address()).await;
        super::on(
            wire.back(&server),
            super::brought_up_to_date(Some((&server, &wire))),
        )
        .await;
    }
}

/// Takes away what the last three migrations of either store have made.
const UNDO: &str = "
    drop table acknowledgement;
    drop table quota;
    drop index inbox_refused;
    drop index delivery_parked;
    delete from _sqlx_migrations where description in ('dead letters', 'quota', 'acknowledgements')";
const UNDONE: usize = 3;

async fn made_anew(own: Option<(&Server, &Wire)>) {
    let mut site = Site::start(own).await;
    let mut told = Vec::new();
    for moment in 1.. {
        site.world.node.fall().await.unwrap();
        site.wipe().await;
        let died = site.dies_at(moment).await;
        if died {
            site.is_half_done_nowhere().await;
            assert!(site.world.node.rises(None, || false).await.unwrap());
        }
        site.is_whole().await;
        let n = u32::try_from(moment).unwrap();
        site.world.source.tell(n, 1, 0).await.unwrap();
        site.world.node.rest().await.unwrap();
        told.push(json!([key(n), 1]));
        if !died {
            break;
        }
    }
    let books = site.world.target.books().await.unwrap();
    assert_eq!(books["rows"], json!(told), "each record once");
    site.end(0).await;
}

async fn brought_up_to_date(own: Option<(&Server, &Wire)>) {
    let mut site = Site::start(own).await;
    let before = site.made.len() - 1 - UNDONE;
    site.world.source.tell(1, 1, 0).await.unwrap();
    site.world.node.rest().await.unwrap();
    for moment in 1.. {
        site.world.node.fall().await.unwrap();
        site.store.execute(UNDO).await;
        assert_eq!(site.store.tables().await, site.made[before], "an older store");
        let died = site.dies_at(moment).await;
        if died {
            site.is_half_done_nowhere().await;
            assert!(site.world.node.rises(None, || false).await.unwrap());
        }
        site.is_whole().await;
        // of a dossier that it has heard of, and of another one
        let (n, version) = (
            u32::try_from(moment).unwrap() + 1,
            i64::try_from(moment).unwrap() + 1,
        );
        site.world.source.tell(1, version, 0).await.unwrap();
        site.world.source.tell(n, 1, 0).await.unwrap();
        site.world.node.rest().await.unwrap();
        if !died {
            break;
        }
    }
    site.world.recover().await.unwrap();
    let left = site.end(before).await;
    assert_eq!(left.violations(), []);
}

/// The second migration of a file copies its journal into a new table and drops the old one.
async fn journal_written_anew() {
    let mut site = Site::start(None).await;
    let filled = "
        insert into journal (event_id, dossier_id, received_ms, body)
        values ('c', 'x', 1, '{}'), ('a', 'y', 3, '{}'), ('b', 'x', 2, '{}')";
    let held = "select event_id from journal order by received_ms";
    for moment in 1.. {
        site.world.node.fall().await.unwrap();
        site.wipe().await;
        site.store.migrate_to(1).await;
        site.store.execute(filled).await;
        let died = site.dies_at(moment).await;
        if died {
            site.is_half_done_nowhere().await;
            assert_eq!(site.store.rows(held).await, ["c", "b", "a"]);
            assert!(site.world.node.rises(None, || false).await.unwrap());
        }
        site.is_whole().await;
        let in_order = "select event_id from journal order by seq";
        assert_eq!(site.store.rows(in_order).await, ["c", "b", "a"]);
        if !died {
            break;
        }
    }
    site.end(1).await;
}

/// A world whose daemon is killed while it sees to its tables.
struct Site<'a> {
    world: World,
    store: Place,
    wire: Option<&'a Wire>,
    /// The tables after none of the migrations, after the first, and so on.
    made: Vec<Vec<String>>,
    /// How many migrations were done at each death.
    deaths: Vec<usize>,
}

impl<'a> Site<'a> {
    async fn start(own: Option<(&Server, &'a Wire)>) -> Self {
        let world = World::start(Design::sound(1, Class::Keyed)).await.unwrap();
        let store = Place(world.node.store().to_owned());
        let made = if let Some((server, _)) = own {
            let database = Database::create_on(server.url.clone(), "").await;
            Place(database.url()).each().await
        } else {
            let folder = folder();
            let file = folder.path().join("other.db");
            Place(format!("sqlite://{}", file.display())).each().await
        };
        Self {
            world,
            store,
            wire: own.map(|(_, wire)| wire),
            made,
            deaths: Vec::new(),
        }
    }

    /// Nothing is left of the store.
    async fn wipe(&self) {
        if let Some(file) = self.store.file() {
            for end in ["", "-wal", "-shm"] {
                std::fs::remove_file(format!("{}{end}", file.display())).ok();
            }
        } else {
            self.store
                .execute("drop schema public cascade; create schema public")
                .await;
        }
        assert_eq!(self.store.tables().await, [""; 0]);
    }

    /// Starts the daemon, which dies at this moment of its migration. Whether there was such a moment.
    async fn dies_at(&mut self, moment: u64) -> bool {
        let node = &mut self.world.node;
        let rises = if let Some(wire) = self.wire {
            wire.hold(moment);
            let rises = node.rises(None, || wire.holds()).await.unwrap();
            if !rises {
                assert!(wire.holds(), "the daemon ended by itself");
                node.fall().await.unwrap();
            }
            wire.hold(0);
            rises
        } else {
            let point = format!("migrate-before-commit:{moment}:kill");
            let rises = node.rises(Some(&point), || false).await.unwrap();
            if !rises {
                node.fallen().await.unwrap();
            }
            rises
        };
        !rises
    }

    /// What the death has left is what so many whole migrations make.
    async fn is_half_done_nowhere(&mut self) {
        let tables = self.store.tables().await;
        let done = if tables.is_empty() {
            0
        } else {
            let done = self
                .store
                .rows("select description from _sqlx_migrations")
                .await
                .len();
            assert_eq!(tables, self.made[done], "{done} migrations are done");
            done
        };
        self.deaths.push(done);
    }

    /// All of it is there, once.
    async fn is_whole(&self) {
        let last = self.made.len() - 1;
        assert_eq!(self.store.tables().await, self.made[last]);
        let versions = "select description from _sqlx_migrations where success";
        assert_eq!(self.store.rows(versions).await.len(), last);
    }

    /// Ends the daemon and tells how often it has died. Each of the migrations after so many was to be met before its commit
    /// and after it.
    async fn end(self, before: usize) -> Left {
        let last = self.made.len() - 1;
        let met: BTreeSet<usize> = self.deaths.iter().copied().collect();
        let all: BTreeSet<usize> = (before..=last).collect();
        assert_eq!(met, all, "void: migrations that were done at the deaths");
        let left = self.world.end().await.unwrap();
        tell(&format!(
            "{} · {} deaths in {} migrations; done were {:?} of {last}",
            services(&*left.store),
            self.deaths.len(),
            last - before,
            self.deaths
        ));
        left
    }
}

/// A store, looked into by a stranger.
struct Place(String);

impl Place {
    /// Its file, if it is one.
    fn file(&self) -> Option<&Path> {
        self.0.strip_prefix("sqlite://").map(Path::new)
    }

    async fn open(&self, file: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(file);
        options.create_if_missing(true).connect().await.unwrap()
    }

    async fn execute(&self, sql: &'static str) {
        if let Some(file) = self.file() {
            let mut connection = self.open(file).await;
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            run(&self.0, sql).await;
        }
    }

    /// The first column.
    async fn rows(&self, sql: &'static str) -> Vec<String> {
        if let Some(file) = self.file() {
            let mut connection = self.open(file).await;
            let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows
        } else {
            let mut connection = connect(&self.0).await;
            let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows
        }
    }

    /// Every table, column, index and constraint.
    async fn tables(&self) -> Vec<String> {
        let all = if self.file().is_some() {
            "select type || ' ' || name || ' ' || coalesce(sql, '') from sqlite_master
             where name <> 'sqlite_sequence' order by 1"
        } else {
            "select concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable, column_default)
             from information_schema.columns where table_schema = 'public'
             union all select indexdef from pg_indexes where schemaname = 'public'
             union all select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
             from pg_constraint where connamespace = 'public'::regnamespace
             order by 1"
        };
        self.rows(all).await
    }

    /// Makes as many migrations as this.
    async fn migrate_to(&self, done: i64) {
        let store = if self.file().is_some() {
            "sqlite"
        } else {
            "postgres"
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/{store}/migrations"));
        let migrator = Migrator::new(folder).await.unwrap();
        if let Some(file) = self.file() {
            let mut connection = self.open(file).await;
            migrator.run_to(done, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = connect(&self.0).await;
            migrator.run_to(done, &mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    /// The tables after none of the migrations, after the first, and so on.
    async fn each(&self) -> Vec<Vec<String>> {
        let mut each: Vec<Vec<String>> = Vec::new();
        for done in 0.. {
            self.migrate_to(done).await;
            let tables = self.tables().await;
            if each.last() == Some(&tables) {
                break;
            }
            each.push(tables);
        }
        each
    }
}

/// The wire between a daemon and its database. A daemon that brings its tables up to date can be held there before what it
/// is about to send: each commit, and what follows each.
struct Wire {
    /// Host and port of its near end.
    address: String,
    hold: Arc<Hold>,
    _end: DropGuard,
}

#[derive(Default)]
struct Hold {
    /// At the how manieth of these moments; 0 for none.
    at: AtomicU64,
    passed: AtomicU64,
    holds: AtomicBool,
}

impl Wire {
    /// Leads to the server at this host and port.
    async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let end = CancellationToken::new();
        let wire = Self {
            address: listener.local_addr().unwrap().to_string(),
            hold: Arc::default(),
            _end: end.clone().drop_guard(),
        };
        let (server, hold) = (server.to_owned(), Arc::clone(&wire.hold));
        let tasks = TaskTracker::new();
        tasks
            .clone()
            .spawn(end.clone().run_until_cancelled_owned(async move {
                while let Ok((near, _)) = listener.accept().await {
                    let passage = pass(near, server.clone(), Arc::clone(&hold));
                    tasks.spawn(end.clone().run_until_cancelled_owned(passage));
                }
            }));
        wire
    }

    /// The back end whose nodes see the server through it.
    fn back(&self, server: &Server) -> Back {
        Back::Own {
            server: server.url.clone(),
            seen: self.address.clone(),
            rabbitmq: false,
        }
    }

    /// Holds the daemon that is started next at this moment; 0 for none.
    fn hold(&self, moment: u64) {
        self.hold.passed.store(0, Ordering::SeqCst);
        self.hold.holds.store(false, Ordering::SeqCst);
        self.hold.at.store(moment, Ordering::SeqCst);
    }

    /// Whether it stands there.
    fn holds(&self) -> bool {
        self.hold.holds.load(Ordering::SeqCst)
    }
}

async fn pass(mut near: TcpStream, server: String, hold: Arc<Hold>) {
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    let has = |piece: &[u8], word: &[u8]| piece.windows(word.len()).any(|seen| seen == word);
    // Whoever migrates takes this lock first; nobody else does.
    let (mut migrates, mut after_commit) = (false, false);
    let (mut said, mut heard) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            length = near.read(&mut said) => {
                let piece = match length {
                    Ok(length) if length > 0 => &said[..length],
                    _ => return,
                };
                migrates |= has(piece, b"pg_advisory_lock");
                let commits = has(piece, b"COMMIT\0");
                if migrates && (commits || after_commit) {
                    let moment = hold.passed.fetch_add(1, Ordering::SeqCst) + 1;
                    if moment == hold.at.load(Ordering::SeqCst) {
                        hold.holds.store(true, Ordering::SeqCst);
                        // until the death; what it was about to send is never sent
                        while near.read(&mut said).await.is_ok_and(|length| length > 0) {}
                        return;
                    }
                }
                after_commit = commits;
                if far.write_all(piece).await.is_err() {
                    return;
                }
            }
            length = far.read(&mut heard) => {
                let Ok(length @ 1..) = length else { return };
                if near.write_all(&heard[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
