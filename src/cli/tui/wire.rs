//! What `pas tui` reads of the HMI's port: the parts of `GET /api/live` and of an action's answer that it
//! draws.
//!
//! Source: `contracts/hmi.json`. Reading is lenient, like [`crate::cli::wire`].

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::wire::JobState;
use crate::domain::job::wait::JobWait;
use crate::domain::time::Timestamp;

/// All that is drawn, read at one moment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Live {
    /// When it was read.
    pub(super) at: Timestamp,
    /// In one sentence how the swarm is.
    pub(super) health: Health,
    /// Flat; a parent stands before its children.
    pub(super) tree: Vec<Node>,
    /// Root jobs that have not ended, and those that just did.
    #[serde(default)]
    pub(super) jobs: Vec<LiveJob>,
    /// What waits for a person.
    #[serde(default)]
    pub(super) approvals: Vec<Waiting>,
    #[serde(default)]
    pub(super) costs: Costs,
}

/// How the swarm is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Health {
    pub(super) line: String,
    /// Agents that are down.
    #[serde(default)]
    pub(super) agents_down: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Costs {
    #[serde(default)]
    pub(super) minute: Spent,
    #[serde(default)]
    pub(super) day: Spent,
}

/// Spending of one window.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Spent {
    #[serde(default)]
    pub(super) usd: f64,
    #[serde(default)]
    pub(super) tokens: u64,
}

/// One actor of the tree.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Node {
    /// Its number, for as long as the daemon runs.
    pub(super) no: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) parent: Option<u64>,
    /// `coord`, `exec` or `system`; nothing for services and supervisors.
    #[serde(default)]
    pub(super) role: Option<String>,
    /// Derived from mailboxes, beats and leases.
    pub(super) status: String,
    #[serde(default)]
    pub(super) depth: u64,
    #[serde(default)]
    pub(super) handled: u64,
    /// The kind of message in hand.
    #[serde(default)]
    pub(super) handling: Option<String>,
    #[serde(default)]
    pub(super) restarts: u64,
    /// Why it ended last.
    #[serde(default)]
    pub(super) last_exit: Option<String>,
    /// Since its last sign of life, ms.
    #[serde(default)]
    pub(super) beat_age_ms: Option<u64>,
    /// Tokens in its context.
    #[serde(default)]
    pub(super) ctx_used: Option<u64>,
    #[serde(default)]
    pub(super) ctx_limit: Option<u64>,
    /// What it works on.
    #[serde(default)]
    pub(super) step: Option<Step>,
    /// What it has spent, US dollars.
    #[serde(default)]
    pub(super) cost_usd: f64,
}

/// What an agent works on.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Step {
    pub(super) job_id: String,
    pub(super) task: String,
    /// 0 to 1.
    #[serde(default)]
    pub(super) progress: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LiveJob {
    pub(super) job_id: String,
    /// What is to be done.
    pub(super) task: String,
    pub(super) agent: String,
    /// Where it is in its life.
    pub(super) state: JobState,
    /// 0 to 1, over its whole tree.
    #[serde(default)]
    pub(super) progress: f64,
    /// What is being done.
    #[serde(default)]
    pub(super) note: Option<String>,
    /// For whom or what it and those below it wait.
    #[serde(default)]
    pub(super) waits: Vec<JobWait>,
    /// When it was accepted.
    pub(super) created_at: Timestamp,
    /// Seconds it will still take.
    #[serde(default)]
    pub(super) eta_s: Option<f64>,
    /// Steps of its tree.
    #[serde(default)]
    pub(super) steps_total: u64,
    /// Those that are done.
    #[serde(default)]
    pub(super) steps_done: u64,
    #[serde(default)]
    pub(super) cost_usd: f64,
}

/// What waits for a person.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Waiting {
    pub(super) approval_id: String,
    /// The job that waits.
    pub(super) job_id: String,
    pub(super) agent: String,
    pub(super) action: String,
    /// The particulars; `command` where it is a command.
    #[serde(default)]
    pub(super) detail: Value,
    /// Seconds since it was asked.
    #[serde(default)]
    pub(super) waiting_s: f64,
    /// Jobs that cannot go on before it is decided.
    #[serde(default)]
    pub(super) blocked_descendants: u64,
    /// What the waiting costs.
    #[serde(default)]
    pub(super) usd_per_min: f64,
}

/// One event of port 6102.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) data: Map<String, Value>,
    /// When the daemon wrote it down.
    pub(super) server_timestamp: Timestamp,
}

/// Whom and what an action would touch.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct BlastRadius {
    /// Agents that would end or restart.
    #[serde(default)]
    pub(super) agents: Vec<String>,
    /// Jobs in their hands.
    #[serde(default)]
    pub(super) jobs: Vec<Touched>,
    /// Reserved for model calls that are under way, US dollars.
    #[serde(default)]
    pub(super) usd_in_flight: f64,
}

/// A job that an action would touch.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Touched {
    pub(super) job_id: String,
    /// What is to be done.
    pub(super) task: String,
}

/// What an action did.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Done {
    pub(super) message: String,
    /// After kill and restart.
    #[serde(default)]
    pub(super) proof: Option<Proof>,
}

/// What was seen to be gone and given back.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Proof {
    /// The agents, with the time until each was back.
    #[serde(default)]
    pub(super) agents: Vec<Back>,
    /// Model streams closed.
    #[serde(default)]
    pub(super) streams_closed: u64,
    #[serde(default)]
    pub(super) processes_gone: u64,
    /// Reservations of the machine given back.
    #[serde(default)]
    pub(super) reservations_released: u64,
    /// Money no longer held, US dollars.
    #[serde(default)]
    pub(super) holds_released_usd: f64,
    /// What it cost in the end, US dollars.
    #[serde(default)]
    pub(super) final_cost_usd: f64,
}

/// An agent after kill or restart.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Back {
    pub(super) name: String,
    /// Milliseconds until it was up again; nothing if it did not come.
    #[serde(default)]
    pub(super) back_ms: Option<f64>,
}
