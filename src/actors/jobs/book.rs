//! The job book: every change to a job as one durable transaction.
//!
//! Owns the rows, their indices, their events and the questions to people. Invariants: an acknowledged
//! change survives `kill -9`; a change and its event are one write; a hand-over inserts all children or
//! none, and a repeated one inserts nothing.

use serde_json::{Map, Value, json};

use super::listing::next_root_number;
use super::readers::LedgerEntry;
use super::tables::{
    ACTIVE, APPROVALS, COUNTERS, EVENT_ORDER, EVENTS, JOBS, LEDGER, OPEN_RUNS, ROOT_ORDER, ROOTS,
    SUBMISSIONS, UNCLOSED_RUNS,
};
use crate::domain::ids::{ApprovalId, JobId, RunId};
use crate::domain::job::approval::{Approval, ApprovalStatus, Decision, Verdict};
use crate::domain::job::{CardRefusal, EventKind, Job, JobCard, JobEvent, JobState, Refusal, Transition};
use crate::domain::json::Json;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::store::{Changes, Order, Span, Store, StoreError, View};

/// Most jobs read for one tree, list or sweep.
pub const MAX_ROWS: usize = 10_000;
const EVENT_SEQ: &str = "job_event_seq";

/// Why something with jobs did not go as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// No such job, run or approval.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// `job`, `run` or `approval`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The rules of the job's state do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It contradicts something that was accepted before.
    #[error("{0}")]
    Conflict(String),
    /// The card can never work as it stands.
    #[error(transparent)]
    Card(#[from] CardRefusal),
    /// More runs are open than may be.
    #[error(
        "{0} jobs have not ended yet, which is the limit (`jobs.max_queued`); try again when one of them has"
    )]
    Busy(usize),
    /// A run is done and its manifest could not be written, so it is not told as done.
    #[error("the manifest could not be written: {0}")]
    NoManifest(String),
    /// The check of a card broke off.
    #[error("the card could not be checked: {0}")]
    Unchecked(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    pub(super) fn no_job(id: &JobId) -> Self {
        Self::NotFound { what: "job", id: id.to_string() }
    }
}

/// A write in the making: the view it decides from, and the changes it has decided upon.
pub(super) struct Draft<'v, 't> {
    pub(super) view: &'v View<'t>,
    changes: Changes,
    next_seq: Option<u64>,
    pub(super) now: Timestamp,
}

impl<'v, 't> Draft<'v, 't> {
    pub(super) fn new(view: &'v View<'t>) -> Self {
        Self { view, changes: Changes::none(), next_seq: None, now: Timestamp::now() }
    }

    pub(super) fn finish(mut self) -> Changes {
        if let Some(seq) = self.next_seq {
            self.changes = self.changes.put(&COUNTERS, &EVENT_SEQ.to_owned(), &seq);
        }
        self.changes
    }

    fn edit(&mut self, edit: impl FnOnce(Changes) -> Changes) {
        self.changes = edit(std::mem::replace(&mut self.changes, Changes::none()));
    }

    /// Inserts a new job with its first event (and its question, where it needs consent).
    pub(super) fn insert(&mut self, job: &Job) -> Result<(), StoreError> {
        self.edit(|changes| changes.put(&JOBS, &job.id, job).put(&ACTIVE, &job.id, &()));
        if job.id.parent().is_none() {
            let number = next_root_number(self.view)?;
            self.edit(|changes| {
                let by_time = (job.created_at.as_millis(), job.id.clone());
                let changes = changes.put(&ROOTS, &by_time, &()).put(&ROOT_ORDER, &number, &job.id);
                changes.put(&OPEN_RUNS, &job.run(), &()).put(&UNCLOSED_RUNS, &job.run(), &())
            });
        }
        self.tell(
            job,
            EventKind::Accepted,
            json!({ "task": job.card.task, "capability": job.card.capability }),
        )?;
        if job.state == JobState::AwaitingApproval {
            self.ask(job)?;
        }
        Ok(())
    }

    /// Applies a transition and writes row, index, events and questions.
    pub(super) fn apply(&mut self, job: &mut Job, transition: Transition) -> Result<(), JobError> {
        let before = job.state;
        let asks = [Some(job.state), job.paused_from].contains(&Some(JobState::AwaitingApproval));
        let told = job.apply(transition, self.now)?;
        let terminal = job.state.is_terminal();
        self.edit(|changes| {
            let changes = changes.put(&JOBS, &job.id, job);
            match (terminal, job.id.parent()) {
                (false, _) => changes,
                (true, Some(_)) => changes.delete(&ACTIVE, &job.id),
                (true, None) => changes.delete(&ACTIVE, &job.id).delete(&OPEN_RUNS, &job.run()),
            }
        });
        for (kind, detail) in told {
            self.tell(job, kind, detail)?;
        }
        if job.state == JobState::AwaitingApproval && before == JobState::Blocked {
            self.ask(job)?;
        }
        if terminal && asks {
            self.withdraw(job)?;
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, job: &Job, event: EventKind, detail: Value) -> Result<(), StoreError> {
        let seq = match self.next_seq {
            Some(seq) => seq,
            None => self.view.get(&COUNTERS, &EVENT_SEQ.to_owned())?.unwrap_or(0),
        } + 1;
        self.next_seq = Some(seq);
        let event = JobEvent {
            seq,
            ts: self.now,
            run_id: job.run(),
            job_id: job.id.clone(),
            agent: job.card.agent.clone(),
            event,
            detail: Json(detail),
        };
        self.edit(|changes| {
            let changes = changes.put(&EVENT_ORDER, &seq, &event.run_id);
            changes.put(&EVENTS, &(event.run_id.clone(), seq), &event)
        });
        Ok(())
    }

    fn ask(&mut self, job: &Job) -> Result<(), StoreError> {
        let approval = Approval::ask(job, self.now);
        let detail = json!({ "approval_id": approval.approval_id, "question": approval.question });
        self.edit(|changes| changes.put(&APPROVALS, &approval.approval_id, &approval));
        self.tell(job, EventKind::AwaitingApproval, detail)
    }

    /// A job that has ended waits for nobody.
    fn withdraw(&mut self, job: &Job) -> Result<(), StoreError> {
        let all = self.view.range(&APPROVALS, &Span::all(), Order::Ascending, MAX_ROWS)?;
        for (id, mut approval) in all {
            if approval.job_id == job.id
                && approval.status == ApprovalStatus::Pending
                && job.state != JobState::Failed
            {
                approval.status = ApprovalStatus::Withdrawn;
                approval.decided_at = Some(self.now);
                self.edit(|changes| changes.put(&APPROVALS, &id, &approval));
            }
        }
        Ok(())
    }

    pub(super) fn put_approval(&mut self, approval: &Approval) {
        self.edit(|changes| changes.put(&APPROVALS, &approval.approval_id, approval));
    }

    /// Gives the jobs above one the inputs that a person corrected for it.
    fn correct_above(&mut self, job: &Job, inputs: &Map<String, Value>) -> Result<(), JobError> {
        if inputs.is_empty() {
            return Ok(());
        }
        for id in std::iter::successors(job.id.parent(), JobId::parent) {
            let mut above = self.job(&id)?;
            above.correct_inputs(inputs.clone());
            above.version += 1;
            self.edit(|changes| changes.put(&JOBS, &above.id, &above));
        }
        Ok(())
    }

    pub(super) fn job(&self, id: &JobId) -> Result<Job, JobError> {
        self.view.get(&JOBS, id)?.ok_or_else(|| JobError::no_job(id))
    }

    fn remember(&mut self, key: &str, job: &JobId, asked: &str) {
        self.edit(|changes| changes.put(&SUBMISSIONS, &key.to_owned(), &(job.clone(), asked.to_owned())));
    }
}

/// A submission: what is asked, and by which key a repetition is known.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The card of the root job.
    pub card: JobCard,
    /// Its place in the trace.
    pub context: TraceContext,
    /// The client's idempotency key, if it gave one.
    pub idempotency_key: Option<String>,
    /// The fingerprint of everything that was asked: a repeated key must come with the same.
    pub asked: String,
    /// Most runs that may be open.
    pub max_runs: usize,
}

/// The durable side of jobs. Cheap to clone.
#[derive(Clone)]
pub struct JobBook {
    store: Store,
}

impl JobBook {
    /// A book in this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads one state of the book.
    pub(super) fn read<R>(&self, read: impl FnOnce(&View<'_>) -> Result<R, JobError>) -> Result<R, JobError> {
        self.store.read(read)
    }

    /// Accepts a root job, durably. The same idempotency key with the same card gives the job that was
    /// accepted before.
    ///
    /// # Errors
    /// [`JobError::Conflict`] for the key with another card, [`JobError::Busy`], or the store's.
    pub async fn submit(&self, submission: Submission) -> Result<Job, JobError> {
        let run = RunId::generate(&submission.card.task);
        self.store
            .write(move |view| {
                let mut draft = Draft::new(view);
                if let Some(key) = &submission.idempotency_key
                    && let Some((id, before)) = view.get(&SUBMISSIONS, key)?
                {
                    if before != submission.asked {
                        return Err(JobError::Conflict(format!(
                            "the idempotency key `{key}` was used for `{id}`, whose card differs from this one; send \
                             the same card again, or another key"
                        )));
                    }
                    return Ok((draft.finish(), draft_job(view, &id)?));
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
    pub async fn change(&self, id: &JobId, transition: Transition) -> Result<Job, JobError> {
        self.change_at(id, transition, Timestamp::now(), None).await
    }

    /// Applies one transition as of a time, with the line of the ledger that the end of a run comes with.
    ///
    /// # Errors
    /// As [`JobBook::change`].
    pub(super) async fn change_at(
        &self,
        id: &JobId,
        transition: Transition,
        now: Timestamp,
        line: Option<LedgerEntry>,
    ) -> Result<Job, JobError> {
        let id = id.clone();
        self.store
            .write(move |view| {
                let mut draft = Draft { now, ..Draft::new(view) };
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

    /// Tells something about a held job that changes nothing. Soft: it may be lost with the last second.
    ///
    /// # Errors
    /// [`JobError::Refused`] when the job is no longer held under this fence, or the store's.
    pub async fn note(&self, id: &JobId, fence: u64, detail: Value) -> Result<(), JobError> {
        let id = id.clone();
        self.store
            .write_soft(move |view| {
                let mut draft = Draft::new(view);
                let job = draft.job(&id)?;
                if job.fence != fence {
                    let (job, newest) = (id.to_string(), job.fence);
                    return Err(Refusal::Fenced { job, held: fence, newest }.into());
                }
                if job.state.is_terminal() {
                    let (job, state) = (id.to_string(), job.state);
                    return Err(Refusal::State { job, state, wish: "told of" }.into());
                }
                draft.tell(&job, EventKind::Progress, detail)?;
                Ok((draft.finish(), ()))
            })
            .await
    }

    /// Hands steps of a held job over to children; those that exist already are left as they are.
    /// Returns the children, in the order given.
    ///
    /// # Errors
    /// [`JobError::Refused`] when the parent is no longer held under this fence, or the store's.
    pub async fn hand_over(
        &self,
        parent: &JobId,
        fence: u64,
        cards: Vec<(String, JobCard)>,
    ) -> Result<Vec<Job>, JobError> {
        let parent = parent.clone();
        self.store
            .write(move |view| {
                let mut draft = Draft::new(view);
                let holder = draft.job(&parent)?;
                if holder.fence != fence {
                    let (job, newest) = (parent.to_string(), holder.fence);
                    return Err(Refusal::Fenced { job, held: fence, newest }.into());
                }
                if holder.state != JobState::Running || holder.cancel.is_some() {
                    let job = parent.to_string();
                    return Err(Refusal::State { job, state: holder.state, wish: "handed over" }.into());
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

    /// Decides a question, once. Inputs that a person corrects hold for the jobs above, too: later steps are
    /// given theirs.
    ///
    /// # Errors
    /// [`JobError::NotFound`], [`JobError::Conflict`] when it is decided already, or the store's.
    pub async fn decide(&self, id: &ApprovalId, decision: Decision) -> Result<(Approval, Job), JobError> {
        let id = id.clone();
        self.store
            .write(move |view| {
                let mut draft = Draft::new(view);
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
                let Decision { by, reason, verdict } = decision;
                approval.status = verdict.status();
                approval.decided_at = Some(draft.now);
                approval.decided_by = Some(by.clone());
                approval.reason = Some(reason.clone());
                draft.put_approval(&approval);
                let transition = match verdict {
                    Verdict::Approve { inputs } => {
                        draft.correct_above(&job, &inputs)?;
                        Transition::Approve { by, reason, inputs }
                    }
                    Verdict::Reject => Transition::Reject { by, reason },
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
            let ids = view.range(&ACTIVE, &Span::all(), Order::Ascending, MAX_ROWS)?;
            ids.into_iter().map(|(id, ())| draft_job(view, &id)).collect()
        })
    }

    /// Events of a run after `seq`, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn events(&self, run: &RunId, seq: u64, limit: usize) -> Result<Vec<JobEvent>, JobError> {
        self.store.read(|view| {
            let span = Span::under(run).after(&(run.clone(), seq));
            let rows = view.range(&EVENTS, &span, Order::Ascending, limit)?;
            Ok(rows.into_iter().map(|(_, event)| event).collect())
        })
    }

    /// A question.
    ///
    /// # Errors
    /// [`JobError::NotFound`], or the store's.
    pub fn approval(&self, id: &ApprovalId) -> Result<Approval, JobError> {
        let found = self.store.read::<_, JobError>(|view| Ok(view.get(&APPROVALS, id)?))?;
        found.ok_or_else(|| JobError::NotFound { what: "approval", id: id.to_string() })
    }

    /// All questions, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    pub fn approvals(&self) -> Result<Vec<Approval>, JobError> {
        self.store.read(|view| {
            let rows = view.range(&APPROVALS, &Span::all(), Order::Ascending, MAX_ROWS)?;
            Ok(rows.into_iter().map(|(_, approval)| approval).collect())
        })
    }
}

pub(super) fn draft_job(view: &View<'_>, id: &JobId) -> Result<Job, JobError> {
    view.get(&JOBS, id)?.ok_or_else(|| JobError::no_job(id))
}
