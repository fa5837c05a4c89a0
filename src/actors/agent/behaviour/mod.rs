//! How agents work: one async step runner for each way to carry out a claimed card.
//!
//! [`native`] runs a skill on a thread that may block, [`system`] asks a service; [`coordinator`] is no
//! runner: a coordinator's step is the rows of the children, looked at whenever one ends. Tasks of a model
//! are carried out in [`thinking`](super::thinking). Agents that only run commands have no runner in this
//! build, and [`TaskCatalogue`](crate::domain::task::TaskCatalogue) refuses their cards with the reason.
//! Invariant: a runner commits nothing itself; the agent commits the result, under the fence of the claim.

mod coordinator;
mod native;
pub(in crate::actors) mod system;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::AgentState;
use super::admission::{self, AdmissionNotice, AttemptAdmission, ResourceGate};
use super::step_end::StepResult;
use super::thinking::{self, runner::ThinkingRunner};
use crate::actors::jobs::JobsShared;
use crate::actors::jobs::attempts::JobLock;
use crate::actors::resource_manager::{ReservationGuard, ResourceHandle};
use crate::actors::work_span::WorkSpan;
use crate::domain::agent::{AgentBehaviour, AgentDefinition};
use crate::domain::job::Job;
use crate::skills::{self, SkillError, StepContext, StepControl};
use crate::supervision::ActorSystem;

pub(super) trait StepRunner: Send + Sync {
    /// Runs one attempt at a step to its end. Ends early with [`SkillError::Cancelled`] when asked to stop;
    /// when dropped, leaves nothing that a second attempt would not find or overwrite.
    fn run(&self, step: ClaimedStep) -> BoxFuture<'static, StepResult>;
}

/// How an agent carries out a task.
pub(super) struct TaskRunner {
    /// The task's name, as in its row.
    pub(super) task: &'static str,
    pub(super) runner: Arc<dyn StepRunner>,
}

/// A claimed card, with everything an attempt may use.
pub(super) struct ClaimedStep {
    pub(super) job: Job,
    pub(super) agent: Arc<AgentDefinition>,
    pub(super) jobs: Arc<JobsShared>,
    pub(super) system: ActorSystem,
    pub(super) resources: ResourceHandle,
    pub(super) control: Arc<StepControl>,
    pub(super) gate: ResourceGate,
    /// Locked while the attempt writes: an overtaken attempt may still be running.
    pub(super) turn: JobLock,
}

impl ClaimedStep {
    /// Reserves the step's resources, queueing if necessary.
    ///
    /// # Errors
    /// As [`Admission::pass`]; [`SkillError::Permanent`] when the card's wish makes no sense.
    pub(super) async fn reserve(&self) -> Result<ReservationGuard, SkillError> {
        self.admit(AdmissionNotice::Always).await
    }

    /// The same for one of a step's many commands.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub(super) async fn reserve_for_command(&self) -> Result<ReservationGuard, SkillError> {
        self.admit(AdmissionNotice::AfterWait).await
    }

    async fn admit(&self, notice: AdmissionNotice) -> Result<ReservationGuard, SkillError> {
        let ask = admission::ask_of(&self.job, &self.agent).map_err(SkillError::Permanent)?;
        let admission = AttemptAdmission {
            resources: self.resources.clone(),
            jobs: Arc::clone(&self.jobs),
            job: self.job.clone(),
            ask,
            control: Arc::clone(&self.control),
            gate: self.gate.clone(),
            notice,
        };
        let span = WorkSpan::here(&self.system, "wait for resources");
        let granted = admission.pass().await;
        span.end(granted.is_ok());
        granted
    }

    fn context(&self) -> StepContext {
        StepContext::new(
            self.jobs.run_dir(&self.job.run()),
            self.job.card.inputs.0.clone(),
            self.jobs.settings.threads,
            Arc::clone(&self.control),
        )
        .with_defaults(Arc::clone(&self.jobs.settings.input_defaults))
        .with_program(&self.jobs.settings.program)
    }
}

impl AgentState {
    /// The runner for a task, or the reason why this agent declines.
    pub(super) fn runner(&self, task: &str) -> Result<TaskRunner, String> {
        if self.takes(task) {
            match self.me.behaviour {
                AgentBehaviour::Native => {
                    if let Some(skill) = skills::find(task) {
                        let runner = native::NativeRunner::new(skill, Arc::clone(&self.tools.writer));
                        return Ok(TaskRunner { task: skill.task, runner: Arc::new(runner) });
                    }
                }
                AgentBehaviour::System => {
                    if let Some(service) = system::find(task) {
                        let runner = system::ServiceRunner::new(service, self.service_access());
                        return Ok(TaskRunner { task: service.task, runner: Arc::new(runner) });
                    }
                }
                AgentBehaviour::Coordinator | AgentBehaviour::Llm | AgentBehaviour::Command => {}
            }
            if let Some(entry) = thinking::tasks::find(task) {
                let runner = ThinkingRunner::new(self.tools.thinking.clone());
                return Ok(TaskRunner { task: entry.task, runner: Arc::new(runner) });
            }
        }
        Err(self.lack(task))
    }
}
