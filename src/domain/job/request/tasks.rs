//! Which tasks an agent carries out as a job, and why a job of another task cannot work.

use super::{CardFacts, CardFaults};
use crate::domain::agent::{AgentDefinition, Behaviour};
use crate::domain::job::{plan, takeover};

/// The step that reads the source.
const FIRST_STEP: &str = "ingest.audit";

/// The tasks that an agent carries out, alone or as a step of a run.
pub fn tasks_of(facts: &dyn CardFacts, agent: &AgentDefinition) -> Vec<String> {
    let mut tasks = facts.own_tasks(agent);
    if matches!(agent.behaviour, Behaviour::Coordinator) {
        let can = |plan: &&plan::Plan| takeover::lacks_way(facts.roster(), plan.task, agent).is_none();
        tasks.extend(plan::BOOK.iter().filter(can).map(|plan| plan.task.to_owned()));
    }
    tasks
}

/// Whether a task begins with reading a source, so that a run can consist of it alone.
pub(super) fn reads_source(task: &str) -> bool {
    let first = plan::find(task).and_then(|plan| plan.steps.first());
    task == FIRST_STEP || first.is_some_and(|first| reads_source(first.task))
}

/// Whether a task works on files that earlier steps of the same run leave.
fn needs_earlier_steps(task: &str) -> bool {
    plan::BOOK.iter().any(|plan| plan.steps.iter().any(|step| step.task == task)) && !reads_source(task)
}

pub(super) fn check(facts: &dyn CardFacts, agent: &AgentDefinition, task: &str, faults: &mut CardFaults) {
    let known = tasks_of(facts, agent);
    if !known.iter().any(|known| known == task) {
        faults.add("task", "value_error", lack(facts, agent, task, &known));
    } else if needs_earlier_steps(task) {
        let msg = format!(
            "`{task}` works on files that earlier steps of its run leave, so it cannot be a run of its own; \
             submit `{}` with a `source`, which includes it",
            plan::INGEST
        );
        faults.add("task", "value_error", msg);
    }
}

fn lack(facts: &dyn CardFacts, agent: &AgentDefinition, task: &str, known: &[String]) -> String {
    let own = if known.is_empty() {
        facts.lack(agent)
    } else {
        format!("`{}` does not know the task `{task}`; it knows {}", agent.name, quoted(known))
    };
    let others =
        facts.roster().iter().filter(|other| tasks_of(facts, other).iter().any(|known| known == task));
    let others: Vec<_> = others.map(|other| other.name.to_string()).collect();
    if others.is_empty() { own } else { format!("{own}; `{task}` is known by {}", quoted(&others)) }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
