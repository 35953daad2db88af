//! The matrix: kill point × class of operation × trouble at the target × blow × trouble on the way, pair by pair.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::{StreamExt, stream};

use crate::cell::{Blow, Cell, Point, Trouble, word};
use crate::cover::{cover, pairs, pairs_of};
use crate::oracle::asked::Class;
use crate::proxy::Way;
use crate::run::{Shown, run};
use crate::stores::{is_on_rabbitmq, tell};

embedded_and_grown! {
    matrix_loses_nothing_doubles_nothing_and_takes_nothing_back
}

/// A set that must stay this small to run with every change.
const CELLS: usize = 120;

/// Cells that run at the same time: most of their time they wait.
const AT_ONCE: usize = 6;

/// The same where a store may be shared, and what a killed daemon had claimed stays its own for half a minute.
const AT_ONCE_GROWN: usize = 14;

fn at_once() -> usize {
    if is_on_rabbitmq() { AT_ONCE_GROWN } else { AT_ONCE }
}

fn sizes() -> [usize; 5] {
    [
        Point::ALL.len(),
        Trouble::ALL.len(),
        Class::ALL.len(),
        Way::ALL.len(),
        Blow::ALL.len(),
    ]
}

/// All cells; or the one that `PROOF_CELL` names.
fn cells() -> Vec<Cell> {
    if let Ok(cell) = std::env::var("PROOF_CELL") {
        return vec![cell.parse().unwrap()];
    }
    let seed: u64 = std::env::var("PROOF_SEED").map_or(1, |seed| seed.parse().unwrap());
    let cells = cover(&sizes()).into_iter().zip(0..).map(|(row, number)| Cell {
        point: Point::ALL[row[0]],
        trouble: Trouble::ALL[row[1]],
        class: Class::ALL[row[2]],
        way: Way::ALL[row[3]],
        blow: Blow::ALL[row[4]],
        seed: seed * 1000 + number,
    });
    cells.collect()
}

#[test]
fn covering_set_has_every_pair_and_is_small() {
    let rows = cover(&sizes());
    let mut missing = pairs(&sizes());
    for row in &rows {
        for pair in pairs_of(row) {
            missing.remove(&pair);
        }
    }
    assert_eq!(missing.len(), 0, "{missing:?}");
    assert!(rows.len() <= CELLS, "{} cells", rows.len());
}

#[test]
fn cell_is_written_and_read() {
    for cell in cells() {
        assert_eq!(cell.to_string().parse(), Ok(cell));
    }
    assert!("ingest-committed/keyed/sound/kill/clear".parse::<Cell>().is_err());
    assert!(
        "ingest-committed/keyed/sound/kill/gone/1"
            .parse::<Cell>()
            .is_err()
    );
}

async fn matrix_loses_nothing_doubles_nothing_and_takes_nothing_back() {
    let cells = cells();
    let runs = stream::iter(cells.clone()).map(|cell| async move { (cell, run(cell).await) });
    let mut shown = Vec::new();
    let mut failed = Vec::new();
    let mut runs = pin!(runs.buffer_unordered(at_once()));
    while let Some((cell, outcome)) = runs.next().await {
        match outcome {
            Ok(what) => {
                tell(&format!("{cell}: {what}"));
                shown.push((cell, what));
            }
            Err(failure) => {
                tell(&format!("{cell}: FAILED{failure}"));
                failed.push(cell.to_string());
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cells failed:\n{}",
        failed.len(),
        cells.len(),
        failed.join("\n")
    );
    if cells.len() > 1 {
        not_vacuous(&shown);
    }
}

/// What single cells need not show, all together must: every kind of target was doubted, and the class that can promise
/// nothing has parked.
fn not_vacuous(shown: &[(Cell, Shown)]) {
    let mut parked: BTreeMap<String, usize> = BTreeMap::new();
    for (cell, what) in shown {
        *parked.entry(word(cell.class)).or_default() += what.parked.values().sum::<usize>();
    }
    assert!(
        parked["append"] > 0,
        "entries that nobody can ask for were never in doubt: {parked:?}"
    );
}
