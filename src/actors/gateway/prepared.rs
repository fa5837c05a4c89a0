//! A call's request on its way to one candidate: in the candidate's protocol as it came, or in the canonical
//! form.
//!
//! The canonical form of a client's request is made only when a candidate of another protocol is asked.

use std::sync::Arc;

use super::call::ModelRequest;
use super::candidate::CallCandidate;
use crate::domain::accounts::budget::Hold;
use crate::llm::chat::ChatRequest;
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::inbound::ApiProblem;
use crate::llm::passage::{OriginalRequest, PassedRequest, WireProtocol};
use crate::llm::{CallDeadlines, VendorClient, VendorEndpoint, VendorFailure, VendorRefusal};

use super::dispatch::AttemptOutput;

/// A request before a candidate has adapted it.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one a call, and moved only a few times")]
pub(super) enum CandidateRequest {
    Chat(ChatRequest),
    Embed(EmbeddingRequest),
    Passed(Arc<OriginalRequest>),
}

impl CandidateRequest {
    /// The request as this candidate takes it.
    pub(super) fn of(ask: &ModelRequest, candidate: &CallCandidate) -> Result<Self, ApiProblem> {
        Ok(match ask {
            ModelRequest::Chat(request) => Self::Chat(request.clone()),
            ModelRequest::Embed(request) => Self::Embed(request.clone()),
            ModelRequest::Original(original) if candidate.takes(original) => {
                Self::Passed(Arc::clone(original))
            }
            ModelRequest::Original(original) => Self::Chat(original.translated()?.chat.clone()),
        })
    }
}

/// A request that one candidate can be sent.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a call, and moved only a few times")]
pub(super) enum PreparedRequest {
    Chat(ChatRequest),
    Embed(EmbeddingRequest),
    Passed(PassedRequest),
}

impl PreparedRequest {
    /// Whether this failure says that the server has no path for the request, which it then gets translated.
    pub(super) fn has_no_path(&self, failure: &VendorFailure) -> bool {
        let is_of_model = |said: &VendorRefusal| {
            let is = |name: &str, value: &str| said.error.get(name).is_some_and(|member| member == value);
            is("code", "model_not_found") || is("param", "model")
        };
        matches!(self, Self::Passed(passed) if passed.protocol() == WireProtocol::Responses)
            && matches!(failure.status, Some(404 | 405 | 501))
            && !failure.said.as_deref().is_some_and(is_of_model)
    }

    /// Sets the limit of output tokens, of a client's own request.
    pub(super) fn limit_output(&mut self, limit: u64) {
        match self {
            Self::Chat(request) if request.max_completion_tokens.is_none() => {
                request.max_tokens = Some(limit);
            }
            Self::Chat(request) => request.max_completion_tokens = Some(limit),
            Self::Passed(passed) => passed.limit = Some(limit),
            Self::Embed(_) => {}
        }
    }

    /// Whether the answer comes bit by bit.
    pub(super) fn is_stream(&self) -> bool {
        match self {
            Self::Chat(request) => request.stream,
            Self::Embed(_) => false,
            Self::Passed(passed) => passed.original.is_stream(),
        }
    }

    /// Sends it and waits for an answer, or for the first piece of a stream.
    pub(super) async fn send(
        &self,
        client: &VendorClient,
        hold: &Hold,
        endpoint: &VendorEndpoint,
        deadlines: &CallDeadlines,
    ) -> Result<AttemptOutput, VendorFailure> {
        match self {
            Self::Chat(request) if request.stream => {
                let stream = client.stream(hold, endpoint, request, deadlines).await?;
                Ok(AttemptOutput::Stream(Box::new(stream)))
            }
            Self::Chat(request) => {
                let whole = client.chat(hold, endpoint, request, &deadlines.of_whole()).await?;
                Ok(AttemptOutput::Chat(Box::new(whole)))
            }
            Self::Embed(request) => {
                let (vectors, usage) = client.embeddings(hold, endpoint, request, deadlines).await?;
                Ok(AttemptOutput::Vectors(vectors, usage))
            }
            Self::Passed(passed) if passed.original.is_stream() => {
                let stream = client.pass_stream(hold, endpoint, passed, deadlines).await?;
                Ok(AttemptOutput::PassedStream(Box::new(stream)))
            }
            Self::Passed(passed) => {
                let (answer, usage) = client.pass(hold, endpoint, passed, &deadlines.of_whole()).await?;
                Ok(AttemptOutput::Passed(answer, usage))
            }
        }
    }
}
