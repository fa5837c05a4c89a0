//! Ollama's own API on 8050 and 8051, so that Ollama clients work unchanged.
//!
//! `POST /generate` follows the contract: not streamed unless asked. Below `/api` the defaults are
//! Ollama's: streamed unless asked otherwise. Calls on a model's files (pull, create, delete) are not
//! served: they belong to the local server.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ModelAdapter;
use crate::actors::gateway::{EmbeddingAnswer, LOCAL_MODELS, ModelCall, ModelRequest, ModelTarget};
use crate::http::edge_info::EdgeInfo;
use crate::http::model::{self, ReplyFormat, caller, problem, read};
use crate::llm::embedding::EmbeddingRequest;
use crate::llm::inbound::ollama::{ChatCall, GenerateCall, OllamaShape};
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};
use crate::llm::{Vendor, catalogue};

/// The version whose API is served: clients check it before they use newer calls.
const API_VERSION: &str = "0.13.0";

pub(super) fn routes() -> Router<ModelAdapter> {
    Router::new()
        .route("/generate", post(generate))
        .route("/api/generate", post(api_generate))
        .route("/api/chat", post(chat))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(running))
        .route("/api/show", post(show))
        .route("/api/version", get(version))
        .route("/api/embed", post(embed))
        .route("/api/embeddings", post(embeddings))
}

pub(super) async fn generate(
    State(adapter): State<ModelAdapter>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    generated(&adapter, &edge, request, false).await
}

async fn api_generate(
    State(adapter): State<ModelAdapter>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    generated(&adapter, &edge, request, true).await
}

async fn generated(adapter: &ModelAdapter, edge: &EdgeInfo, request: Request, stream: bool) -> Response {
    let headers = request.headers().clone();
    match read::<GenerateCall>(request).await.and_then(|call| call.into_chat(stream)) {
        Ok(chat) => {
            adapter
                .answer(edge, &headers, adapter.canonical(chat), ReplyFormat::ollama(OllamaShape::Generate))
                .await
        }
        Err(wrong) => problem(&wrong, ApiFormat::Ollama),
    }
}

async fn chat(
    State(adapter): State<ModelAdapter>,
    Extension(edge): Extension<EdgeInfo>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    match read::<ChatCall>(request).await {
        Ok(call) => {
            adapter
                .answer(
                    &edge,
                    &headers,
                    adapter.canonical(call.into_chat(true)),
                    ReplyFormat::ollama(OllamaShape::Chat),
                )
                .await
        }
        Err(wrong) => problem(&wrong, ApiFormat::Ollama),
    }
}

/// The details of a model that are known without its files.
fn details(model: &str) -> Value {
    let known = LOCAL_MODELS.iter().find(|local| local.model == model);
    json!({
        "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
        "parameter_size": known.map_or("", |local| local.parameters),
        "quantization_level": known.map_or("", |local| local.quantization),
    })
}

async fn tags(State(adapter): State<ModelAdapter>) -> Json<Value> {
    let model = |name: &String| json!({ "name": name, "model": name, "details": details(name) });
    let models: Vec<Value> = adapter.models().await.iter().map(model).collect();
    Json(json!({ "models": models }))
}

#[derive(Deserialize)]
struct ShowCall {
    #[serde(alias = "name")]
    model: String,
}

async fn show(State(adapter): State<ModelAdapter>, request: Request) -> Response {
    let model = match read::<ShowCall>(request).await {
        Ok(show) => show.model,
        Err(wrong) => return problem(&wrong, ApiFormat::Ollama),
    };
    if !adapter.models().await.contains(&model) {
        return problem(
            &ApiProblem::new(ProblemKind::NoModel, format!("model '{model}' not found")),
            ApiFormat::Ollama,
        );
    }
    let facts = catalogue::find(Vendor::Ollama, &model);
    let mut capabilities = vec!["completion"];
    if facts.is_some_and(|facts| facts.features.tools) {
        capabilities.push("tools");
    }
    Json(json!({
        "modelfile": "", "parameters": "", "template": "", "details": details(&model),
        "model_info": {
            "general.architecture": "llama",
            "llama.context_length": facts.map(|facts| facts.context_window),
        },
        "capabilities": capabilities,
    }))
    .into_response()
}

async fn version() -> Json<Value> {
    Json(json!({ "version": API_VERSION }))
}

#[derive(Deserialize)]
struct EmbedCall {
    #[serde(default)]
    model: String,
    #[serde(alias = "prompt")]
    input: Value,
    #[serde(default)]
    dimensions: Option<u64>,
}

async fn embed(State(adapter): State<ModelAdapter>, request: Request) -> Response {
    let body = |embedded: EmbeddingAnswer| {
        let vectors: Vec<&Value> = embedded.answer.data.iter().map(|one| &one.embedding).collect();
        json!({
            "model": embedded.by.model, "embeddings": vectors,
            "prompt_eval_count": embedded.usage.map(|usage| usage.prompt()),
        })
    };
    embedded(&adapter, request, body).await
}

/// The form before `/api/embed`: one text, one vector.
async fn embeddings(State(adapter): State<ModelAdapter>, request: Request) -> Response {
    let body = |embedded: EmbeddingAnswer| json!({ "embedding": embedded.answer.data.first().map(|one| &one.embedding) });
    embedded(&adapter, request, body).await
}

async fn embedded(
    adapter: &ModelAdapter,
    request: Request,
    body: impl FnOnce(EmbeddingAnswer) -> Value,
) -> Response {
    let headers = request.headers().clone();
    let call = read::<EmbedCall>(request).await.and_then(|call| {
        let model = if call.model.is_empty() { adapter.kind.model().to_owned() } else { call.model };
        let EmbedCall { input, dimensions, .. } = EmbedCall { model: String::new(), ..call };
        let ask =
            ModelRequest::Embed(EmbeddingRequest { model, input, dimensions, ..EmbeddingRequest::default() });
        Ok(ModelCall::new(caller(&headers)?, ModelTarget::Pinned(Vendor::Ollama), ask))
    });
    match call {
        Ok(call) => model::embed(&adapter.gateway, call, ApiFormat::Ollama, body).await,
        Err(wrong) => problem(&wrong, ApiFormat::Ollama),
    }
}

/// The models loaded by the local server, passed on unchanged.
async fn running(State(adapter): State<ModelAdapter>) -> Response {
    match adapter.gateway.running_locally().await {
        Ok(running) => Json(running).into_response(),
        Err(failure) => problem(&ApiProblem::from(&failure), ApiFormat::Ollama),
    }
}
