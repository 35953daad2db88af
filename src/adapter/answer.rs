//! What a system answered, and what that means.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::fmt::rfc2822;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// An answer, decoded.
#[derive(Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The decoded body; null where it is empty.
    pub body: Json,
}

impl Answer {
    /// What jq sees as `$http`.
    #[must_use]
    pub fn http(&self) -> Json {
        serde_json::json!({"status": self.status, "headers": self.headers})
    }
}

impl fmt::Debug for Answer {
    /// Without the body: it may hold personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer that could be read. The texts say what happened on the wire, never what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about: nothing was sent.
    NotConnected(String),
    /// Cut or timed out after sending had begun.
    Broken(String),
    /// An answer came, and its body is not what the call's `receive` says.
    Undecodable {
        /// HTTP status.
        status: u16,
        /// Headers, names in lower case.
        headers: BTreeMap<String, String>,
        /// What is wrong with the body.
        problem: String,
    },
}

/// What became of a call.
pub type Outcome<'a> = Result<&'a Answer, &'a Failure>;

/// The judgement on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub word: Word,
    /// The system's message, or what happened; at most 200 characters.
    pub reason: Option<String>,
    /// Not to be repeated before this time is over.
    pub after: Option<Duration>,
}

/// One of the words with which an answer is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It took effect, or had already.
    Done,
    /// Create refused: such a record is there.
    Exists,
    /// Update refused: no such record.
    Missing,
    /// It did not take effect and may later.
    Retry,
    /// This record will never be taken so.
    Refused,
    /// The session is not valid.
    Login,
    /// The system refuses us, not the record.
    Pause,
    /// It may have taken effect.
    InDoubt,
}

/// The words as they are written in a manifest.
pub(super) const WORDS: crate::read::Words<Word> = &[
    ("done", Word::Done),
    ("exists", Word::Exists),
    ("missing", Word::Missing),
    ("retry", Word::Retry),
    ("refused", Word::Refused),
    ("login", Word::Login),
    ("pause", Word::Pause),
    ("in_doubt", Word::InDoubt),
];

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = WORDS
            .iter()
            .find(|(_, word)| word == self)
            .map_or("", |(written, _)| written);
        f.write_str(written)
    }
}

/// The longest that an answer may have us wait. A gateway that writes a time of day in milliseconds means no such wait,
/// and a time that no calendar holds must not be reckoned with.
const LONGEST: Duration = Duration::from_hours(24);

/// How long the answer asks to wait, a day at most: seconds, or a date, which is compared with the answer's own `Date`:
/// both are of one clock, and it need not be ours.
pub(super) fn retry_after(headers: &BTreeMap<String, String>) -> Option<Duration> {
    asked_to_wait(headers).map(|wait| wait.min(LONGEST))
}

fn asked_to_wait(headers: &BTreeMap<String, String>) -> Option<Duration> {
    let said = headers.get("retry-after")?.trim();
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let sent = date(headers.get("date")?)?;
    Some(Duration::try_from(date(said)?.duration_since(sent)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let rows = [
            (vec![("retry-after", "120")], Some(120)),
            (
                vec![
                    ("retry-after", "Fri, 02 Jan 2026 03:05:05 GMT"),
                    ("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
                ],
                Some(60),
            ),
            (
                vec![
                    ("retry-after", "Fri, 02 Jan 2026 03:00:00 GMT"),
                    ("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
                ],
                Some(0),
            ),
            (vec![("retry-after", "Fri, 02 Jan 2026 03:05:05 GMT")], None),
            (vec![("retry-after", "1767225600000")], Some(86_400)),
            (vec![("retry-after", "soon")], None),
            (vec![], None),
        ];
        for (headers, seconds) in rows {
            let map = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(retry_after(&map), seconds.map(Duration::from_secs), "{headers:?}");
        }
    }

    #[test]
    fn words_are_written_as_in_the_manifest() {
        assert_eq!(Word::InDoubt.to_string(), "in_doubt");
        assert_eq!(serde_json::to_value(Word::InDoubt).unwrap(), "in_doubt");
    }
}
