//! Continues the work of an earlier run: its files into the tree, its account into the log.
//!
//! Invariants: files come from the snapshot that the card names, before the first row; the account is a row before the
//! first turn. Failure policy: both are done again from their start after a crash; a base that has changed in the same
//! places ends the step in words.

use std::sync::Arc;

use super::brief::ThinkingBrief;
use super::journal::from_store;
use super::reviewing::REVIEWS_FILE;
use super::runner::ThinkingAttempt;
use super::workspace::{blocking, tree_name};
use crate::actors::jobs::JobsShared;
use crate::actors::jobs::step_log::MAX_STEP_ROWS;
use crate::domain::ids::RunId;
use crate::domain::job::Job;
use crate::domain::thinking::{EarlierEnd, StepRow, TakenUpRow, ThinkingState};
use crate::review::verdict::ReviewVerdict;
use crate::skills::SkillError;
use crate::worktree::{CommitId, SealOrder, TakeUpOutcome, TreeName, WorkTree, take_up};

/// The tree of the continued run.
pub(super) fn earlier_tree(jobs: &JobsShared, brief: &ThinkingBrief) -> Result<Option<TreeName>, SkillError> {
    let Some((run, _)) = &brief.continues else { return Ok(None) };
    tree_name(&lead_of(jobs, run)?.id).map(Some)
}

fn lead_of(jobs: &JobsShared, run: &RunId) -> Result<Job, SkillError> {
    let lead = jobs.lead_of(run).map_err(from_store)?;
    lead.ok_or_else(|| SkillError::Permanent(format!("nobody has worked on a change in `{run}`")))
}

/// A step as its log has it, and persons' words that it never read.
fn state_of(jobs: &JobsShared, lead: &Job) -> Result<(ThinkingState, Vec<(String, String)>), SkillError> {
    let rows = jobs.book.step_rows(&lead.id, 0, MAX_STEP_ROWS).map_err(from_store)?;
    let read = rows.iter().filter(|(_, row)| matches!(row, StepRow::PersonSaid(_))).count();
    let said = jobs.book.words_said(&lead.id).map_err(from_store)?;
    let unread = said.into_iter().skip(read).collect();
    let state = ThinkingState::fold(rows.into_iter().map(|(_, row)| row));
    let state = state.map_err(|error| {
        SkillError::Permanent(format!("the log of `{}` cannot be read: {error}", lead.id))
    })?;
    Ok((state, unread))
}

impl ThinkingAttempt {
    /// Makes the files those of the earlier run's snapshot, as long as the step has not begun.
    pub(super) async fn begin_with_earlier_files(&self) -> Result<(), SkillError> {
        let Some((run, snapshot)) = self.brief.continues.clone() else { return Ok(()) };
        if self.journal.state.begun().is_some() {
            return Ok(());
        }
        let Some(snapshot) = CommitId::parse(&snapshot) else {
            return Err(SkillError::Permanent(format!("`{snapshot}` is no snapshot")));
        };
        let name = tree_name(&lead_of(&self.jobs, &run)?.id)?;
        let (root, tree) = (self.deps.trees.clone(), Arc::clone(&self.workspace.tree));
        let order = SealOrder {
            author: self.signature(),
            message: format!("Go on with the work of {run}"),
            trailers: Vec::new(),
            second: self.began_at,
            parent: tree.base().clone(),
        };
        let taken = blocking(move || take_up(&tree, &WorkTree::open(&root, &name)?, &snapshot, &order));
        match taken.await?.map_err(|error| SkillError::Permanent(error.to_string()))? {
            TakeUpOutcome::Begun => Ok(()),
            TakeUpOutcome::Conflicts(files) => {
                let files = files.iter().map(|file| file.path.to_string()).collect::<Vec<_>>().join(", ");
                Err(SkillError::Permanent(format!(
                    "the work of `{run}` does not fit on this base: {files} changed in the same places; leave out \
                     --base to go on where it stood"
                )))
            }
        }
    }

    /// The plan that the earlier run left.
    pub(super) fn earlier_todo(&self) -> Result<String, SkillError> {
        let Some((run, _)) = &self.brief.continues else { return Ok(String::new()) };
        let (state, _) = state_of(&self.jobs, &lead_of(&self.jobs, run)?)?;
        Ok(state.todo().to_owned())
    }

    /// Writes the account of the earlier run, once, behind the first row.
    pub(super) async fn take_up_earlier(&mut self) -> Result<(), SkillError> {
        let Some((run, snapshot)) = self.brief.continues.clone() else { return Ok(()) };
        if self.journal.state.begun().is_none() || self.journal.state.earlier().is_some() {
            return Ok(());
        }
        let lead = lead_of(&self.jobs, &run)?;
        let remarks = self.open_remarks(&lead).await?;
        let cancelled = lead.cancel.as_ref().map(|wish| wish.reason.as_str());
        let (state, unread) = state_of(&self.jobs, &lead)?;
        let text = state.earlier_text(&EarlierEnd {
            run: run.as_str(),
            state: lead.state.as_str(),
            error: cancelled.or(lead.error.as_deref()),
            remarks: &remarks,
            unread: &unread,
        });
        let row = TakenUpRow { run: run.to_string(), snapshot, text };
        self.journal.append(StepRow::TakenUp(Box::new(row))).await
    }

    /// The blocking remarks of the newest review of the earlier run.
    async fn open_remarks(&self, lead: &Job) -> Result<Vec<String>, SkillError> {
        let folder = self.jobs.run_dir(&lead.run()).join("change").join(lead.id.as_str().replace('.', "_"));
        let read = blocking(move || std::fs::read(folder.join(REVIEWS_FILE)).ok()).await?;
        let verdicts: Vec<ReviewVerdict> =
            read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let open = verdicts.last().into_iter().flat_map(ReviewVerdict::blocking);
        Ok(open.map(ToString::to_string).collect())
    }
}
