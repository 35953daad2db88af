//! What a node's ledger says, as the judge wants to hear it.

use lienthong::dossier::Dossier;
use lienthong::store::{State, Store, StoreError};
use serde_json::Value;

use super::books::{number_in, text_of};
use super::judge::{Claim, Stand};

/// The push whose items are entries, in every adapter beside the oracle; its own row stands for none of them.
const BY_ITEM: &str = "step";

/// What the store says about these keys at one target. A record that takes several pushes stands where the one stands
/// that is least far.
///
/// # Errors
/// The store is away.
pub(crate) async fn claims(
    store: &dyn Store,
    adapter: &str,
    keys: impl IntoIterator<Item = &String>,
) -> Result<Vec<Claim>, StoreError> {
    let mut claims: Vec<Claim> = Vec::new();
    for key in keys {
        let Some(replica) = store.find_replica(key).await? else {
            continue;
        };
        for row in store.deliveries_of(replica.dossier.id).await? {
            let item = (!row.item.is_empty()).then(|| place(&replica.dossier, &row.item));
            if row.adapter != adapter || (row.push == BY_ITEM && item.is_none()) {
                continue;
            }
            let stand = match row.state {
                State::Applied if row.applied == Some(row.desired) || item.is_some() => Stand::Applied,
                State::Parked { cause, .. } => Stand::Parked(cause.code),
                other => Stand::Other(state_name(&other)),
            };
            match claims
                .iter_mut()
                .find(|claim| claim.key == *key && claim.item == item)
            {
                Some(claim) if claim.stand == Stand::Applied => claim.stand = stand,
                Some(_) => {}
                None => claims.push(Claim {
                    key: key.clone(),
                    item,
                    stand,
                }),
            }
        }
    }
    Ok(claims)
}

/// The place that an item's note states; 0 if the dossier no longer has it.
fn place(dossier: &Dossier, item: &str) -> i64 {
    let view = dossier.view();
    let entries = view["progress"].as_array().into_iter().flatten();
    let mut named = entries.filter(|entry| text_of(entry, "id") == item);
    named.next().map_or(0, |entry| number_in(text_of(entry, "note")))
}

fn state_name(state: &State) -> String {
    match serde_json::to_value(state) {
        Ok(Value::Object(fields)) => text_of(&Value::Object(fields), "state").to_owned(),
        _ => "unreadable".to_owned(),
    }
}
