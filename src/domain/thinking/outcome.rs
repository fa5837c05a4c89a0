//! How a step ends, and the claim that a report makes.
//!
//! A limit, a loop and a refusal are outcomes of their own: only [`StepVerdict::Reported`] can become success, and
//! only where the claim says done and the proof, if there is one, has passed.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::CallPlace;
use super::progress::StuckRule;

/// The outcome that a report claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimOutcome {
    Done,
    /// Some of it is done, the rest is named.
    Partial,
    /// It could not be done.
    Failed,
}

/// A report: a claim until it is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportClaim {
    pub place: CallPlace,
    pub outcome: ClaimOutcome,
    pub summary: String,
    /// All arguments as the model wrote them, JSON text.
    pub args: String,
}

impl ReportClaim {
    /// Reads a report's arguments.
    ///
    /// # Errors
    /// A sentence for the model, when they are no report.
    pub(super) fn read(place: CallPlace, args: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(args).map_err(|error| {
            format!("`report` was not taken: its arguments are no JSON ({error}); send one object")
        })?;
        let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::trim);
        let outcome = match field("outcome") {
            Some("done") => ClaimOutcome::Done,
            Some("partial") => ClaimOutcome::Partial,
            Some("impossible" | "failed") => ClaimOutcome::Failed,
            _ => return Err("`report` was not taken: `outcome` must be done, partial or impossible".into()),
        };
        let summary = field("summary").filter(|text| !text.is_empty());
        let Some(summary) = summary else {
            return Err("`report` was not taken: say in `summary` what was done".into());
        };
        Ok(Self { place, outcome, summary: summary.to_owned(), args: args.to_owned() })
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepVerdict {
    /// It reported; the step's proof says whether that holds.
    Reported(ReportClaim),
    /// It reported as done more often than proofs are run, and none passed.
    Unproved {
        claim: ReportClaim,
        proofs: u32,
    },
    /// No progress, by this rule; the rows are the evidence.
    Stuck {
        rule: StuckRule,
        rows: Vec<u64>,
    },
    /// Money was used up, and a person did not raise it.
    OverBudget,
    TurnLimit,
    TimeLimit,
    /// The model or its vendor declined.
    Refused {
        text: String,
    },
    Cancelled {
        reason: String,
    },
    /// Nobody knows whether this outward call was carried out, and a person chose to stop.
    Unknown(CallPlace),
    /// The model was asked this often for one turn and never answered.
    Unanswered {
        attempts: u32,
    },
}

impl StepVerdict {
    /// Its word on the wire and on displays.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reported(_) => "reported",
            Self::Unproved { .. } => "unproved",
            Self::Stuck { .. } => "stuck",
            Self::OverBudget => "over_budget",
            Self::TurnLimit => "turn_limit",
            Self::TimeLimit => "time_limit",
            Self::Refused { .. } => "refused",
            Self::Cancelled { .. } => "cancelled",
            Self::Unknown(_) => "unknown",
            Self::Unanswered { .. } => "unanswered",
        }
    }

    /// Its report, where it made one that was heard.
    #[must_use]
    pub const fn claim(&self) -> Option<&ReportClaim> {
        match self {
            Self::Reported(claim) | Self::Unproved { claim, .. } => Some(claim),
            _ => None,
        }
    }
}

impl fmt::Display for StepVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported(claim) => match claim.outcome {
                ClaimOutcome::Done => write!(f, "reported as done"),
                ClaimOutcome::Partial => write!(f, "reported as done in part"),
                ClaimOutcome::Failed => write!(f, "reported as impossible"),
            },
            Self::Unproved { proofs, .. } => write!(f, "reported as done, and {proofs} proofs failed"),
            Self::Stuck { rule, rows } => write!(f, "stuck ({}), by rows {rows:?}", rule.as_str()),
            Self::OverBudget => write!(f, "the budget was used up and not raised"),
            Self::TurnLimit => write!(f, "its turns were used up"),
            Self::TimeLimit => write!(f, "its time was used up"),
            Self::Refused { text } => write!(f, "the model declined: {text}"),
            Self::Cancelled { reason } => write!(f, "cancelled by {reason}"),
            Self::Unknown(place) => write!(f, "stopped: nobody knows whether call {place} was carried out"),
            Self::Unanswered { attempts } => {
                write!(f, "the model was asked {attempts} times and never answered")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_outcome_or_summary_is_answered_with_the_fields_it_lacks() {
        let place = CallPlace { turn: 1, index: 0 };
        let read = |args: &str| ReportClaim::read(place, args);
        assert_eq!(read(r#"{"outcome":"done","summary":" it works "}"#).unwrap().summary, "it works");
        let given_up = read(r#"{"outcome":"impossible","summary":"no compiler"}"#).unwrap();
        assert_eq!(given_up.outcome, ClaimOutcome::Failed);
        assert!(read("{").unwrap_err().contains("no JSON"));
        assert!(
            read(r#"{"outcome":"success","summary":"x"}"#)
                .unwrap_err()
                .contains("done, partial or impossible")
        );
        assert!(read(r#"{"outcome":"done","summary":" "}"#).unwrap_err().contains("summary"));
        assert!(read("[1]").unwrap_err().contains("outcome"));
    }
}
