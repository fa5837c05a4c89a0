//! The token governor: how full every agent's context is, and save, clear, resume when one is too full.
//!
//! Owns the contexts ([`board`], soft state), the conversations of the daemon's own agents, resets and
//! summaries ([`ledger`]) and the files of summaries ([`files`]); it is their only writer. Invariants: a
//! report is a look at memory and sends no message; a summary's answer leaves when its file is there; a
//! context is cleared only after its saved state and its summary are durable ([`reset`]). An agent from
//! outside is told what to do and does it; only what is *measured* at an own agent has consequences here.
//! Failure policy: what fails is told to whoever asked and, for a reset, tried again from the stage it had
//! reached; nothing is cleared meanwhile.

mod board;
mod files;
mod handle;
mod ledger;
mod reset;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;

pub use board::MAX_TRACKED;
pub use handle::{Detail, GovernorHandle, Report, Resumption};

use self::board::Board;
use self::ledger::{Ledger, Source};
use crate::actors::event_stream::Events;
use crate::domain::context::summary::{Summary, Trigger, new_id, path};
use crate::domain::context::{InvalidRun, RunLabel};
use crate::domain::event::{Draft, kind};
use crate::domain::ids::AgentName;
use crate::domain::roster::Roster;
use crate::domain::time::Timestamp;
use crate::skills::summary::{Digest, Extractive, MAX_TOKENS, Summariser, SummaryError};
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
    /// Too many summaries are being made.
    #[error("{MAX_UNDER_WAY} summaries are being made, which is the most; try again in a second")]
    Full,
    /// A file could not be written; nothing was cleared.
    #[error("the summary could not be written, and nothing was cleared: {0}")]
    File(#[from] std::io::Error),
    /// No summary could be made; nothing was cleared.
    #[error(transparent)]
    Summary(#[from] SummaryError),
    /// The store refused.
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
    /// Whose context.
    pub agent: String,
    /// In which run.
    pub run_id: RunLabel,
    /// Why.
    pub trigger_reason: Trigger,
    /// The content; without it, what the governor itself knows.
    pub content: Option<String>,
}

/// What the governor is told and asked.
pub enum Message {
    /// Summarise, without clearing.
    Summarise(Box<Wanted>, Reply<Answer<Summary>>),
    /// Clear a context; for an own agent after saving and summarising it, and with a restart.
    Clear(String, Reply<Answer<u64>>),
    /// An own agent has reached its hard maximum.
    Breach {
        /// Whose.
        agent: AgentName,
        /// In which run.
        run_id: RunLabel,
    },
    /// A reset has cleared its context, or could not go on for now.
    Stepped {
        /// Whose.
        agent: String,
        /// Tokens that were cleared, or why nothing was.
        outcome: Answer<u64>,
    },
    /// A reset is over.
    Ended(String),
}

impl ActorMessage for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Summarise(..) => "summarise",
            Self::Clear(..) => "clear",
            Self::Breach { .. } => "breach",
            Self::Stepped { .. } => "stepped",
            Self::Ended(_) => "ended",
        }
    }
}

/// What the handle, the actor and its tasks share.
struct Parts {
    board: Board,
    ledger: Ledger,
    roster: Arc<Roster>,
    system: ActorSystem,
    counter: Arc<TokenCounter>,
    summariser: Arc<dyn Summariser>,
    extractive: Extractive,
    workdir: PathBuf,
    events: Option<Events>,
    /// A place for each summary under way.
    places: Arc<Semaphore>,
}

impl Parts {
    fn is_own(&self, agent: &str) -> bool {
        self.roster.get(agent).is_some()
    }

    fn is_known(&self, agent: &str) -> bool {
        self.is_own(agent) || self.board.get(agent).is_some()
    }

    fn ctx_used(&self, agent: &str) -> u64 {
        self.board.get(agent).map_or(0, |context| context.ctx_used)
    }

    async fn count(self: &Arc<Self>, texts: Vec<String>) -> u64 {
        let this = Arc::clone(self);
        let work = move || texts.iter().map(|text| this.counter.count(text, None)).sum();
        // A counter that panicked would have counted nothing; the bytes go on standing for the tokens.
        tokio::task::spawn_blocking(work).await.unwrap_or(u64::MAX)
    }

    /// Counts an own agent's context and puts the figure on the board.
    async fn recount(self: &Arc<Self>, agent: &str, run: &RunLabel, uncounted: u64) -> Answer<()> {
        let (summary, notes) = self.ledger.conversation(agent, run)?;
        let texts = summary.map(|summary| summary.text).into_iter();
        let tokens = self.count(texts.chain(notes.into_iter().map(|note| note.text)).collect()).await;
        if tokens < u64::MAX {
            self.board.settle(agent, run, tokens, uncounted);
        }
        Ok(())
    }

    /// A summary by whoever makes summaries; by extraction where that does not give a usable one.
    async fn digest(&self, text: Arc<str>) -> Answer<Digest> {
        match self.summariser.summarise(Arc::clone(&text)).await {
            Ok(digest) if is_usable(&digest, &text) => return Ok(digest),
            Ok(digest) => tracing::warn!(method = digest.method, "an unusable summary; extracting instead"),
            Err(error) => tracing::warn!(%error, "no summary from the model; extracting instead"),
        }
        Ok(self.extractive.summarise(text).await?)
    }

    /// Makes a summary under an id, writes its file and stores it. Done again, it replaces itself.
    async fn summarise(
        &self,
        id: String,
        wanted: &Wanted,
        ctx_before: u64,
        text: Arc<str>,
        source: Source,
    ) -> Answer<Summary> {
        let digest = self.digest(text).await?;
        let summary = Summary {
            summary_id: id,
            agent: wanted.agent.clone(),
            run_id: wanted.run_id.clone(),
            trigger_reason: wanted.trigger_reason,
            ctx_before,
            ctx_after: 0,
            summary_path: path(&wanted.run_id),
            created_at: Timestamp::now(),
            text: digest.text,
            method: digest.method,
            tokens_before: digest.tokens_before,
            tokens_after: digest.tokens_after,
        };
        let (workdir, written) = (self.workdir.clone(), summary.clone());
        let work = tokio::task::spawn_blocking(move || files::write(&workdir, &written));
        work.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))?;
        self.ledger.put_summary(summary.clone(), source).await?;
        self.tell(&summary);
        Ok(summary)
    }

    /// Alerts whoever watches of a context that was too full; a summary made again is told once.
    fn tell(&self, summary: &Summary) {
        if let (Some(events), Trigger::HardMaxBreach) = (&self.events, summary.trigger_reason) {
            events.publish(alert(summary));
        }
    }

    /// Carries out a request for a summary.
    async fn summarise_for(&self, wanted: Wanted) -> Answer<Summary> {
        let ctx_before = self.ctx_used(&wanted.agent);
        let source = match &wanted.content {
            Some(text) => Source::Text(text.clone()),
            None if self.is_own(&wanted.agent) => {
                Source::Saved(self.ledger.state_of(&wanted.agent, &wanted.run_id)?)
            }
            None => Source::Text(self.known_of(&wanted)),
        };
        let text = match &source {
            Source::Text(text) => text.clone(),
            Source::Saved(saved) => self.ledger.text_of(saved)?.unwrap_or_default(),
        };
        self.summarise(new_id(), &wanted, ctx_before, Arc::from(text), source).await
    }

    /// All that is known of an outside agent that brought no content.
    fn known_of(&self, wanted: &Wanted) -> String {
        let context = self.board.get(&wanted.agent);
        let used = context.map(|c| format!("{} of {} tokens were in use", c.ctx_used, c.ctx_limit));
        let used = used.unwrap_or_else(|| "its context was not reported".to_owned());
        format!(
            "Agent {} in run {}: {used}. It brought no content to summarise.",
            wanted.agent, wanted.run_id
        )
    }
}

fn alert(summary: &Summary) -> Draft {
    let Summary { agent, run_id, ctx_before, tokens_before, tokens_after, .. } = summary;
    let message = format!(
        "the context of {agent} in run {run_id} was too full ({ctx_before} tokens); it is summarised in {}",
        summary.summary_path
    );
    let data = json!({
        "alert_type": "context", "severity": "warning", "agent": agent, "run_id": run_id,
        "trigger_reason": summary.trigger_reason, "ctx_before": ctx_before, "tokens_before": tokens_before,
        "tokens_after": tokens_after, "summary_id": summary.summary_id, "summary_path": summary.summary_path,
        "message": message, "timestamp": summary.created_at,
    });
    Draft::new(kind::ALERT, data).once(format!("context-{}", summary.summary_id))
}

/// Whether a summary says something where there was something to say, and fits.
fn is_usable(digest: &Digest, text: &str) -> bool {
    digest.tokens_after <= MAX_TOKENS && digest.text.trim().is_empty() == text.trim().is_empty()
}

/// The actor's state: which resets are under way, and who waits for their clears.
struct State {
    parts: Arc<Parts>,
    under_way: HashMap<String, Vec<Reply<Answer<u64>>>>,
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
        let (contexts, open) = parts.ledger.load().await?;
        parts.board.load(contexts);
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

    fn summarise(&self, wanted: Wanted, reply: Reply<Answer<Summary>>, context: &Context<Message>) {
        if !self.parts.is_known(&wanted.agent) {
            return reply.send(Err(GovernorError::Unknown(wanted.agent)));
        }
        let parts = Arc::clone(&self.parts);
        context.spawn(async move { reply.send(parts.summarise_for(wanted).await) });
    }

    async fn clear(&mut self, agent: String, reply: Reply<Answer<u64>>, context: &Context<Message>) {
        let known = self.parts.board.get(&agent);
        let run = known.as_ref().and_then(|known| known.run_id.clone());
        if known.is_none() && !self.parts.is_own(&agent) {
            return reply.send(Err(GovernorError::Unknown(agent)));
        }
        if let Some(run) = run.filter(|_| self.parts.is_own(&agent)) {
            match self.begin(&agent, run, Trigger::Manual, context).await {
                Ok(true) => {
                    self.under_way.entry(agent).or_default().push(reply);
                    return;
                }
                Ok(false) => {}
                Err(error) => return reply.send(Err(error)),
            }
        }
        reply.send(self.empty(agent).await);
    }

    /// Empties a context that holds nothing of ours: durable, then seen.
    async fn empty(&self, agent: String) -> Answer<u64> {
        let Some(context) = self.parts.board.get(&agent) else { return Ok(0) };
        let empty = crate::domain::context::Context { ctx_used: 0, ..context };
        self.parts.ledger.put_context(agent.clone(), empty).await?;
        Ok(self.parts.board.clear(&agent))
    }

    /// Begins the reset of an own agent, or joins the one under way; false when there is nothing to clear.
    async fn begin(
        &mut self,
        agent: &str,
        run: RunLabel,
        trigger: Trigger,
        context: &Context<Message>,
    ) -> Answer<bool> {
        let before = self.parts.ctx_used(agent);
        let begun = self.parts.ledger.begin(agent.to_owned(), run, trigger, before).await?;
        if begun.is_some() {
            self.drive(agent.to_owned(), context);
        }
        Ok(begun.is_some())
    }

    fn stepped(&mut self, agent: &str, outcome: &Answer<u64>) {
        for reply in self.under_way.get_mut(agent).into_iter().flat_map(std::mem::take) {
            reply.send(match outcome {
                Ok(before) => Ok(*before),
                Err(error) => Err(GovernorError::Summary(SummaryError(error.to_string()))),
            });
        }
    }
}

impl Actor for State {
    type Message = Message;

    async fn handle(&mut self, message: Message, context: &Context<Message>) -> Result<(), ActorError> {
        match message {
            Message::Summarise(wanted, reply) => self.summarise(*wanted, reply, context),
            Message::Clear(agent, reply) => self.clear(agent, reply, context).await,
            Message::Breach { agent, run_id } => {
                self.begin(agent.as_str(), run_id, Trigger::HardMaxBreach, context).await?;
            }
            Message::Stepped { agent, outcome } => self.stepped(&agent, &outcome),
            Message::Ended(agent) => {
                self.under_way.remove(&agent);
            }
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

/// Writes changed contexts back, several reports at once.
async fn write_back(parts: Arc<Parts>) {
    loop {
        parts.board.changed().await;
        tokio::time::sleep(WRITE_BACK).await;
        let rows = parts.board.take_dirty();
        let agents: Vec<String> = rows.iter().map(|(agent, _)| agent.clone()).collect();
        if let Err(error) = parts.ledger.put_contexts(rows).await {
            tracing::warn!(%error, "context reports were not stored; they are kept and tried again");
            parts.board.give_back(agents);
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
