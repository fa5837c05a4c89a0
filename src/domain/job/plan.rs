//! The plan book: how a coordinator divides a task into steps, and which of them may begin.
//!
//! Pure. A plan names capabilities, never agents: who does a step is routed by the roster when it is
//! handed over. A step begins when the steps it follows have ended well or were waived.

use std::collections::BTreeMap;

use super::JobState;

/// One step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its name, unique in the plan; a segment of the child's id.
    pub name: &'static str,
    /// What the child is to do: a task of the plan book, or a skill.
    pub task: &'static str,
    /// Who can do it.
    pub capability: &'static str,
    /// The steps it follows.
    pub after: &'static [&'static str],
    /// Whether the run can go on without it.
    pub optional: bool,
}

/// A task and its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The task, as a card names it.
    pub task: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Its steps.
    pub steps: &'static [Step],
}

const fn step(
    name: &'static str,
    task: &'static str,
    capability: &'static str,
    after: &'static [&'static str],
) -> Step {
    Step { name, task, capability, after, optional: false }
}

const fn optional(step: Step) -> Step {
    Step { optional: true, ..step }
}

/// The task of the first work that PAS does.
pub const INGEST: &str = "ingest";
/// The task that reports what each step took; its card carries the run's times.
pub const METRICS: &str = "ingest.metrics";

/// All plans.
pub const BOOK: &[Plan] = &[
    Plan {
        task: INGEST,
        about: "work a folder of documents through audit, cleaning, analysis, index and report",
        steps: &[
            step("data", "ingest.data", "data_intake", &[]),
            optional(step("compliance", "ingest.compliance", "security_oversight", &["data"])),
            step("report", "ingest.report", "documentation_management", &["data", "compliance"]),
            optional(step("metrics", METRICS, "cost_tracking", &["report"])),
        ],
    },
    Plan {
        task: "ingest.data",
        about: "the data lane of an ingest",
        steps: &[step("lane", "ingest.data.lane", "data_pipeline_coordination", &[])],
    },
    Plan {
        task: "ingest.data.lane",
        about: "audit and clean, then chunk, classify, link and index side by side",
        steps: &[
            step("audit", "ingest.audit", "source_checking", &[]),
            step("clean", "ingest.clean", "normalization", &["audit"]),
            optional(step("chunk", "ingest.chunk", "paragraph_banking", &["clean"])),
            optional(step("classify", "ingest.classify", "domain_classification", &["clean"])),
            optional(step("graph", "ingest.graph", "kg_construction", &["clean"])),
            optional(step("index", "ingest.index", "faiss_indexing", &["clean"])),
        ],
    },
    Plan {
        task: "ingest.compliance",
        about: "the compliance lane of an ingest",
        steps: &[step("lane", "ingest.compliance.lane", "task_breakdown", &[])],
    },
    Plan {
        task: "ingest.compliance.lane",
        about: "check licences, secrets and personal data",
        steps: &[step("check", "ingest.compliance.check", "pii_verification", &[])],
    },
    Plan {
        task: "ingest.report",
        about: "the documentation lane of an ingest",
        steps: &[step("lane", "ingest.report.lane", "report_coordination", &[])],
    },
    Plan {
        task: "ingest.report.lane",
        about: "write the report",
        steps: &[step("write", "ingest.report.write", "report_generation", &[])],
    },
];

/// The plan for a task.
#[must_use]
pub fn find(task: &str) -> Option<&'static Plan> {
    BOOK.iter().find(|plan| plan.task == task)
}

/// How a plan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These steps may begin; empty while others run.
    Begin(Vec<&'static Step>),
    /// All steps have ended well or were waived.
    Done,
    /// A step failed or was cancelled: which, and how it ended.
    Broken(&'static str, JobState),
}

impl Plan {
    /// What follows from the states of the children that exist.
    #[must_use]
    pub fn next(&self, children: &BTreeMap<&str, JobState>) -> Next {
        let state = |name: &str| children.get(name).copied();
        let passed = |name: &str| matches!(state(name), Some(JobState::Done | JobState::Quarantined));
        for step in self.steps {
            if let Some(ended @ (JobState::Failed | JobState::Cancelled)) = state(step.name) {
                return Next::Broken(step.name, ended);
            }
        }
        if self.steps.iter().all(|step| passed(step.name)) {
            return Next::Done;
        }
        let may_begin =
            |step: &&Step| state(step.name).is_none() && step.after.iter().all(|name| passed(name));
        Next::Begin(self.steps.iter().filter(may_begin).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(next: Next) -> Vec<&'static str> {
        match next {
            Next::Begin(steps) => steps.iter().map(|step| step.name).collect(),
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
        for plan in BOOK {
            for (position, step) in plan.steps.iter().enumerate() {
                for name in step.after {
                    assert!(plan.steps[..position].iter().any(|s| s.name == *name), "{}: {name}", plan.task);
                }
                assert!(
                    crate::domain::ids::RunId::new(step.name).is_ok(),
                    "{} is a segment of an id",
                    step.name
                );
            }
        }
    }
}
