//! What is to be done for one row: pure, from the dossier, the manifest and the row itself.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{must_look, push_of};
use crate::adapter::{Adapter, Native, OnDoubt, Otherwise, Push, Required};
use crate::dossier::{DossierId, Origin, hash};
use crate::fault::Fault;
use crate::jq::Scope;
use crate::store::{Delivery, Item, Parent, Presence, Replica, State};

/// The three ways to speak about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    Find,
    Create,
    Update,
}

/// A row that needs an exchange, with everything the exchange needs.
pub(super) struct Work {
    pub(super) row: Delivery,
    /// The replica's version that was mapped.
    pub(super) version: i64,
    pub(super) way: Ways,
    pub(super) native: Native,
    /// The dossier as the mappings see it.
    pub(super) view: Value,
    pub(super) origin: Origin,
}

/// What is to be done for a row.
pub(super) enum Plan {
    /// No exchange: the row as it is to be, and the items that it stands for.
    Write {
        row: Box<Delivery>,
        version: i64,
        items: Vec<Item>,
    },
    /// One exchange.
    Exchange(Box<Work>),
}

impl Plan {
    fn write(row: Delivery, version: i64, state: State) -> Self {
        Self::Write {
            row: Box::new(Delivery { state, ..row }),
            version,
            items: Vec::new(),
        }
    }

    /// The row cannot go on.
    pub(super) fn parked(row: Delivery, cause: Fault, held: bool) -> Self {
        let version = row.desired;
        Self::write(row, version, State::Parked { cause, held })
    }
}

/// The name of the requirement that another push was done.
pub(super) fn after(push: &str) -> String {
    format!("after {push}")
}

/// Plans one row. `identity_owned`: some adapter of the province asks the population database.
pub(super) fn plan(
    adapter: &Adapter,
    mut row: Delivery,
    replicas: &HashMap<DossierId, Replica>,
    parents: &HashMap<(DossierId, String), Parent>,
    identity_owned: bool,
    now: Timestamp,
) -> Plan {
    let (Some(push), Some(replica)) = (push_of(adapter, &row.push), replicas.get(&row.dossier)) else {
        let cause = Fault::new("push-unknown")
            .file("adapter.toml")
            .found(format!("a delivery for the push `{}`", row.push))
            .expected("that the adapter still has this push")
            .remedy("put the push back into the manifest, or discard the delivery");
        return Plan::parked(row, cause, false);
    };
    let version = replica.version;
    let whole = replica.dossier.view();
    // Doubt first: what waits for anything else would forget it.
    if let State::InDoubt { .. } = row.state
        && let Some(state) = doubt_without_look_up(push, &mut row, now)
    {
        return Plan::write(row, version, state);
    }
    if let Some(state) = lacking(adapter, push, &row, &whole, parents, identity_owned, now) {
        return Plan::write(row, version, state);
    }
    let view = adapter.needs.apply(&whole);
    match relevant(adapter, push, row, replica, view) {
        Ok(plan) => plan,
        Err((row, fault)) => Plan::parked(*row, fault, false),
    }
}

/// What the dossier lacks before it may go to this target.
fn lacking(
    adapter: &Adapter,
    push: &Push,
    row: &Delivery,
    dossier: &Value,
    parents: &HashMap<(DossierId, String), Parent>,
    identity_owned: bool,
    now: Timestamp,
) -> Option<State> {
    if let Some(parent) = &push.after
        && !parents
            .get(&(row.dossier, parent.clone()))
            .is_some_and(|parent| parent.done)
    {
        return Some(State::Waiting {
            requirement: after(parent),
            until: None,
        });
    }
    // What the target has once had goes on being brought up to date.
    if row.applied.is_some() {
        return None;
    }
    for requirement in &adapter.requires {
        let (name, asked) = match requirement.what {
            Required::Code => ("code", true),
            Required::Identity => ("identity", identity_owned),
        };
        if !asked || requirement.met(dossier) {
            continue;
        }
        // Counted from when the dossier was first meant for this target: a newer version does not begin the wait anew.
        let until = row.created + requirement.within;
        if now < until {
            return Some(State::Waiting {
                requirement: name.to_owned(),
                until: Some(until),
            });
        }
        match requirement.otherwise {
            Otherwise::Deliver => {}
            Otherwise::Skip => {
                return Some(State::Skipped {
                    reason: format!("{name} did not come in time"),
                });
            }
            Otherwise::Park => {
                let cause = Fault::new("requirement-unmet")
                    .field(name)
                    .found("nothing within the time that the manifest gives it")
                    .expected(format!("a dossier with {name}"))
                    .remedy("see `dossier show` for where it should come from; when it comes, the delivery goes on");
                return Some(State::Parked { cause, held: false });
            }
        }
    }
    None
}

/// What becomes of a doubt whose time has passed. With a look-up, or where a repetition does no harm, the row goes on;
/// else the manifest has said what to do.
fn doubt_without_look_up(push: &Push, row: &mut Delivery, now: Timestamp) -> Option<State> {
    if push.find.is_some() {
        row.presence = Presence::Unknown;
        return None;
    }
    let repeatable = match (push.update(), row.presence) {
        (Some(update), Presence::Present) => update.idempotent,
        _ => push.create().expect("a push that takes records").idempotent,
    };
    if repeatable {
        return None;
    }
    match push.on_doubt {
        OnDoubt::Resend => None,
        OnDoubt::Skip => {
            row.applied = Some(row.desired);
            row.applied_at = Some(now);
            row.presence = Presence::Present;
            Some(State::Applied)
        }
        OnDoubt::Park => {
            let cause = Fault::new("in-doubt-no-find")
                .found("a call whose answer never came, and no way to ask whether it took effect")
                .expected("a person's word")
                .remedy("look in the target system; then retry the delivery if the record is not there, or discard it");
            Some(State::Parked { cause, held: true })
        }
    }
}

/// Whether this version matters to the target, and by which exchange it gets there.
fn relevant(
    adapter: &Adapter,
    push: &Push,
    mut row: Delivery,
    replica: &Replica,
    view: Value,
) -> Result<Plan, (Box<Delivery>, Fault)> {
    let version = replica.version;
    let kept = row.clone();
    let fail = |fault: Fault| (Box::new(kept.clone()), fault);
    if row.item.is_empty() && !push.wanted(&view).map_err(fail)? {
        let reason = "the mapping does not send this dossier (when)".to_owned();
        return Ok(Plan::write(row, version, State::Skipped { reason }));
    }
    let item = if push.is_by_item() {
        let items = push.items(&view).map_err(fail)?;
        if row.item.is_empty() {
            return Ok(expand(push, row, version, &items));
        }
        if row.applied.is_some() && push.update().is_none() {
            return Ok(Plan::write(row, version, State::Applied));
        }
        if let Some(item) = items.into_iter().find(|item| item["id"] == json!(row.item)) {
            Some(item)
        } else {
            let reason = "the dossier no longer has this item".to_owned();
            return Ok(Plan::write(row, version, State::Skipped { reason }));
        }
    } else {
        None
    };

    let native = push.native(&view, item.as_ref()).map_err(fail)?;
    // Who has given the dossier its own code has it: it is never sent a create. Its items are another matter.
    if row.item.is_empty() && must_look(&row) && row.attempt == 0 && replica.dossier.held_by(&adapter.name) {
        row.presence = Presence::Present;
        row.remote = replica
            .dossier
            .keys_for(&adapter.name)
            .first()
            .map(ToString::to_string);
    }
    let unchanged = row.native_hash.as_deref() == Some(native.hash.as_str());
    let way = match row.presence {
        Presence::Present if unchanged || push.update().is_none() => {
            row.applied = Some(version);
            return Ok(Plan::write(row, version, State::Applied));
        }
        Presence::Present => Ways::Update,
        Presence::Unknown if push.find.is_some() => Ways::Find,
        Presence::Unknown | Presence::Absent => Ways::Create,
    };
    Ok(Plan::Exchange(Box::new(Work {
        row,
        version,
        way,
        native,
        view,
        origin: replica.dossier.origin.clone(),
    })))
}

/// The row of a push with items is done when each of them has a row of its own.
fn expand(push: &Push, row: Delivery, version: i64, items: &[Value]) -> Plan {
    let items = items
        .iter()
        .zip(1..)
        .filter_map(|(item, ordinal)| {
            Some(Item {
                adapter: row.adapter.clone(),
                push: row.push.clone(),
                dossier: row.dossier,
                item: item["id"].as_str()?.to_owned(),
                ordinal,
                version,
                again: push.update().is_some(),
            })
        })
        .collect();
    let row = Delivery {
        applied: Some(version),
        state: State::Applied,
        ..row
    };
    Plan::Write {
        row: Box::new(row),
        version,
        items,
    }
}

impl Work {
    /// The variables of this work's calls and rules.
    pub(super) fn scope(&self, push: &Push) -> Scope {
        push.scope(&self.view, &self.native, self.row.remote.as_deref())
            .with("id", json!(self.intent_id()))
    }

    /// Names the intent towards the target; the same on every repetition of the same bytes.
    fn intent_id(&self) -> String {
        let row = &self.row;
        hash::content(&json!([
            row.adapter,
            row.push,
            row.dossier,
            row.item,
            self.native.hash
        ]))
    }
}
