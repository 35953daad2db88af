//! A target that takes actions, not states, is led one action at a time, each an intent of its own.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::desk::Desk;
use super::plan::Plan;
use super::work::{Way, intent};
use crate::adapter::{OnDoubt, Step, Steps};
use crate::fault::Fault;
use crate::store::{Delivery, Presence, State};

/// When what the target was told last must show, if it was asked how it stands before that.
pub(super) fn shows_later(row: &Delivery, settle: Duration) -> Option<Timestamp> {
    let shows = row.recent.last()?.at + settle;
    (row.looked < Some(shows)).then_some(shows)
}

impl Desk<'_> {
    /// The next action of a target that takes actions. Where it can be asked how it stands, it is asked before each of
    /// them; what it said last is good enough only to see that nothing is to be done.
    pub(super) fn step(self, mut row: Delivery, steps: &Steps) -> Result<Plan, Fault> {
        let version = self.replica.version;
        let can_look = self.push.find.is_some();
        let state = match &row.target_state {
            Some(state) => state.clone(),
            None if can_look => return self.exchange(row, Way::Look, None),
            None => Value::Null,
        };
        let next = steps.next(&state, &self.view)?;
        if can_look && row.presence == Presence::Unknown && (next.is_some() || row.is_open()) {
            return self.exchange(row, Way::Look, None);
        }
        if !can_look && row.is_open() {
            return self.step_in_doubt(row, steps, next);
        }
        let Some(step) = next else {
            row.applied = Some(version);
            // the same action may be right again one day, and by then the target may stand elsewhere
            row.native_hash = None;
            row.presence = if can_look { Presence::Unknown } else { row.presence };
            row.failures = 0;
            row.failing_since = None;
            return Ok(Plan::write(row, version, State::Applied));
        };
        if !can_look {
            // who takes actions on a dossier has it
            row.presence = Presence::Present;
        }
        if can_look && row.native_hash.as_deref() == Some(step.native.hash.as_str()) {
            return Ok(self.without_effect(row));
        }
        self.exchange(row, Way::Step, Some(step.native))
    }

    /// What becomes of an action whose end is not known, of a target that cannot be asked. What the manifest says of a
    /// doubt it says of that action: where another one is due by now, or none, nobody knows from where.
    fn step_in_doubt(self, mut row: Delivery, steps: &Steps, next: Option<Step>) -> Result<Plan, Fault> {
        let same = next.filter(|step| row.intent == Some(intent(&row, Some(&step.native))));
        let Some(step) = same else {
            return Ok(Plan::left_to_a_person(row));
        };
        let idempotent = steps.call(&step.step).is_some_and(|call| call.idempotent);
        match self.push.on_doubt {
            _ if idempotent => self.exchange(row, Way::Step, Some(step.native)),
            OnDoubt::Resend => self.exchange(row, Way::Step, Some(step.native)),
            OnDoubt::Skip => {
                row.target_state = Some(steps.state(&step.native.record, &self.view)?);
                Ok(Plan::Write {
                    fence: row.attempt,
                    row: Box::new(Delivery {
                        state: State::Due,
                        ..row
                    }),
                    version: self.replica.version,
                    items: Vec::new(),
                    taken_as_done: true,
                })
            }
            OnDoubt::Park => Ok(Plan::left_to_a_person(row)),
        }
    }

    /// The target said that the step took effect and still stands where it stood: asked again when what it has done must
    /// show, then a person has to look.
    fn without_effect(&self, mut row: Delivery) -> Plan {
        row.presence = Presence::Unknown;
        if let Some(shows) = shows_later(&row, self.push.settle) {
            let next = shows.max(self.now);
            return Plan::write(row, self.replica.version, State::BackingOff { next });
        }
        let cause = Fault::new("step-without-effect")
            .found("an action that the target has acknowledged, and no change in how it stands")
            .expected("that it stands where the action leads")
            .remedy("look at the dossier in the target system; correct `state` or `steps` of the manifest, or retry the delivery");
        row.native_hash = None;
        Plan::parked(row, cause, true)
    }
}
