//! The steps of one agent: which claimed card is next, how long a step may take, and the commit of the
//! outcome.
//!
//! Knows nothing of how a step works: that is the [`StepRunner`](super::behaviour::StepRunner)'s. Invariants:
//! at most [`STEPS_AT_ONCE`] steps at work, [`THINKING_STEPS_AT_ONCE`] for agents with a model; every commit
//! carries the fence under which the step was claimed.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::admission::ResourceGate;
use super::behaviour::{ClaimedStep, TaskRunner};
use super::step_end::{StepEnd, StepResult};
use super::{AgentMessage, AgentState, memory, unless_refused};
use crate::actors::jobs::attempts::JobAttempt;
use crate::actors::jobs::{JobError, JobsShared};
use crate::actors::work_span::WorkSpan;
use crate::domain::ids::JobId;
use crate::domain::job::approval::AgentQuestion;
use crate::domain::job::{Job, JobState, JobTransition};
use crate::domain::task::TaskKind;
use crate::domain::time::Timestamp;
use crate::skills::context::StepProgress;
use crate::skills::{SkillError, StepControl};
use crate::supervision::{ActorContext, trace};

/// Steps one agent runs at the same time; the others wait in the queue.
const STEPS_AT_ONCE: usize = 1;
/// The same for agents with a model, whose steps mostly wait for answers: a step takes a few MiB and a tree.
const THINKING_STEPS_AT_ONCE: usize = 16;
/// Time between two looks at the running steps.
const BEAT: Duration = Duration::from_millis(500);

/// Progress of a step, of 1, that is worth a row.
const KEPT_STEP: f64 = 0.02;

/// A running attempt. Dropping this (with the agent's incarnation, say) signals the attempt to stop.
pub(super) struct RunningStep {
    job: JobId,
    pub(super) fence: u64,
    pub(super) control: Arc<StepControl>,
    gate: ResourceGate,
    jobs: Arc<JobsShared>,
    /// Working time so far, without pauses and the wait for resources or other jobs.
    worked: Duration,
    slow_reported: bool,
    timed_out: bool,
    /// The step's progress when it was last kept.
    kept: f64,
    /// The work has ended, but the outcome is not committed yet.
    has_ended: bool,
    _beating: DropGuard,
}

impl RunningStep {
    /// Asks the attempt to stop, whether working or still waiting for resources.
    pub(super) fn stop(&self) {
        self.control.stop();
        self.gate.close();
    }
}

impl Drop for RunningStep {
    fn drop(&mut self) {
        self.stop();
        self.jobs.attempts.end(&self.job, self.fence);
    }
}

impl AgentState {
    /// Lets a running job continue; else claims and begins the most urgent waiting one.
    pub(super) async fn continue_or_begin(
        &mut self,
        job: Job,
        context: &ActorContext<AgentMessage>,
    ) -> Result<(), JobError> {
        if let Some(step) = self.running.get(&job.id) {
            if step.fence == job.fence {
                step.control.resume();
                return Ok(());
            }
            self.running.remove(&job.id);
        }
        if self.is_busy() {
            return Ok(());
        }
        let Some(job) = self.most_urgent()? else { return Ok(()) };
        let Some(job) = self.claim_step(&job).await? else { return Ok(()) };
        let runner = match self.runner(&job.card.task) {
            Ok(runner) => runner,
            Err(lack) => {
                let director = self.jobs.director_of(&self.me.name);
                let fail = JobTransition::FailPermanent { fence: job.fence, error: lack, director };
                return self.commit(&job.id, fail).await.map(|_| ());
            }
        };
        self.begin(job, &runner, context);
        Ok(())
    }

    /// Claims a step; `None` when it is not due, is cancelled, or was lost too often and is the director's now.
    async fn claim_step(&self, job: &Job) -> Result<Option<Job>, JobError> {
        if job.state == JobState::Queued && !job.is_due(Timestamp::now()) {
            return Ok(None);
        }
        let director = self.jobs.director_of(&self.me.name);
        let claimed = unless_refused(self.jobs.book.claim_step(&job.id, director).await)?;
        if let Some(lost) = claimed.as_ref().filter(|job| job.state == JobState::Blocked) {
            self.jobs.notify(lost);
        }
        Ok(claimed.filter(|job| job.state == JobState::Running))
    }

    fn begin(&mut self, job: Job, runner: &TaskRunner, context: &ActorContext<AgentMessage>) {
        let (id, fence) = (job.id.clone(), job.fence);
        let span = WorkSpan::of_job(job.context(), &self.system, runner.task, context.address().number());
        let (control, gate) = (Arc::new(StepControl::default()), ResourceGate::default());
        let began = tokio::time::Instant::now();
        let turn = self.jobs.attempts.begin(&id, JobAttempt { fence, control: Arc::clone(&control), began });
        let running = RunningStep {
            job: id.clone(),
            fence,
            control: Arc::clone(&control),
            gate: gate.clone(),
            jobs: Arc::clone(&self.jobs),
            worked: Duration::ZERO,
            slow_reported: false,
            timed_out: false,
            kept: 0.0,
            has_ended: false,
            _beating: beat(id.clone(), context),
        };
        self.running.insert(id.clone(), running);
        let (memory, me, card) = (self.memory.clone(), Arc::clone(&self.me), memory::card(&job));
        let step = ClaimedStep {
            job,
            agent: Arc::clone(&self.me),
            jobs: Arc::clone(&self.jobs),
            system: self.system.clone(),
            resources: self.resources.clone(),
            control,
            gate,
            turn,
        };
        let (working, address) = (runner.runner.run(step), context.address().clone());
        context.spawn(trace::in_scope(span.scope(), async move {
            let keeping = async {
                memory.remember(&me, &id, card).await;
                memory.judge(&me, &id).await;
            };
            let (outcome, ()) = tokio::join!(working, keeping);
            // Before the step's end is committed, so that both become durable together.
            memory.remember(&me, &id, memory::result(&id, fence, &outcome)).await;
            span.end(outcome.is_ok());
            // An agent that has ended for good needs no notice; the row keeps the work that is left.
            let _ = address.send(AgentMessage::StepEnded { job: id, fence, outcome }).await;
        }));
    }

    /// Commits the result of an attempt and takes the next job. When the store refuses, nothing has changed
    /// and the call can be repeated.
    pub(super) async fn step_ended(
        &mut self,
        job: &JobId,
        fence: u64,
        outcome: &StepResult,
        context: &ActorContext<AgentMessage>,
    ) -> Result<(), JobError> {
        // A late report of an overtaken attempt must not end the newer one.
        let Some(step) = self.running.get_mut(job).filter(|step| step.fence == fence) else { return Ok(()) };
        step.has_ended = true;
        let (timed_out, how) = (step.timed_out, stopped_how(step));
        if outcome.is_err() {
            self.keep_progress(job).await;
        }
        let director = self.jobs.director_of(&self.me.name);
        let transition = match outcome {
            Ok(StepEnd::Asks(asked)) => return self.ask_person(job, fence, asked.clone(), context).await,
            Ok(StepEnd::Done(outcome)) => JobTransition::Complete {
                fence,
                outputs: outcome.outputs.clone().into(),
                artifacts: outcome.artifacts.clone(),
            },
            Err(SkillError::Permanent(error)) => {
                JobTransition::FailPermanent { fence, error: error.clone(), director }
            }
            Err(SkillError::Passing(error)) => {
                let attempt = self.jobs.book.get(job).map_or(1, |row| row.attempt);
                let backoff = self.jobs.settings.policy.backoff(attempt, fastrand::f64());
                JobTransition::WaitOut { fence, error: error.clone(), backoff }
            }
            Err(SkillError::Cancelled) if !timed_out => JobTransition::Stopped { fence, how: how.clone() },
            Err(error) => {
                let limit = self.jobs.settings.hard_timeout;
                let error = if timed_out { format!("took longer than {limit:?}") } else { error.to_string() };
                let policy = self.jobs.settings.policy;
                let attempt = self.jobs.book.get(job).map_or(1, |row| row.attempt);
                let backoff = policy.backoff(attempt, fastrand::f64());
                JobTransition::FailTransient {
                    fence,
                    error,
                    backoff,
                    max_attempts: policy.max_attempts,
                    director,
                }
            }
        };
        if self.commit(job, transition).await?.is_none() {
            // The cancellation came between the last checkpoint and this commit.
            self.commit(job, JobTransition::Stopped { fence, how }).await?;
        }
        self.running.remove(job);
        let (memory, me, job) = (self.memory.clone(), Arc::clone(&self.me), job.clone());
        context.spawn(async move { memory.judge(&me, &job).await });
        self.next_job(context)
    }

    /// Releases a job until a person has answered the agent's question.
    async fn ask_person(
        &mut self,
        job: &JobId,
        fence: u64,
        asked: AgentQuestion,
        context: &ActorContext<AgentMessage>,
    ) -> Result<(), JobError> {
        // Refused when the job was cancelled or reassigned meanwhile: the row decides.
        if let Some(job) = unless_refused(self.jobs.book.ask_question(job, fence, asked).await)? {
            self.jobs.notify(&job);
        }
        self.running.remove(job);
        self.next_job(context)
    }

    fn steps_at_once(&self) -> usize {
        let thinks = self.jobs.tasks.of_agent(&self.me).any(|entry| entry.kind == TaskKind::Model);
        if thinks { THINKING_STEPS_AT_ONCE } else { STEPS_AT_ONCE }
    }

    /// Whether every slot is taken; a step paused by a person takes none.
    fn is_busy(&self) -> bool {
        self.running.values().filter(|step| !step.control.is_paused()).count() >= self.steps_at_once()
    }

    /// The agent's next job: highest priority first, then the oldest.
    fn most_urgent(&self) -> Result<Option<Job>, JobError> {
        let now = Timestamp::now();
        let waits = |job: &Job| {
            let open = job.is_due(now) || job.state == JobState::Running;
            // A coordinator's plans are rows of its children, not steps of its own.
            open && job.card.agent == self.me.name
                && (!self.is_coordinator() || self.thinks(&job.card.task))
                && job.cancel.is_none()
                && !self.running.contains_key(&job.id)
        };
        let waiting = self.jobs.book.active()?.into_iter().filter(waits);
        Ok(waiting.min_by_key(|job| (Reverse(job.card.priority), job.created_at)))
    }

    /// Notifies the agent itself of the next job, if a slot is free.
    pub(super) fn next_job(&self, context: &ActorContext<AgentMessage>) -> Result<(), JobError> {
        if self.is_busy() {
            return Ok(());
        }
        if let Some(job) = self.most_urgent()? {
            // A full mailbox has enough notices.
            let _ = context.address().cast(AgentMessage::Reconcile { job: job.id });
        }
        Ok(())
    }

    /// Keeps a step's progress each time it has got on.
    pub(super) async fn check_step_progress(&mut self, job: &JobId) {
        let Some(step) = self.running.get_mut(job) else { return };
        let StepProgress { done, total, .. } = step.control.progress();
        let now = done as f64 / total.max(1) as f64;
        if now - step.kept >= KEPT_STEP {
            step.kept = now;
            self.keep_progress(job).await;
        }
    }

    async fn keep_progress(&self, job: &JobId) {
        if let Err(error) = self.jobs.keep_progress(&job.run()).await {
            tracing::warn!(%job, %error, "a run's progress cannot be kept");
        }
    }

    /// Reports a slow step, and stops one that is too slow.
    pub(super) async fn check_step_timeouts(&mut self, job: &JobId) -> Result<(), JobError> {
        let (soft, hard) = (self.jobs.settings.soft_timeout, self.jobs.settings.hard_timeout);
        let Some(step) = self.running.get_mut(job).filter(|step| !step.has_ended) else { return Ok(()) };
        let rests = step.control.is_paused() || step.control.is_waiting();
        if !rests && step.gate.is_passed() {
            step.worked += BEAT;
        }
        let fence = step.fence;
        let mut told = Vec::new();
        if step.worked >= soft && !std::mem::replace(&mut step.slow_reported, true) {
            told.push(JobTransition::SoftTimeout { fence });
        }
        if step.worked >= hard && !std::mem::replace(&mut step.timed_out, true) {
            told.push(JobTransition::HardTimeout { fence });
            step.stop();
        }
        for what in told {
            self.commit(job, what).await?;
        }
        Ok(())
    }
}

/// Sends a beat for a step until the guard is dropped.
fn beat(job: JobId, context: &ActorContext<AgentMessage>) -> DropGuard {
    let over = CancellationToken::new();
    let (address, ended) = (context.address().clone(), over.clone());
    context.spawn(async move {
        while tokio::time::timeout(BEAT, ended.cancelled()).await.is_err() {
            // Full or gone: the next beat says the same.
            let _ = address.cast(AgentMessage::Beat { job: job.clone() });
        }
    });
    over.drop_guard()
}

fn stopped_how(step: &RunningStep) -> String {
    if !step.gate.is_passed() {
        return "stopped while it waited for resources; nothing had begun".to_owned();
    }
    let progress = step.control.progress();
    format!("stopped at a checkpoint after {} of {} ({})", progress.done, progress.total, progress.note)
}
