//! Gemini's API: answers whole and streamed, token counting, embeddings, models.
//!
//! A path ends in a model and a method: `/v1beta/models/gemini-3.8-flash:generateContent`.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::models::{described, list_for_gemini};
use super::openai::{self, embedding_call};
use super::{GatewayApi, target_of};
use crate::actors::gateway::{GatewayCaller, ModelCall, ModelRequest};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{ReplyFormat, caller, embed, problem, read, read_generate};
use crate::llm::inbound::gemini::{BatchEmbedRequest, EmbedRequest, GenerateRequest, embeddings};
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};
use crate::llm::passage::{GenerateTarget, OriginalRequest};

const FORM: ApiFormat = ApiFormat::Gemini;

pub(super) async fn models(State(port): State<GatewayApi>) -> Json<Value> {
    list_for_gemini(&port.gateway).await
}

pub(super) async fn model(State(port): State<GatewayApi>, Path(id): Path<String>) -> Response {
    described(&port.gateway, &id, FORM).await
}

/// Calls a model's method.
pub(super) async fn call(
    State(port): State<GatewayApi>,
    Extension(edge): Extension<EdgeInfo>,
    Path(named): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let (model, method) = named.rsplit_once(':').unwrap_or((&named, ""));
    let target = |is_stream| GenerateTarget { model: model.to_owned(), is_stream };
    let caller = caller(request.headers());
    match method {
        "generateContent" => {
            let original = read_generate(target(false), request).await;
            openai::answer_original(&port, &edge, caller, original, ReplyFormat::Client, FORM).await
        }
        "streamGenerateContent" => {
            let style = if is_sse(query.as_deref()) { ReplyFormat::Client } else { ReplyFormat::GeminiList };
            let original = read_generate(target(true), request).await;
            openai::answer_original(&port, &edge, caller, original, style, FORM).await
        }
        "embedContent" => embed_texts(&port, caller, model, read::<EmbedRequest>(request).await, false).await,
        "batchEmbedContents" => {
            embed_texts(&port, caller, model, read::<BatchEmbedRequest>(request).await, true).await
        }
        "countTokens" => count_tokens(&port, caller, read_generate(target(false), request).await).await,
        _ => {
            let why = format!(
                "`{named}` is not served here; after the model's name `:generateContent`, \
                 `:streamGenerateContent`, `:countTokens`, `:embedContent` and `:batchEmbedContents` are"
            );
            problem(&ApiProblem::new(ProblemKind::NoPath, why), FORM)
        }
    }
}

fn is_sse(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|part| part == "alt=sse")
}

/// Embeds the texts of a request, by any provider.
async fn embed_texts<T: Into<BatchEmbedRequest>>(
    port: &GatewayApi,
    caller: Result<GatewayCaller, ApiProblem>,
    model: &str,
    request: Result<T, ApiProblem>,
    is_batch: bool,
) -> Response {
    let asked = request.and_then(|request| {
        let request: BatchEmbedRequest = request.into();
        Ok((request.into_embedding(model.to_owned())?, caller?))
    });
    match asked {
        Ok((asked, caller)) => {
            let call = embedding_call(caller, asked);
            embed(&port.gateway, call, FORM, |embedded| embeddings(embedded.answer, is_batch)).await
        }
        Err(wrong) => problem(&wrong, FORM),
    }
}

/// Gemini's own count of a request for its model; otherwise an estimate with a public tokenizer.
async fn count_tokens(
    port: &GatewayApi,
    caller: Result<GatewayCaller, ApiProblem>,
    original: Result<OriginalRequest, ApiProblem>,
) -> Response {
    let (original, caller) = match original.and_then(|original| Ok((Arc::new(original), caller?))) {
        Ok(read) => read,
        Err(wrong) => return problem(&wrong, FORM),
    };
    let (target, ask) = (target_of(&original), ModelRequest::Original(Arc::clone(&original)));
    let counted = match port.gateway.count_tokens(ModelCall::new(caller, target, ask)).await {
        Some(counted) => counted.map_err(|failure| ApiProblem::from(&failure)),
        None => estimated(port, &original).await,
    };
    match counted {
        Ok(tokens) => Json(json!({ "totalTokens": tokens })).into_response(),
        Err(wrong) => problem(&wrong, FORM),
    }
}

async fn estimated(port: &GatewayApi, original: &OriginalRequest) -> Result<u64, ApiProblem> {
    let chat = original.read_as::<GenerateRequest>()?.into_counted()?;
    let counted = port.gateway.count_chat(chat).await;
    counted.ok_or_else(|| ApiProblem::new(ProblemKind::Internal, "cannot count the tokens"))
}
