//! List and decide what waits for a person.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Orchestrator, wire};
use crate::domain::ids::ApprovalId;
use crate::domain::job::approval::ApprovalStatus;
use crate::http::ApiResult;
use crate::http::check::Checks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Pending,
    Approved,
    Rejected,
    All,
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    status: Option<Wanted>,
}

pub(super) async fn list(
    State(state): State<Orchestrator>,
    ContractQuery(query): ContractQuery<ListQuery>,
) -> ApiResult<Json<Value>> {
    let wanted = |status| match query.status.unwrap_or(Wanted::Pending) {
        Wanted::Pending => status == ApprovalStatus::Pending,
        Wanted::Approved => status == ApprovalStatus::Approved,
        Wanted::Rejected => status == ApprovalStatus::Rejected,
        Wanted::All => true,
    };
    let mut approvals = state.jobs.book.approvals()?;
    approvals.retain(|approval| wanted(approval.status));
    approvals.sort_by_key(|approval| approval.created_at);
    let shown: Vec<_> = approvals.iter().map(wire::approval).collect();
    Ok(Json(json!({ "count": shown.len(), "approvals": shown })))
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approve,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideBody {
    decision: Decision,
    reason: Option<String>,
    by: Option<String>,
}

pub(super) async fn decide(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<ApprovalId>,
    ContractJson(body): ContractJson<DecideBody>,
) -> ApiResult<Json<Value>> {
    let (by, reason) = (body.by.unwrap_or_else(|| "operator".to_owned()), body.reason.unwrap_or_default());
    let mut checks = Checks::body();
    checks.len("by", &by, 1..=100).len("reason", &reason, 0..=1000);
    checks.done()?;
    let approve = body.decision == Decision::Approve;
    let (approval, job) = state.jobs.book.decide(&id, approve, by, reason).await?;
    state.jobs.hint(&job);
    Ok(Json(wire::approval(&approval)))
}
