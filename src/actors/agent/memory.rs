//! What an agent keeps in its context: the cards it is given and the results of its steps.
//!
//! The governor holds it durably by run and agent. Invariants: a card and a result are taken once,
//! whatever is restarted or tried again (their keys name the job); an agent whose context was
//! reset starts from the summary, which stands in the conversation in the place of what was cleared. What
//! an agent does follows from the rows of its jobs alone, so a context that cannot be written holds no
//! job up: it is told in the log.

use serde_json::json;

use crate::actors::token_governor::{GovernorHandle, Resumption};
use crate::domain::agent::AgentDefinition;
use crate::domain::context::RunLabel;
use crate::domain::context::conversation::Origin;
use crate::domain::ids::{AgentName, JobId};
use crate::domain::job::Job;
use crate::skills::{SkillError, StepOutcome};

/// An agent's way to its context.
#[derive(Debug, Clone)]
pub struct Memory {
    pub governor: GovernorHandle,
    /// What this incarnation started from, if its context was reset in a run that is open.
    pub resumed: Option<Resumption>,
}

/// Something to be kept, with the key that makes it come once.
pub(super) struct Memo {
    key: String,
    origin: Origin,
    text: String,
}

impl Memory {
    /// Says in the log what this incarnation starts from.
    pub(super) fn tell(&self, agent: &AgentName) {
        if let Some(Resumption { reset, summary }) = &self.resumed {
            let tokens = summary.as_ref().map(|summary| summary.tokens_after);
            let open = reset.saved.open.len();
            tracing::info!(%agent, reset = reset.id, ?tokens, open, "resumed from a saved state and its summary");
        }
    }

    pub(super) async fn remember(&self, me: &AgentDefinition, job: &JobId, memo: Memo) {
        let run = RunLabel::from(&job.run());
        let Memo { key, origin, text } = memo;
        if let Err(error) = self.governor.remember(me, &run, Some(key), origin, text).await {
            tracing::warn!(agent = %me.name, %job, %error, "the context could not be kept");
        }
    }

    /// Has the context reset if it is too full.
    pub(super) async fn judge(&self, me: &AgentDefinition, job: &JobId) {
        if let Err(error) = self.governor.judge(me, &RunLabel::from(&job.run())).await {
            tracing::warn!(agent = %me.name, %job, %error, "the context could not be counted");
        }
    }
}

/// What a step is given.
pub(super) fn card(job: &Job) -> Memo {
    let capability = job.card.capability.as_deref().unwrap_or_default();
    let card = json!({
        "job_id": job.id, "task": job.card.task, "capability": capability, "inputs": job.card.inputs.0,
    });
    Memo { key: format!("{}/card", job.id), origin: Origin::Card, text: card.to_string() }
}

/// What came of an attempt.
pub(super) fn result(job: &JobId, fence: u64, outcome: &Result<StepOutcome, SkillError>) -> Memo {
    let (key, text) = match outcome {
        Ok(outcome) => {
            let result = json!({ "job_id": job, "outputs": outcome.outputs, "artifacts": outcome.artifacts });
            (format!("{job}/result"), result.to_string())
        }
        Err(error) => (format!("{job}/failed/{fence}"), format!("{job} failed: {error}")),
    };
    Memo { key, origin: Origin::Result, text }
}
