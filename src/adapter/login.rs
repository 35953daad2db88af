//! `[connection.login]`: a call that opens a session. A session, `OAuth2` and JWT look alike: a token and how long it holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::answer::Answer;
use super::call::{Call, Kind};
use super::wait::Wait;
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::jq::{Filter, Scope};
use crate::read::{Keys, Table};

/// A session that an answer says nothing about is renewed after so long.
const UNSTATED: Duration = Duration::from_mins(1);

/// How a session is opened.
#[derive(Debug, Clone)]
pub struct Login {
    /// The call. It does not write and sees no `$token`.
    pub call: Call,
    token: Filter,
    valid: Wait,
}

/// An open session.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// What calls see as `$token`.
    pub token: String,
    /// How long it holds, from the asking.
    pub valid: Duration,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

impl Login {
    pub(super) const KEYS: Keys = &[
        "method", "path", "url", "query", "headers", "body", "send", "receive", "answer", "token", "valid",
    ];

    pub(super) fn read(table: &Table<'_>, wire: &Arc<Wire>, workshop: &Workshop<'_>) -> Option<Self> {
        table.demand(&[
            ("token", "jq that finds the token in the answer, as in '.session'"),
            (
                "valid",
                "how long the token holds: a duration, or jq that gives seconds",
            ),
        ]);
        let variables = vec!["settings", "system", "now"];
        let token = table
            .get("token")
            .and_then(|value| workshop.filter(&value, Sight::Call, &variables));
        let valid = table
            .get("valid")
            .and_then(|value| Wait::read(&value, workshop, &variables));
        let kind = Kind {
            writes: false,
            idempotent: true,
            records: false,
            variables,
        };
        let call = Call::read(table, &kind, wire, workshop);
        Some(Self {
            call: call?,
            token: token?,
            valid: valid?,
        })
    }

    /// Variables of the call.
    #[must_use]
    pub fn scope(now: Timestamp) -> Scope {
        Call::blank_scope().with("now", Json::from(now.to_string()))
    }

    /// The session in an answer that was judged `done`. `None` where there is no token: the adapter pauses.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn session(&self, answer: &Answer, scope: &Scope) -> Result<Option<Session>, Fault> {
        let token = self.call.find_in(&self.token, &answer.body, scope)?;
        let Some(Json::String(token)) = token else {
            return Ok(None);
        };
        let valid = self
            .call
            .wait(&self.valid, &answer.body, scope)
            .unwrap_or(UNSTATED);
        Ok(Some(Session { token, valid }))
    }
}
