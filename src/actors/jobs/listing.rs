//! Lists of jobs: the matching jobs, their number, and one page of them.
//!
//! Invariants: the newest run comes first, by the order of acceptance and not by the clock (which may go
//! back); a job comes before its descendants; filters apply to every run of the book before the page is cut.
//! One snapshot answers a query, so `total` and the page agree. A filter over ended jobs reads every run:
//! callers keep that off the event loop.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::book::{JobBook, JobError};
use super::draft::draft_job;
use super::subtree::subtree;
use super::tables::{ACTIVE, ROOT_ORDER};
use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::job::{Job, JobState};
use crate::store::{KeyRange, ScanOrder, StoreError, StoreKey, StoreTable, StoreView};

/// Index rows read at once: the walk's memory, whatever the size of the book.
const WALK_CHUNK: usize = 1000;

/// Root jobs read at once by a walk that mostly ends among the newest.
const FEW_ROOTS: usize = 50;

/// A job's position in lists: the run's number, then the job's id.
pub type JobPlace = (Reverse<u64>, JobId);

#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub state: Option<JobState>,
    pub agent: Option<AgentName>,
    pub run: Option<RunId>,
    pub roots_only: bool,
}

impl JobFilter {
    fn matches(&self, job: &Job) -> bool {
        self.state.is_none_or(|state| job.state == state)
            && self.agent.as_ref().is_none_or(|agent| job.card.agent == *agent)
    }

    /// Whether every root job matches, so that the index alone gives their number.
    const fn is_every_root(&self) -> bool {
        self.roots_only && self.state.is_none() && self.agent.is_none() && self.run.is_none()
    }
}

#[derive(Debug, Clone)]
pub struct JobPage {
    /// The jobs, in order.
    pub jobs: Vec<Job>,
    /// Number of matches on all pages.
    pub total: usize,
    /// The position of the last job of this page, if more follow.
    pub last: Option<JobPlace>,
}

impl JobBook {
    /// The page of at most `limit` matching jobs that follows `after`.
    ///
    /// # Errors
    /// [`JobError::NotFound`] for a run that does not exist, or the store's.
    pub fn list(
        &self,
        filter: &JobFilter,
        after: Option<&JobPlace>,
        limit: usize,
    ) -> Result<JobPage, JobError> {
        self.store().read(|view| {
            if filter.is_every_root() {
                return page_of_roots(view, after, limit);
            }
            let mut page = JobPageBuilder { after, limit, jobs: Vec::new(), total: 0, more: false };
            if let Some(run) = &filter.run {
                page.add_run(view, filter, 0, &JobId::root(run))?;
                return Ok(page.finish());
            }
            // A run without an open job has none in an open state, and is skipped unread.
            let open = match filter.state {
                Some(state) if !state.is_terminal() => Some(open_runs(view)?),
                _ => None,
            };
            walk(view, &ROOT_ORDER, KeyRange::all(), ScanOrder::Descending, |number, root| {
                if open.as_ref().is_some_and(|open| !open.contains(&root.run())) {
                    return Ok(());
                }
                page.add_run(view, filter, *number, &root)
            })?;
            Ok(page.finish())
        })
    }

    /// Reads root jobs, newest first, until it has met all of `runs`.
    pub(super) fn roots_until(
        &self,
        mut runs: HashSet<RunId>,
        mut each: impl FnMut(Job),
    ) -> Result<(), JobError> {
        self.store().read(|view| {
            let mut span = KeyRange::all();
            while !runs.is_empty() {
                let rows = view.range(&ROOT_ORDER, &span, ScanOrder::Descending, FEW_ROOTS)?;
                let Some((oldest, _)) = rows.last() else { break };
                span = KeyRange::all().before(oldest);
                for (_, id) in rows {
                    runs.remove(&id.run());
                    each(draft_job(view, &id)?);
                }
            }
            Ok(())
        })
    }

    /// The newest root jobs, newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn roots(&self, limit: usize) -> Result<Vec<Job>, JobError> {
        self.store().read(|view| {
            let rows = view.range(&ROOT_ORDER, &KeyRange::all(), ScanOrder::Descending, limit)?;
            rows.into_iter().map(|(_, id)| draft_job(view, &id)).collect()
        })
    }
}

fn page_of_roots(view: &StoreView<'_>, after: Option<&JobPlace>, limit: usize) -> Result<JobPage, JobError> {
    let span = after.map_or_else(KeyRange::all, |(Reverse(number), _)| KeyRange::all().before(number));
    let mut rows = view.range(&ROOT_ORDER, &span, ScanOrder::Descending, limit.saturating_add(1))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more).map(|(number, id)| (Reverse(*number), id.clone()));
    let jobs = rows.into_iter().map(|(_, id)| draft_job(view, &id)).collect::<Result<_, _>>()?;
    let total = usize::try_from(view.count(&ROOT_ORDER)?).unwrap_or(usize::MAX);
    Ok(JobPage { jobs, total, last })
}

fn open_runs(view: &StoreView<'_>) -> Result<HashSet<RunId>, JobError> {
    let mut runs = HashSet::new();
    walk(view, &ACTIVE, KeyRange::all(), ScanOrder::Ascending, |id, ()| {
        runs.insert(id.run());
        Ok(())
    })?;
    Ok(runs)
}

/// Walks all rows of a range, a chunk at a time.
pub(super) fn walk<K: StoreKey, V: serde::de::DeserializeOwned>(
    view: &StoreView<'_>,
    table: &StoreTable<K, V>,
    mut span: KeyRange<K>,
    order: ScanOrder,
    mut each: impl FnMut(&K, V) -> Result<(), JobError>,
) -> Result<(), JobError> {
    loop {
        let rows: Vec<(K, V)> = view.range(table, &span, order, WALK_CHUNK)?;
        let full = rows.len() == WALK_CHUNK;
        for (position, (key, value)) in rows.into_iter().enumerate() {
            each(&key, value)?;
            if full && position + 1 == WALK_CHUNK {
                span = match order {
                    ScanOrder::Ascending => span.after(&key),
                    ScanOrder::Descending => span.before(&key),
                };
            }
        }
        if !full {
            return Ok(());
        }
    }
}

struct JobPageBuilder<'a> {
    after: Option<&'a JobPlace>,
    limit: usize,
    jobs: Vec<(JobPlace, Job)>,
    total: usize,
    more: bool,
}

impl JobPageBuilder<'_> {
    fn add_run(
        &mut self,
        view: &StoreView<'_>,
        filter: &JobFilter,
        number: u64,
        root: &JobId,
    ) -> Result<(), JobError> {
        let jobs = if filter.roots_only { vec![draft_job(view, root)?] } else { subtree(view, root)? };
        for job in jobs.into_iter().filter(|job| filter.matches(job)) {
            self.total += 1;
            let place = (Reverse(number), job.id.clone());
            if self.after.is_some_and(|after| place <= *after) {
                continue;
            }
            if self.jobs.len() < self.limit {
                self.jobs.push((place, job));
            } else {
                self.more = true;
            }
        }
        Ok(())
    }

    fn finish(self) -> JobPage {
        let last = self.jobs.last().filter(|_| self.more).map(|(place, _)| place.clone());
        JobPage { jobs: self.jobs.into_iter().map(|(_, job)| job).collect(), total: self.total, last }
    }
}

/// The number of the next root job.
pub(super) fn next_root_number(view: &StoreView<'_>) -> Result<u64, StoreError> {
    Ok(view.last(&ROOT_ORDER, &KeyRange::all())?.map_or(1, |(newest, _)| newest + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::jobs::draft::JobDraft;
    use crate::domain::job::testing;
    use crate::domain::time::Timestamp;
    use crate::store::Store;

    fn book() -> (JobBook, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (JobBook::new(Store::open(folder.path().join("pas.redb")).unwrap()), folder)
    }

    async fn insert(book: &JobBook, job: Job, at: Timestamp) {
        let write = book.store().write(move |view| {
            let mut draft = JobDraft::new(view);
            draft.now = at;
            draft.insert(&Job { created_at: at, ..job })?;
            Ok::<_, StoreError>((draft.finish(), ()))
        });
        write.await.unwrap();
    }

    fn ids(page: &JobPage) -> Vec<String> {
        page.jobs.iter().map(|job| job.id.to_string()).collect()
    }

    /// More runs than the walk reads at once, accepted while the clock goes back by a day.
    #[tokio::test]
    async fn every_run_is_found_however_old_and_whatever_the_clock_did() {
        const RUNS: usize = WALK_CHUNK + 5;
        let (book, _folder) = book();
        let mut waiting = testing::job("first", "architect", "ingest");
        waiting.state = JobState::AwaitingApproval;
        insert(&book, waiting, Timestamp::from_millis(200_000_000)).await;
        insert(&book, testing::job("first.data", "director-data", "ingest.data"), Timestamp::now()).await;
        let later = (1..RUNS).map(|n| {
            let back = if n % 2 == 0 { 86_400_000 } else { 0 };
            let at = Timestamp::from_millis(200_000_000 - back + i64::try_from(n).unwrap());
            insert(&book, testing::job(&format!("run-{n}"), "architect", "ingest"), at)
        });
        // Without tokio's pauses the writes are queued in this order.
        tokio::task::unconstrained(futures_util::future::join_all(later)).await;

        let waits =
            JobFilter { state: Some(JobState::AwaitingApproval), roots_only: true, ..JobFilter::default() };
        let found = book.list(&waits, None, 50).unwrap();
        assert_eq!((ids(&found), found.total, found.last), (vec!["first".to_owned()], 1, None));

        for roots_only in [true, false] {
            let (mut shown, mut after) = (Vec::new(), None);
            let every = JobFilter { roots_only, ..JobFilter::default() };
            loop {
                let page = book.list(&every, after.as_ref(), 400).unwrap();
                assert_eq!(page.total, RUNS + usize::from(!roots_only));
                shown.extend(ids(&page));
                after = page.last;
                if after.is_none() {
                    break;
                }
            }
            let mut due: Vec<String> = (1..RUNS).rev().map(|n| format!("run-{n}")).collect();
            due.push("first".to_owned());
            due.extend((!roots_only).then(|| "first.data".to_owned()));
            assert_eq!(shown, due);
        }
    }

    #[tokio::test]
    async fn filters_join_and_a_page_may_end_within_a_run() {
        let (book, _folder) = book();
        for id in ["a", "a.data", "a.data.lane", "b", "b.data"] {
            let agent = if id.ends_with("data") { "director-data" } else { "architect" };
            insert(&book, testing::job(id, agent, "ingest"), Timestamp::from_millis(1)).await;
        }
        let all = JobFilter::default();
        let first = book.list(&all, None, 3).unwrap();
        assert_eq!((ids(&first), first.total), (vec!["b".into(), "b.data".into(), "a".into()], 5));
        let second = book.list(&all, first.last.as_ref(), 3).unwrap();
        assert_eq!(ids(&second), ["a.data", "a.data.lane"]);
        assert_eq!(second.last, None);
        let agent = Some(AgentName::new("director-data").unwrap());
        let run = Some(RunId::new("a").unwrap());
        let found = book.list(&JobFilter { agent, run, ..JobFilter::default() }, None, 50).unwrap();
        assert_eq!((ids(&found), found.total), (vec!["a.data".to_owned()], 1));
        let missing = JobFilter { run: Some(RunId::new("c").unwrap()), ..JobFilter::default() };
        assert!(matches!(book.list(&missing, None, 50), Err(JobError::NotFound { .. })));
    }
}
