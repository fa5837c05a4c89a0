//! The plan book: how a coordinator divides a task into steps, and which of them may begin.
//!
//! Pure. A plan names tasks, never agents: a step's task has a capability
//! ([`TaskCatalogue`](crate::domain::task::TaskCatalogue)), by which the roster finds an agent when the step is
//! handed over. Plans are owned values, so that they can be made as well as written. A step begins when the steps
//! it follows have ended well or were waived.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::JobState;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, unique in the plan; a segment of the child's id.
    pub name: Cow<'static, str>,
    pub task: Cow<'static, str>,
    /// The steps it follows.
    pub after: Vec<Cow<'static, str>>,
    /// Whether the run can go on without it.
    pub optional: bool,
}

/// A task and its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The task, as a card names it.
    pub task: Cow<'static, str>,
    /// The capability by which a coordinator is found for it.
    pub capability: Cow<'static, str>,
    /// What it does, for people.
    pub about: Cow<'static, str>,
    /// Its steps, each behind those it follows.
    pub steps: Vec<Step>,
}

fn step(name: &'static str, task: &'static str, after: &[&'static str]) -> Step {
    let after = after.iter().map(|name| Cow::Borrowed(*name)).collect();
    Step { name: name.into(), task: task.into(), after, optional: false }
}

fn optional(step: Step) -> Step {
    Step { optional: true, ..step }
}

fn plan(task: &'static str, capability: &'static str, about: &'static str, steps: Vec<Step>) -> Plan {
    Plan { task: task.into(), capability: capability.into(), about: about.into(), steps }
}

/// The task of the first work that PAS does.
pub const INGEST: &str = "ingest";
/// The task that reports what each step took; its card carries the run's times.
pub const METRICS: &str = "ingest.metrics";

pub static BOOK: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    vec![
        plan(
            INGEST,
            "planning",
            "work a folder of documents through audit, cleaning, analysis, index and report",
            vec![
                step("data", "ingest.data", &[]),
                optional(step("compliance", "ingest.compliance", &["data"])),
                step("report", "ingest.report", &["data", "compliance"]),
                optional(step("metrics", METRICS, &["report"])),
            ],
        ),
        plan(
            "ingest.data",
            "data_intake",
            "the data lane of an ingest",
            vec![step("lane", "ingest.data.lane", &[])],
        ),
        plan(
            "ingest.data.lane",
            "data_pipeline_coordination",
            "audit and clean, then chunk, classify, link and index side by side",
            vec![
                step("audit", "ingest.audit", &[]),
                step("clean", "ingest.clean", &["audit"]),
                optional(step("chunk", "ingest.chunk", &["clean"])),
                optional(step("classify", "ingest.classify", &["clean"])),
                optional(step("graph", "ingest.graph", &["clean"])),
                optional(step("index", "ingest.index", &["clean"])),
            ],
        ),
        plan(
            "ingest.compliance",
            "security_oversight",
            "the compliance lane of an ingest",
            vec![step("lane", "ingest.compliance.lane", &[])],
        ),
        plan(
            "ingest.compliance.lane",
            "task_breakdown",
            "check licences, secrets and personal data",
            vec![step("check", "ingest.compliance.check", &[])],
        ),
        plan(
            "ingest.report",
            "documentation_management",
            "the documentation lane of an ingest",
            vec![step("lane", "ingest.report.lane", &[])],
        ),
        plan(
            "ingest.report.lane",
            "report_coordination",
            "write the report",
            vec![step("write", "ingest.report.write", &[])],
        ),
    ]
});

/// The plan for a task.
#[must_use]
pub fn find(task: &str) -> Option<&'static Plan> {
    BOOK.iter().find(|plan| plan.task == task)
}

/// How a plan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<'p> {
    /// These steps may begin; empty while others run.
    Begin(Vec<&'p Step>),
    /// All steps have ended well or were waived.
    Done,
    /// A step failed or was cancelled: which, and how it ended.
    Broken(&'p str, JobState),
}

impl Plan {
    /// What follows from the states of the children that exist.
    #[must_use]
    pub fn next(&self, children: &BTreeMap<&str, JobState>) -> Next<'_> {
        let state = |name: &str| children.get(name).copied();
        let passed = |name: &str| matches!(state(name), Some(JobState::Done | JobState::Quarantined));
        for step in &self.steps {
            if let Some(ended @ (JobState::Failed | JobState::Cancelled)) = state(&step.name) {
                return Next::Broken(&step.name, ended);
            }
        }
        if self.steps.iter().all(|step| passed(&step.name)) {
            return Next::Done;
        }
        let may_begin =
            |step: &&Step| state(&step.name).is_none() && step.after.iter().all(|name| passed(name));
        Next::Begin(self.steps.iter().filter(may_begin).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(next: Next<'_>) -> Vec<&str> {
        match next {
            Next::Begin(steps) => steps.iter().map(|step| step.name.as_ref()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn independent_steps_begin_together_when_what_they_follow_has_passed() {
        let lane = find("ingest.data.lane").unwrap();
        assert_eq!(names(lane.next(&BTreeMap::new())), ["audit"]);
        assert_eq!(names(lane.next(&BTreeMap::from([("audit", JobState::Running)]))), [""; 0]);
        let cleaned = BTreeMap::from([("audit", JobState::Done), ("clean", JobState::Done)]);
        assert_eq!(names(lane.next(&cleaned)), ["chunk", "classify", "graph", "index"]);
    }

    #[test]
    fn a_waived_step_does_not_hold_the_run_and_a_failed_one_ends_it() {
        let ingest = find(INGEST).unwrap();
        let mut children = BTreeMap::from([("data", JobState::Done), ("compliance", JobState::Quarantined)]);
        assert_eq!(names(ingest.next(&children)), ["report"]);
        children.insert("report", JobState::Failed);
        assert_eq!(ingest.next(&children), Next::Broken("report", JobState::Failed));
        children.insert("report", JobState::Done);
        children.insert("metrics", JobState::Done);
        assert_eq!(ingest.next(&children), Next::Done);
    }

    #[test]
    fn every_step_follows_steps_of_its_own_plan_that_stand_before_it() {
        for plan in BOOK.iter() {
            for (position, step) in plan.steps.iter().enumerate() {
                for name in &step.after {
                    assert!(plan.steps[..position].iter().any(|s| s.name == *name), "{}: {name}", plan.task);
                }
                assert!(
                    crate::domain::ids::RunId::new(step.name.as_ref()).is_ok(),
                    "{} is a segment of an id",
                    step.name
                );
            }
        }
    }
}
