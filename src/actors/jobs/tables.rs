//! The private tables of the job book. [`super::readers`] is the read side for others.

use super::paces::KeptProgress;
use super::readers::LedgerEntry;
use crate::domain::ids::{ApprovalId, JobId, RunId};
use crate::domain::job::approval::Approval;
use crate::domain::job::lost::LostAttempts;
use crate::domain::job::{Job, JobEvent};
use crate::domain::thinking::StepRow;
use crate::store::StoreTable;

/// Every job. The ids of a job's descendants begin with the job's own id and a `.`.
pub(super) const JOBS: StoreTable<JobId, Job> = StoreTable::new("jobs");
/// Jobs that are not terminal, so that a start and a sweep read only these.
pub(super) const ACTIVE: StoreTable<JobId, ()> = StoreTable::new("active_jobs");
/// Runs whose root job is not terminal; each submission compares their number with `jobs.max_queued`.
pub(super) const OPEN_RUNS: StoreTable<RunId, ()> = StoreTable::new("open_runs");
/// Runs that are not closed: open ones, and ended ones that still lack their ledger line.
pub(super) const UNCLOSED_RUNS: StoreTable<RunId, ()> = StoreTable::new("unclosed_runs");
/// Root jobs in the order of acceptance, which no clock can change.
pub(super) const ROOT_ORDER: StoreTable<u64, JobId> = StoreTable::new("root_order");
/// Root jobs by the time of acceptance (milliseconds), for queries about a span of time.
pub(super) const ROOTS: StoreTable<(i64, JobId), ()> = StoreTable::new("roots");
/// Events by run and number.
pub(super) const EVENTS: StoreTable<(RunId, u64), JobEvent> = StoreTable::new("job_events");
/// The run of every event, by the event's number: all events in one order.
pub(super) const EVENT_ORDER: StoreTable<u64, RunId> = StoreTable::new("job_event_order");
pub(super) const COUNTERS: StoreTable<String, u64> = StoreTable::new("counters");
pub(super) const APPROVALS: StoreTable<ApprovalId, Approval> = StoreTable::new("approvals");
/// Submissions by the client's idempotency key: the job, and the hash of the request.
pub(super) const SUBMISSIONS: StoreTable<String, (JobId, String)> = StoreTable::new("submissions");
/// Closed runs by the time of their closing (milliseconds): the ledger.
pub(super) const LEDGER: StoreTable<(i64, RunId), LedgerEntry> = StoreTable::new("ledger");
/// When a run was closed; absent while open. Stays when the run is deleted.
pub(super) const CLOSED: StoreTable<RunId, i64> = StoreTable::new("closed_runs");
/// Runs that are being deleted: in no list any more, and not gone.
pub(super) const DOOMED: StoreTable<RunId, ()> = StoreTable::new("doomed_runs");
/// Rows of thinking agents' step logs, by job and number, from 1.
pub(super) const STEP_ROWS: StoreTable<(JobId, u64), StepRow> = StoreTable::new("step_rows");
/// People's messages to the agent of a job, by job and number: author and text.
pub(super) const SAID_WORDS: StoreTable<(JobId, u64), (String, String)> = StoreTable::new("said_words");
/// Attempts that a step lost in a row with their daemon; absent before its first claim and after an orderly stop.
pub(super) const LOST_ATTEMPTS: StoreTable<JobId, LostAttempts> = StoreTable::new("lost_attempts");
/// How far the jobs of a run are that are not done, by run; kept as they get on.
pub(super) const PROGRESS: StoreTable<RunId, KeptProgress> = StoreTable::new("run_progress");
