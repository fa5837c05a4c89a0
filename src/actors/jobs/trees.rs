//! What is asked of a job and all its descendants at once: look, cancel, pause, resume.
//!
//! One transaction each, so that no descendant slips through between two looks.

use std::collections::HashSet;

use serde::Serialize;

use super::book::{Draft, JobBook, JobError, MAX_ROWS, draft_job};
use super::tables::JOBS;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState, Transition};
use crate::domain::time::Timestamp;
use crate::store::{Changes, Order, Span, View};

/// One job's part in a cancellation.
#[derive(Debug, Clone, Serialize)]
pub struct Cancelled {
    /// The job.
    pub job_id: JobId,
    /// Its agent.
    pub agent: String,
    /// Where it stood when the wish came.
    pub state_before: JobState,
    /// When it had stopped; `None` while an attempt is being stopped.
    pub stopped_at: Option<Timestamp>,
    /// How it was stopped.
    pub how: Option<String>,
}

fn with_those_above(id: JobId) -> impl Iterator<Item = JobId> {
    std::iter::successors(Some(id), JobId::parent)
}

/// A job with those below it: itself first, each before its own descendants.
fn subtree(view: &View<'_>, id: &JobId) -> Result<Vec<Job>, JobError> {
    let mut jobs = vec![draft_job(view, id)?];
    let below = view.range(&JOBS, &Span::beginning(&format!("{id}.")), Order::Ascending, MAX_ROWS)?;
    jobs.extend(below.into_iter().map(|(_, job)| job));
    Ok(jobs)
}

impl JobBook {
    /// A job with those below it: itself first, each before its own descendants.
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

    /// Asks for the end of a job and all below it. Those in `held` have an attempt that must be stopped
    /// first, and those above them end after them; all others end here and now. Jobs that have ended
    /// before are left out.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job itself has ended.
    pub async fn cancel_tree(
        &self,
        id: &JobId,
        reason: &str,
        held: HashSet<JobId>,
    ) -> Result<Vec<Cancelled>, JobError> {
        let reason = reason.to_owned();
        let open: HashSet<JobId> = held.into_iter().flat_map(with_those_above).collect();
        self.each(id, move |draft, job| {
            let state_before = job.state;
            let cancel = Transition::Cancel { reason: reason.clone(), held: open.contains(&job.id) };
            draft.apply(job, cancel)?;
            Ok(Cancelled {
                job_id: job.id.clone(),
                agent: job.card.agent.to_string(),
                state_before,
                stopped_at: job.ended_at,
                how: job.stopped_how.clone(),
            })
        })
        .await
    }

    /// Holds a job and all below it that have not ended.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job itself cannot be held.
    pub async fn pause_tree(&self, id: &JobId) -> Result<Vec<Job>, JobError> {
        self.each(id, |draft, job| draft.apply(job, Transition::Pause).map(|()| job.clone())).await
    }

    /// Lets a job and all below it go on.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job itself is not held.
    pub async fn resume_tree(&self, id: &JobId) -> Result<Vec<Job>, JobError> {
        self.each(id, |draft, job| draft.apply(job, Transition::Resume).map(|()| job.clone())).await
    }

    /// Does one thing to a job and all below it; only a refusal of the job itself is an error.
    async fn each<R: Send + 'static>(
        &self,
        id: &JobId,
        act: impl Fn(&mut Draft<'_, '_>, &mut Job) -> Result<R, JobError> + Send + 'static,
    ) -> Result<Vec<R>, JobError> {
        let id = id.clone();
        self.store()
            .write(move |view| -> Result<(Changes, Vec<R>), JobError> {
                let mut draft = Draft::new(view);
                let mut done = Vec::new();
                for (position, mut job) in subtree(view, &id)?.into_iter().enumerate() {
                    match act(&mut draft, &mut job) {
                        Ok(result) => done.push(result),
                        Err(JobError::Refused(_)) if position > 0 => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok((draft.finish(), done))
            })
            .await
    }
}
