//! Cases of webhooks and pulls: a native record and the patch that it gives, or why it is refused.

use serde_json::Value as Json;

use super::super::Fact;
use super::sample::Case;
use crate::dossier::Patch;
use crate::fault::Fault;

pub(super) fn judge(case: &Case, map: impl Fn(&Json) -> Result<Vec<Fact>, Fault>) -> Result<(), Fault> {
    let Some(native) = case.part("native") else {
        return Err(case.incomplete("CASE.native.json"));
    };
    if case.part("patch").is_some() == case.part("refused").is_some() {
        let fault = case
            .fault("sample-incomplete")
            .expected("CASE.patch.json or CASE.refused.json");
        return Err(fault.remedy("say what the record gives: one of the two"));
    }
    match patches(&map(native)) {
        Err(faults) => case.compare_refusal(&faults),
        Ok(_) if case.part("refused").is_some() => case.compare_refusal(&[]),
        Ok(patches) => match patches.as_slice() {
            [patch] => case.compare("patch", patch),
            _ => case.compare("patch", &Json::Array(patches)),
        },
    }
}

/// The patches, each of them valid; else everything that is wrong.
fn patches(facts: &Result<Vec<Fact>, Fault>) -> Result<Vec<Json>, Vec<Fault>> {
    let facts = facts.as_ref().map_err(|fault| vec![fault.clone()])?;
    let mut patches = Vec::new();
    for fact in facts {
        match fact {
            Fact::Patch { patch, .. } => {
                Patch::parse(patch)?;
                patches.push(patch.clone());
            }
            Fact::Ignored(reason) => return Err(vec![Fault::new("ignored").found(reason)]),
        }
    }
    Ok(patches)
}
