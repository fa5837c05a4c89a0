//! List and decide what waits for a person.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Orchestrator, wire};
use crate::domain::ids::ApprovalId;
use crate::domain::job::approval::{ApprovalStatus, Decision, Verdict};
use crate::http::ApiResult;
use crate::http::check::Checks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};
use crate::http::list::{ListLimits, ListParams};

/// A person looks at them all; 1,000 are more than anybody decides.
const APPROVAL_LIMITS: ListLimits = ListLimits { default: 1000, max: 1000 };

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
    params: ListParams,
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
    // Oldest first: whoever has waited longest.
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
    /// Inputs to go on with, of an approval.
    inputs: Option<Map<String, Value>>,
}

pub(super) async fn decide(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<ApprovalId>,
    ContractJson(body): ContractJson<DecideBody>,
) -> ApiResult<Json<Value>> {
    let (by, reason) = (body.by.unwrap_or_else(|| "operator".to_owned()), body.reason.unwrap_or_default());
    let mut checks = Checks::body();
    checks.len("by", &by, 1..=100).len("reason", &reason, 0..=1000);
    let rejects = body.decision == AnswerWord::Reject;
    checks.that("inputs", !rejects || body.inputs.is_none(), "only an approval goes on, with these inputs");
    checks.done()?;
    let verdict = match body.decision {
        AnswerWord::Approve => Verdict::Approve { inputs: body.inputs.unwrap_or_default() },
        AnswerWord::Reject => Verdict::Reject,
    };
    let (approval, _) = state.jobs.decide(&id, Decision { by, reason, verdict }).await?;
    Ok(Json(wire::approval(&approval)))
}
