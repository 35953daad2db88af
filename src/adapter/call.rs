//! A call: a request, and how its answer is judged and read. Calls look alike whoever makes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::answer::{Answer, Failure, Outcome, Verdict, Word};
use super::request::{FORMATS, Format, Request};
use super::rule::{Judge, Rule};
use super::target::{Headers, Target};
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::files::{Files, Place};
use crate::jq::{Error, Filter, Scope};
use crate::read::{Table, Value, Words};

/// A compiled call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Full name: `push.dossier.create`.
    pub name: String,
    /// Does it change something in the system?
    pub writes: bool,
    /// Sent twice, does it do what it does once?
    pub idempotent: bool,
    /// Form of the answer's body.
    pub receive: Format,
    /// Where files stand in the answer as base64, to be cut out before any jq sees it.
    pub files: Vec<Place>,
    method: Option<&'static str>,
    target: Target,
    headers: Headers,
    body: Option<Filter>,
    send: Format,
    records: Option<Filter>,
    rules: Vec<Rule>,
    wire: Arc<Wire>,
}

/// What kinds of calls differ in.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) writes: bool,
    /// Unless the manifest says otherwise.
    pub(super) idempotent: bool,
    pub(super) records: bool,
    /// Variables that its jq sees, beside `$http` in rules.
    pub(super) variables: Vec<&'static str>,
}

/// `files`: the places of base64 in an answer.
pub(super) fn places(value: &Value<'_>) -> Vec<Place> {
    let members = value.list().unwrap_or_default();
    let places = members.iter().filter_map(|member| {
        let place = Place::parse(member.text()?);
        if place.is_none() {
            let fault = member.fault("bad-place").found(member.json().to_string());
            member.report(
                fault
                    .expected("names with a dot before each, and [] for every member of a list, as in \".files[].content\"")
                    .remedy("say where in the answer the base64 stands"),
            );
        }
        place
    });
    places.collect()
}

const METHODS: Words<&str> = &[
    ("GET", "GET"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("HEAD", "HEAD"),
];

impl Call {
    /// Reads the call's keys of a table.
    pub(super) fn read(
        table: &Table<'_>,
        kind: &Kind,
        wire: &Arc<Wire>,
        workshop: &Workshop<'_>,
    ) -> Option<Self> {
        let variables = kind.variables.as_slice();
        let method = table
            .get("method")
            .and_then(|value| value.word("unknown-word", METHODS));
        let target = Target::read(table, workshop, variables);
        let headers = Headers::read(table.get("headers").as_ref(), workshop, variables);
        let filter = |key| {
            table
                .get(key)
                .and_then(|value| workshop.filter(&value, Sight::Call, variables))
        };
        let body = filter("body");
        let format = |key, default| match table.get(key) {
            Some(value) => value.word("unknown-word", FORMATS),
            None => Some(default),
        };
        let (send, receive) = (format("send", wire.send), format("receive", wire.receive));
        let records = if kind.records { filter("records") } else { None };
        let with_http: Vec<_> = variables.iter().copied().chain(["http"]).collect();
        let rules = table
            .get("answer")
            .map_or_else(Vec::new, |value| Rule::read_all(&value, workshop, &with_http));
        let idempotent = if kind.writes {
            table.get("idempotent")
        } else {
            None
        };
        let idempotent = idempotent.map_or(Some(kind.idempotent), |value| value.boolean());
        Some(Self {
            name: table.path().to_owned(),
            writes: kind.writes,
            idempotent: idempotent?,
            receive: receive?,
            files: Vec::new(),
            method,
            target: target?,
            headers,
            body,
            send: send?,
            records,
            rules,
            wire: Arc::clone(wire),
        })
    }

    /// The same, with the `files` that its answers bring.
    pub(super) fn bringing_files(self, table: &Table<'_>) -> Self {
        let files = table.get("files").map(|value| places(&value));
        Self {
            files: files.unwrap_or_default(),
            ..self
        }
    }

    /// Whether its answer is a page of records.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.records.is_some()
    }

    /// Whether every file that a record of this call brought is one.
    ///
    /// # Errors
    /// `bad-file`.
    pub(super) fn unspoilt(&self, record: &Json) -> Result<(), Fault> {
        if self.files.is_empty() {
            return Ok(());
        }
        crate::files::unspoilt(record)
    }

    /// A scope in which `now` and `token` are null: every variable that exists must have a value.
    pub(super) fn blank_scope() -> Scope {
        ["now", "token"]
            .iter()
            .fold(Scope::new(), |scope, name| scope.with(name, Json::Null))
    }

    /// The request for `.`, with links in place of files as an example shows them.
    ///
    /// # Errors
    /// As with [`Call::request_with`].
    pub fn request(&self, about: &Json, scope: &Scope) -> Result<Request, Fault> {
        self.request_with(about, scope, &|body| Ok(Files::shown(body)))
    }

    /// The request for `.`; `fill` puts files into its body. `scope` is that of the operation ([`super::Push::scope`], [`super::Pull::scope`],
    /// [`super::Login::scope`]) with `now`, `token` and `id` as far as they mean something; it is the same for judging the
    /// answer and reading its records. `$settings` and `$system` are added here.
    ///
    /// # Errors
    /// The fault of a piece of jq; `bad-path` if a value would leave the path, `bad-header` if one would break a header,
    /// `bad-body` for a body that its form cannot hold; the fault of `fill`.
    pub fn request_with(
        &self,
        about: &Json,
        scope: &Scope,
        fill: &dyn Fn(&Json) -> Result<Json, Fault>,
    ) -> Result<Request, Fault> {
        let scope = self.wire.settings.call(scope);
        let url = self.target.url(&self.wire.url, about, &scope)?;
        let mut headers = self.wire.headers.render(about, &scope)?;
        for (name, value) in self.headers.render(about, &scope)? {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let body = match &self.body {
            Some(body) => {
                let body = fill(&body.one(about, &scope).map_err(super::fault)?)?;
                Some(self.send.encode(&body).map_err(|fault| self.named(fault))?)
            }
            None => None,
        };
        if body.is_some()
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".to_owned(), self.send.content_type().to_owned()));
        }
        let method = self.method.unwrap_or(if body.is_some() { "POST" } else { "GET" });
        Ok(Request {
            method: method.to_owned(),
            url,
            headers,
            body,
            secrets: self.wire.settings.secrets().into(),
        })
    }

    fn named(&self, fault: Fault) -> Fault {
        let field = fault
            .field
            .as_ref()
            .map_or_else(String::new, |field| format!(": {field}"));
        fault.field(format!("{}.body{field}", self.name))
    }

    /// Makes an answer of what came over the wire. Names of headers are in lower case.
    ///
    /// A 200 without a body where JSON was to come is no answer: it says neither yes nor no. Other statuses may be empty
    /// (201, 204, refusals); a system that means "done" by an empty 200 is read with `receive = "text"`.
    ///
    /// # Errors
    /// [`Failure::Undecodable`].
    pub fn decode(
        &self,
        status: u16,
        headers: BTreeMap<String, String>,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let decoded = match self.receive {
            Format::Json if status == 200 && body.is_empty() => Err("it is empty".to_owned()),
            receive => receive.decode(body),
        };
        match decoded {
            Ok(body) => Ok(Answer {
                status,
                headers,
                body,
            }),
            Err(problem) => Err(Failure::Undecodable {
                status,
                headers,
                problem,
            }),
        }
    }

    /// Judges what became of the call: by its own rules, then the connection's, then the built-in ones.
    #[must_use]
    pub fn judge(&self, outcome: &Outcome<'_>, scope: &Scope) -> Verdict {
        let scope = self.wire.settings.call(scope);
        let judge = Judge {
            writes: self.writes,
            login: self.wire.login,
            rules: [&self.rules, &self.wire.rules],
            reason: self.wire.reason.as_ref(),
        };
        judge.judge(outcome, &scope)
    }

    /// The records in an answer; the answer itself where the call has no `records`.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn records(&self, answer: &Json, scope: &Scope) -> Result<Vec<Json>, Fault> {
        let Some(records) = &self.records else {
            return Ok(vec![answer.clone()]);
        };
        let scope = self.wire.settings.call(scope);
        records.all(answer, &scope).map_err(super::fault)
    }

    /// What a piece of jq beside the call finds in its answer: text or a number; `None` where it finds nothing.
    pub(super) fn find_in(
        &self,
        filter: &Filter,
        answer: &Json,
        scope: &Scope,
    ) -> Result<Option<Json>, Fault> {
        let scope = self.wire.settings.call(scope);
        match filter.all(answer, &scope) {
            Ok(found) => Ok(found
                .into_iter()
                .next()
                .filter(|found| !found.is_null() && found != "")),
            Err(Error::Ignored(_)) => Ok(None),
            Err(Error::Fault(fault)) => Err(*fault),
        }
    }

    /// How long a span written beside the call is, for this answer.
    pub(super) fn wait(&self, wait: &super::wait::Wait, answer: &Json, scope: &Scope) -> Option<Duration> {
        wait.of(answer, &self.wire.settings.call(scope))
    }

    /// The words that its own rules can give.
    pub(super) fn words(&self) -> impl Iterator<Item = Word> + '_ {
        self.rules.iter().map(|rule| rule.word)
    }

    /// The words that the connection's rules can give.
    pub(super) fn shared_words(&self) -> impl Iterator<Item = Word> + '_ {
        self.wire.rules.iter().map(|rule| rule.word)
    }
}
