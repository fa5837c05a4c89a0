//! A call as its caller sees it: who asks for what, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;

use crate::actors::accounts::AccountsError;
use crate::domain::budget::{Label, OverBudget, RunName};
use crate::domain::ids::AgentName;
use crate::domain::money::NanoUsd;
use crate::domain::receipt::Receipt;
use crate::domain::roster::Roster;
use crate::domain::routing::{Limits, NoneFits, Optimization, Requirements};
use crate::domain::usage::Usage;
use crate::llm::chat::{ChatRequest, ChatResponse, Said, Whole};
use crate::llm::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::llm::surface::{Problem, ProblemKind};
use crate::llm::{Failure, FailureKind, Vendor};

/// Who asks, and who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The caller's name of the request, or one made for it.
    pub request_id: String,
    /// The run it belongs to.
    pub run: RunName,
    /// The job it belongs to.
    pub job: Option<Label>,
    /// The agent that asks.
    pub agent: Label,
    /// The lane it is in; `None`: that of the agent, where it is one of ours.
    pub lane: Option<Label>,
}

impl Caller {
    /// The agent of calls that name none: some program of the user's.
    pub const CLIENT: &str = "client";
    /// Asks for the classifier of port 8052.
    pub(super) const CLASSIFIER: &str = "tlc-classifier";
    /// Asks for the token governor's summaries.
    pub(super) const SUMMARISER: &str = "summariser";

    /// Whether it is an agent, with a context that fills.
    #[must_use]
    pub(super) fn is_agent(&self) -> bool {
        ![Self::CLIENT, Self::CLASSIFIER, Self::SUMMARISER].contains(&self.agent.as_str())
    }

    /// The same with the lane of its agent: the name of the director over it.
    #[must_use]
    pub(super) fn in_lane(mut self, roster: &Roster) -> Self {
        if self.lane.is_none() {
            let agent = AgentName::new(self.agent.as_str()).ok();
            self.lane = agent.and_then(|agent| roster.lane_of(&agent)).map(|lane| Label::from(&lane.name));
        }
        self
    }
}

/// Who is to answer.
#[derive(Debug, Clone)]
pub enum Target {
    /// Whoever fits best, and the next best after that.
    Routed {
        requirements: Requirements,
        /// By what offers are ranked.
        optimization: Optimization,
        /// What it may cost and take.
        limits: Limits,
    },
    /// This vendor as configured, and nobody else; the request names its model.
    Pinned(Vendor),
}

#[derive(Debug, Clone)]
pub enum Ask {
    /// A chat; as a stream where it says so.
    Chat(ChatRequest),
    Embed(EmbeddingRequest),
}

#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Caller,
    /// Who is to answer.
    pub target: Target,
    pub ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answerer {
    /// The provider, as the router names it.
    pub provider: String,
    /// The model, as its vendor names it.
    pub model: String,
    /// Who else could have.
    pub alternatives: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Answered<T> {
    pub answer: T,
    /// What it used; `None`: the vendor did not say, so its hold was charged.
    pub usage: Option<Usage>,
    /// Its receipt, which is with the kernel.
    pub receipt: Arc<Receipt>,
    pub by: Answerer,
}

pub type Chatted = Answered<ChatResponse>;
/// A whole chat on its way to a client.
pub type Replied = Answered<Whole>;
pub type Embedded = Answered<EmbeddingResponse>;

/// A piece of a streamed answer.
#[derive(Debug, Clone)]
pub enum Piece {
    Said(Said),
    /// It is whole, and settled.
    Finished {
        /// What it used, if the vendor said so.
        usage: Option<Usage>,
        receipt: Arc<Receipt>,
    },
    /// It was cut; this is the last piece.
    Failed(Failure),
}

/// A streamed answer whose first chunk has come. Dropped before its end, it is drained and settled.
pub struct Streamed {
    pub by: Answerer,
    /// What is held for it: the most it costs.
    pub held: NanoUsd,
    pub pieces: BoxStream<'static, Piece>,
}

impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed").field("by", &self.by).finish_non_exhaustive()
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    NoneFits(#[from] NoneFits),
    /// What it costs is not known, so it is not made.
    #[error(
        "no price is known for {model} of {provider}, so it is not called; add a row to the file of prices, \
         `free = true` where it costs nothing"
    )]
    NoPrice {
        /// Who would have been asked.
        provider: String,
        model: String,
    },
    /// A budget does not allow it.
    #[error(transparent)]
    OverBudget(Box<OverBudget>),
    /// Everyone who could have answered rests after failures.
    #[error("{provider} rests after failures; ask again in {} s", .wait.as_secs_f64().ceil())]
    Resting {
        /// The last of them.
        provider: String,
        /// Until it may be asked again.
        wait: Duration,
    },
    #[error("{} (attempt {attempts})", failure.message)]
    Failed {
        failure: Failure,
        /// The last attempt's receipt.
        receipt: Option<Arc<Receipt>>,
        /// How many attempts were made.
        attempts: u32,
    },
    /// The accounts could not be kept.
    #[error(transparent)]
    Accounts(AccountsError),
}

impl From<AccountsError> for GatewayError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::OverBudget(over) => Self::OverBudget(over),
            other => Self::Accounts(other),
        }
    }
}

impl GatewayError {
    /// What the client is told, before it has a form.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let text = self.to_string();
        match self {
            Self::NoneFits(none) => {
                let kind = if none.resting > 0 { ProblemKind::Unavailable } else { ProblemKind::NoModel };
                Problem { retry_after: none.retry_after, ..Problem::new(kind, text) }
            }
            Self::NoPrice { .. } => Problem::new(ProblemKind::NoModel, text),
            Self::OverBudget(over) => Problem::new(ProblemKind::OverBudget, text)
                .with("scope", serde_json::json!(over.scope.to_string()))
                .with("budget_usd", over.cap.wire().into())
                .with("spent_usd", over.settled.wire().into())
                .with("remaining_usd", over.left().wire().into()),
            Self::Resting { wait, .. } => {
                Problem { retry_after: Some(*wait), ..Problem::new(ProblemKind::Unavailable, text) }
            }
            Self::Failed { failure, receipt, .. } => {
                let problem = Problem::from(failure);
                let receipt =
                    receipt.as_ref().map(|receipt| crate::domain::receipt::wire::Line::from(&**receipt));
                match receipt.and_then(|line| serde_json::to_value(line).ok()) {
                    Some(line) => problem.with("receipt", line),
                    None => problem,
                }
            }
            Self::Accounts(error) if error.is_passing() => {
                let retry_after = Some(Duration::from_secs(1));
                Problem { retry_after, ..Problem::new(ProblemKind::Unavailable, text) }
            }
            Self::Accounts(_) => Problem::new(ProblemKind::Internal, "the accounts could not be kept"),
        }
    }

    /// The failure of a call that was cancelled with its job or its agent.
    pub(super) fn cancelled() -> Failure {
        Failure::new(
            FailureKind::Cancelled,
            "the job was cancelled or its agent was ended, and its call of a model with it",
        )
    }
}
