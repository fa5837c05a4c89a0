//! The message trace and the crash records.

use std::cmp::Reverse;
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
use crate::http::list::{ListLimits, ListParams};
use crate::http::{ApiError, ApiResult};
use crate::supervision::trace::TraceRecord;

const SPAN_LIMITS: ListLimits = ListLimits { default: 500, max: 10_000 };
/// Pages of one trace: the first holds the whole trace of a usual run.
const TRACE_LIMITS: ListLimits = ListLimits { default: SPAN_LIMITS.max, ..SPAN_LIMITS };
/// Pages of crashes; one can hold every crash that is kept.
const CRASH_LIMITS: ListLimits = ListLimits { default: 50, max: crashes::KEPT_CRASHES };

#[derive(Deserialize)]
pub(super) struct SpansQuery {
    job: Option<JobId>,
    agent: Option<String>,
    since: Option<Timestamp>,
}

pub(super) async fn by_trace(
    State(state): State<OrchestratorApi>,
    params: ListParams,
    ContractPath(trace): ContractPath<TraceId>,
) -> ApiResult<Json<Value>> {
    let spans = live(&state, |record| record.trace == trace);
    if spans.is_empty() {
        return Err(ApiError::not_found(format!(
            "trace `{trace}` is not in memory; look up the trace of an ended run by its job"
        )));
    }
    answer(&state, &params, TRACE_LIMITS, spans)
}

pub(super) async fn find(
    State(state): State<OrchestratorApi>,
    params: ListParams,
    ContractQuery(query): ContractQuery<SpansQuery>,
) -> ApiResult<Json<Value>> {
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
    answer(&state, &params, SPAN_LIMITS, spans)
}

/// The messages of a job: of the whole run for a root, otherwise those to the job's agent and to the agents
/// below. Spans overwritten in the ring are read from the run's file.
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

/// A page of spans, oldest first; the first page holds the newest, its cursor leads to older ones.
fn answer(
    state: &OrchestratorApi,
    params: &ListParams,
    limits: ListLimits,
    spans: Vec<FrozenSpan>,
) -> ApiResult<Json<Value>> {
    // Spans of one millisecond keep their order: cause before effect.
    let numbered: Vec<(usize, FrozenSpan)> = spans.into_iter().enumerate().collect();
    let newest_first = |(_, span): &(usize, FrozenSpan)| Reverse((span.queued_at.as_millis(), span.span_id));
    let (mut page, total, next_cursor) = params.cut(limits, numbered, newest_first)?.into_parts();
    page.sort_by_key(|(number, _)| *number);
    let spans: Vec<FrozenSpan> = page.into_iter().map(|(_, span)| span).collect();
    let (_, dropped) = state.system.ring().counts();
    Ok(Json(json!({
        "count": spans.len(), "total": total, "next_cursor": next_cursor, "spans": spans, "dropped": dropped,
    })))
}

#[derive(Deserialize)]
pub(super) struct CrashesQuery {
    agent: Option<String>,
    since: Option<Timestamp>,
}

pub(super) async fn crashes(
    State(state): State<OrchestratorApi>,
    params: ListParams,
    ContractQuery(query): ContractQuery<CrashesQuery>,
) -> ApiResult<Json<Value>> {
    let is_wanted = |crash: &CrashRecord| {
        query.agent.as_ref().is_none_or(|agent| *agent == crash.agent)
            && query.since.is_none_or(|since| crash.at >= since)
    };
    let mut found = crashes::list(&state.store, crashes::KEPT_CRASHES)?;
    found.retain(is_wanted);
    let page = params.cut(CRASH_LIMITS, found, |crash| Reverse(crash.id))?;
    Ok(Json(page.map(|crash| headline(&crash)).answer("crashes")))
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
    let found = crashes::get(&state.store, id)?;
    found.map(Json).ok_or_else(|| ApiError::not_found(format!("no crash {id}")))
}
