//! The plan book: how a coordinator divides a task into steps, and which steps may begin.
//!
//! Pure. A plan names tasks, never agents: a step's task has a capability
//! ([`TaskCatalogue`](crate::task::TaskCatalogue)), by which the roster finds an agent when the step
//! is handed over. Plans are owned values, so that code can build them at run time. A step begins when all
//! steps in its `after` are done or waived.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::JobState;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStep {
    /// Unique in the plan; a segment of the child's id.
    pub name: Cow<'static, str>,
    pub task: Cow<'static, str>,
    /// The steps that must be done or waived first.
    pub after: Vec<Cow<'static, str>>,
    /// Whether the run can continue without the step.
    pub optional: bool,
    /// The task in its place on cards that ask for it.
    pub instead: Option<StepSwitch>,
}

/// Another task for a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSwitch {
    /// The input that asks for it, by being true.
    pub flag: Cow<'static, str>,
    pub task: Cow<'static, str>,
}

impl TaskStep {
    /// The step's task on a card with these inputs.
    #[must_use]
    pub fn task_for(&self, inputs: &Value) -> &str {
        let is_asked =
            |switch: &&StepSwitch| inputs.get(&*switch.flag).and_then(Value::as_bool) == Some(true);
        self.instead.as_ref().filter(is_asked).map_or(&*self.task, |switch| &*switch.task)
    }

    /// Every task that the step may have.
    pub fn tasks(&self) -> impl Iterator<Item = &Cow<'static, str>> {
        std::iter::once(&self.task).chain(self.instead.as_ref().map(|switch| &switch.task))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlan {
    /// The task's name on a card.
    pub task: Cow<'static, str>,
    /// The capability by which a coordinator is found.
    pub capability: Cow<'static, str>,
    /// A description for people.
    pub about: Cow<'static, str>,
    /// Each step behind those in its `after`.
    pub steps: Vec<TaskStep>,
}

fn step(name: &'static str, task: &'static str, after: &[&'static str]) -> TaskStep {
    let after = after.iter().map(|name| Cow::Borrowed(*name)).collect();
    TaskStep { name: name.into(), task: task.into(), after, optional: false, instead: None }
}

fn optional(step: TaskStep) -> TaskStep {
    TaskStep { optional: true, ..step }
}

fn or_with(step: TaskStep, flag: &'static str, task: &'static str) -> TaskStep {
    TaskStep { instead: Some(StepSwitch { flag: flag.into(), task: task.into() }), ..step }
}

fn plan(task: &'static str, capability: &'static str, about: &'static str, steps: Vec<TaskStep>) -> TaskPlan {
    TaskPlan { task: task.into(), capability: capability.into(), about: about.into(), steps }
}

pub const INGEST: &str = "ingest";
/// The task that takes a goal to a proved and reviewed branch.
pub const CHANGE: &str = "change";
/// The input of a change that lets its parts be written by several agents.
pub const MAY_DELEGATE: &str = "may_delegate";
/// The task of the agent that cuts a change up and puts its pieces together.
pub const LEAD_CHANGE: &str = "change.lead";
/// The task that reports what each step took; its card carries the run's times.
pub const METRICS: &str = "ingest.metrics";

pub static BOOK: LazyLock<Vec<TaskPlan>> = LazyLock::new(|| {
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
        plan(
            CHANGE,
            "planning",
            "change a repository by a goal in words: written, proved, reviewed, delivered as a branch",
            vec![step("code", "change.code", &[])],
        ),
        plan(
            "change.code",
            "code_lane_management",
            "the code lane of a change",
            vec![or_with(step("lane", "change.code.lane", &[]), MAY_DELEGATE, LEAD_CHANGE)],
        ),
        plan(
            "change.code.lane",
            "code_task_coordination",
            "have a change written and proved",
            vec![step("write", "change.write", &[])],
        ),
    ]
});

#[must_use]
pub fn find(task: &str) -> Option<&'static TaskPlan> {
    BOOK.iter().find(|plan| plan.task == task)
}

/// The next move of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanProgress<'p> {
    /// These steps may begin; empty while others run.
    Begin(Vec<&'p TaskStep>),
    /// All steps are done or waived.
    Done,
    /// A step failed or was cancelled: name and state.
    Broken(&'p str, JobState),
}

impl TaskPlan {
    /// Computes the next move from the states of existing children.
    #[must_use]
    pub fn next(&self, children: &BTreeMap<&str, JobState>) -> PlanProgress<'_> {
        let state = |name: &str| children.get(name).copied();
        let passed = |name: &str| matches!(state(name), Some(JobState::Done | JobState::Quarantined));
        for step in &self.steps {
            if let Some(ended @ (JobState::Failed | JobState::Cancelled)) = state(&step.name) {
                return PlanProgress::Broken(&step.name, ended);
            }
        }
        if self.steps.iter().all(|step| passed(&step.name)) {
            return PlanProgress::Done;
        }
        let may_begin =
            |step: &&TaskStep| state(&step.name).is_none() && step.after.iter().all(|name| passed(name));
        PlanProgress::Begin(self.steps.iter().filter(may_begin).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(next: PlanProgress<'_>) -> Vec<&str> {
        match next {
            PlanProgress::Begin(steps) => steps.iter().map(|step| step.name.as_ref()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_card_that_asks_for_it_has_another_task_in_the_place_of_a_step() {
        let step = &find("change.code").unwrap().steps[0];
        assert_eq!(step.task_for(&serde_json::json!({ "may_delegate": true })), LEAD_CHANGE);
        for inputs in [serde_json::json!({}), serde_json::json!({ "may_delegate": false })] {
            assert_eq!(step.task_for(&inputs), "change.code.lane");
        }
        assert_eq!(step.tasks().count(), 2);
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
        assert_eq!(ingest.next(&children), PlanProgress::Broken("report", JobState::Failed));
        children.insert("report", JobState::Done);
        children.insert("metrics", JobState::Done);
        assert_eq!(ingest.next(&children), PlanProgress::Done);
    }

    #[test]
    fn every_step_follows_steps_of_its_own_plan_that_stand_before_it() {
        for plan in BOOK.iter() {
            for (position, step) in plan.steps.iter().enumerate() {
                for name in &step.after {
                    assert!(plan.steps[..position].iter().any(|s| s.name == *name), "{}: {name}", plan.task);
                }
                assert!(
                    crate::ids::RunId::new(step.name.as_ref()).is_ok(),
                    "{} is a segment of an id",
                    step.name
                );
            }
        }
    }
}
