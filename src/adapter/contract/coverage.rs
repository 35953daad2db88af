//! What no case shows.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::super::{Adapter, Batch, Call, Lookup, Push, Word};
use super::sample::{Case, Samples};
use crate::fault::Fault;
use crate::files::Place;

/// Decisions that a `find` can lead to.
const DECISIONS: [&str; 4] = ["create", "update", "key taken", "duplicate in target"];

/// A fault for each case that is missing, with the operation that it belongs to.
pub(super) fn missing(adapter: &Adapter, samples: &Samples) -> Vec<(String, Fault)> {
    let mut missing = Vec::new();
    let mut report = |operation: &str, expected: String, remedy: String| {
        let folder = match &adapter.variant {
            Some(variant) => format!("{operation}@{variant}"),
            None => operation.to_owned(),
        };
        let fault = Fault::new("sample-missing").file(format!("samples/{folder}"));
        missing.push((folder, fault.expected(expected).remedy(remedy)));
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
    for pull in adapter.pulls.iter().filter(|pull| pull.acknowledge.is_some()) {
        let operation = format!("pull.{}", pull.name);
        if !samples
            .of(&operation)
            .any(|case| case.part("acknowledge").is_some())
        {
            let expected = "the request that acknowledges a record";
            let remedy = "add CASE.acknowledge.json to a case with a record";
            report(&operation, expected.to_owned(), remedy.to_owned());
        }
    }
    let mut shown_anywhere = BTreeSet::new();
    for lookup in &adapter.lookups {
        for (expected, remedy) in of_lookup(lookup, &samples.of(&lookup.name).collect::<Vec<_>>()) {
            report(&lookup.name, expected, remedy);
        }
        let shown: BTreeSet<_> = samples.of(&lookup.name).filter_map(word).collect();
        for word in lookup
            .call
            .words()
            .map(|word| told(adapter, word))
            .collect::<BTreeSet<_>>()
        {
            if !shown.contains(word.as_str()) {
                report(&lookup.name, an_answer(&word), add_answer(&word));
            }
        }
        shown_anywhere.extend(shown.into_iter().map(str::to_owned));
    }
    for push in &adapter.pushes {
        let operation = format!("push.{}", push.name);
        for (expected, remedy) in of_push(push, &samples.of(&operation).collect::<Vec<_>>()) {
            report(&operation, expected, remedy);
        }
        let shown: BTreeSet<_> = samples.of(&operation).filter_map(word).collect();
        for word in own_words(adapter, push) {
            if !shown.contains(word.as_str()) {
                report(&operation, an_answer(&word), add_answer(&word));
            }
        }
        shown_anywhere.extend(shown.into_iter().map(str::to_owned));
    }
    // A rule of the connection is the same for every operation: one that shows it is enough.
    let pushes = adapter
        .pushes
        .iter()
        .filter_map(|push| Some((format!("push.{}", push.name), push.calls().next()?)));
    let lookups = adapter
        .lookups
        .iter()
        .map(|lookup| (lookup.name.clone(), &lookup.call));
    if let Some((operation, call)) = pushes.chain(lookups).next() {
        let words: BTreeSet<_> = call.shared_words().map(|word| told(adapter, word)).collect();
        for word in words.iter().filter(|word| !shown_anywhere.contains(*word)) {
            report(&operation, an_answer(word), add_answer(word));
        }
    }
    missing
}

fn an_answer(word: &str) -> String {
    format!("an answer that is judged \"{word}\"")
}

fn add_answer(word: &str) -> String {
    format!("add CASE.answer.json and CASE.verdict.json with {{\"is\": \"{word}\"}}")
}

/// What no case of the look-up shows, and how it is added.
fn of_lookup(lookup: &Lookup, cases: &[&Case]) -> Vec<(String, String)> {
    let demanded = [
        (
            "request",
            true,
            "the request of a question",
            "add CASE.dossier.json and CASE.request.json",
        ),
        (
            "patch",
            true,
            "an answer and what it says of the dossier",
            "add CASE.dossier.json, CASE.answer.json and CASE.patch.json",
        ),
        (
            "otherwise",
            lookup.has_otherwise(),
            "a dossier that gives rise to no question, and what is said of it",
            "add CASE.dossier.json and CASE.otherwise.json",
        ),
        (
            "meanwhile",
            lookup.has_meanwhile(),
            "what is said as long as nobody answers",
            "add CASE.dossier.json and CASE.meanwhile.json",
        ),
    ];
    let missing = demanded
        .into_iter()
        .filter(|(part, demanded, ..)| *demanded && !cases.iter().any(|case| case.part(part).is_some()));
    let missing = missing.map(|(_, _, expected, remedy)| (expected.to_owned(), remedy.to_owned()));
    let shows = |place: &Place| {
        let mut answers = cases.iter().filter_map(|case| case.part("answer")?.get("body"));
        answers.any(|answer| place.has_file(answer))
    };
    let unseen = lookup.call.files.iter().filter(|place| !shows(place));
    let unseen = unseen.map(|place| {
        (
            format!("an answer with a file at {place}"),
            "add a CASE.answer.json in which {\"$file\": \"…\"} stands there, or correct `files`".to_owned(),
        )
    });
    missing.chain(unseen).collect()
}

/// What no case of the push shows, and how it is added.
fn of_push(push: &Push, cases: &[&Case]) -> Vec<(String, String)> {
    let mut missing = Vec::new();
    let mut demand = |shown: bool, expected: &str, remedy: &str| {
        if !shown {
            missing.push((expected.to_owned(), remedy.to_owned()));
        }
    };
    let any = |part: &str| cases.iter().any(|case| case.part(part).is_some());
    if let Some(steps) = push.steps() {
        let add = "add CASE.dossier.json, CASE.state.json or CASE.found.json, and CASE.step.json";
        let taken: Vec<_> = cases
            .iter()
            .filter_map(|case| case.part("step"))
            .map(|step| step.get("step").and_then(Json::as_str))
            .collect();
        for name in steps.names() {
            let expected = format!("a state from which the next step is \"{name}\"");
            demand(taken.contains(&Some(name)), &expected, add);
        }
        let expected = "a state from which there is no step";
        demand(taken.contains(&None), expected, &format!("{add} with null"));
        if push.find.is_some() {
            let remedy = "add CASE.found.json to a case with a step";
            demand(
                any("found"),
                "what a find shows and the step that it leads to",
                remedy,
            );
        }
    } else {
        demand(
            any("native") || any("natives"),
            "a dossier and the record that it gives",
            "add CASE.dossier.json and CASE.native.json",
        );
    }
    let prefix = format!("push.{}.", push.name);
    let calls = push.calls().filter_map(|call| call.name.strip_prefix(&prefix));
    // A step's own call has a part of another name.
    for call in calls.filter(|call| !call.contains('.')).collect::<BTreeSet<_>>() {
        let remedy = format!("add CASE.dossier.json and CASE.{call}.json");
        demand(any(call), &format!("the request of `{call}`"), &remedy);
    }
    if push.echo.is_some() {
        let remedy = "add CASE.echo.json to a case that gives one";
        demand(any("echo"), "what will be reported of a record", remedy);
    }
    if push.batch.as_ref().is_some_and(Batch::has_verdicts) {
        let remedy = "add CASE.answer.json and CASE.verdicts.json";
        demand(
            any("verdicts"),
            "an answer and its verdict for each record",
            remedy,
        );
    }
    if push.find.is_some() && push.steps().is_none() {
        let decisions = cases.iter().filter_map(|case| case.part("decision")?.as_str());
        let decisions: BTreeSet<_> = decisions.collect();
        for decision in DECISIONS {
            let remedy =
                format!("add CASE.dossier.json, CASE.found.json and CASE.decision.json with \"{decision}\"");
            let expected = format!("what a find shows before \"{decision}\"");
            demand(decisions.contains(decision), &expected, &remedy);
        }
    }
    missing
}

/// Words that the rules of the push's own calls can give.
fn own_words(adapter: &Adapter, push: &Push) -> BTreeSet<String> {
    push.calls()
        .flat_map(Call::words)
        .map(|word| told(adapter, word))
        .collect()
}

/// The word that a verdict has: without a log-in, a lost session is a pause.
fn told(adapter: &Adapter, word: Word) -> String {
    match word {
        Word::Login if adapter.connection.login.is_none() => Word::Pause.to_string(),
        word => word.to_string(),
    }
}

fn word(case: &Case) -> Option<&str> {
    case.part("verdict")?.get("is").and_then(Json::as_str)
}
