//! The list of models, in the form of OpenAI's clients, Anthropic's or Gemini's.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::GatewayApi;
use crate::actors::gateway::{GatewayHandle, ModelCatalogue};
use crate::actors::provider_router::ProviderFilter;
use crate::domain::provider_router::model_name::RETIRED;
use crate::domain::provider_router::{ModelName, RegisteredProvider};
use crate::domain::time::Timestamp;
use crate::http::model::problem;
use crate::llm::catalogue::{self, ModelKind};
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};
use crate::llm::model_caller::ModelCaller as _;

/// All models that are known, callable or not, with prices, sources and ends.
pub(super) async fn catalogue(State(port): State<GatewayApi>) -> Json<ModelCatalogue> {
    Json(port.gateway.catalogue())
}

/// A callable model.
struct ListedModel {
    id: String,
    owner: String,
    since: Timestamp,
    /// Tokens, if known.
    window: Option<u64>,
}

impl ListedModel {
    fn of(provider: &RegisteredProvider) -> Self {
        let owner = provider.vendor().unwrap_or(&provider.name).to_owned();
        let window = Some(provider.context_window);
        Self { id: provider.model.clone(), owner, since: provider.registered_at, window }
    }

    fn json(&self, form: ApiFormat) -> Value {
        match form {
            ApiFormat::Anthropic => json!({
                "type": "model", "id": self.id, "display_name": self.id, "created_at": self.since,
            }),
            ApiFormat::Gemini => json!({
                "name": format!("models/{}", self.id), "displayName": self.id, "version": "1",
                "inputTokenLimit": self.window,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
            }),
            _ => json!({
                "id": self.id, "object": "model", "created": self.since.as_millis() / 1_000,
                "owned_by": self.owner,
            }),
        }
    }
}

/// The models that can be called: those with a provider that their vendors still serve, and embedding models. Just
/// after a start it waits for the first look at them, as half a list is taken for the whole.
async fn models(gateway: &GatewayHandle) -> Vec<ListedModel> {
    gateway.settled().await;
    let seen = gateway.router().providers(&ProviderFilter::default());
    let is_served = |provider: &RegisteredProvider| provider.metadata.get(RETIRED).is_none();
    let chats = seen.iter().filter(|seen| is_served(&seen.provider));
    let chats = chats.map(|seen| (seen.provider.model.clone(), ListedModel::of(&seen.provider)));
    let embeds = gateway.catalogue().models.into_iter();
    let embeds = embeds.filter(|entry| entry.kind == ModelKind::Embedding && entry.callable);
    let embeds = embeds.map(|entry| {
        let since = Timestamp::from_millis(0);
        let window = catalogue::context_window(&entry.model);
        (entry.model.clone(), ListedModel { id: entry.model, owner: entry.provider, since, window })
    });
    let found: BTreeMap<String, ListedModel> = embeds.chain(chats).collect();
    found.into_values().collect()
}

/// Anthropic's clients send this header with every call.
fn form_of(headers: &HeaderMap) -> ApiFormat {
    if headers.contains_key("anthropic-version") { ApiFormat::Anthropic } else { ApiFormat::OpenAi }
}

pub(super) async fn list(State(port): State<GatewayApi>, headers: HeaderMap) -> Json<Value> {
    let (models, form) = (models(&port.gateway).await, form_of(&headers));
    let data: Vec<Value> = models.iter().map(|model| model.json(form)).collect();
    Json(match form {
        ApiFormat::Anthropic => json!({
            "data": data, "has_more": false, "first_id": models.first().map(|model| &model.id),
            "last_id": models.last().map(|model| &model.id),
        }),
        _ => json!({ "object": "list", "data": data }),
    })
}

pub(super) async fn one(
    State(port): State<GatewayApi>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    described(&port.gateway, &id, form_of(&headers)).await
}

/// The models that answer, in Gemini's form.
pub(super) async fn list_for_gemini(gateway: &GatewayHandle) -> Json<Value> {
    let answers = models(gateway).await.into_iter().filter(|model| catalogue::embedder(&model.id).is_none());
    let models: Vec<Value> = answers.map(|model| model.json(ApiFormat::Gemini)).collect();
    Json(json!({ "models": models }))
}

/// One model by any of its names.
pub(super) async fn described(gateway: &GatewayHandle, id: &str, form: ApiFormat) -> Response {
    let all = models(gateway).await;
    let seen = gateway.router().providers(&ProviderFilter::default());
    let named = |name: &str| {
        let name = ModelName::parse(name);
        seen.iter().find(|seen| name.fits(&seen.provider))
    };
    // Other names of a model: dated, an alias, with another word for its vendor.
    let resolved = || {
        named(&catalogue::resolve(id).map(|found| format!("{}/{}", found.facts.vendor, found.facts.model))?)
    };
    let listed = || all.into_iter().find(|model| model.id == id);
    match named(id).or_else(resolved) {
        Some(seen) => Json(ListedModel::of(&seen.provider).json(form)).into_response(),
        None => match listed() {
            Some(model) => Json(model.json(form)).into_response(),
            None => {
                let text = format!("no provider serves `{id}`; GET /v1/models lists the models");
                problem(&ApiProblem::new(ProblemKind::NoModel, text), form)
            }
        },
    }
}
