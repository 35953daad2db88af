//! Daemons whose database goes away under load, in each of the ways in which databases do. The daemon goes on by itself, loses
//! nothing, doubles nothing, and never ends.

use std::sync::atomic::{AtomicBool, Ordering};

use lienthong::store;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::cable::Cable;
use crate::oracle::asked::Class;
use crate::stores::database::connect;
use crate::stores::server::Server;
use crate::stores::{Back, on, tell};
use crate::support::{services, tail, until};
use crate::world::{Design, World};

/// How often the server goes down.
const FALLS: u64 = 8;

fn own(server: &Server, seen: &str) -> Back {
    Back::Own {
        server: server.url.clone(),
        seen: seen.to_owned(),
        rabbitmq: false,
    }
}

/// The same with RabbitMQ beside it.
fn own_and_rabbitmq(server: &Server) -> Back {
    Back::Own {
        server: server.url.clone(),
        seen: server.address().to_owned(),
        rabbitmq: true,
    }
}

/// How often a stage could not do its work for this reason.
fn failures(log: &str, reason: &str) -> usize {
    let failed = log.lines().filter(|line| line.contains("stage failed"));
    failed.filter(|line| line.contains(reason)).count()
}

/// Waits until so many more stages have failed than before.
async fn bitten(world: &World, reason: &str, before: usize, times: usize) -> Result<usize, String> {
    until(&format!("the daemon notices: {reason:?}"), async || {
        let now = failures(&world.node.log(), reason);
        (now >= before + times).then_some(now)
    })
    .await
}

/// A world that speaks while `faults` happen; whatever they bring about, the judge finds nothing wrong, and no daemon has
/// died. What they return is told with the result.
async fn under_load(back: Back, class: Class, faults: impl AsyncFnOnce(&World) -> Result<String, String>) {
    on(back, async {
        let world = World::start(Design::sound(17, class)).await.unwrap();
        let enough = AtomicBool::new(false);
        let (spoken, bit) = tokio::join!(world.source.speak(4, 3, 60, &enough), async {
            let bit = faults(&world).await;
            enough.store(true, Ordering::SeqCst);
            bit
        });
        let bit = bit.unwrap_or_else(|failure| panic!("{failure}\n{}", tail(&world.node.log())));
        spoken.unwrap();
        let mut world = world;
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        assert_eq!(left.violations(), [], "{class:?}");
        assert_eq!(
            (left.kills, left.stops),
            (0, 0),
            "the daemon has gone on by itself"
        );
        assert!(!left.log.contains("panicked"), "{}", tail(&left.log));
        tell(&format!(
            "{} · {class:?} · {} records, nothing lost or doubled · {bit}",
            services(&*left.store),
            left.accepted.records.len()
        ));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_crashes_and_stops_again_and_again_under_load_costs_nothing() {
    for class in [Class::Keyed, Class::AppendShown] {
        let server = Server::start().await;
        let back = own(&server, server.address());
        falls(&server, back, class).await;
    }
}

/// An event that is acknowledged while nothing can be kept would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn database_that_crashes_and_stops_again_and_again_while_rabbitmq_brings_events_costs_nothing() {
    let server = Server::start().await;
    let back = own_and_rabbitmq(&server);
    falls(&server, back, Class::Keyed).await;
}

/// The server crashes and is stopped at once by turns, under load.
async fn falls(server: &Server, back: Back, class: Class) {
    let rabbitmq = matches!(back, Back::Own { rabbitmq: true, .. });
    under_load(back, class, async |world| {
            let (mut requests, mut failed) = (0, 0);
            for fall in 0..FALLS {
                // in the middle of what comes next
                requests = until("the target is asked", async || {
                    let now = world.target.books().await.ok()?["requests"].as_u64()?;
                    (now > requests + 2).then_some(now)
                })
                .await?;
                if fall % 2 == 0 {
                    server.crash().await;
                } else {
                    server.stop_at_once().await;
                }
                failed = bitten(world, "", failed, 2).await?;
                server.restart().await;
            }
            let merges = failures(&world.node.log(), "subscribe");
            if rabbitmq && merges == 0 {
                return Err("void: no fall met the stage that merges what is brought".to_owned());
            }
            Ok(format!(
                "{FALLS} falls of the server, {failed} failed steps, {merges} of them of the stage that merges what is brought"
            ))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn daemon_that_starts_before_its_database_waits_for_it_and_loses_nothing() {
    let server = Server::start().await;
    on(own(&server, server.address()), async {
        let mut world = World::start(Design::sound(29, Class::Keyed)).await.unwrap();
        for n in 1..=3 {
            world.source.tell(n, 1, 0).await.unwrap();
        }
        server.crash().await;
        let started = world
            .node
            .start_without("the database cannot be reached", async || server.restart().await);
        started.await.unwrap();
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        assert_eq!(left.violations(), []);
        assert_eq!((left.kills, left.stops), (1, 0), "it has not ended by itself");
        tell(&format!(
            "{} · started {} times in vain, then worked on",
            services(&*left.store),
            left.log.matches("the database cannot be reached").count()
        ));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_whose_connections_are_all_taken_by_others_costs_nothing() {
    let server = Server::start().await;
    server.execute("alter system set max_connections = 24").await;
    server.stop_at_once().await;
    server.restart().await;
    let back = own(&server, server.address());
    under_load(back, Class::Keyed, async |world| {
        let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'lienthong'";
        let mut strangers: Vec<PgConnection> = Vec::new();
        let (mut refused, mut cut) = (0, 0);
        // whatever is free is ours, and what the daemon has is taken from it
        while cut == 0 || failures(&world.node.log(), "pool timed out") < 2 {
            match PgConnection::connect(&server.url).await {
                Ok(stranger) => strangers.push(stranger),
                Err(_) => refused += 1,
            }
            if let Some(stranger) = strangers.last_mut() {
                let gone: i64 = sqlx::query_scalar(ended).fetch_one(stranger).await.unwrap();
                cut += gone;
            }
        }
        let failed = failures(&world.node.log(), "pool timed out");
        let held = strangers.len();
        drop(strangers);
        Ok(format!(
            "{held} of 24 connections taken by others, {cut} of the daemon's cut, {refused} refused, {failed} steps found none"
        ))
    })
    .await;
}

/// Waits until the target was asked a few times more.
async fn target_is_asked(world: &World) -> Result<(), String> {
    let requests = async || world.target.books().await.ok()?["requests"].as_u64();
    let before = requests().await.unwrap_or(0);
    until("the target is asked", async || {
        (requests().await? > before + 5).then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_strangers_leave_open_hold_up_what_they_lock_as_long_as_they_do_and_cost_nothing() {
    let server = Server::start().await;
    let back = own(&server, server.address());
    under_load(back, Class::Keyed, async |world| {
        // An old snapshot holds up nobody.
        let mut reader = connect(world.node.store()).await;
        let snapshot = "begin isolation level repeatable read; select count(*) from delivery";
        sqlx::raw_sql(snapshot).execute(&mut reader).await.unwrap();
        target_is_asked(world).await?;
        // Nothing can be written to the ledger: who merges and who delivers give up, say so, and come back.
        let mut writer = connect(world.node.store()).await;
        let lock = "begin; lock table delivery in share mode";
        sqlx::raw_sql(lock).execute(&mut writer).await.unwrap();
        let held_up = bitten(world, "lock timeout", 0, 2).await?;
        sqlx::raw_sql("rollback").execute(&mut writer).await.unwrap();
        target_is_asked(world).await?;
        sqlx::raw_sql("rollback").execute(&mut reader).await.unwrap();
        Ok(format!(
            "2 transactions left open, {held_up} stages gave up waiting for one of them"
        ))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limit_that_somebody_sets_for_all_statements_is_not_the_daemons() {
    let server = Server::start().await;
    let back = own(&server, server.address());
    under_load(back, Class::Keyed, async |world| {
        let mut operator = connect(world.node.store()).await;
        server
            .execute("alter role all set statement_timeout = '1ms'")
            .await;
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'lienthong'";
        let ended: i64 = sqlx::query_scalar(cut).fetch_one(&mut operator).await.unwrap();
        let mut stranger = connect(world.node.store()).await;
        let slow = sqlx::query("select pg_sleep(1)").execute(&mut stranger).await;
        let slow = slow.unwrap_err().to_string();
        assert!(slow.contains("statement timeout"), "void: {slow}");
        target_is_asked(world).await?;
        let mend = "alter role all reset statement_timeout";
        sqlx::raw_sql(mend).execute(&mut operator).await.unwrap();
        Ok(format!("{ended} connections made anew under a limit of 1 ms"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_whose_machine_is_gone_without_a_word_costs_no_more_than_the_wait_for_its_answer() {
    let server = Server::start().await;
    let cable = Cable::lay(server.address()).await;
    let back = own(&server, &cable.address);
    under_load(back, Class::Keyed, async |world| {
        let mut late = 0;
        for _ in 0..2 {
            let requests = world.target.books().await?["requests"].as_u64().unwrap_or(0);
            until("the target is asked", async || {
                let now = world.target.books().await.ok()?["requests"].as_u64()?;
                (now > requests + 2).then_some(())
            })
            .await?;
            cable.silence();
            late = bitten(world, "did not answer within", late, 1).await?;
        }
        Ok(format!(
            "{} connections silenced, {late} steps waited in vain",
            cable.silenced()
        ))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_over_to_a_server_that_lacks_the_last_minutes_doubles_nothing_when_they_are_told_again() {
    let server = Server::start().await;
    let cable = Cable::lay(server.address()).await;
    on(own(&server, &cable.address), async {
        let mut world = World::start(Design::sound(23, Class::Keyed)).await.unwrap();
        for n in 1..=3 {
            world.source.tell(n, 1, 0).await.unwrap();
        }
        world.node.rest().await.unwrap();
        let standby = server.standby().await;
        standby.promote().await;
        // the minutes that the other server never hears of
        let minutes = [(1, 2), (2, 2), (3, 2), (4, 1), (5, 1), (6, 1)];
        for (n, version) in minutes {
            world.source.tell(n, version, 0).await.unwrap();
        }
        world.node.rest().await.unwrap();
        let rows = |books: &serde_json::Value| books["rows"].as_array().map_or(0, Vec::len);
        assert_eq!(rows(&world.target.books().await.unwrap()), 6, "all of it is at the target");
        cable.lead_to(standby.address());
        server.crash().await;
        let lost = until("the daemon works on the other server", async || {
            let status = world.node.status().await?;
            (status.counts.dossiers == 3).then_some(6 - status.counts.dossiers)
        })
        .await
        .unwrap();
        for (n, version) in minutes {
            world.source.tell(n, version, 0).await.unwrap();
        }
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        assert_eq!(left.violations(), []);
        assert_eq!((left.kills, left.stops), (0, 0));
        tell(&format!(
            "{} · the ledger lost {lost} dossiers and {} changes that the target has, told again: none doubled",
            services(&*left.store),
            minutes.len()
        ));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replica_is_refused_and_taken_once_it_is_the_primary() {
    let server = Server::start().await;
    let id = store::open(&server.url).await.unwrap().id().to_owned();
    let standby = server.standby().await;
    let refused = store::open(&standby.url).await.err().unwrap().to_string();
    assert!(refused.contains("is a replica"), "{refused}");
    server.crash().await;
    standby.promote().await;
    let store = store::open(&standby.url).await.unwrap();
    assert_eq!(store.id(), id, "the same store");
    tell(&format!(
        "{} · replica refused, and taken after its promotion",
        services(&*store)
    ));
}
