//! Exit codes, and the one error type of the commands.
//!
//! Invariant: scripts rely on the numbers; a number never gets a second meaning. Failure policy: every
//! command ends in a [`CommandExit`]; an error is printed once, on standard error.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandExit {
    Done = 0,
    /// A failure that no other number covers.
    Failed = 1,
    /// The command line or the configuration is invalid (clap's own number).
    Usage = 2,
    Unreachable = 3,
    /// The named thing does not exist.
    NotFound = 4,
    /// The daemon refused: the state does not allow it, or a value breaks the contract.
    Refused = 5,
    /// The job ended as failed or quarantined.
    JobFailed = 6,
    /// The job ended as cancelled.
    Cancelled = 7,
    /// Ctrl-C before the end (128 + SIGINT, as shells count).
    Interrupted = 130,
}

/// Every exit code with its meaning, as shown by `pas --help`.
pub const TABLE: &[(CommandExit, &str)] = &[
    (CommandExit::Done, "done"),
    (CommandExit::Failed, "failed (`pas doctor`: something needs repair)"),
    (CommandExit::Usage, "wrong command line or configuration"),
    (CommandExit::Unreachable, "no daemon answers"),
    (CommandExit::NotFound, "no such job, agent, run, …"),
    (CommandExit::Refused, "the daemon refused, with a reason"),
    (CommandExit::JobFailed, "the job failed or is quarantined"),
    (CommandExit::Cancelled, "the job was cancelled"),
    (CommandExit::Interrupted, "interrupted with Ctrl-C"),
];

impl CommandExit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<CommandExit> for ExitCode {
    fn from(exit: CommandExit) -> Self {
        Self::from(exit.code())
    }
}

/// [`TABLE`] as the end of the help text.
#[must_use]
pub fn help() -> String {
    TABLE.iter().fold("Exit codes:".to_owned(), |mut text, (exit, meaning)| {
        // Writing into a string cannot fail.
        let _ = write!(text, "\n  {:>3}  {meaning}", exit.code());
        text
    })
}

/// Why a command failed: the exit code, and the message for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandFailure {
    pub exit: CommandExit,
    /// The cause and the remedy.
    pub message: String,
}

impl CommandFailure {
    pub fn new(exit: CommandExit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure that no other code covers.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(CommandExit::Failed, message)
    }

    /// An invalid command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(CommandExit::Usage, message)
    }

    /// The named thing does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(CommandExit::NotFound, message)
    }
}

pub type CommandResult = Result<CommandExit, CommandFailure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_meaning() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert!(help().contains("\n  130  interrupted"));
    }
}
