//! Decisions that wait for a person.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Job;
use crate::domain::ids::{AgentName, ApprovalId, JobId, RunId};
use crate::domain::json::Json;
use crate::domain::time::Timestamp;

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    Pending,
    Approved,
    Rejected,
    /// The job ended before anybody decided.
    Withdrawn,
}

/// A person's answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub by: String,
    pub reason: String,
    pub verdict: Verdict,
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The job may begin, or is tried again.
    Approve {
        /// Inputs to go on with in place of those of the same name.
        inputs: Map<String, Value>,
    },
    Reject,
}

impl Verdict {
    /// The status of a question so decided.
    #[must_use]
    pub const fn status(&self) -> ApprovalStatus {
        match self {
            Self::Approve { .. } => ApprovalStatus::Approved,
            Self::Reject => ApprovalStatus::Rejected,
        }
    }
}

/// A question to a person. Single use: it is bound to the job's fence and to what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub approval_id: ApprovalId,
    /// The job that waits.
    pub job_id: JobId,
    pub run_id: RunId,
    pub agent: AgentName,
    /// `required` (the card demands consent) or `escalation` (a failure that nobody below could settle).
    pub kind: String,
    /// The question, in words.
    pub question: String,
    /// What exactly is to be done (a JSON object).
    pub action: Json,
    /// BLAKE3 over job, fence, agent and action: what the consent is bound to.
    pub binding: String,
    pub status: ApprovalStatus,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    pub decided_by: Option<String>,
    pub reason: Option<String>,
}

impl Approval {
    /// The question that a job in `awaiting_approval` puts.
    #[must_use]
    pub fn ask(job: &Job, now: Timestamp) -> Self {
        let escalation = job.escalated_to.is_some();
        let kind = if escalation { "escalation" } else { "required" };
        let question = match (&job.error, escalation) {
            (Some(error), true) => {
                format!(
                    "`{}` failed: {error}. Approve to try again, with corrected `inputs` where they are the cause; \
                     reject to give the run up.",
                    job.id
                )
            }
            _ => format!("`{}` needs consent to: {}.", job.id, job.card.approvals_required.join(", ")),
        };
        let action = Json(serde_json::json!({
            "agent": job.card.agent, "task": job.card.task, "inputs": job.card.inputs.0,
            "approvals_required": job.card.approvals_required,
        }));
        let bound = format!("{}\n{}\n{}\n{}", job.id, job.fence, job.card.agent, action.0);
        Self {
            approval_id: ApprovalId::of_question(&job.id, job.version),
            job_id: job.id.clone(),
            run_id: job.run(),
            agent: job.escalated_to.clone().unwrap_or_else(|| job.card.agent.clone()),
            kind: kind.to_owned(),
            question,
            action,
            binding: blake3::hash(bound.as_bytes()).to_hex().to_string(),
            status: ApprovalStatus::Pending,
            created_at: now,
            decided_at: None,
            decided_by: None,
            reason: None,
        }
    }
}
