//! The choice among several capable agents: one rule for job cards, steps of plans and calls.
//!
//! Pure. Order of preference: takes the task; nearest to the asking agent (below, itself, same lane,
//! elsewhere); can do anything in this build; nearest to the work (an executor before its director); healthy;
//! idle; more critical; first by name.

use std::cmp::Reverse;

use super::agent::AgentDefinition;
use super::ids::AgentName;
use super::registry::ServiceHealth;
use super::roster::Roster;
use super::task::TaskCatalogue;

/// The requirements, and the asking agent.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentWish<'w> {
    /// Capabilities, all required.
    pub capabilities: &'w [&'w str],
    /// The task, if known.
    pub task: Option<&'w str>,
    /// The asking agent; `None` for a person or client.
    pub from: Option<&'w AgentName>,
}

/// An agent's current health and load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentAvailability {
    pub health: ServiceHealth,
    /// Jobs in hand or queued.
    pub jobs: usize,
}

impl AgentAvailability {
    /// The standing of an agent without further facts.
    pub const IDLE: Self = Self { health: ServiceHealth::Healthy, jobs: 0 };
}

/// The matching agents, best first.
#[must_use]
pub fn ranked<'r>(
    roster: &'r Roster,
    tasks: &TaskCatalogue,
    wish: AgentWish<'_>,
    standing: impl Fn(&AgentDefinition) -> AgentAvailability,
) -> Vec<&'r AgentDefinition> {
    let able = |agent: &&AgentDefinition| wish.capabilities.iter().all(|wanted| agent.can(wanted));
    let mut found: Vec<_> = roster.iter().filter(able).collect();
    found.sort_by_cached_key(|agent| {
        let now = standing(agent);
        let takes = wish.task.is_none_or(|task| tasks.takes(agent, task));
        (
            now.health == ServiceHealth::Down,
            !takes,
            wish.from.map_or(0, |from| distance(roster, from, agent)),
            tasks.of_agent(agent).next().is_none(),
            Reverse(roster.path_to(&agent.name).len()),
            now.health != ServiceHealth::Healthy,
            now.jobs,
            agent.tier,
            agent.name.clone(),
        )
    });
    found
}

/// The agent for a step handed over by `from`: one that takes the task; work goes down or sideways, never up,
/// which could loop.
#[must_use]
pub fn for_step<'r>(
    roster: &'r Roster,
    tasks: &TaskCatalogue,
    task: &str,
    from: &AgentName,
    standing: impl Fn(&AgentDefinition) -> AgentAvailability,
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
