//! The files under `samples/`, put together to cases.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use super::super::{Adapter, variants};
use super::compare::differences;
use crate::fault::Fault;
use crate::read::nearest;

/// Parts of a case of a webhook.
const TOLD: [&str; 3] = ["native", "patch", "refused"];

/// Parts of a case of a pull.
const ASKED: [&str; 5] = ["native", "natives", "patch", "refused", "acknowledge"];

/// Parts of a case of a look-up.
const ASKING: [&str; 11] = [
    "dossier",
    "item",
    "asked",
    "request",
    "otherwise",
    "meanwhile",
    "answer",
    "patch",
    "verdict",
    "refused",
    "with",
];

/// Parts of a case of a push.
const OUTBOUND: [&str; 16] = [
    "dossier", "item", "native", "natives", "find", "create", "update", "put", "echo", "found", "decision",
    "answer", "verdict", "verdicts", "refused", "with",
];

/// Parts of a case of a push with steps.
const STEPWISE: [&str; 11] = [
    "dossier", "find", "found", "state", "step", "call", "echo", "answer", "verdict", "refused", "with",
];

/// All samples of an adapter.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) cases: Vec<Case>,
}

/// One case: the files of one stem.
#[derive(Debug)]
pub(super) struct Case {
    /// `push.dossier`.
    pub(super) operation: String,
    /// Its folder under `samples/`: `push.dossier`, `push.dossier@lgsp`.
    pub(super) folder: String,
    /// The stem.
    pub(super) name: String,
    parts: BTreeMap<&'static str, Json>,
}

impl Samples {
    /// Reads the folders of the adapter's variant, or those of its base form. Faults: what cannot be read, and what
    /// belongs to no operation; with the base form, also what belongs to no variant.
    pub(super) fn open(adapter: &Adapter) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut cases: BTreeMap<(String, String), Case> = BTreeMap::new();
        let operations: Vec<_> = adapter.operations().collect();
        let known: Vec<_> = operations.iter().map(String::as_str).collect();
        let forms = variants(&adapter.folder);
        let forms: Vec<_> = forms.iter().map(String::as_str).collect();
        for name in names(&adapter.folder.join("samples")) {
            let folder = adapter.folder.join("samples").join(&name);
            let (operation, form) = match name.split_once('@') {
                Some((operation, form)) => (operation, Some(form)),
                None => (name.as_str(), None),
            };
            if form != adapter.variant.as_deref() {
                if adapter.variant.is_none() && form.is_some_and(|form| !forms.contains(&form)) {
                    faults.push(unknown(&name, form.unwrap_or_default(), &forms));
                }
                continue;
            }
            if !known.contains(&operation) {
                faults.push(unknown(&name, operation, &known));
                continue;
            }
            let push = operation.strip_prefix("push.");
            let push = push.and_then(|name| adapter.pushes.iter().find(|push| push.name == name));
            let parts: &[&'static str] = match push {
                Some(push) if push.steps().is_some() => &STEPWISE,
                Some(_) => &OUTBOUND,
                None if operation.starts_with("lookup.") => &ASKING,
                None if operation.starts_with("pull.") => &ASKED,
                None => &TOLD,
            };
            for file in names(&folder) {
                match part(&folder, &name, &file, parts) {
                    Ok((case, part, content)) => {
                        let case = cases
                            .entry((operation.to_owned(), case.clone()))
                            .or_insert_with(|| Case {
                                operation: operation.to_owned(),
                                folder: name.clone(),
                                name: case,
                                parts: BTreeMap::new(),
                            });
                        case.parts.insert(part, content);
                    }
                    Err(fault) => faults.push(fault),
                }
            }
        }
        (
            Self {
                cases: cases.into_values().collect(),
            },
            faults,
        )
    }

    /// Cases of this operation.
    pub(super) fn of<'s>(&'s self, operation: &'s str) -> impl Iterator<Item = &'s Case> {
        self.cases.iter().filter(move |case| case.operation == operation)
    }
}

impl Case {
    /// The content of a part.
    pub(super) fn part(&self, part: &str) -> Option<&Json> {
        self.parts.get(part)
    }

    /// Its file, relative to the adapter's folder.
    pub(super) fn file(&self, part: &str) -> String {
        format!("samples/{}/{}.{part}.json", self.folder, self.name)
    }

    /// A fault of this kind, about the whole case.
    pub(super) fn fault(&self, code: &str) -> Fault {
        Fault::new(code).file(format!("samples/{}/{}", self.folder, self.name))
    }

    /// What `with` says in place of a fixed value.
    pub(super) fn with(&self, key: &str) -> Option<&str> {
        self.part("with")?.get(key)?.as_str()
    }

    /// The target's own id that `with` says.
    pub(super) fn remote(&self) -> Option<&str> {
        self.with("remote")
    }

    /// The fault of a case that lacks a part.
    pub(super) fn incomplete(&self, expected: &str) -> Fault {
        let fault = self.fault("sample-incomplete").expected(expected);
        fault.remedy("add it")
    }

    /// Is this what the part says?
    pub(super) fn compare(&self, part: &'static str, found: &Json) -> Result<(), Fault> {
        let expected = self.part(part).unwrap_or(&Json::Null);
        match differences(expected, found) {
            None => Ok(()),
            Some(told) => Err(self.differs(part, told)),
        }
    }

    /// The fault of a part that is not what came out.
    pub(super) fn differs(&self, part: &str, told: String) -> Fault {
        let fault = Fault::new("sample-differs").file(self.file(part)).found(told);
        fault.remedy("correct the mapping, or the sample if the new result is right")
    }

    /// Was it refused as `refused` says? Any of the faults may be the one.
    pub(super) fn compare_refusal(&self, faults: &[Fault]) -> Result<(), Fault> {
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let Some(expected) = self.part("refused") else {
            return Err(self.fault("sample-refused").found(told.join(" · ")).remedy(
                "correct the mapping or the sample; a refusal that is meant has CASE.refused.json in place of the result",
            ));
        };
        let says = |key: &str| expected.get(key).and_then(Json::as_str);
        let fits = |fault: &Fault| {
            says("code").is_none_or(|code| code == fault.code)
                && says("field").is_none_or(|field| fault.field.as_deref() == Some(field))
                && says("names").is_none_or(|name| fault.to_string().contains(name))
        };
        if faults.iter().any(fits) {
            return Ok(());
        }
        if faults.is_empty() {
            return Err(self.differs("refused", "no refusal".to_owned()));
        }
        Err(self.differs("refused", told.join(" · ")))
    }
}

/// The fault of a folder whose name has a part that means nothing.
fn unknown(folder: &str, part: &str, known: &[&str]) -> Fault {
    let fault = Fault::new("sample-unknown").file(format!("samples/{folder}"));
    match nearest(part, known) {
        Some(near) => fault
            .expected(format!("`{near}`"))
            .remedy("correct the name of the folder"),
        None => fault
            .expected(
                "a folder per operation, named `webhook.NAME`, `pull.NAME`, `lookup.NAME` or `push.NAME`, with `@VARIANT` behind it for a \
                 variant's cases",
            )
            .remedy("rename or remove it"),
    }
}

/// One file: case, part, content.
fn part(
    folder: &Path,
    name: &str,
    file: &str,
    parts: &[&'static str],
) -> Result<(String, &'static str, Json), Fault> {
    let fault = |code: &str| Fault::new(code).file(format!("samples/{name}/{file}"));
    let named = file.strip_suffix(".json").and_then(|stem| stem.rsplit_once('.'));
    let part = named.and_then(|(_, part)| parts.iter().find(|known| **known == part));
    let ((name, _), part) = named.zip(part).ok_or_else(|| {
        fault("sample-unknown")
            .expected(format!(
                "CASE.PART.json with one of the parts {}",
                parts.join(", ")
            ))
            .remedy("rename or remove it")
    })?;
    let text = std::fs::read_to_string(folder.join(file))
        .map_err(|error| fault("sample-unreadable").found(error.to_string()))?;
    let content = serde_json::from_str(&text).map_err(|error: serde_json::Error| {
        fault("sample-unreadable")
            .line(error.line())
            .found(error.to_string())
            .expected("JSON")
    })?;
    Ok((name.to_owned(), part, content))
}

/// Names in a folder, sorted; hidden ones are left out.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
