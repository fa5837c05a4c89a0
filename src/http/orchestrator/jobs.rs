//! Submit, list, show, cancel, pause, resume and retry jobs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Orchestrator;
use super::wire::JobView;
use crate::actors::jobs::book::Submission;
use crate::domain::agent::Behaviour;
use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::job::{DEFAULT_PRIORITY, Job, JobCard, JobState, MAX_PRIORITY, plan};
use crate::domain::json::Json as StoredJson;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::http::check::Checks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};
use crate::http::{ApiError, ApiResult};
use crate::supervision::trace;

/// Most jobs in one list.
const MAX_LISTED: usize = 1000;
/// Longest reason and idempotency key.
const MAX_REASON: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitBody {
    task: String,
    #[serde(default)]
    inputs: Option<serde_json::Map<String, Value>>,
    agent: Option<AgentName>,
    capability: Option<String>,
    priority: Option<u8>,
    deadline_s: Option<f64>,
    #[serde(default)]
    approvals_required: Vec<String>,
    resource_request: Option<serde_json::Map<String, Value>>,
    idempotency_key: Option<String>,
}

pub(super) async fn submit(
    State(state): State<Orchestrator>,
    ContractJson(body): ContractJson<SubmitBody>,
) -> ApiResult<(StatusCode, Json<JobView>)> {
    let mut checks = Checks::body();
    checks
        .len("task", &body.task, 1..=100)
        .range("priority", &body.priority.unwrap_or(DEFAULT_PRIORITY), 0..=MAX_PRIORITY)
        .len("capability", body.capability.as_deref().unwrap_or("-"), 1..=100)
        .len("idempotency_key", body.idempotency_key.as_deref().unwrap_or("-"), 1..=200)
        .count("approvals_required", &body.approvals_required, 0..=32)
        .that(
            "deadline_s",
            body.deadline_s.is_none_or(|s| s > 0.0 && s.is_finite()),
            "must be a positive number of seconds",
        );
    let card = card(&state, &body, &mut checks);
    checks.done()?;
    let card = card.ok_or_else(|| ApiError::bad_request("the job names nobody who could do it"))?;
    let job = state
        .jobs
        .book
        .submit(Submission {
            card,
            context: trace::current().map_or_else(TraceContext::new_root, |scope| scope.context),
            idempotency_key: body.idempotency_key,
            max_active: state.jobs.settings.max_active,
        })
        .await?;
    state.jobs.hint(&job);
    Ok((StatusCode::ACCEPTED, Json(JobView::new(&state.jobs, &job, &[], false))))
}

/// The card, with every fault of it noted in `checks`.
fn card(state: &Orchestrator, body: &SubmitBody, checks: &mut Checks) -> Option<JobCard> {
    let roster = state.jobs.agents.roster();
    let architect = AgentName::new("architect").ok()?;
    let agent = match (&body.agent, &body.capability) {
        (Some(agent), _) => roster.get(agent.as_str()),
        (None, Some(capability)) => roster.route(capability, &architect),
        (None, None) => roster.get("architect"),
    };
    let field = if body.agent.is_none() && body.capability.is_some() { "capability" } else { "agent" };
    checks.that(field, agent.is_some(), "no agent of this swarm fits; `GET /agents` lists them");
    let agent = agent?;
    let known: Vec<_> = plan::BOOK.iter().map(|plan| plan.task).collect();
    let fits = match &agent.behaviour {
        Behaviour::Coordinator => known.contains(&body.task.as_str()),
        Behaviour::Native { skill } => skill.as_str() == body.task,
        _ => true,
    };
    checks.that(
        "task",
        fits,
        format!("`{}` does not know this task; tasks of coordinators: {}", agent.name, known.join(", ")),
    );
    let inputs = body.inputs.clone().unwrap_or_default();
    if body.task == plan::INGEST {
        let source = inputs.get("source").and_then(Value::as_str);
        let absolute = source.is_some_and(|source| std::path::Path::new(source).is_absolute());
        checks.that("inputs", absolute, "`ingest` needs `source`, the absolute path of a folder or file");
    }
    Some(JobCard {
        agent: agent.name.clone(),
        task: body.task.clone(),
        capability: body.capability.clone(),
        inputs: StoredJson(Value::Object(inputs)),
        priority: body.priority.unwrap_or(DEFAULT_PRIORITY),
        resource_request: body.resource_request.clone().map(|request| StoredJson(Value::Object(request))),
        approvals_required: body.approvals_required.clone(),
        deadline_at: body
            .deadline_s
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .map(|d| Timestamp::now().plus(d)),
        optional: false,
    })
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    state: Option<JobState>,
    run_id: Option<RunId>,
    agent: Option<AgentName>,
    limit: Option<usize>,
    roots: Option<bool>,
}

pub(super) async fn list(
    State(state): State<Orchestrator>,
    ContractQuery(query): ContractQuery<ListQuery>,
) -> ApiResult<Json<Value>> {
    let limit = query.limit.unwrap_or(50).min(MAX_LISTED);
    let book = &state.jobs.book;
    let roots = match &query.run_id {
        Some(run) => vec![book.get(&JobId::root(run))?],
        None => book.roots(MAX_LISTED)?,
    };
    let mut found = Vec::new();
    for root in roots {
        let below = book.subtree(&root.id)?;
        let wanted = |job: &&Job| {
            (!query.roots.unwrap_or(true) || job.id.parent().is_none())
                && query.state.is_none_or(|state| job.state == state)
                && query.agent.as_ref().is_none_or(|agent| job.card.agent == *agent)
        };
        found.extend(below.iter().filter(wanted).map(|job| JobView::new(&state.jobs, job, &below, false)));
        if found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(Json(json!({ "count": found.len(), "jobs": found })))
}

#[derive(Deserialize)]
pub(super) struct ShowQuery {
    #[serde(default)]
    tree: bool,
}

pub(super) async fn show(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<JobId>,
    ContractQuery(query): ContractQuery<ShowQuery>,
) -> ApiResult<Json<JobView>> {
    view(&state, &id, query.tree)
}

fn view(state: &Orchestrator, id: &JobId, nested: bool) -> ApiResult<Json<JobView>> {
    let below = state.jobs.book.subtree(id)?;
    let job = below.first().ok_or_else(|| ApiError::not_found(format!("there is no job `{id}`")))?;
    Ok(Json(JobView::new(&state.jobs, job, &below, nested)))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    reason: Option<String>,
}

impl ReasonBody {
    pub(super) fn checked(self, default: &str) -> ApiResult<String> {
        let reason = self.reason.unwrap_or_else(|| default.to_owned());
        let mut checks = Checks::body();
        checks.len("reason", &reason, 0..=MAX_REASON);
        checks.done()?;
        Ok(reason)
    }
}

pub(super) async fn cancel(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<JobId>,
    body: Option<ContractJson<ReasonBody>>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let reason = body.map(|ContractJson(body)| body).unwrap_or_default().checked("asked for over HTTP")?;
    let parts = state.jobs.cancel(&id, &reason).await?;
    let pending: Vec<_> =
        parts.iter().filter(|part| part.stopped_at.is_none()).map(|part| &part.job_id).collect();
    let now = state.jobs.book.get(&id)?.state;
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({ "job_id": id, "state": now, "cancelled": parts, "pending": pending })),
    ))
}

pub(super) async fn pause(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<JobId>,
    body: Option<ContractJson<ReasonBody>>,
) -> ApiResult<Json<JobView>> {
    body.map(|ContractJson(body)| body).unwrap_or_default().checked("")?;
    state.jobs.book.pause_tree(&id).await?.iter().for_each(|job| state.jobs.hint(job));
    view(&state, &id, false)
}

pub(super) async fn resume(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<JobId>,
    body: Option<ContractJson<ReasonBody>>,
) -> ApiResult<Json<JobView>> {
    body.map(|ContractJson(body)| body).unwrap_or_default().checked("")?;
    state.jobs.book.resume_tree(&id).await?.iter().for_each(|job| state.jobs.hint(job));
    view(&state, &id, false)
}

/// A run that has ended is submitted anew, as a run of its own: a terminal state is left by nothing.
pub(super) async fn retry(
    State(state): State<Orchestrator>,
    ContractPath(id): ContractPath<JobId>,
    body: Option<ContractJson<ReasonBody>>,
) -> ApiResult<Json<JobView>> {
    body.map(|ContractJson(body)| body).unwrap_or_default().checked("")?;
    let job = state.jobs.retry(&id).await?;
    view(&state, &job.id, false)
}
