//! Every folder under `adapters/` is well-formed, and its golden cases hold.

use std::path::Path;

use lienthong::adapter::{Adapter, Site, contract, forms};

#[test]
fn every_adapter_keeps_its_contract() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
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

#[test]
fn example_of_the_guide_works_and_every_case_that_it_shows_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut blocks = include_str!("../adapters/README.md").split("\n```").skip(1);
    while let (Some(block), Some(_)) = (blocks.next(), blocks.next()) {
        let (head, content) = block.split_once('\n').unwrap();
        if let Some((_, file)) = head.split_once(' ') {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, format!("{content}\n")).unwrap();
        }
    }
    let adapter = Adapter::load(folder.path(), &Site::sample("library-permits")).unwrap();
    let (shown, missing): (Vec<_>, Vec<_>) = contract::run(&adapter)
        .into_iter()
        .partition(|case| !matches!(&case.result, Err(fault) if fault.code == "sample-missing"));
    for case in &shown {
        assert_eq!(case.result, Ok(()), "{}", case.name);
    }
    assert_eq!((shown.len(), missing.is_empty()), (4, false));
}
