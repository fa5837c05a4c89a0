//! Port 6109: the heartbeat monitor.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::Checks;
use super::error::ApiResult;
use super::extract::ContractQuery;
use super::page::Health;
use crate::actors::heartbeat_monitor::{KEPT_ALERTS, MonitorHandle};
use crate::domain::heartbeat::{MISSES_DEREGISTER, MISSES_DOWN};

/// The routes of this port, without the common ones.
pub fn routes(monitor: MonitorHandle) -> Router {
    Router::new().route("/stats", get(stats)).route("/alerts", get(alerts)).with_state(monitor)
}

/// What `/health` says: how often it looks, and what follows from a miss.
#[must_use]
pub fn health(monitor: &MonitorHandle) -> Health {
    let told = [
        ("check_interval_s", json!(monitor.check_interval().as_secs_f64())),
        ("max_misses_before_down", json!(MISSES_DOWN)),
        ("max_misses_before_deregister", json!(MISSES_DEREGISTER)),
    ];
    let told: Map<_, _> = told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    Arc::new(move || Box::pin(std::future::ready(Ok(told.clone()))))
}

async fn stats(State(monitor): State<MonitorHandle>) -> ApiResult<Json<Value>> {
    let stats = monitor.stats().await?;
    Ok(Json(json!({
        "total_services": stats.counts.total,
        "healthy_services": stats.counts.healthy,
        "degraded_services": stats.counts.degraded,
        "down_services": stats.counts.down,
        "last_check": stats.last_check,
    })))
}

#[derive(Deserialize)]
struct Newest {
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    50
}

async fn alerts(
    State(monitor): State<MonitorHandle>,
    ContractQuery(Newest { limit }): ContractQuery<Newest>,
) -> ApiResult<Json<Value>> {
    Checks::query().range("limit", &limit, 1..=KEPT_ALERTS).done()?;
    let alerts = monitor.alerts(limit).await?;
    Ok(Json(json!({ "alerts": alerts })))
}
