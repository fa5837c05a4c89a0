//! The tables of the job book; nobody else reads or writes them. [`super::readers`] has what others may know.

use super::readers::LedgerEntry;
use crate::domain::ids::{ApprovalId, JobId, RunId};
use crate::domain::job::approval::Approval;
use crate::domain::job::{Job, JobEvent};
use crate::store::Table;

/// Every job. The ids of a job's descendants begin with its own and a `.`.
pub(super) const JOBS: Table<JobId, Job> = Table::new("jobs");
/// Jobs that are not terminal, so that a start and a sweep read only these.
pub(super) const ACTIVE: Table<JobId, ()> = Table::new("active_jobs");
/// Runs whose root job is not terminal: their number is compared with `jobs.max_queued` at each submission.
pub(super) const OPEN_RUNS: Table<RunId, ()> = Table::new("open_runs");
/// Runs that are not closed: open ones, and those that have ended and still lack their line in the ledger.
pub(super) const UNCLOSED_RUNS: Table<RunId, ()> = Table::new("unclosed_runs");
/// Root jobs in the order of their acceptance, which no clock can change.
pub(super) const ROOT_ORDER: Table<u64, JobId> = Table::new("root_order");
/// Root jobs by the time of their acceptance (milliseconds), for questions about a span of time.
pub(super) const ROOTS: Table<(i64, JobId), ()> = Table::new("roots");
/// Events by run and number.
pub(super) const EVENTS: Table<(RunId, u64), JobEvent> = Table::new("job_events");
/// The run of every event, by the event's number: all events in one order.
pub(super) const EVENT_ORDER: Table<u64, RunId> = Table::new("job_event_order");
pub(super) const COUNTERS: Table<String, u64> = Table::new("counters");
pub(super) const APPROVALS: Table<ApprovalId, Approval> = Table::new("approvals");
/// Submissions by the client's idempotency key: the job, and the hash of what was asked.
pub(super) const SUBMISSIONS: Table<String, (JobId, String)> = Table::new("submissions");
/// Closed runs by the time of their closing (milliseconds): the ledger.
pub(super) const LEDGER: Table<(i64, RunId), LedgerEntry> = Table::new("ledger");
/// When a run was closed; absent while it is open.
pub(super) const CLOSED: Table<RunId, i64> = Table::new("closed_runs");
