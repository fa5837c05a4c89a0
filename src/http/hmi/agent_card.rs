//! `GET /api/agents/{name}`: everything about one agent, on one card.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::live::blocking;
use super::tree::TreeFacts;
use super::work::LiveJobs;
use super::{HmiApi, costs, log_lines};
use crate::actors::crashes::{self, FrozenSpan};
use crate::domain::agent::AgentDefinition;
use crate::domain::ids::AgentName;
use crate::domain::time::Timestamp;
use crate::domain::token_governor::AgentContext;
use crate::http::agent_fields::agent_fields;
use crate::http::extract::ContractPath;
use crate::http::{ApiError, ApiResult};
use crate::supervision::SupervisionEventKind;
use crate::supervision::trace::TraceRecord;
use crate::supervision::tree::wall;

/// Most messages on a card (the contract of the pages).
const MAX_MESSAGES: usize = 50;
/// Most lines of the log on a card (the contract of the pages).
const MAX_LOGS: usize = 200;
/// Most restarts on a card; the log has more.
const MAX_RESTARTS: usize = 50;

pub(super) async fn card(
    State(hmi): State<HmiApi>,
    ContractPath(name): ContractPath<AgentName>,
) -> ApiResult<Json<Value>> {
    let agent = hmi.jobs.agents.roster().get(name.as_str()).cloned();
    let agent =
        agent.ok_or_else(|| ApiError::not_found(format!("no agent `{name}`; /api/live lists the agents")))?;
    // Exact, unlike the tree's estimate: counts tokens that were not counted yet.
    let context =
        hmi.governor.status(Some(name.as_str())).await?.into_iter().next().map(|(_, context)| context);
    blocking(move || Ok(Json(card_document(&hmi, &agent, context.as_ref())?))).await
}

fn card_document(hmi: &HmiApi, agent: &AgentDefinition, context: Option<&AgentContext>) -> ApiResult<Value> {
    let name = agent.name.as_str();
    let now = LiveJobs::read(hmi)?;
    let facts = TreeFacts::gather(hmi, &now);
    let vitals = hmi.system.tree().by_name(name).and_then(|node| node.vitals());
    let standing = facts.standing(name);
    let mut card = json!({
        "level": hmi.jobs.agents.roster().level_of(&agent.name),
        "definition": definition(hmi, agent)?,
        "context": context.map(|context| json!({
            "used": context.ctx_used,
            "limit": context.ctx_limit,
            "target_ratio": context.budget.target_ratio(),
            "hard_max_ratio": context.budget.hard_max_ratio(),
        })),
        "step": facts.step(name),
        "mailbox": {
            "depth": vitals.as_ref().map_or(0, |vitals| vitals.depth),
            "capacity": vitals.as_ref().map_or(0, |vitals| vitals.capacity),
            "handled": vitals.as_ref().map_or(0, |vitals| vitals.handled),
            "handling": vitals.as_ref().and_then(|vitals| vitals.current).map(|(kind, _)| kind),
            "last_beat_at": vitals.as_ref().map(|vitals| wall(vitals.last_beat)),
        },
        "restarts": restarts(hmi, name)?,
        "messages": messages(hmi, name),
        "cost": costs::sums(&facts.costs(name)),
    });
    if let Some(lines) = log_lines::about(name, MAX_LOGS) {
        card["logs"] = json!(lines);
    }
    if let Some(fields) = card.as_object_mut() {
        fields.extend(agent_fields(agent, &standing));
    }
    Ok(card)
}

/// The agent's prompt, and the agent's rights less those withheld by ancestors.
fn definition(hmi: &HmiApi, agent: &AgentDefinition) -> ApiResult<Value> {
    let all = serde_json::to_value(agent).map_err(|error| ApiError::internal(&error))?;
    let mut shown = json!({
        "prompt": agent.prompt,
        "rights": hmi.jobs.agents.roster().effective_rights(&agent.name),
        "tools": agent.tools,
        "behaviour": all["behaviour"],
    });
    if let Some(model) = agent.models.first().or(agent.model.as_ref()) {
        shown["model"] = json!(model);
    }
    Ok(shown)
}

/// An exit followed by a start.
#[derive(Debug, Serialize)]
struct AgentRestart {
    at: Timestamp,
    reason: String,
    incarnation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    crash_id: Option<u64>,
}

/// Crashes from the store, and planned restarts as far as the supervision log goes back; newest first.
fn restarts(hmi: &HmiApi, agent: &str) -> ApiResult<Vec<AgentRestart>> {
    let crashes = crashes::list(&hmi.store, crashes::KEPT_CRASHES)?;
    let own = crashes.into_iter().filter(|crash| crash.agent == agent).map(|crash| AgentRestart {
        at: crash.at,
        reason: crash.message.map_or(crash.reason.clone(), |message| match crash.reason.as_str() {
            reason if message.starts_with(reason) => message,
            reason => format!("{reason}: {message}"),
        }),
        incarnation: crash.incarnation,
        crash_id: Some(crash.id),
    });
    let mut restarts: Vec<AgentRestart> = own.collect();
    let mut incarnation = 0;
    for event in hmi.system.events().since(0).iter().filter(|event| *event.actor == *agent) {
        match &event.kind {
            SupervisionEventKind::Started { incarnation: now }
            | SupervisionEventKind::Restarted { incarnation: now, .. } => {
                incarnation = *now;
            }
            SupervisionEventKind::PlannedRestart { why } => {
                let why = serde_json::to_value(why).map_err(|error| ApiError::internal(&error))?;
                let reason = format!("planned: {}", why.as_str().unwrap_or_default().replace('_', " "));
                restarts.push(AgentRestart { at: event.at, reason, incarnation, crash_id: None });
            }
            _ => {}
        }
    }
    restarts.sort_by_key(|restart| std::cmp::Reverse(restart.at));
    restarts.truncate(MAX_RESTARTS);
    Ok(restarts)
}

/// The agent's last messages in both directions, newest first.
fn messages(hmi: &HmiApi, agent: &str) -> Vec<FrozenSpan> {
    let Some(node) = hmi.system.tree().by_name(agent) else { return Vec::new() };
    let own = |record: &TraceRecord| record.to == node.number || record.from == node.number;
    let records = hmi.system.ring().select(own);
    records.iter().rev().take(MAX_MESSAGES).map(|record| FrozenSpan::of(&hmi.system, record)).collect()
}
