//! Soft state of running attempts, beside the durable book.
//!
//! Owns the attempts in progress and their progress. Lost with the process, on purpose: after a restart no
//! attempt runs, and agents claim anew when notified.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::skills::StepControl;
use crate::skills::context::StepProgress;

#[derive(Debug, Clone)]
pub struct JobAttempt {
    /// The fence of the attempt's claim.
    pub fence: u64,
    pub control: Arc<StepControl>,
    pub began: Instant,
}

/// Locked while an attempt works: the next attempt at the same job waits.
pub type JobLock = Arc<Mutex<()>>;

/// Attempts by job, and the lock of every job with an attempt that runs or has not yet stopped.
#[derive(Debug, Default)]
pub struct AttemptTable {
    attempts: Mutex<HashMap<JobId, JobAttempt>>,
    desks: Mutex<HashMap<JobId, Weak<Mutex<()>>>>,
    /// Attempts that wait for requested resources: since when, and for which.
    resource_waits: Mutex<HashMap<JobId, (Timestamp, String)>>,
}

impl AttemptTable {
    /// Adds an attempt and returns the lock to work under; signals an attempt under an older fence to stop.
    ///
    /// A thread cannot be killed: after the agent was killed, the last attempt runs on to the next
    /// checkpoint. Two attempts at one job share a lock, so they never write the job's files at the same
    /// time.
    pub fn begin(&self, job: &JobId, attempt: JobAttempt) -> JobLock {
        if let Some(older) = self.attempts.lock().insert(job.clone(), attempt) {
            older.control.stop();
        }
        let mut desks = self.desks.lock();
        desks.retain(|_, desk| desk.strong_count() > 0);
        let desk = desks.get(job).and_then(Weak::upgrade).unwrap_or_default();
        desks.insert(job.clone(), Arc::downgrade(&desk));
        desk
    }

    /// Removes an attempt, unless a newer one has replaced it.
    pub fn end(&self, job: &JobId, fence: u64) {
        let mut attempts = self.attempts.lock();
        if attempts.get(job).is_some_and(|attempt| attempt.fence == fence) {
            attempts.remove(job);
            self.resource_waits.lock().remove(job);
        }
    }

    /// Notes that the attempt at a job waits for resources; `None`: no longer.
    pub fn note_resource_wait(&self, job: &JobId, asked: Option<String>) {
        // Always locked after the attempts, as in `end`.
        let attempts = self.attempts.lock();
        let mut waits = self.resource_waits.lock();
        match asked {
            Some(asked) if attempts.contains_key(job) => {
                waits.insert(job.clone(), (Timestamp::now(), asked));
            }
            _ => drop(waits.remove(job)),
        }
    }

    /// Since when the attempt at a job waits for resources, and for which.
    #[must_use]
    pub fn resource_wait(&self, job: &JobId) -> Option<(Timestamp, String)> {
        self.resource_waits.lock().get(job).cloned()
    }

    /// The jobs with an attempt that waits for resources.
    #[must_use]
    pub fn waiting_for_resources(&self) -> HashSet<JobId> {
        self.resource_waits.lock().keys().cloned().collect()
    }

    /// The running attempt at a job, if any.
    #[must_use]
    pub fn attempt(&self, job: &JobId) -> Option<JobAttempt> {
        self.attempts.lock().get(job).cloned()
    }

    #[must_use]
    pub fn progress(&self, job: &JobId) -> Option<StepProgress> {
        self.attempt(job).map(|attempt| attempt.control.progress())
    }

    /// The jobs with a running attempt.
    #[must_use]
    pub fn jobs_with_attempt(&self) -> HashSet<JobId> {
        self.attempts.lock().keys().cloned().collect()
    }
}
