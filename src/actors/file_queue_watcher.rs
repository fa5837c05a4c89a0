//! The file queue watcher: takes requests from the agents' inboxes, calls the agents, and leaves the answers
//! in their outboxes.
//!
//! Invariants: a request is carried out at most once (moved away before the call); every request gets an
//! answer, whatever its outcome; an unreadable file is put aside with the reason. A request that was in
//! progress when the daemon ended is answered with an error at the next start, because the effect is unknown.
//! Failure policy: a folder that cannot be read is logged and tried again.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::agent_router::answer;
use super::invoker::{self, AgentInvoker};
use super::mail_folders::{MailFolders, TakenRequest};
use crate::domain::agent::{AgentDefinition, AgentTransport};
use crate::domain::agent_router::{FileRequestId, InvocationOutcome, InvocationRequest, choose_transport};
use crate::domain::roster::Roster;
use crate::domain::trace::TraceContext;
use crate::supervision::trace::{TraceScope, in_scope};
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, ChildSpec, WorkerOptions,
};

/// Time between two scans of the inboxes: a client by file waits seconds anyway, and 50 folders cost well
/// below a millisecond.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Most requests in progress at once; more wait in their folders, which lose nothing.
pub const MAX_UNDER_WAY: usize = 64;

#[derive(Debug)]
pub enum FileQueueMessage {
    Scan,
}

/// One request out of an inbox.
#[derive(Debug)]
enum FileQueueWork {
    /// To be carried out.
    Request(FileRequestId, Box<InvocationRequest>),
    /// Was in progress when the daemon ended.
    Interrupted(FileRequestId),
}

impl ActorMessage for FileQueueMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Scan => "scan",
        }
    }
}

struct FileQueueState {
    post: FileQueueShared,
    /// One permit for each request in progress.
    places: Arc<Semaphore>,
    /// One permit: scans do not overlap.
    look: Arc<Semaphore>,
    /// The inboxes searched for what the last life left, by place in the roster.
    searched: SearchedInboxes,
}

/// From an inbox that is not in it nothing is taken: its leftovers could not be told from what is in progress.
type SearchedInboxes = Arc<Mutex<HashSet<usize>>>;

/// Shared by the tasks that carry requests out.
#[derive(Clone)]
struct FileQueueShared {
    roster: Arc<Roster>,
    invoker: Arc<dyn AgentInvoker>,
    workdir: Arc<Path>,
    /// Scans so far.
    turns: Arc<AtomicUsize>,
}

/// The watcher as a child of a supervisor. There is no handle: callers write files.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    roster: Arc<Roster>,
    invoker: Arc<dyn AgentInvoker>,
    workdir: PathBuf,
) -> ChildSpec {
    let post = FileQueueShared { roster, invoker, workdir: workdir.into(), turns: Arc::default() };
    let (spec, _) = system.worker(name, options, move |context| {
        let address = context.address().clone();
        context.spawn(async move {
            let mut ticks = interval(POLL_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // A full mailbox has a scan already.
                let _ = address.cast(FileQueueMessage::Scan);
            }
        });
        let (places, look) = (Arc::new(Semaphore::new(MAX_UNDER_WAY)), Arc::new(Semaphore::new(1)));
        let state = FileQueueState { post: post.clone(), places, look, searched: Arc::default() };
        async move { Ok(state) }
    });
    spec
}

impl FileQueueState {
    fn look(&mut self, context: &ActorContext<FileQueueMessage>) {
        let Ok(turn) = Arc::clone(&self.look).try_acquire_owned() else { return };
        let (post, places, context) = (self.post.clone(), Arc::clone(&self.places), context.clone());
        let searched = Arc::clone(&self.searched);
        let tasks = context.clone();
        context.spawn(async move {
            let (looker, room) = (post.clone(), places.available_permits());
            let found = spawn_blocking(move || looker.look(room, &mut searched.lock())).await.unwrap_or_else(
                |error| {
                    tracing::error!(%error, "looking into the inboxes failed");
                    Vec::new()
                },
            );
            for (at, work) in found {
                // An earlier life may have left more than there is room for: the rest waits here.
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let post = post.clone();
                // Each request has its own cause outside the daemon, so each has its own trace.
                let scope = TraceScope { context: TraceContext::new_root(), actor: tasks.address().number() };
                tasks.spawn(in_scope(scope, async move {
                    post.answer_request(at, work).await;
                    drop(place);
                }));
            }
            drop(turn);
        });
    }
}

impl FileQueueShared {
    /// Scans every agent's inbox and takes the returned requests: one of each, then what there is room for, beginning
    /// with another agent each time, so that a full inbox keeps no other one waiting. Blocks.
    fn look(&self, room: usize, searched: &mut HashSet<usize>) -> Vec<(usize, FileQueueWork)> {
        let (mut found, mut known) = (Vec::new(), searched.clone());
        for (at, agent) in self.roster.iter().enumerate().filter(|(at, _)| !searched.contains(at)) {
            match MailFolders::of(&self.workdir, &agent.name).interrupted() {
                Ok(ids) => {
                    found.extend(ids.into_iter().map(|id| (at, FileQueueWork::Interrupted(id))));
                    known.insert(at);
                }
                Err(error) => not_read(agent, &error),
            }
        }
        let mut asked: Vec<_> = self.roster.iter().enumerate().filter(|(at, _)| known.contains(at)).collect();
        let first = self.turns.fetch_add(1, Ordering::Relaxed) % asked.len().max(1);
        asked.rotate_left(first);
        for most in [1, room] {
            // Who had none in the first round is not asked again.
            asked.retain(|&(at, agent)| {
                let folders = MailFolders::of(&self.workdir, &agent.name);
                let taken = folders.take(&agent.name, most.min(room.saturating_sub(found.len())));
                let taken = taken.unwrap_or_else(|error| {
                    not_read(agent, &error);
                    Vec::new()
                });
                let had_some = !taken.is_empty();
                let work = |t: TakenRequest| (at, FileQueueWork::Request(t.id, Box::new(t.request)));
                found.extend(taken.into_iter().map(work));
                had_some
            });
        }
        // Only now: a search that ended in its middle is made again.
        *searched = known;
        found
    }

    async fn answer_request(&self, at: usize, work: FileQueueWork) {
        let Some(agent) = self.roster.iter().nth(at) else { return };
        let started = Instant::now();
        let (id, request, outcome) = match work {
            FileQueueWork::Request(id, request) => {
                let outcome = self.call(agent, &request).await;
                (id, *request, outcome)
            }
            FileQueueWork::Interrupted(id) => (id.clone(), bare(&id), interrupted()),
        };
        let answer = answer(request, agent, AgentTransport::File, outcome, started);
        let folders = MailFolders::of(&self.workdir, &agent.name);
        let written = spawn_blocking(move || {
            let text = serde_json::to_vec_pretty(&answer)?;
            folders.finish(&id, &text)
        });
        if let Err(error) = written.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::error!(agent = %agent.name, %error, "an answer file cannot be written; see `working/`");
        }
    }

    async fn call(&self, agent: &AgentDefinition, request: &InvocationRequest) -> InvocationOutcome {
        match choose_transport(agent, Some(AgentTransport::File)) {
            Err(reason) => InvocationOutcome::Error(reason),
            Ok(_) => {
                invoker::call(&*self.invoker, &agent.name, request.invocation(), request.timeout()).await
            }
        }
    }
}

fn not_read(agent: &AgentDefinition, error: &io::Error) {
    tracing::warn!(agent = %agent.name, %error, "an inbox cannot be read; trying again");
}

fn interrupted() -> InvocationOutcome {
    InvocationOutcome::Error(
        "the daemon ended while this request was worked on; whether it took effect is unknown: look, and \
         send it again under another request id if it is still wanted"
            .to_owned(),
    )
}

/// A request for an answer that needs only the id.
fn bare(id: &FileRequestId) -> InvocationRequest {
    InvocationRequest {
        request_id: id.to_string(),
        run_id: None,
        agent_name: None,
        capabilities: None,
        payload: serde_json::Map::new(),
        timeout_s: 0.0,
        transport: Some(AgentTransport::File),
    }
}

impl Actor for FileQueueState {
    type Message = FileQueueMessage;

    async fn handle(
        &mut self,
        message: FileQueueMessage,
        context: &ActorContext<FileQueueMessage>,
    ) -> Result<(), ActorError> {
        match message {
            FileQueueMessage::Scan => self.look(context),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use serde_json::{Value, json};

    use super::super::invoker::InvokeError;
    use super::super::mail_folders::{INBOX, WORKING};
    use super::*;
    use crate::domain::agent_router::AgentInvocation;
    use crate::domain::ids::AgentName;

    struct SilentAgents;

    impl AgentInvoker for SilentAgents {
        fn invoke(
            &self,
            _: &AgentName,
            _: AgentInvocation,
            _: Duration,
        ) -> BoxFuture<'static, Result<Value, InvokeError>> {
            Box::pin(std::future::pending())
        }
    }

    fn post(dir: &Path) -> FileQueueShared {
        FileQueueShared {
            roster: Arc::new(crate::roster::load(None).0),
            invoker: Arc::new(SilentAgents),
            workdir: dir.into(),
            turns: Arc::default(),
        }
    }

    #[test]
    fn an_inbox_that_could_not_be_searched_is_searched_later_and_gives_nothing_before() {
        let dir = tempfile::tempdir().unwrap();
        let post = post(dir.path());
        let (inbox, searched) = (
            dir.path().join(INBOX).join(post.roster.iter().next().unwrap().name.as_str()),
            &mut HashSet::new(),
        );
        std::fs::create_dir_all(&inbox).unwrap();
        std::fs::write(inbox.join("r1.json"), json!({ "payload": {} }).to_string()).unwrap();
        std::fs::write(inbox.join(WORKING), "in the way").unwrap();
        assert_eq!(post.look(5, searched).len(), 0, "its leftovers are not known");
        assert!(searched.contains(&1) && !searched.contains(&0), "the others are");

        std::fs::remove_file(inbox.join(WORKING)).unwrap();
        std::fs::create_dir(inbox.join(WORKING)).unwrap();
        std::fs::write(inbox.join(WORKING).join("r0.json"), "{}").unwrap();
        let found = post.look(5, searched);
        assert!(
            matches!(&found[..], [(0, FileQueueWork::Interrupted(old)), (0, FileQueueWork::Request(new, _))]
                if old.to_string() == "r0" && new.to_string() == "r1"),
            "{found:?}"
        );
        assert!(post.look(5, searched).is_empty(), "what is in progress now is no leftover");
    }

    #[test]
    fn a_full_inbox_keeps_no_other_one_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let post = post(dir.path());
        let agents: Vec<_> = post.roster.iter().map(|agent| agent.name.clone()).collect();
        let fill = |agent: &AgentName, requests: usize| {
            let inbox = dir.path().join(INBOX).join(agent.as_str());
            std::fs::create_dir_all(&inbox).unwrap();
            for n in 0..requests {
                std::fs::write(inbox.join(format!("r{n}.json")), json!({ "payload": {} }).to_string())
                    .unwrap();
            }
        };
        fill(&agents[0], 10);
        fill(&agents[1], 10);
        fill(&agents[49], 2);
        let searched = &mut HashSet::new();
        let agents_of =
            |found: Vec<(usize, FileQueueWork)>| -> Vec<usize> { found.iter().map(|(at, _)| *at).collect() };
        let mut taken = agents_of(post.look(6, searched));
        taken.sort_unstable();
        assert_eq!(taken.iter().filter(|at| **at == 49).count(), 1, "one of each first: {taken:?}");
        assert_eq!(taken.len(), 6, "and then what there is room for");
        let one_by_one: Vec<usize> = (0..3).flat_map(|_| agents_of(post.look(1, searched))).collect();
        assert!(one_by_one.contains(&49), "the turn goes round: {one_by_one:?}");
    }
}
