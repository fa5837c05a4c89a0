//! The level of an agent in the hierarchy of command: architect, directors, managers, workers.
//!
//! Derived from role and parents alone; the cost tier of a definition says nothing of it.

use serde::Serialize;

use super::Roster;
use crate::domain::agent::Role;
use crate::domain::ids::AgentName;

/// A level, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HierarchyLevel {
    /// A coordinator below nobody.
    Architect,
    /// A coordinator right below an architect: it leads a lane.
    Director,
    Manager,
    /// Who does the work: executors and system agents.
    Worker,
}

impl Roster {
    /// Where an agent stands; `None` for an unknown name.
    #[must_use]
    pub fn level_of(&self, name: &AgentName) -> Option<HierarchyLevel> {
        let at = *self.index.get(name)?;
        Some(match self.agents[at].role {
            Role::Coord if self.parents[at].is_none() => HierarchyLevel::Architect,
            Role::Coord if self.is_director(at) => HierarchyLevel::Director,
            Role::Coord => HierarchyLevel::Manager,
            Role::Exec | Role::System => HierarchyLevel::Worker,
        })
    }
}
