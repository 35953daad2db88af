//! What a dossier must have before it is delivered, and what happens if that does not come.

use std::time::Duration;

use serde_json::Value as Json;

use crate::read::{Keys, Table, Words};

/// One requirement: waited for `within` a time, then `otherwise`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What must be there.
    pub what: Required,
    /// How long a delivery waits for it.
    pub within: Duration,
    /// What happens then.
    pub otherwise: Otherwise,
}

/// What can be required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// An official dossier code.
    Code,
    /// A final outcome of the applicant's identity check: any but `unavailable`. The deliver stage takes it as met
    /// where no adapter of the province owns `identity`.
    Identity,
}

/// After the time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Delivered all the same.
    Deliver,
    /// Parked for a person.
    Park,
    /// Not delivered.
    Skip,
}

const OTHERWISE: Words<Otherwise> = &[
    ("deliver", Otherwise::Deliver),
    ("park", Otherwise::Park),
    ("skip", Otherwise::Skip),
];

impl Requirement {
    /// Keys of the table `requires`.
    pub(super) const KEYS: Keys = &["code", "identity"];
    /// Keys of each requirement in it.
    pub(super) const PART: Keys = &["within", "otherwise"];

    pub(super) fn read_all(table: &Table<'_>) -> Vec<Self> {
        let mut all = Vec::new();
        for (key, what) in [("code", Required::Code), ("identity", Required::Identity)] {
            let Some(part) = table.get(key).and_then(|value| value.table(Self::PART)) else {
                continue;
            };
            part.demand(&[
                ("within", "how long a delivery waits for it, as in \"1h\""),
                ("otherwise", "\"deliver\", \"park\" or \"skip\""),
            ]);
            let within = part.get("within").and_then(|value| value.duration());
            let otherwise = part
                .get("otherwise")
                .and_then(|value| value.word("unknown-word", OTHERWISE));
            all.extend(within.zip(otherwise).map(|(within, otherwise)| Self {
                what,
                within,
                otherwise,
            }));
        }
        all
    }

    /// Does the dossier, in the form that mappings see, have it?
    #[must_use]
    pub fn met(&self, dossier: &Json) -> bool {
        match self.what {
            Required::Code => dossier.get("code").is_some_and(Json::is_string),
            Required::Identity => {
                let outcome = dossier.pointer("/identity/outcome").and_then(Json::as_str);
                outcome.is_some_and(|outcome| outcome != "unavailable")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn identity_is_met_by_any_final_outcome() {
        let need = Requirement {
            what: Required::Identity,
            within: Duration::ZERO,
            otherwise: Otherwise::Park,
        };
        assert!(need.met(&json!({"identity": {"outcome": "not_found"}})));
        assert!(!need.met(&json!({"identity": {"outcome": "unavailable"}})));
        assert!(!need.met(&json!({"identity": null})));
    }

    #[test]
    fn code_is_met_by_an_official_code() {
        let need = Requirement {
            what: Required::Code,
            within: Duration::ZERO,
            otherwise: Otherwise::Park,
        };
        assert!(need.met(&json!({"code": "000.00.00.H56-260305-0001"})));
        assert!(!need.met(&json!({"code": null})));
    }
}
