//! The token governor: tracks how full every agent's context is, and saves, clears and resumes a context that
//! is too full.
//!
//! Owns the contexts ([`context_cache`], soft state), the conversations of the daemon's own agents, resets
//! and summaries ([`context_store`]) and the summary files ([`files`]), as their only writer. Invariants: a
//! report only touches memory and sends no message; a summary's answer leaves when the file is written; a
//! context is cleared only after saved state and summary are durable ([`reset`]), and then the status says
//! so. An outside agent gets the recommended action and acts itself; only *measured* contexts of own agents,
//! and requests, have consequences here. Failure policy: a failure goes to the caller and, in a reset, leads
//! to a retry from the stage reached; nothing is cleared meanwhile.

mod context_cache;
mod context_store;
mod files;
mod handle;
mod reset;
mod shared;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use context_cache::MAX_TRACKED;
pub use handle::{ContextReport, ContextResumption, GovernorHandle, SummaryDetail};
pub use shared::WindowLookup;

use self::context_cache::{ContextCache, ContextKey};
use self::context_store::ContextStore;
use self::shared::GovernorShared;
use crate::actors::event_stream::EventStreamHandle;
use crate::domain::ids::AgentName;
use crate::domain::roster::Roster;
use crate::domain::time::Timestamp;
use crate::domain::token_governor::conversation::{ContextNote, MAX_NOTE_BYTES, NoteOrigin};
use crate::domain::token_governor::reset::ContextReset;
use crate::domain::token_governor::summary::{ContextSummary, SummaryTrigger};
use crate::domain::token_governor::{AgentContext as Reported, InvalidRun, RunLabel};
use crate::skills::summary::{ExtractiveSummariser, SummaryError, TextSummariser};
use crate::skills::tokens::{self, TokenCounter};
use crate::store::{Store, StoreError};
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, CallError, ChildSpec, ReplySender,
    WorkerOptions,
};

/// Pause between a report and its write: several reports are one write, and a crash loses at most this and
/// the store's own second.
const WRITE_BACK: Duration = Duration::from_millis(500);
/// Summaries in progress or waiting: each has a text of up to the largest request body.
pub const MAX_UNDER_WAY: usize = 32;
/// Time between two searches for expired conversations.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Why the governor declined or failed.
#[derive(Debug, thiserror::Error)]
pub enum GovernorError {
    /// No context of this agent was reported.
    #[error("no agent `{0}` is known; report its context with POST /track first")]
    Unknown(String),
    /// No such summary, or no longer kept.
    #[error("there is no summary `{0}`; GET /summaries lists all summaries")]
    NoSummary(String),
    /// Another reset of the agent is in progress, which this one cannot join.
    #[error("the context of `{0}` is being reset in run {1}; try again in a second")]
    Resetting(String, RunLabel),
    /// Too many summaries are in progress.
    #[error("{MAX_UNDER_WAY} summaries are being made, which is the limit; try again in a second")]
    Full,
    /// A file could not be written; nothing was cleared.
    #[error("the summary could not be written, and nothing was cleared: {0}")]
    File(#[from] std::io::Error),
    /// No summary could be made; nothing was cleared.
    #[error(transparent)]
    Summary(#[from] SummaryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actor did not answer.
    #[error("the token governor {0}")]
    Call(#[from] CallError),
    /// A name that is no valid run.
    #[error(transparent)]
    Run(#[from] InvalidRun),
}

type GovernorResult<T> = Result<T, GovernorError>;

/// A context to summarise.
#[derive(Debug, Clone)]
pub struct SummaryRequest {
    pub agent: String,
    pub run_id: RunLabel,
    pub trigger_reason: SummaryTrigger,
    /// The content; without it, the governor's own knowledge.
    pub content: Option<String>,
}

pub enum GovernorMessage {
    /// Summarise and clear a context.
    Summarise(Box<SummaryRequest>, ReplySender<GovernorResult<ContextSummary>>),
    /// Clear an agent's context in a run, or the newest one; an own agent's is saved and summarised first,
    /// and the agent restarted.
    Clear(String, Option<RunLabel>, ReplySender<GovernorResult<u64>>),
    /// An own agent's context has reached the hard maximum.
    Breach { agent: AgentName, run_id: RunLabel },
    /// A reset has cleared the context, or cannot continue for now.
    Stepped {
        agent: String,
        /// Tokens cleared, or the reason why nothing was.
        outcome: GovernorResult<u64>,
    },
    /// A reset is over.
    Ended(String),
    /// The store takes writes again: read which resets are in progress.
    Reload,
}

impl ActorMessage for GovernorMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Summarise(..) => "summarise",
            Self::Clear(..) => "clear",
            Self::Breach { .. } => "breach",
            Self::Stepped { .. } => "stepped",
            Self::Ended(_) => "ended",
            Self::Reload => "reload",
        }
    }
}

/// A caller that waits until a reset has cleared the context.
enum ResetWaiter {
    Clear(ReplySender<GovernorResult<u64>>),
    Summary(ReplySender<GovernorResult<ContextSummary>>),
}

/// The actor's state: the resets in progress, and the callers waiting for their clears.
struct GovernorState {
    parts: Arc<GovernorShared>,
    under_way: HashMap<String, Vec<ResetWaiter>>,
}

/// The parts a governor is built from.
pub struct GovernorDeps {
    /// The store of the governor's rows.
    pub store: Store,
    /// The daemon's own agents.
    pub roster: Arc<Roster>,
    /// The folder that contains `docs/runs/`.
    pub workdir: PathBuf,
    /// Counts tokens; the governor drops the counter's tables when unused for a while.
    pub counter: Arc<TokenCounter>,
    /// The event stream for alerts about contexts that were too full; `None`: no alerts.
    pub events: Option<EventStreamHandle>,
    /// The summariser; `None` for the extractive one, which is also the fallback.
    pub summariser: Option<Arc<dyn TextSummariser>>,
    /// The context windows of the agents' models.
    pub windows: WindowLookup,
}

/// The governor as a child of a supervisor, and a handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    setup: GovernorDeps,
) -> (ChildSpec, GovernorHandle) {
    let counter = setup.counter;
    let extractive = ExtractiveSummariser::new(Arc::clone(&counter));
    let summariser = setup.summariser.unwrap_or_else(|| Arc::new(extractive.clone()));
    let parts = Arc::new(GovernorShared {
        cache: ContextCache::default(),
        store: ContextStore::new(setup.store),
        roster: setup.roster,
        system: system.clone(),
        counter,
        summariser,
        extractive,
        workdir: setup.workdir,
        events: setup.events,
        places: Arc::new(Semaphore::new(MAX_UNDER_WAY)),
        windows: setup.windows,
    });
    let shared = Arc::clone(&parts);
    let (spec, address) = system.worker(name, options, move |context| {
        let parts = Arc::clone(&shared);
        async move { Ok(GovernorState::start(parts, &context).await?) }
    });
    (spec, GovernorHandle::new(address, parts))
}

impl GovernorState {
    /// Continues the work of an earlier incarnation or daemon.
    async fn start(
        parts: Arc<GovernorShared>,
        context: &ActorContext<GovernorMessage>,
    ) -> Result<Self, StoreError> {
        let open = match parts.store.load().await {
            Ok((contexts, open)) => {
                parts.cache.load(contexts);
                open
            }
            // The cache still has the earlier incarnation's contexts.
            Err(error) if error.is_passing() => {
                load_later(Arc::clone(&parts), context);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        context.spawn(write_back(Arc::clone(&parts)));
        context.spawn(keep_pruning(Arc::clone(&parts)));
        let mut state = Self { parts, under_way: HashMap::new() };
        for reset in open {
            state.drive(reset.agent, context);
        }
        Ok(state)
    }

    /// Ensures that a task drives an agent's reset.
    fn drive(&mut self, agent: String, context: &ActorContext<GovernorMessage>) {
        if self.under_way.contains_key(&agent) {
            return;
        }
        self.under_way.insert(agent.clone(), Vec::new());
        context.spawn(reset::drive(Arc::clone(&self.parts), agent, context.address().clone()));
    }

    async fn summarise(
        &mut self,
        wanted: SummaryRequest,
        reply: ReplySender<GovernorResult<ContextSummary>>,
        context: &ActorContext<GovernorMessage>,
    ) {
        if !self.parts.is_known(&wanted.agent) {
            return reply.send(Err(GovernorError::Unknown(wanted.agent)));
        }
        match self.begin_summary(&wanted, context).await {
            Ok(true) => {
                self.under_way.entry(wanted.agent).or_default().push(ResetWaiter::Summary(reply));
            }
            Ok(false) => {
                let parts = Arc::clone(&self.parts);
                context.spawn(async move { reply.send(parts.summarise_for(wanted).await) });
            }
            Err(error) => reply.send(Err(error)),
        }
    }

    /// Begins the reset of an own agent with a conversation; false without one.
    async fn begin_summary(
        &mut self,
        wanted: &SummaryRequest,
        context: &ActorContext<GovernorMessage>,
    ) -> GovernorResult<bool> {
        let SummaryRequest { agent, run_id, trigger_reason, content } = wanted;
        if !self.parts.is_own(agent) {
            return Ok(false);
        }
        let open = self.parts.store.reset(agent)?.filter(ContextReset::is_open);
        if let Some(open) = open.filter(|open| open.run_id != *run_id || content.is_some()) {
            return Err(GovernorError::Resetting(agent.clone(), open.run_id));
        }
        if let Some(content) = content {
            let saved = self.parts.store.state_of(agent, run_id)?;
            if saved.from == saved.until {
                return Ok(false);
            }
            // The content is summarised together with the conversation, so nothing is cleared unsummarised.
            for piece in pieces(content) {
                let note = ContextNote::new(NoteOrigin::User, piece, Timestamp::now());
                self.parts.store.note(agent, run_id, None, note).await?;
            }
        }
        self.begin(agent, run_id.clone(), *trigger_reason, context).await
    }

    async fn clear(
        &mut self,
        agent: String,
        run: Option<RunLabel>,
        reply: ReplySender<GovernorResult<u64>>,
        context: &ActorContext<GovernorMessage>,
    ) {
        let is_own = self.parts.is_own(&agent);
        let known: Vec<Reported> = match &run {
            Some(run) => self.parts.cache.in_run(&agent, run).into_iter().collect(),
            None if is_own => self.parts.cache.of_agent(&agent).into_iter().take(1).collect(),
            None => self.parts.cache.of_agent(&agent),
        };
        if known.is_empty() && !self.parts.is_known(&agent) {
            return reply.send(Err(GovernorError::Unknown(agent)));
        }
        let run = run.or_else(|| known.first()?.run_id.clone());
        if let (true, Some(run)) = (is_own, run) {
            match self.begin(&agent, run, SummaryTrigger::Manual, context).await {
                Ok(true) => {
                    self.under_way.entry(agent).or_default().push(ResetWaiter::Clear(reply));
                    return;
                }
                Ok(false) => {}
                Err(error) => return reply.send(Err(error)),
            }
        }
        reply.send(self.parts.empty(&agent, known).await);
    }

    /// Begins the reset of an own agent, or joins the one in progress; false when there is nothing to clear.
    async fn begin(
        &mut self,
        agent: &str,
        run: RunLabel,
        trigger: SummaryTrigger,
        context: &ActorContext<GovernorMessage>,
    ) -> GovernorResult<bool> {
        self.parts.count_all_of(agent).await?;
        let before = self.parts.ctx_used(agent, &run);
        let begun = self.parts.store.begin(agent.to_owned(), run, trigger, before).await?;
        if begun.is_some() {
            self.drive(agent.to_owned(), context);
        }
        Ok(begun.is_some())
    }

    fn stepped(&mut self, agent: &str, outcome: &GovernorResult<u64>) {
        let waiting: Vec<ResetWaiter> =
            self.under_way.get_mut(agent).into_iter().flat_map(std::mem::take).collect();
        let failed = |error: &GovernorError| match error {
            GovernorError::Store(error) => GovernorError::Store(error.clone()),
            error => GovernorError::Summary(SummaryError(error.to_string())),
        };
        for waiter in waiting {
            match (waiter, outcome) {
                (ResetWaiter::Clear(reply), Ok(before)) => reply.send(Ok(*before)),
                (ResetWaiter::Summary(reply), Ok(_)) => reply.send(self.newest_summary(agent)),
                (ResetWaiter::Clear(reply), Err(error)) => reply.send(Err(failed(error))),
                (ResetWaiter::Summary(reply), Err(error)) => reply.send(Err(failed(error))),
            }
        }
    }

    /// The summary of the agent's newest reset.
    fn newest_summary(&self, agent: &str) -> GovernorResult<ContextSummary> {
        let reset = self.parts.store.reset(agent)?;
        let reset = reset.ok_or_else(|| GovernorError::Unknown(agent.to_owned()))?;
        Ok(self.parts.store.summary(&reset.id)?.0)
    }

    /// A reset is over. Callers that joined after the clear still wait and are answered: cleared.
    fn ended(&mut self, agent: &str) {
        let before = self.parts.store.reset(agent).map(|reset| reset.map_or(0, |reset| reset.ctx_before));
        self.stepped(agent, &before.map_err(GovernorError::from));
        self.under_way.remove(agent);
    }
}

/// A text in pieces that each fit into a note.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(MAX_NOTE_BYTES));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

impl Actor for GovernorState {
    type Message = GovernorMessage;

    async fn handle(
        &mut self,
        message: GovernorMessage,
        context: &ActorContext<GovernorMessage>,
    ) -> Result<(), ActorError> {
        match message {
            GovernorMessage::Summarise(wanted, reply) => self.summarise(*wanted, reply, context).await,
            GovernorMessage::Clear(agent, run, reply) => self.clear(agent, run, reply, context).await,
            GovernorMessage::Breach { agent, run_id } => {
                // The next check finds the breach again.
                if let Err(error) =
                    self.begin(agent.as_str(), run_id, SummaryTrigger::HardMaxBreach, context).await
                {
                    tracing::warn!(%agent, %error, "a context that is too full is not reset yet");
                }
            }
            GovernorMessage::Reload => {
                let open = match self.parts.store.load().await {
                    Ok((_, open)) => open,
                    Err(error) => {
                        tracing::warn!(%error, "resets in progress cannot be read");
                        load_later(Arc::clone(&self.parts), context);
                        return Ok(());
                    }
                };
                open.into_iter().for_each(|reset| self.drive(reset.agent, context));
            }
            GovernorMessage::Stepped { agent, outcome } => self.stepped(&agent, &outcome),
            GovernorMessage::Ended(agent) => self.ended(&agent),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        let dirty = self.parts.cache.take_dirty();
        // The last half second of soft state, when the daemon ends in order.
        if let Err(error) = self.parts.store.put_contexts(dirty).await {
            tracing::warn!(%error, "the last context reports were not stored");
        }
    }
}

/// Reads the resets in progress once the store takes writes again.
fn load_later(parts: Arc<GovernorShared>, context: &ActorContext<GovernorMessage>) {
    let address = context.address().clone();
    context.spawn(async move {
        if parts.store.writable().await.is_ok() {
            // A governor that has ended reads them at the next start.
            let _ = address.send(GovernorMessage::Reload).await;
        }
    });
}

/// Writes changed contexts back, several reports at once.
async fn write_back(parts: Arc<GovernorShared>) {
    loop {
        parts.cache.changed().await;
        tokio::time::sleep(WRITE_BACK).await;
        let rows = parts.cache.take_dirty();
        let keys: Vec<ContextKey> = rows.iter().map(|(key, _)| key.clone()).collect();
        if let Err(error) = parts.store.put_contexts(rows).await {
            tracing::warn!(%error, "context reports were not stored; keeping them for another try");
            parts.cache.give_back(keys);
        }
    }
}

/// Frees memory and rows that are no longer needed.
async fn keep_pruning(parts: Arc<GovernorShared>) {
    let mut pruned = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(tokens::IDLE).await;
        parts.counter.release(tokens::IDLE);
        if pruned.elapsed() >= PRUNE_EVERY {
            pruned = tokio::time::Instant::now();
            if let Err(error) = parts.store.prune(Timestamp::now()).await {
                tracing::warn!(%error, "old conversations were not removed");
            }
        }
    }
}
