//! `adapter check|test`: what an adapter's author runs while writing it. Needs no node.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::{Exit, Output};
use crate::adapter::{self, Site, contract};
use crate::fault::Fault;

/// What `adapter` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read adapter folders and each of their variants, and report every fault at once: file, line, code, remedy.
    Check {
        /// Adapter folders.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Run the samples of adapter folders and of each of their variants, each as a test of its own.
    Test {
        /// Adapter folders.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
}

/// What became of one folder.
#[derive(Debug, Serialize)]
struct Report {
    folder: PathBuf,
    faults: Vec<Fault>,
    cases: Vec<Case>,
}

#[derive(Debug, Serialize)]
struct Case {
    name: String,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

impl Command {
    pub(super) fn run(self, output: Output) -> Exit {
        let reports: Vec<Report> = match &self {
            Self::Check { folders } => folders.iter().map(|folder| check(folder)).collect(),
            Self::Test { folders } => folders.iter().map(|folder| test(folder)).collect(),
        };
        output.show(&reports, |reports| {
            reports.iter().map(text).collect::<Vec<_>>().join("\n")
        });
        if reports.iter().any(|report| !report.faults.is_empty()) {
            Exit::Usage
        } else if reports
            .iter()
            .any(|report| report.cases.iter().any(|case| !case.passed))
        {
            Exit::Judged
        } else {
            Exit::Done
        }
    }
}

/// The adapter's name is that of its folder, also where the path ends in `.` or `/`.
fn name(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn check(folder: &Path) -> Report {
    let faults = adapter::check(folder, &Site::sample(&name(folder)));
    Report {
        folder: folder.to_owned(),
        faults,
        cases: Vec::new(),
    }
}

fn test(folder: &Path) -> Report {
    let mut report = Report {
        folder: folder.to_owned(),
        faults: Vec::new(),
        cases: Vec::new(),
    };
    for form in adapter::forms(folder, &Site::sample(&name(folder))) {
        match form {
            Err(faults) => adapter::add_new(&mut report.faults, faults),
            Ok(adapter) => report
                .cases
                .extend(contract::run(&adapter).into_iter().map(|case| {
                    let fault = case.result.err();
                    Case {
                        name: case.name,
                        passed: fault.is_none(),
                        fault,
                    }
                })),
        }
    }
    report
}

fn text(report: &Report) -> String {
    let folder = report.folder.display();
    let mut lines: Vec<String> = report
        .faults
        .iter()
        .map(|fault| format!("{folder}/{fault}"))
        .collect();
    lines.extend(report.cases.iter().map(|case| match &case.fault {
        None => format!("ok    {}", case.name),
        Some(fault) => format!("FAIL  {}\n      {fault}", case.name),
    }));
    let failed = report.cases.iter().filter(|case| !case.passed).count();
    lines.push(match (report.faults.len(), report.cases.len()) {
        (0, 0) => format!("{folder}: no faults"),
        (0, cases) => format!("{folder}: {} passed, {failed} failed", cases - failed),
        (faults, _) => format!("{folder}: {faults} fault(s)"),
    });
    lines.join("\n")
}
