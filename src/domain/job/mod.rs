//! Jobs: the card that says what is to be done, and the row that says how it stands.
//!
//! The row in the store *is* the job; a message is only a hint to look at it. Rules of change live in
//! [`transition`], a card as handed in and its check in [`request`], how often a step is tried
//! in [`retry`], the division of a task into steps in [`plan`], a
//! person's decisions in [`approval`], what is told to the outside in [`event`], who may take a job over in
//! [`takeover`].

pub mod approval;
pub mod event;
pub mod plan;
pub mod request;
pub mod retry;
pub mod takeover;
#[cfg(test)]
pub(crate) mod testing;
pub mod transition;
pub mod wait;

use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::ids::{AgentName, JobId, RunId};
use super::json::Json;
use super::time::Timestamp;
use super::trace::{SpanId, TraceContext, TraceId};

pub use event::{EventKind, JobEvent};
pub use request::{CardRefusal, JobRequest};
pub use retry::Policy;
pub use transition::{CancelCause, Refusal, Transition};

/// Highest priority; 0 is the lowest (the contract's range).
pub const MAX_PRIORITY: u8 = 9;
/// Priority of a card that names none.
pub const DEFAULT_PRIORITY: u8 = 5;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its agent.
    Queued,
    /// Its agent holds it; a coordinator's job also while its children run.
    Running,
    /// Waits for a person.
    AwaitingApproval,
    /// Failed for good; the director decides whether the run goes on without it.
    Blocked,
    /// Held by a person.
    Paused,
    Done,
    Failed,
    /// Terminal: stopped on request.
    Cancelled,
    /// Terminal: failed, and the run went on without it.
    Quarantined,
}

impl JobState {
    /// Whether nothing can follow.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled | Self::Quarantined)
    }

    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Quarantined => "quarantined",
        }
    }
}

/// What is to be done, by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobCard {
    pub agent: AgentName,
    /// What: a task of the agent's plan book, or a skill.
    pub task: String,
    /// The capability by which the agent was chosen.
    pub capability: Option<String>,
    /// What it starts from (a JSON object).
    pub inputs: Json,
    /// 0 to 9, 9 first.
    pub priority: u8,
    /// What it asks of the machine (a JSON object), if stated.
    pub resource_request: Option<Json>,
    /// Acts that a person must consent to before it begins.
    pub approvals_required: Vec<String>,
    /// When it must be over.
    pub deadline_at: Option<Timestamp>,
    /// Whether the run can go on without it.
    pub optional: bool,
}

/// The wish to end a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// When it was made.
    pub at: Timestamp,
    pub reason: String,
}

/// A job as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id; parent and step are in it.
    pub id: JobId,
    /// What is to be done.
    pub card: JobCard,
    pub state: JobState,
    /// What a resume leads back to.
    pub paused_from: Option<JobState>,
    /// Grows with every change.
    pub version: u64,
    /// Grows with every claim; only the holder of the newest may commit.
    pub fence: u64,
    /// Claims so far, since the last approval.
    pub attempt: u32,
    /// Not to be claimed before.
    pub not_before: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was claimed first.
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    pub ended_at: Option<Timestamp>,
    /// The last failure, in words.
    pub error: Option<String>,
    /// The wish to end it.
    pub cancel: Option<CancelRequest>,
    /// How it was brought to its end on request.
    pub stopped_how: Option<String>,
    /// Who decides about its failure.
    pub escalated_to: Option<AgentName>,
    /// What it produced (a JSON object).
    pub outputs: Json,
    pub artifacts: Vec<Artifact>,
    /// Its place in the trace.
    pub trace: (TraceId, SpanId),
}

impl Job {
    /// A new job, accepted now: queued, or waiting for consent where its card demands it.
    #[must_use]
    pub fn new(id: JobId, card: JobCard, context: TraceContext, now: Timestamp) -> Self {
        let state =
            if card.approvals_required.is_empty() { JobState::Queued } else { JobState::AwaitingApproval };
        Self {
            id,
            card,
            state,
            paused_from: None,
            version: 1,
            fence: 0,
            attempt: 0,
            not_before: None,
            created_at: now,
            started_at: None,
            ended_at: None,
            error: None,
            cancel: None,
            stopped_how: None,
            escalated_to: None,
            outputs: Json::object(),
            artifacts: Vec::new(),
            trace: (context.trace, context.span),
        }
    }

    /// The run it belongs to.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.id.run()
    }

    /// Its place in the trace.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        TraceContext { trace: self.trace.0, span: self.trace.1 }
    }

    /// Whether its agent has it in hand: claimed and not ended, also while a person holds it.
    #[must_use]
    pub fn is_in_hand(&self) -> bool {
        let state = if self.state == JobState::Paused { self.paused_from } else { Some(self.state) };
        state == Some(JobState::Running)
    }

    /// Whether its agent may claim it now.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == JobState::Queued && self.not_before.is_none_or(|at| at <= now)
    }
}
