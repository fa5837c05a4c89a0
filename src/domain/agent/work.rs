//! An agent's role, tier, transports and behaviour.
//!
//! Invariant: every closed list is an enum, spelled on the wire as in the contract; open lists
//! (capabilities, tasks) are checked names.

use std::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::checked_text::checked_text;
use crate::supervision::{RestartStrategy, RestartType};

/// Longest name of a capability or a task in bytes; the registry shows them in one line.
const MAX_NAME_LEN: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentRole {
    /// Coordinator: plans, and delegates to the agents below.
    Coord,
    /// System service: serves the whole swarm.
    System,
    /// Executor: does the work. Never a parent or a root.
    Exec,
}

impl AgentRole {
    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coord => "coord",
            Self::System => "system",
            Self::Exec => "exec",
        }
    }

    /// The role in a sentence.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Coord => "a coordinator",
            Self::System => "a system agent",
            Self::Exec => "an executor",
        }
    }
}

/// The lifetime of an agent: that of the daemon, or one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentMode {
    /// Keeps state between requests.
    Long,
    /// Starts each task afresh.
    Task,
}

/// A way to reach an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentTransport {
    /// A message to the agent's actor.
    Rpc,
    /// Request and answer as files in the agent's inbox and outbox.
    File,
    /// The Model Context Protocol.
    Mcp,
    Rest,
}

/// The criticality of an agent: 1 (the swarm stops without this agent) to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct AgentTier(u8);

impl AgentTier {
    /// The tier of an agent that states none.
    pub const FIRST: Self = Self(1);

    /// As a number, 1 to 3.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for AgentTier {
    type Error = String;
    fn try_from(tier: u8) -> Result<Self, String> {
        if (1..=3).contains(&tier) { Ok(Self(tier)) } else { Err(format!("tier is {tier}; use 1, 2 or 3")) }
    }
}

impl From<AgentTier> for u8 {
    fn from(tier: AgentTier) -> Self {
        tier.0
    }
}

/// A TCP port that an agent serves; never 0.
pub type AgentPort = NonZeroU16;

checked_text!(
    /// A capability, such as `chunk_metadata`.
    Capability,
    String,
    |text| check_name(text, "capability", b"_-")
);
checked_text!(
    /// A task, such as `ingest.audit`.
    TaskName,
    String,
    |text| check_name(text, "task name", b"_-.")
);

/// Passes 1 to [`MAX_NAME_LEN`] lower-case letters, digits and `others`.
fn check_name(text: &str, what: &str, others: &[u8]) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b);
    if (1..=MAX_NAME_LEN).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(());
    }
    let shown: String = text.chars().take(MAX_NAME_LEN).collect();
    Err(format!("`{shown}` is no {what}: use a-z, 0-9, `_` and `-`, at most {MAX_NAME_LEN} characters"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentBehaviour {
    /// Executor: skills written in Rust, found by the card's task.
    Native,
    /// Executor: a tool-calling loop with a model, through the gateway.
    Llm,
    /// Executor: a sandboxed process.
    Command,
    /// Coordinator: plans and delegates.
    Coordinator,
    System,
}

impl AgentBehaviour {
    /// The word of the front matter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Llm => "llm",
            Self::Command => "command",
            Self::Coordinator => "coordinator",
            Self::System => "system",
        }
    }
}

/// How an agent is restarted, and the strategy of its supervisor for the agents below.
///
/// `intensity` and `period_s` are `None` where the definition leaves them to the supervisor's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSupervision {
    pub restart: RestartType,
    /// Which children are restarted together.
    pub strategy: RestartStrategy,
    /// Restarts allowed within the period; 0 allows none.
    pub intensity: Option<u32>,
    /// The period, in seconds.
    pub period_s: Option<NonZeroU32>,
}
