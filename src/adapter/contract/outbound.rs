//! Cases of pushes: records, requests, verdicts and decisions.

use serde_json::{Value as Json, json};

use super::super::{Adapter, Call, Decision, Native, Push, Request};
use super::compare::differences;
use super::sample::Case;
use super::{ID, NOW, answered, stepwise};
use crate::dossier::Patch;
use crate::fault::Fault;
use crate::files::Files;
use crate::jq::Scope;

/// Parts that say what comes out.
const RESULTS: [&str; 11] = [
    "native", "natives", "find", "create", "update", "put", "echo", "decision", "verdict", "verdicts",
    "refused",
];

/// Parts of which none stands without one of the others.
const TOGETHER: [(&str, &[&str]); 5] = [
    ("verdict", &["answer"]),
    ("verdicts", &["answer"]),
    ("answer", &["verdict", "verdicts"]),
    ("decision", &["found"]),
    ("found", &["decision", "state", "step", "refused"]),
];

pub(super) fn judge(adapter: &Adapter, push: &Push, case: &Case) -> Result<(), Fault> {
    for (part, others) in TOGETHER {
        if case.part(part).is_some() && !others.iter().any(|other| case.part(other).is_some()) {
            return Err(case.incomplete(&format!("CASE.{}.json beside {part}", others[0])));
        }
    }
    if let Some(steps) = push.steps() {
        return stepwise::judge(adapter, push, steps, case);
    }
    if !RESULTS.iter().any(|part| case.part(part).is_some()) {
        let parts: Vec<_> = RESULTS.iter().map(|part| format!("CASE.{part}.json")).collect();
        return Err(case.incomplete(&format!("one of {}", parts.join(", "))));
    }
    let whole = case.part("dossier").cloned().unwrap_or(Json::Null);
    let dossier = adapter.needs.apply(&whole);
    if case.part("answer").is_some() {
        return answered::judge(push, case, &dossier);
    }
    if case.part("dossier").is_none() && case.part("item").is_none() {
        return Err(case.incomplete("CASE.dossier.json"));
    }
    let natives = match natives(push, case, &dossier) {
        Ok(_) if case.part("refused").is_some() => return case.compare_refusal(&[]),
        Ok(natives) => natives,
        Err(fault) => return case.compare_refusal(&[fault]),
    };
    if case.part("natives").is_some() {
        case.compare("natives", &records(&natives))?;
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
    echo(push, case, native, &dossier)?;
    if let Some(found) = case.part("found") {
        let found = found
            .as_array()
            .map_or(std::slice::from_ref(found), Vec::as_slice);
        decision(push, case, found, native, &dossier)?;
    }
    for part in ["find", "create", "update", "put"] {
        if case.part(part).is_none() {
            continue;
        }
        let Some(call) = call(push, part) else {
            let fault = case.differs(part, format!("push.{} has no such call", push.name));
            return Err(fault.remedy("remove the sample"));
        };
        let about = match &push.batch {
            Some(_) if call.writes => records(&natives),
            _ => native.record.clone(),
        };
        match call.request(&about, &scope(push, case, call, native, &dossier)) {
            Ok(sent) => request(case, part, &sent, adapter)?,
            Err(fault) => return case.compare_refusal(&[fault]),
        }
    }
    Ok(())
}

fn records(natives: &[Native]) -> Json {
    natives.iter().map(|native| native.record.clone()).collect()
}

/// What will be reported of a record is a valid patch, and the one that the sample has.
pub(super) fn echo(push: &Push, case: &Case, native: &Native, dossier: &Json) -> Result<(), Fault> {
    let sent = Native {
        record: Files::shown(&native.record),
        ..native.clone()
    };
    let echo = match push.echo(&sent, dossier) {
        Ok(echo) => echo,
        Err(fault) => return case.compare_refusal(&[fault]),
    };
    let Some(echo) = echo else {
        return match case.part("echo") {
            Some(_) => Err(case.differs("echo", format!("push.{} has no `echo`", push.name))),
            None => Ok(()),
        };
    };
    if let Err(faults) = Patch::parse(&echo) {
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        return Err(case.differs("echo", told.join(" · ")));
    }
    match case.part("echo") {
        Some(_) => case.compare("echo", &echo),
        None => Ok(()),
    }
}

/// The records of the case: of its item, of each item, or of the dossier.
pub(super) fn natives(push: &Push, case: &Case, dossier: &Json) -> Result<Vec<Native>, Fault> {
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

/// The call of this name, as far as the push has it.
pub(super) fn call<'p>(push: &'p Push, name: &str) -> Option<&'p Call> {
    match name {
        "find" => push.find.as_ref().map(|find| &find.call),
        "update" => push.update(),
        _ => push.create(),
    }
}

/// Variables of the call, as the connector would fill them in.
pub(super) fn scope(push: &Push, case: &Case, call: &Call, native: &Native, dossier: &Json) -> Scope {
    let Some(batch) = push.batch.as_ref().filter(|_| call.writes) else {
        return said_by(case, push.scope(dossier, native, case.remote()));
    };
    let at = NOW.parse().expect("a constant that is an instant");
    let dossier = (!batch.across).then_some(dossier);
    said_by(case, push.scope_of_batch(dossier, "sample", 1, at))
}

/// Fixed values, unless `with` says otherwise.
pub(super) fn said_by(case: &Case, scope: Scope) -> Scope {
    let with = |key: &str, default: &str| Json::from(case.with(key).unwrap_or(default));
    scope
        .with("now", with("now", NOW))
        .with("id", with("id", ID))
        .with("token", with("token", "token"))
}

/// A record of which nothing is known but what it is.
pub(super) fn blank(record: Json, item: Option<Json>) -> Native {
    Native {
        record,
        key: None,
        hash: String::new(),
        item,
        step: None,
    }
}

pub(super) fn request(
    case: &Case,
    part: &'static str,
    sent: &Request,
    adapter: &Adapter,
) -> Result<(), Fault> {
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
