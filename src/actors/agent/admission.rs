//! Before a step works: it reserves what it needs of the machine, and waits for its turn.
//!
//! Invariants: a step asks once, for everything, and holds nothing while it waits, so steps cannot wait for
//! one another in a circle (coordinators reserve nothing at all); what was granted goes back with the
//! [`Lease`], which the working thread drops last, however the attempt ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::actors::jobs::Jobs;
use crate::actors::resource_manager::{Lease, Outcome, Request, ResourceError, ResourceHandle};
use crate::domain::agent::AgentDefinition;
use crate::domain::job::Job;
use crate::domain::resources::{Amounts, Ask, Cores, Holder};
use crate::skills::{Control, SkillError};

/// A wait shorter than this is not worth telling.
const TELL_AFTER: Duration = Duration::from_millis(200);
/// Before asking a resource manager again that is being restarted.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Whether an attempt has what it needs of the machine; shared between the agent and the attempt's task.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceGate {
    stop: CancellationToken,
    is_passed: Arc<AtomicBool>,
}

impl ResourceGate {
    /// Lets an attempt pass that needs nothing of the machine.
    pub(super) fn pass(&self) {
        self.is_passed.store(true, Ordering::Relaxed);
    }

    /// Ends the wait; no effect on an attempt that has passed.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    /// Waits until it is closed.
    pub(super) async fn closed(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the attempt has what it needs.
    pub(super) fn is_passed(&self) -> bool {
        self.is_passed.load(Ordering::Relaxed)
    }
}

/// An attempt that wants to begin.
pub(super) struct Admission {
    pub(super) resources: ResourceHandle,
    pub(super) jobs: Arc<Jobs>,
    pub(super) job: Job,
    pub(super) ask: Ask,
    pub(super) control: Arc<Control>,
    pub(super) gate: ResourceGate,
}

/// What a step asks for: what its card says, or else what its agent's definition says. The card's wish is
/// strict, the definition's yields to a machine that has less.
///
/// # Errors
/// A sentence, when the card's `resource_request` has another form than the resource manager's contract.
pub(super) fn ask_of(job: &Job, agent: &AgentDefinition) -> Result<Ask, String> {
    #[derive(Deserialize)]
    struct Requested {
        #[serde(flatten)]
        amounts: Amounts,
        #[serde(default)]
        ports: Vec<u16>,
    }
    let ask = Ask {
        job_id: job.id.to_string(),
        agent: agent.name.to_string(),
        amounts: Amounts {
            cpu: Cores::whole(agent.resources.cpu_cores.get().into()),
            mem_mb: agent.resources.memory_mb.get().into(),
            gpu: agent.resources.gpus.into(),
            gpu_mem_mb: agent.resources.gpu_memory_mb.into(),
        },
        ports: std::collections::BTreeSet::new(),
        class: None,
        strict: false,
    };
    let Some(request) = &job.card.resource_request else { return Ok(ask) };
    let Requested { amounts, ports } = Requested::deserialize(&request.0)
        .map_err(|error| format!("the card's `resource_request` makes no sense: {error}"))?;
    Ok(Ask { amounts, ports: ports.into_iter().collect(), strict: true, ..ask })
}

impl Admission {
    /// Reserves, waiting in line where it must; tells of a wait that lasts.
    ///
    /// # Errors
    /// [`SkillError::Cancelled`] when the attempt is stopped first; [`SkillError::Permanent`] when the machine
    /// can never give so much.
    pub(super) async fn pass(self) -> Result<Lease, SkillError> {
        let began = Instant::now();
        let mut reserving = std::pin::pin!(self.reserve());
        let early = tokio::select! {
            reserved = &mut reserving => Some(reserved),
            () = self.gate.stop.cancelled() => return Err(SkillError::Cancelled),
            () = sleep(TELL_AFTER) => None,
        };
        let lease = match early {
            Some(reserved) => reserved?,
            None => {
                self.control.note(&format!("waits for resources: {}", self.ask.amounts));
                self.jobs.board.note_resource_wait(&self.job.id, Some(self.ask.amounts.to_string()));
                self.tell("waiting", json!({ "asked": self.ask.amounts })).await;
                tokio::select! {
                    reserved = &mut reserving => reserved?,
                    () = self.gate.stop.cancelled() => return Err(SkillError::Cancelled),
                }
            }
        };
        self.control.note("");
        self.jobs.board.note_resource_wait(&self.job.id, None);
        self.gate.pass();
        let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let held = lease.reservation();
        let granted = json!({
            "reservation_id": held.reservation_id, "granted": held.amounts, "ports": held.ports, "waited_ms": waited_ms,
        });
        self.tell("granted", granted).await;
        Ok(lease)
    }

    async fn reserve(&self) -> Result<Lease, SkillError> {
        loop {
            let request =
                Request { ask: self.ask.clone(), holder: Holder::Attempt, wait: Duration::MAX, lease_s: 0 };
            match self.resources.reserve(request).await {
                Ok(Outcome::Granted(lease)) => return Ok(lease),
                Ok(Outcome::Denied(denied)) => return Err(self.refused(&denied.reason)),
                // Restarted or full: nothing is held, so asking again is safe.
                Err(ResourceError::Call(_)) => sleep(ASK_AGAIN).await,
                // Refused by a store that gets over it: the step waits.
                Err(ResourceError::Store(error)) if error.is_passing() => sleep(ASK_AGAIN).await,
                Err(error) => return Err(SkillError::Passing(error.to_string())),
            }
        }
    }

    /// A denial in spite of the wish to wait: by a strict wish beyond the machine, or by a full queue.
    fn refused(&self, reason: &str) -> SkillError {
        let reason = format!("no resources for this step: {reason}");
        if self.ask.strict { SkillError::Permanent(reason) } else { SkillError::Passing(reason) }
    }

    /// Adds an event to the job's, for whoever looks; the attempt does not depend on it.
    async fn tell(&self, status: &str, mut detail: Value) {
        detail["status"] = json!(status);
        let detail = json!({ "resources": detail });
        if let Err(error) = self.jobs.book.note(&self.job.id, self.job.fence, detail).await {
            tracing::debug!(job = %self.job.id, %error, "an event about resources was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AgentName, JobId};
    use crate::domain::job::JobCard;
    use crate::domain::json::Json;
    use crate::domain::trace::TraceContext;

    fn job(request: Option<Value>) -> Job {
        let card = JobCard {
            agent: AgentName::new("embed-indexer").unwrap(),
            task: "ingest.index".into(),
            capability: None,
            inputs: Json::object(),
            priority: 5,
            resource_request: request.map(Json),
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
        assert!(wrong.contains("`resource_request` makes no sense"), "{wrong}");
    }

    /// Steps side by side must fit the default machine together, so that waiting is the exception.
    #[test]
    fn the_steps_of_an_ingest_that_work_side_by_side_fit_the_defaults() {
        let roster = crate::roster::load(None).0;
        let side_by_side =
            ["paragraph_banking", "domain_classification", "kg_construction", "faiss_indexing"];
        let sum = side_by_side.iter().fold(Amounts::NONE, |sum, capability| {
            let agent = roster.with_capability(capability).next().unwrap();
            sum.plus(&ask_of(&job(None), agent).unwrap().amounts)
        });
        let defaults = crate::config::Config::load(&crate::config::Sources::default()).unwrap().resources;
        let capacity = crate::actors::resource_manager::detect::capacity(&defaults);
        assert_eq!(sum.exceeds(&capacity), None, "{sum} of {capacity}");
    }
}
