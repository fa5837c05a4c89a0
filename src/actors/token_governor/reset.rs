//! Carries a reset on, stage by stage, from wherever its row stands.
//!
//! The order and its proof are in [`crate::domain::context::reset`]; here are the effects. Every turn reads
//! the row anew, so a governor that was killed between two effects goes on where the row stands. Failure
//! policy: an effect that fails is tried again after a pause that doubles; whoever waits for the clear is
//! told after the first failure.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::Source;
use super::{Answer, Message, Parts, Wanted};
use crate::domain::context::reset::{Duty, Reset, Stage};
use crate::supervision::policy::PlannedRestart;
use crate::supervision::tree::Phase;
use crate::supervision::{Address, ControlError};

/// Between two looks at a worker that is on its way up; a start takes a few of them.
const LOOK: Duration = Duration::from_millis(20);
/// The same for one that takes long: it is backing off or was stopped by a person.
const SLOW_LOOK: Duration = Duration::from_secs(1);
/// Looks at the faster pace: two seconds.
const LOOKS: u32 = 100;
/// Pause after a failure; doubles up to [`LONGEST_PAUSE`]. A disk that is full stays so for a while.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Carries the reset of an agent to its end.
pub(super) async fn drive(parts: Arc<Parts>, agent: String, governor: Address<Message>) {
    let (mut pause, mut looks) = (FIRST_PAUSE, 0);
    // Every turn changes its row: without a store that takes it a worker would be restarted in vain.
    while parts.ledger.writable().await.is_ok() {
        match turn(&parts, &agent, &governor).await {
            Ok(Turn::Over) => break,
            Ok(Turn::Done) => pause = FIRST_PAUSE,
            Ok(Turn::Wait) => {
                looks += 1;
                tokio::time::sleep(if looks < LOOKS { LOOK } else { SLOW_LOOK }).await;
            }
            Err(error) => {
                tracing::warn!(agent, %error, "a context reset does not go on for now; it is tried again");
                tell(&governor, Message::Stepped { agent: agent.clone(), outcome: Err(error) }).await;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    tell(&governor, Message::Ended(agent)).await;
}

enum Turn {
    /// Something was done; look again at once.
    Done,
    /// Somebody else must act first.
    Wait,
    /// Nothing is left to do.
    Over,
}

async fn turn(parts: &Arc<Parts>, agent: &str, governor: &Address<Message>) -> Answer<Turn> {
    // Before the row is read: see `Reset::duty`.
    let is_up = is_up(parts, agent);
    let Some(reset) = parts.ledger.reset(agent)? else { return Ok(Turn::Over) };
    match reset.duty(is_up) {
        Duty::Summarise => summarise(parts, &reset).await?,
        Duty::Clear => clear(parts, &reset, governor).await?,
        Duty::Restart => return restart(parts, &reset).await,
        Duty::Await => return Ok(Turn::Wait),
        Duty::Rest => return Ok(Turn::Over),
    }
    Ok(Turn::Done)
}

fn is_up(parts: &Parts, agent: &str) -> bool {
    parts.system.tree().by_name(agent).is_some_and(|node| node.state().phase == Phase::Running)
}

async fn summarise(parts: &Parts, reset: &Reset) -> Answer<()> {
    let text = parts.ledger.text_of(&reset.saved)?;
    let text = text.unwrap_or_else(|| reset.saved.text(None, &[]));
    let wanted = Wanted {
        agent: reset.agent.clone(),
        run_id: reset.run_id.clone(),
        trigger_reason: reset.trigger,
        content: None,
    };
    let source = Source::Saved(reset.saved.clone());
    parts.summarise(reset.id.clone(), &wanted, reset.ctx_before, Arc::from(text), source).await?;
    Ok(())
}

async fn clear(parts: &Arc<Parts>, reset: &Reset, governor: &Address<Message>) -> Answer<()> {
    parts.ledger.clear(reset.agent.clone()).await?;
    // What came since the reset began; the summary is in the context once the worker starts from it.
    let (_, notes) = parts.ledger.conversation(&reset.agent, &reset.run_id)?;
    let bytes: usize = notes.iter().map(|note| note.text.len()).sum();
    let tokens = parts.count(notes.into_iter().map(|note| note.text).collect()).await.min(bytes as u64);
    parts.board.settle(&reset.agent, &reset.run_id, tokens, u64::MAX);
    let stepped = Message::Stepped { agent: reset.agent.clone(), outcome: Ok(reset.ctx_before) };
    tell(governor, stepped).await;
    Ok(())
}

/// Has the worker restarted, and waits until another incarnation is on its way.
async fn restart(parts: &Parts, reset: &Reset) -> Answer<Turn> {
    let agent = reset.agent.as_str();
    match parts.system.restart(agent, PlannedRestart::ContextReset).await {
        Ok(ended) => {
            let is_new = || {
                let node = parts.system.tree().by_name(agent);
                node.is_none_or(|node| node.state().incarnation != ended)
            };
            while !is_new() && parts.ledger.reset(agent)?.is_some_and(|reset| reset.stage == Stage::Cleared) {
                tokio::time::sleep(LOOK).await;
            }
            Ok(Turn::Done)
        }
        // It ends or starts at this moment, or its supervisor is busy: the next look tells.
        Err(ControlError::NotRunning(_) | ControlError::Timeout(_)) => Ok(Turn::Wait),
        // It is not in the tree of this daemon any more: it resumes when it comes back.
        Err(ControlError::Unknown(_) | ControlError::Unsuitable(_)) => Ok(Turn::Wait),
    }
}

/// A governor that has ended for good needs no news.
async fn tell(governor: &Address<Message>, message: Message) {
    let _ = governor.send(message).await;
}
