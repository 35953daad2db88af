//! Reads `[push.NAME]`, and judges how the pushes of an adapter hang together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::call::{Call, Kind};
use super::push::{Find, OnDoubt, Push};
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::jq::Filter;
use crate::read::{ANY, Keys, Table, Value, Words, nearest};

const ON_DOUBT: Words<OnDoubt> = &[
    ("park", OnDoubt::Park),
    ("resend", OnDoubt::Resend),
    ("skip", OnDoubt::Skip),
];

/// What reading a push needs beside its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) wire: &'a Arc<Wire>,
    /// `connection.settle`.
    pub(super) settle: Duration,
    pub(super) workshop: &'a Workshop<'a>,
}

impl Push {
    pub(super) const KEYS: Keys = &[
        "when",
        "each",
        "record",
        "key",
        "mandatory",
        "constant_because",
        "echo",
        "after",
        "find",
        "same_when",
        "create",
        "update",
        "put",
        "settle",
        "on_doubt",
        "because",
    ];
    pub(super) const FIND: Keys = &[
        "method", "path", "url", "query", "headers", "body", "send", "receive", "answer", "records", "remote",
    ];
    pub(super) const CREATE: Keys = &[
        "method",
        "path",
        "url",
        "query",
        "headers",
        "body",
        "send",
        "receive",
        "answer",
        "idempotent",
        "remote",
    ];
    pub(super) const UPDATE: Keys = &[
        "method",
        "path",
        "url",
        "query",
        "headers",
        "body",
        "send",
        "receive",
        "answer",
        "idempotent",
    ];

    pub(super) fn read(name: &str, table: &Table<'_>, around: Surroundings<'_>) -> Option<Self> {
        let workshop = around.workshop;
        demand(table);
        let mut variables = vec!["settings", "system", "dossier"];
        let mapping = |key: &str, variables: &[&str]| {
            table
                .get(key)
                .and_then(|value| workshop.filter(&value, Sight::Mapping, variables))
        };
        let when = mapping("when", &variables);
        let each = mapping("each", &variables);
        variables.extend(table.has("each").then_some("item"));
        let record = mapping("record", &variables);
        variables.push("record");
        let key = mapping("key", &variables);
        variables.extend(table.has("key").then_some("key"));
        let same_when = mapping("same_when", &variables);
        variables.extend(["now", "id"]);
        variables.extend(around.wire.login.then_some("token"));
        let calls = Calls::read(table, around, &variables);
        let find = table
            .get("find")
            .and_then(|value| value.table(Self::FIND))
            .and_then(|table| {
                variables.push("remote");
                table.demand(&[(
                    "records",
                    "jq that finds the records that bear the key, as in '.result[]?'",
                )]);
                let kind = Kind {
                    writes: false,
                    idempotent: true,
                    records: true,
                    variables: variables.clone(),
                };
                let remote = table
                    .get("remote")
                    .and_then(|value| workshop.filter(&value, Sight::Call, &variables));
                Some((Call::read(&table, &kind, around.wire, workshop)?, remote))
            });
        let (mandatory, constant_because) = mandatory(table);
        if let Some(echo) = table.get("echo")
            && echo.boolean() == Some(true)
        {
            let fault = echo
                .fault("wrong-type")
                .found("true")
                .expected("false, or no `echo`");
            echo.report(
                fault.remedy("write `echo = false` if the system reports nothing of what it was sent"),
            );
        }
        let settle = table
            .get("settle")
            .and_then(|value| value.duration())
            .unwrap_or(around.settle);
        let on_doubt = table
            .get("on_doubt")
            .and_then(|value| value.word("unknown-word", ON_DOUBT));
        let because = table.get("because").and_then(|value| value.text());
        if because.is_some_and(|because| because.trim().is_empty()) {
            let fault = table.fault_at("missing-key", "because").found("an empty text");
            table.report(fault.remedy("say in a sentence why"));
        }
        let after = table.get("after").and_then(|value| value.text());
        let calls = calls?;
        let find = match find {
            Some((call, remote)) => Some(Find {
                call,
                same_when: same_when?,
                remote,
            }),
            None => None,
        };
        Some(Self {
            name: name.to_owned(),
            after: after.map(str::to_owned),
            settle,
            on_doubt: on_doubt.unwrap_or(OnDoubt::Park),
            find,
            create: calls.create,
            update: calls.update,
            when,
            each,
            record: record?,
            key,
            remote: calls.remote,
            mandatory,
            constant_because,
            settings: around.wire.settings.clone(),
        })
    }
}

/// What a push must have, and what goes only with something else.
fn demand(table: &Table<'_>) {
    table.demand(&[(
        "record",
        "jq from the dossier to the native record, or the name of a filter",
    )]);
    if !table.has("create") && !table.has("put") {
        table.demand(&[(
            "create",
            "`create = { path = …, body = … }`, or `put` where one call makes and changes",
        )]);
    }
    let beside = |key: &str, other: &str, remedy: &str| {
        if table.has(other) && !table.has(key) {
            table.demand(&[(key, remedy)]);
        }
    };
    beside(
        "same_when",
        "find",
        "jq that compares at least two independent facts of `.` (found) and $record",
    );
    beside("because", "on_doubt", "a sentence that says why");
    beside(
        "find",
        "same_when",
        "the call that looks for the record; without it `same_when` compares nothing",
    );
    beside(
        "on_doubt",
        "because",
        "what the sentence is about: \"park\", \"resend\" or \"skip\"",
    );
    for other in ["create", "update"] {
        if table.has("put") && table.has(other) {
            let fault = table
                .fault_at("key-conflict", other)
                .found(format!("`{other}` beside `put`"));
            table.report(
                fault
                    .expected("`put`, or `create` and maybe `update`")
                    .remedy("remove one of them"),
            );
        }
    }
}

struct Calls {
    create: Call,
    update: Option<Call>,
    remote: Option<Filter>,
}

impl Calls {
    fn read(table: &Table<'_>, around: Surroundings<'_>, variables: &[&'static str]) -> Option<Self> {
        let with_remote: Vec<_> = variables.iter().copied().chain(["remote"]).collect();
        let call = |key: &str, keys: Keys, variables: &[&'static str], idempotent: bool| {
            let table = table.get(key)?.table(keys)?;
            let kind = Kind {
                writes: true,
                idempotent,
                records: false,
                variables: variables.to_vec(),
            };
            let call = Call::read(&table, &kind, around.wire, around.workshop);
            Some((call, table))
        };
        let put = call("put", Push::CREATE, &with_remote, true);
        let create = call("create", Push::CREATE, variables, false);
        let update = call("update", Push::UPDATE, &with_remote, true);
        let remote = |made: &Table<'_>| {
            let value = made.get("remote")?;
            around.workshop.filter(&value, Sight::Call, variables)
        };
        if let Some((put, made)) = put {
            let remote = remote(&made);
            let put = put?;
            return Some(Self {
                update: Some(put.clone()),
                create: put,
                remote,
            });
        }
        let (create, made) = create?;
        let remote = remote(&made);
        let update = match update {
            Some((update, _)) => Some(update?),
            None => None,
        };
        Some(Self {
            create: create?,
            update,
            remote,
        })
    }
}

/// `mandatory` and `constant_because`, which may only speak of mandatory fields.
fn mandatory(table: &Table<'_>) -> (Vec<String>, BTreeMap<String, String>) {
    let mandatory = table
        .get("mandatory")
        .and_then(|value| value.texts())
        .unwrap_or_default();
    let mut because = BTreeMap::new();
    let constants = table.get("constant_because").and_then(|value| value.table(ANY));
    for (field, value) in constants.iter().flat_map(Table::entries) {
        if !mandatory.contains(&field) {
            let fault = value.fault("unknown-key");
            value.report(match nearest(field, &mandatory) {
                Some(near) => fault.expected(format!("`{near}`")).remedy("correct the name"),
                None => fault
                    .expected("a field of `mandatory`")
                    .remedy("add the field to `mandatory`"),
            });
        }
        because.extend(value.text().map(|text| (field.to_owned(), text.to_owned())));
    }
    (mandatory.into_iter().map(str::to_owned).collect(), because)
}

/// `after` must name another push, and the pushes must not wait for each other in a circle.
pub(super) fn judge_order(pushes: &[(&str, Table<'_>)]) {
    let names: Vec<_> = pushes.iter().map(|(name, _)| *name).collect();
    let after = |name: &str| -> Option<(Value<'_>, &str)> {
        let (_, table) = pushes.iter().find(|(known, _)| *known == name)?;
        let value = table.get("after").filter(Value::is_text)?;
        let waits_for = value.text()?;
        Some((value, waits_for))
    };
    for name in &names {
        let Some((value, waits_for)) = after(name) else {
            continue;
        };
        if !names.contains(&waits_for) {
            let fault = value.fault("after-unknown").found(format!("{waits_for:?}"));
            value.report(match nearest(waits_for, &names) {
                Some(near) => fault.expected(format!("\"{near}\"")).remedy("correct the name"),
                None => fault
                    .expected(format!("one of: {}", names.join(", ")))
                    .remedy("name a push of this adapter, or remove the key"),
            });
            continue;
        }
        let mut path = vec![*name];
        let mut next = waits_for;
        while !path.contains(&next) {
            path.push(next);
            match after(next) {
                Some((_, further)) => next = further,
                None => break,
            }
        }
        // A circle is told once, by the first of its names.
        if next == *name && path.iter().min() == Some(name) {
            path.push(name);
            let fault = value.fault("after-circle").found(path.join(" after "));
            value.report(
                fault
                    .expected("an order")
                    .remedy("remove one `after` of the circle"),
            );
        }
    }
}
