//! What is done to jobs and questions: pause, resume, kill, restart, reassign, decide.
//!
//! A job takes those below it along, except where another agent takes it over: what is below goes on.

use std::collections::HashSet;
use std::time::Duration;

use super::proof::{Concern, Readings};
use super::{Answer, Means, Request, SteerError};
use crate::actors::resource_manager::ResourceError;
use crate::domain::ids::{ApprovalId, JobId};
use crate::domain::job::approval::{ApprovalStatus, Decision, Verdict};
use crate::domain::job::{Job, JobState};
use crate::domain::steering::Action;

/// How long the steps of a killed job may take to stop: a document's time each, and then those above them.
const STOP_WAIT: Duration = Duration::from_secs(5);

impl Means {
    pub(super) async fn pause_job(&self, id: &JobId) -> Result<Answer, SteerError> {
        if self.jobs.book.get(id)?.state == JobState::Paused {
            return Ok(Answer::told(format!("`{id}` was paused already; nothing changed")));
        }
        let held = self.jobs.book.pause_tree(id).await?;
        held.iter().for_each(|job| self.jobs.hint(job));
        Ok(Answer::told(format!("paused {}", and_below(id, held.len()))))
    }

    pub(super) async fn resume_job(&self, id: &JobId) -> Result<Answer, SteerError> {
        let state = self.jobs.book.get(id)?.state;
        if state != JobState::Paused && !state.is_terminal() {
            return Ok(Answer::told(format!("`{id}` was not paused; nothing changed")));
        }
        let resumed = self.jobs.book.resume_tree(id).await?;
        resumed.iter().for_each(|job| self.jobs.hint(job));
        Ok(Answer::told(format!("resumed {}", and_below(id, resumed.len()))))
    }

    /// Cancels by force: what runs of it is stopped, what it holds is taken back.
    pub(super) async fn kill_job(&self, request: &Request, id: &JobId) -> Result<Answer, SteerError> {
        let job = self.jobs.book.get(id)?;
        if job.state == JobState::Cancelled {
            return Ok(Answer::told(format!("`{id}` was cancelled before; nothing changed")));
        }
        if job.state.is_terminal() {
            let state = job.state.as_str();
            return Err(SteerError::Refused(format!("`{id}` is {state}, so there is nothing to kill")));
        }
        let concern =
            Concern { jobs: HashSet::from([id.clone()]), with_those_below: true, ..Concern::default() };
        let readings = Readings::take(self, concern);
        let reason = request.reason.as_deref().unwrap_or("killed by a person");
        let killed = match self.resources.kill(id.as_str(), reason).await {
            // It was being cancelled already: what follows waits for that.
            Err(ResourceError::Unknown(_)) => 0,
            killed => killed?.jobs.len(),
        };
        readings.end_calls();
        let job = self.jobs.wait(id, STOP_WAIT).await?;
        let message = match job.state {
            JobState::Cancelled => format!("killed {}", and_below(id, killed)),
            // It ended by itself in the same moment.
            state if state.is_terminal() => format!("`{id}` is {}", state.as_str()),
            _ => format!(
                "{} is being stopped; an agent that does not stop in time is killed",
                and_below(id, killed)
            ),
        };
        Ok(Answer { message, proof: Some(readings.proof(Vec::new()).await) })
    }

    /// Begins a job anew; one that has ended is submitted as a new run.
    pub(super) async fn restart_job(&self, request: &Request, id: &JobId) -> Result<Answer, SteerError> {
        let job = self.jobs.book.get(id)?;
        if job.state.is_terminal() {
            let again = self.jobs.retry(id).await?;
            return Ok(Answer::told(format!(
                "`{id}` is {}; submitted it anew as `{}`",
                job.state.as_str(),
                again.id
            )));
        }
        if matches!(job.state, JobState::AwaitingApproval | JobState::Blocked) {
            let text = format!("`{id}` waits for a decision; approve that to have it tried again");
            return Err(SteerError::Refused(text));
        }
        let readings = self.readings_of(&job);
        let (who, why) = (request.who.as_str(), request.reason.as_deref().unwrap_or_default());
        let job = self.jobs.restart(id, who, why).await?;
        readings.end_calls();
        let message = format!("`{id}` is begun anew by `{}`", job.card.agent);
        Ok(Answer { message, proof: Some(readings.proof(Vec::new()).await) })
    }

    pub(super) async fn reassign_job(&self, request: &Request, id: &JobId) -> Result<Answer, SteerError> {
        let missing = SteerError::Incomplete("to", "name the agent that takes the job over");
        let to = request.to.as_ref().ok_or(missing)?;
        let before = self.jobs.book.get(id)?;
        let readings = self.readings_of(&before);
        let (who, why) = (request.who.as_str(), request.reason.as_deref().unwrap_or_default());
        self.jobs.reassign(id, to, who, why).await?;
        readings.end_calls();
        let message = format!("`{id}` went from `{}` to `{to}`, which begins it anew", before.card.agent);
        Ok(Answer::told(message))
    }

    /// What one job has in its agent's hands.
    fn readings_of(&self, job: &Job) -> Readings<'_> {
        Readings::take(self, Concern { jobs: HashSet::from([job.id.clone()]), ..Concern::default() })
    }

    /// The question that a job waits with.
    pub(super) fn question_of(&self, id: &JobId) -> Result<ApprovalId, SteerError> {
        let mut asked = self.jobs.book.approvals()?;
        asked.retain(|asked| asked.job_id == *id && asked.status == ApprovalStatus::Pending);
        let none = || {
            let below = "steps below it may: `GET /approvals` on port 6100 lists the questions";
            SteerError::Refused(format!("`{id}` waits for nobody's consent; {below}"))
        };
        asked.pop().map(|asked| asked.approval_id).ok_or_else(none)
    }

    pub(super) async fn decide(&self, request: &Request, id: &ApprovalId) -> Result<Answer, SteerError> {
        let approve = request.action == Action::Approve;
        let (wish, word) = if approve {
            (ApprovalStatus::Approved, "approved")
        } else {
            (ApprovalStatus::Rejected, "rejected")
        };
        let asked = self.jobs.book.approval(id)?;
        if asked.status == wish {
            let by = asked.decided_by.unwrap_or_default();
            return Ok(Answer::told(format!("`{id}` was {word} before by {by}; nothing changed")));
        }
        let (by, why) = (request.who.as_str().to_owned(), request.reason.clone().unwrap_or_default());
        let verdict =
            if approve { Verdict::Approve { inputs: serde_json::Map::new() } } else { Verdict::Reject };
        let (_, job) = self.jobs.decide(id, Decision { by, reason: why, verdict }).await?;
        Ok(Answer::told(format!("{word} `{id}`: `{}` is {}", job.id, job.state.as_str())))
    }
}

fn and_below(id: &JobId, jobs: usize) -> String {
    match jobs {
        0 | 1 => format!("`{id}`"),
        2 => format!("`{id}` and 1 job below it"),
        more => format!("`{id}` and {} jobs below it", more - 1),
    }
}
