//! Vietnamese text: one form for equal letters, comparison without accents, names, cutting to length.

use std::borrow::Cow;

use crate::dossier::fold_text;
use jaq_core::Error;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::super::meter;
use super::super::value::{Object, Text, Val};
use super::Outcome;

/// The text of a value: null has none, a number its digits, anything else is refused.
pub(super) fn text_of(value: &Val) -> Result<Option<Cow<'_, str>>, Error<Val>> {
    match value {
        Val::Null => Ok(None),
        Val::Text(text) => {
            meter::work(text.len() * 8);
            Ok(Some(Cow::Borrowed(text)))
        }
        Val::Int(number) => Ok(Some(Cow::Owned(number.to_string()))),
        other => Err(Error::typ(other.clone(), "text")),
    }
}

fn mapped(value: &Val, f: impl Fn(&str) -> String) -> Outcome {
    Ok(text_of(value)?.map_or(Val::Null, |text| Val::text(f(&text))))
}

/// Composed form (NFC).
pub(super) fn nfc(input: &Val) -> Outcome {
    mapped(input, |text| text.nfc().collect())
}

/// NFC, trimmed, single spaces.
pub(super) fn clean(input: &Val) -> Outcome {
    mapped(input, |text| single_spaces(&text.nfc().collect::<String>()))
}

/// Lower case, of accented letters too.
pub(super) fn lower(input: &Val) -> Outcome {
    mapped(input, str::to_lowercase)
}

/// Upper case, of accented letters too.
pub(super) fn upper(input: &Val) -> Outcome {
    mapped(input, str::to_uppercase)
}

/// What two writings of the same words have in common: no accents, no case, đ as d, single spaces.
pub(super) fn fold(input: &Val) -> Outcome {
    mapped(input, fold_text)
}

fn single_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the folded text contains the folded words. Null says nothing, and nobody says nothing.
pub(super) fn says(input: &Val, words: &Val) -> Outcome {
    let (Some(text), Some(words)) = (text_of(input)?, text_of(words)?) else {
        return Ok(Val::Bool(false));
    };
    let words = fold_text(&words);
    Ok(Val::Bool(!words.is_empty() && fold_text(&text).contains(&words)))
}

/// Whether the folded texts are equal and not empty.
pub(super) fn alike(left: &Val, right: &Val) -> Outcome {
    let (Some(left), Some(right)) = (text_of(left)?, text_of(right)?) else {
        return Ok(Val::Bool(false));
    };
    let left = fold_text(&left);
    Ok(Val::Bool(!left.is_empty() && left == fold_text(&right)))
}

/// The first characters, never more than `count` and never a letter without its accents.
pub(super) fn cut(input: &Val, count: &Val) -> Outcome {
    let Val::Int(count) = count else {
        return Err(Error::typ(count.clone(), "number of characters"));
    };
    let count = usize::try_from(*count).unwrap_or(0);
    mapped(input, |text| {
        let letters: Vec<char> = text.chars().collect();
        let mut end = count.min(letters.len());
        // An accent behind the cut belongs to the letter before it: that one goes too.
        while end > 0 && letters.get(end).is_some_and(|next| is_combining_mark(*next)) {
            end -= 1;
        }
        letters.into_iter().take(end).collect()
    })
}

/// `{family, middle, given}` of a Vietnamese name: the first word, those between, the last. One word is a given name.
pub(super) fn split_name(input: &Val) -> Outcome {
    let Some(name) = text_of(input)? else {
        return Ok(Val::Null);
    };
    let words: Vec<&str> = name.split_whitespace().collect();
    let (family, middle, given) = match words.as_slice() {
        [] => return Ok(Val::Null),
        [given] => ("", String::new(), *given),
        [family, middle @ .., given] => (*family, middle.join(" "), *given),
    };
    let mut object = Object::default();
    object.insert(Text::from("family"), Val::text(family));
    object.insert(Text::from("middle"), Val::text(middle));
    object.insert(Text::from("given"), Val::text(given));
    Ok(Val::object(object))
}

/// The name of `{family, middle, given}`; parts that are null or empty are left out. Nothing at all is null.
pub(super) fn join_name(input: &Val) -> Outcome {
    if matches!(input, Val::Null) {
        return Ok(Val::Null);
    }
    if input.entries().is_none() {
        return Err(Error::typ(input.clone(), "object of family, middle, given"));
    }
    let parts =
        ["family", "middle", "given"].map(|part| single_spaces(input.text_at(part).unwrap_or_default()));
    let words: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Ok(if words.is_empty() {
        Val::Null
    } else {
        Val::text(words.join(" "))
    })
}

/// jq's `join`: null counts as an empty text, numbers and booleans as their text.
pub(super) fn join(input: &Val, separator: &Val) -> Outcome {
    let (Some(items), Some(separator)) = (input.items(), separator.as_text()) else {
        return Err(Error::typ(input.clone(), "list to be joined by a text"));
    };
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let part = match item {
            Val::Null => Cow::Borrowed(""),
            Val::Text(text) => Cow::Borrowed(&**text),
            Val::Bool(_) | Val::Int(_) | Val::Float(_) => Cow::Owned(item.to_json()),
            other => return Err(Error::typ(other.clone(), "part of a text")),
        };
        meter::charge(separator.len() + part.len());
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&part);
    }
    Ok(Val::text(joined))
}

/// UTF-8 of the composed form, all but the unreserved characters of RFC 3986 percent-encoded.
pub(super) fn percent_encode(input: &Val) -> Outcome {
    mapped(input, super::super::text::percent_encode)
}

/// Counts what a regular expression will cost, then passes the text on.
pub(super) fn regex_work(input: Val, pattern: Val) -> Outcome {
    match (&input, &pattern) {
        (Val::Text(text), Val::Text(pattern)) => {
            meter::work(
                (text.len() + 64)
                    .saturating_mul(states(pattern))
                    .saturating_mul(16),
            );
            Ok(input)
        }
        (Val::Text(_), _) => Err(Error::typ(pattern, "regular expression")),
        _ => Err(Error::typ(input, "text")),
    }
}

/// How many states a regular expression takes, counted repetitions (`x{50}`) written out.
fn states(pattern: &str) -> usize {
    // Of each open group what it has so far; of what stands before the place, what a repetition would repeat.
    let mut groups = vec![0_usize];
    let mut last = 0_usize;
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let item = match letter {
            '(' => {
                groups.push(0);
                continue;
            }
            ')' if groups.len() > 1 => groups.pop().unwrap_or(0).saturating_add(1),
            '{' => {
                let counts: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
                let counts = counts.split(',').filter_map(|count| count.parse::<usize>().ok());
                let repeated = last;
                last = repeated.saturating_mul(counts.max().unwrap_or(1));
                last - repeated.min(last)
            }
            '\\' => {
                letters.next();
                1
            }
            _ => 1,
        };
        if letter != '{' {
            last = item;
        }
        if let Some(group) = groups.last_mut() {
            *group = group.saturating_add(item);
        }
    }
    groups.into_iter().fold(1, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_pattern_multiply_with_its_repetitions() {
        let table = [
            ("abc", 4),
            ("^[0-9]{12}$", 19),
            ("(ab){3}", 10),
            ("((x{50}){50}){50}", 127_551),
            (r"\(\{a", 4),
            ("x{99999999999999999999}", 2),
            ("x{4000000000}{4000000000}{4000000000}", usize::MAX),
            ("a)b}", 5),
        ];
        for (pattern, expected) in table {
            assert_eq!(states(pattern), expected, "{pattern}");
        }
    }
}
