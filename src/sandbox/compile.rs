//! Reads and compiles a `sandbox.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::manifest::{self, Manifest};
use super::plan::{Plan, Route, Send, Work};
use super::route::Pattern;
use super::rows::no_table;
use crate::fault::Fault;
use crate::jq::{Escape, Filter, Library, Place, Tables, Text};

/// How long to wait before telling again, unless the manifest says otherwise.
const PAUSE: &str = "1s";

impl Plan {
    /// Reads and compiles everything.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn read(folder: &Path, overrides: Map<String, Value>) -> Result<Self, Vec<Fault>> {
        let manifest = Manifest::read(folder).map_err(|fault| vec![fault])?;
        let home = folder.join("sandbox");
        let tables = Arc::new(Tables::open(&home.join("tables"))?);
        let library = Library::open(&home, tables)?;
        let mut reader = Reader {
            jq: library,
            faults: Vec::new(),
        };

        let mut settings = manifest.settings;
        for (key, value) in overrides {
            match settings.get_mut(&key) {
                Some(setting) => *setting = value,
                None => reader.faults.push(
                    Fault::new("manifest-unknown-key")
                        .file("sandbox.toml")
                        .field(format!("settings.{key}"))
                        .expected("a setting of the stand-in"),
                ),
            }
        }
        for table in manifest.send.iter().map(|send| &send.table) {
            if manifest.tables.get(table).is_none_or(String::is_empty) {
                reader.faults.push(
                    Fault::new("manifest-value")
                        .file("sandbox.toml")
                        .field("send.table")
                        .found(table)
                        .expected("a table whose rows have a key"),
                );
            }
        }
        let sessions = manifest.faults.session_lost;
        for table in &sessions {
            if !manifest.tables.contains_key(table) {
                let fault = no_table(table).file("sandbox.toml");
                reader.faults.push(fault.field("faults.session_lost"));
            }
        }
        let error_in_200 = manifest.faults.error_in_200.and_then(|code| {
            let key = "faults.error_in_200".to_owned();
            reader.filter(&code, &["settings", "now", "id"], key)
        });
        let plan = Self {
            error_in_200,
            sessions,
            keys: reader.keys(&manifest.tables),
            settings: Value::Object(settings),
            routes: manifest
                .route
                .into_iter()
                .enumerate()
                .filter_map(|(n, route)| reader.route(n, route))
                .collect(),
            works: manifest
                .work
                .into_iter()
                .enumerate()
                .filter_map(|(n, work)| reader.work(n, work))
                .collect(),
            sends: manifest
                .send
                .into_iter()
                .enumerate()
                .filter_map(|(n, send)| reader.send(n, send))
                .collect(),
        };
        for table in plan
            .routes
            .iter()
            .filter_map(|route| route.sees.as_ref())
            .flat_map(BTreeMap::keys)
        {
            if !plan.keys.contains_key(table) {
                reader
                    .faults
                    .push(no_table(table).file("sandbox.toml").field("route.sees"));
            }
        }
        if reader.faults.is_empty() {
            Ok(plan)
        } else {
            Err(reader.faults)
        }
    }
}

/// Where an expression of `sandbox.toml` stands.
fn place(key: String) -> Place {
    Place {
        file: "sandbox.toml".to_owned(),
        line: 0,
        key,
    }
}

/// Compiles, and collects what is wrong.
struct Reader {
    jq: Library,
    faults: Vec<Fault>,
}

impl Reader {
    fn filter(&mut self, code: &str, variables: &[&str], key: String) -> Option<Filter> {
        self.keep(|library| library.compile(code, variables, &place(key)))
    }

    fn text(&mut self, template: &str, variables: &[&str], key: String) -> Option<Text> {
        self.keep(|library| library.text(template, variables, &place(key), Escape::None))
    }

    fn keep<T>(&mut self, compile: impl FnOnce(&Library) -> Result<T, Vec<Fault>>) -> Option<T> {
        match compile(&self.jq) {
            Ok(compiled) => Some(compiled),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    fn duration(&mut self, text: &str, key: String) -> Option<Duration> {
        let duration = text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok());
        let duration = duration.filter(|duration| !duration.is_zero());
        if duration.is_none() {
            let fault = Fault::new("manifest-value")
                .file("sandbox.toml")
                .field(key)
                .found(text);
            self.faults
                .push(fault.expected("a time span such as \"1s\" or \"500ms\""));
        }
        duration
    }

    fn keys(&mut self, tables: &BTreeMap<String, String>) -> BTreeMap<String, Option<Filter>> {
        let key = |name: &String| format!("tables.{name}");
        tables
            .iter()
            .map(|(name, code)| {
                let filter = if code.is_empty() {
                    None
                } else {
                    self.filter(code, &[], key(name))
                };
                (name.clone(), filter)
            })
            .collect()
    }

    fn route(&mut self, n: usize, route: manifest::Route) -> Option<Route> {
        let pattern = Pattern::parse(&route.on)
            .map_err(|fault| self.faults.push(fault))
            .ok();
        let names = &["settings", "now", "id", "db"];
        let when = route
            .when
            .as_ref()
            .map(|code| self.filter(code, names, format!("route[{n}].when")));
        let answer = self.filter(&route.answer, names, format!("route[{n}].answer"));
        let sees = route.sees.map(|sees| {
            let filter = |(table, code): (String, String)| {
                let filter = self.filter(
                    &code,
                    &["settings", "now", "id"],
                    format!("route[{n}].sees.{table}"),
                )?;
                Some((table, filter))
            };
            sees.into_iter().map(filter).collect::<Option<BTreeMap<_, _>>>()
        });
        Some(Route {
            name: route.name.unwrap_or(route.on),
            pattern: pattern?,
            when: optional(when)?,
            sees: optional(sees)?,
            answer: answer?,
        })
    }

    fn work(&mut self, n: usize, work: manifest::Work) -> Option<Work> {
        let every = self.duration(&work.every, format!("work[{n}].every"));
        let answer = self.filter(
            &work.answer,
            &["settings", "now", "id"],
            format!("work[{n}].answer"),
        );
        Some(Work {
            name: work.name.unwrap_or_else(|| format!("work {n}")),
            every: every?,
            answer: answer?,
        })
    }

    fn send(&mut self, n: usize, send: manifest::Send) -> Option<Send> {
        let key = |part: &str| format!("send[{n}].{part}");
        let when = send
            .when
            .as_ref()
            .map(|code| self.filter(code, &["settings"], key("when")));
        let url = self.text(&send.url, &["settings"], key("url"));
        let headers: Option<Vec<_>> = send
            .headers
            .into_iter()
            .map(|(name, text)| {
                let text = self.text(&text, &["settings", "raw"], key(&format!("headers.{name}")))?;
                Some((name, text))
            })
            .collect();
        let body = self.filter(&send.body, &["settings"], key("body"));
        let done = send
            .done
            .as_ref()
            .map(|code| self.filter(code, &["settings"], key("done")));
        let pause = self.duration(send.pause.as_deref().unwrap_or(PAUSE), key("pause"));
        Some(Send {
            table: send.table,
            when: optional(when)?,
            url: url?,
            headers: headers?,
            body: body?,
            done: optional(done)?,
            pause: pause?,
        })
    }
}

/// What was not asked for is fine; what was asked for must have been read.
#[expect(
    clippy::option_option,
    reason = "absent, unreadable and read are three things"
)]
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}
