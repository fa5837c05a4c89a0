//! An agent at work: one actor for each of the roster, whatever its role.
//!
//! Owns nothing that is not in the book: after a restart it reads which jobs are its own and goes on.
//! Invariants: a hint only makes it look at the row; what it commits carries the fence of its claim, so
//! an incarnation that was overtaken changes nothing.

mod admission;
pub(in crate::actors) mod behaviour;
mod invoke;
mod memory;
mod run_figures;
mod steps;
mod writing;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::jobs::{JobError, Jobs};
use super::resource_manager::ResourceHandle;
use crate::domain::agent::{AgentDefinition, Behaviour};
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState, Refusal, Transition};
use crate::domain::time::Timestamp;
use crate::llm::text_writer::TextWriter;
use crate::skills::{SkillError, StepOutcome};
use crate::supervision::{Actor, ActorError, ActorSystem, Context, Message};

pub use memory::Memory;
use steps::RunningStep;

/// What an agent understands.
pub enum AgentMessage {
    /// Look at a job, and do what its row asks for.
    Attend { job: JobId },
    /// An attempt of this agent has ended.
    StepEnded {
        job: JobId,
        fence: u64,
        /// What came of it.
        outcome: Result<StepOutcome, SkillError>,
    },
    /// Time to look at a running attempt.
    Beat { job: JobId },
    /// The store takes writes again: do what it has refused.
    StoreIsBack,
    /// A request from outside of any job.
    Invoke {
        /// What is asked (a JSON object).
        payload: Map<String, Value>,
        /// How long the caller waits.
        deadline: Duration,
        /// Where the answer goes.
        reply: invoke::InvokeReply,
    },
}

impl Message for AgentMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Attend { .. } => "attend",
            Self::StepEnded { .. } => "step_ended",
            Self::Beat { .. } => "beat",
            Self::StoreIsBack => "store_is_back",
            Self::Invoke { .. } => "invoke",
        }
    }
}

/// The state of one agent.
pub struct Agent {
    me: Arc<AgentDefinition>,
    jobs: Arc<Jobs>,
    resources: ResourceHandle,
    system: ActorSystem,
    memory: Memory,
    writer: Arc<dyn TextWriter>,
    /// Coordinators: jobs claimed, with their fences.
    claimed: HashMap<JobId, u64>,
    /// Others: attempts under way.
    running: HashMap<JobId, RunningStep>,
    /// What a store that took no writes kept from being done.
    deferred: DeferredWork,
}

/// Hints and ends of attempts that wait for the store. Bounded by the jobs that may be active.
#[derive(Default)]
struct DeferredWork {
    jobs: BTreeSet<JobId>,
    ended: Vec<(JobId, u64, Result<StepOutcome, SkillError>)>,
}

impl Agent {
    /// A new incarnation: it looks at every job of its own that has not ended.
    ///
    /// # Errors
    /// The store's.
    pub fn wake(
        me: Arc<AgentDefinition>,
        jobs: Arc<Jobs>,
        resources: ResourceHandle,
        system: ActorSystem,
        (memory, writer): (Memory, Arc<dyn TextWriter>),
        context: &Context<AgentMessage>,
    ) -> Result<Self, JobError> {
        for job in jobs.book.active()? {
            if job.card.agent == me.name || job.escalated_to.as_ref() == Some(&me.name) {
                // A full mailbox holds hints enough; the scheduler repeats the rest.
                let _ = context.address().cast(AgentMessage::Attend { job: job.id });
            }
        }
        memory.tell(&me.name);
        let (claimed, running) = (HashMap::new(), HashMap::new());
        let deferred = DeferredWork::default();
        Ok(Self { me, jobs, resources, system, memory, writer, claimed, running, deferred })
    }

    /// Has what the store refused done once it takes writes again. The rows say what is left to do, so a
    /// job to look at is enough; what came of an attempt stands in no row yet and is kept.
    fn defer(&mut self, keep: impl FnOnce(&mut DeferredWork), context: &Context<AgentMessage>) {
        let is_first = self.deferred.jobs.is_empty() && self.deferred.ended.is_empty();
        keep(&mut self.deferred);
        if is_first {
            let (store, address) = (self.jobs.book.store().clone(), context.address().clone());
            context.spawn(async move {
                if store.writable().await.is_ok() {
                    // An agent that has ended looks at its jobs when it starts.
                    let _ = address.send(AgentMessage::StoreIsBack).await;
                }
            });
        }
    }

    async fn take_up(&mut self, context: &Context<AgentMessage>) -> Result<(), ActorError> {
        let DeferredWork { jobs, ended } = std::mem::take(&mut self.deferred);
        for (job, fence, outcome) in ended {
            self.on_step_ended(job, fence, outcome, context).await?;
        }
        for job in jobs {
            self.on_hint(job, context).await?;
        }
        Ok(())
    }

    async fn on_hint(&mut self, job: JobId, context: &Context<AgentMessage>) -> Result<(), ActorError> {
        if is_put_off(self.attend(&job, context).await)? {
            self.defer(|deferred| deferred.jobs.extend([job]), context);
        }
        Ok(())
    }

    async fn on_step_ended(
        &mut self,
        job: JobId,
        fence: u64,
        outcome: Result<StepOutcome, SkillError>,
        context: &Context<AgentMessage>,
    ) -> Result<(), ActorError> {
        if is_put_off(self.step_ended(&job, fence, &outcome, context).await)? {
            self.defer(|deferred| deferred.ended.push((job, fence, outcome)), context);
        }
        Ok(())
    }

    fn is_coordinator(&self) -> bool {
        matches!(self.me.behaviour, Behaviour::Coordinator)
    }

    fn takes(&self, task: &str) -> bool {
        self.jobs.tasks.takes(&self.me, task)
    }

    /// Why this agent does not take a task, and what works instead.
    fn lack(&self, task: &str) -> String {
        self.jobs.tasks.lack(self.jobs.agents.roster(), &self.me, task, self.writer.is_ready())
    }

    async fn attend(&mut self, id: &JobId, context: &Context<AgentMessage>) -> Result<(), JobError> {
        let job = match self.jobs.book.get(id) {
            Ok(job) => job,
            Err(JobError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if job.state == JobState::Blocked && job.escalated_to.as_ref() == Some(&self.me.name) {
            return self.settle_failure(&job).await;
        }
        if job.card.agent != self.me.name {
            // It may have been given to another agent: what is left of it here ends.
            self.forget(id);
            return self.next_job(context);
        }
        match job.state {
            JobState::Running if job.cancel.is_some() => self.stop(&job).await,
            JobState::Queued | JobState::Running => self.carry_on(job, context).await,
            JobState::Paused => {
                self.pause_step(id);
                self.next_job(context)
            }
            JobState::AwaitingApproval | JobState::Blocked => Ok(()),
            JobState::Done | JobState::Failed | JobState::Cancelled | JobState::Quarantined => {
                self.forget(id);
                Ok(())
            }
        }
    }

    async fn carry_on(&mut self, job: Job, context: &Context<AgentMessage>) -> Result<(), JobError> {
        if self.is_coordinator() {
            let job = if self.claimed.get(&job.id) == Some(&job.fence) {
                Some(job)
            } else {
                self.claim(&job).await?
            };
            if let Some(job) = job {
                self.claimed.insert(job.id.clone(), job.fence);
                self.review(&job).await?;
            }
            return Ok(());
        }
        self.work_on(job, context).await
    }

    /// Takes a job; `None` when it is not to be had (not due, or cancelled meanwhile).
    async fn claim(&self, job: &Job) -> Result<Option<Job>, JobError> {
        if job.state == JobState::Queued && !job.is_due(Timestamp::now()) {
            return Ok(None);
        }
        unless_refused(self.jobs.book.change(&job.id, Transition::Claim).await)
    }

    /// Commits a change of this agent and hints whoever acts next; a refusal means that somebody else
    /// has the job by now, which is no error.
    async fn commit(&self, id: &JobId, transition: Transition) -> Result<Option<Job>, JobError> {
        let changed = match self.jobs.commit(id, transition).await {
            // The job is looked at again with the next full sweep.
            Err(error @ JobError::NoManifest(_)) => {
                tracing::warn!(job = %id, %error, "a run is done and waits for its manifest");
                None
            }
            changed => unless_refused(changed)?,
        };
        if let Some(job) = &changed {
            self.jobs.hint(job);
        }
        Ok(changed)
    }

    async fn stop(&mut self, job: &Job) -> Result<(), JobError> {
        self.claimed.remove(&job.id);
        if let Some(step) = self.running.get(&job.id).filter(|step| step.fence == job.fence) {
            step.stop();
            return Ok(());
        }
        let below = self.jobs.book.children(&job.id)?;
        if below.iter().any(|child| !child.state.is_terminal()) {
            // The last of them to end sends a hint.
            return Ok(());
        }
        let how = match below.len() {
            0 => "nothing was running any more".to_owned(),
            count => format!("its {count} steps have ended"),
        };
        self.commit(&job.id, Transition::Stopped { fence: job.fence, how }).await.map(|_| ())
    }

    fn pause_step(&self, id: &JobId) {
        if let Some(step) = self.running.get(id) {
            step.control.hold();
        }
    }

    fn forget(&mut self, id: &JobId) {
        self.claimed.remove(id);
        self.running.remove(id);
    }

    /// The director's decision about a failure below: what the run can do without is waived, all else
    /// is put to a person.
    async fn settle_failure(&self, job: &Job) -> Result<(), JobError> {
        let decision = if job.card.optional { Transition::Waive } else { Transition::AskPerson };
        self.commit(&job.id, decision).await.map(|_| ())
    }
}

impl Actor for Agent {
    type Message = AgentMessage;

    async fn handle(
        &mut self,
        message: AgentMessage,
        context: &Context<AgentMessage>,
    ) -> Result<(), ActorError> {
        match message {
            AgentMessage::Attend { job } => self.on_hint(job, context).await?,
            AgentMessage::StepEnded { job, fence, outcome } => {
                self.on_step_ended(job, fence, outcome, context).await?;
            }
            // The next beat finds the same.
            AgentMessage::Beat { job } => drop(is_put_off(self.look_at_step(&job).await)?),
            AgentMessage::StoreIsBack => self.take_up(context).await?,
            AgentMessage::Invoke { payload, deadline, reply } => {
                self.invoke(&payload, deadline, reply, context);
            }
        }
        Ok(())
    }
}

/// Whether something was not done because the store takes no writes for now.
fn is_put_off(done: Result<(), JobError>) -> Result<bool, JobError> {
    match done {
        Ok(()) => Ok(false),
        Err(JobError::Store(error)) if error.is_passing() => {
            tracing::debug!(%error, "put off until the store takes writes again");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

fn unless_refused(changed: Result<Job, JobError>) -> Result<Option<Job>, JobError> {
    match changed {
        Ok(job) => Ok(Some(job)),
        Err(JobError::Refused(Refusal::State { .. } | Refusal::Fenced { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}
