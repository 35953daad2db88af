//! Runs that failed once. Each is kept as its whole story and not as a seed alone, so that it stays the same when plans are
//! drawn otherwise; and with its neighbours, since any new gap makes another run of the same seed. What made it fail must
//! be seen to happen in some of them.

use jiff::SignedDuration;

use crate::gates::Gap;
use crate::kit::{Kit, runtime};
use crate::oracle::asked::Class;
use crate::oracle::mishap::Mode;
use crate::plan::Plan;
use crate::report::{Bites, Report, finish};
use crate::seeds::{sweep, sweep_with};
use crate::world::{Turn, World};

/// Runs of a story, of its own seed and those that follow.
const NEIGHBOURS: u64 = 20;

fn around(plan: &Plan) -> Bites {
    let bites = sweep(NEIGHBOURS, |number| Plan {
        seed: plan.seed + number,
        ..plan.clone()
    });
    let bites = bites.unwrap_or_else(|report| panic!("{report}"));
    let (stage, gap) = plan.aim.expect("a story with a death");
    let died = bites.deaths.get(&(stage.to_owned(), gap)).copied().unwrap_or(0);
    assert!(died > 0, "void: nobody died in {stage} at {gap:?}");
    bites
}

/// Found as a step that was parked by a look-up from before, whose outcome was kept after the effect had to show.
#[test]
fn step_is_not_given_up_by_a_look_up_that_was_asked_before_its_effect_had_to_show() {
    let plan = Plan {
        dossiers: 2,
        versions: 4,
        deaths: 1,
        aim: Some(("deliver", Gap::Begin)),
        turned: 2,
        outages: 4,
        held: 10,
        broker: true,
        ..Plan::still(48, vec![(Class::Steps, Mode::Mixed { percent: 50 })])
    };
    let bites = around(&plan);
    assert!(bites.doubts > 0 && bites.turned > 0, "void: {bites}");
}

/// Found as an entry that went out after those that follow it: rows of entries kept the place that they had when they were
/// made, though one had come late that belongs before them.
#[test]
fn entry_that_was_there_first_waits_for_one_that_came_late_and_belongs_before_it() {
    let mode = Mode::Mixed { percent: 25 };
    let plan = Plan {
        dossiers: 1,
        versions: 6,
        deaths: 1,
        aim: Some(("subscribe", Gap::Committed)),
        outages: 4,
        held: 3,
        broker: true,
        ..Plan::still(5496, vec![(Class::Refusing, mode), (Class::Batch, mode)])
    };
    let bites = around(&plan);
    assert!(bites.redelivered > 0 && bites.outages > 0, "void: {bites}");
}

/// A clock that is set back while a target has a newer text under way, and its report of the older one is still kept.
fn set_back_under_an_update(seed: u64) -> Report {
    let mode = Mode::Mixed { percent: 50 };
    let plan = Plan {
        dossiers: 1,
        held: 30,
        broker: true,
        ..Plan::still(seed, vec![(Class::Reporting, mode)])
    };
    let kit = Kit::get();
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        let number = world.begin(0);
        let turns = u32::try_from(world.roll.between(20, 120)).unwrap();
        world.go_on(turns, |_| false).await;
        world.tell(number, 0, false);
        let turns = u32::try_from(world.roll.between(1, 60)).unwrap();
        world.go_on(turns, |_| false).await;
        world
            .take(Turn::SetClock(0, SignedDuration::from_hours(-2)))
            .await;
        world.go_on(200, |_| false).await;
        finish(world).await
    })
}

/// Found as an official's word that nobody had written: the end of what a system had was noted by the turned clock, two
/// hours before that system said that it had it.
#[test]
fn late_report_of_an_older_value_is_no_word_of_an_official_when_the_clock_was_set_back() {
    sweep_with(60, |number| set_back_under_an_update(1 + number)).unwrap_or_else(|report| panic!("{report}"));
}
