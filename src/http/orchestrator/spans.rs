//! The message trace and the crash records.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::OrchestratorApi;
use crate::actors::crashes::{self, CrashRecord, FrozenSpan};
use crate::actors::jobs::finalize::TRACE_FILE;
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::domain::trace::{SpanId, TraceId};
use crate::http::extract::{ContractPath, ContractQuery};
use crate::http::{ApiError, ApiResult};
use crate::supervision::trace::TraceRecord;

/// Most spans in one answer.
const MAX_SPANS: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct SpansQuery {
    job: Option<JobId>,
    agent: Option<String>,
    since: Option<Timestamp>,
    limit: Option<usize>,
}

pub(super) async fn by_trace(
    State(state): State<OrchestratorApi>,
    ContractPath(trace): ContractPath<TraceId>,
) -> ApiResult<Json<Value>> {
    let spans = live(&state, |record| record.trace == trace);
    if spans.is_empty() {
        return Err(ApiError::not_found(format!(
            "trace `{trace}` is not in memory; look up the trace of an ended run by its job"
        )));
    }
    Ok(answer(&state, spans, MAX_SPANS))
}

pub(super) async fn find(
    State(state): State<OrchestratorApi>,
    ContractQuery(query): ContractQuery<SpansQuery>,
) -> ApiResult<Json<Value>> {
    let limit = query.limit.unwrap_or(500).clamp(1, MAX_SPANS);
    let mut spans = match &query.job {
        Some(id) => of_job(&state, id)?,
        None => live(&state, |_| true),
    };
    if let Some(agent) = &query.agent {
        spans.retain(|span| span.to == *agent || span.from == *agent);
    }
    if let Some(since) = query.since {
        spans.retain(|span| span.queued_at >= since);
    }
    Ok(answer(&state, spans, limit))
}

/// The messages of a job: of the whole run for a root, otherwise those to its agent and to the agents below.
/// Spans overwritten in the ring are read from the run's file.
fn of_job(state: &OrchestratorApi, id: &JobId) -> ApiResult<Vec<FrozenSpan>> {
    let job = state.jobs.book.get(id)?;
    let mut spans = live(state, |record| record.trace == job.trace.0);
    let seen: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let file = state.jobs.run_dir(&job.run()).join(TRACE_FILE);
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    let kept = kept.lines().filter_map(|line| serde_json::from_str::<FrozenSpan>(line).ok());
    spans.extend(kept.filter(|span| !seen.contains(&span.span_id)));
    spans.sort_by_key(|span| span.queued_at);
    if id.parent().is_some() {
        let jobs = state.jobs.book.subtree(id)?;
        let agents: HashSet<&str> = jobs.iter().map(|job| job.card.agent.as_str()).collect();
        spans.retain(|span| agents.contains(span.to.as_str()));
    }
    Ok(spans)
}

fn live(state: &OrchestratorApi, wanted: impl Fn(&TraceRecord) -> bool) -> Vec<FrozenSpan> {
    let mut records = state.system.ring().select(&wanted);
    records.extend(state.system.open_records().into_iter().filter(wanted));
    records.sort_by_key(|record| record.sent_ns);
    records.iter().map(|record| FrozenSpan::of(&state.system, record)).collect()
}

/// The newest `limit` spans, oldest first.
fn answer(state: &OrchestratorApi, mut spans: Vec<FrozenSpan>, limit: usize) -> Json<Value> {
    spans.drain(..spans.len().saturating_sub(limit));
    let (_, dropped) = state.system.ring().counts();
    Json(json!({ "count": spans.len(), "spans": spans, "dropped": dropped }))
}

#[derive(Deserialize)]
pub(super) struct CrashesQuery {
    limit: Option<usize>,
}

pub(super) async fn crashes(
    State(state): State<OrchestratorApi>,
    ContractQuery(query): ContractQuery<CrashesQuery>,
) -> ApiResult<Json<Value>> {
    let found = crashes::list(state.jobs.book.store(), query.limit.unwrap_or(50).min(crashes::KEPT_CRASHES))?;
    let short: Vec<Value> = found.iter().map(headline).collect();
    Ok(Json(json!({ "count": short.len(), "crashes": short })))
}

fn headline(crash: &CrashRecord) -> Value {
    json!({
        "id": crash.id, "agent": crash.agent, "incarnation": crash.incarnation, "reason": crash.reason,
        "message": crash.message, "place": crash.place, "at": crash.at,
    })
}

pub(super) async fn crash(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<u64>,
) -> ApiResult<Json<CrashRecord>> {
    let found = crashes::get(state.jobs.book.store(), id)?;
    found.map(Json).ok_or_else(|| ApiError::not_found(format!("no crash {id}")))
}
