//! Negative controls: each takes one safeguard away, in the doubles only, and the judge must notice. A judge that says
//! nothing then would say nothing of a real fault either.

use lienthong::jq::on_big_stack;

use crate::officer;
use crate::oracle::asked::Class;
use crate::oracle::mishap::{Mishap, Mode};
use crate::plan::Plan;
use crate::report::run;
use crate::seeds::{sweep, sweep_with};

/// A safeguard that is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Control {
    /// Intents are said to be written and are not.
    NoIntent,
    /// An unclear end is believed to be over at once.
    NoSettle,
    /// Nothing is known of what a system holds.
    NoShadow,
    /// Nothing is known of what a system was given.
    NoStamp,
    /// Rows of a dossier are given out while another call about it may still take effect.
    NoLock,
    /// What took effect is soon forgotten, and made again.
    NoMemory,
}

/// Commits come when nobody waits for them any more.
const LATE: Mode = Mode::Only {
    mishap: Mishap::LateCommit,
    percent: 50,
};

/// Seeds within which a control must be noticed.
const WITHIN: u64 = 150;

/// Runs a control until the judge says something; the invariants that it names.
fn noticed(control: Control, class: Class, mode: Mode) -> Vec<String> {
    noticed_in(control, |number| Plan {
        targets: vec![(class, mode)],
        deaths: 3,
        bad: false,
        ..Plan::of(1 + number)
    })
}

fn noticed_in(control: Control, plan: impl Fn(u64) -> Plan + Sync) -> Vec<String> {
    let plan = |number| Plan {
        control: Some(control),
        ..plan(number)
    };
    let report = sweep(WITHIN, plan).err();
    let report = report.unwrap_or_else(|| panic!("{control:?}: nobody noticed within {WITHIN} seeds"));
    eprintln!(
        "{control:?}: noticed with seed {}: {:#?}",
        report.plan.seed, report.violations
    );
    let twin = Plan {
        control: None,
        ..report.plan.clone()
    };
    let twin = on_big_stack(|| run(twin)).unwrap();
    assert!(
        twin.violations.is_empty(),
        "{control:?}: the same run with the safeguard fails too: {twin}"
    );
    report.violations
}

fn names(violations: &[String], invariant: &str) -> bool {
    violations.iter().any(|violation| violation.contains(invariant))
}

#[test]
fn intent_that_is_not_written_doubles() {
    let violations = noticed(Control::NoIntent, Class::Keyed, Mode::Mixed { percent: 25 });
    assert!(
        names(&violations, "I2 doubled") || names(&violations, "I4 overlap"),
        "{violations:#?}"
    );
}

#[test]
fn doubt_that_is_not_waited_out_doubles_or_goes_back() {
    let violations = noticed(Control::NoSettle, Class::Keyed, LATE);
    assert!(
        names(&violations, "I2 doubled") || names(&violations, "I3 stale"),
        "{violations:#?}"
    );
}

#[test]
fn echo_that_nobody_knows_wears_the_original_away() {
    let violations = noticed(Control::NoShadow, Class::Reporting, Mode::Mixed { percent: 10 });
    assert!(
        names(&violations, "I5 ledger") || names(&violations, "I9 echo"),
        "{violations:#?}"
    );
}

#[test]
fn record_that_is_sent_again_and_again_unchanged_breaks_the_silence() {
    let violations = noticed_in(Control::NoMemory, |number| Plan {
        targets: vec![(Class::Put, Mode::Sound)],
        dossiers: 1,
        versions: 1,
        deaths: 0,
        bad: false,
        ..Plan::of(1 + number)
    });
    assert!(names(&violations, "I9 echo"), "{violations:#?}");
}

#[test]
fn officer_with_a_slow_clock_is_not_heard_without_stamps() {
    let run = |number| officer::run(1 + number, officer::BEHIND, Some(Control::NoStamp));
    let report = sweep_with(WITHIN, run).expect_err("somebody notices within these seeds");
    eprintln!(
        "NoStamp: noticed with seed {}: {:#?}",
        report.plan.seed, report.violations
    );
    let seed = report.plan.seed;
    let twin = on_big_stack(|| officer::run(seed, officer::BEHIND, None)).unwrap();
    assert!(
        twin.violations.is_empty(),
        "the same with stamps fails too: {twin}"
    );
    assert!(names(&report.violations, "I5 ledger"), "{:#?}", report.violations);
}

#[test]
fn dossier_without_its_lock_is_spoken_of_twice_at_once() {
    // One dossier that goes on and on: a version and an entry of it are often due at once.
    let violations = noticed_in(Control::NoLock, |number| Plan {
        targets: vec![(Class::AppendShown, LATE)],
        dossiers: 1,
        versions: 12,
        bad: false,
        ..Plan::of(1 + number)
    });
    assert!(names(&violations, "I4 overlap"), "{violations:#?}");
}
