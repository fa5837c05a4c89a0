//! Calls under way by the job they belong to, so that a cancelled job's calls end at their vendors.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::domain::budget::Label;

type Jobs = Mutex<HashMap<Label, (CancellationToken, usize)>>;

/// All jobs with calls under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancels(Arc<Jobs>);

impl Cancels {
    /// A place for one call of a job; for a call without a job one that nobody cancels.
    pub(super) fn join(&self, job: Option<&Label>) -> Place {
        let Some(job) = job else { return Place { jobs: None, token: CancellationToken::new() } };
        let mut jobs = self.0.lock();
        let (token, calls) = jobs.entry(job.clone()).or_default();
        *calls += 1;
        Place { token: token.clone(), jobs: Some((Arc::clone(&self.0), job.clone())) }
    }

    /// Ends the calls of a job and of the jobs below it; how many jobs had any.
    pub(super) fn cancel(&self, job: &str) -> usize {
        let is_below = |other: &str| {
            other.strip_prefix(job).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.cancel_where(is_below)
    }

    /// Ends the calls of a job itself; 1 if it had any.
    pub(super) fn cancel_own(&self, job: &str) -> usize {
        self.cancel_where(|other| other == job)
    }

    fn cancel_where(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let jobs = self.0.lock();
        let meant = jobs.iter().filter(|(other, _)| is_meant(other.as_str()));
        meant.map(|(_, (token, _))| token.cancel()).count()
    }
}

/// One call's place; leaves with it.
pub(super) struct Place {
    jobs: Option<(Arc<Jobs>, Label)>,
    token: CancellationToken,
}

impl Place {
    pub(super) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((jobs, job)) = self.jobs.take() else { return };
        let mut jobs = jobs.lock();
        if let Some((_, calls)) = jobs.get_mut(&job) {
            *calls -= 1;
            if *calls == 0 {
                jobs.remove(&job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_takes_its_children_along_and_no_namesake() {
        let cancels = Cancels::default();
        let label = |text| Label::new(text).unwrap();
        let places = ["run-1", "run-1.step", "run-10"].map(|job| cancels.join(Some(&label(job))));
        assert_eq!(cancels.cancel_own("run"), 0);
        assert_eq!(cancels.cancel("run-1"), 2);
        assert_eq!(places.each_ref().map(|place| place.token.is_cancelled()), [true, true, false]);
        drop(places);
        assert!(cancels.0.lock().is_empty());
        assert!(!cancels.join(Some(&label("run-1"))).token.is_cancelled(), "a later call begins anew");
    }
}
