//! A write to the job book under construction: row, indices, events and questions change together or not at
//! all.

use serde_json::{Map, Value, json};

use super::book::JobError;
use super::listing::{next_root_number, walk};
use super::tables::{
    ACTIVE, APPROVALS, COUNTERS, EVENT_ORDER, EVENTS, JOBS, LOST_ATTEMPTS, OPEN_RUNS, ROOT_ORDER, ROOTS,
    SAID_WORDS, STEP_ROWS, SUBMISSIONS, UNCLOSED_RUNS,
};
use crate::domain::ids::JobId;
use crate::domain::job::approval::{Approval, ApprovalStatus};
use crate::domain::job::{Job, JobEvent, JobEventKind, JobState, JobTransition, TransitionRefusal};
use crate::domain::json::JsonValue;
use crate::domain::thinking::StepRow;
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreError, StoreView};

const EVENT_SEQ: &str = "job_event_seq";

/// A write under construction: the view that decisions read, and the changes so far.
pub(super) struct JobDraft<'v, 't> {
    pub(super) view: &'v StoreView<'t>,
    changes: StoreChanges,
    next_seq: Option<u64>,
    pub(super) now: Timestamp,
}

impl<'v, 't> JobDraft<'v, 't> {
    pub(super) fn new(view: &'v StoreView<'t>) -> Self {
        Self { view, changes: StoreChanges::none(), next_seq: None, now: Timestamp::now() }
    }

    /// A write that is decided as of a time.
    pub(super) fn at(view: &'v StoreView<'t>, now: Timestamp) -> Self {
        Self { now, ..Self::new(view) }
    }

    pub(super) fn finish(mut self) -> StoreChanges {
        if let Some(seq) = self.next_seq {
            self.changes = self.changes.put(&COUNTERS, &EVENT_SEQ.to_owned(), &seq);
        }
        self.changes
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(StoreChanges) -> StoreChanges) {
        self.changes = edit(std::mem::replace(&mut self.changes, StoreChanges::none()));
    }

    /// Inserts a new job with a first event (and an approval, where one is required).
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
        self.append_event(
            job,
            JobEventKind::Accepted,
            json!({ "task": job.card.task, "capability": job.card.capability }),
        )?;
        if job.state == JobState::AwaitingApproval {
            self.ask(job)?;
        }
        Ok(())
    }

    /// Applies a transition and writes row, index, events and questions.
    pub(super) fn apply(&mut self, job: &mut Job, transition: JobTransition) -> Result<(), JobError> {
        let before = job.state;
        let asks = [Some(job.state), job.paused_from].contains(&Some(JobState::AwaitingApproval));
        let told = job.apply(transition, self.now)?;
        let terminal = job.state.is_terminal();
        self.edit(|changes| {
            let changes = changes.put(&JOBS, &job.id, job);
            if !terminal {
                return changes;
            }
            let changes = changes.delete(&ACTIVE, &job.id).delete(&LOST_ATTEMPTS, &job.id);
            if job.id.parent().is_none() { changes.delete(&OPEN_RUNS, &job.run()) } else { changes }
        });
        for (kind, detail) in told {
            self.append_event(job, kind, detail)?;
        }
        if job.state == JobState::AwaitingApproval && before == JobState::Blocked {
            self.ask(job)?;
        }
        if terminal && asks {
            self.withdraw(job)?;
        }
        Ok(())
    }

    pub(super) fn append_event(
        &mut self,
        job: &Job,
        event: JobEventKind,
        detail: Value,
    ) -> Result<(), StoreError> {
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
            detail: JsonValue(detail),
        };
        self.edit(|changes| {
            let changes = changes.put(&EVENT_ORDER, &seq, &event.run_id);
            changes.put(&EVENTS, &(event.run_id.clone(), seq), &event)
        });
        Ok(())
    }

    fn ask(&mut self, job: &Job) -> Result<(), StoreError> {
        self.put_question(job, &Approval::ask(job, self.now))
    }

    pub(super) fn put_question(&mut self, job: &Job, approval: &Approval) -> Result<(), StoreError> {
        let detail = json!({ "approval_id": approval.approval_id, "question": approval.question });
        self.edit(|changes| changes.put(&APPROVALS, &approval.approval_id, approval));
        self.append_event(job, JobEventKind::AwaitingApproval, detail)
    }

    /// Withdraws the open approvals of a job that has ended.
    fn withdraw(&mut self, job: &Job) -> Result<(), JobError> {
        if job.state == JobState::Failed {
            return Ok(());
        }
        let mut open = Vec::new();
        walk(self.view, &APPROVALS, KeyRange::all(), ScanOrder::Ascending, |_, approval| {
            let is_open = approval.job_id == job.id && approval.status == ApprovalStatus::Pending;
            open.extend(is_open.then_some(approval));
            Ok(())
        })?;
        for approval in open {
            let (status, decided_at) = (ApprovalStatus::Withdrawn, Some(self.now));
            self.put_approval(&Approval { status, decided_at, ..approval });
        }
        Ok(())
    }

    pub(super) fn put_step_row(&mut self, job: &JobId, seq: u64, row: &StepRow) {
        self.edit(|changes| changes.put(&STEP_ROWS, &(job.clone(), seq), row));
    }

    pub(super) fn put_word(&mut self, job: &JobId, seq: u64, word: &(String, String)) {
        self.edit(|changes| changes.put(&SAID_WORDS, &(job.clone(), seq), word));
    }

    pub(super) fn put_approval(&mut self, approval: &Approval) {
        self.edit(|changes| changes.put(&APPROVALS, &approval.approval_id, approval));
    }

    /// Copies the inputs that a person corrected for a job to the jobs above.
    pub(super) fn correct_above(&mut self, job: &Job, inputs: &Map<String, Value>) -> Result<(), JobError> {
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

    /// The job, which must be claimed under this fence and not have ended; a refusal names `wish`, the change
    /// wanted.
    pub(super) fn claimed(&self, id: &JobId, fence: u64, wish: &'static str) -> Result<Job, JobError> {
        let job = self.job(id)?;
        if job.fence != fence {
            let (job, newest) = (id.to_string(), job.fence);
            return Err(TransitionRefusal::Fenced { job, held: fence, newest }.into());
        }
        if job.state.is_terminal() {
            let (job, state) = (id.to_string(), job.state);
            return Err(TransitionRefusal::State { job, state, wish }.into());
        }
        Ok(job)
    }

    pub(super) fn job(&self, id: &JobId) -> Result<Job, JobError> {
        self.view.get(&JOBS, id)?.ok_or_else(|| JobError::no_job(id))
    }

    pub(super) fn remember(&mut self, key: &str, job: &JobId, asked: &str) {
        self.edit(|changes| changes.put(&SUBMISSIONS, &key.to_owned(), &(job.clone(), asked.to_owned())));
    }
}

pub(super) fn draft_job(view: &StoreView<'_>, id: &JobId) -> Result<Job, JobError> {
    view.get(&JOBS, id)?.ok_or_else(|| JobError::no_job(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::jobs::book::{JobBook, MAX_ROWS};
    use crate::domain::ids::ApprovalId;
    use crate::domain::job::testing;
    use crate::store::testing::memory_store;

    #[tokio::test]
    async fn a_question_among_any_number_is_withdrawn_with_its_job() {
        let book = JobBook::new(memory_store().0);
        let mut job = testing::job("over", "architect", "ingest");
        let other = testing::job("other", "architect", "ingest");
        let last = ApprovalId::new("ask-z").unwrap();
        let (asked, id) = (job.clone(), last.clone());
        let write = book.store().write(move |view| {
            let mut draft = JobDraft::new(view);
            for number in 0..MAX_ROWS {
                let approval_id = ApprovalId::new(format!("ask-{number:06}")).unwrap();
                draft.put_approval(&Approval { approval_id, ..Approval::ask(&other, draft.now) });
            }
            draft.put_approval(&Approval { approval_id: id, ..Approval::ask(&asked, draft.now) });
            Ok::<_, JobError>((draft.finish(), ()))
        });
        write.await.unwrap();
        job.state = JobState::Cancelled;
        let write = book.store().write(move |view| {
            let mut draft = JobDraft::new(view);
            draft.withdraw(&job)?;
            Ok::<_, JobError>((draft.finish(), ()))
        });
        write.await.unwrap();
        assert_eq!(book.approval(&last).unwrap().status, ApprovalStatus::Withdrawn);
        let open = book.approvals().unwrap();
        let open = open.iter().filter(|approval| approval.status == ApprovalStatus::Pending);
        assert_eq!(open.count(), MAX_ROWS, "the others' stay open");
    }
}
