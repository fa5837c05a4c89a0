//! The level of an agent in the hierarchy of command: architect, directors, managers, workers.
//!
//! Derived from role and parents alone, not from the tier of a definition.

use serde::Serialize;

use super::Roster;
use crate::agent::AgentRole;
use crate::ids::AgentName;

/// A level, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HierarchyLevel {
    /// A root coordinator.
    Architect,
    /// A coordinator right below an architect, at the head of a lane.
    Director,
    Manager,
    /// Who does the work: executors and system agents.
    Worker,
}

impl Roster {
    /// The level of an agent; `None` for an unknown name.
    #[must_use]
    pub fn level_of(&self, name: &AgentName) -> Option<HierarchyLevel> {
        let at = *self.index.get(name)?;
        Some(match self.agents[at].role {
            AgentRole::Coord if self.parents[at].is_none() => HierarchyLevel::Architect,
            AgentRole::Coord if self.is_director(at) => HierarchyLevel::Director,
            AgentRole::Coord => HierarchyLevel::Manager,
            AgentRole::Exec | AgentRole::System => HierarchyLevel::Worker,
        })
    }
}
