//! OpenAI's API: chat completions, responses, embeddings.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::{GatewayApi, target_of};
use crate::actors::gateway::{ModelCall, ModelRequest, ModelTarget};
use crate::domain::provider_router::{CallLimits, CallRequirements, RoutingOptimization};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{ReplyFormat, caller, embed, problem, read, reply};
use crate::llm::chat::ChatRequest;
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::inbound::responses::ResponsesRequest;
use crate::llm::inbound::{ApiFormat, ApiProblem};

pub(super) async fn chat(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    match read::<ChatRequest>(request).await {
        Ok(request) => {
            let style = ReplyFormat::chat(&request);
            answer(&port, &edge, &headers, request, style).await
        }
        Err(wrong) => problem(&wrong, ApiFormat::OpenAi),
    }
}

pub(super) async fn responses(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let read = read::<ResponsesRequest>(request).await;
    let chat = read.and_then(|request| {
        let style = ReplyFormat::Responses(Box::new(request.echo()));
        Ok((request.into_chat()?, style))
    });
    match chat {
        Ok((request, style)) => answer(&port, &edge, &headers, request, style).await,
        Err(wrong) => problem(&wrong, ApiFormat::OpenAi),
    }
}

/// Answers a chat of any inbound format.
pub(super) async fn answer(
    port: &GatewayApi,
    edge: &EdgeInfo,
    headers: &HeaderMap,
    request: ChatRequest,
    style: ReplyFormat,
) -> Response {
    let form = style.form();
    let call = check(&request).and_then(|()| {
        Ok(ModelCall::new(caller(headers)?, target_of(&request), ModelRequest::Chat(request)))
    });
    match call {
        Ok(call) => reply(&port.gateway, call, style, edge).await,
        Err(wrong) => problem(&wrong, form),
    }
}

fn check(request: &ChatRequest) -> Result<(), ApiProblem> {
    if request.model.is_empty() {
        return Err(ApiProblem::invalid("model", "name a model, `provider/model`, or `auto`"));
    }
    if request.messages.is_empty() {
        return Err(ApiProblem::invalid("messages", "at least one message is required"));
    }
    Ok(())
}

pub(super) async fn embeddings(State(port): State<GatewayApi>, request: Request) -> Response {
    let headers = request.headers().clone();
    let call = read::<EmbeddingRequest>(request).await.and_then(|request| {
        let requirements =
            CallRequirements { model: request.model.clone(), context_window: None, features: Vec::new() };
        let (optimization, limits) = (RoutingOptimization::default(), CallLimits::default());
        let target = ModelTarget::Routed { requirements, optimization, limits };
        Ok(ModelCall::new(caller(&headers)?, target, ModelRequest::Embed(request)))
    });
    match call {
        Ok(call) => embed(&port.gateway, call, ApiFormat::OpenAi, |embedded| json!(embedded.answer)).await,
        Err(wrong) => problem(&wrong, ApiFormat::OpenAi),
    }
}
