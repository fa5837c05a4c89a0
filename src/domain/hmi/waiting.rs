//! The jobs that depend on one job of a run, and the cost of a minute of the run.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use crate::ids::JobId;
use crate::job::{Job, JobState, plan};
use crate::money::NanoUsd;

/// Deepest nesting of plans followed: a plan that names itself would never end.
const MAX_DEPTH: usize = 16;
/// The shortest time for a rate: the first call of a run gives none.
const SHORTEST: Duration = Duration::from_secs(60);

/// How many jobs of the run wait for this one: its descendants; its ancestors, which cannot end earlier; and
/// the later steps in their plans, which have not begun. `run` has all jobs of the run.
#[must_use]
pub fn waiting_for(id: &JobId, run: &[Job]) -> usize {
    let Some(job) = run.iter().find(|job| job.id == *id) else { return 0 };
    let known: HashSet<&JobId> = run.iter().map(|job| &job.id).collect();
    let open = |job: &&Job| !job.state.is_terminal();
    let above: Vec<&Job> = run.iter().filter(|other| is_above(&other.id, id)).filter(open).collect();
    let below = run.iter().filter(|other| is_above(id, &other.id)).filter(open).count();
    let mut waiting = above.len() + below + still_to_come(job, &known);
    // The steps behind the job, and behind each ancestor, in the plan of the parent.
    for stuck in above.iter().copied().chain([job]) {
        let parent = stuck.id.parent().and_then(|parent| run.iter().find(|job| job.id == parent));
        let Some(steps) = parent.and_then(|parent| plan::find(&parent.card.task)) else { continue };
        waiting +=
            behind(steps, stuck.id.step()).into_iter().map(|step| planned(&step.task, 0)).sum::<usize>();
    }
    waiting
}

fn is_above(upper: &JobId, lower: &JobId) -> bool {
    let rest = lower.as_str().strip_prefix(upper.as_str());
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// Steps of the job's own plan that have not begun.
fn still_to_come(job: &Job, known: &HashSet<&JobId>) -> usize {
    let steps = plan::find(&job.card.task).map(|plan| plan.steps.as_slice()).unwrap_or_default();
    let begun = |step: &str| job.id.child(step, 0).is_ok_and(|child| known.contains(&child));
    steps.iter().filter(|step| !begun(&step.name)).map(|step| planned(&step.task, 0)).sum()
}

/// The steps of a plan that follow this one, directly or not.
fn behind<'p>(plan: &'p plan::TaskPlan, name: &str) -> Vec<&'p plan::TaskStep> {
    let mut found: Vec<&plan::TaskStep> = Vec::new();
    // Steps come after those they follow, so one pass finds them all.
    for step in &plan.steps {
        let follows =
            |after: &Cow<'_, str>| *after == name || found.iter().any(|earlier| earlier.name == *after);
        if step.after.iter().any(follows) {
            found.push(step);
        }
    }
    found
}

/// Jobs that a task will have, itself included.
fn planned(task: &str, depth: usize) -> usize {
    let steps = plan::find(task).map(|plan| plan.steps.as_slice()).unwrap_or_default();
    if depth == MAX_DEPTH {
        return 1;
    }
    1 + steps.iter().map(|step| planned(&step.task, depth + 1)).sum::<usize>()
}

/// The cost of a minute of a run in US dollars, from the run's spending and working time.
#[must_use]
pub fn usd_per_minute(spent: NanoUsd, worked: Duration) -> f64 {
    spent.0 as f64 / 1e9 / (worked.max(SHORTEST).as_secs_f64() / 60.0)
}

/// Whether a person is asked about a job in this state, paused or not.
#[must_use]
pub fn asks(job: &Job) -> bool {
    job.state == JobState::AwaitingApproval || job.paused_from == Some(JobState::AwaitingApproval)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::job::testing;

    /// A job of the run `run`, by path.
    pub(in super::super) fn job(path: &str, task: &str, state: JobState) -> Job {
        let mut job = testing::job(path, "architect", task);
        job.state = state;
        job
    }

    #[test]
    fn all_that_cannot_go_on_is_counted() {
        use JobState::{AwaitingApproval, Done, Running};
        // At first all 16 jobs of an ingest wait for the root, except the root itself.
        let whole = planned("ingest", 0);
        assert_eq!(whole, 16);
        let root = [job("run", "ingest", AwaitingApproval)];
        assert_eq!(waiting_for(&root[0].id, &root), whole - 1);
        let run = [
            job("run", "ingest", Running),
            job("run.data", "ingest.data", Running),
            job("run.data.lane", "ingest.data.lane", Running),
            job("run.data.lane.audit", "ingest.audit", Done),
            job("run.data.lane.clean", "ingest.clean", AwaitingApproval),
        ];
        // All but itself and the audit, which is done.
        assert_eq!(waiting_for(&run[4].id, &run), whole - 2);
        let run = [
            job("run", "ingest", Running),
            job("run.compliance", "ingest.compliance", Running),
            job("run.compliance.lane", "ingest.compliance.lane", AwaitingApproval),
        ];
        // The jobs above, the check below, the report's three jobs, and the metrics behind the report.
        assert_eq!(waiting_for(&run[2].id, &run), 2 + 1 + 3 + 1);
        assert_eq!(waiting_for(&root[0].id, &[]), 0);
    }

    #[test]
    fn steps_of_every_plan_stand_after_those_they_follow() {
        for plan in plan::BOOK.iter() {
            for (place, step) in plan.steps.iter().enumerate() {
                let earlier: Vec<_> = plan.steps[..place].iter().map(|step| &step.name).collect();
                assert!(
                    step.after.iter().all(|after| earlier.contains(&after)),
                    "{}: {}",
                    plan.task,
                    step.name
                );
            }
        }
    }

    #[test]
    fn a_minute_costs_what_was_spent_in_the_time_worked() {
        let dollar = NanoUsd(1_000_000_000);
        assert!((usd_per_minute(dollar, Duration::from_secs(120)) - 0.5).abs() < 1e-9);
        assert!(
            (usd_per_minute(dollar, Duration::ZERO) - 1.0).abs() < 1e-9,
            "less than a minute is a minute"
        );
    }
}
