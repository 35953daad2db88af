//! jq's functions on the structure of values, for our own values.

use jaq_core::{Error, ValT};
use serde_json::Value;

use super::super::meter;
use super::super::value::Val;
use super::Outcome;
use crate::xml;

pub(super) fn fromjson(input: &Val) -> Outcome {
    let Some(text) = input.as_text() else {
        return Err(Error::typ(input.clone(), "text"));
    };
    // A parsed value takes several times its text; counted before it is parsed.
    meter::charge(text.len().saturating_mul(16));
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Ok(Val::from(&value)),
        Err(_) => Err(Error::typ(input.clone(), "JSON")),
    }
}

/// The value of XML that lies inside a text.
pub(super) fn from_xml(input: &Val) -> Outcome {
    if matches!(input, Val::Null) {
        return Ok(Val::Null);
    }
    let Some(text) = input.as_text() else {
        return Err(Error::typ(input.clone(), "text"));
    };
    meter::charge(text.len().saturating_mul(16));
    match xml::parse(text) {
        Ok(value) => Ok(Val::from(&value)),
        Err(_) => Err(Error::typ(input.clone(), "XML")),
    }
}

/// The text of an XML document.
pub(super) fn to_xml(input: &Val) -> Outcome {
    meter::charge(usize::try_from(input.size().weight).unwrap_or(usize::MAX));
    match xml::write(&Value::from(input)) {
        Ok(text) => Ok(Val::text(text)),
        Err(_) => Err(Error::typ(input.clone(), "document of XML")),
    }
}

/// A number, or a text that is one: a sign, digits, a fraction, an exponent; nothing else.
pub(super) fn tonumber(input: Val) -> Outcome {
    let number = match &input {
        Val::Int(_) | Val::Float(_) => return Ok(input),
        Val::Text(text) => {
            let plain = text
                .chars()
                .all(|letter| letter.is_ascii_digit() || "+-.eE".contains(letter));
            let whole = || text.parse::<i64>().ok().map(Val::Int);
            let broken = || text.parse::<f64>().ok().map(Val::from);
            if plain { whole().or_else(broken) } else { None }
        }
        _ => None,
    };
    number.ok_or_else(|| Error::typ(input, "number"))
}

pub(super) fn length(input: Val) -> Outcome {
    Ok(match &input {
        Val::Null => Val::Int(0),
        Val::Text(text) => {
            meter::work(text.len());
            Val::from(text.chars().count())
        }
        Val::List(_) => Val::from(input.items().map_or(0, <[Val]>::len)),
        Val::Object(_) => Val::from(input.entries().map_or(0, indexmap::IndexMap::len)),
        Val::Int(number) => Val::Int(number.saturating_abs()),
        Val::Float(number) => Val::from(number.abs()),
        Val::Bool(_) => return Err(Error::typ(input, "value with a length")),
    })
}

pub(super) fn has(input: Val, key: &Val) -> Outcome {
    match (&input, key) {
        (Val::Object(_), Val::Text(key)) => Ok(Val::Bool(
            input.entries().is_some_and(|entries| entries.contains_key(key)),
        )),
        (Val::List(_), Val::Int(index)) => {
            let length = input.items().map_or(0, <[Val]>::len);
            Ok(Val::Bool(
                usize::try_from(*index).is_ok_and(|index| index < length),
            ))
        }
        _ => Err(Error::index(input, key.clone())),
    }
}

/// A text contains its parts; a list or object contains one whose parts are each contained in some part of it.
pub(super) fn contains(whole: &Val, part: &Val) -> bool {
    meter::term();
    if let (Some(whole), Some(part)) = (whole.as_text(), part.as_text()) {
        meter::work(whole.len());
        return whole.contains(part);
    }
    if let (Some(whole), Some(part)) = (whole.items(), part.items()) {
        return part
            .iter()
            .all(|part| whole.iter().any(|whole| contains(whole, part)));
    }
    if let (Some(whole), Some(part)) = (whole.entries(), part.entries()) {
        return part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)));
    }
    whole == part
}

/// Places of a part in a text (counted in characters) or of an element or sub-list in a list.
pub(super) fn indices(whole: Val, part: &Val) -> Outcome {
    if let (Some(whole), Some(part)) = (whole.as_text(), part.as_text()) {
        meter::work(whole.len().saturating_mul(part.len().max(1)));
        if part.is_empty() {
            return Ok(Val::Null);
        }
        let letters = whole.char_indices().enumerate();
        let found =
            letters.filter(|(_, (byte, _))| whole.get(*byte..).is_some_and(|rest| rest.starts_with(part)));
        return Ok(found.map(|(index, _)| Val::from(index)).collect());
    }
    let Some(items) = whole.items() else {
        return match whole {
            Val::Null => Ok(Val::Null),
            other => other.index(part),
        };
    };
    match part.items() {
        Some([]) => Ok(Val::Null),
        Some(part) => {
            meter::work(items.len().saturating_mul(part.len()));
            let windows = items.windows(part.len()).enumerate();
            Ok(windows
                .filter(|(_, window)| *window == part)
                .map(|(index, _)| Val::from(index))
                .collect())
        }
        None => {
            let found = items.iter().enumerate().filter(|(_, item)| *item == part);
            Ok(found.map(|(index, _)| Val::from(index)).collect())
        }
    }
}
