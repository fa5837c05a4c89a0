//! A job's progress on the wire, the same on every port.

use serde::Serialize;

use crate::actors::jobs::JobsShared;
use crate::domain::job::{Job, JobState, plan};

/// A job's progress. `fraction` is 0 to 1; units are documents, or children for a coordinator.
#[derive(Debug, Serialize)]
pub(super) struct JobProgress {
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) beats: u64,
    pub(super) note: String,
    pub(super) fraction: f64,
}

impl JobProgress {
    /// The progress of a job: of the plan if there are children, otherwise of the attempt.
    pub(super) fn of<'j>(jobs: &JobsShared, job: &Job, children: impl IntoIterator<Item = &'j Job>) -> Self {
        let progress = jobs.attempts.progress(&job.id).unwrap_or_default();
        let (mut count, mut ended) = (0, 0);
        for child in children {
            count += 1;
            ended += u64::from(child.state.is_terminal());
        }
        let planned = plan::find(&job.card.task).map_or(0, |plan| plan.steps.len());
        let (done, total) =
            if count == 0 { (progress.done, progress.total) } else { (ended, planned.max(count) as u64) };
        let fraction = match (job.state, total) {
            (JobState::Done, _) => 1.0,
            (_, 0) => 0.0,
            (_, total) => (done as f64 / total as f64).min(1.0),
        };
        Self { done, total, beats: progress.beats, note: progress.note, fraction }
    }
}
