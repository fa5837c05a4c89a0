//! Calls under way, by job and agent, so that those of a cancelled job or a killed agent end at their
//! vendors, and whoever ended them can count what was really closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::domain::budget::Label;

/// Whose a call is.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The job it belongs to.
    pub job: Option<Label>,
    /// The agent that asks.
    pub agent: Label,
}

/// A call under way.
#[derive(Debug)]
struct UnderWay {
    owner: Owner,
    token: CancellationToken,
    watches: Vec<Arc<Tally>>,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    under_way: HashMap<u64, UnderWay>,
}

/// All calls under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancels(Arc<Mutex<Calls>>);

impl Cancels {
    /// A place for one call.
    pub(super) fn join(&self, owner: Owner) -> Place {
        let token = CancellationToken::new();
        let mut calls = self.0.lock();
        let no = calls.next;
        calls.next += 1;
        calls.under_way.insert(no, UnderWay { owner, token: token.clone(), watches: Vec::new() });
        Place { calls: Arc::clone(&self.0), no, token }
    }

    /// Ends the calls of a job and of the jobs below it; how many there were.
    pub(super) fn cancel(&self, job: &str) -> usize {
        let is_below = |other: &str| {
            other.strip_prefix(job).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.cancel_where(|owner| owner.job.as_ref().is_some_and(|job| is_below(job.as_str())))
    }

    /// Ends the calls of a job itself; how many there were.
    pub(super) fn cancel_own(&self, job: &str) -> usize {
        self.cancel_where(|owner| owner.job.as_ref().is_some_and(|other| other.as_str() == job))
    }

    fn cancel_where(&self, is_meant: impl Fn(&Owner) -> bool) -> usize {
        let calls = self.0.lock();
        let meant = calls.under_way.values().filter(|call| is_meant(&call.owner));
        meant.map(|call| call.token.cancel()).count()
    }

    /// Watches the calls of these owners that are under way now.
    pub(super) fn watch(&self, is_meant: impl Fn(&Owner) -> bool) -> Watched {
        let tally = Arc::<Tally>::default();
        let mut calls = self.0.lock();
        let mut tokens = Vec::new();
        for call in calls.under_way.values_mut().filter(|call| is_meant(&call.owner)) {
            call.watches.push(Arc::clone(&tally));
            tokens.push(call.token.clone());
        }
        Watched { tokens, tally }
    }
}

/// What became of watched calls.
#[derive(Debug, Default)]
struct Tally {
    left: AtomicUsize,
    closed: AtomicUsize,
    changed: Notify,
}

/// Calls that were under way at one moment.
#[derive(Debug)]
pub struct Watched {
    tokens: Vec<CancellationToken>,
    tally: Arc<Tally>,
}

impl Watched {
    /// Ends them, and none that was begun later: their connections are closed, and what the vendors did
    /// until then is charged at their holds.
    pub fn end(&self) {
        self.tokens.iter().for_each(CancellationToken::cancel);
    }

    /// Waits until all have left, at most so long; how many of them were closed before their end. One that
    /// came to its end by itself is not counted.
    pub async fn closed_within(&self, patience: Duration) -> usize {
        let all_left = async {
            loop {
                let mut changed = std::pin::pin!(self.tally.changed.notified());
                changed.as_mut().enable();
                if self.tally.left.load(Ordering::Acquire) >= self.tokens.len() {
                    return;
                }
                changed.await;
            }
        };
        // Too late or not: what has been counted is what was closed.
        let _ = timeout(patience, all_left).await;
        self.tally.closed.load(Ordering::Acquire)
    }
}

/// One call's place; leaves with it.
pub(super) struct Place {
    calls: Arc<Mutex<Calls>>,
    no: u64,
    token: CancellationToken,
}

impl Place {
    pub(super) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The same as a future of its own.
    pub(super) fn cancellation(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(call) = self.calls.lock().under_way.remove(&self.no) else { return };
        for tally in call.watches {
            if self.token.is_cancelled() {
                tally.closed.fetch_add(1, Ordering::AcqRel);
            }
            tally.left.fetch_add(1, Ordering::AcqRel);
            tally.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(job: Option<&str>, agent: &str) -> Owner {
        Owner { job: job.map(|job| Label::new(job).unwrap()), agent: Label::new(agent).unwrap() }
    }

    #[test]
    fn a_job_takes_its_children_along_and_no_namesake() {
        let cancels = Cancels::default();
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
        let cancels = Cancels::default();
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
