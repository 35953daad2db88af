//! What a run is to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use lienthong::adapter::Adapter;

use crate::controls::Control;
use crate::gates::Gap;
use crate::kit::NODES;
use crate::matrix::STAGES;
use crate::oracle::asked::Class;
use crate::oracle::mishap::{Mode, Roll};

/// The classes of targets.
pub(crate) const CLASSES: [Class; 9] = Class::ALL;

/// What a run is to be.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Nodes, each with a store of its own. The first one hosts the source; the targets go round, beginning with the second.
    pub(crate) nodes: usize,
    pub(crate) targets: Vec<(Class, Mode)>,
    pub(crate) dossiers: u32,
    /// Versions of all dossiers together.
    pub(crate) versions: u32,
    /// How often nodes die.
    pub(crate) deaths: u32,
    /// The stage and the gap in which a node dies first, for the rare ones to have their turn.
    pub(crate) aim: Option<(&'static str, Gap)>,
    /// How often clocks are turned.
    pub(crate) turned: u32,
    /// How often a target goes away or comes back.
    pub(crate) outages: u32,
    /// Of a hundred passes through a gap, how many hold.
    pub(crate) held: u8,
    /// Whether some versions are such that no target will ever take them.
    pub(crate) bad: bool,
    /// Whether the broker makes mistakes.
    pub(crate) broker: bool,
    pub(crate) control: Option<Control>,
    /// Adapters in place of those of the kit, by the system's name.
    pub(crate) adapters: BTreeMap<String, Arc<Adapter>>,
}

impl Plan {
    /// A run in which nothing happens by itself and nothing goes wrong.
    pub(crate) fn still(seed: u64, targets: Vec<(Class, Mode)>) -> Self {
        Self {
            seed,
            nodes: 1,
            targets,
            dossiers: 0,
            versions: 0,
            deaths: 0,
            aim: None,
            turned: 0,
            outages: 0,
            held: 0,
            bad: false,
            broker: false,
            control: None,
            adapters: BTreeMap::new(),
        }
    }

    /// The run that belongs to a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut roll = Roll::new(seed, "plan");
        let mut targets: Vec<(Class, Mode)> = Vec::new();
        for _ in 0..roll.between(1, 2) {
            let class = *roll.among(&CLASSES);
            let percent = *roll.among(&[10, 25, 50]);
            let mode = match roll.between(0, 9) {
                0 | 1 => Mode::Strict { percent },
                2 => Mode::Busy { percent },
                _ => Mode::Mixed { percent },
            };
            if targets.iter().all(|(other, _)| *other != class) {
                targets.push((class, mode));
            }
        }
        let mut gaps = STAGES
            .iter()
            .flat_map(|(stage, gaps)| gaps.iter().map(|gap| (*stage, *gap)));
        let aim = usize::try_from(seed / 2).unwrap_or(0) % gaps.clone().count();
        let aim = gaps.nth(aim).filter(|_| seed.is_multiple_of(2));
        let mut up_to = |most: u64| u32::try_from(roll.between(0, most)).unwrap_or(0);
        let dossiers = 1 + up_to(3);
        // Now and then a long story: a version and an entry of it are due at once.
        let most = if up_to(3) == 0 { 16 } else { 5 };
        Self {
            dossiers,
            versions: dossiers + up_to(most),
            deaths: up_to(3) + u32::from(aim.is_some()),
            aim,
            turned: up_to(6).saturating_sub(4),
            outages: up_to(4),
            held: *roll.among(&[3, 10, 30, 60]),
            bad: roll.of_hundred() < 30,
            broker: roll.of_hundred() < 70,
            nodes: if roll.of_hundred() < 30 { NODES } else { 1 },
            ..Self::still(seed, targets)
        }
    }
}
