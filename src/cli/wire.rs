//! What the daemon answers, as far as the command line shows it.
//!
//! Source: `contracts/orchestrator.json` and its schemas. Invariant: reading is lenient (unknown fields
//! are ignored, optional ones may miss), so that an older `pas` can look at a newer daemon; `--json`
//! passes answers on as they came, never through these types.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::exit::Failure;
use crate::domain::job::wait::JobWait;
use crate::domain::time::Timestamp;

/// Reads an answer as `T`.
///
/// # Errors
/// A [`Failure`] that names what could not be read.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| {
        Failure::failed(format!(
            "the daemon's answer is not as the contract says ({error}); is it of another version?"
        ))
    })
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    AwaitingApproval,
    Blocked,
    Paused,
    Done,
    Failed,
    Cancelled,
    Quarantined,
}

impl JobState {
    /// Whether it stays so for good.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled | Self::Quarantined)
    }

    /// Its word, for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting approval",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Quarantined => "quarantined",
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Progress {
    #[serde(default)]
    pub done: u64,
    /// Units in all; 0 while unknown.
    #[serde(default)]
    pub total: u64,
    /// What is being done.
    #[serde(default)]
    pub note: String,
    /// 0 to 1.
    #[serde(default)]
    pub fraction: f64,
}

/// A job card with its state; with `tree=true` those below it.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    pub job_id: String,
    /// The run it belongs to.
    #[serde(default)]
    pub run_id: String,
    /// Last segment of its id.
    #[serde(default)]
    pub step: String,
    pub agent: String,
    /// What is to be done.
    pub task: String,
    /// What it was given.
    #[serde(default)]
    pub inputs: Value,
    #[serde(default)]
    pub outputs: Value,
    /// Files that came out.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// 0 to 9.
    #[serde(default)]
    pub priority: u8,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it must be done.
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Where it is in its life.
    pub state: JobState,
    #[serde(default)]
    pub attempt: u32,
    /// How far it is.
    #[serde(default)]
    pub progress: Progress,
    #[serde(default)]
    pub error: Option<String>,
    /// For whom or what it and those below it wait.
    #[serde(default)]
    pub waits: Vec<JobWait>,
    /// Those below it, when asked for.
    #[serde(default)]
    pub children: Vec<Job>,
}

impl Job {
    /// The job and all below it, parents first.
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
pub struct Artifact {
    /// Relative to the run's folder.
    pub path: String,
    /// What it is, for people.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub bytes: u64,
}

/// Something that happened to a job.
#[derive(Debug, Clone, Deserialize)]
pub struct JobEvent {
    pub seq: u64,
    pub job_id: String,
    pub agent: String,
    pub event: String,
    #[serde(default)]
    pub detail: Value,
}

/// A decision that only a person takes.
#[derive(Debug, Clone, Deserialize)]
pub struct Approval {
    pub approval_id: String,
    /// The job that waits.
    pub job_id: String,
    pub agent: String,
    pub action: String,
    #[serde(default)]
    pub detail: Value,
    /// pending, approved or rejected.
    pub status: String,
    pub requested_at: Timestamp,
}

/// One message and its handling.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Span {
    pub trace_id: String,
    pub span_id: String,
    #[serde(default)]
    pub parent_span_id: Option<String>,
    pub from: String,
    pub to: String,
    /// Kind of the message.
    pub kind: String,
    /// When it was sent.
    pub queued_at: Timestamp,
    /// When its handling ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// How long it waited, µs.
    #[serde(default)]
    pub queue_us: Option<u64>,
    /// How long it was handled, µs.
    #[serde(default)]
    pub run_us: Option<u64>,
    /// ok, error, crashed, killed, dropped or open.
    pub outcome: String,
}

/// An end of an agent that nobody wanted.
#[derive(Debug, Clone, Deserialize)]
pub struct Crash {
    pub id: u64,
    pub agent: String,
    /// Which life of the agent ended.
    pub incarnation: u64,
    /// panic, error, killed or hung.
    pub reason: String,
    /// What the panic or error said.
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub place: Option<String>,
    pub at: Timestamp,
    /// The frozen end of its trace; only when one crash is asked for.
    #[serde(default)]
    pub spans: Vec<Span>,
}

/// A node of the supervision tree.
#[derive(Debug, Clone, Deserialize)]
pub struct TreeNode {
    pub name: String,
    /// How it stands; one of the words of `schemas/agent_standing.json`.
    pub status: String,
    /// Where it is in its life, as its supervisor knows it.
    #[serde(default)]
    pub phase: Option<String>,
    /// Which start is up.
    #[serde(default)]
    pub incarnation: u64,
    #[serde(default)]
    pub restarts: u64,
    #[serde(default)]
    pub queue_depth: u64,
    /// Why it ended last.
    #[serde(default)]
    pub last_exit: Option<Value>,
    #[serde(default)]
    pub children: Vec<TreeNode>,
}

/// An agent in a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Agent {
    pub name: String,
    /// coord, exec or system.
    #[serde(default)]
    pub role: String,
    #[serde(default)]
    pub parent: Option<String>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// How it stands; one of the words of `schemas/agent_standing.json`.
    #[serde(default)]
    pub status: String,
    /// Where its service listens, or its name within the daemon.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub restarts: u64,
    #[serde(default)]
    pub queue_depth: u64,
    /// What its file says; only when one agent is asked for.
    #[serde(default)]
    pub definition: Option<Value>,
}

/// Something the supervision did.
#[derive(Debug, Clone, Deserialize)]
pub struct SupervisionEvent {
    pub seq: u64,
    pub at: Timestamp,
    #[serde(alias = "actor")]
    pub agent: String,
    /// started, crashed, restarted, hung, …
    pub event: String,
    /// What the event adds.
    #[serde(default)]
    pub detail: Map<String, Value>,
}

/// A document that was found.
#[derive(Debug, Clone, Deserialize)]
pub struct Hit {
    /// Its path in the corpus.
    pub path: String,
    #[serde(default)]
    pub title: Option<String>,
    /// How well it fits.
    #[serde(default)]
    pub score: f64,
    /// Escaped HTML with `<b>` around what was found.
    #[serde(default)]
    pub snippet: String,
}

/// What a cancel stopped.
#[derive(Debug, Clone, Deserialize)]
pub struct Stopped {
    pub job_id: String,
    /// Who worked on it.
    #[serde(default)]
    pub agent: String,
    /// What it did before.
    #[serde(default)]
    pub state_before: String,
    /// When it had stopped.
    #[serde(default)]
    pub stopped_at: Option<Timestamp>,
    #[serde(default)]
    pub how: String,
}

/// The proof of a cancel.
#[derive(Debug, Clone, Deserialize)]
pub struct CancelProof {
    /// The job that was cancelled.
    pub job_id: String,
    /// All that has stopped.
    #[serde(default)]
    pub cancelled: Vec<Stopped>,
    /// All that has yet to stop.
    #[serde(default)]
    pub pending: Vec<String>,
}
