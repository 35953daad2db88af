//! From a dossier to what its target should have of it: nothing, a record, the next action; and by which exchange.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::plan::{Doubt, Plan};
use super::work::{Gift, Way, Work, intent};
use super::{flapping, reports};
use crate::adapter::{Adapter, Native, Push};
use crate::dossier::{Patch, Shadow};
use crate::fault::Fault;
use crate::files::Files;
use crate::store::{Delivery, Item, Presence, Replica, State};

/// Everything that the plan of one row is made from.
pub(super) struct Desk<'a> {
    pub(super) adapter: &'a Adapter,
    pub(super) push: &'a Push,
    pub(super) replica: &'a Replica,
    pub(super) shadow: Option<&'a Shadow>,
    /// Ids of the dossier's records that we have made there.
    pub(super) ours: Vec<&'a str>,
    pub(super) view: Value,
    pub(super) doubt: Doubt,
    pub(super) files: &'a Files,
    pub(super) now: Timestamp,
}

impl Desk<'_> {
    /// Whether this version matters to the target, and by which exchange it gets there.
    pub(super) fn plan(self, mut row: Delivery) -> Result<Plan, Fault> {
        let (push, version) = (self.push, self.replica.version);
        row.judged_by = None;
        if row.item.is_empty() && !push.wanted(&self.view)? {
            // What is only ever made, and is there, is done: that it would not be made again changes nothing.
            let only_made = push.create().is_some() && push.update().is_none();
            if only_made && row.presence == Presence::Present {
                row.applied = Some(version);
                return Ok(Plan::write(row, version, State::Applied));
            }
            let reason = "the mapping does not send this dossier (when)".to_owned();
            return Ok(Plan::write(row, version, State::Skipped { reason }));
        }
        if let Some(steps) = push.steps() {
            return self.step(row, steps);
        }
        let item = if push.is_by_item() {
            let items = push.items(&self.view)?;
            if row.item.is_empty() {
                return Ok(expand(row, version, &items, push.update().is_some()));
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
        self.known_there(&mut row);
        let skipped = self.doubt == Doubt::Skip;
        if (skipped && row.intent == Some(intent(&row, Some(&native))))
            || self.said_so_itself(&row, &native)?
        {
            row.native_hash = Some(native.hash.clone());
        }
        let unchanged = row.native_hash.as_deref() == Some(native.hash.as_str());
        let way = match row.presence {
            Presence::Present if unchanged || push.update().is_none() => {
                row.applied = Some(version);
                return Ok(Plan::Write {
                    fence: row.attempt,
                    row: Box::new(Delivery {
                        state: State::Applied,
                        ..row
                    }),
                    version,
                    items: Vec::new(),
                    taken_as_done: skipped,
                });
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

    /// Who has given the dossier its own code has it, and who has told of an item has that: neither is sent a create.
    fn known_there(&self, row: &mut Delivery) {
        if row.presence != Presence::Unknown || row.attempt > 0 {
            return;
        }
        let (dossier, system) = (&self.replica.dossier, &self.adapter.name);
        if row.item.is_empty() && dossier.held_by(system, &self.ours) {
            row.presence = Presence::Present;
            row.remote = dossier.keys_for(system).first().map(ToString::to_string);
        } else if self.is_own_item(&row.item) {
            row.presence = Presence::Present;
        }
    }

    /// Whether the target's own system was the last to say this item.
    fn is_own_item(&self, item: &str) -> bool {
        let (dossier, system) = (&self.replica.dossier, &self.adapter.name);
        let mut items = dossier.items.values().filter_map(|items| items.get(item));
        let mut entries = dossier.logs.values().filter_map(|entries| entries.get(item));
        items.any(|item| item.stamp.source == *system) || entries.any(|entry| entry.system == *system)
    }

    /// Whether all that is new since the target was last given the record came from there, and is there still: then it
    /// is not told what it said itself. Parts that it does not report cannot be seen; so nobody else may have had a part.
    fn said_so_itself(&self, row: &Delivery, native: &Native) -> Result<bool, Fault> {
        let by_others = if row.item.is_empty() {
            row.others > row.applied.unwrap_or_default()
        } else {
            !self.is_own_item(&row.item)
        };
        if by_others || row.intent.is_some() || row.presence != Presence::Present {
            return Ok(false);
        }
        let (Some(shadow), Some(gift)) = (self.shadow, self.gift(native)?) else {
            return Ok(false);
        };
        Ok(shadow.holds(&gift.echo))
    }

    /// An exchange about this record.
    pub(super) fn exchange(self, mut row: Delivery, way: Way, native: Option<Native>) -> Result<Plan, Fault> {
        let gift = match &native {
            Some(native) if way != Way::Look => self.gift(native)?,
            _ => None,
        };
        if way == Way::Look {
            row.looked = Some(self.now);
        }
        Ok(Plan::Exchange(Box::new(Work {
            fence: row.attempt,
            version: self.replica.version,
            row,
            way,
            native,
            gift,
            before: None,
            origin: self.replica.dossier.origin.clone(),
            view: self.view,
        })))
    }

    /// What the system will report of this record, if it reports at all.
    fn gift(&self, native: &Native) -> Result<Option<Gift>, Fault> {
        if !reports(self.adapter) {
            return Ok(None);
        }
        // It will report the links that it is sent.
        let sent = Native {
            record: self.files.linked(&native.record),
            ..native.clone()
        };
        let Some(echo) = self.push.echo(&sent, &self.view)? else {
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

/// The row of an operation with items is done when each of them has a row of its own; `again`: which comes due at each change
/// of the dossier.
pub(super) fn expand(row: Delivery, version: i64, items: &[Value], again: bool) -> Plan {
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
                again,
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
        taken_as_done: false,
    }
}
