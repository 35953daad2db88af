//! What is to be done for one row: pure, from what is known of the dossier, the manifest and the row itself.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::ask::{Answered, Asking, lookup_of};
use super::desk::Desk;
use super::work::{Work, after};
use super::{ask, push_of, reports};
use crate::adapter::{Adapter, OnDoubt, Otherwise, Push, Required};
use crate::dossier::{DossierId, Ownership, Shadow};
use crate::fault::Fault;
use crate::files::Files;
use crate::stage::{Shared, StageError};
use crate::store::{Delivery, Item, Parent, Presence, Replica, State};

/// What is to be done for a row.
pub(super) enum Plan {
    /// No exchange: the row as it is to be, and the items that it stands for.
    Write {
        row: Box<Delivery>,
        version: i64,
        /// The attempt that the row was read with.
        fence: i64,
        items: Vec<Item>,
        /// The row's last intent is taken as one that took effect.
        taken_as_done: bool,
    },
    /// One exchange.
    Exchange(Box<Work>),
    /// One question.
    Ask(Box<Asking>),
    /// No question: what it would ask for is known.
    Answered(Box<Answered>),
}

impl Plan {
    /// The row in this state.
    pub(super) fn write(row: Delivery, version: i64, state: State) -> Self {
        Self::Write {
            fence: row.attempt,
            row: Box::new(Delivery { state, ..row }),
            version,
            items: Vec::new(),
            taken_as_done: false,
        }
    }

    /// The row cannot go on.
    pub(super) fn parked(row: Delivery, cause: Fault, held: bool) -> Self {
        let version = row.desired;
        Self::write(row, version, State::Parked { cause, held })
    }

    /// Only a person can find out what became of the row's last call.
    pub(super) fn left_to_a_person(row: Delivery) -> Self {
        let cause = Fault::new("in-doubt-no-find")
            .found("a call whose answer never came, and no way to ask whether it took effect")
            .expected("a person's word")
            .remedy("look in the target system; then retry the delivery if the record is not there, or discard it");
        Self::parked(row, cause, true)
    }

    /// The mapping cannot make a record of it: a newer version of the dossier or of the mapping tries again.
    pub(super) fn unmappable(row: Delivery, cause: Fault, mapping: &str) -> Self {
        let row = Delivery {
            judged_by: Some(mapping.to_owned()),
            ..row
        };
        Self::parked(row, cause, false)
    }
}

/// What is known of the dossiers whose rows are planned.
pub(super) struct Known {
    pub(super) replicas: HashMap<DossierId, Replica>,
    pub(super) parents: HashMap<(DossierId, String), Parent>,
    /// What the target's system is believed to hold, where it reports.
    pub(super) shadows: HashMap<(String, DossierId), Shadow>,
    /// Some adapter of the province asks the population database.
    pub(super) identity_owned: bool,
    pub(super) files: Arc<Files>,
    pub(super) now: Timestamp,
}

impl Known {
    /// What is to be known for these rows of an adapter.
    pub(super) async fn of(
        shared: &Shared,
        adapter: &Adapter,
        rows: &[Delivery],
        now: Timestamp,
    ) -> Result<Self, StageError> {
        let mut ids: Vec<DossierId> = rows.iter().map(|row| row.dossier).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<(String, DossierId)> = ids
            .iter()
            .filter(|_| reports(adapter))
            .map(|id| (adapter.name.clone(), *id))
            .collect();
        let owns_identity = |(_, owns): (_, &Ownership)| owns.rights().any(|(name, _)| name == "identity");
        Ok(Self {
            replicas: shared.store.replicas(&ids).await?,
            parents: shared.store.parents(&adapter.name, &ids).await?,
            shadows: shared.store.shadows(&keys).await?,
            identity_owned: shared.rights().any(owns_identity),
            files: Arc::clone(&shared.files),
            now,
        })
    }

    /// Ids of the records that we have made of a dossier.
    fn ours(&self, id: DossierId) -> Vec<&str> {
        let rows = self.parents.iter().filter(|((dossier, _), _)| *dossier == id);
        rows.filter_map(|(_, row)| row.remote.as_deref()).collect()
    }
}

/// Plans one row.
pub(super) fn plan(adapter: &Adapter, mut row: Delivery, known: &Known) -> Plan {
    if let Some((lookup, replica)) = lookup_of(adapter, &row.push).zip(known.replicas.get(&row.dossier)) {
        let planned = ask::plan(adapter, lookup, row.clone(), replica, known.now);
        return planned.unwrap_or_else(|fault| Plan::unmappable(row, fault, &adapter.version));
    }
    let (Some(push), Some(replica)) = (push_of(adapter, &row.push), known.replicas.get(&row.dossier)) else {
        let cause = Fault::new("push-unknown")
            .file("adapter.toml")
            .found(format!("a delivery for the operation `{}`", row.push))
            .expected("that the adapter still has this operation")
            .remedy("put it back into the manifest, or discard the delivery");
        return Plan::parked(row, cause, false);
    };
    let version = replica.version;
    let whole = replica.dossier.view();
    // Doubt first: what waits for anything else would forget it.
    let doubt = if row.is_certain() {
        Doubt::None
    } else {
        doubt(push, &row)
    };
    match doubt {
        Doubt::None | Doubt::Repeat => {}
        Doubt::Look => row.presence = Presence::Unknown,
        Doubt::Skip => row.presence = Presence::Present,
        Doubt::Park => return Plan::left_to_a_person(row),
    }
    let view = adapter.needs.apply(&whole);
    // What its mapping does not send waits for nothing; that it cannot say so is told when it could go out.
    let is_wanted = !row.item.is_empty() || push.wanted(&view).unwrap_or(true);
    if let Some(state) = lacking(adapter, push, &row, &whole, is_wanted, known) {
        return Plan::write(row, version, state);
    }
    let desk = Desk {
        adapter,
        push,
        replica,
        ours: known.ours(row.dossier),
        shadow: known.shadows.get(&(adapter.name.clone(), row.dossier)),
        view,
        doubt,
        files: &known.files,
        now: known.now,
    };
    let planned = desk.plan(row.clone()).and_then(|plan| {
        // Before anything is called: what lacks a file is no matter of the target.
        if let Plan::Exchange(work) = &plan
            && let Some(native) = &work.native
        {
            known.files.check(&native.record)?;
        }
        Ok(plan)
    });
    planned.unwrap_or_else(|fault| Plan::unmappable(row, fault, &adapter.version))
}

/// What the dossier lacks before it may go to this target.
fn lacking(
    adapter: &Adapter,
    push: &Push,
    row: &Delivery,
    dossier: &Value,
    is_wanted: bool,
    known: &Known,
) -> Option<State> {
    if let Some(parent) = &push.after
        && !known
            .parents
            .get(&(row.dossier, parent.clone()))
            .is_some_and(|parent| parent.done)
    {
        return Some(State::Waiting {
            requirement: after(parent),
            until: None,
        });
    }
    // What the target has once had goes on being brought up to date.
    if row.applied.is_some() || !is_wanted {
        return None;
    }
    for requirement in &adapter.requires {
        let (name, asked) = match requirement.what {
            Required::Code => ("code", true),
            Required::Identity => ("identity", known.identity_owned),
        };
        if !asked || requirement.met(dossier) {
            continue;
        }
        // Counted from when the dossier could first have gone to this target: what it waited for before that, such as being
        // received, takes nothing off, and a newer version does not begin the wait anew.
        let until = row.created + requirement.within;
        if known.now < until {
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

/// How a doubt ends whose time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// There is none.
    None,
    /// The target is asked.
    Look,
    /// The call is made again: it does no harm, or the manifest says so.
    Repeat,
    /// The call is taken as done: the manifest says so.
    Skip,
    /// A person decides.
    Park,
}

fn doubt(push: &Push, row: &Delivery) -> Doubt {
    if push.find.is_some() {
        return Doubt::Look;
    }
    if push.steps().is_some() {
        // which action it was is seen when it is known which one is next
        return Doubt::None;
    }
    let call = match (push.update(), row.presence) {
        (Some(update), Presence::Present) => Some(update),
        _ => push.create(),
    };
    if call.is_some_and(|call| call.idempotent) {
        return Doubt::Repeat;
    }
    match push.on_doubt {
        OnDoubt::Resend => Doubt::Repeat,
        OnDoubt::Skip => Doubt::Skip,
        OnDoubt::Park => Doubt::Park,
    }
}
