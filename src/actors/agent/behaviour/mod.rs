//! How an agent does its work: one async step runner for each way in which a claimed card can be carried out.
//!
//! [`native`] runs a skill on a thread that may block, [`system`] asks a service; [`coordinator`] is no runner,
//! because its step is the rows of its children: it looks at them whenever one of them ends. Agents that work with
//! a model or run commands have no runner in this build, and
//! [`TaskCatalogue`](crate::domain::task::TaskCatalogue) refuses their cards with the reason. Invariant: a runner
//! commits nothing itself; the agent commits what a step ends with, under the fence of the claim.

mod coordinator;
mod native;
pub(in crate::actors) mod system;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Agent;
use super::admission::{self, Admission, ResourceGate};
use crate::actors::jobs::Jobs;
use crate::actors::jobs::board::Desk;
use crate::actors::resource_manager::{Lease, ResourceHandle};
use crate::domain::agent::{AgentDefinition, Behaviour};
use crate::domain::job::Job;
use crate::skills::{self, Control, SkillError, StepContext, StepOutcome};

/// What a step ends with.
pub(super) type StepResult = Result<StepOutcome, SkillError>;

/// Carries claimed cards out.
pub(super) trait StepRunner: Send + Sync {
    /// Works one attempt at a step to its end. It ends early with [`SkillError::Cancelled`] once it is asked to
    /// stop; dropped, it leaves nothing that a second attempt would not find or write again.
    fn run(&self, step: ClaimedStep) -> BoxFuture<'static, StepResult>;
}

/// A claimed card, and all that an attempt at it may use.
pub(super) struct ClaimedStep {
    pub(super) job: Job,
    pub(super) agent: Arc<AgentDefinition>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) resources: ResourceHandle,
    pub(super) control: Arc<Control>,
    pub(super) gate: ResourceGate,
    /// Locked while the attempt writes: an attempt that was overtaken may still be at work.
    pub(super) turn: Desk,
}

impl ClaimedStep {
    /// Reserves what the step needs of the machine, waiting in line where it must.
    ///
    /// # Errors
    /// As [`Admission::pass`]; [`SkillError::Permanent`] when the card's wish makes no sense.
    async fn reserve(&self) -> Result<Lease, SkillError> {
        let ask = admission::ask_of(&self.job, &self.agent).map_err(SkillError::Permanent)?;
        let admission = Admission {
            resources: self.resources.clone(),
            jobs: Arc::clone(&self.jobs),
            job: self.job.clone(),
            ask,
            control: Arc::clone(&self.control),
            gate: self.gate.clone(),
        };
        admission.pass().await
    }

    fn context(&self) -> StepContext {
        StepContext::new(
            self.jobs.run_dir(&self.job.run()),
            self.job.card.inputs.0.clone(),
            self.jobs.settings.threads,
            Arc::clone(&self.control),
        )
        .with_defaults(Arc::clone(&self.jobs.settings.input_defaults))
    }
}

impl Agent {
    /// The runner for a task, or why this agent does not take it.
    pub(super) fn runner(&self, task: &str) -> Result<Arc<dyn StepRunner>, String> {
        if self.takes(task) {
            match self.me.behaviour {
                Behaviour::Native => {
                    if let Some(skill) = skills::find(task) {
                        return Ok(Arc::new(native::NativeRunner::new(skill, Arc::clone(&self.writer))));
                    }
                }
                Behaviour::System => {
                    if let Some(service) = system::find(task) {
                        return Ok(Arc::new(system::ServiceRunner::new(service, self.service_access())));
                    }
                }
                Behaviour::Coordinator | Behaviour::Llm | Behaviour::Command => {}
            }
        }
        Err(self.lack(task))
    }
}
