//! Approvals: a person's decisions on jobs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Job;
use crate::ids::{AgentName, ApprovalId, JobId, RunId};
use crate::json::{JsonValue, canonical_text};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    Pending,
    Approved,
    Rejected,
    /// The job ended before anybody decided.
    Withdrawn,
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalDecision {
    pub by: String,
    pub reason: String,
    pub verdict: ApprovalVerdict,
}

/// A decision with parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalVerdict {
    /// The job may begin, or is retried.
    Approve {
        /// Inputs that replace those of the same name.
        inputs: Map<String, Value>,
    },
    Reject,
}

impl ApprovalVerdict {
    /// The status of a question so decided.
    #[must_use]
    pub const fn status(&self) -> ApprovalStatus {
        match self {
            Self::Approve { .. } => ApprovalStatus::Approved,
            Self::Reject => ApprovalStatus::Rejected,
        }
    }
}

/// The kind of an approval requested by an agent in mid-work.
pub const QUESTION: &str = "question";

/// An agent's question to a person in mid-work.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentQuestion {
    pub question: String,
    /// The exact act, or the choices (a JSON object).
    pub action: Value,
}

/// A request for a person's decision. Single use: bound to the job's fence and to the exact act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub approval_id: ApprovalId,
    pub job_id: JobId,
    pub run_id: RunId,
    pub agent: AgentName,
    /// `required` (the card needs approval), `escalation` (a failure that no agent below could resolve) or
    /// [`QUESTION`] (the agent asks; work continues after either answer).
    pub kind: String,
    pub question: String,
    /// The exact act (a JSON object).
    pub action: JsonValue,
    /// BLAKE3 over job, agent and action, to which the approval is bound. Also over the fence, except for a
    /// question in the middle of the work, since the job is claimed again after the answer.
    pub binding: String,
    pub status: ApprovalStatus,
    pub created_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    pub decided_by: Option<String>,
    pub reason: Option<String>,
}

impl Approval {
    /// The approval requested by a job in `awaiting_approval`.
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
            _ => format!("`{}` needs approval for: {}.", job.id, job.card.approvals_required.join(", ")),
        };
        let action = JsonValue(serde_json::json!({
            "agent": job.card.agent, "task": job.card.task, "inputs": job.card.inputs.0,
            "approvals_required": job.card.approvals_required,
        }));
        let bound = format!("{}\n{}\n{}\n{}", job.id, job.fence, job.card.agent, canonical_text(&action));
        Self::pending(job, kind, (question, action), &bound, now)
    }

    /// The approval requested by an agent in mid-work.
    #[must_use]
    pub fn of_agent(job: &Job, asked: AgentQuestion, now: Timestamp) -> Self {
        let action = JsonValue(asked.action);
        let bound = format!("{}\n{}\n{}", job.id, job.card.agent, canonical_text(&action));
        Self::pending(job, QUESTION, (asked.question, action), &bound, now)
    }

    fn pending(
        job: &Job,
        kind: &str,
        (question, action): (String, JsonValue),
        bound: &str,
        now: Timestamp,
    ) -> Self {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::job;
    use super::*;

    #[test]
    fn an_approval_is_bound_to_the_act_however_its_members_are_ordered() {
        let job = job("run", "architect", "ingest");
        let bound = |action: &str| {
            let asked =
                AgentQuestion { question: "May I?".into(), action: serde_json::from_str(action).unwrap() };
            Approval::of_agent(&job, asked, Timestamp::from_millis(1)).binding
        };
        let act = bound(r#"{"push": {"remote": "origin", "branch": "main"}, "force": false}"#);
        assert_eq!(act, bound(r#"{"force": false, "push": {"branch": "main", "remote": "origin"}}"#));
        assert_ne!(act, bound(r#"{"force": true, "push": {"branch": "main", "remote": "origin"}}"#));
        let shown: Value = json!({"b": 1, "a": 2});
        let asked = AgentQuestion { question: "May I?".into(), action: shown.clone() };
        let kept = Approval::of_agent(&job, asked, Timestamp::from_millis(1)).action.0;
        assert_eq!(kept.to_string(), shown.to_string(), "a person sees the order of the asker");
    }
}
