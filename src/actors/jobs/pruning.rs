//! Forgetting runs that are kept no longer: their rows, then their folders.
//!
//! The order survives `kill -9` at any moment. One commit takes a run out of every list and notes it as doomed;
//! then its other rows go, some a commit, so that no writer waits long; then its folder, and the note last. So a
//! run that can be seen has all its rows and artifacts, and what was begun is finished by the next pass.
//! Receipts are not touched: money is never forgotten. Nor is the row that says when the run was closed: whoever
//! keeps something of a run of its own, as the token governor does conversations, asks it whether the run is over.

use std::io;

use super::JobsShared;
use super::book::{JobBook, JobError, MAX_ROWS};
use super::listing::walk;
use super::pinned::PinnedRuns;
use super::readers::closed_at;
use super::tables::{
    ACTIVE, APPROVALS, CLOSED, DOOMED, EVENT_ORDER, EVENTS, JOBS, LEDGER, PROGRESS, ROOT_ORDER, ROOTS,
    SAID_WORDS, STEP_ROWS, SUBMISSIONS,
};
use crate::domain::ids::{JobId, RunId};
use crate::domain::time::Timestamp;
use crate::store::{KeyRange, ScanOrder, StoreChanges, StoreError, StoreKey, StoreTable, StoreView};

/// Rows deleted in one commit: some milliseconds of the writer.
const ROWS_AT_ONCE: usize = 500;

/// A run that is closed, and when; whether it must stay ([`PinnedRuns`]).
pub type ClosedRun = (RunId, Timestamp, bool);

impl JobBook {
    /// All closed runs that are still there.
    ///
    /// # Errors
    /// The store's.
    pub fn closed_runs(&self) -> Result<Vec<ClosedRun>, JobError> {
        self.read(|view| {
            let (pinned, mut runs) = (PinnedRuns::read(view)?, Vec::new());
            walk(view, &CLOSED, KeyRange::all(), ScanOrder::Ascending, |run, at| {
                if view.contains(&JOBS, &JobId::root(run))? {
                    runs.push((run.clone(), Timestamp::from_millis(at), pinned.has(run)));
                }
                Ok(())
            })?;
            Ok(runs)
        })
    }

    /// Runs of which something is left to delete.
    ///
    /// # Errors
    /// The store's.
    pub fn doomed_runs(&self) -> Result<Vec<RunId>, JobError> {
        self.read(|view| {
            let rows = view.range(&DOOMED, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
            Ok(rows.into_iter().map(|(run, ())| run).collect())
        })
    }

    /// Takes a closed run out of every list; `false`, and nothing is changed, if it is open again or must stay.
    async fn doom(&self, run: &RunId) -> Result<bool, JobError> {
        let run = run.clone();
        self.store()
            .write(move |view| {
                let root = JobId::root(&run);
                let below = KeyRange::beginning(&format!("{root}."));
                let is_active = view.contains(&ACTIVE, &root)? || view.last(&ACTIVE, &below)?.is_some();
                let (Some(closed), Some(job)) = (closed_at(view, &run)?, view.get(&JOBS, &root)?) else {
                    return Ok((StoreChanges::none(), false));
                };
                if is_active || !job.state.is_terminal() || PinnedRuns::read(view)?.has(&run) {
                    return Ok((StoreChanges::none(), false));
                }
                let number = number_of(view, &root)?;
                let changes = StoreChanges::none()
                    .put(&DOOMED, &run, &())
                    .delete(&JOBS, &root)
                    .delete(&ROOTS, &(job.created_at.as_millis(), root.clone()))
                    .delete(&LEDGER, &(closed, run.clone()))
                    .delete(&PROGRESS, &run);
                let changes =
                    number.into_iter().fold(changes, |changes, no| changes.delete(&ROOT_ORDER, &no));
                Ok::<_, JobError>((changes, true))
            })
            .await
    }

    /// Deletes the rows of a doomed run, some a commit.
    async fn delete_rows(&self, run: &RunId) -> Result<(), JobError> {
        loop {
            let run = run.clone();
            let delete = move |view: &StoreView<'_>| {
                let mut sweep = RowSweep { view, changes: StoreChanges::none(), room: ROWS_AT_ONCE };
                sweep.run(&run)?;
                Ok::<_, JobError>((sweep.changes, sweep.room))
            };
            if self.store().write(delete).await? > 0 {
                return Ok(());
            }
        }
    }

    /// Forgets that a run was doomed: nothing is left of it.
    async fn forget(&self, run: &RunId) -> Result<(), JobError> {
        let run = run.clone();
        self.store().write(move |_| Ok((StoreChanges::none().delete(&DOOMED, &run), ()))).await
    }

    /// Forgets the idempotency keys of runs that are gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_submissions(&self) -> Result<(), JobError> {
        let gone = self.read(|view| {
            let mut gone = Vec::new();
            walk(view, &SUBMISSIONS, KeyRange::all(), ScanOrder::Ascending, |key, (job, _)| {
                gone.extend((!view.contains(&JOBS, &job)?).then(|| key.clone()));
                Ok(())
            })?;
            Ok(gone)
        })?;
        for keys in gone.chunks(ROWS_AT_ONCE).map(<[String]>::to_vec) {
            let delete = move |view: &StoreView<'_>| {
                let mut changes = StoreChanges::none();
                for key in &keys {
                    // The key may have been given again.
                    let job = view.get(&SUBMISSIONS, key)?.map(|(job, _)| job);
                    if let Some(job) = job
                        && !view.contains(&JOBS, &job)?
                    {
                        changes = changes.delete(&SUBMISSIONS, key);
                    }
                }
                Ok::<_, JobError>((changes, ()))
            };
            self.store().write(delete).await?;
        }
        Ok(())
    }
}

impl JobsShared {
    /// Deletes a closed run with its artifacts; `false` if it is open again or must stay.
    ///
    /// # Errors
    /// The store's, or [`JobError::Conflict`] for a folder that cannot be deleted; the next pass goes on.
    pub async fn prune_run(&self, run: &RunId) -> Result<bool, JobError> {
        Ok(self.book.doom(run).await? && self.bury(run).await.map(|()| true)?)
    }

    /// Deletes what is left of a doomed run.
    ///
    /// # Errors
    /// As [`Self::prune_run`].
    pub async fn bury(&self, run: &RunId) -> Result<(), JobError> {
        self.book.delete_rows(run).await?;
        let folder = self.run_dir(run);
        let named = folder.display().to_string();
        let deleted = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
        match deleted.map_err(io::Error::other).and_then(|deleted| deleted) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(JobError::Conflict(format!("{named} cannot be deleted: {error}")));
            }
            Ok(()) | Err(_) => {}
        }
        self.book.forget(run).await
    }
}

/// The place of a root job in the order of acceptance. The oldest runs go first, so it is near the beginning.
fn number_of(view: &StoreView<'_>, root: &JobId) -> Result<Option<u64>, StoreError> {
    let mut span = KeyRange::all();
    loop {
        let rows = view.range(&ROOT_ORDER, &span, ScanOrder::Ascending, ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        span = KeyRange::all().after(last);
        if let Some((number, _)) = rows.into_iter().find(|(_, id)| id == root) {
            return Ok(Some(number));
        }
    }
}

/// One commit's share of the rows to delete.
struct RowSweep<'v, 't> {
    view: &'v StoreView<'t>,
    changes: StoreChanges,
    /// Rows that this commit may still delete.
    room: usize,
}

impl RowSweep<'_, '_> {
    /// Deletes rows of a run until there are none, or no room.
    fn run(&mut self, run: &RunId) -> Result<(), JobError> {
        let root = JobId::root(run);
        let events = self.delete(&EVENTS, &KeyRange::under(run))?;
        self.edit(|changes| {
            events.iter().fold(changes, |changes, (_, seq)| changes.delete(&EVENT_ORDER, seq))
        });
        self.of_job(&root)?;
        let below = KeyRange::beginning(&format!("{root}."));
        let jobs = self.view.range(&JOBS, &below, ScanOrder::Ascending, self.room)?;
        for (id, _) in jobs {
            self.of_job(&id)?;
            // A job's row goes last, because the others are found by it.
            if self.room > 0 {
                self.room -= 1;
                self.edit(|changes| changes.delete(&JOBS, &id));
            }
        }
        // Approvals are found by a walk over those of all runs: once, when the rest is gone.
        if self.room > 0 { self.approvals(run) } else { Ok(()) }
    }

    fn approvals(&mut self, run: &RunId) -> Result<(), JobError> {
        let mut of_run = Vec::new();
        walk(self.view, &APPROVALS, KeyRange::all(), ScanOrder::Ascending, |id, approval| {
            of_run.extend((approval.run_id == *run).then(|| id.clone()));
            Ok(())
        })?;
        of_run.truncate(self.room);
        self.room -= of_run.len();
        self.edit(|changes| of_run.iter().fold(changes, |changes, id| changes.delete(&APPROVALS, id)));
        Ok(())
    }

    fn of_job(&mut self, job: &JobId) -> Result<(), StoreError> {
        self.delete(&STEP_ROWS, &KeyRange::under(job))?;
        self.delete(&SAID_WORDS, &KeyRange::under(job))?;
        Ok(())
    }

    fn delete<K: StoreKey, V: serde::de::DeserializeOwned>(
        &mut self,
        table: &StoreTable<K, V>,
        span: &KeyRange<K>,
    ) -> Result<Vec<K>, StoreError> {
        let rows = self.view.range(table, span, ScanOrder::Ascending, self.room)?;
        self.room -= rows.len();
        let keys: Vec<K> = rows.into_iter().map(|(key, _)| key).collect();
        self.edit(|changes| keys.iter().fold(changes, |changes, key| changes.delete(table, key)));
        Ok(keys)
    }

    fn edit(&mut self, edit: impl FnOnce(StoreChanges) -> StoreChanges) {
        self.changes = edit(std::mem::replace(&mut self.changes, StoreChanges::none()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::jobs::draft::JobDraft;
    use crate::actors::jobs::readers::LedgerEntry;
    use crate::actors::jobs::tables::{OPEN_RUNS, UNCLOSED_RUNS};
    use crate::domain::ids::ApprovalId;
    use crate::domain::job::approval::{Approval, ApprovalStatus};
    use crate::domain::job::{JobEventKind, JobState, testing};
    use crate::domain::thinking::{MoneyOutRow, StepRow};
    use crate::store::testing::memory_store;

    /// Rows of every table that knows runs.
    fn rows(book: &JobBook) -> Vec<(&'static str, u64)> {
        let count = |view: &StoreView<'_>| {
            Ok::<_, StoreError>(vec![
                ("jobs", view.count(&JOBS)?),
                ("active", view.count(&ACTIVE)?),
                ("roots", view.count(&ROOTS)?),
                ("order", view.count(&ROOT_ORDER)?),
                ("open", view.count(&OPEN_RUNS)?),
                ("unclosed", view.count(&UNCLOSED_RUNS)?),
                ("events", view.count(&EVENTS)?),
                ("event order", view.count(&EVENT_ORDER)?),
                ("approvals", view.count(&APPROVALS)?),
                ("submissions", view.count(&SUBMISSIONS)?),
                ("steps", view.count(&STEP_ROWS)?),
                ("words", view.count(&SAID_WORDS)?),
                ("ledger", view.count(&LEDGER)?),
                ("doomed", view.count(&DOOMED)?),
            ])
        };
        book.store().read(count).unwrap()
    }

    fn step_row() -> StepRow {
        StepRow::MoneyOut(MoneyOutRow { scope: "day".into(), needed_nano: 2, left_nano: 1 })
    }

    /// A run of four jobs with more rows than one commit deletes, which ended a while ago.
    async fn run(book: &JobBook, name: &str, asks: ApprovalStatus) -> RunId {
        let id = RunId::new(name).unwrap();
        let (run, line) = (id.clone(), ledger_line(&id));
        let ids = ["", ".a", ".a.b", ".c"].map(|below| format!("{name}{below}"));
        let write = book.store().write(move |view| {
            let mut draft = JobDraft::new(view);
            for id in &ids {
                let mut job = testing::job(id, "architect", "ingest");
                draft.insert(&job)?;
                job.state = JobState::Failed;
                for n in 0..ROWS_AT_ONCE as u64 / 3 {
                    draft.append_event(&job, JobEventKind::Started, serde_json::json!({}))?;
                    draft.put_word(&job.id, n, &("me".into(), "go on".into()));
                    draft.put_step_row(&job.id, n, &step_row());
                }
                let approval = Approval { status: asks, ..Approval::ask(&job, draft.now) };
                draft.put_approval(&approval);
                draft.edit(|changes| changes.put(&JOBS, &job.id, &job).delete(&ACTIVE, &job.id));
            }
            draft.remember(run.as_str(), &JobId::root(&run), "asked");
            draft.edit(|changes| {
                let changes = changes.put(&CLOSED, &run, &7).put(&LEDGER, &(7, run.clone()), &line);
                changes.delete(&UNCLOSED_RUNS, &run).delete(&OPEN_RUNS, &run)
            });
            Ok::<_, JobError>((draft.finish(), ()))
        });
        write.await.unwrap();
        id
    }

    fn ledger_line(run: &RunId) -> LedgerEntry {
        LedgerEntry {
            run_id: run.clone(),
            task: "ingest".into(),
            state: "failed".into(),
            started_at: Timestamp::from_millis(1),
            ended_at: Timestamp::from_millis(7),
            jobs: 4,
            content_hash: String::new(),
            cost_usd: "0".into(),
            manifest: String::new(),
            inputs: serde_json::json!({}).into(),
        }
    }

    async fn delete(book: &JobBook, run: &RunId) {
        book.delete_rows(run).await.unwrap();
        book.forget(run).await.unwrap();
        book.forget_submissions().await.unwrap();
    }

    #[tokio::test]
    async fn a_run_is_gone_from_every_table_and_its_neighbour_stands() {
        let book = JobBook::new(memory_store().0);
        // A name that begins with the other's.
        run(&book, "run-10", ApprovalStatus::Approved).await;
        let alone = rows(&book);
        let old = run(&book, "run-1", ApprovalStatus::Rejected).await;
        assert!(alone.iter().zip(rows(&book)).all(|(one, two)| two.1 == 2 * one.1), "{alone:?}");
        assert_eq!(book.closed_runs().unwrap().len(), 2);
        assert!(book.doom(&old).await.unwrap());
        delete(&book, &old).await;
        assert_eq!(rows(&book), alone);
        assert!(!book.doom(&old).await.unwrap(), "it is gone");
        assert_eq!(book.closed_runs().unwrap().len(), 1);
        assert!(book.is_closed(&old).unwrap(), "who keeps something of it learns that it is over");
    }

    #[tokio::test]
    async fn a_kill_at_any_moment_leaves_a_run_whole_or_one_that_the_next_pass_deletes() {
        let (store, home) = memory_store();
        let book = JobBook::new(store);
        let empty = rows(&book);
        let old = run(&book, "old", ApprovalStatus::Withdrawn).await;
        let whole = rows(&book);
        let mut moments = vec![home.after_kill()];
        book.doom(&old).await.unwrap();
        moments.push(home.after_kill());
        for commits in 0.. {
            let (before, run) = (rows(&book), old.clone());
            let step = move |view: &StoreView<'_>| {
                let mut sweep = RowSweep { view, changes: StoreChanges::none(), room: 100 };
                sweep.run(&run)?;
                Ok::<_, JobError>((sweep.changes, ()))
            };
            book.store().write(step).await.unwrap();
            if rows(&book) == before {
                assert!(commits > 5);
                break;
            }
            moments.push(home.after_kill());
        }
        for (number, moment) in moments.into_iter().enumerate() {
            let book = JobBook::new(moment);
            let listed = book.closed_runs().unwrap();
            if number == 0 {
                assert_eq!((listed.len(), rows(&book)), (1, whole.clone()));
                assert!(book.doom(&old).await.unwrap());
            } else {
                assert!(listed.is_empty() && book.roots(9).unwrap().is_empty());
                assert_eq!(book.doomed_runs().unwrap(), std::slice::from_ref(&old));
            }
            delete(&book, &old).await;
            assert_eq!(rows(&book), empty, "after kill {number}");
        }
    }

    #[tokio::test]
    async fn a_run_that_waits_or_is_open_again_or_is_read_stays() {
        let book = JobBook::new(memory_store().0);
        let waits = run(&book, "waits", ApprovalStatus::Pending).await;
        assert_eq!(book.closed_runs().unwrap(), [(waits.clone(), Timestamp::from_millis(7), true)]);
        let again = run(&book, "again", ApprovalStatus::Approved).await;
        let step = JobId::new("again.a").unwrap();
        let open =
            move |_: &StoreView<'_>| Ok::<_, StoreError>((StoreChanges::none().put(&ACTIVE, &step, &()), ()));
        book.store().write(open).await.unwrap();
        let used = run(&book, "used", ApprovalStatus::Approved).await;
        let mut reader = testing::job("reader", "architect", "change");
        reader.card.inputs = serde_json::json!({ "continues": "used" }).into();
        let read = move |view: &StoreView<'_>| {
            let mut draft = JobDraft::new(view);
            draft.insert(&reader)?;
            Ok::<_, StoreError>((draft.finish(), ()))
        };
        book.store().write(read).await.unwrap();
        let before = rows(&book);
        for run in [&waits, &again, &used, &RunId::new("nobody").unwrap()] {
            assert!(!book.doom(run).await.unwrap(), "{run}");
        }
        assert_eq!(rows(&book), before);
    }

    #[tokio::test]
    async fn a_question_among_any_number_keeps_its_run() {
        let book = JobBook::new(memory_store().0);
        let old = run(&book, "old", ApprovalStatus::Approved).await;
        let write = book.store().write(move |view| {
            let mut draft = JobDraft::new(view);
            let many = (0..MAX_ROWS).map(|n| (format!("ask-{n:06}"), "others", ApprovalStatus::Rejected));
            for (id, run, status) in many.chain([("ask-z".to_owned(), "old", ApprovalStatus::Pending)]) {
                let job = testing::job(run, "architect", "ingest");
                let asked = Approval::ask(&job, draft.now);
                draft.put_approval(&Approval { approval_id: ApprovalId::new(id).unwrap(), status, ..asked });
            }
            Ok::<_, StoreError>((draft.finish(), ()))
        });
        write.await.unwrap();
        assert!(matches!(&book.closed_runs().unwrap()[..], [(_, _, true)]));
        assert!(!book.doom(&old).await.unwrap());
        book.delete_rows(&old).await.unwrap();
        let left = book.store().read(|view| view.count(&APPROVALS)).unwrap();
        assert_eq!(left, MAX_ROWS as u64, "none of the run's is behind so many");
    }
}
