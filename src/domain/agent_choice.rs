//! Which agent is to do something, where several could: one rule for job cards, steps of plans and calls.
//!
//! Pure. Order of preference: one that takes the task at all; the nearest to whoever asks (below it, itself, its
//! lane, elsewhere); one that can do anything in this build; one that stands nearest to the work (an executor
//! before its director); one that is healthy; one that is free; the more critical; the first by name.

use std::cmp::Reverse;

use super::agent::AgentDefinition;
use super::ids::AgentName;
use super::registry::Health;
use super::roster::Roster;
use super::task::TaskCatalogue;

/// What is asked for, and by whom.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentWish<'w> {
    /// Capabilities that it must have, all of them.
    pub capabilities: &'w [&'w str],
    /// The task that it is to do, if that is known.
    pub task: Option<&'w str>,
    /// The agent that asks; a person or client has none.
    pub from: Option<&'w AgentName>,
}

/// How an agent stands at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentStanding {
    pub health: Health,
    /// Jobs that it has in hand or that wait for it.
    pub jobs: usize,
}

impl AgentStanding {
    /// Of an agent of which nothing else is known.
    pub const IDLE: Self = Self { health: Health::Healthy, jobs: 0 };
}

/// The agents that fit a wish, the best first.
#[must_use]
pub fn ranked<'r>(
    roster: &'r Roster,
    tasks: &TaskCatalogue,
    wish: AgentWish<'_>,
    standing: impl Fn(&AgentDefinition) -> AgentStanding,
) -> Vec<&'r AgentDefinition> {
    let able = |agent: &&AgentDefinition| wish.capabilities.iter().all(|wanted| agent.can(wanted));
    let mut found: Vec<_> = roster.iter().filter(able).collect();
    found.sort_by_cached_key(|agent| {
        let now = standing(agent);
        let takes = wish.task.is_none_or(|task| tasks.takes(agent, task));
        (
            now.health == Health::Down,
            !takes,
            wish.from.map_or(0, |from| distance(roster, from, agent)),
            tasks.of_agent(agent).next().is_none(),
            Reverse(roster.path_to(&agent.name).len()),
            now.health != Health::Healthy,
            now.jobs,
            agent.tier,
            agent.name.clone(),
        )
    });
    found
}

/// The agent for a step that `from` hands over: it must take the task, and work goes down or sideways, never
/// back up, where it could go round in circles.
#[must_use]
pub fn for_step<'r>(
    roster: &'r Roster,
    tasks: &TaskCatalogue,
    task: &str,
    from: &AgentName,
    standing: impl Fn(&AgentDefinition) -> AgentStanding,
) -> Option<&'r AgentDefinition> {
    let capability = tasks.get(task)?.capability.as_ref();
    let wish = AgentWish { capabilities: &[capability], task: Some(task), from: Some(from) };
    ranked(roster, tasks, wish, standing)
        .into_iter()
        .find(|agent| tasks.takes(agent, task) && agent.name != *from && !roster.is_below(from, &agent.name))
}

fn distance(roster: &Roster, from: &AgentName, agent: &AgentDefinition) -> u8 {
    let lane = |name: &AgentName| roster.lane_of(name).map(|director| &director.name);
    if roster.is_below(&agent.name, from) {
        0
    } else if agent.name == *from {
        1
    } else if lane(from).is_some() && lane(&agent.name) == lane(from) {
        2
    } else {
        3
    }
}
