//! `dossier list|show|history`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::output::table;
use super::{CliError, Exit, NodeOptions, Output, history};
use crate::admin::dossier::{Shown, System};
use crate::admin::history::Story;
use crate::clock::local;
use crate::dossier::history::Overtaken;
use crate::store::{ReplicaSummary, State};

/// What `dossier` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Dossiers that this node knows, last changed first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        node: NodeOptions,
    },
    /// Where a dossier is: per system there or not, since when, else what it waits for and why.
    Show {
        /// Any code of the dossier, or its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        code: String,
        #[command(flatten)]
        node: NodeOptions,
    },
    /// Everything that happened to a dossier: what each event wrote and what became of it, conflicts, deliveries, decisions.
    History {
        /// Any code of the dossier, or its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        code: String,
        #[command(flatten)]
        node: NodeOptions,
    },
}

impl Command {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        match self {
            Self::List { limit, node } => {
                let rows: Vec<ReplicaSummary> = node
                    .client()?
                    .get(&["dossiers"], &[("limit", limit.to_string())])
                    .await?;
                output.show(&rows, |rows| list(rows));
            }
            Self::Show { code, node } => {
                let shown: Shown = node.client()?.get(&["dossiers", &code], &[]).await?;
                output.show(&shown, text);
            }
            Self::History { code, node } => {
                let story: Story = node.client()?.get(&["dossiers", &code, "history"], &[]).await?;
                output.show(&story, history::text);
            }
        }
        Ok(Exit::Done)
    }
}

fn list(rows: &[ReplicaSummary]) -> String {
    table(
        ["CODE", "CHANGED", "OPEN", "PARKED"],
        rows.iter().map(|row| {
            [
                row.code.clone().unwrap_or_else(|| row.id.to_string()),
                local(row.updated),
                row.open.to_string(),
                row.parked.to_string(),
            ]
        }),
    )
}

fn text(shown: &Shown) -> String {
    let codes: Vec<String> = shown
        .links
        .iter()
        .map(|(system, codes)| format!("{system} {}", codes.join(", ")))
        .collect();
    format!(
        "dossier    {}\norigin     {} {}\ncodes      {}\nprocedure  {}\nstatus     {}\nchanged    {}\n\n{}",
        shown.code.as_deref().unwrap_or("no official code yet"),
        shown.origin.system,
        shown.origin.native,
        codes.join(" · "),
        shown.procedure.as_deref().unwrap_or("not known"),
        status(shown.status.as_deref(), shown.overtaken.as_ref()),
        local(shown.updated),
        table(
            ["SYSTEM", "THERE", "UNDER", "SINCE", "STILL TO COME"],
            shown.systems.iter().map(system)
        ),
    )
}

/// The status, and the newest report of it where that one moved nothing.
pub(super) fn status(current: Option<&str>, overtaken: Option<&Overtaken>) -> String {
    let current = current.unwrap_or("not known");
    match overtaken {
        None => current.to_owned(),
        Some(report) => format!(
            "{current}; {} has reported {}{}, which is not legal after that and moves nothing",
            report.system,
            report.value,
            report.at.map_or_else(String::new, |at| format!(" ({at})"))
        ),
    }
}

fn system(system: &System) -> [String; 5] {
    let dash = || "-".to_owned();
    let open: Vec<String> = system
        .open
        .iter()
        .map(|open| {
            let letter = open.letter.as_ref();
            let letter = letter.map_or_else(String::new, |letter| format!(" ({letter})"));
            format!("{}: {}{letter}", open.what, state(&open.state))
        })
        .collect();
    [
        system.name.clone(),
        if system.there { "yes" } else { "no" }.to_owned(),
        system.native.clone().unwrap_or_else(dash),
        system.since.map_or_else(dash, local),
        if open.is_empty() {
            "nothing".to_owned()
        } else {
            open.join(" · ")
        },
    ]
}

pub(super) fn state(state: &State) -> String {
    match state {
        State::Applied => "there".to_owned(),
        State::Due => "next in turn".to_owned(),
        State::Waiting {
            requirement,
            until: None,
        } => match requirement.strip_prefix("after ") {
            Some(push) => format!("waits until {push} is there"),
            None => format!("waits for {requirement}"),
        },
        State::Waiting {
            requirement,
            until: Some(until),
        } => {
            format!("waits for {requirement} until {}", local(*until))
        }
        State::InDoubt { until } => {
            format!(
                "a call may have taken effect; the system is asked after {}",
                local(*until)
            )
        }
        State::BackingOff { next } => format!("the system did not take it; next try {}", local(*next)),
        State::Parked { cause, .. } => format!("parked: {cause}"),
        State::Skipped { reason } => format!("not sent: {reason}"),
        State::Discarded { reason } => format!("given up: {reason}"),
    }
}
