//! When the jobs of runs did not work, read from the runs' events as they come.
//!
//! Owns what was read so far, by run; soft state. An open run's events are read once, not again for each look.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::JobsShared;
use super::book::JobError;
use crate::domain::hmi::past::{IdleTimes, RunPast};
use crate::domain::ids::RunId;
use crate::domain::job::Job;
use crate::domain::time::Timestamp;

/// Events read at once.
const EVENT_PAGE: usize = 500;
/// Events read for one look: of a longer run the next look tells more.
const READ_AT_ONCE: usize = 20_000;
/// Runs remembered; a run that is forgotten is read again.
const REMEMBERED: usize = 5_000;

#[derive(Debug, Default)]
pub struct PastCache(Mutex<HashMap<RunId, Arc<Mutex<ReadPast>>>>);

/// The past of a run as far as it was read.
#[derive(Debug, Default)]
struct ReadPast {
    past: RunPast,
    /// Number and time of the last event read.
    last: (u64, Timestamp),
    /// What was told up to that event.
    told: Option<Arc<IdleTimes>>,
}

impl PastCache {
    fn of(&self, run: &RunId) -> Arc<Mutex<ReadPast>> {
        let mut runs = self.0.lock();
        if runs.len() >= REMEMBERED && !runs.contains_key(run) {
            runs.clear();
        }
        Arc::clone(runs.entry(run.clone()).or_default())
    }
}

impl JobsShared {
    /// When the jobs of a run did not work. `jobs` begin with one of the run and have all that is below it.
    ///
    /// # Errors
    /// The store's.
    pub fn idle_times(&self, jobs: &[Job]) -> Result<Arc<IdleTimes>, JobError> {
        let Some(run) = jobs.first().map(Job::run) else { return Ok(Arc::default()) };
        let known = self.pasts.of(&run);
        let mut known = known.lock();
        let mut read = 0;
        let is_whole = loop {
            let page = self.book.events(&run, known.last.0, EVENT_PAGE)?;
            read += page.len();
            for event in &page {
                known.past.apply(event);
                known.last = (event.seq, event.ts);
                known.told = None;
            }
            if page.len() < EVENT_PAGE {
                break true;
            }
            if read >= READ_AT_ONCE {
                break false;
            }
        };
        let is_root = jobs[0].id.parent().is_none();
        if let Some(told) = known.told.as_ref().filter(|_| is_whole && is_root) {
            return Ok(Arc::clone(told));
        }
        let told = Arc::new(known.past.idle_times(jobs, (!is_whole).then_some(known.last.1)));
        if is_whole && is_root {
            known.told = Some(Arc::clone(&told));
        }
        Ok(told)
    }
}
