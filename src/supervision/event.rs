//! Supervision events: started, crashed, restarted, hung, escalated and so on.
//!
//! Kept in a bounded log and broadcast; a slow listener loses the oldest events and learns how many.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast;

use super::mailbox::CrashSite;
use super::policy::{ExitReason, PlannedRestart};
use pas_domain::time::Timestamp;

/// Events kept for late readers; some 200 KiB.
pub const KEPT_EVENTS: usize = 1024;

/// One event, numbered from 1 in the order of publication.
#[derive(Debug, Clone, Serialize)]
pub struct SupervisionEvent {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: Arc<str>,
    #[serde(flatten)]
    pub kind: SupervisionEventKind,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum SupervisionEventKind {
    /// Up for the first time.
    Started { incarnation: u64 },
    /// Up again.
    Restarted {
        incarnation: u64,
        /// Unplanned restarts since the system began.
        restarts: u64,
    },
    /// Ended in order.
    Stopped { reason: ExitReason },
    /// Ended abnormally, or could not start.
    Crashed {
        incarnation: u64,
        reason: ExitReason,
        /// The message being handled.
        #[serde(skip)]
        site: Option<Box<CrashSite>>,
    },
    /// Sent no heartbeat in time and is killed.
    Hung {
        /// Length of the silence, in milliseconds.
        silent_ms: u64,
        /// The kind of message being handled.
        handling: Option<&'static str>,
    },
    /// Was killed but does not yield: the handler spins without reaching an `await`.
    Spinning {
        /// The kind of message being handled.
        handling: Option<&'static str>,
    },
    /// Is restarted on purpose.
    PlannedRestart { why: PlannedRestart },
    /// The supervisor gave up and leaves the decision to the one above.
    Escalated {
        /// Restarts within the period.
        restarts: usize,
    },
    /// Messages are paused.
    Paused,
    /// Messages are resumed.
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
    pub(crate) fn publish(&self, actor: &Arc<str>, what: SupervisionEventKind) {
        let mut kept = self.kept.lock();
        let seq = kept.back().map_or(1, |event| event.seq + 1);
        let event = SupervisionEvent { seq, at: Timestamp::now(), actor: Arc::clone(actor), kind: what };
        if kept.len() == KEPT_EVENTS {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        // No listener is no error; sent under the lock, so that listeners see the events in the order of
        // their numbers.
        let _ = self.sender.send(event);
    }

    /// Events after `seq`, oldest first, as far as they are kept.
    #[must_use]
    pub fn since(&self, seq: u64) -> Vec<SupervisionEvent> {
        self.kept.lock().iter().filter(|event| event.seq > seq).cloned().collect()
    }

    /// Subscribes to the events from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<SupervisionEvent> {
        self.sender.subscribe()
    }
}
