//! What a native record says: jq from the record to facts.

use serde_json::Value as Json;

use super::settings::Settings;
use super::workshop::{Sight, Workshop};
use crate::dossier::{ITEMS, fold_code};
use crate::fault::Fault;
use crate::jq::{Error, Filter};
use crate::read::{Table, Value, nearest};

/// Longest code in characters: whatever is longer is no code but a text that strayed into its field.
const CODE: usize = 100;

/// One thing that a record says.
#[derive(Clone, PartialEq, Eq)]
pub enum Fact {
    /// A patch of a dossier, not yet validated.
    Patch {
        /// What the record says.
        patch: Json,
        /// The lists of items that the record shows completely, where it shows them at all.
        complete: Vec<&'static str>,
    },
    /// The mapping leaves the record out on purpose, and says why.
    Ignored(String),
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Patch { .. } => f.write_str("Patch(..)"),
            Self::Ignored(reason) => f.debug_tuple("Ignored").field(reason).finish(),
        }
    }
}

/// The jq `map` and `code` of a webhook or pull, and what its records show completely.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    filter: Filter,
    code: Option<Filter>,
    snapshot: Vec<&'static str>,
    settings: Settings,
}

impl Mapping {
    pub(super) fn read(table: &Table<'_>, settings: &Settings, workshop: &Workshop<'_>) -> Option<Self> {
        let compile = |key| workshop.filter(&table.get(key)?, Sight::Mapping, &["settings", "system"]);
        let (filter, code) = (compile("map"), compile("code"));
        let snapshot = table.get("snapshot").map(|value| lists(&value));
        Some(Self {
            filter: filter?,
            code,
            snapshot: snapshot.unwrap_or_default(),
            settings: settings.clone(),
        })
    }

    /// The code under which people know the record. It is asked for apart from `map`, so that a record which cannot be
    /// mapped is found all the same; what fails or gives no text is no code.
    pub(super) fn code(&self, record: &Json) -> Option<String> {
        match self.code.as_ref()?.one(record, &self.settings.mapping()) {
            Ok(Json::String(code)) if code.chars().count() <= CODE => {
                Some(fold_code(&code)).filter(|code| !code.is_empty())
            }
            _ => None,
        }
    }

    /// The facts of a record, at least one.
    pub(super) fn facts(&self, record: &Json) -> Result<Vec<Fact>, Fault> {
        match self.filter.all(record, &self.settings.mapping()) {
            Ok(facts) if facts.is_empty() => Err(Fault::new("mapping-empty")
                .found("nothing")
                .expected("a patch for every record")
                .remedy(
                    "look for `empty` in the mapping; to leave a record out on purpose, use ignore(\"why\")",
                )),
            Ok(facts) => Ok(facts.into_iter().map(|patch| self.stated(patch)).collect()),
            Err(Error::Ignored(reason)) => Ok(vec![Fact::Ignored(reason)]),
            Err(Error::Fault(fault)) => Err(*fault),
        }
    }

    fn stated(&self, patch: Json) -> Fact {
        let complete = self.snapshot.clone();
        Fact::Patch { patch, complete }
    }

    /// Lists of items of which a record shows all there are.
    pub(super) fn snapshot(&self) -> &[&'static str] {
        &self.snapshot
    }
}

/// `snapshot`: names of lists of items.
fn lists(value: &Value<'_>) -> Vec<&'static str> {
    let mut lists = Vec::new();
    for member in value.list().unwrap_or_default() {
        let Some(name) = member.text() else { continue };
        if let Some(known) = ITEMS.into_iter().find(|known| *known == name) {
            lists.push(known);
            continue;
        }
        let fault = member.fault("unknown-list").found(format!("{name:?}"));
        member.report(match nearest(name, &ITEMS) {
            Some(near) => fault.expected(format!("\"{near}\"")).remedy("correct the name"),
            None => fault
                .expected(format!("one of: {}", ITEMS.join(", ")))
                .remedy("name lists of items only: nothing else goes because a record no longer shows it"),
        });
    }
    lists
}
