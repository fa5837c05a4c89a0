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
use crate::llm::chat::{ChatContent, ChatRequest, ContentPart, KnownPart};
use crate::llm::inbound::anthropic::MessagesRequest;
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};
use crate::llm::passage::{OriginalRequest, WireProtocol};
use crate::skills::tokens::{IDLE, TokenCounter};

/// Tokens per message on top of the text (OpenAI's cookbook, "How to count tokens"; Anthropic's figure
/// is not public and about the same).
const MESSAGE: u64 = 4;
/// Tokens of a picture of a megapixel at Anthropic.
const PICTURE: u64 = 1_334;

pub(super) async fn messages(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    openai::answer(&port, &edge, WireProtocol::Messages, request).await
}

/// Anthropic's own count of a request for one of its models; otherwise an estimate with a public tokenizer.
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
        Ok(request) => {
            let counter = std::sync::Arc::clone(&port.counter);
            // The first count loads the tokenizer's table, which takes a few tenths of a second.
            tokio::task::spawn_blocking(move || count(&counter, &request))
                .await
                .map_err(|_| ApiProblem::new(ProblemKind::Internal, "cannot count the tokens"))
        }
        Err(wrong) => Err(wrong),
    };
    let counter = std::sync::Arc::clone(&port.counter);
    port.gateway.run_detached(async move {
        tokio::time::sleep(IDLE).await;
        counter.release(IDLE);
    });
    match counted {
        Ok(tokens) => Json(json!({ "input_tokens": tokens })).into_response(),
        Err(wrong) => problem(&wrong, ApiFormat::Anthropic),
    }
}

fn count(counter: &TokenCounter, request: &ChatRequest) -> u64 {
    let text = |text: &str| counter.count(text, Some(&request.model));
    let part = |part: &ContentPart| match part {
        ContentPart::Known(KnownPart::Text { text: said, .. }) => text(said),
        ContentPart::Known(KnownPart::ImageUrl { .. }) => PICTURE,
        ContentPart::Other(value) => text(&value.to_string()),
    };
    let messages = request.messages.iter().map(|message| {
        let said = match &message.content {
            None => 0,
            Some(ChatContent::Text(said)) => text(said),
            Some(ChatContent::Parts(parts)) => parts.iter().map(part).sum(),
        };
        let calls = message.tool_calls.iter();
        let calls: u64 = calls.map(|call| text(&call.function.name) + text(&call.function.arguments)).sum();
        said + calls + MESSAGE
    });
    let tools = request.tools.iter().filter_map(|tool| serde_json::to_string(tool).ok());
    messages.sum::<u64>() + tools.map(|tool| text(&tool)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_tools_and_pictures_count() {
        let counter = TokenCounter::default();
        let tokens = |body: serde_json::Value| {
            let request: MessagesRequest = serde_json::from_value(body).unwrap();
            count(&counter, &request.into_counted().unwrap())
        };
        let hello = tokens(
            json!({"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello, world"}]}),
        );
        assert_eq!(hello, 3 + MESSAGE);
        let with_tool = tokens(json!({"model": "claude-haiku-4-5",
            "tools": [{"name": "w", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Hello, world"}]}));
        assert!(with_tool > hello);
        let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
        let seen = tokens(json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "image", "source": source}]}]}));
        assert_eq!(seen, PICTURE + MESSAGE);
    }
}
