//! The tables of the job book.

use crate::domain::ids::{ApprovalId, JobId, RunId};
use crate::domain::job::approval::Approval;
use crate::domain::job::{Job, JobEvent};
use crate::domain::json::Json;
use crate::domain::time::Timestamp;
use crate::store::Table;

/// Every job. The ids of a job's descendants begin with its own and a `.`.
pub const JOBS: Table<JobId, Job> = Table::new("jobs");
/// Jobs that are not terminal, so that a start and a sweep read only these.
pub const ACTIVE: Table<JobId, ()> = Table::new("active_jobs");
/// Root jobs by the time of their acceptance (milliseconds), for lists.
pub const ROOTS: Table<(i64, JobId), ()> = Table::new("roots");
/// Events by run and number.
pub const EVENTS: Table<(RunId, u64), JobEvent> = Table::new("job_events");
/// The run of every event, by the event's number: all events in one order.
pub const EVENT_ORDER: Table<u64, RunId> = Table::new("job_event_order");
/// Counters by name.
pub const COUNTERS: Table<String, u64> = Table::new("counters");
/// Approvals.
pub const APPROVALS: Table<ApprovalId, Approval> = Table::new("approvals");
/// Submissions by the client's idempotency key: the job, and the hash of what was asked.
pub const SUBMISSIONS: Table<String, (JobId, String)> = Table::new("submissions");
/// Closed runs by the time of their closing (milliseconds): the ledger.
pub const LEDGER: Table<(i64, RunId), LedgerEntry> = Table::new("ledger");
/// When a run was closed; absent while it is open.
pub const CLOSED: Table<RunId, i64> = Table::new("closed_runs");

/// A line of the experiment ledger: what was run, with what, to what end.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LedgerEntry {
    /// The run.
    pub run_id: RunId,
    /// Its task.
    pub task: String,
    /// How it ended.
    pub state: String,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Jobs in it.
    pub jobs: u32,
    /// BLAKE3 over its deterministic artifacts: equal for equal work.
    pub content_hash: String,
    /// Cost in USD, exact, as decimal text.
    pub cost_usd: String,
    /// Where its manifest is, relative to the working directory.
    pub manifest: String,
    /// What it started from.
    pub inputs: Json,
}
