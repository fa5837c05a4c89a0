//! The roster: all agents and their places in the hierarchy.
//!
//! Invariants of a [`Roster`]: names and ports are unique; every parent is an agent of the roster and may
//! have children (executors may not); parents form a forest; executors and coordinators hang below
//! coordinators, or are roots where their role allows. A roster never changes once built. Failure policy:
//! [`Roster::build`] refuses conflicting definitions with a reason, and keeps the rest.

mod build;
mod level;
#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, HashMap};
use std::iter::successors;

use serde::Serialize;

use super::agent::{AgentDefinition, AgentRole, AgentTier, DefinitionRefusal, Rights};
use super::ids::AgentName;

pub use level::HierarchyLevel;

/// A validated set of agents, in the order of their definitions.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    agents: Vec<AgentDefinition>,
    index: HashMap<AgentName, usize>,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Capability → agents, by name.
    by_capability: HashMap<String, Vec<usize>>,
}

/// How many agents there are of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RosterCounts {
    pub by_role: BTreeMap<AgentRole, usize>,
    pub by_tier: BTreeMap<AgentTier, usize>,
}

impl Roster {
    /// Builds a roster of the definitions that fit together; the others come back with the reason.
    ///
    /// Of two definitions with one name or one port, the earlier stays. A definition whose parent is
    /// left out is left out too.
    #[must_use]
    pub fn build(definitions: Vec<AgentDefinition>) -> (Self, Vec<DefinitionRefusal>) {
        Self::layered(definitions, Vec::new())
    }

    /// Builds a roster of `base`, where those of `overlay` replace their namesakes and add the rest.
    ///
    /// A replacement is complete: no field of the replaced definition remains. Where the two layers conflict
    /// (a port taken twice, a cycle, an executor in a coordinator's place), the overlay's definition is
    /// refused and the replaced one restored: an overlay can never remove an agent of a sound base.
    #[must_use]
    pub fn layered(
        base: Vec<AgentDefinition>,
        overlay: Vec<AgentDefinition>,
    ) -> (Self, Vec<DefinitionRefusal>) {
        let (agents, refusals) = build::settle(base, overlay);
        (Self::from_valid(agents), refusals)
    }

    fn from_valid(agents: Vec<AgentDefinition>) -> Self {
        let index: HashMap<_, _> = agents.iter().enumerate().map(|(at, a)| (a.name.clone(), at)).collect();
        let parent = |agent: &AgentDefinition| agent.parent.as_ref().and_then(|p| index.get(p).copied());
        let parents: Vec<Option<usize>> = agents.iter().map(parent).collect();
        let mut children = vec![Vec::new(); agents.len()];
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(at);
            }
        }
        let mut by_capability: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, agent) in agents.iter().enumerate() {
            for capability in &agent.capabilities {
                by_capability.entry(capability.as_str().to_owned()).or_default().push(at);
            }
        }
        for able in by_capability.values_mut() {
            able.sort_by(|a, b| agents[*a].name.cmp(&agents[*b].name));
        }
        Self { agents, index, parents, children, by_capability }
    }

    /// All agents, in definition order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &AgentDefinition> {
        self.agents.iter()
    }

    /// How many agents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AgentDefinition> {
        self.index.get(name).map(|at| &self.agents[*at])
    }

    /// The agents without a parent, in definition order.
    pub fn roots(&self) -> impl Iterator<Item = &AgentDefinition> {
        self.agents.iter().filter(|agent| agent.parent.is_none())
    }

    /// The agents right below one, in definition order: the order in which they are started.
    pub fn children_of(&self, name: &AgentName) -> impl Iterator<Item = &AgentDefinition> {
        let below = self.index.get(name).map(|at| self.children[*at].as_slice()).unwrap_or_default();
        below.iter().map(|at| &self.agents[*at])
    }

    /// The way from the root down to an agent, both included; empty for an unknown name.
    #[must_use]
    pub fn path_to(&self, name: &AgentName) -> Vec<&AgentDefinition> {
        let mut path: Vec<_> = self.upwards(name).map(|at| &self.agents[at]).collect();
        path.reverse();
        path
    }

    /// The director of the agent's lane: the coordinator right below a root coordinator, at or above the
    /// agent.
    ///
    /// `None` for roots, for agents that hang below no director, and for unknown names.
    #[must_use]
    pub fn lane_of(&self, name: &AgentName) -> Option<&AgentDefinition> {
        self.upwards(name).find(|at| self.is_director(*at)).map(|at| &self.agents[at])
    }

    /// The agents that offer a capability, by name.
    pub fn with_capability(&self, capability: &str) -> impl Iterator<Item = &AgentDefinition> {
        let able = self.by_capability.get(capability).map(Vec::as_slice).unwrap_or_default();
        able.iter().map(|at| &self.agents[*at])
    }

    /// Whether `name` is somewhere below `ancestor`; an agent is not below itself.
    #[must_use]
    pub fn is_below(&self, name: &AgentName, ancestor: &AgentName) -> bool {
        let above = self.index.get(ancestor);
        above.is_some_and(|above| self.upwards(name).skip(1).any(|at| at == *above))
    }

    /// An agent's effective rights: its own, intersected with those of all ancestors.
    ///
    /// An ancestor whose definition states no rights, such as the built-in lane managers, only delegates and
    /// removes nothing; one that states rights, even `rights: {}`, bounds all agents below.
    #[must_use]
    pub fn effective_rights(&self, name: &AgentName) -> Rights {
        let mut way_up = self.upwards(name).map(|at| &self.agents[at]);
        let own = way_up.next().map_or(Rights::NONE, AgentDefinition::own_rights);
        way_up.filter_map(|ancestor| ancestor.rights).fold(own, Rights::intersect)
    }

    /// How many agents there are of each role and tier.
    #[must_use]
    pub fn counts(&self) -> RosterCounts {
        let mut counts = RosterCounts::default();
        for agent in &self.agents {
            *counts.by_role.entry(agent.role).or_default() += 1;
            *counts.by_tier.entry(agent.tier).or_default() += 1;
        }
        counts
    }

    /// The agent itself, its parent, and so on up to the root.
    fn upwards(&self, name: &AgentName) -> impl Iterator<Item = usize> {
        successors(self.index.get(name).copied(), |at| self.parents[*at])
    }

    fn is_director(&self, at: usize) -> bool {
        let is_coordinator = |at: usize| self.agents[at].role == AgentRole::Coord;
        let below_root = self.parents[at].is_some_and(|up| is_coordinator(up) && self.parents[up].is_none());
        is_coordinator(at) && below_root
    }
}
