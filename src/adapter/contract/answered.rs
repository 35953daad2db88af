//! Cases of answers: how they are judged, as a whole and for each record of a batch.

use serde_json::{Value as Json, json};

use super::super::{Answer, Call, Format, Push};
use super::outbound::{blank, call, natives, scope};
use super::sample::Case;
use crate::fault::Fault;
use crate::jq::Scope;

/// Judges an answer to the call that `with` names, or to the create.
pub(super) fn judge(push: &Push, case: &Case, dossier: &Json) -> Result<(), Fault> {
    let Some(call) = call(push, case.with("call").unwrap_or("create")) else {
        let fault = case.incomplete("\"create\", \"update\" or \"find\", as far as the push has it");
        return Err(fault.found(format!("the call {:?}", case.with("call").unwrap_or_default())));
    };
    let native = match case.part("dossier") {
        Some(_) => natives(push, case, dossier)?.into_iter().next(),
        None => None,
    };
    let native = native.unwrap_or_else(|| blank(Json::Null, push.is_by_item().then_some(Json::Null)));
    let scope = scope(push, case, call, &native, dossier);
    if case.part("verdict").is_some() {
        verdict(case, call, &scope)?;
    }
    if case.part("verdicts").is_none() {
        return Ok(());
    }
    let said = match &push.batch {
        Some(batch) => batch.verdicts(&answer(case, call)?, &scope)?,
        None => None,
    };
    let Some(said) = said else {
        let fault = case.differs("verdicts", format!("push.{} has no `verdicts`", push.name));
        return Err(fault.remedy("remove the sample"));
    };
    let said = said.into_iter().map(|(key, verdict)| {
        let mut told = json!({"is": verdict.word.to_string()});
        if let Some(reason) = verdict.reason {
            told["reason"] = reason.into();
        }
        (key, told)
    });
    case.compare("verdicts", &Json::Object(said.collect()))
}

/// The answer of the sample. XML stands there as the text that it is.
pub(super) fn answer(case: &Case, call: &Call) -> Result<Answer, Fault> {
    let said = case.part("answer").unwrap_or(&Json::Null);
    let headers = said.get("headers").and_then(Json::as_object);
    let status = said.get("status").and_then(Json::as_u64);
    let body = match said.get("body") {
        Some(Json::String(text)) if call.receive == Format::Xml => {
            let read = call.receive.decode(text.as_bytes());
            read.map_err(|problem| case.differs("answer", problem))?
        }
        body => body.cloned().unwrap_or_default(),
    };
    Ok(Answer {
        status: status.and_then(|status| status.try_into().ok()).unwrap_or(200),
        headers: headers
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect(),
        body,
    })
}

/// Is the answer judged as the sample says?
pub(super) fn verdict(case: &Case, call: &Call, scope: &Scope) -> Result<(), Fault> {
    let verdict = call.judge(&Ok(&answer(case, call)?), scope);
    let mut found = json!({"is": verdict.word.to_string()});
    // The reason is judged where the sample states it: most rules leave it to the connection.
    let stated = |key: &str| {
        case.part("verdict")
            .is_some_and(|expected| expected.get(key).is_some())
    };
    if stated("reason") {
        found["reason"] = verdict.reason.map_or(Json::Null, Json::from);
    }
    if stated("after_seconds") {
        found["after_seconds"] = verdict.after.map_or(Json::Null, |after| after.as_secs().into());
    }
    case.compare("verdict", &found)
}
