//! The adapters that come with the house.

use std::path::PathBuf;

use crate::adapter::{Site, check};

#[test]
fn shipped_adapters_are_sound() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("adapters");
    let schema = serde_json::from_str(include_str!("../../../schemas/adapter.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut told = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(manifest) = std::fs::read_to_string(entry.path().join("adapter.toml")) else {
            continue;
        };
        let faults = check(&entry.path(), &Site::sample(&name));
        told.extend(faults.iter().map(|fault| format!("{name}/{fault}")));
        if let Ok(manifest) = manifest.parse::<toml::Table>() {
            let manifest = serde_json::to_value(manifest).unwrap();
            let errors = validator.iter_errors(&manifest);
            told.extend(errors.map(|error| {
                format!(
                    "{name}/adapter.toml: schema: {error} at {}",
                    error.instance_path()
                )
            }));
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}
