//! The active jobs for the pages: runs, approvals, and each agent's current step.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::HmiApi;
use crate::actors::jobs::continuation::LaterRuns;
use crate::actors::jobs::{JobError, JobsShared};
use crate::actors::jobs_snapshot::{JobsSnapshot, ended_within};
use crate::domain::accounts::budget::{BudgetScope, RunName};
use crate::domain::hmi::pace::TimeLeft;
use crate::domain::hmi::progress::RunProgress;
use crate::domain::hmi::waiting::{usd_per_minute, waiting_for};
use crate::domain::hmi::{AgentStatus, activity};
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::approval::Approval;
use crate::domain::job::continuation::CONTINUES;
use crate::domain::job::wait::JobWait;
use crate::domain::job::{Job, JobState};
use crate::domain::money::NanoUsd;
use crate::domain::task::TaskInput;
use crate::domain::time::Timestamp;
use crate::http::orchestrator::wire;
use crate::http::progress::JobProgress;

/// How long a finished task stays current: long enough to be seen green.
const LINGERS: Duration = Duration::from_secs(60);

pub(super) struct LiveJobs(JobsSnapshot);

impl Deref for LiveJobs {
    type Target = JobsSnapshot;

    fn deref(&self) -> &JobsSnapshot {
        &self.0
    }
}

/// An agent's current step.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CurrentStep {
    job_id: JobId,
    task: String,
    progress: f64,
    progress_known: bool,
    done: u64,
    total: u64,
}

impl LiveJobs {
    /// Reads the book, and refreshes the agents' status for all ports. Blocks for some milliseconds.
    pub(super) fn read(hmi: &HmiApi) -> Result<Self, JobError> {
        let jobs = JobsSnapshot::read(&hmi.jobs)?;
        hmi.registry.directory().standings().publish(&jobs);
        Ok(Self(jobs))
    }

    /// Each agent's current job, by name.
    pub(super) fn steps(&self, jobs: &JobsShared) -> HashMap<&str, &Job> {
        let held = jobs.attempts.jobs_with_attempt();
        let mut steps: HashMap<&str, &Job> = HashMap::new();
        for job in &self.active {
            let own = nearness(job, &held);
            let nearest = steps.get(job.card.agent.as_str()).map_or((0, None), |step| nearness(step, &held));
            if own > nearest {
                steps.insert(job.card.agent.as_str(), job);
            }
        }
        steps
    }

    /// A job as its agent's current step.
    pub(super) fn step(&self, jobs: &JobsShared, job: &Job) -> CurrentStep {
        let run = self.run(&job.run());
        let children = run.iter().filter(|child| child.id.parent().as_ref() == Some(&job.id));
        let progress = match run.is_empty() {
            true => jobs.progress(std::slice::from_ref(job)),
            false => jobs.progress(run),
        };
        let progress = progress.get(&job.id).copied().unwrap_or_default();
        let JobProgress { done, total, fraction, known, .. } = JobProgress::of(jobs, job, children, progress);
        let (job_id, task) = (job.id.clone(), job.card.task.clone());
        CurrentStep { job_id, task, progress: fraction, progress_known: known, done, total }
    }

    /// The runs for the dashboard.
    pub(super) fn jobs(&self, hmi: &HmiApi) -> Vec<LiveJob> {
        let roots = self.runs.iter().filter_map(|run| run.first());
        let continuations = hmi.jobs.continuations_of(roots).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read which runs were continued");
            LaterRuns::new()
        });
        self.runs.iter().filter_map(|run| LiveJob::of(hmi, run, &continuations, self.at)).collect()
    }

    /// The pending approvals, with the cost of waiting.
    pub(super) fn approvals(&self, hmi: &HmiApi) -> Vec<Value> {
        self.asked.iter().map(|approval| self.approval(hmi, approval)).collect()
    }

    fn approval(&self, hmi: &HmiApi, approval: &Approval) -> Value {
        let run = self.run(&approval.run_id);
        let worked = run.first().map(|root| approval.created_at.since(root.created_at)).unwrap_or_default();
        let mut told = wire::approval(approval);
        told["waiting_s"] = json!(self.at.since(approval.created_at).as_secs());
        told["blocked_descendants"] = json!(waiting_for(&approval.job_id, run));
        told["usd_per_min"] = json!(usd_per_minute(spent(hmi, &approval.run_id), worked));
        told
    }

    /// The most important task, by what its run is at: the newest at work, else the newest that waits, else
    /// the one that just ended.
    pub(super) fn current(&self, hmi: &HmiApi) -> Option<CurrentTask> {
        let shown = self.runs.iter().filter(|run| {
            run.first().is_some_and(|root| !root.state.is_terminal() || ended_within(root, self.at, LINGERS))
        });
        let run = shown.max_by_key(|run| {
            let root = run.first();
            let activity = root.map(|root| whole_activity(&hmi.jobs, run, root));
            let moved = root.map(|root| root.ended_at.or(root.started_at).unwrap_or(root.created_at));
            (activity.map(activity::interest), moved)
        })?;
        let root = run.first()?;
        let progress = run_progress(&hmi.jobs, run, root);
        Some(CurrentTask {
            task_id: root.id.clone(),
            name: root.card.task.clone(),
            status: AgentStatus::of_job(whole_activity(&hmi.jobs, run, root)),
            agent: root.card.agent.to_string(),
            progress: progress.fraction,
            progress_known: progress.is_known,
            start_time: seconds(root.started_at.unwrap_or(root.created_at)),
        })
    }
}

/// Ranks a job as its agent's current one: being worked on, open, waiting for approval; then the newest.
fn nearness(job: &Job, held: &HashSet<JobId>) -> (u8, Option<Timestamp>) {
    let class = match job.state {
        JobState::Running if held.contains(&job.id) => 5,
        JobState::Running => 4,
        JobState::AwaitingApproval => 3,
        JobState::Blocked => 2,
        JobState::Paused => 1,
        _ => 0,
    };
    (class, job.started_at)
}

/// A time for the contract's charts: seconds since the epoch.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// The progress of a whole run.
fn run_progress(jobs: &JobsShared, run: &[Job], root: &Job) -> RunProgress {
    jobs.progress(run).get(&root.id).copied().unwrap_or_default()
}

fn spent(hmi: &HmiApi, run: &RunId) -> NanoUsd {
    let view = hmi.gateway.accounts().budget(&BudgetScope::Run(RunName::from(run)));
    view.map_or(NanoUsd::default(), |view| view.settled)
}

/// A snapshot without the waits is better than none.
fn waits_of(hmi: &HmiApi, run: &[Job]) -> Vec<JobWait> {
    hmi.jobs.waits(run).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read what jobs wait for");
        Vec::new()
    })
}

/// Nothing is foretold of what cannot be read.
fn time_left(hmi: &HmiApi, run: &[Job], now: Timestamp) -> Option<TimeLeft> {
    hmi.jobs.time_left(run, now).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read what a run has waited for");
        None
    })
}

/// What a whole run is at.
fn whole_activity(jobs: &JobsShared, run: &[Job], root: &Job) -> JobState {
    jobs.activities(run).get(&root.id).copied().unwrap_or(root.state)
}

/// The task in the header; times in seconds since the epoch.
#[derive(Debug, Serialize)]
pub(super) struct CurrentTask {
    task_id: JobId,
    name: String,
    status: AgentStatus,
    agent: String,
    progress: f64,
    progress_known: bool,
    start_time: f64,
}

/// The time left of a run, in whole seconds.
#[derive(Debug, Serialize)]
struct TimeLeftView {
    least_s: u64,
    about_s: u64,
    most_s: u64,
    usual_s: u64,
}

impl TimeLeftView {
    fn of(left: &TimeLeft) -> Self {
        Self {
            least_s: left.least.as_secs(),
            about_s: left.about.as_secs(),
            most_s: left.most.as_secs(),
            usual_s: left.usual.as_secs(),
        }
    }
}

/// A run for the dashboard.
#[derive(Debug, Serialize)]
pub(super) struct LiveJob {
    job_id: JobId,
    run_id: RunId,
    task: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    agent: String,
    state: JobState,
    activity: JobState,
    progress: f64,
    progress_known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continues: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    continued_by: Vec<RunId>,
    waits: Vec<JobWait>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    left: Option<TimeLeftView>,
    steps_total: usize,
    steps_done: usize,
    cost_usd: serde_json::Number,
}

impl LiveJob {
    fn of(hmi: &HmiApi, run: &[Job], continuations: &LaterRuns, now: Timestamp) -> Option<Self> {
        let root = run.first()?;
        let activity = whole_activity(&hmi.jobs, run, root);
        let left = Some(run).filter(|_| activity == JobState::Running);
        let left = left.and_then(|run| time_left(hmi, run, now));
        let progress = run_progress(&hmi.jobs, run, root);
        let noted = run.iter().rev().filter_map(|job| hmi.jobs.attempts.progress(&job.id));
        Some(Self {
            job_id: root.id.clone(),
            run_id: root.run(),
            task: root.card.task.clone(),
            subject: root.subject().map(str::to_owned),
            agent: root.card.agent.to_string(),
            state: root.state,
            activity,
            progress: progress.fraction,
            progress_known: progress.is_known,
            note: noted.map(|progress| progress.note).find(|note| !note.is_empty()),
            continues: root.card.inputs.get(CONTINUES).and_then(Value::as_str).map(str::to_owned),
            continued_by: continuations.get(&root.run()).cloned().unwrap_or_default(),
            waits: waits_of(hmi, run),
            created_at: root.created_at,
            started_at: root.started_at,
            ended_at: root.ended_at,
            left: left.as_ref().map(TimeLeftView::of),
            steps_total: run.len(),
            steps_done: run.iter().filter(|job| job.state == JobState::Done).count(),
            cost_usd: spent(hmi, &root.run()).wire(),
        })
    }
}

/// A task that a card may name.
#[derive(Debug, Serialize)]
struct OfferedTask {
    task: String,
    about: String,
    inputs: Vec<OfferedInput>,
}

#[derive(Debug, Serialize)]
struct OfferedInput {
    name: &'static str,
    required: bool,
    wanted: String,
}

/// `GET /api/tasks`: what can be submitted.
pub(super) async fn tasks(State(hmi): State<HmiApi>) -> Json<Value> {
    let input = |input: &TaskInput| OfferedInput {
        name: input.name,
        required: input.is_required,
        wanted: input.kind.wanted().into_owned(),
    };
    let offered = hmi.jobs.tasks.iter().map(|entry| OfferedTask {
        task: entry.task.to_string(),
        about: entry.about.to_string(),
        inputs: entry.inputs.iter().map(input).collect(),
    });
    Json(json!({ "tasks": offered.collect::<Vec<_>>() }))
}
