//! The log of one step, folded as it grows: nothing follows from a row before it is durable.

use std::sync::Arc;

use crate::actors::jobs::step_log::MAX_STEP_ROWS;
use crate::actors::jobs::{JobError, JobsShared};
use crate::domain::ids::JobId;
use crate::domain::job::{Job, TransitionRefusal};
use crate::domain::thinking::{FoldError, StepRow, ThinkingState};
use crate::skills::SkillError;

/// A step's rows, its state, and the right to add to them.
pub(super) struct StepJournal {
    jobs: Arc<JobsShared>,
    job: JobId,
    fence: u64,
    pub(super) state: ThinkingState,
    /// Whole outputs that were kept, by their numbers from 1: the hash that names each.
    pub(super) outputs: Vec<String>,
    /// The number of persons' words that are rows already.
    pub(super) words: usize,
    /// Models that answered, as `vendor/model`, the newest last.
    models: Vec<String>,
}

impl StepJournal {
    /// Reads and folds the rows of earlier attempts.
    pub(super) fn open(jobs: &Arc<JobsShared>, job: &Job) -> Result<Self, SkillError> {
        let rows = jobs.book.step_rows(&job.id, 0, MAX_STEP_ROWS).map_err(from_store)?;
        let mut journal = Self {
            jobs: Arc::clone(jobs),
            job: job.id.clone(),
            fence: job.fence,
            state: ThinkingState::default(),
            outputs: Vec::new(),
            words: 0,
            models: Vec::new(),
        };
        for (_, row) in rows {
            journal.take(row).map_err(|error| SkillError::Permanent(error.to_string()))?;
        }
        Ok(journal)
    }

    /// Folds a row in and writes it durably. After an error the state is ahead of the log: the attempt ends with it,
    /// and the next one folds anew.
    pub(super) async fn append(&mut self, row: StepRow) -> Result<(), SkillError> {
        let seq = self.state.rows();
        // A row that cannot follow must not become durable.
        self.take(row.clone()).map_err(|error| SkillError::Permanent(error.to_string()))?;
        self.jobs.book.append_step_row(&self.job, self.fence, seq, row).await.map_err(from_store)
    }

    fn take(&mut self, row: StepRow) -> Result<(), FoldError> {
        self.note(&row);
        self.state.apply(row)
    }

    fn note(&mut self, row: &StepRow) {
        match row {
            StepRow::Returned(returned) if returned.out.is_some() => {
                self.outputs.push(returned.full_hash.clone());
            }
            StepRow::PersonSaid(_) => self.words += 1,
            StepRow::Answered(answered) => {
                self.models.retain(|model| *model != answered.model);
                self.models.push(answered.model.clone());
            }
            _ => {}
        }
    }

    /// `vendor/model` of the newest answer; empty before the first.
    pub(super) fn answering_model(&self) -> &str {
        self.models.last().map_or("", String::as_str)
    }

    /// The vendors of all answers: a review by one of them is not independent.
    pub(super) fn vendors(&self) -> Vec<String> {
        let vendor =
            |model: &String| model.split_once('/').map_or(model.as_str(), |(vendor, _)| vendor).to_owned();
        let mut vendors: Vec<String> = self.models.iter().map(vendor).collect();
        vendors.sort_unstable();
        vendors.dedup();
        vendors
    }

    pub(super) fn job(&self) -> &JobId {
        &self.job
    }
}

/// A store that takes no writes is waited out; a job that somebody else holds by now is not ours to end.
pub(super) fn from_store(error: JobError) -> SkillError {
    match error {
        JobError::Store(error) if error.is_passing() => SkillError::Passing(error.to_string()),
        JobError::Refused(TransitionRefusal::Fenced { .. } | TransitionRefusal::State { .. }) => {
            SkillError::Cancelled
        }
        other => SkillError::Transient(other.to_string()),
    }
}
