//! Every folder under `adapters/` is well-formed, and its golden cases hold.

use std::path::Path;

use lienthong::adapter::{Site, contract, forms};

#[test]
fn every_adapter_keeps_its_contract() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for form in forms(&folder, &Site::sample(&name)) {
            match form {
                Err(faults) => wrong.extend(faults.iter().map(|fault| format!("{name}: {fault}"))),
                Ok(adapter) => {
                    for case in contract::run(&adapter) {
                        cases += 1;
                        if let Err(fault) = case.result {
                            wrong.push(format!("{name}/{}: {fault}", case.name));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(cases > 60, "only {cases} cases");
}
