//! Port 6120: the gateway. Its own calls, and those of OpenAI and Anthropic.

mod anthropic;
mod budgets;
mod models;
pub(super) mod money;
mod openai;
mod route;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::actors::gateway::{Gateway, Target, bound};
use crate::domain::routing::{Limits, ModelName, Optimization, Requirements};
use crate::llm::chat::{ChatRequest, Content, KnownPart, Part};
use crate::skills::tokens::TokenCounter;

/// What the handlers work with.
#[derive(Clone)]
struct Port {
    gateway: Gateway,
    counter: Arc<TokenCounter>,
}

/// The routes of this port, without the common ones.
pub fn routes(gateway: Gateway) -> Router {
    Router::new()
        .route("/route", post(route::route))
        .route("/metrics", get(money::metrics))
        .route("/receipts/{run_id}", get(money::receipts))
        .route("/budget", post(money::set_budget))
        .route("/budget/{run_id}", get(money::budget))
        .route("/budgets", get(budgets::list))
        .route("/budgets/{scope}", get(budgets::one).put(budgets::set).delete(budgets::lift))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/responses", post(openai::responses))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/messages", post(anthropic::messages))
        .route("/v1/messages/count_tokens", post(anthropic::count_tokens))
        .with_state(Port { gateway, counter: Arc::new(TokenCounter::default()) })
}

/// Whoever serves the model that a chat names. Only `auto` asks for features: who names a model knows
/// what it can, and providers need not list what they can do.
fn target_of(request: &ChatRequest) -> Target {
    let mut requirements =
        Requirements { model: request.model.clone(), context_window: None, features: Vec::new() };
    if matches!(ModelName::parse(&request.model), ModelName::Auto(_)) {
        // Plain text has about four bytes a token: what is surely too small is left out.
        requirements.context_window = Some((bound::prompt(request) / 4).max(1));
        requirements.features.extend(needed(request).map(str::to_owned));
    }
    Target::Routed { requirements, optimization: Optimization::default(), limits: Limits::default() }
}

fn needed(request: &ChatRequest) -> impl Iterator<Item = &'static str> {
    let sees = request.messages.iter().any(|message| match &message.content {
        Some(Content::Parts(parts)) => {
            parts.iter().any(|part| matches!(part, Part::Known(KnownPart::ImageUrl { .. })))
        }
        _ => false,
    });
    [("tools", !request.tools.is_empty()), ("images", sees)]
        .into_iter()
        .filter_map(|(name, is_needed)| is_needed.then_some(name))
}
