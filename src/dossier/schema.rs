//! The published schemas, compiled once, and what their verdicts say to people.

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Registry, ValidationError, Validator};
use serde_json::{Value, json};

use super::Moment;
use crate::fault::Fault;

/// Text of `schemas/dossier.schema.json`.
pub const DOSSIER: &str = include_str!("../../schemas/dossier.schema.json");

const BASE: &str = "urn:lienthong:schema:dossier:1";

/// Validator of what mappings give.
pub fn patch() -> &'static Validator {
    static COMPILED: OnceLock<Validator> = OnceLock::new();
    COMPILED.get_or_init(|| compiled(&json!({ "$ref": format!("{BASE}#/$defs/patch") })))
}

/// Validator of what mappings see ([`Dossier::view`](super::Dossier::view)).
pub fn view() -> &'static Validator {
    static COMPILED: OnceLock<Validator> = OnceLock::new();
    COMPILED.get_or_init(|| compiled(&json!({ "$ref": BASE })))
}

/// The data schemas of the six event types, by the last part of the type.
const EVENTS: [(&str, &str); 6] = [
    ("received", include_str!("../../schemas/events/received.json")),
    (
        "result-issued",
        include_str!("../../schemas/events/result-issued.json"),
    ),
    (
        "status-changed",
        include_str!("../../schemas/events/status-changed.json"),
    ),
    (
        "identity-checked",
        include_str!("../../schemas/events/identity-checked.json"),
    ),
    ("updated", include_str!("../../schemas/events/updated.json")),
    ("linked", include_str!("../../schemas/events/linked.json")),
];

/// Schema of the data of one type of event.
pub struct EventSchema {
    /// Its name and version, a URN.
    pub uri: String,
    /// Its validator.
    pub validator: Validator,
}

/// Schema of the data of an event of this type (`vn.lienthong.dossier.updated`); `None` for an unknown type.
pub fn event(kind: &str) -> Option<&'static EventSchema> {
    static COMPILED: OnceLock<Vec<EventSchema>> = OnceLock::new();
    let name = kind.strip_prefix("vn.lienthong.dossier.")?;
    let index = EVENTS.iter().position(|(known, _)| *known == name)?;
    let read = |(_, text): &(&str, &str)| {
        let schema = parsed(text);
        let uri = schema["$id"].as_str().unwrap_or_default().to_owned();
        EventSchema {
            uri,
            validator: compiled(&schema),
        }
    };
    COMPILED
        .get_or_init(|| EVENTS.iter().map(read).collect())
        .get(index)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the published schemas are JSON")
}

fn compiled(schema: &Value) -> Validator {
    let registry = Registry::new()
        .add(BASE, parsed(DOSSIER))
        .and_then(jsonschema::RegistryBuilder::prepare)
        .expect("the published schemas have sound names");
    jsonschema::options()
        .with_registry(&registry)
        .with_format("moment", |text| text.parse::<Moment>().is_ok())
        .with_format("partial-date", |text| {
            text.parse::<Moment>().is_ok_and(|moment| !moment.is_exact())
        })
        .should_validate_formats(true)
        .build(schema)
        .expect("the published schemas are sound")
}

/// What is wrong with a value, all at once: `unknown-field`, `missing-field`, `wrong-type`, `unknown-code`, `bad-time`,
/// `bad-value`. A fault names the field and never the value that was there.
#[must_use]
pub fn faults(validator: &Validator, value: &Value) -> Vec<Fault> {
    validator
        .iter_errors(value)
        .flat_map(|error| told(&error))
        .collect()
}

fn told(error: &ValidationError<'_>) -> Vec<Fault> {
    let field = error
        .instance_path()
        .segments()
        .map(|part| part.to_string())
        .collect::<Vec<_>>()
        .join(".");
    let within = |name: &str| {
        if field.is_empty() {
            name.to_owned()
        } else {
            format!("{field}.{name}")
        }
    };
    let fault = |code: &str| Fault::new(code).field(if field.is_empty() { "." } else { &field });
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| {
                Fault::new("unknown-field")
                    .field(within(name))
                    .expected("a field of schemas/dossier.schema.json")
                    .remedy("rename it or leave it out in the mapping")
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            vec![Fault::new("missing-field").field(within(property.as_str().unwrap_or_default()))]
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(several) => several
                    .iter()
                    .map(|one| one.to_string())
                    .collect::<Vec<_>>()
                    .join(" or "),
            };
            vec![
                fault("wrong-type")
                    .found(type_name(error.instance()))
                    .expected(expected),
            ]
        }
        ValidationErrorKind::Enum { options } => {
            let codes: Vec<_> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            vec![
                fault("unknown-code")
                    .expected(codes.join(", "))
                    .remedy("map the native code in tables/, or correct the table's canonical column"),
            ]
        }
        ValidationErrorKind::Format { format } => vec![fault("bad-time").expected(match format.as_str() {
            "partial-date" => "a day 2026-03-05, a month 2026-03 or a year 2026",
            _ => "an instant 2026-03-05T02:30:00Z, a day, a month or a year",
        })],
        kind => vec![fault("bad-value").expected(format!("what `{}` of the schema allows", kind.keyword()))],
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::dossier::{ITEMS, LOGS, REGISTERS, SECTIONS, Status};

    fn definition(name: &str) -> Value {
        parsed(DOSSIER)["$defs"][name].clone()
    }

    /// Codes of `schemas/codes/NAME.csv`.
    fn listed(name: &str) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/codes/{name}.csv"));
        let mut reader = csv::Reader::from_path(file).unwrap();
        assert_eq!(
            reader.headers().unwrap(),
            vec!["code", "name_vi", "name_en", "source"],
            "{name}"
        );
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert!(
            rows.iter()
                .all(|row| row.iter().all(|cell| !cell.trim().is_empty())),
            "{name}"
        );
        rows.iter().map(|row| row[0].to_owned()).collect()
    }

    #[test]
    fn code_lists_and_schema_name_the_same_codes() {
        let mut lists = BTreeSet::new();
        for (name, definition) in parsed(DOSSIER)["$defs"].as_object().unwrap() {
            if let Some(codes) = definition["enum"].as_array() {
                let codes: Vec<_> = codes.iter().filter_map(Value::as_str).collect();
                assert_eq!(codes, listed(name), "{name}");
                lists.insert(format!("{name}.csv"));
            }
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/codes");
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, lists);
    }

    #[test]
    fn code_is_the_list_of_statuses() {
        assert_eq!(Status::ALL.map(Status::code).to_vec(), listed("status"));
        assert_eq!(listed("entry_kind"), ["sent_back", "revoked"]);
    }

    #[test]
    fn the_schema_of_a_patch_names_what_the_model_has() {
        let patch = definition("patch");
        let stated: BTreeSet<_> = patch["properties"].as_object().unwrap().keys().cloned().collect();
        let top = REGISTERS
            .iter()
            .map(|name| name.split_once('.').map_or(*name, |(section, _)| section));
        let known = top
            .chain(SECTIONS)
            .chain(ITEMS)
            .chain(LOGS)
            .chain(["dossier", "links", "at"]);
        assert_eq!(stated, known.map(str::to_owned).collect());
        let parts = patch["properties"]["applicant"]["properties"]
            .as_object()
            .unwrap()
            .len();
        assert_eq!(
            parts,
            REGISTERS
                .iter()
                .filter(|name| name.starts_with("applicant."))
                .count()
        );
    }

    #[test]
    fn all_schemas_compile() {
        assert!(patch().is_valid(&json!({ "dossier": "X" })));
        assert!(!view().is_valid(&json!({})));
        for (name, _) in EVENTS {
            let schema = event(&format!("vn.lienthong.dossier.{name}")).unwrap();
            assert!(!schema.validator.is_valid(&json!({})), "{name}");
            assert_eq!(schema.uri, format!("urn:lienthong:schema:event:{name}:1"));
        }
        assert!(event("vn.lienthong.dossier.other").is_none());
    }

    #[test]
    fn every_wrong_field_is_told_and_no_value() {
        let patch_faults = faults(
            patch(),
            &json!({
                "dossier": " ", "colour": 1, "channel": "fax", "summary": 7,
                "schedule": { "due": "31/02/2026", "done": null },
                "applicant": { "person": { "birth_date": "17-04-1990", "gender": "Nguyễn Văn Mẫu" } },
                "fees": [{ "amount": -1 }], "status": { "at": "2026-02-30" },
                "progress": [{ "value": "accepted", "by": ["x"] }],
            }),
        );
        let mut told: Vec<_> = patch_faults
            .iter()
            .map(|fault| (fault.field.as_deref().unwrap(), fault.code.as_str()))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                ("applicant.person.birth_date", "bad-time"),
                ("applicant.person.gender", "unknown-code"),
                ("channel", "unknown-code"),
                ("colour", "unknown-field"),
                ("dossier", "bad-value"),
                ("fees.0.amount", "bad-value"),
                ("fees.0.code", "missing-field"),
                ("progress.0.by", "wrong-type"),
                ("schedule.done", "unknown-field"),
                ("schedule.due", "bad-time"),
                ("status.at", "bad-time"),
                ("status.value", "missing-field"),
                ("summary", "wrong-type"),
            ]
        );
        assert!(
            !patch_faults
                .iter()
                .any(|fault| fault.to_string().contains("Nguyễn"))
        );
        assert_eq!(
            patch_faults
                .iter()
                .find(|fault| fault.field.as_deref() == Some("channel"))
                .unwrap()
                .to_string(),
            "[unknown-code] channel: expected direct, online, post; next map the native code in tables/, or correct \
             the table's canonical column"
        );
    }
}
