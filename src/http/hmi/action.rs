//! Acting on the swarm: what an act would touch, the act, and what was done before.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actors::steering::audit::MAX_LISTED;
use crate::actors::steering::{BlastRadius, Request, Steering};
use crate::domain::ids::AgentName;
use crate::domain::steering::Action;
use crate::http::ApiResult;
use crate::http::audit::who;
use crate::http::check::Checks;
use crate::http::extract::{ContractJson, ContractQuery};

/// Longest target: ids have 128 characters, and what the registry calls an agent some more.
const MAX_TARGET: usize = 200;
const MAX_REASON: usize = 1_000;
/// Acts listed where nobody says how many.
const LISTED: usize = 100;

pub(super) fn routes(steering: Steering) -> Router {
    Router::new()
        .route("/api/action", post(act))
        .route("/api/blast-radius", get(blast_radius))
        .route("/api/audit", get(audit))
        .with_state(steering)
}

#[derive(Deserialize)]
struct ActionBody {
    action: Action,
    target: String,
    reason: Option<String>,
    #[serde(default)]
    subtree: bool,
    to: Option<AgentName>,
}

async fn act(
    State(steering): State<Steering>,
    headers: HeaderMap,
    ContractJson(body): ContractJson<ActionBody>,
) -> ApiResult<Json<Value>> {
    let who = who(&headers, "hmi")?;
    Checks::body()
        .len("target", &body.target, 1..=MAX_TARGET)
        .len("reason", body.reason.as_deref().unwrap_or_default(), 0..=MAX_REASON)
        .done()?;
    let ActionBody { action, target, reason, subtree, to } = body;
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    let answer = steering.act(Request { who, action, target, reason, subtree, to }).await?;
    Ok(Json(json!({ "status": "success", "message": answer.message, "proof": answer.proof })))
}

#[derive(Deserialize)]
struct RadiusQuery {
    target: String,
    #[serde(default = "kill")]
    action: Action,
    #[serde(default)]
    subtree: bool,
}

fn kill() -> Action {
    Action::Kill
}

async fn blast_radius(
    State(steering): State<Steering>,
    ContractQuery(query): ContractQuery<RadiusQuery>,
) -> ApiResult<Json<BlastRadius>> {
    Checks::query().len("target", &query.target, 1..=MAX_TARGET).done()?;
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
    State(steering): State<Steering>,
    ContractQuery(AuditQuery { limit }): ContractQuery<AuditQuery>,
) -> ApiResult<Json<Value>> {
    Checks::query().range("limit", &limit, 1..=MAX_LISTED).done()?;
    Ok(Json(json!({ "entries": steering.newest_acts(limit).await? })))
}
