//! Tasks: the names a job card may carry, one row each, and which agent takes which.
//!
//! Owns [`TaskCatalogue`], the only place where a task's name meets its capability, its inputs and the kind of
//! agent that carries it out. Pure; the rows come from whoever has the work behind them (skills, plans,
//! services). Invariants: every name once; a plan takes the inputs of the tasks it leads to. Failure policy: a
//! card that can never work is refused with [`TaskRefusal`], which names what would.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::agent::{AgentDefinition, Behaviour};
use super::job::plan::{self, Plan};
use super::roster::Roster;

/// How many plans deep a task is followed: a plan that led to itself would have no end.
const MAX_DEPTH: usize = 16;
/// The share of a name that may be misspelt for it to be suggested: one letter in three.
const SUGGEST_WITHIN: usize = 3;

/// The kind of an input's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// The absolute path of a folder or file to read.
    Source,
    Text,
    /// A positive whole number.
    Count,
    /// A whole number from 1 to 100.
    Percent,
    /// SPDX identifiers of licences, in a list.
    Licences,
    /// Rows that a coordinator writes.
    Rows,
}

/// A member of a card's `inputs` that a task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskInput {
    /// Its name in `inputs`.
    pub name: &'static str,
    /// What its value is.
    pub kind: InputKind,
    /// Whether the task cannot work without it.
    pub is_required: bool,
}

impl InputKind {
    /// What a value of this kind is, in words.
    #[must_use]
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Source => "the absolute path of a folder or file",
            Self::Text => "a text",
            Self::Count => "a positive whole number",
            Self::Percent => "a whole number from 1 to 100",
            Self::Licences => "a list of SPDX identifiers, such as [\"AGPL-3.0-only\"]",
            Self::Rows => "a list of objects",
        }
    }

    /// Whether a value has the form of this kind; whether it leads anywhere is for others to look.
    #[must_use]
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::Source => value.as_str().is_some_and(|path| Path::new(path).is_absolute()),
            Self::Text => value.is_string(),
            // One less than the maximum keeps `limit + 1` in range.
            Self::Count => value.as_u64().is_some_and(|count| (1..u64::MAX).contains(&count)),
            Self::Percent => value.as_u64().is_some_and(|share| (1..=100).contains(&share)),
            Self::Licences => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            Self::Rows => value.as_array().is_some_and(|rows| rows.iter().all(Value::is_object)),
        }
    }
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

/// Which kind of agent carries a task out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// A coordinator, by a plan.
    Plan,
    /// An executor, by a native skill.
    Skill,
    /// A system agent, by its service.
    Service,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEntry {
    /// Its name, as a card has it.
    pub task: Cow<'static, str>,
    /// Who carries it out.
    pub kind: TaskKind,
    /// The capability by which an agent is found for it.
    pub capability: Cow<'static, str>,
    /// What it does, for people.
    pub about: Cow<'static, str>,
    /// What it reads of the card's `inputs`.
    pub inputs: Vec<TaskInput>,
    /// Tasks of the same run whose outputs it reads; a job of its own has none.
    pub reads: Vec<Cow<'static, str>>,
    /// A plan's steps, and theirs.
    pub leads_to: BTreeSet<Cow<'static, str>>,
}

/// Why a task can never be carried out as a job of its own: a sentence that also says what would work.
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
    pub fn new(plans: &[Plan], direct: impl IntoIterator<Item = TaskEntry>) -> Self {
        let mut entries: BTreeMap<_, _> =
            direct.into_iter().map(|entry| (entry.task.clone(), entry)).collect();
        for plan in plans {
            let mut reach = PlanReach::default();
            reach.follow(plan, plans, &entries, 0);
            entries.insert(plan.task.clone(), reach.entry_of(plan));
        }
        Self { entries }
    }

    /// The task of that name.
    #[must_use]
    pub fn get(&self, task: &str) -> Option<&TaskEntry> {
        self.entries.get(task)
    }

    /// All tasks, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TaskEntry> {
        self.entries.values()
    }

    /// Whether an agent takes a task: its definition lists it, and its behaviour is of the task's kind. A
    /// coordinator whose definition lists none takes every plan.
    #[must_use]
    pub fn takes(&self, agent: &AgentDefinition, task: &str) -> bool {
        let Some(entry) = self.get(task) else { return false };
        let kind = match agent.behaviour {
            Behaviour::Coordinator => TaskKind::Plan,
            Behaviour::Native => TaskKind::Skill,
            Behaviour::System => TaskKind::Service,
            Behaviour::Llm | Behaviour::Command => return false,
        };
        let lists =
            |tasks: &Vec<_>| tasks.iter().any(|known: &super::agent::TaskName| known.as_str() == task);
        entry.kind == kind && agent.tasks.as_ref().map_or(agent.behaviour == Behaviour::Coordinator, lists)
    }

    /// The tasks that an agent takes, by name.
    pub fn of_agent<'c>(&'c self, agent: &'c AgentDefinition) -> impl Iterator<Item = &'c TaskEntry> {
        self.iter().filter(|entry| self.takes(agent, &entry.task))
    }

    /// Whether a definition's tasks are ones that its agent can take.
    ///
    /// # Errors
    /// A sentence for the definition's author.
    pub fn check_definition(&self, agent: &AgentDefinition) -> Result<(), String> {
        let Some(unfit) = agent.tasks.iter().flatten().find(|task| !self.takes(agent, task.as_str())) else {
            return Ok(());
        };
        let kind = agent.behaviour.as_str();
        match self.get(unfit.as_str()) {
            None => Err(format!("there is no task `{unfit}`; {}", suggestion(unfit.as_str(), self.iter()))),
            Some(_) => Err(format!("`{unfit}` is no task for an agent of behaviour {kind}")),
        }
    }

    /// The task of a root card that `agent` is to carry out. `can_call_model` says whether a language model can be
    /// called now.
    ///
    /// # Errors
    /// [`TaskRefusal`], when it can never work.
    pub fn admit(
        &self,
        roster: &Roster,
        agent: &AgentDefinition,
        task: &str,
        can_call_model: bool,
    ) -> Result<&TaskEntry, TaskRefusal> {
        let entry = self.get(task).filter(|_| self.takes(agent, task));
        let entry = entry.ok_or_else(|| TaskRefusal(self.lack(roster, agent, task, can_call_model)))?;
        let Some(read) = entry.reads.first() else { return Ok(entry) };
        let instead = self.plan_with(task).map(|plan| format!("; submit `{plan}`, which does both"));
        Err(TaskRefusal(format!(
            "`{task}` works on the outputs of `{read}` in the same run, and a job of its own has none{}",
            instead.unwrap_or_default(),
        )))
    }

    /// Why `agent` does not take `task`, and what works instead.
    #[must_use]
    pub fn lack(&self, roster: &Roster, agent: &AgentDefinition, task: &str, can_call_model: bool) -> String {
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
            Behaviour::Llm => {
                let model = if can_call_model {
                    "though a model can be called now (port 6120)"
                } else {
                    "and no model can be called now either (`pas doctor` says why)"
                };
                format!(
                    "`{name}` takes no task: agents that work with a language model are not built in this \
                     version, {model}; it answers `status`{elsewhere}"
                )
            }
            Behaviour::Command => format!(
                "`{name}` takes no task: agents that run commands are not built in this version; it answers \
                 `status`{elsewhere}"
            ),
            Behaviour::Native | Behaviour::Coordinator | Behaviour::System => {
                let known: Vec<_> = self.of_agent(agent).collect();
                if known.is_empty() {
                    return format!("`{name}` takes no task in this version; it answers `status`{elsewhere}");
                }
                let suggestion = suggestion(task, known);
                if task.is_empty() {
                    return format!("name the `task` that `{name}` is to do; {suggestion}");
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

/// What the steps of a plan, and the steps of those, read and need.
#[derive(Default)]
struct PlanReach {
    inputs: BTreeSet<TaskInput>,
    reads: BTreeSet<Cow<'static, str>>,
    leads_to: BTreeSet<Cow<'static, str>>,
}

impl PlanReach {
    fn follow(
        &mut self,
        plan: &Plan,
        plans: &[Plan],
        direct: &BTreeMap<Cow<'static, str>, TaskEntry>,
        depth: usize,
    ) {
        for step in plan.steps.iter().filter(|_| depth < MAX_DEPTH) {
            self.leads_to.insert(step.task.clone());
            if let Some(below) = plans.iter().find(|plan| plan.task == step.task) {
                self.follow(below, plans, direct, depth + 1);
            } else if let Some(entry) = direct.get(&step.task) {
                self.reads.extend(entry.reads.iter().cloned());
                // The coordinator itself writes the inputs of the metrics.
                if step.task != plan::METRICS {
                    self.inputs.extend(entry.inputs.iter().copied());
                }
            }
        }
    }

    fn entry_of(mut self, plan: &Plan) -> TaskEntry {
        // An input that one step requires is required, even if another can do without it.
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
    match nearest(task, &names) {
        Some(near) => format!("did you mean `{near}`? Known: {list}"),
        None => format!("known: {list}"),
    }
}

/// The known name that a misspelt one was probably meant to be.
#[must_use]
pub fn nearest<'n>(given: &str, known: &[&'n str]) -> Option<&'n str> {
    let distance = |name: &&&str| strsim::osa_distance(given, name);
    let near = known.iter().min_by_key(distance)?;
    (distance(&near) * SUGGEST_WITHIN <= near.chars().count()).then_some(*near)
}
