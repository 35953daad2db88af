//! The demo's trial by faults: what the stand-ins suffer on purpose, how short a patience the node is given so that a
//! run ends within minutes, and whether every fault has bitten.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::province::{JUDICIAL_RECORDS, LICENCES, ONE_STOP, POPULATION, PORTAL};
use crate::sandbox::{FaultKind, Faults};

/// Longest wait of the node for an answer, in this trial.
const TIMEOUT: &str = "2s";

/// How long answers and commits are held back: longer than the node waits, and well within [`SETTLE`] after that.
const LATE: Duration = Duration::from_millis(2_500);

/// How long after an unclear end nothing is asked or sent.
const SETTLE: &str = "4s";

/// The first and the longest wait before another try.
const RETRY: (&str, &str) = ("200ms", "2s");

/// How often systems are asked for changes, on trial or not.
const PULL_EVERY: &str = "1s";

/// Of each kind, one in so many requests at the portal: with nine kinds, one request in nine suffers something.
const PORTAL_EVERY: u32 = 80;

/// At the one-stop: it is asked far less often.
const ONE_STOP_EVERY: u32 = 20;

/// At the population database: once for each applicant.
const POPULATION_EVERY: u32 = 24;

/// At the judicial records system: few declarations, and it is asked for states all the while.
const JUDICIAL_RECORDS_EVERY: u32 = 30;

/// At the licence desk: it is asked how each of its dossiers stands all the while.
const LICENCES_EVERY: u32 = 80;

/// The faults of a run of the demo; none by default.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    seed: Option<u64>,
    /// By system.
    faults: BTreeMap<&'static str, Faults>,
}

impl Trial {
    /// Every fault that each stand-in can suffer: the same ones, as far as requests come in the same order, for a `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let reads = FaultKind::OF_READS.into_iter();
        let told = reads.clone().chain([FaultKind::ToldAgain]);
        let written = reads.clone().chain(FaultKind::OF_WRITES);
        // So few declarations are made that not every fault of a write can meet one.
        let declared = reads.clone().chain([FaultKind::CutAfterCommit]);
        let faults = [
            (ONE_STOP, Faults::new(!seed, ONE_STOP_EVERY, LATE, told)),
            (
                POPULATION,
                Faults::new(seed ^ 1, POPULATION_EVERY, LATE, reads.clone()),
            ),
            (
                LICENCES,
                Faults::new(seed ^ 3, LICENCES_EVERY, LATE, reads.clone()),
            ),
            (
                JUDICIAL_RECORDS,
                Faults::new(seed ^ 2, JUDICIAL_RECORDS_EVERY, LATE, declared),
            ),
            (PORTAL, Faults::new(seed, PORTAL_EVERY, LATE, written)),
        ];
        Self {
            seed: Some(seed),
            faults: faults.into(),
        }
    }

    /// What this system's stand-in suffers.
    pub(super) fn of(&self, system: &str) -> Faults {
        self.faults.get(system).cloned().unwrap_or_default()
    }

    /// The seed; `None` if nothing is suffered.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// From now on nothing is suffered any more.
    pub fn end(&self) {
        self.faults.values().for_each(Faults::end);
    }

    /// How often each fault has taken effect, by system.
    #[must_use]
    pub fn bitten(&self) -> BTreeMap<String, BTreeMap<FaultKind, u64>> {
        let all = self.faults.iter();
        all.map(|(name, faults)| ((*name).to_owned(), faults.bitten()))
            .collect()
    }
}

/// Makes the adapters in this folder as impatient as the demo needs them, or a trial. They are the demo's own copies.
pub(super) fn hurry(adapters: &Path, on_trial: bool) -> io::Result<()> {
    for folder in std::fs::read_dir(adapters)? {
        let file = folder?.path().join("adapter.toml");
        if file.exists() {
            let mut manifest: Table = std::fs::read_to_string(&file)?
                .parse()
                .map_err(io::Error::other)?;
            shorten(&mut manifest, on_trial);
            std::fs::write(&file, toml::to_string(&manifest).map_err(io::Error::other)?)?;
        }
    }
    Ok(())
}

fn shorten(manifest: &mut Table, on_trial: bool) {
    let text = |text: &str| Value::String(text.to_owned());
    if let Some(Value::Table(connection)) = manifest.get_mut("connection").filter(|_| on_trial) {
        connection.insert("timeout".to_owned(), text(TIMEOUT));
        connection.insert("settle".to_owned(), text(SETTLE));
        let (first, max) = RETRY;
        let retry = [("first", text(first)), ("max", text(max))];
        let retry: Table = retry
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        connection.insert("retry".to_owned(), Value::Table(retry));
    }
    let of = |operations: Option<&mut Value>, key: &str, value: Option<&str>| {
        let operations = operations.and_then(Value::as_table_mut);
        for operation in operations.into_iter().flat_map(|table| table.iter_mut()) {
            if let Some(operation) = operation.1.as_table_mut() {
                match value {
                    Some(_) if !operation.contains_key(key) => {}
                    Some(value) => drop(operation.insert(key.to_owned(), text(value))),
                    None => drop(operation.remove(key)),
                }
            }
        }
    };
    of(manifest.get_mut("pull"), "every", Some(PULL_EVERY));
    of(manifest.get_mut("lookup"), "every", Some(PULL_EVERY));
    if on_trial {
        // A patience of its own would outlast the trial.
        of(manifest.get_mut("push"), "settle", None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::{Adapter, Site};

    #[test]
    fn hurried_adapters_are_the_shipped_ones_but_for_their_patience() {
        let folder = tempfile::tempdir().unwrap();
        crate::adapter::shipped::write(folder.path()).unwrap();
        let load = |name: &str| Adapter::load(&folder.path().join(name), &Site::sample(name)).unwrap();
        let before = load("national-portal");
        hurry(folder.path(), true).unwrap();
        let (after, one_stop) = (load("national-portal"), load("one-stop"));
        assert_eq!(after.connection.timeout, Duration::from_secs(2));
        assert!(
            after
                .pushes
                .iter()
                .all(|push| push.settle == Duration::from_secs(4))
        );
        assert_eq!(after.connection.retry.first, Duration::from_millis(200));
        assert_eq!(one_stop.pulls[0].every, Duration::from_secs(1));
        let names = |adapter: &Adapter| -> Vec<String> {
            adapter.pushes.iter().map(|push| push.name.clone()).collect()
        };
        assert_eq!(names(&before), names(&after));
        assert_eq!(before.connection.url, after.connection.url);
    }

    #[test]
    fn what_is_late_is_later_than_the_node_waits_and_settled_before_it_asks() {
        let parse = |text| crate::read::parse_duration(text).unwrap();
        assert!(LATE > parse(TIMEOUT));
        assert!(LATE + Duration::from_secs(3) < parse(TIMEOUT) + parse(SETTLE));
    }
}
