//! What goes together in `[push.NAME]`, what does not, and how the pushes of an adapter hang together.

use super::push::Means;
use crate::read::{Table, Value, nearest};

/// Keys that speak of one record that is made and changed. A step makes its own, which is sent once.
const OF_A_RECORD: [&str; 11] = [
    "record",
    "each",
    "key",
    "mandatory",
    "constant_because",
    "same_when",
    "create",
    "update",
    "put",
    "batch",
    "verdicts",
];

/// What a push must have, and what goes only with something else. `reports`: does the adapter have a webhook or pull?
pub(super) fn demand(table: &Table<'_>, reports: bool) {
    if table.has("steps") {
        for other in OF_A_RECORD.iter().filter(|key| table.has(key)) {
            let fault = table
                .fault_at("key-conflict", other)
                .found(format!("`{other}` beside `steps`"));
            table.report(
                fault
                    .expected("`steps`, whose actions make their own records, or `record`")
                    .remedy("remove one of them"),
            );
        }
    } else {
        demand_record(table);
    }
    if reports || table.has("steps") {
        table.demand(&[(
            "echo",
            "jq from the record to the patch that the system will report of it (the name of the inbound map where both \
             forms are the same), or `echo = false` if it reports nothing of what it is sent",
        )]);
    }
    together(table, "because", "on_doubt", "a sentence that says why");
    together(
        table,
        "on_doubt",
        "because",
        "what the sentence is about: \"park\", \"resend\" or \"skip\"",
    );
    let records_of_one = table.get("batch").is_some_and(|value| !value.is_table());
    if records_of_one && !table.has("each") {
        table.demand(&[(
            "each",
            "jq that gives the items which are sent together; `batch = { max = …, wait = … }` puts dossiers together",
        )]);
    }
    let verdicts = "several records in one call; without it there is one verdict and one record";
    together(table, "batch", "verdicts", verdicts);
    together(
        table,
        "key",
        "verdicts",
        "jq that finds the key in the record: each verdict names one",
    );
}

fn demand_record(table: &Table<'_>) {
    for key in ["state", "step"] {
        let remedy = "jq that names the next action, as in `steps = 'next_step'`";
        together(table, "steps", key, remedy);
    }
    if table.has("state") || table.has("step") {
        return;
    }
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
    together(
        table,
        "same_when",
        "find",
        "jq that compares at least two independent facts of `.` (found) and $record",
    );
    together(
        table,
        "find",
        "same_when",
        "the call that looks for the record; without it `same_when` compares nothing",
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

/// `key` must be there where `other` is.
fn together(table: &Table<'_>, key: &str, other: &str, remedy: &str) {
    if table.has(other) && !table.has(key) {
        table.demand(&[(key, remedy)]);
    }
}

/// A call with several records may end without a word on each of them only if it does no harm to send them again.
pub(super) fn judge_batch(table: &Table<'_>, means: &Means) {
    let Some(batch) = table.get("batch").filter(|_| !table.has("verdicts")) else {
        return;
    };
    let Means::Record { create, update } = means else {
        return;
    };
    for call in [Some(create), update.as_ref()].into_iter().flatten() {
        if !call.idempotent {
            let fault = batch.fault("batch-without-verdicts").found(format!(
                "one verdict for all, and {} is not idempotent",
                call.name
            ));
            batch.report(fault.expected("`verdicts`, or `idempotent = true` in the call").remedy(
                "add jq that finds a {key, is} for each record in the answer; or say that the call may be sent twice",
            ));
            return;
        }
    }
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
