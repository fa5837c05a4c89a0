//! Costs: rolling windows, receipts, budgets.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{GatewayApi, budgets};
use crate::actors::accounts::{AccountsError, AccountsHandle};
use crate::domain::accounts::budget::{BudgetScope, RunName, ScopeLabel};
use crate::domain::accounts::receipt::wire::ReceiptDocument;
use crate::domain::accounts::receipt::{Receipt, ReceiptStatus};
use crate::domain::accounts::window::{TimeWindow, WindowFigures, WindowMetrics};
use crate::domain::money::NanoUsd;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{ContractPath, ContractQuery};
use crate::http::list::{ListLimits, ListParams};

/// `?window=`, by default a minute.
#[derive(Deserialize)]
pub(in crate::http) struct WindowQuery {
    #[serde(default)]
    window: Option<String>,
}

impl WindowQuery {
    /// The requested window.
    ///
    /// # Errors
    /// 400 for an unknown one.
    pub(in crate::http) fn window(&self) -> ApiResult<TimeWindow> {
        let name = self.window.as_deref().unwrap_or(TimeWindow::Minute.as_str());
        let window = TimeWindow::ALL.into_iter().find(|window| window.as_str() == name);
        window
            .ok_or_else(|| ApiError::bad_request(format!("unknown window `{name}`; use minute, hour or day")))
    }
}

pub(super) async fn metrics(
    State(port): State<GatewayApi>,
    ContractQuery(query): ContractQuery<WindowQuery>,
) -> ApiResult<Json<Value>> {
    let window = query.window()?;
    Ok(Json(figures(window, &port.gateway.accounts().metrics(window))))
}

/// A window's figures in the contract's form.
pub(in crate::http) fn figures(window: TimeWindow, metrics: &WindowMetrics) -> Value {
    let by = |each: fn(&WindowFigures) -> Value| -> Map<String, Value> {
        metrics.providers.iter().map(|(name, figures)| (name.clone(), each(figures))).collect()
    };
    let total = metrics.total;
    let each = NanoUsd(total.cost.0.checked_div(total.requests).unwrap_or(0));
    json!({
        "window": window,
        "total_cost_usd": total.cost.wire(),
        "total_requests": total.requests,
        "total_tokens": total.tokens,
        "cost_per_request": each.wire(),
        "requests_per_provider": by(|figures| json!(figures.requests)),
        "cost_per_provider": by(|figures| figures.cost.wire().into()),
    })
}

/// Receipts in one answer: about 700 KB. A run of a few hundred calls fits, as clients without paging
/// expect.
const RECEIPT_LIMITS: ListLimits = ListLimits { default: 1_000, max: 1_000 };

/// Selects receipts of a run.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ReceiptQuery {
    agent: Option<String>,
    job_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    status: Option<ReceiptStatus>,
}

impl ReceiptQuery {
    fn matches(&self, receipt: &Receipt) -> bool {
        let Receipt { wanted, outcome, .. } = receipt;
        let is = |asked: &Option<String>, text: &str| asked.as_deref().is_none_or(|asked| asked == text);
        is(&self.agent, wanted.agent.as_str())
            && is(&self.job_id, wanted.job.as_ref().map_or("", ScopeLabel::as_str))
            && is(&self.provider, &wanted.provider)
            && is(&self.model, &wanted.model)
            && self.status.is_none_or(|status| status == outcome.status || status == outcome.status.on_wire())
    }
}

pub(super) async fn receipts(
    State(port): State<GatewayApi>,
    ContractPath(run): ContractPath<RunName>,
    params: ListParams,
    ContractQuery(query): ContractQuery<ReceiptQuery>,
) -> ApiResult<Json<Value>> {
    receipts_of(port.gateway.accounts(), &run, &params, &query).await
}

/// Receipts of a run, oldest first; every page has the cost of all matches.
pub(in crate::http) async fn receipts_of(
    accounts: &AccountsHandle,
    run: &RunName,
    params: &ListParams,
    query: &ReceiptQuery,
) -> ApiResult<Json<Value>> {
    let mut receipts = accounts.receipts(run).await?;
    receipts.retain(|receipt| query.matches(receipt));
    let total: NanoUsd = receipts.iter().map(|receipt| receipt.outcome.cost).sum();
    let page = params.cut(RECEIPT_LIMITS, receipts, |receipt| receipt.seq)?;
    let mut answer = page.map(|receipt| json!(ReceiptDocument::from(&*receipt))).answer("receipts");
    answer["run_id"] = json!(run);
    answer["total_cost_usd"] = total.wire().into();
    Ok(Json(answer))
}

#[derive(Deserialize)]
pub(super) struct RunBudgetBody {
    run_id: RunName,
    budget_usd: String,
}

pub(super) async fn set_budget(
    State(port): State<GatewayApi>,
    ContractQuery(RunBudgetBody { run_id, budget_usd }): ContractQuery<RunBudgetBody>,
) -> ApiResult<Json<Value>> {
    let cap = budgets::cap("query", &budget_usd)?;
    port.gateway.accounts().set_budget(BudgetScope::Run(run_id.clone()), cap).await?;
    Ok(Json(json!({
        "run_id": run_id, "budget_usd": cap.wire(), "status": "Budget set successfully",
    })))
}

pub(super) async fn budget(
    State(port): State<GatewayApi>,
    ContractPath(run): ContractPath<RunName>,
) -> ApiResult<Json<Value>> {
    budget_of(port.gateway.accounts(), &run)
}

/// The current budget of a run.
pub(in crate::http) fn budget_of(accounts: &AccountsHandle, run: &RunName) -> ApiResult<Json<Value>> {
    let view = accounts.budget(&BudgetScope::Run(run.clone()))?;
    let Some((cap, remaining)) = view.cap.zip(view.remaining()) else {
        return Ok(Json(json!({
            "run_id": run, "budget_set": false, "spent_usd": view.settled.wire(), "can_proceed": true,
            "message": "No budget is set for this run; POST /budget sets one",
        })));
    };
    let mut told = budgets::figures(&view, cap, remaining);
    told.insert("run_id".to_owned(), json!(run));
    Ok(Json(Value::Object(told)))
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::OverBudget(_) => Self::too_many(error.to_string()),
            AccountsError::Starting | AccountsError::Behind | AccountsError::Slow => {
                Self::busy(error.to_string())
            }
            AccountsError::Store(error) => error.into(),
            AccountsError::Call(error) => error.into(),
            other @ AccountsError::NotHeld(_) => Self::internal(&other),
        }
    }
}
