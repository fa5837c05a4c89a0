//! What an agent is, as its definition file states it.
//!
//! Owns [`AgentDefinition`], its parts and the reading of a definition's text. Invariants: a value of
//! these types has been checked as far as one file allows it (ratios, intervals, the role fitting the
//! behaviour, the name fitting the file); whether it fits the others is [`super::roster`]'s to say.
//! Failure policy: text that breaks a rule becomes a [`DefinitionError`] with file, line and reason;
//! no input panics.

mod budget;
mod error;
mod front_matter;
mod parse;
mod rights;
mod work;

use std::num::NonZeroU32;

use serde::Serialize;

use super::ids::AgentName;

pub use crate::domain::supervision::{RestartStrategy, RestartType};
pub use budget::{CpuCores, HeartbeatInterval, InvalidBudget, MemoryMb, Resources, TokenBudget};
pub use error::{DefinitionError, Refusal};
pub use front_matter::{DEFAULT_HEARTBEAT_S, DEFAULT_MEMORY_MB, DEFAULT_PARENT};
pub use parse::{MAX_DEFINITION_BYTES, parse, parse_bytes};
pub use rights::{Access, Approval, Rights};
pub use work::{Behaviour, Capability, Mode, Port, Role, Supervision, TaskName, Tier, Transport};

/// One agent: who it is, where it stands, what it may do, and its system prompt.
///
/// Written by [`parse`]; `prompt` is the body of the file, everything else its front matter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentDefinition {
    /// Unique in a roster; also the file stem.
    pub name: AgentName,
    /// The name for people.
    pub display_name: String,
    /// When to use this agent, in a sentence or two.
    pub description: String,
    /// Coordinator, system service or executor.
    pub role: Role,
    /// 1 to 3.
    pub tier: Tier,
    /// Whether it lives as long as the daemon or for a task.
    pub mode: Mode,
    /// The agent above it; `None` for a root.
    pub parent: Option<AgentName>,
    /// What it can be asked for; never empty.
    pub capabilities: Vec<Capability>,
    /// How it can be reached; never empty.
    pub transports: Vec<Transport>,
    /// The tools its model may call, as Claude Code names them (`Read`, `Bash(git log:*)`).
    pub tools: Vec<String>,
    /// The model as Claude Code names it: `sonnet`, `inherit`, or a vendor's full name.
    pub model: Option<String>,
    /// Models in order of preference, by their vendors' names; empty: whatever the gateway chooses.
    pub models: Vec<String>,
    /// What it may touch; `None`: not stated (see [`AgentDefinition::own_rights`]).
    pub rights: Option<Rights>,
    /// How full its context may get.
    pub token_budget: TokenBudget,
    /// Tokens of the largest context it is meant to work with, whatever its model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<NonZeroU32>,
    /// What it asks of the machine.
    pub resources: Resources,
    /// How often it must show life.
    #[serde(rename = "heartbeat_interval_s")]
    pub heartbeat_interval: HeartbeatInterval,
    /// The acts that wait for a person's consent.
    pub approvals_required: Vec<Approval>,
    /// Its TCP port, where it serves one.
    pub port: Option<Port>,
    /// How it does its work.
    pub behaviour: Behaviour,
    /// The tasks it takes; `None`: not stated, which means every plan for a coordinator and no task for others.
    pub tasks: Option<Vec<TaskName>>,
    /// How it is restarted, and its children with it.
    pub supervision: Supervision,
    pub prompt: String,
    /// Where this was read.
    pub source: Source,
}

/// Where a definition was read: for messages, not for opening the file again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The file, as a person would look for it.
    pub file: String,
    /// Line of `name`, from 1.
    #[serde(skip)]
    pub name_line: u32,
    /// Line of `parent`, or of `name` where the parent was not written.
    #[serde(skip)]
    pub parent_line: u32,
    /// Line of `port`, or of `name` where no port was written.
    #[serde(skip)]
    pub port_line: u32,
}

impl AgentDefinition {
    /// What the agent itself may touch: nothing, unless its definition states rights.
    #[must_use]
    pub fn own_rights(&self) -> Rights {
        self.rights.unwrap_or(Rights::NONE)
    }

    /// Whether it offers a capability, by its exact name.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|offered| offered.as_str() == capability)
    }

    /// The refusal of this definition at one of its lines.
    #[must_use]
    pub fn refused(&self, line: u32, reason: impl Into<String>) -> Refusal {
        DefinitionError { file: self.source.file.clone(), line: Some(line), reason: reason.into() }
    }
}
