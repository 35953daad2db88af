//! Plain text with values in it: `'/dossiers/\($dossier.code)'`.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use super::{Error, Filter, Library, Place, Scope};
use crate::fault::Fault;

/// What is done to each value that a text takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// It stands as it is: in headers and whole addresses.
    None,
    /// All but unreserved characters (RFC 3986) of its UTF-8 in NFC are percent-encoded; `.` and `..` are refused,
    /// so that a value cannot climb out of a path.
    Percent,
}

/// A compiled text. Outside of `\( )` a backslash stands for itself, two of them for one.
#[derive(Debug, Clone)]
pub struct Text {
    parts: Vec<Piece>,
    escape: Escape,
}

#[derive(Debug, Clone)]
enum Piece {
    Plain(String),
    Value(Filter),
}

impl Text {
    pub(super) fn compile(
        library: &Library,
        template: &str,
        variables: &[&str],
        at: &Place,
        escape: Escape,
    ) -> Result<Self, Vec<Fault>> {
        let mut parts = Vec::new();
        let mut faults = Vec::new();
        let mut plain = String::new();
        let mut line = at.line;
        let mut rest = template;
        while let Some(letter) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix("\\(") {
                let Some((code, behind)) = expression(behind) else {
                    let fault = Fault::new("jq-syntax")
                        .file(&at.file)
                        .field(&at.key)
                        .found("\\( without its )")
                        .remedy("close the bracket");
                    faults.push(if line == 0 { fault } else { fault.line(line) });
                    break;
                };
                parts.push(Piece::Plain(std::mem::take(&mut plain)));
                match library.compile(code, variables, &Place { line, ..at.clone() }) {
                    Ok(filter) => parts.push(Piece::Value(filter)),
                    Err(found) => faults.extend(found),
                }
                line += if line == 0 { 0 } else { code.matches('\n').count() };
                rest = behind;
                continue;
            }
            rest = rest
                .strip_prefix("\\\\")
                .map_or_else(|| rest.strip_prefix(letter), Some)
                .unwrap_or_default();
            line += usize::from(line > 0 && letter == '\n');
            plain.push(letter);
        }
        parts.push(Piece::Plain(plain));
        if faults.is_empty() {
            Ok(Self { parts, escape })
        } else {
            Err(faults)
        }
    }

    /// Fills in the values.
    ///
    /// # Errors
    ///
    /// As [`Filter::one`] for each value, and the fault `text-without-value` if one is null, a list or an object: such a
    /// thing has no place in an address or header, and `null` in one would look like a code.
    pub fn render(&self, input: &Value, scope: &Scope) -> Result<String, Error> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Piece::Plain(plain) => text.push_str(plain),
                Piece::Value(filter) => {
                    let value = match filter.one(input, scope)? {
                        Value::String(value) => value,
                        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
                        other => return Err(without_value(filter, kind(&other)).into()),
                    };
                    match self.escape {
                        Escape::None => text.push_str(&value),
                        Escape::Percent if value == "." || value == ".." => {
                            return Err(without_value(filter, "a step in a path").into());
                        }
                        Escape::Percent => text.push_str(&percent_encode(&value)),
                    }
                }
            }
        }
        Ok(text)
    }
}

/// UTF-8 of the composed form, all but the unreserved characters of RFC 3986 percent-encoded.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.nfc().collect::<String>().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String can always be written to");
        }
    }
    encoded
}

fn without_value(filter: &Filter, found: &str) -> Fault {
    filter
        .fault("text-without-value")
        .found(found)
        .expected("a text, a number or a boolean")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        _ => "null",
    }
}

/// Splits `code) rest` where the bracket closes: not in a string, of which interpolations are code again, nor in a
/// comment.
fn expression(text: &str) -> Option<(&str, &str)> {
    #[derive(PartialEq)]
    enum Inside {
        Brackets,
        String,
    }
    let mut open = vec![Inside::Brackets];
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (open.last()?, letter) {
            // Steps over what is escaped; an interpolation comes to the arm below.
            (Inside::String, '\\') if letters.next()?.1 != '(' => {}
            (Inside::String, '"') => {
                open.pop();
            }
            (Inside::Brackets, '"') => open.push(Inside::String),
            (Inside::Brackets, '#') => {
                letters.by_ref().find(|(_, letter)| *letter == '\n')?;
            }
            // An interpolation in a string, or a bracket.
            (Inside::String, '\\') | (Inside::Brackets, '(') => open.push(Inside::Brackets),
            (Inside::Brackets, ')') => {
                open.pop();
                if open.is_empty() {
                    return Some((text.get(..at)?, text.get(at + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}
