//! The job state machine: allowed transitions and their events.
//!
//! Pure: a row, a transition and a time in; the changed row and events out, or a refusal and the row
//! unchanged. Invariants: a terminal state is final; a commit under an old fence is refused; every change
//! raises the version.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::event::JobEventKind;
use super::{CancelRequest, Job, JobState};
use crate::artifact::Artifact;
use crate::ids::AgentName;
use crate::json::JsonValue;
use crate::time::Timestamp;

/// A change to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobTransition {
    /// The agent claims the job: from the queue, or again after the last attempt was lost.
    Claim,
    /// The attempt succeeded.
    Complete { fence: u64, outputs: JsonValue, artifacts: Vec<Artifact> },
    /// The attempt failed, and a retry may help.
    FailTransient {
        fence: u64,
        error: String,
        /// How long to wait before the next attempt.
        backoff: Duration,
        /// Most attempts in all.
        max_attempts: u32,
        /// Decides when no attempt is left.
        director: AgentName,
    },
    /// The attempt lacks something that will come back: retried later, without limit. The attempt does not
    /// count.
    WaitOut {
        fence: u64,
        error: String,
        /// How long to wait before the next attempt.
        backoff: Duration,
    },
    /// Too many attempts in a row were lost: the director decides.
    FailLost { fence: u64, error: String, director: AgentName },
    /// The attempt failed, and a retry cannot help: the job fails, unless the director decides that the run
    /// can do without it.
    FailPermanent { fence: u64, error: String, director: AgentName },
    /// A step below failed, confirmed by a person: this job fails too.
    GiveUp { fence: u64, error: String },
    /// The director waives the job: the run continues.
    Waive,
    /// The director leaves the decision to a person.
    AskPerson,
    /// A person approves: the job may begin, or is retried once more.
    Approve {
        by: String,
        reason: String,
        /// Inputs that replace those of the same name.
        inputs: Map<String, Value>,
    },
    /// A person rejects: the job fails.
    Reject { by: String, reason: String },
    /// The agent asks a person and releases the job until the answer.
    AskQuestion { fence: u64 },
    /// A person has answered the agent's question with yes or no: either way the agent continues and reads
    /// the answer.
    AnswerQuestion { by: String, reason: String, is_yes: bool },
    /// A person pauses the job.
    Pause,
    /// A person resumes the job.
    Resume,
    /// The job must end. `has_attempt`: an attempt must be stopped first.
    Cancel {
        cause: CancelCause,
        /// Whether an attempt is running.
        has_attempt: bool,
    },
    /// The attempt has stopped on request.
    Stopped {
        fence: u64,
        /// How the attempt was stopped.
        how: String,
    },
    /// A person reassigns the job, or restarts it with the same agent: the present claim is void.
    Reassign {
        /// The new agent.
        to: AgentName,
        /// The deciding person.
        by: String,
        reason: String,
    },
    /// Slower than expected: an event, no change.
    SoftTimeout { fence: u64 },
    /// Slower than allowed: the attempt is being stopped.
    HardTimeout { fence: u64 },
}

/// Why a job is cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelCause {
    /// Requested, with this reason.
    Asked(String),
    /// The deadline has passed.
    Deadline,
}

impl CancelCause {
    fn reason(&self) -> String {
        match self {
            Self::Asked(reason) => reason.clone(),
            Self::Deadline => "its deadline has passed".to_owned(),
        }
    }
}

/// Why a transition is refused; the row is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransitionRefusal {
    /// Not from this state.
    #[error("`{job}` is {}, so it cannot be {wish}", .state.as_str())]
    State { job: String, state: JobState, wish: &'static str },
    /// A newer claim exists.
    #[error("`{job}` has been taken over: fence {held} is older than {newest}")]
    Fenced { job: String, held: u64, newest: u64 },
}

/// An event without a number.
pub type JobEventDraft = (JobEventKind, serde_json::Value);

impl Job {
    /// Applies a change.
    ///
    /// # Errors
    /// [`TransitionRefusal`]; the row is unchanged.
    pub fn apply(
        &mut self,
        transition: JobTransition,
        now: Timestamp,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        let told = self.change(transition, now)?;
        self.version += 1;
        if self.state != JobState::Paused {
            self.paused_from = None;
        }
        if self.state.is_terminal() && self.ended_at.is_none() {
            self.ended_at = Some(now);
        }
        Ok(told)
    }

    fn change(
        &mut self,
        transition: JobTransition,
        now: Timestamp,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        match transition {
            JobTransition::Claim => self.claim(now),
            JobTransition::Complete { fence, outputs, artifacts } => self.complete(fence, outputs, artifacts),
            JobTransition::FailTransient { fence, error, backoff, max_attempts, director } => {
                self.require_holder(fence, "failed")?;
                if self.attempt >= max_attempts {
                    let error = format!("{error} (after {} attempts)", self.attempt);
                    return Ok(self.escalate(error, director));
                }
                Ok(self.try_again(error, backoff, now))
            }
            JobTransition::WaitOut { fence, error, backoff } => {
                self.require_holder(fence, "sent back to the queue")?;
                self.attempt = self.attempt.saturating_sub(1);
                Ok(self.try_again(error, backoff, now))
            }
            JobTransition::FailLost { fence, error, director } => {
                self.require_holder(fence, "failed")?;
                Ok(self.escalate(error, director))
            }
            JobTransition::FailPermanent { fence, error, director } => {
                self.require_holder(fence, "failed")?;
                // A run can do without a step, but not without the root.
                if self.card.optional && self.id.parent().is_some() {
                    return Ok(self.escalate(error, director));
                }
                Ok(vec![self.failed(error)])
            }
            JobTransition::GiveUp { fence, error } => {
                self.require_holder(fence, "failed")?;
                Ok(vec![self.failed(error)])
            }
            JobTransition::SoftTimeout { fence } => self.timed(fence, JobEventKind::SoftTimeout),
            JobTransition::HardTimeout { fence } => self.timed(fence, JobEventKind::HardTimeout),
            JobTransition::Waive => self.settle(JobState::Quarantined, JobEventKind::Quarantined, "waived"),
            JobTransition::AskPerson => {
                self.settle(JobState::AwaitingApproval, JobEventKind::AwaitingApproval, "put to a person")
            }
            JobTransition::Approve { by, reason, inputs } => self.approve(&by, &reason, inputs),
            JobTransition::Reject { by, reason } => self.reject(&by, &reason),
            JobTransition::AskQuestion { fence } => {
                self.require_holder(fence, "made to wait for an answer")?;
                self.lead_to(JobState::AwaitingApproval);
                Ok(Vec::new())
            }
            JobTransition::AnswerQuestion { by, reason, is_yes } => {
                self.answer_question(&by, &reason, is_yes)
            }
            JobTransition::Pause => self.pause(),
            JobTransition::Resume => self.resume(),
            JobTransition::Cancel { cause, has_attempt: held } => self.cancel(&cause, held, now),
            JobTransition::Reassign { to, by, reason } => self.reassign(to, &by, &reason),
            JobTransition::Stopped { fence, how } => {
                self.require_fence(fence)?;
                if self.state != JobState::Running || self.cancel.is_none() {
                    return Err(self.refuse("stopped"));
                }
                Ok(vec![self.cancelled(&how)])
            }
        }
    }

    fn complete(
        &mut self,
        fence: u64,
        outputs: JsonValue,
        artifacts: Vec<Artifact>,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require_holder(fence, "completed")?;
        self.state = JobState::Done;
        (self.error, self.outputs, self.artifacts) = (None, outputs, artifacts);
        Ok(vec![(JobEventKind::Completed, json!({ "artifacts": self.artifacts.len() }))])
    }

    fn timed(&self, fence: u64, kind: JobEventKind) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require_holder(fence, "timed")?;
        Ok(vec![(kind, json!({ "attempt": self.attempt }))])
    }

    /// A director's decision about a failure.
    fn settle(
        &mut self,
        state: JobState,
        kind: JobEventKind,
        wish: &'static str,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require(&[JobState::Blocked], wish)?;
        self.state = state;
        Ok(vec![(kind, json!({ "error": self.error, "by": self.escalated_to }))])
    }

    fn approve(
        &mut self,
        by: &str,
        reason: &str,
        inputs: Map<String, Value>,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require(&[JobState::AwaitingApproval], "approved")?;
        (self.state, self.attempt, self.not_before) = (JobState::Queued, 0, None);
        self.escalated_to = None;
        let mut detail = json!({ "by": by, "reason": reason });
        if !inputs.is_empty() {
            detail["inputs"] = json!(inputs);
            self.correct_inputs(inputs);
        }
        Ok(vec![(JobEventKind::Approved, detail)])
    }

    fn answer_question(
        &mut self,
        by: &str,
        reason: &str,
        is_yes: bool,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require(&[JobState::AwaitingApproval], "answered")?;
        (self.state, self.attempt, self.not_before) = (JobState::Queued, 0, None);
        let kind = if is_yes { JobEventKind::Approved } else { JobEventKind::Rejected };
        Ok(vec![(kind, json!({ "by": by, "reason": reason }))])
    }

    fn reject(&mut self, by: &str, reason: &str) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require(&[JobState::AwaitingApproval], "rejected")?;
        self.state = JobState::Failed;
        self.error.get_or_insert_with(|| format!("rejected by {by}: {reason}"));
        let failed = (JobEventKind::Failed, json!({ "error": self.error }));
        Ok(vec![(JobEventKind::Rejected, json!({ "by": by, "reason": reason })), failed])
    }

    fn pause(&mut self) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        let open = [JobState::Queued, JobState::Running, JobState::AwaitingApproval, JobState::Blocked];
        self.require(&open, "paused")?;
        if self.cancel.is_some() {
            return Err(self.refuse("paused"));
        }
        (self.paused_from, self.state) = (Some(self.state), JobState::Paused);
        Ok(vec![(JobEventKind::Paused, json!({}))])
    }

    fn resume(&mut self) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require(&[JobState::Paused], "resumed")?;
        self.state = self.paused_from.unwrap_or(JobState::Queued);
        Ok(vec![(JobEventKind::Resumed, json!({}))])
    }

    fn claim(&mut self, now: Timestamp) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        self.require(&[JobState::Queued, JobState::Running], "claimed")?;
        if self.cancel.is_some() || (self.state == JobState::Queued && !self.is_due(now)) {
            return Err(self.refuse("claimed"));
        }
        // The end of the daemon is no failure of the step: an attempt that was lost with it is made again.
        let is_lost = self.state == JobState::Running;
        self.state = JobState::Running;
        self.fence += 1;
        self.attempt += u32::from(!is_lost);
        self.not_before = None;
        self.started_at.get_or_insert(now);
        Ok(vec![(JobEventKind::Started, json!({ "attempt": self.attempt, "fence": self.fence }))])
    }

    /// Requeues the job under a new fence, so that the last claim is void. A job that awaits
    /// approval stays: the approval names the asking agent.
    fn reassign(
        &mut self,
        to: AgentName,
        by: &str,
        reason: &str,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        let state = self.paused_from.filter(|_| self.state == JobState::Paused).unwrap_or(self.state);
        if !matches!(state, JobState::Queued | JobState::Running) || self.cancel.is_some() {
            return Err(self.refuse("given to an agent"));
        }
        let from = std::mem::replace(&mut self.card.agent, to);
        self.fence += 1;
        (self.attempt, self.not_before) = (0, None);
        self.lead_to(JobState::Queued);
        let detail = json!({
            "from": from, "to": self.card.agent, "by": by, "reason": reason, "fence": self.fence,
        });
        Ok(vec![(JobEventKind::Reassigned, detail)])
    }

    fn try_again(&mut self, error: String, backoff: Duration, now: Timestamp) -> Vec<JobEventDraft> {
        self.lead_to(JobState::Queued);
        self.not_before = Some(now.plus(backoff));
        let wait_ms = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX);
        let detail = json!({ "error": error, "attempt": self.attempt, "wait_ms": wait_ms });
        self.error = Some(error);
        vec![(JobEventKind::Retrying, detail)]
    }

    fn failed(&mut self, error: String) -> JobEventDraft {
        // A failure in flight when the job was paused ends the job like any other.
        self.state = JobState::Failed;
        self.error = Some(error);
        (JobEventKind::Failed, json!({ "error": self.error }))
    }

    /// Replaces inputs by a person's corrections.
    pub fn correct_inputs(&mut self, inputs: Map<String, Value>) {
        let mut all = self.card.inputs.as_object().cloned().unwrap_or_default();
        all.extend(inputs);
        self.card.inputs = JsonValue(Value::Object(all));
    }

    fn cancel(
        &mut self,
        cause: &CancelCause,
        held: bool,
        now: Timestamp,
    ) -> Result<Vec<JobEventDraft>, TransitionRefusal> {
        if self.state.is_terminal() || self.cancel.is_some() {
            return Err(self.refuse("cancelled"));
        }
        let held = held && (self.state == JobState::Running || self.paused_from == Some(JobState::Running));
        let reason = cause.reason();
        if let (CancelCause::Deadline, Some(deadline)) = (cause, self.card.deadline_at) {
            self.error = Some(format!("its deadline, {deadline}, has passed"));
        }
        let detail = json!({ "reason": reason, "state_before": self.state.as_str() });
        let asked = (JobEventKind::CancelRequested, detail);
        self.cancel = Some(CancelRequest { at: now, reason });
        if held {
            self.state = JobState::Running;
            return Ok(vec![asked]);
        }
        Ok(vec![asked, self.cancelled("nothing was running")])
    }

    fn cancelled(&mut self, how: &str) -> JobEventDraft {
        self.state = JobState::Cancelled;
        self.stopped_how = Some(how.to_owned());
        (JobEventKind::Cancelled, json!({ "how": how }))
    }

    fn escalate(&mut self, error: String, director: AgentName) -> Vec<JobEventDraft> {
        self.lead_to(JobState::Blocked);
        self.error = Some(error);
        self.escalated_to = Some(director);
        vec![(JobEventKind::Escalated, json!({ "error": self.error, "to": self.escalated_to }))]
    }

    /// A failure in flight when the job was paused only changes the state to resume to.
    fn lead_to(&mut self, state: JobState) {
        if self.state == JobState::Paused {
            self.paused_from = Some(state);
        } else {
            self.state = state;
        }
    }

    /// The attempt of a paused job may still commit: a pause loses no finished work.
    fn require_holder(&self, fence: u64, wish: &'static str) -> Result<(), TransitionRefusal> {
        self.require_fence(fence)?;
        let held = self.state == JobState::Running
            || (self.state == JobState::Paused && self.paused_from == Some(JobState::Running));
        if !held || self.cancel.is_some() {
            return Err(self.refuse(wish));
        }
        Ok(())
    }

    fn require_fence(&self, fence: u64) -> Result<(), TransitionRefusal> {
        if fence == self.fence {
            return Ok(());
        }
        Err(TransitionRefusal::Fenced { job: self.id.to_string(), held: fence, newest: self.fence })
    }

    fn require(&self, states: &[JobState], wish: &'static str) -> Result<(), TransitionRefusal> {
        if states.contains(&self.state) { Ok(()) } else { Err(self.refuse(wish)) }
    }

    fn refuse(&self, wish: &'static str) -> TransitionRefusal {
        TransitionRefusal::State { job: self.id.to_string(), state: self.state, wish }
    }
}
