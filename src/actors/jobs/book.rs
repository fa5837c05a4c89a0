//! The job book: every change to a job as one durable transaction.
//!
//! Owns the rows, their indices, their events and the approvals. Invariants: an acknowledged change survives
//! `kill -9`; a change and its event are one write; a hand-over inserts all children or none, and a repeated
//! one inserts nothing.

use serde_json::Value;

use super::draft::{JobDraft, draft_job};
use super::listing::walk;
use super::readers::LedgerEntry;
use super::tables::{ACTIVE, APPROVALS, EVENTS, JOBS, LEDGER, OPEN_RUNS, SUBMISSIONS};
use crate::domain::ids::{ApprovalId, JobId, RunId};
use crate::domain::job::approval::{Approval, ApprovalDecision, ApprovalStatus, ApprovalVerdict, QUESTION};
use crate::domain::job::{
    CardRefusal, Job, JobCard, JobEvent, JobEventKind, JobState, JobTransition, TransitionRefusal,
};
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::store::{KeyRange, ScanOrder, Store, StoreError, StoreView};

/// Most jobs read for one tree, list or sweep.
pub const MAX_ROWS: usize = 10_000;

/// Why an operation on jobs failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// No such job, run or approval.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// `job`, `run` or `approval`.
        what: &'static str,
        /// The requested id.
        id: String,
    },
    /// The rules of the job's state forbid the change.
    #[error(transparent)]
    Refused(#[from] TransitionRefusal),
    /// The request contradicts one accepted earlier.
    #[error("{0}")]
    Conflict(String),
    /// The card cannot work as written.
    #[error(transparent)]
    Card(#[from] CardRefusal),
    /// Too many runs are open.
    #[error(
        "{0} jobs have not ended yet, which is the limit (`jobs.max_queued`); try again when one of them has"
    )]
    Busy(usize),
    /// The run is done, but not reported as done, as the manifest could not be written.
    #[error("the manifest could not be written: {0}")]
    NoManifest(String),
    /// The check of a card did not finish.
    #[error("the card could not be checked: {0}")]
    Unchecked(String),
    /// A folder that must be known cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    pub(super) fn no_job(id: &JobId) -> Self {
        Self::NotFound { what: "job", id: id.to_string() }
    }
}

/// A root job to accept, with the key that identifies a repetition.
#[derive(Debug, Clone)]
pub struct JobSubmission {
    /// The card of the root job.
    pub card: JobCard,
    /// The submission's place in the trace.
    pub context: TraceContext,
    /// The client's idempotency key, if any.
    pub idempotency_key: Option<String>,
    /// The fingerprint of the whole request: a repeated key must come with the same.
    pub asked: String,
    /// Most runs that may be open.
    pub max_runs: usize,
}

/// The durable side of jobs. Cheap to clone.
#[derive(Clone)]
pub struct JobBook {
    store: Store,
    /// Tells the daemon's lives apart.
    life: u64,
}

impl JobBook {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, life: fastrand::u64(..) }
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Reads one state of the book.
    pub(super) fn read<R>(
        &self,
        read: impl FnOnce(&StoreView<'_>) -> Result<R, JobError>,
    ) -> Result<R, JobError> {
        self.store.read(read)
    }

    /// Accepts a root job, durably. The same idempotency key with the same card returns the job accepted
    /// before.
    ///
    /// # Errors
    /// [`JobError::Conflict`] for the key with another card, [`JobError::Busy`], or the store's.
    pub async fn submit(&self, submission: JobSubmission) -> Result<Job, JobError> {
        let run = RunId::generate(&submission.card.task);
        self.store
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                if let Some(key) = &submission.idempotency_key
                    && let Some((id, before)) = view.get(&SUBMISSIONS, key)?
                    // A run that was deleted is done anew.
                    && let Some(known) = view.get(&JOBS, &id)?
                {
                    if before != submission.asked {
                        return Err(JobError::Conflict(format!(
                            "the idempotency key `{key}` was used for `{id}`, whose card differs from this one; send \
                             the same card again, or another key"
                        )));
                    }
                    return Ok((draft.finish(), known));
                }
                let open = usize::try_from(view.count(&OPEN_RUNS)?).unwrap_or(usize::MAX);
                if open >= submission.max_runs {
                    return Err(JobError::Busy(open));
                }
                let job = Job::new(JobId::root(&run), submission.card, submission.context, draft.now);
                draft.insert(&job)?;
                if let Some(key) = &submission.idempotency_key {
                    draft.remember(key, &job.id, &submission.asked);
                }
                Ok((draft.finish(), job))
            })
            .await
    }

    /// Applies one transition.
    ///
    /// # Errors
    /// [`JobError::NotFound`], [`JobError::Refused`], or the store's.
    pub async fn change(&self, id: &JobId, transition: JobTransition) -> Result<Job, JobError> {
        self.change_at(id, transition, Timestamp::now(), None).await
    }

    /// Applies one transition as of a given time, with the ledger line for the end of a run.
    ///
    /// # Errors
    /// As [`JobBook::change`].
    pub(super) async fn change_at(
        &self,
        id: &JobId,
        transition: JobTransition,
        now: Timestamp,
        line: Option<LedgerEntry>,
    ) -> Result<Job, JobError> {
        let id = id.clone();
        self.store
            .write(move |view| {
                let mut draft = JobDraft::at(view, now);
                let mut job = draft.job(&id)?;
                draft.apply(&mut job, transition)?;
                if let Some(line) = line {
                    let place = (line.ended_at.as_millis(), line.run_id.clone());
                    draft.edit(|changes| changes.put(&LEDGER, &place, &line));
                }
                Ok((draft.finish(), job))
            })
            .await
    }

    /// Appends a progress event to a claimed job, which changes nothing else. Soft: the last second may be
    /// lost.
    ///
    /// # Errors
    /// [`JobError::Refused`] when the job is no longer claimed under this fence, or the store's.
    pub async fn note(&self, id: &JobId, fence: u64, detail: Value) -> Result<(), JobError> {
        let id = id.clone();
        self.store
            .write_soft(move |view| {
                let mut draft = JobDraft::new(view);
                let job = draft.claimed(&id, fence, "reported on")?;
                draft.append_event(&job, JobEventKind::Progress, detail)?;
                Ok((draft.finish(), ()))
            })
            .await
    }

    /// Hands steps of a claimed job over to children; existing children are left as they are. Returns the
    /// children, in the order given.
    ///
    /// # Errors
    /// [`JobError::Refused`] when the parent is no longer claimed under this fence, or the store's.
    pub async fn hand_over(
        &self,
        parent: &JobId,
        fence: u64,
        cards: Vec<(String, JobCard)>,
    ) -> Result<Vec<Job>, JobError> {
        let parent = parent.clone();
        self.store
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                let holder = draft.job(&parent)?;
                if holder.fence != fence {
                    let (job, newest) = (parent.to_string(), holder.fence);
                    return Err(TransitionRefusal::Fenced { job, held: fence, newest }.into());
                }
                if holder.state != JobState::Running || holder.cancel.is_some() {
                    let job = parent.to_string();
                    return Err(
                        TransitionRefusal::State { job, state: holder.state, wish: "handed over" }.into()
                    );
                }
                let mut children = Vec::with_capacity(cards.len());
                for (step, card) in cards {
                    let id = parent.child(&step, 0).map_err(|error| JobError::Conflict(error.to_string()))?;
                    let child = match view.get(&JOBS, &id)? {
                        Some(child) => child,
                        None => {
                            let child = Job::new(id, card, holder.context().child(), draft.now);
                            draft.insert(&child)?;
                            child
                        }
                    };
                    children.push(child);
                }
                Ok((draft.finish(), children))
            })
            .await
    }

    /// Decides an approval, once. Inputs corrected by a person apply to the jobs above too, as later steps
    /// inherit from those.
    ///
    /// # Errors
    /// [`JobError::NotFound`], [`JobError::Conflict`] when decided already, or the store's.
    pub async fn decide(
        &self,
        id: &ApprovalId,
        decision: ApprovalDecision,
    ) -> Result<(Approval, Job), JobError> {
        let id = id.clone();
        self.store
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                let mut approval = view
                    .get(&APPROVALS, &id)?
                    .ok_or_else(|| JobError::NotFound { what: "approval", id: id.to_string() })?;
                if approval.status != ApprovalStatus::Pending {
                    let status = approval.status;
                    return Err(JobError::Conflict(
                        format!("`{id}` was decided before: {status:?}").to_lowercase(),
                    ));
                }
                let mut job = draft.job(&approval.job_id)?;
                let ApprovalDecision { by, reason, verdict } = decision;
                approval.status = verdict.status();
                approval.decided_at = Some(draft.now);
                approval.decided_by = Some(by.clone());
                approval.reason = Some(reason.clone());
                draft.put_approval(&approval);
                let transition = match verdict {
                    verdict if approval.kind == QUESTION => {
                        let is_yes = matches!(verdict, ApprovalVerdict::Approve { .. });
                        JobTransition::AnswerQuestion { by, reason, is_yes }
                    }
                    ApprovalVerdict::Approve { inputs } => {
                        draft.correct_above(&job, &inputs)?;
                        JobTransition::Approve { by, reason, inputs }
                    }
                    ApprovalVerdict::Reject => JobTransition::Reject { by, reason },
                };
                draft.apply(&mut job, transition)?;
                Ok((draft.finish(), (approval, job)))
            })
            .await
    }

    /// A job.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or the store's.
    pub fn get(&self, id: &JobId) -> Result<Job, JobError> {
        self.store.read(|view| draft_job(view, id))
    }

    /// Jobs that are not terminal, at most [`MAX_ROWS`].
    ///
    /// # Errors
    /// The store's.
    pub fn active(&self) -> Result<Vec<Job>, JobError> {
        self.store.read(|view| {
            let ids = view.range(&ACTIVE, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
            ids.into_iter().map(|(id, ())| draft_job(view, &id)).collect()
        })
    }

    /// Events of a run after `seq`, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn events(&self, run: &RunId, seq: u64, limit: usize) -> Result<Vec<JobEvent>, JobError> {
        self.store.read(|view| {
            let span = KeyRange::under(run).after(&(run.clone(), seq));
            let rows = view.range(&EVENTS, &span, ScanOrder::Ascending, limit)?;
            Ok(rows.into_iter().map(|(_, event)| event).collect())
        })
    }

    /// An approval.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or the store's.
    pub fn approval(&self, id: &ApprovalId) -> Result<Approval, JobError> {
        let found = self.store.read::<_, JobError>(|view| Ok(view.get(&APPROVALS, id)?))?;
        found.ok_or_else(|| JobError::NotFound { what: "approval", id: id.to_string() })
    }

    /// All approvals, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    pub fn approvals(&self) -> Result<Vec<Approval>, JobError> {
        self.store.read(|view| {
            let mut all = Vec::new();
            walk(view, &APPROVALS, KeyRange::all(), ScanOrder::Ascending, |_, approval| {
                all.push(approval);
                Ok(())
            })?;
            Ok(all)
        })
    }
}
