//! The message trace and the crash records.

use std::cmp::Reverse;
use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::OrchestratorApi;
use crate::actors::crashes::{self, CrashRecord, FrozenSpan};
use crate::actors::jobs::finalize::TRACE_FILE;
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::domain::trace::{SpanId, TraceId};
use crate::http::check::RequestChecks;
use crate::http::extract::{ContractPath, ContractQuery};
use crate::http::list::{ListLimits, ListParams};
use crate::http::{ApiError, ApiResult};
use crate::supervision::trace::TraceRecord;

const SPAN_LIMITS: ListLimits = ListLimits { default: 500, max: 10_000 };
/// Pages of one trace: the first holds the whole trace of a usual run.
const TRACE_LIMITS: ListLimits = ListLimits { default: SPAN_LIMITS.max, ..SPAN_LIMITS };
/// Pages of crashes; one can hold every crash that is kept.
const CRASH_LIMITS: ListLimits = ListLimits { default: 50, max: crashes::KEPT_CRASHES };

/// The filters of spans: the one rule for lists, traces and crashes.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SpansQuery {
    job: Option<JobId>,
    /// Part of the name of the sender or the receiver.
    agent: Option<String>,
    since: Option<Timestamp>,
    /// Part of the message's kind.
    kind: Option<String>,
    outcome: Option<String>,
    /// Least time in hand, in milliseconds; of a message still in hand, so far.
    min_ms: Option<u64>,
    /// Without the daemon's care for itself.
    work_only: Option<bool>,
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
}

impl SpansQuery {
    fn matches(&self, span: &FrozenSpan, now: Timestamp) -> bool {
        let is_bad = !matches!(&*span.outcome, "ok" | "open");
        let so_far = || Some(u64::try_from(now.since(span.started_at?).as_micros()).unwrap_or(u64::MAX));
        let run_us = span.run_us.or_else(|| so_far().filter(|_| span.outcome == "open"));
        let is_agents = |agent: &String| has_letters(&span.to, agent) || has_letters(&span.from, agent);
        self.agent.as_ref().is_none_or(is_agents)
            && self.since.is_none_or(|since| span.queued_at >= since)
            && self.kind.as_ref().is_none_or(|kind| has_letters(&span.kind, kind))
            && self.outcome.as_ref().is_none_or(|outcome| span.outcome == *outcome)
            && self.min_ms.is_none_or(|least| run_us.is_some_and(|run| run >= least.saturating_mul(1000)))
            && (self.work_only != Some(true) || is_bad || !is_housekeeping(&span.kind))
    }
}

/// Whether a text has these letters, large or small.
fn has_letters(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(&wanted.trim().to_lowercase())
}

/// A filter within one trace, which has its job.
fn within(query: &SpansQuery) -> ApiResult<()> {
    let mut checks = RequestChecks::query();
    checks.that("job", query.job.is_none(), "is no filter here: the address says of what the spans are");
    checks.done()
}

/// Whether a message is one of those by which the daemon looks after itself, all the time.
fn is_housekeeping(kind: &str) -> bool {
    const KINDS: [&str; 7] = ["sweep", "look", "publish", "tick", "heartbeat", "beat", "returned"];
    KINDS.contains(&kind) || kind.starts_with("GET ")
}

pub(super) async fn by_trace(
    State(state): State<OrchestratorApi>,
    params: ListParams,
    ContractPath(trace): ContractPath<TraceId>,
    ContractQuery(query): ContractQuery<SpansQuery>,
) -> ApiResult<Json<Value>> {
    within(&query)?;
    let mut spans = live(&state, |record| record.trace == trace);
    if spans.is_empty() {
        return Err(ApiError::not_found(format!(
            "trace `{trace}` is not in memory; look up the trace of an ended run by its job"
        )));
    }
    let now = Timestamp::now();
    spans.retain(|span| query.matches(span, now));
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
    let now = Timestamp::now();
    spans.retain(|span| query.matches(span, now));
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
#[serde(deny_unknown_fields)]
pub(super) struct CrashesQuery {
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
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
    ContractQuery(query): ContractQuery<SpansQuery>,
) -> ApiResult<Json<CrashRecord>> {
    within(&query)?;
    let found = crashes::get(&state.store, id)?;
    let mut crash = found.ok_or_else(|| ApiError::not_found(format!("no crash {id}")))?;
    let at = crash.at;
    crash.spans.retain(|span| query.matches(span, at));
    Ok(Json(crash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(kind: &str, outcome: &str, run_us: Option<u64>) -> FrozenSpan {
        FrozenSpan {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            parent_span_id: None,
            from: "architect".to_owned(),
            to: "director-data".to_owned(),
            kind: kind.to_owned(),
            queued_at: Timestamp::from_millis(1000),
            started_at: None,
            ended_at: None,
            queue_us: None,
            run_us,
            outcome: outcome.to_owned(),
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(5000);

    fn query(text: &str) -> SpansQuery {
        serde_html_form::from_str(text).unwrap()
    }

    #[test]
    fn a_span_fits_all_filters_or_is_left_out() {
        let call = span("POST /v1/chat/completions", "ok", Some(2_500));
        for fits in [
            "",
            "kind=/V1",
            "outcome=ok",
            "min_ms=2",
            "agent=architect&limit=5",
            "agent=DIRECTOR",
            "agent=%20arch%20",
            "work_only=true",
        ] {
            assert!(query(fits).matches(&call, NOW), "{fits}");
        }
        for other in ["kind=invoke", "outcome=crashed", "min_ms=3", "agent=x", "since=1970-01-01T00:00:02Z"] {
            assert!(!query(other).matches(&call, NOW), "{other}");
        }
        let waits = span("look", "open", None);
        assert!(!query("min_ms=0").matches(&waits, NOW), "it is in nobody's hand");
        let in_hand = FrozenSpan { started_at: Some(Timestamp::from_millis(2000)), ..waits };
        assert!(query("min_ms=3000").matches(&in_hand, NOW), "so far");
        assert!(!query("min_ms=3001").matches(&in_hand, NOW));
    }

    #[test]
    fn housekeeping_is_left_out_where_it_went_well() {
        let wanted = query("work_only=true");
        assert!(
            !wanted.matches(&span("beat", "ok", Some(1)), NOW)
                && !wanted.matches(&span("GET /jobs", "ok", None), NOW)
        );
        assert!(wanted.matches(&span("beat", "crashed", Some(1)), NOW));
        assert!(query("work_only=false").matches(&span("beat", "ok", Some(1)), NOW));
    }

    #[test]
    fn a_filter_that_does_not_exist_is_refused() {
        assert!(serde_html_form::from_str::<SpansQuery>("king=invoke").is_err());
    }
}
