//! Anthropic's calls: messages, and the counting of their tokens.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::{Port, openai};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{Style, problem, read};
use crate::llm::chat::{ChatRequest, Content, KnownPart, Part};
use crate::llm::surface::anthropic::MessagesRequest;
use crate::llm::surface::{Form, Problem, ProblemKind};
use crate::skills::tokens::{IDLE, TokenCounter};

/// Tokens that a message costs beside its text (OpenAI's cookbook, "How to count tokens"; Anthropic's
/// own figure is not public and about the same).
const MESSAGE: u64 = 4;
/// Tokens of a picture of a megapixel at Anthropic.
const PICTURE: u64 = 1_334;

pub(super) async fn messages(
    State(port): State<Port>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    match read::<MessagesRequest>(request).await.and_then(MessagesRequest::into_chat) {
        Ok(request) => openai::answer(&port, &edge, &headers, request, Style::Messages).await,
        Err(wrong) => problem(&wrong, Form::Anthropic),
    }
}

/// Counts with a public table, because Anthropic's is not: an estimate, as Anthropic says its own is.
pub(super) async fn count_tokens(State(port): State<Port>, request: Request) -> Response {
    let counted = match read::<MessagesRequest>(request).await.and_then(MessagesRequest::into_counted) {
        Ok(request) => {
            let counter = std::sync::Arc::clone(&port.counter);
            // The first count loads a table, which takes some tenths of a second.
            tokio::task::spawn_blocking(move || count(&counter, &request))
                .await
                .map_err(|_| Problem::new(ProblemKind::Internal, "the tokens could not be counted"))
        }
        Err(wrong) => Err(wrong),
    };
    let counter = std::sync::Arc::clone(&port.counter);
    port.gateway.look_after(async move {
        tokio::time::sleep(IDLE).await;
        counter.release(IDLE);
    });
    match counted {
        Ok(tokens) => Json(json!({ "input_tokens": tokens })).into_response(),
        Err(wrong) => problem(&wrong, Form::Anthropic),
    }
}

fn count(counter: &TokenCounter, request: &ChatRequest) -> u64 {
    let text = |text: &str| counter.count(text, Some(&request.model));
    let part = |part: &Part| match part {
        Part::Known(KnownPart::Text { text: said, .. }) => text(said),
        Part::Known(KnownPart::ImageUrl { .. }) => PICTURE,
        Part::Other(value) => text(&value.to_string()),
    };
    let messages = request.messages.iter().map(|message| {
        let said = match &message.content {
            None => 0,
            Some(Content::Text(said)) => text(said),
            Some(Content::Parts(parts)) => parts.iter().map(part).sum(),
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
