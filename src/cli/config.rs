//! `config check`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{CliError, Exit, Output};
use crate::config::{Config, Resolved};

/// What `config` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a configuration and every adapter it names, as `run` would; report every fault at once.
    Check {
        /// Configuration file.
        #[arg(
            long,
            env = "LIENTHONG_CONFIG",
            default_value = "/etc/lienthong/lienthong.toml"
        )]
        config: PathBuf,
    },
}

impl Command {
    pub(super) fn run(self, output: Output) -> Result<Exit, CliError> {
        let Self::Check { config: file } = self;
        let config = Config::read(&file).map_err(CliError::Faults)?;
        let Resolved { adapters, .. } = config.resolve().map_err(CliError::Faults)?;
        let names: Vec<&str> = adapters.iter().map(|adapter| adapter.name.as_str()).collect();
        output.show(&json!({"config": file, "adapters": names, "faults": []}), |_| {
            format!("{}: no faults; hosts {}", file.display(), names.join(", "))
        });
        Ok(Exit::Done)
    }
}
