//! Ids of dead letters: `inbox-17`, `delivery-<adapter>-<push>-<dossier>`, or that with `-<item>`.

use serde_json::{Value, json};

use super::cells::Cells;
use super::{Decision, Verb};
use crate::dossier::DossierId;

/// Length of a dossier's id as text.
const ID: usize = 36;

/// The id of a dead letter, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Letter<'a> {
    /// A record at this place in the inbox.
    Record(i64),
    /// A row of the ledger; adapter and push as they stand in the id.
    Delivery {
        place: &'a str,
        dossier: DossierId,
        item: &'a str,
    },
}

impl<'a> Letter<'a> {
    /// `None`: no dead letter has such an id.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(seq) = text.strip_prefix("inbox-") {
            let seq = seq.parse().ok()?;
            return (record_letter(seq) == text).then_some(Self::Record(seq));
        }
        let rest = text.strip_prefix("delivery-")?;
        // Names have dashes too: the first id of a dossier shows where they end.
        rest.match_indices('-').find_map(|(dash, _)| {
            let (place, rest) = (rest.get(..dash)?, rest.get(dash + 1..)?);
            let (id, item) = (rest.get(..ID)?, rest.get(ID..)?);
            let dossier: DossierId = id.parse().ok()?;
            let item = if item.is_empty() {
                item
            } else {
                item.strip_prefix('-')?
            };
            (dossier.to_string() == id).then_some(Self::Delivery { place, dossier, item })
        })
    }
}

pub(super) fn record_letter(seq: i64) -> String {
    format!("inbox-{seq}")
}

/// Of a row of the ledger.
pub(super) fn delivery_letter(row: &impl Cells) -> Result<String, sqlx::Error> {
    let (adapter, push) = (row.text("adapter")?, row.text("push")?);
    let (dossier, item) = (row.dossier("dossier_id")?, row.text("item")?);
    let dash = if item.is_empty() { "" } else { "-" };
    Ok(format!("delivery-{adapter}-{push}-{dossier}{dash}{item}"))
}

/// Decisions of one verb about one kind of letters, as the JSON objects that the statements read.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) records: Vec<Value>,
    pub(super) deliveries: Vec<Value>,
}

pub(super) fn sorted(decisions: &[Decision], verb: Verb) -> Sorted {
    let mut sorted = Sorted::default();
    for decision in decisions.iter().filter(|decision| decision.verb == verb) {
        let reason = decision.reason.as_deref().unwrap_or("no reason given");
        let cause = format!("by {}: {reason}", decision.by);
        match Letter::parse(&decision.letter) {
            Some(Letter::Record(seq)) => sorted.records.push(json!({"seq": seq, "cause": cause})),
            Some(Letter::Delivery { place, dossier, item }) => {
                let row = json!({"place": place, "dossier": dossier, "item": item, "cause": cause});
                sorted.deliveries.push(row);
            }
            None => {}
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_letter_is_taken_apart_where_it_was_put_together() {
        let id = "0191d4a5-6b1e-7c3d-8e2f-0123456789ab";
        let dossier: DossierId = id.parse().unwrap();
        assert_eq!(Letter::parse("inbox-17"), Some(Letter::Record(17)));
        for (item, tail) in [("", ""), ("1-2", "-1-2")] {
            assert_eq!(
                Letter::parse(&format!("delivery-one-stop-the-push-{id}{tail}")),
                Some(Letter::Delivery {
                    place: "one-stop-the-push",
                    dossier,
                    item
                })
            );
        }
        for none in [
            "inbox-017",
            "inbox-",
            "delivery-x",
            "delivery-a-b-0191",
            "",
            "box-1",
        ] {
            assert_eq!(Letter::parse(none), None, "{none}");
        }
    }
}
