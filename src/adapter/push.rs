//! `[push.NAME]`: we write. From a dossier to native records, and from what the system shows to a decision.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::batch::Batch;
use super::call::Call;
use super::find::Find;
use super::settings::Settings;
use super::steps::Steps;
use crate::dossier::LONGEST_CODE;
use crate::dossier::hash::canonical;
use crate::fault::Fault;
use crate::jq::{Filter, Scope};

/// How dossiers, or items of them, are written to a system.
#[derive(Debug, Clone)]
pub struct Push {
    /// Its name in the manifest.
    pub name: String,
    /// A push that must be done first.
    pub after: Option<String>,
    /// How long after an unclear end nothing is asked or sent.
    pub settle: Duration,
    /// What happens after an unclear end of a call that is neither idempotent nor can be looked for.
    pub on_doubt: OnDoubt,
    /// Asks whether the record is there; with steps, in which state the target is.
    pub find: Option<Find>,
    /// By what the target takes a record.
    pub means: Means,
    /// Several records in one call.
    pub batch: Option<Batch>,
    pub(super) when: Option<Filter>,
    pub(super) each: Option<Filter>,
    /// `None` with steps, which make their records themselves.
    pub(super) record: Option<Filter>,
    pub(super) echo: Option<Filter>,
    pub(super) key: Option<Filter>,
    pub(super) remote: Option<Filter>,
    pub(super) mandatory: Vec<String>,
    pub(super) constant_because: BTreeMap<String, String>,
    pub(super) settings: Settings,
}

/// By what a target takes a record.
#[derive(Debug, Clone)]
pub enum Means {
    /// The record itself, as often as it changes.
    Record {
        /// Makes the record; with `put` also changes it.
        create: Box<Call>,
        /// Changes the record. `None`: once there, it is never sent again.
        update: Option<Box<Call>>,
    },
    /// Actions, one after the other, each from the state that the last one led to.
    Steps(Box<Steps>),
}

/// After an unclear end without another way to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDoubt {
    /// A person decides.
    Park,
    /// It is sent again.
    Resend,
    /// It is taken as done.
    Skip,
}

/// A record as the system will get it.
#[derive(Clone, PartialEq)]
pub struct Native {
    /// The record.
    pub record: Json,
    /// Its key, where the push has one.
    pub key: Option<String>,
    /// SHA-256 of the record and its step, keys sorted, in hex: equal ones have equal hashes.
    pub hash: String,
    /// The item that it was made from, where the push has `each`.
    pub item: Option<Json>,
    /// The step by which it is sent, where the push has `steps`.
    pub step: Option<String>,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Push {
    /// The call that makes the record. `None` with steps.
    #[must_use]
    pub fn create(&self) -> Option<&Call> {
        match &self.means {
            Means::Record { create, .. } => Some(create),
            Means::Steps(_) => None,
        }
    }

    /// The call that changes the record. `None` with steps, and where a record is never sent again.
    #[must_use]
    pub fn update(&self) -> Option<&Call> {
        match &self.means {
            Means::Record { update, .. } => update.as_deref(),
            Means::Steps(_) => None,
        }
    }

    /// The steps, where the target takes actions and not records.
    #[must_use]
    pub fn steps(&self) -> Option<&Steps> {
        match &self.means {
            Means::Record { .. } => None,
            Means::Steps(steps) => Some(steps),
        }
    }

    /// Every call that it can make: `find`, then those that write.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        let steps = self.steps().into_iter().flat_map(Steps::calls);
        let find = self.find.as_ref().map(|find| &find.call);
        find.into_iter()
            .chain(self.create())
            .chain(self.update())
            .chain(steps)
    }

    /// Is the dossier to be there? Where it is not, nothing is called, and what is there stays.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn wanted(&self, dossier: &Json) -> Result<bool, Fault> {
        let Some(when) = &self.when else { return Ok(true) };
        when.holds(dossier, &self.about(dossier, None))
            .map_err(super::fault)
    }

    /// Does it write items, a row each?
    #[must_use]
    pub fn is_by_item(&self) -> bool {
        self.each.is_some()
    }

    /// The items that it writes, each with a text `.id`. Empty without `each`.
    ///
    /// # Errors
    /// The fault of the jq; `item-without-id`, `item-twice`.
    pub fn items(&self, dossier: &Json) -> Result<Vec<Json>, Fault> {
        let Some(each) = &self.each else {
            return Ok(Vec::new());
        };
        let items = each
            .all(dossier, &self.about(dossier, None))
            .map_err(super::fault)?;
        judge_items(&items, &format!("push.{}.each", self.name))?;
        Ok(items)
    }

    /// The native record of the dossier, or of one of its items.
    ///
    /// # Errors
    /// The fault of the jq; `mandatory-empty` naming the native field; `ignored` with the reason where the mapping leaves
    /// the record out.
    ///
    /// # Panics
    /// If the push has `steps`: each of them makes its own record ([`Steps::next`]).
    pub fn native(&self, dossier: &Json, item: Option<&Json>) -> Result<Native, Fault> {
        let scope = self.about(dossier, item);
        let record = self
            .record
            .as_ref()
            .expect("a push with steps is asked for the next step")
            .one(item.unwrap_or(dossier), &scope)
            .map_err(super::fault)?;
        for field in &self.mandatory {
            if is_empty(record.get(field)) {
                return Err(self.mandatory_empty(field));
            }
        }
        let key = match &self.key {
            None => None,
            Some(key) => {
                let scope = scope.with("record", &record);
                match key.one(&record, &scope).map_err(super::fault)? {
                    Json::String(key) if !key.is_empty() => Some(key),
                    Json::Number(key) => Some(key.to_string()),
                    _ => return Err(self.mandatory_empty("key")),
                }
            }
        };
        Ok(Native {
            hash: hash(&record),
            record,
            key,
            item: item.cloned(),
            step: None,
        })
    }

    /// What the system will report of this record once it has taken it: input of `dossier::Patch::parse`. `None`: it
    /// reports nothing of what it is sent.
    ///
    /// # Errors
    /// The fault of the jq; `ignored` with the reason where it leaves this record out.
    pub fn echo(&self, native: &Native, dossier: &Json) -> Result<Option<Json>, Fault> {
        let Some(echo) = &self.echo else { return Ok(None) };
        let scope = self
            .about(dossier, native.item.as_ref())
            .with("key", Json::from(native.key.clone()))
            .with("step", Json::from(native.step.clone()));
        echo.one(&native.record, &scope).map(Some).map_err(super::fault)
    }

    fn mandatory_empty(&self, field: &str) -> Fault {
        let fault = Fault::new("mandatory-empty")
            .field(field)
            .found("nothing")
            .expected("a value");
        match self.constant_because.get(field) {
            Some(why) => fault.remedy(format!("the mapping must fill in {field} itself: {why}")),
            None => fault.remedy(format!(
                "complete the dossier where it was recorded; push.{} cannot be sent without {field}",
                self.name
            )),
        }
    }

    /// Variables of the push's calls; `now`, `id` and `token` are null until the caller says them.
    #[must_use]
    pub fn scope(&self, dossier: &Json, native: &Native, remote: Option<&str>) -> Scope {
        let scope = self.about(dossier, native.item.as_ref());
        ["now", "id", "token"]
            .iter()
            .fold(scope, |scope, name| scope.with(name, Json::Null))
            .with("record", &native.record)
            .with("key", Json::from(native.key.clone()))
            .with("remote", Json::from(remote))
    }

    /// Variables of the `find` of a push with steps, which looks before there is a record. `.` of that call is null.
    #[must_use]
    pub fn scope_of_find(&self, dossier: &Json, remote: Option<&str>) -> Scope {
        Call::blank_scope()
            .with("dossier", dossier)
            .with("id", Json::Null)
            .with("remote", Json::from(remote))
    }

    /// Variables of the calls of a batch, but `now`, `id` and `token`. `dossier`: the one whose records they are;
    /// `None` where the batch goes across dossiers. `.` of these calls is the list of records.
    #[must_use]
    pub fn scope_of_batch(&self, dossier: Option<&Json>, id: &str, number: u64, at: Timestamp) -> Scope {
        let batch = json!({"id": id, "number": number, "at": at});
        let scope = Call::blank_scope().with("id", Json::Null).with("batch", batch);
        match dossier {
            Some(dossier) => scope.with("dossier", dossier),
            None => scope,
        }
    }

    fn about(&self, dossier: &Json, item: Option<&Json>) -> Scope {
        let scope = self.settings.mapping().with("dossier", dossier);
        match item {
            Some(item) => scope.with("item", item),
            None => scope,
        }
    }
}

/// Every item has a name of its own.
pub(super) fn judge_items(items: &[Json], field: &str) -> Result<(), Fault> {
    let fault = |code| Fault::new(code).field(field);
    let mut ids = std::collections::BTreeSet::new();
    for item in items {
        let Some(id) = item.get("id").and_then(Json::as_str).filter(|id| !id.is_empty()) else {
            return Err(fault("item-without-id")
                .expected("a text `.id` in each item: it names the row")
                .remedy("give the items of the dossier themselves, as in '.progress[]'"));
        };
        if id.chars().count() > LONGEST_CODE {
            return Err(fault("item-id-too-long")
                .found(format!("{} characters", id.chars().count()))
                .expected(format!("at most {LONGEST_CODE}"))
                .remedy("name an item by what tells it from others, and no more"));
        }
        if !ids.insert(id) {
            return Err(fault("item-twice")
                .found("two items of one `.id`")
                .remedy("give each item once"));
        }
    }
    Ok(())
}

/// SHA-256 of the canonical text, in hex.
pub(super) fn hash(value: &Json) -> String {
    hex::encode(Sha256::digest(canonical(value)))
}

/// Nothing, null, text of spaces, an empty list or object.
fn is_empty(value: Option<&Json>) -> bool {
    match value {
        None | Some(Json::Null) => true,
        Some(Json::String(text)) => text.trim().is_empty(),
        Some(Json::Array(members)) => members.is_empty(),
        Some(Json::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    }
}
