//! Steering: what a person does to the living swarm, carried out, proved and written down.
//!
//! Owns the [`audit`] and the order of an act: resolve the target, write down that it is begun, do it, write
//! down how it ended, tell the event stream, answer. It changes nothing by itself: agents go through their
//! supervisors, jobs through the job book, reservations and processes through the resource manager, calls
//! through the gateway. Invariants: nothing is done that is not written down first; an acknowledged act
//! survives `kill -9`; an act goes on when whoever asked for it leaves; looking ([`radius`]) sends no
//! message. Failure policy: a refusal says what was asked for, why not, and what to do; it is written down
//! too. This actor's own end cuts its acts short: their lines say `begun` for ever.

mod agents;
pub mod audit;
mod jobs;
mod proof;
mod radius;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use audit::{Entry, Outcome};
pub use proof::Proof;
pub use radius::BlastRadius;

use super::event_stream::Events;
use super::gateway::{Gateway, Watched};
use super::jobs::{JobError, Jobs};
use super::resource_manager::{ResourceError, ResourceHandle};
use super::standing::AgentStandings;
use crate::domain::event::{Draft, kind};
use crate::domain::ids::{AgentName, action_id};
use crate::domain::steering::{Action, Who};
use crate::domain::time::Timestamp;
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, CallError, ChildSpec, Context, ControlError,
    Message as ActorMessage, Reply, WorkerOptions,
};
use audit::Audit;
use target::Target;

/// Longest act: a kill of a job takes the graces of its parts, some seconds each. Pages wait for 40 s.
const DEADLINE: Duration = Duration::from_secs(35);

/// Why an act was not carried out, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SteerError {
    /// Nothing is called that.
    #[error("{0}")]
    Unknown(String),
    /// It exists, but this cannot be done to it, or not now.
    #[error("{0}")]
    Refused(String),
    /// Something is missing in what was asked: the field, and what to put there.
    #[error("`{0}`: {1}")]
    Incomplete(&'static str, &'static str),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Resources(#[from] ResourceError),
    #[error(
        "the audit cannot be written ({0}), and what cannot be written down is not done; free some space"
    )]
    Audit(String),
    /// This actor did not answer.
    #[error("the steering {0}")]
    Call(#[from] CallError),
}

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub who: Who,
    pub action: Action,
    /// An agent's name, a job's id or a question's id.
    pub target: String,
    pub reason: Option<String>,
    /// For agents: with all agents below. A job always takes those below it along.
    pub subtree: bool,
    /// For [`Action::Reassign`]: who takes the job over.
    pub to: Option<AgentName>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    /// In words: what, and to how many.
    pub message: String,
    /// After a kill or a restart: what was seen to be gone, given back, and what it cost.
    pub proof: Option<Proof>,
}

impl Answer {
    fn told(message: impl Into<String>) -> Self {
        Self { message: message.into(), proof: None }
    }
}

/// An act that came in by another way and is only written down here.
#[derive(Debug, Clone)]
pub struct Note {
    pub who: Who,
    /// What, in a word.
    pub action: String,
    pub target: String,
    pub reason: Option<String>,
}

/// What acts are carried out with.
pub struct Means {
    pub system: ActorSystem,
    pub standings: AgentStandings,
    /// The jobs, and the roster.
    pub jobs: Arc<Jobs>,
    pub resources: ResourceHandle,
    /// Calls of models, and what they cost.
    pub gateway: Gateway,
    pub events: Events,
    /// [`audit::FOLDER`] is made below it.
    pub workdir: PathBuf,
}

struct Shared {
    means: Means,
    audit: Audit,
}

/// What the actor is asked.
pub enum Message {
    Act(Box<Request>, Reply<Result<Answer, SteerError>>),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Act(..) => "act",
        }
    }
}

/// The verbs of steering. Cheap to clone.
#[derive(Clone)]
pub struct Steering {
    address: Address<Message>,
    shared: Arc<Shared>,
}

impl Steering {
    /// Carries an act out and writes it down, however it ends.
    ///
    /// # Errors
    /// [`SteerError`]. After [`SteerError::Call`] the act may still go on; the audit tells its end.
    pub async fn act(&self, request: Request) -> Result<Answer, SteerError> {
        let request = Box::new(request);
        self.address.call(DEADLINE, |reply| Message::Act(request, reply)).await?
    }

    /// Whom and what an act would touch, without a message to anyone.
    ///
    /// # Errors
    /// [`SteerError::Unknown`] and [`SteerError::Refused`] for a target that nothing can be done to, or the
    /// store's.
    pub fn blast_radius(
        &self,
        target: &str,
        action: Action,
        subtree: bool,
    ) -> Result<BlastRadius, SteerError> {
        radius::of(&self.shared.means, target, action, subtree)
    }

    /// Watches the calls of models that end with an agent's worker, for whoever ends it by another way: killed
    /// with all that its supervisor ends together with it, or restarted by itself.
    ///
    /// # Errors
    /// [`SteerError::Control`] for an agent that is not there, or the store's.
    pub fn calls_in_hand(&self, agent: &str, action: Action) -> Result<Watched, SteerError> {
        let (means, named) = (&self.shared.means, [Arc::from(agent)]);
        let workers = if action == Action::Kill { means.ended_with(&named)? } else { named.into() };
        means.calls_of(&workers)
    }

    /// The newest acts, newest first, at most [`audit::MAX_LISTED`].
    ///
    /// # Errors
    /// [`SteerError::Audit`] when the files cannot be read.
    pub async fn newest_acts(&self, limit: usize) -> Result<Vec<Entry>, SteerError> {
        let newest = self.shared.audit.newest(limit.min(audit::MAX_LISTED)).await;
        newest.map_err(|error| SteerError::Audit(error.to_string()))
    }

    /// Writes down that an act which is carried out elsewhere begins.
    ///
    /// # Errors
    /// [`SteerError::Audit`]; it must not be carried out then.
    pub async fn begin(&self, note: Note) -> Result<Entry, SteerError> {
        let before = target::pictured(&self.shared.means, &note.target, false);
        self.shared.begin(note, before).await
    }

    /// Writes down how it ended; `refusal` says why it was not done.
    ///
    /// # Errors
    /// [`SteerError::Audit`]; it is done all the same.
    pub async fn end(&self, entry: Entry, refusal: Option<String>) -> Result<(), SteerError> {
        let ended = refusal.map_or_else(|| Ok(String::new()), Err);
        self.shared.end(entry, ended).await
    }
}

impl Shared {
    async fn begin(&self, note: Note, before: Value) -> Result<Entry, SteerError> {
        let entry = Entry {
            id: action_id(),
            outcome: Outcome::Begun,
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

    async fn write(&self, entry: &Entry) -> Result<(), SteerError> {
        self.audit.write(entry).await.map_err(|error| {
            tracing::error!(id = entry.id, action = entry.action, %error, "the audit cannot be written");
            SteerError::Audit(error.to_string())
        })
    }

    /// Writes how an act ended and tells the event stream.
    async fn end(&self, mut entry: Entry, ended: Result<String, String>) -> Result<(), SteerError> {
        entry.ended_at = Some(Timestamp::now());
        (entry.outcome, entry.after, entry.message) = match ended {
            Ok(message) => {
                let after = target::pictured(&self.means, &entry.target, entry.subtree);
                (Outcome::Done, after, Some(message).filter(|message| !message.is_empty()))
            }
            Err(error) => (Outcome::Refused, json!({ "error": error }), Some(error)),
        };
        self.write(&entry).await?;
        let (who, action, target) = (&entry.who, &entry.action, &entry.target);
        tracing::info!(who = who.as_str(), action, target, outcome = ?entry.outcome, "a person acted");
        let data = json!({
            "id": entry.id, "who": who, "action": action, "target": target, "outcome": entry.outcome,
            "subtree": entry.subtree, "to": entry.to, "reason": entry.reason, "message": entry.message,
        });
        self.means.events.publish(Draft::new(kind::ACTION, data).once(entry.id));
        Ok(())
    }

    async fn act(&self, request: Request) -> Result<Answer, SteerError> {
        let entry = Entry {
            id: action_id(),
            outcome: Outcome::Begun,
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
        let done = match Target::resolve(&self.means, &request.target) {
            Ok(target) => {
                self.write(&entry).await?;
                self.means.carry_out(&request, &target).await
            }
            // Nothing was begun: one line tells it all.
            Err(error) => Err(error),
        };
        let ended = done.as_ref().map(|answer| answer.message.clone()).map_err(ToString::to_string);
        self.end(entry, ended).await?;
        done
    }
}

impl Means {
    async fn carry_out(&self, request: &Request, target: &Target) -> Result<Answer, SteerError> {
        match (request.action, target) {
            (Action::Pause | Action::Resume, Target::Agent(agent)) => self.pause_agents(request, agent),
            (Action::Kill | Action::Restart, Target::Agent(agent)) => {
                self.end_agents(request, self.agents(agent, request.subtree)).await
            }
            (Action::Kill | Action::Restart, Target::Service(service)) => {
                self.end_agents(request, vec![service.clone()]).await
            }
            (Action::Pause, Target::Job(job)) => self.pause_job(job).await,
            (Action::Resume, Target::Job(job)) => self.resume_job(job).await,
            (Action::Kill, Target::Job(job)) => self.kill_job(request, job).await,
            (Action::Restart, Target::Job(job)) => self.restart_job(request, job).await,
            (Action::Reassign, Target::Job(job)) => self.reassign_job(request, job).await,
            (Action::Approve | Action::Reject, Target::Approval(question)) => {
                self.decide(request, question).await
            }
            (Action::Approve | Action::Reject, Target::Job(job)) => {
                let question = self.question_of(job)?;
                self.decide(request, &question).await
            }
            (action, target) => Err(target.unsuitable(action)),
        }
    }
}

/// Steering as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(system: &ActorSystem, name: &str, options: WorkerOptions, means: Means) -> (ChildSpec, Steering) {
    let audit = Audit::new(&means.workdir);
    let shared = Arc::new(Shared { means, audit });
    let own = Arc::clone(&shared);
    let (spec, address) = system.worker(name, options, move |_| {
        let shared = Arc::clone(&own);
        async move { Ok(State { shared }) }
    });
    (spec, Steering { address, shared })
}

struct State {
    shared: Arc<Shared>,
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        let Message::Act(request, reply) = message;
        let shared = Arc::clone(&self.shared);
        context.spawn(async move { reply.send(shared.act(*request).await) });
        Ok(())
    }
}
