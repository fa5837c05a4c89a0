//! What is told of a job: one row an event, numbered across all runs.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::json::Json;
use crate::domain::time::Timestamp;

/// What happened to a job: the status events of the contract, and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It is durable, and will reach a terminal state.
    Accepted,
    /// Its agent claimed it.
    Started,
    /// It waits for a person.
    AwaitingApproval,
    Approved,
    Rejected,
    /// It takes longer than expected.
    SoftTimeout,
    /// It took longer than allowed; the attempt is stopped.
    HardTimeout,
    /// It failed for good; someone above decides.
    Escalated,
    /// It will be tried again.
    Retrying,
    Paused,
    Resumed,
    /// Its end was asked for.
    CancelRequested,
    /// It has ended on request.
    Cancelled,
    Failed,
    /// The run goes on without it.
    Quarantined,
    Completed,
    /// Something on its way, such as a wait for resources.
    Progress,
    /// A person gave it to another agent, or had it begun anew. New kinds come last: rows are stored by
    /// position.
    Reassigned,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Its number, from 1, across all runs.
    pub seq: u64,
    pub ts: Timestamp,
    pub run_id: RunId,
    pub job_id: JobId,
    pub agent: AgentName,
    pub event: EventKind,
    /// More of it (a JSON object).
    pub detail: Json,
}
