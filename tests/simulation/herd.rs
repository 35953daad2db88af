//! A target that was away for a week, or refused us for one, is not met by a herd when it is back: each record gets its latest
//! state, and each entry comes, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lienthong::jq::on_big_stack;

use crate::kit::{Kit, name_of, runtime};
use crate::oracle::asked::Class;
use crate::oracle::mishap::Mode;
use crate::oracle::source::key;
use crate::plan::Plan;
use crate::report::finish;
use crate::target::{Call, SharedTarget, locked};
use crate::world::{Turn, World};

/// Dossiers that the target has before it goes away, and dossiers that come while it is away.
const OLD: u32 = 10;
const NEW: u32 = 20;

/// Versions that come while it is away, one a day.
const DAYS: u32 = 7;

const WEEK: Duration = Duration::from_hours(DAYS as u64 * 24);

/// How long an adapter rests whose system refuses us, before that is tried again.
const REST: SignedDuration = SignedDuration::from_mins(1);

/// Schedules of the adapter: the longest wait, and what the manifest says of it. Both begin with five seconds, as does an
/// adapter that says nothing.
const FIRST: Duration = Duration::from_secs(5);
const SCHEDULES: [(Duration, &str); 2] = [
    (Duration::from_hours(1), ""),
    (
        Duration::from_hours(6),
        "retry    = { first = \"5s\", max = \"6h\", give_up = \"30d\" }\n",
    ),
];
const CONCURRENCY: usize = 3;

fn manifest(text: String, retry: &str) -> String {
    let change = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "the manifest has {from}");
        text.replace(from, to)
    };
    let text = change(
        text,
        "retry    = { first = \"100ms\", max = \"500ms\", give_up = \"7d\" }\n",
        &format!("{retry}concurrency = 3\n"),
    );
    change(text, "timeout  = \"250ms\"", "timeout  = \"20s\"")
}

/// What the calls about a dossier were, in their order.
fn about(calls: &[Call], number: u32) -> Vec<&Call> {
    let key = key(number);
    calls.iter().filter(|call| call.about == key).collect()
}

/// Tries that a schedule makes within this time at most: each delay is at least half of what it says.
fn at_most(within: Duration, max: Duration) -> usize {
    let (mut spent, mut delay, mut tries) = (Duration::ZERO, FIRST, 1);
    while spent < within {
        spent += delay / 2;
        delay = (delay * 2).min(max);
        tries += 1;
    }
    tries
}

/// The same at least: each delay is at most one and a half times what it says.
fn at_least(within: Duration, max: Duration) -> usize {
    let (mut spent, mut delay, mut tries) = (Duration::ZERO, FIRST, 0);
    while spent < within {
        spent += delay * 3 / 2;
        delay = (delay * 2).min(max);
        tries += 1;
    }
    tries
}

/// A world whose target has the old dossiers, with so many items each.
async fn settled(kit: &'static Kit, class: Class, retry: &str, items: i64) -> (World, SharedTarget) {
    let name = name_of(class);
    let adapter = kit.changed(&name, |text| manifest(text, retry));
    assert_eq!(adapter.connection.concurrency, CONCURRENCY);
    let plan = Plan {
        adapters: BTreeMap::from([(name.clone(), adapter)]),
        ..Plan::still(1, vec![(class, Mode::Sound)])
    };
    let mut world = World::new(kit, plan);
    for _ in 0..OLD {
        world.begin(items);
    }
    assert!(world.quiet().await);
    let target = Arc::clone(&world.targets[&name].1);
    (world, target)
}

/// A week: dossiers begin, and all of them go on every day, with so many new items. The calls that were made.
async fn week(world: &mut World, target: &SharedTarget, items: i64) -> Vec<Call> {
    let before = locked(target).calls.len();
    for _ in 0..NEW {
        world.begin(items);
    }
    for _ in 0..DAYS {
        for number in 1..=OLD + NEW {
            world.tell(number, items, false);
        }
        world.days(1).await;
    }
    locked(target).calls.split_off(before)
}

/// The calls from now on until nothing is left to do, at most as many at once as the target takes.
async fn rest(world: &mut World, target: &SharedTarget) -> Vec<Call> {
    locked(target).calls.clear();
    locked(target).peak = 0;
    assert!(world.quiet().await);
    let peak = locked(target).peak;
    assert!(peak <= CONCURRENCY, "{peak} calls at once");
    locked(target).calls.clone()
}

async fn ends_well(world: World) {
    let report = finish(world).await;
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

/// Methods of the calls about a dossier, in their order.
fn said(calls: &[Call], number: u32) -> Vec<&str> {
    let calls = about(calls, number);
    calls.iter().map(|call| call.method.as_str()).collect()
}

fn count(said: &[&str], method: &str) -> usize {
    said.iter().filter(|said| **said == method).count()
}

/// A record is tried as often in a week as this schedule has it.
fn was_tried_as_scheduled(what: &str, tries: usize, max: Duration) {
    let (least, most) = (at_least(WEEK, max), at_most(WEEK, max));
    assert!(
        (least..=most).contains(&tries),
        "{what} was tried {tries} times in a week, expected {least} to {most}"
    );
}

/// Each dossier comes as its schedule has it, spread over the longest delay, and not all at once.
fn came_one_by_one(calls: &[Call], back: Timestamp, max: Duration) {
    let soon = back + SignedDuration::try_from(max / 6).unwrap();
    let first = |number| about(calls, number).iter().map(|call| call.at).min();
    let firsts: Vec<Timestamp> = (1..=OLD + NEW).filter_map(first).collect();
    let at_first = firsts.iter().filter(|first| **first < soon).count();
    assert!(
        at_first < firsts.len() / 2,
        "{at_first} of {} dossiers in a sixth of the longest delay",
        firsts.len()
    );
    let last = calls.iter().map(|call| call.at).max().unwrap();
    assert!(last <= back + SignedDuration::try_from(max * 3 / 2).unwrap() + SignedDuration::from_mins(1));
}

/// The record of each dossier came once: what was known to be there is not looked for.
fn records_came_once(calls: &[Call]) {
    for number in 1..=OLD + NEW {
        let expected: &[&str] = if number <= OLD {
            &["PATCH"]
        } else {
            &["GET", "POST"]
        };
        assert_eq!(said(calls, number), expected, "dossier {number}");
    }
}

/// Runs this with the kit and each of the schedules.
fn on_each_schedule(run: impl AsyncFn(&'static Kit, Duration, &'static str) + Copy + Send + 'static) {
    for (max, retry) in SCHEDULES {
        on_big_stack(move || {
            let kit = Kit::get();
            runtime().block_on(run(kit, max, retry));
        })
        .unwrap();
    }
}

#[test]
fn target_that_was_away_for_a_week_gets_the_latest_state_of_each_record_once() {
    on_each_schedule(async |kit, max, retry| {
        let (mut world, target) = settled(kit, Class::Keyed, retry, 0).await;
        world.take(Turn::Switch("keyed".to_owned())).await;
        let away = week(&mut world, &target, 0).await;
        assert!(away.iter().all(|call| call.refused), "nobody answers");
        for number in 1..=OLD + NEW {
            let tries = about(&away, number).len();
            was_tried_as_scheduled(&format!("dossier {number}"), tries, max);
        }

        world.take(Turn::Switch("keyed".to_owned())).await;
        let back = world.now();
        let calls = rest(&mut world, &target).await;
        records_came_once(&calls);
        came_one_by_one(&calls, back, max);
        ends_well(world).await;
    });
}

#[test]
fn target_that_was_away_for_a_week_gets_each_record_and_each_entry_once() {
    on_each_schedule(async |kit, max, retry| {
        let (mut world, target) = settled(kit, Class::AppendShown, retry, 1).await;
        world.take(Turn::Switch("append-shown".to_owned())).await;
        let away = week(&mut world, &target, 1).await;
        assert!(away.iter().all(|call| call.refused), "nobody answers");
        for number in 1..=OLD + NEW {
            let said = said(&away, number);
            was_tried_as_scheduled(&format!("dossier {number}"), count(&said, "PUT"), max);
            // Of many entries the first one stands for those that follow it, and none goes before its record.
            let looks = count(&said, "GET");
            if number <= OLD {
                was_tried_as_scheduled(&format!("an entry of {number}"), looks, max);
            } else {
                assert_eq!(looks, 0, "dossier {number} is not there");
            }
            assert_eq!(count(&said, "POST"), 0, "what may be there is looked for first");
        }

        world.take(Turn::Switch("append-shown".to_owned())).await;
        let back = world.now();
        let calls = rest(&mut world, &target).await;
        for number in 1..=OLD + NEW {
            let said = said(&calls, number);
            let entries = if number <= OLD { DAYS } else { DAYS + 1 } as usize;
            assert_eq!(count(&said, "PUT"), 1, "dossier {number}: {said:?}");
            let others: Vec<&str> = said.iter().copied().filter(|said| *said != "PUT").collect();
            assert_eq!(others, ["GET", "POST"].repeat(entries), "dossier {number}");
        }
        came_one_by_one(&calls, back, max);
        ends_well(world).await;
    });
}

/// The adapter rests, and its deliveries stay due: they do not back off.
#[test]
fn target_that_refused_us_for_a_week_was_only_probed_and_gets_each_record_once() {
    on_big_stack(|| {
        let kit = Kit::get();
        runtime().block_on(async {
            let (mut world, target) = settled(kit, Class::Keyed, SCHEDULES[0].1, 0).await;
            locked(&target).shut = true;
            let probes = week(&mut world, &target, 0).await;
            assert!(probes.iter().all(|call| call.refused), "it takes nothing");
            assert!(locked(&target).peak <= CONCURRENCY);
            for pair in probes.windows(CONCURRENCY + 1) {
                let span = pair[CONCURRENCY].at.duration_since(pair[0].at);
                assert!(span >= REST, "{} calls within {span:#}", pair.len());
            }
            for pair in probes.windows(2) {
                let span = pair[1].at.duration_since(pair[0].at);
                assert!(
                    span < REST * 2,
                    "nobody looked for {span:#} whether it takes us again"
                );
            }
            let shared = world.nodes[0].shared().unwrap();
            let pause = shared.pauses.of("keyed", world.now()).expect("the adapter rests");
            assert_eq!(pause.reason, "HTTP 403");
            let counts = shared.store.counts().await.unwrap();
            let waits = |state: &str| -> i64 {
                let rows = counts.deliveries.iter().filter(|(.., of, _)| of == state);
                rows.map(|(.., count)| *count).sum()
            };
            assert_eq!((waits("due"), waits("backing_off")), (i64::from(OLD + NEW), 0));

            locked(&target).shut = false;
            let back = world.now();
            let calls = rest(&mut world, &target).await;
            records_came_once(&calls);
            let last = calls.iter().map(|call| call.at).max().unwrap();
            assert!(last <= back + REST * 2, "no record was put off by the week");
            ends_well(world).await;
        });
    })
    .unwrap();
}
