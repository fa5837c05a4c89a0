//! The governor's shared state: contexts, store and summariser, for handle, actor and tasks.
//!
//! Invariants: a summary's file is written before the row, and the row before the context is emptied; a
//! window is looked up by one function, [`WindowLookup`]. Failure policy: extraction stands in for a
//! summariser that fails or returns nothing usable; every other failure is the caller's.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use super::context_cache::ContextCache;
use super::context_store::{ContextStore, SummarySource};
use super::{GovernorResult, SummaryRequest, files};
use crate::actors::event_stream::EventStreamHandle;
use crate::domain::agent::AgentDefinition;
use crate::domain::event::{SwarmEventDraft, kind};
use crate::domain::roster::Roster;
use crate::domain::time::Timestamp;
use crate::domain::token_governor::summary::{ContextSummary, SummaryTrigger, new_id, path};
use crate::domain::token_governor::{AgentContext, DEFAULT_CTX_LIMIT, RunLabel};
use crate::skills::summary::{ExtractiveSummariser, MAX_TOKENS, SummaryDigest, TextSummariser};
use crate::skills::tokens::TokenCounter;
use crate::supervision::ActorSystem;

/// Shared by handle, actor and tasks.
pub(super) struct GovernorShared {
    pub(super) cache: ContextCache,
    pub(super) store: ContextStore,
    pub(super) roster: Arc<Roster>,
    pub(super) system: ActorSystem,
    pub(super) counter: Arc<TokenCounter>,
    pub(super) summariser: Arc<dyn TextSummariser>,
    pub(super) extractive: ExtractiveSummariser,
    pub(super) workdir: PathBuf,
    pub(super) events: Option<EventStreamHandle>,
    /// A permit for each summary in progress.
    pub(super) places: Arc<Semaphore>,
    pub(super) windows: WindowLookup,
}

/// A model's context window by the model's name, if known.
pub type WindowLookup = Arc<dyn Fn(&str) -> Option<u64> + Send + Sync>;

impl GovernorShared {
    pub(super) fn is_own(&self, agent: &str) -> bool {
        self.roster.get(agent).is_some()
    }

    pub(super) fn is_known(&self, agent: &str) -> bool {
        self.is_own(agent) || self.cache.knows(agent)
    }

    pub(super) fn ctx_used(&self, agent: &str, run: &RunLabel) -> u64 {
        self.cache.in_run(agent, run).map_or(0, |context| context.ctx_used)
    }

    /// The window of an agent's first model.
    pub(super) fn window(&self, agent: &AgentDefinition) -> NonZeroU64 {
        let known = agent.models.first().and_then(|model| (self.windows)(model));
        known.and_then(NonZeroU64::new).unwrap_or(DEFAULT_CTX_LIMIT)
    }

    /// Counts the uncounted text of an own agent.
    pub(super) async fn count_all_of(self: &Arc<Self>, agent: &str) -> GovernorResult<()> {
        for (_, run, bytes) in self.cache.uncounted().into_iter().filter(|(who, ..)| **who == *agent) {
            self.recount(agent, &run, bytes).await?;
        }
        Ok(())
    }

    pub(super) async fn count(self: &Arc<Self>, texts: Vec<String>) -> u64 {
        let this = Arc::clone(self);
        let work = move || texts.iter().map(|text| this.counter.count(text, None)).sum();
        // A counter that panicked has counted nothing; the bytes still count as tokens.
        tokio::task::spawn_blocking(work).await.unwrap_or(u64::MAX)
    }

    /// Counts an own agent's context and stores the figure in the cache.
    pub(super) async fn recount(
        self: &Arc<Self>,
        agent: &str,
        run: &RunLabel,
        uncounted: u64,
    ) -> GovernorResult<()> {
        let (summary, notes) = self.store.conversation(agent, run)?;
        let texts = summary.map(|summary| summary.text).into_iter();
        let tokens = self.count(texts.chain(notes.into_iter().map(|note| note.text)).collect()).await;
        if tokens < u64::MAX {
            self.cache.settle(agent, run, tokens, uncounted);
        }
        Ok(())
    }

    /// A summary by the summariser; by extraction if that is not usable.
    pub(super) async fn digest(&self, text: Arc<str>) -> GovernorResult<SummaryDigest> {
        match self.summariser.summarise(Arc::clone(&text)).await {
            Ok(digest) if is_usable(&digest, &text) => return Ok(digest),
            Ok(digest) => tracing::warn!(method = digest.method, "an unusable summary; extracting instead"),
            Err(error) => tracing::warn!(%error, "no summary from the model; extracting instead"),
        }
        Ok(self.extractive.summarise(text).await?)
    }

    /// Makes a summary under an id, writes the file and stores the row. Repeated, replaces the earlier one.
    pub(super) async fn summarise(
        &self,
        id: String,
        wanted: &SummaryRequest,
        ctx_before: u64,
        text: Arc<str>,
        source: SummarySource,
    ) -> GovernorResult<ContextSummary> {
        let digest = self.digest(text).await?;
        let summary = ContextSummary {
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
        self.store.put_summary(summary.clone(), source).await?;
        self.publish_alert(&summary);
        Ok(summary)
    }

    /// Publishes an alert about a context that was too full; a summary made again is published once.
    pub(super) fn publish_alert(&self, summary: &ContextSummary) {
        if let (Some(events), SummaryTrigger::HardMaxBreach) = (&self.events, summary.trigger_reason) {
            events.publish(alert(summary));
        }
    }

    /// Serves a request to summarise anything but an own agent's conversation: first the summary, then the
    /// empty context, unless the agent has reported a newer one meanwhile.
    pub(super) async fn summarise_for(&self, wanted: SummaryRequest) -> GovernorResult<ContextSummary> {
        let SummaryRequest { agent, run_id, content, .. } = &wanted;
        let context = self.cache.in_run(agent, run_id);
        let ctx_before = context.as_ref().map_or(0, |context| context.ctx_used);
        let text = content.clone().unwrap_or_else(|| known_of(&wanted, context.as_ref()));
        let source = SummarySource::Text(text.clone());
        let summary = self.summarise(new_id(), &wanted, ctx_before, Arc::from(text), source).await?;
        self.empty(agent, context.into_iter().collect()).await?;
        Ok(summary)
    }

    /// Empties contexts without a conversation: first durable, then visible. Returns the tokens that were in
    /// them.
    pub(super) async fn empty(&self, agent: &str, contexts: Vec<AgentContext>) -> GovernorResult<u64> {
        let before = contexts.iter().fold(0, |sum: u64, context| sum.saturating_add(context.ctx_used));
        self.store.empty(agent.to_owned(), contexts.clone()).await?;
        for context in &contexts {
            self.cache.clear(agent, context);
        }
        Ok(before)
    }
}

/// Everything known of a context whose content was not in the request.
fn known_of(wanted: &SummaryRequest, context: Option<&AgentContext>) -> String {
    let used = context.map(|c| format!("{} of {} tokens were in use", c.ctx_used, c.ctx_limit));
    let used = used.unwrap_or_else(|| "its context was not reported".to_owned());
    format!("Agent {} in run {}: {used}. It brought no content to summarise.", wanted.agent, wanted.run_id)
}

fn alert(summary: &ContextSummary) -> SwarmEventDraft {
    let ContextSummary { agent, run_id, ctx_before, tokens_before, tokens_after, .. } = summary;
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
    SwarmEventDraft::new(kind::ALERT, data).once(format!("context-{}", summary.summary_id))
}

/// Whether a summary is not empty for a text with content, and fits.
fn is_usable(digest: &SummaryDigest, text: &str) -> bool {
    digest.tokens_after <= MAX_TOKENS && digest.text.trim().is_empty() == text.trim().is_empty()
}
