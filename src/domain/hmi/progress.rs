//! Progress and estimated time left of a whole tree of jobs.

use std::collections::HashMap;
use std::time::Duration;

use crate::ids::JobId;
use crate::job::{Job, JobState, plan};

/// Below a thousandth of the work, the elapsed time predicts nothing.
const TOO_EARLY: f64 = 0.001;

/// The progress of the first of `jobs`, over all its descendants, 0 to 1.
///
/// `jobs` has each job before its descendants. Siblings are worth equal parts of their parent, including
/// steps of the plan that have not begun; `leaf` gives the progress of a job without children. Done or waived
/// jobs count in full; failed ones keep their progress.
#[must_use]
pub fn of_tree(jobs: &[Job], leaf: impl Fn(&Job) -> f64) -> f64 {
    let mut below: HashMap<JobId, (f64, usize)> = HashMap::new();
    let mut last = 0.0;
    for job in jobs.iter().rev() {
        let planned = plan::find(&job.card.task).map_or(0, |plan| plan.steps.len());
        last = match (job.state, below.get(&job.id)) {
            (JobState::Done | JobState::Quarantined, _) => 1.0,
            (_, Some((sum, count))) => sum / planned.max(*count) as f64,
            (_, None) => leaf(job),
        }
        .clamp(0.0, 1.0);
        if let Some(parent) = job.id.parent() {
            let (sum, count) = below.entry(parent).or_default();
            *sum += last;
            *count += 1;
        }
    }
    last
}

/// The time left at the rate so far; `None` while there is no estimate.
#[must_use]
pub fn time_left(progress: f64, elapsed: Duration) -> Option<Duration> {
    if !(TOO_EARLY..=1.0).contains(&progress) {
        return None;
    }
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - progress) / progress).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hmi::waiting::tests::job;

    #[test]
    fn a_tree_is_as_far_as_its_parts() {
        use JobState::{Done, Quarantined, Running};
        let half = |_: &Job| 0.5;
        assert!((of_tree(&[job("run", "other", Running)], half) - 0.5).abs() < 1e-9);
        let jobs = [
            job("run", "ingest", Running),
            job("run.data", "ingest.data", Running),
            job("run.data.lane", "ingest.data.lane", Running),
            job("run.data.lane.audit", "ingest.audit", Done),
            job("run.data.lane.clean", "ingest.clean", Running),
        ];
        // One and a half of six steps, in one of one, in one of four.
        assert!((of_tree(&jobs, half) - 1.5 / 6.0 / 4.0).abs() < 1e-9);
        let jobs = [
            job("run", "ingest", Running),
            job("run.compliance", "ingest.compliance", Quarantined),
            job("run.compliance.lane", "ingest.compliance.lane", Running),
        ];
        assert!((of_tree(&jobs, half) - 0.25).abs() < 1e-9, "what was waived is through");
        assert!((of_tree(&[job("run", "ingest", Done)], half) - 1.0).abs() < 1e-9);
        assert!(of_tree(&[], half).abs() < 1e-9);
    }

    #[test]
    fn the_rest_is_told_only_where_something_is_known() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(0.5, minute), Some(minute));
        assert_eq!(time_left(0.75, minute), Some(minute / 3));
        assert_eq!(time_left(1.0, minute), Some(Duration::ZERO));
        for progress in [0.0, 0.0001, 1.1, -1.0, f64::NAN] {
            assert_eq!(time_left(progress, minute), None, "{progress}");
        }
    }
}
