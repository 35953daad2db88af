//! The identities of items: components, fees, supplements and results are maps by what the record states of them, so
//! that the same item is found again whoever tells it and in whatever order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use serde_json::{Map, Value};

use super::moment::in_utc;
use crate::fault::Fault;

/// The items of a list by their keys; deleted ones are `null`.
///
/// Component `TYPE#ORDINAL` where the ordinal is stated: a paper whose file is replaced stays that paper; else `TYPE#SHA256`
/// of its file, else `TYPE#ORDINAL` by the order of the list; fee `CODE#OCCURRENCE`; supplement `REQUESTED#UNIT`; result
/// `CODE#NUMBER` with `-` where there is no code. Ordinals and occurrences that are not stated count the items of the
/// same type or code in the list, from 1.
///
/// # Errors
/// `patch-duplicate-item` for each key that two items share: one of them would be lost. The same file under the same
/// type twice is one component.
pub(super) fn keyed(list: &str, items: Vec<Value>) -> Result<BTreeMap<String, Value>, Vec<Fault>> {
    let mut keyed = BTreeMap::new();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let Value::Object(mut item) = item else { continue };
        for name in ["requested", "received", "deadline", "due_before", "due_after"] {
            if let Some(time) = item.get_mut(name) {
                *time = in_utc(time.take());
            }
        }
        let (key, exact) = key(list, &item, &mut seen);
        let deleted = item.remove("deleted") == Some(Value::Bool(true));
        let value = if deleted { Value::Null } else { Value::Object(item) };
        match keyed.entry(key) {
            Slot::Vacant(slot) => {
                slot.insert(value);
            }
            Slot::Occupied(mut slot) if exact => {
                slot.insert(value);
            }
            Slot::Occupied(_) => faults.push(
                Fault::new("patch-duplicate-item")
                    .field(format!("{list}.{index}"))
                    .found("a second item of the same identity")
                    .expected(identity(list))
                    .remedy("state what tells the items apart in the mapping"),
            ),
        }
    }
    if faults.is_empty() { Ok(keyed) } else { Err(faults) }
}

/// The key, and whether it names the content itself, so that two items with it are one.
fn key(list: &str, item: &Map<String, Value>, seen: &mut BTreeMap<String, u64>) -> (String, bool) {
    let part = |name: &str| match item.get(name) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "-".to_owned(),
    };
    let (first, second) = match list {
        "components" => ("type", "ordinal"),
        "fees" => ("code", "occurrence"),
        "supplements" => ("requested", "unit"),
        _ => ("code", "number"),
    };
    let head = part(first);
    if !matches!(list, "components" | "fees") {
        return (format!("{head}#{}", part(second)), false);
    }
    let count = seen.entry(head.clone()).or_default();
    *count += 1;
    let file = item
        .get("file")
        .and_then(|file| file.get("$file"))
        .and_then(Value::as_str);
    match (file, item.get(second).and_then(Value::as_u64)) {
        (_, Some(stated)) => (format!("{head}#{stated}"), false),
        (Some(hash), None) => (format!("{head}#{hash}"), true),
        (None, None) => (format!("{head}#{count}"), false),
    }
}

fn identity(list: &str) -> &'static str {
    match list {
        "components" => "type and file or ordinal to differ",
        "fees" => "code and occurrence to differ",
        "supplements" => "requested and unit to differ",
        _ => "code and number to differ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(list: &str, items: Value) -> Vec<String> {
        let Value::Array(items) = items else {
            unreachable!()
        };
        keyed(list, items).unwrap().into_keys().collect()
    }

    #[test]
    fn keys_come_from_what_an_item_states() {
        let file = "a".repeat(64);
        for (list, items, expected) in [
            (
                "components",
                json!([{ "type": "TP01" }, { "type": "TP02" }, { "type": "TP01" }]),
                vec!["TP01#1", "TP01#2", "TP02#1"],
            ),
            (
                "components",
                json!([{ "type": "TP01", "ordinal": 3 }]),
                vec!["TP01#3"],
            ),
            (
                "components",
                json!([{ "type": "T", "file": { "$file": file } }, { "type": "T", "file": { "$file": file } }]),
                vec![&*format!("T#{file}")],
            ),
            (
                "components",
                json!([{ "type": "T", "ordinal": 2, "file": { "$file": file } }]),
                vec!["T#2"],
            ),
            (
                "components",
                json!([{ "type": "T", "file": { "link": "x" } }]),
                vec!["T#1"],
            ),
            (
                "fees",
                json!([{ "code": "LP01" }, { "code": "LP01" }, { "code": "LP02", "occurrence": 2 }]),
                vec!["LP01#1", "LP01#2", "LP02#2"],
            ),
            (
                "supplements",
                json!([{ "requested": "2026-03-05T09:30:00+07:00", "unit": "PTP" }, { "requested": "2026-03-06" }]),
                vec!["2026-03-05T02:30:00Z#PTP", "2026-03-06#-"],
            ),
            (
                "results",
                json!([{ "number": "12/GP", "code": null }, { "number": "12/GP", "code": "KQ.1" }]),
                vec!["-#12/GP", "KQ.1#12/GP"],
            ),
        ] {
            assert_eq!(keys(list, items), expected);
        }
    }

    #[test]
    fn two_items_of_one_identity_are_refused() {
        let items = vec![
            json!({ "number": "1" }),
            json!({ "number": "2" }),
            json!({ "number": "1" }),
        ];
        let faults = keyed("results", items).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(
            faults[0].to_string(),
            "[patch-duplicate-item] results.2: found a second item of the same identity; expected code and number to \
             differ; next state what tells the items apart in the mapping"
        );
    }

    #[test]
    fn a_deleted_item_is_null() {
        let items = keyed(
            "fees",
            vec![
                json!({ "code": "A", "deleted": true }),
                json!({ "code": "B", "deleted": false }),
            ],
        );
        assert_eq!(
            items.unwrap(),
            BTreeMap::from([
                ("A#1".to_owned(), Value::Null),
                ("B#1".to_owned(), json!({ "code": "B" }))
            ])
        );
    }
}
