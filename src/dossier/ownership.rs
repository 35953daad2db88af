//! Who may write what: an adapter's rights, as its manifest and the province's configuration state them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ITEMS, LOGS, REGISTERS, SECTIONS};
use crate::fault::Fault;

/// When a system may write something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// In every dossier.
    Always,
    /// Only in dossiers that came into being there.
    Origin,
}

/// What a system may write: name of a register, section, list of items, log or `links` → when.
///
/// A name covers what lies under it (`schedule` covers `schedule.due`); the most specific name decides. What is not
/// named may not be written. Read by serde the names are taken as they are, so that a node can judge what only newer
/// nodes know; manifests are read by [`Ownership::parse`], which refuses unknown names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ownership(BTreeMap<String, Right>);

impl Ownership {
    /// Reads `{ applicant = "origin", status = "always" }`.
    ///
    /// # Errors
    /// All faults at once: `not-a-table`, `unknown-name` (with the nearest known one), `unknown-right`.
    pub fn parse(value: &Value) -> Result<Self, Vec<Fault>> {
        let Value::Object(map) = value else {
            return Err(vec![
                Fault::new("not-a-table").expected("names with \"always\" or \"origin\""),
            ]);
        };
        let mut rights = BTreeMap::new();
        let mut faults = Vec::new();
        for (name, right) in map {
            if !is_known(name) {
                faults.push(
                    Fault::new("unknown-name")
                        .field(name)
                        .expected("a register, section, list of items, log or `links`")
                        .remedy(format!("did you mean `{}`?", nearest(name))),
                );
            }
            match Right::deserialize(right) {
                Ok(right) => {
                    rights.insert(name.clone(), right);
                }
                Err(_) => faults.push(
                    Fault::new("unknown-right")
                        .field(name)
                        .expected("\"always\" or \"origin\""),
                ),
            }
        }
        if faults.is_empty() {
            Ok(Self(rights))
        } else {
            Err(faults)
        }
    }

    /// Whether the name may be written in a dossier that originates in this system, or in one that does not.
    #[must_use]
    pub fn allows(&self, name: &str, is_origin: bool) -> bool {
        let mut name = name;
        loop {
            if let Some(right) = self.0.get(name) {
                return is_origin || *right == Right::Always;
            }
            let Some((section, _)) = name.rsplit_once('.') else {
                return false;
            };
            name = section;
        }
    }

    /// The stated names and rights, sorted.
    pub fn rights(&self) -> impl Iterator<Item = (&str, Right)> {
        self.0.iter().map(|(name, right)| (name.as_str(), *right))
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    REGISTERS
        .into_iter()
        .chain(SECTIONS)
        .chain(ITEMS)
        .chain(LOGS)
        .chain(["links", "applicant"])
}

fn is_known(name: &str) -> bool {
    let in_section = |section: &str| {
        name.strip_prefix(section)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    names().any(|known| known == name) || SECTIONS.into_iter().any(in_section)
}

fn nearest(name: &str) -> &'static str {
    names()
        .min_by_key(|known| strsim::damerau_levenshtein(name, known))
        .unwrap_or("links")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_most_specific_name_decides() {
        let owns = Ownership::parse(&json!({
            "schedule": "origin", "schedule.due": "always", "applicant": "origin", "status": "always",
        }))
        .unwrap();
        for (name, at_home, elsewhere) in [
            ("schedule.received", true, false),
            ("schedule.due", true, true),
            ("applicant.person", true, false),
            ("status", true, true),
            ("scheduled", false, false),
            ("fees", false, false),
            ("links", false, false),
        ] {
            assert_eq!(owns.allows(name, true), at_home, "{name}");
            assert_eq!(owns.allows(name, false), elsewhere, "{name}");
        }
    }

    #[test]
    fn all_wrong_names_and_rights_are_told_at_once() {
        let faults =
            Ownership::parse(&json!({ "statuss": "always", "fees": "sometimes", "form.x": "origin" }))
                .unwrap_err();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "[unknown-name] statuss: expected a register, section, list of items, log or `links`; next did you \
                 mean `status`?",
                "[unknown-right] fees: expected \"always\" or \"origin\"",
            ]
        );
    }
}
