//! The board: soft state of running attempts, beside the durable book.
//!
//! Owns who works on what now and how far it is. Lost with the process, on purpose: after a restart
//! nobody works on anything, and whoever is hinted at claims anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::skills::Control;
use crate::skills::context::Progress;

/// One attempt that is being worked on.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The fence it holds.
    pub fence: u64,
    /// Its remote control and progress.
    pub control: Arc<Control>,
    pub began: Instant,
}

/// Held while an attempt works: the next attempt at the same job waits for it.
pub type Desk = Arc<Mutex<()>>;

/// Attempts by job, and the desk of every job that somebody works on, or has not left yet.
#[derive(Debug, Default)]
pub struct Board {
    attempts: Mutex<HashMap<JobId, Attempt>>,
    desks: Mutex<HashMap<JobId, Weak<Mutex<()>>>>,
    /// Attempts that wait for what they have asked the machine for: since when, and for what.
    resource_waits: Mutex<HashMap<JobId, (Timestamp, String)>>,
}

impl Board {
    /// Notes an attempt and gives the desk it must work at; one under an older fence is told to stop.
    ///
    /// A thread cannot be killed: after its agent has been, the last attempt goes on to its next
    /// checkpoint. Two attempts at one job never write its files at the same time, because they share a
    /// desk.
    pub fn begin(&self, job: &JobId, attempt: Attempt) -> Desk {
        if let Some(older) = self.attempts.lock().insert(job.clone(), attempt) {
            older.control.stop();
        }
        let mut desks = self.desks.lock();
        desks.retain(|_, desk| desk.strong_count() > 0);
        let desk = desks.get(job).and_then(Weak::upgrade).unwrap_or_default();
        desks.insert(job.clone(), Arc::downgrade(&desk));
        desk
    }

    /// Forgets an attempt, unless a newer one has taken its place.
    pub fn end(&self, job: &JobId, fence: u64) {
        let mut attempts = self.attempts.lock();
        if attempts.get(job).is_some_and(|attempt| attempt.fence == fence) {
            attempts.remove(job);
            self.resource_waits.lock().remove(job);
        }
    }

    /// Notes that the attempt at a job waits for resources; `None`: no longer.
    pub fn note_resource_wait(&self, job: &JobId, asked: Option<String>) {
        // Always behind the attempts, as in `end`.
        let attempts = self.attempts.lock();
        let mut waits = self.resource_waits.lock();
        match asked {
            Some(asked) if attempts.contains_key(job) => {
                waits.insert(job.clone(), (Timestamp::now(), asked));
            }
            _ => drop(waits.remove(job)),
        }
    }

    /// Since when the attempt at a job waits for resources, and for what.
    #[must_use]
    pub fn resource_wait(&self, job: &JobId) -> Option<(Timestamp, String)> {
        self.resource_waits.lock().get(job).cloned()
    }

    /// The attempt at a job, if somebody works on it.
    #[must_use]
    pub fn attempt(&self, job: &JobId) -> Option<Attempt> {
        self.attempts.lock().get(job).cloned()
    }

    /// How far the attempt at a job is.
    #[must_use]
    pub fn progress(&self, job: &JobId) -> Option<Progress> {
        self.attempt(job).map(|attempt| attempt.control.progress())
    }

    /// The jobs that somebody works on.
    #[must_use]
    pub fn held(&self) -> HashSet<JobId> {
        self.attempts.lock().keys().cloned().collect()
    }
}
