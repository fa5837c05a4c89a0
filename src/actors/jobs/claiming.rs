//! Claims of steps, and the count of attempts that were lost with their daemon.
//!
//! Invariants: a claim and its count are one write; a step that waits for its children is not at fault for what ends
//! the daemon meanwhile; an orderly stop of the daemon is nobody's fault.

use super::book::{JobBook, JobError, MAX_ROWS};
use super::draft::JobDraft;
use super::subtree::subtree;
use super::tables::{LOST_ATTEMPTS, STEP_ROWS};
use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::lost::LostAttempts;
use crate::domain::job::{Job, JobState, JobTransition};
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreView};

impl JobBook {
    /// Claims a step for an attempt; the director decides about a step that was lost too often instead.
    ///
    /// # Errors
    /// [`JobError::NotFound`], [`JobError::Refused`], or the store's.
    pub async fn claim_step(&self, id: &JobId, director: AgentName) -> Result<Job, JobError> {
        let (id, life) = (id.clone(), self.life());
        self.store()
            .write(move |view| {
                let mut draft = JobDraft::new(view);
                let mut job = draft.job(&id)?;
                let is_lost = job.state == JobState::Running && !waits_for_children(view, &id)?;
                let is_fresh = job.state == JobState::Queued;
                draft.apply(&mut job, JobTransition::Claim)?;
                if is_fresh || is_lost {
                    let rows = view.last(&STEP_ROWS, &KeyRange::under(&id))?.map_or(0, |((_, seq), _)| seq);
                    let lost = match is_fresh {
                        true => LostAttempts::none(rows, life),
                        false => LostAttempts::claimed_again(view.get(&LOST_ATTEMPTS, &id)?, rows, life),
                    };
                    draft.edit(|changes| changes.put(&LOST_ATTEMPTS, &id, &lost));
                    if lost.are_too_many() {
                        let (fence, error) = (job.fence, lost.reason());
                        draft.apply(&mut job, JobTransition::FailLost { fence, error, director })?;
                    }
                }
                Ok((draft.finish(), job))
            })
            .await
    }

    /// Forgets the losses counted so far, before an orderly stop.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_losses(&self) -> Result<(), JobError> {
        self.store()
            .write(|view| {
                let lost = view.range(&LOST_ATTEMPTS, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
                let none = lost
                    .iter()
                    .fold(StoreChanges::none(), |changes, (id, _)| changes.delete(&LOST_ATTEMPTS, id));
                Ok((none, ()))
            })
            .await
    }
}

fn waits_for_children(view: &StoreView<'_>, id: &JobId) -> Result<bool, JobError> {
    Ok(subtree(view, id)?.iter().skip(1).any(|job| !job.state.is_terminal()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::lost::MAX_LOST_IN_A_ROW;
    use crate::domain::job::testing;
    use crate::store::{Store, StoreError};

    async fn book(jobs: &[&str]) -> (JobBook, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let book = JobBook::new(Store::open(folder.path().join("pas.redb")).unwrap());
        for id in jobs {
            let job = testing::job(id, "corpus-auditor", "ingest.audit");
            let write = book.store().write(move |view| {
                let mut draft = JobDraft::new(view);
                draft.insert(&job)?;
                Ok::<_, StoreError>((draft.finish(), ()))
            });
            write.await.unwrap();
        }
        (book, folder)
    }

    /// Claims in a new life of the daemon.
    async fn claim(book: &JobBook, id: &JobId) -> Job {
        let book = JobBook::new(book.store().clone());
        book.claim_step(id, AgentName::new("director-data").unwrap()).await.unwrap()
    }

    /// Claims again and again, as after the deaths of so many daemons.
    async fn lose(book: &JobBook, id: &JobId, times: u32) -> Job {
        let mut job = book.get(id).unwrap();
        for _ in 0..times {
            job = claim(book, id).await;
        }
        job
    }

    #[tokio::test]
    async fn lost_attempts_cost_no_retry_and_a_poisoned_step_goes_to_a_person() {
        let (book, _folder) = book(&["run-1.audit"]).await;
        let id = JobId::new("run-1.audit").unwrap();
        claim(&book, &id).await;
        let job = lose(&book, &id, MAX_LOST_IN_A_ROW - 1).await;
        assert_eq!((job.state, job.attempt), (JobState::Running, 1), "no attempt is charged");
        let job = lose(&book, &id, 1).await;
        assert_eq!(job.state, JobState::Blocked);
        let error = job.error.clone().unwrap();
        assert!(error.contains("it may be the cause"), "{error}");
        book.change(&id, JobTransition::AskPerson).await.unwrap();
        let yes =
            JobTransition::Approve { by: "Ada".into(), reason: String::new(), inputs: Default::default() };
        book.change(&id, yes).await.unwrap();
        claim(&book, &id).await;
        let job = lose(&book, &id, MAX_LOST_IN_A_ROW - 1).await;
        assert_eq!(job.state, JobState::Running, "a person's yes begins the count anew");
    }

    #[tokio::test]
    async fn an_orderly_stop_and_open_children_are_no_loss() {
        let (book, _folder) = book(&["run-1.audit", "run-1.audit.part"]).await;
        let (id, child) = (JobId::new("run-1.audit").unwrap(), JobId::new("run-1.audit.part").unwrap());
        claim(&book, &id).await;
        let job = lose(&book, &id, 3 * MAX_LOST_IN_A_ROW).await;
        assert_eq!(job.state, JobState::Running, "its child is at work");
        let fence = claim(&book, &child).await.fence;
        let done = JobTransition::Complete {
            fence,
            outputs: crate::domain::json::JsonValue::object(),
            artifacts: Vec::new(),
        };
        book.change(&child, done).await.unwrap();
        for _ in 0..3 {
            book.forget_losses().await.unwrap();
            let job = lose(&book, &id, MAX_LOST_IN_A_ROW).await;
            assert_eq!(job.state, JobState::Running, "the first claim after the stop lost nothing");
        }
    }
}
