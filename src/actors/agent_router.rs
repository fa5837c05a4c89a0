//! The agent router: finds agents by capability and calls them over their transport.
//!
//! Invariants: a call ends within the time-out, whatever the agent does; two calls of one agent with the same
//! request id are never in flight at once (the later one is answered with an error); no name or id leads out
//! of the agent's folders. Discovery sends no message; calls are tasks of the actor: when the actor ends, so
//! do they, and the callers get an error.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::directory::AgentDirectory;
use super::event_stream::EventStreamHandle;
use super::invoker::{self, AgentInvoker};
use super::jobs::JobBook;
use super::mail_folders::{MailFolders, WithdrawnRequest};
use super::tasks;
use crate::domain::agent::{AgentDefinition, AgentRole, AgentTier, AgentTransport, Capability};
use crate::domain::agent_choice::{self, AgentAvailability, AgentWish};
use crate::domain::agent_router::{
    AgentFilter, FileRequestId, InvocationAnswer, InvocationMetadata, InvocationOutcome, InvocationRequest,
    choose_transport, find, outcome_of_file, transport_word,
};
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::ids::AgentName;
use crate::domain::registry::{ServiceStatus, agent_service_id};
use crate::domain::roster::RosterCounts;
use crate::domain::time::Timestamp;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, Address, CallError, ChildSpec, ReplySender,
    WorkerOptions, trace,
};

/// Time between two checks for an answer file. A call is delayed by half of that on average.
pub const ANSWER_POLL: Duration = Duration::from_millis(100);
/// Most calls in flight: each is a task and, over files, two small files.
pub const MAX_CALLS: usize = 1024;
/// Extra time of the handle beyond a call's own time-out, so that the router's answer comes first.
const MARGIN: Duration = Duration::from_secs(5);

/// Why a call was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentRouterError {
    /// Neither a name nor capabilities given.
    #[error("name an agent (`agent_name`) or the capabilities it must have (`capabilities`)")]
    Nobody,
    /// No agent has that name.
    #[error("there is no agent `{0}`; POST /discover lists the agents")]
    Unknown(String),
    /// No agent can do all of that.
    #[error("no agent has all of these capabilities: {0}; POST /discover lists the agents")]
    Unable(String),
    #[error("{MAX_CALLS} calls are in flight, which is the limit; try again in a while")]
    Busy,
    /// The actor did not answer.
    #[error("the agent router {0}")]
    Call(#[from] CallError),
}

/// The number of jobs each agent has, running or waiting.
pub trait AgentWorkload: Send + Sync {
    /// Agents without jobs are left out.
    fn jobs_by_agent(&self) -> HashMap<AgentName, usize>;
}

impl AgentWorkload for JobBook {
    fn jobs_by_agent(&self) -> HashMap<AgentName, usize> {
        let mut jobs = HashMap::new();
        // Without the store all agents count as equally free.
        for job in self.active().unwrap_or_default() {
            *jobs.entry(job.card.agent).or_default() += 1;
        }
        jobs
    }
}

/// An agent in the router's lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentCard {
    agent_name: AgentName,
    display_name: String,
    role: AgentRole,
    tier: AgentTier,
    capabilities: Vec<Capability>,
    url: String,
    status: ServiceStatus,
}

#[derive(Debug)]
pub enum AgentRouterMessage {
    Invoke(Box<InvocationRequest>, ReplySender<Result<InvocationAnswer, AgentRouterError>>),
}

impl ActorMessage for AgentRouterMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Invoke(..) => "invoke",
        }
    }
}

/// The router's verbs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AgentRouterHandle {
    address: Address<AgentRouterMessage>,
    choice: AgentChooser,
}

/// The criteria for choosing an agent.
#[derive(Clone)]
pub struct AgentChooser {
    /// The agents, with their status.
    pub directory: AgentDirectory,
    /// The number of jobs of each agent.
    pub workload: Arc<dyn AgentWorkload>,
}

impl std::fmt::Debug for AgentChooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentChooser").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl AgentChooser {
    /// The agents with all of these capabilities, best first.
    fn ranked(&self, capabilities: &[String], task: Option<&str>) -> Vec<&AgentDefinition> {
        let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        let wish = AgentWish { capabilities: &capabilities, task, from: None };
        let jobs = self.workload.jobs_by_agent();
        let standing = |agent: &AgentDefinition| AgentAvailability {
            health: self.directory.life(agent.name.as_str()).status.health(),
            jobs: jobs.get(&agent.name).copied().unwrap_or_default(),
        };
        agent_choice::ranked(self.directory.roster(), tasks::catalogue(), wish, standing)
    }
}

impl AgentRouterHandle {
    /// Calls an agent and waits for the answer, within the request's time-out.
    ///
    /// # Errors
    /// [`AgentRouterError`] when no call was begun; an agent's error or silence is an [`InvocationAnswer`].
    pub async fn invoke(&self, request: InvocationRequest) -> Result<InvocationAnswer, AgentRouterError> {
        let deadline = request.timeout() + MARGIN;
        self.address.call(deadline, |reply| AgentRouterMessage::Invoke(Box::new(request), reply)).await?
    }

    /// The matching agents, as many as requested: in the order of choice when capabilities are given, else in
    /// the roster's.
    #[must_use]
    pub fn discover(&self, query: &AgentFilter) -> Vec<AgentCard> {
        let directory = &self.choice.directory;
        let card = |agent: &AgentDefinition| card(directory, agent);
        if query.capabilities.is_empty() {
            return find(directory.roster(), query).take(query.limit).map(card).collect();
        }
        let fits = |agent: &&AgentDefinition| query.fits(agent);
        let ranked = self.choice.ranked(&query.capabilities, None).into_iter();
        ranked.filter(fits).take(query.limit).map(card).collect()
    }

    /// The number of agents of each kind, and the time of the roster.
    #[must_use]
    pub fn stats(&self) -> (RosterCounts, Timestamp) {
        (self.choice.directory.roster().counts(), self.choice.directory.built_at())
    }
}

fn card(directory: &AgentDirectory, agent: &AgentDefinition) -> AgentCard {
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

struct AgentRouterState {
    choice: AgentChooser,
    calls: AgentRouterShared,
    under_way: InFlightInvocations,
}

/// The calls in flight, by agent and request id.
type InFlightInvocations = Arc<Mutex<HashSet<(AgentName, String)>>>;

/// Registers a call as in flight until dropped, however the call ends.
struct InvocationGuard {
    under_way: InFlightInvocations,
    call: (AgentName, String),
}

impl InvocationGuard {
    fn take(under_way: &InFlightInvocations, agent: &AgentName, request_id: &str) -> Option<Self> {
        let call = (agent.clone(), request_id.to_owned());
        let is_free = under_way.lock().insert(call.clone());
        is_free.then(|| Self { under_way: Arc::clone(under_way), call })
    }
}

impl Drop for InvocationGuard {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.call);
    }
}

/// Shared by the tasks that carry calls out.
#[derive(Clone)]
struct AgentRouterShared {
    invoker: Arc<dyn AgentInvoker>,
    events: EventStreamHandle,
    workdir: Arc<Path>,
}

/// The router as a child of a supervisor, and a handle. The file transport works below `workdir`.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    choice: AgentChooser,
    invoker: Arc<dyn AgentInvoker>,
    events: EventStreamHandle,
    workdir: PathBuf,
) -> (ChildSpec, AgentRouterHandle) {
    let calls = AgentRouterShared { invoker, events, workdir: workdir.into() };
    let known = choice.clone();
    let (spec, address) = system.worker(name, options, move |_| {
        let state = AgentRouterState {
            choice: known.clone(),
            calls: calls.clone(),
            under_way: InFlightInvocations::default(),
        };
        async move { Ok(state) }
    });
    (spec, AgentRouterHandle { address, choice })
}

impl AgentRouterState {
    fn invoke(
        &self,
        request: InvocationRequest,
        reply: ReplySender<Result<InvocationAnswer, AgentRouterError>>,
        context: &ActorContext<AgentRouterMessage>,
    ) {
        let agent = match self.chosen(&request) {
            Ok(agent) if self.under_way.lock().len() < MAX_CALLS => agent.clone(),
            Ok(_) => return reply.send(Err(AgentRouterError::Busy)),
            Err(error) => return reply.send(Err(error)),
        };
        let place = InvocationGuard::take(&self.under_way, &agent.name, &request.request_id);
        let (calls, started) = (self.calls.clone(), Instant::now());
        context.spawn(async move {
            let transport = choose_transport(&agent, request.transport);
            let used = transport.as_ref().copied().ok().or(request.transport).unwrap_or(AgentTransport::Rpc);
            let outcome = match transport {
                _ if place.is_none() => InvocationOutcome::Error(duplicate(&request.request_id)),
                Err(reason) => InvocationOutcome::Error(reason),
                Ok(transport) => calls.dispatch(&agent, &request, transport).await,
            };
            // The id must be free before the caller can ask again.
            drop(place);
            let answer = answer(request, &agent, used, outcome, started);
            calls.publish_invocation(&answer);
            reply.send(Ok(answer));
        });
    }

    fn chosen(&self, request: &InvocationRequest) -> Result<&AgentDefinition, AgentRouterError> {
        let roster = self.choice.directory.roster();
        if let Some(name) = &request.agent_name {
            return roster.get(name).ok_or_else(|| AgentRouterError::Unknown(name.clone()));
        }
        let capabilities = request.capabilities.clone().filter(|list| !list.is_empty());
        let capabilities = capabilities.ok_or(AgentRouterError::Nobody)?;
        let task = request.payload.get("task").and_then(serde_json::Value::as_str);
        let best = self.choice.ranked(&capabilities, task).into_iter().next();
        best.ok_or_else(|| AgentRouterError::Unable(capabilities.join(", ")))
    }
}

impl AgentRouterShared {
    /// Publishes a call as an event, without request and answer, which may be large.
    fn publish_invocation(&self, answer: &InvocationAnswer) {
        let data = json!({
            "request_id": answer.request_id, "agent": answer.agent_name, "status": answer.status,
            "error": answer.error, "latency_ms": answer.latency_ms, "metadata": answer.metadata,
        });
        self.events.publish(SwarmEventDraft::new(kind::AGENT_INVOCATION, data));
    }

    async fn dispatch(
        &self,
        agent: &AgentDefinition,
        request: &InvocationRequest,
        by: AgentTransport,
    ) -> InvocationOutcome {
        match by {
            AgentTransport::Rpc => {
                invoker::call(&*self.invoker, &agent.name, request.invocation(), request.timeout()).await
            }
            AgentTransport::File => self.by_file(agent, request).await,
            AgentTransport::Mcp | AgentTransport::Rest => InvocationOutcome::Error(format!(
                "{} lists `{}`, but no endpoint of that kind is configured for it in this daemon; use `rpc`",
                agent.name,
                transport_word(by)
            )),
        }
    }

    async fn by_file(&self, agent: &AgentDefinition, request: &InvocationRequest) -> InvocationOutcome {
        let id = match FileRequestId::new(&request.request_id) {
            Ok(id) => id,
            Err(reason) => return InvocationOutcome::Error(reason),
        };
        let folders = MailFolders::of(&self.workdir, &agent.name);
        let deadline = Instant::now() + request.timeout();
        let named = InvocationRequest { agent_name: Some(agent.name.to_string()), ..request.clone() };
        let named = InvocationRequest { transport: Some(AgentTransport::File), ..named };
        match on_disk(&folders, &id, move |folders, id| folders.post(id, &named)).await {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return InvocationOutcome::Error(duplicate(&request.request_id));
            }
            Err(error) => {
                return InvocationOutcome::Error(format!("the request file cannot be written: {error}"));
            }
        }
        while Instant::now() < deadline {
            match on_disk(&folders, &id, MailFolders::answer).await {
                Ok(Some(text)) => return outcome_of_file(&text),
                Ok(None) => sleep(ANSWER_POLL.min(deadline.saturating_duration_since(Instant::now()))).await,
                Err(error) => {
                    return InvocationOutcome::Error(format!("the answer file cannot be read: {error}"));
                }
            }
        }
        let waited = request.timeout();
        InvocationOutcome::Timeout(match on_disk(&folders, &id, MailFolders::withdraw).await {
            Ok(WithdrawnRequest::Unread) => {
                format!("the agent did not take the request file within {waited:?}; it was withdrawn")
            }
            _ => format!("{}: no answer file within {waited:?}; it may still come", agent.name),
        })
    }
}

fn duplicate(request_id: &str) -> String {
    format!("conflict: the request id `{request_id}` is in use for this agent; choose another")
}

/// Runs one folder operation on a blocking thread.
async fn on_disk<T: Send + 'static>(
    folders: &MailFolders,
    id: &FileRequestId,
    step: impl FnOnce(&MailFolders, &FileRequestId) -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let (folders, id) = (folders.clone(), id.clone());
    spawn_blocking(move || step(&folders, &id)).await.map_err(std::io::Error::other)?
}

/// The answer to a call, with the call's trace.
pub(super) fn answer(
    request: InvocationRequest,
    agent: &AgentDefinition,
    transport: AgentTransport,
    outcome: InvocationOutcome,
    started: Instant,
) -> InvocationAnswer {
    let metadata = InvocationMetadata {
        transport,
        agent_role: agent.role,
        tier: agent.tier,
        run_id: request.run_id,
        trace_id: trace::current().map(|scope| scope.context.trace.to_string()),
    };
    InvocationAnswer::new(request.request_id, agent, outcome, metadata, started.elapsed())
}

impl Actor for AgentRouterState {
    type Message = AgentRouterMessage;

    async fn handle(
        &mut self,
        message: AgentRouterMessage,
        context: &ActorContext<AgentRouterMessage>,
    ) -> Result<(), ActorError> {
        match message {
            AgentRouterMessage::Invoke(request, reply) => self.invoke(*request, reply, context),
        }
        Ok(())
    }
}
