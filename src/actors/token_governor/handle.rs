//! The governor's verbs, for the edge, the agents and whoever calls models for them.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::ledger::Source;
use super::{Answer, GovernorError, Message, Parts, Wanted};
use crate::domain::agent::{AgentDefinition, InvalidBudget, TokenBudget};
use crate::domain::context::conversation::{Note, Origin};
use crate::domain::context::reset::Reset;
use crate::domain::context::summary::Summary;
use crate::domain::context::{self, Context, DEFAULT_CTX_LIMIT, RunLabel, Status};
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;
use crate::skills::summary::{Piece, compare};
use crate::supervision::Address;

/// Longest wait for a summary or a clear: a model's minute; extraction takes a second.
const DEADLINE: Duration = Duration::from_secs(90);

/// A context as an agent reports it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it works on.
    pub run_id: Option<RunLabel>,
    /// Tokens in its context.
    pub ctx_used: u64,
    /// Tokens its model takes.
    pub ctx_limit: NonZeroU64,
    /// Its target, where it states one.
    pub target_ratio: Option<f64>,
    /// Its hard maximum, where it states one.
    pub hard_max_ratio: Option<f64>,
}

/// A summary with what it was made of.
#[derive(Debug, Clone, Serialize)]
pub struct Detail {
    #[serde(flatten)]
    pub summary: Summary,
    /// What it was made of; `None` when that is not kept any more.
    pub before: Option<String>,
    /// The same, stretch by stretch: what the summary kept literally, and what it dropped.
    pub diff: Vec<Piece>,
}

/// What a worker starts from after its context was reset.
#[derive(Debug, Clone)]
pub struct Resumption {
    /// The reset, with the saved state.
    pub reset: Reset,
    /// The summary that stands for the cleared context.
    pub summary: Option<Summary>,
}

/// The governor's verbs. Cheap to clone.
#[derive(Clone)]
pub struct GovernorHandle {
    address: Address<Message>,
    parts: Arc<Parts>,
}

impl std::fmt::Debug for GovernorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GovernorHandle").field(&self.parts.board.len()).finish()
    }
}

impl GovernorHandle {
    pub(super) fn new(address: Address<Message>, parts: Arc<Parts>) -> Self {
        Self { address, parts }
    }

    /// Notes a context as an agent reports it and judges it. Sends no message; stored within a second.
    ///
    /// # Errors
    /// [`InvalidBudget`] for ratios outside 0..=1 or in the wrong order.
    pub fn track(&self, agent: &str, report: Report) -> Result<Context, InvalidBudget> {
        let defined = self.parts.roster.get(agent).map(|definition| definition.token_budget);
        let context = Context {
            run_id: report.run_id,
            ctx_used: report.ctx_used,
            ctx_limit: report.ctx_limit,
            budget: context::budget(defined, report.target_ratio, report.hard_max_ratio)?,
            last_updated: Timestamp::now(),
        };
        self.parts.board.report(agent, context.clone());
        Ok(context)
    }

    /// The newest context of each agent by the agents' names, at once and without counting: what was not
    /// counted yet stands as its bytes, which are never fewer than its tokens.
    #[must_use]
    pub fn estimates(&self) -> Vec<(Arc<str>, Context)> {
        self.parts.board.estimates()
    }

    /// All contexts by the agents' names, or one agent's, one for each of its runs, newest first; counts what
    /// was not counted yet.
    ///
    /// # Errors
    /// The store's, when a conversation to be counted cannot be read.
    pub async fn status(&self, agent: Option<&str>) -> Answer<Vec<(Arc<str>, Context)>> {
        for (name, run, bytes) in self.parts.board.uncounted() {
            if agent.is_none_or(|agent| *name == *agent) {
                self.parts.recount(&name, &run, bytes).await?;
            }
        }
        Ok(match agent {
            Some(agent) => {
                let contexts = self.parts.board.of_agent(agent).into_iter();
                contexts.map(|context| (Arc::from(agent), context)).collect()
            }
            None => self.parts.board.all(),
        })
    }

    /// How many contexts are known, and how many are in breach as far as they are counted.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let all = self.parts.board.all();
        (all.len(), all.iter().filter(|(_, context)| context.status() == Status::Breach).count())
    }

    /// Makes a summary of a context and clears it; its file, its row and the empty context are durable when
    /// it returns. An own agent with something in its context is reset, as by [`Self::clear`].
    ///
    /// # Errors
    /// [`GovernorError::Unknown`], [`GovernorError::Full`], [`GovernorError::Resetting`], or why it could not
    /// be written; then nothing is cleared.
    pub async fn summarise(&self, wanted: Wanted) -> Answer<Summary> {
        let places = Arc::clone(&self.parts.places);
        let _place = places.try_acquire_owned().map_err(|_| GovernorError::Full)?;
        self.address.call(DEADLINE, |reply| Message::Summarise(Box::new(wanted), reply)).await?
    }

    /// Summaries, newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn summaries(&self, agent: Option<&str>, limit: usize) -> Answer<Vec<Summary>> {
        Ok(self.parts.ledger.summaries(agent, limit)?)
    }

    /// One summary, with what it kept and what it dropped.
    ///
    /// # Errors
    /// [`GovernorError::NoSummary`], or the store's.
    pub async fn detail(&self, id: &str) -> Answer<Detail> {
        let (summary, source) = self.parts.ledger.summary(id)?;
        let before = match source {
            Some(Source::Text(text)) => Some(text),
            Some(Source::Saved(saved)) => self.parts.ledger.text_of(&saved)?,
            None => None,
        };
        let (after, text) = (summary.text.clone(), before.clone().unwrap_or_default());
        let diff = tokio::task::spawn_blocking(move || compare(&text, &after)).await.unwrap_or_default();
        Ok(Detail { summary, before, diff })
    }

    /// Clears contexts; the tokens that were in them. With a run, the one of that run; without, all of an
    /// agent from outside, and the newest of an own agent. An own agent with something in its context is
    /// saved, summarised, cleared and restarted; this returns when it is cleared, durably.
    ///
    /// # Errors
    /// [`GovernorError::Unknown`], or why nothing was cleared (yet: a reset is tried again).
    pub async fn clear(&self, agent: String, run: Option<RunLabel>) -> Answer<u64> {
        self.address.call(DEADLINE, |reply| Message::Clear(agent, run, reply)).await?
    }

    /// Takes something into the context of an own agent: a card, a result, a message of a model. `key`
    /// names it within the run, so that what is given again after a restart is not taken twice. Visible
    /// when it returns, durable with the next durable write. Whether that is a breach, [`Self::judge`] tells.
    ///
    /// # Errors
    /// The store's.
    pub async fn remember(
        &self,
        agent: &AgentDefinition,
        run: &RunLabel,
        key: Option<String>,
        origin: Origin,
        text: String,
    ) -> Answer<()> {
        let (note, name) = (Note::new(origin, text, Timestamp::now()), agent.name.as_str());
        let bytes = note.text.len() as u64;
        let is_new = self.parts.ledger.note(name, run, key, note).await?;
        let bytes = if is_new { bytes } else { 0 };
        self.parts.board.add(name, run, bytes, self.parts.window(agent), budget_of(agent));
        Ok(())
    }

    /// Looks whether an own agent's context in a run is in breach, and has it reset if so: called where a
    /// restart costs least, that is at the beginning of a step and after the commit of its end.
    ///
    /// # Errors
    /// The store's, when the context cannot be counted.
    pub async fn judge(&self, agent: &AgentDefinition, run: &RunLabel) -> Answer<()> {
        let name = agent.name.as_str();
        // By the bytes first, which are never fewer than the tokens: mostly that is enough.
        let upper = self.parts.board.add(name, run, 0, self.parts.window(agent), budget_of(agent));
        if upper.status() != Status::Breach {
            return Ok(());
        }
        self.parts.count_all_of(name).await?;
        self.act_on_breach(agent, run);
        Ok(())
    }

    /// Notes what a model call of an agent used: all of it is in the agent's context now. Called by the
    /// gateway after each call. Sends a message only when an own agent is in breach. `run_id` is taken as
    /// it is where it is a sound label, else left out.
    pub fn observe(&self, agent: &str, run_id: Option<&str>, usage: &Usage, ctx_limit: u64) {
        let own = self.parts.roster.get(agent);
        let run_id = run_id.and_then(|run| RunLabel::new(run).ok());
        let context = Context {
            run_id: run_id.clone(),
            ctx_used: usage.total(),
            ctx_limit: NonZeroU64::new(ctx_limit).unwrap_or(DEFAULT_CTX_LIMIT),
            budget: own.map_or(TokenBudget::DEFAULT, budget_of),
            last_updated: Timestamp::now(),
        };
        self.parts.board.report(agent, context);
        if let (Some(own), Some(run)) = (own, run_id) {
            self.act_on_breach(own, &run);
        }
    }

    /// Tokens of a text as the model counts them; for an unknown model, or none, as the newest public
    /// table does. May take 0.2 s the first time.
    pub async fn count_tokens(&self, text: String, model: Option<String>) -> u64 {
        let (counter, bytes) = (Arc::clone(&self.parts.counter), text.len() as u64);
        let work = move || counter.count(&text, model.as_deref());
        tokio::task::spawn_blocking(work).await.unwrap_or(bytes)
    }

    /// What is in an own agent's context: the summary that stands for what was cleared, and the notes
    /// since, oldest first. What a model is to be given when the agent goes on.
    ///
    /// # Errors
    /// The store's.
    pub fn conversation(&self, agent: &str, run: &RunLabel) -> Answer<(Option<Summary>, Vec<Note>)> {
        Ok(self.parts.ledger.conversation(agent, run)?)
    }

    /// Called by an own agent's worker while it starts: the state it starts from, if its context was
    /// reset in a run that is still open. Durable when it returns.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume(&self, agent: &str) -> Answer<Option<Resumption>> {
        let Some((reset, is_first)) = self.parts.ledger.resume(agent).await? else { return Ok(None) };
        let summary = self.parts.ledger.summary(&reset.id).ok().map(|(summary, _)| summary);
        if let (true, Some(own), Some(summary)) = (is_first, self.parts.roster.get(agent), &summary) {
            // From here on the summary is in the context: the agent goes on from it.
            let bytes = summary.text.len() as u64;
            self.parts.board.add(agent, &reset.run_id, bytes, self.parts.window(own), budget_of(own));
        }
        Ok(Some(Resumption { reset, summary }))
    }

    /// The newest reset of an own agent, under way or over.
    ///
    /// # Errors
    /// The store's.
    pub fn reset(&self, agent: &str) -> Answer<Option<Reset>> {
        Ok(self.parts.ledger.reset(agent)?)
    }

    fn act_on_breach(&self, agent: &AgentDefinition, run: &RunLabel) {
        let context = self.parts.board.in_run(agent.name.as_str(), run);
        if context.is_some_and(|context| context.status() == Status::Breach) {
            // A full mailbox drops it: the agent's next call tells again.
            let _ = self.address.cast(Message::Breach { agent: agent.name.clone(), run_id: run.clone() });
        }
    }
}

fn budget_of(agent: &AgentDefinition) -> TokenBudget {
    let defined = Some(agent.token_budget).filter(|budget| budget.hard_max_ratio() > 0.0);
    defined.unwrap_or(TokenBudget::DEFAULT)
}
