//! Agent definitions and their parsing.
//!
//! Owns [`AgentDefinition`] and its parts. Invariants: a value of these types has been checked as far as one
//! file allows (ratios, intervals, role against behaviour, name against file); [`super::roster`] checks each
//! value against the other definitions. Failure policy: text that breaks a rule becomes a [`DefinitionError`]
//! with file, line and reason; no input panics.

mod budget;
mod error;
mod front_matter;
mod parse;
mod rights;
mod work;

use std::num::NonZeroU32;

use serde::Serialize;

use super::ids::AgentName;

pub use crate::supervision::{RestartStrategy, RestartType};
pub use budget::{AgentResources, CpuCores, HeartbeatInterval, InvalidBudget, MemoryMb, TokenBudget};
pub use error::{DefinitionError, DefinitionRefusal};
pub use front_matter::{DEFAULT_HEARTBEAT_S, DEFAULT_MEMORY_MB, DEFAULT_PARENT};
pub use parse::{MAX_DEFINITION_BYTES, parse, parse_bytes};
pub use rights::{AccessLevel, ApprovalGate, Rights};
pub use work::{
    AgentBehaviour, AgentMode, AgentPort, AgentRole, AgentSupervision, AgentTier, AgentTransport, Capability,
    TaskName,
};

/// One agent: identity, place in the hierarchy, rights and system prompt.
///
/// Written by [`parse`]; `prompt` is the body of the file, everything else comes from the front matter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentDefinition {
    /// Unique in a roster; also the file stem.
    pub name: AgentName,
    /// The name for people.
    pub display_name: String,
    /// When to use this agent, in a sentence or two.
    pub description: String,
    /// Coordinator, system service or executor.
    pub role: AgentRole,
    /// 1 to 3.
    pub tier: AgentTier,
    /// Whether the agent lives as long as the daemon or for a task.
    pub mode: AgentMode,
    /// The agent above; `None` for a root.
    pub parent: Option<AgentName>,
    /// Names by which jobs and calls find the agent; never empty.
    pub capabilities: Vec<Capability>,
    /// Ways to reach the agent; never empty.
    pub transports: Vec<AgentTransport>,
    /// The tools that the model may call, by Claude Code's names (`Read`, `Bash(git log:*)`).
    pub tools: Vec<String>,
    /// The model by Claude Code's name: `sonnet`, `inherit`, or a vendor's full name.
    pub model: Option<String>,
    /// Models in order of preference, by their vendors' names; empty: the gateway chooses.
    pub models: Vec<String>,
    /// The stated rights; `None`: not stated (see [`AgentDefinition::own_rights`]).
    pub rights: Option<Rights>,
    /// Most turns of the model in a step; `None`: the general limit.
    #[serde(skip)]
    pub max_turns: Option<NonZeroU32>,
    /// Fields of the definition without effect here, by Claude Code's names.
    #[serde(skip)]
    pub ignored: Vec<&'static str>,
    pub token_budget: TokenBudget,
    /// The largest context in tokens that the agent is meant to work with, whatever the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<NonZeroU32>,
    pub resources: AgentResources,
    #[serde(rename = "heartbeat_interval_s")]
    pub heartbeat_interval: HeartbeatInterval,
    /// Acts that need a person's approval.
    pub approvals_required: Vec<ApprovalGate>,
    /// The TCP port of the agent's service, if any.
    pub port: Option<AgentPort>,
    pub behaviour: AgentBehaviour,
    /// The agent's tasks; `None`: not stated, which means every plan for a coordinator and none for others. A
    /// plain task comes to every agent with a model.
    pub tasks: Option<Vec<TaskName>>,
    /// How the agent and the agents below are restarted.
    pub supervision: AgentSupervision,
    pub prompt: String,
    pub source: DefinitionSource,
}

/// The source of a definition: for messages, not for opening the file again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinitionSource {
    /// The file's path as shown to people.
    pub file: String,
    /// Line of `name`, from 1.
    #[serde(skip)]
    pub name_line: u32,
    /// Line of `parent`, or of `name` if the parent was omitted.
    #[serde(skip)]
    pub parent_line: u32,
    /// Line of `port`, or of `name` if the port was omitted.
    #[serde(skip)]
    pub port_line: u32,
}

impl AgentDefinition {
    /// The agent's own rights: none, unless the definition states some.
    #[must_use]
    pub fn own_rights(&self) -> Rights {
        self.rights.unwrap_or(Rights::NONE)
    }

    /// Whether the agent has a capability, by exact name.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|offered| offered.as_str() == capability)
    }

    /// The refusal of this definition at `line`.
    #[must_use]
    pub fn refused(&self, line: u32, reason: impl Into<String>) -> DefinitionRefusal {
        DefinitionError { file: self.source.file.clone(), line: Some(line), reason: reason.into() }
    }
}
