//! Submit, list, show, cancel, pause, resume and retry jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, OptionalFromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::OrchestratorApi;
use super::wire::JobView;
use crate::actors::jobs::listing::{JobFilter, JobPlace};
use crate::actors::jobs::{AsksPerson, JobError};
use crate::domain::ids::{AgentName, JobId, RunId};
use crate::domain::job::{CancelCause, JobRequest, JobState};
use crate::http::check::RequestChecks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};
use crate::http::list::{ListLimits, ListPage, ListParams};
use crate::http::{ApiError, ApiResult};

const MAX_REASON: usize = 1000;

/// The header form of the field `idempotency_key`.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) async fn submit(
    State(state): State<OrchestratorApi>,
    headers: HeaderMap,
    ContractJson(mut request): ContractJson<JobRequest>,
) -> ApiResult<(StatusCode, Json<JobView>)> {
    if let Some(key) = header_key(&headers)? {
        let differs = request.idempotency_key.as_ref().is_some_and(|field| *field != key);
        RequestChecks::body()
            .that(
                "idempotency_key",
                !differs,
                "differs from the header `Idempotency-Key`; send only one of them",
            )
            .done()?;
        request.idempotency_key = Some(key);
    }
    let job = state.jobs.submit(request, AsksPerson::Yes).await?;
    // A repeated key returns a run with steps, which is at what they are at.
    Ok((StatusCode::ACCEPTED, view(&state, job.id, false).await?))
}

/// The key in the header, with or without the quotes that the specification requires.
fn header_key(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let loc = || vec!["header".into(), "Idempotency-Key".into()];
    let text = value.to_str().map_err(|_| ApiError::violation(loc(), "value_error", "is not ASCII"))?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    Ok(Some(text.to_owned()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
    state: Option<JobState>,
    run_id: Option<RunId>,
    agent: Option<AgentName>,
    roots: Option<bool>,
}

pub(super) async fn list(
    State(state): State<OrchestratorApi>,
    params: ListParams,
    ContractQuery(query): ContractQuery<JobsQuery>,
) -> ApiResult<Json<Value>> {
    let (after, limit) = (params.after::<JobPlace>()?, params.limit(ListLimits::USUAL));
    let filter = JobFilter {
        state: query.state,
        agent: query.agent,
        run: query.run_id,
        roots_only: query.roots.unwrap_or(true),
    };
    let jobs = Arc::clone(&state.jobs);
    let listed = tokio::task::spawn_blocking(move || {
        let page = jobs.book.list(&filter, after.as_ref(), limit)?;
        let continuations = jobs.continuations_of(&page.jobs)?;
        let views = page.jobs.iter().map(|job| {
            let below = jobs.book.subtree(&job.id)?;
            Ok(JobView::new(&jobs, job, &below, false)?.continued(&continuations, job))
        });
        let views = views.collect::<Result<Vec<_>, JobError>>()?;
        Ok::<_, JobError>(ListPage::new(views, page.total, page.last.as_ref()))
    });
    let page = listed.await.map_err(|error| ApiError::internal(&error))??;
    Ok(Json(page.answer("jobs")))
}

#[derive(Deserialize)]
pub(super) struct JobQuery {
    #[serde(default)]
    tree: bool,
}

pub(super) async fn show(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    ContractQuery(query): ContractQuery<JobQuery>,
) -> ApiResult<Json<JobView>> {
    view(&state, id, query.tree).await
}

async fn view(state: &OrchestratorApi, id: JobId, nested: bool) -> ApiResult<Json<JobView>> {
    let jobs = Arc::clone(&state.jobs);
    // The continuations of an old run are found by reading all runs since.
    let viewed = tokio::task::spawn_blocking(move || {
        let below = jobs.book.subtree(&id)?;
        let job = below.first().ok_or_else(|| ApiError::not_found(format!("no job `{id}`")))?;
        let continuations = jobs.continuations_of([job])?;
        Ok::<_, ApiError>(JobView::new(&jobs, job, &below, nested)?.continued(&continuations, job))
    });
    Ok(Json(viewed.await.map_err(|error| ApiError::internal(&error))??))
}

/// Extractor: the reason in an optional body; the audit log has it.
#[derive(Debug)]
pub(super) struct GivenReason(Option<String>);

impl GivenReason {
    pub(super) fn or(self, default: &str) -> String {
        self.0.unwrap_or_else(|| default.to_owned())
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for GivenReason {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        let body = <ContractJson<ReasonBody> as OptionalFromRequest<S>>::from_request(request, state).await?;
        let ReasonBody { reason } = body.map(|ContractJson(body)| body).unwrap_or_default();
        let mut checks = RequestChecks::body();
        checks.len("reason", reason.as_deref().unwrap_or_default(), 0..=MAX_REASON);
        checks.done()?;
        Ok(Self(reason))
    }
}

pub(super) async fn cancel(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    reason: GivenReason,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let reason = reason.or("requested over HTTP");
    let parts = state.jobs.cancel(&id, CancelCause::Asked(reason)).await?.parts;
    let pending: Vec<_> =
        parts.iter().filter(|part| part.stopped_at.is_none()).map(|part| &part.job_id).collect();
    let now = state.jobs.book.get(&id)?.state;
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({ "job_id": id, "state": now, "cancelled": parts, "pending": pending })),
    ))
}

pub(super) async fn pause(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    _: GivenReason,
) -> ApiResult<Json<JobView>> {
    state.jobs.book.pause_tree(&id).await?.iter().for_each(|job| state.jobs.notify(job));
    view(&state, id, false).await
}

pub(super) async fn resume(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    _: GivenReason,
) -> ApiResult<Json<JobView>> {
    state.jobs.book.resume_tree(&id).await?.iter().for_each(|job| state.jobs.notify(job));
    view(&state, id, false).await
}

/// A run that has ended is resubmitted as a new run: a terminal state is final.
pub(super) async fn retry(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    _: GivenReason,
) -> ApiResult<Json<JobView>> {
    let job = state.jobs.retry(&id).await?;
    view(&state, job.id, false).await
}
