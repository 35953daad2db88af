//! Runs by the number: each seed is a province of its own, a weather of its own and an order of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lienthong::jq::on_big_stack;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::matrix::STAGES;
use crate::oracle::mishap::Mishap;
use crate::plan::Plan;
use crate::report::{Bites, Report, run};

/// Seeds unless the environment says otherwise.
const SEEDS: u64 = 200;

/// From so many on, the rarest fault is to bite too.
const MANY: u64 = 1000;

/// Where `SIMULATION_SECONDS` cuts a longer sweep short, so many are enough.
const LEAST: u64 = 2500;

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is to be a whole number, not {text:?}")),
    )
}

/// Runs these plans on all cores.
pub(crate) fn sweep(count: u64, plan: impl Fn(u64) -> Plan + Sync) -> Result<Bites, Report> {
    sweep_with(count, |number| run(plan(number)))
}

/// Makes these runs on all cores. The first one with a violation ends it.
pub(crate) fn sweep_with(count: u64, run: impl Fn(u64) -> Report + Sync) -> Result<Bites, Report> {
    sweep_until(None, count, run)
}

/// The same; none begins after the `end`.
fn sweep_until(
    end: Option<Instant>,
    count: u64,
    run: impl Fn(u64) -> Report + Sync,
) -> Result<Bites, Report> {
    let next = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let outcome = Mutex::new((Bites::default(), None::<(u64, Report)>));
    let work = &|| {
        while !over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || end.is_some_and(|end| Instant::now() >= end) {
                return;
            }
            let report = run(number);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.0.add(&report.bites);
            if !report.violations.is_empty() && outcome.1.as_ref().is_none_or(|(first, _)| number < *first) {
                over.store(true, Ordering::Relaxed);
                outcome.1 = Some((number, report));
            }
        }
    };
    thread::scope(|scope| {
        for core in cores() {
            scope.spawn(move || {
                stay_on(core);
                on_big_stack(work).expect("a thread with a big stack");
            });
        }
    });
    let (bites, failed) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failed {
        Some((_, report)) => Err(report),
        None => Ok(bites),
    }
}

/// The cores that this process may use.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("Linux says which cores a process may use");
    (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect()
}

/// A run goes back and forth between its thread and that of its SQLite connection, one at a time: on two cores that costs
/// half as much again. Threads that are made from here on stay there too.
fn stay_on(core: usize) {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).expect("a core that the process may use");
}

#[test]
fn nothing_is_lost_doubled_or_stale_in_any_order() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let report = on_big_stack(|| run(Plan::of(seed))).unwrap();
        eprintln!("{report}");
        assert!(
            report.violations.is_empty(),
            "seed {seed}: {:#?}",
            report.violations
        );
        return;
    }
    let first = number("SIMULATION_FIRST").unwrap_or(1);
    let count = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let end = number("SIMULATION_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let swept = sweep_until(end, count, |number| run(Plan::of(first + number)));
    let bites = swept.unwrap_or_else(|report| {
        let seed = report.plan.seed;
        panic!("{report}again alone: SIMULATION_SEED={seed} cargo test --test simulation nothing_is_lost -- --nocapture");
    });
    eprintln!("{bites}");
    assert!(
        bites.runs >= count.min(LEAST),
        "{} of {count} seeds in the time that there was",
        bites.runs
    );
    // A few runs may miss a fault; many may not.
    if count >= SEEDS {
        let mut silent = silent(&bites);
        silent.extend(silent_mishaps(&bites));
        // Entries rarely come in disorder; the matrix wants this one as well.
        let rare = Mishap::RefusesDisorder.to_string();
        silent.retain(|fault| count >= MANY || *fault != rare);
        assert!(
            silent.is_empty(),
            "the runs prove nothing: these never bit: {silent:?}"
        );
    }
}

/// The mishaps at targets that are to bite and did not.
pub(crate) fn silent_mishaps(bites: &Bites) -> Vec<String> {
    // The one is beyond every promise, the other is found by reconciling only.
    let due = Mishap::ALL
        .into_iter()
        .filter(|mishap| !matches!(mishap, Mishap::LateBeyondSettle | Mishap::Restored));
    let silent = due.filter(|mishap| !bites.mishaps.contains_key(mishap));
    silent.map(|mishap| mishap.to_string()).collect()
}

/// The other faults that are to bite and did not.
fn silent(bites: &Bites) -> Vec<String> {
    let mut counted = vec![
        ("redelivery".to_owned(), bites.redelivered),
        ("lost confirm".to_owned(), bites.unconfirmed),
        ("answer that never came".to_owned(), bites.unanswered),
        ("doubt".to_owned(), bites.doubts),
        ("record told again".to_owned(), bites.repeated),
        ("second node".to_owned(), bites.shared),
        ("turned clock".to_owned(), bites.turned),
        ("machine started anew".to_owned(), bites.reboots),
        ("target away".to_owned(), bites.outages),
        ("version that no target takes".to_owned(), bites.unacceptable),
    ];
    for (stage, gaps) in STAGES {
        counted.extend(gaps.iter().map(|gap| {
            let times = bites.deaths.get(&(stage.to_owned(), *gap)).copied().unwrap_or(0);
            (format!("death in {stage} at {gap:?}"), times)
        }));
    }
    let silent = counted.into_iter().filter(|(_, times)| *times == 0);
    silent.map(|(fault, _)| fault).collect()
}

#[test]
fn same_seed_gives_the_same_run() {
    let trace = || on_big_stack(|| run(Plan::of(7)).trace).unwrap();
    let first = trace();
    assert!(first.len() > 50, "a run that does something");
    assert_eq!(first, trace());
}
