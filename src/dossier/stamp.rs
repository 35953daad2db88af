//! Stamps: when a value was said, by whom, and which of two statements is the newer one.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The largest counter of one millisecond: beyond it the clock borrows the next millisecond, so that the text form
/// keeps its width and sorts like the value.
const MAX_COUNTER: u32 = 9_999;

/// A reading of a hybrid logical clock: wall time in milliseconds since the Unix epoch, then a counter within it.
///
/// Its text form `001762000000000-0003` sorts as the value does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hlc {
    /// Milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// Position among the readings of one millisecond, from 0.
    pub counter: u32,
}

impl Hlc {
    /// The reading that follows this one where the wall clock has not moved on.
    #[must_use]
    pub fn next(self) -> Self {
        if self.counter < MAX_COUNTER {
            Self {
                counter: self.counter + 1,
                ..self
            }
        } else {
            Self {
                wall_ms: self.wall_ms + 1,
                counter: 0,
            }
        }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}-{:04}", self.wall_ms, self.counter)
    }
}

impl From<Hlc> for String {
    fn from(hlc: Hlc) -> Self {
        hlc.to_string()
    }
}

/// The text is no clock reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a clock reading of the form 001762000000000-0003")]
pub struct BadHlc;

impl FromStr for Hlc {
    type Err = BadHlc;

    fn from_str(text: &str) -> Result<Self, BadHlc> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (wall, counter) = text.split_once('-').ok_or(BadHlc)?;
        if !digits(wall) || !digits(counter) {
            return Err(BadHlc);
        }
        Ok(Self {
            wall_ms: wall.parse().map_err(|_| BadHlc)?,
            counter: counter.parse().map_err(|_| BadHlc)?,
        })
    }
}

impl TryFrom<String> for Hlc {
    type Error = BadHlc;

    fn try_from(text: String) -> Result<Self, BadHlc> {
        text.parse()
    }
}

/// What decides between two statements on the same thing: the greater wins.
///
/// The order of the fields is the order of comparison. Made once, when a record comes in, and never altered: every
/// node compares the same stamps and so comes to the same dossier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// When the statement counts from, in whole milliseconds: see [`Author`](super::Author) for the rule.
    pub effective: Timestamp,
    /// The node's clock when the record was taken in.
    pub hlc: Hlc,
    /// The system that said it.
    pub source: String,
    /// Hash of what was said.
    pub hash: String,
}

impl Stamp {
    /// A hash of the stamp itself: what a later write names as `seen`.
    #[must_use]
    pub fn digest(&self) -> String {
        super::hash::digest(&[
            &self.effective.to_string(),
            &self.hlc.to_string(),
            &self.source,
            &self.hash,
        ])
    }
}

/// Cuts a time to whole milliseconds, the unit of stamps.
pub(super) fn whole_ms(time: Timestamp) -> Timestamp {
    // floor, also before 1970, so that cutting keeps the order of times
    Timestamp::from_millisecond(time.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(0))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The time this many milliseconds away, at most the end of the calendar.
pub(super) fn shift_ms(time: Timestamp, milliseconds: i64) -> Timestamp {
    time.saturating_add(jiff::SignedDuration::from_millis(milliseconds))
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_clock_reading_sorts_as_the_reading() {
        let early = Hlc {
            wall_ms: 999,
            counter: 12,
        };
        let late = Hlc {
            wall_ms: 1_762_000_000_000,
            counter: 3,
        };
        assert_eq!(late.to_string(), "001762000000000-0003");
        assert!(early.to_string() < late.to_string());
        assert_eq!(late.to_string().parse(), Ok(late));
        for wrong in ["", "12", "1-", "-1", "+1-2", "1-2-3", "a-b"] {
            assert_eq!(wrong.parse::<Hlc>(), Err(BadHlc), "{wrong}");
        }
    }

    #[test]
    fn a_full_millisecond_borrows_the_next() {
        let full = Hlc {
            wall_ms: 7,
            counter: MAX_COUNTER,
        };
        assert_eq!(
            full.next(),
            Hlc {
                wall_ms: 8,
                counter: 0
            }
        );
    }
}
