//! `GET /api/services`, `/api/tree` and `/api/metrics`: the registered services, their tree, and the health
//! of the daemon's own services.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::HmiApi;
use crate::actors::registry::ServiceSnapshot;
use crate::domain::registry::{ServiceStatus, agent_service_id};
use crate::domain::time::Timestamp;

/// Labels of the registry's contract that place a service.
const PARENT: &str = "parent";
const ROLE: &str = "agent_role";
const TIER: &str = "tier";
/// The parent of top-level services; no service has an empty id.
const TOP: &str = "";

pub(super) async fn list(State(hmi): State<HmiApi>) -> Json<Value> {
    Json(json!({ "services": hmi.registry.all() }))
}

/// A node of the contract's tree.
#[derive(Debug, Serialize)]
struct ServiceNode {
    name: String,
    service_id: String,
    status: ServiceStatus,
    port: Option<u16>,
    last_heartbeat: Option<Timestamp>,
    agent_role: Option<String>,
    tier: Option<u8>,
    children: Vec<ServiceNode>,
}

pub(super) async fn tree(State(hmi): State<HmiApi>) -> Json<Value> {
    let directory = hmi.registry.directory();
    let children = forest(&hmi.registry.all(), |id| directory.get(id).is_some());
    let (name, status) =
        if children.is_empty() { ("PAS Root", "idle") } else { ("PAS Agent Swarm", "running") };
    Json(json!({ "name": name, "status": status, "children": children }))
}

/// All services as trees, by their label `parent`. Only an agent of the roster, which has no cycles, can be
/// a parent; a service without such a parent is at the top, so that none is lost.
fn forest(all: &[ServiceSnapshot], is_agent: impl Fn(&str) -> bool) -> Vec<ServiceNode> {
    let mut below: HashMap<String, Vec<&ServiceSnapshot>> = HashMap::new();
    for seen in all {
        let label = seen.service.labels.get(PARENT).map(String::as_str).unwrap_or_default();
        let named = [agent_service_id(label), label.to_owned()];
        let parent = named.into_iter().find(|id| is_agent(id)).unwrap_or_else(|| TOP.to_owned());
        below.entry(parent).or_default().push(seen);
    }
    level(TOP, &below)
}

fn level(parent: &str, below: &HashMap<String, Vec<&ServiceSnapshot>>) -> Vec<ServiceNode> {
    let Some(seen) = below.get(parent) else { return Vec::new() };
    seen.iter().map(|seen| node(seen, level(&seen.service.service_id, below))).collect()
}

fn node(seen: &ServiceSnapshot, children: Vec<ServiceNode>) -> ServiceNode {
    let service = &seen.service;
    let label = |name: &str| service.labels.get(name).cloned();
    ServiceNode {
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

pub(super) async fn metrics(State(hmi): State<HmiApi>) -> Json<Value> {
    let bodies = join_all(hmi.health.iter().map(|(_, health)| health())).await;
    let mut services = Map::new();
    for ((name, _), body) in hmi.health.iter().zip(bodies) {
        let mut told = Map::from_iter([("status".to_owned(), json!("ok"))]);
        match body {
            Ok(body) => told.extend(body),
            Err(error) => told.extend([
                ("status".to_owned(), json!("down")),
                ("detail".to_owned(), json!(error.sentence_and_field().0)),
            ]),
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
