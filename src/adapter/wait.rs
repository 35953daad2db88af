//! A span of time that is written down, or that jq reads from an answer.

use std::time::Duration;

use serde_json::Value as Json;

use super::workshop::{Sight, Workshop};
use crate::jq::{Filter, Scope};
use crate::read::{Value, parse_duration};

/// How long.
#[derive(Debug, Clone)]
pub(super) enum Wait {
    /// Always this long.
    Fixed(Duration),
    /// As many seconds as the answer says.
    Said(Filter),
}

impl Wait {
    /// `"10m"`, or else jq.
    pub(super) fn read(value: &Value<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Option<Self> {
        let text = value.text()?;
        // What begins with a digit is no sensible jq here: a bad duration shall not be reported as bad jq.
        if text.starts_with(|c: char| c.is_ascii_digit()) || text.is_empty() {
            return value.duration().map(Self::Fixed);
        }
        debug_assert!(parse_duration(text).is_none());
        workshop.filter(value, Sight::Call, variables).map(Self::Said)
    }

    /// The span for this answer; `None` where the answer says nothing that is a number of seconds.
    pub(super) fn of(&self, answer: &Json, scope: &Scope) -> Option<Duration> {
        match self {
            Self::Fixed(duration) => Some(*duration),
            Self::Said(filter) => {
                let said = filter.one(answer, scope).ok()?;
                let seconds = said.as_f64().or_else(|| said.as_str()?.trim().parse().ok())?;
                Duration::try_from_secs_f64(seconds).ok()
            }
        }
    }
}
