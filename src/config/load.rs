//! What a configuration names: adapters, and addresses with their secrets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Config;
use crate::adapter::{Adapter, SITE, Site};
use crate::broker::Address;
use crate::dossier::Ownership;
use crate::fault::Fault;
use crate::read::secret;

/// What a configuration names, with its secrets.
pub struct Resolved {
    /// The adapters that the node hosts.
    pub adapters: Vec<Adapter>,
    /// What the adapters may write that other stores' nodes host, by their names.
    pub elsewhere: BTreeMap<String, Ownership>,
    /// Address of the store.
    pub store: String,
    /// How the broker is reached.
    pub broker: Address,
}

impl Config {
    /// Loads every adapter that the configuration names, and the addresses with their secrets.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn resolve(&self) -> Result<Resolved, Vec<Fault>> {
        match (self.load_adapters(), self.store_address(), self.broker_address()) {
            (Ok(adapters), Ok(store), Ok(broker)) => {
                let faults = self.broken_agreements(&adapters, &broker);
                if !faults.is_empty() {
                    return Err(faults);
                }
                Ok(Resolved {
                    elsewhere: self.elsewhere(&adapters),
                    adapters,
                    store,
                    broker,
                })
            }
            (adapters, store, broker) => {
                let mut faults = adapters.err().unwrap_or_default();
                faults.extend(store.err());
                faults.extend(broker.err());
                Err(faults)
            }
        }
    }

    fn elsewhere(&self, hosted: &[Adapter]) -> BTreeMap<String, Ownership> {
        let mut elsewhere = self.province.clone();
        elsewhere.retain(|name, _| hosted.iter().all(|adapter| adapter.name != *name));
        elsewhere
            .into_iter()
            .map(|(name, agreed)| (name, agreed.owns))
            .collect()
    }

    /// What this node does otherwise than the province has agreed: the other nodes would refuse what it says.
    fn broken_agreements(&self, hosted: &[Adapter], broker: &Address) -> Vec<Fault> {
        let mut faults = Vec::new();
        let own_account = broker.account();
        for adapter in hosted {
            let Some(agreed) = self.province.get(&adapter.name) else {
                continue;
            };
            let fault = |field| {
                Fault::new("province-differs")
                    .file(&self.file)
                    .field(format!("province.adapters.{}.{field}", adapter.name))
            };
            if let Some(own) = own_account.as_deref().filter(|own| *own != agreed.account) {
                faults.push(
                    fault("account")
                        .found(format!("{:?}", agreed.account))
                        .expected(format!("{own:?}, the account of this node, which hosts the adapter"))
                        .remedy(format!(
                            "take out [adapter.{}] if another node hosts it; else correct the account, on every node",
                            adapter.name
                        )),
                );
            }
            if agreed.owns != adapter.owns {
                faults.push(
                    fault("owns")
                        .found("other rights than in adapter.toml")
                        .expected(format!(
                            "the same: {}",
                            serde_json::to_string(&adapter.owns).unwrap_or_default()
                        ))
                        .remedy("correct one of the two; what stands here has to be the same on every node"),
                );
            }
        }
        faults
    }

    fn store_address(&self) -> Result<String, Fault> {
        self.with_secret("store.url", &self.store)
            .map_err(|fault| match fault.code.as_str() {
                "bad-secret" => fault.remedy(
                    "let the secret be the whole address, or leave the password to PGPASSWORD or ~/.pgpass",
                ),
                _ => fault,
            })
    }

    fn broker_address(&self) -> Result<Address, Fault> {
        let mut address = self.broker.clone();
        let speakers = self.province.iter();
        address.speakers = speakers
            .map(|(adapter, agreed)| (adapter.clone(), agreed.account.clone()))
            .collect();
        if let Some(password) = &self.broker.password {
            address.password = Some(self.with_secret("broker.password", password)?);
        }
        Ok(address)
    }

    /// The text of a field, or the secret that it names.
    fn with_secret(&self, field: &str, text: &str) -> Result<String, Fault> {
        let fault = |code| Fault::new(code).file(&self.file).field(field);
        match secret::name(text) {
            Ok(None) => Ok(text.to_owned()),
            Ok(Some(name)) => secret::look_up(name, &*self.environment).ok_or_else(|| {
                fault("secret-missing")
                    .found(format!("{name} is not set"))
                    .remedy(format!(
                        "set {name}, or {name}_FILE to the file that holds it, in the environment"
                    ))
            }),
            Err(()) => Err(fault("bad-secret")
                .found("`${` inside other text")
                .expected("\"${NAME}\" alone")),
        }
    }

    /// Loads every adapter that the configuration names.
    ///
    /// # Errors
    /// Everything that is wrong with any of them; file names begin with the adapter's.
    pub fn load_adapters(&self) -> Result<Vec<Adapter>, Vec<Fault>> {
        let mut adapters = Vec::new();
        let mut faults = Vec::new();
        let mut paths: HashMap<String, String> = HashMap::new();
        for system in &self.systems {
            let environment = Arc::clone(&self.environment);
            let mut site = Site::new(&system.name, move |name| environment(name))
                .with_settings(system.settings.clone())
                .with_variant(system.variant.clone());
            if let Some(url) = &system.url {
                site = site.with_url(url);
            }
            match Adapter::load(&self.adapters.join(&system.folder), &site) {
                Ok(adapter) => {
                    for webhook in &adapter.webhooks {
                        if let Some(other) = paths.insert(webhook.path.clone(), system.name.clone()) {
                            faults.push(
                                Fault::new("webhook-path-taken")
                                    .file(format!("{}/adapter.toml", system.folder))
                                    .field(format!("webhook.{}.path", webhook.name))
                                    .found(format!("the path of a webhook of `{other}`"))
                                    .expected("a path of its own for each webhook of the node")
                                    .remedy("give one of the two systems a variant of the path"),
                            );
                        }
                    }
                    let brings = self.files.is_none().then(|| adapter.brings_files()).flatten();
                    if let Some(operation) = brings {
                        faults.push(
                            Fault::new("files-nowhere")
                                .file(&self.file)
                                .field("files.folder")
                                .found(format!("none, and {operation} of `{}` brings files", system.name))
                                .expected("a folder for them, on a disk that is backed up")
                                .remedy("add [files] with folder and url"),
                        );
                    }
                    adapters.push(adapter);
                }
                Err(found) => faults.extend(found.into_iter().map(|mut fault| {
                    // What the site says stands in its own file, not in the adapter's folder.
                    fault.file = fault.file.map(|file| match file.as_str() {
                        SITE => self.file.clone(),
                        _ => format!("{}/{file}", system.folder),
                    });
                    fault
                })),
            }
        }
        if faults.is_empty() {
            Ok(adapters)
        } else {
            Err(faults)
        }
    }
}
