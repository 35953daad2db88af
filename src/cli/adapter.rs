//! `adapter list`: the systems of a running node. `adapter check|test`: what an adapter's author runs while writing it;
//! needs no node.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::output::table;
use super::{CliError, Exit, NodeOptions, Output};
use crate::adapter::{self, Site, contract};
use crate::admin::adapter::Listed;
use crate::clock::local;
use crate::fault::Fault;

/// What `adapter` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The adapters of a running node: version, operations, whether they rest, and how deliveries to them stand.
    List {
        #[command(flatten)]
        node: NodeOptions,
    },
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
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        let reports: Vec<Report> = match &self {
            Self::List { node } => {
                let listed: Vec<Listed> = node.client()?.get(&["adapters"], &[]).await?;
                output.show(&listed, |listed| list(listed));
                return Ok(Exit::Done);
            }
            Self::Check { folders } => folders.iter().map(|folder| check(folder)).collect(),
            Self::Test { folders } => folders.iter().map(|folder| test(folder)).collect(),
        };
        output.show(&reports, |reports| {
            reports.iter().map(text).collect::<Vec<_>>().join("\n")
        });
        Ok(if reports.iter().any(|report| !report.faults.is_empty()) {
            Exit::Usage
        } else if reports
            .iter()
            .any(|report| report.cases.iter().any(|case| !case.passed))
        {
            Exit::Judged
        } else {
            Exit::Done
        })
    }
}

fn list(listed: &[Listed]) -> String {
    let dash = || "-".to_owned();
    table(
        [
            "ADAPTER",
            "SYSTEM",
            "HOST",
            "VERSION",
            "OPERATIONS",
            "CALLS",
            "DELIVERIES",
        ],
        listed.iter().map(|adapter| {
            let hosted = adapter.hosted.as_ref();
            let deliveries: Vec<String> = adapter
                .deliveries
                .iter()
                .map(|(state, count)| format!("{count} {state}"))
                .collect();
            let calls = match hosted {
                None => "not hosted here".to_owned(),
                Some(hosted) => hosted.pause.as_ref().map_or_else(
                    || "go on".to_owned(),
                    |pause| format!("paused until {}: {}", local(pause.until), pause.reason),
                ),
            };
            [
                match hosted.and_then(|hosted| hosted.variant.as_ref()) {
                    None => adapter.name.clone(),
                    Some(variant) => format!("{} ({variant})", adapter.name),
                },
                hosted.map_or_else(dash, |hosted| hosted.title.clone()),
                hosted.and_then(|hosted| hosted.host.clone()).unwrap_or_else(dash),
                hosted.map_or_else(dash, |hosted| hosted.version.clone()),
                hosted.map_or_else(dash, |hosted| hosted.operations.join(", ")),
                calls,
                if deliveries.is_empty() {
                    dash()
                } else {
                    deliveries.join(", ")
                },
            ]
        }),
    )
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
