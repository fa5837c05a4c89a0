//! Jobs that a person begins again: by another agent, by the same one, or as a new run.
//!
//! Invariants: an agent loses the job with the commit, not with the notice; an overtaken attempt is signalled
//! to stop at once, even if the agent does not respond.

use serde_json::json;

use super::{AsksPerson, JobError, JobsShared};
use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::{Job, JobRequest, JobState, JobTransition, takeover};

impl JobsShared {
    /// Gives a job to another agent, which begins the job anew.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Conflict`] names the reason why `to` cannot take the job;
    /// [`JobError::Refused`] when the job has ended or waits for a person.
    pub async fn reassign(
        &self,
        id: &JobId,
        to: &AgentName,
        by: &str,
        reason: &str,
    ) -> Result<Job, JobError> {
        let job = self.book.get(id)?;
        // An ended job is refused for that reason, whether or not the agent could take the job.
        if !job.state.is_terminal() {
            let fit = takeover::check(self.agents.roster(), self.tasks, &job, to);
            fit.map_err(|unfit| JobError::Conflict(unfit.to_string()))?;
        }
        self.begin_again(&job, to.clone(), by, reason).await
    }

    /// Makes the job's present agent begin anew.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job has ended or waits for a person.
    pub async fn restart(&self, id: &JobId, by: &str, reason: &str) -> Result<Job, JobError> {
        let job = self.book.get(id)?;
        let to = job.card.agent.clone();
        self.begin_again(&job, to, by, reason).await
    }

    async fn begin_again(
        &self,
        before: &Job,
        to: AgentName,
        by: &str,
        reason: &str,
    ) -> Result<Job, JobError> {
        let transition = JobTransition::Reassign { to, by: by.to_owned(), reason: reason.to_owned() };
        let job = self.book.change(&before.id, transition).await?;
        if let Some(attempt) = self.attempts.attempt(&job.id).filter(|attempt| attempt.fence < job.fence) {
            attempt.control.stop();
        }
        if before.card.agent != job.card.agent {
            self.agents.notify(before.card.agent.as_str(), &job.id);
        }
        self.notify(&job);
        Ok(job)
    }

    /// Submits an ended run again, as a new run: nothing leaves a terminal state.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Conflict`] for a step, and for a run that is done or still open;
    /// those of a submission.
    pub async fn retry(&self, id: &JobId) -> Result<Job, JobError> {
        let old = self.book.get(id)?;
        if old.id.parent().is_some() || !old.state.is_terminal() || old.state == JobState::Done {
            return Err(JobError::Conflict(format!(
                "`{id}` is {}; only a run (a root job) that failed, was cancelled or quarantined can be retried; a \
                 step that waits for a decision is retried by approving it",
                old.state.as_str()
            )));
        }
        let asks = if old.card.optional { AsksPerson::No } else { AsksPerson::Yes };
        let mut inputs = old.card.inputs.as_object().cloned().unwrap_or_default();
        inputs.insert("retry_of".to_owned(), json!(id));
        let request = JobRequest {
            task: old.card.task,
            inputs: Some(inputs),
            agent: Some(old.card.agent),
            capability: old.card.capability,
            priority: Some(old.card.priority),
            approvals_required: old.card.approvals_required,
            resource_request: old.card.resource_request.and_then(|request| request.as_object().cloned()),
            // The old deadline has passed or would pass at once; a key would return the old run.
            deadline_s: None,
            idempotency_key: None,
        };
        self.submit(request, asks).await
    }
}
