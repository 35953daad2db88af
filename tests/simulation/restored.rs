//! A target that comes back from its backup, at any moment: it lacks what was done since. Whatever is said of a dossier after
//! that brings it all again; what nobody speaks of any more is for a reconciliation to find, and entries that were only added
//! stay away.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::kit::{Kit, name_of, runtime};
use crate::oracle::asked::Class;
use crate::oracle::mishap::{Mishap, Mode};
use crate::plan::Plan;
use crate::report::{Report, finish};
use crate::seeds::sweep_with;
use crate::target::{locked, millis};
use crate::world::{Turn, World};

const DOSSIERS: u32 = 3;

/// Seeds for each class.
const SEEDS: u64 = 40;

/// Classes whose records are whole with each call, so that the next one brings back what is gone.
const WHOLE: [Class; 4] = [Class::Keyed, Class::Put, Class::Refusing, Class::Reporting];

fn run(seed: u64, class: Class) -> Report {
    let kit = Kit::get();
    let plan = Plan {
        held: 10,
        broker: true,
        ..Plan::still(seed, vec![(class, Mode::Mixed { percent: 25 })])
    };
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        let target = Arc::clone(&world.targets[&name_of(class)].1);
        for _ in 0..DOSSIERS {
            world.begin(0);
        }
        let some = |world: &mut World| u32::try_from(world.roll.between(20, 200)).unwrap();
        let turns = some(&mut world);
        world.go_on(turns, |_| false).await;
        world.tell(1, 0, false);
        world.take(Turn::Pass(SignedDuration::from_millis(300))).await;
        let turns = some(&mut world);
        world.go_on(turns, |_| false).await;
        let back_ms = world.roll.between(1, 2000);
        locked(&target).oracle.restore(millis(world.now()), back_ms);
        world.trace.push(format!("{back_ms} ms are gone from the target"));
        if world.roll.of_hundred() < 50 {
            world.take(Turn::Die(0)).await;
        }
        let turns = some(&mut world) / 4;
        world.go_on(turns, |_| false).await;
        for number in 1..=DOSSIERS {
            world.tell(number, 0, false);
        }
        finish(world).await
    })
}

#[test]
fn target_that_was_restored_has_again_what_is_said_after_that() {
    for class in WHOLE {
        let bites =
            sweep_with(SEEDS, |number| run(1 + number, class)).unwrap_or_else(|report| panic!("{report}"));
        let restored = bites.mishaps.get(&Mishap::Restored).copied().unwrap_or(0);
        eprintln!("{class:?}: {restored} of {SEEDS} restores undid something");
        assert!(
            restored > SEEDS / 2,
            "{class:?}: {restored} restores undid something"
        );
    }
}
