//! What the engine asks of its values: reading and replacing parts.

use std::ops::Range;
use std::sync::Arc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValR, ValX};

use super::super::meter;
use super::{ENTRY, ITEM, List, Object, Text, Val, owned_list, owned_object};

impl jaq_core::ValT for Val {
    fn from_num(number: &str) -> ValR<Self> {
        let number = number.parse::<f64>();
        number
            .map(Self::from)
            .map_err(|_| Error::typ(Self::Null, "number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let mut object = Object::default();
        for (key, value) in entries {
            match key {
                Self::Text(key) => object.insert(key, value),
                other => return Err(Error::typ(other, "key of an object, which is a text")),
            }
        }
        Ok(Self::object(object))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::List(list) => {
                let items = owned_list(list).items.into_iter().enumerate();
                Box::new(items.map(|(index, item)| Ok((Self::from(index), item))))
            }
            Self::Object(object) => {
                let entries = owned_object(object).entries.into_iter();
                Box::new(entries.map(|(key, value)| Ok((Self::Text(key), value))))
            }
            other => box_once(Err(cannot_iterate(other))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::List(list) => Box::new(owned_list(list).items.into_iter().map(Ok)),
            Self::Object(object) => Box::new(owned_object(object).entries.into_values().map(Ok)),
            other => box_once(Err(cannot_iterate(other))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self, index) {
            (Self::Null, Self::Null | Self::Text(_) | Self::Int(_) | Self::Float(_)) => Ok(Self::Null),
            (Self::Object(object), Self::Text(key)) => {
                Ok(object.entries.get(key).cloned().unwrap_or(Self::Null))
            }
            (Self::List(list), Self::Int(position)) => {
                let found = absolute(*position, list.items.len()).and_then(|at| list.items.get(at));
                Ok(found.cloned().unwrap_or(Self::Null))
            }
            (Self::List(_) | Self::Text(_), Self::Object(bounds)) => {
                let (start, end) = bounds_of(bounds);
                self.clone().range(start.as_ref()..end.as_ref())
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        match self {
            Self::List(list) => {
                let range = absolute_range(&range, list.items.len())?;
                Ok(list
                    .items
                    .get(range)
                    .unwrap_or_default()
                    .iter()
                    .cloned()
                    .collect())
            }
            Self::Text(text) => {
                meter::work(text.len());
                let range = absolute_range(&range, text.chars().count())?;
                let letters = text.chars().skip(range.start).take(range.len());
                Ok(Self::text(letters.collect::<String>()))
            }
            other => Err(Error::typ(other, "list or text to be sliced (see cut)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self {
            Self::List(list) => owned_list(list).items.into_iter().flat_map(f).collect(),
            Self::Object(object) => {
                let mut mapped = Object::default();
                for (key, value) in owned_object(object).entries {
                    if let Some(value) = f(value).next().transpose()? {
                        mapped.insert(key, value);
                    }
                }
                Ok(Self::object(mapped))
            }
            other => opt.fail(other, |other| Exn::from(cannot_iterate(other))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self, index) {
            (Self::Null, Self::Text(_)) => Self::object(Object::default()).map_index(index, opt, f),
            (Self::Null, Self::Int(_)) => Self::list(List::default()).map_index(index, opt, f),
            (Self::Object(mut object), Self::Text(key)) => {
                let inner = unshared(&mut object, |object| object.entries.len() * ENTRY);
                // Taken out while `f` has it, so that it can be changed in place.
                let old = inner
                    .entries
                    .get_mut(key)
                    .map(|value| std::mem::replace(value, Self::Null));
                if let Some(old) = &old {
                    inner.size.remove(old.size(), 0);
                    inner.size.add(Self::Null.size(), 0);
                }
                let new = f(old.unwrap_or(Self::Null)).next().transpose()?;
                match new {
                    Some(value) => inner.insert(key.clone(), value),
                    None => inner.remove(key),
                }
                Ok(Self::Object(object))
            }
            (Self::List(mut list), Self::Int(position)) => {
                let inner = unshared(&mut list, |list| list.items.len() * ITEM);
                let Some(at) = absolute(*position, inner.items.len()) else {
                    return opt.fail(Self::List(list), |list| {
                        Exn::from(Error::index(list, index.clone()))
                    });
                };
                // As in jq, nulls fill the gap up to a place beyond the end.
                while inner.items.len() <= at {
                    inner.push(Self::Null);
                }
                let old = std::mem::replace(&mut inner.items[at], Self::Null);
                inner.size.remove(old.size(), 0);
                if let Some(value) = f(old).next().transpose()? {
                    inner.size.add(value.size(), 0);
                    inner.items[at] = value;
                } else {
                    meter::work(inner.items.len());
                    inner.items.remove(at);
                }
                Ok(Self::List(list))
            }
            (list @ Self::List(_), Self::Object(bounds)) => {
                let (start, end) = bounds_of(bounds);
                list.map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (other, _) => opt.fail(other, |other| Exn::from(Error::index(other, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let Self::List(list) = self else {
            return opt.fail(self, |other| {
                Exn::from(Error::typ(other, "list to be replaced in part"))
            });
        };
        let items = owned_list(list).items;
        let range = absolute_range(&range, items.len())?;
        let part = items
            .get(range.clone())
            .unwrap_or_default()
            .iter()
            .cloned()
            .collect();
        let part = match f(part).next().transpose()? {
            Some(Self::List(part)) => owned_list(part).items,
            Some(other) => return Err(Exn::from(Error::typ(other, "list"))),
            None => Vec::new(),
        };
        let (head, tail) = (items.iter().take(range.start), items.iter().skip(range.end));
        Ok(head.chain(&part).chain(tail).cloned().collect())
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            other => Self::text(other.to_json()),
        }
    }
}

/// The content, copied before if somebody else has it too.
fn unshared<T: Clone>(shared: &mut Arc<T>, bytes: impl Fn(&T) -> usize) -> &mut T {
    if Arc::get_mut(shared).is_none() {
        meter::charge(bytes(shared));
    }
    Arc::make_mut(shared)
}

fn cannot_iterate(value: Val) -> Error<Val> {
    Error::typ(value, "list or object")
}

/// A slice as the engine writes it into a path: `{start, end}`.
impl From<Range<Option<Val>>> for Val {
    fn from(range: Range<Option<Val>>) -> Self {
        let mut object = Object::default();
        object.insert(Text::from("start"), range.start.unwrap_or(Self::Null));
        object.insert(Text::from("end"), range.end.unwrap_or(Self::Null));
        Self::object(object)
    }
}

fn bounds_of(bounds: &Object) -> (Option<Val>, Option<Val>) {
    let bound = |key: &str| bounds.entries.get(key).cloned();
    (bound("start"), bound("end"))
}

/// Position from the front; counted from the end if negative.
fn absolute(position: i64, length: usize) -> Option<usize> {
    match usize::try_from(position) {
        Ok(position) => Some(position),
        Err(_) => length.checked_sub(usize::try_from(position.unsigned_abs()).ok()?),
    }
}

fn absolute_range(range: &Range<Option<&Val>>, length: usize) -> ValR<Range<usize>, Val> {
    let bound = |bound: Option<&Val>, absent: usize| match bound {
        None | Some(Val::Null) => Ok(absent),
        Some(Val::Int(position)) => Ok(absolute(*position, length).unwrap_or(0).min(length)),
        Some(other) => Err(Error::typ(other.clone(), "integer")),
    };
    let (start, end) = (bound(range.start, 0)?, bound(range.end, length)?);
    Ok(start..end.max(start))
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::List(list) => {
                meter::charge(list.items.len() * ITEM);
                // Sorting and grouping, which is what lists are taken apart for, cost more than one pass.
                meter::work(list.items.len() * 64);
                Ok(owned_list(list).items.into_iter().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Int(_))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Int(number) => isize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        matches!(self, Self::Int(_) | Self::Float(_)).then(|| super::order::float(self))
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.as_text().map(|text| {
            meter::work(text.len());
            text.as_bytes()
        })
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::text(String::from_utf8_lossy(part))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(String::from_utf8_lossy(bytes.as_ref()))
    }
}
