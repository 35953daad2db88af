//! What all runs share: the adapters, compiled once, and empty stores, migrated once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use lienthong::adapter::{Adapter, Site};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::oracle::asked::Class;

/// Name of the system that the dossiers come from.
pub(crate) const SOURCE: &str = "source";

/// Most nodes of a run.
pub(crate) const NODES: usize = 2;

/// What is made once.
pub(crate) struct Kit {
    adapters: BTreeMap<String, Arc<Adapter>>,
    /// The bytes of an empty store, for each node: stores that were copied from one would be one to the others.
    stores: Vec<Vec<u8>>,
    folder: TempDir,
    files: AtomicU64,
}

impl Kit {
    /// The kit of this process.
    pub(crate) fn get() -> &'static Self {
        static KIT: OnceLock<Kit> = OnceLock::new();
        KIT.get_or_init(Self::make)
    }

    fn make() -> Self {
        // A file system in memory, where there is one: nothing here survives the process, and nobody waits for a disk.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::Builder::new()
                .prefix("lienthong-simulation-")
                .tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.unwrap();
        let stores = (0..NODES).map(|number| empty_store(&folder.path().join(format!("empty-{number}.db"))));
        let names = std::fs::read_dir(adapters()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let adapters = names
            .map(|name| (name.clone(), Arc::new(load(&adapters().join(&name), &name))))
            .collect();
        Self {
            adapters,
            stores: stores.collect(),
            folder,
            files: AtomicU64::new(0),
        }
    }

    /// The adapter of a system.
    pub(crate) fn adapter(&self, name: &str) -> Arc<Adapter> {
        Arc::clone(&self.adapters[name])
    }

    /// The adapter of a system with another manifest: `change` is given the text.
    pub(crate) fn changed(&self, name: &str, change: impl FnOnce(String) -> String) -> Arc<Adapter> {
        let text = std::fs::read_to_string(adapters().join(name).join("adapter.toml")).unwrap();
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        for entry in std::fs::read_dir(adapters().join(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        std::fs::write(folder.path().join("adapter.toml"), change(text)).unwrap();
        Arc::new(load(folder.path(), name))
    }

    /// An empty store of its own for this node; the file goes with what is given back.
    pub(crate) fn store(&self, node: usize) -> StoreFile {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.path().join(format!("{number}.db"));
        std::fs::write(&file, &self.stores[node]).unwrap();
        StoreFile(file)
    }
}

/// The file of a store.
pub(crate) struct StoreFile(PathBuf);

impl StoreFile {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        for beside in ["", "-wal", "-shm", ".lock"] {
            let mut name = self.0.clone().into_os_string();
            name.push(beside);
            // Not all of them are always there.
            drop(std::fs::remove_file(name));
        }
    }
}

/// Runs everything of one run on its thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// The bytes of a store that was just made in this file.
fn empty_store(file: &Path) -> Vec<u8> {
    runtime().block_on(async {
        drop(
            lienthong::store::open(&format!("sqlite://{}", file.display()))
                .await
                .unwrap(),
        );
        // All of it into the one file that is copied.
        let mut connection = SqliteConnectOptions::new()
            .filename(file)
            .connect()
            .await
            .unwrap();
        sqlx::query("pragma wal_checkpoint(truncate)")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
    std::fs::read(file).unwrap()
}

/// Name of the adapter folder of a class.
pub(crate) fn name_of(class: Class) -> String {
    serde_json::to_value(class).unwrap().as_str().unwrap().to_owned()
}

fn adapters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/adapters")
}

fn load(folder: &Path, name: &str) -> Adapter {
    let loaded = Adapter::load(folder, &Site::new(name, |_| None));
    loaded.unwrap_or_else(|faults| panic!("{name}: {faults:?}"))
}
