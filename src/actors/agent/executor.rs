//! What an executor does with a job: reserve what it needs, run its skill on a blocking thread, watch it,
//! commit the result.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::admission::{self, Admission, Door};
use super::writing::{Author, Writing};
use super::{Agent, AgentMessage, memory};
use crate::actors::jobs::board::Attempt;
use crate::actors::jobs::{JobError, Jobs};
use crate::domain::agent::Behaviour;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState, Transition};
use crate::domain::resources::Ask;
use crate::domain::time::Timestamp;
use crate::skills::{self, Control, SkillError, StepContext, StepOutcome};
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
    door: Door,
    jobs: Arc<Jobs>,
    /// Working time so far; holds and the wait for resources are left out.
    worked: Duration,
    told_slow: bool,
    timed_out: bool,
    _beating: DropGuard,
}

impl RunningStep {
    /// Asks the attempt to end, be it at work or still waiting for resources.
    pub(super) fn stop(&self) {
        self.control.stop();
        self.door.close();
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
        let ready = self.skill_for(&job).and_then(|skill| Ok((skill, admission::ask_of(&job, &self.me)?)));
        let (skill, ask) = match ready {
            Ok(ready) => ready,
            Err(lack) => {
                let director = self.jobs.director_of(&self.me.name);
                let fail = Transition::FailPermanent { fence: job.fence, error: lack, director };
                return self.commit(&job.id, fail).await.map(|_| ());
            }
        };
        self.begin(job, skill, ask, context);
        Ok(())
    }

    fn skill_for(&self, job: &Job) -> Result<skills::Skill, String> {
        match &self.me.behaviour {
            Behaviour::Native { skill } => skills::find(skill.as_str())
                .ok_or_else(|| format!("this build of PAS has no skill `{}`", skill.as_str())),
            _ => Err(self.lack(&job.card.task)),
        }
    }

    fn begin(&mut self, job: Job, skill: skills::Skill, ask: Ask, context: &Context<AgentMessage>) {
        let control = Arc::new(Control::default());
        let began = tokio::time::Instant::now();
        let attempt = Attempt { fence: job.fence, control: Arc::clone(&control), began };
        let desk = self.jobs.board.begin(&job.id, attempt);
        let step = StepContext::new(
            self.jobs.run_dir(&job.run()),
            job.card.inputs.0.clone(),
            self.jobs.settings.threads,
            Arc::clone(&control),
        );
        let door = Door::default();
        let running = RunningStep {
            job: job.id.clone(),
            fence: job.fence,
            control: Arc::clone(&control),
            door: door.clone(),
            jobs: Arc::clone(&self.jobs),
            worked: Duration::ZERO,
            told_slow: false,
            timed_out: false,
            _beating: beat(job.id.clone(), context),
        };
        self.running.insert(job.id.clone(), running);
        let writing = self.writing(&job, &control, &door);
        let (memory, me, card) = (self.memory.clone(), Arc::clone(&self.me), memory::card(&job));
        let (id, fence, address) = (job.id.clone(), job.fence, context.address().clone());
        let (resources, jobs) = (self.resources.clone(), Arc::clone(&self.jobs));
        let admission = Admission { resources, jobs, job, ask, control, door };
        context.spawn(async move {
            let working = async {
                let lease = admission.pass().await?;
                let step = match writing {
                    Some(writing) => writing.add_to(step).await,
                    None => step,
                };
                let work = move || {
                    // Given back by the thread itself: one whose agent was killed works a little longer.
                    let _held = lease;
                    let _alone = desk.lock();
                    step.checkpoint()?;
                    skill(&step)
                };
                let worked = tokio::task::spawn_blocking(work).await;
                worked.unwrap_or_else(|error| Err(SkillError::Transient(panic_text(error))))
            };
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

    fn writing(&self, job: &Job, control: &Arc<Control>, door: &Door) -> Option<Writing> {
        let Behaviour::Native { skill } = &self.me.behaviour else { return None };
        skills::brief(skill.as_str())?;
        let author = Author {
            run: (&job.run()).into(),
            job: (&job.id).into(),
            agent: (&self.me.name).into(),
            lane: self.jobs.agents.roster().lane_of(&self.me.name).map(|lane| (&lane.name).into()),
        };
        Some(Writing {
            writer: Arc::clone(&self.writer),
            author,
            skill: skill.as_str().to_owned(),
            control: Arc::clone(control),
            door: door.clone(),
        })
    }

    /// Commits what came of an attempt and takes the next job.
    pub(super) async fn step_ended(
        &mut self,
        job: JobId,
        fence: u64,
        outcome: Result<StepOutcome, SkillError>,
        context: &Context<AgentMessage>,
    ) -> Result<(), JobError> {
        // The news of an attempt that was overtaken must not end the one that overtook it.
        if self.running.get(&job).is_none_or(|step| step.fence != fence) {
            return Ok(());
        }
        let Some(step) = self.running.remove(&job) else { return Ok(()) };
        let director = self.jobs.director_of(&self.me.name);
        let transition = match outcome {
            Ok(outcome) => {
                Transition::Complete { fence, outputs: outcome.outputs.into(), artifacts: outcome.artifacts }
            }
            Err(SkillError::Permanent(error)) => Transition::FailPermanent { fence, error, director },
            Err(SkillError::Passing(error)) => {
                let attempt = self.jobs.book.get(&job).map_or(1, |row| row.attempt);
                let backoff = self.jobs.settings.policy.backoff(attempt, fastrand::f64());
                Transition::WaitOut { fence, error, backoff }
            }
            Err(SkillError::Cancelled) if !step.timed_out => {
                Transition::Stopped { fence, how: stopped_how(&step) }
            }
            Err(error) => {
                let limit = self.jobs.settings.hard_timeout;
                let error =
                    if step.timed_out { format!("took longer than {limit:?}") } else { error.to_string() };
                let policy = self.jobs.settings.policy;
                let attempt = self.jobs.book.get(&job).map_or(1, |row| row.attempt);
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
        let how = stopped_how(&step);
        drop(step);
        if self.commit(&job, transition).await?.is_none() {
            // The wish to cancel came between the last checkpoint and this commit.
            self.commit(&job, Transition::Stopped { fence, how }).await?;
        }
        let (memory, me) = (self.memory.clone(), Arc::clone(&self.me));
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
        let Some(step) = self.running.get_mut(job) else { return Ok(()) };
        if !step.control.is_held() && step.door.is_passed() {
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
    if !step.door.is_passed() {
        return "stopped while it waited for resources; nothing had begun".to_owned();
    }
    let progress = step.control.progress();
    format!("stopped at a checkpoint after {} of {} ({})", progress.done, progress.total, progress.note)
}

fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            format!("the skill panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
        }
        Err(_) => "the step's thread was cancelled".to_owned(),
    }
}
