//! Steering: a person's actions on the running swarm, performed, proved and audited.
//!
//! Owns the [`audit`] and the order of an action: resolve the target, write down the start, act, write down
//! the end, publish an event, answer. Every change goes through its owner: agents through their supervisors,
//! jobs through the job book, reservations and processes through the resource manager, calls through the
//! gateway. Invariants: nothing is done that is not written down first; an acknowledged action survives `kill
//! -9`; an action goes on when its caller leaves; reading ([`blast_radius`]) sends no message. Failure
//! policy: a refusal names the request, the reason and a remedy, and is written down too. The end of this
//! actor cuts off its actions: their lines say `begun` for ever.

mod agents;
pub mod audit;
mod blast_radius;
mod jobs;
mod proof;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use audit::{AuditEntry, AuditOutcome};
pub use blast_radius::BlastRadius;
pub use proof::SteeringProof;

use super::event_stream::EventStreamHandle;
use super::gateway::{GatewayHandle, WatchedCalls};
use super::jobs::{JobError, JobsShared};
use super::resource_manager::{ResourceError, ResourceHandle};
use super::standing::AgentStandings;
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::ids::{AgentName, action_id};
use crate::domain::steering::{PrincipalName, SteeringAction};
use crate::domain::time::Timestamp;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ControlError,
    ReplySender, WorkerOptions,
};
use audit::AuditLog;
use target::SteeringTarget;

/// Longest action: killing a job takes the grace periods of several parts, some seconds each. Pages wait for
/// 40 s.
const DEADLINE: Duration = Duration::from_secs(35);

/// Why an action was not performed, or not completely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SteeringError {
    /// No target has this name.
    #[error("{0}")]
    Unknown(String),
    /// The target exists, but does not allow this action, or not now.
    #[error("{0}")]
    Refused(String),
    /// The request lacks a field: the name, and the value to put there.
    #[error("`{0}`: {1}")]
    Incomplete(&'static str, &'static str),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Resources(#[from] ResourceError),
    #[error("the audit cannot be written ({0}), so the action was not performed; free some space")]
    Audit(String),
    /// This actor did not answer.
    #[error("the steering service {0}")]
    Call(#[from] CallError),
}

#[derive(Debug, Clone)]
pub struct SteeringRequest {
    pub who: PrincipalName,
    pub action: SteeringAction,
    /// An agent's name, a job's id or an approval's id.
    pub target: String,
    pub reason: Option<String>,
    /// For agents: include all agents below. A job always includes those below it.
    pub subtree: bool,
    /// For [`SteeringAction::Reassign`]: the agent that takes the job over.
    pub to: Option<AgentName>,
}

#[derive(Debug, Clone)]
pub struct SteeringAnswer {
    /// The action and the number of its targets, in words.
    pub message: String,
    /// After a kill or a restart: the ended work, the released resources, and the cost.
    pub proof: Option<SteeringProof>,
}

impl SteeringAnswer {
    fn without_proof(message: impl Into<String>) -> Self {
        Self { message: message.into(), proof: None }
    }
}

/// An action that came another way and is only audited here.
#[derive(Debug, Clone)]
pub struct AuditNote {
    pub who: PrincipalName,
    /// The action, in one word.
    pub action: String,
    pub target: String,
    pub reason: Option<String>,
}

/// The parts that actions need.
pub struct SteeringDeps {
    pub system: ActorSystem,
    pub standings: AgentStandings,
    /// The jobs, and the roster.
    pub jobs: Arc<JobsShared>,
    pub resources: ResourceHandle,
    /// Model calls, and their costs.
    pub gateway: GatewayHandle,
    pub events: EventStreamHandle,
    /// The folder that contains [`audit::FOLDER`].
    pub workdir: PathBuf,
}

struct SteeringShared {
    means: SteeringDeps,
    audit: AuditLog,
}

pub enum SteeringMessage {
    Act(Box<SteeringRequest>, ReplySender<Result<SteeringAnswer, SteeringError>>),
}

impl ActorMessage for SteeringMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Act(..) => "act",
        }
    }
}

/// The verbs of steering. Cheap to clone.
#[derive(Clone)]
pub struct SteeringHandle {
    address: Address<SteeringMessage>,
    shared: Arc<SteeringShared>,
}

impl SteeringHandle {
    /// Performs an action and audits it, whatever the outcome.
    ///
    /// # Errors
    /// [`SteeringError`]. After [`SteeringError::Call`] the action may still go on; the audit shows the end.
    pub async fn act(&self, request: SteeringRequest) -> Result<SteeringAnswer, SteeringError> {
        let request = Box::new(request);
        self.address.call(DEADLINE, |reply| SteeringMessage::Act(request, reply)).await?
    }

    /// The agents and jobs an action would touch, read without a message.
    ///
    /// # Errors
    /// [`SteeringError::Unknown`] and [`SteeringError::Refused`] for a target without any action, or the
    /// store's.
    pub fn blast_radius(
        &self,
        target: &str,
        action: SteeringAction,
        subtree: bool,
    ) -> Result<BlastRadius, SteeringError> {
        blast_radius::of(&self.shared.means, target, action, subtree)
    }

    /// Watches the model calls that end with an agent's worker, for callers that end the worker another way:
    /// by a kill, with everything that the supervisor ends together, or by a restart of the worker alone.
    ///
    /// # Errors
    /// [`SteeringError::Control`] for an agent that does not exist, or the store's.
    pub fn calls_in_hand(&self, agent: &str, action: SteeringAction) -> Result<WatchedCalls, SteeringError> {
        let (means, named) = (&self.shared.means, [Arc::from(agent)]);
        let workers = if action == SteeringAction::Kill { means.ended_with(&named)? } else { named.into() };
        means.calls_of(&workers)
    }

    /// The newest actions, newest first, at most [`audit::MAX_LISTED`].
    ///
    /// # Errors
    /// [`SteeringError::Audit`] when the files cannot be read.
    pub async fn newest_acts(&self, limit: usize) -> Result<Vec<AuditEntry>, SteeringError> {
        let newest = self.shared.audit.newest(limit.min(audit::MAX_LISTED)).await;
        newest.map_err(|error| SteeringError::Audit(error.to_string()))
    }

    /// Writes down the start of an action that is performed elsewhere.
    ///
    /// # Errors
    /// [`SteeringError::Audit`]; then the action must not be performed.
    pub async fn begin(&self, note: AuditNote) -> Result<AuditEntry, SteeringError> {
        let before = target::pictured(&self.shared.means, &note.target, false);
        self.shared.begin(note, before).await
    }

    /// Writes down the end of such an action: what was done, in words if there is something to say, or why it was not.
    ///
    /// # Errors
    /// [`SteeringError::Audit`]; the action was performed all the same.
    pub async fn end(&self, entry: AuditEntry, ended: Result<String, String>) -> Result<(), SteeringError> {
        self.shared.end(entry, ended).await
    }
}

impl SteeringShared {
    async fn begin(&self, note: AuditNote, before: Value) -> Result<AuditEntry, SteeringError> {
        let entry = AuditEntry {
            id: action_id(),
            outcome: AuditOutcome::Begun,
            at: Timestamp::now(),
            ended_at: None,
            who: note.who,
            action: note.action,
            target: note.target,
            subtree: false,
            to: None,
            reason: note.reason,
            message: None,
            before,
            after: Value::Null,
        };
        self.write(&entry).await?;
        Ok(entry)
    }

    async fn write(&self, entry: &AuditEntry) -> Result<(), SteeringError> {
        self.audit.write(entry).await.map_err(|error| {
            tracing::error!(id = entry.id, action = entry.action, %error, "the audit cannot be written");
            SteeringError::Audit(error.to_string())
        })
    }

    /// Writes down the end of an action and publishes an event.
    async fn end(&self, mut entry: AuditEntry, ended: Result<String, String>) -> Result<(), SteeringError> {
        entry.ended_at = Some(Timestamp::now());
        (entry.outcome, entry.after, entry.message) = match ended {
            Ok(message) => {
                let after = target::pictured(&self.means, &entry.target, entry.subtree);
                (AuditOutcome::Done, after, Some(message).filter(|message| !message.is_empty()))
            }
            Err(error) => (AuditOutcome::Refused, json!({ "error": error }), Some(error)),
        };
        self.write(&entry).await?;
        let (who, action, target) = (&entry.who, &entry.action, &entry.target);
        tracing::info!(who = who.as_str(), action, target, outcome = ?entry.outcome, "a person acted");
        let data = json!({
            "id": entry.id, "who": who, "action": action, "target": target, "outcome": entry.outcome,
            "subtree": entry.subtree, "to": entry.to, "reason": entry.reason, "message": entry.message,
        });
        self.means.events.publish(SwarmEventDraft::new(kind::ACTION, data).once(entry.id));
        Ok(())
    }

    async fn act(&self, request: SteeringRequest) -> Result<SteeringAnswer, SteeringError> {
        let entry = AuditEntry {
            id: action_id(),
            outcome: AuditOutcome::Begun,
            at: Timestamp::now(),
            ended_at: None,
            who: request.who.clone(),
            action: request.action.as_str().to_owned(),
            target: request.target.clone(),
            subtree: request.subtree,
            to: request.to.as_ref().map(ToString::to_string),
            reason: request.reason.clone(),
            message: None,
            before: target::pictured(&self.means, &request.target, request.subtree),
            after: Value::Null,
        };
        let done = match SteeringTarget::resolve(&self.means, &request.target) {
            Ok(target) => {
                self.write(&entry).await?;
                self.means.perform(&request, &target).await
            }
            // Nothing was begun: one line is enough.
            Err(error) => Err(error),
        };
        let ended = done.as_ref().map(|answer| answer.message.clone()).map_err(ToString::to_string);
        self.end(entry, ended).await?;
        done
    }
}

impl SteeringDeps {
    async fn perform(
        &self,
        request: &SteeringRequest,
        target: &SteeringTarget,
    ) -> Result<SteeringAnswer, SteeringError> {
        match (request.action, target) {
            (SteeringAction::Pause | SteeringAction::Resume, SteeringTarget::Agent(agent)) => {
                self.pause_agents(request, agent)
            }
            (SteeringAction::Kill | SteeringAction::Restart, SteeringTarget::Agent(agent)) => {
                self.end_agents(request, self.agents(agent, request.subtree)).await
            }
            (SteeringAction::Kill | SteeringAction::Restart, SteeringTarget::Service(service)) => {
                self.end_agents(request, vec![service.clone()]).await
            }
            (SteeringAction::Pause, SteeringTarget::Job(job)) => self.pause_job(job).await,
            (SteeringAction::Resume, SteeringTarget::Job(job)) => self.resume_job(job).await,
            (SteeringAction::Kill, SteeringTarget::Job(job)) => self.kill_job(request, job).await,
            (SteeringAction::Restart, SteeringTarget::Job(job)) => self.restart_job(request, job).await,
            (SteeringAction::Reassign, SteeringTarget::Job(job)) => self.reassign_job(request, job).await,
            (SteeringAction::Approve | SteeringAction::Reject, SteeringTarget::Approval(question)) => {
                self.decide(request, question).await
            }
            (SteeringAction::Approve | SteeringAction::Reject, SteeringTarget::Job(job)) => {
                let question = self.question_of(job)?;
                self.decide(request, &question).await
            }
            (action, target) => Err(target.unsuitable(action)),
        }
    }
}

/// Steering as a child of a supervisor, and a handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    means: SteeringDeps,
) -> (ChildSpec, SteeringHandle) {
    let audit = AuditLog::new(&means.workdir);
    let shared = Arc::new(SteeringShared { means, audit });
    let own = Arc::clone(&shared);
    let (spec, address) = system.worker(name, options, move |_| {
        let shared = Arc::clone(&own);
        async move { Ok(SteeringState { shared }) }
    });
    (spec, SteeringHandle { address, shared })
}

struct SteeringState {
    shared: Arc<SteeringShared>,
}

impl Actor for SteeringState {
    type Message = SteeringMessage;

    async fn handle(
        &mut self,
        message: SteeringMessage,
        context: &ActorContext<SteeringMessage>,
    ) -> Result<(), ActorError> {
        let SteeringMessage::Act(request, reply) = message;
        let shared = Arc::clone(&self.shared);
        context.spawn(async move { reply.send(shared.act(*request).await) });
        Ok(())
    }
}
