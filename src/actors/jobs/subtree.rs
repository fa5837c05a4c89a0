//! Operations on a job with all its descendants: read, cancel, pause, resume.
//!
//! One transaction each, so that no descendant is missed between two reads.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize as _, Serialize};

use super::book::{JobBook, JobError, MAX_ROWS};
use super::draft::{JobDraft, draft_job};
use super::listing::walk;
use super::tables::{EVENTS, JOBS};
use crate::domain::ids::JobId;
use crate::domain::job::{CancelCause, Job, JobEventKind, JobState, JobTransition};
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreView};

/// One job's part in a cancellation.
#[derive(Debug, Clone, Serialize)]
pub struct CancelledJob {
    pub job_id: JobId,
    pub agent: String,
    /// The job's state when the cancellation was requested.
    pub state_before: JobState,
    /// When the job had stopped; `None` while an attempt is being stopped.
    pub stopped_at: Option<Timestamp>,
    /// How the job was stopped.
    pub how: Option<String>,
}

impl CancelledJob {
    fn of(job: &Job, state_before: JobState) -> Self {
        Self {
            job_id: job.id.clone(),
            agent: job.card.agent.to_string(),
            state_before,
            stopped_at: job.ended_at,
            how: job.stopped_how.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct RunCancellation {
    /// The jobs that ended or are ending.
    pub parts: Vec<CancelledJob>,
    /// Whether the cancellation was granted before, so that nothing changed.
    pub is_repeated: bool,
}

fn with_those_above(id: JobId) -> impl Iterator<Item = JobId> {
    std::iter::successors(Some(id), JobId::parent)
}

/// A job with its descendants: itself first, each before its own descendants.
pub(super) fn subtree(view: &StoreView<'_>, id: &JobId) -> Result<Vec<Job>, JobError> {
    let mut jobs = vec![draft_job(view, id)?];
    let below = view.range(&JOBS, &KeyRange::beginning(&format!("{id}.")), ScanOrder::Ascending, MAX_ROWS)?;
    jobs.extend(below.into_iter().map(|(_, job)| job));
    Ok(jobs)
}

impl JobBook {
    /// A job with its descendants: itself first, each before its own descendants.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or the store's.
    pub fn subtree(&self, id: &JobId) -> Result<Vec<Job>, JobError> {
        self.store().read(|view| subtree(view, id))
    }

    /// The children of a job.
    ///
    /// # Errors
    /// The store's.
    pub fn children(&self, id: &JobId) -> Result<Vec<Job>, JobError> {
        let jobs = self.subtree(id)?;
        Ok(jobs.into_iter().filter(|job| job.id.parent().as_ref() == Some(id)).collect())
    }

    /// Cancels a job and all its descendants. Jobs in `held` have an attempt that must be stopped first, and
    /// jobs above those end after them; all others end at once. Jobs that had ended before are left out. A
    /// job that is being or has been cancelled returns the proof of the first time.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job has ended in another state.
    pub async fn cancel_tree(
        &self,
        id: &JobId,
        cause: CancelCause,
        held: HashSet<JobId>,
    ) -> Result<RunCancellation, JobError> {
        let (id, open) = (id.clone(), held.into_iter().flat_map(with_those_above).collect::<HashSet<_>>());
        self.store()
            .write(move |view| {
                let root = draft_job(view, &id)?;
                if let Some(wish) = &root.cancel {
                    let parts = parts_of_wish(view, &root, wish.at)?;
                    return Ok((StoreChanges::none(), RunCancellation { parts, is_repeated: true }));
                }
                let (changes, parts) = each_below(view, &id, |draft, job| {
                    let state_before = job.state;
                    let cancel =
                        JobTransition::Cancel { cause: cause.clone(), has_attempt: open.contains(&job.id) };
                    draft.apply(job, cancel)?;
                    Ok(CancelledJob::of(job, state_before))
                })?;
                Ok((changes, RunCancellation { parts, is_repeated: false }))
            })
            .await
    }

    /// Pauses a job and all open jobs below it.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job itself cannot be paused.
    pub async fn pause_tree(&self, id: &JobId) -> Result<Vec<Job>, JobError> {
        self.each(id, |draft, job| draft.apply(job, JobTransition::Pause).map(|()| job.clone())).await
    }

    /// Resumes a job and all its descendants.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job itself is not paused.
    pub async fn resume_tree(&self, id: &JobId) -> Result<Vec<Job>, JobError> {
        self.each(id, |draft, job| draft.apply(job, JobTransition::Resume).map(|()| job.clone())).await
    }

    async fn each<R: Send + 'static>(
        &self,
        id: &JobId,
        act: impl Fn(&mut JobDraft<'_, '_>, &mut Job) -> Result<R, JobError> + Send + 'static,
    ) -> Result<Vec<R>, JobError> {
        let id = id.clone();
        self.store().write(move |view| each_below(view, &id, act)).await
    }
}

/// Applies a transition to a job and all its descendants; only a refusal by the job itself is an error.
fn each_below<R>(
    view: &StoreView<'_>,
    id: &JobId,
    act: impl Fn(&mut JobDraft<'_, '_>, &mut Job) -> Result<R, JobError>,
) -> Result<(StoreChanges, Vec<R>), JobError> {
    let mut draft = JobDraft::new(view);
    let mut done = Vec::new();
    for (position, mut job) in subtree(view, id)?.into_iter().enumerate() {
        match act(&mut draft, &mut job) {
            Ok(result) => done.push(result),
            Err(JobError::Refused(_)) if position > 0 => {}
            Err(error) => return Err(error),
        }
    }
    Ok((draft.finish(), done))
}

/// The jobs that one cancellation ended or is ending, in their current state. Each one's earlier state is in
/// the event of the cancellation.
fn parts_of_wish(view: &StoreView<'_>, root: &Job, at: Timestamp) -> Result<Vec<CancelledJob>, JobError> {
    let mut before: HashMap<JobId, JobState> = HashMap::new();
    let run = KeyRange::under(&root.run());
    walk(view, &EVENTS, run, ScanOrder::Ascending, |_, event| {
        if event.event == JobEventKind::CancelRequested && event.ts == at {
            let state = JobState::deserialize(&event.detail.0["state_before"]);
            before.extend(state.ok().map(|state| (event.job_id, state)));
        }
        Ok(())
    })?;
    let jobs = subtree(view, &root.id)?;
    Ok(jobs.iter().filter_map(|job| Some(CancelledJob::of(job, *before.get(&job.id)?))).collect())
}
