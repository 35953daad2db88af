//! An adapter: a folder that describes one system, made ready for use.
//!
//! In: `adapters/NAME/` (the manifest `adapter.toml`, jq, code tables, samples) and what the [`Site`] says about it. Out:
//! an [`Adapter`] whose operations turn records into patches, dossiers into requests and answers into verdicts. Nothing
//! here speaks to a network or a store: connectors make the calls, stages decide when.
//!
//! Loading collects every fault of the folder and stops at none. What loads is complete: no jq is compiled and no table
//! is read later. A changed folder is loaded anew beside the old one; the two share nothing.

mod acknowledge;
mod answer;
mod batch;
mod call;
mod connection;
pub mod contract;
mod find;
mod lexer;
mod login;
mod lookup;
mod manifest;
mod mapping;
mod needs;
mod pull;
mod push;
mod push_manifest;
mod push_rules;
mod quota;
mod request;
mod requires;
mod rule;
mod selection;
mod settings;
pub mod shipped;
mod site;
mod steps;
mod target;
mod variant;
mod version;
mod wait;
mod webhook;
mod wire;
mod workshop;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use acknowledge::Acknowledge;
pub use answer::{Answer, Failure, Outcome, Verdict, Word};
pub use batch::Batch;
pub use call::Call;
pub use connection::{Connection, Protocol, RetrySettings};
pub use find::{Decision, Find};
pub use login::{Login, Session};
pub use lookup::{Inquiry, Lookup, Question, about};
pub(crate) use manifest::owns;
pub use mapping::Fact;
pub use needs::Needs;
pub use pull::{Pull, Span};
pub use push::{Means, Native, OnDoubt, Push};
pub use quota::Spend;
pub(crate) use request::percent;
pub use request::{Format, Request};
pub use requires::{Otherwise, Required, Requirement};
pub use selection::{Selection, Subscription};
pub use site::{SITE, Site};
pub use steps::{Step, Steps};
pub use variant::names as variants;
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
    /// The variant of the manifest that the site has chosen. `None`: the manifest as it stands.
    pub variant: Option<String>,
    /// Changes with every change of manifest, variant, filters or tables: 12 hex digits.
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
    /// What we ask for all that is new.
    pub pulls: Vec<Pull>,
    /// What we ask about one dossier.
    pub lookups: Vec<Lookup>,
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

    /// Names of its operations, as people and the folders of samples have them: `webhook.dossier`, `push.progress`.
    pub fn operations(&self) -> impl Iterator<Item = String> {
        let webhooks = self
            .webhooks
            .iter()
            .map(|webhook| format!("webhook.{}", webhook.name));
        let pulls = self.pulls.iter().map(|pull| format!("pull.{}", pull.name));
        let lookups = self.lookups.iter().map(|lookup| lookup.name.clone());
        let pushes = self.pushes.iter().map(|push| format!("push.{}", push.name));
        webhooks.chain(pulls).chain(lookups).chain(pushes)
    }

    /// An operation whose records or answers bring files, if there is any: the node then needs a folder for them.
    #[must_use]
    pub fn brings_files(&self) -> Option<String> {
        let pulls = self
            .pulls
            .iter()
            .map(|pull| (format!("pull.{}", pull.name), &pull.call));
        let lookups = self
            .lookups
            .iter()
            .map(|lookup| (lookup.name.clone(), &lookup.call));
        let calls = pulls.chain(lookups).map(|(name, call)| (name, &call.files));
        let webhooks = self.webhooks.iter();
        let webhooks = webhooks.map(|webhook| (format!("webhook.{}", webhook.name), &webhook.files));
        let mut all = webhooks.chain(calls);
        all.find(|(_, files)| !files.is_empty()).map(|(name, _)| name)
    }

    /// Names of what is to be done for a dossier that it takes, as the ledger's rows have them.
    pub fn deliveries(&self) -> impl Iterator<Item = &str> {
        let pushes = self.pushes.iter().map(|push| push.name.as_str());
        pushes.chain(self.lookups.iter().map(|lookup| lookup.name.as_str()))
    }
}

/// The folder in each of its forms: as `adapter.toml` has it, then with each of its variants. A form that does not load
/// has its faults in place of the adapter.
pub fn forms(folder: &Path, site: &Site) -> impl Iterator<Item = Result<Adapter, Vec<Fault>>> {
    let forms = std::iter::once(None).chain(variants(folder).into_iter().map(Some));
    forms.map(|variant| Adapter::load(folder, &site.clone().with_variant(variant)))
}

/// Every fault of the folder and of each of its variants, samples included, each once; empty if it is sound.
#[must_use]
pub fn check(folder: &Path, site: &Site) -> Vec<Fault> {
    let mut all: Vec<Fault> = Vec::new();
    for form in forms(folder, site) {
        let faults = match form {
            Ok(adapter) => contract::faults(&adapter),
            Err(faults) => faults,
        };
        add_new(&mut all, faults);
    }
    all
}

/// Adds the faults of another form. What is wrong with the manifest itself is wrong with every variant, and is told once.
pub(crate) fn add_new(all: &mut Vec<Fault>, faults: Vec<Fault>) {
    for fault in faults {
        if !all.contains(&fault) {
            all.push(fault);
        }
    }
}

/// The fault of a piece of jq. What leaves out a record where none can be left out is a fault of kind `ignored`.
fn fault(error: Error) -> Fault {
    match error {
        Error::Fault(fault) => *fault,
        Error::Ignored(reason) => Fault::new("ignored").found(reason),
    }
}
