//! The tools offered to an agent.
//!
//! Owns [`ToolCatalogue`]. Invariant: the same rights, role and executors give the same bytes, so that a
//! vendor's prefix cache holds. A tool whose right or executor is absent is not offered at all.

use serde::Serialize;
use serde_json::Value;

use super::name::{ToolClass, ToolName};
use super::outward::OutwardReach;
use super::schema::{SchemaFacts, description, parameters};
use pas_domain::agent::{AccessLevel, Rights};

/// A tool as offered to a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolOffer {
    pub name: &'static str,
    pub description: &'static str,
    /// A JSON Schema.
    pub parameters: Value,
    pub class: ToolClass,
}

/// The part an agent plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThinkerRole {
    Executor,
    /// Reads, and gives tasks to others; it writes nothing itself.
    Coordinator,
    /// Reads work, and changes nothing.
    Reviewer,
}

impl ThinkerRole {
    /// `rights`, reduced to those of this role.
    #[must_use]
    pub fn narrowed(self, rights: Rights) -> Rights {
        match self {
            Self::Executor => rights,
            Self::Coordinator => {
                Rights { filesystem: rights.filesystem.min(AccessLevel::Read), ..Rights::NONE }
            }
            Self::Reviewer => {
                Rights { filesystem: rights.filesystem.min(AccessLevel::Read), docker: false, ..rights }
            }
        }
    }
}

/// The available executors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresentExecutors {
    /// A sandbox for commands.
    pub commands: bool,
    /// The acts with effects elsewhere that somebody carries out.
    pub outward: OutwardReach,
    /// The connections of the reader of databases; empty without one.
    pub connections: Vec<String>,
}

/// Chooses the tools for an agent.
#[derive(Debug, Clone, Copy)]
pub struct ToolCatalogue;

impl ToolCatalogue {
    /// The tools for an agent, in a fixed order.
    #[must_use]
    pub fn for_rights(rights: Rights, role: ThinkerRole, present: &PresentExecutors) -> Vec<ToolOffer> {
        let rights = role.narrowed(rights);
        let facts = SchemaFacts {
            can_push: present.outward.push && role != ThinkerRole::Reviewer,
            connections: present.connections.clone(),
        };
        ToolName::ALL
            .into_iter()
            .filter(|tool| is_offered(*tool, rights, role, present))
            .map(|tool| ToolOffer {
                name: tool.as_str(),
                description: description(tool),
                parameters: parameters(tool, &facts),
                class: tool.class(),
            })
            .collect()
    }
}

fn is_offered(tool: ToolName, rights: Rights, role: ThinkerRole, present: &PresentExecutors) -> bool {
    match tool {
        ToolName::Read | ToolName::Grep | ToolName::Glob => rights.filesystem >= AccessLevel::Read,
        ToolName::Write | ToolName::Edit | ToolName::Patch => rights.filesystem == AccessLevel::ReadWrite,
        ToolName::Bash => rights.bash && present.commands,
        // With bash, Python programs run from there.
        ToolName::Python => rights.python && !rights.bash && present.commands,
        ToolName::Git => rights.git && rights.filesystem >= AccessLevel::Read && present.commands,
        ToolName::Sql => rights.sql && !present.connections.is_empty(),
        ToolName::Docker => rights.docker && rights.filesystem >= AccessLevel::Read && present.outward.docker,
        ToolName::Delegate => role == ThinkerRole::Coordinator,
        ToolName::Todo | ToolName::Ask | ToolName::Report => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rights: Rights, role: ThinkerRole, present: &PresentExecutors) -> Vec<&'static str> {
        ToolCatalogue::for_rights(rights, role, present).into_iter().map(|offer| offer.name).collect()
    }

    fn everything() -> PresentExecutors {
        let outward = OutwardReach { push: true, docker: true };
        PresentExecutors { commands: true, outward, connections: vec!["main".to_owned()] }
    }

    #[test]
    fn rights_roles_and_executors_decide() {
        let control = ["todo", "ask", "report"];
        assert_eq!(names(Rights::NONE, ThinkerRole::Executor, &everything()), control);
        let reader = Rights { filesystem: AccessLevel::Read, ..Rights::NONE };
        assert_eq!(
            names(reader, ThinkerRole::Executor, &everything()),
            [&["read", "grep", "glob"], &control[..]].concat()
        );
        assert_eq!(
            names(Rights::ALL, ThinkerRole::Coordinator, &everything()),
            ["read", "grep", "glob", "todo", "ask", "delegate", "report"]
        );
        let review = names(Rights::ALL, ThinkerRole::Reviewer, &everything());
        assert_eq!(review, ["read", "grep", "glob", "bash", "git", "sql", "todo", "ask", "report"]);
        let bare = names(Rights::ALL, ThinkerRole::Executor, &PresentExecutors::default());
        assert_eq!(bare, ["read", "grep", "glob", "write", "edit", "patch", "todo", "ask", "report"]);
        let python = Rights { python: true, ..Rights::NONE };
        assert_eq!(names(python, ThinkerRole::Executor, &everything())[0], "python");
    }

    #[test]
    fn the_offers_are_the_same_bytes_each_time() {
        let offers = || {
            let offers = ToolCatalogue::for_rights(Rights::ALL, ThinkerRole::Coordinator, &everything());
            serde_json::to_string(&offers).unwrap()
        };
        assert_eq!(offers(), offers());
        // Every request carries these bytes.
        assert!(offers().len() < 8_000, "{}", offers().len());
    }
}
