//! `lienthong.toml`: what a site says about its node. Every fault is reported at once, with file, line and remedy.
//!
//! ```toml
//! [store]
//! url = "sqlite:///var/lib/lienthong/lienthong.db"
//! [broker]
//! url = "loopback:"                        # or "amqps://account@mq.example.vn/lienthong", then also:
//! password = "${RABBITMQ_PASSWORD}"
//! ca = "ca.pem"                            # the CA of the broker, where it is a private one
//! accounts = { 0198c1 = "so-tu-phap" }      # store id = account, where the account is not called like the store
//! [http]
//! listen = "127.0.0.1:8080"
//! [admin]
//! socket = "/run/lienthong/admin.sock"
//! [adapters]
//! folder = "/usr/share/lienthong/adapters"
//! [files]                                  # where records bring files
//! folder = "/var/lib/lienthong/files"
//! url = "https://lienthong.example.vn"     # under which other systems fetch them
//! [adapter.one-stop]                       # one table for each system that this node hosts
//! url = "https://motcua.example.vn"        # in place of the manifest's connection.url
//! settings = { files = "https://motcua.example.vn" }
//! [adapter.portal]
//! use = "national-portal"                  # the adapter's folder, where it is not the system's name
//! variant = "lgsp"                         # lays variants/lgsp.toml over its manifest
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::adapter::{Adapter, Site};
use crate::broker::Address;
use crate::fault::Fault;
use crate::read::{Document, Reader, Table, secret};

/// Where a node's admin socket lies unless the site says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lienthong/admin.sock";

/// Where webhooks are taken unless the site says otherwise: this machine only.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Looks up the environment that `${NAME}` refers to.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a configuration names, with its secrets.
pub struct Resolved {
    /// The adapters that the node hosts.
    pub adapters: Vec<Adapter>,
    /// Address of the store.
    pub store: String,
    /// How the broker is reached.
    pub broker: Address,
}

/// The configuration of a node.
#[derive(Clone)]
pub struct Config {
    /// Address of the store: `sqlite:///path/to/file.db` or `postgres://user@host/database`; or `${NAME}`, for one that
    /// holds a password.
    pub store: String,
    /// The broker: `loopback:` or RabbitMQ.
    pub broker: Address,
    /// Where webhooks are taken.
    pub listen: SocketAddr,
    /// The admin socket.
    pub socket: PathBuf,
    /// Folder of the adapter folders.
    pub adapters: PathBuf,
    /// Folder of the files that records bring.
    pub files: Option<PathBuf>,
    /// Address under which others reach those files.
    pub files_url: Option<String>,
    /// Systems that this node hosts.
    pub systems: Vec<System>,
    /// Where secrets come from.
    pub environment: Environment,
}

/// A system that the node hosts.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name at this site.
    pub name: String,
    /// Name of the adapter folder.
    pub folder: String,
    /// Name of the variant that is laid over the adapter's manifest.
    pub variant: Option<String>,
    /// Address in place of the manifest's.
    pub url: Option<String>,
    /// Settings over those of the manifest.
    pub settings: Map<String, Value>,
}

impl Config {
    /// Reads a configuration; secrets come from this process's environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(file: &Path) -> Result<Self, Vec<Fault>> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            vec![
                Fault::new("config-unreadable")
                    .file(file.display().to_string())
                    .found(error.to_string())
                    .expected("a configuration file")
                    .remedy("give its path with --config; deploy/lienthong.toml is one to start from"),
            ]
        })?;
        let mut config = Self::parse(&file.display().to_string(), text)?;
        // Paths are meant from where the file lies.
        if let Some(parent) = file.parent() {
            config.adapters = parent.join(&config.adapters);
            config.files = config.files.map(|files| parent.join(files));
            config.broker.ca = config.broker.ca.map(|ca| parent.join(ca));
        }
        Ok(config)
    }

    /// Parses a configuration; `file` is its name in faults.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: String) -> Result<Self, Vec<Fault>> {
        let document = Document::new(file, text);
        let reader = Reader::new(&document);
        let config = read_root(&reader);
        let faults = reader.into_faults();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    /// Loads every adapter that the configuration names, and the addresses with their secrets.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn resolve(&self) -> Result<Resolved, Vec<Fault>> {
        match (self.load_adapters(), self.store_address(), self.broker_address()) {
            (Ok(adapters), Ok(store), Ok(broker)) => Ok(Resolved {
                adapters,
                store,
                broker,
            }),
            (adapters, store, broker) => {
                let mut faults = adapters.err().unwrap_or_default();
                faults.extend(store.err());
                faults.extend(broker.err());
                Err(faults)
            }
        }
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
        if let Some(password) = &self.broker.password {
            address.password = Some(self.with_secret("broker.password", password)?);
        }
        Ok(address)
    }

    /// The text of a field, or the secret that it names.
    fn with_secret(&self, field: &str, text: &str) -> Result<String, Fault> {
        let fault = |code| Fault::new(code).file("lienthong.toml").field(field);
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
                                .file("lienthong.toml")
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
                        "lienthong.toml" => file,
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

fn read_root(reader: &Reader<'_>) -> Option<Config> {
    let root = reader.root(&["store", "broker", "http", "admin", "adapters", "files", "adapter"]);
    root.demand(&[
        (
            "store",
            "[store] with `url = \"sqlite:///var/lib/lienthong/lienthong.db\"`",
        ),
        (
            "adapters",
            "[adapters] with `folder`, the folder of the adapter folders",
        ),
        (
            "adapter",
            "a table [adapter.NAME] for each system that this node hosts",
        ),
    ]);
    let store = section(&root, "store", &["url"], "url");
    let broker = broker(&root);
    let listen = section(&root, "http", &["listen"], "listen");
    let socket = section(&root, "admin", &["socket"], "socket");
    let folder = section(&root, "adapters", &["folder"], "folder");
    let listen = if let Ok(listen) = listen.as_deref().unwrap_or(DEFAULT_LISTEN).parse() {
        Some(listen)
    } else {
        root.report(
            root.fault_at("bad-address", "http")
                .expected("an address and a port, as in \"127.0.0.1:8080\"")
                .remedy("correct http.listen"),
        );
        None
    };
    let systems = systems(&root);
    let files = root
        .get("files")
        .and_then(|value| value.table(&["folder", "url"]));
    let of_files = |key| files.as_ref()?.get(key)?.text().map(str::to_owned);
    if let Some(files) = &files {
        files.demand(&[(
            "folder",
            "a folder for the files that records bring, on a disk that is backed up",
        )]);
        let url = files.get("url").and_then(|value| value.text().map(str::to_owned));
        if url.is_some_and(|url| {
            !["http://", "https://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        }) {
            files.report(
                files
                    .fault_at("bad-address", "url")
                    .expected(
                        "an address that other systems can open, as in \"https://lienthong.example.vn\"",
                    )
                    .remedy("correct files.url"),
            );
        }
    }
    Some(Config {
        files: of_files("folder").map(PathBuf::from),
        files_url: of_files("url"),
        store: store?,
        broker: broker.unwrap_or_else(|| Address::from("loopback:")),
        listen: listen?,
        socket: socket.unwrap_or_else(|| DEFAULT_SOCKET.to_owned()).into(),
        adapters: folder?.into(),
        systems,
        environment: Arc::new(|name| std::env::var(name).ok()),
    })
}

/// How the broker is reached; the password still as it is written.
fn broker(root: &Table<'_>) -> Option<Address> {
    let table = root
        .get("broker")?
        .table(&["url", "password", "ca", "accounts"])?;
    table.demand(&[("url", "url")]);
    let text = |key| table.get(key).and_then(|value| value.text()).map(str::to_owned);
    let accounts = table.get("accounts").and_then(|value| {
        let accounts = value.table(&[])?;
        let account = |(store, value): (&str, crate::read::Value<'_>)| {
            Some((store.to_owned(), value.text()?.to_owned()))
        };
        Some(accounts.entries().filter_map(account).collect())
    });
    Some(Address {
        url: text("url")?,
        password: text("password"),
        ca: text("ca").map(PathBuf::from),
        accounts: accounts.unwrap_or_default(),
    })
}

/// The one text of a small section.
fn section(root: &Table<'_>, name: &str, keys: &'static [&'static str], key: &str) -> Option<String> {
    let table = root.get(name)?.table(keys)?;
    table.demand(&[(key, key)]);
    Some(table.get(key)?.text()?.to_owned())
}

fn systems(root: &Table<'_>) -> Vec<System> {
    let Some(table) = root.get("adapter").and_then(|value| value.table(&[])) else {
        return Vec::new();
    };
    table
        .entries()
        .filter_map(|(name, value)| {
            let table = value.table(&["use", "variant", "url", "settings"])?;
            let text = |key| table.get(key).and_then(|value| value.text()).map(str::to_owned);
            // Anything but a table is reported by the reader.
            let settings = match table.get("settings") {
                Some(value) if value.table(&[]).is_some() => value.json(),
                _ => Value::Null,
            };
            Some(System {
                name: name.to_owned(),
                folder: text("use").unwrap_or_else(|| name.to_owned()),
                variant: text("variant"),
                url: text("url"),
                settings: settings.as_object().cloned().unwrap_or_default(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_configuration_and_its_adapters_have_no_fault() {
        let text = include_str!("../deploy/lienthong.toml").to_owned();
        let mut config = Config::parse("lienthong.toml", text).unwrap();
        config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        config.environment = Arc::new(|name| Some(name.to_lowercase()));
        let adapters = config.load_adapters().unwrap();
        let names: Vec<&str> = adapters.iter().map(|adapter| adapter.name.as_str()).collect();
        let all = [
            "driving-licence",
            "judicial-records",
            "national-portal",
            "one-stop",
            "population",
        ];
        assert_eq!(names, all);
    }

    #[test]
    fn every_fault_of_a_configuration_is_told_at_once() {
        let text = "[stor]\nurl = \"sqlite:x\"\n[http]\nlisten = \"everywhere\"\n[adapters]\nfolder = 7\n\
                    [adapter.one-stop]\nurls = \"https://motcua.example.vn\"\n";
        let faults = Config::parse("lienthong.toml", text.to_owned()).err().unwrap();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "lienthong.toml:1: [unknown-key] stor: expected `store`; next correct the name or remove the key",
                "lienthong.toml:1: [missing-key] store: next add [store] with \
                 `url = \"sqlite:///var/lib/lienthong/lienthong.db\"`",
                "lienthong.toml:3: [bad-address] http: expected an address and a port, as in \"127.0.0.1:8080\"; \
                 next correct http.listen",
                "lienthong.toml:6: [wrong-type] adapters.folder: found a whole number; expected text; \
                 next write it in the expected form",
                "lienthong.toml:8: [unknown-key] adapter.one-stop.urls: expected `url`; \
                 next correct the name or remove the key",
            ]
        );
    }

    #[test]
    fn system_that_brings_files_needs_a_folder_for_them_and_an_address_that_others_can_open() {
        let text = |files: &str| {
            format!(
                "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n{files}[adapter.driving-licence]\n"
            )
        };
        let mut config = Config::parse("lienthong.toml", text("")).unwrap();
        config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        config.environment = Arc::new(|name| Some(name.to_lowercase()));
        let told: Vec<String> = config
            .load_adapters()
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            ["lienthong.toml: [files-nowhere] files.folder: \
              found none, and lookup.papers of `driving-licence` brings files; \
              expected a folder for them, on a disk that is backed up; next add [files] with folder and url"]
        );
        config.files = Some("files".into());
        assert!(config.load_adapters().is_ok());

        let unsound = text("[files]\nfolder = \"files\"\nurl = \"lienthong.example.vn\"\n");
        let faults = Config::parse("lienthong.toml", unsound).err().unwrap();
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "lienthong.toml:7: [bad-address] files.url: expected an address that other systems can open, as in \
              \"https://lienthong.example.vn\"; next correct files.url"
            ]
        );
    }

    #[test]
    fn system_is_reached_through_the_variant_that_the_site_has_chosen() {
        let load = |chosen: &str| {
            let text = format!(
                "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n[adapter.portal]\n\
                 use = \"national-portal\"\n{chosen}"
            );
            let mut config = Config::parse("lienthong.toml", text).unwrap();
            config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
            config.environment = Arc::new(|name| name.contains("CLIENT").then(|| name.to_lowercase()));
            config.load_adapters()
        };
        let adapter = load("variant = \"lgsp\"").unwrap().swap_remove(0);
        assert_eq!(adapter.variant.as_deref(), Some("lgsp"));
        let told = |chosen: &str| -> Vec<String> {
            let faults = load(chosen).unwrap_err();
            faults.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            told("variant = \"lgps\""),
            [
                "lienthong.toml: [variant-unknown] adapter.portal.variant: found \"lgps\"; expected \"lgsp\"; next \
              correct the name"
            ]
        );
        assert_eq!(
            told("variant = \"lgsp\"\nsettings = { agency = \"H57\" }"),
            [
                "lienthong.toml: [unknown-setting] adapter.portal.settings.agency: expected a setting that the manifest \
              declares; next remove it, or declare it in [settings] of adapter.toml"
            ]
        );
        let missing = told("");
        assert_eq!(
            missing.len(),
            2,
            "the base form asks for its own secrets: {missing:?}"
        );
        assert!(
            missing[0].starts_with("national-portal/adapter.toml:"),
            "{missing:?}"
        );
    }

    #[test]
    fn address_of_the_store_may_be_a_secret() {
        let resolve = |url: &str| {
            let text =
                format!("[store]\nurl = \"{url}\"\n[adapters]\nfolder = \"adapters\"\n[adapter.one-stop]\n");
            let mut config = Config::parse("lienthong.toml", text).unwrap();
            config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
            config.environment = Arc::new(|name| (!name.starts_with("ABSENT")).then(|| name.to_lowercase()));
            config.resolve().map(|resolved| resolved.store)
        };
        assert_eq!(resolve("sqlite:x").unwrap(), "sqlite:x");
        assert_eq!(resolve("${STORE_URL}").unwrap(), "store_url");
        for (url, told) in [
            (
                "${ABSENT}",
                "lienthong.toml: [secret-missing] store.url: found ABSENT is not set; next set ABSENT, or ABSENT_FILE to \
                 the file that holds it, in the environment",
            ),
            (
                "postgres://lienthong:${PASSWORD}@db/lienthong",
                "lienthong.toml: [bad-secret] store.url: found `${` inside other text; expected \"${NAME}\" alone; next \
                 let the secret be the whole address, or leave the password to PGPASSWORD or ~/.pgpass",
            ),
        ] {
            let faults = resolve(url).unwrap_err();
            assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [told]);
        }
    }

    #[test]
    fn two_systems_cannot_listen_under_one_path() {
        let text = "[store]\nurl = \"sqlite:x\"\n[adapters]\nfolder = \"adapters\"\n[adapter.one-stop]\n\
                    [adapter.second]\nuse = \"one-stop\"\n";
        let mut config = Config::parse("lienthong.toml", text.to_owned()).unwrap();
        config.adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        config.environment = Arc::new(|name| Some(name.to_lowercase()));
        let faults = config.load_adapters().err().unwrap();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].code, "webhook-path-taken");
    }
}
