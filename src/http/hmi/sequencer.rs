//! `GET /api/sequencer`: who did what when, out of the rows of the job book.
//!
//! The book has an index of root jobs by the time of their acceptance. Runs that began within the range, or
//! up to a day before it, are read from there, the newest first, and all open ones besides; a run that took
//! longer than a day is in it while it is open. At most [`MAX_TASKS`] tasks are told, and `cut` says when
//! there are more.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Hmi;
use super::live::blocking;
use super::tree::Facts;
use super::work::{Now, seconds};
use crate::actors::crashes;
use crate::actors::jobs::book::JobBook;
use crate::domain::hmi::AgentStatus;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState};
use crate::domain::registry::agent_service_id;
use crate::domain::time::Timestamp;
use crate::http::ApiResult;
use crate::http::check::Checks;
use crate::http::extract::ContractQuery;
use crate::http::progress::Progress;
use crate::supervision::Happening;

/// The range where none is asked for, in seconds: a day.
const DEFAULT_RANGE_S: f64 = 86_400.0;
/// The longest range, in seconds: 72 hours, as far as replay goes back.
const MAX_RANGE_S: f64 = 3.0 * 86_400.0;
/// How long before the range a run may have begun to be found by the index, in milliseconds: a day.
const LEAD_MS: i64 = 86_400_000;
/// Most tasks in an answer: some 200 bytes each, and more notes than a screen has points.
const MAX_TASKS: usize = 5_000;
/// Most roots looked at: each has at least one task.
const MAX_ROOTS: usize = MAX_TASKS;
/// Most marks in an answer.
const MAX_MARKS: usize = 2_000;
/// The last second that has a name of four digits' year, so that times stay times.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Both in seconds since the epoch.
#[derive(Deserialize)]
pub(super) struct RangeQuery {
    since: Option<f64>,
    until: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    since: Timestamp,
    until: Timestamp,
}

impl RangeQuery {
    fn checked(&self, now: Timestamp) -> ApiResult<Range> {
        let until = self.until.unwrap_or_else(|| seconds(now));
        let since = self.since.unwrap_or(until - DEFAULT_RANGE_S);
        let mut checks = Checks::query();
        checks.range("since", &since, 0.0..=LAST_SECOND).range("until", &until, 0.0..=LAST_SECOND);
        checks.that("until", since <= until, "must not lie before `since`");
        checks.that("since", until - since <= MAX_RANGE_S, "at most 72 hours can be asked for at once");
        checks.done()?;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be a second of the next millennia")]
        let time = |seconds: f64| Timestamp::from_millis((seconds * 1000.0) as i64);
        Ok(Range { since: time(since), until: time(until) })
    }
}

pub(super) async fn sequencer(
    State(hmi): State<Hmi>,
    ContractQuery(query): ContractQuery<RangeQuery>,
) -> ApiResult<Json<Value>> {
    let range = query.checked(Timestamp::now())?;
    blocking(move || Ok(Json(told(&hmi, range)?))).await
}

fn told(hmi: &Hmi, range: Range) -> ApiResult<Value> {
    let now = Now::read(hmi)?;
    let facts = Facts::gather(hmi, &now);
    let roster = hmi.jobs.agents.roster();
    let agents = roster.iter().map(|agent| {
        json!({
            "service_id": agent_service_id(agent.name.as_str()),
            "name": agent.name,
            "tier": agent.tier,
            "level": roster.level_of(&agent.name),
            "status": facts.standing(agent.name.as_str()).status,
            "agent_role": agent.role,
        })
    });
    let (tasks, cut) = tasks(hmi, range)?;
    let marks = marks(hmi, range)?;
    let mut answer = json!({
        "timestamp": seconds(now.at),
        "agents": agents.collect::<Vec<_>>(),
        "tasks": tasks,
        "cut": cut,
    });
    if !marks.is_empty() {
        answer["marks"] = json!(marks);
    }
    Ok(answer)
}

/// A note of the sequencer; times in seconds since the epoch.
#[derive(Debug, Serialize)]
struct Task {
    task_id: JobId,
    agent_id: String,
    name: String,
    status: AgentStatus,
    progress: f64,
    start_time: f64,
    end_time: Option<f64>,
    beat_time: Option<f64>,
}

/// The tasks of the range, the newest runs first, and whether some were left out.
fn tasks(hmi: &Hmi, range: Range) -> ApiResult<(Vec<Task>, bool)> {
    let book = &hmi.jobs.book;
    let (roots, mut cut) = roots(book, range)?;
    let mut tasks = Vec::new();
    for root in roots {
        let run = book.subtree(&root)?;
        let within = run.iter().filter(|job| overlaps(job, range));
        tasks.extend(within.map(|job| task(hmi, job, &run)));
        if tasks.len() > MAX_TASKS {
            tasks.truncate(MAX_TASKS);
            cut = true;
            break;
        }
    }
    Ok((tasks, cut))
}

/// The roots of runs that may have something in the range, newest first.
fn roots(book: &JobBook, range: Range) -> ApiResult<(Vec<JobId>, bool)> {
    let earlier = Timestamp::from_millis(range.since.as_millis().saturating_sub(LEAD_MS));
    let after = Timestamp::from_millis(range.until.as_millis().saturating_add(1));
    let found = book.roots_between(earlier, after, MAX_ROOTS)?;
    let cut = found.len() == MAX_ROOTS;
    let mut roots: Vec<JobId> = found.into_iter().map(|root| root.id).collect();
    let seen: HashSet<JobId> = roots.iter().cloned().collect();
    let open = book.active()?.into_iter().filter(|job| job.id.parent().is_none() && !seen.contains(&job.id));
    roots.extend(open.map(|job| job.id));
    Ok((roots, cut))
}

fn begin(job: &Job) -> Timestamp {
    job.started_at.unwrap_or(job.created_at)
}

fn overlaps(job: &Job, range: Range) -> bool {
    begin(job) <= range.until && job.ended_at.is_none_or(|ended| ended >= range.since)
}

fn task(hmi: &Hmi, job: &Job, run: &[Job]) -> Task {
    let children = run.iter().filter(|child| child.id.parent().as_ref() == Some(&job.id));
    let running = job.state == JobState::Running;
    let attempt = hmi.jobs.board.progress(&job.id).filter(|_| running);
    Task {
        task_id: job.id.clone(),
        agent_id: agent_service_id(job.card.agent.as_str()),
        name: job.card.task.clone(),
        status: AgentStatus::of_job(job.state),
        progress: Progress::of(&hmi.jobs, job, children).fraction,
        start_time: seconds(begin(job)),
        end_time: job.ended_at.map(seconds),
        beat_time: attempt.and_then(|progress| progress.beat_at).map(seconds),
    }
}

/// Something that befell an agent.
#[derive(Debug, Serialize)]
struct Mark {
    at: f64,
    agent_id: String,
    kind: &'static str,
}

/// Crashes and hangs out of the store; restarts as far as supervision's log goes back.
fn marks(hmi: &Hmi, range: Range) -> ApiResult<Vec<Mark>> {
    let roster = hmi.jobs.agents.roster();
    let mark = |at: Timestamp, agent: &str, kind| {
        let is_in = (range.since..=range.until).contains(&at) && roster.get(agent).is_some();
        is_in.then(|| Mark { at: seconds(at), agent_id: agent_service_id(agent), kind })
    };
    let crashes = crashes::list(hmi.jobs.book.store(), crashes::KEPT_CRASHES)?;
    let crashed = crashes.iter().filter_map(|crash| {
        mark(crash.at, &crash.agent, if crash.reason == "hung" { "hung" } else { "crashed" })
    });
    let events = hmi.system.events().since(0);
    let restarted = events.iter().filter_map(|event| match event.what {
        Happening::Restarted { .. } => mark(event.at, &event.actor, "restarted"),
        _ => None,
    });
    let mut marks: Vec<Mark> = crashed.chain(restarted).collect();
    marks.sort_by(|a, b| a.at.total_cmp(&b.at));
    marks.drain(..marks.len().saturating_sub(MAX_MARKS));
    Ok(marks)
}
