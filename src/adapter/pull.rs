//! `[pull.NAME]`: we ask what is new.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::acknowledge::Acknowledge;
use super::call::{Call, Kind};
use super::mapping::{Fact, Mapping};
use super::settings::Settings;
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::jq::{Filter, Scope};
use crate::read::{Keys, Table};

/// A question that is asked again and again.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Its name in the manifest.
    pub name: String,
    /// From the end of one asking to the beginning of the next.
    pub every: Duration,
    /// The question.
    pub call: Call,
    /// How far before the cursor a question begins: for late commits and coarse times. Repeats change nothing.
    pub overlap: Duration,
    /// How far back the first question goes; `None`: to the beginning.
    pub start: Option<Duration>,
    /// Longest span of one question.
    pub window: Option<Duration>,
    /// Tells the system which records are durable here.
    pub acknowledge: Option<Acknowledge>,
    cursor: Option<Filter>,
    next: Option<Filter>,
    mapping: Mapping,
    settings: Settings,
}

/// What one question covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From here; `None`: from the beginning.
    pub since: Option<Timestamp>,
    /// Up to here.
    pub until: Timestamp,
}

impl Pull {
    pub(super) const KEYS: Keys = &[
        "method",
        "path",
        "url",
        "query",
        "headers",
        "body",
        "send",
        "receive",
        "answer",
        "records",
        "files",
        "every",
        "map",
        "code",
        "snapshot",
        "cursor",
        "start",
        "overlap",
        "window",
        "next",
        "acknowledge",
    ];

    pub(super) fn read(
        name: &str,
        table: &Table<'_>,
        wire: &Arc<Wire>,
        workshop: &Workshop<'_>,
    ) -> Option<Self> {
        table.demand(&[
            ("every", "how long to wait between two questions, as in \"30s\""),
            (
                "records",
                "jq that finds the records in the answer, as in '.data[]'",
            ),
            ("map", "jq from a record to a patch, or the name of a filter"),
        ]);
        let duration = |key| table.get(key).and_then(|value| value.duration());
        let period = |key| table.get(key).and_then(|value| value.period());
        let (every, start, overlap, window) = (
            period("every"),
            duration("start"),
            duration("overlap"),
            period("window"),
        );
        let mut variables = vec!["settings", "system", "now", "since", "until", "page"];
        variables.extend(wire.login.then_some("token"));
        let cursor = table
            .get("cursor")
            .and_then(|value| workshop.filter(&value, Sight::Mapping, &["settings", "system"]));
        let next = table
            .get("next")
            .and_then(|value| workshop.filter(&value, Sight::Call, &variables));
        let mapping = Mapping::read(table, &wire.settings, workshop);
        let acknowledge = table
            .get("acknowledge")
            .and_then(|value| value.table(Acknowledge::KEYS))
            .and_then(|table| Acknowledge::read(&table, wire, workshop));
        let kind = Kind {
            writes: false,
            idempotent: true,
            records: true,
            variables,
        };
        let call = Call::read(table, &kind, wire, workshop);
        Some(Self {
            name: name.to_owned(),
            every: every?,
            call: call?.bringing_files(table),
            overlap: overlap.unwrap_or_default(),
            start,
            window,
            acknowledge,
            cursor,
            next,
            mapping: mapping?,
            settings: wire.settings.clone(),
        })
    }

    /// What to ask for now. `cursor`: where the last asking came to; `None`: never asked.
    #[must_use]
    pub fn span(&self, cursor: Option<Timestamp>, now: Timestamp) -> Span {
        let back = |from: Timestamp, by: Duration| {
            let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
            from.checked_sub(by).unwrap_or(Timestamp::MIN)
        };
        let since = match cursor {
            Some(cursor) => Some(back(cursor, self.overlap)),
            None => self.start.map(|start| back(now, start)),
        };
        // The overlap is no progress: a window counts from the cursor.
        let from = cursor.or(since);
        let until = from
            .zip(self.window)
            .and_then(|(from, window)| from.checked_add(SignedDuration::try_from(window).ok()?).ok());
        Span {
            since,
            until: until.map_or(now, |until| until.min(now)),
        }
    }

    /// Variables of the call for this span and page (null: the first one), but `now` and, with a login, `token`.
    #[must_use]
    pub fn scope(&self, span: &Span, page: &Json) -> Scope {
        let since = span.since.map_or(Json::Null, |since| since.to_string().into());
        Call::blank_scope()
            .with("since", since)
            .with("until", Json::from(span.until.to_string()))
            .with("page", page)
    }

    /// The next page after this answer; `None`: it was the last.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn next(&self, answer: &Json, scope: &Scope) -> Result<Option<Json>, Fault> {
        match &self.next {
            Some(next) => self.call.find_in(next, answer, scope),
            None => Ok(None),
        }
    }

    /// Where a record lies in time; `None` where the manifest has no `cursor` or the record has no time.
    ///
    /// # Errors
    /// The fault of the jq; `bad-cursor` for what is no instant.
    pub fn cursor(&self, record: &Json) -> Result<Option<Timestamp>, Fault> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        match cursor
            .one(record, &self.settings.mapping())
            .map_err(super::fault)?
        {
            Json::Null => Ok(None),
            Json::String(text) if text.parse::<Timestamp>().is_ok() => Ok(text.parse().ok()),
            _ => Err(Fault::new("bad-cursor")
                .field(format!("pull.{}.cursor", self.name))
                .expected("an instant, as parse_time gives it")
                .remedy("correct the jq of the cursor")),
        }
    }

    /// Where the asking came to, once all its records are durable. `latest`: the greatest cursor among them.
    ///
    /// A record from the future does not carry the cursor along; a closed window is left behind even if it was empty.
    #[must_use]
    pub fn reached(
        &self,
        before: Option<Timestamp>,
        span: &Span,
        latest: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let stated = if self.cursor.is_none() || span.until < now {
            Some(span.until)
        } else {
            latest
        };
        stated.map(|stated| stated.min(span.until)).max(before)
    }

    /// The code under which people know the record, normalised; `None` where the manifest has no `code`, or it finds none.
    #[must_use]
    pub fn code(&self, record: &Json) -> Option<String> {
        self.mapping.code(record)
    }

    /// Lists of items of which its records show all there are: what the system was believed to have and a record no
    /// longer shows is deleted.
    #[must_use]
    pub fn snapshot(&self) -> &[&'static str] {
        self.mapping.snapshot()
    }

    /// What the record says.
    ///
    /// # Errors
    /// The fault of the mapping; `mapping-empty` if it gives nothing; `bad-file`.
    pub fn map(&self, record: &Json) -> Result<Vec<Fact>, Fault> {
        self.call.unspoilt(record)?;
        self.mapping.facts(record)
    }
}
