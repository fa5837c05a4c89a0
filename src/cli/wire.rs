//! The daemon's answers, as far as shown by the command line.
//!
//! Source: `contracts/orchestrator.json` and its schemas. Invariant: reading is lenient (unknown fields
//! are ignored, optional ones may be missing), so that an older `pas` can talk to a newer daemon; `--json`
//! prints answers unchanged, never through these types.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::exit::CommandFailure;
use super::render::units;
use crate::domain::job::JobState;
use crate::domain::job::wait::JobWait;
use crate::domain::time::Timestamp;

/// Reads an answer as `T`.
///
/// # Errors
/// A [`CommandFailure`] that names the unreadable field.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, CommandFailure> {
    T::deserialize(value).map_err(|error| {
        CommandFailure::failed(format!(
            "the daemon's answer breaks the contract ({error}); is the daemon of another version?"
        ))
    })
}

/// A job's progress.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct WireProgress {
    #[serde(default)]
    pub done: u64,
    /// Units in all; 0 while unknown.
    #[serde(default)]
    pub total: u64,
    /// The current activity.
    #[serde(default)]
    pub note: String,
    /// 0 to 1.
    #[serde(default)]
    pub fraction: f64,
    /// Whether anything tells how far the job is.
    #[serde(default)]
    pub known: bool,
}

/// A job card with the job's state; with `tree=true`, also the steps below.
#[derive(Debug, Clone, Deserialize)]
pub struct WireJob {
    pub job_id: String,
    #[serde(default)]
    pub run_id: String,
    /// Last segment of the job's id.
    #[serde(default)]
    pub step: String,
    pub agent: String,
    pub task: String,
    #[serde(default)]
    pub inputs: Value,
    #[serde(default)]
    pub outputs: Value,
    #[serde(default)]
    pub artifacts: Vec<WireArtifact>,
    /// 0 to 9.
    #[serde(default)]
    pub priority: u8,
    pub created_at: Timestamp,
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    pub state: JobState,
    /// What it is at as a whole; a daemon of before does not say.
    #[serde(default)]
    pub activity: Option<JobState>,
    #[serde(default)]
    pub attempt: u32,
    #[serde(default)]
    pub progress: WireProgress,
    #[serde(default)]
    pub error: Option<String>,
    /// Runs that went on with the work of this one.
    #[serde(default)]
    pub continued_by: Vec<String>,
    /// Waits of the job and of all steps below.
    #[serde(default)]
    pub waits: Vec<JobWait>,
    /// The steps, if requested.
    #[serde(default)]
    pub children: Vec<WireJob>,
}

impl WireJob {
    /// What the job is at: running only while it or a job below it works.
    #[must_use]
    pub fn activity(&self) -> JobState {
        self.activity.unwrap_or(self.state)
    }

    /// The job and all steps below, parents first.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let next = waiting.pop()?;
            waiting.extend(next.children.iter().rev());
            Some(next)
        })
    }
}

/// A file of a run.
#[derive(Debug, Clone, Deserialize)]
pub struct WireArtifact {
    /// Relative to the run's folder.
    pub path: String,
    /// A description for people.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WireJobEvent {
    pub seq: u64,
    pub job_id: String,
    pub agent: String,
    pub event: String,
    #[serde(default)]
    pub detail: Value,
}

/// A person's decision, pending or taken.
#[derive(Debug, Clone, Deserialize)]
pub struct WireApproval {
    pub approval_id: String,
    pub job_id: String,
    pub agent: String,
    pub action: String,
    #[serde(default)]
    pub detail: Value,
    /// pending, approved or rejected.
    pub status: String,
    pub requested_at: Timestamp,
}

/// One message and the handling of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WireSpan {
    pub trace_id: String,
    pub span_id: String,
    #[serde(default)]
    pub parent_span_id: Option<String>,
    pub from: String,
    pub to: String,
    pub kind: String,
    /// When the message was sent.
    pub queued_at: Timestamp,
    /// When handling ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Time in the mailbox, µs.
    #[serde(default)]
    pub queue_us: Option<u64>,
    /// Time in the handler, µs.
    #[serde(default)]
    pub run_us: Option<u64>,
    /// ok, error, crashed, killed, dropped or open.
    pub outcome: String,
}

/// A crash of an agent.
#[derive(Debug, Clone, Deserialize)]
pub struct WireCrash {
    pub id: u64,
    pub agent: String,
    /// The incarnation that ended.
    pub incarnation: u64,
    /// panic, error, killed or hung.
    pub reason: String,
    /// The message of the panic or error.
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub place: Option<String>,
    pub at: Timestamp,
    /// The last spans of the crash's trace; only in the answer for one crash.
    #[serde(default)]
    pub spans: Vec<WireSpan>,
}

/// A node of the supervision tree.
#[derive(Debug, Clone, Deserialize)]
pub struct WireTreeNode {
    pub name: String,
    /// One of the words of `schemas/agent_standing.json`.
    pub status: String,
    /// The phase known to the supervisor.
    #[serde(default)]
    pub phase: Option<String>,
    /// The running incarnation.
    #[serde(default)]
    pub incarnation: u64,
    #[serde(default)]
    pub restarts: u64,
    #[serde(default)]
    pub queue_depth: u64,
    #[serde(default)]
    pub last_exit: Option<Value>,
    #[serde(default)]
    pub children: Vec<WireTreeNode>,
}

/// An agent in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct WireAgent {
    pub name: String,
    /// coord, exec or system.
    #[serde(default)]
    pub role: String,
    #[serde(default)]
    pub parent: Option<String>,
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// One of the words of `schemas/agent_standing.json`.
    #[serde(default)]
    pub status: String,
    /// The address of the agent's service, or the agent's name within the daemon.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub restarts: u64,
    #[serde(default)]
    pub queue_depth: u64,
    /// The front matter of the agent's file; only in the answer for one agent.
    #[serde(default)]
    pub definition: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WireSupervisionEvent {
    pub seq: u64,
    pub at: Timestamp,
    #[serde(alias = "actor")]
    pub agent: String,
    /// started, crashed, restarted, hung, …
    pub event: String,
    /// Depends on the event.
    #[serde(default)]
    pub detail: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WireHit {
    /// Relative to the corpus.
    pub path: String,
    #[serde(default)]
    pub title: Option<String>,
    /// Relevance; higher is better.
    #[serde(default)]
    pub score: f64,
    /// Escaped HTML with `<b>` around the matches.
    #[serde(default)]
    pub snippet: String,
}

/// What is kept of one kind, and what of it goes.
#[derive(Debug, Clone, Deserialize)]
pub struct WireKept {
    pub kind: String,
    pub kept: WireAmount,
    pub gone: WireAmount,
    pub limit_days: Option<u64>,
    pub limit_bytes: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WireAmount {
    pub count: u64,
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
}

impl WireKept {
    /// The limits in words.
    #[must_use]
    pub fn limit(&self) -> String {
        let days = self.limit_days.map(|days| format!("{days} days"));
        let words: Vec<_> = days.into_iter().chain(self.limit_bytes.map(units::bytes)).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct WireStoppedJob {
    pub job_id: String,
    /// The agent that worked on the job.
    #[serde(default)]
    pub agent: String,
    #[serde(default)]
    pub state_before: String,
    #[serde(default)]
    pub stopped_at: Option<Timestamp>,
    #[serde(default)]
    pub how: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WireCancelProof {
    pub job_id: String,
    #[serde(default)]
    pub cancelled: Vec<WireStoppedJob>,
    /// Jobs still stopping.
    #[serde(default)]
    pub pending: Vec<String>,
}
