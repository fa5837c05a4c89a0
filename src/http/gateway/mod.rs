//! Port 6120: the gateway. Its own API, and those of OpenAI, Anthropic and Gemini.

mod anthropic;
mod budgets;
mod gemini;
mod models;
pub(super) mod money;
mod openai;
mod route;

use axum::Router;
use axum::routing::{get, post};

use crate::actors::gateway::{GatewayHandle, ModelTarget};
use crate::domain::provider_router::{CallLimits, CallRequirements, ModelName, RoutingOptimization};
use crate::llm::chat::{ChatContent, ChatRequest, ContentPart, KnownPart};
use crate::llm::passage::OriginalRequest;

#[derive(Clone)]
struct GatewayApi {
    gateway: GatewayHandle,
}

pub fn routes(gateway: GatewayHandle) -> Router {
    Router::new()
        .route("/route", post(route::route))
        .route("/metrics", get(money::metrics))
        .route("/receipts/{run_id}", get(money::receipts))
        .route("/budget", post(money::set_budget))
        .route("/budget/{run_id}", get(money::budget))
        .route("/budgets", get(budgets::list))
        .route("/budgets/{scope}", get(budgets::one).put(budgets::set).delete(budgets::lift))
        .route("/catalogue", get(models::catalogue))
        .route("/v1beta/models", get(gemini::models))
        .route("/v1beta/models/{*id}", get(gemini::model).post(gemini::call))
        .nest("/v1", vendor_apis())
        // For clients whose base URL lacks `/v1`, and for those of Gemini's form of OpenAI's API.
        .merge(vendor_apis())
        .nest("/v1beta/openai", openai_api())
        .with_state(GatewayApi { gateway })
}

/// OpenAI's API, Anthropic's and the first version of Gemini's, whose paths are apart.
fn vendor_apis() -> Router<GatewayApi> {
    openai_api()
        .route("/messages", post(anthropic::messages))
        .route("/messages/count_tokens", post(anthropic::count_tokens))
        .route("/models/{*id}", post(gemini::call))
}

fn openai_api() -> Router<GatewayApi> {
    Router::new()
        .route("/chat/completions", post(openai::chat))
        .route("/completions", post(openai::completions))
        .route("/responses", post(openai::responses))
        .route("/embeddings", post(openai::embeddings))
        .route("/models", get(models::list))
        .route("/models/{*id}", get(models::one))
}

/// The requirements of a chat. Only `auto` asks for features: a caller that names a model knows the model's
/// features, and providers need not list any.
fn target_of(original: &OriginalRequest) -> ModelTarget {
    let model = original.model().to_owned();
    let mut requirements = CallRequirements { model, context_window: None, features: Vec::new() };
    if matches!(ModelName::parse(original.model()), ModelName::Auto(_)) {
        // Plain text has about four bytes per token: excludes context windows that are surely too small.
        requirements.context_window = Some((original.weight().text_bytes / 4).max(1));
        if let Ok(translated) = original.translated() {
            requirements.features.extend(needed(&translated.chat).map(str::to_owned));
        }
    }
    ModelTarget::Routed {
        requirements,
        optimization: RoutingOptimization::default(),
        limits: CallLimits::default(),
    }
}

fn needed(request: &ChatRequest) -> impl Iterator<Item = &'static str> {
    let sees = request.messages.iter().any(|message| match &message.content {
        Some(ChatContent::Parts(parts)) => {
            parts.iter().any(|part| matches!(part, ContentPart::Known(KnownPart::ImageUrl { .. })))
        }
        _ => false,
    });
    [("tools", !request.tools.is_empty()), ("images", sees)]
        .into_iter()
        .filter_map(|(name, is_needed)| is_needed.then_some(name))
}
