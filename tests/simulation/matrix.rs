//! The matrix: a node dies once at every gap of every stage, at every class of target, in every weather, while dossiers
//! are made and while they are changed, and a newer version comes right after.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::gates::Gap;
use crate::kit::{Kit, name_of, runtime};
use crate::node::START;
use crate::oracle::asked::Class;
use crate::oracle::mishap::{Mishap, Mode, Roll};
use crate::plan::{CLASSES, Plan};
use crate::report::{Bites, Report, finish};
use crate::seeds::{number, silent_mishaps, sweep_with};
use crate::world::{Turn, World};

/// Runs until the stage dies where it is to die, in the weather that it is to meet.
const TRIES: u64 = 12;

/// Turns until the step is at its gap, and turns of bad weather after the death.
const PATIENCE: u32 = 600;

/// Of a hundred requests, how many meet a mishap.
const PERCENT: u8 = 60;

/// Weathers: none; one mishap; several. The one mishap that is beyond every promise is a matter of the controls, and what
/// a restored target lacks is found by reconciling only.
fn weathers() -> Vec<Mode> {
    let percent = PERCENT;
    let mishaps = [
        Mishap::CommitThenDrop,
        Mishap::CommitThen500,
        Mishap::Error500,
        Mishap::LateCommit,
        Mishap::TooMany,
        Mishap::ErrorIn200,
        Mishap::ResetInBody,
        Mishap::SearchLag,
        Mishap::Lossy,
    ];
    let mut weathers = vec![
        Mode::Sound,
        Mode::Busy { percent },
        Mode::Strict { percent },
        Mode::Mixed { percent },
    ];
    weathers.extend(mishaps.map(|mishap| Mode::Only { mishap, percent }));
    weathers
}

/// The gaps that each stage passes.
pub(crate) const STAGES: [(&str, &[Gap]); 5] = [
    (
        "start",
        &[Gap::Read, Gap::Begin, Gap::Statement, Gap::Commit, Gap::Committed],
    ),
    (
        "ingest",
        &[Gap::Begin, Gap::Statement, Gap::Commit, Gap::Committed],
    ),
    (
        "publish",
        &[
            Gap::Read,
            Gap::Publish,
            Gap::Published,
            Gap::Begin,
            Gap::Statement,
            Gap::Commit,
            Gap::Committed,
        ],
    ),
    (
        "subscribe",
        &[
            Gap::Received,
            Gap::Begin,
            Gap::Statement,
            Gap::Commit,
            Gap::Committed,
            Gap::Acknowledge,
            Gap::Acknowledged,
        ],
    ),
    (
        "deliver",
        &[
            Gap::Read,
            Gap::Begin,
            Gap::Statement,
            Gap::Commit,
            Gap::Committed,
            Gap::Send,
            Gap::Sent,
            Gap::Answered,
        ],
    ),
];

/// What the stage is busy with when the node dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The target has none of the dossiers.
    Create,
    /// The target has them in their first version.
    Update,
}

/// A cell.
#[derive(Debug, Clone, Copy)]
struct Cell {
    stage: &'static str,
    gap: Gap,
    phase: Phase,
    class: Class,
    mode: Mode,
}

/// All of them; with `few`, each death at each class once, in one phase and one weather, all of these in turn.
fn cells(few: bool) -> Vec<Cell> {
    let weathers = weathers();
    let phases = [Phase::Create, Phase::Update];
    let deaths = STAGES
        .iter()
        .flat_map(|(stage, gaps)| gaps.iter().map(move |gap| (*stage, *gap)));
    let mut cells = Vec::new();
    for (turn, (stage, gap)) in deaths.enumerate() {
        for (place, class) in CLASSES.into_iter().enumerate() {
            let all = phases
                .iter()
                .flat_map(|phase| weathers.iter().map(move |mode| (*phase, *mode)));
            // A step that has no divisor in common with the number of them visits all of them in turn.
            let chosen = few.then(|| (turn * CLASSES.len() + place) * 5 % all.clone().count());
            let some = all
                .enumerate()
                .filter(|(index, _)| chosen.is_none_or(|chosen| chosen == *index));
            cells.extend(some.map(|(_, (phase, mode))| Cell {
                stage,
                gap,
                phase,
                class,
                mode,
            }));
        }
    }
    cells
}

impl Cell {
    /// Whether the weather came: otherwise the run says nothing of it.
    fn bit(&self, bites: &Bites) -> bool {
        self.mode == Mode::Sound || self.mode.bites(&bites.mishaps) > 0
    }
}

/// Runs a cell with the stage stopped when it passes the gap for the `nth` time; whether it came to that.
fn run(cell: Cell, seed: u64, nth: u32) -> (bool, Report) {
    let kit = Kit::get();
    let plan = Plan::still(seed, vec![(cell.class, cell.mode)]);
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        world.go_on(PATIENCE, |world| !world.nodes[0].is_starting()).await;
        for _ in 0..2 {
            world.begin(2);
        }
        if cell.phase == Phase::Update {
            world.go_on(PATIENCE, |_| false).await;
            for dossier in 1..=2 {
                world.tell(dossier, 1, false);
            }
        }
        let name = name_of(cell.class);
        let slot = match cell.stage {
            "start" => START,
            stage => world.slot_of(stage, &name),
        };
        let task = world.nodes[0].task(slot);
        world.ground.gates.want(task, cell.gap, nth);
        if slot == START {
            world.take(Turn::Die(0)).await;
        }
        world
            .go_on(PATIENCE, |world| world.ground.gates.is_caught())
            .await;
        let caught = world.ground.gates.is_caught();
        world.tell(1, 1, false);
        world.take(Turn::Die(0)).await;
        world.go_on(PATIENCE, |_| false).await;
        (caught, finish(world).await)
    })
}

#[test]
fn death_at_every_gap_of_every_class_in_every_weather() {
    let all = std::env::var("SIMULATION_MATRIX").is_ok_and(|cells| cells == "all");
    let cells = cells(!all);
    let visited = Mutex::new(BTreeMap::<usize, bool>::new());
    let outcome = sweep_with(cells.len() as u64, |index| {
        let place = usize::try_from(index).unwrap();
        let cell = cells[place];
        // In some runs the stage never passes the gap so often, or no more in this phase: then it dies at another time. In
        // some the chance spares every request.
        let (mut caught, mut report) = (false, None);
        for attempt in 0..TRIES {
            let seed = number("SIMULATION_FIRST").unwrap_or(1) + index + attempt * cells.len() as u64;
            let nth = if attempt == 0 {
                Roll::new(seed, "nth").between(1, 4)
            } else {
                1
            };
            let (died, ran) = run(cell, seed, u32::try_from(nth).unwrap());
            let met = died && cell.bit(&ran.bites);
            let is_enough = met || !ran.violations.is_empty();
            (caught, report) = (met, Some(ran));
            if is_enough {
                break;
            }
        }
        let mut report = report.unwrap();
        visited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place, caught);
        report.trace.insert(0, format!("{cell:?}"));
        report
    });
    let bites: Bites = outcome.unwrap_or_else(|report| panic!("{report}"));
    eprintln!("{} cells\n{bites}", cells.len());
    let visited = visited.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missed = cells.iter().enumerate().filter(|(place, _)| !visited[place]);
    let missed: Vec<&Cell> = missed.map(|(_, cell)| cell).collect();
    assert!(
        missed.is_empty(),
        "nobody died there in that weather: {missed:#?}"
    );
    let silent = silent_mishaps(&bites);
    assert!(silent.is_empty(), "these never bit: {silent:?}");
    for class in ["append", "batch", "steps-blind"] {
        assert!(
            bites.parked.contains_key(&format!("{class} in-doubt-no-find")),
            "{class}: what nobody can ask for is left to a person: {:?}",
            bites.parked
        );
    }
}
