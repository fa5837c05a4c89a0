//! The waits of the open jobs of a run, with their reason and start.
//!
//! Invariant: waits are read from rows, approvals, events and running attempts, and stored nowhere. An
//! ancestor of a waiting job waits too.

use std::collections::HashMap;

use super::JobsShared;
use super::book::{JobBook, JobError};
use super::tables::EVENTS;
use crate::domain::hmi::activity;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::wait::{JobWait, WaitKind};
use crate::domain::job::{Job, JobEvent, JobEventKind, JobState};
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder};

/// Events read at once on the way back to the start of a wait.
const CHUNK: usize = 500;

impl JobsShared {
    /// What each open one of these jobs is at ([`activity`]).
    #[must_use]
    pub fn activities(&self, jobs: &[Job]) -> HashMap<JobId, JobState> {
        activity::of_jobs(jobs, |job| self.attempts.resource_wait(job).is_some())
    }

    /// The waits of these jobs of one run, in the order of the jobs' ids.
    ///
    /// # Errors
    /// The store's.
    pub fn waits(&self, jobs: &[Job]) -> Result<Vec<JobWait>, JobError> {
        let now = Timestamp::now();
        let kind_of = |job: &Job| match self.attempts.resource_wait(&job.id) {
            Some((since, detail)) => Some((WaitKind::Resources, Some((since, detail)))),
            None => WaitKind::of(job, now).map(|kind| (kind, None)),
        };
        let waiting: Vec<_> = jobs.iter().filter_map(|job| Some((job, kind_of(job)?))).collect();
        let Some((first, _)) = waiting.first() else { return Ok(Vec::new()) };
        let sought =
            waiting.iter().filter_map(|(job, (kind, _))| Some((job.id.clone(), kind.begins_with()?)));
        let began = self.book.last_events(&first.run(), sought.collect())?;
        Ok(waiting
            .into_iter()
            .map(|(job, (kind, by_board))| {
                let event = began.get(&job.id);
                let (since, detail) = by_board.unwrap_or_else(|| {
                    (event.map_or(job.created_at, |event| event.ts), kind.detail(job, event))
                });
                JobWait { job_id: job.id.clone(), agent: job.card.agent.clone(), kind, since, detail }
            })
            .collect())
    }
}

impl JobBook {
    /// The last event of a kind of each of these jobs.
    fn last_events(
        &self,
        run: &RunId,
        mut sought: HashMap<JobId, JobEventKind>,
    ) -> Result<HashMap<JobId, JobEvent>, JobError> {
        let mut found = HashMap::new();
        self.read(|view| {
            let mut span = KeyRange::under(run);
            while !sought.is_empty() {
                let rows = view.range(&EVENTS, &span, ScanOrder::Descending, CHUNK)?;
                let Some((oldest, _)) = rows.last() else { break };
                span = span.before(oldest);
                for (_, event) in rows {
                    if sought.get(&event.job_id) == Some(&event.event) {
                        sought.remove(&event.job_id);
                        found.insert(event.job_id.clone(), event);
                    }
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}
