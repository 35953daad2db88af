//! What an adapter's mappings may see of a dossier.

use serde_json::{Map, Value as Json};

use crate::dossier::ITEMS;
use crate::read::{Value, nearest};

/// Sections, or fields of sections, that mappings see beside what they always see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    all: bool,
    sections: Vec<Vec<String>>,
}

/// Always there: without these no dossier can be told from another.
const ALWAYS: [&str; 8] = [
    "id",
    "origin",
    "links",
    "code",
    "procedure",
    "agency",
    "status",
    "status_log",
];

/// Sections of the dossier. Those with `true` may be named by field: `schedule.due`.
const SECTIONS: [(&str, bool); 21] = [
    ("procedure", false),
    ("agency", false),
    ("channel", false),
    ("summary", false),
    ("handling", false),
    ("return_mode", false),
    ("place_of_submission", false),
    ("payment", false),
    ("area", false),
    ("note", false),
    ("applicant", true),
    ("schedule", true),
    ("form", true),
    ("components", false),
    ("fees", false),
    ("supplements", false),
    ("results", false),
    ("status", false),
    ("status_log", false),
    ("progress", false),
    ("identity", false),
];

impl Needs {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            all: true,
            sections: Vec::new(),
        }
    }

    pub(super) fn read(value: &Value<'_>) -> Option<Self> {
        let mut needs = Self::default();
        for member in value.list()? {
            let name = member.text()?;
            let (section, field) = name
                .split_once('.')
                .map_or((name, None), |(section, field)| (section, Some(field)));
            if name == "*" {
                needs.all = true;
                continue;
            }
            if SECTIONS
                .iter()
                .any(|(known, fields)| *known == section && (*fields || field.is_none()))
            {
                needs.sections.push(name.split('.').map(str::to_owned).collect());
                continue;
            }
            let known: Vec<_> = SECTIONS.iter().map(|(known, _)| *known).collect();
            let fault = member.fault("unknown-section").found(format!("{name:?}"));
            member.report(match nearest(section, &known) {
                Some(near) => fault.expected(format!("`{near}`")).remedy("correct the name"),
                None => fault
                    .expected(format!("\"*\" or one of: {}", known.join(", ")))
                    .remedy("correct the name"),
            });
        }
        Some(needs)
    }

    /// The part of the dossier, in the form that mappings see, that this adapter's mappings see.
    #[must_use]
    pub fn apply(&self, dossier: &Json) -> Json {
        let Json::Object(whole) = dossier else {
            return dossier.clone();
        };
        if self.all {
            return dossier.clone();
        }
        let mut part = Map::new();
        for (key, value) in whole {
            if ALWAYS.contains(&key.as_str()) {
                part.insert(key.clone(), value.clone());
            }
        }
        for path in &self.sections {
            copy(whole, &mut part, path);
            // Whoever sees the items of a list sees which of them are gone.
            if ITEMS.contains(&path[0].as_str()) {
                copy(whole, &mut part, &["deleted".to_owned(), path[0].clone()]);
            }
        }
        Json::Object(part)
    }
}

/// Copies what lies under the path, if anything does.
fn copy(from: &Map<String, Json>, to: &mut Map<String, Json>, path: &[String]) {
    let [key, rest @ ..] = path else { return };
    let Some(value) = from.get(key) else { return };
    match (rest, value) {
        ([], value) => drop(to.insert(key.clone(), value.clone())),
        (rest, Json::Object(inner)) => {
            let entry = to.entry(key.clone()).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(target) = entry {
                copy(inner, target, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings_see_what_is_needed_and_what_is_always_there() {
        let needs = Needs {
            all: false,
            sections: vec![
                vec!["schedule".into(), "due".into()],
                vec!["summary".into()],
                vec!["note".into()],
                vec!["fees".into()],
            ],
        };
        let dossier = json!({
            "id": "1", "code": null, "links": {}, "status": null, "summary": "…",
            "schedule": {"due": "2026-03-05T02:30:00Z", "received": "2026-03-01T02:30:00Z"},
            "applicant": {"person": {"kind": "citizen"}}, "fees": {}, "results": {},
            "deleted": {"fees": ["LP01#1"], "results": ["-#12/GP"]},
        });
        let seen = json!({
            "id": "1", "code": null, "links": {}, "status": null, "summary": "…",
            "schedule": {"due": "2026-03-05T02:30:00Z"},
            "fees": {}, "deleted": {"fees": ["LP01#1"]},
        });
        assert_eq!(needs.apply(&dossier), seen);
        assert_eq!(Needs::all().apply(&dossier), dossier);
    }
}
