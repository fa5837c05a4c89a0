//! OpenAI's calls: chat completions, responses, embeddings.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::{Port, target_of};
use crate::actors::gateway::{Ask, Call, Target};
use crate::domain::routing::{Limits, Optimization, Requirements};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{Style, caller, embed, problem, read, reply};
use crate::llm::chat::ChatRequest;
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::surface::responses::ResponsesRequest;
use crate::llm::surface::{Form, Problem};

pub(super) async fn chat(
    State(port): State<Port>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    match read::<ChatRequest>(request).await {
        Ok(request) => {
            let style = Style::chat(&request);
            answer(&port, &edge, &headers, request, style).await
        }
        Err(wrong) => problem(&wrong, Form::OpenAi),
    }
}

pub(super) async fn responses(
    State(port): State<Port>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let read = read::<ResponsesRequest>(request).await;
    let chat = read.and_then(|request| {
        let style = Style::Responses(Box::new(request.echo()));
        Ok((request.into_chat()?, style))
    });
    match chat {
        Ok((request, style)) => answer(&port, &edge, &headers, request, style).await,
        Err(wrong) => problem(&wrong, Form::OpenAi),
    }
}

/// Answers a chat, whatever form it came in.
pub(super) async fn answer(
    port: &Port,
    edge: &EdgeInfo,
    headers: &HeaderMap,
    request: ChatRequest,
    style: Style,
) -> Response {
    let form = style.form();
    let call = check(&request).and_then(|()| {
        Ok(Call { caller: caller(headers)?, target: target_of(&request), ask: Ask::Chat(request) })
    });
    match call {
        Ok(call) => reply(&port.gateway, call, style, edge).await,
        Err(wrong) => problem(&wrong, form),
    }
}

fn check(request: &ChatRequest) -> Result<(), Problem> {
    if request.model.is_empty() {
        return Err(Problem::invalid("model", "name a model, `provider/model`, or `auto`"));
    }
    if request.messages.is_empty() {
        return Err(Problem::invalid("messages", "at least one message is needed"));
    }
    Ok(())
}

pub(super) async fn embeddings(State(port): State<Port>, request: Request) -> Response {
    let headers = request.headers().clone();
    let call = read::<EmbeddingRequest>(request).await.and_then(|request| {
        let requirements =
            Requirements { model: request.model.clone(), context_window: None, features: Vec::new() };
        let (optimization, limits) = (Optimization::default(), Limits::default());
        let target = Target::Routed { requirements, optimization, limits };
        Ok(Call { caller: caller(&headers)?, target, ask: Ask::Embed(request) })
    });
    match call {
        Ok(call) => embed(&port.gateway, call, Form::OpenAi, |embedded| json!(embedded.answer)).await,
        Err(wrong) => problem(&wrong, Form::OpenAi),
    }
}
