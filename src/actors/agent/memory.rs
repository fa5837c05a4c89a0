//! An agent's context: cards and the results of steps.
//!
//! The governor stores the context durably by run and agent. Invariants: a card and a result are added once,
//! whatever is restarted or repeated (their keys name the job); an agent whose context was reset starts from
//! the summary, which replaces the cleared messages in the conversation. An agent's actions follow from the
//! job rows alone, so a context that cannot be written delays no job: the failure is logged.

use serde_json::json;

use super::step_end::{StepEnd, StepResult};
use crate::actors::token_governor::{ContextResumption, GovernorHandle};
use crate::domain::agent::AgentDefinition;
use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::Job;
use crate::domain::token_governor::RunLabel;
use crate::domain::token_governor::conversation::NoteOrigin;

/// An agent's access to its own context.
#[derive(Debug, Clone)]
pub struct AgentMemory {
    pub governor: GovernorHandle,
    /// The state this incarnation resumed from, if the context was reset in an open run.
    pub resumed: Option<ContextResumption>,
}

/// A note with a unique key.
pub(super) struct MemoryNote {
    key: String,
    origin: NoteOrigin,
    text: String,
}

impl AgentMemory {
    /// Logs the state this incarnation resumed from.
    pub(super) fn log_resumption(&self, agent: &AgentName) {
        if let Some(ContextResumption { reset, summary }) = &self.resumed {
            let tokens = summary.as_ref().map(|summary| summary.tokens_after);
            let open = reset.saved.open.len();
            tracing::info!(%agent, reset = reset.id, ?tokens, open, "resumed from a saved state and its summary");
        }
    }

    pub(super) async fn remember(&self, me: &AgentDefinition, job: &JobId, memo: MemoryNote) {
        let run = RunLabel::from(&job.run());
        let MemoryNote { key, origin, text } = memo;
        if let Err(error) = self.governor.remember(me, &run, Some(key), origin, text).await {
            tracing::warn!(agent = %me.name, %job, %error, "the context could not be stored");
        }
    }

    /// Resets a context that is too full.
    pub(super) async fn judge(&self, me: &AgentDefinition, job: &JobId) {
        if let Err(error) = self.governor.judge(me, &RunLabel::from(&job.run())).await {
            tracing::warn!(agent = %me.name, %job, %error, "the context could not be counted");
        }
    }
}

/// The note of a step's card.
pub(super) fn card(job: &Job) -> MemoryNote {
    let capability = job.card.capability.as_deref().unwrap_or_default();
    let card = json!({
        "job_id": job.id, "task": job.card.task, "capability": capability, "inputs": job.card.inputs.0,
    });
    MemoryNote { key: format!("{}/card", job.id), origin: NoteOrigin::Card, text: card.to_string() }
}

/// The note of an attempt's result.
pub(super) fn result(job: &JobId, fence: u64, outcome: &StepResult) -> MemoryNote {
    let (key, text) = match outcome {
        Ok(StepEnd::Done(outcome)) => {
            let result = json!({ "job_id": job, "outputs": outcome.outputs, "artifacts": outcome.artifacts });
            (format!("{job}/result"), result.to_string())
        }
        Ok(StepEnd::Asks(asked)) => {
            (format!("{job}/asked/{fence}"), format!("{job} asks a person: {}", asked.question))
        }
        Err(error) => (format!("{job}/failed/{fence}"), format!("{job} failed: {error}")),
    };
    MemoryNote { key, origin: NoteOrigin::Result, text }
}
