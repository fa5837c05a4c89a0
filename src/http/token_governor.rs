//! Port 6105: the token governor.

use std::cmp::Reverse;
use std::num::NonZeroU64;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::{ContractJson, ContractPath, ContractQuery};
use super::list::{ListLimits, ListParams};
use super::page::HealthReporter;
use crate::actors::token_governor::{
    ContextReport, GovernorError, GovernorHandle, SummaryDetail, SummaryRequest,
};
use crate::domain::time::Timestamp;
use crate::domain::token_governor::summary::{ContextSummary, SummaryTrigger};
use crate::domain::token_governor::{AgentContext, ContextAction, ContextStatus, MAX_AGENT, RunLabel};

pub fn routes(governor: GovernorHandle) -> Router {
    Router::new()
        .route("/track", post(track))
        .route("/status", get(status))
        .route("/summarize", post(summarise))
        .route("/summaries", get(summaries))
        .route("/summaries/{summary_id}", get(summary))
        .route("/clear", post(clear))
        .with_state(governor)
}

/// The fields of `/health`: tracked contexts, and those in breach.
#[must_use]
pub fn health(governor: GovernorHandle) -> HealthReporter {
    Arc::new(move || {
        let (tracked, in_breach) = governor.counts();
        let told = [("tracked", json!(tracked)), ("in_breach", json!(in_breach))];
        Box::pin(async move { Ok(told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()) })
    })
}

#[derive(Deserialize)]
struct TrackBody {
    agent: String,
    #[serde(default)]
    run_id: Option<RunLabel>,
    ctx_used: u64,
    ctx_limit: NonZeroU64,
    #[serde(default)]
    target_ratio: Option<f64>,
    #[serde(default)]
    hard_max_ratio: Option<f64>,
}

#[derive(Serialize)]
struct TrackDocument {
    agent: String,
    ctx_used: u64,
    ctx_limit: NonZeroU64,
    ctx_ratio: f64,
    status: ContextStatus,
    action: Option<ContextAction>,
    ts: Timestamp,
}

async fn track(
    State(governor): State<GovernorHandle>,
    ContractJson(body): ContractJson<TrackBody>,
) -> ApiResult<Json<TrackDocument>> {
    RequestChecks::body()
        .len("agent", &body.agent, 1..=MAX_AGENT)
        .range("target_ratio", &body.target_ratio.unwrap_or(0.0), 0.0..=1.0)
        .range("hard_max_ratio", &body.hard_max_ratio.unwrap_or(0.0), 0.0..=1.0)
        .done()?;
    let report = ContextReport {
        run_id: body.run_id,
        ctx_used: body.ctx_used,
        ctx_limit: body.ctx_limit,
        target_ratio: body.target_ratio,
        hard_max_ratio: body.hard_max_ratio,
    };
    let context = governor.track(&body.agent, report).map_err(|error| {
        ApiError::violation(vec!["body".into(), "target_ratio".into()], "value_error", error.to_string())
    })?;
    let (ctx_ratio, status) = (context.shown_ratio(), context.status());
    Ok(Json(TrackDocument {
        agent: body.agent,
        ctx_used: context.ctx_used,
        ctx_limit: context.ctx_limit,
        ctx_ratio,
        status,
        action: status.action(),
        ts: context.last_updated,
    }))
}

#[derive(Deserialize)]
struct ContextQuery {
    #[serde(default)]
    agent: Option<String>,
}

#[derive(Serialize)]
struct ContextDocument {
    agent: Arc<str>,
    run_id: Option<RunLabel>,
    ctx_used: u64,
    ctx_limit: NonZeroU64,
    ctx_ratio: f64,
    target_ratio: f64,
    hard_max_ratio: f64,
    status: ContextStatus,
    last_updated: Timestamp,
}

impl From<(Arc<str>, AgentContext)> for ContextDocument {
    fn from((agent, context): (Arc<str>, AgentContext)) -> Self {
        Self {
            agent,
            ctx_used: context.ctx_used,
            ctx_limit: context.ctx_limit,
            ctx_ratio: context.shown_ratio(),
            target_ratio: context.budget.target_ratio(),
            hard_max_ratio: context.budget.hard_max_ratio(),
            status: context.status(),
            last_updated: context.last_updated,
            run_id: context.run_id,
        }
    }
}

async fn status(
    State(governor): State<GovernorHandle>,
    ContractQuery(query): ContractQuery<ContextQuery>,
) -> ApiResult<Json<Value>> {
    let all = governor.status(query.agent.as_deref()).await?;
    let agents: Vec<ContextDocument> = all.into_iter().map(ContextDocument::from).collect();
    Ok(Json(json!({ "agents": agents })))
}

#[derive(Deserialize)]
struct SummariseBody {
    agent: String,
    run_id: RunLabel,
    trigger_reason: SummaryTrigger,
    #[serde(default)]
    content_to_summarize: Option<String>,
}

async fn summarise(
    State(governor): State<GovernorHandle>,
    ContractJson(body): ContractJson<SummariseBody>,
) -> ApiResult<Json<Value>> {
    RequestChecks::body().len("agent", &body.agent, 1..=MAX_AGENT).done()?;
    let wanted = SummaryRequest {
        agent: body.agent,
        run_id: body.run_id,
        trigger_reason: body.trigger_reason,
        content: body.content_to_summarize,
    };
    let summary = governor.summarise(wanted).await?;
    Ok(Json(json!({
        "summary_id": summary.summary_id,
        "agent": summary.agent,
        "summary_path": summary.summary_path,
        "ctx_before": summary.ctx_before,
        "ctx_after": summary.ctx_after,
        "ts": summary.created_at,
    })))
}

async fn summaries(
    State(governor): State<GovernorHandle>,
    params: ListParams,
    ContractQuery(query): ContractQuery<ContextQuery>,
) -> ApiResult<Json<Value>> {
    let rows = governor.summaries(query.agent.as_deref(), usize::MAX)?;
    let row = |summary: ContextSummary| {
        json!({
            "summary_id": summary.summary_id,
            "agent": summary.agent,
            "run_id": summary.run_id,
            "trigger_reason": summary.trigger_reason,
            "ctx_before": summary.ctx_before,
            "ctx_after": summary.ctx_after,
            "summary_path": summary.summary_path,
            "created_at": summary.created_at,
        })
    };
    // Ids sort by time of creation.
    let page = params.cut(ListLimits::USUAL, rows, |summary| Reverse(summary.summary_id.clone()))?;
    Ok(Json(page.map(row).answer("summaries")))
}

async fn summary(
    State(governor): State<GovernorHandle>,
    ContractPath(id): ContractPath<String>,
) -> ApiResult<Json<Value>> {
    let SummaryDetail { summary, before, diff } = governor.detail(&id).await?;
    let mut body = serde_json::to_value(&summary).map_err(|error| ApiError::internal(&error))?;
    if let Some(fields) = body.as_object_mut() {
        let after = fields.remove("text").unwrap_or_default();
        fields.extend([
            ("before".to_owned(), json!(before)),
            ("after".to_owned(), after),
            ("diff".to_owned(), json!(diff)),
        ]);
    }
    Ok(Json(body))
}

#[derive(Deserialize)]
struct ClearQuery {
    agent: String,
    #[serde(default)]
    run_id: Option<RunLabel>,
}

async fn clear(
    State(governor): State<GovernorHandle>,
    ContractQuery(query): ContractQuery<ClearQuery>,
) -> ApiResult<Json<Value>> {
    let ctx_before = governor.clear(query.agent.clone(), query.run_id).await?;
    let ts = Timestamp::now();
    Ok(Json(json!({ "success": true, "agent": query.agent, "ctx_before": ctx_before, "ts": ts })))
}

impl From<GovernorError> for ApiError {
    fn from(error: GovernorError) -> Self {
        match error {
            GovernorError::Unknown(_) | GovernorError::NoSummary(_) => Self::not_found(error.to_string()),
            GovernorError::Full | GovernorError::File(_) | GovernorError::Resetting(..) => {
                Self::busy(error.to_string())
            }
            GovernorError::Store(error) => error.into(),
            GovernorError::Call(error) => error.into(),
            GovernorError::Run(_) => Self::bad_request(error.to_string()),
            GovernorError::Summary(_) => Self::internal(&error),
        }
    }
}
