//! Sizes as people write them: `"10 MiB"`.

/// What a fault says was expected.
pub(super) const EXPECTED: &str = "a whole number and a unit (B, KiB, MiB, GiB), as in \"10 MiB\"";

/// Bytes of a whole number and one unit, with or without a space between them. `None` for anything else.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let bytes = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_number_and_a_known_unit() {
        let rows = [
            ("10 MiB", Some(10 << 20)),
            ("200MiB", Some(200 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("512 B", Some(512)),
            ("10 MB", None),
            ("10", None),
            ("big", None),
            ("99999999999 GiB", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
