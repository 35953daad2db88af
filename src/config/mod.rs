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
//! [province.adapters.driving-licence]      # a system that another store's node hosts
//! account = "so-giao-thong"                # through which that node speaks at the broker
//! owns = { status = "always" }             # as in the adapter's manifest: what it may write
//! ```

mod load;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::adapter;
use crate::broker::Address;
use crate::dossier::Ownership;
use crate::fault::Fault;
use crate::read::{ANY, Document, Reader, Table};

pub use load::Resolved;

/// Where a node's admin socket lies unless the site says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lienthong/admin.sock";

/// Where webhooks are taken unless the site says otherwise: this machine only.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Looks up the environment that `${NAME}` refers to.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The configuration of a node.
#[derive(Clone)]
pub struct Config {
    /// What its file is called in faults.
    pub file: String,
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
    /// What the province has agreed on of each adapter, by its name; of those that this node hosts it may be left out.
    pub province: BTreeMap<String, Agreed>,
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

/// What the whole province has to know of an adapter, to judge what is said in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Account at the broker of the store that hosts it.
    pub account: String,
    /// What it may write.
    pub owns: Ownership,
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
        let config = read_root(&reader, file);
        let faults = reader.into_faults();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }
}

fn read_root(reader: &Reader<'_>, file: &str) -> Option<Config> {
    let root = reader.root(&[
        "store", "broker", "http", "admin", "adapters", "files", "adapter", "province",
    ]);
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
        file: file.to_owned(),
        files: of_files("folder").map(PathBuf::from),
        files_url: of_files("url"),
        store: store?,
        broker: broker.unwrap_or_else(|| Address::from("loopback:")),
        listen: listen?,
        socket: socket.unwrap_or_else(|| DEFAULT_SOCKET.to_owned()).into(),
        adapters: folder?.into(),
        systems,
        province: province(&root),
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
        speakers: BTreeMap::new(),
    })
}

/// The one text of a small section.
fn section(root: &Table<'_>, name: &str, keys: &'static [&'static str], key: &str) -> Option<String> {
    let table = root.get(name)?.table(keys)?;
    table.demand(&[(key, key)]);
    Some(table.get(key)?.text()?.to_owned())
}

/// What the province has agreed on of its adapters.
fn province(root: &Table<'_>) -> BTreeMap<String, Agreed> {
    let adapters = root
        .get("province")
        .and_then(|value| value.table(&["adapters"])?.get("adapters")?.table(ANY));
    let agreed = |(name, value): (&str, crate::read::Value<'_>)| {
        let table = value.table(&["account", "owns"])?;
        table.demand(&[
            ("account", "the account at the broker of the node that hosts it"),
            ("owns", "`owns` as it stands in its adapter.toml"),
        ]);
        let account = table.get("account").and_then(|value| value.text());
        let owns = adapter::owns(&table);
        Some((
            name.to_owned(),
            Agreed {
                account: account?.to_owned(),
                owns: owns?,
            },
        ))
    };
    adapters.map_or_else(BTreeMap::new, |table| {
        table.entries().filter_map(agreed).collect()
    })
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
mod tests;
