//! Cases of webhooks and pulls: a native record and the patch that it gives, or why it is refused; and how a pull's system
//! is told that we have it.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::super::{Acknowledge, Adapter, Fact, Pull};
use super::NOW;
use super::outbound::request;
use super::sample::Case;
use crate::dossier::{Author, Hlc, Origin, Patch, Shadow};
use crate::fault::Fault;

pub(super) fn judge(
    adapter: &Adapter,
    case: &Case,
    map: impl Fn(&Json) -> Result<Vec<Fact>, Fault>,
) -> Result<(), Fault> {
    let Some(native) = case.part("native") else {
        return Err(case.incomplete("CASE.native.json"));
    };
    if case.part("patch").is_some() == case.part("refused").is_some() {
        let fault = case
            .fault("sample-incomplete")
            .expected("CASE.patch.json or CASE.refused.json");
        return Err(fault.remedy("say what the record gives: one of the two"));
    }
    match patches(adapter, &map(native)) {
        Err(faults) => case.compare_refusal(&faults),
        Ok(_) if case.part("refused").is_some() => case.compare_refusal(&[]),
        Ok(patches) => match patches.as_slice() {
            [patch] => case.compare("patch", patch),
            _ => case.compare("patch", &Json::Array(patches)),
        },
    }
}

/// The same for a pull, with the request that acknowledges the record, or several records of one page.
pub(super) fn judge_pull(adapter: &Adapter, pull: &Pull, case: &Case) -> Result<(), Fault> {
    let several = case.part("natives").and_then(Json::as_array);
    if case.part("natives").is_none() {
        judge(adapter, case, |record| pull.map(record))?;
    } else if case.part("acknowledge").is_none() {
        return Err(case.incomplete("CASE.acknowledge.json beside natives"));
    }
    if case.part("acknowledge").is_none() {
        return Ok(());
    }
    let Some(acknowledge) = &pull.acknowledge else {
        let fault = case.differs("acknowledge", format!("pull.{} has no `acknowledge`", pull.name));
        return Err(fault.remedy("remove the sample"));
    };
    let mut owed = Vec::new();
    for record in several.into_iter().flatten().chain(case.part("native")) {
        let refused = patches(adapter, &pull.map(record)).err();
        let fault = refused.and_then(|faults| faults.into_iter().next());
        let error = fault.map(|fault| fault.code).filter(|code| code != "ignored");
        owed.extend(acknowledge.keep(record)?.map(|kept| (kept, error)));
    }
    let about = Acknowledge::about(owed.iter().map(|(kept, error)| (kept, error.as_deref())));
    let scope = Acknowledge::scope()
        .with("now", Json::from(NOW))
        .with("token", Json::from("token"));
    request(
        case,
        "acknowledge",
        &acknowledge.call.request(&about, &scope)?,
        adapter,
    )
}

/// The patches, each of them valid and about what the adapter owns; else everything that is wrong.
fn patches(adapter: &Adapter, facts: &Result<Vec<Fact>, Fault>) -> Result<Vec<Json>, Vec<Fault>> {
    let facts = facts.as_ref().map_err(|fault| vec![fault.clone()])?;
    let mut patches = Vec::new();
    for fact in facts {
        match fact {
            Fact::Patch { patch, .. } => {
                owned(adapter, &Patch::parse(patch)?)?;
                patches.push(patch.clone());
            }
            Fact::Ignored(reason) => return Err(vec![Fault::new("ignored").found(reason)]),
        }
    }
    Ok(patches)
}

/// Whether the system may state all that the patch does, at least of a dossier of its own.
pub(super) fn owned(adapter: &Adapter, patch: &Patch) -> Result<(), Vec<Fault>> {
    let author = Author {
        system: &adapter.name,
        origin: &Origin::new(&adapter.name, patch.reference().code()),
        observed: Timestamp::UNIX_EPOCH,
        asked: None,
        hlc: Hlc::default(),
        owns: &adapter.owns,
        known: None,
    };
    author.write(patch, &mut Shadow::default()).map(drop)
}
