//! Before a step works: reserves the step's machine resources, or waits for them.
//!
//! Invariants: a step (of an agent that thinks: each of its commands) asks once, for everything, and reserves nothing
//! while waiting, so steps cannot wait for one another in a circle (coordinators reserve nothing at all); the
//! reservation is released with the [`ReservationGuard`], dropped last by the working thread, however the attempt ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::actors::jobs::JobsShared;
use crate::actors::resource_manager::{
    ReservationGuard, ReservationOutcome, ReservationRequest, ResourceError, ResourceHandle,
};
use crate::domain::agent::AgentDefinition;
use crate::domain::job::Job;
use crate::domain::resource_manager::{MilliCores, ReservationOwner, ResourceAmounts, ResourceRequest};
use crate::skills::{SkillError, StepControl};

/// A shorter wait is not reported.
const TELL_AFTER: Duration = Duration::from_millis(200);
/// Pause before asking a restarting resource manager again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Whether an attempt has resources; shared by the agent and the attempt's task.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceGate {
    stop: CancellationToken,
    is_passed: Arc<AtomicBool>,
}

impl ResourceGate {
    /// Lets an attempt pass that needs no resources.
    pub(super) fn pass(&self) {
        self.is_passed.store(true, Ordering::Relaxed);
    }

    /// Ends the wait; no effect on an attempt that has passed.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    /// Waits until the gate is closed.
    pub(super) async fn closed(&self) {
        self.stop.cancelled().await;
    }

    pub(super) fn is_passed(&self) -> bool {
        self.is_passed.load(Ordering::Relaxed)
    }
}

/// Which reservations become events of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdmissionNotice {
    Always,
    /// A step with many commands reserves as often.
    AfterWait,
}

/// An attempt, or a command of one, that has not started.
pub(super) struct AttemptAdmission {
    pub(super) resources: ResourceHandle,
    pub(super) jobs: Arc<JobsShared>,
    pub(super) job: Job,
    pub(super) ask: ResourceRequest,
    pub(super) control: Arc<StepControl>,
    pub(super) gate: ResourceGate,
    pub(super) notice: AdmissionNotice,
}

/// A step's resource request: from the card, or else from the agent's definition. The card's request is
/// strict, the definition's shrinks to a smaller machine.
///
/// # Errors
/// A sentence, when the card's `resource_request` does not follow the resource manager's contract.
pub(super) fn ask_of(job: &Job, agent: &AgentDefinition) -> Result<ResourceRequest, String> {
    #[derive(Deserialize)]
    struct RequestedResources {
        #[serde(flatten)]
        amounts: ResourceAmounts,
        #[serde(default)]
        ports: Vec<u16>,
    }
    let ask = ResourceRequest {
        job_id: job.id.to_string(),
        agent: agent.name.to_string(),
        amounts: ResourceAmounts {
            cpu: MilliCores::whole(agent.resources.cpu_cores.get().into()),
            mem_mb: agent.resources.memory_mb.get().into(),
            gpu: agent.resources.gpus.into(),
            gpu_mem_mb: agent.resources.gpu_memory_mb.into(),
        },
        ports: std::collections::BTreeSet::new(),
        class: None,
        strict: false,
    };
    let Some(request) = &job.card.resource_request else { return Ok(ask) };
    let RequestedResources { amounts, ports } = RequestedResources::deserialize(&request.0)
        .map_err(|error| format!("the card's `resource_request` is invalid: {error}"))?;
    Ok(ResourceRequest { amounts, ports: ports.into_iter().collect(), strict: true, ..ask })
}

impl AttemptAdmission {
    /// Reserves the resources, queueing if necessary; reports a long wait.
    ///
    /// # Errors
    /// [`SkillError::Cancelled`] when the attempt is stopped first; [`SkillError::Permanent`] when the
    /// request exceeds the machine.
    pub(super) async fn pass(self) -> Result<ReservationGuard, SkillError> {
        let began = Instant::now();
        let mut reserving = std::pin::pin!(self.reserve());
        let early = tokio::select! {
            reserved = &mut reserving => Some(reserved),
            () = self.gate.stop.cancelled() => return Err(SkillError::Cancelled),
            () = sleep(TELL_AFTER) => None,
        };
        let has_waited = early.is_none();
        let lease = match early {
            Some(reserved) => reserved?,
            None => {
                let note = self.control.progress().note;
                self.control.note(&format!("waits for resources: {}", self.ask.amounts));
                self.jobs.attempts.note_resource_wait(&self.job.id, Some(self.ask.amounts.to_string()));
                self.append_event("waiting", json!({ "asked": self.ask.amounts })).await;
                let lease = tokio::select! {
                    reserved = &mut reserving => reserved?,
                    () = self.gate.stop.cancelled() => return Err(SkillError::Cancelled),
                };
                self.control.note(&note);
                lease
            }
        };
        self.jobs.attempts.note_resource_wait(&self.job.id, None);
        self.gate.pass();
        if self.notice == AdmissionNotice::AfterWait && !has_waited {
            return Ok(lease);
        }
        let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let held = lease.reservation();
        let granted = json!({
            "reservation_id": held.reservation_id, "granted": held.amounts, "ports": held.ports, "waited_ms": waited_ms,
        });
        self.append_event("granted", granted).await;
        Ok(lease)
    }

    async fn reserve(&self) -> Result<ReservationGuard, SkillError> {
        loop {
            let request = ReservationRequest {
                ask: self.ask.clone(),
                holder: ReservationOwner::Attempt,
                wait: Duration::MAX,
                lease_s: 0,
            };
            match self.resources.reserve(request).await {
                Ok(ReservationOutcome::Granted(lease)) => return Ok(lease),
                Ok(ReservationOutcome::Denied(denied)) => return Err(self.refused(&denied.reason)),
                // Restarted or full: nothing is reserved, so asking again is safe.
                Err(ResourceError::Call(_)) => sleep(ASK_AGAIN).await,
                // Refused by a store that will recover: the step waits.
                Err(ResourceError::Store(error)) if error.is_passing() => sleep(ASK_AGAIN).await,
                Err(error) => return Err(SkillError::Passing(error.to_string())),
            }
        }
    }

    /// A denial although the step would wait: a strict request beyond the machine, or a full queue.
    fn refused(&self, reason: &str) -> SkillError {
        let reason = format!("no resources for this step: {reason}");
        if self.ask.strict { SkillError::Permanent(reason) } else { SkillError::Passing(reason) }
    }

    /// Adds an event to the job, for readers only: a failure is logged and the attempt goes on.
    async fn append_event(&self, status: &str, mut detail: Value) {
        detail["status"] = json!(status);
        let detail = json!({ "resources": detail });
        if let Err(error) = self.jobs.book.note(&self.job.id, self.job.fence, detail).await {
            tracing::debug!(job = %self.job.id, %error, "an event about resources was not stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AgentName, JobId};
    use crate::domain::job::JobCard;
    use crate::domain::json::JsonValue;
    use crate::domain::trace::TraceContext;

    fn job(request: Option<Value>) -> Job {
        let card = JobCard {
            agent: AgentName::new("embed-indexer").unwrap(),
            task: "ingest.index".into(),
            capability: None,
            inputs: JsonValue::object(),
            priority: 5,
            resource_request: request.map(JsonValue),
            approvals_required: Vec::new(),
            deadline_at: None,
            optional: false,
        };
        let now = crate::domain::time::Timestamp::from_millis(0);
        Job::new(JobId::new("run-1.index").unwrap(), card, TraceContext::new_root(), now)
    }

    #[test]
    fn the_card_says_more_than_the_definition() {
        let roster = crate::roster::load(None).0;
        let agent = roster.get("embed-indexer").unwrap();
        let usual = ask_of(&job(None), agent).unwrap();
        assert_eq!((usual.amounts.to_string().as_str(), usual.strict), ("2 cpu, 4096 mem_mb", false));
        let trainer = ask_of(&job(None), roster.get("qtower-trainer").unwrap()).unwrap();
        assert_eq!(trainer.amounts.to_string(), "4 cpu, 8192 mem_mb, 1 gpu, 8192 gpu_mem_mb");
        let stated = ask_of(&job(Some(json!({ "cpu": 0.5, "ports": [8080] }))), agent).unwrap();
        assert_eq!((stated.amounts.to_string().as_str(), stated.strict), ("0.5 cpu", true));
        assert_eq!(stated.ports.len(), 1);
        let wrong = ask_of(&job(Some(json!({ "cpu": "many" }))), agent).unwrap_err();
        assert!(wrong.contains("`resource_request` is invalid"), "{wrong}");
    }

    /// Parallel steps must fit the default machine together, so that waiting is the exception.
    #[test]
    fn the_steps_of_an_ingest_that_work_side_by_side_fit_the_defaults() {
        let roster = crate::roster::load(None).0;
        let side_by_side =
            ["paragraph_banking", "domain_classification", "kg_construction", "faiss_indexing"];
        let sum = side_by_side.iter().fold(ResourceAmounts::NONE, |sum, capability| {
            let agent = roster.with_capability(capability).next().unwrap();
            sum.plus(&ask_of(&job(None), agent).unwrap().amounts)
        });
        let defaults =
            crate::config::SwarmConfig::load(&crate::config::ConfigSources::default()).unwrap().resources;
        let capacity = crate::actors::resource_manager::detect::capacity(&defaults);
        assert_eq!(sum.exceeds(&capacity), None, "{sum} of {capacity}");
    }
}
