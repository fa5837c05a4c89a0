//! `GET /api/sequencer`: the timeline of all agents' tasks, from the rows of the job book.
//!
//! The book indexes root jobs by time of acceptance. The answer covers the runs that began within the range
//! or up to a day before it, newest first, and all open runs; so a run of more than a day is included only
//! while open. At most [`MAX_TASKS`] tasks are returned, and `cut` is set when there are more.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::HmiApi;
use super::live::blocking;
use super::tree::TreeFacts;
use super::work::{LiveJobs, seconds};
use crate::actors::crashes;
use crate::actors::jobs::book::JobBook;
use crate::actors::lives::{self, DownTime};
use crate::domain::hmi::AgentStatus;
use crate::domain::hmi::past::{IdleSpan, IdleTimes};
use crate::domain::hmi::progress::RunProgress;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState};
use crate::domain::registry::agent_service_id;
use crate::domain::time::Timestamp;
use crate::http::ApiResult;
use crate::http::check::RequestChecks;
use crate::http::extract::ContractQuery;
use crate::supervision::SupervisionEventKind;

/// The default range in seconds: a day.
const DEFAULT_RANGE_S: f64 = 86_400.0;
/// The longest range in seconds: 72 hours, as far as replay goes back.
const MAX_RANGE_S: f64 = 3.0 * 86_400.0;
/// How long before the range a run may have begun, in milliseconds: a day.
const LEAD_MS: i64 = 86_400_000;
/// Most tasks in an answer: about 200 bytes each, and more notes than fit on a screen.
const MAX_TASKS: usize = 5_000;
/// Most roots read: each has at least one task.
const MAX_ROOTS: usize = MAX_TASKS;
/// Most marks in an answer.
const MAX_MARKS: usize = 2_000;
/// The last second of the year 9999, so that times stay formattable.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Both in seconds since the epoch.
#[derive(Deserialize)]
pub(super) struct RangeQuery {
    since: Option<f64>,
    until: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct SequencerRange {
    since: Timestamp,
    until: Timestamp,
}

impl RangeQuery {
    fn checked(&self, now: Timestamp) -> ApiResult<SequencerRange> {
        let until = self.until.unwrap_or_else(|| seconds(now));
        let since = self.since.unwrap_or(until - DEFAULT_RANGE_S);
        let mut checks = RequestChecks::query();
        checks.range("since", &since, 0.0..=LAST_SECOND).range("until", &until, 0.0..=LAST_SECOND);
        checks.that("until", since <= until, "must not be before `since`");
        checks.that("since", until - since <= MAX_RANGE_S, "the range is at most 72 hours");
        checks.done()?;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be a second of the next millennia")]
        let time = |seconds: f64| Timestamp::from_millis((seconds * 1000.0) as i64);
        Ok(SequencerRange { since: time(since), until: time(until) })
    }
}

pub(super) async fn sequencer(
    State(hmi): State<HmiApi>,
    ContractQuery(query): ContractQuery<RangeQuery>,
) -> ApiResult<Json<Value>> {
    let range = query.checked(Timestamp::now())?;
    blocking(move || Ok(Json(state_document(&hmi, range)?))).await
}

fn state_document(hmi: &HmiApi, range: SequencerRange) -> ApiResult<Value> {
    let now = LiveJobs::read(hmi)?;
    let facts = TreeFacts::gather(hmi, &now);
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
    let down = lives::down_times(&hmi.store, range.since, range.until)?;
    let mut answer = json!({
        "timestamp": seconds(now.at),
        "agents": agents.collect::<Vec<_>>(),
        "tasks": tasks,
        "cut": cut,
    });
    if !down.is_empty() {
        answer["down"] = json!(down.into_iter().map(SequencerGap::from).collect::<Vec<_>>());
    }
    if !marks.is_empty() {
        answer["marks"] = json!(marks);
    }
    Ok(answer)
}

/// A note of the sequencer; times in seconds since the epoch.
#[derive(Debug, Serialize)]
struct SequencerTask {
    task_id: JobId,
    agent_id: String,
    name: String,
    status: AgentStatus,
    progress: f64,
    progress_known: bool,
    start_time: f64,
    end_time: Option<f64>,
    beat_time: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits: Vec<SequencerWait>,
    /// From here on it is not told what the task was at.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_at: Option<f64>,
}

/// A time in which a begun task did not work.
#[derive(Debug, Serialize)]
struct SequencerWait {
    from: f64,
    to: Option<f64>,
    status: AgentStatus,
}

/// The tasks of the range, newest runs first, and whether some were cut.
fn tasks(hmi: &HmiApi, range: SequencerRange) -> ApiResult<(Vec<SequencerTask>, bool)> {
    let book = &hmi.jobs.book;
    let (roots, mut cut) = roots(book, range)?;
    let mut tasks = Vec::new();
    for root in roots {
        let run = book.subtree(&root)?;
        let past = hmi.jobs.idle_times(&run)?;
        let progress = hmi.jobs.progress(&run);
        let activities = hmi.jobs.activities(&run);
        let within = run.iter().filter(|job| overlaps(job, range));
        tasks.extend(within.map(|job| {
            let activity = activities.get(&job.id).copied().unwrap_or(job.state);
            task(hmi, job, activity, progress.get(&job.id).copied().unwrap_or_default(), &past)
        }));
        if tasks.len() > MAX_TASKS {
            tasks.truncate(MAX_TASKS);
            cut = true;
            break;
        }
    }
    Ok((tasks, cut))
}

/// The roots of runs that may have tasks in the range, newest first.
fn roots(book: &JobBook, range: SequencerRange) -> ApiResult<(Vec<JobId>, bool)> {
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

fn overlaps(job: &Job, range: SequencerRange) -> bool {
    begin(job) <= range.until && job.ended_at.is_none_or(|ended| ended >= range.since)
}

fn task(
    hmi: &HmiApi,
    job: &Job,
    activity: JobState,
    progress: RunProgress,
    past: &IdleTimes,
) -> SequencerTask {
    let running = job.state == JobState::Running;
    let attempt = hmi.jobs.attempts.progress(&job.id).filter(|_| running);
    SequencerTask {
        task_id: job.id.clone(),
        agent_id: agent_service_id(job.card.agent.as_str()),
        name: job.card.task.clone(),
        status: AgentStatus::of_job(activity),
        progress: progress.fraction,
        progress_known: progress.is_known,
        start_time: seconds(begin(job)),
        end_time: job.ended_at.map(seconds),
        beat_time: attempt.and_then(|progress| progress.beat_at).map(seconds),
        waits: past.spans.get(&job.id).into_iter().flatten().map(wait).collect(),
        cut_at: past.cut_at.filter(|at| job.ended_at.is_none_or(|ended| *at < ended)).map(seconds),
    }
}

fn wait(span: &IdleSpan) -> SequencerWait {
    SequencerWait {
        from: seconds(span.from),
        to: span.to.map(seconds),
        status: AgentStatus::of_job(span.activity),
    }
}

/// A time in which the daemon was down, so that nobody worked.
#[derive(Debug, Serialize)]
struct SequencerGap {
    from: f64,
    to: f64,
    /// Whether it had been stopped in order.
    stopped: bool,
}

impl From<DownTime> for SequencerGap {
    fn from(down: DownTime) -> Self {
        Self { from: seconds(down.from), to: seconds(down.to), stopped: down.is_stopped }
    }
}

/// A crash, hang or restart of an agent.
#[derive(Debug, Serialize)]
struct SequencerMark {
    at: f64,
    agent_id: String,
    kind: &'static str,
}

/// Crashes and hangs from the store; restarts as far as the supervision log goes back.
fn marks(hmi: &HmiApi, range: SequencerRange) -> ApiResult<Vec<SequencerMark>> {
    let roster = hmi.jobs.agents.roster();
    let mark = |at: Timestamp, agent: &str, kind| {
        let is_in = (range.since..=range.until).contains(&at) && roster.get(agent).is_some();
        is_in.then(|| SequencerMark { at: seconds(at), agent_id: agent_service_id(agent), kind })
    };
    let crashes = crashes::list(&hmi.store, crashes::KEPT_CRASHES)?;
    let crashed = crashes.iter().filter_map(|crash| {
        mark(crash.at, &crash.agent, if crash.reason == "hung" { "hung" } else { "crashed" })
    });
    let events = hmi.system.events().since(0);
    let restarted = events.iter().filter_map(|event| match event.kind {
        SupervisionEventKind::Restarted { .. } => mark(event.at, &event.actor, "restarted"),
        _ => None,
    });
    let mut marks: Vec<SequencerMark> = crashed.chain(restarted).collect();
    marks.sort_by(|a, b| a.at.total_cmp(&b.at));
    marks.drain(..marks.len().saturating_sub(MAX_MARKS));
    Ok(marks)
}
