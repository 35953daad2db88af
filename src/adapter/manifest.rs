//! Reads `adapter.toml` and what lies beside it, and says everything that is wrong with it at once.

use std::path::Path;
use std::sync::Arc;

use super::connection::Connection;
use super::lookup::Lookup;
use super::needs::Needs;
use super::pull::Pull;
use super::push::Push;
use super::push_manifest::Surroundings;
use super::push_rules::judge_order;
use super::requires::Requirement;
use super::selection::{Selection, Subscription};
use super::settings::Settings;
use super::site::Site;
use super::variant;
use super::webhook::Webhook;
use super::wire::Wire;
use super::workshop::Workshop;
use super::{Adapter, version};
use crate::dossier::Ownership;
use crate::fault::Fault;
use crate::jq::{Library, Tables};
use crate::read::{ANY, Document, Keys, Reader, Table, Value};

/// The manifest.
pub(super) const FILE: &str = "adapter.toml";

/// Version of the grammar that this code reads.
const GRAMMAR: u32 = 1;

/// Keys of the whole manifest.
pub(super) const KEYS: Keys = &[
    "lienthong",
    "title",
    "originates",
    "owns",
    "subscribe",
    "needs",
    "requires",
    "answer",
    "settings",
    "connection",
    "webhook",
    "pull",
    "lookup",
    "push",
];

/// The fault of a manifest or variant that cannot be read; `remedy`: what helps, unless it is in another encoding.
pub(super) fn unreadable(file: &str, error: &std::io::Error, remedy: &str) -> Fault {
    let (code, remedy) = match error.kind() {
        std::io::ErrorKind::InvalidData => ("manifest-encoding", "save the file as UTF-8"),
        _ => ("manifest-missing", remedy),
    };
    let fault = Fault::new(code).file(file).found(error.to_string());
    fault.expected("a file in UTF-8").remedy(remedy)
}

/// Loads the folder.
pub(super) fn load(folder: &Path, site: &Site) -> Result<Adapter, Vec<Fault>> {
    let text = std::fs::read_to_string(folder.join(FILE)).map_err(|error| {
        let remedy = format!("write {}", folder.join(FILE).display());
        vec![unreadable(FILE, &error, &remedy)]
    })?;
    let document = variant::over(Document::new(FILE, text), folder, site).map_err(|fault| vec![*fault])?;
    let reader = Reader::overlaid(&document, variant::meeting);
    let report = |faults: Vec<Fault>| reader.report_all(faults);

    let (tables, faults) = Tables::open_what_is_sound(&folder.join("tables"));
    report(faults);
    let tables = Arc::new(tables);
    let (library, faults) = Library::open_what_is_sound(folder, Arc::clone(&tables));
    report(faults);
    let adapter = read(folder, site, &reader, library.as_ref(), &tables);
    let faults = reader.into_faults();
    match adapter {
        Some(adapter) if faults.is_empty() => Ok(adapter),
        _ => Err(faults),
    }
}

fn read(
    folder: &Path,
    site: &Site,
    reader: &Reader<'_>,
    library: Option<&Library>,
    tables: &Tables,
) -> Option<Adapter> {
    let root = reader.root(KEYS);
    root.demand(&[
        ("lienthong", "`lienthong = 1`, the version of this grammar"),
        ("title", "the system's name for people"),
        ("connection", "[connection] with protocol and url"),
    ]);
    if let Some(value) = root.get("lienthong")
        && value.number(1).is_some_and(|version| version != GRAMMAR)
    {
        let fault = value.fault("unknown-grammar").expected(GRAMMAR.to_string());
        value.report(fault.remedy("use a release of lienthong that knows this version"));
    }
    let title = root.get("title").and_then(|value| value.text());
    let settings = root.get("settings").and_then(|value| value.table(ANY));
    let (mut settings, faults) = Settings::read(settings.as_ref(), site);
    reader.report_all(faults);

    let workshop = Workshop::new(folder, library, tables, settings.secret_keys());
    let dossiers = Dossiers::read(&root, &workshop);
    let pushes = operations(&root, "push", Push::KEYS);
    let connection = root
        .get("connection")
        .and_then(|value| value.table(Connection::KEYS));
    let wire = Wire::read(
        connection.as_ref(),
        root.get("answer").as_ref(),
        site,
        &mut settings,
        &workshop,
    );
    let wire = Arc::new(wire);
    let connection =
        connection.and_then(|table| Connection::read(&table, &wire, !pushes.is_empty(), &workshop));

    let webhooks = operations(&root, "webhook", Webhook::KEYS)
        .iter()
        .filter_map(|(name, table)| Webhook::read(name, table, &settings, &workshop))
        .collect();
    let pulls = operations(&root, "pull", Pull::KEYS)
        .iter()
        .filter_map(|(name, table)| Pull::read(name, table, &wire, &workshop))
        .collect();
    let lookups = operations(&root, "lookup", Lookup::KEYS);
    judge_paths(&root);
    judge_order(&pushes);
    if !pushes.is_empty() || !lookups.is_empty() {
        root.demand(&[
            (
                "subscribe",
                "which dossiers it takes, as in `subscribe = { procedures = [\"*\"] }`",
            ),
            ("needs", "what its mappings may see, as in `needs = [\"*\"]`"),
        ]);
    }
    let settle = connection
        .as_ref()
        .map(|connection| connection.settle)
        .unwrap_or_default();
    let pushes = pushes
        .iter()
        .filter_map(|(name, table)| {
            Push::read(
                name,
                table,
                Surroundings {
                    wire: &wire,
                    settle,
                    reports: root.has("webhook") || root.has("pull"),
                    workshop: &workshop,
                },
            )
        })
        .collect();
    let lookups = lookups
        .iter()
        .filter_map(|(name, table)| Lookup::read(name, table, &wire, &workshop))
        .collect();
    workshop.overlook(&variant::texts_beside(folder, site));
    workshop
        .unused()
        .into_iter()
        .for_each(|fault| reader.report(fault));
    Some(Adapter {
        name: site.name.clone(),
        title: title?.to_owned(),
        folder: folder.to_owned(),
        variant: site.variant.clone(),
        version: version::of(folder, site.variant.as_deref()),
        originates: dossiers.originates,
        owns: dossiers.owns,
        subscribe: dossiers.subscribe,
        needs: dossiers.needs,
        requires: dossiers.requires,
        connection: connection?,
        webhooks,
        pulls,
        lookups,
        pushes,
    })
}

/// The part of the manifest that speaks of dossiers.
struct Dossiers {
    originates: Selection,
    owns: Ownership,
    subscribe: Option<Subscription>,
    needs: Needs,
    requires: Vec<Requirement>,
}

impl Dossiers {
    fn read(root: &Table<'_>, workshop: &Workshop<'_>) -> Self {
        let originates = root
            .get("originates")
            .and_then(|value| Selection::read(&value, workshop));
        let subscribe = root
            .get("subscribe")
            .and_then(|value| value.table(Subscription::KEYS))
            .map(|table| Subscription::read(&table, workshop));
        let requires = root
            .get("requires")
            .and_then(|value| value.table(Requirement::KEYS));
        Self {
            originates: originates.unwrap_or_default(),
            owns: owns(root).unwrap_or_default(),
            subscribe,
            needs: root
                .get("needs")
                .and_then(|value| Needs::read(&value))
                .unwrap_or_default(),
            requires: requires.as_ref().map(Requirement::read_all).unwrap_or_default(),
        }
    }
}

/// `owns` of this table; the faults of single rights stand at their own lines.
pub(crate) fn owns(of: &Table<'_>) -> Option<Ownership> {
    let value = of.get("owns")?;
    let table = value.table(ANY)?;
    let faults = match Ownership::parse(&value.json()) {
        Ok(owns) => return Some(owns),
        Err(faults) => faults,
    };
    for fault in faults {
        let name = fault.field.clone().unwrap_or_default();
        let line = table
            .entries()
            .find(|(key, _)| *key == name)
            .map_or(table.line(), |(_, value)| value.line());
        let (file, line) = value.reader.place(line);
        of.report(fault.field(table.field(&name)).file(file).line(line));
    }
    None
}

/// Two webhooks at one path would be one.
fn judge_paths(root: &Table<'_>) {
    let webhooks = root
        .get("webhook")
        .filter(Value::is_table)
        .and_then(|value| value.table(ANY));
    let mut paths = Vec::new();
    for (_, webhook) in webhooks
        .iter()
        .flat_map(Table::entries)
        .filter(|(_, value)| value.is_table())
    {
        let path = webhook
            .table(ANY)
            .and_then(|table| table.get("path"))
            .filter(Value::is_text);
        let Some((value, path)) = path.as_ref().and_then(|value| Some((value, value.text()?))) else {
            continue;
        };
        if paths.contains(&path) {
            let fault = value.fault("webhook-twice").found(format!("{path:?}"));
            value.report(fault.expected("a path of its own").remedy("choose another path"));
        }
        paths.push(path);
    }
}

/// The operations of a kind, by name. Names are parts of addresses, folders and columns.
fn operations<'r>(root: &Table<'r>, kind: &str, keys: Keys) -> Vec<(&'r str, Table<'r>)> {
    let Some(all) = root.get(kind).and_then(|value| value.table(ANY)) else {
        return Vec::new();
    };
    let mut operations = Vec::new();
    for (name, value) in all.entries() {
        let good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
        if !good {
            let fault = value.fault("bad-name").found(format!("{name:?}"));
            value.report(
                fault
                    .expected("small letters, digits, `-` and `_`, a letter first")
                    .remedy("choose another name"),
            );
        }
        operations.extend(value.table(keys).map(|table| (name, table)));
    }
    operations
}
