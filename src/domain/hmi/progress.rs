//! How far jobs are, with all that is below them, and whether that is known: the one rule, for every door.
//!
//! Pure. Invariant: with what was told before as [`ProgressMeasure::before`], no job's progress goes back,
//! whatever becomes of it: what failed, was cancelled or began again stays where it was.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::pace::{RunPace, StepPosition};
use crate::ids::JobId;
use crate::job::{Job, JobState, plan};

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    /// 0 to 1; of a job whose progress is not known, the least that it can be.
    pub fraction: f64,
    /// Whether anything tells how far it is: its units are counted, or its parts are planned.
    pub is_known: bool,
}

/// By what the jobs of one run are measured.
#[derive(Debug, Clone, Copy)]
pub struct ProgressMeasure<'m> {
    /// The task of the run's root: weights are those of the whole run, for its parts too.
    pub root_task: &'m str,
    pub pace: &'m RunPace,
    /// What was told before.
    pub before: &'m HashMap<JobId, RunProgress>,
}

/// The parts of a job that have begun: what they weigh, how much of that is done, and for how much nobody knows.
#[derive(Debug, Clone, Copy, Default)]
struct BegunParts {
    weight: f64,
    gone: f64,
    unknown: f64,
}

impl ProgressMeasure<'_> {
    /// The share of a task, as learned from earlier runs of the kind; where they do not tell of all, steps
    /// count alike.
    fn weight(&self, task: &str) -> f64 {
        let is_learned = self.pace.weight(self.root_task).is_some();
        self.pace.weight(task).filter(|_| is_learned).unwrap_or(1.0)
    }

    /// The weight of all steps in a job's plan, begun or not; `None` without a plan.
    fn planned(&self, job: &Job) -> Option<f64> {
        let plan = plan::find(&job.card.task)?;
        Some(plan.steps.iter().map(|step| self.weight(step.task_for(&job.card.inputs.0))).sum())
    }

    /// The progress of each of `jobs`, which have each job before its descendants; `position` tells how far
    /// an attempt at a job is. For its parent a waived part counts in full: the run is past it.
    #[must_use]
    pub fn of_jobs(
        &self,
        jobs: &[Job],
        position: impl Fn(&Job) -> StepPosition,
    ) -> HashMap<JobId, RunProgress> {
        let mut found = HashMap::with_capacity(jobs.len());
        let mut below: HashMap<JobId, BegunParts> = HashMap::new();
        for job in jobs.iter().rev() {
            let now = match (job.state, self.planned(job), below.get(&job.id)) {
                (JobState::Done, ..) => RunProgress { fraction: 1.0, is_known: true },
                (_, Some(planned), parts) => {
                    let BegunParts { weight, gone, unknown } = parts.copied().unwrap_or_default();
                    let whole = planned.max(weight).max(f64::MIN_POSITIVE);
                    RunProgress { fraction: gone / whole, is_known: unknown < whole }
                }
                // Nobody knows how many parts there will be.
                (_, None, Some(_)) => RunProgress::default(),
                (_, None, None) => {
                    let StepPosition { fraction, total } = position(job);
                    RunProgress { fraction, is_known: total > 0 || job.started_at.is_none() }
                }
            };
            let before = self.before.get(&job.id).copied().unwrap_or_default();
            let told = RunProgress {
                fraction: now.fraction.max(before.fraction).clamp(0.0, 1.0),
                is_known: now.is_known || (before.is_known && before.fraction > 0.0),
            };
            if let Some(parent) = job.id.parent() {
                let (parts, share) = (below.entry(parent).or_default(), self.weight(&job.card.task));
                let is_waived = job.state == JobState::Quarantined;
                parts.weight += share;
                parts.gone += share * if is_waived { 1.0 } else { told.fraction };
                parts.unknown += if is_waived || told.is_known { 0.0 } else { share };
            }
            found.insert(job.id.clone(), told);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hmi::waiting::tests::job;

    fn measured(
        jobs: &[Job],
        before: &HashMap<JobId, RunProgress>,
        leaf: impl Fn(&Job) -> f64,
    ) -> HashMap<JobId, RunProgress> {
        let pace = RunPace::default();
        let measure = ProgressMeasure { root_task: "ingest", pace: &pace, before };
        measure.of_jobs(jobs, |job| StepPosition { fraction: leaf(job), total: 1 })
    }

    fn of_first(jobs: &[Job], leaf: impl Fn(&Job) -> f64) -> f64 {
        measured(jobs, &HashMap::new(), leaf)[&jobs[0].id].fraction
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
        assert!((of_first(&[job("run", "ingest", Done)], half) - 1.0).abs() < 1e-9);
        assert!(measured(&[], &HashMap::new(), half).is_empty());
    }

    #[test]
    fn a_part_is_as_far_seen_alone_as_in_its_run() {
        use JobState::{Quarantined, Running};
        let jobs = [
            job("run", "ingest", Running),
            job("run.compliance", "ingest.compliance", Quarantined),
            job("run.compliance.lane", "ingest.compliance.lane", Running),
            job("run.compliance.lane.check", "ingest.compliance.check", Running),
        ];
        let (none, half) = (HashMap::new(), |_: &Job| 0.5);
        let (run, part) = (measured(&jobs, &none, half), measured(&jobs[1..], &none, half));
        for job in &jobs[1..] {
            assert_eq!(run[&job.id], part[&job.id], "{}", job.id);
        }
        assert!(part[&jobs[1].id].fraction < 1.0, "waived, it went no further itself");
    }

    #[test]
    fn what_nothing_tells_of_is_not_known() {
        let known = |jobs: &[Job], total: u64| {
            let (pace, before) = (RunPace::default(), HashMap::new());
            let measure = ProgressMeasure { root_task: "change", pace: &pace, before: &before };
            measure.of_jobs(jobs, |_| StepPosition { fraction: 0.0, total })[&jobs[0].id].is_known
        };
        let begun = |id: &str, task: &str| Job {
            started_at: Some(crate::time::Timestamp::from_millis(1)),
            ..job(id, task, JobState::Running)
        };
        assert!(!known(&[begun("run", "change.write")], 0), "turns are no measure");
        let change = [begun("run", "change.code.lane"), begun("run.write", "change.write")];
        assert!(!known(&change, 0), "all of it is one such step");
        assert!(!known(&[begun("run", "change.lead"), job("run.p1", "change.write", JobState::Done)], 0));
        assert!(known(&[job("run", "change", JobState::Queued)], 0), "it has not begun");
        assert!(known(&[job("run", "change", JobState::Done)], 0));
        assert!(known(&[begun("run", "ingest")], 0), "its steps are planned");
        assert!(known(&[begun("run", "ingest.audit")], 7), "its documents are counted");
        let ingest = [begun("run", "ingest.data.lane"), begun("run.audit", "ingest.audit")];
        assert!(known(&ingest, 0), "that four of its steps are still to come is known");
    }

    #[test]
    fn a_step_counts_by_its_weight() {
        let learned = |task: &str, seconds: i64| Job {
            started_at: Some(crate::time::Timestamp::from_millis(0)),
            ended_at: Some(crate::time::Timestamp::from_millis(seconds * 1000)),
            attempt: 1,
            ..job(&format!("old.{seconds}"), task, JobState::Done)
        };
        let mut earlier = vec![job("old", "ingest.data.lane", JobState::Done)];
        for (place, step) in plan::find("ingest.data.lane").unwrap().steps.iter().enumerate() {
            earlier.push(learned(&step.task, if place == 0 { 7 } else { 1 }));
        }
        let pace = RunPace::learned([(earlier.as_slice(), &Default::default())]);
        let jobs = [
            job("run", "ingest.data.lane", JobState::Running),
            job("run.audit", "ingest.audit", JobState::Done),
        ];
        let before = HashMap::new();
        let measure = ProgressMeasure { root_task: "ingest.data.lane", pace: &pace, before: &before };
        let found = measure.of_jobs(&jobs, |_| StepPosition::default())[&jobs[0].id].fraction;
        let rest = (earlier.len() - 2) as f64;
        assert!((found - 7.0 / (7.0 + rest)).abs() < 1e-9, "{found}");
        let measure = ProgressMeasure { root_task: "ingest", ..measure };
        let alike = measure.of_jobs(&jobs, |_| StepPosition::default())[&jobs[0].id].fraction;
        assert!((alike - 1.0 / (1.0 + rest)).abs() < 1e-9, "not all of this run is known: {alike}");
    }

    proptest! {
        #[test]
        fn it_never_goes_back_whatever_becomes_of_the_steps(
            moves in proptest::collection::vec((0..16_usize, 0.0..1.0_f64, 0..JobState::ALL.len()), 1..60),
        ) {
            let mut run = vec![job("run", "ingest", JobState::Running)];
            let mut leaves = HashMap::<JobId, f64>::new();
            let mut before = HashMap::<JobId, RunProgress>::new();
            for (choice, on, state) in moves {
                let at = choice % run.len();
                let (id, task) = (run[at].id.clone(), run[at].card.task.clone());
                match plan::find(&task) {
                    Some(plan) if on < 0.8 => {
                        let step = &plan.steps[choice % plan.steps.len()];
                        let child = id.child(&step.name, 0).unwrap();
                        if run.iter().all(|known| known.id != child) {
                            run.push(job(child.as_str(), &step.task, JobState::Running));
                            run.sort_by(|a, b| a.id.cmp(&b.id));
                        }
                    }
                    // Failed, cancelled, waived, sent back: its attempt is gone, and so is what that had counted.
                    _ if on > 0.7 && !run[at].state.is_terminal() => {
                        run[at].state = JobState::ALL[state];
                        leaves.remove(&id);
                    }
                    _ => drop(leaves.insert(id, on)),
                }
                let now = measured(&run, &before, |leaf| leaves.get(&leaf.id).copied().unwrap_or(0.0));
                for (id, told) in &before {
                    prop_assert!(now[id].fraction >= told.fraction, "{id}: {:?} after {told:?}", now[id]);
                    let stays = matches!(
                        run.iter().find(|job| job.id == *id).unwrap().state,
                        JobState::Failed | JobState::Cancelled
                    );
                    let is_leaf = run.iter().all(|job| job.id.parent().as_ref() != Some(id));
                    prop_assert!(!(stays && is_leaf && !leaves.contains_key(id)) || now[id].fraction == told.fraction);
                }
                before = now;
            }
        }
    }
}
