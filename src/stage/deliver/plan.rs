//! What is to be done for one row: pure, from the dossier, the manifest and the row itself.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::work::{Gift, Way, Work, after};
use super::{flapping, push_of};
use crate::adapter::{Adapter, Native, OnDoubt, Otherwise, Push, Required, Steps};
use crate::dossier::{DossierId, Patch};
use crate::fault::Fault;
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
    },
    /// One exchange.
    Exchange(Box<Work>),
}

impl Plan {
    fn write(row: Delivery, version: i64, state: State) -> Self {
        Self::Write {
            fence: row.attempt,
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

    /// The mapping cannot make a record of it: a newer version of the dossier or of the mapping tries again.
    pub(super) fn unmappable(row: Delivery, cause: Fault, mapping: &str) -> Self {
        let row = Delivery {
            judged_by: Some(mapping.to_owned()),
            ..row
        };
        Self::parked(row, cause, false)
    }
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
    let doubted = matches!(row.state, State::InDoubt { .. });
    if doubted && let Some(state) = doubt_without_look_up(push, &mut row) {
        return Plan::write(row, version, state);
    }
    if let Some(state) = lacking(adapter, push, &row, &whole, parents, identity_owned, now) {
        return Plan::write(row, version, state);
    }
    let desk = Desk {
        adapter,
        push,
        replica,
        view: adapter.needs.apply(&whole),
        doubted,
        now,
    };
    match desk.plan(row.clone()) {
        Ok(plan) => plan,
        Err(fault) => Plan::unmappable(row, fault, &adapter.version),
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
fn doubt_without_look_up(push: &Push, row: &mut Delivery) -> Option<State> {
    if push.find.is_some() {
        row.presence = Presence::Unknown;
        return None;
    }
    let call = match (push.update(), row.presence) {
        (Some(update), Presence::Present) => Some(update),
        _ => push.create(),
    };
    if call.is_some_and(|call| call.idempotent) {
        return None;
    }
    match push.on_doubt {
        OnDoubt::Resend => None,
        // The actions after it are still to be taken.
        OnDoubt::Skip if push.steps().is_some() => None,
        OnDoubt::Skip => {
            row.applied = Some(row.desired);
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

/// Everything that the plan of one row is made from.
struct Desk<'a> {
    adapter: &'a Adapter,
    push: &'a Push,
    replica: &'a Replica,
    view: Value,
    doubted: bool,
    now: Timestamp,
}

impl Desk<'_> {
    /// Whether this version matters to the target, and by which exchange it gets there.
    fn plan(self, mut row: Delivery) -> Result<Plan, Fault> {
        let (push, version) = (self.push, self.replica.version);
        row.judged_by = None;
        if row.item.is_empty() && !push.wanted(&self.view)? {
            let reason = "the mapping does not send this dossier (when)".to_owned();
            return Ok(Plan::write(row, version, State::Skipped { reason }));
        }
        if let Some(steps) = push.steps() {
            return self.step(row, steps);
        }
        let item = if push.is_by_item() {
            let items = push.items(&self.view)?;
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

        let native = push.native(&self.view, item.as_ref())?;
        // Who has given the dossier its own code has it: it is never sent a create. Its items are another matter.
        let dossier = &self.replica.dossier;
        if row.item.is_empty()
            && row.presence == Presence::Unknown
            && row.attempt == 0
            && dossier.held_by(&self.adapter.name)
        {
            row.presence = Presence::Present;
            row.remote = dossier
                .keys_for(&self.adapter.name)
                .first()
                .map(ToString::to_string);
        }
        let unchanged = row.native_hash.as_deref() == Some(native.hash.as_str());
        let way = match row.presence {
            Presence::Present if unchanged || push.update().is_none() => {
                row.applied = Some(version);
                return Ok(Plan::write(row, version, State::Applied));
            }
            Presence::Present => Way::Update,
            Presence::Unknown if push.find.is_some() => Way::Look,
            Presence::Unknown | Presence::Absent => Way::Create,
        };
        if way == Way::Update
            && let Some(cause) = flapping::cause(&row.recent, &native.hash, self.now)
        {
            return Ok(Plan::parked(row, cause, true));
        }
        self.exchange(row, way, Some(native))
    }

    /// The next action of a target that takes actions. Where it can be asked how it stands, it is asked before each of
    /// them; what it said last is good enough only to see that nothing is to be done.
    fn step(self, mut row: Delivery, steps: &Steps) -> Result<Plan, Fault> {
        let version = self.replica.version;
        let can_look = self.push.find.is_some();
        let state = match &row.target_state {
            Some(state) => state.clone(),
            None if can_look => return self.exchange(row, Way::Look, None),
            None => Value::Null,
        };
        let fresh = !can_look || row.presence != Presence::Unknown;
        match steps.next(&state, &self.view)? {
            None if self.doubted && !fresh => self.exchange(row, Way::Look, None),
            None => {
                row.applied = Some(version);
                // the same action may be right again one day
                row.native_hash = None;
                row.failures = 0;
                row.failing_since = None;
                Ok(Plan::write(row, version, State::Applied))
            }
            Some(_) if !fresh => self.exchange(row, Way::Look, None),
            Some(step) if self.doubted && !can_look && self.push.on_doubt == OnDoubt::Skip => {
                row.target_state = Some(steps.state(&step.native.record, &self.view)?);
                Ok(Plan::write(row, version, State::Due))
            }
            Some(step) => {
                let repeated = can_look && row.native_hash.as_deref() == Some(step.native.hash.as_str());
                if repeated {
                    return Ok(self.without_effect(row));
                }
                self.exchange(row, Way::Step, Some(step.native))
            }
        }
    }

    /// The target said that the step took effect and still stands where it stood: asked once more when what it has done
    /// must show, then a person has to look.
    fn without_effect(&self, mut row: Delivery) -> Plan {
        let version = self.replica.version;
        if row.failures > 0 {
            let cause = Fault::new("step-without-effect")
                .found("an action that the target has acknowledged, and no change in how it stands")
                .expected("that it stands where the action leads")
                .remedy("look at the dossier in the target system; correct `state` or `steps` of the manifest, or retry the delivery");
            row.native_hash = None;
            return Plan::parked(row, cause, true);
        }
        row.failures = 1;
        row.failing_since = Some(self.now);
        row.presence = Presence::Unknown;
        let next = self.now + self.push.settle;
        Plan::write(row, version, State::BackingOff { next })
    }

    fn exchange(self, row: Delivery, way: Way, native: Option<Native>) -> Result<Plan, Fault> {
        let gift = match &native {
            Some(native) if way != Way::Look => self.gift(native)?,
            _ => None,
        };
        Ok(Plan::Exchange(Box::new(Work {
            fence: row.attempt,
            version: self.replica.version,
            row,
            way,
            native,
            gift,
            origin: self.replica.dossier.origin.clone(),
            doubted: self.doubted,
            view: self.view,
        })))
    }

    /// What the system will report of this record, if it reports at all.
    fn gift(&self, native: &Native) -> Result<Option<Gift>, Fault> {
        if self.adapter.webhooks.is_empty() && self.adapter.pulls.is_empty() {
            return Ok(None);
        }
        let Some(echo) = self.push.echo(native, &self.view)? else {
            return Ok(None);
        };
        let echo = Patch::parse(&echo).map_err(|mut faults| {
            let fault = faults.swap_remove(0);
            let field = fault.field.clone().unwrap_or_default();
            fault.field(format!("push.{}.echo: {field}", self.push.name))
        })?;
        Ok(Some(Gift {
            echo,
            stamps: self.replica.dossier.stamps(),
        }))
    }
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
        fence: row.attempt,
        row: Box::new(row),
        version,
        items,
    }
}
