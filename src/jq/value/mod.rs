//! The values that filters work on: JSON, in a form that is cheap to share and knows its own size.
//!
//! A type of our own in place of the engine's, because every way to make a value bigger passes through its value type:
//! here each list, object and text is weighed before it is made, so that a mapping cannot use up the memory of the
//! daemon, and sharing cannot hide a value whose printed form would be endless. It keeps the order of keys (also where
//! one is deleted), keeps integers integers, has text keys only, and never shows a value in the text of an error.

mod access;
mod arithmetic;
mod json;
mod order;

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use indexmap::IndexMap;

use super::meter;

/// A JSON value. Clones share their content.
#[derive(Clone)]
pub(super) enum Val {
    Null,
    Bool(bool),
    /// Also every fraction-free float within ±2⁵³, so that `200000 / 2` is `100000`.
    Int(i64),
    /// Finite; what is not a number (`0 | log`) is null.
    Float(f64),
    Text(Text),
    List(Arc<List>),
    Object(Arc<Object>),
}

/// A text, shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Text(Arc<String>);

/// A list and its size.
#[derive(Clone, Default)]
pub(super) struct List {
    items: Vec<Val>,
    size: Size,
}

/// An object and its size.
#[derive(Clone, Default)]
pub(super) struct Object {
    entries: IndexMap<Text, Val>,
    size: Size,
}

/// Size of the tree that a value spans, shared parts counted every time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes, roughly.
    pub(super) weight: u64,
    /// Nesting; an upper bound where parts were replaced.
    pub(super) depth: u32,
}

const ITEM: usize = size_of::<Val>();
const ENTRY: usize = 4 * ITEM;

impl Size {
    /// Adds a part and judges the sum.
    fn add(&mut self, part: Self, extra: usize) {
        self.weight = self
            .weight
            .saturating_add(part.weight)
            .saturating_add(extra as u64);
        self.depth = self.depth.max(part.depth + 1);
        meter::judge(self.weight, self.depth);
    }

    fn remove(&mut self, part: Self, extra: usize) {
        self.weight = self
            .weight
            .saturating_sub(part.weight.saturating_add(extra as u64));
    }
}

impl List {
    pub(super) fn push(&mut self, item: Val) {
        meter::charge(ITEM);
        self.size.add(item.size(), 0);
        self.items.push(item);
    }
}

impl Object {
    pub(super) fn insert(&mut self, key: Text, value: Val) {
        meter::charge(ENTRY);
        self.size.add(value.size(), ENTRY + key.len());
        let extra = ENTRY + key.len();
        if let Some(old) = self.entries.insert(key, value) {
            self.size.remove(old.size(), extra);
        }
    }

    /// Inserts before all others; the key must be a new one.
    fn insert_first(&mut self, key: Text, value: Val) {
        meter::charge(ENTRY);
        self.size.add(value.size(), ENTRY + key.len());
        self.entries.shift_insert(0, key, value);
    }

    /// Removes a key; the others keep their order.
    fn remove(&mut self, key: &str) {
        meter::work(self.entries.len());
        if let Some((key, old)) = self.entries.shift_remove_entry(key) {
            self.size.remove(old.size(), ENTRY + key.len());
        }
    }
}

/// The list itself if nobody else has it, else a copy.
fn owned_list(list: Arc<List>) -> List {
    Arc::try_unwrap(list).unwrap_or_else(|shared| {
        meter::charge(shared.items.len() * ITEM);
        (*shared).clone()
    })
}

/// The object itself if nobody else has it, else a copy.
fn owned_object(object: Arc<Object>) -> Object {
    Arc::try_unwrap(object).unwrap_or_else(|shared| {
        meter::charge(shared.entries.len() * ENTRY);
        (*shared).clone()
    })
}

impl Val {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::from(text.into()))
    }

    pub(super) fn list(list: List) -> Self {
        Self::List(Arc::new(list))
    }

    pub(super) fn object(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }

    /// Size of the whole tree.
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Text(text) => Size {
                weight: (2 * ITEM + text.len()) as u64,
                depth: 0,
            },
            Self::List(list) => Size {
                weight: list.size.weight + 2 * ITEM as u64,
                depth: list.size.depth,
            },
            Self::Object(object) => Size {
                weight: object.size.weight + 2 * ITEM as u64,
                depth: object.size.depth,
            },
            _ => Size {
                weight: ITEM as u64,
                depth: 0,
            },
        }
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is nothing here that a native system would call a value.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Null) || self.as_text() == Some("")
    }

    pub(super) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(&list.items),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> Option<&IndexMap<Text, Self>> {
        match self {
            Self::Object(object) => Some(&object.entries),
            _ => None,
        }
    }

    /// The field of an object that is a text.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        self.entries()?.get(key)?.as_text()
    }
}

/// The *kind* of the value, never the value: the engine builds its messages with this.
impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        })
    }
}

/// As [`fmt::Display`]: a value is somebody's data.
impl fmt::Debug for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        meter::charge(text.len() + 2 * ITEM);
        meter::judge(text.len() as u64, 0);
        Self(Arc::new(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(value: isize) -> Self {
        Self::Int(value as i64)
    }
}

impl From<usize> for Val {
    fn from(value: usize) -> Self {
        i64::try_from(value).map_or(Self::Null, Self::Int)
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if !value.is_finite() {
            Self::Null
        } else if value.fract() == 0.0 && value.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "fraction-free and within ±2⁵³")]
            let whole = value as i64;
            Self::Int(whole)
        } else {
            Self::Float(value)
        }
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Text(Text::from(text))
    }
}

impl FromIterator<Self> for Val {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        let mut list = List::default();
        for item in items {
            list.push(item);
        }
        Self::list(list)
    }
}

#[cfg(test)]
mod tests {
    use jaq_core::ValT as _;
    use jaq_core::box_iter::box_once;
    use jaq_core::path::Opt;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-cđ]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c]", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// What is kept beside a value agrees with what is counted anew.
    fn weighed(value: &Val) -> Result<(), TestCaseError> {
        let anew = Val::from(&Value::from(value)).size();
        prop_assert_eq!(value.size().weight, anew.weight);
        prop_assert!(value.size().depth >= anew.depth);
        Ok(())
    }

    proptest! {
        #[test]
        fn json_comes_back_as_it_went_in(value in json()) {
            let back = Value::from(&Val::from(&value));
            prop_assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&value).unwrap());
        }

        #[test]
        fn size_is_kept_through_every_change(left in json(), right in json(), key in "[a-c]", index in -3_i64..5) {
            let (left, right) = (Val::from(&left), Val::from(&right));
            for result in [left.clone() + right.clone(), left.clone() - right.clone(), left.clone() * right.clone()] {
                result.iter().try_for_each(weighed)?;
            }
            for index in [Val::text(key), Val::Int(index)] {
                let set = left.clone().map_index(&index, Opt::Optional, |_| box_once(Ok(right.clone())));
                set.iter().try_for_each(weighed)?;
                let deleted = left.clone().map_index(&index, Opt::Optional, |_| std::iter::empty());
                deleted.iter().try_for_each(weighed)?;
            }
            let mapped = left.map_values(Opt::Optional, |_| box_once(Ok(right.clone())));
            mapped.iter().try_for_each(weighed)?;
        }

        #[test]
        fn order_is_one(a in json(), b in json(), c in json()) {
            let mut three = [Val::from(&a), Val::from(&b), Val::from(&c)];
            three.sort();
            prop_assert!(three[0] <= three[1] && three[1] <= three[2] && three[0] <= three[2]);
            prop_assert_eq!(three[0] == three[1], Value::from(&three[0]) == Value::from(&three[1]));
        }
    }
}
