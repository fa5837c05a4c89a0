//! The governor's shared part: contexts, ledger and whoever makes summaries, for handle, actor and tasks.
//!
//! Invariants: a summary's file is there before its row, and its row before its context is emptied; a
//! window is looked up by one function, [`WindowLookup`]. Failure policy: a summariser that fails or
//! gives nothing usable is stood in for by extraction; every other failure is the caller's.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use super::board::Board;
use super::ledger::{Ledger, Source};
use super::{Answer, Wanted, files};
use crate::actors::event_stream::Events;
use crate::domain::agent::AgentDefinition;
use crate::domain::context::summary::{Summary, Trigger, new_id, path};
use crate::domain::context::{Context, DEFAULT_CTX_LIMIT, RunLabel};
use crate::domain::event::{Draft, kind};
use crate::domain::roster::Roster;
use crate::domain::time::Timestamp;
use crate::skills::summary::{Digest, Extractive, MAX_TOKENS, Summariser};
use crate::skills::tokens::TokenCounter;
use crate::supervision::ActorSystem;

/// What the handle, the actor and its tasks share.
pub(super) struct Parts {
    pub(super) board: Board,
    pub(super) ledger: Ledger,
    pub(super) roster: Arc<Roster>,
    pub(super) system: ActorSystem,
    pub(super) counter: Arc<TokenCounter>,
    pub(super) summariser: Arc<dyn Summariser>,
    pub(super) extractive: Extractive,
    pub(super) workdir: PathBuf,
    pub(super) events: Option<Events>,
    /// A place for each summary under way.
    pub(super) places: Arc<Semaphore>,
    pub(super) windows: WindowLookup,
}

/// Tokens that a model of a name takes, where that is known.
pub type WindowLookup = Arc<dyn Fn(&str) -> Option<u64> + Send + Sync>;

impl Parts {
    pub(super) fn is_own(&self, agent: &str) -> bool {
        self.roster.get(agent).is_some()
    }

    pub(super) fn is_known(&self, agent: &str) -> bool {
        self.is_own(agent) || self.board.knows(agent)
    }

    pub(super) fn ctx_used(&self, agent: &str, run: &RunLabel) -> u64 {
        self.board.in_run(agent, run).map_or(0, |context| context.ctx_used)
    }

    /// The window of an agent's first model.
    pub(super) fn window(&self, agent: &AgentDefinition) -> NonZeroU64 {
        let known = agent.models.first().and_then(|model| (self.windows)(model));
        known.and_then(NonZeroU64::new).unwrap_or(DEFAULT_CTX_LIMIT)
    }

    /// Counts what was not counted yet of an own agent.
    pub(super) async fn count_all_of(self: &Arc<Self>, agent: &str) -> Answer<()> {
        for (_, run, bytes) in self.board.uncounted().into_iter().filter(|(who, ..)| **who == *agent) {
            self.recount(agent, &run, bytes).await?;
        }
        Ok(())
    }

    pub(super) async fn count(self: &Arc<Self>, texts: Vec<String>) -> u64 {
        let this = Arc::clone(self);
        let work = move || texts.iter().map(|text| this.counter.count(text, None)).sum();
        // A counter that panicked would have counted nothing; the bytes go on standing for the tokens.
        tokio::task::spawn_blocking(work).await.unwrap_or(u64::MAX)
    }

    /// Counts an own agent's context and puts the figure on the board.
    pub(super) async fn recount(self: &Arc<Self>, agent: &str, run: &RunLabel, uncounted: u64) -> Answer<()> {
        let (summary, notes) = self.ledger.conversation(agent, run)?;
        let texts = summary.map(|summary| summary.text).into_iter();
        let tokens = self.count(texts.chain(notes.into_iter().map(|note| note.text)).collect()).await;
        if tokens < u64::MAX {
            self.board.settle(agent, run, tokens, uncounted);
        }
        Ok(())
    }

    /// A summary by whoever makes summaries; by extraction where that does not give a usable one.
    pub(super) async fn digest(&self, text: Arc<str>) -> Answer<Digest> {
        match self.summariser.summarise(Arc::clone(&text)).await {
            Ok(digest) if is_usable(&digest, &text) => return Ok(digest),
            Ok(digest) => tracing::warn!(method = digest.method, "an unusable summary; extracting instead"),
            Err(error) => tracing::warn!(%error, "no summary from the model; extracting instead"),
        }
        Ok(self.extractive.summarise(text).await?)
    }

    /// Makes a summary under an id, writes its file and stores it. Done again, it replaces itself.
    pub(super) async fn summarise(
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
    pub(super) fn tell(&self, summary: &Summary) {
        if let (Some(events), Trigger::HardMaxBreach) = (&self.events, summary.trigger_reason) {
            events.publish(alert(summary));
        }
    }

    /// Carries out a request for a summary of what is no conversation of ours: the summary first, then the
    /// empty context, unless the agent has reported a newer one meanwhile.
    pub(super) async fn summarise_for(&self, wanted: Wanted) -> Answer<Summary> {
        let Wanted { agent, run_id, content, .. } = &wanted;
        let context = self.board.in_run(agent, run_id);
        let ctx_before = context.as_ref().map_or(0, |context| context.ctx_used);
        let text = content.clone().unwrap_or_else(|| known_of(&wanted, context.as_ref()));
        let source = Source::Text(text.clone());
        let summary = self.summarise(new_id(), &wanted, ctx_before, Arc::from(text), source).await?;
        self.empty(agent, context.into_iter().collect()).await?;
        Ok(summary)
    }

    /// Empties contexts that hold nothing of ours: durable, then seen. The tokens that were in them.
    pub(super) async fn empty(&self, agent: &str, contexts: Vec<Context>) -> Answer<u64> {
        let before = contexts.iter().fold(0, |sum: u64, context| sum.saturating_add(context.ctx_used));
        self.ledger.empty(agent.to_owned(), contexts.clone()).await?;
        for context in &contexts {
            self.board.clear(agent, context);
        }
        Ok(before)
    }
}

/// All that is known of a context whose content nobody brought.
fn known_of(wanted: &Wanted, context: Option<&Context>) -> String {
    let used = context.map(|c| format!("{} of {} tokens were in use", c.ctx_used, c.ctx_limit));
    let used = used.unwrap_or_else(|| "its context was not reported".to_owned());
    format!("Agent {} in run {}: {used}. It brought no content to summarise.", wanted.agent, wanted.run_id)
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
