//! How far a job is, as every port shows it.

use serde::Serialize;

use crate::actors::jobs::Jobs;
use crate::domain::job::{Job, JobState, plan};

/// How far a job is. `fraction` is 0 to 1; units are documents, or children for a coordinator.
#[derive(Debug, Serialize)]
pub(super) struct Progress {
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) beats: u64,
    pub(super) note: String,
    pub(super) fraction: f64,
}

impl Progress {
    /// The progress of a job with these children: of its plan where it has some, else of the attempt at it.
    pub(super) fn of<'j>(jobs: &Jobs, job: &Job, children: impl IntoIterator<Item = &'j Job>) -> Self {
        let progress = jobs.board.progress(&job.id).unwrap_or_default();
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
