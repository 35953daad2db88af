//! What the judge does not see: what the daemon has done behind the ledger's back, to the dossiers, and to privacy.

use crate::oracle::books::text_of;
use crate::oracle::journal::Told;
use crate::world::Left;

/// No request was made behind the ledger's back: for each dossier, no more writing requests reached the target than the
/// ledger has intents. A batch counts once for each of its records.
pub(crate) async fn repeated(left: &Left) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for key in left.accepted.records.keys() {
        let made: usize = left.journal.iter().map(|told| records_of(told, key)).sum();
        let replica = left
            .store
            .find_replica(key)
            .await
            .map_err(|error| error.to_string())?;
        let Some(replica) = replica else { continue };
        let rows = left.store.deliveries_of(replica.dossier.id).await;
        let rows = rows.map_err(|error| error.to_string())?;
        let intents: i64 = rows
            .iter()
            .filter(|row| row.adapter == left.adapter)
            .map(|row| row.attempt)
            .sum();
        if i64::try_from(made).is_ok_and(|made| made > intents) {
            wrong.push(format!(
                "B6 resend: {made} writing requests about {key}, and {intents} intents"
            ));
        }
    }
    Ok(wrong)
}

/// How many records of this key a writing request carries.
fn records_of(told: &Told, key: &str) -> usize {
    match told {
        Told::Call { method, body, .. } if method != "GET" => match body.as_array() {
            Some(batch) => batch.iter().filter(|record| text_of(record, "id") == key).count(),
            None => usize::from(text_of(body, "id") == key),
        },
        _ => 0,
    }
}

/// The dossiers themselves are as the source has stated them, whatever the target made of them and reports.
pub(crate) async fn eroded(left: &Left) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for (key, versions) in &left.accepted.records {
        let replica = left
            .store
            .find_replica(key)
            .await
            .map_err(|error| error.to_string())?;
        let held = replica
            .as_ref()
            .and_then(|replica| replica.dossier.register("summary"));
        let stated = versions.last_key_value().map(|(_, record)| &record["text"]);
        if held != stated {
            wrong.push(format!(
                "I9 echo: the summary of {key} is {held:?}, and was stated as {stated:?}"
            ));
        }
    }
    Ok(wrong)
}

/// What a log must not hold.
pub(crate) fn leaked(log: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if log.contains("Vũ Thị Thử") {
        wrong.push("I10 leak: the log names an applicant".to_owned());
    }
    if log.contains("panicked") {
        wrong.push("a stage panicked".to_owned());
    }
    wrong
}
