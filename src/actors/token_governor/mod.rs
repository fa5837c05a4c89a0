//! The token governor: how full every agent's context is, and save, clear, resume when one is too full.
//!
//! Owns the contexts ([`board`], soft state), the conversations of the daemon's own agents, resets and
//! summaries ([`ledger`]) and the files of summaries ([`files`]); it is their only writer. Invariants: a
//! report is a look at memory and sends no message; a summary's answer leaves when its file is there; a
//! context is cleared only after its saved state and its summary are durable ([`reset`]), and then its status
//! says so. An agent from outside is told what to do and does it; only what is *measured* at an own agent,
//! or asked for, has consequences here.
//! Failure policy: what fails is told to whoever asked and, for a reset, tried again from the stage it had
//! reached; nothing is cleared meanwhile.

mod board;
mod files;
mod handle;
mod ledger;
mod parts;
mod reset;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use board::MAX_TRACKED;
pub use handle::{Detail, GovernorHandle, Report, Resumption};
pub use parts::WindowLookup;

use self::board::{Board, ContextKey};
use self::ledger::Ledger;
use self::parts::Parts;
use crate::actors::event_stream::Events;
use crate::domain::context::conversation::{MAX_NOTE_BYTES, Note, Origin};
use crate::domain::context::reset::Reset;
use crate::domain::context::summary::{Summary, Trigger};
use crate::domain::context::{Context as Reported, InvalidRun, RunLabel};
use crate::domain::ids::AgentName;
use crate::domain::roster::Roster;
use crate::domain::time::Timestamp;
use crate::skills::summary::{Extractive, Summariser, SummaryError};
use crate::skills::tokens::{self, TokenCounter};
use crate::store::{Store, StoreError};
use crate::supervision::policy::ExitReason;
use crate::supervision::{
    Actor, ActorError, ActorSystem, CallError, ChildSpec, Context, Message as ActorMessage, Reply,
    WorkerOptions,
};

/// Pause between a report and its write: several reports are one write, and none is lost for longer than
/// this and the store's own second.
const WRITE_BACK: Duration = Duration::from_millis(500);
/// Summaries under way or waiting: each holds a text of up to the largest request body.
pub const MAX_UNDER_WAY: usize = 32;
/// Between two looks for conversations that are not kept any more.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Why the governor did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GovernorError {
    /// Nobody has heard of this agent.
    #[error("no agent `{0}` is known; report its context with POST /track first")]
    Unknown(String),
    /// No such summary, or not kept any more.
    #[error("there is no summary `{0}`; GET /summaries lists those there are")]
    NoSummary(String),
    /// Another reset of the agent is under way, which this one cannot join.
    #[error("the context of `{0}` is being reset in run {1}; try again in a second")]
    Resetting(String, RunLabel),
    /// Too many summaries are being made.
    #[error("{MAX_UNDER_WAY} summaries are being made, which is the most; try again in a second")]
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
    /// A name that is no run.
    #[error(transparent)]
    Run(#[from] InvalidRun),
}

type Answer<T> = Result<T, GovernorError>;

/// What is to be summarised.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub agent: String,
    pub run_id: RunLabel,
    pub trigger_reason: Trigger,
    /// The content; without it, what the governor itself knows.
    pub content: Option<String>,
}

/// What the governor is told and asked.
pub enum Message {
    /// Summarise a context and clear it.
    Summarise(Box<Wanted>, Reply<Answer<Summary>>),
    /// Clear an agent's context in a run, or where it is now; for an own agent after saving and summarising
    /// it, and with a restart.
    Clear(String, Option<RunLabel>, Reply<Answer<u64>>),
    /// An own agent has reached its hard maximum.
    Breach { agent: AgentName, run_id: RunLabel },
    /// A reset has cleared its context, or could not go on for now.
    Stepped {
        agent: String,
        /// Tokens that were cleared, or why nothing was.
        outcome: Answer<u64>,
    },
    /// A reset is over.
    Ended(String),
    /// The store takes writes again: read which resets are under way.
    Reload,
}

impl ActorMessage for Message {
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

/// Who waits for a reset to clear its context.
enum ResetWaiter {
    Clear(Reply<Answer<u64>>),
    Summary(Reply<Answer<Summary>>),
}

/// The actor's state: which resets are under way, and who waits for their clears.
struct State {
    parts: Arc<Parts>,
    under_way: HashMap<String, Vec<ResetWaiter>>,
}

/// What a governor is made of.
pub struct Setup {
    /// Where it keeps its rows.
    pub store: Store,
    /// The agents of the daemon.
    pub roster: Arc<Roster>,
    /// `docs/runs/` is made below it.
    pub workdir: PathBuf,
    /// Counts tokens; the governor drops its tables when nothing was counted for a while.
    pub counter: Arc<TokenCounter>,
    /// Who is told of contexts that were too full; `None`: nobody.
    pub events: Option<Events>,
    /// Who makes summaries; `None` for the extractive one, which also stands in when this one fails.
    pub summariser: Option<Arc<dyn Summariser>>,
    /// How much the agents' models take.
    pub windows: WindowLookup,
}

/// The governor as a child of a supervisor, and its handle.
#[must_use]
pub fn spec(
    system: &ActorSystem,
    name: &str,
    options: WorkerOptions,
    setup: Setup,
) -> (ChildSpec, GovernorHandle) {
    let counter = setup.counter;
    let extractive = Extractive::new(Arc::clone(&counter));
    let summariser = setup.summariser.unwrap_or_else(|| Arc::new(extractive.clone()));
    let parts = Arc::new(Parts {
        board: Board::default(),
        ledger: Ledger::new(setup.store),
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
        async move { Ok(State::start(parts, &context).await?) }
    });
    (spec, GovernorHandle::new(address, parts))
}

impl State {
    /// Takes up what a former incarnation, or daemon, left.
    async fn start(parts: Arc<Parts>, context: &Context<Message>) -> Result<Self, StoreError> {
        let open = match parts.ledger.load().await {
            Ok((contexts, open)) => {
                parts.board.load(contexts);
                open
            }
            // The board stands as the incarnation before left it.
            Err(error) if error.is_passing() => {
                load_later(Arc::clone(&parts), context);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        context.spawn(write_back(Arc::clone(&parts)));
        context.spawn(look_after(Arc::clone(&parts)));
        let mut state = Self { parts, under_way: HashMap::new() };
        for reset in open {
            state.drive(reset.agent, context);
        }
        Ok(state)
    }

    /// Sees to it that somebody carries an agent's reset on.
    fn drive(&mut self, agent: String, context: &Context<Message>) {
        if self.under_way.contains_key(&agent) {
            return;
        }
        self.under_way.insert(agent.clone(), Vec::new());
        context.spawn(reset::drive(Arc::clone(&self.parts), agent, context.address().clone()));
    }

    async fn summarise(&mut self, wanted: Wanted, reply: Reply<Answer<Summary>>, context: &Context<Message>) {
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

    /// Begins the reset of an own agent with something in its context; false where there is none.
    async fn begin_summary(&mut self, wanted: &Wanted, context: &Context<Message>) -> Answer<bool> {
        let Wanted { agent, run_id, trigger_reason, content } = wanted;
        if !self.parts.is_own(agent) {
            return Ok(false);
        }
        let open = self.parts.ledger.reset(agent)?.filter(Reset::is_open);
        if let Some(open) = open.filter(|open| open.run_id != *run_id || content.is_some()) {
            return Err(GovernorError::Resetting(agent.clone(), open.run_id));
        }
        if let Some(content) = content {
            let saved = self.parts.ledger.state_of(agent, run_id)?;
            if saved.from == saved.until {
                return Ok(false);
            }
            // It is summarised together with the conversation, so nothing is cleared that was not.
            for piece in pieces(content) {
                let note = Note::new(Origin::User, piece, Timestamp::now());
                self.parts.ledger.note(agent, run_id, None, note).await?;
            }
        }
        self.begin(agent, run_id.clone(), *trigger_reason, context).await
    }

    async fn clear(
        &mut self,
        agent: String,
        run: Option<RunLabel>,
        reply: Reply<Answer<u64>>,
        context: &Context<Message>,
    ) {
        let is_own = self.parts.is_own(&agent);
        let known: Vec<Reported> = match &run {
            Some(run) => self.parts.board.in_run(&agent, run).into_iter().collect(),
            None if is_own => self.parts.board.of_agent(&agent).into_iter().take(1).collect(),
            None => self.parts.board.of_agent(&agent),
        };
        if known.is_empty() && !self.parts.is_known(&agent) {
            return reply.send(Err(GovernorError::Unknown(agent)));
        }
        let run = run.or_else(|| known.first()?.run_id.clone());
        if let (true, Some(run)) = (is_own, run) {
            match self.begin(&agent, run, Trigger::Manual, context).await {
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

    /// Begins the reset of an own agent, or joins the one under way; false when there is nothing to clear.
    async fn begin(
        &mut self,
        agent: &str,
        run: RunLabel,
        trigger: Trigger,
        context: &Context<Message>,
    ) -> Answer<bool> {
        self.parts.count_all_of(agent).await?;
        let before = self.parts.ctx_used(agent, &run);
        let begun = self.parts.ledger.begin(agent.to_owned(), run, trigger, before).await?;
        if begun.is_some() {
            self.drive(agent.to_owned(), context);
        }
        Ok(begun.is_some())
    }

    fn stepped(&mut self, agent: &str, outcome: &Answer<u64>) {
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
    fn newest_summary(&self, agent: &str) -> Answer<Summary> {
        let reset = self.parts.ledger.reset(agent)?;
        let reset = reset.ok_or_else(|| GovernorError::Unknown(agent.to_owned()))?;
        Ok(self.parts.ledger.summary(&reset.id)?.0)
    }

    /// A reset is over. Whoever joined it after its clear still waits: it was cleared.
    fn ended(&mut self, agent: &str) {
        let before = self.parts.ledger.reset(agent).map(|reset| reset.map_or(0, |reset| reset.ctx_before));
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

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Summarise(wanted, reply) => self.summarise(*wanted, reply, context).await,
            Message::Clear(agent, run, reply) => self.clear(agent, run, reply, context).await,
            Message::Breach { agent, run_id } => {
                // Whoever looks next finds the breach again.
                if let Err(error) = self.begin(agent.as_str(), run_id, Trigger::HardMaxBreach, context).await
                {
                    tracing::warn!(%agent, %error, "a context that is too full is not reset yet");
                }
            }
            Message::Reload => {
                let open = match self.parts.ledger.load().await {
                    Ok((_, open)) => open,
                    Err(error) => {
                        tracing::warn!(%error, "resets under way cannot be read");
                        load_later(Arc::clone(&self.parts), context);
                        return Ok(());
                    }
                };
                open.into_iter().for_each(|reset| self.drive(reset.agent, context));
            }
            Message::Stepped { agent, outcome } => self.stepped(&agent, &outcome),
            Message::Ended(agent) => self.ended(&agent),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        let dirty = self.parts.board.take_dirty();
        // The last half second of soft state, when the daemon ends in order.
        if let Err(error) = self.parts.ledger.put_contexts(dirty).await {
            tracing::warn!(%error, "the last context reports were not stored");
        }
    }
}

/// Has the resets under way read when the store takes writes again.
fn load_later(parts: Arc<Parts>, context: &Context<Message>) {
    let address = context.address().clone();
    context.spawn(async move {
        if parts.ledger.writable().await.is_ok() {
            // A governor that has ended reads at its next start.
            let _ = address.send(Message::Reload).await;
        }
    });
}

/// Writes changed contexts back, several reports at once.
async fn write_back(parts: Arc<Parts>) {
    loop {
        parts.board.changed().await;
        tokio::time::sleep(WRITE_BACK).await;
        let rows = parts.board.take_dirty();
        let keys: Vec<ContextKey> = rows.iter().map(|(key, _)| key.clone()).collect();
        if let Err(error) = parts.ledger.put_contexts(rows).await {
            tracing::warn!(%error, "context reports were not stored; they are kept and tried again");
            parts.board.give_back(keys);
        }
    }
}

/// Gives memory and rows back that nobody needs any more.
async fn look_after(parts: Arc<Parts>) {
    let mut pruned = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(tokens::IDLE).await;
        parts.counter.release(tokens::IDLE);
        if pruned.elapsed() >= PRUNE_EVERY {
            pruned = tokio::time::Instant::now();
            if let Err(error) = parts.ledger.prune(Timestamp::now()).await {
                tracing::warn!(%error, "old conversations were not removed");
            }
        }
    }
}
