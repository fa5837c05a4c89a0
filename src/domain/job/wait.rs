//! Waits of open jobs.

use serde::{Deserialize, Serialize};

use super::{Job, JobEvent, JobEventKind, JobState};
use crate::ids::{AgentName, JobId};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// A person who decides.
    Person,
    /// The lane's director, who decides about the failure.
    Director,
    /// A person who resumes the job.
    Resume,
    /// The time of the next attempt.
    Retry,
    Resources,
}

/// A waiting job, or an ancestor of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWait {
    /// The waiting job itself.
    pub job_id: JobId,
    pub agent: AgentName,
    pub kind: WaitKind,
    pub since: Timestamp,
    /// The question, the failure or the amounts, as text.
    pub detail: String,
}

impl WaitKind {
    /// The wait of a job; `None` when the job proceeds unaided. The row does not show a wait for resources.
    #[must_use]
    pub fn of(job: &Job, now: Timestamp) -> Option<Self> {
        match job.state {
            JobState::AwaitingApproval => Some(Self::Person),
            JobState::Blocked => Some(Self::Director),
            JobState::Paused => Some(Self::Resume),
            JobState::Queued if !job.is_due(now) => Some(Self::Retry),
            _ => None,
        }
    }

    #[must_use]
    pub const fn begins_with(self) -> Option<JobEventKind> {
        match self {
            Self::Person => Some(JobEventKind::AwaitingApproval),
            Self::Director => Some(JobEventKind::Escalated),
            Self::Resume => Some(JobEventKind::Paused),
            Self::Retry => Some(JobEventKind::Retrying),
            Self::Resources => None,
        }
    }

    #[must_use]
    pub fn detail(self, job: &Job, event: Option<&JobEvent>) -> String {
        let question = event.and_then(|event| event.detail.get("question")?.as_str());
        match (self, question, &job.error) {
            (Self::Person, Some(question), _) => question.to_owned(),
            (Self::Resume, _, _) => "paused by a person".to_owned(),
            (_, _, Some(error)) => error.clone(),
            (Self::Person, None, None) => job.card.approvals_required.join(", "),
            _ => String::new(),
        }
    }

    /// The word for people, after "waits for".
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Person => "a person",
            Self::Director => "its director",
            Self::Resume => "a person to resume it",
            Self::Retry => "its next attempt",
            Self::Resources => "resources",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::testing;

    #[test]
    fn a_row_says_what_it_waits_for() {
        let now = Timestamp::from_millis(1000);
        let wait = |state, not_before: Option<i64>| {
            let mut job = testing::job("run", "architect", "ingest");
            job.state = state;
            job.not_before = not_before.map(Timestamp::from_millis);
            WaitKind::of(&job, now)
        };
        assert_eq!(wait(JobState::AwaitingApproval, None), Some(WaitKind::Person));
        assert_eq!(wait(JobState::Blocked, None), Some(WaitKind::Director));
        assert_eq!(wait(JobState::Paused, None), Some(WaitKind::Resume));
        assert_eq!(wait(JobState::Queued, Some(1001)), Some(WaitKind::Retry));
        assert_eq!(wait(JobState::Queued, Some(1000)), None, "due by now");
        assert_eq!(wait(JobState::Running, None), None);
        assert_eq!(wait(JobState::Done, None), None);
    }
}
