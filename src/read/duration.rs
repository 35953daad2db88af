//! Durations as people write them: `"30s"`.

use std::time::Duration;

/// What a fault says was expected.
pub(super) const EXPECTED: &str =
    "a whole number and a unit (ms, s, m, h, d), as in \"30s\" or \"10m\", at most 36500d";

/// The longest: a hundred years. Any time of ours, so much later, is one of the calendar.
const LONGEST: Duration = Duration::from_hours(36500 * 24);

/// A whole number and one unit: `500ms`, `30s`, `10m`, `2h`, `1d`. `None` for anything else, and for more than a hundred years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    let duration = number.checked_mul(milliseconds).map(Duration::from_millis)?;
    (duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_known_unit() {
        let rows = [
            ("500ms", Some(Duration::from_millis(500))),
            ("30s", Some(Duration::from_secs(30))),
            ("10m", Some(Duration::from_mins(10))),
            ("2h", Some(Duration::from_hours(2))),
            ("1d", Some(Duration::from_hours(24))),
            ("0s", Some(Duration::ZERO)),
            ("30", None),
            ("s", None),
            ("", None),
            ("-5s", None),
            ("1.5h", None),
            ("10 m", None),
            ("10 phút", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
            ("36500d", Some(Duration::from_hours(876_000))),
            ("36501d", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
