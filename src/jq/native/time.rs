//! Times of native systems, which are local and without a zone, and ours, which are instants in UTC.
//!
//! A format is made of `%Y %m %d %H %M %S` and literal characters. Years have four digits, all else two, and the whole
//! text must fit: no sign, no blank, nothing behind. A value stays as precise as it is: a format without `%H` gives a
//! date, `parse_date` also takes the month or year alone. In place of one format each function takes a list, of which
//! the first that fits counts.
//!
//! Null and `""` parse to null; null and `""` format to `""`, because that is how native systems write "no time".

use std::fmt::Write as _;

use jaq_core::Error;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, offset};

use super::super::value::Val;
use super::text::text_of;
use super::{Outcome, refuse};
use crate::fault::Fault;

/// Vietnam has had +07:00 without daylight saving since 1975; no time-zone database is needed.
const LOCAL: Offset = offset(7);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(char),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

type Format = Vec<Piece>;

/// A time as precise as it is known, on Vietnamese clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    Instant(DateTime),
    Date(Date),
    Month(i16, i8),
    Year(i16),
}

pub(super) fn parse_time(input: &Val, formats: &Val) -> Outcome {
    parse(input, formats, |format| vec![format])
}

pub(super) fn parse_date(input: &Val, formats: &Val) -> Outcome {
    let date_only = |moment| match moment {
        Moment::Instant(instant) => Moment::Date(instant.date()),
        other => other,
    };
    parse_as(input, formats, with_shorter, date_only)
}

pub(super) fn format_time(input: &Val, formats: &Val) -> Outcome {
    format(input, formats, |format| vec![format])
}

pub(super) fn format_date(input: &Val, formats: &Val) -> Outcome {
    format(input, formats, with_shorter)
}

/// Milliseconds since 1970 of an instant, or of the local midnight that a date begins with.
pub(super) fn epoch_ms(input: &Val) -> Outcome {
    let Some(text) = text_of(input)?.filter(|text| !text.is_empty()) else {
        return Ok(Val::Null);
    };
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => Some(instant),
        Err(_) => match read_ours(&text) {
            Some(Moment::Date(date)) => LOCAL.to_timestamp(date.to_datetime(Time::midnight())).ok(),
            _ => None,
        },
    };
    match instant {
        Some(instant) => Ok(Val::Int(instant.as_millisecond())),
        None => refuse(bad_time("an instant such as 2026-03-05T02:30:00Z, or a date")),
    }
}

fn parse(input: &Val, formats: &Val, widen: fn(Format) -> Vec<Format>) -> Outcome {
    parse_as(input, formats, widen, |moment| moment)
}

fn parse_as(
    input: &Val,
    formats: &Val,
    widen: fn(Format) -> Vec<Format>,
    shape: fn(Moment) -> Moment,
) -> Outcome {
    let (formats, named) = formats_of(formats)?;
    let Some(text) = text_of(input)?.filter(|text| !text.is_empty()) else {
        return Ok(Val::Null);
    };
    let found = formats
        .into_iter()
        .flat_map(widen)
        .find_map(|format| read(&text, &format));
    match found.map(shape).and_then(write_ours) {
        Some(ours) => Ok(Val::text(ours)),
        None => refuse(bad_time(&format!("a time that exists, written as {named}"))),
    }
}

fn format(input: &Val, formats: &Val, widen: fn(Format) -> Vec<Format>) -> Outcome {
    let (formats, named) = formats_of(formats)?;
    let Some(text) = text_of(input)?.filter(|text| !text.is_empty()) else {
        return Ok(Val::text(""));
    };
    let Some(moment) = read_ours(&text) else {
        return refuse(bad_time(
            "an instant such as 2026-03-05T02:30:00Z, a date, a month or a year",
        ));
    };
    let mut formats = formats.into_iter().flat_map(widen);
    match formats.find_map(|format| write(moment, &format)) {
        Some(native) => Ok(Val::text(native)),
        None => refuse(bad_time(&format!("a time precise enough for {named}"))),
    }
}

fn bad_time(expected: &str) -> Fault {
    Fault::new("bad-time")
        .found("something else")
        .expected(expected)
        .remedy("have the sending system correct the time; then send the record again")
}

/// The formats, and how to name them in a message.
fn formats_of(formats: &Val) -> Result<(Vec<Format>, String), Error<Val>> {
    let texts: Option<Vec<&str>> = match formats {
        Val::Text(one) => Some(vec![one]),
        other => other
            .items()
            .map(|items| items.iter().filter_map(Val::as_text).collect()),
    };
    let texts = texts.filter(|texts| !texts.is_empty());
    let texts = texts.ok_or_else(|| Error::typ(formats.clone(), "format of a time"))?;
    let parsed: Option<Vec<Format>> = texts.iter().map(|text| pieces(text)).collect();
    if let Some(parsed) = parsed {
        return Ok((parsed, texts.join(" or ")));
    }
    let fault = Fault::new("bad-format")
        .found(texts.join(" or "))
        .expected("%Y, and perhaps %m %d %H %M %S, each at most once and none without the greater ones");
    refuse(fault.remedy("correct the format in the mapping"))
}

fn pieces(text: &str) -> Option<Format> {
    let mut format = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        format.push(match letter {
            '%' => match letters.next()? {
                'Y' => Piece::Year,
                'm' => Piece::Month,
                'd' => Piece::Day,
                'H' => Piece::Hour,
                'M' => Piece::Minute,
                'S' => Piece::Second,
                '%' => Piece::Literal('%'),
                _ => return None,
            },
            literal => Piece::Literal(literal),
        });
    }
    let order = [
        Piece::Year,
        Piece::Month,
        Piece::Day,
        Piece::Hour,
        Piece::Minute,
        Piece::Second,
    ];
    let counts = order.map(|piece| format.iter().filter(|other| **other == piece).count());
    let sound =
        counts.iter().all(|count| *count <= 1) && counts.is_sorted_by(|greater, less| greater >= less);
    (sound && counts.first() == Some(&1)).then_some(format)
}

/// A format of a date and what is left of it where the day, or day and month, are not known.
fn with_shorter(format: Format) -> Vec<Format> {
    let mut formats = vec![format];
    for piece in [Piece::Day, Piece::Month] {
        if let Some(shorter) = formats.last().and_then(|format| without(format, piece)) {
            formats.push(shorter);
        }
    }
    formats
}

/// The format without this piece and the separator that goes with it. A format with hours has no shorter one.
fn without(format: &[Piece], piece: Piece) -> Option<Format> {
    let at = format.iter().position(|other| *other == piece)?;
    if format.contains(&Piece::Hour) {
        return None;
    }
    let literal = |piece: &&Piece| matches!(piece, Piece::Literal(_));
    let (head, tail) = (format.get(..at)?, format.get(at + 1..)?);
    let behind = tail.iter().take_while(literal).count();
    let before = if tail.len() == behind {
        head.iter().rev().take_while(literal).count()
    } else {
        0
    };
    Some([head.get(..at - before)?, tail.get(behind..)?].concat())
}

fn read(text: &str, format: &[Piece]) -> Option<Moment> {
    let mut rest = text;
    let mut parts = [None; 6];
    for piece in format {
        let (slot, digits) = match piece {
            Piece::Literal(literal) => {
                rest = rest.strip_prefix(*literal)?;
                continue;
            }
            Piece::Year => (0, 4),
            Piece::Month => (1, 2),
            Piece::Day => (2, 2),
            Piece::Hour => (3, 2),
            Piece::Minute => (4, 2),
            Piece::Second => (5, 2),
        };
        let (number, behind) = rest.split_at_checked(digits)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        parts[slot] = Some(number.parse::<i16>().ok()?);
        rest = behind;
    }
    let [year, month, day, hour, minute, second] = parts;
    let small = |part: i16| i8::try_from(part).ok();
    let year = year.filter(|year| *year > 0)?;
    if !rest.is_empty() {
        return None;
    }
    let Some(month) = month else {
        return Some(Moment::Year(year));
    };
    let month = small(month).filter(|month| (1..=12).contains(month))?;
    let Some(day) = day else {
        return Some(Moment::Month(year, month));
    };
    let date = Date::new(year, month, small(day)?).ok()?;
    let Some(hour) = hour else {
        return Some(Moment::Date(date));
    };
    let time = Time::new(
        small(hour)?,
        small(minute.unwrap_or(0))?,
        small(second.unwrap_or(0))?,
        0,
    )
    .ok()?;
    Some(Moment::Instant(date.to_datetime(time)))
}

/// Nothing if the format asks for more than is known. A date has the midnight that it begins with where a format
/// insists on hours: the one thing made up here, and what native systems themselves do.
fn write(moment: Moment, format: &[Piece]) -> Option<String> {
    let (year, month, day, time) = match moment {
        Moment::Instant(at) => (at.year(), Some(at.month()), Some(at.day()), Some(at.time())),
        Moment::Date(date) => (
            date.year(),
            Some(date.month()),
            Some(date.day()),
            Some(Time::midnight()),
        ),
        Moment::Month(year, month) => (year, Some(month), None, None),
        Moment::Year(year) => (year, None, None, None),
    };
    let mut text = String::new();
    for piece in format {
        let number = match piece {
            Piece::Literal(literal) => {
                text.push(*literal);
                continue;
            }
            Piece::Year => {
                write!(text, "{year:04}").ok()?;
                continue;
            }
            Piece::Month => month?,
            Piece::Day => day?,
            Piece::Hour => time?.hour(),
            Piece::Minute => time?.minute(),
            Piece::Second => time?.second(),
        };
        write!(text, "{number:02}").ok()?;
    }
    Some(text)
}

/// Our own writing, from the most to the least precise.
fn read_ours(text: &str) -> Option<Moment> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Moment::Instant(LOCAL.to_datetime(instant)));
    }
    ["%Y-%m-%d", "%Y-%m", "%Y"]
        .iter()
        .find_map(|format| read(text, &pieces(format)?))
}

fn write_ours(moment: Moment) -> Option<String> {
    let format = match moment {
        Moment::Instant(local) => return Some(LOCAL.to_timestamp(local).ok()?.to_string()),
        Moment::Date(_) => "%Y-%m-%d",
        Moment::Month(..) => "%Y-%m",
        Moment::Year(_) => "%Y",
    };
    write(moment, &pieces(format)?)
}
