//! One parsed file laid over another. Every name and value keeps the place at which it was written.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What becomes of a key that both files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// Tables are merged key by key, `false` removes the key, anything else replaces it.
    Merge,
    /// The same, but a table replaces the other whole: its keys mean nothing without each other.
    Whole,
    /// The upper one replaces the lower one, `false` too: it is a word of this key.
    Replace,
}

/// The parsed file, its places counted from `by`.
pub(super) fn moved(table: Spanned<DeTable<'_>>, by: usize) -> Spanned<DeTable<'_>> {
    let place = shifted(&table.span(), by);
    Spanned::new(place, moved_table(table.into_inner(), by))
}

fn moved_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let mut moved = DeTable::new();
    for (key, value) in table {
        let key = Spanned::new(shifted(&key.span(), by), key.into_inner());
        moved.insert(key, moved_value(value, by));
    }
    moved
}

fn moved_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let place = shifted(&value.span(), by);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved_table(table, by)),
        DeValue::Array(members) => {
            let mut moved = DeArray::new();
            for member in members {
                moved.push(moved_value(member, by));
            }
            DeValue::Array(moved)
        }
        plain => plain,
    };
    Spanned::new(place, value)
}

fn shifted(place: &Range<usize>, by: usize) -> Range<usize> {
    place.start + by..place.end + by
}

/// `lower` with `upper` laid over it.
pub(super) fn laid<'d>(
    lower: Spanned<DeTable<'d>>,
    upper: Spanned<DeTable<'d>>,
    meeting: fn(&[&str]) -> Meeting,
) -> Spanned<DeTable<'d>> {
    let (below, above) = (lower.span(), upper.span());
    let mut table = lower.into_inner();
    let removed = lay(&mut table, upper.into_inner(), &mut Vec::new(), meeting);
    Spanned::new(if removed { above } else { below }, table)
}

/// Lays a table over another; whether it has taken a key away. `path`: the full name of both.
fn lay<'d>(
    lower: &mut DeTable<'d>,
    upper: DeTable<'d>,
    path: &mut Vec<Cow<'d, str>>,
    meeting: fn(&[&str]) -> Meeting,
) -> bool {
    let mut removed = false;
    for (name, value) in upper {
        path.push(name.get_ref().clone());
        let full: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let meets = meeting(&full);
        let entry = match lower.remove_entry(&name) {
            Some(below) => joined(below, (name, value), path, meets, meeting),
            None => Some((name, value)),
        };
        match entry {
            Some((name, value)) => drop(lower.insert(name, value)),
            None => removed = true,
        }
        path.pop();
    }
    removed
}

type Entry<'d> = (Spanned<Cow<'d, str>>, Spanned<DeValue<'d>>);

/// What two entries of one name become; `None`: nothing. A table that was merged stands where it stood, unless a key was
/// taken away: then what it lacks is said of the place that took it.
fn joined<'d>(
    below: Entry<'d>,
    above: Entry<'d>,
    path: &mut Vec<Cow<'d, str>>,
    meets: Meeting,
    meeting: fn(&[&str]) -> Meeting,
) -> Option<Entry<'d>> {
    let (place_below, place_above) = (below.1.span(), above.1.span());
    match (meets, below.1.into_inner(), above.1.into_inner()) {
        (Meeting::Merge, DeValue::Table(mut lower), DeValue::Table(upper)) => {
            let removed = lay(&mut lower, upper, path, meeting);
            let (name, place) = if removed {
                (above.0, place_above)
            } else {
                (below.0, place_below)
            };
            Some((name, Spanned::new(place, DeValue::Table(lower))))
        }
        // Over a yes or no, `false` is a no.
        (Meeting::Merge | Meeting::Whole, lower, DeValue::Boolean(false)) if !lower.is_bool() => None,
        (_, _, upper) => Some((above.0, Spanned::new(place_above, upper))),
    }
}
