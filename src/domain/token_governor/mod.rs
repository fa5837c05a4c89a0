//! An agent's context: use, status, and the reset that clears it without loss.
//!
//! Owns the state of a context ([`AgentContext`]: ratio, status, action), the run labels reported by external
//! agents, the content of a context ([`conversation`]), the stages of a reset ([`reset`]) and the record of a
//! summary ([`summary`]). Pure: time and tokens come in as numbers.
//!
//! Thresholds: a context is in `warning` from its target ratio and in `breach` from its hard maximum, both
//! inclusive: a context should stay below the target and must not reach the hard maximum.

pub mod conversation;
pub mod reset;
pub mod summary;

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::agent::{InvalidBudget, TokenBudget};
use super::ids::{MAX_ID_LEN, RunId};
use super::time::Timestamp;

/// Longest name of an agent that reports, in characters: that of any other name.
pub const MAX_AGENT: usize = MAX_ID_LEN;
/// The window of an agent with an unknown model: the minimum of common models.
pub const DEFAULT_CTX_LIMIT: NonZeroU64 = NonZeroU64::new(128_000).expect("it is not zero");

/// The status of an agent's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextStatus {
    Ok,
    /// From the target up to the hard maximum.
    Warning,
    /// At the hard maximum or beyond.
    Breach,
}

/// The action due on a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextAction {
    /// Finish the step, carry less over.
    MonitorClosely,
    /// Save, clear, resume: in this order.
    SaveStateClearResume,
}

impl ContextStatus {
    /// The action due; `None` while all is well.
    #[must_use]
    pub const fn action(self) -> Option<ContextAction> {
        match self {
            Self::Ok => None,
            Self::Warning => Some(ContextAction::MonitorClosely),
            Self::Breach => Some(ContextAction::SaveStateClearResume),
        }
    }

    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Breach => "breach",
        }
    }
}

/// The context of one agent as last reported or measured. This is also the stored row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentContext {
    /// The run, if reported.
    pub run_id: Option<RunLabel>,
    /// Tokens in the context; may exceed the limit, where a client reports so.
    pub ctx_used: u64,
    /// Tokens that the model takes.
    pub ctx_limit: NonZeroU64,
    /// How full the context may get.
    pub budget: TokenBudget,
    /// Time of the last report or measurement.
    pub last_updated: Timestamp,
}

impl AgentContext {
    /// The used part of the window.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ctx_used as f64 / self.ctx_limit.get() as f64
    }

    /// The used part in the contract's form: three decimal places.
    #[must_use]
    pub fn shown_ratio(&self) -> f64 {
        (self.ratio() * 1e3).round() / 1e3
    }

    /// The status, by the exact ratio, not the rounded one.
    #[must_use]
    pub fn status(&self) -> ContextStatus {
        // Both sides are the doubles nearest to their quotients, so 700 of 1000 equals 0.7.
        let ratio = self.ratio();
        if ratio >= self.budget.hard_max_ratio() {
            ContextStatus::Breach
        } else if ratio >= self.budget.target_ratio() {
            ContextStatus::Warning
        } else {
            ContextStatus::Ok
        }
    }
}

/// The budget of an agent: a report's ratios override the agent's definition, which overrides the
/// contract's default. A definition of 0 and 0 (the agent calls no model) states nothing. Where only
/// one ratio is stated, the other gives way.
///
/// # Errors
/// [`InvalidBudget`] when a stated ratio is outside 0..=1, or both are stated in the wrong order.
pub fn budget(
    defined: Option<TokenBudget>,
    target: Option<f64>,
    hard_max: Option<f64>,
) -> Result<TokenBudget, InvalidBudget> {
    let defined = defined.filter(|budget| budget.hard_max_ratio() > 0.0).unwrap_or(TokenBudget::DEFAULT);
    match (target, hard_max) {
        (None, None) => Ok(defined),
        (Some(target), Some(hard_max)) => TokenBudget::new(target, hard_max),
        (Some(target), None) => TokenBudget::new(target, defined.hard_max_ratio().max(target)),
        (None, Some(hard_max)) => TokenBudget::new(defined.target_ratio().min(hard_max), hard_max),
    }
}

/// Why a text is no valid run label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a run id is made of letters, digits, `.`, `_` and `-`, begins with a letter or digit, and has at most {MAX_ID_LEN} \
     characters"
)]
pub struct InvalidRun;

/// The run an agent reports: any name that is safe as a part of a file name. PAS's own runs
/// ([`RunId`]) are among them; agents from outside also use capitals and dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunLabel(String);

impl RunLabel {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`InvalidRun`] for names that could leave a folder, hide a file or exceed the length of a file name.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidRun> {
        let text = text.into();
        let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_safe = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= MAX_ID_LEN
            && text.chars().all(is_fit);
        if is_safe { Ok(Self(text)) } else { Err(InvalidRun) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunLabel {
    type Error = InvalidRun;
    fn try_from(text: String) -> Result<Self, InvalidRun> {
        Self::new(text)
    }
}

impl From<RunLabel> for String {
    fn from(run: RunLabel) -> Self {
        run.0
    }
}

impl From<&RunId> for RunLabel {
    fn from(run: &RunId) -> Self {
        Self(run.as_str().to_owned())
    }
}

impl std::fmt::Display for RunLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(used: u64, limit: u64, target: f64, hard: f64) -> AgentContext {
        AgentContext {
            run_id: None,
            ctx_used: used,
            ctx_limit: NonZeroU64::new(limit).unwrap(),
            budget: TokenBudget::new(target, hard).unwrap(),
            last_updated: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn borders_belong_to_the_stricter_side() {
        let status = |used| context(used, 16_000, 0.5, 0.75).status();
        assert_eq!((status(0), status(7_999)), (ContextStatus::Ok, ContextStatus::Ok));
        assert_eq!((status(8_000), status(11_999)), (ContextStatus::Warning, ContextStatus::Warning));
        assert_eq!((status(12_000), status(99_999)), (ContextStatus::Breach, ContextStatus::Breach));
        for (used, hard) in [(1, 0.1), (3, 0.3), (7, 0.7)] {
            assert_eq!(
                context(used, 10, 0.0, hard).status(),
                ContextStatus::Breach,
                "{used} of 10 is {hard}"
            );
        }
    }

    #[test]
    fn a_ratio_is_shown_with_three_places_and_judged_without_rounding() {
        let near = context(7_499, 10_000, 0.5, 0.75);
        assert_eq!((near.shown_ratio(), near.status()), (0.75, ContextStatus::Warning));
        assert_eq!(context(1, 3, 0.5, 0.75).shown_ratio(), 0.333);
        assert_eq!(context(u64::MAX, 1, 0.5, 0.75).status(), ContextStatus::Breach);
    }

    #[test]
    fn a_report_counts_over_the_definition_and_that_over_the_default() {
        let pair = |b: TokenBudget| (b.target_ratio(), b.hard_max_ratio());
        let defined = TokenBudget::new(0.3, 0.5).ok();
        let of = |target, hard| budget(defined, target, hard).map(pair);
        assert_eq!(of(None, None), Ok((0.3, 0.5)));
        assert_eq!(of(Some(0.1), Some(0.9)), Ok((0.1, 0.9)));
        assert_eq!(of(Some(0.8), None), Ok((0.8, 0.8)));
        assert_eq!(of(None, Some(0.2)), Ok((0.2, 0.2)));
        assert!(of(Some(0.9), Some(0.1)).is_err() && of(Some(1.1), None).is_err());
        let no_model = TokenBudget::new(0.0, 0.0).ok();
        assert_eq!(budget(no_model, None, None).map(pair), Ok((0.5, 0.75)));
    }

    #[test]
    fn a_run_label_stays_in_its_folder() {
        for good in ["ingest-abc", "RUN_2026.11", "7"] {
            assert_eq!(RunLabel::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".x", "-x", "a/b", "a\\b", "a b", "ä", "a\0", &"a".repeat(129)] {
            assert_eq!(RunLabel::new(bad), Err(InvalidRun), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn more_tokens_never_improve_the_status(used in 0_u64..2_000, more in 0_u64..2_000, limit in 1_u64..2_000) {
            let status = |used| context(used, limit, 0.5, 0.75).status();
            prop_assert!(status(used) <= status(used + more));
        }
    }
}
