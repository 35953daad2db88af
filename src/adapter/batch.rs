//! `batch`: several records in one call, and a verdict for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::answer::{Answer, Verdict, WORDS, Word};
use super::settings::Settings;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::jq::{Filter, Scope};
use crate::read::{Keys, Table, Value};

/// How records are put together to one call.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Most records of a call.
    pub max: usize,
    /// How long a record waits for others. Zero within one dossier, whose records are all there.
    pub wait: Duration,
    /// Are records of several dossiers put together?
    pub across: bool,
    verdicts: Option<Filter>,
    settings: Settings,
}

/// What a call can mean for one of its records. Session and entitlement are the call's as a whole.
const OF_A_RECORD: [Word; 6] = [
    Word::Done,
    Word::Exists,
    Word::Missing,
    Word::Retry,
    Word::Refused,
    Word::InDoubt,
];

impl Batch {
    /// Keys of the long form.
    pub(super) const KEYS: Keys = &["max", "wait"];

    /// Reads `batch` and `verdicts` of a push. `variables`: what the calls of the batch see.
    pub(super) fn read(
        table: &Table<'_>,
        settings: &Settings,
        workshop: &Workshop<'_>,
        variables: &[&str],
    ) -> Option<Self> {
        let written = table.get("batch")?;
        let with_http: Vec<_> = variables.iter().copied().chain(["http"]).collect();
        let verdicts = table
            .get("verdicts")
            .and_then(|value| workshop.filter(&value, Sight::Call, &with_http));
        let (max, wait, across) = if written.is_table() {
            let across = written.table(Self::KEYS)?;
            across.demand(&[
                ("max", "`max = 500`, the most records of one call"),
                ("wait", "how long a record waits for others, as in \"15m\""),
            ]);
            let wait = across.get("wait").and_then(|value| value.duration());
            (across.get("max").and_then(|value| most(&value)), wait?, true)
        } else {
            (most(&written), Duration::ZERO, false)
        };
        Some(Self {
            max: max?,
            wait,
            across,
            verdicts,
            settings: settings.clone(),
        })
    }

    /// Does its answer tell of each record?
    pub(super) fn has_verdicts(&self) -> bool {
        self.verdicts.is_some()
    }

    /// One verdict per record, by its key. `None`: the manifest has no `verdicts`; the call is then idempotent, and its
    /// own verdict holds for all. `scope` is that of the call. A record that the answer does not name is not in the map.
    ///
    /// # Errors
    /// The fault of the jq; `bad-verdict` for what is no `{key, is}` with a word that can be said of a record, and for a
    /// key that is named twice.
    pub fn verdicts(
        &self,
        answer: &Answer,
        scope: &Scope,
    ) -> Result<Option<BTreeMap<String, Verdict>>, Fault> {
        let Some(verdicts) = &self.verdicts else {
            return Ok(None);
        };
        let scope = self.settings.call(scope).with("http", answer.http());
        let mut said = BTreeMap::new();
        for verdict in verdicts.all(&answer.body, &scope).map_err(super::fault)? {
            let (key, verdict) = of_record(&verdict)?;
            if said.insert(key, verdict).is_some() {
                return Err(bad_verdict().found("two verdicts for one key"));
            }
        }
        Ok(Some(said))
    }
}

fn most(value: &Value<'_>) -> Option<usize> {
    value.number(2).and_then(|number| usize::try_from(number).ok())
}

fn of_record(verdict: &Json) -> Result<(String, Verdict), Fault> {
    let key = match verdict.get("key") {
        Some(Json::String(key)) if !key.is_empty() => key.clone(),
        Some(Json::Number(key)) => key.to_string(),
        _ => return Err(bad_verdict().found("a verdict without a key")),
    };
    let is = verdict.get("is").and_then(Json::as_str).unwrap_or_default();
    let known = WORDS
        .iter()
        .find(|(written, word)| *written == is && OF_A_RECORD.contains(word));
    let Some((_, word)) = known else {
        return Err(bad_verdict().found("a word that is none"));
    };
    let reason = verdict.get("reason").and_then(Json::as_str);
    Ok((
        key,
        Verdict {
            word: *word,
            reason: reason.map(super::rule::cut).filter(|reason| !reason.is_empty()),
            after: None,
        },
    ))
}

fn bad_verdict() -> Fault {
    let words: Vec<_> = OF_A_RECORD.iter().map(ToString::to_string).collect();
    Fault::new("bad-verdict")
        .field("verdicts")
        .expected(format!(
            "{{key, is}} once for each record, with one of the words {}",
            words.join(", ")
        ))
        .remedy("correct the jq of `verdicts`")
}
