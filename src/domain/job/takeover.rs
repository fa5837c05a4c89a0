//! Which agents may take a job over.
//!
//! Pure. Invariant: the new agent offers the job's capability, takes the task, and has all rights of the old
//! agent; so a reassigned step never fails for lack of any.

use super::{Job, plan};
use crate::agent::AgentDefinition;
use crate::agent_choice::{self, AgentAvailability};
use crate::ids::AgentName;
use crate::roster::Roster;
use crate::task::TaskCatalogue;

/// Why an agent cannot take a job over, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TakeoverRefusal(String);

/// Whether `to` may take `job` over.
///
/// # Errors
/// [`TakeoverRefusal`] names the requirement that `to` misses, and a suitable agent, if any.
pub fn check(
    roster: &Roster,
    tasks: &TaskCatalogue,
    job: &Job,
    to: &AgentName,
) -> Result<(), TakeoverRefusal> {
    let (id, holder) = (&job.id, &job.card.agent);
    let unfit = |text: String| Err(TakeoverRefusal(text));
    let Some(taker) = roster.get(to.as_str()) else {
        return unfit(format!("there is no agent `{to}`; `GET /agents` on port 6100 lists them"));
    };
    if to == holder {
        return unfit(format!("`{id}` is with `{to}` already; restart the job to begin again"));
    }
    if let Some(capability) = job.card.capability.as_deref().filter(|capability| !taker.can(capability)) {
        let others = roster.with_capability(capability).map(|agent| &agent.name);
        let others: Vec<String> =
            others.filter(|name| *name != holder).map(|name| format!("`{name}`")).collect();
        let who = if others.is_empty() { "no other agent".to_owned() } else { others.join(", ") };
        return unfit(format!(
            "`{to}` does not offer `{capability}`, which `{id}` needs (offered by: {who})"
        ));
    }
    if let Some(lack) = lacks_way(roster, tasks, &job.card.task, taker) {
        return unfit(format!("`{to}` cannot take `{id}` over: {lack}"));
    }
    if !roster.effective_rights(holder).is_within(roster.effective_rights(to)) {
        return unfit(format!(
            "`{to}` may touch less than `{holder}`, which `{id}` was given to; compare their rights with \
             `GET /agents/{to}` on port 6100"
        ));
    }
    Ok(())
}

/// The agents that may take `job` over, in the roster's order.
#[must_use]
pub fn takers(roster: &Roster, tasks: &TaskCatalogue, job: &Job) -> Vec<AgentName> {
    let names = roster.iter().map(|agent| &agent.name);
    names.filter(|name| check(roster, tasks, job, name).is_ok()).cloned().collect()
}

/// Why an agent cannot do a task.
fn lacks_way(roster: &Roster, tasks: &TaskCatalogue, task: &str, taker: &AgentDefinition) -> Option<String> {
    if !tasks.takes(taker, task) {
        let known: Vec<String> = tasks.of_agent(taker).map(|entry| format!("`{}`", entry.task)).collect();
        let known = if known.is_empty() { "no task".to_owned() } else { known.join(", ") };
        return Some(format!("it takes {known}, and the task is `{task}`"));
    }
    let finds =
        |task: &str| agent_choice::for_step(roster, tasks, task, &taker.name, |_| AgentAvailability::IDLE);
    let missing =
        plan::find(task)?.steps.iter().find(|step| step.tasks().any(|task| finds(task).is_none()))?;
    Some(format!("it finds no agent that takes `{}` for the step `{}`", missing.task, missing.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::job::testing;
    use crate::task::{TaskEntry, TaskKind};

    fn agent(name: &str, rest: &str) -> AgentDefinition {
        let text = format!("---\nname: {name}\ndescription: d\n{rest}---\nprompt");
        crate::agent::parse(&format!("{name}.md"), &text).unwrap()
    }

    fn roster() -> Roster {
        let skilled = |rights: &str, task: &str, capability: &str| {
            format!(
                "role: exec\nparent: boss\ncapabilities: [{capability}]\nbehaviour: native\ntasks: [{task}]\n{rights}"
            )
        };
        let much = "rights: { filesystem: rw }\n";
        let (roster, refusals) = Roster::build(vec![
            agent("boss", "role: coord\ncapabilities: [data_intake]\nbehaviour: coordinator\n"),
            agent("peer", "role: coord\nparent: boss\ncapabilities: [data_intake]\nbehaviour: coordinator\n"),
            agent("first", &skilled(much, "ingest.audit", "source_checking")),
            agent("second", &skilled(much, "ingest.audit", "source_checking")),
            agent("poor", &skilled("rights: { filesystem: read }\n", "ingest.audit", "source_checking")),
            agent("other", &skilled(much, "ingest.clean", "normalization")),
            agent("misled", &skilled(much, "ingest.clean", "source_checking")),
        ]);
        assert!(refusals.is_empty(), "{refusals:?}");
        roster
    }

    fn job(agent: &str, task: &str, capability: &str) -> Job {
        let mut job = testing::job("run-1.step", agent, task);
        job.card.capability = Some(capability.into());
        job
    }

    fn tasks() -> TaskCatalogue {
        let row = |task: &'static str, capability: &'static str| TaskEntry {
            task: task.into(),
            kind: TaskKind::Skill,
            capability: capability.into(),
            about: "a skill".into(),
            inputs: Vec::new(),
            reads: Vec::new(),
            leads_to: BTreeSet::new(),
        };
        let skills = [row("ingest.audit", "source_checking"), row("ingest.clean", "normalization")];
        TaskCatalogue::new(&plan::BOOK, skills)
    }

    fn verdict(job: &Job, to: &str) -> String {
        let verdict = check(&roster(), &tasks(), job, &AgentName::new(to).unwrap());
        verdict.map_or_else(|unfit| unfit.to_string(), |()| "fit".to_owned())
    }

    #[test]
    fn whoever_takes_over_can_and_may_do_it() {
        let audit = job("first", "ingest.audit", "source_checking");
        assert_eq!(verdict(&audit, "second"), "fit");
        for (to, lack) in [
            ("nobody", "there is no agent `nobody`"),
            ("first", "is with `first` already"),
            (
                "other",
                "does not offer `source_checking`, which `run-1.step` needs (offered by: `misled`, `poor`, `second`)",
            ),
            ("misled", "it takes `ingest.clean`, and the task is `ingest.audit`"),
            ("poor", "may touch less than `first`"),
        ] {
            assert!(verdict(&audit, to).contains(lack), "{to}: {}", verdict(&audit, to));
        }
    }

    #[test]
    fn a_coordinator_takes_over_what_it_can_hand_on() {
        let data = job("boss", "ingest.data", "data_intake");
        let lack = verdict(&data, "peer");
        assert!(lack.contains("no agent that takes `ingest.data.lane` for the step `lane`"), "{lack}");
    }
}
