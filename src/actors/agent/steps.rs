//! The steps of one agent: which claimed card is worked on next, how long it may take, and the commit of its end.
//!
//! Knows nothing of how a step works: that is its [`StepRunner`](super::behaviour::StepRunner). Invariants: at most
//! [`STEPS_AT_ONCE`] at work; what is committed carries the fence under which the step was claimed.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::admission::ResourceGate;
use super::behaviour::{ClaimedStep, StepResult, StepRunner};
use super::{Agent, AgentMessage, memory};
use crate::actors::jobs::board::Attempt;
use crate::actors::jobs::{JobError, Jobs};
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState, Transition};
use crate::domain::time::Timestamp;
use crate::skills::{Control, SkillError};
use crate::supervision::Context;

/// Steps that one agent works on at the same time; the others wait in the queue.
const STEPS_AT_ONCE: usize = 1;
/// How often an agent looks at its running steps.
const BEAT: Duration = Duration::from_millis(500);

/// An attempt under way. Dropped (with its agent's incarnation, say), it is told to stop.
pub(super) struct RunningStep {
    job: JobId,
    pub(super) fence: u64,
    pub(super) control: Arc<Control>,
    gate: ResourceGate,
    jobs: Arc<Jobs>,
    /// Working time so far; pauses and the wait for resources are left out.
    worked: Duration,
    told_slow: bool,
    timed_out: bool,
    /// Its work has ended, which is not committed yet.
    has_ended: bool,
    _beating: DropGuard,
}

impl RunningStep {
    /// Asks the attempt to end, be it at work or still waiting for resources.
    pub(super) fn stop(&self) {
        self.control.stop();
        self.gate.close();
    }
}

impl Drop for RunningStep {
    fn drop(&mut self) {
        self.stop();
        self.jobs.board.end(&self.job, self.fence);
    }
}

impl Agent {
    /// Lets a job that is under way go on; else claims and begins the most urgent one that waits.
    pub(super) async fn work_on(
        &mut self,
        job: Job,
        context: &Context<AgentMessage>,
    ) -> Result<(), JobError> {
        if let Some(step) = self.running.get(&job.id) {
            if step.fence == job.fence {
                step.control.go_on();
                return Ok(());
            }
            self.running.remove(&job.id);
        }
        if self.is_busy() {
            return Ok(());
        }
        let Some(job) = self.most_urgent()? else { return Ok(()) };
        let Some(job) = self.claim(&job).await? else { return Ok(()) };
        let runner = match self.runner(&job.card.task) {
            Ok(runner) => runner,
            Err(lack) => {
                let director = self.jobs.director_of(&self.me.name);
                let fail = Transition::FailPermanent { fence: job.fence, error: lack, director };
                return self.commit(&job.id, fail).await.map(|_| ());
            }
        };
        self.begin(job, &*runner, context);
        Ok(())
    }

    fn begin(&mut self, job: Job, runner: &dyn StepRunner, context: &Context<AgentMessage>) {
        let (id, fence) = (job.id.clone(), job.fence);
        let (control, gate) = (Arc::new(Control::default()), ResourceGate::default());
        let began = tokio::time::Instant::now();
        let turn = self.jobs.board.begin(&id, Attempt { fence, control: Arc::clone(&control), began });
        let running = RunningStep {
            job: id.clone(),
            fence,
            control: Arc::clone(&control),
            gate: gate.clone(),
            jobs: Arc::clone(&self.jobs),
            worked: Duration::ZERO,
            told_slow: false,
            timed_out: false,
            has_ended: false,
            _beating: beat(id.clone(), context),
        };
        self.running.insert(id.clone(), running);
        let (memory, me, card) = (self.memory.clone(), Arc::clone(&self.me), memory::card(&job));
        let step = ClaimedStep {
            job,
            agent: Arc::clone(&self.me),
            jobs: Arc::clone(&self.jobs),
            resources: self.resources.clone(),
            control,
            gate,
            turn,
        };
        let (working, address) = (runner.run(step), context.address().clone());
        context.spawn(async move {
            let keeping = async {
                memory.remember(&me, &id, card).await;
                memory.judge(&me, &id).await;
            };
            let (outcome, ()) = tokio::join!(working, keeping);
            // Before the step's end is committed, so that it is durable with it.
            memory.remember(&me, &id, memory::result(&id, fence, &outcome)).await;
            // An agent that has ended for good needs no news; the row says what is left to do.
            let _ = address.send(AgentMessage::StepEnded { job: id, fence, outcome }).await;
        });
    }

    /// Commits what came of an attempt and takes the next job. Where the store refuses, nothing has changed
    /// and it can be said again.
    pub(super) async fn step_ended(
        &mut self,
        job: &JobId,
        fence: u64,
        outcome: &StepResult,
        context: &Context<AgentMessage>,
    ) -> Result<(), JobError> {
        // The news of an attempt that was overtaken must not end the one that overtook it.
        let Some(step) = self.running.get_mut(job).filter(|step| step.fence == fence) else { return Ok(()) };
        step.has_ended = true;
        let (timed_out, how) = (step.timed_out, stopped_how(step));
        let director = self.jobs.director_of(&self.me.name);
        let transition = match outcome {
            Ok(outcome) => Transition::Complete {
                fence,
                outputs: outcome.outputs.clone().into(),
                artifacts: outcome.artifacts.clone(),
            },
            Err(SkillError::Permanent(error)) => {
                Transition::FailPermanent { fence, error: error.clone(), director }
            }
            Err(SkillError::Passing(error)) => {
                let attempt = self.jobs.book.get(job).map_or(1, |row| row.attempt);
                let backoff = self.jobs.settings.policy.backoff(attempt, fastrand::f64());
                Transition::WaitOut { fence, error: error.clone(), backoff }
            }
            Err(SkillError::Cancelled) if !timed_out => Transition::Stopped { fence, how: how.clone() },
            Err(error) => {
                let limit = self.jobs.settings.hard_timeout;
                let error = if timed_out { format!("took longer than {limit:?}") } else { error.to_string() };
                let policy = self.jobs.settings.policy;
                let attempt = self.jobs.book.get(job).map_or(1, |row| row.attempt);
                let backoff = policy.backoff(attempt, fastrand::f64());
                Transition::FailTransient {
                    fence,
                    error,
                    backoff,
                    max_attempts: policy.max_attempts,
                    director,
                }
            }
        };
        if self.commit(job, transition).await?.is_none() {
            // The wish to cancel came between the last checkpoint and this commit.
            self.commit(job, Transition::Stopped { fence, how }).await?;
        }
        self.running.remove(job);
        let (memory, me, job) = (self.memory.clone(), Arc::clone(&self.me), job.clone());
        context.spawn(async move { memory.judge(&me, &job).await });
        self.next_job(context)
    }

    /// Whether it has its hands full; a step that is held by a person keeps nobody busy.
    fn is_busy(&self) -> bool {
        self.running.values().filter(|step| !step.control.is_held()).count() >= STEPS_AT_ONCE
    }

    /// The job of this agent that is to be begun next: highest priority first, then the oldest.
    fn most_urgent(&self) -> Result<Option<Job>, JobError> {
        let now = Timestamp::now();
        let waits = |job: &Job| {
            let open = job.is_due(now) || job.state == JobState::Running;
            open && job.card.agent == self.me.name
                && job.cancel.is_none()
                && !self.running.contains_key(&job.id)
        };
        let waiting = self.jobs.book.active()?.into_iter().filter(waits);
        Ok(waiting.min_by_key(|job| (Reverse(job.card.priority), job.created_at)))
    }

    /// Sends itself a hint at the job to be begun next, if it has a hand free.
    pub(super) fn next_job(&self, context: &Context<AgentMessage>) -> Result<(), JobError> {
        if self.is_busy() || self.is_coordinator() {
            return Ok(());
        }
        if let Some(job) = self.most_urgent()? {
            // A full mailbox holds hints enough.
            let _ = context.address().cast(AgentMessage::Attend { job: job.id });
        }
        Ok(())
    }

    /// Tells that a step is slow, stops one that is too slow.
    pub(super) async fn look_at_step(&mut self, job: &JobId) -> Result<(), JobError> {
        let (soft, hard) = (self.jobs.settings.soft_timeout, self.jobs.settings.hard_timeout);
        let Some(step) = self.running.get_mut(job).filter(|step| !step.has_ended) else { return Ok(()) };
        if !step.control.is_held() && step.gate.is_passed() {
            step.worked += BEAT;
        }
        let fence = step.fence;
        let mut told = Vec::new();
        if step.worked >= soft && !std::mem::replace(&mut step.told_slow, true) {
            told.push(Transition::SoftTimeout { fence });
        }
        if step.worked >= hard && !std::mem::replace(&mut step.timed_out, true) {
            told.push(Transition::HardTimeout { fence });
            step.stop();
        }
        for what in told {
            self.commit(job, what).await?;
        }
        Ok(())
    }
}

/// Sends a beat for a step until the guard is dropped.
fn beat(job: JobId, context: &Context<AgentMessage>) -> DropGuard {
    let over = CancellationToken::new();
    let (address, ended) = (context.address().clone(), over.clone());
    context.spawn(async move {
        while tokio::time::timeout(BEAT, ended.cancelled()).await.is_err() {
            // Full or gone: the next beat tells as much.
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
