//! `+ - * / %`. A refusal names the kinds of the operands, never the operands.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::Error;
use jaq_core::ops::Math;

use super::super::meter;
use super::order::float;
use super::{List, Object, Text, Val, owned_list, owned_object};

type Outcome = Result<Val, Error<Val>>;

impl Add for Val {
    type Output = Outcome;

    fn add(self, other: Self) -> Outcome {
        // `range` never evaluates a term between its numbers; this is where it is counted.
        meter::term();
        Ok(match (self, other) {
            (Self::Null, value) | (value, Self::Null) => value,
            (Self::Int(left), Self::Int(right)) => left.checked_add(right).map_or_else(
                || Self::from(float(&Self::Int(left)) + float(&Self::Int(right))),
                Self::Int,
            ),
            (left @ (Self::Int(_) | Self::Float(_)), right @ (Self::Int(_) | Self::Float(_))) => {
                Self::from(float(&left) + float(&right))
            }
            (Self::Text(left), Self::Text(right)) => Self::Text(left.append(&right)),
            (Self::List(left), Self::List(right)) => {
                let mut list = owned_list(left);
                for item in owned_items(right) {
                    list.push(item);
                }
                Self::list(list)
            }
            (Self::Object(left), Self::Object(right)) => Self::object(union(left, right)),
            (left, right) => return Err(Error::math(left, Math::Add, right)),
        })
    }
}

impl Text {
    fn append(mut self, other: &str) -> Self {
        let length = self.len() + other.len();
        meter::judge(length as u64, 0);
        // In place if nobody else has the left text.
        meter::charge(if Arc::get_mut(&mut self.0).is_some() {
            other.len()
        } else {
            length
        });
        Arc::make_mut(&mut self.0).push_str(other);
        self
    }
}

fn owned_items(list: Arc<List>) -> Vec<Val> {
    owned_list(list).items
}

fn union(left: Arc<Object>, right: Arc<Object>) -> Object {
    // The engine builds `{a, b, c}` as {a} + ({b} + {c}): put the one in front of the many, not the many behind the one.
    if left.entries.len() == 1 && Arc::strong_count(&right) == 1 {
        let (key, value) = left.entries.first().expect("it has one entry");
        if !right.entries.contains_key(key) {
            let mut object = owned_object(right);
            object.insert_first(key.clone(), value.clone());
            return object;
        }
    }
    let mut object = owned_object(left);
    for (key, value) in owned_object(right).entries {
        object.insert(key, value);
    }
    object
}

impl Sub for Val {
    type Output = Outcome;

    fn sub(self, other: Self) -> Outcome {
        meter::term();
        Ok(match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.checked_sub(right).map_or_else(
                || Self::from(float(&Self::Int(left)) - float(&Self::Int(right))),
                Self::Int,
            ),
            (left @ (Self::Int(_) | Self::Float(_)), right @ (Self::Int(_) | Self::Float(_))) => {
                Self::from(float(&left) - float(&right))
            }
            (Self::List(left), Self::List(right)) => {
                meter::work(
                    left.items
                        .len()
                        .saturating_mul(right.items.len())
                        .saturating_mul(8),
                );
                let kept = left.items.iter().filter(|item| !right.items.contains(item));
                kept.cloned().collect()
            }
            (left, right) => return Err(Error::math(left, Math::Sub, right)),
        })
    }
}

impl Mul for Val {
    type Output = Outcome;

    fn mul(self, other: Self) -> Outcome {
        meter::term();
        Ok(match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.checked_mul(right).map_or_else(
                || Self::from(float(&Self::Int(left)) * float(&Self::Int(right))),
                Self::Int,
            ),
            (left @ (Self::Int(_) | Self::Float(_)), right @ (Self::Int(_) | Self::Float(_))) => {
                Self::from(float(&left) * float(&right))
            }
            (Self::Text(text), Self::Int(count)) | (Self::Int(count), Self::Text(text)) => {
                match usize::try_from(count) {
                    Ok(0) | Err(_) => Self::Null,
                    Ok(count) => {
                        let length = text.len().saturating_mul(count);
                        meter::judge(length as u64, 0);
                        meter::charge(length);
                        Self::text(text.repeat(count))
                    }
                }
            }
            (Self::Object(left), Self::Object(right)) => Self::object(merge(left, &right)?),
            (left, right) => return Err(Error::math(left, Math::Mul, right)),
        })
    }
}

/// Objects in both are merged, everything else on the right replaces what is on the left.
fn merge(left: Arc<Object>, right: &Object) -> Result<Object, Error<Val>> {
    let mut object = owned_object(left);
    for (key, value) in &right.entries {
        let value = match (object.entries.get(key), value) {
            (Some(old @ Val::Object(_)), Val::Object(_)) => (old.clone() * value.clone())?,
            _ => value.clone(),
        };
        object.insert(key.clone(), value);
    }
    Ok(object)
}

impl Div for Val {
    type Output = Outcome;

    fn div(self, other: Self) -> Outcome {
        meter::term();
        Ok(match (self, other) {
            (Self::Int(left), Self::Int(right)) if left.checked_rem(right) == Some(0) => {
                Self::Int(left / right)
            }
            (left @ (Self::Int(_) | Self::Float(_)), right @ (Self::Int(_) | Self::Float(_)))
                if float(&right) != 0.0 =>
            {
                Self::from(float(&left) / float(&right))
            }
            (Self::Text(text), Self::Text(separator)) => split(&text, &separator),
            (left, right) => return Err(Error::math(left, Math::Div, right)),
        })
    }
}

fn split(text: &str, separator: &str) -> Val {
    if text.is_empty() {
        return Val::list(List::default());
    }
    if separator.is_empty() {
        return text.chars().map(Val::text).collect();
    }
    text.split(separator).map(Val::text).collect()
}

impl Rem for Val {
    type Output = Outcome;

    fn rem(self, other: Self) -> Outcome {
        meter::term();
        match (&self, &other) {
            (Self::Int(left), Self::Int(right)) if *right != 0 => Ok(Self::Int(left.wrapping_rem(*right))),
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) if float(&other) != 0.0 => {
                Ok(Self::from(float(&self) % float(&other)))
            }
            _ => Err(Error::math(self, Math::Rem, other)),
        }
    }
}

impl Neg for Val {
    type Output = Outcome;

    fn neg(self) -> Outcome {
        match self {
            Self::Int(number) => Ok(number
                .checked_neg()
                .map_or_else(|| Self::from(-float(&Self::Int(number))), Self::Int)),
            Self::Float(number) => Ok(Self::Float(-number)),
            other => Err(Error::typ(other, "number")),
        }
    }
}
