//! The reasons against a proof, each as a sentence that a person and a model can act on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::stage::ProofStage;

/// Names in one sentence; the record has all.
const NAMES_IN_A_SENTENCE: usize = 8;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofReason {
    NothingChanged,
    BeforePasses,
    BeforeFails { outcome: String, failing: Vec<String> },
    CommandMissing { outcome: String },
    Hangs { stage: ProofStage, seconds: u64 },
    NotRun { stage: ProofStage, why: String },
    AfterFails { outcome: String, failing: Vec<String> },
    OldTestsFail { outcome: String, failing: Vec<String> },
    NewTestsPassOnOldCode,
    NoTestRan,
    FailuresHidden { failing: Vec<String>, failed: u64 },
    ExecutedFell { before: u64, after: u64 },
    SkippedRose { before: u64, after: u64 },
    CountsVanished { before: u64 },
    GuardsTouched { lines: usize },
}

impl fmt::Display for ProofReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingChanged => out.write_str("nothing is changed: the commit has the base's tree"),
            Self::BeforePasses => {
                out.write_str("the command passes on the base already, though it was to fail there")
            }
            Self::BeforeFails { outcome, failing } => {
                write!(
                    out,
                    "the command fails on the base already, though it was to pass there ({outcome})"
                )?;
                list(out, ": ", failing)
            }
            Self::CommandMissing { outcome } => {
                write!(
                    out,
                    "the proving command cannot be run ({outcome}): a program is missing or not executable"
                )
            }
            Self::Hangs { stage, seconds } => {
                write!(out, "{stage}: the command was still running after {seconds} s")
            }
            Self::NotRun { stage, why } => write!(out, "{stage}: not run ({why})"),
            Self::AfterFails { outcome, failing } => {
                write!(out, "after: the command fails on the change ({outcome})")?;
                list(out, ": ", failing)
            }
            Self::OldTestsFail { outcome, failing } => {
                write!(out, "the base's own tests fail on the new code ({outcome})")?;
                list(out, ": ", failing)?;
                out.write_str("; leave them as they are, unless a person allows their change")
            }
            Self::NewTestsPassOnOldCode => {
                out.write_str("the new tests pass on the old code too, so they do not show the change")
            }
            Self::NoTestRan => out.write_str("after: the command passes without running one test"),
            Self::FailuresHidden { failing, failed } => {
                let tests = if *failed == 1 { "test fails" } else { "tests fail" };
                write!(out, "after: the command ends with 0 though {failed} {tests}")?;
                list(out, ": ", failing)
            }
            Self::ExecutedFell { before, after } => {
                write!(out, "fewer tests are run: {before} before, {after} after")
            }
            Self::SkippedRose { before, after } => {
                write!(out, "more tests are skipped: {before} before, {after} after")
            }
            Self::CountsVanished { before } => {
                write!(
                    out,
                    "{before} tests could be counted before, none after: the output no longer shows them"
                )
            }
            Self::GuardsTouched { lines: 1 } => {
                out.write_str("1 line that decides which tests count is changed without consent")
            }
            Self::GuardsTouched { lines } => {
                write!(out, "{lines} lines that decide which tests count are changed without consent")
            }
        }
    }
}

/// Some names after `before`; nothing without names.
pub(super) fn list(out: &mut fmt::Formatter<'_>, before: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = names.iter().take(NAMES_IN_A_SENTENCE).map(String::as_str).collect();
    write!(out, "{before}{}", shown.join(", "))?;
    match names.len().saturating_sub(shown.len()) {
        0 => Ok(()),
        more => write!(out, " and {more} more"),
    }
}
