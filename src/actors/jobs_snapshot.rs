//! A snapshot of current jobs from one read: open runs, runs that ended lately, and waiting approvals.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::jobs::{JobError, JobsShared};
use crate::domain::hmi::AgentWork;
use crate::domain::hmi::status::DONE_SHOWN;
use crate::domain::hmi::waiting::asks;
use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::job::approval::{Approval, ApprovalStatus};
use crate::domain::job::{Job, JobState};
use crate::domain::time::Timestamp;

/// Most runs read: more than a person follows. Open ones come first, then the newest.
const MAX_RUNS: usize = 50;
/// Newest root jobs searched for runs that ended lately.
const LOOKED_AT: usize = 100;

pub struct JobsSnapshot {
    /// Start of the reading.
    pub at: Timestamp,
    /// Every job that has not ended.
    pub active: Vec<Job>,
    /// The runs that are open or ended within [`DONE_SHOWN`], each with all jobs, the root first.
    pub runs: Vec<Vec<Job>>,
    /// How many runs are open or ended within [`DONE_SHOWN`], those that are not read included; at least.
    pub runs_total: usize,
    /// The approvals that wait for a person, oldest first.
    pub asked: Vec<Approval>,
    /// The running jobs that wait for machine resources.
    pub held_up: HashSet<JobId>,
}

impl JobsSnapshot {
    /// Reads the book. Blocks for some milliseconds.
    ///
    /// # Errors
    /// The store's.
    pub fn read(jobs: &JobsShared) -> Result<Self, JobError> {
        let (at, book) = (Timestamp::now(), &jobs.book);
        let active = book.active()?;
        let mut open: Vec<&Job> = active.iter().filter(|job| job.id.parent().is_none()).collect();
        open.sort_by_key(|job| (job.state == JobState::Queued, Reverse(job.created_at)));
        let roots = book.roots(LOOKED_AT)?;
        let ended = roots.iter().filter(|root| ended_within(root, at, DONE_SHOWN));
        let shown: Vec<&Job> = open.into_iter().chain(ended).collect();
        let runs_total = shown.len();
        let shown = shown.into_iter().take(MAX_RUNS);
        let runs = shown.map(|root| book.subtree(&root.id)).collect::<Result<Vec<_>, _>>()?;
        let mut asked = if active.iter().any(asks) { book.approvals()? } else { Vec::new() };
        asked.retain(|approval| approval.status == ApprovalStatus::Pending);
        asked.sort_by_key(|approval| approval.created_at);
        Ok(Self { at, active, runs, runs_total, asked, held_up: jobs.attempts.waiting_for_resources() })
    }

    /// Each agent's part in these jobs.
    #[must_use]
    pub fn work_of_agents(&self) -> HashMap<AgentName, AgentWork> {
        let ended = self.runs.iter().flatten().filter(|job| ended_within(job, self.at, DONE_SHOWN));
        AgentWork::of_agents(&self.active, &self.asked, ended, |job| self.held_up.contains(job))
    }

    #[must_use]
    pub fn run(&self, run: &RunId) -> &[Job] {
        let found = self.runs.iter().find(|jobs| jobs.first().is_some_and(|root| root.run() == *run));
        found.map_or(&[], Vec::as_slice)
    }
}

/// Whether a job ended less than `time` before `at`.
#[must_use]
pub fn ended_within(job: &Job, at: Timestamp, time: Duration) -> bool {
    job.ended_at.is_some_and(|ended| at.since(ended) < time)
}
