//! What is promised about the order of writing and answering: nobody is told that something is durable before it is. And
//! what the broker did to the order of events: no target can be given entries in an order in which the node never had
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use lienthong::event::Event;
use serde_json::json;

/// What is durable where.
#[derive(Debug, Default)]
pub(crate) struct Honesty {
    /// Events that a node's store has committed, merged or held: node and event.
    stored: BTreeSet<(usize, String)>,
    /// Events that the broker has confirmed.
    confirmed: BTreeSet<String>,
    /// The last entry of each dossier that a node has, by the number that the source gave it.
    last: BTreeMap<(usize, String), i64>,
    /// Entries, by node, dossier and number, that came there after ones that follow them, and when they did.
    pub(crate) overtaken: BTreeMap<(usize, String, i64), Timestamp>,
    /// Broken promises.
    pub(crate) broken: Vec<String>,
}

/// An event that was merged.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) id: String,
    /// Code of the dossier where it comes from.
    pub(crate) key: String,
    /// Numbers of the entries that it brings, as the source has written them into their text.
    pub(crate) entries: Vec<i64>,
}

impl Merged {
    pub(crate) fn new(event: &Event) -> Self {
        let text = json!(event).to_string();
        let before = text.split(" bước xử lý").map(|text| text.rsplit_once('#'));
        let numbers = before.filter_map(|cut| cut?.1.parse().ok());
        Self {
            id: event.id.clone(),
            key: event.data.origin.native.clone(),
            entries: numbers.collect(),
        }
    }
}

/// What several hold.
pub(crate) type SharedHonesty = Arc<Mutex<Honesty>>;

impl Honesty {
    /// A node has committed these records, and merged these events.
    pub(crate) fn stored(&mut self, node: usize, kept: Vec<String>, merged: &[Merged], now: Timestamp) {
        self.stored.extend(kept.into_iter().map(|event| (node, event)));
        for event in merged {
            self.stored.insert((node, event.id.clone()));
            let last = self.last.get(&(node, event.key.clone())).copied().unwrap_or(0);
            let late = event.entries.iter().filter(|entry| **entry < last);
            for entry in late {
                let place = (node, event.key.clone(), *entry);
                self.overtaken.entry(place).or_insert(now);
            }
        }
        // Entries that came together have not overtaken each other.
        for event in merged {
            let last = self.last.entry((node, event.key.clone())).or_default();
            *last = event.entries.iter().copied().max().unwrap_or(0).max(*last);
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
