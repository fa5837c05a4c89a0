//! Port 6121: the registry.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractPath, ContractQuery};
use super::page::HealthReporter;
use crate::actors::registry::{MAX_TEXT_BYTES, RegistryError, RegistryHandle, ServiceDocument};
use crate::domain::registry::{
    MAX_SERVICE_ID, ServiceFilter, ServiceHeartbeat, ServiceRegistration, ServiceRole,
};

/// Longest interval and time to live (the contract).
const DAY_S: u32 = 86_400;

pub fn routes(registry: RegistryHandle) -> Router {
    Router::new()
        .route("/register", post(register))
        .route("/heartbeat", put(heartbeat))
        .route("/discover", get(discover))
        .route("/promote", post(promote))
        .route("/deregister", post(deregister))
        .route("/services", get(services))
        .route("/services/{service_id}", get(service))
        .with_state(registry)
}

/// The fields of `/health`: the number of services, and of healthy ones.
#[must_use]
pub fn health(registry: RegistryHandle) -> HealthReporter {
    Arc::new(move || {
        let counts = registry.counts();
        let told = [("registered", json!(counts.total)), ("healthy", json!(counts.healthy))];
        Box::pin(async move { Ok(told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()) })
    })
}

async fn register(
    State(registry): State<RegistryHandle>,
    ContractJson(registration): ContractJson<ServiceRegistration>,
) -> ApiResult<Json<Value>> {
    check(&registration)?;
    let service = registry.register(registration).await?;
    Ok(Json(json!({ "service_id": service.service_id, "registered_at": service.registered_at })))
}

fn check(registration: &ServiceRegistration) -> ApiResult<()> {
    let mut checks = RequestChecks::body();
    if let Some(id) = &registration.service_id {
        checks.len("service_id", id, 1..=MAX_SERVICE_ID);
    }
    checks
        .len("name", &registration.name, 1..=100)
        .len("url", &registration.url, 1..=2048)
        .count("caps", &registration.caps, 1..=MAX_TEXT_BYTES)
        .range("heartbeat_interval_s", &registration.heartbeat_interval_s, 1..=DAY_S)
        .range("ttl_s", &registration.ttl_s, 1..=DAY_S)
        .range("ctx_limit", &registration.ctx_limit.unwrap_or(1), 1..=u64::MAX)
        .range("cost_hint.usd_per_1k", &registration.cost_hint.map_or(0.0, |h| h.usd_per_1k), 0.0..=f64::MAX);
    for cap in &registration.caps {
        checks.len("caps", cap, 1..=100);
    }
    let fits = registration.text_bytes() <= MAX_TEXT_BYTES;
    checks.that("labels", fits, format!("all texts together take at most {MAX_TEXT_BYTES} bytes")).done()
}

async fn heartbeat(
    State(registry): State<RegistryHandle>,
    ContractJson(beat): ContractJson<ServiceHeartbeat>,
) -> ApiResult<Json<Value>> {
    RequestChecks::body()
        .len("service_id", &beat.service_id, 1..=MAX_SERVICE_ID)
        .len("message", beat.message.as_deref().unwrap_or_default(), 0..=1000)
        .range("p95_ms", &beat.p95_ms.unwrap_or(0.0), 0.0..=f64::MAX)
        .range("load", &beat.load.unwrap_or(0.0), 0.0..=f64::MAX)
        .done()?;
    let ts = registry.heartbeat(beat)?;
    Ok(Json(json!({ "success": true, "ts": ts })))
}

async fn discover(
    State(registry): State<RegistryHandle>,
    ContractQuery(filter): ContractQuery<ServiceFilter>,
) -> ApiResult<impl IntoResponse> {
    let body = registry.discover(&filter).map_err(|error| ApiError::internal(&error))?;
    Ok(([(CONTENT_TYPE, "application/json")], body))
}

#[derive(Deserialize)]
struct PromotionBody {
    name: String,
    from_role: ServiceRole,
    to_role: ServiceRole,
}

async fn promote(
    State(registry): State<RegistryHandle>,
    ContractJson(body): ContractJson<PromotionBody>,
) -> ApiResult<Json<Value>> {
    RequestChecks::body().len("name", &body.name, 1..=100).done()?;
    let moved = registry.promote(body.name, body.from_role, body.to_role).await?;
    Ok(Json(json!({ "updated_instances": moved, "ts": crate::domain::time::Timestamp::now() })))
}

#[derive(Deserialize)]
struct DeregistrationBody {
    service_id: String,
}

async fn deregister(
    State(registry): State<RegistryHandle>,
    ContractJson(body): ContractJson<DeregistrationBody>,
) -> ApiResult<Json<Value>> {
    RequestChecks::body().len("service_id", &body.service_id, 1..=MAX_SERVICE_ID).done()?;
    let ts = registry.deregister(body.service_id).await?;
    Ok(Json(json!({ "success": true, "ts": ts })))
}

async fn services(State(registry): State<RegistryHandle>) -> ApiResult<impl IntoResponse> {
    let body = registry.services().map_err(|error| ApiError::internal(&error))?;
    Ok(([(CONTENT_TYPE, "application/json")], body))
}

async fn service(
    State(registry): State<RegistryHandle>,
    ContractPath(service_id): ContractPath<String>,
) -> ApiResult<Json<ServiceDocument>> {
    let seen = registry.service(&service_id);
    seen.map(|seen| Json(ServiceDocument::from(seen)))
        .ok_or_else(|| RegistryError::Unknown(service_id).into())
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Taken(_) => Self::bad_request(error.to_string()),
            RegistryError::Internal(_) => Self::conflict(error.to_string()),
            RegistryError::Unknown(_) | RegistryError::NoInstance(_) => Self::not_found(error.to_string()),
            RegistryError::Full => Self::busy(error.to_string()),
            RegistryError::Store(error) => error.into(),
            RegistryError::Call(error) => error.into(),
        }
    }
}
