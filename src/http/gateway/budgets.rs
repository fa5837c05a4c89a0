//! Budgets of runs, jobs, agents, lanes and the day.
//!
//! A budget is named by its scope: `run:NAME`, `job:NAME`, `agent:NAME`, `lane:NAME` or `day`. Invariant: a
//! change is committed before the answer leaves.

use axum::Json;
use axum::extract::State;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::GatewayApi;
use crate::domain::accounts::budget::scope::InvalidScope;
use crate::domain::accounts::budget::{BudgetScope, BudgetView};
use crate::domain::money::NanoUsd;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{ContractJson, ContractPath};
use crate::http::list::{ListLimits, ListParams};

/// Budgets in one answer: no more than the ledger keeps in memory, so that reading them all evicts no
/// active scope.
const BUDGET_LIMITS: ListLimits = ListLimits { default: 1_000, max: 4_096 };

/// The body of `PUT /budgets/{scope}`.
#[derive(Deserialize)]
pub(super) struct BudgetBody {
    budget_usd: serde_json::Number,
}

pub(super) async fn list(State(port): State<GatewayApi>, params: ListParams) -> ApiResult<Json<Value>> {
    let accounts = port.gateway.accounts();
    let page = params.cut(BUDGET_LIMITS, accounts.capped_scopes()?, BudgetScope::to_string)?;
    let mut views = Ok(());
    let page = page.map(|scope| match accounts.budget(&scope) {
        Ok(view) => budget_document(&scope, &view),
        Err(error) => {
            views = Err(error);
            Value::Null
        }
    });
    views?;
    Ok(Json(page.answer("budgets")))
}

pub(super) async fn one(
    State(port): State<GatewayApi>,
    ContractPath(scope): ContractPath<String>,
) -> ApiResult<Json<Value>> {
    let scope = parse(&scope)?;
    Ok(Json(budget_document(&scope, &port.gateway.accounts().budget(&scope)?)))
}

pub(super) async fn set(
    State(port): State<GatewayApi>,
    ContractPath(scope): ContractPath<String>,
    ContractJson(BudgetBody { budget_usd }): ContractJson<BudgetBody>,
) -> ApiResult<Json<Value>> {
    let (scope, cap) = (parse(&scope)?, cap("body", &budget_usd.to_string())?);
    port.gateway.accounts().set_budget(scope.clone(), cap).await?;
    Ok(Json(budget_document(&scope, &port.gateway.accounts().budget(&scope)?)))
}

pub(super) async fn lift(
    State(port): State<GatewayApi>,
    ContractPath(scope): ContractPath<String>,
) -> ApiResult<Json<Value>> {
    let scope = parse(&scope)?;
    port.gateway.accounts().lift_budget(scope.clone()).await?;
    Ok(Json(budget_document(&scope, &port.gateway.accounts().budget(&scope)?)))
}

fn parse(scope: &str) -> ApiResult<BudgetScope> {
    let wrong = |error: InvalidScope| {
        ApiError::violation(vec!["path".into(), "scope".into()], "value_error", error.to_string())
    };
    scope.parse().map_err(wrong)
}

/// An amount of US dollars as a cap; `part` is the place in the request.
pub(super) fn cap(part: &'static str, written: &str) -> ApiResult<NanoUsd> {
    let loc = || vec![part.into(), "budget_usd".into()];
    let parsed = written.parse().or_else(|_| Decimal::from_scientific(written));
    let usd: Decimal = parsed
        .map_err(|_| ApiError::violation(loc(), "decimal_parsing", "must be an amount in US dollars"))?;
    if usd <= Decimal::ZERO {
        return Err(ApiError::bad_request("a budget must be more than 0 US dollars"));
    }
    NanoUsd::from_usd(usd).map_err(|error| ApiError::violation(loc(), "less_than_equal", error.to_string()))
}

fn budget_document(scope: &BudgetScope, view: &BudgetView) -> Value {
    let mut told = match view.cap.zip(view.remaining()) {
        Some((cap, remaining)) => figures(view, cap, remaining),
        None => Map::from_iter([
            ("budget_set".to_owned(), json!(false)),
            ("spent_usd".to_owned(), view.settled.wire().into()),
            ("held_usd".to_owned(), view.held.wire().into()),
            ("can_proceed".to_owned(), json!(true)),
        ]),
    };
    told.insert("scope".to_owned(), json!(scope.to_string()));
    Value::Object(told)
}

pub(super) fn figures(view: &BudgetView, cap: NanoUsd, remaining: NanoUsd) -> Map<String, Value> {
    let percent = match cap.usd() {
        cap if cap.is_zero() => Decimal::ONE_HUNDRED,
        cap => (view.settled.usd() / cap * Decimal::ONE_HUNDRED).round_dp(2),
    };
    let percent: Value = serde_json::from_str(&percent.normalize().to_string()).unwrap_or_default();
    let figures: [(&str, Value); 8] = [
        ("budget_set", json!(true)),
        ("budget_usd", cap.wire().into()),
        ("spent_usd", view.settled.wire().into()),
        ("held_usd", view.held.wire().into()),
        ("remaining_usd", remaining.wire().into()),
        ("percent_used", percent),
        ("alert_level", json!(view.level().as_str())),
        ("can_proceed", json!(view.can_proceed())),
    ];
    figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
