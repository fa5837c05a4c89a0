//! Progress of jobs with all that is below them.

use std::collections::HashMap;

use crate::ids::JobId;
use crate::job::{Job, JobState, plan};

/// The progress of each of `jobs` over all its descendants, 0 to 1.
///
/// `jobs` has each job before its descendants; the first is the one that is asked about. Parts count by the
/// `weight` of their tasks, steps of the plan that have not begun included; `leaf` gives the progress of a job
/// without children. Done jobs and waived parts count in full; what failed or was cancelled keeps its
/// progress.
#[must_use]
pub fn of_jobs(
    jobs: &[Job],
    leaf: impl Fn(&Job) -> f64,
    weight: impl Fn(&str) -> f64,
) -> HashMap<JobId, f64> {
    let mut found = HashMap::with_capacity(jobs.len());
    let mut below: HashMap<JobId, (f64, f64)> = HashMap::new();
    for (place, job) in jobs.iter().enumerate().rev() {
        let progress = match (job.state, below.get(&job.id)) {
            (JobState::Done, _) => 1.0,
            // Waived: the run is past it, though the job itself went no further.
            (JobState::Quarantined, _) if place > 0 => 1.0,
            (_, Some((sum, begun))) => sum / planned(job, &weight).max(*begun).max(f64::MIN_POSITIVE),
            (_, None) => leaf(job),
        }
        .clamp(0.0, 1.0);
        if let Some(parent) = job.id.parent() {
            let (sum, begun) = below.entry(parent).or_default();
            let share = weight(&job.card.task);
            *sum += progress * share;
            *begun += share;
        }
        found.insert(job.id.clone(), progress);
    }
    found
}

/// The weight of all steps in a job's plan.
fn planned(job: &Job, weight: impl Fn(&str) -> f64) -> f64 {
    let steps = plan::find(&job.card.task).map(|plan| plan.steps.as_slice()).unwrap_or_default();
    steps.iter().map(|step| weight(step.task_for(&job.card.inputs.0))).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hmi::waiting::tests::job;

    fn of_first(jobs: &[Job], leaf: impl Fn(&Job) -> f64) -> f64 {
        of_jobs(jobs, leaf, |_| 1.0)[&jobs[0].id]
    }

    #[test]
    fn a_tree_is_as_far_as_its_parts() {
        use JobState::{Done, Quarantined, Running};
        let half = |_: &Job| 0.5;
        assert!((of_first(&[job("run", "other", Running)], half) - 0.5).abs() < 1e-9);
        let jobs = [
            job("run", "ingest", Running),
            job("run.data", "ingest.data", Running),
            job("run.data.lane", "ingest.data.lane", Running),
            job("run.data.lane.audit", "ingest.audit", Done),
            job("run.data.lane.clean", "ingest.clean", Running),
        ];
        // One and a half of six steps, in one of one, in one of four.
        assert!((of_first(&jobs, half) - 1.5 / 6.0 / 4.0).abs() < 1e-9);
        let jobs = [
            job("run", "ingest", Running),
            job("run.compliance", "ingest.compliance", Quarantined),
            job("run.compliance.lane", "ingest.compliance.lane", Running),
        ];
        assert!((of_first(&jobs, half) - 0.25).abs() < 1e-9, "what was waived is through");
        let none = |_: &Job| 0.0;
        assert!(of_first(&jobs[1..], none).abs() < 1e-9, "itself it has done nothing");
        assert!((of_first(&[job("run", "ingest", Done)], half) - 1.0).abs() < 1e-9);
        assert!(of_jobs(&[], half, |_| 1.0).is_empty());
    }

    #[test]
    fn a_step_counts_by_its_weight() {
        let jobs = [job("run", "ingest", JobState::Running), job("run.data", "ingest.data", JobState::Done)];
        let weight = |task: &str| if task == "ingest.data" { 7.0 } else { 1.0 };
        assert!(
            (of_jobs(&jobs, |_| 0.0, weight)[&jobs[0].id] - 0.7).abs() < 1e-9,
            "seven of seven and three"
        );
    }

    proptest! {
        #[test]
        fn it_never_goes_back_while_steps_begin_go_on_and_end(
            moves in proptest::collection::vec((0..16_usize, 0.0..1.0_f64), 1..60),
            weights in proptest::collection::vec(prop_oneof![Just(0.0), 0.01..100.0_f64], 16),
        ) {
            let weight = |task: &str| weights[task.len() % weights.len()];
            let mut run = vec![job("run", "ingest", JobState::Running)];
            let mut leaves = HashMap::<JobId, f64>::new();
            let mut last = 0.0;
            for (choice, on) in moves {
                let at = choice % run.len();
                let (id, task) = (run[at].id.clone(), run[at].card.task.clone());
                match plan::find(&task) {
                    Some(plan) => {
                        let step = &plan.steps[choice % plan.steps.len()];
                        let child = id.child(&step.name, 0).unwrap();
                        if run.iter().all(|known| known.id != child) {
                            run.push(job(child.as_str(), &step.task, JobState::Running));
                            run.sort_by(|a, b| a.id.cmp(&b.id));
                        }
                    }
                    None if on > 0.9 => run[at].state = JobState::Done,
                    None => {
                        let known = leaves.entry(id).or_default();
                        *known = known.max(on);
                    }
                }
                let now = of_jobs(&run, |leaf| leaves.get(&leaf.id).copied().unwrap_or(0.0), weight)[&run[0].id];
                prop_assert!(now >= last - 1e-9, "{now} after {last}");
                last = now;
            }
        }
    }
}
