//! Variants: `variants/NAME.toml` holds what is different where a system is reached in another way, and is laid over
//! `adapter.toml`. The site chooses one by its name.
//!
//! Tables are merged key by key, and `false` removes a key; over a key that is not there or is itself a yes or no, it is a
//! value like any other. A table that is a call is replaced whole: path, body and answer mean nothing without each
//! other. (`pull` and `lookup` are operations that have a call's keys among their own; they are merged, and so is
//! `[connection]`.) Lists are replaced whole. Filters and tables are the folder's, for all of its forms.

use std::path::Path;

use super::manifest::{FILE, unreadable};
use super::site::Site;
use crate::fault::Fault;
use crate::read::{Document, Meeting, nearest};

const FOLDER: &str = "variants";

/// The variant's file, from the folder of the adapter.
pub(super) fn file(name: &str) -> String {
    format!("{FOLDER}/{name}.toml")
}

/// Names of the variants of an adapter's folder, sorted.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(FOLDER))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The manifest with the variant of the site laid over it, if the site has chosen one.
///
/// # Errors
/// There is no such variant, or it cannot be read.
pub(super) fn over(manifest: Document, folder: &Path, site: &Site) -> Result<Document, Box<Fault>> {
    let Some(name) = &site.variant else {
        return Ok(manifest);
    };
    // Only what is in the list is opened: a name is no path.
    let names = names(folder);
    if !names.contains(name) {
        return Err(Box::new(unknown(name, &names, site)));
    }
    let file = file(name);
    match std::fs::read_to_string(folder.join(&file)) {
        Ok(text) => Ok(manifest.under(&file, &text)),
        Err(error) => Err(Box::new(unreadable(
            &file,
            &error,
            "make the file readable, or choose another variant",
        ))),
    }
}

fn unknown(name: &str, names: &[String], site: &Site) -> Fault {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fault = site
        .fault("variant-unknown", "variant")
        .found(format!("{name:?}"));
    match nearest(name, &names) {
        Some(near) => fault.expected(format!("\"{near}\"")).remedy("correct the name"),
        None if names.is_empty() => fault
            .expected("an adapter with a file in variants/")
            .remedy("remove the key: this adapter has no variants"),
        None => fault
            .expected(format!("one of: {}", names.join(", ")))
            .remedy("choose one of these, or remove the key"),
    }
}

/// What becomes of a key that the variant and the manifest have, by its full name.
pub(super) fn meeting(path: &[&str]) -> Meeting {
    match path {
        ["connection", "login"]
        | ["push", _, "find" | "create" | "update" | "put"]
        | ["push", _, "step", _]
        | ["pull", _, "acknowledge"] => Meeting::Whole,
        ["push", _, "echo"] => Meeting::Replace,
        _ => Meeting::Merge,
    }
}

/// Every text in the manifests of the adapter's other forms. What cannot be read there is told when that form is read.
pub(super) fn texts_beside(folder: &Path, site: &Site) -> Vec<String> {
    let variants = names(folder)
        .into_iter()
        .filter(|name| site.variant.as_ref() != Some(name));
    let files = variants.map(|name| file(&name));
    let base = site.variant.is_some().then(|| FILE.to_owned());
    let mut texts = Vec::new();
    for file in files.chain(base) {
        let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        for value in text.parse::<toml::Table>().unwrap_or_default().values() {
            collect(value, &mut texts);
        }
    }
    texts
}

fn collect(value: &toml::Value, texts: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => texts.push(text.clone()),
        toml::Value::Array(members) => members.iter().for_each(|member| collect(member, texts)),
        toml::Value::Table(table) => table.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}
