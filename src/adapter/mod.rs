//! An adapter: a folder that describes one system, made ready for use.
//!
//! In: `adapters/NAME/` (the manifest `adapter.toml`, jq, code tables, samples) and what the [`Site`] says about it. Out:
//! an [`Adapter`] whose operations turn records into patches, dossiers into requests and answers into verdicts. Nothing
//! here speaks to a network or a store: connectors make the calls, stages decide when.
//!
//! Loading collects every fault of the folder and stops at none. What loads is complete: no jq is compiled and no table
//! is read later. A changed folder is loaded anew beside the old one; the two share nothing.

mod answer;
mod batch;
mod call;
mod connection;
pub mod contract;
mod lexer;
mod login;
mod manifest;
mod mapping;
mod needs;
mod pull;
mod push;
mod push_manifest;
mod push_rules;
mod request;
mod requires;
mod rule;
mod selection;
mod settings;
pub mod shipped;
mod site;
mod steps;
mod target;
mod version;
mod wait;
mod webhook;
mod wire;
mod workshop;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use answer::{Answer, Failure, Outcome, Verdict, Word};
pub use batch::Batch;
pub use call::Call;
pub use connection::{Connection, Protocol, RetrySettings};
pub use login::{Login, Session};
pub use mapping::Fact;
pub use needs::Needs;
pub use pull::{Pull, Span};
pub use push::{Decision, Find, Means, Native, OnDoubt, Push};
pub use request::{Format, Request};
pub use requires::{Otherwise, Required, Requirement};
pub use selection::{Selection, Subscription};
pub use site::Site;
pub use steps::{Step, Steps};
pub use webhook::Webhook;

use crate::dossier::Ownership;
use crate::fault::Fault;
use crate::jq::Error;

/// One system, ready for use.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Name of the system at this site.
    pub name: String,
    /// Name of the system for people.
    pub title: String,
    /// The folder.
    pub folder: PathBuf,
    /// Changes with every change of manifest, filters or tables: 12 hex digits.
    pub version: String,
    /// Procedures whose dossiers may come into being here.
    pub originates: Selection,
    /// What the system may write.
    pub owns: Ownership,
    /// Which dossiers it takes. `None`: it only tells.
    pub subscribe: Option<Subscription>,
    /// What its mappings see.
    pub needs: Needs,
    /// What a dossier must have before it is delivered.
    pub requires: Vec<Requirement>,
    /// How the system is reached.
    pub connection: Connection,
    /// Where it tells us.
    pub webhooks: Vec<Webhook>,
    /// What we ask.
    pub pulls: Vec<Pull>,
    /// What we write.
    pub pushes: Vec<Push>,
}

impl Adapter {
    /// Loads the folder for a site.
    ///
    /// # Errors
    /// Every fault of the folder, in the order of files and lines.
    pub fn load(folder: &Path, site: &Site) -> Result<Self, Vec<Fault>> {
        manifest::load(folder, site)
    }
}

/// Every fault of the folder, its samples included; empty if it is sound.
#[must_use]
pub fn check(folder: &Path, site: &Site) -> Vec<Fault> {
    match Adapter::load(folder, site) {
        Ok(adapter) => contract::faults(&adapter),
        Err(faults) => faults,
    }
}

/// The fault of a piece of jq. What leaves out a record where none can be left out is a fault of kind `ignored`.
fn fault(error: Error) -> Fault {
    match error {
        Error::Fault(fault) => *fault,
        Error::Ignored(reason) => Fault::new("ignored").found(reason),
    }
}
