//! A target that comes back from its backup, at any moment: it lacks what was done since. Whatever is said of a dossier after
//! that brings it all again where a record goes whole with each call. What does not come again the judge names: exactly what
//! the restore took, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;

use crate::kit::{Kit, name_of, runtime};
use crate::oracle::asked::Class;
use crate::oracle::books::{Act, Effect};
use crate::oracle::judge::{Claim, Stand, Violation};
use crate::oracle::mishap::{Mishap, Mode};
use crate::oracle::model::Oracle;
use crate::plan::Plan;
use crate::report::{Report, finish, without_need};
use crate::seeds::sweep_with;
use crate::target::{SharedTarget, locked, millis};
use crate::world::{Turn, World};

const DOSSIERS: u32 = 3;

/// Items that each dossier begins with.
const ITEMS: i64 = 2;

/// Seeds for each class.
const SEEDS: u64 = 40;

/// Classes whose records are whole with each call, so that the next one brings back what is gone.
const WHOLE: [Class; 4] = [Class::Keyed, Class::Put, Class::Refusing, Class::Reporting];

/// Their records are, and entries are only added: those that are gone stay away.
const ENTRIES: [Class; 3] = [Class::Append, Class::AppendShown, Class::Batch];

/// After so long without success a person is asked, in place of after a week.
const GIVE_UP: &str = "30s";

fn run(seed: u64, class: Class) -> (Report, SharedTarget) {
    let kit = Kit::get();
    let name = name_of(class);
    let hasty = kit.changed(&name, |text| {
        let long = "give_up = \"7d\"";
        assert!(text.contains(long), "the manifest has {long}");
        text.replace(long, &format!("give_up = \"{GIVE_UP}\""))
    });
    let plan = Plan {
        held: 10,
        broker: true,
        adapters: [(name.clone(), hasty)].into(),
        ..Plan::still(seed, vec![(class, Mode::Mixed { percent: 25 })])
    };
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        let target = Arc::clone(&world.targets[&name].1);
        for _ in 0..DOSSIERS {
            world.begin(ITEMS);
        }
        let some = |world: &mut World| u32::try_from(world.roll.between(20, 200)).unwrap();
        let turns = some(&mut world);
        world.go_on(turns, |_| false).await;
        world.tell(1, 1, false);
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
            world.tell(number, 1, false);
        }
        let report = finish(world).await;
        (report, target)
    })
}

/// What the judge is to name: what the restore took and nothing brings again. In the second place steps that were taken once
/// more, from where the backup stands: to the judge, who has seen the first time, they come out of order.
fn to_be_named(
    class: Class,
    name: &str,
    oracle: &Oracle,
    claims: &[Claim],
) -> (BTreeSet<String>, BTreeSet<String>) {
    let line = |violation: Violation| format!("{name}: {violation}");
    let taken = |key: &str, act: Act, version: Option<i64>| {
        let mut effects = oracle.effects().iter();
        let is_it = |effect: &Effect| {
            effect.key == key && effect.act == act && version.is_none_or(|version| effect.version == version)
        };
        effects.any(|effect| effect.undone && is_it(effect)) && {
            let mut effects = oracle.effects().iter();
            !effects.any(|effect| !effect.undone && is_it(effect))
        }
    };
    let has_row = |key: &str| oracle.rows().iter().any(|row| row.key == key);
    let mut named = BTreeSet::new();
    for claim in claims {
        let key = claim.key.as_str();
        let cause = match &claim.stand {
            Stand::Parked(cause) => cause.as_str(),
            _ => "",
        };
        match (class, claim.item) {
            _ if WHOLE.contains(&class) => {}
            (Class::Steps, None) => {
                let lacks_row = cause == "gave-up" && taken(key, Act::Created, None) && !has_row(key);
                // It had said that the step took effect.
                let lacks_step = cause == "step-without-effect" && steps(oracle, key).any(|step| step.undone);
                if lacks_row || lacks_step {
                    named.insert(without_need(name, claim));
                }
            }
            (Class::StepsBlind, None) => {
                let lacks_step = steps(oracle, key).any(|step| taken(key, Act::Stepped, Some(step.version)));
                if cause == "refused-by-target" && (lacks_step || taken(key, Act::Created, None)) {
                    named.insert(without_need(name, claim));
                }
            }
            (_, Some(place)) if ENTRIES.contains(&class) => {
                let what = format!("item {place} of {key}");
                if claim.stand == Stand::Applied && taken(key, Act::Appended, Some(place)) {
                    named.insert(line(Violation::Lost {
                        what: what.clone(),
                        ledger: "applied".to_owned(),
                    }));
                    named.insert(line(Violation::Differs {
                        what,
                        fields: vec!["all".to_owned()],
                    }));
                }
                // A strict system takes none after one that it lacks.
                let follows = (1..place).any(|before| taken(key, Act::Appended, Some(before)));
                if class == Class::AppendShown && cause == "refused-by-target" && follows {
                    named.insert(without_need(name, claim));
                }
            }
            _ => {}
        }
    }
    let mut again = BTreeSet::new();
    for key in claims.iter().map(|claim| &claim.key) {
        let (mut last, mut kept): (Option<i64>, Option<i64>) = (None, None);
        for step in steps(oracle, key) {
            let follows_backup = kept.map_or(step.version == 1, |kept| step.version == kept + 1);
            if let Some(after) = last.filter(|last| step.version != last + 1)
                && follows_backup
            {
                again.insert(line(Violation::Disorder {
                    what: key.clone(),
                    place: step.version,
                    after,
                }));
            }
            last = Some(step.version);
            kept = if step.undone { kept } else { last };
        }
    }
    (named, again)
}

/// The steps that a dossier was taken, those too that the restore has undone.
fn steps<'a>(oracle: &'a Oracle, key: &'a str) -> impl Iterator<Item = &'a Effect> {
    let effects = oracle.effects().iter();
    effects.filter(move |effect| effect.key == key && effect.act == Act::Stepped)
}

/// Runs a seed; what it violates is what the judge says beyond what it is to name, and what it does not name.
fn judged(seed: u64, class: Class, counts: &Counts) -> Report {
    let (mut report, target) = run(seed, class);
    let name = name_of(class);
    let (named, again) = to_be_named(class, &name, &locked(&target).oracle, &report.claims[&name]);
    counts.named.fetch_add(named.len() as u64, Ordering::Relaxed);
    counts.again.fetch_add(again.len() as u64, Ordering::Relaxed);
    let expected: BTreeSet<String> = named.into_iter().chain(again).collect();
    let said: BTreeSet<String> = report.violations.iter().cloned().collect();
    let unnamed = expected
        .difference(&said)
        .map(|line| format!("not named: {line}"));
    report
        .violations
        .retain(|violation| !expected.contains(violation));
    report.violations.extend(unnamed);
    report
}

/// Over all seeds of a class.
#[derive(Default)]
struct Counts {
    named: AtomicU64,
    again: AtomicU64,
}

fn sweep(class: Class) -> (u64, u64) {
    let counts = Counts::default();
    let bites = sweep_with(SEEDS, |number| judged(1 + number, class, &counts))
        .unwrap_or_else(|report| panic!("{report}"));
    let restored = bites.mishaps.get(&Mishap::Restored).copied().unwrap_or(0);
    let (named, again) = (counts.named.into_inner(), counts.again.into_inner());
    eprintln!(
        "{class:?}: {restored} of {SEEDS} restores undid something, {named} lines of the judge about what is gone, {again} steps taken again"
    );
    assert!(
        restored > SEEDS / 2,
        "{class:?}: {restored} restores undid something"
    );
    (named, again)
}

#[test]
fn target_that_was_restored_has_again_what_is_said_after_that() {
    for class in WHOLE {
        assert_eq!(sweep(class), (0, 0), "{class:?}");
    }
}

#[test]
fn entries_that_a_restore_took_are_named_one_by_one_and_nothing_else_is_lost_or_doubled() {
    for class in ENTRIES {
        let (named, again) = sweep(class);
        assert!(named > 0 && again == 0, "void: {class:?}");
    }
}

/// A target that can be asked is led on from where its backup stands; what it does not know at all, or cannot be asked about,
/// is left to a person.
#[test]
fn steps_that_a_restore_took_are_taken_again_or_left_to_a_person() {
    let (named, again) = sweep(Class::Steps);
    assert!(named > 0 && again > 0, "void");
    let (named, again) = sweep(Class::StepsBlind);
    assert!(named > 0 && again == 0, "void");
}
