//! `given`, `need(field)`: what is there and what must be. (`many` is in `prelude.jq`.)

use jaq_core::Error;

use super::super::value::{Object, Val};
use super::{Outcome, refuse};
use crate::fault::Fault;

/// Drops the keys of an object whose value is null or `""`; of a patch, what the record does not say.
pub(super) fn given(input: Val) -> Outcome {
    let Some(entries) = input.entries() else {
        return Err(Error::typ(input, "object"));
    };
    let mut kept = Object::default();
    for (key, value) in entries {
        if !value.is_blank() {
            kept.insert(key.clone(), value.clone());
        }
    }
    Ok(Val::object(kept))
}

/// Passes a value on, refuses null and texts without a letter in them.
pub(super) fn need(input: Val, field: Val) -> Outcome {
    let Some(name) = field.as_text() else {
        return Err(Error::typ(field, "name of a field"));
    };
    if matches!(input, Val::Null) || input.as_text().is_some_and(|text| text.trim().is_empty()) {
        return refuse(
            Fault::new("field-missing")
                .field(name)
                .found("nothing")
                .expected("a value")
                .remedy(format!(
                    "have the sending system fill {name}; then send the record again"
                )),
        );
    }
    Ok(input)
}
