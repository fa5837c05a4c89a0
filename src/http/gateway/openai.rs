//! OpenAI's API: chat completions, completions of a text, responses, embeddings.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use super::{GatewayApi, target_of};
use crate::actors::gateway::{GatewayCaller, ModelCall, ModelRequest, ModelTarget};
use crate::domain::provider_router::{CallLimits, CallRequirements, RoutingOptimization};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{ReplyFormat, caller, embed, problem, read, read_original, reply};
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::inbound::{ApiFormat, ApiProblem};
use crate::llm::passage::{OriginalRequest, WireProtocol};

pub(super) async fn chat(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    answer(&port, &edge, WireProtocol::Chat, request).await
}

pub(super) async fn completions(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    answer(&port, &edge, WireProtocol::Completions, request).await
}

pub(super) async fn responses(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    answer(&port, &edge, WireProtocol::Responses, request).await
}

/// Answers a chat in any protocol.
pub(super) async fn answer(
    port: &GatewayApi,
    edge: &EdgeInfo,
    protocol: WireProtocol,
    request: Request,
) -> Response {
    let caller = caller(request.headers());
    let original = read_original(protocol, request).await;
    answer_original(port, edge, caller, original, ReplyFormat::Client, protocol.format()).await
}

/// Answers a request that has been read, in the form of its client.
pub(super) async fn answer_original(
    port: &GatewayApi,
    edge: &EdgeInfo,
    caller: Result<GatewayCaller, ApiProblem>,
    original: Result<OriginalRequest, ApiProblem>,
    style: impl FnOnce(Arc<OriginalRequest>) -> ReplyFormat,
    form: ApiFormat,
) -> Response {
    let call = original.and_then(|original| {
        check(&original)?;
        let original = Arc::new(original);
        let style = style(Arc::clone(&original));
        Ok((ModelCall::new(caller?, target_of(&original), ModelRequest::Original(original)), style))
    });
    match call {
        Ok((call, style)) => reply(&port.gateway, call, style, edge).await,
        Err(wrong) => problem(&wrong, form),
    }
}

fn check(original: &OriginalRequest) -> Result<(), ApiProblem> {
    if original.model().is_empty() {
        return Err(ApiProblem::invalid("model", "name a model, `provider/model`, or `auto`"));
    }
    Ok(())
}

pub(super) async fn embeddings(State(port): State<GatewayApi>, request: Request) -> Response {
    let headers = request.headers().clone();
    let call = read::<EmbeddingRequest>(request).await;
    let call = call.and_then(|request| Ok(embedding_call(caller(&headers)?, request)));
    match call {
        Ok(call) => embed(&port.gateway, call, ApiFormat::OpenAi, |embedded| json!(embedded.answer)).await,
        Err(wrong) => problem(&wrong, ApiFormat::OpenAi),
    }
}

/// A call for embeddings, by any provider of the model.
pub(super) fn embedding_call(caller: GatewayCaller, request: EmbeddingRequest) -> ModelCall {
    let requirements =
        CallRequirements { model: request.model.clone(), context_window: None, features: Vec::new() };
    let (optimization, limits) = (RoutingOptimization::default(), CallLimits::default());
    let target = ModelTarget::Routed { requirements, optimization, limits };
    ModelCall::new(caller, target, ModelRequest::Embed(request))
}
