//! `status`.

use clap::Args;

use super::dossier::local;
use super::output::table;
use super::{CliError, Exit, NodeOptions, Output};
use crate::admin::status::Status;

/// What `status` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    node: NodeOptions,
}

impl Options {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        let status: Status = self.node.client()?.get(&["status"], &[]).await?;
        output.show(&status, text);
        Ok(Exit::Done)
    }
}

fn text(status: &Status) -> String {
    let counts = &status.counts;
    let adapters = table(
        ["ADAPTER", "VERSION", "SYSTEM", "CALLS"],
        status.adapters.iter().map(|adapter| {
            [
                adapter.name.clone(),
                adapter.version.clone(),
                adapter.title.clone(),
                adapter.pause.as_ref().map_or_else(
                    || "go on".to_owned(),
                    |pause| format!("paused until {}: {}", local(pause.until), pause.reason),
                ),
            ]
        }),
    );
    let inbox = table(
        ["RECORDS FROM", "STATE", "COUNT"],
        counts
            .inbox
            .iter()
            .map(|(adapter, state, count)| [adapter.clone(), state.clone(), count.to_string()]),
    );
    let deliveries = table(
        ["DELIVERIES TO", "PUSH", "STATE", "COUNT"],
        counts.deliveries.iter().map(|(adapter, push, state, count)| {
            [adapter.clone(), push.clone(), state.clone(), count.to_string()]
        }),
    );
    format!(
        "lienthong {} · store {} ({}) · broker {}\n{} dossiers, {} events not yet published\n\n{adapters}\n\n{inbox}\n\n\
         {deliveries}",
        status.version, status.store_id, status.store, status.broker, counts.dossiers, counts.outbox
    )
}
