//! Port 6109: the heartbeat monitor.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ApiResult;
use super::extract::ContractQuery;
use super::list::{ListLimits, ListPage, ListParams};
use super::page::HealthReporter;
use crate::actors::heartbeat_monitor::MonitorHandle;
use crate::domain::heartbeat::{HeartbeatAlert, HeartbeatAlertType, MISSES_DEREGISTER, MISSES_DOWN};

pub fn routes(monitor: MonitorHandle) -> Router {
    Router::new().route("/stats", get(stats)).route("/alerts", get(alerts)).with_state(monitor)
}

/// The fields of `/health`: the interval of checks, and the thresholds for alerts.
#[must_use]
pub fn health(monitor: &MonitorHandle) -> HealthReporter {
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

/// The filters of `GET /alerts`.
#[derive(Deserialize)]
struct AlertQuery {
    service_id: Option<String>,
    alert_type: Option<HeartbeatAlertType>,
}

impl AlertQuery {
    fn matches(&self, alert: &HeartbeatAlert) -> bool {
        self.service_id.as_ref().is_none_or(|id| *id == alert.service_id || alert.service_ids.contains(id))
            && self.alert_type.is_none_or(|kind| kind == alert.alert_type)
    }
}

/// Newest last; the next page has those before them.
async fn alerts(
    State(monitor): State<MonitorHandle>,
    params: ListParams,
    ContractQuery(query): ContractQuery<AlertQuery>,
) -> ApiResult<Json<Value>> {
    let matching: Vec<_> =
        monitor.alerts().await?.into_iter().filter(|(_, alert)| query.matches(alert)).collect();
    let older = match params.after::<u64>()? {
        Some(before) => matching.partition_point(|(number, _)| *number < before),
        None => matching.len(),
    };
    let begin = older.saturating_sub(params.limit(ListLimits::USUAL));
    let page = matching[begin..older].iter().map(|(_, alert)| alert).collect();
    let first = matching.get(begin).map(|(number, _)| number).filter(|_| begin > 0);
    Ok(Json(ListPage::new(page, matching.len(), first).answer("alerts")))
}
