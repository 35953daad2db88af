//! Contract tests: the golden samples of an adapter, run against its manifest.
//!
//! `samples/OPERATION/CASE.PART.json`: the parts that a case has say what it tests. Time, ids, sessions and secrets are
//! fixed, so a sample is the same everywhere: the site's settings and name play no part. A missing sample is a fault like
//! one that differs: what no case shows is not known to work.
//!
//! A variant has cases of its own, in `samples/OPERATION@VARIANT/`, and proves as much with them as the base form does
//! with its own: another address or log-in changes every request, and a shared rule may see other answers.

mod answered;
mod asked;
mod compare;
mod coverage;
mod inbound;
mod outbound;
mod sample;
mod stepwise;

use super::{Adapter, Site};
use crate::fault::Fault;
use sample::{Case, Samples};

/// `$now` in samples.
const NOW: &str = "2026-01-02T03:04:05Z";

/// `$id` in samples.
const ID: &str = "sample";

/// One golden case and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// `push.dossier/online`.
    pub name: String,
    /// What differs, or that the case is missing.
    pub result: Result<(), Fault>,
}

/// Runs every golden case of the adapter in its variant. Samples that are missing or belong to nothing are in the results too.
#[must_use]
pub fn run(adapter: &Adapter) -> Vec<CaseResult> {
    let name = adapter.folder.file_name().map_or_else(
        || adapter.name.clone(),
        |name| name.to_string_lossy().into_owned(),
    );
    let probe = match Adapter::load(
        &adapter.folder,
        &Site::sample(&name).with_variant(adapter.variant.clone()),
    ) {
        Ok(probe) => probe,
        Err(faults) => return faults.into_iter().map(|fault| failed(&name, fault)).collect(),
    };
    let (samples, faults) = Samples::open(&probe);
    let mut results: Vec<_> = faults
        .into_iter()
        .map(|fault| failed(&fault.file.clone().unwrap_or_default(), fault))
        .collect();
    for case in &samples.cases {
        let result = judge(&probe, case);
        results.push(CaseResult {
            name: format!("{}/{}", case.folder, case.name),
            result,
        });
    }
    results.extend(
        coverage::missing(&probe, &samples)
            .into_iter()
            .map(|(name, fault)| failed(&name, fault)),
    );
    results
}

/// Faults of the samples, in the order of the cases.
pub(super) fn faults(adapter: &Adapter) -> Vec<Fault> {
    run(adapter)
        .into_iter()
        .filter_map(|case| case.result.err())
        .collect()
}

fn failed(name: &str, fault: Fault) -> CaseResult {
    CaseResult {
        name: name.to_owned(),
        result: Err(fault),
    }
}

fn judge(adapter: &Adapter, case: &Case) -> Result<(), Fault> {
    let (kind, name) = case.operation.split_once('.').unwrap_or_default();
    match kind {
        "webhook" => {
            let webhook = adapter.webhooks.iter().find(|webhook| webhook.name == name);
            inbound::judge(adapter, case, |record| {
                webhook.expect("the folder names an operation").map(record)
            })
        }
        "pull" => {
            let pull = adapter.pulls.iter().find(|pull| pull.name == name);
            inbound::judge_pull(adapter, pull.expect("the folder names an operation"), case)
        }
        "lookup" => {
            let mut lookups = adapter.lookups.iter();
            let lookup = lookups.find(|lookup| lookup.name == case.operation);
            asked::judge(adapter, lookup.expect("the folder names an operation"), case)
        }
        _ => {
            let push = adapter.pushes.iter().find(|push| push.name == name);
            outbound::judge(adapter, push.expect("the folder names an operation"), case)
        }
    }
}
