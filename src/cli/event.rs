//! `event tail`.

use anyhow::Context;
use clap::Subcommand;

use super::{CliError, Exit, NodeOptions, Output};
use crate::admin::client::{Client, ClientError};
use crate::admin::event::{Page, Told};
use crate::clock::local;

/// What `event` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Events in the order in which this node has learnt them: time, type, adapter, dossier, id, names of what was written.
    Tail {
        /// Go on with what comes, until Ctrl-C or until the node stops.
        #[arg(long, short)]
        follow: bool,
        /// Begin after this place in the journal; the first number of a line is its place.
        #[arg(long, value_name = "SEQ", conflicts_with = "last")]
        since: Option<i64>,
        /// Begin with so many of the last events.
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
        last: u32,
        #[command(flatten)]
        node: NodeOptions,
    },
}

impl Command {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        let Self::Tail {
            follow,
            since,
            last,
            node,
        } = self;
        let client = node.client()?;
        tokio::select! {
            done = tail(&client, since, last, follow, output) => done?,
            signal = tokio::signal::ctrl_c() => signal.context("listen for Ctrl-C")?,
        }
        Ok(Exit::Done)
    }
}

/// Prints page after page until there is nothing more, or nobody who reads it.
async fn tail(
    client: &Client,
    since: Option<i64>,
    last: u32,
    follow: bool,
    output: Output,
) -> Result<(), CliError> {
    let mut place = since;
    loop {
        let mut query = vec![("last", last.to_string())];
        query.extend(place.map(|place| ("after", place.to_string())));
        if follow {
            query.push(("wait", "true".to_owned()));
        }
        let page: Page = match client.get(&["events"], &query).await {
            Err(ClientError::Unreachable { socket, reason }) if follow && place.is_some() => {
                let place = place.unwrap_or_default();
                let reason = format!("{reason} (what comes later: `event tail --since {place}`)");
                return Err(ClientError::Unreachable { socket, reason }.into());
            }
            page => page?,
        };
        if !page.events.iter().all(|told| output.item(told, line)) {
            return Ok(());
        }
        place = Some(page.after);
        if !follow && !page.more {
            return Ok(());
        }
    }
}

fn line(told: &Told) -> String {
    let kind = told
        .kind
        .strip_prefix("vn.lienthong.dossier.")
        .unwrap_or(&told.kind);
    format!(
        "{}  {}  {kind}  {}  {}  {}  {}",
        told.seq,
        local(told.recorded),
        told.adapter,
        told.dossier,
        told.id,
        told.writes.join(", ")
    )
}
