//! A job's progress on the wire, the same on every port.

use serde::Serialize;

use crate::actors::jobs::JobsShared;
use crate::domain::hmi::progress::RunProgress;
use crate::domain::job::{Job, plan};

/// A job's progress: how far it is, and what is counted of it: documents, or children for a coordinator.
#[derive(Debug, Serialize)]
pub(super) struct JobProgress {
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) beats: u64,
    pub(super) note: String,
    pub(super) fraction: f64,
    pub(super) known: bool,
}

impl JobProgress {
    /// The progress of a job by [`JobsShared::progress`], and the counts: of the plan if there are children,
    /// otherwise of the attempt.
    pub(super) fn of<'j>(
        jobs: &JobsShared,
        job: &Job,
        children: impl IntoIterator<Item = &'j Job>,
        progress: RunProgress,
    ) -> Self {
        let attempt = jobs.attempts.progress(&job.id).unwrap_or_default();
        let (mut count, mut ended) = (0, 0);
        for child in children {
            count += 1;
            ended += u64::from(child.state.is_terminal());
        }
        let planned = plan::find(&job.card.task).map_or(0, |plan| plan.steps.len());
        let (done, total) =
            if count == 0 { (attempt.done, attempt.total) } else { (ended, planned.max(count) as u64) };
        let RunProgress { fraction, is_known: known } = progress;
        Self { done, total, beats: attempt.beats, note: attempt.note, fraction, known }
    }
}
