//! One turn of a thinking agent with a model: the agent's interface.
//!
//! The gateway makes the call; the trait is below both, so that neither knows the other. Invariant: an answer
//! has its receipt. Failure policy: [`TurnError`] decides between waiting, asking a person for money, and
//! failing.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::chat::{ChatMessage, ChatRequest};
use super::text_writer::TextAuthor;
use pas_domain::accounts::budget::{BudgetScope, BudgetView};
use pas_domain::money::NanoUsd;
use pas_domain::usage::TokenUsage;

/// A request of an agent to a model.
#[derive(Debug, Clone)]
pub struct ModelTurn {
    /// The caller, and the scopes that pay.
    pub author: TextAuthor,
    /// The call's id in its receipt.
    pub request_id: String,
    /// Models by their vendors' names, in order of preference; when none is available, the best match.
    pub preferred: Vec<String>,
    /// Vendors who are asked only if there is no other: a review wants an independent model.
    pub avoided_vendors: Vec<String>,
    /// The conversation and the tools; its `model` is chosen by the gateway.
    pub chat: ChatRequest,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct TurnAnswer {
    pub message: ChatMessage,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    pub finish_reason: Option<String>,
    /// Tokens; `None` when the vendor reported none.
    pub usage: Option<TokenUsage>,
    pub cost: NanoUsd,
    /// The number of its receipt.
    pub receipt: u64,
    /// The lesser rest of the job's and its run's caps; `None` where neither has one.
    pub money_left: Option<NanoUsd>,
    pub vendor: String,
    pub provider: String,
    pub model: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// A budget does not allow the call: a person may raise it.
    #[error("{why}")]
    OverBudget {
        why: String,
        /// The first scope that refused, as `run:NAME`.
        scope: String,
        needed: NanoUsd,
        left: NanoUsd,
    },
    /// No model is configured.
    #[error("{0}")]
    NoModel(String),
    /// A temporary failure: rate limits, a vendor's outage, a store that refuses writes.
    #[error("{why}")]
    Passing { why: String, retry_after: Option<Duration> },
    /// The conversation is longer than the model's context window.
    #[error("{0}")]
    ContextTooLong(String),
    /// The job was cancelled.
    #[error("the call was cancelled with its job")]
    Cancelled,
    /// The vendor or its filter refuses; a retry is useless.
    #[error("{0}")]
    Refused(String),
}

/// Calls models for agents.
pub trait ModelCaller: Send + Sync {
    /// Whether a model with tools is available now; otherwise a sentence with the remedy.
    ///
    /// # Errors
    /// That sentence.
    fn readiness(&self) -> Result<(), String>;

    /// Waits until this daemon has looked for models once, or the look takes too long. Before it, no model is known, and
    /// a model that is late looks like one that is not there.
    fn settled(&self) -> BoxFuture<'_, ()>;

    /// The context window in tokens of the model that would be called.
    fn context_window(&self, preferred: &[String]) -> u64;

    /// Asks for one answer. Dropping the future cancels the call; its cost so far is booked all the same.
    fn ask(&self, turn: ModelTurn) -> BoxFuture<'_, Result<TurnAnswer, TurnError>>;

    /// Sets the most that a scope may spend, or lifts its cap. Idempotent.
    ///
    /// # Errors
    /// A sentence, when the cap could not be stored.
    fn cap(&self, scope: BudgetScope, cap: Option<NanoUsd>) -> BoxFuture<'_, Result<(), String>>;

    /// A scope's cap, and its spent and held sums.
    ///
    /// # Errors
    /// A sentence, when the store does not answer.
    fn budget(&self, scope: &BudgetScope) -> Result<BudgetView, String>;
}
