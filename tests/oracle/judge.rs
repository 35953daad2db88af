//! The judge: what was accepted from the source, what the target did, what the ledger says. No excuses.
//!
//! Called after a phase without faults, when nothing is left to do. What it wants to know of the ledger is small
//! ([`Claim`]); whoever runs the node reads it from the store or the admin API.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::books::{Act, Effect, Row, lossy, text_of};
use super::mishap::Mishap;
use super::model::Oracle;

/// What the bus has answered for with a 2xx. A record whose answer never came is told again until it is: otherwise
/// nobody knows whether it belongs here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// By key and version, the record that the target is to end with: as its mapping makes it, before any loss.
    pub(crate) records: BTreeMap<String, BTreeMap<i64, Value>>,
    /// By key and place, from 1, its entries: as their mapping makes them, before any loss.
    pub(crate) items: BTreeMap<String, BTreeMap<i64, Value>>,
}

/// Which of it the target is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expects {
    /// A row for each key.
    pub(crate) records: bool,
    /// An entry for each item.
    pub(crate) entries: bool,
}

/// What the ledger says about one record or one item of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Key of the record.
    pub(crate) key: String,
    /// Place of the item; `None` for the record itself.
    pub(crate) item: Option<i64>,
    /// Where it stands.
    pub(crate) stand: Stand,
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stand {
    /// The target has the version that it should have.
    Applied,
    /// A dead letter that an operator can list, with its cause code.
    Parked(String),
    /// Still on the way, or left out: neither is due here.
    Other(String),
}

/// What must not be. Each begins with the number of its invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// Accepted, and neither in the target nor parked.
    Lost {
        /// Whose.
        what: String,
        /// What the ledger says of it.
        ledger: String,
    },
    /// More than one of what must be there once.
    Doubled {
        /// Whose.
        what: String,
        /// How many there are.
        count: usize,
        /// The requests that made them.
        requests: Vec<u64>,
    },
    /// The target went from a newer version to an older one.
    Stale {
        /// Whose.
        what: String,
        /// From which version.
        from: i64,
        /// To which.
        to: i64,
        /// By which request.
        request: u64,
    },
    /// The target holds a version that nobody stated.
    Invented {
        /// Whose.
        what: String,
        /// Which.
        version: i64,
    },
    /// An item or step took effect after one that follows it, or without the one before it.
    Disorder {
        /// Whose.
        what: String,
        /// Which.
        place: i64,
        /// After which.
        after: i64,
    },
    /// Two requests about one record were under way at once: whichever takes effect last wins.
    Overlap {
        /// Whose.
        what: String,
        /// The request that came too early.
        request: u64,
        /// The one that could still take effect.
        before: u64,
    },
    /// The ledger says that the target has it, and the target has something else; or an entry is not what was stated.
    Differs {
        /// Whose.
        what: String,
        /// In which fields; all where there is no row.
        fields: Vec<String>,
    },
    /// A fault that the run was to show never bit: the run proves nothing.
    Void {
        /// Which.
        fault: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { what, ledger } => write!(f, "I1 lost: {what}; the ledger says {ledger}"),
            Self::Doubled {
                what,
                count,
                requests,
            } => {
                write!(
                    f,
                    "I2 doubled: {what} is there {count} times, by requests {requests:?}"
                )
            }
            Self::Stale {
                what,
                from,
                to,
                request,
            } => {
                write!(
                    f,
                    "I3 stale: {what} went from version {from} to {to} by request {request}"
                )
            }
            Self::Invented { what, version } => write!(f, "I3 invented: {what} has version {version}"),
            Self::Disorder { what, place, after } => {
                write!(f, "I4 order: item {place} of {what} came after item {after}")
            }
            Self::Overlap {
                what,
                request,
                before,
            } => {
                write!(
                    f,
                    "I4 overlap: request {request} about {what} came while request {before} could still take effect"
                )
            }
            Self::Differs { what, fields } => {
                write!(
                    f,
                    "I5 ledger: {what} is not as the ledger says, the target differs in {fields:?}"
                )
            }
            Self::Void { fault } => write!(f, "I12 void: {fault} never bit"),
        }
    }
}

/// Everything that must not be, in the order of the invariants.
pub(crate) fn judge(
    accepted: &Accepted,
    expects: Expects,
    oracle: &Oracle,
    claims: &[Claim],
) -> Vec<Violation> {
    let ledger = Ledger::new(claims);
    let mut found = Vec::new();
    if expects.records {
        for (key, versions) in &accepted.records {
            record(key, versions, oracle, &ledger, &mut found);
        }
    }
    if expects.entries {
        for (key, places) in &accepted.items {
            entries(key, places, oracle, &ledger, &mut found);
        }
    }
    if expects.records || expects.entries {
        strangers(accepted, oracle, &mut found);
    }
    order(oracle.effects(), &mut found);
    found.extend(oracle.overlaps().iter().map(|overlap| Violation::Overlap {
        what: overlap.key.clone(),
        request: overlap.request,
        before: overlap.before,
    }));
    found.sort();
    found
}

/// The mishaps among `needed` that never bit.
pub(crate) fn void(oracle: &Oracle, needed: &[Mishap]) -> Vec<Violation> {
    let counted = needed.iter().map(|mishap| {
        let times = oracle.bitten().get(mishap).copied().unwrap_or(0);
        (mishap.to_string(), times)
    });
    void_of(counted)
}

/// The same for faults of any kind, each with how often it bit.
pub(crate) fn void_of(counted: impl IntoIterator<Item = (String, u64)>) -> Vec<Violation> {
    let silent = counted.into_iter().filter(|(_, times)| *times == 0);
    silent.map(|(fault, _)| Violation::Void { fault }).collect()
}

/// The claims, by what they are about.
struct Ledger<'a>(BTreeMap<(&'a str, Option<i64>), &'a Stand>);

impl<'a> Ledger<'a> {
    fn new(claims: &'a [Claim]) -> Self {
        let by_subject = claims
            .iter()
            .map(|claim| ((claim.key.as_str(), claim.item), &claim.stand));
        Self(by_subject.collect())
    }

    fn is_applied(&self, key: &str, item: Option<i64>) -> bool {
        self.0.get(&(key, item)) == Some(&&Stand::Applied)
    }

    fn is_parked(&self, key: &str, item: Option<i64>) -> bool {
        matches!(self.0.get(&(key, item)), Some(Stand::Parked(_)))
    }

    fn says(&self, key: &str, item: Option<i64>) -> String {
        match self.0.get(&(key, item)) {
            None => "nothing".to_owned(),
            Some(Stand::Applied) => "applied".to_owned(),
            Some(Stand::Parked(cause)) => format!("parked ({cause})"),
            Some(Stand::Other(state)) => state.clone(),
        }
    }
}

/// One record: there, once, in its newest version.
fn record(
    key: &str,
    versions: &BTreeMap<i64, Value>,
    oracle: &Oracle,
    ledger: &Ledger<'_>,
    found: &mut Vec<Violation>,
) {
    let what = || key.to_owned();
    let rows: Vec<&Row> = oracle.rows().iter().filter(|row| row.key == key).collect();
    if rows.len() > 1 {
        let made = |effect: &&Effect| effect.key == key && effect.act == Act::Created && !effect.undone;
        let requests = oracle
            .effects()
            .iter()
            .filter(made)
            .map(|effect| effect.request)
            .collect();
        found.push(Violation::Doubled {
            what: what(),
            count: rows.len(),
            requests,
        });
    }
    let Some((newest, expected)) = versions.last_key_value() else {
        return;
    };
    for row in &rows {
        if row.version > *newest {
            found.push(Violation::Invented {
                what: what(),
                version: row.version,
            });
        }
    }
    let there = !rows.is_empty() && rows.iter().all(|row| row.version >= *newest);
    if !there && !ledger.is_parked(key, None) {
        found.push(Violation::Lost {
            what: format!("{key} in version {newest}"),
            ledger: ledger.says(key, None),
        });
    } else if ledger.says(key, None) == "nothing"
        || matches!(ledger.0.get(&(key, None)), Some(Stand::Other(_)))
    {
        // It is there, and the bus does not know.
        found.push(Violation::Differs {
            what: what(),
            fields: vec![format!("ledger: {}", ledger.says(key, None))],
        });
    }
    if ledger.is_applied(key, None) {
        let fields = match rows.first() {
            None => vec!["all".to_owned()],
            Some(row) => differences(expected, &row.record, oracle.is_lossy()),
        };
        if !fields.is_empty() {
            found.push(Violation::Differs { what: what(), fields });
        }
    }
}

/// The entries of one record: each once, or parked.
fn entries(
    key: &str,
    places: &BTreeMap<i64, Value>,
    oracle: &Oracle,
    ledger: &Ledger<'_>,
    found: &mut Vec<Violation>,
) {
    for (place, expected) in places {
        let what = || format!("item {place} of {key}");
        let there: Vec<&Row> = oracle
            .entries()
            .iter()
            .filter(|entry| entry.key == key && entry.version == *place)
            .collect();
        if there.len() > 1 {
            let made = |effect: &&Effect| {
                effect.key == key && effect.version == *place && effect.act == Act::Appended && !effect.undone
            };
            let requests = oracle
                .effects()
                .iter()
                .filter(made)
                .map(|effect| effect.request)
                .collect();
            found.push(Violation::Doubled {
                what: what(),
                count: there.len(),
                requests,
            });
        }
        if there.is_empty() && !ledger.is_parked(key, Some(*place)) {
            found.push(Violation::Lost {
                what: what(),
                ledger: ledger.says(key, Some(*place)),
            });
        }
        if there.is_empty() && ledger.is_applied(key, Some(*place)) {
            found.push(Violation::Differs {
                what: what(),
                fields: vec!["all".to_owned()],
            });
        }
        // Whoever is to decide about one that is parked has a right to a true one, too.
        for row in there {
            let fields = differences(expected, &row.record, oracle.is_lossy());
            if !fields.is_empty() {
                found.push(Violation::Differs { what: what(), fields });
            }
        }
    }
    for entry in oracle.entries().iter().filter(|entry| entry.key == key) {
        if !places.contains_key(&entry.version) {
            found.push(Violation::Invented {
                what: format!("an item of {key}"),
                version: entry.version,
            });
        }
    }
}

/// What is there for a key that nobody spoke of.
fn strangers(accepted: &Accepted, oracle: &Oracle, found: &mut Vec<Violation>) {
    let rows = oracle.rows().iter().chain(oracle.entries());
    let unknown = rows.filter(|row| !accepted.records.contains_key(&row.key));
    found.extend(unknown.map(|row| Violation::Invented {
        what: row.key.clone(),
        version: row.version,
    }));
}

/// Versions never go down, entries and steps come in their order. What a restore has undone counts as having been: the
/// bus had said it.
fn order(effects: &[Effect], found: &mut Vec<Violation>) {
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for effect in effects {
        let key = effect.key.as_str();
        match effect.act {
            Act::ByHand => {}
            Act::Created | Act::Updated => {
                let newest = newest.entry(key).or_insert(effect.version);
                if effect.version < *newest {
                    found.push(Violation::Stale {
                        what: key.to_owned(),
                        from: *newest,
                        to: effect.version,
                        request: effect.request,
                    });
                }
                *newest = effect.version.max(*newest);
            }
            Act::Appended => {
                let last = last.entry(key).or_insert(0);
                // The same once more is a double, and told as such.
                if effect.version < *last {
                    found.push(Violation::Disorder {
                        what: key.to_owned(),
                        place: effect.version,
                        after: *last,
                    });
                }
                *last = effect.version.max(*last);
            }
            Act::Stepped => {
                let last = last.entry(key).or_insert(effect.version - 1);
                if effect.version != *last + 1 {
                    found.push(Violation::Disorder {
                        what: key.to_owned(),
                        place: effect.version,
                        after: *last,
                    });
                }
                *last = effect.version;
            }
        }
    }
}

/// Fields of the expected record that the row does not have so.
fn differences(expected: &Value, row: &Value, is_lossy: bool) -> Vec<String> {
    let expected = if is_lossy {
        lossy(expected)
    } else {
        expected.clone()
    };
    let fields = expected.as_object().into_iter().flatten();
    let differing = fields.filter(|(field, value)| match value.as_str() {
        Some(_) => text_of(row, field) != text_of(&expected, field),
        None => row[field.as_str()] != **value,
    });
    differing.map(|(field, _)| field.clone()).collect()
}
