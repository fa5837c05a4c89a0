//! Port 6119: the agent router.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::ContractJson;
use crate::actors::agent_router::{AgentRouterError, AgentRouterHandle};
use crate::domain::agent::AgentRole;
use crate::domain::agent_router::{
    AgentFilter, InvocationAnswer, InvocationRequest, MAX_REQUEST_ID, MAX_TIMEOUT_S,
};

/// Most agents in one answer (the contract).
const MAX_LIMIT: usize = 1000;

pub fn routes(agents: AgentRouterHandle) -> Router {
    Router::new()
        .route("/discover", post(discover))
        .route("/invoke", post(invoke))
        .route("/stats", get(stats))
        .with_state(agents)
}

async fn discover(
    State(agents): State<AgentRouterHandle>,
    ContractJson(query): ContractJson<AgentFilter>,
) -> ApiResult<Json<Value>> {
    RequestChecks::body().range("limit", &query.limit, 1..=MAX_LIMIT).done()?;
    let found = agents.discover(&query);
    Ok(Json(json!({ "count": found.len(), "agents": found })))
}

async fn invoke(
    State(agents): State<AgentRouterHandle>,
    ContractJson(request): ContractJson<InvocationRequest>,
) -> ApiResult<Json<InvocationAnswer>> {
    let mut checks = RequestChecks::body();
    checks
        .len("request_id", &request.request_id, 1..=MAX_REQUEST_ID)
        .len("run_id", request.run_id.as_deref().unwrap_or_default(), 0..=128)
        .len("agent_name", request.agent_name.as_deref().unwrap_or("-"), 1..=128)
        .range("timeout_s", &request.timeout_s, f64::MIN_POSITIVE..=MAX_TIMEOUT_S);
    for capability in request.capabilities.iter().flatten() {
        checks.len("capabilities", capability, 1..=usize::MAX);
    }
    checks.done()?;
    Ok(Json(agents.invoke(request).await?))
}

async fn stats(State(agents): State<AgentRouterHandle>) -> Json<Value> {
    let (counts, updated) = agents.stats();
    let of = |role: AgentRole| counts.by_role.get(&role).copied().unwrap_or_default();
    let by_role =
        [AgentRole::Coord, AgentRole::Exec, AgentRole::System].map(|role| (role.as_str(), of(role)));
    let by_tier = counts.by_tier.iter().map(|(tier, count)| (tier.get().to_string(), *count));
    Json(json!({
        "total_agents": counts.by_role.values().sum::<usize>(),
        "by_role": std::collections::BTreeMap::from(by_role),
        "by_tier": by_tier.collect::<std::collections::BTreeMap<_, _>>(),
        "cache_updated": updated,
    }))
}

impl From<AgentRouterError> for ApiError {
    fn from(error: AgentRouterError) -> Self {
        match error {
            AgentRouterError::Nobody => Self::bad_request(error.to_string()),
            AgentRouterError::Unknown(_) | AgentRouterError::Unable(_) => Self::not_found(error.to_string()),
            AgentRouterError::Busy => Self::busy(error.to_string()),
            AgentRouterError::Call(error) => error.into(),
        }
    }
}
