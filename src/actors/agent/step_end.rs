//! What an attempt at a step ends with.

use crate::domain::job::approval::AgentQuestion;
use crate::skills::{SkillError, StepOutcome};

pub type StepResult = Result<StepEnd, SkillError>;

/// An end of an attempt that is no failure.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEnd {
    Done(StepOutcome),
    /// It goes on once a person has answered; until then nobody holds the job.
    Asks(AgentQuestion),
}
