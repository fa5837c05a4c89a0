//! A model call as callers see it: the request and the answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;

use super::candidate::CallCandidate;
use crate::actors::accounts::AccountsError;
use crate::domain::accounts::budget::{OverBudget, RunName, ScopeLabel};
use crate::domain::accounts::price::PriceTable;
use crate::domain::accounts::receipt::Receipt;
use crate::domain::ids::AgentName;
use crate::domain::money::NanoUsd;
use crate::domain::provider_router::{CallLimits, CallRequirements, NoProviderFits, RoutingOptimization};
use crate::domain::roster::Roster;
use crate::domain::usage::{ServiceTier, TokenUsage};
use crate::llm::chat::{ChatRequest, ChatResponse, StreamItem};
use crate::llm::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::llm::inbound::{ApiProblem, ProblemKind};
use crate::llm::passage::{OriginalRequest, PassedAnswer};
use crate::llm::{Vendor, VendorFailure, VendorFailureKind};

/// The caller, and the scopes that pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayCaller {
    /// The caller's id for the request, or a generated one.
    pub request_id: String,
    /// The run of the call.
    pub run: RunName,
    /// The job of the call.
    pub job: Option<ScopeLabel>,
    /// The calling agent.
    pub agent: ScopeLabel,
    /// The lane; `None`: the agent's own lane, for agents of the swarm.
    pub lane: Option<ScopeLabel>,
}

impl GatewayCaller {
    /// The agent of calls that name none: a program of the user's.
    pub const CLIENT: &str = "client";
    /// The caller name of port 8052's classifier.
    pub(super) const CLASSIFIER: &str = "tlc-classifier";
    /// The caller name of the token governor's summaries.
    pub(super) const SUMMARISER: &str = "summariser";

    /// Whether the caller is an agent, with a context that fills.
    #[must_use]
    pub(super) fn is_agent(&self) -> bool {
        ![Self::CLIENT, Self::CLASSIFIER, Self::SUMMARISER].contains(&self.agent.as_str())
    }

    /// Fills in the lane of the agent: the name of the director over it.
    #[must_use]
    pub(super) fn in_lane(mut self, roster: &Roster) -> Self {
        if self.lane.is_none() {
            let agent = AgentName::new(self.agent.as_str()).ok();
            self.lane =
                agent.and_then(|agent| roster.lane_of(&agent)).map(|lane| ScopeLabel::from(&lane.name));
        }
        self
    }
}

/// The model that is to answer.
#[derive(Debug, Clone)]
pub enum ModelTarget {
    /// The best provider, then the next best.
    Routed {
        requirements: CallRequirements,
        /// The criterion that ranks providers.
        optimization: RoutingOptimization,
        /// Limits of cost and latency.
        limits: CallLimits,
    },
    /// This vendor as configured, and no other; the request names the model.
    Pinned(Vendor),
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one a call, and moved only a few times")]
pub enum ModelRequest {
    /// A chat; streamed if it says so.
    Chat(ChatRequest),
    Embed(EmbeddingRequest),
    /// A chat as its client sent it: passed on to vendors of its protocol, translated for all others.
    Original(Arc<OriginalRequest>),
}

impl ModelRequest {
    /// The model asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Chat(request) => &request.model,
            Self::Embed(request) => &request.model,
            Self::Original(original) => original.model(),
        }
    }

    /// The service tier asked for.
    #[must_use]
    pub fn service_tier(&self) -> ServiceTier {
        match self {
            Self::Chat(request) => {
                let word = request.extra.get("service_tier").and_then(serde_json::Value::as_str);
                word.map_or(ServiceTier::Standard, ServiceTier::from_word)
            }
            Self::Embed(_) => ServiceTier::Standard,
            Self::Original(original) => original.service_tier(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct ModelCall {
    pub caller: GatewayCaller,
    /// The model that is to answer.
    pub target: ModelTarget,
    pub ask: ModelRequest,
    /// Whether the governor counts the call's usage against the agent's context at once.
    pub counts_context: bool,
}

impl ModelCall {
    /// A call that counts in its agent's context.
    #[must_use]
    pub fn new(caller: GatewayCaller, target: ModelTarget, ask: ModelRequest) -> Self {
        Self { caller, target, ask, counts_context: true }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweringModel {
    /// The router's name of the provider.
    pub provider: String,
    /// The vendor's name of the model.
    pub model: String,
    /// Other providers that could have answered.
    pub alternatives: Vec<String>,
    /// The output limit set so that the call fits its budgets, where the client set a higher one or none.
    pub lowered_limit: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct GatewayAnswer<T> {
    pub answer: T,
    /// Tokens used; `None`: the vendor did not report them, so the full hold was charged.
    pub usage: Option<TokenUsage>,
    /// The receipt, already written to its file.
    pub receipt: Arc<Receipt>,
    pub by: AnsweringModel,
}

/// A whole chat on its way to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum CompletionBody {
    Read(Box<ChatResponse>),
    /// The answer of a vendor of the client's protocol.
    Passed(PassedAnswer),
}

pub type ChatAnswer = GatewayAnswer<ChatResponse>;
/// A whole chat on its way to a client.
pub type CompletionAnswer = GatewayAnswer<CompletionBody>;
pub type EmbeddingAnswer = GatewayAnswer<EmbeddingResponse>;

/// One event of a streamed answer.
#[derive(Debug, Clone)]
pub enum ModelStreamEvent {
    Item(StreamItem),
    /// The answer is complete and settled.
    Finished {
        /// Tokens used, if the vendor reported them.
        usage: Option<TokenUsage>,
        receipt: Arc<Receipt>,
        /// The vendor's last events, of a stream that is passed on.
        ending: Vec<u8>,
    },
    /// The answer was cut off; this is the last event.
    Failed(VendorFailure),
}

/// A streamed answer whose first chunk has arrived. Dropped before its end, it is closed at its
/// vendor and settled by the part that was seen.
pub struct StreamedAnswer {
    pub by: AnsweringModel,
    /// The call's hold: the most it costs.
    pub held: NanoUsd,
    /// The vendor's headers, of a stream that is passed on; `None`: the stream is translated.
    pub passed: Option<HeaderMap>,
    pub events: BoxStream<'static, ModelStreamEvent>,
}

impl std::fmt::Debug for StreamedAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamedAnswer").field("by", &self.by).finish_non_exhaustive()
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    NoneFits(#[from] NoProviderFits),
    /// The price is unknown, so the call is not made.
    #[error("no price is known for {model} of {provider}, so it is not called; {row}")]
    NoPrice {
        /// The vendor or server that would have been called.
        provider: String,
        model: String,
        /// The row to add, and where.
        row: String,
    },
    /// The vendor of the model has no key.
    #[error("{model} is a model of {}, which has no key here; set {variable} and start the daemon again", vendor.title())]
    NoKey { model: String, vendor: Vendor, variable: &'static str },
    #[error(
        "no provider serves `{model}`, and no vendor is known for it; `pas models` and GET /v1/models list the \
         models; a price row with its provider makes another one callable"
    )]
    UnknownModel { model: String },
    /// A budget does not allow the call.
    #[error(transparent)]
    OverBudget(Box<OverBudget>),
    /// The circuits of all candidates are open after failures.
    #[error("the circuit of {provider} is open after failures; ask again in {} s", .wait.as_secs_f64().ceil())]
    CircuitOpen {
        /// The last candidate.
        provider: String,
        /// Time until it may be called again.
        wait: Duration,
    },
    /// The last attempt failed; none was made while the provider asks for a wait.
    #[error("{} (attempt {attempts})", failure.message)]
    Failed {
        failure: VendorFailure,
        /// The last attempt's receipt.
        receipt: Option<Arc<Receipt>>,
        /// Number of attempts.
        attempts: u32,
    },
    /// No vendor that may answer has words for the request.
    #[error("{}", .0.message)]
    Untranslatable(Box<ApiProblem>),
    /// The accounts failed.
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
    /// The problem for the client, before it is written in a format.
    #[must_use]
    pub fn problem(&self) -> ApiProblem {
        let text = self.to_string();
        match self {
            Self::NoneFits(none) => {
                let kind = if none.resting > 0 { ProblemKind::Unavailable } else { ProblemKind::NoModel };
                ApiProblem { retry_after: none.retry_after, ..ApiProblem::new(kind, text) }
            }
            Self::NoPrice { .. } | Self::NoKey { .. } | Self::UnknownModel { .. } => {
                ApiProblem::new(ProblemKind::NoModel, text)
            }
            Self::OverBudget(over) => ApiProblem::new(ProblemKind::OverBudget, text)
                .with("scope", serde_json::json!(over.scope.to_string()))
                .with("budget_usd", over.cap.wire().into())
                .with("spent_usd", over.settled.wire().into())
                .with("remaining_usd", over.left().wire().into()),
            Self::CircuitOpen { wait, .. } => {
                ApiProblem { retry_after: Some(*wait), ..ApiProblem::new(ProblemKind::Unavailable, text) }
            }
            Self::Failed { failure, receipt, .. } => {
                let problem = ApiProblem::from(failure);
                let receipt = receipt
                    .as_ref()
                    .map(|receipt| crate::domain::accounts::receipt::wire::ReceiptDocument::from(&**receipt));
                match receipt.and_then(|line| serde_json::to_value(line).ok()) {
                    Some(line) => problem.with("receipt", line),
                    None => problem,
                }
            }
            Self::Untranslatable(problem) => (**problem).clone(),
            Self::Accounts(error) if error.is_passing() => {
                let retry_after = Some(Duration::from_secs(1));
                ApiProblem { retry_after, ..ApiProblem::new(ProblemKind::Unavailable, text) }
            }
            Self::Accounts(_) => ApiProblem::new(
                ProblemKind::Internal,
                "the call could not be accounted for; the daemon's log says more",
            ),
        }
    }

    /// The failure of a stream whose caller left before anything came.
    pub(super) fn left() -> VendorFailure {
        let message = "the caller left before the answer began; charged by our own count of the prompt";
        VendorFailure { may_cost: true, ..VendorFailure::new(VendorFailureKind::Cancelled, message) }
    }

    /// The refusal of a candidate without a price.
    pub(super) fn no_price(candidate: &CallCandidate, prices: &PriceTable) -> Self {
        let (provider, model) = (candidate.endpoint.name().to_owned(), candidate.model.clone());
        let row = prices.missing_row(&provider, &model);
        Self::NoPrice { provider, model, row }
    }

    /// The failure of a call that was cancelled with its job or its agent.
    pub(super) fn cancelled() -> VendorFailure {
        VendorFailure::new(
            VendorFailureKind::Cancelled,
            "the model call was cancelled: its job was cancelled or its agent was ended",
        )
    }
}
