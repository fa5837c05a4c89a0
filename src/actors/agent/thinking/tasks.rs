//! The tasks that agents with a language model take, one row each in [`MODEL_TASKS`].

use std::collections::BTreeSet;

use crate::domain::job::continuation::{CONTINUES, SNAPSHOT};
use crate::domain::job::plan::{LEAD_CHANGE, MAY_DELEGATE};
use crate::domain::task::{InputKind, PLAIN_TASK, TaskEntry, TaskInput, TaskKind};
use crate::domain::thinking::LONGEST_PROVE_LIMIT_S;

/// Write a change in a repository and have it proved.
pub(in crate::actors) const WRITE_CHANGE: &str = "change.write";
/// Write a piece of a change that another agent puts together.
pub(in crate::actors) const WRITE_PIECE: &str = "change.piece";
/// Judge a change that another model has written.
pub(in crate::actors) const REVIEW_CHANGE: &str = "change.review";

/// Tasks of the one job of a run that leads the writing of its change.
pub(in crate::actors) const LEADS: [&str; 2] = [WRITE_CHANGE, LEAD_CHANGE];

/// A task of agents with a model.
pub(in crate::actors) struct ModelTask {
    pub(in crate::actors::agent) task: &'static str,
    /// The capability by which an agent is found for it; empty for one that every agent with a model takes.
    capability: &'static str,
    about: &'static str,
    inputs: &'static [TaskInput],
}

const REPOSITORY: &str = "repository";
/// Longest run of the proving command, in seconds.
pub(super) const PROVE_LIMIT: &str = "prove_limit_s";
/// Whether questions are put to a person, or refused so that a run never waits.
const ASK: InputKind = InputKind::Choice(&["person", "never"]);

/// Inputs of a change, for its only writer or its lead.
const CHANGE_INPUTS: &[TaskInput] = &[
    TaskInput::required("goal", InputKind::Text),
    TaskInput::required(REPOSITORY, InputKind::Repository),
    TaskInput::optional("prove", InputKind::Text),
    TaskInput::optional(PROVE_LIMIT, InputKind::UpTo(LONGEST_PROVE_LIMIT_S)),
    TaskInput::optional("base", InputKind::Text),
    TaskInput::optional("expect", InputKind::Choice(&["fail", "pass", "any"])),
    TaskInput::optional("budget_usd", InputKind::Usd),
    TaskInput::optional("prepare", InputKind::Text),
    TaskInput::optional("tests", InputKind::Texts),
    TaskInput::optional("allow_guards", InputKind::Flag),
    TaskInput::optional("allow_test_changes", InputKind::Flag),
    TaskInput::optional("with_uncommitted", InputKind::Flag),
    TaskInput::optional("review", InputKind::Choice(&["one", "off"])),
    TaskInput::optional(MAY_DELEGATE, InputKind::Flag),
    TaskInput::optional(CONTINUES, InputKind::Text),
    TaskInput::optional(SNAPSHOT, InputKind::Text),
    TaskInput::optional("word", InputKind::Text),
    TaskInput::optional("ask", ASK),
];

pub(in crate::actors) const MODEL_TASKS: &[ModelTask] = &[
    ModelTask {
        task: PLAIN_TASK,
        capability: "",
        about: "do what a person asks for in words, in a tree of its own",
        inputs: &[
            TaskInput::required("goal", InputKind::Text),
            TaskInput::optional(REPOSITORY, InputKind::Repository),
            TaskInput::optional("base", InputKind::Text),
            TaskInput::optional("prove", InputKind::Text),
            TaskInput::optional(PROVE_LIMIT, InputKind::UpTo(LONGEST_PROVE_LIMIT_S)),
            TaskInput::optional("budget_usd", InputKind::Usd),
            TaskInput::optional("with_uncommitted", InputKind::Flag),
            TaskInput::optional("ask", ASK),
        ],
    },
    ModelTask {
        task: WRITE_CHANGE,
        capability: "code_generation",
        about: "write a change in a private tree of a repository, prove it, have it reviewed and deliver its branch",
        inputs: CHANGE_INPUTS,
    },
    ModelTask {
        task: LEAD_CHANGE,
        capability: "code_task_coordination",
        about: "cut a change up, have its pieces written side by side, put them together and prove them as one",
        inputs: CHANGE_INPUTS,
    },
    ModelTask {
        task: WRITE_PIECE,
        // The lead names the capability that a piece needs.
        capability: "",
        about: "write a piece of a change, within the paths that are given for it",
        inputs: &[
            TaskInput::required("goal", InputKind::Text),
            TaskInput::required("change_of", InputKind::Text),
            TaskInput::required("commit", InputKind::Text),
            TaskInput::optional("paths", InputKind::Texts),
            TaskInput::optional("prove", InputKind::Text),
            TaskInput::optional(PROVE_LIMIT, InputKind::UpTo(LONGEST_PROVE_LIMIT_S)),
            TaskInput::optional("budget_usd", InputKind::Usd),
            TaskInput::optional("tests", InputKind::Texts),
            TaskInput::optional("ask", ASK),
        ],
    },
    ModelTask {
        task: REVIEW_CHANGE,
        capability: "cross_vendor_review",
        about: "judge a change that another vendor's model has written",
        inputs: &[
            TaskInput::required("goal", InputKind::Text),
            TaskInput::required("change_of", InputKind::Text),
            TaskInput::required("commit", InputKind::Text),
            TaskInput::optional("author_vendors", InputKind::Texts),
            TaskInput::optional("message", InputKind::Text),
            TaskInput::optional("tests", InputKind::Texts),
            TaskInput::optional("ask", ASK),
        ],
    },
];

/// The model task of that name.
pub(in crate::actors::agent) fn find(task: &str) -> Option<&'static ModelTask> {
    MODEL_TASKS.iter().find(|entry| entry.task == task)
}

impl ModelTask {
    /// The task as a row of the catalogue.
    pub(in crate::actors) fn to_task(&self) -> TaskEntry {
        TaskEntry {
            task: self.task.into(),
            kind: TaskKind::Model,
            capability: self.capability.into(),
            about: self.about.into(),
            inputs: self.inputs.to_vec(),
            reads: Vec::new(),
            leads_to: BTreeSet::new(),
        }
    }
}
