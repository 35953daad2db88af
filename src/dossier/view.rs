//! The dossier as mappings see it: plain JSON without stamps, described by `schemas/dossier.schema.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::hash::content;
use super::status::{fold, in_order};
use super::{Dossier, Entry, ITEMS, SECTIONS, Written};

impl Dossier {
    /// The dossier as mappings see it. Sections and lists are always there, so that a mapping can iterate over them;
    /// registers only where something was said of them.
    #[must_use]
    pub fn view(&self) -> Value {
        let mut view = Map::new();
        view.insert("id".to_owned(), self.id.to_string().into());
        view.insert(
            "origin".to_owned(),
            json!({ "system": self.origin.system, "native": self.origin.native }),
        );
        let links = self
            .links
            .keys()
            .map(|system| (system.clone(), self.codes_in(system).into()));
        view.insert("links".to_owned(), Value::Object(links.collect()));
        view.insert("code".to_owned(), self.code().into());
        for section in SECTIONS.into_iter().chain(["applicant"]) {
            view.insert(section.to_owned(), json!({}));
        }
        for (name, written) in &self.registers {
            place(&mut view, name, written.value.clone());
        }
        view.insert("identity".to_owned(), self.identity());
        self.place_items(&mut view);
        self.place_logs(&mut view);
        Value::Object(view)
    }

    /// The identity check, if it was made for the applicant as now known.
    fn identity(&self) -> Value {
        let person = self.register("applicant.person").map(content);
        let check = self.register("identity").filter(|check| {
            let asked = check.get("person").and_then(Value::as_str);
            asked.is_some() && asked == person.as_deref()
        });
        check.cloned().map_or(Value::Null, |mut check| {
            if let Value::Object(check) = &mut check {
                check.shift_remove("person");
            }
            check
        })
    }

    fn place_items(&self, view: &mut Map<String, Value>) {
        let mut deleted = Map::new();
        for list in ITEMS {
            view.insert(list.to_owned(), json!({}));
        }
        for (list, items) in &self.items {
            let (gone, live): (BTreeMap<_, _>, _) = items.iter().partition(|(_, item)| item.value.is_null());
            let live = live
                .into_iter()
                .map(|(key, item)| (key.clone(), stated(key, item)));
            view.insert(list.clone(), Value::Object(live.collect()));
            if !gone.is_empty() {
                deleted.insert(list.clone(), gone.into_keys().cloned().collect());
            }
        }
        view.insert("deleted".to_owned(), Value::Object(deleted));
    }

    fn place_logs(&self, view: &mut Map<String, Value>) {
        let fold = self.logs.get("status").map(fold).unwrap_or_default();
        let status = fold
            .moved
            .last()
            .zip(fold.current)
            .map(|(id, entry)| shown(id, entry));
        view.insert("status".to_owned(), status.into());
        view.insert("status_log".to_owned(), json!([]));
        view.insert("progress".to_owned(), json!([]));
        let places: BTreeMap<&str, usize> = fold.moved.into_iter().zip(1..).collect();
        for (log, entries) in &self.logs {
            let list = in_order(entries).into_iter().map(|(id, entry)| {
                let mut shown = shown(id, entry);
                if let Some(place) = places.get(id).filter(|_| log == "status") {
                    shown["moved"] = json!(place);
                }
                shown
            });
            let name = if log == "status" { "status_log" } else { log };
            view.insert(name.to_owned(), list.collect());
        }
    }
}

/// Puts `schedule.due` under `due` in `schedule`. Only the first dot counts: a form's fields are named by people.
fn place(view: &mut Map<String, Value>, name: &str, value: Value) {
    let Some((section, field)) = name.split_once('.') else {
        view.insert(name.to_owned(), value);
        return;
    };
    let slot = view.entry(section).or_insert_with(|| json!({}));
    if let Value::Object(fields) = slot {
        fields.insert(field.to_owned(), value);
    }
}

fn with_id(key: &str, value: &Value) -> Value {
    let mut item = Map::from_iter([("id".to_owned(), key.into())]);
    if let Value::Object(fields) = value {
        item.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Value::Object(item)
}

/// An item with the system that said it last.
fn stated(key: &str, item: &Written<Value>) -> Value {
    let mut stated = with_id(key, &item.value);
    stated["system"] = item.stamp.source.as_str().into();
    stated
}

/// An entry without what only the fold needs.
fn shown(id: &str, entry: &Entry) -> Value {
    let mut shown = with_id(id, &entry.content());
    if let Value::Object(map) = &mut shown {
        map.shift_remove("place");
        map.shift_remove("after");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dossier::testing::{Desk, origin};
    use crate::dossier::{Patch, schema};

    /// A record that states everything there is.
    fn full() -> Value {
        serde_json::from_str(include_str!("full_patch.json")).unwrap()
    }

    #[test]
    fn an_empty_dossier_has_all_sections_and_lists() {
        let view = Dossier::new(origin()).view();
        assert_eq!(schema::faults(schema::view(), &view), []);
        for section in [
            "applicant",
            "schedule",
            "form",
            "components",
            "fees",
            "supplements",
            "results",
            "deleted",
        ] {
            assert_eq!(view[section], json!({}), "{section}");
        }
        assert_eq!(
            (&view["status"], &view["code"], &view["progress"]),
            (&Value::Null, &Value::Null, &json!([]))
        );
    }

    #[test]
    fn what_a_record_states_is_what_mappings_see() {
        let mut desk = Desk::new("one-stop");
        let record = full();
        let delta = desk.reports("12:00:00", record.clone());
        let view = desk.known.view();
        assert_eq!(schema::faults(schema::view(), &view), []);
        for register in [
            "procedure",
            "agency",
            "channel",
            "summary",
            "handling",
            "return_mode",
            "place_of_submission",
            "payment",
            "area",
            "note",
            "applicant",
            "schedule",
            "form",
        ] {
            assert_eq!(view[register], record[register], "{register}");
        }
        assert_eq!(view["components"]["TP01#1"]["id"], "TP01#1");
        assert_eq!(view["components"]["TP01#1"]["digitised"], true);
        assert_eq!(view["fees"]["LP01#1"]["amount"], 100_000);
        assert_eq!(view["supplements"]["2026-03-05T02:30:00Z#PTP"]["done"], false);
        assert_eq!(view["results"]["-#12/GP"]["files"][0]["name"], "gp.pdf");
        assert_eq!(view["results"]["-#12/GP"]["system"], "one-stop");
        assert_eq!(view["status"]["value"], "in_progress");
        assert_eq!(view["status"]["raw"], 4);
        assert_eq!(view["status_log"].as_array().unwrap().len(), 1);
        let times: Vec<_> = view["progress"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["at"])
            .collect();
        assert_eq!(times, ["2026-03-05", "2026-03-05T17:00:00Z"]);
        assert_eq!(view["progress"][1]["due"], "2026-03-07T10:00:00Z");
        assert!(view["progress"][0]["id"].is_string());
        assert_eq!(desk.known.procedure_code(), Some("2.000488"));
        assert_eq!(
            (desk.known.sector(), desk.known.level()),
            (Some("G03-GD10"), Some("province"))
        );

        let data = serde_json::to_value(&delta).unwrap();
        for kind in ["received", "result-issued", "status-changed", "updated", "linked"] {
            let kind = format!("vn.lienthong.dossier.{kind}");
            assert_eq!(
                schema::faults(&schema::event(&kind).unwrap().validator, &data),
                [],
                "{kind}"
            );
        }
    }

    #[test]
    fn entries_that_moved_the_dossier_on_are_numbered_in_the_order_of_the_fold() {
        let mut desk = Desk::new("one-stop");
        let entry = |value: &str, at: &str| json!({ "value": value, "at": at });
        desk.reports(
            "12:00:00",
            json!({ "status": [
                entry("registered", "2026-03-01T01:00:00Z"),
                // Known to the day only: it stands at the day's end, and what came that day is legal only after it.
                entry("accepted", "2026-03-02"),
                entry("in_progress", "2026-03-02T03:00:00Z"),
                entry("in_progress", "2026-03-03T01:00:00Z"),
                entry("returned", "2026-03-04T01:00:00Z"),
            ] }),
        );
        let view = desk.known.view();
        assert_eq!(schema::faults(schema::view(), &view), []);
        let log = view["status_log"].as_array().unwrap();
        let told: Vec<_> = log
            .iter()
            .map(|entry| (entry["value"].as_str().unwrap(), entry["moved"].as_u64()))
            .collect();
        assert_eq!(
            told,
            [
                ("registered", Some(1)),
                ("in_progress", Some(3)),
                ("accepted", Some(2)),
                ("in_progress", None),
                ("returned", None),
            ]
        );
        assert_eq!(view["status"]["value"], "in_progress");
    }

    #[test]
    fn an_event_without_what_its_type_promises_is_not_valid() {
        let mut desk = Desk::new("one-stop");
        let data = serde_json::to_value(desk.reports("12:00:00", json!({ "note": "x" }))).unwrap();
        for (kind, valid) in [
            ("updated", true),
            ("linked", true),
            ("status-changed", false),
            ("result-issued", false),
        ] {
            let schema = schema::event(&format!("vn.lienthong.dossier.{kind}")).unwrap();
            assert_eq!(schema.validator.is_valid(&data), valid, "{kind}");
        }
    }

    #[test]
    fn what_only_newer_nodes_know_is_kept_merged_and_shown() {
        let stamp = json!({ "effective": "2026-03-05T02:30:00Z", "hlc": "000000000000001-0001", "source": "x", "hash": "" });
        let event = json!({
            "id": origin().id(), "origin": origin(),
            "registers": { "colour": { "value": "red", "stamp": stamp }, "extra.part": { "value": 1, "stamp": stamp } },
            "items": { "visits": { "V1": { "value": { "by": "bus" }, "stamp": stamp } } },
            "logs": { "calls": { "e1": { "system": "x", "value": "rang", "stamp": stamp, "minutes": 3 } } },
        });
        let updated = schema::event("vn.lienthong.dossier.updated").unwrap();
        assert_eq!(schema::faults(&updated.validator, &event), []);
        let delta: Dossier = serde_json::from_value(event.clone()).unwrap();
        let mut whole = Dossier::new(origin());
        assert!(whole.merge(&delta));
        let view = whole.view();
        assert_eq!(
            (&view["colour"], &view["extra"]["part"]),
            (&json!("red"), &json!(1))
        );
        assert_eq!(
            view["visits"]["V1"],
            json!({ "id": "V1", "by": "bus", "system": "x" })
        );
        assert_eq!(view["calls"][0]["minutes"], 3);
        assert_eq!(serde_json::to_value(&whole).unwrap(), event);
    }

    #[test]
    fn debug_output_of_a_record_holds_nothing_personal() {
        let patch = Patch::parse(&full()).unwrap();
        let mut desk = Desk::new("one-stop");
        let delta = desk.reports("12:00:00", full());
        let shown = format!("{patch:?} {delta:?} {:?}", desk.shadow);
        for personal in [
            "Lê Thị Mẫu",
            "038190000123",
            "0912000111",
            "1990-04-17",
            "Trần Văn Mẫu",
            "Thẩm định",
        ] {
            assert!(!shown.contains(personal), "{personal}");
        }
    }
}
