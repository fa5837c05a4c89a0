//! Calls in flight, by job and agent, so that those of a cancelled job or a killed agent end at their
//! vendors, and the canceller can count the calls really closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::domain::accounts::budget::ScopeLabel;

#[derive(Debug, Clone)]
pub struct CallOwner {
    /// The job of the call.
    pub job: Option<ScopeLabel>,
    /// The calling agent.
    pub agent: ScopeLabel,
}

#[derive(Debug)]
struct InFlightCall {
    owner: CallOwner,
    token: CancellationToken,
    watches: Vec<Arc<WatchTally>>,
}

#[derive(Debug, Default)]
struct InFlightTable {
    next: u64,
    under_way: HashMap<u64, InFlightCall>,
}

/// All calls in flight.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlightCalls(Arc<Mutex<InFlightTable>>);

impl InFlightCalls {
    /// Adds a call.
    pub(super) fn join(&self, owner: CallOwner) -> InFlightGuard {
        let token = CancellationToken::new();
        let mut calls = self.0.lock();
        let no = calls.next;
        calls.next += 1;
        calls.under_way.insert(no, InFlightCall { owner, token: token.clone(), watches: Vec::new() });
        InFlightGuard { calls: Arc::clone(&self.0), call_id: no, token }
    }

    /// Ends the calls of a job and of the jobs below it; returns their number.
    pub(super) fn cancel(&self, job: &str) -> usize {
        let is_below = |other: &str| {
            other.strip_prefix(job).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.cancel_where(|owner| owner.job.as_ref().is_some_and(|job| is_below(job.as_str())))
    }

    /// Ends the calls of the job itself; returns their number.
    pub(super) fn cancel_own(&self, job: &str) -> usize {
        self.cancel_where(|owner| owner.job.as_ref().is_some_and(|other| other.as_str() == job))
    }

    fn cancel_where(&self, is_meant: impl Fn(&CallOwner) -> bool) -> usize {
        let calls = self.0.lock();
        let meant = calls.under_way.values().filter(|call| is_meant(&call.owner));
        meant.map(|call| call.token.cancel()).count()
    }

    /// Watches the current calls of these owners.
    pub(super) fn watch(&self, is_meant: impl Fn(&CallOwner) -> bool) -> WatchedCalls {
        let tally = Arc::<WatchTally>::default();
        let mut calls = self.0.lock();
        let mut tokens = Vec::new();
        for call in calls.under_way.values_mut().filter(|call| is_meant(&call.owner)) {
            call.watches.push(Arc::clone(&tally));
            tokens.push(call.token.clone());
        }
        WatchedCalls { tokens, tally }
    }
}

/// Results of watched calls.
#[derive(Debug, Default)]
struct WatchTally {
    remaining: AtomicUsize,
    closed: AtomicUsize,
    changed: Notify,
}

/// The calls in flight at one moment.
#[derive(Debug)]
pub struct WatchedCalls {
    tokens: Vec<CancellationToken>,
    tally: Arc<WatchTally>,
}

impl WatchedCalls {
    /// Ends these calls and none begun later: their connections are closed. A stream is charged by the part that
    /// was seen, a whole answer its full hold, since its vendor may have worked until then.
    pub fn end(&self) {
        self.tokens.iter().for_each(CancellationToken::cancel);
    }

    /// Waits at most `patience` until all have ended; returns how many were closed before their end. A call
    /// that ended by itself is not counted.
    pub async fn closed_within(&self, patience: Duration) -> usize {
        let all_left = async {
            loop {
                let mut changed = std::pin::pin!(self.tally.changed.notified());
                changed.as_mut().enable();
                if self.tally.remaining.load(Ordering::Acquire) >= self.tokens.len() {
                    return;
                }
                changed.await;
            }
        };
        // Whether or not the time was up: the count is the number closed.
        let _ = timeout(patience, all_left).await;
        self.tally.closed.load(Ordering::Acquire)
    }
}

/// Removes a call from the table when dropped.
pub(super) struct InFlightGuard {
    calls: Arc<Mutex<InFlightTable>>,
    call_id: u64,
    token: CancellationToken,
}

impl InFlightGuard {
    pub(super) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The cancellation as a future of its own.
    pub(super) fn cancellation(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let Some(call) = self.calls.lock().under_way.remove(&self.call_id) else { return };
        for tally in call.watches {
            if self.token.is_cancelled() {
                tally.closed.fetch_add(1, Ordering::AcqRel);
            }
            tally.remaining.fetch_add(1, Ordering::AcqRel);
            tally.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(job: Option<&str>, agent: &str) -> CallOwner {
        CallOwner {
            job: job.map(|job| ScopeLabel::new(job).unwrap()),
            agent: ScopeLabel::new(agent).unwrap(),
        }
    }

    #[test]
    fn a_job_takes_its_children_along_and_no_namesake() {
        let cancels = InFlightCalls::default();
        let places = ["run-1", "run-1.step", "run-10"].map(|job| cancels.join(owner(Some(job), "a")));
        assert_eq!(cancels.cancel_own("run"), 0);
        assert_eq!(cancels.cancel("run-1"), 2);
        assert_eq!(places.each_ref().map(|place| place.token.is_cancelled()), [true, true, false]);
        drop(places);
        assert!(cancels.0.lock().under_way.is_empty());
        assert!(!cancels.join(owner(Some("run-1"), "a")).token.is_cancelled(), "a later call begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_cut_off_counts_as_closed() {
        let cancels = InFlightCalls::default();
        let [ended, cut, stays] = [(); 3].map(|()| cancels.join(owner(None, "a")));
        let other = cancels.join(owner(None, "b"));
        let watched = cancels.watch(|owner| owner.agent.as_str() == "a");
        drop(ended);
        watched.end();
        let later = cancels.join(owner(None, "a"));
        drop(cut);
        assert_eq!(watched.closed_within(Duration::from_secs(1)).await, 1, "one is still under way");
        drop(stays);
        assert_eq!(watched.closed_within(Duration::from_secs(1)).await, 2);
        assert!(!other.is_cancelled() && !later.is_cancelled());
    }
}
