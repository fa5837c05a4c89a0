//! Jobs: the card with the request, and the row with the state.
//!
//! The row in the store *is* the job; a message is only a hint to reconcile. The rules of change are in
//! [`transition`], the check of a submitted card in [`request`], retries in [`retry`], attempts that end with
//! their daemon in [`lost`], the division of a task into steps in [`plan`], a person's decisions in [`approval`],
//! published events in [`event`], the states read back from them in [`replay`], and the rules of reassignment in [`takeover`].

pub mod approval;
pub mod continuation;
pub mod event;
pub mod lost;
pub mod plan;
pub mod replay;
pub mod request;
pub mod retry;
pub mod takeover;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transition;
pub mod wait;

use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::ids::{AgentName, JobId, RunId};
use super::json::JsonValue;
use super::time::Timestamp;
use super::trace::{SpanId, TraceContext, TraceId};

pub use event::{JobEvent, JobEventKind};
pub use request::{CardRefusal, JobRequest};
pub use retry::RetryPolicy;
pub use transition::{CancelCause, JobTransition, TransitionRefusal};

/// Highest priority; 0 is the lowest (the contract's range).
pub const MAX_PRIORITY: u8 = 9;
/// Priority of a card that names none.
pub const DEFAULT_PRIORITY: u8 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for the agent.
    Queued,
    /// Claimed by the agent; a coordinator's job also while the children run.
    Running,
    /// Waits for a person.
    AwaitingApproval,
    /// Failed for good; the director decides whether the run continues without the job.
    Blocked,
    /// Paused by a person.
    Paused,
    Done,
    Failed,
    /// Terminal: stopped on request.
    Cancelled,
    /// Terminal: failed, and the run went on.
    Quarantined,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::AwaitingApproval,
        Self::Blocked,
        Self::Paused,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Quarantined,
    ];

    /// Whether the state is final.
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

    /// The state as a word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        if self == Self::AwaitingApproval { "awaiting approval" } else { self.as_str() }
    }
}

/// The request: task, inputs, agent, limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobCard {
    pub agent: AgentName,
    /// A task of the agent's plan book, or a skill.
    pub task: String,
    /// The capability by which the agent was chosen.
    pub capability: Option<String>,
    /// A JSON object.
    pub inputs: JsonValue,
    /// 0 to 9, 9 first.
    pub priority: u8,
    /// Machine resources (a JSON object), if stated.
    pub resource_request: Option<JsonValue>,
    /// Acts that a person must approve before the job begins.
    pub approvals_required: Vec<String>,
    /// When the job is cancelled if still open.
    pub deadline_at: Option<Timestamp>,
    /// Whether the run can continue without the job.
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    pub at: Timestamp,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Contains the ids of parent and step.
    pub id: JobId,
    pub card: JobCard,
    pub state: JobState,
    pub paused_from: Option<JobState>,
    /// Grows with every change.
    pub version: u64,
    /// Grows with every claim; only the newest may commit.
    pub fence: u64,
    /// Attempts since the last approval, those lost with their daemon or agent not counted.
    pub attempt: u32,
    /// Not to be claimed before.
    pub not_before: Option<Timestamp>,
    /// Time of acceptance.
    pub created_at: Timestamp,
    /// Time of the first claim.
    pub started_at: Option<Timestamp>,
    /// When the state became terminal.
    pub ended_at: Option<Timestamp>,
    /// The last failure, in words.
    pub error: Option<String>,
    pub cancel: Option<CancelRequest>,
    /// How the job was stopped on request.
    pub stopped_how: Option<String>,
    /// The decision maker for a failure.
    pub escalated_to: Option<AgentName>,
    /// A JSON object.
    pub outputs: JsonValue,
    pub artifacts: Vec<Artifact>,
    /// The job's place in the trace.
    pub trace: (TraceId, SpanId),
}

impl Job {
    /// A new job, accepted now: queued, or awaiting approval if the card requires one.
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
            outputs: JsonValue::object(),
            artifacts: Vec::new(),
            trace: (context.trace, context.span),
        }
    }

    #[must_use]
    pub fn run(&self) -> RunId {
        self.id.run()
    }

    /// What the job is about, by which a person tells it from others of its task: the folder, the goal, or the
    /// repository of its card.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        ["source", "goal", "repo"].iter().find_map(|name| self.card.inputs.0.get(name)?.as_str())
    }

    #[must_use]
    pub fn context(&self) -> TraceContext {
        TraceContext { trace: self.trace.0, span: self.trace.1 }
    }

    /// Whether an attempt is open: claimed and not ended, even while paused.
    #[must_use]
    pub fn is_in_hand(&self) -> bool {
        let state = if self.state == JobState::Paused { self.paused_from } else { Some(self.state) };
        state == Some(JobState::Running)
    }

    /// Whether the agent may claim the job now.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == JobState::Queued && self.not_before.is_none_or(|at| at <= now)
    }
}
