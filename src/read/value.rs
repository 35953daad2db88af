//! One value of the document, and the types that it may be asked for.

use std::time::Duration;

use serde_json::Value as Json;
use toml::de::{DeArray, DeValue};

use super::table::nearest;
use super::{Keys, Reader, Table, duration, size};
use crate::fault::Fault;

/// Text that is code, and the line at which it begins.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    /// The code itself.
    pub(crate) text: String,
    /// Line of its first character.
    pub(crate) line: usize,
    /// Full name of its key.
    pub(crate) field: String,
}

/// A closed list of words and what each stands for.
pub(crate) type Words<T> = &'static [(&'static str, T)];

/// A value with its full name and place.
#[derive(Debug, Clone)]
pub(crate) struct Value<'r> {
    pub(crate) reader: &'r Reader<'r>,
    pub(super) field: String,
    pub(super) start: usize,
    pub(super) line: usize,
    pub(super) content: &'r DeValue<'r>,
}

impl<'r> Value<'r> {
    /// A fault of this kind, about this value.
    pub(crate) fn fault(&self, code: &str) -> Fault {
        self.reader.fault(code, self.line).field(&self.field)
    }

    /// Keeps a fault for the end.
    pub(crate) fn report(&self, fault: Fault) {
        self.reader.report(fault);
    }

    /// Its line.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Is it text?
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.content, DeValue::String(_))
    }

    /// Is it a table?
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.content, DeValue::Table(_))
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let fault = self
            .fault("wrong-type")
            .found(kind(self.content))
            .expected(expected);
        self.report(fault.remedy("write it in the expected form"));
        None
    }

    /// Text; anything else is reported.
    pub(crate) fn text(&self) -> Option<&'r str> {
        match self.content {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type("text"),
        }
    }

    /// Code, with the line of its first character.
    pub(crate) fn code(&self) -> Option<Code> {
        let text = self.text()?;
        let written = self.reader.document.from(self.start);
        let quotes = written
            .get(..3)
            .filter(|quotes| *quotes == "'''" || *quotes == "\"\"\"");
        // A line break right after three quotes is no part of the text.
        let below = quotes.is_some()
            && written
                .get(3..)
                .is_some_and(|rest| rest.trim_start_matches('\r').starts_with('\n'));
        let line = self.reader.document.line(self.start) + usize::from(below);
        Some(Code {
            text: text.to_owned(),
            line,
            field: self.field.clone(),
        })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.content {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&self, least: u32) -> Option<u32> {
        let number = match self.content {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if number >= least => Some(number),
            _ => self.wrong_type(&format!("a whole number from {least}")),
        }
    }

    /// A duration.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let text = self.text()?;
        let duration = duration::parse(text);
        if duration.is_none() {
            let fault = self
                .fault("bad-duration")
                .found(format!("{text:?}"))
                .expected(duration::EXPECTED);
            self.report(fault.remedy("write the number and the unit without a space"));
        }
        duration
    }

    /// A duration above zero: what is done every so often is not done without an end.
    pub(crate) fn period(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            let fault = self.fault("bad-duration").found(format!("{:?}", self.text()?));
            let fault = fault.expected("a duration above zero");
            self.report(fault.remedy("write how long it is, as in \"30s\""));
            return None;
        }
        Some(duration)
    }

    /// A size in bytes.
    pub(crate) fn size(&self) -> Option<u64> {
        let text = self.text()?;
        let size = size::parse(text);
        if size.is_none() {
            let fault = self
                .fault("bad-size")
                .found(format!("{text:?}"))
                .expected(size::EXPECTED);
            self.report(fault.remedy("write the number and the unit"));
        }
        size
    }

    /// One word of a closed list; another is a fault of the given kind.
    pub(crate) fn word<T: Clone>(&self, code: &str, words: Words<T>) -> Option<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(meaning.clone());
        }
        let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let fault = self
            .fault(code)
            .found(format!("{text:?}"))
            .expected(format!("one of: {}", all.join(", ")));
        self.report(match nearest(text, &all) {
            Some(near) => fault.remedy(format!("write \"{near}\"")),
            None => fault.remedy("choose one of these words"),
        });
        None
    }

    /// A table with these keys.
    pub(crate) fn table(&self, keys: Keys) -> Option<Table<'r>> {
        match self.content {
            DeValue::Table(entries) => Some(Table::new(
                self.reader,
                entries,
                self.field.clone(),
                self.line,
                keys,
            )),
            _ => self.wrong_type("a table"),
        }
    }

    /// The members of a list, each named by its place from 1.
    pub(crate) fn list(&self) -> Option<Vec<Value<'r>>> {
        match self.content {
            DeValue::Array(members) => Some(self.members(members)),
            _ => self.wrong_type("a list"),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self) -> Option<Vec<&'r str>> {
        self.list()?.iter().map(Value::text).collect()
    }

    fn members(&self, members: &'r DeArray<'r>) -> Vec<Value<'r>> {
        let place = |(index, member): (usize, &'r toml::Spanned<DeValue<'r>>)| Value {
            reader: self.reader,
            field: format!("{}[{}]", self.field, index + 1),
            start: member.span().start,
            line: self.reader.document.line(member.span().start),
            content: member.get_ref(),
        };
        members.iter().enumerate().map(place).collect()
    }

    /// The value as JSON, for settings. Dates stay text.
    pub(crate) fn json(&self) -> Json {
        json(self.content)
    }
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Json::Null, Json::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Boolean(value) => Json::Bool(*value),
        DeValue::Datetime(time) => Json::String(time.to_string()),
        DeValue::Array(members) => members.iter().map(|member| json(member.get_ref())).collect(),
        DeValue::Table(entries) => entries
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
            .collect(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
