//! jq's order of values: null, false, true, numbers, texts, lists, objects.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::meter;
use super::{Text, Val};

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => {
                float(self).total_cmp(&float(other))
            }
            (Self::Text(left), Self::Text(right)) => {
                meter::work(left.len().min(right.len()));
                left.cmp(right)
            }
            (Self::List(left), Self::List(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
            (Self::Object(left), Self::Object(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
            (Self::List(left), Self::List(right)) => {
                meter::work(left.items.len().min(right.items.len()));
                left.items.cmp(&right.items)
            }
            (Self::Object(left), Self::Object(right)) => {
                let (left, right) = (sorted(&left.entries), sorted(&right.entries));
                // As in jq: first the sets of keys, then the values key by key.
                let keys = left
                    .iter()
                    .map(|entry| entry.0)
                    .cmp(right.iter().map(|entry| entry.0));
                keys.then_with(|| {
                    left.iter()
                        .map(|entry| entry.1)
                        .cmp(right.iter().map(|entry| entry.1))
                })
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

fn sorted(entries: &indexmap::IndexMap<Text, Val>) -> Vec<(&Text, &Val)> {
    meter::work(entries.len() * 64);
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable_by_key(|entry| entry.0);
    entries
}

fn rank(value: &Val) -> u8 {
    match value {
        Val::Null => 0,
        Val::Bool(_) => 1,
        Val::Int(_) | Val::Float(_) => 2,
        Val::Text(_) => 3,
        Val::List(_) => 4,
        Val::Object(_) => 5,
    }
}

/// A number as a float; not a number for anything else.
pub(super) fn float(value: &Val) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "beyond 2⁵³ jq's numbers are floats")]
        Val::Int(number) => *number as f64,
        Val::Float(number) => *number,
        _ => f64::NAN,
    }
}
