//! What is promised about order of writing and answering: nobody is told that something is durable before it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What is durable where.
#[derive(Debug, Default)]
pub(crate) struct Honesty {
    /// Events that a node's store has committed, merged or held: node and event.
    stored: BTreeSet<(usize, String)>,
    /// Events that the broker has confirmed.
    confirmed: BTreeSet<String>,
    /// Broken promises.
    pub(crate) broken: Vec<String>,
}

/// What several hold.
pub(crate) type SharedHonesty = Arc<Mutex<Honesty>>;

impl Honesty {
    /// A node has committed these.
    pub(crate) fn stored(&mut self, node: usize, events: Vec<String>) {
        self.stored.extend(events.into_iter().map(|event| (node, event)));
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
