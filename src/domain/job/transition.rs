//! The job state machine: which change may follow which, and what it tells.
//!
//! Pure: a row, a change and a time in; the row changed and the events out, or a refusal and the row as
//! it was. Invariants: a terminal state is left by nothing; a commit under an old fence is refused;
//! every change raises the version.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::event::EventKind;
use super::{CancelRequest, Job, JobState};
use crate::domain::artifact::Artifact;
use crate::domain::ids::AgentName;
use crate::domain::json::Json;
use crate::domain::time::Timestamp;

/// A change to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// Its agent takes it: from the queue, or anew after the last holder was lost.
    Claim,
    /// The holder is done.
    Complete { fence: u64, outputs: Json, artifacts: Vec<Artifact> },
    /// The holder failed, and trying again may help.
    FailTransient {
        fence: u64,
        error: String,
        /// How long to wait before the next attempt.
        backoff: Duration,
        /// Most attempts in all.
        max_attempts: u32,
        /// Who decides when there is none left.
        director: AgentName,
    },
    /// The holder cannot go on for lack of something that comes back: tried again later, however often. The
    /// attempt does not count.
    WaitOut {
        fence: u64,
        error: String,
        /// How long to wait before the next attempt.
        backoff: Duration,
    },
    /// The holder failed, and trying again cannot help: so does the job, unless its run can do without it,
    /// which the director decides.
    FailPermanent { fence: u64, error: String, director: AgentName },
    /// A step below failed, and a person has settled that: so does this.
    GiveUp { fence: u64, error: String },
    /// The director lets the run go on without it.
    Waive,
    /// The director leaves the decision to a person.
    AskPerson,
    /// A person consents: it may begin, or is tried once more.
    Approve {
        by: String,
        reason: String,
        /// Inputs to go on with in place of those of the same name.
        inputs: Map<String, Value>,
    },
    /// A person declines: it fails.
    Reject { by: String, reason: String },
    /// A person holds it.
    Pause,
    /// A person lets it go on.
    Resume,
    /// It must end. `held` says whether an attempt must be stopped first.
    Cancel {
        cause: CancelCause,
        /// Whether somebody works on it now.
        held: bool,
    },
    /// The holder has stopped on request.
    Stopped {
        fence: u64,
        /// How it was stopped.
        how: String,
    },
    /// A person gives it to another agent, or has it begun anew by its own: whoever holds it loses it.
    Reassign {
        /// Who does it from now on.
        to: AgentName,
        /// Who wants it so.
        by: String,
        reason: String,
    },
    /// It takes longer than expected: told, not changed.
    SoftTimeout { fence: u64 },
    /// It takes longer than allowed: the attempt is being stopped.
    HardTimeout { fence: u64 },
}

/// Why a job must end before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelCause {
    /// Somebody asked for it, in these words.
    Asked(String),
    /// Its deadline has passed.
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

/// Why a change is refused; the row is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not from this state.
    #[error("`{job}` is {}, so it cannot be {wish}", .state.as_str())]
    State { job: String, state: JobState, wish: &'static str },
    /// Somebody else holds it by now.
    #[error("`{job}` has been taken over: fence {held} is older than {newest}")]
    Fenced { job: String, held: u64, newest: u64 },
}

/// An event to be told, without its number.
pub type Told = (EventKind, serde_json::Value);

impl Job {
    /// Applies a change.
    ///
    /// # Errors
    /// [`Refusal`]; the row is as it was.
    pub fn apply(&mut self, transition: Transition, now: Timestamp) -> Result<Vec<Told>, Refusal> {
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

    fn change(&mut self, transition: Transition, now: Timestamp) -> Result<Vec<Told>, Refusal> {
        match transition {
            Transition::Claim => self.claim(now),
            Transition::Complete { fence, outputs, artifacts } => self.complete(fence, outputs, artifacts),
            Transition::FailTransient { fence, error, backoff, max_attempts, director } => {
                self.require_holder(fence, "failed")?;
                if self.attempt >= max_attempts {
                    let error = format!("{error} (after {} attempts)", self.attempt);
                    return Ok(self.escalate(error, director));
                }
                Ok(self.try_again(error, backoff, now))
            }
            Transition::WaitOut { fence, error, backoff } => {
                self.require_holder(fence, "sent back to the queue")?;
                self.attempt = self.attempt.saturating_sub(1);
                Ok(self.try_again(error, backoff, now))
            }
            Transition::FailPermanent { fence, error, director } => {
                self.require_holder(fence, "failed")?;
                // A run can do without a step; there is nothing beside a root.
                if self.card.optional && self.id.parent().is_some() {
                    return Ok(self.escalate(error, director));
                }
                Ok(vec![self.failed(error)])
            }
            Transition::GiveUp { fence, error } => {
                self.require_holder(fence, "failed")?;
                Ok(vec![self.failed(error)])
            }
            Transition::SoftTimeout { fence } => self.timed(fence, EventKind::SoftTimeout),
            Transition::HardTimeout { fence } => self.timed(fence, EventKind::HardTimeout),
            Transition::Waive => self.settle(JobState::Quarantined, EventKind::Quarantined, "waived"),
            Transition::AskPerson => {
                self.settle(JobState::AwaitingApproval, EventKind::AwaitingApproval, "put to a person")
            }
            Transition::Approve { by, reason, inputs } => self.approve(&by, &reason, inputs),
            Transition::Reject { by, reason } => self.reject(&by, &reason),
            Transition::Pause => self.pause(),
            Transition::Resume => self.resume(),
            Transition::Cancel { cause, held } => self.cancel(&cause, held, now),
            Transition::Reassign { to, by, reason } => self.reassign(to, &by, &reason),
            Transition::Stopped { fence, how } => {
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
        outputs: Json,
        artifacts: Vec<Artifact>,
    ) -> Result<Vec<Told>, Refusal> {
        self.require_holder(fence, "completed")?;
        self.state = JobState::Done;
        (self.error, self.outputs, self.artifacts) = (None, outputs, artifacts);
        Ok(vec![(EventKind::Completed, json!({ "artifacts": self.artifacts.len() }))])
    }

    fn timed(&self, fence: u64, kind: EventKind) -> Result<Vec<Told>, Refusal> {
        self.require_holder(fence, "timed")?;
        Ok(vec![(kind, json!({ "attempt": self.attempt }))])
    }

    /// A director's decision about a failure.
    fn settle(&mut self, state: JobState, kind: EventKind, wish: &'static str) -> Result<Vec<Told>, Refusal> {
        self.require(&[JobState::Blocked], wish)?;
        self.state = state;
        Ok(vec![(kind, json!({ "error": self.error, "by": self.escalated_to }))])
    }

    fn approve(&mut self, by: &str, reason: &str, inputs: Map<String, Value>) -> Result<Vec<Told>, Refusal> {
        self.require(&[JobState::AwaitingApproval], "approved")?;
        (self.state, self.attempt, self.not_before) = (JobState::Queued, 0, None);
        self.escalated_to = None;
        let mut detail = json!({ "by": by, "reason": reason });
        if !inputs.is_empty() {
            detail["inputs"] = json!(inputs);
            self.correct_inputs(inputs);
        }
        Ok(vec![(EventKind::Approved, detail)])
    }

    fn reject(&mut self, by: &str, reason: &str) -> Result<Vec<Told>, Refusal> {
        self.require(&[JobState::AwaitingApproval], "rejected")?;
        self.state = JobState::Failed;
        self.error.get_or_insert_with(|| format!("rejected by {by}: {reason}"));
        let failed = (EventKind::Failed, json!({ "error": self.error }));
        Ok(vec![(EventKind::Rejected, json!({ "by": by, "reason": reason })), failed])
    }

    fn pause(&mut self) -> Result<Vec<Told>, Refusal> {
        let open = [JobState::Queued, JobState::Running, JobState::AwaitingApproval, JobState::Blocked];
        self.require(&open, "paused")?;
        if self.cancel.is_some() {
            return Err(self.refuse("paused"));
        }
        (self.paused_from, self.state) = (Some(self.state), JobState::Paused);
        Ok(vec![(EventKind::Paused, json!({}))])
    }

    fn resume(&mut self) -> Result<Vec<Told>, Refusal> {
        self.require(&[JobState::Paused], "resumed")?;
        self.state = self.paused_from.unwrap_or(JobState::Queued);
        Ok(vec![(EventKind::Resumed, json!({}))])
    }

    fn claim(&mut self, now: Timestamp) -> Result<Vec<Told>, Refusal> {
        self.require(&[JobState::Queued, JobState::Running], "claimed")?;
        if self.cancel.is_some() || (self.state == JobState::Queued && !self.is_due(now)) {
            return Err(self.refuse("claimed"));
        }
        self.state = JobState::Running;
        self.fence += 1;
        self.attempt += 1;
        self.not_before = None;
        self.started_at.get_or_insert(now);
        Ok(vec![(EventKind::Started, json!({ "attempt": self.attempt, "fence": self.fence }))])
    }

    /// Back to the queue under a new fence, so that the last holder's claim is worth nothing any more. One
    /// that waits for consent stays where it is: the consent names the agent that asked.
    fn reassign(&mut self, to: AgentName, by: &str, reason: &str) -> Result<Vec<Told>, Refusal> {
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
        Ok(vec![(EventKind::Reassigned, detail)])
    }

    fn try_again(&mut self, error: String, backoff: Duration, now: Timestamp) -> Vec<Told> {
        self.lead_to(JobState::Queued);
        self.not_before = Some(now.plus(backoff));
        let wait_ms = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX);
        let detail = json!({ "error": error, "attempt": self.attempt, "wait_ms": wait_ms });
        self.error = Some(error);
        vec![(EventKind::Retrying, detail)]
    }

    fn failed(&mut self, error: String) -> Told {
        // A failure under way when the job was held ends it like any other.
        self.state = JobState::Failed;
        self.error = Some(error);
        (EventKind::Failed, json!({ "error": self.error }))
    }

    /// Replaces inputs by those that a person corrected.
    pub(crate) fn correct_inputs(&mut self, inputs: Map<String, Value>) {
        let mut all = self.card.inputs.as_object().cloned().unwrap_or_default();
        all.extend(inputs);
        self.card.inputs = Json(Value::Object(all));
    }

    fn cancel(&mut self, cause: &CancelCause, held: bool, now: Timestamp) -> Result<Vec<Told>, Refusal> {
        if self.state.is_terminal() || self.cancel.is_some() {
            return Err(self.refuse("cancelled"));
        }
        let held = held && (self.state == JobState::Running || self.paused_from == Some(JobState::Running));
        let reason = cause.reason();
        if let (CancelCause::Deadline, Some(deadline)) = (cause, self.card.deadline_at) {
            self.error = Some(format!("its deadline, {deadline}, has passed"));
        }
        let detail = json!({ "reason": reason, "state_before": self.state.as_str() });
        let asked = (EventKind::CancelRequested, detail);
        self.cancel = Some(CancelRequest { at: now, reason });
        if held {
            self.state = JobState::Running;
            return Ok(vec![asked]);
        }
        Ok(vec![asked, self.cancelled("nothing was running")])
    }

    fn cancelled(&mut self, how: &str) -> Told {
        self.state = JobState::Cancelled;
        self.stopped_how = Some(how.to_owned());
        (EventKind::Cancelled, json!({ "how": how }))
    }

    fn escalate(&mut self, error: String, director: AgentName) -> Vec<Told> {
        self.lead_to(JobState::Blocked);
        self.error = Some(error);
        self.escalated_to = Some(director);
        vec![(EventKind::Escalated, json!({ "error": self.error, "to": self.escalated_to }))]
    }

    /// A failure under way when the job was held changes what a resume leads to, and no more.
    fn lead_to(&mut self, state: JobState) {
        if self.state == JobState::Paused {
            self.paused_from = Some(state);
        } else {
            self.state = state;
        }
    }

    /// A paused job's holder may still commit: what it has done is not lost for having been held.
    fn require_holder(&self, fence: u64, wish: &'static str) -> Result<(), Refusal> {
        self.require_fence(fence)?;
        let held = self.state == JobState::Running
            || (self.state == JobState::Paused && self.paused_from == Some(JobState::Running));
        if !held || self.cancel.is_some() {
            return Err(self.refuse(wish));
        }
        Ok(())
    }

    fn require_fence(&self, fence: u64) -> Result<(), Refusal> {
        if fence == self.fence {
            return Ok(());
        }
        Err(Refusal::Fenced { job: self.id.to_string(), held: fence, newest: self.fence })
    }

    fn require(&self, states: &[JobState], wish: &'static str) -> Result<(), Refusal> {
        if states.contains(&self.state) { Ok(()) } else { Err(self.refuse(wish)) }
    }

    fn refuse(&self, wish: &'static str) -> Refusal {
        Refusal::State { job: self.id.to_string(), state: self.state, wish }
    }
}
