//! What is asked of a job and all its descendants at once: look, cancel, pause, resume.
//!
//! One transaction each, so that no descendant slips through between two looks.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize as _, Serialize};

use super::book::{Draft, JobBook, JobError, MAX_ROWS, draft_job};
use super::listing::walk;
use super::tables::{EVENTS, JOBS};
use crate::domain::ids::JobId;
use crate::domain::job::{CancelCause, EventKind, Job, JobState, Transition};
use crate::domain::time::Timestamp;
use crate::store::{Changes, Order, Span, View};

/// One job's part in a cancellation.
#[derive(Debug, Clone, Serialize)]
pub struct Cancelled {
    pub job_id: JobId,
    pub agent: String,
    /// Where it stood when the wish came.
    pub state_before: JobState,
    /// When it had stopped; `None` while an attempt is being stopped.
    pub stopped_at: Option<Timestamp>,
    /// How it was stopped.
    pub how: Option<String>,
}

impl Cancelled {
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

/// What a wish to cancel has led to.
#[derive(Debug, Clone)]
pub struct Cancellation {
    /// The jobs it ended or is ending.
    pub parts: Vec<Cancelled>,
    /// Whether the wish was granted before, and nothing changed.
    pub is_repeated: bool,
}

fn with_those_above(id: JobId) -> impl Iterator<Item = JobId> {
    std::iter::successors(Some(id), JobId::parent)
}

/// A job with those below it: itself first, each before its own descendants.
pub(super) fn subtree(view: &View<'_>, id: &JobId) -> Result<Vec<Job>, JobError> {
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

    /// Ends a job and all below it. Those in `held` have an attempt that must be stopped first, and those
    /// above them end after them; all others end here and now. Jobs that have ended before are left out. A
    /// job that is being cancelled already, or was, gives the proof of that.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; [`JobError::Refused`] when the job has ended otherwise.
    pub async fn cancel_tree(
        &self,
        id: &JobId,
        cause: CancelCause,
        held: HashSet<JobId>,
    ) -> Result<Cancellation, JobError> {
        let (id, open) = (id.clone(), held.into_iter().flat_map(with_those_above).collect::<HashSet<_>>());
        self.store()
            .write(move |view| {
                let root = draft_job(view, &id)?;
                if let Some(wish) = &root.cancel {
                    let parts = parts_of_wish(view, &root, wish.at)?;
                    return Ok((Changes::none(), Cancellation { parts, is_repeated: true }));
                }
                let (changes, parts) = each_below(view, &id, |draft, job| {
                    let state_before = job.state;
                    let cancel = Transition::Cancel { cause: cause.clone(), held: open.contains(&job.id) };
                    draft.apply(job, cancel)?;
                    Ok(Cancelled::of(job, state_before))
                })?;
                Ok((changes, Cancellation { parts, is_repeated: false }))
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

    async fn each<R: Send + 'static>(
        &self,
        id: &JobId,
        act: impl Fn(&mut Draft<'_, '_>, &mut Job) -> Result<R, JobError> + Send + 'static,
    ) -> Result<Vec<R>, JobError> {
        let id = id.clone();
        self.store().write(move |view| each_below(view, &id, act)).await
    }
}

/// Does one thing to a job and all below it; only a refusal of the job itself is an error.
fn each_below<R>(
    view: &View<'_>,
    id: &JobId,
    act: impl Fn(&mut Draft<'_, '_>, &mut Job) -> Result<R, JobError>,
) -> Result<(Changes, Vec<R>), JobError> {
    let mut draft = Draft::new(view);
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

/// The jobs that one wish ended or is ending, as they stand now. Where each stood before is in the event that
/// the wish left.
fn parts_of_wish(view: &View<'_>, root: &Job, at: Timestamp) -> Result<Vec<Cancelled>, JobError> {
    let mut before: HashMap<JobId, JobState> = HashMap::new();
    let run = Span::under(&root.run());
    walk(view, &EVENTS, run, Order::Ascending, |_, event| {
        if event.event == EventKind::CancelRequested && event.ts == at {
            let state = JobState::deserialize(&event.detail.0["state_before"]);
            before.extend(state.ok().map(|state| (event.job_id, state)));
        }
        Ok(())
    })?;
    let jobs = subtree(view, &root.id)?;
    Ok(jobs.iter().filter_map(|job| Some(Cancelled::of(job, *before.get(&job.id)?))).collect())
}
