//! The parts of `GET /api/live` and of an action's answer that `pas tui` draws.
//!
//! Source: `contracts/hmi.json`. Reading is lenient, like [`crate::cli::wire`].

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::job::JobState;
use crate::domain::job::wait::JobWait;
use crate::domain::time::Timestamp;

/// One snapshot of everything drawn.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiSnapshot {
    pub(super) at: Timestamp,
    /// The health of the swarm in one sentence.
    pub(super) health: TuiHealth,
    /// Flat; a parent precedes its children.
    pub(super) tree: Vec<TuiNode>,
    /// Active root jobs, and those that just ended.
    #[serde(default)]
    pub(super) jobs: Vec<TuiJob>,
    /// Pending approvals.
    #[serde(default)]
    pub(super) approvals: Vec<TuiApproval>,
    #[serde(default)]
    pub(super) costs: TuiCosts,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiHealth {
    pub(super) line: String,
    #[serde(default)]
    pub(super) agents_down: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TuiCosts {
    #[serde(default)]
    pub(super) minute: TuiSpending,
    #[serde(default)]
    pub(super) day: TuiSpending,
}

/// Spending in one window.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TuiSpending {
    #[serde(default)]
    pub(super) usd: f64,
    #[serde(default)]
    pub(super) tokens: u64,
}

/// One actor of the tree.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiNode {
    /// The actor's number, unique while the daemon runs.
    pub(super) no: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) parent: Option<u64>,
    /// `coord`, `exec` or `system`; `None` for services and supervisors.
    #[serde(default)]
    pub(super) role: Option<String>,
    /// Derived from mailboxes, beats and leases.
    pub(super) status: String,
    /// Whether its messages are held back; what it has begun goes on.
    #[serde(default)]
    pub(super) paused: bool,
    /// Whose decision one of its jobs waits for.
    #[serde(default)]
    pub(super) waiting_for: Option<String>,
    #[serde(default)]
    pub(super) health: String,
    #[serde(default)]
    pub(super) depth: u64,
    #[serde(default)]
    pub(super) handled: u64,
    /// The kind of message in hand.
    #[serde(default)]
    pub(super) handling: Option<String>,
    #[serde(default)]
    pub(super) restarts: u64,
    /// The reason of the last exit.
    #[serde(default)]
    pub(super) last_exit: Option<String>,
    /// Time since the last sign of life, ms.
    #[serde(default)]
    pub(super) beat_age_ms: Option<u64>,
    #[serde(default)]
    pub(super) ctx_used: Option<u64>,
    #[serde(default)]
    pub(super) ctx_limit: Option<u64>,
    #[serde(default)]
    pub(super) step: Option<TuiStep>,
    /// US dollars.
    #[serde(default)]
    pub(super) cost_usd: f64,
}

/// The job in an agent's hands.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiStep {
    pub(super) job_id: String,
    pub(super) task: String,
    /// 0 to 1.
    #[serde(default)]
    pub(super) progress: f64,
    /// Whether anything tells how far it is.
    #[serde(default)]
    pub(super) progress_known: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiJob {
    pub(super) job_id: String,
    /// The task.
    pub(super) task: String,
    pub(super) agent: String,
    /// Where it is in its life.
    pub(super) state: JobState,
    /// What it is at as a whole.
    #[serde(default)]
    pub(super) activity: Option<JobState>,
    /// 0 to 1, over the whole tree.
    #[serde(default)]
    pub(super) progress: f64,
    #[serde(default)]
    pub(super) progress_known: bool,
    /// The current activity.
    #[serde(default)]
    pub(super) note: Option<String>,
    /// Waits of the job and of all steps below it.
    #[serde(default)]
    pub(super) waits: Vec<JobWait>,
    /// When it was accepted.
    pub(super) created_at: Timestamp,
    /// `None`: not known.
    #[serde(default)]
    pub(super) left: Option<TuiTimeLeft>,
    #[serde(default)]
    pub(super) steps_total: u64,
    #[serde(default)]
    pub(super) steps_done: u64,
    #[serde(default)]
    pub(super) cost_usd: f64,
}

/// The time left of a run, in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct TuiTimeLeft {
    pub(super) least_s: u64,
    pub(super) about_s: u64,
    pub(super) most_s: u64,
    /// What a run like it takes in all.
    pub(super) usual_s: u64,
}

impl TuiJob {
    /// What the run is at: running only while a job of it works.
    pub(super) fn activity(&self) -> JobState {
        self.activity.unwrap_or(self.state)
    }
}

/// A pending approval.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiApproval {
    pub(super) approval_id: String,
    /// The waiting job.
    pub(super) job_id: String,
    pub(super) agent: String,
    pub(super) action: String,
    /// Details; `command` for a command.
    #[serde(default)]
    pub(super) detail: Value,
    /// Seconds since the request.
    #[serde(default)]
    pub(super) waiting_s: f64,
    /// Jobs blocked until the decision.
    #[serde(default)]
    pub(super) blocked_descendants: u64,
    #[serde(default)]
    pub(super) usd_per_min: f64,
}

/// Rows of a job's step log, of `GET /jobs/{id}/log`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TuiLogPage {
    /// The job that was asked for; the rows may be of a step below it.
    #[serde(default)]
    pub(super) wanted: String,
    #[serde(default)]
    pub(super) rows: Vec<TuiLogRow>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiLogRow {
    pub(super) seq: u64,
    pub(super) kind: String,
    pub(super) headline: String,
    /// The fields of a row of this kind.
    #[serde(default)]
    pub(super) row: Value,
}

/// One event of port 6102.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiEvent {
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) data: Map<String, Value>,
    pub(super) server_timestamp: Timestamp,
}

/// The blast radius of an action.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TuiBlastRadius {
    /// Agents that would end or restart.
    #[serde(default)]
    pub(super) agents: Vec<String>,
    /// Jobs in the hands of those agents.
    #[serde(default)]
    pub(super) jobs: Vec<TuiTouchedJob>,
    /// Held for model calls in flight, US dollars.
    #[serde(default)]
    pub(super) usd_in_flight: f64,
}

/// A job in the blast radius.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiTouchedJob {
    pub(super) job_id: String,
    /// The task.
    pub(super) task: String,
}

/// The result of an action.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiActionResult {
    pub(super) message: String,
    #[serde(default)]
    pub(super) proof: Option<TuiProof>,
}

/// The proof of an action.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct TuiProof {
    /// The agents, with the time each took to come back.
    #[serde(default)]
    pub(super) agents: Vec<TuiReturnedAgent>,
    /// Model streams closed.
    #[serde(default)]
    pub(super) streams_closed: u64,
    #[serde(default)]
    pub(super) processes_gone: u64,
    /// Machine reservations released.
    #[serde(default)]
    pub(super) reservations_released: u64,
    /// Holds released, US dollars.
    #[serde(default)]
    pub(super) holds_released_usd: f64,
    /// The final cost, US dollars.
    #[serde(default)]
    pub(super) final_cost_usd: f64,
}

/// An agent after kill or restart.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TuiReturnedAgent {
    pub(super) name: String,
    /// Milliseconds until the agent was up again; `None` if it is not.
    #[serde(default)]
    pub(super) back_ms: Option<f64>,
}
