//! Progress entries that the bus has parked because their call ended unclear and the portal shows none: a person looks.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;
use serde_json::Value;

use super::judge::{Step, Verdict};
use crate::store::{DeadLetter, State, Store, StoreError};

/// The only cause for which the trial by faults lets a delivery be parked.
pub(super) const CAUSE: &str = "in-doubt-no-find";

/// Time of Vietnam, the same all year.
const LOCAL: Offset = Offset::constant(7);

/// Where progress entries go.
const TARGET: (&str, &str) = ("national-portal", "push.progress");

/// One such entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// Which one.
    #[serde(flatten)]
    pub step: Step,
    /// Whether the portal has it after all.
    pub present: bool,
}

/// Is it a letter about such an entry?
pub(super) fn is_doubt(letter: &DeadLetter) -> bool {
    (letter.system.as_str(), letter.operation.as_str()) == TARGET && letter.cause.code == CAUSE
}

/// The entries behind these letters; each of them that is missing passes the verdict.
pub(super) async fn collect(
    store: &dyn Store,
    letters: &[DeadLetter],
    verdict: &mut Verdict,
) -> Result<Vec<Doubt>, StoreError> {
    let letters = letters.iter().filter(|letter| is_doubt(letter));
    let codes: BTreeSet<&str> = letters.filter_map(|letter| letter.dossier.as_deref()).collect();
    let mut doubts = Vec::new();
    for code in codes {
        let Some(replica) = store.find_replica(code).await? else {
            continue;
        };
        let (system, operation) = TARGET;
        let key = replica.dossier.keys_for(system).first().copied().unwrap_or(code);
        let view = replica.dossier.view();
        let entries = view["progress"].as_array().map(Vec::as_slice).unwrap_or_default();
        for row in store.deliveries_of(replica.dossier.id).await? {
            let parked = matches!(&row.state, State::Parked { cause, .. } if cause.code == CAUSE);
            if !parked || row.adapter != system || operation.strip_prefix("push.") != Some(&row.push) {
                continue;
            }
            let entry = entries.iter().find(|entry| entry["id"] == row.item.as_str());
            let step = Step {
                code: key.to_owned(),
                at: entry.map(portal_time).unwrap_or_default(),
            };
            doubts.push(Doubt {
                present: !verdict.pass(&step),
                step,
            });
        }
    }
    doubts.sort_by(|one, other| one.step.cmp(&other.step));
    Ok(doubts)
}

/// The time of an entry as the portal writes it, `yyyyMMddHHmmss` in Vietnam; as it stands if it is no instant.
fn portal_time(entry: &Value) -> String {
    let stated = entry["at"].as_str().unwrap_or_default();
    stated.parse::<Timestamp>().map_or_else(
        |_| stated.to_owned(),
        |at| {
            let there = at.to_zoned(TimeZone::fixed(LOCAL));
            there.strftime("%Y%m%d%H%M%S").to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn time_is_that_of_vietnam() {
        assert_eq!(
            portal_time(&json!({"at": "2026-03-05T17:30:00Z"})),
            "20260306003000"
        );
        assert_eq!(portal_time(&json!({"at": "2026-03-05"})), "2026-03-05");
    }
}
