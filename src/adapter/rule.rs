//! Judging an answer: the first rule that matches gives the word.

use std::time::Duration;

use serde_json::Value as Json;

use super::answer::{Answer, Failure, Outcome, Verdict, WORDS, Word, retry_after};
use super::wait::Wait;
use super::workshop::{Sight, Workshop};
use crate::jq::{Error, Filter, Scope};
use crate::read::{Keys, Value};

/// Longest reason that is kept, in characters.
const LONGEST_REASON: usize = 200;

/// One rule of an `answer` list.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    when: Option<Filter>,
    pub(super) word: Word,
    reason: Option<Filter>,
    after: Option<Wait>,
    place: String,
}

impl Rule {
    pub(super) const KEYS: Keys = &["when", "is", "reason", "after"];

    /// Reads a list of rules. A rule behind one that always matches is a fault.
    pub(super) fn read_all(value: &Value<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Vec<Self> {
        let mut rules: Vec<Self> = Vec::new();
        let mut closed = false;
        for member in value.list().unwrap_or_default() {
            if closed {
                let fault = member
                    .fault("rule-unreachable")
                    .found("a rule behind one without `when`");
                member.report(fault.remedy("move it before that rule, or remove it"));
            }
            closed |= member.table(Self::KEYS).is_some_and(|table| !table.has("when"));
            rules.extend(Self::read(&member, workshop, variables));
        }
        rules
    }

    fn read(value: &Value<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Option<Self> {
        let table = value.table(Self::KEYS)?;
        table.demand(&[("is", "`is = \"WORD\"`: what the answer means")]);
        let filter = |key| {
            table
                .get(key)
                .and_then(|value| workshop.filter(&value, Sight::Call, variables))
        };
        let (when, reason) = (filter("when"), filter("reason"));
        let after = table
            .get("after")
            .and_then(|value| Wait::read(&value, workshop, variables));
        let word = table.get("is")?.word("unknown-verdict", WORDS)?;
        let (file, line) = value.reader.place(value.line());
        let place = format!("{file}:{line}");
        Some(Self {
            when,
            word,
            reason,
            after,
            place,
        })
    }

    /// The verdict if the rule matches.
    fn judge(&self, answer: &Answer, scope: &Scope) -> Result<Option<Verdict>, String> {
        let told = |error: Error| match error {
            // A fault's own words: they hold no value of the answer.
            Error::Fault(fault) => format!("the rule {} failed: {fault}", self.place),
            Error::Ignored(_) => format!("the rule {} ended in ignore", self.place),
        };
        if let Some(when) = &self.when
            && !when.holds(&answer.body, scope).map_err(told)?
        {
            return Ok(None);
        }
        let reason = self
            .reason
            .as_ref()
            .and_then(|filter| said(filter, &answer.body, scope));
        let after = self.after.as_ref().and_then(|wait| wait.of(&answer.body, scope));
        Ok(Some(Verdict {
            word: self.word,
            reason,
            after,
        }))
    }
}

/// How a call's outcomes are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    /// Does the call write?
    pub(super) writes: bool,
    /// Is there a login to renew?
    pub(super) login: bool,
    /// The call's own rules, then the connection's.
    pub(super) rules: [&'a [Rule]; 2],
    /// `connection.reason`.
    pub(super) reason: Option<&'a Filter>,
}

impl Judge<'_> {
    /// Judges an outcome; `scope` has everything that the call's jq sees but `$http`.
    pub(super) fn judge(&self, outcome: &Outcome<'_>, scope: &Scope) -> Verdict {
        match outcome {
            Ok(answer) => self.answer(answer, scope),
            Err(Failure::NotConnected(problem)) => verdict(Word::Retry, problem),
            Err(Failure::Broken(problem)) => verdict(self.unclear(), problem),
            // A refusal by a gateway often bears a page for people: its status is clear all the same.
            Err(Failure::Undecodable { status, headers, .. }) if (400..500).contains(status) => {
                self.by_status(*status, retry_after(headers))
            }
            Err(Failure::Undecodable { status, problem, .. }) => verdict(
                self.unclear(),
                &format!("HTTP {status}, the answer cannot be read: {problem}"),
            ),
        }
    }

    fn answer(&self, answer: &Answer, scope: &Scope) -> Verdict {
        let scope = scope.clone().with("http", answer.http());
        let asked = retry_after(&answer.headers);
        let mut found = None;
        for rule in self.rules.into_iter().flatten() {
            match rule.judge(answer, &scope) {
                Ok(None) => {}
                Ok(Some(verdict)) => {
                    found = Some(verdict);
                    break;
                }
                Err(problem) => return verdict(self.unclear(), &problem),
            }
        }
        let ruled = found.is_some();
        let mut verdict = found.unwrap_or_else(|| self.by_status(answer.status, None));
        if verdict.word == Word::Login && !self.login {
            verdict.word = Word::Pause;
        }
        if verdict.word == Word::Retry {
            verdict.after = verdict.after.or(asked);
        }
        if verdict.word != Word::Done && (verdict.reason.is_none() || !ruled) {
            let message = self.reason.and_then(|filter| said(filter, &answer.body, &scope));
            verdict.reason = message
                .or(verdict.reason)
                .or_else(|| Some(format!("HTTP {}", answer.status)));
        }
        verdict
    }

    /// The last rules, for what no rule of the manifest judges.
    fn by_status(&self, status: u16, after: Option<Duration>) -> Verdict {
        let word = match status {
            200..300 => Word::Done,
            401 if self.login => Word::Login,
            401 | 403 => Word::Pause,
            409 => Word::Exists,
            // 404 is what a proxy says to everything while the system behind it is taken down: nothing took effect, and
            // whether a record is there it does not know. Only a rule of the manifest knows the system's own "not there".
            404 | 408 | 429 => Word::Retry,
            400..500 => Word::Refused,
            // 5xx, and what no client should ever see: redirections, 1xx.
            _ => self.unclear(),
        };
        let reason = (word != Word::Done).then(|| format!("HTTP {status}"));
        Verdict {
            word,
            reason,
            after: after.filter(|_| word == Word::Retry),
        }
    }

    /// A call that writes may have taken effect; any other may simply be made again.
    fn unclear(&self) -> Word {
        if self.writes { Word::InDoubt } else { Word::Retry }
    }
}

fn verdict(word: Word, reason: &str) -> Verdict {
    Verdict {
        word,
        reason: Some(cut(reason)),
        after: None,
    }
}

/// The text that a filter finds in an answer; nothing where it finds none or fails: a reason is for people only.
fn said(filter: &Filter, answer: &Json, scope: &Scope) -> Option<String> {
    let text = match filter.one(answer, scope).ok()? {
        Json::String(text) => text,
        Json::Null => return None,
        other => other.to_string(),
    };
    Some(cut(&text)).filter(|text| !text.is_empty())
}

/// A message as it is kept.
pub(super) fn cut(text: &str) -> String {
    text.trim().chars().take(LONGEST_REASON).collect()
}
