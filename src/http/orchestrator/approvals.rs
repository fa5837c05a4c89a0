//! List and decide approvals.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{OrchestratorApi, wire};
use crate::domain::ids::ApprovalId;
use crate::domain::job::approval::{ApprovalDecision, ApprovalStatus, ApprovalVerdict};
use crate::http::ApiResult;
use crate::http::check::RequestChecks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};
use crate::http::list::{ListLimits, ListParams};

/// A person reads them all; nobody decides 1,000.
const APPROVAL_LIMITS: ListLimits = ListLimits { default: 1000, max: 1000 };

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum ApprovalFilter {
    Pending,
    Approved,
    Rejected,
    Withdrawn,
    All,
}

#[derive(Deserialize)]
pub(super) struct ApprovalsQuery {
    status: Option<ApprovalFilter>,
}

pub(super) async fn list(
    State(state): State<OrchestratorApi>,
    params: ListParams,
    ContractQuery(query): ContractQuery<ApprovalsQuery>,
) -> ApiResult<Json<Value>> {
    let wanted = |status| match query.status.unwrap_or(ApprovalFilter::Pending) {
        ApprovalFilter::Pending => status == ApprovalStatus::Pending,
        ApprovalFilter::Approved => status == ApprovalStatus::Approved,
        ApprovalFilter::Rejected => status == ApprovalStatus::Rejected,
        ApprovalFilter::Withdrawn => status == ApprovalStatus::Withdrawn,
        ApprovalFilter::All => true,
    };
    let mut approvals = state.jobs.book.approvals()?;
    approvals.retain(|approval| wanted(approval.status));
    // Oldest first.
    let page = params.cut(APPROVAL_LIMITS, approvals, |asked| {
        (asked.created_at.as_millis(), asked.approval_id.as_str().to_owned())
    })?;
    Ok(Json(page.map(|asked| wire::approval(&asked)).answer("approvals")))
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum AnswerWord {
    Approve,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideBody {
    decision: AnswerWord,
    reason: Option<String>,
    by: Option<String>,
    /// Corrected inputs of an approval.
    inputs: Option<Map<String, Value>>,
}

pub(super) async fn decide(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<ApprovalId>,
    ContractJson(body): ContractJson<DecideBody>,
) -> ApiResult<Json<Value>> {
    let (by, reason) = (body.by.unwrap_or_else(|| "operator".to_owned()), body.reason.unwrap_or_default());
    let mut checks = RequestChecks::body();
    checks.len("by", &by, 1..=100).len("reason", &reason, 0..=1000);
    let rejects = body.decision == AnswerWord::Reject;
    checks.that("inputs", !rejects || body.inputs.is_none(), "only an approval takes inputs");
    checks.done()?;
    let verdict = match body.decision {
        AnswerWord::Approve => ApprovalVerdict::Approve { inputs: body.inputs.unwrap_or_default() },
        AnswerWord::Reject => ApprovalVerdict::Reject,
    };
    let (approval, _) = state.jobs.decide(&id, ApprovalDecision { by, reason, verdict }).await?;
    Ok(Json(wire::approval(&approval)))
}
