//! A row that needs an exchange, with everything the exchange needs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::adapter::{Call, Native, Push};
use crate::dossier::{Origin, Patch, Stamp, hash};
use crate::jq::Scope;
use crate::store::Delivery;

/// The ways to speak about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Look,
    Create,
    Update,
    Step,
}

/// What a call gives to a system that reports: the patch that it will report, and the dossier's stamps.
#[derive(Clone)]
pub(super) struct Gift {
    pub(super) echo: Patch,
    pub(super) stamps: BTreeMap<String, Stamp>,
}

/// The name of the requirement that another push was done.
pub(super) fn after(push: &str) -> String {
    format!("after {push}")
}

/// One row's part in an exchange.
pub(super) struct Work {
    pub(super) row: Delivery,
    /// The replica's version that was mapped.
    pub(super) version: i64,
    /// The attempt that the row was read with.
    pub(super) fence: i64,
    pub(super) way: Way,
    /// `None` where a target that takes actions is asked how it stands: there is no record before that is known.
    pub(super) native: Option<Native>,
    /// The dossier as the mappings see it.
    pub(super) view: Value,
    pub(super) origin: Origin,
    /// What the target's system is given by the call, and will report.
    pub(super) gift: Option<Gift>,
    /// The intent before this one, where it is to be found out yet whether that took effect.
    pub(super) before: Option<String>,
}

/// What is planned is planned for a record; only a look at a target that takes actions has none.
const MADE: &str = "a call that writes has a record";

impl Work {
    /// The record that is written.
    pub(super) fn native(&self) -> &Native {
        self.native.as_ref().expect(MADE)
    }

    /// The call.
    pub(super) fn call<'a>(&self, push: &'a Push) -> &'a Call {
        let step = || self.native.as_ref()?.step.as_deref();
        let call = match self.way {
            Way::Look => push.find.as_ref().map(|find| &find.call),
            Way::Create => push.create(),
            Way::Update => push.update(),
            Way::Step => push
                .steps()
                .zip(step())
                .and_then(|(steps, step)| steps.call(step)),
        };
        call.expect("planned because the push has this call")
    }

    /// What its call is about.
    pub(super) fn input(&self) -> Value {
        self.native
            .as_ref()
            .map_or(Value::Null, |native| native.record.clone())
    }

    /// The variables of this work's calls and rules.
    pub(super) fn scope(&self, push: &Push) -> Scope {
        let remote = self.row.remote.as_deref();
        let scope = match &self.native {
            Some(native) => push.scope(&self.view, native, remote),
            None => push.scope_of_find(&self.view, remote),
        };
        scope.with("id", json!(self.intent()))
    }

    /// Names what it does.
    pub(super) fn intent(&self) -> String {
        intent(&self.row, self.native.as_ref())
    }
}

/// Names the intent to send this record, towards the target as well; the same on every repetition of the same bytes. A
/// look at a target that takes actions has no record.
pub(super) fn intent(row: &Delivery, native: Option<&Native>) -> String {
    let hash = native.map(|native| &native.hash);
    hash::content(&json!([row.adapter, row.push, row.dossier, row.item, hash]))
}
