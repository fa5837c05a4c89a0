//! The step log: a thinking agent's deeds in a job, one row for each, in order.
//!
//! Owns the table of rows, and the approval in which a job waits for a person's answer. Invariants: a row is
//! written under the fence of the job's claim, so that an overtaken attempt adds nothing; no row is changed
//! or removed while the run is kept; an acknowledged row survives `kill -9`.

use super::book::{JobBook, JobError};
use super::draft::JobDraft;
use super::tables::{SAID_WORDS, STEP_ROWS};
use crate::domain::ids::JobId;
use crate::domain::job::approval::{AgentQuestion, Approval};
use crate::domain::job::{Job, JobTransition, TransitionRefusal};
use crate::domain::thinking::StepRow;
use crate::store::{KeyRange, ScanOrder};

/// Most rows of one step; beyond that the step was divided badly, and further rows are refused.
pub const MAX_STEP_ROWS: usize = 20_000;
/// Most words of persons to one job: each stays in every request.
pub const MAX_WORDS: u64 = 100;

impl JobBook {
    /// Appends the row after the first `seq` rows, durably.
    ///
    /// # Errors
    /// [`JobError::Refused`] when the job is no longer claimed under this fence; [`JobError::Conflict`] when
    /// the log does not have exactly `seq` rows; the store's.
    pub async fn append_step_row(
        &self,
        id: &JobId,
        fence: u64,
        seq: u64,
        row: StepRow,
    ) -> Result<(), JobError> {
        let id = id.clone();
        self.store()
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                draft.claimed(&id, fence, "worked on")?;
                let newest = view.last(&STEP_ROWS, &KeyRange::under(&id))?.map_or(0, |((_, seq), _)| seq);
                if newest != seq || usize::try_from(seq).is_ok_and(|rows| rows >= MAX_STEP_ROWS) {
                    return Err(JobError::Conflict(format!(
                        "the step log of `{id}` has {newest} rows, so row {} cannot follow; {MAX_STEP_ROWS} are the \
                         most",
                        seq + 1
                    )));
                }
                draft.put_step_row(&id, seq + 1, &row);
                Ok((draft.finish(), ()))
            })
            .await
    }

    /// The rows of a job after `seq`, oldest first, numbered from 1.
    ///
    /// # Errors
    /// The store's.
    pub fn step_rows(&self, id: &JobId, seq: u64, limit: usize) -> Result<Vec<(u64, StepRow)>, JobError> {
        self.read(|view| {
            let span = KeyRange::under(id).after(&(id.clone(), seq));
            let rows = view.range(&STEP_ROWS, &span, ScanOrder::Ascending, limit)?;
            Ok(rows.into_iter().map(|((_, seq), row)| (seq, row)).collect())
        })
    }

    /// Keeps a person's word to the agent of a job, durably; the agent reads it before its next turn.
    ///
    /// # Errors
    /// [`JobError::NotFound`], [`JobError::Refused`] when the job has ended, [`JobError::Conflict`] when
    /// [`MAX_WORDS`] are kept already; the store's.
    pub async fn say(&self, id: &JobId, by: String, text: String) -> Result<u64, JobError> {
        let id = id.clone();
        self.store()
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                let job = draft.job(&id)?;
                if job.state.is_terminal() {
                    let (job, state) = (id.to_string(), job.state);
                    return Err(TransitionRefusal::State { job, state, wish: "spoken to" }.into());
                }
                let newest = view.last(&SAID_WORDS, &KeyRange::under(&id))?.map_or(0, |((_, seq), _)| seq);
                if newest >= MAX_WORDS {
                    return Err(JobError::Conflict(format!(
                        "`{id}` was spoken to {MAX_WORDS} times, the most"
                    )));
                }
                draft.put_word(&id, newest + 1, &(by, text));
                Ok((draft.finish(), newest + 1))
            })
            .await
    }

    /// People's messages to the agent of a job: author and text, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn words_said(&self, id: &JobId) -> Result<Vec<(String, String)>, JobError> {
        let most = usize::try_from(MAX_WORDS).unwrap_or(usize::MAX);
        self.read(|view| {
            let rows = view.range(&SAID_WORDS, &KeyRange::under(id), ScanOrder::Ascending, most)?;
            Ok(rows.into_iter().map(|(_, word)| word).collect())
        })
    }

    /// Puts an agent's question to a person and has the job wait for the answer, in one write.
    ///
    /// # Errors
    /// [`JobError::Refused`] when the job is no longer claimed under this fence, or the store's.
    pub async fn ask_question(&self, id: &JobId, fence: u64, asked: AgentQuestion) -> Result<Job, JobError> {
        let id = id.clone();
        self.store()
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                let mut job = draft.job(&id)?;
                draft.apply(&mut job, JobTransition::AskQuestion { fence })?;
                let approval = Approval::of_agent(&job, asked, draft.now);
                draft.put_question(&job, &approval)?;
                Ok((draft.finish(), job))
            })
            .await
    }
}
