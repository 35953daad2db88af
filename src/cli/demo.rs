//! `demo`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::live::Live;
use super::output::table;
use super::{CliError, Exit, Output};
use crate::demo::{self, DemoError, News, Report, Suffered, Trial, World};

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
    /// Address of an empty store for the node, in place of a file of its own.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Address of a RabbitMQ in place of the broker inside the process: a virtual host that nobody else uses.
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// Have the stand-ins answer late, fail, cut connections, be busy and lose sessions meanwhile.
    #[arg(long)]
    faults: bool,
    /// Which faults, by number; the demo says which it chose. The same number gives the same ones.
    #[arg(long, requires = "faults")]
    seed: Option<u64>,
    /// Leave everything running after the verdict, to look around with the other verbs, until Ctrl-C; keep the folder.
    #[arg(long)]
    keep: bool,
}

impl Options {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        if std::env::var_os("LIENTHONG_LOG").is_some() {
            super::run::log(false);
        }
        let trial = if self.faults {
            Trial::new(self.seed.unwrap_or_else(any_seed))
        } else {
            Trial::default()
        };
        let options = demo::Options {
            input: self.input,
            dossiers: self.dossiers,
            adapters: self.adapters,
            store: self.store,
            broker: self.broker,
            trial,
        };
        let live = Live::new(output);
        let (world, report) = demo::run(&options, |news| match news {
            News::Story(text) => live.say(text),
            News::Standing(standing) => live.show(&standing.to_string()),
        })
        .await?;
        drop(live);
        output.show(&report, text);
        if self.keep {
            output.progress(&what_now(&world));
            tokio::signal::ctrl_c().await.context("listen for Ctrl-C")?;
        }
        let clean = report.is_clean();
        world.stop(self.keep).await;
        Ok(if clean { Exit::Done } else { Exit::Judged })
    }
}

/// Where everything is that still runs, as lines to paste: the program is called there as it was called here.
fn what_now(world: &World) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "lienthong".to_owned());
    format!(
        "\nEverything is still running. Paste into another terminal, in this folder, first the line that begins with export:\n\n\
         export LIENTHONG_SOCKET='{}' ONE_STOP='{}'\n\
         {program} status\n{program} dossier list\n{program} dead-letter list\n\n\
         Its files are in {}\nCtrl-C ends it.",
        world.node().admin().display(),
        world.one_stop().url(),
        world.folder().display()
    )
}

/// A seed that is short enough to be typed again.
fn any_seed() -> u64 {
    uuid::Uuid::now_v7().as_u64_pair().1 % 1_000_000
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
    let avoided: Vec<String> = report
        .avoided
        .iter()
        .map(|(system, avoided)| {
            format!(
                "{} records with {} fields at {system}",
                avoided.records, avoided.fields
            )
        })
        .collect();
    let checked: Vec<String> = report
        .identity
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    format!(
        "{} dossiers · broker {} · store {}\n\n{systems}\n\n\
         No clerk typed again: {}.\n\
         A field is what that system's form asks a clerk for; its own keys, times and file names, and what follows from\n\
         other fields, are not counted.\n\
         Applicants checked against the population database: {}.\n\
         From the counter's webhook to the portal's commit: p50 {}, p99 {}.\n{}{}{}",
        report.dossiers,
        report.broker,
        report.store,
        avoided.join(", "),
        checked.join(", "),
        millis(report.latency_ms.p50),
        millis(report.latency_ms.p99),
        report.faults.as_ref().map(suffered).unwrap_or_default(),
        if report.is_clean() {
            "Everything is where it should be, once and true."
        } else {
            "NOT everything is where it should be:"
        },
        findings.concat(),
    )
}

/// How often each fault took effect, and what was left in doubt.
fn suffered(suffered: &Suffered) -> String {
    let bitten = table(
        ["SYSTEM", "FAULT", "TIMES"],
        suffered.bitten.iter().flat_map(|(system, kinds)| {
            kinds
                .iter()
                .map(|(kind, times)| [system.clone(), kind.title().to_owned(), times.to_string()])
        }),
    );
    let doubts: Vec<String> = suffered
        .in_doubt
        .iter()
        .map(|doubt| {
            let there = if doubt.present { "there" } else { "not there" };
            format!("\n  {} progress of {}: {there}", doubt.step.code, doubt.step.at)
        })
        .collect();
    let in_doubt = match doubts.len() {
        0 => "No call was left in doubt.".to_owned(),
        count => format!(
            "Progress entries parked in doubt, as their calls ended unclear and the portal shows none: {count}.\n\
             A person has to look there; the judge has looked too:{}",
            doubts.concat()
        ),
    };
    let declarations = match suffered.lost_declarations.as_slice() {
        [] => String::new(),
        codes => format!(
            "\nDeclarations that a person has to look for, as that system can be neither asked nor told again: {}.",
            codes.join(", ")
        ),
    };
    format!(
        "\nFaults, seed {}:\n{bitten}\n\n{in_doubt}{declarations}\n\n",
        suffered.seed
    )
}
