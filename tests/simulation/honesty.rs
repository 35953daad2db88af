//! What is promised about the order of writing and answering: nobody is told that something is durable before it is. And
//! what the broker did to the order of events: no target can be given entries in an order in which the node never had
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use lienthong::dossier::Hlc;

/// What is durable where.
#[derive(Debug, Default)]
pub(crate) struct Honesty {
    /// Events that a node's store has committed, merged or held: node and event.
    stored: BTreeSet<(usize, String)>,
    /// Events that the broker has confirmed.
    confirmed: BTreeSet<String>,
    /// The newest event of each dossier that a node has merged.
    newest: BTreeMap<(usize, String), Hlc>,
    /// Keys of dossiers of which a node has merged an older event after a newer one.
    pub(crate) overtaken: BTreeSet<String>,
    /// Broken promises.
    pub(crate) broken: Vec<String>,
}

/// An event that was merged.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) id: String,
    /// Code of the dossier where it comes from.
    pub(crate) key: String,
    pub(crate) hlc: Hlc,
}

/// What several hold.
pub(crate) type SharedHonesty = Arc<Mutex<Honesty>>;

impl Honesty {
    /// A node has committed these records, and merged these events.
    pub(crate) fn stored(&mut self, node: usize, kept: Vec<String>, merged: &[Merged]) {
        self.stored.extend(kept.into_iter().map(|event| (node, event)));
        for event in merged {
            self.stored.insert((node, event.id.clone()));
            let newest = self.newest.get(&(node, event.key.clone()));
            if newest.is_some_and(|newest| event.hlc < *newest) {
                self.overtaken.insert(event.key.clone());
            }
        }
        // Events that were merged together have not overtaken each other.
        for event in merged {
            let newest = self.newest.entry((node, event.key.clone())).or_default();
            *newest = event.hlc.max(*newest);
        }
    }

    /// The broker has confirmed this.
    pub(crate) fn confirmed(&mut self, event: &str) {
        self.confirmed.insert(event.to_owned());
    }

    /// A node tells the broker that it has this.
    pub(crate) fn acknowledged(&mut self, node: usize, event: &str) {
        if !self.stored.contains(&(node, event.to_owned())) {
            self.broken.push(format!(
                "I6 honest ack: node {node} acknowledged {event} and has not stored it"
            ));
        }
    }

    /// A node forgets that it has to publish this.
    pub(crate) fn forgotten(&mut self, event: &str) {
        if !self.confirmed.contains(event) {
            self.broken.push(format!(
                "I6 honest ack: {event} left the outbox without a confirm"
            ));
        }
    }
}
