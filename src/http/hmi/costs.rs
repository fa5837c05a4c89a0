//! `GET /api/costs…`: the gateway's figures, with more groupings and as a time series.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::HmiApi;
use crate::domain::accounts::budget::RunName;
use crate::domain::accounts::window::{TimeWindow, WindowFigures};
use crate::domain::time::Timestamp;
use crate::http::ApiResult;
use crate::http::extract::{ContractPath, ContractQuery};
use crate::http::gateway::money::{ReceiptQuery, WindowQuery, budget_of, figures, receipts_of};
use crate::http::list::ListParams;

pub(super) async fn costs(
    State(hmi): State<HmiApi>,
    ContractQuery(query): ContractQuery<WindowQuery>,
) -> ApiResult<Json<Value>> {
    let window = query.window()?;
    let accounts = hmi.gateway.accounts();
    let metrics = accounts.metrics(window);
    let mut told = figures(window, &metrics);
    let by = |parts: &std::collections::BTreeMap<String, WindowFigures>| -> Map<String, Value> {
        parts.iter().map(|(name, figures)| (name.clone(), figures.cost.wire().into())).collect()
    };
    told["cost_per_model"] = by(&metrics.models).into();
    told["cost_per_agent"] = by(&metrics.agents).into();
    told["cost_per_run"] = by(&metrics.runs).into();
    let slice = |(at, figures): &(Timestamp, WindowFigures)| json!({ "at": at.as_millis() / 1000, "usd": figures.cost.wire(), "tokens": figures.tokens });
    told["series"] = accounts.slices(window).iter().map(slice).collect();
    Ok(Json(json!({
        "timestamp": Timestamp::now(),
        "cost_metrics": told,
        "provider_stats": hmi.gateway.router().counts(),
    })))
}

/// A window's sums for a page's first frame.
pub(super) fn sums(figures: &WindowFigures) -> Value {
    json!({ "usd": figures.cost.wire(), "tokens": figures.tokens, "requests": figures.requests })
}

/// The sums of all windows.
pub(super) fn windows(hmi: &HmiApi) -> Map<String, Value> {
    let accounts = hmi.gateway.accounts();
    let window = |window: TimeWindow| (window.as_str().to_owned(), sums(&accounts.metrics(window).total));
    TimeWindow::ALL.into_iter().map(window).collect()
}

pub(super) async fn receipts(
    State(hmi): State<HmiApi>,
    ContractPath(run): ContractPath<RunName>,
    params: ListParams,
    ContractQuery(query): ContractQuery<ReceiptQuery>,
) -> ApiResult<Json<Value>> {
    receipts_of(hmi.gateway.accounts(), &run, &params, &query).await
}

pub(super) async fn budget(
    State(hmi): State<HmiApi>,
    ContractPath(run): ContractPath<RunName>,
) -> ApiResult<Json<Value>> {
    budget_of(hmi.gateway.accounts(), &run)
}
