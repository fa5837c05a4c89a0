//! What supervision tells of itself: started, crashed, restarted, hung, escalated and so on.
//!
//! Kept in a bounded log and broadcast; a slow listener loses the oldest and learns how many.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast;

use super::mailbox::CrashSite;
use super::policy::{ExitReason, PlannedRestart};
use crate::domain::time::Timestamp;

/// Events kept for late readers; some 200 KiB.
pub const KEPT_EVENTS: usize = 1024;

/// One event, numbered in the order of happening from 1.
#[derive(Debug, Clone, Serialize)]
pub struct SupervisionEvent {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: Arc<str>,
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened to an actor.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happening {
    /// It is up for the first time.
    Started { incarnation: u64 },
    /// It is up again.
    Restarted {
        incarnation: u64,
        /// Unplanned restarts since the system began.
        restarts: u64,
    },
    /// It ended in order.
    Stopped { reason: ExitReason },
    /// It ended abnormally, or could not start.
    Crashed {
        incarnation: u64,
        reason: ExitReason,
        /// What it was handling.
        #[serde(skip)]
        site: Option<Box<CrashSite>>,
    },
    /// It gave no sign of life in time and is killed.
    Hung {
        /// How long it has been silent, in milliseconds.
        silent_ms: u64,
        /// The kind of message it was handling.
        handling: Option<&'static str>,
    },
    /// It was killed but does not yield: its handler spins without waiting for anything.
    Spinning {
        /// The kind of message it is handling.
        handling: Option<&'static str>,
    },
    /// It is restarted on purpose.
    PlannedRestart { why: PlannedRestart },
    /// Its supervisor gave up and leaves the decision to the one above.
    Escalated {
        /// Restarts within the window.
        restarts: usize,
    },
    /// Its messages are held back.
    Paused,
    /// Its messages go on.
    Resumed,
}

/// The bounded log of a system.
#[derive(Debug)]
pub struct EventLog {
    kept: Mutex<VecDeque<SupervisionEvent>>,
    sender: broadcast::Sender<SupervisionEvent>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { kept: Mutex::default(), sender: broadcast::channel(KEPT_EVENTS).0 }
    }
}

impl EventLog {
    pub(crate) fn publish(&self, actor: &Arc<str>, what: Happening) {
        let mut kept = self.kept.lock();
        let seq = kept.back().map_or(1, |event| event.seq + 1);
        let event = SupervisionEvent { seq, at: Timestamp::now(), actor: Arc::clone(actor), what };
        if kept.len() == KEPT_EVENTS {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        // No listener is no error; sent under the lock, so that listeners see the order of the numbers.
        let _ = self.sender.send(event);
    }

    /// Events after `seq`, oldest first, as far as they are kept.
    #[must_use]
    pub fn since(&self, seq: u64) -> Vec<SupervisionEvent> {
        self.kept.lock().iter().filter(|event| event.seq > seq).cloned().collect()
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<SupervisionEvent> {
        self.sender.subscribe()
    }
}
