//! What a delta is news of, for those who listen from outside and for the receiver's first look.

use jiff::Timestamp;

use super::{Dossier, Hlc, Stamp};

impl Dossier {
    /// The event type of this delta; `born`: the dossier comes into being with it. The bus itself never filters by it.
    #[must_use]
    pub fn event_type(&self, born: bool) -> &'static str {
        let issued = |dossier: &Self| {
            let results = dossier.items.get("results").into_iter().flatten();
            results.into_iter().any(|(_, result)| !result.value.is_null())
        };
        if born {
            "vn.lienthong.dossier.received"
        } else if issued(self) {
            "vn.lienthong.dossier.result-issued"
        } else if self.logs.contains_key("status") {
            "vn.lienthong.dossier.status-changed"
        } else if self.registers.contains_key("identity") {
            "vn.lienthong.dossier.identity-checked"
        } else if self.registers.is_empty()
            && self.items.is_empty()
            && self.logs.is_empty()
            && !self.links.is_empty()
        {
            "vn.lienthong.dossier.linked"
        } else {
            "vn.lienthong.dossier.updated"
        }
    }

    /// Names of what this delta writes, for whoever must not see more: registers, lists, logs, `links/SYSTEM`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let links = self.links.keys().map(|system| format!("links/{system}"));
        let names = self.registers.keys().chain(self.items.keys());
        links.chain(names.chain(self.logs.keys()).cloned()).collect()
    }

    /// The latest effective time and clock reading of all stamps: a receiver whose own clock lies far behind either
    /// holds the event back. The Unix epoch where there are none.
    #[must_use]
    pub fn horizon(&self) -> (Timestamp, Hlc) {
        let links = self.links.values().flat_map(|codes| codes.values());
        let registers = self.registers.values().map(|written| &written.stamp);
        let items = self
            .items
            .values()
            .flat_map(|items| items.values())
            .map(|written| &written.stamp);
        let logs = self
            .logs
            .values()
            .flat_map(|entries| entries.values())
            .map(|entry| &entry.stamp);
        let all = || {
            links
                .clone()
                .chain(registers.clone())
                .chain(items.clone())
                .chain(logs.clone())
        };
        let time = all().map(|stamp: &Stamp| stamp.effective).max();
        (
            time.unwrap_or(Timestamp::UNIX_EPOCH),
            all().map(|stamp| stamp.hlc).max().unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dossier::schema;
    use crate::dossier::testing::{Desk, at};

    #[test]
    fn the_type_of_an_event_is_its_greatest_news_and_its_schema_agrees() {
        for (record, expected) in [
            (
                json!({ "results": [{ "number": "1" }], "status": { "value": "completed" } }),
                "result-issued",
            ),
            (
                json!({ "results": [{ "number": "1", "deleted": true }], "note": "x" }),
                "updated",
            ),
            (
                json!({ "status": { "value": "completed" }, "note": "x" }),
                "status-changed",
            ),
            (json!({ "identity": { "outcome": "match" } }), "identity-checked"),
            (json!({ "progress": [{ "value": "accepted" }] }), "updated"),
            (json!({}), "linked"),
        ] {
            let delta = Desk::new("one-stop").reports("03:00:00", record);
            let data: Value = serde_json::to_value(&delta).unwrap();
            for (born, expected) in [(false, expected), (true, "received")] {
                assert_eq!(delta.event_type(born), format!("vn.lienthong.dossier.{expected}"));
                assert_eq!(
                    schema::faults(&schema::event(delta.event_type(born)).unwrap().validator, &data),
                    []
                );
            }
        }
    }

    #[test]
    fn the_horizon_is_the_latest_of_all_stamps() {
        let mut desk = Desk::new("one-stop");
        desk.reports("03:00:00", json!({ "at": "2026-03-05T01:00:00Z", "note": "x" }));
        let entry = json!({ "value": "accepted", "at": "2026-03-05T02:00:00Z" });
        desk.reports(
            "04:00:00",
            json!({ "at": "2026-03-05T01:30:00Z", "progress": [entry] }),
        );
        let (time, hlc) = desk.known.horizon();
        assert_eq!(time, at("02:00:00"));
        assert_eq!(
            i64::try_from(hlc.wall_ms).unwrap(),
            at("04:00:00").as_millisecond()
        );
        assert_eq!(
            Dossier::new(desk.origin).horizon(),
            (Timestamp::UNIX_EPOCH, Hlc::default())
        );
    }
}
