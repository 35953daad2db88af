//! `dead-letter list|show`.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::output::table;
use super::{CliError, Exit, NodeOptions, Output};
use crate::admin::dead_letter::Opened;
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
            }
            Self::Show { id, node } => {
                let opened: Opened = node.client()?.get(&["dead-letters", &id], &[]).await?;
                output.show(&opened, text);
            }
        }
        Ok(Exit::Done)
    }
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
                super::dossier::local(letter.since),
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
        format!("since       {}", super::dossier::local(letter.since)),
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
    if let Some(raw) = &opened.raw {
        lines.push(format!("record as it came in:\n{raw}"));
    }
    lines.join("\n")
}
