//! `dead-letter list|show|retry|discard`.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::json;

use super::output::table;
use super::{CliError, Exit, NodeOptions, Output, operator};
use crate::admin::client::Client;
use crate::admin::dead_letter::{Opened, Outcome, Ruled, Ruling, Sweep, Swept};
use crate::clock::local;
use crate::store::DeadLetter;

/// What `dead-letter` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Parked deliveries and refused records, oldest first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        node: NodeOptions,
    },
    /// One of them, with its remedy; a refused record with the record as it came in (personal data).
    Show {
        /// Its id, from `list`.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        #[command(flatten)]
        node: NodeOptions,
    },
    /// Try some of them again, or all of one system: after their cause is gone.
    Retry {
        /// Their ids, from `list`.
        #[arg(required_unless_present = "system", value_parser = NonEmptyStringValueParser::new())]
        ids: Vec<String>,
        /// All dead letters that came from this system or were to go to it.
        #[arg(long, conflicts_with = "ids", value_parser = NonEmptyStringValueParser::new())]
        system: Option<String>,
        /// Of these only those with this code of a cause.
        #[arg(long, requires = "system", conflicts_with = "ids", value_parser = NonEmptyStringValueParser::new())]
        cause: Option<String>,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        node: NodeOptions,
    },
    /// Give some of them up for good.
    Discard {
        /// Their ids, from `list`.
        #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
        ids: Vec<String>,
        /// Why; kept and shown, so name no person.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        node: NodeOptions,
    },
}

/// Who decides.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// Who decides, as `dossier history` will show it.
    #[arg(long, default_value_t = operator::name(), value_parser = NonEmptyStringValueParser::new())]
    by: String,
}

impl Command {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        match self {
            Self::List { limit, node } => {
                let letters: Vec<DeadLetter> = node
                    .client()?
                    .get(&["dead-letters"], &[("limit", limit.to_string())])
                    .await?;
                output.show(&letters, |letters| list(letters));
                Ok(Exit::Done)
            }
            Self::Show { id, node } => {
                let opened: Opened = node.client()?.get(&["dead-letters", &id], &[]).await?;
                output.show(&opened, text);
                Ok(Exit::Done)
            }
            Self::Retry {
                system: Some(system),
                cause,
                who,
                node,
                ..
            } => sweep(&node.client()?, system, cause, who.by, output).await,
            Self::Retry { ids, who, node, .. } => {
                let ruling = Ruling {
                    ids,
                    by: who.by,
                    reason: None,
                };
                rule(&node.client()?, "retry", &ruling, output).await
            }
            Self::Discard {
                ids,
                reason,
                who,
                node,
            } => {
                let ruling = Ruling {
                    ids,
                    by: who.by,
                    reason: Some(reason),
                };
                rule(&node.client()?, "discard", &ruling, output).await
            }
        }
    }
}

/// Between two pages of a sweep: with pages of a hundred, two hundred a second at most, so that what is due otherwise is
/// delivered beside it.
const PAUSE: Duration = Duration::from_millis(500);

/// Retries page by page; whoever interrupts it finds done what was told as done.
async fn sweep(
    client: &Client,
    system: String,
    cause: Option<String>,
    by: String,
    output: Output,
) -> Result<Exit, CliError> {
    let mut sweep = Sweep {
        system,
        cause,
        by,
        walk: None,
    };
    let mut retried = 0;
    loop {
        let swept: Swept = client.post(&["rulings", "sweep"], &sweep).await?;
        retried += swept.retried;
        if swept.walk.is_none() {
            break;
        }
        sweep.walk = swept.walk;
        output.progress(&format!("{retried} retried, more to come"));
        tokio::time::sleep(PAUSE).await;
    }
    let value = json!({"system": sweep.system, "cause": sweep.cause, "retried": retried});
    output.show(&value, |_| {
        let of = match &sweep.cause {
            None => sweep.system.clone(),
            Some(cause) => format!("{} with cause {cause}", sweep.system),
        };
        if retried == 0 {
            format!("there is no dead letter of {of} that could be retried")
        } else {
            format!("{retried} dead letters of {of} retried; `lienthong status` tells how they get on")
        }
    });
    Ok(Exit::Done)
}

async fn rule(client: &Client, verb: &str, ruling: &Ruling, output: Output) -> Result<Exit, CliError> {
    let ruled: Vec<Ruled> = client.post(&["rulings", verb], ruling).await?;
    output.show(&ruled, |ruled| {
        let lines: Vec<&str> = ruled.iter().map(|ruled| ruled.said.as_str()).collect();
        lines.join("\n")
    });
    let nothing = |ruled: &Ruled| matches!(ruled.outcome, Outcome::Gone | Outcome::Unknown);
    Ok(if ruled.iter().any(nothing) {
        Exit::Node
    } else {
        Exit::Done
    })
}

fn list(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    table(
        ["ID", "SYSTEM", "OPERATION", "DOSSIER", "SINCE", "CAUSE"],
        letters.iter().map(|letter| {
            [
                letter.id.clone(),
                letter.system.clone(),
                letter.operation.clone(),
                letter.dossier.clone().unwrap_or_else(|| "-".to_owned()),
                local(letter.since),
                letter.cause.to_string(),
            ]
        }),
    )
}

fn text(opened: &Opened) -> String {
    let letter = &opened.letter;
    let cause = &letter.cause;
    let mut lines = vec![
        format!("dead letter {}", letter.id),
        format!("system      {}, operation {}", letter.system, letter.operation),
        format!(
            "dossier     {}",
            letter
                .dossier
                .as_deref()
                .unwrap_or("not known: the record could not be read")
        ),
        format!("since       {}", local(letter.since)),
        format!("cause       {}", cause.code),
    ];
    let details = [
        ("file", &cause.file),
        ("field", &cause.field),
        ("found", &cause.found),
        ("expected", &cause.expected),
        ("next step", &cause.remedy),
    ];
    lines.extend(
        details
            .into_iter()
            .filter_map(|(label, text)| text.as_ref().map(|text| format!("{label:<11} {text}"))),
    );
    lines.push(format!(
        "decide      `lienthong dead-letter retry {id}` once its cause is gone, or \
         `lienthong dead-letter discard {id} --reason TEXT`",
        id = letter.id
    ));
    if let Some(raw) = &opened.raw {
        lines.push(format!("record as it came in:\n{raw}"));
    }
    lines.join("\n")
}
