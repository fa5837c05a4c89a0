//! Anthropic's API: messages, and token counting.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::{GatewayApi, openai, target_of};
use crate::actors::gateway::{ModelCall, ModelRequest};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{caller, problem, read_original};
use crate::llm::inbound::anthropic::MessagesRequest;
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};
use crate::llm::passage::{OriginalRequest, WireProtocol};

pub(super) async fn messages(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    openai::answer(&port, &edge, WireProtocol::Messages, request).await
}

/// Anthropic's own count of a request for an Anthropic model; otherwise an estimate with a public tokenizer.
pub(super) async fn count_tokens(State(port): State<GatewayApi>, request: Request) -> Response {
    let caller = caller(request.headers());
    let read = read_original(WireProtocol::Messages, request).await;
    let (original, caller) = match read.and_then(|original| Ok((Arc::new(original), caller?))) {
        Ok(read) => read,
        Err(wrong) => return problem(&wrong, ApiFormat::Anthropic),
    };
    let (target, ask) = (target_of(&original), ModelRequest::Original(Arc::clone(&original)));
    match port.gateway.count_tokens(ModelCall::new(caller, target, ask)).await {
        Some(Ok(tokens)) => Json(json!({ "input_tokens": tokens })).into_response(),
        Some(Err(failure)) => problem(&ApiProblem::from(&failure), ApiFormat::Anthropic),
        None => estimated(&port, &original).await,
    }
}

async fn estimated(port: &GatewayApi, original: &OriginalRequest) -> Response {
    let counted = match original.read_as::<MessagesRequest>().and_then(MessagesRequest::into_counted) {
        Ok(chat) => {
            let counted = port.gateway.count_chat(chat).await;
            counted.ok_or_else(|| ApiProblem::new(ProblemKind::Internal, "cannot count the tokens"))
        }
        Err(wrong) => Err(wrong),
    };
    match counted {
        Ok(tokens) => Json(json!({ "input_tokens": tokens })).into_response(),
        Err(wrong) => problem(&wrong, ApiFormat::Anthropic),
    }
}
