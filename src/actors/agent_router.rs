//! The agent router: finds agents by what they can do, and calls them by the transport they take.
//!
//! Invariants: a call ends within its time-out, whatever the agent does; two calls of one agent under
//! one request id are never under way at once (the later is answered with an error); no name or id
//! leads out of the agent's folders. Finding sends no message; calls are tasks of the actor, so they
//! end with it and their callers learn of it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::directory::Directory;
use super::event_stream::Events;
use super::invoker::{self, Invoker};
use super::jobs::JobBook;
use super::mail_folders::{MailFolders, Withdrawn};
use super::tasks;
use crate::domain::agent::{AgentDefinition, Capability, Role, Tier, Transport};
use crate::domain::agent_choice::{self, AgentStanding, AgentWish};
use crate::domain::event::{Draft, kind};
use crate::domain::ids::AgentName;
use crate::domain::invocation::{
    AgentQuery, Answer, AnswerMetadata, FileRequestId, InvocationRequest, Outcome, choose_transport, find,
    outcome_of_file, transport_word,
};
use crate::domain::registry::{ServiceStatus, agent_service_id};
use crate::domain::roster::Counts;
use crate::domain::time::Timestamp;
use crate::supervision::{
    Actor, ActorError, ActorSystem, Address, CallError, ChildSpec, Context, Message as ActorMessage, Reply,
    WorkerOptions, trace,
};

/// Between two looks for an answer file: half of it is the mean delay that this adds to a call.
pub const ANSWER_POLL: Duration = Duration::from_millis(100);
/// Most calls under way: each is a task and, by file, two small files.
pub const MAX_CALLS: usize = 1024;
/// What the handle waits beyond a call's own time-out, so that the router's answer comes first.
const MARGIN: Duration = Duration::from_secs(5);

/// Why a call was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Neither a name nor capabilities.
    #[error("name an agent (`agent_name`) or what it must be able to do (`capabilities`)")]
    Nobody,
    /// No agent has that name.
    #[error("there is no agent `{0}`; POST /discover lists the agents")]
    Unknown(String),
    /// No agent can do all of that.
    #[error("no agent has all of these capabilities: {0}; POST /discover lists the agents")]
    Unable(String),
    #[error("{MAX_CALLS} calls are under way, which is the most; try again in a while")]
    Busy,
    /// The actor did not answer.
    #[error("the agent router {0}")]
    Call(#[from] CallError),
}

/// How many jobs each agent has in hand, or waiting.
pub trait AgentWorkload: Send + Sync {
    /// Agents without jobs are left out.
    fn jobs_by_agent(&self) -> HashMap<AgentName, usize>;
}

impl AgentWorkload for JobBook {
    fn jobs_by_agent(&self) -> HashMap<AgentName, usize> {
        let mut jobs = HashMap::new();
        // Without the store all are taken to be equally free.
        for job in self.active().unwrap_or_default() {
            *jobs.entry(job.card.agent).or_default() += 1;
        }
        jobs
    }
}

/// An agent as the router lists it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentCard {
    agent_name: AgentName,
    display_name: String,
    role: Role,
    tier: Tier,
    capabilities: Vec<Capability>,
    url: String,
    status: ServiceStatus,
}

/// What the router is asked.
#[derive(Debug)]
pub enum Message {
    Invoke(Box<InvocationRequest>, Reply<Result<Answer, RouteError>>),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Invoke(..) => "invoke",
        }
    }
}

/// The router's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RouterHandle {
    address: Address<Message>,
    choice: AgentChooser,
}

/// What an agent is chosen by.
#[derive(Clone)]
pub struct AgentChooser {
    /// Who there is, and how each stands.
    pub directory: Directory,
    /// How much each has in hand.
    pub workload: Arc<dyn AgentWorkload>,
}

impl std::fmt::Debug for AgentChooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentChooser").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl AgentChooser {
    /// The agents with all of these capabilities, the best first.
    fn ranked(&self, capabilities: &[String], task: Option<&str>) -> Vec<&AgentDefinition> {
        let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        let wish = AgentWish { capabilities: &capabilities, task, from: None };
        let jobs = self.workload.jobs_by_agent();
        let standing = |agent: &AgentDefinition| AgentStanding {
            health: self.directory.life(agent.name.as_str()).status.health(),
            jobs: jobs.get(&agent.name).copied().unwrap_or_default(),
        };
        agent_choice::ranked(self.directory.roster(), tasks::catalogue(), wish, standing)
    }
}

impl RouterHandle {
    /// Calls an agent and waits for its answer, within the request's time-out.
    ///
    /// # Errors
    /// [`RouteError`] when no call was begun; an agent's error or silence is an [`Answer`].
    pub async fn invoke(&self, request: InvocationRequest) -> Result<Answer, RouteError> {
        let deadline = request.timeout() + MARGIN;
        self.address.call(deadline, |reply| Message::Invoke(Box::new(request), reply)).await?
    }

    /// The agents that fit, as many as asked for: in the order in which a call would choose among them where
    /// capabilities are asked for, else in the roster's.
    #[must_use]
    pub fn discover(&self, query: &AgentQuery) -> Vec<AgentCard> {
        let directory = &self.choice.directory;
        let card = |agent: &AgentDefinition| card(directory, agent);
        if query.capabilities.is_empty() {
            return find(directory.roster(), query).take(query.limit).map(card).collect();
        }
        let fits = |agent: &&AgentDefinition| query.fits(agent);
        let ranked = self.choice.ranked(&query.capabilities, None).into_iter();
        ranked.filter(fits).take(query.limit).map(card).collect()
    }

    /// How many agents there are of each kind, and since when that is known.
    #[must_use]
    pub fn stats(&self) -> (Counts, Timestamp) {
        (self.choice.directory.roster().counts(), self.choice.directory.built_at())
    }
}

fn card(directory: &Directory, agent: &AgentDefinition) -> AgentCard {
    let entry = directory.get(&agent_service_id(agent.name.as_str()));
    AgentCard {
        agent_name: agent.name.clone(),
        display_name: agent.display_name.clone(),
        role: agent.role,
        tier: agent.tier,
        capabilities: agent.capabilities.clone(),
        url: entry.map(|entry| entry.url.clone()).unwrap_or_default(),
        status: directory.life(agent.name.as_str()).status,
    }
}

struct State {
    choice: AgentChooser,
    calls: Calls,
    under_way: UnderWay,
}

/// The calls under way, by agent and request id.
type UnderWay = Arc<Mutex<HashSet<(AgentName, String)>>>;

/// The place of one call among those under way; freed when it is dropped, however the call ends.
struct Place {
    under_way: UnderWay,
    call: (AgentName, String),
}

impl Place {
    fn take(under_way: &UnderWay, agent: &AgentName, request_id: &str) -> Option<Self> {
        let call = (agent.clone(), request_id.to_owned());
        let is_free = under_way.lock().insert(call.clone());
        is_free.then(|| Self { under_way: Arc::clone(under_way), call })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.call);
    }
}

/// What carries a call out; shared with the tasks that do.
#[derive(Clone)]
struct Calls {
    invoker: Arc<dyn Invoker>,
    events: Events,
    workdir: Arc<Path>,
}

/// The router as a child of a supervisor, and its handle. The file transport works below `workdir`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    choice: AgentChooser,
    invoker: Arc<dyn Invoker>,
    events: Events,
    workdir: PathBuf,
) -> (ChildSpec, RouterHandle) {
    let calls = Calls { invoker, events, workdir: workdir.into() };
    let known = choice.clone();
    let (spec, address) = system.worker(name, options, move |_| {
        let state = State { choice: known.clone(), calls: calls.clone(), under_way: UnderWay::default() };
        async move { Ok(state) }
    });
    (spec, RouterHandle { address, choice })
}

impl State {
    fn invoke(
        &self,
        request: InvocationRequest,
        reply: Reply<Result<Answer, RouteError>>,
        context: &Context<Message>,
    ) {
        let agent = match self.chosen(&request) {
            Ok(agent) if self.under_way.lock().len() < MAX_CALLS => agent.clone(),
            Ok(_) => return reply.send(Err(RouteError::Busy)),
            Err(error) => return reply.send(Err(error)),
        };
        let place = Place::take(&self.under_way, &agent.name, &request.request_id);
        let (calls, started) = (self.calls.clone(), Instant::now());
        context.spawn(async move {
            let transport = choose_transport(&agent, request.transport);
            let used = transport.as_ref().copied().ok().or(request.transport).unwrap_or(Transport::Rpc);
            let outcome = match transport {
                _ if place.is_none() => Outcome::Error(duplicate(&request.request_id)),
                Err(reason) => Outcome::Error(reason),
                Ok(transport) => calls.carry_out(&agent, &request, transport).await,
            };
            // The id is free before the caller can ask again.
            drop(place);
            let answer = answer(request, &agent, used, outcome, started);
            calls.tell(&answer);
            reply.send(Ok(answer));
        });
    }

    fn chosen(&self, request: &InvocationRequest) -> Result<&AgentDefinition, RouteError> {
        let roster = self.choice.directory.roster();
        if let Some(name) = &request.agent_name {
            return roster.get(name).ok_or_else(|| RouteError::Unknown(name.clone()));
        }
        let capabilities = request.capabilities.clone().filter(|list| !list.is_empty());
        let capabilities = capabilities.ok_or(RouteError::Nobody)?;
        let task = request.payload.get("task").and_then(serde_json::Value::as_str);
        let best = self.choice.ranked(&capabilities, task).into_iter().next();
        best.ok_or_else(|| RouteError::Unable(capabilities.join(", ")))
    }
}

impl Calls {
    /// Tells the event stream of a call, without what was asked and answered: that may be large.
    fn tell(&self, answer: &Answer) {
        let data = json!({
            "request_id": answer.request_id, "agent": answer.agent_name, "status": answer.status,
            "error": answer.error, "latency_ms": answer.latency_ms, "metadata": answer.metadata,
        });
        self.events.publish(Draft::new(kind::AGENT_INVOCATION, data));
    }

    async fn carry_out(
        &self,
        agent: &AgentDefinition,
        request: &InvocationRequest,
        by: Transport,
    ) -> Outcome {
        match by {
            Transport::Rpc => {
                invoker::call(&*self.invoker, &agent.name, request.invocation(), request.timeout()).await
            }
            Transport::File => self.by_file(agent, request).await,
            Transport::Mcp | Transport::Rest => Outcome::Error(format!(
                "{} lists `{}`, but no endpoint of that kind is configured for it in this daemon; use `rpc`",
                agent.name,
                transport_word(by)
            )),
        }
    }

    async fn by_file(&self, agent: &AgentDefinition, request: &InvocationRequest) -> Outcome {
        let id = match FileRequestId::new(&request.request_id) {
            Ok(id) => id,
            Err(reason) => return Outcome::Error(reason),
        };
        let folders = MailFolders::of(&self.workdir, &agent.name);
        let deadline = Instant::now() + request.timeout();
        let named = InvocationRequest { agent_name: Some(agent.name.to_string()), ..request.clone() };
        let named = InvocationRequest { transport: Some(Transport::File), ..named };
        match on_disk(&folders, &id, move |folders, id| folders.post(id, &named)).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Outcome::Error(duplicate(&request.request_id));
            }
            Err(error) => return Outcome::Error(format!("the request file cannot be written: {error}")),
        }
        while Instant::now() < deadline {
            match on_disk(&folders, &id, MailFolders::answer).await {
                Ok(Some(text)) => return outcome_of_file(&text),
                Ok(None) => sleep(ANSWER_POLL.min(deadline.saturating_duration_since(Instant::now()))).await,
                Err(error) => return Outcome::Error(format!("the answer file cannot be read: {error}")),
            }
        }
        let waited = request.timeout();
        Outcome::Timeout(match on_disk(&folders, &id, MailFolders::withdraw).await {
            Ok(Withdrawn::Unread) => {
                format!("nobody took the request file within {waited:?}; it was withdrawn")
            }
            _ => format!("{}: no answer file within {waited:?}; it may still come", agent.name),
        })
    }
}

fn duplicate(request_id: &str) -> String {
    format!("conflict: the request id `{request_id}` is in use for this agent; choose another")
}

/// Runs one step on the folders on a thread that may block.
async fn on_disk<T: Send + 'static>(
    folders: &MailFolders,
    id: &FileRequestId,
    step: impl FnOnce(&MailFolders, &FileRequestId) -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let (folders, id) = (folders.clone(), id.clone());
    spawn_blocking(move || step(&folders, &id)).await.map_err(std::io::Error::other)?
}

/// The answer to a call, with the trace it ran under.
pub(super) fn answer(
    request: InvocationRequest,
    agent: &AgentDefinition,
    transport: Transport,
    outcome: Outcome,
    started: Instant,
) -> Answer {
    let metadata = AnswerMetadata {
        transport,
        agent_role: agent.role,
        tier: agent.tier,
        run_id: request.run_id,
        trace_id: trace::current().map(|scope| scope.context.trace.to_string()),
    };
    Answer::new(request.request_id, agent, outcome, metadata, started.elapsed())
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Invoke(request, reply) => self.invoke(*request, reply, context),
        }
        Ok(())
    }
}
