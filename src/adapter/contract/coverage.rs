//! What no case shows.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::super::{Adapter, Call, Push};
use super::sample::{Case, Samples};
use crate::fault::Fault;

/// Decisions that a `find` can lead to.
const DECISIONS: [&str; 4] = ["create", "update", "key taken", "duplicate in target"];

/// A fault for each case that is missing, with the operation that it belongs to.
pub(super) fn missing(adapter: &Adapter, samples: &Samples) -> Vec<(String, Fault)> {
    let mut missing = Vec::new();
    let mut report = |operation: &str, expected: String, remedy: String| {
        let fault = Fault::new("sample-missing").file(format!("samples/{operation}"));
        missing.push((operation.to_owned(), fault.expected(expected).remedy(remedy)));
    };
    let webhooks = adapter
        .webhooks
        .iter()
        .map(|webhook| format!("webhook.{}", webhook.name));
    let pulls = adapter.pulls.iter().map(|pull| format!("pull.{}", pull.name));
    for operation in webhooks.chain(pulls) {
        if !samples.of(&operation).any(|case| case.part("patch").is_some()) {
            let remedy = "add CASE.native.json and CASE.patch.json";
            report(
                &operation,
                "a record and the patch that it gives".to_owned(),
                remedy.to_owned(),
            );
        }
    }
    let mut shown_anywhere = BTreeSet::new();
    for push in &adapter.pushes {
        let operation = format!("push.{}", push.name);
        if !samples
            .of(&operation)
            .any(|case| case.part("native").or(case.part("natives")).is_some())
        {
            let remedy = "add CASE.dossier.json and CASE.native.json";
            report(
                &operation,
                "a dossier and the record that it gives".to_owned(),
                remedy.to_owned(),
            );
        }
        let shown: BTreeSet<_> = samples.of(&operation).filter_map(word).collect();
        for word in own_words(push) {
            if !shown.contains(word.as_str()) {
                let remedy =
                    format!("add CASE.answer.json and CASE.verdict.json with {{\"is\": \"{word}\"}}");
                report(&operation, format!("an answer that is judged \"{word}\""), remedy);
            }
        }
        shown_anywhere.extend(shown.into_iter().map(str::to_owned));
        let decisions: BTreeSet<_> = samples
            .of(&operation)
            .filter_map(|case| case.part("decision")?.as_str())
            .collect();
        for decision in DECISIONS
            .iter()
            .filter(|decision| push.find.is_some() && !decisions.contains(**decision))
        {
            let remedy =
                format!("add CASE.dossier.json, CASE.found.json and CASE.decision.json with \"{decision}\"");
            report(
                &operation,
                format!("what a find shows before \"{decision}\""),
                remedy,
            );
        }
    }
    // A rule of the connection is the same for every push: one that shows it is enough.
    let first = adapter.pushes.first();
    if let Some((push, call)) = first.and_then(|push| Some((push, push.calls().next()?))) {
        let words: BTreeSet<_> = call.shared_words().map(|word| word.to_string()).collect();
        for word in words.iter().filter(|word| !shown_anywhere.contains(*word)) {
            let remedy = format!("add CASE.answer.json and CASE.verdict.json with {{\"is\": \"{word}\"}}");
            report(
                &format!("push.{}", push.name),
                format!("an answer that is judged \"{word}\""),
                remedy,
            );
        }
    }
    missing
}

/// Words that the rules of the push's own calls can give.
fn own_words(push: &Push) -> BTreeSet<String> {
    push.calls()
        .flat_map(Call::words)
        .map(|word| word.to_string())
        .collect()
}

fn word(case: &Case) -> Option<&str> {
    case.part("verdict")?.get("is").and_then(Json::as_str)
}
