//! Cases of pushes with `steps`: states, the next step, its request and what will be reported of it.

use serde_json::{Value as Json, json};

use super::super::{Adapter, Push, Step, Steps};
use super::answered;
use super::outbound::{blank, echo, request, said_by};
use super::sample::Case;
use crate::fault::Fault;
use crate::jq::Scope;

/// Parts that say what comes out, beside `verdict`.
const RESULTS: [&str; 6] = ["state", "step", "call", "echo", "find", "refused"];

pub(super) fn judge(adapter: &Adapter, push: &Push, steps: &Steps, case: &Case) -> Result<(), Fault> {
    let whole = case.part("dossier").cloned().unwrap_or(Json::Null);
    let dossier = adapter.needs.apply(&whole);
    if case.part("answer").is_some() {
        return verdict(push, steps, case, &dossier);
    }
    if case.part("dossier").is_none() {
        return Err(case.incomplete("CASE.dossier.json"));
    }
    if !RESULTS.iter().any(|part| case.part(part).is_some()) {
        let parts: Vec<_> = RESULTS.iter().map(|part| format!("CASE.{part}.json")).collect();
        return Err(case.incomplete(&format!("one of {}", parts.join(", "))));
    }
    if case.part("find").is_some() {
        find(adapter, push, case, &dossier)?;
    }
    match follow(push, steps, case, &dossier) {
        Ok(_) if case.part("refused").is_some() => case.compare_refusal(&[]),
        Ok(next) => outcome(adapter, push, steps, case, next.as_ref(), &dossier),
        Err(Told::Differs(fault)) => Err(fault),
        Err(Told::Refused(fault)) => case.compare_refusal(&[fault]),
    }
}

/// A fault of the sample, or one that the sample may expect.
enum Told {
    Differs(Fault),
    Refused(Fault),
}

/// From what was found, or the state that the sample states, to the next step.
fn follow(push: &Push, steps: &Steps, case: &Case, dossier: &Json) -> Result<Option<Step>, Told> {
    if !push.wanted(dossier).map_err(Told::Refused)? {
        let fault = Fault::new("not-wanted").field(format!("push.{}.when", push.name));
        return Err(Told::Refused(fault.found("false")));
    }
    let state = match (case.part("found"), case.part("state")) {
        (Some(found), stated) => {
            let state = steps.state(found, dossier).map_err(Told::Refused)?;
            if stated.is_some() {
                case.compare("state", &state).map_err(Told::Differs)?;
            }
            state
        }
        (None, Some(state)) => state.clone(),
        (None, None) => Json::Null,
    };
    steps.next(&state, dossier).map_err(Told::Refused)
}

fn outcome(
    adapter: &Adapter,
    push: &Push,
    steps: &Steps,
    case: &Case,
    next: Option<&Step>,
    dossier: &Json,
) -> Result<(), Fault> {
    if case.part("step").is_some() {
        let found = next.map_or(
            Json::Null,
            |next| json!({"step": next.step, "record": next.native.record}),
        );
        case.compare("step", &found)?;
    }
    let Some(next) = next else {
        let of_a_step = ["call", "echo"]
            .into_iter()
            .find(|part| case.part(part).is_some());
        return match of_a_step {
            Some(part) => Err(case.differs(part, "no step at all".to_owned())),
            None => Ok(()),
        };
    };
    echo(push, case, &next.native, dossier)?;
    if case.part("call").is_some() {
        let call = steps.call(&next.step).expect("a step that is named has a call");
        let scope = said_by(case, push.scope(dossier, &next.native, case.remote()));
        match call.request(&next.native.record, &scope) {
            Ok(sent) => request(case, "call", &sent, adapter)?,
            Err(fault) => return case.compare_refusal(&[fault]),
        }
    }
    Ok(())
}

fn find(adapter: &Adapter, push: &Push, case: &Case, dossier: &Json) -> Result<(), Fault> {
    let Some(find) = &push.find else {
        let fault = case.differs("find", format!("push.{} has no `find`", push.name));
        return Err(fault.remedy("remove the sample"));
    };
    let scope = said_by(case, push.scope_of_find(dossier, case.remote()));
    request(case, "find", &find.call.request(&Json::Null, &scope)?, adapter)
}

/// Judges an answer to the call that `with` names.
fn verdict(push: &Push, steps: &Steps, case: &Case, dossier: &Json) -> Result<(), Fault> {
    let name = case.with("call").unwrap_or_default();
    let (call, scope): (_, Scope) = if name == "find" {
        let call = push.find.as_ref().map(|find| &find.call);
        (call, push.scope_of_find(dossier, case.remote()))
    } else {
        let native = blank(Json::Null, None);
        (steps.call(name), push.scope(dossier, &native, case.remote()))
    };
    let Some(call) = call else {
        let mut known: Vec<_> = steps.names().collect();
        known.extend(push.find.is_some().then_some("find"));
        return Err(case.incomplete(&format!(
            "CASE.with.json with a `call` that is one of {}",
            known.join(", ")
        )));
    };
    answered::verdict(case, call, &said_by(case, scope))
}
