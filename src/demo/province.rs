//! The systems of the demo's province: what each one's stand-in and the node are told about it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::judge::DEPARTMENT;
use super::trial::Trial;
use super::world::{DemoError, FILES};
use crate::config::System;
use crate::fault::Fault;
use crate::sandbox::{self, Sandbox};

/// The province's secrets, in this world.
pub const SECRETS: [(&str, &str); 13] = [
    ("ONE_STOP_WEBHOOK_SECRET", "demo-webhook-secret"),
    ("ONE_STOP_USER", "lienthong"),
    ("ONE_STOP_PASSWORD", "demo-one-stop-password"),
    ("NATIONAL_PORTAL_USER", "h56"),
    ("NATIONAL_PORTAL_PASSWORD", "demo-portal-password"),
    // As the stand-in has them: only who meets the portal through a gateway has an account there.
    ("NATIONAL_PORTAL_CLIENT_ID", "lienthong"),
    ("NATIONAL_PORTAL_CLIENT_SECRET", "mat-khau-mau"),
    ("POPULATION_CLIENT_ID", "h56"),
    ("POPULATION_CLIENT_SECRET", "demo-population-secret"),
    ("JUDICIAL_RECORDS_CLIENT_ID", "h56-lltp"),
    ("JUDICIAL_RECORDS_CLIENT_SECRET", "demo-judicial-records-secret"),
    ("DRIVING_LICENCE_USER", "h56-gplx"),
    ("DRIVING_LICENCE_PASSWORD", "demo-licence-password"),
];

/// A system of the province.
pub(super) struct Member {
    /// Its name, and that of its adapter's folder.
    pub(super) name: &'static str,
    /// Settings of its stand-in, by the secret whose value they have.
    secrets: &'static [(&'static str, &'static str)],
    /// Other settings of its stand-in.
    stand_in: fn() -> Map<String, Value>,
    /// Settings of the node's adapter.
    settings: fn() -> Value,
}

/// All of them, in the order in which their records flow.
pub(super) const MEMBERS: [Member; 5] = [
    Member {
        name: ONE_STOP,
        secrets: &[
            ("user", "ONE_STOP_USER"),
            ("password", "ONE_STOP_PASSWORD"),
            ("secret", "ONE_STOP_WEBHOOK_SECRET"),
        ],
        stand_in: Map::new,
        settings: || json!({"files": FILES}),
    },
    Member {
        name: POPULATION,
        secrets: &[
            ("client_id", "POPULATION_CLIENT_ID"),
            ("client_secret", "POPULATION_CLIENT_SECRET"),
        ],
        stand_in: || [("per_day".to_owned(), json!(100_000))].into_iter().collect(),
        // None of the dossiers names an officer yet, and the limits of the real register would make a long story of it.
        settings: || json!({"officer": "bo-phan-mot-cua", "rate": "200/s", "officer_rate": "100000/day"}),
    },
    Member {
        name: LICENCES,
        secrets: &[
            ("username", "DRIVING_LICENCE_USER"),
            ("password", "DRIVING_LICENCE_PASSWORD"),
        ],
        stand_in: Map::new,
        settings: || json!({}),
    },
    Member {
        name: JUDICIAL_RECORDS,
        secrets: &[
            ("client_id", "JUDICIAL_RECORDS_CLIENT_ID"),
            ("client_secret", "JUDICIAL_RECORDS_CLIENT_SECRET"),
        ],
        stand_in: Map::new,
        settings: || json!({"department": DEPARTMENT}),
    },
    Member {
        name: PORTAL,
        secrets: &[
            ("username", "NATIONAL_PORTAL_USER"),
            ("password", "NATIONAL_PORTAL_PASSWORD"),
        ],
        stand_in: Map::new,
        settings: || json!({}),
    },
];

pub(super) const ONE_STOP: &str = "one-stop";
pub(super) const PORTAL: &str = "national-portal";
pub(super) const POPULATION: &str = "population";
pub(super) const LICENCES: &str = "driving-licence";
pub(super) const JUDICIAL_RECORDS: &str = "judicial-records";

/// The citizens whom the register knows: those of the shipped dossiers, some of them otherwise than they say.
const REGISTER: &str = include_str!("register.jsonl");

/// The stand-ins of the province, running.
pub(super) struct Province(BTreeMap<&'static str, Sandbox>);

impl Province {
    /// Starts the stand-ins of these systems, of all where none is named. Rows are kept under `folder`.
    pub(super) async fn start(
        folder: &Path,
        adapters: &Path,
        trial: &Trial,
        only: &[&str],
    ) -> Result<Self, DemoError> {
        let mut started = BTreeMap::new();
        let mut faults = Vec::new();
        let wanted = |member: &&Member| only.is_empty() || only.contains(&member.name);
        for member in MEMBERS.iter().filter(wanted) {
            match Sandbox::start(&adapters.join(member.name), member.options(folder, trial)?).await {
                Ok(sandbox) => drop(started.insert(member.name, sandbox)),
                Err(found) => faults.extend(found),
            }
        }
        let province = Self(started);
        if !faults.is_empty() {
            province.stop().await;
            return Err(DemoError::Faults(faults));
        }
        province.people().await?;
        Ok(province)
    }

    /// The register knows its citizens.
    async fn people(&self) -> Result<(), Vec<Fault>> {
        let Some(population) = self.0.get(POPULATION) else {
            return Ok(());
        };
        for person in register() {
            let put = population.insert("CongDan", person).await;
            put.map_err(|fault| vec![fault])?;
        }
        Ok(())
    }

    /// The stand-in of this system.
    pub(super) fn of(&self, name: &str) -> &Sandbox {
        &self.0[name]
    }

    /// The one-stop is started again, and tells this address of every change from now on.
    pub(super) async fn connect(
        mut self,
        folder: &Path,
        adapters: &Path,
        trial: &Trial,
        webhook: &str,
    ) -> Result<Self, DemoError> {
        let [member, ..] = &MEMBERS;
        let mut options = member.options(folder, trial)?;
        options.settings.insert("webhook".to_owned(), json!(webhook));
        if let Some(before) = self.0.remove(member.name) {
            options.listen = before.address();
            before.stop().await;
        }
        let sandbox = Sandbox::start(&adapters.join(member.name), options).await?;
        self.0.insert(member.name, sandbox);
        Ok(self)
    }

    /// What a node is told of the systems. `portal`: the variant in which it speaks to the national portal.
    pub(super) fn systems(&self, portal: Option<&String>) -> Vec<System> {
        let system = |member: &Member| System {
            name: member.name.to_owned(),
            folder: member.name.to_owned(),
            variant: portal.filter(|_| member.name == PORTAL).cloned(),
            url: Some(self.of(member.name).url()),
            settings: (member.settings)().as_object().cloned().unwrap_or_default(),
        };
        let members = MEMBERS.iter().filter(|member| self.0.contains_key(member.name));
        members.map(system).collect()
    }

    /// Ends them all.
    pub(super) async fn stop(self) {
        for sandbox in self.0.into_values() {
            sandbox.stop().await;
        }
    }
}

impl Member {
    /// Options of its stand-in, which keeps its rows in the world's folder.
    fn options(&self, folder: &Path, trial: &Trial) -> std::io::Result<sandbox::Options> {
        let rows = folder.join("rows").join(self.name);
        std::fs::create_dir_all(&rows)?;
        let secrets: HashMap<&str, &str> = SECRETS.into();
        let setting = |(name, secret): &(&str, &str)| ((*name).to_owned(), json!(secrets.get(secret)));
        Ok(sandbox::Options {
            settings: self
                .secrets
                .iter()
                .map(setting)
                .chain((self.stand_in)())
                .collect(),
            folder: Some(rows),
            faults: trial.of(self.name),
            ..sandbox::Options::default()
        })
    }
}

/// The citizens of the register, in its own form.
pub(super) fn register() -> Vec<Value> {
    let lines = REGISTER.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .expect("the shipped register is JSON lines")
}
