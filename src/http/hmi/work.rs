//! The active jobs for the pages: runs, approvals, and each agent's current step.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::HmiApi;
use crate::actors::jobs::continuation::LaterRuns;
use crate::actors::jobs::{JobError, JobsShared};
use crate::actors::jobs_snapshot::{JobsSnapshot, ended_within};
use crate::domain::accounts::budget::{BudgetScope, RunName};
use crate::domain::hmi::waiting::{usd_per_minute, waiting_for};
use crate::domain::hmi::{AgentStatus, progress};
use crate::domain::ids::{JobId, RunId};
use crate::domain::job::approval::Approval;
use crate::domain::job::continuation::CONTINUES;
use crate::domain::job::wait::JobWait;
use crate::domain::job::{Job, JobState};
use crate::domain::money::NanoUsd;
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
        let JobProgress { done, total, fraction, .. } = JobProgress::of(jobs, job, children);
        CurrentStep { job_id: job.id.clone(), task: job.card.task.clone(), progress: fraction, done, total }
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

    /// The most important task: the newest running run, else the newest waiting one, else the one that just
    /// ended.
    pub(super) fn current(&self, hmi: &HmiApi) -> Option<CurrentTask> {
        let shown = self.runs.iter().filter(|run| {
            run.first().is_some_and(|root| !root.state.is_terminal() || ended_within(root, self.at, LINGERS))
        });
        let run = shown.max_by_key(|run| {
            let root = run.first();
            let class = root.map_or(0, |root| match root.state {
                state if state.is_terminal() => 1,
                JobState::Queued => 2,
                _ => 3,
            });
            (
                class,
                root.and_then(|root| root.ended_at.or(root.started_at)).or(root.map(|root| root.created_at)),
            )
        })?;
        let root = run.first()?;
        Some(CurrentTask {
            task_id: root.id.clone(),
            name: root.card.task.clone(),
            status: whole_status(run, root),
            agent: root.card.agent.to_string(),
            progress: tree_progress(&hmi.jobs, run),
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

fn tree_progress(jobs: &JobsShared, run: &[Job]) -> f64 {
    progress::of_tree(run, |leaf| JobProgress::of(jobs, leaf, []).fraction)
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

/// The status of a whole run: a wait of any job shows.
fn whole_status(run: &[Job], root: &Job) -> AgentStatus {
    let open = || run.iter().filter(|job| !job.state.is_terminal());
    match root.state {
        JobState::Running if open().any(|job| job.state == JobState::AwaitingApproval) => {
            AgentStatus::WaitingApproval
        }
        JobState::Running if open().any(|job| job.state == JobState::Blocked) => AgentStatus::Blocked,
        state => AgentStatus::of_job(state),
    }
}

/// The task in the header; times in seconds since the epoch.
#[derive(Debug, Serialize)]
pub(super) struct CurrentTask {
    task_id: JobId,
    name: String,
    status: AgentStatus,
    agent: String,
    progress: f64,
    start_time: f64,
}

/// A run for the dashboard.
#[derive(Debug, Serialize)]
pub(super) struct LiveJob {
    job_id: JobId,
    run_id: RunId,
    task: String,
    agent: String,
    state: JobState,
    progress: f64,
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
    eta_s: Option<u64>,
    steps_total: usize,
    steps_done: usize,
    cost_usd: serde_json::Number,
}

impl LiveJob {
    fn of(hmi: &HmiApi, run: &[Job], continuations: &LaterRuns, now: Timestamp) -> Option<Self> {
        let root = run.first()?;
        let progress = tree_progress(&hmi.jobs, run);
        let elapsed =
            root.started_at.filter(|_| root.state == JobState::Running).map(|began| now.since(began));
        let eta = elapsed.and_then(|elapsed| progress::time_left(progress, elapsed));
        let noted = run.iter().rev().filter_map(|job| hmi.jobs.attempts.progress(&job.id));
        Some(Self {
            job_id: root.id.clone(),
            run_id: root.run(),
            task: root.card.task.clone(),
            agent: root.card.agent.to_string(),
            state: root.state,
            progress,
            note: noted.map(|progress| progress.note).find(|note| !note.is_empty()),
            continues: root.card.inputs.get(CONTINUES).and_then(Value::as_str).map(str::to_owned),
            continued_by: continuations.get(&root.run()).cloned().unwrap_or_default(),
            waits: waits_of(hmi, run),
            created_at: root.created_at,
            started_at: root.started_at,
            ended_at: root.ended_at,
            eta_s: eta.map(|eta| eta.as_secs()),
            steps_total: run.len(),
            steps_done: run.iter().filter(|job| job.state == JobState::Done).count(),
            cost_usd: spent(hmi, &root.run()).wire(),
        })
    }
}
