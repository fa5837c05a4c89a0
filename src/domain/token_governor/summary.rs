//! The trigger and the record of a summary.

use serde::{Deserialize, Serialize};

use super::RunLabel;
use crate::time::Timestamp;

/// Where summaries are written, below the working directory.
pub const FOLDER: &str = "docs/runs";

/// Why a summary was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SummaryTrigger {
    /// The context reached its hard maximum.
    HardMaxBreach,
    Manual,
    /// A step took long.
    SoftTimeout,
}

impl SummaryTrigger {
    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HardMaxBreach => "hard_max_breach",
            Self::Manual => "manual",
            Self::SoftTimeout => "soft_timeout",
        }
    }
}

/// The file of a run's summaries, relative to the working directory.
#[must_use]
pub fn path(run: &RunLabel) -> String {
    format!("{FOLDER}/{run}_summary.md")
}

/// A new id; ids sort by the time they were made.
#[must_use]
pub fn new_id() -> String {
    format!("summary-{}", uuid::Uuid::now_v7().simple())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextSummary {
    pub summary_id: String,
    pub agent: String,
    pub run_id: RunLabel,
    /// Why the summary was made.
    pub trigger_reason: SummaryTrigger,
    /// Tokens in the context at that time.
    pub ctx_before: u64,
    /// Tokens left of that content after the clear: none, by the contract.
    pub ctx_after: u64,
    /// The file, relative to the working directory.
    pub summary_path: String,
    pub created_at: Timestamp,
    pub text: String,
    /// `extractive`, or the model's name.
    pub method: String,
    /// Tokens of the summarised content.
    pub tokens_before: u64,
    /// Tokens of the summary itself.
    pub tokens_after: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_paths_stay_below_the_folder() {
        let ids: Vec<_> = (0..50).map(|_| new_id()).collect();
        assert!(ids.is_sorted());
        assert_eq!(path(&RunLabel::new("R.1").unwrap()), "docs/runs/R.1_summary.md");
    }
}
