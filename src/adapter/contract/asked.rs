//! Cases of look-ups: the question that a dossier gives rise to, its request, and what an answer says of the dossier.

use serde_json::Value as Json;

use super::super::{Adapter, Inquiry, Lookup, about};
use super::inbound::owned;
use super::outbound::{request, said_by};
use super::sample::Case;
use super::{ID, answered};
use crate::dossier::{Origin, Patch};
use crate::fault::Fault;

/// Parts that say what comes out.
const RESULTS: [&str; 7] = [
    "asked",
    "request",
    "otherwise",
    "meanwhile",
    "patch",
    "verdict",
    "refused",
];

pub(super) fn judge(adapter: &Adapter, lookup: &Lookup, case: &Case) -> Result<(), Fault> {
    if !RESULTS.iter().any(|part| case.part(part).is_some()) {
        let parts: Vec<_> = RESULTS.iter().map(|part| format!("CASE.{part}.json")).collect();
        return Err(case.incomplete(&format!("one of {}", parts.join(", "))));
    }
    let any = |parts: &[&str]| parts.iter().any(|part| case.part(part).is_some());
    let answered = case.part("answer").is_some();
    if (any(&["patch", "verdict"]) && !answered) || (answered && !any(&["patch", "verdict", "refused"])) {
        return Err(case.incomplete("CASE.answer.json with CASE.patch.json or CASE.verdict.json"));
    }
    let id = case.with("id").unwrap_or(ID);
    let scope = said_by(case, lookup.scope(id));
    if case.part("verdict").is_some() {
        answered::verdict(case, &lookup.call, &scope)?;
    }
    let Some(dossier) = case.part("dossier") else {
        return match case.part("patch") {
            Some(_) => Err(case.incomplete("CASE.dossier.json: an answer is read with its question")),
            None => Ok(()),
        };
    };
    let dossier = adapter.needs.apply(dossier);
    if case.part("meanwhile").is_some() {
        let said = lookup.meanwhile(&dossier)?.unwrap_or_default();
        valid(adapter, case, "meanwhile", &said)?;
        case.compare("meanwhile", &said)?;
    }
    let inquiry = match case.part("item") {
        Some(item) => lookup.inquiry_about(item, &dossier).map(Inquiry::Ask),
        None if lookup.is_by_item() => {
            return Err(case.incomplete("CASE.item.json: the item that is asked about"));
        }
        None => lookup.inquiry(&dossier),
    };
    let question = match inquiry {
        Ok(Inquiry::Ask(question)) => question,
        Ok(Inquiry::Say(fact)) => {
            valid(adapter, case, "otherwise", &fact)?;
            return case.compare("otherwise", &fact);
        }
        Ok(Inquiry::Nothing) => {
            let fault = Fault::new("not-wanted").field(format!("{}.when", lookup.name));
            return case.compare_refusal(&[fault.found("false")]);
        }
        Err(fault) => return case.compare_refusal(&[fault]),
    };
    if any(&["otherwise"]) || (any(&["refused"]) && !answered) {
        let part = if any(&["otherwise"]) {
            "otherwise"
        } else {
            "refused"
        };
        return Err(case
            .differs(part, "a question to the system".to_owned())
            .remedy("correct `when` or `asks`, or make it CASE.asked.json"));
    }
    if case.part("asked").is_some() {
        case.compare("asked", &question.asked)?;
    }
    if case.part("request").is_some() {
        match lookup.call.request(&question.asked, &scope) {
            Ok(sent) => request(case, "request", &sent, adapter)?,
            Err(fault) => return case.compare_refusal(&[fault]),
        }
    }
    if !any(&["patch", "refused"]) {
        return Ok(());
    }
    let answer = answered::answer(case, &lookup.call)?;
    match lookup.fact(&answer.body, &question.asked, id) {
        Ok(_) if case.part("refused").is_some() => case.compare_refusal(&[]),
        Ok(fact) => {
            let fact = fact.unwrap_or_default();
            valid(adapter, case, "patch", &fact)?;
            case.compare("patch", &fact)
        }
        Err(fault) => case.compare_refusal(&[fault]),
    }
}

/// What is said is a valid patch once it names the dossier, and about what the adapter owns.
fn valid(adapter: &Adapter, case: &Case, part: &'static str, fact: &Json) -> Result<(), Fault> {
    if fact.is_null() {
        return Ok(());
    }
    let patch = about(fact.clone(), &Origin::new(&adapter.name, "sample"), None);
    let valid = Patch::parse(&patch).and_then(|patch| owned(adapter, &patch));
    valid.map_err(|faults| {
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        case.differs(part, told.join(" · "))
    })
}
