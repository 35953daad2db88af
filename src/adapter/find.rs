//! `find`: is the record there, which one is it, and under which id does the system have it?

use serde_json::Value as Json;

use super::call::Call;
use super::push::{Native, Push};
use crate::dossier::LONGEST_CODE;
use crate::fault::Fault;
use crate::jq::{Filter, Scope};

/// How a record is looked for.
#[derive(Debug, Clone)]
pub struct Find {
    /// The call; its records are those that bear the key, or with steps those that show the state.
    pub call: Call,
    /// `None` with steps: nothing is created, so nothing is taken for something else.
    pub(super) same_when: Option<Filter>,
    pub(super) remote: Option<Filter>,
}

/// What is to be done after a `find`.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing bears the key: create.
    Create,
    /// This one is it: link, then update.
    Same(Json),
    /// Another record bears the key: a person decides.
    KeyTaken,
    /// Several records bear the key: a person decides.
    Duplicate,
}

impl Push {
    /// What to do after a `find` that was judged `done` (with its records) or `missing` (with none).
    ///
    /// # Errors
    /// The fault of `same_when`.
    ///
    /// # Panics
    /// If the push has no `find`, or has steps, which are decided by the state that is found.
    pub fn decide(&self, found: &[Json], native: &Native, dossier: &Json) -> Result<Decision, Fault> {
        let same_when = self.find.as_ref().and_then(|find| find.same_when.as_ref());
        let same_when = same_when.expect("only a push with a find and without steps is asked for a decision");
        match found {
            [] => Ok(Decision::Create),
            [found] => {
                let scope = self.scope(dossier, native, None);
                let same = same_when.holds(found, &scope).map_err(super::fault)?;
                Ok(if same {
                    Decision::Same(found.clone())
                } else {
                    Decision::KeyTaken
                })
            }
            _ => Ok(Decision::Duplicate),
        }
    }

    /// The system's own id of the record, from the answer to the create; the key where the push has no `remote` or the
    /// answer does not say.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn remote(&self, answer: &Json, native: &Native, dossier: &Json) -> Result<Option<String>, Fault> {
        let scope = self.scope(dossier, native, None);
        let said = match self.create().zip(self.remote.as_ref()) {
            Some((create, remote)) => create.find_in(remote, answer, &scope)?,
            None => None,
        };
        Ok(said.and_then(id).or_else(|| native.key.clone()))
    }

    /// The same, from a record that a `find` has shown.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn remote_of_found(
        &self,
        found: &Json,
        native: &Native,
        dossier: &Json,
    ) -> Result<Option<String>, Fault> {
        let said = self.id_in(found, &self.scope(dossier, native, None))?;
        Ok(said.or_else(|| native.key.clone()))
    }

    /// The same for a push with steps, from what its `find` has shown; `None` where the find does not say.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn remote_of_shown(&self, shown: &Json, dossier: &Json) -> Result<Option<String>, Fault> {
        self.id_in(shown, &self.scope_of_find(dossier, None))
    }

    fn id_in(&self, found: &Json, scope: &Scope) -> Result<Option<String>, Fault> {
        let Some(find) = &self.find else { return Ok(None) };
        let Some(remote) = &find.remote else {
            return Ok(None);
        };
        Ok(find.call.find_in(remote, found, scope)?.and_then(id))
    }
}

/// An id, as text. What is longer than any code is none.
fn id(said: Json) -> Option<String> {
    match said {
        Json::String(id) if id.chars().count() > LONGEST_CODE => None,
        Json::String(id) => Some(id),
        Json::Number(id) => Some(id.to_string()),
        _ => None,
    }
}
