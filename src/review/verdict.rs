//! A review's verdict: which remarks hold after the daemon ran their tests, bound to one commit.
//!
//! Failure policy: a blocking remark whose test does not fail blocks nothing; it becomes a note with the
//! reason, for a person to read.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::independence::ReviewIndependence;
use super::remark::{RemarkSeverity, ReviewRemark};
use pas_proof::stage::{CommandOutcome, StageEnd};

/// How the proving command ended with a remark's test in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkTestEnd {
    Fails {
        failing: Vec<String>,
    },
    /// The command failed without a failing test: perhaps the build failed.
    FailsUnseen,
    Hangs,
    Passes,
    DoesNotApply(String),
    NotRun(String),
}

impl RemarkTestEnd {
    /// `counted`: whether the proof of the commit could count tests. If not, any failure has to do.
    pub fn of(end: &StageEnd, counted: bool) -> Self {
        match &end.outcome {
            CommandOutcome::NotStarted(why) => Self::NotRun(why.clone()),
            CommandOutcome::TimedOut => Self::Hangs,
            outcome if outcome.passed() => Self::Passes,
            _ if !counted || end.counts.as_ref().is_some_and(|counts| counts.failed > 0) => {
                Self::Fails { failing: end.failing().to_vec() }
            }
            _ => Self::FailsUnseen,
        }
    }
}

/// How much a remark weighs once its test was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkStanding {
    Blocking {
        because: String,
    },
    /// `demoted`: why a blocking remark is only a note.
    Note {
        demoted: Option<String>,
    },
    /// A remark of an earlier round that no longer holds.
    Resolved,
}

/// A remark with its standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledRemark {
    pub remark: ReviewRemark,
    pub standing: RemarkStanding,
}

/// Settles a remark of this round. `end` is `None` without a test to run.
pub fn settle_remark(remark: ReviewRemark, end: Option<&RemarkTestEnd>) -> SettledRemark {
    let standing = match (remark.severity, end) {
        (RemarkSeverity::Note, _) => RemarkStanding::Note { demoted: None },
        (RemarkSeverity::Blocking, Some(end)) => standing_of(end),
        (RemarkSeverity::Blocking, None) => match &remark.no_test {
            Some(reason) => RemarkStanding::Blocking { because: format!("no test can show it: {reason}") },
            None => RemarkStanding::Note {
                demoted: Some("it brought no test, and no reason why none can".into()),
            },
        },
    };
    SettledRemark { remark, standing }
}

/// Settles a blocking remark of an earlier round on the new commit. A remark without a test is dropped unless
/// the reviewer repeats it; one whose test was not run again stays, as nothing shows a fix.
pub fn settle_again(remark: ReviewRemark, end: Option<&RemarkTestEnd>) -> SettledRemark {
    let standing = match end {
        None | Some(RemarkTestEnd::Passes) => RemarkStanding::Resolved,
        Some(RemarkTestEnd::NotRun(why)) => {
            RemarkStanding::Blocking { because: format!("its test could not be run again: {why}") }
        }
        Some(end) => standing_of(end),
    };
    SettledRemark { remark, standing }
}

fn standing_of(end: &RemarkTestEnd) -> RemarkStanding {
    let demoted = |why: &str| RemarkStanding::Note { demoted: Some(why.to_owned()) };
    match end {
        RemarkTestEnd::Fails { failing } if failing.is_empty() => {
            RemarkStanding::Blocking { because: "its test fails on this commit".into() }
        }
        RemarkTestEnd::Fails { failing } => RemarkStanding::Blocking {
            because: format!("its test fails on this commit: {}", failing.join(", ")),
        },
        RemarkTestEnd::Hangs => {
            RemarkStanding::Blocking { because: "its test does not end on this commit".into() }
        }
        RemarkTestEnd::Passes => demoted("its test passes on this commit"),
        RemarkTestEnd::FailsUnseen => {
            demoted("with its test the command fails, but no test was seen to; it perhaps does not build")
        }
        RemarkTestEnd::DoesNotApply(why) => demoted(&format!("its patch does not apply: {why}")),
        RemarkTestEnd::NotRun(why) => demoted(&format!("its test could not be run: {why}")),
    }
}

/// The outcome of one review of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewVerdict {
    pub commit: String,
    /// From one.
    pub round: u32,
    pub vendor: String,
    pub model: String,
    pub independence: ReviewIndependence,
    pub summary: String,
    pub remarks: Vec<SettledRemark>,
}

impl ReviewVerdict {
    pub fn is_of(&self, commit: &str) -> bool {
        self.commit == commit
    }

    pub fn approves(&self) -> bool {
        self.blocking().next().is_none()
    }

    pub fn blocking(&self) -> impl Iterator<Item = &SettledRemark> {
        self.remarks.iter().filter(|settled| matches!(settled.standing, RemarkStanding::Blocking { .. }))
    }
}

impl fmt::Display for SettledRemark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.remark.place;
        write!(out, "{}", place.path)?;
        if let Some(line) = place.line {
            write!(out, ":{line}")?;
        }
        let (input, proposal) = (&self.remark.input, &self.remark.proposal);
        match &self.standing {
            RemarkStanding::Blocking { because } => {
                write!(out, ": blocking: {input} ({because}). Proposal: {proposal}")
            }
            RemarkStanding::Note { demoted: None } => write!(out, ": note: {input} Proposal: {proposal}"),
            RemarkStanding::Note { demoted: Some(why) } => {
                write!(out, ": note, as {why}: {input} Proposal: {proposal}")
            }
            RemarkStanding::Resolved => write!(out, ": resolved: {input}"),
        }
    }
}

impl fmt::Display for ReviewVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocking = self.blocking().count();
        match blocking {
            0 => write!(out, "approved")?,
            1 => write!(out, "1 blocking remark")?,
            n => write!(out, "{n} blocking remarks")?,
        }
        write!(out, " by {} of {} in round {}; {}", self.model, self.vendor, self.round, self.independence)?;
        self.remarks.iter().try_for_each(|remark| write!(out, "\n  {remark}"))
    }
}

#[cfg(test)]
mod tests;
