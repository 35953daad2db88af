//! The schema for editors says what the reader says.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::world::MANIFEST;
use crate::adapter::acknowledge::Acknowledge;
use crate::adapter::answer::WORDS;
use crate::adapter::batch::Batch;
use crate::adapter::connection::{Connection, RetrySettings};
use crate::adapter::login::Login;
use crate::adapter::lookup::Lookup;
use crate::adapter::pull::Pull;
use crate::adapter::push::Push;
use crate::adapter::request::FORMATS;
use crate::adapter::requires::Requirement;
use crate::adapter::rule::Rule;
use crate::adapter::selection::Subscription;
use crate::adapter::webhook::Webhook;
use crate::adapter::{manifest, quota};

fn schema() -> Json {
    serde_json::from_str(include_str!("../../../schemas/adapter.schema.json")).unwrap()
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let tables = [
        ("", manifest::KEYS),
        ("/$defs/connection", Connection::KEYS),
        ("/$defs/login", Login::KEYS),
        ("/$defs/retry", RetrySettings::KEYS),
        ("/$defs/rule", Rule::KEYS),
        ("/$defs/subscription", Subscription::KEYS),
        ("/$defs/requires", Requirement::KEYS),
        ("/$defs/requirement", Requirement::PART),
        ("/$defs/webhook", Webhook::KEYS),
        ("/$defs/pull", Pull::KEYS),
        ("/$defs/lookup", Lookup::KEYS),
        ("/$defs/quota", quota::KEYS),
        ("/$defs/acknowledge", Acknowledge::KEYS),
        ("/$defs/push", Push::KEYS),
        ("/$defs/find", Push::FIND),
        ("/$defs/create", Push::CREATE),
        ("/$defs/update", Push::UPDATE),
        ("/$defs/batch", Batch::KEYS),
    ];
    let schema = schema();
    for (pointer, keys) in tables {
        let table = schema.pointer(pointer).unwrap();
        let written: BTreeSet<_> = table["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(written, keys.iter().copied().collect(), "{pointer}");
        assert_eq!(table["additionalProperties"], false, "{pointer}");
    }
    let closed = |table: &&Json| table["additionalProperties"] == false;
    let all = schema["$defs"]
        .as_object()
        .unwrap()
        .values()
        .filter(closed)
        .count()
        + 1;
    assert_eq!(
        all,
        tables.len(),
        "every table of the schema is one that the reader knows"
    );
}

#[test]
fn schema_and_reader_know_the_same_words() {
    let schema = schema();
    let words = |pointer: &str| -> Vec<String> {
        serde_json::from_value(schema.pointer(pointer).unwrap()["enum"].clone()).unwrap()
    };
    let names = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        words("/$defs/rule/properties/is"),
        names(&WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>())
    );
    assert_eq!(
        words("/$defs/format"),
        names(&FORMATS.iter().map(|(word, _)| *word).collect::<Vec<_>>())
    );
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let json = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    assert!(validator.is_valid(&json(MANIFEST)));
    for (from, to) in [
        ("when = '.schedule.due'", "wehn = '.'"),
        ("title = ", "titel = "),
        ("\"1 MiB\"", "\"1 MB\""),
        ("state = '.state'", "record = '.state'"),
        ("steps = 'next_step'", "record = '.'"),
        ("batch = 10", "batch = 1"),
        ("keep = '.no'", ""),
        ("batch = 50", "batch = 0"),
        ("key = '.id'", ""),
    ] {
        let broken = MANIFEST.replace(from, to);
        assert_ne!(broken, MANIFEST);
        assert!(!validator.is_valid(&json(&broken)), "{to}");
    }
}
