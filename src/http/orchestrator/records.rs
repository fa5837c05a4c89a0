//! The records of a run: artifacts, events, manifest, ledger, index; and backups of the store.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::OrchestratorApi;
use crate::actors::jobs::readers::{LedgerEntry, LedgerPlace};
use crate::actors::jobs::{JobsShared, manifest};
use crate::actors::retention::RetentionReport;
use crate::actors::steering::AuditNote;
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::{JobEvent, JobEventKind, JobState};
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;
use crate::http::audit;
use crate::http::check::RequestChecks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};
use crate::http::list::{ListLimits, ListPage, ListParams};
use crate::http::sse::{self, SinceSeq, SseEvent};
use crate::http::{ApiError, ApiResult, EdgeInfo};
use crate::skills::ingest::{formats, index};
use crate::store::backup::BackupError;

/// Most events read at once.
const EVENT_PAGE: usize = 500;
/// An artifact may be a page whose text others wrote: shown, it runs nothing, loads nothing and has no origin.
const ARTIFACT_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Largest artifact served in one answer.
const MAX_SERVED_BYTES: u64 = 256 << 20;

pub(super) async fn artifacts(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
) -> ApiResult<Json<Value>> {
    let jobs = state.jobs.book.subtree(&id)?;
    let mut artifacts: Vec<_> = jobs.iter().flat_map(|job| job.artifacts.clone()).collect();
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    let run_dir = format!("artifacts/runs/{}", id.run());
    Ok(Json(json!({ "job_id": id, "run_id": id.run(), "run_dir": run_dir, "artifacts": artifacts })))
}

pub(super) async fn artifact(
    State(state): State<OrchestratorApi>,
    ContractPath((id, path)): ContractPath<(JobId, String)>,
) -> ApiResult<Response> {
    let jobs = state.jobs.book.subtree(&id)?;
    let listed = jobs.iter().flat_map(|job| &job.artifacts).find(|artifact| {
        path == artifact.path || path.strip_prefix(&artifact.path).is_some_and(|rest| rest.starts_with('/'))
    });
    let missing = || ApiError::not_found(format!("`{id}` has no artifact `{path}`"));
    let artifact = listed.ok_or_else(missing)?;
    let plain = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(missing());
    }
    let (folder, file) = (state.jobs.run_dir(&id.run()), path.clone());
    let bytes = tokio::task::spawn_blocking(move || read_bounded(&folder, &file)).await;
    let bytes = bytes.map_err(|error| ApiError::internal(&error))?.map_err(|_| missing())?;
    let media_type = if path == artifact.path {
        artifact.media_type.clone()
    } else {
        "application/octet-stream".to_owned()
    };
    let headers = [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, ARTIFACT_POLICY.to_owned())];
    Ok((headers, bytes).into_response())
}

/// Reads a file of a run's folder; no link on the way leads out of the folder.
fn read_bounded(folder: &Path, file: &str) -> std::io::Result<Vec<u8>> {
    let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
    let info = folder.symlink_metadata(file)?;
    if !info.is_file() || info.len() > MAX_SERVED_BYTES {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    folder.read(file)
}

pub(super) async fn events(
    State(state): State<OrchestratorApi>,
    Extension(edge): Extension<EdgeInfo>,
    ContractPath(id): ContractPath<JobId>,
    SinceSeq(since): SinceSeq,
    headers: HeaderMap,
) -> ApiResult<Response> {
    state.jobs.book.get(&id)?;
    if sse::wants_stream(&headers) {
        return Ok(sse::stream(follow(Arc::clone(&state.jobs), id, since), &edge));
    }
    let (events, last_seq) = page(&state.jobs, &id, since)?;
    Ok(Json(json!({ "events": events, "last_seq": last_seq })).into_response())
}

/// The events of a job and its descendants, and the number of the last event read.
fn page(jobs: &JobsShared, id: &JobId, since: u64) -> ApiResult<(Vec<JobEvent>, u64)> {
    let below = format!("{id}.");
    let mut events = jobs.book.events(&id.run(), since, EVENT_PAGE)?;
    let seen = events.last().map_or(since, |event| event.seq);
    events.retain(|event| event.job_id == *id || event.job_id.as_str().starts_with(&below));
    Ok((events, seen))
}

/// All events after `since`, past and future, until the job itself has ended.
fn follow(
    jobs: Arc<JobsShared>,
    id: JobId,
    since: u64,
) -> impl futures_util::Stream<Item = SseEvent<JobEvent>> + Send {
    let commits = jobs.book.commits();
    let start = (jobs, commits, since, std::collections::VecDeque::new(), false);
    stream::unfold(start, move |(jobs, mut commits, mut since, mut waiting, mut over)| {
        let id = id.clone();
        async move {
            loop {
                if let Some(event) = waiting.pop_front() {
                    let JobEvent { seq, event: kind, .. } = event;
                    let sent = SseEvent { id: seq, kind: word(kind), data: event };
                    return Some((sent, (jobs, commits, since, waiting, over)));
                }
                if over {
                    return None;
                }
                commits.mark_unchanged();
                let ended = jobs.book.get(&id).ok()?.state.is_terminal();
                let (events, seen) = page(&jobs, &id, since).ok()?;
                let nothing_new = std::mem::replace(&mut since, seen) == seen;
                over = ended && nothing_new;
                waiting = events.into();
                if nothing_new && !over {
                    commits.changed().await.ok()?;
                }
            }
        }
    })
}

/// The event's name on the wire.
fn word(kind: JobEventKind) -> &'static str {
    match kind {
        JobEventKind::Accepted => "accepted",
        JobEventKind::Started => "started",
        JobEventKind::Progress => "progress",
        JobEventKind::Reassigned => "reassigned",
        JobEventKind::AwaitingApproval => "awaiting_approval",
        JobEventKind::Approved => "approved",
        JobEventKind::Rejected => "rejected",
        JobEventKind::SoftTimeout => "soft_timeout",
        JobEventKind::HardTimeout => "hard_timeout",
        JobEventKind::Escalated => "escalated",
        JobEventKind::Retrying => "retrying",
        JobEventKind::Paused => "paused",
        JobEventKind::Resumed => "resumed",
        JobEventKind::CancelRequested => "cancel_requested",
        JobEventKind::Cancelled => "cancelled",
        JobEventKind::Failed => "failed",
        JobEventKind::Quarantined => "quarantined",
        JobEventKind::Completed => "completed",
    }
}

pub(super) async fn manifest(
    State(state): State<OrchestratorApi>,
    ContractPath(run): ContractPath<RunId>,
) -> ApiResult<Json<Value>> {
    let root = state.jobs.book.get(&JobId::root(&run))?;
    if !root.state.is_terminal() {
        return Err(ApiError::not_found(format!(
            "no manifest of run `{run}` yet; it is written when the run ends"
        )));
    }
    // A done run has a manifest already; any other ended run gets one within moments.
    if root.state != JobState::Done && !closed_soon(&state.jobs, &run).await? {
        let sentence = format!("the manifest of `{run}` is being written");
        return Err(ApiError::busy(sentence).retry_after(Duration::from_secs(1)));
    }
    let file = state.jobs.run_dir(&run).join(manifest::FILE);
    let bytes = tokio::fs::read(&file)
        .await
        .map_err(|_| ApiError::not_found(format!("{} is gone", file.display())))?;
    serde_json::from_slice(&bytes).map(Json).map_err(|error| ApiError::internal(&error))
}

pub(super) async fn ledger(
    State(state): State<OrchestratorApi>,
    params: ListParams,
) -> ApiResult<Json<Value>> {
    let (after, limit) = (params.after::<LedgerPlace>()?, params.limit(ListLimits::USUAL));
    let (mut rows, total) = state.jobs.book.ledger(after.as_ref(), limit + 1)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more).map(|(place, _)| place.clone());
    let page = ListPage::new(rows, total, last.as_ref());
    Ok(Json(page.map(|(_, entry)| ledger_line(&entry)).answer("entries")))
}

fn ledger_line(entry: &LedgerEntry) -> Value {
    let elapsed_ms = u64::try_from(entry.ended_at.since(entry.started_at).as_millis()).unwrap_or(u64::MAX);
    json!({
        "run_id": entry.run_id, "task": entry.task, "state": entry.state, "created_at": entry.started_at,
        "ended_at": entry.ended_at, "elapsed_ms": elapsed_ms, "jobs": entry.jobs,
        "content_hash": entry.content_hash, "cost_usd": wire_cost(&entry.cost_usd),
        "manifest": entry.manifest, "inputs": entry.inputs.0,
    })
}

/// Longest wait for a run that has just ended to be finalized: the scheduler checks ten times a second.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// Waits until an ended run is finalized; false when that takes too long.
async fn closed_soon(jobs: &JobsShared, run: &RunId) -> ApiResult<bool> {
    let mut commits = jobs.book.commits();
    let closed = async {
        loop {
            commits.mark_unchanged();
            if jobs.book.is_closed(run)? {
                return Ok::<_, ApiError>(true);
            }
            if commits.changed().await.is_err() {
                return Ok(false);
            }
        }
    };
    tokio::time::timeout(CLOSED_WITHIN, closed).await.unwrap_or(Ok(false))
}

/// Dollars on the wire; an unreadable amount is null, never 0.
fn wire_cost(usd: &str) -> Value {
    let amount = usd.parse().ok().and_then(|usd| NanoUsd::from_usd(usd).ok());
    amount.map_or(Value::Null, |amount| Value::from(amount.wire()))
}

#[derive(Deserialize)]
pub(super) struct SearchQuery {
    run_id: Option<RunId>,
    q: String,
    limit: Option<usize>,
}

pub(super) async fn search(
    State(state): State<OrchestratorApi>,
    ContractQuery(query): ContractQuery<SearchQuery>,
) -> ApiResult<Json<Value>> {
    let mut checks = RequestChecks::query();
    checks.len("q", &query.q, 1..=1000);
    checks.done()?;
    let run = match query.run_id {
        Some(run) => run,
        None => state.jobs.newest_index()?.ok_or_else(|| {
            ApiError::not_found("no index yet; run an ingest first (`pas run ingest <folder>`)")
        })?,
    };
    let folder = state.jobs.run_dir(&run).join(formats::INDEX);
    let (words, limit) = (query.q.clone(), query.limit.unwrap_or(10).clamp(1, 100));
    let found = tokio::task::spawn_blocking(move || index::search(&folder, &words, limit)).await;
    let found = found
        .map_err(|error| ApiError::internal(&error))?
        .map_err(|error| ApiError::not_found(error.to_string()))?;
    let hits: Vec<Value> = found
        .hits
        .iter()
        .map(|hit| {
            json!({
                "doc_id": hit.doc_id.to_string(), "path": hit.path, "title": hit.title, "score": hit.score,
                "snippet": hit.snippet.html, "text": hit.snippet.text,
            })
        })
        .collect();
    Ok(Json(json!({
        "run_id": run, "q": query.q, "total": found.total, "count": hits.len(), "hits": hits, "note": found.note,
    })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupBody {
    path: Option<PathBuf>,
}

pub(super) async fn back_up(
    State(state): State<OrchestratorApi>,
    body: Option<ContractJson<BackupBody>>,
) -> ApiResult<Json<Value>> {
    let (store, folder) = (state.store.clone(), state.jobs.settings.backups.clone());
    let name = body.and_then(|ContractJson(body)| body.path);
    let work = move || folder.back_up(&store, name.as_deref(), Timestamp::now());
    let report = tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))?;
    let report = report.map_err(|error| match error {
        BackupError::Outside { .. } => {
            ApiError::violation(vec!["body".into(), "path".into()], "value_error", error.to_string())
        }
        BackupError::Store(error) => error.into(),
        // The caller chose the name or can free space, and may retry.
        error => ApiError::conflict(error.to_string()),
    })?;
    Ok(Json(
        json!({ "path": report.path, "bytes": report.file_bytes, "tables": report.tables, "rows": report.rows }),
    ))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PruneBody {
    #[serde(default)]
    dry_run: bool,
}

/// Deletes what `[retention]` keeps no longer, and audits that; a dry run only tells what that is.
pub(super) async fn prune(
    State(state): State<OrchestratorApi>,
    headers: HeaderMap,
    body: Option<ContractJson<PruneBody>>,
) -> ApiResult<Json<RetentionReport>> {
    if body.is_some_and(|ContractJson(body)| body.dry_run) {
        return Ok(Json(state.retention.look().await?));
    }
    let (who, target) = (audit::who(&headers, "api")?, "retention".to_owned());
    let note = AuditNote { who, action: "prune".to_owned(), target, reason: None };
    let entry = state.steering.begin(note).await?;
    let pruned = state.retention.prune().await;
    let told = pruned.as_ref().map(RetentionReport::deleted).map_err(ToString::to_string);
    state.steering.end(entry, told).await?;
    Ok(Json(pruned?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_of_a_runs_folder() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(inside.path().join("index")).unwrap();
        std::fs::write(inside.path().join("index/part"), b"own").unwrap();
        std::fs::write(outside.path().join("secret"), b"theirs").unwrap();
        symlink(outside.path(), inside.path().join("index/folder")).unwrap();
        symlink(outside.path().join("secret"), inside.path().join("index/file")).unwrap();
        assert_eq!(read_bounded(inside.path(), "index/part").unwrap(), b"own");
        for path in ["index/folder/secret", "index/file", "../secret", "index"] {
            assert!(read_bounded(inside.path(), path).is_err(), "{path}");
        }
    }
}
