//! Drives a reset through the stages, from the one that the row has reached.
//!
//! The order and its proof are in [`crate::domain::token_governor::reset`]; here are the effects. Every turn
//! reads the row anew, so a governor that was killed between two effects continues from the row. Failure
//! policy: a failed effect is tried again after a pause that doubles; callers waiting for the clear get the
//! first failure.

use std::sync::Arc;
use std::time::Duration;

use super::context_store::SummarySource;
use super::{GovernorMessage, GovernorResult, GovernorShared, SummaryRequest};
use crate::domain::token_governor::reset::{ContextReset, ResetDuty, ResetStage};
use crate::supervision::policy::PlannedRestart;
use crate::supervision::tree::ActorPhase;
use crate::supervision::{Address, ControlError};

/// Time between two checks of a starting worker; a start takes a few of them.
const LOOK: Duration = Duration::from_millis(20);
/// The same for a slow worker: one that backs off or was stopped by a person.
const SLOW_LOOK: Duration = Duration::from_secs(1);
/// Number of checks at the faster pace: two seconds.
const LOOKS: u32 = 100;
/// Pause after a failure; doubles up to [`LONGEST_PAUSE`]. A full disk stays full for a while.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn drive(parts: Arc<GovernorShared>, agent: String, governor: Address<GovernorMessage>) {
    let (mut pause, mut looks) = (FIRST_PAUSE, 0);
    // Every turn changes the row: without a store that takes writes, a worker would be restarted for nothing.
    while parts.store.writable().await.is_ok() {
        match turn(&parts, &agent, &governor).await {
            Ok(ResetProgress::Over) => break,
            Ok(ResetProgress::Done) => pause = FIRST_PAUSE,
            Ok(ResetProgress::Wait) => {
                looks += 1;
                tokio::time::sleep(if looks < LOOKS { LOOK } else { SLOW_LOOK }).await;
            }
            Err(error) => {
                tracing::warn!(agent, %error, "a context reset cannot continue for now; trying again");
                notify_governor(
                    &governor,
                    GovernorMessage::Stepped { agent: agent.clone(), outcome: Err(error) },
                )
                .await;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    notify_governor(&governor, GovernorMessage::Ended(agent)).await;
}

enum ResetProgress {
    /// Something was done; read the row again at once.
    Done,
    /// Another party must act first.
    Wait,
    /// Nothing is left to do.
    Over,
}

async fn turn(
    parts: &Arc<GovernorShared>,
    agent: &str,
    governor: &Address<GovernorMessage>,
) -> GovernorResult<ResetProgress> {
    // Before the row is read: see `ContextReset::duty`.
    let is_up = is_up(parts, agent);
    let Some(reset) = parts.store.reset(agent)? else { return Ok(ResetProgress::Over) };
    match reset.duty(is_up) {
        ResetDuty::Summarise => summarise(parts, &reset).await?,
        ResetDuty::Clear => clear(parts, &reset, governor).await?,
        ResetDuty::Restart => return restart(parts, &reset).await,
        ResetDuty::Await => return Ok(ResetProgress::Wait),
        ResetDuty::Rest => return Ok(ResetProgress::Over),
    }
    Ok(ResetProgress::Done)
}

fn is_up(parts: &GovernorShared, agent: &str) -> bool {
    parts.system.tree().by_name(agent).is_some_and(|node| node.state().phase == ActorPhase::Running)
}

async fn summarise(parts: &GovernorShared, reset: &ContextReset) -> GovernorResult<()> {
    let text = parts.store.text_of(&reset.saved)?;
    let text = text.unwrap_or_else(|| reset.saved.text(None, &[]));
    let wanted = SummaryRequest {
        agent: reset.agent.clone(),
        run_id: reset.run_id.clone(),
        trigger_reason: reset.trigger,
        content: None,
    };
    let source = SummarySource::Saved(reset.saved.clone());
    parts.summarise(reset.id.clone(), &wanted, reset.ctx_before, Arc::from(text), source).await?;
    Ok(())
}

async fn clear(
    parts: &Arc<GovernorShared>,
    reset: &ContextReset,
    governor: &Address<GovernorMessage>,
) -> GovernorResult<()> {
    parts.store.clear(reset.agent.clone()).await?;
    // The notes since the reset began; the summary joins the context once the worker starts from it.
    let (_, notes) = parts.store.conversation(&reset.agent, &reset.run_id)?;
    let bytes: usize = notes.iter().map(|note| note.text.len()).sum();
    let tokens = parts.count(notes.into_iter().map(|note| note.text).collect()).await.min(bytes as u64);
    parts.cache.settle(&reset.agent, &reset.run_id, tokens, u64::MAX);
    let stepped = GovernorMessage::Stepped { agent: reset.agent.clone(), outcome: Ok(reset.ctx_before) };
    notify_governor(governor, stepped).await;
    Ok(())
}

/// Restarts the worker, and waits until another incarnation is starting.
async fn restart(parts: &GovernorShared, reset: &ContextReset) -> GovernorResult<ResetProgress> {
    let agent = reset.agent.as_str();
    match parts.system.restart(agent, PlannedRestart::ContextReset).await {
        Ok(ended) => {
            let is_new = || {
                let node = parts.system.tree().by_name(agent);
                node.is_none_or(|node| node.state().incarnation != ended)
            };
            while !is_new()
                && parts.store.reset(agent)?.is_some_and(|reset| reset.stage == ResetStage::Cleared)
            {
                tokio::time::sleep(LOOK).await;
            }
            Ok(ResetProgress::Done)
        }
        // The worker ends or starts at this moment, or the supervisor is busy: the next check shows.
        Err(ControlError::NotRunning(_) | ControlError::Timeout(_)) => Ok(ResetProgress::Wait),
        // The worker is no longer in this daemon's tree and resumes on returning.
        Err(ControlError::Unknown(_) | ControlError::Unsuitable(_)) => Ok(ResetProgress::Wait),
    }
}

/// A governor that has ended for good needs no notice.
async fn notify_governor(governor: &Address<GovernorMessage>, message: GovernorMessage) {
    let _ = governor.send(message).await;
}
