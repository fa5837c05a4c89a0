//! Exit codes, and the one error type of the commands.
//!
//! Invariant: the numbers are a promise to scripts; a number is never given a second meaning. Failure
//! policy: every command ends in an [`Exit`]; what went wrong is said once, on standard error.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// It went wrong in a way that no other number says.
    Failed = 1,
    /// The command line or the configuration makes no sense (clap's own number for it).
    Usage = 2,
    Unreachable = 3,
    /// What was named does not exist.
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

/// Every exit code with its meaning, as `pas --help` shows them.
pub const TABLE: &[(Exit, &str)] = &[
    (Exit::Done, "done"),
    (Exit::Failed, "failed (`pas doctor`: something needs repair)"),
    (Exit::Usage, "wrong command line or configuration"),
    (Exit::Unreachable, "no daemon answers"),
    (Exit::NotFound, "no such job, agent, run, …"),
    (Exit::Refused, "the daemon refused, and said why"),
    (Exit::JobFailed, "the job failed or is quarantined"),
    (Exit::Cancelled, "the job was cancelled"),
    (Exit::Interrupted, "interrupted with Ctrl-C"),
];

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
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

/// Why a command did not do what it was asked: the code, and what to tell the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    /// What happened and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with its code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Something no other code says.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What was named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }
}

/// What a command gives back.
pub type Outcome = Result<Exit, Failure>;

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
