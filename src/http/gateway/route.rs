//! `POST /route`: a call by requirements, in the contract's own form.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::GatewayApi;
use crate::actors::gateway::{ChatAnswer, GatewayCaller, GatewayError, ModelCall, ModelRequest, ModelTarget};
use crate::domain::accounts::budget::{RunName, ScopeLabel};
use crate::domain::accounts::receipt::wire::ReceiptDocument;
use crate::domain::provider_router::{CallLimits, CallRequirements, RoutingOptimization, TokenPrice};
use crate::domain::time::Timestamp;
use crate::http::check::RequestChecks;
use crate::http::error::{ApiError, ApiResult, LocationStep};
use crate::http::extract::ContractJson;
use crate::http::model::caller;
use crate::llm::VendorFailureKind;
use crate::llm::chat::ChatRequest;
use crate::llm::inbound::usage;

/// Largest context window in tokens (the provider router's contract).
const MAX_CONTEXT: u64 = 2_000_000;
/// Longest latency limit: a day, longer than any call lasts.
const MAX_LATENCY_MS: f64 = 86_400_000.0;

/// The body of `POST /route`.
#[derive(Deserialize)]
pub(super) struct RouteRequest {
    request_id: String,
    #[serde(default)]
    run_id: Option<String>,
    agent: String,
    requirements: CallRequirements,
    #[serde(default)]
    budget: Option<RouteBudget>,
    #[serde(default)]
    optimization: RoutingOptimization,
    #[serde(default)]
    payload: Option<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
struct RouteBudget {
    #[serde(default)]
    max_cost_usd: Option<TokenPrice>,
    #[serde(default)]
    max_latency_ms: Option<f64>,
}

pub(super) async fn route(
    State(port): State<GatewayApi>,
    headers: HeaderMap,
    ContractJson(request): ContractJson<RouteRequest>,
) -> ApiResult<Response> {
    check(&request)?;
    let RouteRequest { request_id, run_id, agent, requirements, budget, optimization, payload } = request;
    let budget = budget.unwrap_or_default();
    let limits = CallLimits {
        max_cost_usd: budget.max_cost_usd.map(TokenPrice::usd),
        max_latency: budget.max_latency_ms.map(|ms| Duration::from_secs_f64(ms / 1e3)),
    };
    let chat = chat(&requirements.model, payload).or_else(|wrong| {
        // Report a missing provider before violations in the payload.
        let choice = port.gateway.router().select(&requirements, optimization, limits);
        choice.map_err(|none| refused(&none.into())).and(Err(wrong))
    })?;
    let named = caller(&headers).map_err(|wrong| ApiError::bad_request(wrong.message))?;
    let caller = GatewayCaller {
        request_id: request_id.clone(),
        run: run(run_id.as_deref(), named.run)?,
        agent: ScopeLabel::new(&agent).map_err(|error| violation("agent", error.to_string()))?,
        ..named
    };
    let run = caller.run.clone();
    let target = ModelTarget::Routed { requirements, optimization, limits };
    match port.gateway.chat(ModelCall::new(caller, target, ModelRequest::Chat(chat))).await {
        Ok(chatted) => Ok(answer(&request_id, &run, chatted)),
        Err(error) => Ok(failed(&error)),
    }
}

fn check(request: &RouteRequest) -> ApiResult<()> {
    let latency = request.budget.as_ref().and_then(|budget| budget.max_latency_ms);
    let window = request.requirements.context_window;
    RequestChecks::body()
        .len("request_id", &request.request_id, 1..=100)
        .len("agent", &request.agent, 1..=128)
        .len("requirements.model", &request.requirements.model, 1..=201)
        .range("requirements.context_window", &window.unwrap_or(1), 1..=MAX_CONTEXT)
        .range("budget.max_latency_ms", &latency.unwrap_or(0.0), 0.0..=MAX_LATENCY_MS)
        .done()
}

fn violation(field: &'static str, msg: String) -> ApiError {
    ApiError::violation(vec!["body".into(), field.into()], "value_error", msg)
}

fn run(stated: Option<&str>, by_header: RunName) -> ApiResult<RunName> {
    match stated.filter(|text| !text.is_empty()) {
        Some(text) => RunName::new(text).map_err(|error| violation("run_id", error.to_string())),
        None => Ok(by_header),
    }
}

/// The payload as a chat, never streamed: the answer here is one document.
fn chat(model: &str, payload: Option<Map<String, Value>>) -> ApiResult<ChatRequest> {
    let mut payload = payload.unwrap_or_default();
    payload.insert("model".to_owned(), json!(model));
    payload.insert("stream".to_owned(), json!(false));
    payload.remove("stream_options");
    let place = || -> Vec<LocationStep> { vec!["body".into(), "payload".into()] };
    let request: ChatRequest = serde_json::from_value(Value::Object(payload))
        .map_err(|error| ApiError::violation(place(), "value_error", error.to_string()))?;
    if request.messages.is_empty() {
        let mut loc = place();
        loc.push("messages".into());
        return Err(ApiError::violation(loc, "missing", "a call needs at least one message"));
    }
    Ok(request)
}

fn answer(request_id: &str, run: &RunName, chatted: ChatAnswer) -> Response {
    let ChatAnswer { answer: mut response, usage: used, receipt, by } = chatted;
    if response.usage.is_none() {
        response.usage = used.as_ref().map(usage::chat);
    }
    let outcome = &receipt.outcome;
    Json(json!({
        "request_id": request_id,
        "run_id": run,
        "status": outcome.status,
        "provider": by.provider,
        "model": by.model,
        "response": response,
        "cost": {
            "input_tokens": outcome.usage.prompt(),
            "output_tokens": outcome.usage.output,
            "cost_usd": outcome.cost.wire(),
            "latency_ms": outcome.latency_ms,
        },
        "alternatives": by.alternatives,
        "timestamp": Timestamp::now(),
    }))
    .into_response()
}

/// The contract's status and sentence for a call without an answer.
fn refused(error: &GatewayError) -> ApiError {
    let text = error.to_string();
    let problem = error.problem();
    let api = match error {
        GatewayError::NoneFits(none) if none.resting == 0 => ApiError::not_found(text),
        GatewayError::NoPrice { .. } | GatewayError::NoKey { .. } | GatewayError::UnknownModel { .. } => {
            ApiError::not_found(text)
        }
        GatewayError::NoneFits(_) | GatewayError::CircuitOpen { .. } => ApiError::busy(text),
        GatewayError::OverBudget(_) => ApiError::too_many(text),
        GatewayError::Failed { failure, .. } => match failure.kind {
            VendorFailureKind::BadRequest
            | VendorFailureKind::ContextTooLong
            | VendorFailureKind::ContentFilter
            | VendorFailureKind::Unsupported => ApiError::bad_request(text),
            _ => ApiError::new(axum::http::StatusCode::BAD_GATEWAY, text),
        },
        GatewayError::Untranslatable(_) => ApiError::bad_request(text),
        GatewayError::Accounts(error) => error.clone().into(),
    };
    match problem.retry_after {
        Some(wait) => api.retry_after(wait),
        None => api,
    }
}

/// The same as a full answer, with the receipt or the remaining budget beside the sentence.
fn failed(error: &GatewayError) -> Response {
    let api = refused(error);
    let mut body: Map<String, Value> = error.problem().more.into_iter().collect();
    if let GatewayError::Failed { receipt: Some(receipt), .. } = error {
        body.insert("receipt".to_owned(), json!(ReceiptDocument::from(&**receipt)));
    }
    body.insert("detail".to_owned(), json!(error.to_string()));
    let (parts, _) = api.into_response().into_parts();
    let mut response = Json(Value::Object(body)).into_response();
    *response.status_mut() = parts.status;
    if let Some(wait) = parts.headers.get(axum::http::header::RETRY_AFTER) {
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, wait.clone());
    }
    response
}
