//! Exit codes, the same for every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Done, but some input was rejected.
    Rejected,
    /// A check found what it looks for.
    Found,
    /// A part of it failed, which was told as it happened.
    Failed,
    /// Ended by the user; what was done before is kept.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Rejected => 3,
            Exit::Found => 4,
            Exit::Failed => FAILED,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The exit code of a failure.
pub(crate) const FAILED: u8 = 1;
/// The exit code of a mistake in the command line or the configuration.
pub(crate) const USAGE: u8 = 2;

/// A mistake of the user's: said without "failed to", with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// An error that is the user's mistake.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}
