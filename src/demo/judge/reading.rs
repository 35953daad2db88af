//! Reads fields of a one-stop row. An error is the cause of a refusal: field name and finding, never the value.

use jiff::civil;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// What was read, or why the row deserves to be refused.
pub(super) type Read<T> = Result<T, String>;

/// Text of one line in NFC, because senders mix composed and decomposed letters; empty if the field is absent or null.
/// White space, line breaks too, is one blank between words and none around them.
///
/// A number counts as its digits: systems send the same code now as text, now as a number.
pub(super) fn text(row: &Value, field: &str) -> Read<String> {
    Ok(one_line(&stated(row, field)?))
}

/// Words with one blank between them.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in NFC, blanks as they are stated: dates, and paths of files.
pub(super) fn stated(row: &Value, field: &str) -> Read<String> {
    match row.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.nfc().collect()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(format!("{field}: no text")),
    }
}

/// Text that must be there.
pub(super) fn mandatory(row: &Value, field: &str) -> Read<String> {
    let text = text(row, field)?;
    if text.is_empty() {
        Err(format!("{field}: empty"))
    } else {
        Ok(text)
    }
}

/// Text that must be one of `codes`.
pub(super) fn code(row: &Value, field: &str, codes: &[&str]) -> Read<String> {
    let text = mandatory(row, field)?;
    if codes.contains(&text.as_str()) {
        Ok(text)
    } else {
        Err(format!("{field}: unknown code"))
    }
}

/// Yes (1, true) or no (0, false, empty, absent), as text or not.
pub(super) fn yes(row: &Value, field: &str) -> Read<bool> {
    let said = match row.get(field) {
        Some(Value::Bool(said)) => said.to_string(),
        Some(Value::Number(number)) if number.as_f64() == Some(1.0) => "1".to_owned(),
        Some(Value::Number(number)) if number.as_f64() == Some(0.0) => "0".to_owned(),
        _ => text(row, field)?,
    };
    match said.as_str() {
        "1" | "true" => Ok(true),
        "" | "0" | "false" => Ok(false),
        _ => Err(format!("{field}: neither yes nor no")),
    }
}

/// Whole đồng from 0 to 10^12: an integer, a number that is one, or digits. `100.000` as text may be a hundred or a
/// hundred thousand and is neither.
pub(super) fn amount(row: &Value, field: &str) -> Read<u64> {
    const MOST: u64 = 1_000_000_000_000;
    let text = mandatory(row, field)?;
    let whole = match row.get(field) {
        // Numbers of this size are exact, so their digits before an empty fraction are the amount.
        Some(Value::Number(number)) if number.is_f64() => text.strip_suffix(".0").unwrap_or_default(),
        _ => text.as_str(),
    };
    Some(whole)
        .filter(|whole| digits(whole))
        .and_then(|whole| whole.parse().ok())
        .filter(|whole| *whole <= MOST)
        .ok_or_else(|| format!("{field}: no amount in đồng"))
}

/// A local date-time `yyyyMMddHHmmss` that exists, or empty.
pub(super) fn moment(row: &Value, field: &str) -> Read<String> {
    let text = stated(row, field)?;
    if text.is_empty() || is_moment(&text) {
        Ok(text)
    } else {
        Err(format!("{field}: no such date"))
    }
}

/// A birth date `dd/MM/yyyy`, `MM/yyyy` or `yyyy` that exists, or empty.
pub(super) fn birth(row: &Value, field: &str) -> Read<()> {
    let text = stated(row, field)?;
    let parts: Vec<&str> = text.split('/').collect();
    let exists = match parts[..] {
        [""] => true,
        [year] => is_day(year, "01", "01"),
        [month, year] => is_day(year, month, "01"),
        [day, month, year] => is_day(year, month, day),
        _ => false,
    };
    if exists {
        Ok(())
    } else {
        Err(format!("{field}: no such date"))
    }
}

/// A list, empty if the field is absent or null.
pub(super) fn list<'a>(row: &'a Value, field: &str) -> Read<&'a [Value]> {
    match row.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("{field}: no list")),
    }
}

/// The address of a file, percent-encoded: accents, blanks and plus signs would break in it.
pub(super) fn link(files: &str, path: &str) -> String {
    let encoded = path.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    std::iter::once(files.to_owned()).chain(encoded).collect()
}

/// `text` if it has at most `most` characters, else shortened to `most` with a visible mark as the last one.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Whether `text` is a dossier code of TT 01/2018/TT-VPCP art. 19: agency, day of receipt, sequence.
pub(super) fn is_dossier_code(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [agency, day, sequence] = parts[..] else {
        return false;
    };
    let (Some(year), Some(month), Some(date)) = (day.get(..2), day.get(2..4), day.get(4..)) else {
        return false;
    };
    is_agency(agency)
        && is_day(&format!("20{year}"), month, date)
        && digits(sequence)
        && (4..=6).contains(&sequence.len())
}

/// Whether `text` is a procedure code: the national root, alone or with the province's ending. Gives the root.
pub(super) fn procedure_root(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    let ending_fits = match parts.get(2..)? {
        [] => true,
        [province] => is_province(province),
        [a, b, c, province] => {
            [a, b, c].iter().all(|part| digits(part))
                && (a.len(), b.len(), c.len()) == (3, 2, 2)
                && is_province(province)
        }
        _ => false,
    };
    let (kind, number) = (parts[0], parts[1]);
    let root_fits =
        digits(kind) && kind.len() == 1 && kind != "0" && digits(number) && number.len() == 6 && ending_fits;
    root_fits.then(|| format!("{kind}.{number}"))
}

/// ASCII digits and at least one.
pub(super) fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_moment(text: &str) -> bool {
    if !digits(text) || text.len() != 14 {
        return false;
    }
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let number = |from: usize, to: usize| part(from, to).parse::<i8>().unwrap_or(-1);
    is_day(part(0, 4), part(4, 6), part(6, 8))
        && civil::Time::new(number(8, 10), number(10, 12), number(12, 14), 0).is_ok()
}

fn is_day(year: &str, month: &str, day: &str) -> bool {
    let lengths_fit = (year.len(), month.len(), day.len()) == (4, 2, 2);
    let all_digits = [year, month, day].iter().all(|part| digits(part));
    match (year.parse(), month.parse(), day.parse()) {
        (Ok(year), Ok(month), Ok(day)) => {
            lengths_fit && all_digits && civil::Date::new(year, month, day).is_ok()
        }
        _ => false,
    }
}

/// The older `V1V2V3.Z1Z2.Y1Y2.MX1X2` or the newer form of QĐ 20/2020/QĐ-TTg, most general group first.
fn is_agency(text: &str) -> bool {
    let groups: Vec<&str> = text.split('.').collect();
    let all_alphanumeric = groups.iter().all(|group| {
        !group.is_empty()
            && group
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    });
    let older =
        matches!(groups[..], [a, b, c, d] if (a.len(), b.len(), c.len()) == (3, 2, 2) && is_province(d));
    let newer = text.len() <= 35 && groups.first().is_some_and(|group| is_province(group));
    all_alphanumeric && (older || newer)
}

/// A letter and two digits: `H56`, `G15`.
fn is_province(text: &str) -> bool {
    text.len() == 3
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase())
        && text.get(1..).is_some_and(digits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_generations_of_dossier_codes_are_known_and_nothing_else() {
        for good in [
            "000.17.22.H56-210531-0001",
            "H56.14-240823-0001",
            "H56-240229-123456",
            "G01.899-240823-0001",
        ] {
            assert!(is_dossier_code(good), "{good}");
        }
        for bad in [
            "",
            "H56.14",
            "H56.14-240823",
            "H56.14-240230-0001",
            "H56.14-240823-001",
            "H56.14-240823-1234567",
            "56.14-240823-0001",
            "H56.14-24082é-0001",
            "H56..14-240823-0001",
            "h56.14-240823-0001",
        ] {
            assert!(!is_dossier_code(bad), "{bad}");
        }
    }

    #[test]
    fn procedure_codes_give_their_root() {
        for code in ["2.000488", "2.000488.H56", "2.000488.000.00.00.H56"] {
            assert_eq!(procedure_root(code).as_deref(), Some("2.000488"), "{code}");
        }
        for bad in [
            "",
            "2",
            "2.00488",
            "0.000488",
            "2.000488.",
            "2.000488.00.00.H56",
            "TS_lop1.000.00.00.H22",
        ] {
            assert_eq!(procedure_root(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_that_never_were_are_refused_and_not_replaced() {
        let row = json!({
            "good": "20240229235959", "none": "", "leap": "20230229000000", "hour": "20230228240000",
            "short": "20230228", "letters": "2023022800000x", "list": []
        });
        assert_eq!(moment(&row, "good"), Ok("20240229235959".to_owned()));
        assert_eq!(moment(&row, "none"), Ok(String::new()));
        assert_eq!(moment(&row, "absent"), Ok(String::new()));
        for field in ["leap", "hour", "short", "letters"] {
            assert_eq!(moment(&row, field), Err(format!("{field}: no such date")));
        }
        assert_eq!(moment(&row, "list"), Err("list: no text".to_owned()));
    }

    #[test]
    fn birth_dates_may_be_a_day_a_month_or_a_year() {
        let row = json!({"a": "29/02/2024", "b": "05/1971", "c": "1965", "d": "", "e": "30/02/2024", "f": "13/1971"});
        for field in ["a", "b", "c", "d"] {
            assert_eq!(birth(&row, field), Ok(()), "{field}");
        }
        for field in ["e", "f"] {
            assert_eq!(birth(&row, field), Err(format!("{field}: no such date")));
        }
    }

    #[test]
    fn long_text_is_cut_between_letters_with_a_mark() {
        assert_eq!(cut("Hường", 5), "Hường");
        assert_eq!(cut("Hường Lê", 5), "Hườn…");
    }

    #[test]
    fn yes_and_no_are_known_in_every_writing_and_nothing_else() {
        let said = |value: Value| yes(&json!({"a": value}), "a");
        for value in [json!(1), json!(1.0), json!("1"), json!(true), json!(" true")] {
            assert_eq!(said(value), Ok(true));
        }
        for value in [
            json!(0),
            json!("0"),
            json!(false),
            json!("false"),
            json!(""),
            Value::Null,
        ] {
            assert_eq!(said(value), Ok(false));
        }
        for value in [json!(2), json!("có"), json!(0.5), json!("True")] {
            assert_eq!(said(value), Err("a: neither yes nor no".to_owned()));
        }
        assert_eq!(said(json!([])), Err("a: no text".to_owned()));
        assert_eq!(yes(&json!({}), "a"), Ok(false));
    }

    #[test]
    fn amounts_are_whole_and_not_beyond_measure() {
        let read = |value: Value| amount(&json!({"a": value}), "a");
        for value in [
            json!(150_000),
            json!(150_000.0),
            json!("150000"),
            json!(" 0150000 "),
        ] {
            assert_eq!(read(value), Ok(150_000));
        }
        assert_eq!(read(json!(1_000_000_000_000_u64)), Ok(1_000_000_000_000));
        assert_eq!(read(json!(1e12)), Ok(1_000_000_000_000));
        let bad = [
            json!(1_000_000_000_001_u64),
            json!(1e300),
            json!(-1),
            json!(0.5),
            json!("100.000"),
            json!("1e5"),
            json!("-1"),
            json!("99999999999999999999"),
        ];
        for value in bad {
            assert_eq!(read(value), Err("a: no amount in đồng".to_owned()));
        }
        assert_eq!(read(json!("")), Err("a: empty".to_owned()));
    }

    #[test]
    fn line_breaks_are_blanks() {
        let row = json!({"a": " Lê\nThị\r\n\u{a0} Mẫu\t"});
        assert_eq!(text(&row, "a"), Ok("Lê Thị Mẫu".to_owned()));
    }

    #[test]
    fn decomposed_letters_are_composed() {
        assert_eq!(text(&json!({"a": "Hu\u{31b}\u{300}"}), "a"), Ok("Hừ".to_owned()));
    }
}
