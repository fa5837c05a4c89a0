//! An agent: one actor for each in the roster, whatever the role.
//!
//! All state is in the book: a restarted agent reads its jobs there and continues. Invariants: a notice only
//! makes the agent look at the row; every commit carries the claim's fence, so an overtaken incarnation
//! changes nothing.

mod admission;
pub(in crate::actors) mod behaviour;
mod invoke;
mod memory;
mod run_figures;
mod step_end;
mod steps;
pub(in crate::actors) mod thinking;
mod writing;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::jobs::{JobError, JobsShared};
use super::resource_manager::ResourceHandle;
use crate::domain::agent::{AgentBehaviour, AgentDefinition};
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobState, JobTransition, TransitionRefusal};
use crate::domain::time::Timestamp;
use crate::llm::text_writer::TextWriter;
use crate::store::Store;
use crate::supervision::{Actor, ActorContext, ActorError, ActorMessage, ActorSystem};

pub use memory::AgentMemory;
pub use step_end::{StepEnd, StepResult};
use steps::RunningStep;
pub use thinking::deps::{ThinkingDeps, trees_below};
pub use thinking::outlook::{ProvingOutlook, RepositoryOutlook};
pub use thinking::rehearsal::{ProofRehearsal, RehearsalOrder, RehearsedRun, rehearse};

pub enum AgentMessage {
    /// Read a job's row and act accordingly.
    Reconcile { job: JobId },
    /// An attempt of this agent has ended.
    StepEnded {
        job: JobId,
        fence: u64,
        /// The result of the attempt.
        outcome: StepResult,
    },
    /// Time to check a running attempt.
    Beat { job: JobId },
    /// The store takes writes again: resume deferred work.
    StoreIsBack,
    /// A request from outside any job.
    Invoke {
        /// The request (a JSON object).
        payload: Map<String, Value>,
        /// The caller's deadline.
        deadline: Duration,
        /// The way back for the answer.
        reply: invoke::InvokeReply,
    },
}

impl ActorMessage for AgentMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Reconcile { .. } => "reconcile",
            Self::StepEnded { .. } => "step_ended",
            Self::Beat { .. } => "beat",
            Self::StoreIsBack => "store_is_back",
            Self::Invoke { .. } => "invoke",
        }
    }
}

/// The services that agents use beside jobs and resources. Cheap to clone.
#[derive(Clone)]
pub struct AgentTools {
    pub store: Store,
    pub writer: Arc<dyn TextWriter>,
    pub thinking: ThinkingDeps,
}

pub struct AgentState {
    me: Arc<AgentDefinition>,
    jobs: Arc<JobsShared>,
    resources: ResourceHandle,
    system: ActorSystem,
    memory: AgentMemory,
    tools: AgentTools,
    /// Coordinators: jobs claimed, with their fences.
    claimed: HashMap<JobId, u64>,
    /// Other agents: running attempts.
    running: HashMap<JobId, RunningStep>,
    /// Work deferred because the store takes no writes.
    deferred: DeferredWork,
}

/// Notices and ended attempts that wait for the store. Bounded by the jobs that may be active.
#[derive(Default)]
struct DeferredWork {
    jobs: BTreeSet<JobId>,
    ended: Vec<(JobId, u64, StepResult)>,
}

impl AgentState {
    /// Starts an incarnation, which reconciles every open job of this agent.
    ///
    /// # Errors
    /// The store's.
    pub fn start(
        me: Arc<AgentDefinition>,
        jobs: Arc<JobsShared>,
        resources: ResourceHandle,
        system: ActorSystem,
        (memory, tools): (AgentMemory, AgentTools),
        context: &ActorContext<AgentMessage>,
    ) -> Result<Self, JobError> {
        for job in jobs.book.active()? {
            if job.card.agent == me.name || job.escalated_to.as_ref() == Some(&me.name) {
                // A full mailbox has enough notices; the scheduler repeats the rest.
                let _ = context.address().cast(AgentMessage::Reconcile { job: job.id });
            }
        }
        memory.log_resumption(&me.name);
        let (claimed, running) = (HashMap::new(), HashMap::new());
        let deferred = DeferredWork::default();
        Ok(Self { me, jobs, resources, system, memory, tools, claimed, running, deferred })
    }

    /// Defers work until the store takes writes again. The rows say which work is left, so the id of a job is
    /// enough to reconcile it; an attempt's result is in no row yet and is kept.
    fn defer(&mut self, keep: impl FnOnce(&mut DeferredWork), context: &ActorContext<AgentMessage>) {
        let is_first = self.deferred.jobs.is_empty() && self.deferred.ended.is_empty();
        keep(&mut self.deferred);
        if is_first {
            let (store, address) = (self.tools.store.clone(), context.address().clone());
            context.spawn(async move {
                if store.writable().await.is_ok() {
                    // An agent that has ended reconciles its jobs at the next start.
                    let _ = address.send(AgentMessage::StoreIsBack).await;
                }
            });
        }
    }

    async fn resume_deferred(&mut self, context: &ActorContext<AgentMessage>) -> Result<(), ActorError> {
        let DeferredWork { jobs, ended } = std::mem::take(&mut self.deferred);
        for (job, fence, outcome) in ended {
            self.on_step_ended(job, fence, outcome, context).await?;
        }
        for job in jobs {
            self.on_reconcile(job, context).await?;
        }
        Ok(())
    }

    async fn on_reconcile(
        &mut self,
        job: JobId,
        context: &ActorContext<AgentMessage>,
    ) -> Result<(), ActorError> {
        if is_put_off(self.reconcile(&job, context).await)? {
            self.defer(|deferred| deferred.jobs.extend([job]), context);
        }
        Ok(())
    }

    async fn on_step_ended(
        &mut self,
        job: JobId,
        fence: u64,
        outcome: StepResult,
        context: &ActorContext<AgentMessage>,
    ) -> Result<(), ActorError> {
        if is_put_off(self.step_ended(&job, fence, &outcome, context).await)? {
            self.defer(|deferred| deferred.ended.push((job, fence, outcome)), context);
        }
        Ok(())
    }

    fn is_coordinator(&self) -> bool {
        matches!(self.me.behaviour, AgentBehaviour::Coordinator)
    }

    /// Whether a task is carried out with a model, turn by turn.
    fn thinks(&self, task: &str) -> bool {
        thinking::tasks::find(task).is_some()
    }

    fn takes(&self, task: &str) -> bool {
        self.jobs.tasks.takes(&self.me, task)
    }

    /// Why this agent does not take a task, and an alternative.
    fn lack(&self, task: &str) -> String {
        self.jobs.tasks.lack(self.jobs.agents.roster(), &self.me, task)
    }

    async fn reconcile(&mut self, id: &JobId, context: &ActorContext<AgentMessage>) -> Result<(), JobError> {
        let job = match self.jobs.book.get(id) {
            Ok(job) => job,
            Err(JobError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if job.state == JobState::Blocked && job.escalated_to.as_ref() == Some(&self.me.name) {
            return self.settle_failure(&job).await;
        }
        if job.card.agent != self.me.name {
            // The job may now belong to another agent, so this agent's share of the work ends.
            self.forget(id);
            return self.next_job(context);
        }
        match job.state {
            JobState::Running if job.cancel.is_some() => self.stop(&job).await,
            JobState::Queued | JobState::Running => self.advance_job(job, context).await,
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

    async fn advance_job(&mut self, job: Job, context: &ActorContext<AgentMessage>) -> Result<(), JobError> {
        if self.is_coordinator() && !self.thinks(&job.card.task) {
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
        self.continue_or_begin(job, context).await
    }

    /// Claims a job; `None` when not due, or cancelled meanwhile.
    async fn claim(&self, job: &Job) -> Result<Option<Job>, JobError> {
        if job.state == JobState::Queued && !job.is_due(Timestamp::now()) {
            return Ok(None);
        }
        unless_refused(self.jobs.book.change(&job.id, JobTransition::Claim).await)
    }

    /// Commits a transition and notifies the next agent; a refusal means that another agent has the job by
    /// now, which is no error.
    async fn commit(&self, id: &JobId, transition: JobTransition) -> Result<Option<Job>, JobError> {
        let changed = match self.jobs.commit(id, transition).await {
            // The next full sweep looks at the job again.
            Err(error @ JobError::NoManifest(_)) => {
                tracing::warn!(job = %id, %error, "a run is done and waits for its manifest");
                None
            }
            changed => unless_refused(changed)?,
        };
        if let Some(job) = &changed {
            self.jobs.notify(job);
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
            // The last child to end sends a notice.
            return Ok(());
        }
        let how = match below.len() {
            0 => "nothing was running any more".to_owned(),
            count => format!("its {count} steps have ended"),
        };
        self.commit(&job.id, JobTransition::Stopped { fence: job.fence, how }).await.map(|_| ())
    }

    fn pause_step(&self, id: &JobId) {
        if let Some(step) = self.running.get(id) {
            step.control.pause();
        }
    }

    fn forget(&mut self, id: &JobId) {
        self.claimed.remove(id);
        self.running.remove(id);
    }

    /// The director's decision about a failure below: a step the run can do without is waived, anything else
    /// goes to a person.
    async fn settle_failure(&self, job: &Job) -> Result<(), JobError> {
        let decision = if job.card.optional { JobTransition::Waive } else { JobTransition::AskPerson };
        self.commit(&job.id, decision).await.map(|_| ())
    }
}

impl Actor for AgentState {
    type Message = AgentMessage;

    async fn handle(
        &mut self,
        message: AgentMessage,
        context: &ActorContext<AgentMessage>,
    ) -> Result<(), ActorError> {
        match message {
            AgentMessage::Reconcile { job } => self.on_reconcile(job, context).await?,
            AgentMessage::StepEnded { job, fence, outcome } => {
                self.on_step_ended(job, fence, outcome, context).await?;
            }
            // The next beat finds the same.
            AgentMessage::Beat { job } => {
                self.check_step_progress(&job).await;
                is_put_off(self.check_step_timeouts(&job).await)?;
            }
            AgentMessage::StoreIsBack => self.resume_deferred(context).await?,
            AgentMessage::Invoke { payload, deadline, reply } => {
                self.invoke(&payload, deadline, reply, context);
            }
        }
        Ok(())
    }
}

/// Whether work was deferred because the store takes no writes for now.
fn is_put_off(done: Result<(), JobError>) -> Result<bool, JobError> {
    match done {
        Ok(()) => Ok(false),
        Err(JobError::Store(error)) if error.is_passing() => {
            tracing::debug!(%error, "deferred until the store takes writes again");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

fn unless_refused(changed: Result<Job, JobError>) -> Result<Option<Job>, JobError> {
    match changed {
        Ok(job) => Ok(Some(job)),
        Err(JobError::Refused(TransitionRefusal::State { .. } | TransitionRefusal::Fenced { .. })) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
