//! `demo`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::output::table;
use super::{CliError, Exit, Output};
use crate::demo::{self, DemoError, Report};

/// What `demo` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Dossiers in the one-stop's own format, one JSON object a line, in place of the shipped ones.
    #[arg(long)]
    input: Option<PathBuf>,
    /// How many dossiers; more than there are: copies under other codes.
    #[arg(long)]
    dossiers: Option<usize>,
    /// Adapter folders in place of the shipped ones.
    #[arg(long, env = "LIENTHONG_ADAPTERS")]
    adapters: Option<PathBuf>,
    /// Leave everything running after the verdict, to look around with the other verbs, until Ctrl-C; keep the folder.
    #[arg(long)]
    keep: bool,
}

impl Options {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        if std::env::var_os("LIENTHONG_LOG").is_some() {
            super::run::log(false);
        }
        let options = demo::Options {
            input: self.input,
            dossiers: self.dossiers,
            adapters: self.adapters,
        };
        let (world, report) = demo::run(&options, |text| output.progress(text)).await?;
        output.show(&report, text);
        if self.keep {
            let socket = world.node().admin().display().to_string();
            output.progress(&format!(
                "\nEverything is still running; in another terminal:\n  export LIENTHONG_SOCKET={socket}\n  \
                 lienthong status\n  lienthong dossier list\n  lienthong dead-letter list\nfolder {}\nCtrl-C ends it.",
                world.folder().display()
            ));
            tokio::signal::ctrl_c().await.context("listen for Ctrl-C")?;
        }
        let clean = report.is_clean();
        world.stop(self.keep).await;
        Ok(if clean { Exit::Done } else { Exit::Judged })
    }
}

impl From<DemoError> for CliError {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Faults(faults) => Self::Faults(faults),
            DemoError::Node(error) => error.into(),
            DemoError::Store(_) | DemoError::Folder(_) => Self::Other(error.into()),
        }
    }
}

fn text(report: &Report) -> String {
    let systems = table(
        [
            "SYSTEM",
            "EXPECTED",
            "PRESENT",
            "MISSING",
            "DUPLICATES",
            "DIFFERENT",
            "REFUSED",
            "PARKED",
        ],
        report.systems.iter().map(|system| {
            let parked: Vec<String> = system
                .parked
                .iter()
                .map(|(cause, count)| format!("{count} {cause}"))
                .collect();
            [
                system.name.clone(),
                system.expected.to_string(),
                system.present.to_string(),
                system.missing.to_string(),
                system.duplicates.to_string(),
                system.different.to_string(),
                system.refused.to_string(),
                if parked.is_empty() {
                    "0".to_owned()
                } else {
                    parked.join(", ")
                },
            ]
        }),
    );
    let millis = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value} ms"));
    let findings: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("\n  {finding}"))
        .collect();
    format!(
        "{} dossiers · broker {} · store {}\n\n{systems}\n\n\
         No clerk typed {} records with {} fields again.\n\
         From the counter's webhook to the portal's commit: p50 {}, p99 {}.\n{}{}",
        report.dossiers,
        report.broker,
        report.store,
        report.avoided.records,
        report.avoided.fields,
        millis(report.latency_ms.p50),
        millis(report.latency_ms.p99),
        if report.is_clean() {
            "Everything is where it should be, once and true."
        } else {
            "NOT everything is where it should be:"
        },
        findings.concat(),
    )
}
