//! `[settings]`: values for jq, the site's over the manifest's, and which of them are secret.

use serde_json::{Map, Value};

use super::site::Site;
use crate::fault::Fault;
use crate::jq::Scope;
use crate::read::{Table, nearest, secret};

/// What every jq of an adapter sees, whatever it is about.
#[derive(Clone)]
pub(super) struct Settings {
    site: Site,
    whole: Value,
    visible: Value,
    secret_keys: Vec<String>,
    secrets: Vec<String>,
}

impl Settings {
    /// Reads the table, lays the site's settings over it and fills in the secrets.
    pub(super) fn read(table: Option<&Table<'_>>, site: &Site) -> (Self, Vec<Fault>) {
        let mut settings = Self {
            site: site.clone(),
            whole: Value::Null,
            visible: Value::Null,
            secret_keys: Vec::new(),
            secrets: Vec::new(),
        };
        let mut faults = Vec::new();
        let mut whole = Map::new();
        let mut visible = Map::new();
        let mut take = |settings: &mut Self, key: &str, value: Value, fault: &dyn Fn(&str) -> Fault| {
            let (full, seen) = settings.resolve(value, site, fault, &mut faults);
            match seen {
                Some(seen) => drop(visible.insert(key.to_owned(), seen)),
                None => settings.secret_keys.push(key.to_owned()),
            }
            whole.insert(key.to_owned(), full);
        };
        let site_fault = |code: &str, key: &str| site.fault(code, &format!("settings.{key}"));
        let (mut known, mut unfit) = (Vec::new(), Vec::new());
        for (key, value) in table.iter().flat_map(|table| table.entries()) {
            known.push(key);
            if let Some(stated) = site.settings.get(key) {
                let (expected, found) = (kind(&value.json()), kind(stated));
                if expected != found {
                    let fault = site_fault("wrong-type", key).found(found).expected(expected);
                    unfit.push(fault.remedy("write it as the adapter's manifest does"));
                }
            } else {
                take(&mut settings, key, value.json(), &|code| value.fault(code));
            }
        }
        for (key, value) in &site.settings {
            take(&mut settings, key, value.clone(), &|code| site_fault(code, key));
            if !known.contains(&key.as_str()) {
                let fault = site_fault("unknown-setting", key);
                unfit.push(match nearest(key, &known) {
                    Some(near) => fault.expected(format!("`{near}`")).remedy("correct the name"),
                    None => fault
                        .expected("a setting that the manifest declares")
                        .remedy("remove it, or declare it in [settings] of adapter.toml"),
                });
            }
        }
        settings.whole = Value::Object(whole);
        settings.visible = Value::Object(visible);
        faults.extend(unfit);
        (settings, faults)
    }

    /// The value with its secrets filled in, and what mappings may see of it.
    fn resolve(
        &mut self,
        value: Value,
        site: &Site,
        fault: &dyn Fn(&str) -> Fault,
        faults: &mut Vec<Fault>,
    ) -> (Value, Option<Value>) {
        match value {
            Value::String(text) => match self.reveal(&text, site, fault) {
                Ok(None) => (Value::String(text.clone()), Some(Value::String(text))),
                Ok(Some(secret)) => (Value::String(secret), None),
                Err(fault) => {
                    faults.push(*fault);
                    (Value::Null, None)
                }
            },
            Value::Object(entries) => {
                let mut whole = Map::new();
                let mut visible = Map::new();
                for (key, value) in entries {
                    let (full, seen) = self.resolve(value, site, fault, faults);
                    if let Some(seen) = seen {
                        visible.insert(key.clone(), seen);
                    }
                    whole.insert(key, full);
                }
                (Value::Object(whole), Some(Value::Object(visible)))
            }
            other => (other.clone(), Some(other)),
        }
    }

    /// The secret that `${NAME}` stands for; `None` for plain text.
    pub(super) fn reveal(
        &mut self,
        text: &str,
        site: &Site,
        fault: &dyn Fn(&str) -> Fault,
    ) -> Result<Option<String>, Box<Fault>> {
        let Ok(name) = secret::name(text) else {
            let fault = fault("bad-secret")
                .found("`${` inside other text")
                .expected("\"${NAME}\" alone");
            return Err(Box::new(
                fault.remedy("make the secret a setting of its own and join it in jq"),
            ));
        };
        let Some(name) = name else { return Ok(None) };
        let Some(secret) = site.secret(name) else {
            let fault = fault("secret-missing").found(format!("{name} is not set"));
            return Err(Box::new(fault.remedy(format!(
                "set {name}, or {name}_FILE to the file that holds it, in the environment"
            ))));
        };
        if !secret.is_empty() {
            self.secrets.push(secret.clone());
        }
        Ok(Some(secret))
    }

    /// A setting that is a text, and no secret.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.visible.get(name)?.as_str()
    }

    /// A fault of this kind in a setting, if it is the site that has set it.
    pub(super) fn fault_of_site(&self, name: &str, code: &str) -> Option<Fault> {
        let is_sites = self.site.settings.contains_key(name);
        is_sites.then(|| self.site.fault(code, &format!("settings.{name}")))
    }

    /// Settings that mappings do not see.
    pub(super) fn secret_keys(&self) -> &[String] {
        &self.secret_keys
    }

    /// The secrets themselves, to be masked.
    pub(super) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// What a mapping sees: no secrets.
    pub(super) fn mapping(&self) -> Scope {
        Scope::new()
            .with("settings", &self.visible)
            .with("system", Value::from(self.site.name.as_str()))
    }

    /// What a call sees: secrets too.
    pub(super) fn call(&self, scope: &Scope) -> Scope {
        scope
            .clone()
            .with("settings", &self.whole)
            .with("system", Value::from(self.site.name.as_str()))
    }
}

/// What people call the kind of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("site", &self.site)
            .field("visible", &self.visible)
            .finish_non_exhaustive()
    }
}
