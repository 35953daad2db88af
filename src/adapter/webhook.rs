//! `[webhook.NAME]`: the system tells us.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::call::places;
use super::mapping::{Fact, Mapping};
use super::request::{FORMATS, Format};
use super::settings::Settings;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::files::{Place, unspoilt};
use crate::jq::{Filter, Scope};
use crate::read::{Keys, Table};

/// An address at which a system tells us of its dossiers.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its name in the manifest.
    pub name: String,
    /// Path at the node, with `{name}` parts.
    pub path: String,
    /// Largest body in bytes.
    pub limit: usize,
    /// Form of the body.
    pub receive: Format,
    /// Where files stand in the body as base64.
    pub files: Vec<Place>,
    verify: Filter,
    mapping: Mapping,
    reply: Option<Filter>,
    settings: Settings,
}

/// Largest body unless the manifest says otherwise: 10 MiB.
const LIMIT: u64 = 10 << 20;

impl Webhook {
    pub(super) const KEYS: Keys = &[
        "path", "verify", "map", "code", "snapshot", "reply", "limit", "receive", "files",
    ];

    pub(super) fn read(
        name: &str,
        table: &Table<'_>,
        settings: &Settings,
        workshop: &Workshop<'_>,
    ) -> Option<Self> {
        table.demand(&[
            (
                "path",
                "the path at which the system calls us, as in \"/hooks/one-stop\"",
            ),
            (
                "verify",
                "jq that is true for a genuine call, as in '$headers[\"x-key\"] | same($settings.secret)'",
            ),
            ("map", "jq from the record to a patch, or the name of a filter"),
        ]);
        let path = table.get("path").and_then(|value| {
            let path = value.text()?;
            if !is_path(path) {
                let fault = value.fault("bad-path").found(format!("{path:?}"));
                value.report(
                    fault
                        .expected("segments of letters, digits, `-`, `_`, `.`, or `{name}`, after a `/`")
                        .remedy("correct the path"),
                );
            }
            Some(path.to_owned())
        });
        let verify = table.get("verify").and_then(|value| {
            workshop.filter(
                &value,
                Sight::Call,
                &["settings", "system", "headers", "path", "raw", "now"],
            )
        });
        let reply = table
            .get("reply")
            .and_then(|value| workshop.filter(&value, Sight::Mapping, &["settings", "system"]));
        let limit = table.get("limit").and_then(|value| value.size()).unwrap_or(LIMIT);
        let receive = match table.get("receive") {
            Some(value) => value.word("unknown-word", FORMATS),
            None => Some(Format::Json),
        };
        let files = table.get("files").map(|value| places(&value));
        let mapping = Mapping::read(table, settings, workshop);
        Some(Self {
            name: name.to_owned(),
            path: path?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            receive: receive?,
            files: files.unwrap_or_default(),
            verify: verify?,
            mapping: mapping?,
            reply,
            settings: settings.clone(),
        })
    }

    /// Is the call genuine? `headers` have names in lower case, `path` the values of the `{name}` parts. The body is also
    /// `.`, decoded, or null where that fails: a signature is over `$raw`.
    ///
    /// # Errors
    /// The fault of the jq; the call is then not known to be genuine.
    pub fn verify(
        &self,
        raw: &[u8],
        headers: &BTreeMap<String, String>,
        path: &Map<String, Json>,
        now: jiff::Timestamp,
    ) -> Result<bool, Fault> {
        let scope = Scope::new()
            .with("headers", json!(headers))
            .with("path", json!(path))
            .with("raw", json!(String::from_utf8_lossy(raw)))
            .with("now", json!(now));
        let body = self.receive.decode(raw).unwrap_or(Json::Null);
        self.verify
            .holds(&body, &self.settings.call(&scope))
            .map_err(super::fault)
    }

    /// A record as it is kept: as it came in, or, where it brought files, without their bytes and as JSON.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn kept(&self, raw: &str) -> Result<Json, String> {
        let without_files = if self.files.is_empty() {
            None
        } else {
            serde_json::from_str(raw).ok()
        };
        without_files.map_or_else(|| self.receive.decode(raw.as_bytes()), Ok)
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
        if !self.files.is_empty() {
            unspoilt(record)?;
        }
        self.mapping.facts(record)
    }

    /// The body of our answer for `{ok, code, reason}`; that itself where the manifest has no `reply`, or it fails: a
    /// record that is durable must not be answered with an error because of a mistake in the reply.
    #[must_use]
    pub fn reply(&self, outcome: &Json) -> Json {
        let reply = self
            .reply
            .as_ref()
            .and_then(|reply| reply.one(outcome, &self.settings.mapping()).ok());
        reply.unwrap_or_else(|| outcome.clone())
    }
}

fn is_path(path: &str) -> bool {
    let segment = |segment: &str| {
        let name = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(segment);
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(segment))
}
