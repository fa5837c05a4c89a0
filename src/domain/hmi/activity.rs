//! What jobs are at: a job that runs through the jobs below it works only while one of those does.
//!
//! Invariant: a running job whose open parts all wait is never shown as running.

use std::collections::{BTreeMap, HashMap};

use crate::ids::JobId;
use crate::job::{Job, JobState};

/// What each of the open `jobs` is at: its state; of a running one with open children, theirs. Of several
/// children, work comes first, then what a person can end. `is_held_up` says of a running job that it waits
/// for machine resources.
#[must_use]
pub fn of_jobs<'j>(
    jobs: impl IntoIterator<Item = &'j Job>,
    is_held_up: impl Fn(&JobId) -> bool,
) -> HashMap<JobId, JobState> {
    let open = jobs.into_iter().filter(|job| !job.state.is_terminal());
    of_states(open.map(|job| (&job.id, job.state)), is_held_up)
}

/// The same of open jobs in these states.
#[must_use]
pub fn of_states<'j>(
    open: impl IntoIterator<Item = (&'j JobId, JobState)>,
    is_held_up: impl Fn(&JobId) -> bool,
) -> HashMap<JobId, JobState> {
    let open: BTreeMap<&JobId, JobState> = open.into_iter().collect();
    let mut below = HashMap::<JobId, JobState>::new();
    let mut found = HashMap::with_capacity(open.len());
    // A parent's id begins those of its children, so in this order children come first.
    for (id, state) in open.into_iter().rev() {
        let activity = match (state, below.get(id)) {
            (JobState::Running, Some(parts)) => *parts,
            (JobState::Running, None) if is_held_up(id) => JobState::Queued,
            (state, _) => state,
        };
        if let Some(parent) = id.parent() {
            below.entry(parent).and_modify(|known| *known = foremost(*known, activity)).or_insert(activity);
        }
        found.insert(id.clone(), activity);
    }
    found
}

/// Of two activities below one job, the one that the job is at.
#[must_use]
pub fn foremost(one: JobState, other: JobState) -> JobState {
    if interest(other) > interest(one) { other } else { one }
}

/// How much an activity concerns the reader: work first, then what a person can end, then what waits by
/// itself; what has ended last.
#[must_use]
pub fn interest(activity: JobState) -> u8 {
    match activity {
        JobState::Running => 5,
        JobState::AwaitingApproval => 4,
        JobState::Blocked => 3,
        JobState::Paused => 2,
        JobState::Queued => 1,
        JobState::Done | JobState::Failed | JobState::Cancelled | JobState::Quarantined => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hmi::waiting::tests::job;

    fn activity(jobs: &[Job], id: &str) -> JobState {
        of_jobs(jobs, |_| false)[&JobId::new(id).unwrap()]
    }

    #[test]
    fn a_run_whose_only_open_step_waits_for_a_person_does_not_run() {
        use JobState::{AwaitingApproval, Done, Running};
        let mut run = vec![
            job("run", "ingest", Running),
            job("run.data", "ingest.data", Running),
            job("run.data.lane", "ingest.data.lane", Running),
            job("run.data.lane.audit", "ingest.audit", AwaitingApproval),
        ];
        for id in ["run", "run.data", "run.data.lane"] {
            assert_eq!(activity(&run, id), AwaitingApproval, "{id}");
        }
        run.push(job("run.data.lane.clean", "ingest.clean", Running));
        assert_eq!(
            (activity(&run, "run"), activity(&run, "run.data.lane.audit")),
            (Running, AwaitingApproval)
        );
        run[4].state = Done;
        assert_eq!(activity(&run, "run"), AwaitingApproval, "what has ended does not work");
    }

    #[test]
    fn what_waits_for_resources_does_not_work_and_a_paused_job_is_paused_whatever_goes_on_below() {
        use JobState::{Paused, Queued, Running};
        let run = [job("run", "ingest", Running), job("run.data", "ingest.data", Running)];
        let found = of_jobs(&run, |id| id.as_str() == "run.data");
        assert!(found.values().all(|state| *state == Queued), "{found:?}");
        let run = [job("run", "ingest", Paused), job("run.data", "ingest.data", Running)];
        assert_eq!(activity(&run, "run"), Paused);
    }

    /// By the definition: a job without open parts that runs, or one below a chain of running jobs.
    fn works(job: &Job, run: &[Job]) -> bool {
        let is_part = |part: &&Job| part.id.parent().as_ref() == Some(&job.id) && !part.state.is_terminal();
        let parts: Vec<&Job> = run.iter().filter(is_part).collect();
        job.state == JobState::Running && (parts.is_empty() || parts.iter().any(|part| works(part, run)))
    }

    proptest! {
        #[test]
        fn a_running_job_works_exactly_while_a_job_without_open_parts_below_it_works(
            states in proptest::collection::vec(0..JobState::ALL.len(), 7)
        ) {
            let ids = ["r", "r.a", "r.b", "r.a.x", "r.a.y", "r.b.x", "r.b.y"];
            let run: Vec<Job> =
                ids.iter().zip(&states).map(|(id, state)| job(id, "other", JobState::ALL[*state])).collect();
            let found = of_jobs(&run, |_| false);
            for job in run.iter().filter(|job| !job.state.is_terminal()) {
                prop_assert_eq!(found[&job.id] == JobState::Running, works(job, &run), "{}", job.id);
            }
        }
    }
}
