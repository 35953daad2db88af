//! The command line: one file per noun. A verb that asks a node speaks to its admin API; people's output and `--json`
//! come from one value.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod adapter;
mod config;
mod dead_letter;
mod demo;
mod dossier;
mod event;
mod exit;
mod history;
mod live;
mod operator;
mod output;
mod run;
mod status;

use exit::{CliError, Exit};
use output::Output;

/// Liên Thông: a dossier recorded in one system appears, complete and once, in every other that must have it.
#[derive(Debug, Parser)]
#[command(name = "lienthong", version, after_help = exit::TABLE)]
struct Cli {
    /// Print one JSON value instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node until it is told to stop (SIGTERM, Ctrl-C).
    Run(run::Options),
    /// Run the shipped dossiers through stand-ins of the systems, and judge what arrived.
    Demo(demo::Options),
    /// Show what a running node is busy with.
    Status(status::Options),
    /// List dossiers, show where one of them is, or what happened to it.
    #[command(subcommand)]
    Dossier(dossier::Command),
    /// Follow what a running node learns.
    #[command(subcommand)]
    Event(event::Command),
    /// List the adapters of a running node; check adapter folders, or run their samples.
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// List what cannot go on, show one with its remedy, try it again or give it up.
    #[command(subcommand)]
    DeadLetter(dead_letter::Command),
    /// Check a configuration and every adapter it names.
    #[command(subcommand)]
    Config(config::Command),
}

/// Which node to ask.
#[derive(Debug, Args)]
struct NodeOptions {
    /// Admin socket of the node.
    #[arg(long, env = "LIENTHONG_SOCKET", default_value = crate::config::DEFAULT_SOCKET)]
    socket: PathBuf,
}

impl NodeOptions {
    fn client(&self) -> Result<crate::admin::client::Client, CliError> {
        Ok(crate::admin::client::Client::new(&self.socket)?)
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    // One provider of cryptography for everything that speaks TLS; a second call finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&CliError::Other(error.into())).into(),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run(options) => options.run(output).await,
            Command::Demo(options) => options.run(output).await,
            Command::Status(options) => options.run(output).await,
            Command::Dossier(command) => command.run(output).await,
            Command::Event(command) => command.run(output).await,
            Command::Adapter(command) => command.run(output).await,
            Command::DeadLetter(command) => command.run(output).await,
            Command::Config(command) => command.run(output),
        }
    });
    match done {
        Ok(exit) => exit.into(),
        Err(error) => output.fail(&error).into(),
    }
}
