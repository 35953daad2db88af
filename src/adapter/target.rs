//! Where a request goes. Data never chooses the host, and never climbs out of the path that the manifest wrote.

use serde_json::Value as Json;

use super::request::percent;
use super::workshop::Workshop;
use crate::fault::Fault;
use crate::jq::{Escape, Scope, Text};
use crate::read::{ANY, Table, Value};

/// Address and query of a call.
#[derive(Debug, Clone)]
pub(super) struct Target {
    place: Place,
    query: Vec<(String, Text)>,
    field: String,
}

#[derive(Debug, Clone)]
enum Place {
    /// Joined to the connection's address.
    Path(Text),
    /// Stands for itself; this much of it is literal.
    Url(Text, String),
}

impl Target {
    pub(super) fn read(table: &Table<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Option<Self> {
        let query = texts(table.get("query").as_ref(), workshop, variables);
        let place = match (table.get("path"), table.get("url")) {
            (Some(path), None) => Self::path(&path, workshop, variables),
            (None, Some(url)) => Self::literal(&url, workshop, variables),
            (Some(_), Some(url)) => {
                let fault = url.fault("key-conflict").found("both `path` and `url`");
                table.report(fault.expected("one of them").remedy("remove one of them"));
                None
            }
            (None, None) => {
                table.demand(&[(
                    "path",
                    "the path of the call under connection.url, as in '/integration'",
                )]);
                None
            }
        };
        Some(Self {
            place: place?,
            query,
            field: table.path().to_owned(),
        })
    }

    fn path(value: &Value<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Option<Place> {
        let path = workshop.text(value, variables, Escape::Percent);
        if !value.text()?.starts_with('/') {
            let fault = value.fault("bad-path").found(format!("{:?}", value.text()?));
            value.report(
                fault
                    .expected("a path that begins with `/`")
                    .remedy("begin it with `/`: it is appended to connection.url"),
            );
        }
        path.map(Place::Path)
    }

    fn literal(value: &Value<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Option<Place> {
        let text = value.text()?;
        let url = workshop.text(value, variables, Escape::None);
        let literal = text.split("\\(").next().unwrap_or_default();
        if !literal_host(literal, text) {
            let fault = value.fault("bad-url").found(format!("{text:?}"));
            value.report(
                fault
                    .expected("https:// or http://, a host and `/`, all before the first \\( )")
                    .remedy("write the host plainly: data must not choose where a request goes"),
            );
        }
        url.map(|url| Place::Url(url, literal.to_owned()))
    }

    /// The whole address.
    pub(super) fn url(&self, base: &str, about: &Json, scope: &Scope) -> Result<String, Fault> {
        let (mut url, literal) = match &self.place {
            Place::Path(path) => (
                format!("{base}{}", path.render(about, scope).map_err(super::fault)?),
                base.to_owned(),
            ),
            Place::Url(url, literal) => (url.render(about, scope).map_err(super::fault)?, literal.clone()),
        };
        if !url.starts_with(&literal) || climbs(&url) {
            return Err(Fault::new("bad-path")
                .field(&self.field)
                .found("a value that would leave the path of the call")
                .expected("a path without `.` and `..` as segments, and without spaces")
                .remedy("correct the value that the path is made from"));
        }
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, text) in &self.query {
            let value = text.render(about, scope).map_err(super::fault)?;
            url.push(separator);
            url.extend([percent(name).as_str(), "=", percent(&value).as_str()]);
            separator = '&';
        }
        Ok(url)
    }
}

/// Text templates by name; faults are reported.
fn texts(value: Option<&Value<'_>>, workshop: &Workshop<'_>, variables: &[&str]) -> Vec<(String, Text)> {
    let table = value.and_then(|value| value.table(ANY));
    let entries = table.iter().flat_map(Table::entries);
    entries
        .filter_map(|(name, value)| Some((name.to_owned(), workshop.text(&value, variables, Escape::None)?)))
        .collect()
}

fn literal_host(literal: &str, whole: &str) -> bool {
    let rest = literal
        .strip_prefix("https://")
        .or_else(|| literal.strip_prefix("http://"));
    // Without an interpolation there is nothing that could follow the host.
    rest.is_some_and(|rest| rest.contains('/') || literal == whole)
        && reqwest::Url::parse(literal).is_ok_and(|url| url.username().is_empty())
}

/// A segment that means "here" or "above", encoded or not, or something that ends an address.
fn climbs(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let dots = |segment: &str| {
        matches!(
            segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
            "." | ".."
        )
    };
    path.split(['/', '\\']).any(dots) || url.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Headers of a call or of the connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers(Vec<(String, Text)>);

impl Headers {
    pub(super) fn read(value: Option<&Value<'_>>, workshop: &Workshop<'_>, variables: &[&str]) -> Self {
        let table = value.and_then(|value| value.table(ANY));
        for (name, value) in table.iter().flat_map(Table::entries) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(allowed) {
                let fault = value.fault("bad-header").found(format!("{name:?}"));
                value.report(
                    fault
                        .expected("a name of letters, digits and `-`")
                        .remedy("correct the name"),
                );
            }
        }
        Self(texts(value, workshop, variables))
    }

    /// Only those that the test holds for; it sees the written value.
    pub(super) fn without_variable(value: Option<&Value<'_>>, variable: &str, all: &Self) -> Self {
        let table = value.and_then(|value| value.table(ANY));
        let using: Vec<_> = table
            .iter()
            .flat_map(Table::entries)
            .filter(|(_, value)| Workshop::mentions(value, variable))
            .map(|(name, _)| name)
            .collect();
        Self(
            all.0
                .iter()
                .filter(|(name, _)| !using.contains(&name.as_str()))
                .cloned()
                .collect(),
        )
    }

    pub(super) fn render(&self, about: &Json, scope: &Scope) -> Result<Vec<(String, String)>, Fault> {
        let render = |(name, text): &(String, Text)| {
            let value = text.render(about, scope).map_err(super::fault)?;
            if value.chars().any(char::is_control) {
                let fault = Fault::new("bad-header")
                    .field(name)
                    .found("a line break or another control character");
                return Err(fault.remedy("clean the value in the manifest"));
            }
            Ok((name.clone(), value))
        };
        self.0.iter().map(render).collect()
    }
}
