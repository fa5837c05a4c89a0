//! `GET /api/services`, `/api/tree` and `/api/metrics`: who is registered, under whom, and how the
//! daemon's own services do.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::Hmi;
use crate::actors::registry::Seen;
use crate::domain::registry::{ServiceStatus, agent_service_id};
use crate::domain::time::Timestamp;

/// Labels of the registry's contract that place a service.
const PARENT: &str = "parent";
const ROLE: &str = "agent_role";
const TIER: &str = "tier";
/// Stands for the parent of those at the top; no service has an empty id.
const TOP: &str = "";

pub(super) async fn list(State(hmi): State<Hmi>) -> Json<Value> {
    Json(json!({ "services": hmi.registry.all() }))
}

/// A node of the contract's tree.
#[derive(Debug, Serialize)]
struct Node {
    name: String,
    service_id: String,
    status: ServiceStatus,
    port: Option<u16>,
    last_heartbeat: Option<Timestamp>,
    agent_role: Option<String>,
    tier: Option<u8>,
    children: Vec<Node>,
}

pub(super) async fn tree(State(hmi): State<Hmi>) -> Json<Value> {
    let directory = hmi.registry.directory();
    let children = forest(&hmi.registry.all(), |id| directory.get(id).is_some());
    let (name, status) =
        if children.is_empty() { ("PAS Root", "idle") } else { ("PAS Agent Swarm", "running") };
    Json(json!({ "name": name, "status": status, "children": children }))
}

/// All services as trees, by their label `parent`. Only an agent of the roster, which cannot stand below
/// itself, has others below it; what names no such parent stands at the top, so nothing is left out.
fn forest(all: &[Seen], is_agent: impl Fn(&str) -> bool) -> Vec<Node> {
    let mut below: HashMap<String, Vec<&Seen>> = HashMap::new();
    for seen in all {
        let label = seen.service.labels.get(PARENT).map(String::as_str).unwrap_or_default();
        let named = [agent_service_id(label), label.to_owned()];
        let parent = named.into_iter().find(|id| is_agent(id)).unwrap_or_else(|| TOP.to_owned());
        below.entry(parent).or_default().push(seen);
    }
    level(TOP, &below)
}

fn level(parent: &str, below: &HashMap<String, Vec<&Seen>>) -> Vec<Node> {
    let Some(seen) = below.get(parent) else { return Vec::new() };
    seen.iter().map(|seen| node(seen, level(&seen.service.service_id, below))).collect()
}

fn node(seen: &Seen, children: Vec<Node>) -> Node {
    let service = &seen.service;
    let label = |name: &str| service.labels.get(name).cloned();
    Node {
        name: service.name.clone(),
        service_id: service.service_id.clone(),
        status: seen.status,
        // `internal://…` has none.
        port: Url::parse(&service.url).ok().and_then(|url| url.port_or_known_default()),
        last_heartbeat: seen.last_heartbeat_ts,
        agent_role: label(ROLE),
        tier: label(TIER).and_then(|tier| tier.parse().ok()),
        children,
    }
}

pub(super) async fn metrics(State(hmi): State<Hmi>) -> Json<Value> {
    let bodies = join_all(hmi.health.iter().map(|(_, health)| health())).await;
    let mut services = Map::new();
    for ((name, _), body) in hmi.health.iter().zip(bodies) {
        let mut told = Map::from_iter([("status".to_owned(), json!("ok"))]);
        match body {
            Ok(body) => told.extend(body),
            Err(error) => told
                .extend([("status".to_owned(), json!("down")), ("detail".to_owned(), json!(error.told().0))]),
        }
        services.insert((*name).to_owned(), Value::Object(told));
    }
    let healthy = services.values().filter(|body| body["status"] == "ok").count();
    Json(json!({
        "timestamp": Timestamp::now(),
        "services": services,
        "summary": {
            "total_services": hmi.health.len(),
            "healthy_services": healthy,
            "health_percentage": healthy as f64 / hmi.health.len() as f64 * 100.0,
        },
    }))
}
