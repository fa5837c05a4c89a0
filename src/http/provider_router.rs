//! Port 6103: the provider router.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractPath, ContractQuery};
use super::list::{ListLimits, ListParams};
use super::page::HealthReporter;
use crate::actors::provider_router::{
    CallRequirements, MAX_PROVIDERS, MAX_TEXT_BYTES, NoProviderFits, ProviderFilter, ProviderRouterError,
    ProviderRouterHandle, ProviderSnapshot, RoutingOptimization,
};
use crate::domain::json::or_default;
use crate::domain::provider_router::endpoint::MAX_ENDPOINT;
use crate::domain::provider_router::{CallLimits, ProviderRegistration, ProviderSlo, TokenPrice};
use crate::domain::time::Timestamp;

/// Largest context window in tokens (the contract).
const MAX_CONTEXT: u64 = 2_000_000;
/// Longest name of a provider or model (the contract).
const MAX_NAME: usize = 100;
/// Most features of a provider or a call; vendors list about a dozen.
const MAX_FEATURES: usize = 100;
/// Longest latency limit: a day, longer than any call lasts.
const MAX_LATENCY_MS: f64 = 86_400_000.0;

/// Providers in one answer: by default all, as clients without paging expect.
const PROVIDER_LIMITS: ListLimits = ListLimits { default: MAX_PROVIDERS, max: MAX_PROVIDERS };

pub fn routes(router: ProviderRouterHandle) -> Router {
    Router::new()
        .route("/register", post(register))
        .route("/providers", get(providers))
        .route("/providers/{name}", get(provider).delete(deactivate))
        .route("/select", post(select))
        .route("/stats", get(stats))
        .with_state(router)
}

/// The fields of `/health`: the figures of `/stats`.
#[must_use]
pub fn health(router: ProviderRouterHandle) -> HealthReporter {
    Arc::new(move || {
        let told = [("service", json!("provider_router")), ("registry_stats", json!(router.counts()))];
        let told: Map<_, _> = told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Box::pin(std::future::ready(Ok(told)))
    })
}

async fn register(
    State(router): State<ProviderRouterHandle>,
    ContractJson(registration): ContractJson<ProviderRegistration>,
) -> ApiResult<Json<Value>> {
    check(&registration)?;
    let name = registration.name.clone();
    let action = router.register(registration).await?;
    Ok(Json(json!({
        "status": "success", "action": action, "provider": name, "timestamp": Timestamp::now(),
    })))
}

fn check(registration: &ProviderRegistration) -> ApiResult<()> {
    let slo = registration.slo.unwrap_or_default();
    let ProviderSlo { latency_p95_ms, throughput_rps, availability_percent } = slo;
    let fits = registration.text_bytes() <= MAX_TEXT_BYTES;
    let mut checks = RequestChecks::body();
    checks
        .len("name", &registration.name, 1..=MAX_NAME)
        .len("model", &registration.model, 1..=MAX_NAME)
        .range("context_window", &registration.context_window, 1..=MAX_CONTEXT)
        .len("endpoint", &registration.endpoint, 1..=MAX_ENDPOINT)
        .range("slo.latency_p95_ms", &latency_p95_ms.unwrap_or(0.0), 0.0..=MAX_LATENCY_MS)
        .range("slo.throughput_rps", &throughput_rps.unwrap_or(0.0), 0.0..=f64::MAX)
        .range("slo.availability_percent", &availability_percent.unwrap_or(0.0), 0.0..=100.0)
        .that("metadata", registration.metadata.is_object(), "must be an object")
        .that("metadata", fits, format!("all texts together take at most {MAX_TEXT_BYTES} bytes"));
    features(&mut checks, "features", registration.features.iter()).done()
}

fn features<'f, 'c>(
    checks: &'c mut RequestChecks,
    field: &'static str,
    features: impl ExactSizeIterator<Item = &'f String>,
) -> &'c mut RequestChecks {
    checks.that(field, features.len() <= MAX_FEATURES, format!("takes at most {MAX_FEATURES} items"));
    for feature in features {
        checks.len(field, feature, 1..=MAX_NAME);
    }
    checks
}

/// Typed, so that prices keep every digit.
#[derive(Serialize)]
struct ProviderPage {
    providers: Vec<ProviderSnapshot>,
    count: usize,
    total: usize,
    next_cursor: Option<String>,
    timestamp: Timestamp,
}

async fn providers(
    State(router): State<ProviderRouterHandle>,
    params: ListParams,
    ContractQuery(listing): ContractQuery<ProviderFilter>,
) -> ApiResult<Json<ProviderPage>> {
    let least = listing.min_context.unwrap_or(0);
    RequestChecks::query().range("min_context", &least, 0..=MAX_CONTEXT).done()?;
    let page = params.cut(PROVIDER_LIMITS, router.providers(&listing), |seen| seen.provider.name.clone())?;
    let (providers, total, next_cursor) = page.into_parts();
    let (count, timestamp) = (providers.len(), Timestamp::now());
    Ok(Json(ProviderPage { providers, count, total, next_cursor, timestamp }))
}

async fn provider(
    State(router): State<ProviderRouterHandle>,
    ContractPath(name): ContractPath<String>,
) -> ApiResult<Json<ProviderSnapshot>> {
    router.provider(&name).map(Json).ok_or_else(|| ProviderRouterError::Unknown(name).into())
}

async fn deactivate(
    State(router): State<ProviderRouterHandle>,
    ContractPath(name): ContractPath<String>,
) -> ApiResult<Json<Value>> {
    router.deactivate(name.clone()).await?;
    Ok(Json(json!({
        "status": "success", "action": "deactivated", "provider": name, "timestamp": Timestamp::now(),
    })))
}

#[derive(Deserialize)]
struct SelectBody {
    requirements: CallRequirements,
    #[serde(default, deserialize_with = "or_default")]
    optimization: RoutingOptimization,
    #[serde(default)]
    max_cost_usd: Option<TokenPrice>,
    #[serde(default)]
    max_latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct SelectionDocument {
    selected_provider: ProviderSnapshot,
    alternatives: Vec<ProviderSnapshot>,
    selection_reason: String,
    optimization: RoutingOptimization,
    timestamp: Timestamp,
}

async fn select(
    State(router): State<ProviderRouterHandle>,
    ContractJson(question): ContractJson<SelectBody>,
) -> ApiResult<Json<SelectionDocument>> {
    let SelectBody { requirements, optimization, max_cost_usd, max_latency_ms } = question;
    let mut checks = RequestChecks::body();
    checks
        .len("requirements.model", &requirements.model, 1..=2 * MAX_NAME + 1)
        .range("requirements.context_window", &requirements.context_window.unwrap_or(1), 1..=MAX_CONTEXT)
        .range("max_latency_ms", &max_latency_ms.unwrap_or(0.0), 0.0..=MAX_LATENCY_MS);
    features(&mut checks, "requirements.features", requirements.features.iter()).done()?;
    let limits = CallLimits {
        max_cost_usd: max_cost_usd.map(TokenPrice::usd),
        max_latency: max_latency_ms.map(|ms| Duration::from_secs_f64(ms / 1e3)),
    };
    let choice = router.select(&requirements, optimization, limits)?;
    Ok(Json(SelectionDocument {
        selected_provider: router.seen(&choice.chosen),
        alternatives: choice.alternatives.iter().map(|provider| router.seen(provider)).collect(),
        selection_reason: choice.reason.sentence(&choice.chosen.name),
        optimization: choice.optimization,
        timestamp: Timestamp::now(),
    }))
}

async fn stats(State(router): State<ProviderRouterHandle>) -> Json<Value> {
    Json(json!(router.counts()))
}

/// No match: 404, with `Retry-After` when a circuit breaker is only open for now.
impl From<NoProviderFits> for ApiError {
    fn from(none: NoProviderFits) -> Self {
        let error = Self::not_found(none.to_string());
        match none.retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }
}

impl From<ProviderRouterError> for ApiError {
    fn from(error: ProviderRouterError) -> Self {
        match error {
            ProviderRouterError::Endpoint(unfit) => {
                Self::violation(vec!["body".into(), "endpoint".into()], "url_invalid", unfit.to_string())
            }
            ProviderRouterError::Unknown(_) => Self::not_found(error.to_string()),
            ProviderRouterError::Full => Self::busy(error.to_string()),
            ProviderRouterError::Store(error) => error.into(),
            ProviderRouterError::Call(error) => error.into(),
        }
    }
}
