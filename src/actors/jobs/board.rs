//! The board: soft state of running attempts, beside the durable book.
//!
//! Owns who works on what now and how far it is. Lost with the process, on purpose: after a restart
//! nobody works on anything, and whoever is hinted at claims anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::ids::JobId;
use crate::skills::Control;
use crate::skills::context::Progress;

/// One attempt that is being worked on.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The fence it holds.
    pub fence: u64,
    /// Its remote control and progress.
    pub control: Arc<Control>,
    /// When it began.
    pub began: Instant,
}

/// Attempts by job.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<JobId, Attempt>>);

impl Board {
    /// Notes an attempt; one under an older fence is told to stop.
    pub fn begin(&self, job: &JobId, attempt: Attempt) {
        if let Some(older) = self.0.lock().insert(job.clone(), attempt) {
            older.control.stop();
        }
    }

    /// Forgets an attempt, unless a newer one has taken its place.
    pub fn end(&self, job: &JobId, fence: u64) {
        let mut attempts = self.0.lock();
        if attempts.get(job).is_some_and(|attempt| attempt.fence == fence) {
            attempts.remove(job);
        }
    }

    /// The attempt at a job, if somebody works on it.
    #[must_use]
    pub fn attempt(&self, job: &JobId) -> Option<Attempt> {
        self.0.lock().get(job).cloned()
    }

    /// How far the attempt at a job is.
    #[must_use]
    pub fn progress(&self, job: &JobId) -> Option<Progress> {
        self.attempt(job).map(|attempt| attempt.control.progress())
    }

    /// The jobs that somebody works on.
    #[must_use]
    pub fn held(&self) -> HashSet<JobId> {
        self.0.lock().keys().cloned().collect()
    }
}
