//! The step log of a job over HTTP: every row of a thinking agent, a person's messages to that agent, and the
//! trees on the disk.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::OrchestratorApi;
use crate::domain::ids::JobId;
use crate::domain::thinking::StepRow;
use crate::http::check::RequestChecks;
use crate::http::extract::{ContractJson, ContractPath, ContractQuery};
use crate::http::{ApiError, ApiResult};
use crate::worktree::list_trees;

/// Most rows of one answer: a turn has a handful, and each result up to 24 KiB.
const MAX_ROWS: usize = 200;
/// Longest message to an agent: a page.
const MAX_MESSAGE: usize = 8_000;

#[derive(Debug, Default, Deserialize)]
pub(super) struct LogQuery {
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

/// The rows after `since`; those of the deepest thinking job below where the job itself has none.
pub(super) async fn rows(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    ContractQuery(query): ContractQuery<LogQuery>,
) -> ApiResult<Json<Value>> {
    let below = state.jobs.book.subtree(&id)?;
    if below.is_empty() {
        return Err(ApiError::not_found(format!("there is no job `{id}`")));
    }
    let has_rows = |job: &JobId| state.jobs.book.step_rows(job, 0, 1).is_ok_and(|rows| !rows.is_empty());
    // Coordinators keep no log; the run's first writer does.
    let job = below.iter().map(|job| &job.id).find(|job| has_rows(job)).unwrap_or(&id).clone();
    let limit = query.limit.unwrap_or(MAX_ROWS).clamp(1, MAX_ROWS);
    let rows = state.jobs.book.step_rows(&job, query.since, limit)?;
    let last_seq = rows.last().map_or(query.since, |(seq, _)| *seq);
    let rows: Vec<Value> = rows.iter().map(|(seq, row)| document(*seq, row)).collect();
    Ok(Json(json!({ "job_id": job, "rows": rows, "last_seq": last_seq })))
}

fn document(seq: u64, row: &StepRow) -> Value {
    let mut body = serde_json::to_value(row).unwrap_or_default();
    let inner = body.as_object_mut().and_then(|row| row.values_mut().next()).map(Value::take);
    json!({ "seq": seq, "kind": row.name(), "headline": row.headline(), "row": inner })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SayBody {
    text: String,
    /// The message's author.
    by: Option<String>,
}

/// A person's message, which the agent reads before its next turn.
pub(super) async fn say(
    State(state): State<OrchestratorApi>,
    ContractPath(id): ContractPath<JobId>,
    ContractJson(body): ContractJson<SayBody>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let mut checks = RequestChecks::body();
    let by = body.by.unwrap_or_else(|| "operator".to_owned());
    checks.len("text", &body.text, 1..=MAX_MESSAGE).len("by", &by, 1..=100);
    checks.done()?;
    let below = state.jobs.book.subtree(&id)?;
    let thinks = |job: &&crate::domain::job::Job| {
        !job.state.is_terminal()
            && state
                .jobs
                .tasks
                .get(&job.card.task)
                .is_some_and(|entry| entry.kind == crate::domain::task::TaskKind::Model)
    };
    let Some(job) = below.iter().find(thinks) else {
        return Err(ApiError::conflict(format!(
            "nobody who could be spoken to works on `{id}`: it has ended, or no model takes part in it"
        )));
    };
    let number = state.jobs.book.say(&job.id, by, body.text).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "job_id": job.id, "message": number }))))
}

/// The private trees on the disk, with the state of the run each belongs to.
pub(super) async fn trees(State(state): State<OrchestratorApi>) -> ApiResult<Json<Value>> {
    let root = state.trees.clone();
    let folders = tokio::task::spawn_blocking(move || list_trees(&root)).await;
    let folders = folders.map_err(|error| ApiError::internal(&error))?;
    let folders = folders.map_err(|error| ApiError::internal(&error))?;
    let trees: Vec<Value> = folders
        .into_iter()
        .map(|folder| {
            let run = JobId::new(folder.name.run()).ok();
            let job = run.and_then(|run| state.jobs.book.get(&run).ok());
            json!({
                "run_id": folder.name.run(), "name": folder.name.name(), "bytes": folder.bytes,
                "stage": folder.stage, "run_state": job.map(|job| job.state),
            })
        })
        .collect();
    Ok(Json(json!({ "count": trees.len(), "trees": trees })))
}
