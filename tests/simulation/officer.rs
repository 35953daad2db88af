//! An officer at a system that takes our records and reports its own: what the officer writes is no echo, and stands until
//! something newer is known, however slow that system's clock is.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::controls::Control;
use crate::kit::{Kit, runtime};
use crate::oracle::asked::Class;
use crate::oracle::books::text_of;
use crate::oracle::mishap::{Mode, Roll};
use crate::oracle::source::key;
use crate::plan::Plan;
use crate::report::{Report, finish};
use crate::seeds::sweep_with;
use crate::target::{locked, millis};
use crate::world::{Turn, World};

const DOSSIERS: u32 = 3;

/// Seeds of a sweep.
const SEEDS: u64 = 60;

/// Turns of a phase at most.
const PATIENCE: u32 = 3000;

/// The dossiers of the officer, in this order: one that nobody touches afterwards, one that goes on at the source, one
/// that the officer leaves alone.
const KEPT: u32 = 1;
const OVERTAKEN: u32 = 2;

/// What the officer writes, having seen the first version. Upper case and back it stays what it is.
const WORD: &str = "#1 bút phê";

/// So far behind is the clock of the officer's system: before the day of the source's records.
pub(crate) const BEHIND: SignedDuration = SignedDuration::from_hours(48);

/// A run: everything is made and comes to rest; the officer writes; the node dies; the source goes on.
pub(crate) fn run(seed: u64, behind: SignedDuration, control: Option<Control>) -> Report {
    let kit = Kit::get();
    let mode = Mode::Mixed { percent: 25 };
    let plan = Plan {
        control,
        held: 10,
        broker: true,
        ..Plan::still(seed, vec![(Class::Reporting, mode), (Class::Keyed, mode)])
    };
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        let target = Arc::clone(&world.targets["reporting"].1);
        locked(&target).behind = behind;
        for _ in 0..DOSSIERS {
            world.begin(0);
        }
        world.go_on(PATIENCE, |_| false).await;
        world.take(Turn::Pass(SignedDuration::from_secs(10))).await;
        let at_rest = world.go_on(PATIENCE, |_| false).await;
        let at = millis(world.now());
        let mut written = Vec::new();
        for number in [KEPT, OVERTAKEN] {
            let row = locked(&target)
                .oracle
                .rows()
                .iter()
                .find(|row| row.key == key(number))
                .cloned();
            // What the bus is about to say again would hide what the officer writes before anybody has seen it.
            let Some(row) = row.filter(|row| at_rest && row.version == 1) else {
                continue;
            };
            let mut record = row.record.clone();
            record["text"] = json!(WORD);
            record.as_object_mut().unwrap().remove("at");
            locked(&target).oracle.by_hand(at, record);
            written.push(number);
        }
        world.trace.push(format!("an officer writes on {written:?}"));
        for _ in 0..Roll::new(seed, "deaths").between(0, 2) {
            let turns = u32::try_from(world.roll.between(5, 60)).unwrap();
            world.take(Turn::Pass(SignedDuration::from_millis(400))).await;
            world.go_on(turns, |_| false).await;
            world.take(Turn::Die(0)).await;
        }
        world.take(Turn::Pass(SignedDuration::from_secs(10))).await;
        world.go_on(PATIENCE, |_| false).await;
        if behind > SignedDuration::ZERO {
            world.tell(OVERTAKEN, 0, false);
        }
        for number in written
            .iter()
            .filter(|number| behind.is_zero() || **number == KEPT)
        {
            locked(&world.ground.source).expect(*number, 1, WORD);
        }
        let mut report = finish(world).await;
        report.bites.officers = written.len() as u64;
        report
    })
}

#[test]
fn word_of_an_officer_stands_until_something_newer_is_known() {
    for behind in [SignedDuration::ZERO, BEHIND] {
        let bites = sweep_with(SEEDS, |number| run(1 + number, behind, None))
            .unwrap_or_else(|report| panic!("{report}"));
        assert!(
            bites.officers > SEEDS,
            "the officer found something to write on in most runs: {}",
            bites.officers
        );
    }
}

/// What a system with a slow clock says of when its rows changed.
pub(crate) fn set_back(body: &mut Value, behind: SignedDuration) {
    for record in body["records"].as_array_mut().into_iter().flatten() {
        if let Ok(at) = text_of(record, "at").parse::<jiff::Timestamp>() {
            record["at"] = json!(at - behind);
        }
    }
}
