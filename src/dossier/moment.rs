//! A time as a system stated it: an instant, or only a day, a month or a year.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stamp::shift_ms;

/// Local time of Viet Nam (`Asia/Ho_Chi_Minh`). A constant offset: there has been no summer time since the systems
/// concerned exist, and a machine without a time zone database must not read dates differently.
const LOCAL: Offset = Offset::constant(7);

/// A stated time, as precise as it was given and never made more precise. Days, months and years are local ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Moment {
    /// A point in time: `2026-03-05T02:30:00Z`.
    Instant(Timestamp),
    /// A day: `2026-03-05`.
    Date(Date),
    /// A month, kept as its first day: `2026-03`.
    Month(Date),
    /// A year, kept as its first day: `2026`.
    Year(Date),
}

/// The text is no instant with a zone, day, month or year of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read an instant with a zone, a day, a month or a year")]
pub struct BadMoment;

impl Moment {
    /// The time that a value states; `None` where it is no time.
    pub(super) fn of(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    /// Whether the time is a point, not a period.
    #[must_use]
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Instant(_))
    }

    /// The local day on which an instant lies; `None` where no instant is stated.
    pub(super) fn day(self) -> Option<Self> {
        match self {
            Self::Instant(time) => Some(Self::Date(time.to_zoned(TimeZone::fixed(LOCAL)).date())),
            _ => None,
        }
    }

    /// The first instant of the stated period.
    #[must_use]
    pub fn start(self) -> Timestamp {
        match self {
            Self::Instant(time) => time,
            Self::Date(first) | Self::Month(first) | Self::Year(first) => midnight(first),
        }
    }

    /// The last millisecond of the stated period; an instant is its own end.
    #[must_use]
    pub fn end(self) -> Timestamp {
        let following = match self {
            Self::Instant(time) => return time,
            Self::Date(day) => day.tomorrow().ok(),
            Self::Month(first) => first.last_of_month().tomorrow().ok(),
            Self::Year(first) => first.last_of_year().tomorrow().ok(),
        };
        following.map_or(Timestamp::MAX, |day| shift_ms(midnight(day), -1))
    }

    /// Whether a system that speaks of this time at `seen` may mean it: a clock may run fast by hours, but a time more
    /// than a day ahead is a slip (a wrong year typed), and must not make all that comes after it look old.
    pub(super) fn is_plausible(self, seen: Timestamp) -> bool {
        self.start() <= shift_ms(seen, 24 * 60 * 60 * 1000)
    }

    /// Whether the point in time lies in the stated period.
    #[must_use]
    pub fn covers(self, time: Timestamp) -> bool {
        self.start() <= time && time <= self.end()
    }
}

/// A time in the one spelling that it has; anything else as it is.
pub(super) fn in_utc(value: Value) -> Value {
    Moment::of(&value).map_or(value, |moment| moment.to_string().into())
}

fn midnight(day: Date) -> Timestamp {
    day.to_datetime(Time::midnight())
        .to_zoned(TimeZone::fixed(LOCAL))
        .map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

impl FromStr for Moment {
    type Err = BadMoment;

    fn from_str(text: &str) -> Result<Self, BadMoment> {
        let shape: String = text
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '9' } else { letter })
            .collect();
        let day = |text: &str| text.parse::<Date>().map_err(|_| BadMoment);
        match shape.as_str() {
            "9999" => day(&format!("{text}-01-01")).map(Self::Year),
            "9999-99" => day(&format!("{text}-01")).map(Self::Month),
            "9999-99-99" => day(text).map(Self::Date),
            // without a zone there is no telling which instant is meant: the parser refuses it
            _ if shape.starts_with("9999-99-99T99:99") => {
                text.parse().map(Self::Instant).map_err(|_| BadMoment)
            }
            _ => Err(BadMoment),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(time) => time.fmt(f),
            Self::Date(day) => day.fmt(f),
            Self::Month(first) => write!(f, "{:04}-{:02}", first.year(), first.month()),
            Self::Year(first) => write!(f, "{:04}", first.year()),
        }
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = BadMoment;

    fn try_from(text: String) -> Result<Self, BadMoment> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stays_as_precise_as_it_was_stated() {
        for (stated, start, end) in [
            (
                "2026-03-05T02:30:00Z",
                "2026-03-05T02:30:00Z",
                "2026-03-05T02:30:00Z",
            ),
            ("2026-03-05", "2026-03-04T17:00:00Z", "2026-03-05T16:59:59.999Z"),
            ("2024-02", "2024-01-31T17:00:00Z", "2024-02-29T16:59:59.999Z"),
            ("1990", "1989-12-31T17:00:00Z", "1990-12-31T16:59:59.999Z"),
        ] {
            let moment: Moment = stated.parse().unwrap();
            assert_eq!(moment.to_string(), stated);
            assert_eq!(moment.start().to_string(), start, "{stated}");
            assert_eq!(moment.end().to_string(), end, "{stated}");
        }
    }

    #[test]
    fn an_offset_is_turned_into_universal_time() {
        let moment: Moment = "2026-03-05T09:30:00+07:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-03-05T02:30:00Z");
    }

    #[test]
    fn impossible_and_zoneless_times_are_refused() {
        for wrong in [
            "",
            "2026-02-30",
            "2026-13",
            "26",
            "2026-3-5",
            "2026-03-05T09:30:00",
            "2026-03-05 09:30",
            "20260305",
            "05/03/2026",
            "2026-03-05T25:00:00Z",
        ] {
            assert_eq!(wrong.parse::<Moment>(), Err(BadMoment), "{wrong}");
        }
    }
}
