//! A pairwise covering set: every value of each dimension meets every value of every other one in some row.

use std::collections::BTreeSet;

use crate::oracle::mishap::Roll;

/// How many sets are made, of which the smallest is taken: greed is quick and not always lucky.
const TRIES: u64 = 40;

/// Two dimensions and a value of each, the lower dimension first.
type Pair = (usize, usize, usize, usize);

/// The rows of a covering set over dimensions with so many values; the same for the same sizes. The two largest
/// dimensions must come first.
pub(crate) fn cover(sizes: &[usize]) -> Vec<Vec<usize>> {
    let sets = (0..TRIES).map(|seed| greedy(sizes, &mut Roll::new(seed, "cover")));
    sets.min_by_key(Vec::len).unwrap_or_default()
}

/// Each pair of the first two dimensions, which no set can have fewer rows than; the others are chosen one by one so that
/// the most pairs are new. Rows for what is then left.
fn greedy(sizes: &[usize], roll: &mut Roll) -> Vec<Vec<usize>> {
    let mut missing = pairs(sizes);
    let mut rows = Vec::new();
    let first = (0..sizes[0]).flat_map(|a| (0..sizes[1]).map(move |b| vec![Some(a), Some(b)]));
    for mut row in first {
        row.resize(sizes.len(), None);
        rows.push(fill(row, sizes, &mut missing, roll));
    }
    while let Some((one, value, other, its)) = missing.first().copied() {
        let mut row = vec![None; sizes.len()];
        row[one] = Some(value);
        row[other] = Some(its);
        rows.push(fill(row, sizes, &mut missing, roll));
    }
    rows
}

fn fill(
    mut row: Vec<Option<usize>>,
    sizes: &[usize],
    missing: &mut BTreeSet<Pair>,
    roll: &mut Roll,
) -> Vec<usize> {
    for dimension in 0..sizes.len() {
        if row[dimension].is_some() {
            continue;
        }
        let gain = |value: usize| {
            let chosen = row
                .iter()
                .enumerate()
                .filter_map(|(other, chosen)| Some((other, (*chosen)?)));
            chosen
                .filter(|(other, its)| missing.contains(&pair(dimension, value, *other, *its)))
                .count()
        };
        let best = (0..sizes[dimension]).map(gain).max().unwrap_or(0);
        let among: Vec<usize> = (0..sizes[dimension])
            .filter(|value| gain(*value) == best)
            .collect();
        row[dimension] = Some(*roll.among(&among));
    }
    let row: Vec<usize> = row.into_iter().flatten().collect();
    for pair in pairs_of(&row) {
        missing.remove(&pair);
    }
    row
}

fn pair(one: usize, value: usize, other: usize, its: usize) -> Pair {
    if one < other {
        (one, value, other, its)
    } else {
        (other, its, one, value)
    }
}

/// All pairs that there are.
pub(crate) fn pairs(sizes: &[usize]) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for one in 0..sizes.len() {
        for other in one + 1..sizes.len() {
            for value in 0..sizes[one] {
                pairs.extend((0..sizes[other]).map(|its| (one, value, other, its)));
            }
        }
    }
    pairs
}

/// The pairs that a row covers.
pub(crate) fn pairs_of(row: &[usize]) -> impl Iterator<Item = Pair> {
    (0..row.len())
        .flat_map(move |one| (one + 1..row.len()).map(move |other| (one, row[one], other, row[other])))
}
