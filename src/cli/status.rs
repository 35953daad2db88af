//! `status`.

use clap::Args;

use super::output::table;
use super::{CliError, Exit, NodeOptions, Output};
use crate::admin::status::Status;
use crate::clock::local;

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
    let (records, heaps) = (&status.records, &status.conservation);
    let mut lines = vec![
        format!(
            "lienthong {} · store {} ({}) · broker {}",
            status.version, status.store_id, status.store, status.broker
        ),
        format!(
            "{} dossiers, {} events not yet published",
            counts.dossiers, counts.outbox
        ),
        format!(
            "records     {} kept = {} taken + {} closed or nothing new + {} waiting + {} refused",
            records.all(),
            records.mapped,
            records.ignored,
            records.waiting,
            records.refused
        ),
        format!(
            "deliveries  {} wanted = {} there + {} on the way ({} in doubt) + {} parked + {} not sent + {} given up",
            heaps.all(),
            heaps.applied,
            heaps.on_the_way,
            heaps.in_doubt,
            heaps.parked,
            heaps.skipped,
            heaps.discarded
        ),
    ];
    lines.extend(
        status
            .broker_trouble
            .iter()
            .map(|trouble| format!("broker      {trouble}")),
    );
    lines.extend(
        counts
            .waiting
            .iter()
            .map(|(adapter, reason, count)| format!("waiting     {count} from {adapter}: {reason}")),
    );
    lines.extend(
        counts
            .oldest_due
            .iter()
            .map(|(adapter, since)| format!("oldest due  to {adapter}, since {}", local(*since))),
    );
    format!("{}\n\n{adapters}\n\n{inbox}\n\n{deliveries}", lines.join("\n"))
}
