//! Reads fields of a one-stop row. An error is the cause of a refusal: field name and finding, never the value.

use jiff::civil;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// What was read, or why the row deserves to be refused.
pub(super) type Read<T> = Result<T, String>;

/// Text in NFC, because senders mix composed and decomposed letters; empty if the field is absent or null.
///
/// A number counts as its digits: systems send the same code now as text, now as a number.
pub(super) fn text(row: &Value, field: &str) -> Read<String> {
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
    if text.trim().is_empty() {
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

/// A local date-time `yyyyMMddHHmmss` that exists, or empty.
pub(super) fn moment(row: &Value, field: &str) -> Read<String> {
    let text = text(row, field)?;
    if text.is_empty() || is_moment(&text) {
        Ok(text)
    } else {
        Err(format!("{field}: no such date"))
    }
}

/// A birth date `dd/MM/yyyy`, `MM/yyyy` or `yyyy` that exists, or empty.
pub(super) fn birth(row: &Value, field: &str) -> Read<()> {
    let text = text(row, field)?;
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
    fn decomposed_letters_are_composed() {
        assert_eq!(text(&json!({"a": "Hu\u{31b}\u{300}"}), "a"), Ok("Hừ".to_owned()));
    }
}
