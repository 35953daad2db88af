//! A target that was away for a week is not met by a herd when it is back: each record gets its latest state, once.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use lienthong::jq::on_big_stack;

use crate::kit::{Kit, runtime};
use crate::oracle::asked::Class;
use crate::oracle::mishap::Mode;
use crate::oracle::source::key;
use crate::plan::Plan;
use crate::report::finish;
use crate::target::{Call, locked};
use crate::world::{Turn, World};

/// Dossiers that the target has before it goes away, and dossiers that come while it is away.
const OLD: u32 = 10;
const NEW: u32 = 20;

/// Versions that come while it is away, one a day.
const DAYS: u32 = 7;

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

#[test]
fn target_that_was_away_for_a_week_gets_the_latest_state_of_each_record_once() {
    for (max, retry) in SCHEDULES {
        on_big_stack(move || week(max, retry)).unwrap();
    }
}

fn week(max: Duration, retry: &'static str) {
    let kit = Kit::get();
    let adapter = kit.changed("keyed", |text| manifest(text, retry));
    assert_eq!(adapter.connection.concurrency, CONCURRENCY);
    let plan = Plan {
        adapters: BTreeMap::from([("keyed".to_owned(), adapter)]),
        ..Plan::still(1, vec![(Class::Keyed, Mode::Sound)])
    };
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        for _ in 0..OLD {
            world.begin(0);
        }
        assert!(world.quiet().await);
        let target = std::sync::Arc::clone(&world.targets["keyed"].1);
        let before = locked(&target).calls.len();

        world.take(Turn::Switch("keyed".to_owned())).await;
        for _ in 0..NEW {
            world.begin(0);
        }
        for _ in 0..DAYS {
            for number in 1..=OLD + NEW {
                world.tell(number, 0, false);
            }
            world.days(1).await;
        }
        let away: Vec<Call> = locked(&target).calls.split_off(before);
        assert!(away.iter().all(|call| call.refused), "nobody answers");
        let week = Duration::from_hours(u64::from(DAYS) * 24);
        for number in 1..=OLD + NEW {
            let tries = about(&away, number).len();
            assert!(
                (at_least(week, max)..=at_most(week, max)).contains(&tries),
                "dossier {number} was tried {tries} times in a week, expected {} to {}",
                at_least(week, max),
                at_most(week, max)
            );
        }

        world.take(Turn::Switch("keyed".to_owned())).await;
        let back = world.now();
        locked(&target).calls.clear();
        locked(&target).peak = 0;
        assert!(world.quiet().await);
        let calls = locked(&target).calls.clone();
        for number in 1..=OLD + NEW {
            let said: Vec<String> = about(&calls, number)
                .iter()
                .map(|call| call.method.clone())
                .collect();
            // A look-up whose answer never came is asked again; what was known to be there is not looked for.
            let expected: &[&str] = if number <= OLD {
                &["PATCH"]
            } else {
                &["GET", "POST"]
            };
            assert_eq!(said, expected, "dossier {number}");
        }
        let peak = locked(&target).peak;
        assert!(peak <= CONCURRENCY, "{peak} calls at once");
        // They come as their schedules have it, spread over the longest delay, and not all at once.
        let soon = back + SignedDuration::try_from(max / 6).unwrap();
        let at_first = calls.iter().filter(|call| call.at < soon).count();
        assert!(
            at_first < calls.len() / 2,
            "{at_first} of {} calls in a sixth of the longest delay",
            calls.len()
        );
        let last = calls.iter().map(|call| call.at).max().unwrap();
        assert!(last <= back + SignedDuration::try_from(max * 3 / 2).unwrap() + SignedDuration::from_mins(1));

        let report = finish(world).await;
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    });
}
