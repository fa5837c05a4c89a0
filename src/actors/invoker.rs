//! Calls to an agent's actor, independent of the actor's type.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::domain::agent_router::{AgentInvocation, InvocationOutcome};
use crate::domain::ids::AgentName;
use crate::supervision::CallError;

/// Why a call has no result; the sentence follows the agent's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The mailbox is full; nothing was begun.
    #[error("busy: the mailbox is full; try again in a while")]
    Busy,
    /// The agent has been stopped; nothing was begun.
    #[error("stopped: the agent takes no calls")]
    Gone,
    /// The agent ended during the call; whether the call took effect is unknown.
    #[error("crashed during the call and was restarted; whether the call took effect is unknown")]
    Crashed,
    /// No answer in time; the agent may still work on the call.
    #[error("no answer in time; the agent may still work on the call")]
    Timeout,
    /// The agent declines, for the reason given.
    #[error("{0}")]
    Refused(String),
    /// The call became a job that has not ended within the caller's time.
    #[error("{reason}")]
    JobGoesOn {
        /// The job's `job_id` and `state`.
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
pub trait AgentInvoker: Send + Sync + 'static {
    /// Calls `agent` and waits for the answer, at most for `deadline`.
    fn invoke(
        &self,
        agent: &AgentName,
        request: AgentInvocation,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Value, InvokeError>>;
}

/// Calls an agent and turns the result into an invocation outcome; never waits beyond `deadline`.
pub(crate) async fn call(
    invoker: &dyn AgentInvoker,
    agent: &AgentName,
    request: AgentInvocation,
    deadline: Duration,
) -> InvocationOutcome {
    let answered = tokio::time::timeout(deadline, invoker.invoke(agent, request, deadline));
    match answered.await.unwrap_or(Err(InvokeError::Timeout)) {
        Ok(result) => InvocationOutcome::Success(result),
        Err(InvokeError::Timeout) => InvocationOutcome::Timeout(format!(
            "{agent}: no answer within {deadline:?}; the agent may still work on the call"
        )),
        Err(InvokeError::JobGoesOn { job, reason }) => InvocationOutcome::Unfinished { job, reason },
        Err(error) => InvocationOutcome::Error(format!("{agent}: {error}")),
    }
}
