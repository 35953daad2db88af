//! `adapter`: the systems that this node is joined with, and how they are getting on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::AdminError;
use crate::adapter::Adapter;
use crate::stage::{Pause, Shared};

/// An adapter as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listed {
    /// Name of the system at this site.
    pub name: String,
    /// What the node runs for it; absent: there are records of it here, but the node does not host it (any more).
    pub hosted: Option<Hosted>,
    /// Deliveries to it, by state.
    pub deliveries: BTreeMap<String, i64>,
}

/// An adapter that the node runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hosted {
    /// Name of the system for people.
    pub title: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The variant of its manifest that the site has chosen.
    pub variant: Option<String>,
    /// Version of its manifest, mappings and tables.
    pub version: String,
    /// Its operations: `webhook.dossier`, `pull.changes`, `lookup.identity`, `push.progress`.
    pub operations: Vec<String>,
    /// Host and port under which the system is reached; absent where the address has none.
    pub host: Option<String>,
    /// Why nothing is sent to it now, and until when.
    pub pause: Option<Pause>,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<Listed>>, AdminError> {
    let counts = shared.store.counts().await?;
    let mut deliveries: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (adapter, _, state, count) in counts.deliveries {
        *deliveries.entry(adapter).or_default().entry(state).or_default() += count;
    }
    let kept: BTreeSet<String> = counts
        .inbox
        .into_iter()
        .map(|(adapter, _, _)| adapter)
        .chain(deliveries.keys().cloned())
        .filter(|name| shared.adapter(name).is_none())
        .collect();
    let hosted = shared
        .adapters
        .iter()
        .map(|adapter| (adapter.name.clone(), Some(hosted(&shared, adapter))));
    let gone = kept.into_iter().map(|name| (name, None));
    let listed = hosted.chain(gone).map(|(name, hosted)| Listed {
        deliveries: deliveries.remove(&name).unwrap_or_default(),
        name,
        hosted,
    });
    Ok(Json(listed.collect()))
}

fn hosted(shared: &Shared, adapter: &Adapter) -> Hosted {
    Hosted {
        title: adapter.title.clone(),
        folder: adapter.folder.clone(),
        variant: adapter.variant.clone(),
        version: adapter.version.clone(),
        operations: adapter.operations().collect(),
        host: host(&adapter.connection.url),
        pause: shared.pauses.of(&adapter.name, shared.clock.now()),
    }
}

/// Of an address only where it leads: the rest may hold secrets.
fn host(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_host_and_port_are_told() {
        for (url, told) in [
            ("https://portal.example.vn/api?key=x", Some("portal.example.vn")),
            ("http://user:secret@10.0.0.7:8080/x", Some("10.0.0.7:8080")),
            ("http://[::1]:9", Some("[::1]:9")),
            ("folder", None),
        ] {
            assert_eq!(host(url).as_deref(), told, "{url}");
        }
    }
}
