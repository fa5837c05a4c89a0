//! Jobs, approvals and events on the wire.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::actors::jobs::continuation::LaterRuns;
use crate::actors::jobs::{JobError, JobsShared};
use crate::domain::artifact::Artifact;
use crate::domain::hmi::past::IdleTimes;
use crate::domain::hmi::progress::RunProgress;
use crate::domain::ids::JobId;
use crate::domain::job::approval::Approval;
use crate::domain::job::wait::JobWait;
use crate::domain::job::{Job, JobState, plan};
use crate::domain::time::Timestamp;
use crate::http::progress::JobProgress;

/// A job card with the job's state.
#[derive(Debug, Serialize)]
pub(super) struct JobView {
    job_id: String,
    run_id: String,
    parent_job_id: Option<String>,
    step: String,
    agent: String,
    task: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    capability: Option<String>,
    inputs: Value,
    outputs: Value,
    artifacts: Vec<Artifact>,
    priority: u8,
    resource_request: Option<Value>,
    approvals_required: Vec<String>,
    created_at: Timestamp,
    deadline_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    state: JobState,
    activity: JobState,
    version: u64,
    attempt: u32,
    fence: u64,
    progress: JobProgress,
    error: Option<String>,
    cancel_requested_at: Option<Timestamp>,
    waiting_for: Vec<String>,
    waits: Vec<JobWait>,
    trace_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    continued_by: Vec<String>,
    /// In a tree: when the job had begun and did not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    waited: Option<Vec<WaitedSpan>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<JobView>>,
}

#[derive(Debug, Serialize)]
struct WaitedSpan {
    from: Timestamp,
    /// `None`: still.
    to: Option<Timestamp>,
    activity: JobState,
}

/// What is read once for all jobs of a tree.
struct ViewedTree<'t> {
    jobs: &'t JobsShared,
    below: &'t [Job],
    waits: Vec<JobWait>,
    activities: HashMap<JobId, JobState>,
    progress: HashMap<JobId, RunProgress>,
    idle: Option<Arc<IdleTimes>>,
}

impl JobView {
    /// The first of `tree`, a job with all its descendants. `nested` adds them as `children`.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn new(jobs: &JobsShared, job: &Job, tree: &[Job], nested: bool) -> Result<Self, JobError> {
        let facts = ViewedTree {
            jobs,
            below: tree,
            waits: jobs.waits(tree)?,
            activities: jobs.activities(tree),
            progress: jobs.progress(tree),
            idle: if nested { Some(jobs.idle_times(tree)?) } else { None },
        };
        Ok(Self::with_facts(&facts, job, nested))
    }

    /// The same with the runs that went on with this one.
    pub(super) fn continued(self, continuations: &LaterRuns, job: &Job) -> Self {
        let later = continuations.get(&job.run()).filter(|_| job.id.parent().is_none());
        let continued_by = later.into_iter().flatten().map(ToString::to_string).collect();
        Self { continued_by, ..self }
    }

    fn with_facts(facts: &ViewedTree<'_>, job: &Job, nested: bool) -> Self {
        let mut own: Vec<&Job> =
            facts.below.iter().filter(|child| child.id.parent().as_ref() == Some(&job.id)).collect();
        let steps = plan::find(&job.card.task).map(|plan| plan.steps.as_slice()).unwrap_or_default();
        let place = |child: &Job| steps.iter().position(|step| step.name == child.id.step());
        // In the order in which they began; of one moment, in that of the plan.
        own.sort_by_key(|child| (child.created_at, place(child).unwrap_or(steps.len())));
        let waiting = own.iter().filter(|child| !child.state.is_terminal());
        Self {
            job_id: job.id.to_string(),
            run_id: job.run().to_string(),
            parent_job_id: job.id.parent().map(|parent| parent.to_string()),
            step: job.id.step().to_owned(),
            agent: job.card.agent.to_string(),
            task: job.card.task.clone(),
            subject: job.subject().map(str::to_owned),
            capability: job.card.capability.clone(),
            inputs: job.card.inputs.0.clone(),
            outputs: job.outputs.0.clone(),
            artifacts: job.artifacts.clone(),
            priority: job.card.priority,
            resource_request: job.card.resource_request.as_ref().map(|request| request.0.clone()),
            approvals_required: job.card.approvals_required.clone(),
            created_at: job.created_at,
            deadline_at: job.card.deadline_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            state: job.state,
            activity: facts.activities.get(&job.id).copied().unwrap_or(job.state),
            version: job.version,
            attempt: job.attempt,
            fence: job.fence,
            progress: JobProgress::of(
                facts.jobs,
                job,
                own.iter().copied(),
                facts.progress.get(&job.id).copied().unwrap_or_default(),
            ),
            error: job.error.clone(),
            cancel_requested_at: job.cancel.as_ref().map(|wish| wish.at),
            waiting_for: waiting.map(|child| child.id.to_string()).collect(),
            waits: facts.waits.iter().filter(|wait| wait.job_id.is_within(&job.id)).cloned().collect(),
            trace_id: job.trace.0.to_string(),
            continued_by: Vec::new(),
            waited: facts.idle.as_ref().map(|idle| waited(idle, &job.id)),
            children: nested.then(|| own.iter().map(|child| Self::with_facts(facts, child, true)).collect()),
        }
    }
}

fn waited(idle: &IdleTimes, job: &JobId) -> Vec<WaitedSpan> {
    let spans = idle.spans.get(job).into_iter().flatten();
    spans.map(|span| WaitedSpan { from: span.from, to: span.to, activity: span.activity }).collect()
}

/// An approval in the contract's form.
pub(in crate::http) fn approval(approval: &Approval) -> Value {
    json!({
        "approval_id": approval.approval_id,
        "job_id": approval.job_id,
        "run_id": approval.run_id,
        "agent": approval.agent,
        "action": approval.question,
        "kind": approval.kind,
        "detail": approval.action.0,
        "binding": approval.binding,
        "status": approval.status,
        "requested_at": approval.created_at,
        "decided_at": approval.decided_at,
        "decided_by": approval.decided_by,
        "reason": approval.reason,
    })
}
