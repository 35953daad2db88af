//! Every folder under `adapters/` is well-formed, and its golden cases hold.

use std::collections::BTreeMap;
use std::path::Path;

use lienthong::adapter::{Adapter, Site, Word, contract, forms};
use lienthong::jq::Scope;
use serde_json::Value;

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
fn gateways_404_is_no_word_of_any_shipped_system() {
    // A gateway's own JSON, a page for people, nothing at all.
    let bodies: [&[u8]; 3] = [
        br#"{"code": 404, "message": "No matching resource found"}"#,
        b"<html><body><h1>404 Not Found</h1></body></html>",
        b"",
    ];
    let scope = [
        "now", "token", "dossier", "record", "item", "key", "remote", "id", "since", "until", "page",
    ]
    .into_iter()
    .fold(Scope::new(), |scope, name| scope.with(name, Value::Null));
    let mut judged = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for adapter in forms(&folder, &Site::sample(&name)) {
            let adapter = adapter.unwrap();
            let writes = adapter.pushes.iter().flat_map(|push| {
                let find = push.find.as_ref().map(|find| &find.call);
                [push.create(), push.update(), find].into_iter().flatten()
            });
            let asks = adapter.lookups.iter().map(|lookup| &lookup.call);
            let pulls = adapter.pulls.iter().map(|pull| &pull.call);
            for call in writes.chain(asks).chain(pulls) {
                for body in bodies {
                    let answer = call.decode(404, BTreeMap::new(), body);
                    let verdict = call.judge(&answer.as_ref(), &scope);
                    let said = String::from_utf8_lossy(body);
                    assert_eq!(
                        verdict.word,
                        Word::Retry,
                        "{name}, {}: {said} {verdict:?}",
                        call.name
                    );
                    judged += 1;
                }
            }
        }
    }
    assert!(judged > 60, "only {judged}");
}

/// Sections of a README for a system's officials, who find each in the same place everywhere.
const SECTIONS: [&str; 5] = [
    "What it is and who runs it",
    "What flows which way",
    "Credentials and whom to ask",
    "Peculiarities",
    "How to try it",
];

#[test]
fn every_readme_has_its_sections_in_one_order() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(text.starts_with("# "), "{}: a title", folder.display());
        let parts: Vec<(&str, &str)> = text
            .split("\n## ")
            .skip(1)
            .map(|part| part.split_once('\n').unwrap())
            .collect();
        let titles: Vec<&str> = parts.iter().map(|(title, _)| *title).collect();
        assert_eq!(titles, SECTIONS, "{}", folder.display());
        for (title, content) in parts {
            assert!(!content.trim().is_empty(), "{}: {title}", folder.display());
        }
    }
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
