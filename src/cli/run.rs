//! `run`: the daemon.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{CliError, Exit, Output};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::node::{Node, NodeError};
use crate::retry::Policy;

/// What `run` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Configuration file.
    #[arg(
        long,
        env = "LIENTHONG_CONFIG",
        default_value = "/etc/lienthong/lienthong.toml"
    )]
    config: PathBuf,
}

impl Options {
    pub(super) async fn run(self, output: Output) -> Result<Exit, CliError> {
        log(output.is_json());
        let config = Config::read(&self.config).map_err(CliError::Faults)?;
        let mut term = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let Some(node) = start(&config, &mut term).await? else {
            return Ok(Exit::Done);
        };
        output.progress(&format!(
            "webhooks on http://{}, admin socket {}; stop with Ctrl-C",
            node.webhooks(),
            node.admin().display()
        ));
        told_to_stop(&mut term).await?;
        node.stop().await;
        Ok(Exit::Done)
    }
}

/// Starts the node as soon as its database is there: after a power cut both begin at once, in whatever order. `None`: it
/// was told to stop before.
async fn start(config: &Config, term: &mut Signal) -> Result<Option<Node>, CliError> {
    let mut failures = 0;
    loop {
        let error = match Node::start(config, Arc::new(SystemClock)).await {
            Err(NodeError::Store(error)) if error.is_away() => error,
            started => return Ok(Some(started?)),
        };
        failures += 1;
        tracing::error!(
            failures,
            %error,
            "the database cannot be reached, so the node takes nothing in; it starts by itself when the database is there. \
             If it is, correct store.url"
        );
        let delay = Policy::RECONNECT.delay(failures, Duration::ZERO);
        tokio::select! {
            stopped = told_to_stop(term) => {
                stopped?;
                return Ok(None);
            }
            () = tokio::time::sleep(delay.unwrap_or(Policy::RECONNECT.max)) => {}
        }
    }
}

/// Waits until somebody wants the daemon to end.
async fn told_to_stop(term: &mut Signal) -> Result<(), CliError> {
    tokio::select! {
        _ = term.recv() => {}
        signal = tokio::signal::ctrl_c() => signal.context("listen for Ctrl-C")?,
    }
    Ok(())
}

/// Logs to standard error; `LIENTHONG_LOG` filters (`info` by default).
pub(super) fn log(json: bool) {
    let told = std::env::var("LIENTHONG_LOG").unwrap_or_default();
    let told = if told.is_empty() { "info" } else { &told };
    // The AMQP library logs every cut as several errors of its own; each failure is told once, by the stage that has it.
    let quiet = |told| format!("lapin=off,{told}");
    let filter = EnvFilter::try_new(quiet(told)).unwrap_or_else(|_| EnvFilter::new(quiet("info")));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second set-up in one process keeps the first.
    drop(if json {
        log.json().try_init()
    } else {
        log.try_init()
    });
}
