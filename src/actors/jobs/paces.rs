//! What runs take, learned from the done runs of their kind in the book.
//!
//! Owns what was learned, by kind of run, and for each open run what was known when it was first looked at:
//! with that its progress goes on by one measure to its end. Soft state: read again from the rows when lost.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::JobsShared;
use super::book::{JobBook, JobError};
use super::readers::LedgerPlace;
use crate::domain::hmi::pace::{RunPace, StepPosition, TimeLeft};
use crate::domain::hmi::progress;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{Job, JobState};
use crate::domain::time::Timestamp;

/// Newest lines of the ledger searched for runs of a kind.
const LOOKED_AT: usize = 200;
/// Runs learned from: enough for a spread, and recent.
const LEARNED_FROM: usize = 8;
/// Open runs remembered; a run that is forgotten goes on by what is known then.
const REMEMBERED: usize = 1000;

/// What was learned of a kind, and up to which line of the ledger.
type KindPace = (Option<LedgerPlace>, Arc<RunPace>);

#[derive(Debug, Default)]
pub struct PaceCache {
    kinds: Mutex<HashMap<String, KindPace>>,
    runs: Mutex<HashMap<RunId, Arc<RunPace>>>,
}

impl PaceCache {
    /// What is known for a run; of one that has ended nothing, as nothing is to be foretold.
    fn of(&self, book: &JobBook, root: &Job) -> Arc<RunPace> {
        if root.state.is_terminal() {
            self.runs.lock().remove(&root.run());
            return Arc::default();
        }
        if let Some(known) = self.runs.lock().get(&root.run()) {
            return Arc::clone(known);
        }
        let learned = self.of_kind(book, &root.card.task).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read what earlier runs took");
            Arc::default()
        });
        let mut runs = self.runs.lock();
        if runs.len() >= REMEMBERED {
            runs.clear();
        }
        Arc::clone(runs.entry(root.run()).or_insert(learned))
    }

    fn of_kind(&self, book: &JobBook, task: &str) -> Result<Arc<RunPace>, JobError> {
        let newest = book.ledger(None, 1)?.0.pop().map(|(place, _)| place);
        if let Some((known, pace)) = self.kinds.lock().get(task)
            && *known == newest
        {
            return Ok(Arc::clone(pace));
        }
        let (lines, _) = book.ledger(None, LOOKED_AT)?;
        let of_kind = lines.iter().map(|(_, line)| line);
        let of_kind = of_kind.filter(|line| line.task == task && line.state == JobState::Done.as_str());
        let runs = of_kind.take(LEARNED_FROM).map(|line| book.subtree(&JobId::root(&line.run_id)));
        let runs = runs.collect::<Result<Vec<_>, _>>()?;
        let pace = Arc::new(RunPace::learned(runs.iter().map(Vec::as_slice)));
        self.kinds.lock().insert(task.to_owned(), (newest, Arc::clone(&pace)));
        Ok(pace)
    }
}

impl JobsShared {
    /// The progress of each of `jobs`, which begin with the one asked about: steps count by what they took
    /// in earlier runs of the kind, or alike where that is not known.
    #[must_use]
    pub fn progress(&self, jobs: &[Job]) -> HashMap<JobId, f64> {
        let pace = self.pace(jobs);
        let is_known = jobs.first().is_some_and(|first| pace.weight(&first.card.task).is_some());
        let weight = |task: &str| pace.weight(task).filter(|_| is_known).unwrap_or(1.0);
        progress::of_jobs(jobs, |leaf| self.position(leaf).fraction, weight)
    }

    /// The time left of a run at work, with all its jobs; `None` where no earlier run backs it.
    #[must_use]
    pub fn time_left(&self, run: &[Job], now: Timestamp) -> Option<TimeLeft> {
        self.pace(run).time_left(run, now, |job| self.position(job))
    }

    fn pace(&self, jobs: &[Job]) -> Arc<RunPace> {
        let Some(first) = jobs.first() else { return Arc::default() };
        match first.id.parent() {
            None => self.paces.of(&self.book, first),
            // A part is measured as its run is.
            Some(_) => match self.book.get(&JobId::root(&first.run())) {
                Ok(root) => self.paces.of(&self.book, &root),
                Err(_) => Arc::default(),
            },
        }
    }

    fn position(&self, job: &Job) -> StepPosition {
        let progress = self.attempts.progress(&job.id).unwrap_or_default();
        let fraction = if progress.total == 0 { 0.0 } else { progress.done as f64 / progress.total as f64 };
        StepPosition { fraction: fraction.min(1.0), total: progress.total }
    }
}
