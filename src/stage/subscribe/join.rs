//! Two dossiers become one where a link shows that they are: a code of one that already leads to the other, of the same
//! procedure and for the same applicant. The smaller id lives on, the registers merge. A code alone does not join:
//! clerks mistype codes, and two citizens' dossiers must never become one; such a code keeps leading where it led.

use std::collections::{BTreeSet, HashMap};

use crate::dossier::{Dossier, DossierId, fold_code};
use crate::fault::Fault;
use crate::stage::Shared;
use crate::store::{CodeKey, Delivery, Outcome, Presence, Replica, State, StoreError, Transaction};

/// Dossiers that have changed, and who alone has changed them: nobody, where two became one.
pub(super) type Changed = HashMap<DossierId, BTreeSet<String>>;

/// Joins what the changed dossiers' links show to be one; those that live on and have changed.
pub(super) async fn join(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    replicas: &mut HashMap<DossierId, Replica>,
    mut changed: Changed,
) -> Result<Changed, StoreError> {
    // Within a batch, links are not in the store yet: who comes first leads there.
    let mut order: Vec<DossierId> = changed.keys().copied().collect();
    order.sort_unstable();
    let mut fresh: HashMap<CodeKey, DossierId> = HashMap::new();
    let mut open = order;
    while let Some(id) = open.pop() {
        let keys = replicas
            .get(&id)
            .map_or_else(Vec::new, |replica| keys_of(&replica.dossier));
        let stored = transaction.resolve(&keys).await?;
        let others: Vec<DossierId> = keys
            .iter()
            .filter_map(|key| stored.get(key).or_else(|| fresh.get(key)).copied())
            .filter(|other| *other != id)
            .collect();
        let mut joined = false;
        for other in others {
            if !replicas.contains_key(&other) {
                transaction.lock(&[other], &[]).await?;
                replicas.extend(transaction.replicas(&[other]).await?);
            }
            let agree = matches!(
                (replicas.get(&id), replicas.get(&other)),
                (Some(one), Some(two)) if one.dossier.agrees(&two.dossier)
            );
            if agree {
                let (stays, gone) = (id.min(other), id.max(other));
                unite(shared, transaction, replicas, gone, stays).await?;
                changed.remove(&gone);
                changed.insert(stays, BTreeSet::new());
                fresh
                    .values_mut()
                    .filter(|led| **led == gone)
                    .for_each(|led| *led = stays);
                open.retain(|waiting| *waiting != gone);
                open.push(stays);
                joined = true;
                break;
            }
        }
        if !joined {
            fresh.extend(keys.into_iter().map(|key| (key, id)));
        }
    }
    Ok(changed)
}

/// The codes that lead to a dossier.
pub(super) fn keys_of(dossier: &Dossier) -> Vec<CodeKey> {
    let links = dossier.links.iter();
    links
        .flat_map(|(system, codes)| codes.keys().map(|code| (system.clone(), fold_code(code))))
        .collect()
}

/// `gone` becomes a part of `stays`.
async fn unite(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    replicas: &mut HashMap<DossierId, Replica>,
    gone: DossierId,
    stays: DossierId,
) -> Result<(), StoreError> {
    let Some(part) = replicas.remove(&gone) else {
        return Ok(());
    };
    if let Some(whole) = replicas.get_mut(&stays) {
        whole.dossier.merge(&part.dossier);
        whole.version = whole.version.max(part.version);
    }
    tracing::info!(dossier.id = %stays, joined = %gone, "two dossiers are one");

    let pairs: Vec<_> = shared
        .adapters
        .iter()
        .flat_map(|adapter| [gone, stays].map(|id| (adapter.name.clone(), id)))
        .collect();
    let mut shadows = transaction.shadows(&pairs).await?;
    let mut absorbed = Vec::new();
    for adapter in &shared.adapters {
        let theirs = shadows.remove(&(adapter.name.clone(), gone));
        let mine = shadows.remove(&(adapter.name.clone(), stays));
        if let (Some(theirs), Some(mut mine)) = (theirs, mine) {
            mine.absorb(theirs);
            absorbed.push((adapter.name.clone(), stays, mine));
        }
    }
    let theirs = transaction.deliveries(gone).await?;
    let mine = transaction.deliveries(stays).await?;
    let outcomes: Vec<Outcome> = mine
        .into_iter()
        .filter_map(|row| {
            let same = |other: &&Delivery| {
                (&other.adapter, &other.push, &other.item) == (&row.adapter, &row.push, &row.item)
            };
            let (fence, version) = (row.attempt, row.desired);
            let row = one_row(row.clone(), theirs.iter().find(same)?.clone())?;
            Some(Outcome {
                row,
                version,
                fence,
                intended: false,
            })
        })
        .collect();
    transaction.save(&outcomes, shared.steady.now()).await?;
    transaction.put_shadows(&absorbed).await?;
    transaction.join(gone, stays).await
}

/// Of two rows about one record of one target the one that lives on; `None`: mine, as it is.
fn one_row(mine: Delivery, theirs: Delivery) -> Option<Delivery> {
    let touched = |row: &Delivery| row.attempt > 0 || row.presence == Presence::Present;
    if !touched(&theirs) {
        return None;
    }
    let id = mine.dossier;
    if !touched(&mine) {
        return Some(Delivery {
            dossier: id,
            desired: mine.desired,
            ..theirs
        });
    }
    let attempt = mine.attempt.max(theirs.attempt) + 1;
    let differ = |one: &Option<String>, two: &Option<String>| match (one, two) {
        (Some(one), Some(two)) => fold_code(one) != fold_code(two),
        _ => false,
    };
    let is_there = |row: &Delivery| row.presence == Presence::Present;
    let may_be_made = |row: &Delivery| matches!(row.state, State::InDoubt { .. }) && !is_there(row);
    let is_double = mine.item.is_empty() && differ(&mine.remote, &theirs.remote);
    let may_be_double = (may_be_made(&mine) && (is_there(&theirs) || may_be_made(&theirs)))
        || (is_there(&mine) && may_be_made(&theirs));
    // The record that is there is that of both, whatever has kept the other one from being made.
    let takes_theirs = is_there(&theirs) && !is_there(&mine);
    let kept = if takes_theirs {
        Delivery {
            dossier: id,
            desired: mine.desired,
            ..theirs.clone()
        }
    } else {
        mine.clone()
    };
    if is_double || may_be_double {
        let found = if is_double {
            "two records there for two dossiers that turned out to be one"
        } else {
            "perhaps two records there for two dossiers that turned out to be one: a call about one of them ended unclear"
        };
        let cause = Fault::new("duplicate-in-target")
            .found(found)
            .expected("one record");
        let remedy = "have all but one of the records removed in the target system; then retry the delivery";
        return Some(Delivery {
            state: State::Parked {
                cause: cause.remedy(remedy),
                held: true,
            },
            attempt,
            ..kept
        });
    }
    if takes_theirs {
        return Some(Delivery { attempt, ..kept });
    }
    // A call that may still take effect is waited for, whichever of the two made it.
    match (&mine.state, &theirs.state) {
        (State::InDoubt { until: one }, State::InDoubt { until: two }) if one >= two => None,
        (_, State::InDoubt { until }) => Some(Delivery {
            state: State::InDoubt { until: *until },
            attempt,
            presence: Presence::Unknown,
            native_hash: None,
            intent: theirs.intent,
            ..mine
        }),
        _ => None,
    }
}
