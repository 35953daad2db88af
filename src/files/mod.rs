//! Files by content: each is kept once under the SHA-256 of its bytes, written before anything that speaks of it.
//!
//! A mapping never sees a file, only a reference `{"$file": sha256, size, type}`. Where bytes come in as base64 they are
//! cut out of the value before any jq runs ([`Files::cut`]), and a text that is none spoils its own record only
//! ([`unspoilt`]); on the way out a reference that became `as_link` or `as_base64`
//! is filled in when the body is written ([`Files::fill`]).

mod place;
pub mod shelf;

use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::fault::Fault;

pub use place::Place;
use place::Step;

/// Where a reference keeps the hash.
const HASH: &str = "$file";

/// What stands in place of a text that is no base64: its place.
const SPOILT: &str = "$spoilt";

/// The folder of files that are being written.
const COMING: &str = "coming";

/// A file that is still being written after so long has lost its writer.
const ABANDONED: Duration = Duration::from_hours(24);

/// What `as_link`, `as_links` and `as_base64` leave in a record, to be filled in.
const LINK: &str = "$link";
const LINKS: &str = "$links";
const BASE64: &str = "$base64";

/// The files of a store.
#[derive(Debug)]
pub struct Files {
    /// `None`: this node keeps none.
    folder: Option<PathBuf>,
    /// Address under which others reach them, without a slash at its end.
    url: OnceLock<String>,
}

impl Files {
    /// Files in this folder, which is made when the first one comes; `url`: what links begin with.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, url: Option<&str>) -> Self {
        let said = OnceLock::new();
        if let Some(url) = url {
            said.get_or_init(|| url.trim_end_matches('/').to_owned());
        }
        Self { folder, url: said }
    }

    /// What links begin with where nobody has said it.
    pub fn reached_at(&self, url: &str) {
        self.url.get_or_init(|| url.trim_end_matches('/').to_owned());
    }

    /// Keeps the bytes, durably, and gives their reference.
    ///
    /// # Errors
    /// `files-nowhere`, `files-unwritable`.
    pub fn put(&self, bytes: &[u8]) -> Result<Value, Fault> {
        let hash = hex::encode(Sha256::digest(bytes));
        let path = self.path(&hash)?;
        // Bytes of this name are these bytes, unless a disk has altered them. Who wrote them may have died before their name
        // was durable.
        let kept = if self.is_sound(&hash) {
            sync_folders(&path)
        } else {
            write(&path, bytes)
        };
        kept.map_err(|error| {
            Fault::new("files-unwritable")
                .field("files.folder")
                .found(error.to_string())
                .expected("a folder that the node may write to, on a disk with room")
                .remedy("see to the folder; what brought the file is tried again")
        })?;
        Ok(json!({HASH: hash, "size": bytes.len(), "type": media_type(bytes)}))
    }

    /// Removes what writers have left behind that died long ago.
    ///
    /// # Errors
    /// The folder cannot be read, or nothing can be removed from it.
    pub fn sweep(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let entries = match fs::read_dir(folder.join(COMING)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if age > ABANDONED {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The bytes under this hash.
    ///
    /// # Errors
    /// `file-missing`, `file-altered`.
    pub fn read(&self, hash: &str) -> Result<Vec<u8>, Fault> {
        let bytes = self.path(hash).ok().and_then(|path| fs::read(path).ok());
        let bytes = bytes.ok_or_else(|| {
            Fault::new("file-missing")
                .found("no file under this hash")
                .expected("the file that the dossier names")
                .remedy(
                    "have the system that the file came from say it again, or restore the folder of files",
                )
        })?;
        if hex::encode(Sha256::digest(&bytes)) != hash {
            return Err(Fault::new("file-altered")
                .found("other bytes than those that came in")
                .expected("the file that the dossier names")
                .remedy("restore the folder of files from its backup"));
        }
        Ok(bytes)
    }

    fn is_sound(&self, hash: &str) -> bool {
        self.read(hash).is_ok()
    }

    fn path(&self, hash: &str) -> Result<PathBuf, Fault> {
        let folder = self.folder.as_ref().ok_or_else(|| {
            Fault::new("files-nowhere")
                .field("files.folder")
                .found("nothing")
                .expected("a folder for the files that this node takes in")
                .remedy("add [files] with folder to lienthong.toml")
        })?;
        let named = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let head = hash.get(..2).filter(|_| named).ok_or_else(|| {
            Fault::new("file-missing")
                .found("a reference that is none")
                .expected("the SHA-256 of a file")
        })?;
        Ok(folder.join(head).join(hash))
    }

    /// Takes base64 out of a value and leaves references in its place. Empty text and null stay; in place of what is no
    /// base64 stands that it is none.
    ///
    /// # Errors
    /// The faults of [`Files::put`].
    pub fn cut(&self, value: &mut Value, places: &[Place]) -> Result<(), Fault> {
        places
            .iter()
            .try_for_each(|place| self.cut_at(value, &place.0, place))
    }

    fn cut_at(&self, value: &mut Value, steps: &[Step], place: &Place) -> Result<(), Fault> {
        let Some((step, rest)) = steps.split_first() else {
            let Value::String(text) = &*value else {
                return Ok(());
            };
            if text.is_empty() {
                return Ok(());
            }
            // Some systems break the lines, or say what follows.
            let plain: String = text
                .rsplit(";base64,")
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace()
                .collect();
            *value = match STANDARD.decode(plain) {
                Ok(bytes) => self.put(&bytes)?,
                Err(_) => json!({SPOILT: place.to_string()}),
            };
            return Ok(());
        };
        match (step, value) {
            (Step::Key(key), Value::Object(fields)) => match fields.get_mut(key) {
                Some(field) => self.cut_at(field, rest, place),
                None => Ok(()),
            },
            (Step::Each, Value::Array(members)) => members
                .iter_mut()
                .try_for_each(|member| self.cut_at(member, rest, place)),
            _ => Ok(()),
        }
    }

    /// Fills in what `as_link`, `as_links` and `as_base64` have left in a value.
    ///
    /// # Errors
    /// The faults of [`Files::read`].
    pub fn fill(&self, value: &Value) -> Result<Value, Fault> {
        self.filled(value, &|hash| Ok(STANDARD.encode(self.read(hash)?).into()))
    }

    /// The same with links only, for whoever wants to know what was sent: no file is read, of base64 the hash is left.
    #[must_use]
    pub fn linked(&self, value: &Value) -> Value {
        let Ok(linked) = self.filled::<Infallible>(value, &|hash| Ok(json!({BASE64: hash})));
        linked
    }

    /// The same as an example shows it: links to the address of nowhere.
    #[must_use]
    pub fn shown(value: &Value) -> Value {
        Self::new(None, Some("https://files.example.vn")).linked(value)
    }

    fn filled<E>(&self, value: &Value, base64: &dyn Fn(&str) -> Result<Value, E>) -> Result<Value, E> {
        match value {
            Value::Array(members) => members.iter().map(|member| self.filled(member, base64)).collect(),
            Value::Object(fields) => {
                if let Some(hash) = text(fields, BASE64) {
                    return base64(hash);
                }
                if let Some(hash) = text(fields, LINK) {
                    return Ok(self.link(hash, text(fields, "name")).into());
                }
                if let Some(Value::Array(links)) = fields.get(LINKS) {
                    let links: Vec<Value> = links.iter().map(|link| self.linked(link)).collect();
                    let links: Vec<&str> = links.iter().filter_map(Value::as_str).collect();
                    return Ok(links.join(text(fields, "between").unwrap_or_default()).into());
                }
                let filled = fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.filled(value, base64)?)));
                filled.collect::<Result<Map<_, _>, E>>().map(Value::Object)
            }
            plain => Ok(plain.clone()),
        }
    }

    /// Whether every file that a record names is there and unaltered.
    ///
    /// # Errors
    /// The fault of the first that is not.
    pub fn check(&self, record: &Value) -> Result<(), Fault> {
        match record {
            Value::Array(members) => members.iter().try_for_each(|member| self.check(member)),
            Value::Object(fields) => {
                if let Some(hash) = text(fields, BASE64).or(text(fields, LINK)) {
                    return self.read(hash).map(|_| ());
                }
                fields.values().try_for_each(|value| self.check(value))
            }
            _ => Ok(()),
        }
    }

    /// The address of a file under the name that people know it by.
    fn link(&self, hash: &str, name: Option<&str>) -> String {
        let url = self.url.get().map_or("", String::as_str);
        let name = name.filter(|name| !name.is_empty()).unwrap_or("tep");
        format!("{url}/files/{hash}/{}", crate::adapter::percent(name))
    }
}

fn text<'v>(fields: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    fields.get(key).and_then(Value::as_str)
}

/// Whether every file that a record brought is one.
///
/// # Errors
/// `bad-file` of the first that is none.
pub fn unspoilt(record: &Value) -> Result<(), Fault> {
    match record {
        Value::Array(members) => members.iter().try_for_each(unspoilt),
        Value::Object(fields) => match text(fields, SPOILT) {
            Some(place) => Err(Fault::new("bad-file")
                .field(place)
                .found("a text that is no base64")
                .expected("the bytes of a file in base64")
                .remedy("have the system mend the file; then have the record told or asked for again")),
            None => fields.values().try_for_each(unspoilt),
        },
        _ => Ok(()),
    }
}

/// The folders above a file: that of its first letters, and that of all files.
fn above(path: &Path) -> (&Path, &Path) {
    let folder = path.parent().unwrap_or(Path::new("."));
    (folder, folder.parent().unwrap_or(Path::new(".")))
}

/// In another folder first, so that a death leaves no half of a file under its name.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (folder, all) = above(path);
    let coming = all.join(COMING);
    for folder in [folder, &coming] {
        fs::create_dir_all(folder)?;
    }
    let beside = coming.join(uuid::Uuid::now_v7().simple().to_string());
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        // What cannot be written may not be removable either; the first error is the one to tell.
        drop(fs::remove_file(&beside));
        return Err(error);
    }
    sync_folders(path)
}

/// Makes the name of a file durable.
fn sync_folders(path: &Path) -> io::Result<()> {
    let (folder, all) = above(path);
    for folder in [Some(folder), Some(all), all.parent()].into_iter().flatten() {
        // The folder that a relative path begins in has no name.
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// What the first bytes say of a file; never its name.
#[must_use]
pub fn media_type(bytes: &[u8]) -> &'static str {
    const KNOWN: [(&[u8], &str); 6] = [
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"PK\x03\x04", "application/zip"),
    ];
    let known = KNOWN.iter().find(|(head, _)| bytes.starts_with(head));
    known.map_or("application/octet-stream", |(_, name)| name)
}

#[cfg(test)]
mod tests;
