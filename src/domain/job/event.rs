//! Job events: one row each, numbered across all runs.

use serde::{Deserialize, Serialize};

use crate::ids::{AgentName, JobId, RunId};
use crate::json::JsonValue;
use crate::time::Timestamp;

/// The kind of a job event: the contract's status events, and our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEventKind {
    /// The job is durable, and will reach a terminal state.
    Accepted,
    /// The agent claimed the job.
    Started,
    /// A person must decide.
    AwaitingApproval,
    Approved,
    Rejected,
    /// The attempt takes longer than expected.
    SoftTimeout,
    /// The attempt took longer than allowed and is stopped.
    HardTimeout,
    /// The job failed for good; an agent above decides.
    Escalated,
    /// Another attempt will follow.
    Retrying,
    Paused,
    Resumed,
    CancelRequested,
    /// The job has ended on request.
    Cancelled,
    Failed,
    /// The run continues without the job.
    Quarantined,
    Completed,
    /// Progress, or a wait for resources.
    Progress,
    /// A person reassigned the job, or restarted it from the beginning. New kinds come last: rows are stored
    /// by position.
    Reassigned,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// The event's number, from 1, across all runs.
    pub seq: u64,
    pub ts: Timestamp,
    pub run_id: RunId,
    pub job_id: JobId,
    pub agent: AgentName,
    pub event: JobEventKind,
    /// Details (a JSON object).
    pub detail: JsonValue,
}
