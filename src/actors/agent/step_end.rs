//! The ways in which an attempt at a step ends.

use crate::domain::job::approval::AgentQuestion;
use crate::skills::{SkillError, StepOutcome};

pub type StepResult = Result<StepEnd, SkillError>;

/// An end of an attempt that is no failure.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEnd {
    Done(StepOutcome),
    /// The job goes on once a person has answered; until then no agent has a claim.
    Asks(AgentQuestion),
}
