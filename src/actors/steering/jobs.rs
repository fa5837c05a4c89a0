//! Actions on jobs and approvals: pause, resume, kill, restart, reassign, decide.
//!
//! An action on a job includes those below it, except that a reassigned job leaves them running.

use std::collections::HashSet;
use std::time::Duration;

use super::proof::{ProofReadings, SteeringScope};
use super::{SteeringAnswer, SteeringDeps, SteeringError, SteeringRequest};
use crate::actors::resource_manager::ResourceError;
use crate::domain::ids::{ApprovalId, JobId};
use crate::domain::job::approval::{ApprovalDecision, ApprovalStatus, ApprovalVerdict};
use crate::domain::job::{Job, JobState};
use crate::domain::steering::SteeringAction;

/// How long the steps of a killed job may take to stop: one document's time each, and then those above them.
const STOP_WAIT: Duration = Duration::from_secs(5);

impl SteeringDeps {
    pub(super) async fn pause_job(&self, id: &JobId) -> Result<SteeringAnswer, SteeringError> {
        if self.jobs.book.get(id)?.state == JobState::Paused {
            return Ok(SteeringAnswer::without_proof(format!("`{id}` was paused already; nothing changed")));
        }
        let held = self.jobs.book.pause_tree(id).await?;
        held.iter().for_each(|job| self.jobs.notify(job));
        Ok(SteeringAnswer::without_proof(format!("paused {}", and_below(id, held.len()))))
    }

    pub(super) async fn resume_job(&self, id: &JobId) -> Result<SteeringAnswer, SteeringError> {
        let state = self.jobs.book.get(id)?.state;
        if state != JobState::Paused && !state.is_terminal() {
            return Ok(SteeringAnswer::without_proof(format!("`{id}` was not paused; nothing changed")));
        }
        let resumed = self.jobs.book.resume_tree(id).await?;
        resumed.iter().for_each(|job| self.jobs.notify(job));
        Ok(SteeringAnswer::without_proof(format!("resumed {}", and_below(id, resumed.len()))))
    }

    /// Cancels by force: stops the job's steps, takes the reservations back.
    pub(super) async fn kill_job(
        &self,
        request: &SteeringRequest,
        id: &JobId,
    ) -> Result<SteeringAnswer, SteeringError> {
        let job = self.jobs.book.get(id)?;
        if job.state == JobState::Cancelled {
            return Ok(SteeringAnswer::without_proof(format!(
                "`{id}` was cancelled before; nothing changed"
            )));
        }
        if job.state.is_terminal() {
            let state = job.state.as_str();
            return Err(SteeringError::Refused(format!("`{id}` is {state}, so there is nothing to kill")));
        }
        let concern = SteeringScope {
            jobs: HashSet::from([id.clone()]),
            with_those_below: true,
            ..SteeringScope::default()
        };
        let readings = ProofReadings::take(self, concern);
        let reason = request.reason.as_deref().unwrap_or("killed by a person");
        let killed = match self.resources.kill(id.as_str(), reason).await {
            // The job was being cancelled already; the code below waits for that.
            Err(ResourceError::Unknown(_)) => 0,
            killed => killed?.jobs.len(),
        };
        readings.end_calls();
        let job = self.jobs.wait(id, STOP_WAIT).await?;
        let message = match job.state {
            JobState::Cancelled => format!("cancelled {}", and_below(id, killed)),
            // The job ended otherwise at the same moment.
            state if state.is_terminal() => format!("`{id}` is {}", state.as_str()),
            _ => format!(
                "{} is being stopped; an agent that does not stop in time is killed",
                and_below(id, killed)
            ),
        };
        Ok(SteeringAnswer { message, proof: Some(readings.proof(Vec::new()).await) })
    }

    /// Begins a job anew; an ended run is submitted as a new run.
    pub(super) async fn restart_job(
        &self,
        request: &SteeringRequest,
        id: &JobId,
    ) -> Result<SteeringAnswer, SteeringError> {
        let job = self.jobs.book.get(id)?;
        if job.state.is_terminal() {
            let again = self.jobs.retry(id).await?;
            return Ok(SteeringAnswer::without_proof(format!(
                "`{id}` is {}; submitted it anew as `{}`",
                job.state.as_str(),
                again.id
            )));
        }
        if matches!(job.state, JobState::AwaitingApproval | JobState::Blocked) {
            let text = format!("`{id}` waits for a decision; approve it to try the job again");
            return Err(SteeringError::Refused(text));
        }
        let readings = self.readings_of(&job);
        let (who, why) = (request.who.as_str(), request.reason.as_deref().unwrap_or_default());
        let job = self.jobs.restart(id, who, why).await?;
        readings.end_calls();
        let message = format!("`{id}` is begun anew by `{}`", job.card.agent);
        Ok(SteeringAnswer { message, proof: Some(readings.proof(Vec::new()).await) })
    }

    pub(super) async fn reassign_job(
        &self,
        request: &SteeringRequest,
        id: &JobId,
    ) -> Result<SteeringAnswer, SteeringError> {
        let missing = SteeringError::Incomplete("to", "name the agent that takes the job over");
        let to = request.to.as_ref().ok_or(missing)?;
        let before = self.jobs.book.get(id)?;
        let readings = self.readings_of(&before);
        let (who, why) = (request.who.as_str(), request.reason.as_deref().unwrap_or_default());
        self.jobs.reassign(id, to, who, why).await?;
        readings.end_calls();
        let message = format!("`{id}` went from `{}` to `{to}`, which begins it anew", before.card.agent);
        Ok(SteeringAnswer::without_proof(message))
    }

    /// The proof's readings for one job and the job's agent.
    fn readings_of(&self, job: &Job) -> ProofReadings<'_> {
        ProofReadings::take(
            self,
            SteeringScope { jobs: HashSet::from([job.id.clone()]), ..SteeringScope::default() },
        )
    }

    /// The approval that a job waits for.
    pub(super) fn question_of(&self, id: &JobId) -> Result<ApprovalId, SteeringError> {
        let mut asked = self.jobs.book.approvals()?;
        asked.retain(|asked| asked.job_id == *id && asked.status == ApprovalStatus::Pending);
        let none = || {
            let below = "steps below it may: `GET /approvals` on port 6100 lists them";
            SteeringError::Refused(format!("`{id}` waits for no approval; {below}"))
        };
        asked.pop().map(|asked| asked.approval_id).ok_or_else(none)
    }

    pub(super) async fn decide(
        &self,
        request: &SteeringRequest,
        id: &ApprovalId,
    ) -> Result<SteeringAnswer, SteeringError> {
        let approve = request.action == SteeringAction::Approve;
        let (wish, word) = if approve {
            (ApprovalStatus::Approved, "approved")
        } else {
            (ApprovalStatus::Rejected, "rejected")
        };
        let asked = self.jobs.book.approval(id)?;
        if asked.status == wish {
            let by = asked.decided_by.unwrap_or_default();
            return Ok(SteeringAnswer::without_proof(format!(
                "`{id}` was {word} before by {by}; nothing changed"
            )));
        }
        let (by, why) = (request.who.as_str().to_owned(), request.reason.clone().unwrap_or_default());
        let verdict = if approve {
            ApprovalVerdict::Approve { inputs: serde_json::Map::new() }
        } else {
            ApprovalVerdict::Reject
        };
        let (_, job) = self.jobs.decide(id, ApprovalDecision { by, reason: why, verdict }).await?;
        Ok(SteeringAnswer::without_proof(format!("{word} `{id}`: `{}` is {}", job.id, job.state.as_str())))
    }
}

fn and_below(id: &JobId, jobs: usize) -> String {
    match jobs {
        0 | 1 => format!("`{id}`"),
        2 => format!("`{id}` and 1 job below it"),
        more => format!("`{id}` and {} jobs below it", more - 1),
    }
}
