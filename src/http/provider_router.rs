//! Port 6103: the provider router.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::Checks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractPath, ContractQuery};
use super::list::{ListLimits, ListParams};
use super::page::Health;
use crate::actors::provider_router::{
    Listing, MAX_PROVIDERS, MAX_TEXT_BYTES, NoneFits, Optimization, ProviderRouter, Requirements,
    RouterError, Seen,
};
use crate::domain::json::or_default;
use crate::domain::routing::endpoint::MAX_ENDPOINT;
use crate::domain::routing::{Limits, Registration, Slo, TokenPrice};
use crate::domain::time::Timestamp;

/// Largest context window in tokens (the contract).
const MAX_CONTEXT: u64 = 2_000_000;
/// Longest name of a provider or model (the contract).
const MAX_NAME: usize = 100;
/// Most features that a provider has or a call needs; vendors' lists have a dozen.
const MAX_FEATURES: usize = 100;
/// Longest limit on latency: a day, longer than any call lives.
const MAX_LATENCY_MS: f64 = 86_400_000.0;

/// Providers in one answer: all there can be without a wish, as clients that know no pages expect.
const PROVIDER_LIMITS: ListLimits = ListLimits { default: MAX_PROVIDERS, max: MAX_PROVIDERS };

/// The routes of this port, without the common ones.
pub fn routes(router: ProviderRouter) -> Router {
    Router::new()
        .route("/register", post(register))
        .route("/providers", get(providers))
        .route("/providers/{name}", get(provider).delete(deactivate))
        .route("/select", post(select))
        .route("/stats", get(stats))
        .with_state(router)
}

/// What `/health` says: the figures of `/stats`.
#[must_use]
pub fn health(router: ProviderRouter) -> Health {
    Arc::new(move || {
        let told = [("service", json!("provider_router")), ("registry_stats", json!(router.counts()))];
        let told: Map<_, _> = told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Box::pin(std::future::ready(Ok(told)))
    })
}

async fn register(
    State(router): State<ProviderRouter>,
    ContractJson(registration): ContractJson<Registration>,
) -> ApiResult<Json<Value>> {
    check(&registration)?;
    let name = registration.name.clone();
    let action = router.register(registration).await?;
    Ok(Json(json!({
        "status": "success", "action": action, "provider": name, "timestamp": Timestamp::now(),
    })))
}

fn check(registration: &Registration) -> ApiResult<()> {
    let slo = registration.slo.unwrap_or_default();
    let Slo { latency_p95_ms, throughput_rps, availability_percent } = slo;
    let fits = registration.text_bytes() <= MAX_TEXT_BYTES;
    let mut checks = Checks::body();
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
    checks: &'c mut Checks,
    field: &'static str,
    features: impl ExactSizeIterator<Item = &'f String>,
) -> &'c mut Checks {
    checks.that(field, features.len() <= MAX_FEATURES, format!("takes at most {MAX_FEATURES} items"));
    for feature in features {
        checks.len(field, feature, 1..=MAX_NAME);
    }
    checks
}

/// A typed answer, so that prices keep every digit.
#[derive(Serialize)]
struct ProviderPage {
    providers: Vec<Seen>,
    count: usize,
    total: usize,
    next_cursor: Option<String>,
    timestamp: Timestamp,
}

async fn providers(
    State(router): State<ProviderRouter>,
    params: ListParams,
    ContractQuery(listing): ContractQuery<Listing>,
) -> ApiResult<Json<ProviderPage>> {
    let least = listing.min_context.unwrap_or(0);
    Checks::query().range("min_context", &least, 0..=MAX_CONTEXT).done()?;
    let page = params.cut(PROVIDER_LIMITS, router.providers(&listing), |seen| seen.provider.name.clone())?;
    let (providers, total, next_cursor) = page.into_parts();
    let (count, timestamp) = (providers.len(), Timestamp::now());
    Ok(Json(ProviderPage { providers, count, total, next_cursor, timestamp }))
}

async fn provider(
    State(router): State<ProviderRouter>,
    ContractPath(name): ContractPath<String>,
) -> ApiResult<Json<Seen>> {
    router.provider(&name).map(Json).ok_or_else(|| RouterError::Unknown(name).into())
}

async fn deactivate(
    State(router): State<ProviderRouter>,
    ContractPath(name): ContractPath<String>,
) -> ApiResult<Json<Value>> {
    router.deactivate(name.clone()).await?;
    Ok(Json(json!({
        "status": "success", "action": "deactivated", "provider": name, "timestamp": Timestamp::now(),
    })))
}

/// The body of `POST /select`.
#[derive(Deserialize)]
struct Question {
    requirements: Requirements,
    #[serde(default, deserialize_with = "or_default")]
    optimization: Optimization,
    #[serde(default)]
    max_cost_usd: Option<TokenPrice>,
    #[serde(default)]
    max_latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct Chosen {
    selected_provider: Seen,
    alternatives: Vec<Seen>,
    selection_reason: String,
    optimization: Optimization,
    timestamp: Timestamp,
}

async fn select(
    State(router): State<ProviderRouter>,
    ContractJson(question): ContractJson<Question>,
) -> ApiResult<Json<Chosen>> {
    let Question { requirements, optimization, max_cost_usd, max_latency_ms } = question;
    let mut checks = Checks::body();
    checks
        .len("requirements.model", &requirements.model, 1..=2 * MAX_NAME + 1)
        .range("requirements.context_window", &requirements.context_window.unwrap_or(1), 1..=MAX_CONTEXT)
        .range("max_latency_ms", &max_latency_ms.unwrap_or(0.0), 0.0..=MAX_LATENCY_MS);
    features(&mut checks, "requirements.features", requirements.features.iter()).done()?;
    let limits = Limits {
        max_cost_usd: max_cost_usd.map(TokenPrice::usd),
        max_latency: max_latency_ms.map(|ms| Duration::from_secs_f64(ms / 1e3)),
    };
    let choice = router.select(&requirements, optimization, limits)?;
    Ok(Json(Chosen {
        selected_provider: router.seen(&choice.chosen),
        alternatives: choice.alternatives.iter().map(|provider| router.seen(provider)).collect(),
        selection_reason: choice.reason.sentence(&choice.chosen.name),
        optimization: choice.optimization,
        timestamp: Timestamp::now(),
    }))
}

async fn stats(State(router): State<ProviderRouter>) -> Json<Value> {
    Json(json!(router.counts()))
}

/// Nobody fits: 404, with the time to ask again where someone only rests.
impl From<NoneFits> for ApiError {
    fn from(none: NoneFits) -> Self {
        let error = Self::not_found(none.to_string());
        match none.retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }
}

impl From<RouterError> for ApiError {
    fn from(error: RouterError) -> Self {
        match error {
            RouterError::Endpoint(unfit) => {
                Self::violation(vec!["body".into(), "endpoint".into()], "url_invalid", unfit.to_string())
            }
            RouterError::Unknown(_) => Self::not_found(error.to_string()),
            RouterError::Full => Self::busy(error.to_string()),
            RouterError::Store(error) => error.into(),
            RouterError::Call(error) => error.into(),
        }
    }
}
