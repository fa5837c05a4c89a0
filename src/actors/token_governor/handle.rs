//! The governor's verbs, for the edge, the agents and the gateway.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::context_store::SummarySource;
use super::{GovernorError, GovernorMessage, GovernorResult, GovernorShared, SummaryRequest};
use crate::domain::agent::{AgentDefinition, InvalidBudget, TokenBudget};
use crate::domain::time::Timestamp;
use crate::domain::token_governor::conversation::{ContextNote, NoteOrigin};
use crate::domain::token_governor::reset::ContextReset;
use crate::domain::token_governor::summary::ContextSummary;
use crate::domain::token_governor::{self, AgentContext, ContextStatus, DEFAULT_CTX_LIMIT, RunLabel};
use crate::domain::usage::TokenUsage;
use crate::skills::summary::{ComparedPiece, compare};
use crate::supervision::Address;

/// Longest wait for a summary or a clear: a model's minute; extraction takes a second.
const DEADLINE: Duration = Duration::from_secs(90);

/// A context as reported by an agent.
#[derive(Debug, Clone)]
pub struct ContextReport {
    /// The agent's run.
    pub run_id: Option<RunLabel>,
    pub ctx_used: u64,
    /// Tokens the model accepts.
    pub ctx_limit: NonZeroU64,
    /// The agent's target, if stated.
    pub target_ratio: Option<f64>,
    /// The agent's hard maximum, if stated.
    pub hard_max_ratio: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SummaryDetail {
    #[serde(flatten)]
    pub summary: ContextSummary,
    /// The source; `None` when no longer kept.
    pub before: Option<String>,
    /// The comparison, stretch by stretch: literally kept and dropped text.
    pub diff: Vec<ComparedPiece>,
}

/// The state a worker starts from after a context reset.
#[derive(Debug, Clone)]
pub struct ContextResumption {
    /// The reset, with the saved state.
    pub reset: ContextReset,
    /// The summary that replaces the cleared context.
    pub summary: Option<ContextSummary>,
}

/// The governor's verbs. Cheap to clone.
#[derive(Clone)]
pub struct GovernorHandle {
    address: Address<GovernorMessage>,
    parts: Arc<GovernorShared>,
}

impl std::fmt::Debug for GovernorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GovernorHandle").field(&self.parts.cache.len()).finish()
    }
}

impl GovernorHandle {
    pub(super) fn new(address: Address<GovernorMessage>, parts: Arc<GovernorShared>) -> Self {
        Self { address, parts }
    }

    /// Stores and judges a context reported by an agent. Sends no message; durable within a second.
    ///
    /// # Errors
    /// [`InvalidBudget`] for ratios outside 0..=1 or in the wrong order.
    pub fn track(&self, agent: &str, report: ContextReport) -> Result<AgentContext, InvalidBudget> {
        let defined = self.parts.roster.get(agent).map(|definition| definition.token_budget);
        let context = AgentContext {
            run_id: report.run_id,
            ctx_used: report.ctx_used,
            ctx_limit: report.ctx_limit,
            budget: token_governor::budget(defined, report.target_ratio, report.hard_max_ratio)?,
            last_updated: Timestamp::now(),
        };
        self.parts.cache.report(agent, context.clone());
        Ok(context)
    }

    /// The newest context of each agent by the agents' names, at once and without counting: for uncounted
    /// text bytes stand in, which are never fewer than the tokens.
    #[must_use]
    pub fn estimates(&self) -> Vec<(Arc<str>, AgentContext)> {
        self.parts.cache.estimates()
    }

    /// All contexts by the agents' names, or one agent's, one for each run, newest first; counts uncounted
    /// text.
    ///
    /// # Errors
    /// The store's, when a conversation to be counted cannot be read.
    pub async fn status(&self, agent: Option<&str>) -> GovernorResult<Vec<(Arc<str>, AgentContext)>> {
        for (name, run, bytes) in self.parts.cache.uncounted() {
            if agent.is_none_or(|agent| *name == *agent) {
                self.parts.recount(&name, &run, bytes).await?;
            }
        }
        Ok(match agent {
            Some(agent) => {
                let contexts = self.parts.cache.of_agent(agent).into_iter();
                contexts.map(|context| (Arc::from(agent), context)).collect()
            }
            None => self.parts.cache.all(),
        })
    }

    /// The number of contexts, and of those in breach as far as they are counted.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let all = self.parts.cache.all();
        (all.len(), all.iter().filter(|(_, context)| context.status() == ContextStatus::Breach).count())
    }

    /// Summarises a context and clears it; the file, the row and the empty context are durable on return. An
    /// own agent with a conversation is reset, as by [`Self::clear`].
    ///
    /// # Errors
    /// [`GovernorError::Unknown`], [`GovernorError::Full`], [`GovernorError::Resetting`], or a failed write;
    /// then nothing is cleared.
    pub async fn summarise(&self, wanted: SummaryRequest) -> GovernorResult<ContextSummary> {
        let places = Arc::clone(&self.parts.places);
        let _place = places.try_acquire_owned().map_err(|_| GovernorError::Full)?;
        self.address.call(DEADLINE, |reply| GovernorMessage::Summarise(Box::new(wanted), reply)).await?
    }

    /// Summaries, newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn summaries(&self, agent: Option<&str>, limit: usize) -> GovernorResult<Vec<ContextSummary>> {
        Ok(self.parts.store.summaries(agent, limit)?)
    }

    /// One summary, with its kept and dropped text.
    ///
    /// # Errors
    /// [`GovernorError::NoSummary`], or the store's.
    pub async fn detail(&self, id: &str) -> GovernorResult<SummaryDetail> {
        let (summary, source) = self.parts.store.summary(id)?;
        let before = match source {
            Some(SummarySource::Text(text)) => Some(text),
            Some(SummarySource::Saved(saved)) => self.parts.store.text_of(&saved)?,
            None => None,
        };
        let (after, text) = (summary.text.clone(), before.clone().unwrap_or_default());
        let diff = tokio::task::spawn_blocking(move || compare(&text, &after)).await.unwrap_or_default();
        Ok(SummaryDetail { summary, before, diff })
    }

    /// Clears contexts; returns the tokens that were in them. With a run, that run's context; without one,
    /// all of an outside agent's, or the newest of an own agent. An own agent with a conversation is saved,
    /// summarised, cleared and restarted; this returns when the clear is durable.
    ///
    /// # Errors
    /// [`GovernorError::Unknown`], or the reason why nothing was cleared (yet: a reset is tried again).
    pub async fn clear(&self, agent: String, run: Option<RunLabel>) -> GovernorResult<u64> {
        self.address.call(DEADLINE, |reply| GovernorMessage::Clear(agent, run, reply)).await?
    }

    /// Adds a card, a result or a model's message to the context of an own agent. `key` is unique within the
    /// run, so that a repetition after a restart adds nothing. Visible on return, durable with the next
    /// durable write. [`Self::judge`] detects a breach.
    ///
    /// # Errors
    /// The store's.
    pub async fn remember(
        &self,
        agent: &AgentDefinition,
        run: &RunLabel,
        key: Option<String>,
        origin: NoteOrigin,
        text: String,
    ) -> GovernorResult<()> {
        let (note, name) = (ContextNote::new(origin, text, Timestamp::now()), agent.name.as_str());
        let bytes = note.text.len() as u64;
        let is_new = self.parts.store.note(name, run, key, note).await?;
        let bytes = if is_new { bytes } else { 0 };
        self.parts.cache.add(name, run, bytes, self.parts.window(agent), budget_of(agent));
        Ok(())
    }

    /// Checks whether an own agent's context in a run is in breach, and if so starts a reset: called where a
    /// restart costs least, at the start of a step and after the commit of the outcome.
    ///
    /// # Errors
    /// The store's, when the context cannot be counted.
    pub async fn judge(&self, agent: &AgentDefinition, run: &RunLabel) -> GovernorResult<()> {
        let name = agent.name.as_str();
        // By bytes first, which are never fewer than the tokens: mostly that is enough.
        let upper = self.parts.cache.add(name, run, 0, self.parts.window(agent), budget_of(agent));
        if upper.status() != ContextStatus::Breach {
            return Ok(());
        }
        self.parts.count_all_of(name).await?;
        self.act_on_breach(agent, run);
        Ok(())
    }

    /// Stores an agent's usage in a model call, all of which is in the agent's context now. Called by the
    /// gateway after each call. Sends a message only when an own agent is in breach. A `run_id` that is no
    /// valid label is left out.
    pub fn observe(&self, agent: &str, run_id: Option<&str>, usage: &TokenUsage, ctx_limit: u64) {
        let own = self.parts.roster.get(agent);
        let run_id = run_id.and_then(|run| RunLabel::new(run).ok());
        let context = AgentContext {
            run_id: run_id.clone(),
            ctx_used: usage.total(),
            ctx_limit: NonZeroU64::new(ctx_limit).unwrap_or(DEFAULT_CTX_LIMIT),
            budget: own.map_or(TokenBudget::DEFAULT, budget_of),
            last_updated: Timestamp::now(),
        };
        self.parts.cache.report(agent, context);
        if let (Some(own), Some(run)) = (own, run_id) {
            self.act_on_breach(own, &run);
        }
    }

    /// Tokens of a text by the model's tokenizer; for an unknown model, or none, by the newest public table.
    /// May take 0.2 s the first time.
    pub async fn count_tokens(&self, text: String, model: Option<String>) -> u64 {
        let (counter, bytes) = (Arc::clone(&self.parts.counter), text.len() as u64);
        let work = move || counter.count(&text, model.as_deref());
        tokio::task::spawn_blocking(work).await.unwrap_or(bytes)
    }

    /// An own agent's context: the summary that replaces the cleared part, and the notes since, oldest first.
    /// The input for a model when the agent continues.
    ///
    /// # Errors
    /// The store's.
    pub fn conversation(
        &self,
        agent: &str,
        run: &RunLabel,
    ) -> GovernorResult<(Option<ContextSummary>, Vec<ContextNote>)> {
        Ok(self.parts.store.conversation(agent, run)?)
    }

    /// Called by an own agent's worker while starting: returns the state to start from, if the agent's
    /// context was reset in a run that is still open. Durable on return.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume(&self, agent: &str) -> GovernorResult<Option<ContextResumption>> {
        let Some((reset, is_first)) = self.parts.store.resume(agent).await? else { return Ok(None) };
        let summary = self.parts.store.summary(&reset.id).ok().map(|(summary, _)| summary);
        if let (true, Some(own), Some(summary)) = (is_first, self.parts.roster.get(agent), &summary) {
            // From here on the summary is in the context: the agent continues from there.
            let bytes = summary.text.len() as u64;
            self.parts.cache.add(agent, &reset.run_id, bytes, self.parts.window(own), budget_of(own));
        }
        Ok(Some(ContextResumption { reset, summary }))
    }

    /// The newest reset of an own agent, in progress or over.
    ///
    /// # Errors
    /// The store's.
    pub fn reset(&self, agent: &str) -> GovernorResult<Option<ContextReset>> {
        Ok(self.parts.store.reset(agent)?)
    }

    fn act_on_breach(&self, agent: &AgentDefinition, run: &RunLabel) {
        let context = self.parts.cache.in_run(agent.name.as_str(), run);
        if context.is_some_and(|context| context.status() == ContextStatus::Breach) {
            // A full mailbox drops the message: the agent's next call reports the breach again.
            let _ =
                self.address.cast(GovernorMessage::Breach { agent: agent.name.clone(), run_id: run.clone() });
        }
    }
}

fn budget_of(agent: &AgentDefinition) -> TokenBudget {
    let defined = Some(agent.token_budget).filter(|budget| budget.hard_max_ratio() > 0.0);
    defined.unwrap_or(TokenBudget::DEFAULT)
}
