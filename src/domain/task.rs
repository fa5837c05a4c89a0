//! Tasks: the names valid in a job card, one row each, with the agents that take them.
//!
//! Owns [`TaskCatalogue`], the only place that joins a task's name with capability, inputs and kind of agent.
//! Pure; the rows come from the modules with the work (skills, plans, services). Invariants: every name once;
//! a plan takes the inputs of the tasks below. Failure policy: a card that can never work is refused with
//! [`TaskRefusal`], which names a valid choice.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rust_decimal::Decimal;
use serde_json::Value;

use super::agent::{AgentBehaviour, AgentDefinition};
use super::job::plan::{self, TaskPlan};
use super::money::NanoUsd;
use super::roster::Roster;
use super::similar_name::nearest_name;

/// Depth of plans followed: a plan that leads to itself would never end.
const MAX_DEPTH: usize = 16;

/// The kind of an input's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// The absolute path of a folder or file to read.
    Source,
    Text,
    /// A positive whole number.
    Count,
    /// A whole number from 1 to this one.
    UpTo(u64),
    /// SPDX identifiers of licences, in a list.
    Licences,
    /// Rows that a coordinator writes.
    Rows,
    /// The absolute path of a git repository with a commit.
    Repository,
    /// An amount of US dollars above 0, as a number or a text.
    Usd,
    /// Yes or no.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Texts, in a list.
    Texts,
}

/// A member of a card's `inputs` that a task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskInput {
    /// The key in `inputs`.
    pub name: &'static str,
    pub kind: InputKind,
    /// Whether the task needs this input.
    pub is_required: bool,
}

impl InputKind {
    /// A description of values of this kind.
    #[must_use]
    pub fn wanted(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Source => "the absolute path of a folder or file",
            Self::Text => "a text",
            Self::Count => "a positive whole number",
            Self::Licences => "a list of SPDX identifiers, such as [\"AGPL-3.0-only\"]",
            Self::Rows => "a list of objects",
            Self::Repository => "the absolute path of a git repository",
            Self::Usd => "an amount of US dollars above 0, such as 2.50",
            Self::Flag => "true or false",
            Self::Texts => "a list of texts",
            Self::UpTo(most) => return Cow::Owned(format!("a whole number from 1 to {most}")),
            Self::Choice(words) => return Cow::Owned(format!("one of {}", words.join(", "))),
        })
    }

    /// Whether a value has the form of this kind; the existence of the target is checked elsewhere.
    #[must_use]
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::Source => value.as_str().is_some_and(|path| Path::new(path).is_absolute()),
            Self::Text => value.is_string(),
            // One less than the maximum keeps `limit + 1` in range.
            Self::Count => value.as_u64().is_some_and(|count| (1..u64::MAX).contains(&count)),
            Self::UpTo(most) => value.as_u64().is_some_and(|number| (1..=most).contains(&number)),
            Self::Licences => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            Self::Rows => value.as_array().is_some_and(|rows| rows.iter().all(Value::is_object)),
            Self::Repository => value.as_str().is_some_and(|path| Path::new(path).is_absolute()),
            Self::Usd => usd(value).is_some(),
            Self::Flag => value.is_boolean(),
            Self::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Texts => value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
        }
    }
}

/// An amount of US dollars above 0, in the form of a card.
#[must_use]
pub fn usd(value: &Value) -> Option<NanoUsd> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let amount = text.trim().trim_start_matches('$').parse::<Decimal>().ok()?;
    NanoUsd::from_usd(amount).ok().filter(|amount| *amount > NanoUsd::ZERO)
}

impl TaskInput {
    /// An input that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, kind: InputKind) -> Self {
        Self { name, kind, is_required: false }
    }

    /// An input without which nothing can be done.
    #[must_use]
    pub const fn required(name: &'static str, kind: InputKind) -> Self {
        Self { name, kind, is_required: true }
    }
}

/// The kind of agent that does a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// A coordinator, by a plan.
    Plan,
    /// An executor, by a native skill.
    Skill,
    /// A system agent, through a service.
    Service,
    /// An agent with a language model, turn by turn.
    Model,
}

/// The task of every agent with a model: a request in words.
pub const PLAIN_TASK: &str = "task";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEntry {
    /// The task's name on a card.
    pub task: Cow<'static, str>,
    pub kind: TaskKind,
    /// The capability by which an agent is found.
    pub capability: Cow<'static, str>,
    /// A description for people.
    pub about: Cow<'static, str>,
    /// The fields of the card's `inputs`.
    pub inputs: Vec<TaskInput>,
    /// Tasks of the same run whose outputs this task reads; a separate job has no such outputs.
    pub reads: Vec<Cow<'static, str>>,
    /// A plan's steps, and theirs.
    pub leads_to: BTreeSet<Cow<'static, str>>,
}

/// Why a task can never run as a separate job: a sentence that also names a valid choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TaskRefusal(pub String);

/// All tasks of this build.
#[derive(Debug, Clone, Default)]
pub struct TaskCatalogue {
    entries: BTreeMap<Cow<'static, str>, TaskEntry>,
}

impl TaskCatalogue {
    /// The catalogue of these plans, over tasks that need no plan.
    #[must_use]
    pub fn new(plans: &[TaskPlan], direct: impl IntoIterator<Item = TaskEntry>) -> Self {
        let mut entries: BTreeMap<_, _> =
            direct.into_iter().map(|entry| (entry.task.clone(), entry)).collect();
        for plan in plans {
            let mut reach = PlanReach::default();
            reach.follow(plan, plans, &entries, 0);
            entries.insert(plan.task.clone(), reach.entry_of(plan));
        }
        Self { entries }
    }

    #[must_use]
    pub fn get(&self, task: &str) -> Option<&TaskEntry> {
        self.entries.get(task)
    }

    /// All tasks, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TaskEntry> {
        self.entries.values()
    }

    /// Whether an agent takes a task: the definition lists the task, and the behaviour is of the task's kind.
    /// A coordinator whose definition lists no tasks takes every plan.
    #[must_use]
    pub fn takes(&self, agent: &AgentDefinition, task: &str) -> bool {
        let Some(entry) = self.get(task) else { return false };
        let lists = |tasks: &Vec<super::agent::TaskName>| tasks.iter().any(|known| known.as_str() == task);
        let is_listed = agent.tasks.as_ref().is_some_and(lists);
        match entry.kind {
            TaskKind::Plan => {
                agent.behaviour == AgentBehaviour::Coordinator && (is_listed || agent.tasks.is_none())
            }
            TaskKind::Skill => agent.behaviour == AgentBehaviour::Native && is_listed,
            TaskKind::Service => agent.behaviour == AgentBehaviour::System && is_listed,
            TaskKind::Model => is_listed || (agent.behaviour == AgentBehaviour::Llm && task == PLAIN_TASK),
        }
    }

    /// The tasks that an agent takes, by name.
    pub fn of_agent<'c>(&'c self, agent: &'c AgentDefinition) -> impl Iterator<Item = &'c TaskEntry> {
        self.iter().filter(|entry| self.takes(agent, &entry.task))
    }

    /// Checks that the agent can take every task of the definition.
    ///
    /// # Errors
    /// A sentence for the definition's author.
    pub fn check_definition(&self, agent: &AgentDefinition) -> Result<(), String> {
        let Some(unfit) = agent.tasks.iter().flatten().find(|task| !self.takes(agent, task.as_str())) else {
            return Ok(());
        };
        let kind = agent.behaviour.as_str();
        match self.get(unfit.as_str()) {
            None => Err(format!("unknown task `{unfit}`; {}", suggestion(unfit.as_str(), self.iter()))),
            Some(_) => Err(format!("`{unfit}` is not a task for an agent of behaviour {kind}")),
        }
    }

    /// Whether a task, or one below, is carried out with a language model.
    #[must_use]
    pub fn needs_model(&self, entry: &TaskEntry) -> bool {
        let is_model = |entry: &TaskEntry| entry.kind == TaskKind::Model;
        is_model(entry) || entry.leads_to.iter().filter_map(|task| self.get(task)).any(is_model)
    }

    /// The task of a root card that `agent` is to carry out. `no_model` is the reason why no language model
    /// can be called now, if so.
    ///
    /// # Errors
    /// [`TaskRefusal`], when the card can never work.
    pub fn admit(
        &self,
        roster: &Roster,
        agent: &AgentDefinition,
        task: &str,
        no_model: Option<&str>,
    ) -> Result<&TaskEntry, TaskRefusal> {
        let entry = self.get(task).filter(|_| self.takes(agent, task));
        let entry = entry.ok_or_else(|| TaskRefusal(self.lack(roster, agent, task)))?;
        if let Some(reason) = no_model.filter(|_| self.needs_model(entry)) {
            return Err(TaskRefusal(format!(
                "`{task}` needs a language model, and none is available: {reason}"
            )));
        }
        let Some(read) = entry.reads.first() else { return Ok(entry) };
        let instead = self.plan_with(task).map(|plan| format!("; submit `{plan}`, which does both"));
        Err(TaskRefusal(format!(
            "`{task}` reads the outputs of `{read}` in the same run, and a separate job has none{}",
            instead.unwrap_or_default(),
        )))
    }

    /// Why `agent` does not take `task`, with an alternative.
    #[must_use]
    pub fn lack(&self, roster: &Roster, agent: &AgentDefinition, task: &str) -> String {
        let name = &agent.name;
        let others: Vec<String> = roster
            .iter()
            .filter(|other| self.takes(other, task))
            .map(|other| format!("`{}`", other.name))
            .collect();
        let elsewhere = if others.is_empty() {
            String::new()
        } else {
            format!("; `{task}` is a task of {}", others.join(", "))
        };
        match agent.behaviour {
            AgentBehaviour::Command => format!(
                "`{name}` takes no task: agents that run commands are not built in this version; it answers \
                 `status`{elsewhere}"
            ),
            AgentBehaviour::Native
            | AgentBehaviour::Coordinator
            | AgentBehaviour::System
            | AgentBehaviour::Llm => {
                let known: Vec<_> = self.of_agent(agent).collect();
                if known.is_empty() {
                    return format!(
                        "`{name}` takes no tasks in this version; it answers `status`{elsewhere}"
                    );
                }
                let suggestion = suggestion(task, known);
                if task.is_empty() {
                    return format!("name a `task` for `{name}`; {suggestion}");
                }
                format!("`{name}` does not take the task `{task}`; {suggestion}{elsewhere}")
            }
        }
    }

    /// A plan that leads to `task` and can be a job of its own.
    fn plan_with(&self, task: &str) -> Option<&str> {
        let fits = |entry: &&TaskEntry| entry.reads.is_empty() && entry.leads_to.contains(task);
        self.iter().find(fits).map(|entry| entry.task.as_ref())
    }
}

/// The inputs read and required by the steps of a plan and their steps.
#[derive(Default)]
struct PlanReach {
    inputs: BTreeSet<TaskInput>,
    reads: BTreeSet<Cow<'static, str>>,
    leads_to: BTreeSet<Cow<'static, str>>,
}

impl PlanReach {
    fn follow(
        &mut self,
        plan: &TaskPlan,
        plans: &[TaskPlan],
        direct: &BTreeMap<Cow<'static, str>, TaskEntry>,
        depth: usize,
    ) {
        let tasks = plan.steps.iter().flat_map(plan::TaskStep::tasks);
        for task in tasks.filter(|_| depth < MAX_DEPTH) {
            self.leads_to.insert(task.clone());
            if let Some(below) = plans.iter().find(|plan| plan.task == *task) {
                self.follow(below, plans, direct, depth + 1);
            } else if let Some(entry) = direct.get(task) {
                self.reads.extend(entry.reads.iter().cloned());
                // The coordinator itself writes the inputs of the metrics.
                if *task != plan::METRICS {
                    self.inputs.extend(entry.inputs.iter().copied());
                }
            }
        }
    }

    fn entry_of(mut self, plan: &TaskPlan) -> TaskEntry {
        // An input that one step requires is required, even if another can do without.
        let required: Vec<_> =
            self.inputs.iter().filter(|input| input.is_required).map(|input| input.name).collect();
        self.inputs.retain(|input| input.is_required || !required.contains(&input.name));
        TaskEntry {
            task: plan.task.clone(),
            kind: TaskKind::Plan,
            capability: plan.capability.clone(),
            about: plan.about.clone(),
            inputs: self.inputs.into_iter().collect(),
            reads: self.reads.into_iter().filter(|task| !self.leads_to.contains(task)).collect(),
            leads_to: self.leads_to,
        }
    }
}

/// `did you mean …` where a known name is near, and the names.
fn suggestion<'c>(task: &str, known: impl IntoIterator<Item = &'c TaskEntry>) -> String {
    let names: Vec<&str> = known.into_iter().map(|entry| entry.task.as_ref()).collect();
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match nearest_name(task, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Known: {list}"),
        None => format!("known: {list}"),
    }
}
