//! Actions on the swarm: blast radius, action, audit log.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actors::steering::audit::MAX_LISTED;
use crate::actors::steering::{BlastRadius, SteeringHandle, SteeringRequest};
use crate::domain::ids::AgentName;
use crate::domain::steering::SteeringAction;
use crate::http::ApiResult;
use crate::http::audit::who;
use crate::http::check::RequestChecks;
use crate::http::extract::{ContractJson, ContractQuery};

/// Longest target: ids have 128 characters, and the registry's names of agents a few more.
const MAX_TARGET: usize = 200;
const MAX_REASON: usize = 1_000;
/// Default number of entries listed.
const LISTED: usize = 100;

pub(super) fn routes(steering: SteeringHandle) -> Router {
    Router::new()
        .route("/api/action", post(act))
        .route("/api/blast-radius", get(blast_radius))
        .route("/api/audit", get(audit))
        .with_state(steering)
}

#[derive(Deserialize)]
struct ActionBody {
    action: SteeringAction,
    target: String,
    reason: Option<String>,
    #[serde(default)]
    subtree: bool,
    to: Option<AgentName>,
}

async fn act(
    State(steering): State<SteeringHandle>,
    headers: HeaderMap,
    ContractJson(body): ContractJson<ActionBody>,
) -> ApiResult<Json<Value>> {
    let who = who(&headers, "hmi")?;
    RequestChecks::body()
        .len("target", &body.target, 1..=MAX_TARGET)
        .len("reason", body.reason.as_deref().unwrap_or_default(), 0..=MAX_REASON)
        .done()?;
    let ActionBody { action, target, reason, subtree, to } = body;
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    let answer = steering.act(SteeringRequest { who, action, target, reason, subtree, to }).await?;
    Ok(Json(json!({ "status": "success", "message": answer.message, "proof": answer.proof })))
}

#[derive(Deserialize)]
struct RadiusQuery {
    target: String,
    #[serde(default = "kill")]
    action: SteeringAction,
    #[serde(default)]
    subtree: bool,
}

fn kill() -> SteeringAction {
    SteeringAction::Kill
}

async fn blast_radius(
    State(steering): State<SteeringHandle>,
    ContractQuery(query): ContractQuery<RadiusQuery>,
) -> ApiResult<Json<BlastRadius>> {
    RequestChecks::query().len("target", &query.target, 1..=MAX_TARGET).done()?;
    Ok(Json(steering.blast_radius(&query.target, query.action, query.subtree)?))
}

#[derive(Deserialize)]
struct AuditQuery {
    #[serde(default = "listed")]
    limit: usize,
}

fn listed() -> usize {
    LISTED
}

async fn audit(
    State(steering): State<SteeringHandle>,
    ContractQuery(AuditQuery { limit }): ContractQuery<AuditQuery>,
) -> ApiResult<Json<Value>> {
    RequestChecks::query().range("limit", &limit, 1..=MAX_LISTED).done()?;
    Ok(Json(json!({ "entries": steering.newest_acts(limit).await? })))
}
