//! Exit codes, and the errors that they come from.

use std::process::ExitCode;

use crate::admin::client::ClientError;
use crate::fault::Fault;
use crate::node::NodeError;

/// The table that `--help` and the README show.
pub(super) const TABLE: &str = "Exit codes: 0 done · 1 something was judged wrong (a check, a sample, the demo) · \
    2 usage, configuration or adapter fault · 3 the node cannot be reached or has no such thing · 70 internal error";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done, and all is well.
    Done = 0,
    /// Done, and something was judged wrong.
    Judged = 1,
    /// The command line, a configuration or an adapter is at fault.
    Usage = 2,
    /// The node cannot be reached, or refuses.
    Node = 3,
    /// A failure that no input explains.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Faults in files that people wrote.
    #[error("{} fault(s) found", .0.len())]
    Faults(Vec<Fault>),
    /// The node behind the admin socket.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A node that this command runs itself.
    #[error(transparent)]
    Node(NodeError),
    /// Anything else, with its context.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Faults(faults) => Self::Faults(faults),
            other => Self::Node(other),
        }
    }
}

impl CliError {
    /// The exit code that tells scripts what kind of error it was.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Faults(_) => Exit::Usage,
            Self::Client(ClientError::Unreachable { .. } | ClientError::Refused(_)) => Exit::Node,
            Self::Client(ClientError::Answer(_)) | Self::Other(_) => Exit::Internal,
            Self::Node(error) => match error {
                NodeError::Faults(_)
                | NodeError::Listen { .. }
                | NodeError::Store(_)
                | NodeError::Broker(_) => Exit::Usage,
                NodeError::Http(_) => Exit::Internal,
            },
        }
    }
}
