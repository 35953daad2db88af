//! Reads `[push.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::call::{Call, Kind};
use super::find::Find;
use super::push::{Means, OnDoubt, Push};
use super::push_rules;
use super::steps::Steps;
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::jq::Filter;
use crate::read::{ANY, Keys, Table, Words, nearest};

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
    /// Does the adapter have a webhook or pull?
    pub(super) reports: bool,
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
        "steps",
        "state",
        "step",
        "batch",
        "verdicts",
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
        push_rules::demand(table, around.reports);
        let by_steps = table.has("steps");
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
        let mut echoed = variables.clone();
        echoed.extend(table.has("key").then_some("key"));
        echoed.extend((by_steps || table.has("step")).then_some("step"));
        let echo = echo(table, workshop, &echoed);
        // A look-up of the state comes before there is a record.
        variables.extend((!by_steps).then_some("record"));
        let key = mapping("key", &variables);
        variables.extend(table.has("key").then_some("key"));
        let same_when = mapping("same_when", &variables);
        variables.extend(["now", "id"]);
        variables.extend(around.wire.login.then_some("token"));
        let batch = batched(table, &variables)
            .and_then(|shared| Batch::read(table, &around.wire.settings, workshop, &shared));
        let (means, remote) = if by_steps {
            let acting: Vec<_> = variables.iter().copied().chain(["record"]).collect();
            let steps = Steps::read(table, around.wire, workshop, &acting);
            (steps.map(Box::new).map(Means::Steps), None)
        } else {
            match Calls::read(table, around, &variables) {
                Some(calls) => (Some(calls.means), calls.remote),
                None => (None, None),
            }
        };
        let find = find(table, around, &variables);
        let (mandatory, constant_because) = mandatory(table);
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
        let means = means?;
        push_rules::judge_batch(table, &means);
        let find = match find {
            Some((call, remote)) if by_steps || same_when.is_some() => Some(Find {
                call,
                same_when,
                remote,
            }),
            Some(_) => return None,
            None => None,
        };
        if !by_steps && record.is_none() {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            after: after.map(str::to_owned),
            settle,
            on_doubt: on_doubt.unwrap_or(OnDoubt::Park),
            find,
            means,
            batch,
            when,
            each,
            record,
            echo,
            key,
            remote,
            mandatory,
            constant_because,
            settings: around.wire.settings.clone(),
        })
    }
}

/// `find` with its `remote`.
fn find(
    table: &Table<'_>,
    around: Surroundings<'_>,
    variables: &[&'static str],
) -> Option<(Call, Option<Filter>)> {
    let find = table.get("find")?.table(Push::FIND)?;
    find.demand(&[(
        "records",
        "jq that finds the records that bear the key, as in '.result[]?'",
    )]);
    let kind = Kind {
        writes: false,
        idempotent: true,
        records: true,
        variables: variables.iter().copied().chain(["remote"]).collect(),
    };
    let remote = find
        .get("remote")
        .and_then(|value| around.workshop.filter(&value, Sight::Call, &kind.variables));
    Some((Call::read(&find, &kind, around.wire, around.workshop)?, remote))
}

/// `echo`: jq; or `false`, which is as good as none.
fn echo(table: &Table<'_>, workshop: &Workshop<'_>, variables: &[&str]) -> Option<Filter> {
    let value = table.get("echo")?;
    if value.is_text() {
        return workshop.filter(&value, Sight::Mapping, variables);
    }
    if value.json() != false {
        let fault = value
            .fault("wrong-type")
            .expected("jq that gives the patch which the system will report, or false");
        value.report(fault.remedy("write `echo = false` if the system reports nothing of what it was sent"));
    }
    None
}

/// What the calls of a batch see: nothing that belongs to one of its records.
fn batched(table: &Table<'_>, variables: &[&'static str]) -> Option<Vec<&'static str>> {
    let across = table.get("batch")?.is_table();
    let of_one = |name: &&str| ["item", "record", "key"].contains(name) || (across && *name == "dossier");
    let shared = variables.iter().copied().filter(|name| !of_one(name));
    Some(shared.chain(["batch"]).collect())
}

/// `create`, `update` and `put`.
struct Calls {
    means: Means,
    remote: Option<Filter>,
}

impl Calls {
    fn read(table: &Table<'_>, around: Surroundings<'_>, variables: &[&'static str]) -> Option<Self> {
        let shared = batched(table, variables);
        let variables = shared.as_deref().unwrap_or(variables);
        let remote = shared.is_none().then_some("remote");
        let with_remote: Vec<_> = variables.iter().copied().chain(remote).collect();
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
            if shared.is_some() {
                let fault = value.fault("key-conflict").found("`remote` beside `batch`");
                value.report(
                    fault
                        .expected("no `remote`: one answer is for many records, whose keys are their ids")
                        .remedy("remove one of them"),
                );
            }
            around.workshop.filter(&value, Sight::Call, variables)
        };
        if let Some((put, made)) = put {
            let remote = remote(&made);
            let put = put?;
            let means = Means::Record {
                update: Some(Box::new(put.clone())),
                create: Box::new(put),
            };
            return Some(Self { means, remote });
        }
        let (create, made) = create?;
        let remote = remote(&made);
        let update = match update {
            Some((update, _)) => Some(update?),
            None => None,
        };
        let means = Means::Record {
            create: Box::new(create?),
            update: update.map(Box::new),
        };
        Some(Self { means, remote })
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
