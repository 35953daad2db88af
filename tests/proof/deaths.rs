//! Deaths and long sleeps that are no cells of the matrix.

use std::sync::atomic::AtomicBool;

use serde_json::json;

use crate::cell::{Blow, Point, word};
use crate::oracle::asked::Class;
use crate::oracle::journal::Told;
use crate::oracle::judge::Violation;
use crate::oracle::mishap::{Mishap, Mode};
use crate::oracle::source::key;
use crate::proxy::Way;
use crate::stores::{self, tell};
use crate::support::{services, until};
use crate::world::{Design, Left, PAUSE, World};

embedded_and_grown! {
    process_that_sleeps_through_its_settle_time_in_a_call_doubles_nothing_and_nobody_takes_over
    target_that_was_restored_from_a_backup_has_again_what_is_said_after_that
    daemon_killed_or_stopped_at_any_moment_under_a_mixed_target_keeps_its_promise
    target_that_dies_again_and_again_with_calls_open_has_everything_once
}

/// How much later than it could a target answers that is to die with calls open: well within the adapter's timeout.
const HOLD_MS: u64 = 120;

/// How often the target misbehaved.
fn bites(left: &Left) -> u64 {
    left.oracle.bitten().values().sum()
}

/// Waits until the target has had so many requests.
async fn asked(world: &World, requests: u64) {
    let asked = until("the target is asked", async || {
        let books = world.target.books().await.ok()?;
        (books["requests"].as_u64()? >= requests).then_some(())
    });
    asked.await.unwrap();
}

async fn process_that_sleeps_through_its_settle_time_in_a_call_doubles_nothing_and_nobody_takes_over() {
    // frozen between intent and call, in the middle of the request, and with the answer on its way
    for point in [Point::DeliverIntentCommitted, Point::MidRequest, Point::Answered] {
        let mut world = World::start(Design {
            mode: Mode::Only {
                mishap: Mishap::LateCommit,
                percent: 30,
            },
            way: Some(Way::Clear),
            strike: Some((point, Blow::Stop, 2)),
            ..Design::sound(5, Class::Keyed)
        })
        .await
        .unwrap();
        let World { node, source, .. } = &mut world;
        let enough = AtomicBool::new(true);
        let (spoken, second) = tokio::join!(source.speak(4, 3, 1, &enough), async {
            node.stopped().await.unwrap();
            let second = node.second();
            while node.stops == 0 {
                node.look_after().await.unwrap();
            }
            second
        });
        spoken.unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(!second.status.success());
        // A database may have two nodes, a folder and its socket never.
        let refusal = if stores::is_on_rabbitmq() {
            "another node answers there"
        } else {
            "another process works on"
        };
        assert!(said.contains(refusal), "{said}");
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        assert_eq!(left.violations(), [], "stopped at {point:?}");
        assert_eq!((left.stops, left.kills), (1, 0));
        tell(&format!(
            "{} · stopped at {} for {} s, {} times, {} late commits, a second process refused",
            services(&*left.store),
            word(point),
            PAUSE.as_secs(),
            left.stops,
            bites(&left)
        ));
    }
}

async fn target_that_dies_again_and_again_with_calls_open_has_everything_once() {
    for class in [Class::Keyed, Class::AppendShown, Class::Steps] {
        let mut world = World::start(Design::sound(3, class)).await.unwrap();
        let World { target, source, .. } = &mut world;
        // What it has done it keeps to itself for a while, so that a death finds somebody waiting.
        target.tell(Told::Hold { by_ms: HOLD_MS }).await.unwrap();
        let enough = AtomicBool::new(false);
        let (spoken, cut) = tokio::join!(source.speak(4, 4, 10, &enough), async {
            let (mut requests, mut cut) = (0, Vec::new());
            while cut.len() < 6 {
                // killed in the middle of what comes next
                requests = until("the target is asked", async || {
                    let books = target.books().await.ok()?;
                    let now = books["requests"].as_u64()?;
                    (now > requests + 3 && books["open"] != 0).then_some(now)
                })
                .await
                .unwrap();
                cut.push(target.die_and_come_back().await.unwrap());
            }
            enough.store(true, std::sync::atomic::Ordering::SeqCst);
            cut
        });
        spoken.unwrap();
        // One that was seen open may have been answered before the blow fell.
        let deaths = cut.iter().filter(|calls| **calls > 0).count();
        assert!(
            deaths > cut.len() / 2,
            "void: {class:?}: calls cut off by each death: {cut:?}"
        );
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        assert_eq!(left.violations(), [], "{class:?}");
        tell(&format!(
            "{} · {class:?} · {} deaths of the target, {deaths} with calls open, {} calls cut off, {} requests",
            services(&*left.store),
            cut.len(),
            cut.iter().sum::<u64>(),
            left.oracle.requests()
        ));
    }
}

async fn target_that_was_restored_from_a_backup_has_again_what_is_said_after_that() {
    let mut world = World::start(Design::sound(1, Class::Keyed)).await.unwrap();
    for n in 1..=3 {
        world.source.tell(n, 1, 0).await.unwrap();
    }
    world.node.rest().await.unwrap();
    // an hour: it has nothing left
    world
        .target
        .tell(Told::Restore { back_ms: 3_600_000 })
        .await
        .unwrap();
    assert_eq!(world.target.books().await.unwrap()["rows"], json!([]));
    for n in 1..=2 {
        world.source.tell(n, 2, 0).await.unwrap();
    }
    world.recover().await.unwrap();
    let left = world.end().await.unwrap();
    assert_eq!(left.oracle.bitten()[&Mishap::Restored], 1);
    // What nobody has spoken of since is what a reconciliation is for: the judge names it, and nothing else.
    let lost = Violation::Lost {
        what: format!("{} in version 1", key(3)),
        ledger: "applied".to_owned(),
    };
    let differs = Violation::Differs {
        what: key(3),
        fields: vec!["all".to_owned()],
    };
    assert_eq!(left.violations(), [lost, differs]);
    tell(&format!(
        "{} · restored {} time, 1 record lost and named by the judge",
        services(&*left.store),
        bites(&left)
    ));
}

async fn daemon_killed_or_stopped_at_any_moment_under_a_mixed_target_keeps_its_promise() {
    let blows = [
        (Class::Keyed, Blow::Kill),
        (Class::Reporting, Blow::Kill),
        (Class::Keyed, Blow::Stop),
        (Class::Reporting, Blow::Stop),
    ];
    for (class, blow) in blows {
        let mut world = World::start(Design {
            mode: Mode::Mixed { percent: 30 },
            ..Design::sound(11, class)
        })
        .await
        .unwrap();
        let mut requests = 0;
        for round in 0..5 {
            for n in 1..=4 {
                world.source.tell(n, round + 1, 0).await.unwrap();
            }
            requests += 4;
            asked(&world, requests).await;
            world.node.strike(blow);
            while world.node.kills + world.node.stops <= u64::try_from(round).unwrap() {
                world.node.look_after().await.unwrap();
            }
        }
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        let struck = match blow {
            Blow::Kill => (5, 0),
            Blow::Stop => (0, 5),
        };
        assert_eq!((left.kills, left.stops), struck);
        assert!(!left.oracle.bitten().is_empty());
        assert_eq!(left.violations(), [], "{class:?}, {blow:?}");
        tell(&format!(
            "{} · {class:?} · {} kills, {} stops, {} troubles at the target",
            services(&*left.store),
            left.kills,
            left.stops,
            bites(&left)
        ));
    }
}
