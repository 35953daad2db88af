//! Cases of pushes: records, requests, verdicts and decisions.

use serde_json::{Value as Json, json};

use super::super::{Adapter, Answer, Call, Decision, Native, Push, Request};
use super::NOW;
use super::compare::differences;
use super::sample::Case;
use crate::fault::Fault;
use crate::jq::Scope;

/// Parts that say what comes out.
const RESULTS: [&str; 9] = [
    "native", "natives", "find", "create", "update", "put", "decision", "verdict", "refused",
];

pub(super) fn judge(adapter: &Adapter, push: &Push, case: &Case) -> Result<(), Fault> {
    if !RESULTS.iter().any(|part| case.part(part).is_some()) {
        let parts: Vec<_> = RESULTS.iter().map(|part| format!("CASE.{part}.json")).collect();
        let fault = case
            .fault("sample-incomplete")
            .expected(format!("one of {}", parts.join(", ")));
        return Err(fault.remedy("say what comes out"));
    }
    for (part, other) in [
        ("verdict", "answer"),
        ("answer", "verdict"),
        ("decision", "found"),
        ("found", "decision"),
    ] {
        if case.part(part).is_some() && case.part(other).is_none() {
            let fault = case
                .fault("sample-incomplete")
                .expected(format!("CASE.{other}.json beside {part}"));
            return Err(fault.remedy("add it"));
        }
    }
    let whole = case.part("dossier").cloned().unwrap_or(Json::Null);
    let dossier = adapter.needs.apply(&whole);
    if case.part("answer").is_some() {
        return verdict(push, case, &dossier);
    }
    if case.part("dossier").is_none() && case.part("item").is_none() {
        let fault = case.fault("sample-incomplete").expected("CASE.dossier.json");
        return Err(fault.remedy("add it"));
    }
    let natives = match natives(push, case, &dossier) {
        Ok(_) if case.part("refused").is_some() => return case.compare_refusal(&[]),
        Ok(natives) => natives,
        Err(fault) => return case.compare_refusal(&[fault]),
    };
    if case.part("natives").is_some() {
        let records = natives.iter().map(|native| native.record.clone()).collect();
        case.compare("natives", &Json::Array(records))?;
    }
    let Some(native) = natives.first() else {
        let others = RESULTS.iter().filter(|part| **part != "natives");
        return match others.into_iter().find(|part| case.part(part).is_some()) {
            Some(part) => Err(case.differs(part, "no item at all".to_owned())),
            None => Ok(()),
        };
    };
    if case.part("native").is_some() {
        case.compare("native", &native.record)?;
    }
    if let Some(found) = case.part("found") {
        let found = found
            .as_array()
            .map_or(std::slice::from_ref(found), Vec::as_slice);
        decision(push, case, found, native, &dossier)?;
    }
    let scope = scope(push, case, native, &dossier);
    for part in ["find", "create", "update", "put"] {
        if case.part(part).is_none() {
            continue;
        }
        let Some(call) = call(push, part) else {
            let fault = case.differs(part, format!("push.{} has no such call", push.name));
            return Err(fault.remedy("remove the sample"));
        };
        match call.request(&native.record, &scope) {
            Ok(sent) => request(case, part, &sent, adapter)?,
            Err(fault) => return case.compare_refusal(&[fault]),
        }
    }
    Ok(())
}

/// The records of the case: of its item, of each item, or of the dossier.
fn natives(push: &Push, case: &Case, dossier: &Json) -> Result<Vec<Native>, Fault> {
    if let Some(item) = case.part("item") {
        return Ok(vec![push.native(dossier, Some(item))?]);
    }
    if !push.wanted(dossier)? {
        return Err(Fault::new("not-wanted")
            .field(format!("push.{}.when", push.name))
            .found("false"));
    }
    if push.is_by_item() {
        return push
            .items(dossier)?
            .iter()
            .map(|item| push.native(dossier, Some(item)))
            .collect();
    }
    Ok(vec![push.native(dossier, None)?])
}

fn call<'p>(push: &'p Push, name: &str) -> Option<&'p Call> {
    match name {
        "find" => push.find.as_ref().map(|find| &find.call),
        "update" => push.update(),
        _ => push.create(),
    }
}

/// Fixed values, unless `with` says otherwise.
fn scope(push: &Push, case: &Case, native: &Native, dossier: &Json) -> Scope {
    let with = |key: &str, default: &str| {
        let said = case
            .part("with")
            .and_then(|with| with.get(key))
            .and_then(Json::as_str);
        Json::from(said.unwrap_or(default))
    };
    let remote = case
        .part("with")
        .and_then(|with| with.get("remote"))
        .and_then(Json::as_str);
    push.scope(dossier, native, remote)
        .with("now", with("now", NOW))
        .with("id", with("id", "sample"))
        .with("token", with("token", "token"))
}

fn request(case: &Case, part: &'static str, sent: &Request, adapter: &Adapter) -> Result<(), Fault> {
    let expected = case.part(part).unwrap_or(&Json::Null);
    let path = sent
        .url
        .strip_prefix(&adapter.connection.url)
        .unwrap_or(&sent.url);
    let listed = expected.get("headers").and_then(Json::as_object);
    let headers: serde_json::Map<_, _> = listed
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .filter_map(|name| {
            let (_, value) = sent
                .headers
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some((name.clone(), Json::from(value.as_str())))
        })
        .collect();
    let mut found = json!({"method": sent.method, "path": path});
    if listed.is_some() {
        found["headers"] = Json::Object(headers);
    }
    if let Some(body) = &sent.body {
        let text = String::from_utf8_lossy(body);
        found["body"] = serde_json::from_str(&text).unwrap_or_else(|_| Json::from(text.as_ref()));
    }
    match differences(expected, &found) {
        None => Ok(()),
        Some(told) => Err(case.differs(part, told)),
    }
}

fn decision(push: &Push, case: &Case, found: &[Json], native: &Native, dossier: &Json) -> Result<(), Fault> {
    if push.find.is_none() {
        let fault = case.differs("decision", format!("push.{} has no `find`", push.name));
        return Err(fault.remedy("remove the sample"));
    }
    let decision = match push.decide(found, native, dossier)? {
        Decision::Create => "create",
        Decision::Same(_) => "update",
        Decision::KeyTaken => "key taken",
        Decision::Duplicate => "duplicate in target",
    };
    case.compare("decision", &json!(decision))
}

fn verdict(push: &Push, case: &Case, dossier: &Json) -> Result<(), Fault> {
    let with = case
        .part("with")
        .and_then(|with| with.get("call"))
        .and_then(Json::as_str);
    let Some(call) = call(push, with.unwrap_or("create")) else {
        let fault = case
            .fault("sample-incomplete")
            .found(format!("the call {:?}", with.unwrap_or_default()));
        return Err(fault.expected("\"create\", \"update\" or \"find\", as far as the push has it"));
    };
    let said = case.part("answer").unwrap_or(&Json::Null);
    let headers = said.get("headers").and_then(Json::as_object);
    let answer = Answer {
        status: said
            .get("status")
            .and_then(Json::as_u64)
            .and_then(|status| status.try_into().ok())
            .unwrap_or(200),
        headers: headers
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect(),
        body: said.get("body").cloned().unwrap_or(Json::Null),
    };
    let native = match case.part("dossier") {
        Some(_) => natives(push, case, dossier)?.into_iter().next(),
        None => None,
    };
    let native = native.unwrap_or_else(|| Native {
        record: Json::Null,
        key: None,
        hash: String::new(),
        item: push.is_by_item().then_some(Json::Null),
        step: None,
    });
    let verdict = call.judge(&Ok(&answer), &scope(push, case, &native, dossier));
    let mut found = json!({"is": verdict.word.to_string()});
    // The reason is judged where the sample states it: most rules leave it to the connection.
    if case
        .part("verdict")
        .is_some_and(|expected| expected.get("reason").is_some())
    {
        found["reason"] = verdict.reason.map_or(Json::Null, Json::from);
    }
    if case
        .part("verdict")
        .is_some_and(|expected| expected.get("after_seconds").is_some())
    {
        found["after_seconds"] = verdict.after.map_or(Json::Null, |after| after.as_secs().into());
    }
    case.compare("verdict", &found)
}
