//! The supervision tree and the agents: show, kill, restart, pause, resume; and the daemon's shutdown.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::OrchestratorApi;
use super::jobs::GivenReason;
use crate::actors::gateway::WatchedCalls;
use crate::actors::steering::SteeringError;
use crate::domain::agent::AgentDefinition;
use crate::domain::hmi::AgentStanding;
use crate::domain::ids::AgentName;
use crate::domain::registry::agent_service_id;
use crate::domain::steering::SteeringAction;
use crate::domain::time::Timestamp;
use crate::http::agent_fields::agent_fields;
use crate::http::extract::{ContractPath, ContractQuery};
use crate::http::{ApiError, ApiResult};
use crate::supervision::policy::PlannedRestart;
use crate::supervision::tree::{TreeSnapshot, wall};

pub(super) async fn tree(
    State(state): State<OrchestratorApi>,
) -> ApiResult<Json<TreeSnapshot<AgentStanding>>> {
    let standings = state.directory.standings();
    let snapshot = state.system.root_snapshot(&|node, now, vitals| standings.of_node(node, now, vitals));
    snapshot.map(Json).ok_or_else(|| ApiError::busy("the supervision tree is still starting"))
}

pub(super) async fn list(State(state): State<OrchestratorApi>) -> ApiResult<Json<Value>> {
    let agents: Vec<Value> = state.jobs.agents.roster().iter().map(|agent| view(&state, agent)).collect();
    Ok(Json(json!({ "count": agents.len(), "agents": agents })))
}

pub(super) async fn show(
    State(state): State<OrchestratorApi>,
    ContractPath(name): ContractPath<AgentName>,
) -> ApiResult<Json<Value>> {
    let agent = find(&state, &name)?;
    let mut answer = view(&state, agent);
    answer["definition"] = serde_json::to_value(agent).map_err(|error| ApiError::internal(&error))?;
    answer["definition"]["rights"] = json!(agent.own_rights());
    let tasks = state.jobs.tasks.of_agent(agent).map(|entry| &entry.task);
    answer["definition"]["tasks"] = json!(tasks.collect::<Vec<_>>());
    Ok(Json(answer))
}

fn find<'s>(state: &'s OrchestratorApi, name: &AgentName) -> ApiResult<&'s AgentDefinition> {
    let agent = state.jobs.agents.roster().get(name.as_str());
    agent.ok_or_else(|| ApiError::not_found(format!("no agent `{name}`; `GET /agents` lists the agents")))
}

fn view(state: &OrchestratorApi, agent: &AgentDefinition) -> Value {
    let node = state.system.tree().by_name(agent.name.as_str());
    let now = node.as_ref().map(|node| node.state());
    let vitals = node.as_ref().and_then(|node| node.vitals());
    let standing = match (&node, &now) {
        (Some(node), Some(now)) => state.directory.standings().of_node(node, now, vitals.as_ref()),
        _ => AgentStanding::ABSENT,
    };
    let entry = state.directory.get(&agent_service_id(agent.name.as_str()));
    let mut document = json!({
        "url": entry.map(|entry| &entry.url),
        "phase": now.as_ref().map(|now| now.phase),
        "incarnation": now.as_ref().map(|now| now.incarnation),
        "restarts": now.as_ref().map(|now| now.restarts),
        "queue_depth": vitals.as_ref().map(|vitals| vitals.depth),
        "last_heartbeat": vitals.map(|vitals| wall(vitals.last_beat)),
    });
    if let Some(fields) = document.as_object_mut() {
        fields.extend(agent_fields(agent, &standing));
    }
    document
}

fn done(name: &AgentName, action: &str, incarnation: u64) -> Json<Value> {
    Json(json!({ "agent": name, "action": action, "at": Timestamp::now(), "incarnation": incarnation }))
}

/// Cancels the model calls of an agent that has ended. A failure is only logged, since the agent has ended
/// anyway.
fn end_calls(calls: Result<WatchedCalls, SteeringError>, agent: &AgentName) {
    match calls {
        Ok(calls) => calls.end(),
        Err(error) => {
            tracing::warn!(%agent, %error, "cannot cancel an agent's model calls; they continue");
        }
    }
}

pub(super) async fn kill(
    State(state): State<OrchestratorApi>,
    ContractPath(name): ContractPath<AgentName>,
    reason: GivenReason,
) -> ApiResult<Json<Value>> {
    let reason = reason.or("requested over HTTP");
    find(&state, &name)?;
    let calls = state.steering.calls_in_hand(name.as_str(), SteeringAction::Kill);
    let incarnation = state.system.kill(name.as_str()).await?;
    end_calls(calls, &name);
    tracing::info!(agent = %name, incarnation, reason, "killed on request");
    Ok(done(&name, "kill", incarnation))
}

pub(super) async fn restart(
    State(state): State<OrchestratorApi>,
    ContractPath(name): ContractPath<AgentName>,
    reason: GivenReason,
) -> ApiResult<Json<Value>> {
    let reason = reason.or("requested over HTTP");
    find(&state, &name)?;
    let calls = state.steering.calls_in_hand(name.as_str(), SteeringAction::Restart);
    let incarnation = state.system.restart(name.as_str(), PlannedRestart::Operator).await?;
    end_calls(calls, &name);
    tracing::info!(agent = %name, incarnation, reason, "restarted on request");
    Ok(done(&name, "restart", incarnation))
}

pub(super) async fn pause(
    State(state): State<OrchestratorApi>,
    ContractPath(name): ContractPath<AgentName>,
    _: GivenReason,
) -> ApiResult<Json<Value>> {
    let incarnation = set_paused(&state, &name, true)?;
    Ok(done(&name, "pause", incarnation))
}

pub(super) async fn resume(
    State(state): State<OrchestratorApi>,
    ContractPath(name): ContractPath<AgentName>,
    _: GivenReason,
) -> ApiResult<Json<Value>> {
    let incarnation = set_paused(&state, &name, false)?;
    Ok(done(&name, "resume", incarnation))
}

/// Pauses or resumes an agent's mailbox; returns the incarnation.
fn set_paused(state: &OrchestratorApi, name: &AgentName, paused: bool) -> ApiResult<u64> {
    find(state, name)?;
    state.system.set_paused(name.as_str(), paused)?;
    Ok(state.system.tree().by_name(name.as_str()).map_or(0, |node| node.state().incarnation))
}

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

pub(super) async fn events(
    State(state): State<OrchestratorApi>,
    ContractQuery(query): ContractQuery<EventsQuery>,
) -> ApiResult<Json<Value>> {
    let mut events = state.system.events().since(query.since);
    let limit = query.limit.unwrap_or(100).min(crate::supervision::event::KEPT_EVENTS);
    events.drain(..events.len().saturating_sub(limit));
    let last_seq = events.last().map_or(query.since, |event| event.seq);
    let events: Vec<Value> = events
        .iter()
        .map(|event| {
            let mut detail = serde_json::to_value(&event.kind).unwrap_or_default();
            let word = detail.as_object_mut().and_then(|detail| detail.remove("event")).unwrap_or_default();
            json!({ "seq": event.seq, "at": event.at, "agent": event.actor, "event": word, "detail": detail })
        })
        .collect();
    Ok(Json(json!({ "events": events, "last_seq": last_seq })))
}

pub(super) async fn shutdown(State(state): State<OrchestratorApi>) -> (StatusCode, Json<Value>) {
    state.shutdown.cancel();
    (StatusCode::ACCEPTED, Json(json!({ "status": "stopping", "ts": Timestamp::now() })))
}
