//! What runs take, learned from the done runs of their kind in the book, and how far runs are by that.
//!
//! Owns what was learned, by kind of run, and for each run looked at what was known when it was first looked at,
//! with the progress told since: a run goes on by one measure to its end, and no figure goes back. Soft, but for
//! the progress, of which a row is kept as it grows: a restart of the daemon and the end of a run change none.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::JobsShared;
use super::book::{JobBook, JobError};
use super::readers::LedgerPlace;
use super::tables::PROGRESS;
use crate::domain::hmi::pace::{RunPace, StepPosition, TimeLeft};
use crate::domain::hmi::past::IdleTimes;
use crate::domain::hmi::progress::{ProgressMeasure, RunProgress};
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{Job, JobState};
use crate::domain::time::Timestamp;
use crate::store::{StoreChanges, StoreError, StoreView};

/// Newest lines of the ledger searched for runs of a kind.
const LOOKED_AT: usize = 200;
/// Runs learned from: enough for a spread, and recent.
const LEARNED_FROM: usize = 8;
/// Runs remembered; a run that is forgotten goes on from its row, by what is known then.
const REMEMBERED: usize = 1000;

/// What was learned of a kind, and up to which line of the ledger.
type KindPace = (Option<LedgerPlace>, Arc<RunPace>);

#[derive(Debug, Default)]
pub struct PaceCache {
    kinds: Mutex<HashMap<String, KindPace>>,
    runs: Mutex<HashMap<RunId, Arc<RunMeasure>>>,
}

/// What one run is measured by.
#[derive(Debug, Default)]
struct RunMeasure {
    pace: Arc<RunPace>,
    told: Mutex<HashMap<JobId, RunProgress>>,
}

/// The row of a run's progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptProgress {
    pub(super) jobs: Vec<(JobId, RunProgress)>,
    /// Whether the run had ended: then nothing is computed any more.
    pub(super) is_last: bool,
}

impl PaceCache {
    fn of(&self, jobs: &JobsShared, root: &Job) -> Arc<RunMeasure> {
        if let Some(known) = self.runs.lock().get(&root.run()) {
            return Arc::clone(known);
        }
        let learned = self.of_kind(jobs, &root.card.task).and_then(|pace| {
            let told = jobs.book.kept_progress(&root.run())?.jobs.into_iter().collect();
            Ok(Arc::new(RunMeasure { pace, told: Mutex::new(told) }))
        });
        let learned = learned.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read what earlier runs took");
            Arc::default()
        });
        let mut runs = self.runs.lock();
        if runs.len() >= REMEMBERED {
            runs.clear();
        }
        Arc::clone(runs.entry(root.run()).or_insert(learned))
    }

    fn of_kind(&self, jobs: &JobsShared, task: &str) -> Result<Arc<RunPace>, JobError> {
        let book = &jobs.book;
        let newest = book.ledger(None, 1)?.0.pop().map(|(place, _)| place);
        if let Some((known, pace)) = self.kinds.lock().get(task)
            && *known == newest
        {
            return Ok(Arc::clone(pace));
        }
        let (lines, _) = book.ledger(None, LOOKED_AT)?;
        let of_kind = lines.iter().map(|(_, line)| line);
        let of_kind = of_kind.filter(|line| line.task == task && line.state == JobState::Done.as_str());
        let runs = of_kind.take(LEARNED_FROM).map(|line| {
            let run = book.subtree(&JobId::root(&line.run_id))?;
            let idle = jobs.idle_times(&run)?;
            Ok((run, idle))
        });
        let runs = runs.collect::<Result<Vec<_>, JobError>>()?;
        let whole = runs.iter().filter(|(_, idle)| idle.cut_at.is_none());
        let pace = Arc::new(RunPace::learned(whole.map(|(run, idle)| (run.as_slice(), &**idle))));
        self.kinds.lock().insert(task.to_owned(), (newest, Arc::clone(&pace)));
        Ok(pace)
    }
}

impl JobsShared {
    /// The progress of each of `jobs`, which are a job with all that is below it.
    #[must_use]
    pub fn progress(&self, jobs: &[Job]) -> HashMap<JobId, RunProgress> {
        let Some(root) = jobs.first().and_then(|first| self.root_above(first)) else { return HashMap::new() };
        if root.state.is_terminal()
            && let Ok(kept) = self.book.kept_progress(&root.run())
            && kept.is_last
        {
            self.paces.runs.lock().remove(&root.run());
            let done = RunProgress { fraction: 1.0, is_known: true };
            let mut found: HashMap<JobId, RunProgress> = kept.jobs.into_iter().collect();
            let ended = jobs.iter().filter(|job| job.state == JobState::Done);
            found.extend(ended.map(|job| (job.id.clone(), done)));
            return found;
        }
        let known = self.paces.of(self, &root);
        let mut told = known.told.lock();
        let measure = ProgressMeasure { root_task: &root.card.task, pace: &known.pace, before: &told };
        let found = measure.of_jobs(jobs, |job| self.position(job));
        told.extend(found.iter().map(|(id, progress)| (id.clone(), *progress)));
        found
    }

    /// Keeps the progress of a run, so that it outlives the daemon and the attempts that counted it. Soft: the
    /// last second may be lost.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_progress(&self, run: &RunId) -> Result<(), JobError> {
        let jobs = self.book.subtree(&JobId::root(run))?;
        let progress = self.progress(&jobs);
        let is_open = |job: &&Job| job.state != JobState::Done;
        let open =
            jobs.iter().filter(is_open).filter_map(|job| Some((job.id.clone(), *progress.get(&job.id)?)));
        let is_last = jobs.iter().all(|job| job.state.is_terminal());
        let kept = KeptProgress { jobs: open.collect(), is_last };
        Ok(self.book.put_progress(run, kept).await?)
    }

    /// The time left of a run at work, with all its jobs; `None` where no earlier run backs it.
    ///
    /// # Errors
    /// The store's.
    pub fn time_left(&self, run: &[Job], now: Timestamp) -> Result<Option<TimeLeft>, JobError> {
        let Some(root) = run.first() else { return Ok(None) };
        let idle: Arc<IdleTimes> = self.idle_times(run)?;
        Ok(self.paces.of(self, root).pace.time_left(run, now, &idle, |job| self.position(job)))
    }

    fn root_above(&self, job: &Job) -> Option<Job> {
        match job.id.parent() {
            None => Some(job.clone()),
            Some(_) => self.book.get(&JobId::root(&job.run())).ok(),
        }
    }

    /// How far the attempt at a job is.
    fn position(&self, job: &Job) -> StepPosition {
        let progress = self.attempts.progress(&job.id).unwrap_or_default();
        let fraction = if progress.total == 0 { 0.0 } else { progress.done as f64 / progress.total as f64 };
        StepPosition { fraction: fraction.min(1.0), total: progress.total }
    }
}

impl JobBook {
    fn kept_progress(&self, run: &RunId) -> Result<KeptProgress, JobError> {
        self.read(|view| Ok(view.get(&PROGRESS, run)?.unwrap_or_default()))
    }

    async fn put_progress(&self, run: &RunId, kept: KeptProgress) -> Result<(), StoreError> {
        let run = run.clone();
        let put = move |_: &StoreView<'_>| Ok((StoreChanges::none().put(&PROGRESS, &run, &kept), ()));
        self.store().write_soft::<_, StoreError>(put).await
    }
}
