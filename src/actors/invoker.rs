//! How a call reaches an agent's actor, whatever that actor is.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::domain::ids::AgentName;
use crate::domain::invocation::{Invocation, Outcome};
use crate::supervision::CallError;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// Its mailbox is full; nothing was begun.
    #[error("it is busy: its mailbox is full; try again in a while")]
    Busy,
    /// It has been stopped; nothing was begun.
    #[error("it has been stopped and takes no calls")]
    Gone,
    /// It ended while it worked on the call; whether that took effect is not known.
    #[error(
        "it crashed while it worked on the call, and was restarted; whether the call took effect is not known"
    )]
    Crashed,
    /// No answer in time; it may still be worked on.
    #[error("it did not answer in time; it may still work on the call")]
    Timeout,
    /// It does not do that, for the reason given.
    #[error("{0}")]
    Refused(String),
    /// The job that the call became has not ended within the caller's time.
    #[error("{reason}")]
    JobGoesOn {
        /// Its `job_id` and `state`.
        job: Value,
        /// A sentence for the caller.
        reason: String,
    },
}

impl From<CallError> for InvokeError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::Gone => Self::Gone,
            CallError::Crashed => Self::Crashed,
            CallError::Timeout(_) => Self::Timeout,
        }
    }
}

/// Calls agents by message.
pub trait Invoker: Send + Sync + 'static {
    /// Calls `agent` and waits for its answer, at most for `deadline`.
    fn invoke(
        &self,
        agent: &AgentName,
        request: Invocation,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Value, InvokeError>>;
}

/// Calls an agent and puts what comes of it into the words of an answer; never waits beyond `deadline`.
pub(crate) async fn call(
    invoker: &dyn Invoker,
    agent: &AgentName,
    request: Invocation,
    deadline: Duration,
) -> Outcome {
    let answered = tokio::time::timeout(deadline, invoker.invoke(agent, request, deadline));
    match answered.await.unwrap_or(Err(InvokeError::Timeout)) {
        Ok(result) => Outcome::Success(result),
        Err(InvokeError::Timeout) => {
            Outcome::Timeout(format!("{agent}: no answer within {deadline:?}; it may still work on the call"))
        }
        Err(InvokeError::JobGoesOn { job, reason }) => Outcome::Unfinished { job, reason },
        Err(error) => Outcome::Error(format!("{agent}: {error}")),
    }
}
