//! Links: the codes under which systems know a dossier, and the official code that follows from them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Dossier, DossierCode, Origin, Stamp, fold_code};

/// Whether `new` replaces `old` as the stamp of a link to `system`. What a system says of its own code counts before
/// what others say of it; then the first statement stays.
pub(super) fn closer(system: &str, new: &Stamp, old: &Stamp) -> bool {
    rank(system, new, old).is_lt()
}

fn rank(system: &str, one: &Stamp, two: &Stamp) -> Ordering {
    let foreign = |stamp: &Stamp| stamp.source != system;
    foreign(one).cmp(&foreign(two)).then_with(|| one.cmp(two))
}

impl Dossier {
    /// A delta that says only: this system knows the dossier under this code (a remote id that a target gave).
    #[must_use]
    pub fn linked(origin: Origin, system: &str, code: &str, stamp: Stamp) -> Self {
        let mut delta = Self::new(origin);
        let codes = BTreeMap::from([(code.to_owned(), stamp)]);
        delta.links.insert(system.to_owned(), codes);
        delta
    }

    /// The codes under which a system knows the dossier: those it stated itself first, then by age of the link.
    #[must_use]
    pub fn codes_in(&self, system: &str) -> Vec<&str> {
        let mut codes: Vec<_> = self.links.get(system).into_iter().flatten().collect();
        codes.sort_by(|one, two| rank(system, one.1, two.1).then_with(|| one.0.cmp(two.0)));
        codes.into_iter().map(|(code, _)| code.as_str()).collect()
    }

    /// The keys under which to look for the dossier in a system, best first: its links, or where it has none the
    /// official code.
    #[must_use]
    pub fn keys_for(&self, system: &str) -> Vec<&str> {
        let codes = self.codes_in(system);
        if codes.is_empty() {
            self.code().into_iter().collect()
        } else {
            codes
        }
    }

    /// Whether a system has the dossier and is never sent a create: it is the origin, or itself stated a code that is none
    /// of `ours`, the ids of records that we have made there. A link that another system stated only tells the key to use.
    #[must_use]
    pub fn held_by(&self, system: &str, ours: &[&str]) -> bool {
        let ours: Vec<String> = ours.iter().map(|code| fold_code(code)).collect();
        let mut codes = self.links.get(system).into_iter().flatten();
        self.origin.system == system
            || codes.any(|(code, stamp)| stamp.source == system && !ours.contains(&fold_code(code)))
    }

    /// The official dossier code: the one that the origin stated, else the one that was linked first, else none.
    /// Derived from the links at each call, so that all nodes agree on it.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        let home = &self.origin.system;
        if DossierCode::parse(&self.origin.native).is_some() {
            return Some(&self.origin.native);
        }
        self.links
            .iter()
            .flat_map(|(system, codes)| codes.iter().map(move |(code, stamp)| (system, code, stamp)))
            .filter(|(_, code, _)| DossierCode::parse(code).is_some())
            .min_by_key(|(system, code, stamp)| (stamp.source != *home, *system != home, *stamp, *code))
            .map(|(_, code, _)| code.as_str())
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
