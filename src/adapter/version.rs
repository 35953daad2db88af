//! The version of an adapter: a hash over everything that its mappings are made of.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::{manifest, variant};

/// Hash over the manifest, the variant, the filters and the tables, each with its name; 12 hex digits. Samples, the README
/// and variants that were not chosen are no part of it: they change no record.
pub(super) fn of(folder: &Path, variant: Option<&str>) -> String {
    let mut files = vec![folder.join(manifest::FILE)];
    files.extend(variant.map(|name| folder.join(variant::file(name))));
    files.extend(with_extension(folder, "jq"));
    files.extend(with_extension(&folder.join("tables"), "csv"));
    let mut hasher = Sha256::new();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let content = std::fs::read(&file).unwrap_or_default();
        for part in [name.as_bytes(), &content] {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
    }
    hex::encode(hasher.finalize()).chars().take(12).collect()
}

fn with_extension(folder: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_follows_the_chosen_variant_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("adapter.toml", "lienthong = 1");
        std::fs::create_dir(folder.path().join("variants")).unwrap();
        write("variants/lgsp.toml", "[connection]");
        write("variants/query.toml", "[connection]");
        let of = |variant| of(folder.path(), variant);
        let (base, lgsp, query) = (of(None), of(Some("lgsp")), of(Some("query")));
        assert_ne!(base, lgsp);
        assert_ne!(
            lgsp, query,
            "of two variants that say the same, each is a choice of its own"
        );
        write("variants/lgsp.toml", "[settings]");
        assert_ne!(of(Some("lgsp")), lgsp);
        assert_eq!((of(None), of(Some("query"))), (base, query));
    }

    #[test]
    fn version_follows_mappings_and_not_samples() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("adapter.toml", "lienthong = 1");
        let first = of(folder.path(), None);
        assert_eq!(first.len(), 12);
        write("README.md", "for people");
        assert_eq!(of(folder.path(), None), first);
        write("dossier.jq", ".");
        let second = of(folder.path(), None);
        assert_ne!(second, first);
        std::fs::rename(folder.path().join("dossier.jq"), folder.path().join("record.jq")).unwrap();
        assert_ne!(of(folder.path(), None), second);
    }
}
