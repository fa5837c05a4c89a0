//! The file queue watcher: takes the requests that lie in the agents' inboxes, calls the agents, and
//! leaves the answers in their outboxes; whoever wrote the request.
//!
//! Invariants: a request is carried out at most once (it is moved away before the call); whatever
//! becomes of it, there is an answer; a file that makes no sense is put aside with the reason. A
//! request that was being worked on when the daemon ended is answered with an error at the next start:
//! nobody knows what it did. Failure policy: a folder that cannot be read is logged and tried again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::agent_router::answer;
use super::invoker::{self, Invoker};
use super::mail_folders::{MailFolders, Taken};
use crate::domain::agent::{AgentDefinition, Transport};
use crate::domain::invocation::{FileRequestId, InvocationRequest, Outcome, choose_transport};
use crate::domain::roster::Roster;
use crate::domain::trace::TraceContext;
use crate::supervision::trace::{Scope, in_scope};
use crate::supervision::{
    Actor, ActorError, ActorSystem, ChildSpec, Context, Message as ActorMessage, WorkerOptions,
};

/// Between two looks into the inboxes: a client by file waits seconds anyway, and 50 folders cost well
/// below a millisecond.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Most requests under way at once; more wait in their folders, which lose nothing.
pub const MAX_UNDER_WAY: usize = 64;

/// What the watcher is told.
#[derive(Debug)]
pub enum Message {
    Look,
}

/// One request out of an inbox.
#[derive(Debug)]
enum Work {
    /// To be carried out.
    Request(FileRequestId, Box<InvocationRequest>),
    /// Was being carried out when the daemon ended.
    Interrupted(FileRequestId),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Look => "look",
        }
    }
}

struct State {
    post: Post,
    /// A permit a request under way.
    places: Arc<Semaphore>,
    /// One permit: looks do not overlap.
    look: Arc<Semaphore>,
    /// Whether what the last life left behind has been looked for.
    recovered: bool,
}

/// What carries requests out; shared with the tasks that do.
#[derive(Clone)]
struct Post {
    roster: Arc<Roster>,
    invoker: Arc<dyn Invoker>,
    workdir: Arc<Path>,
}

/// The watcher as a child of a supervisor. It has no verbs: its callers write files.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    roster: Arc<Roster>,
    invoker: Arc<dyn Invoker>,
    workdir: PathBuf,
) -> ChildSpec {
    let post = Post { roster, invoker, workdir: workdir.into() };
    let (spec, _) = system.worker(name, options, move |context| {
        let address = context.address().clone();
        context.spawn(async move {
            let mut ticks = interval(POLL_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // A full mailbox holds a look already.
                let _ = address.cast(Message::Look);
            }
        });
        let (places, look) = (Arc::new(Semaphore::new(MAX_UNDER_WAY)), Arc::new(Semaphore::new(1)));
        let state = State { post: post.clone(), places, look, recovered: false };
        async move { Ok(state) }
    });
    spec
}

impl State {
    fn look(&mut self, context: &Context<Message>) {
        let Ok(turn) = Arc::clone(&self.look).try_acquire_owned() else { return };
        let (post, places, context) = (self.post.clone(), Arc::clone(&self.places), context.clone());
        let recover = !std::mem::replace(&mut self.recovered, true);
        let tasks = context.clone();
        context.spawn(async move {
            let (looker, room) = (post.clone(), places.available_permits());
            let found = spawn_blocking(move || looker.look(room, recover)).await.unwrap_or_else(|error| {
                tracing::error!(%error, "looking into the inboxes failed");
                Vec::new()
            });
            for (at, work) in found {
                // What an earlier life left behind may be more than there is room for: it waits here.
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let post = post.clone();
                // Each request is its own outside cause, so it has a trace of its own.
                let scope = Scope { context: TraceContext::new_root(), actor: tasks.address().no() };
                tasks.spawn(in_scope(scope, async move {
                    post.carry_out(at, work).await;
                    drop(place);
                }));
            }
            drop(turn);
        });
    }
}

impl Post {
    /// Looks into every agent's inbox; what it returns is taken. Blocks.
    fn look(&self, room: usize, recover: bool) -> Vec<(usize, Work)> {
        let mut found = Vec::new();
        for (at, agent) in self.roster.iter().enumerate() {
            let folders = MailFolders::of(&self.workdir, &agent.name);
            let interrupted = if recover { folders.interrupted() } else { Ok(Vec::new()) };
            let taken = folders.take(&agent.name, room.saturating_sub(found.len()));
            match (interrupted, taken) {
                (Ok(interrupted), Ok(taken)) => {
                    found.extend(interrupted.into_iter().map(|id| (at, Work::Interrupted(id))));
                    let work = |t: Taken| (at, Work::Request(t.id, Box::new(t.request)));
                    found.extend(taken.into_iter().map(work));
                }
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(agent = %agent.name, %error, "an inbox cannot be read; trying again");
                }
            }
        }
        found
    }

    async fn carry_out(&self, at: usize, work: Work) {
        let Some(agent) = self.roster.iter().nth(at) else { return };
        let started = Instant::now();
        let (id, request, outcome) = match work {
            Work::Request(id, request) => {
                let outcome = self.call(agent, &request).await;
                (id, *request, outcome)
            }
            Work::Interrupted(id) => (id.clone(), bare(&id), interrupted()),
        };
        let answer = answer(request, agent, Transport::File, outcome, started);
        let folders = MailFolders::of(&self.workdir, &agent.name);
        let written = spawn_blocking(move || {
            let text = serde_json::to_vec_pretty(&answer)?;
            folders.finish(&id, &text)
        });
        if let Err(error) = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::error!(agent = %agent.name, %error, "an answer file cannot be written; see `working/`");
        }
    }

    async fn call(&self, agent: &AgentDefinition, request: &InvocationRequest) -> Outcome {
        match choose_transport(agent, Some(Transport::File)) {
            Err(reason) => Outcome::Error(reason),
            Ok(_) => {
                invoker::call(&*self.invoker, &agent.name, request.invocation(), request.timeout()).await
            }
        }
    }
}

fn interrupted() -> Outcome {
    Outcome::Error(
        "the daemon ended while this request was worked on; whether it took effect is not known: look, and \
         send it again under another request id if it is still wanted"
            .to_owned(),
    )
}

/// A request of which only the id matters any more.
fn bare(id: &FileRequestId) -> InvocationRequest {
    InvocationRequest {
        request_id: id.to_string(),
        run_id: None,
        agent_name: None,
        capabilities: None,
        payload: serde_json::Map::new(),
        timeout_s: 0.0,
        transport: Some(Transport::File),
    }
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Look => self.look(context),
        }
        Ok(())
    }
}
