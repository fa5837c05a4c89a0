//! Checks which folder's daemon answers: a job runs in the daemon's working directory, so a daemon of another
//! folder is the wrong one.

use std::path::PathBuf;

use crate::cli::CommandContext;
use crate::cli::client::ORCHESTRATOR;
use crate::cli::exit::CommandFailure;

/// Distance between the port ranges of two daemons: more than a daemon's own range.
const STEP: u16 = 1000;
const RANGES: u16 = 9;

/// The context to use when the configured ports belong to another folder's daemon: the first range that
/// is free or already belongs to this folder. `None` when the configured ports are right.
///
/// # Errors
/// The user chose the ports, or no range is free.
pub(super) async fn beside_strangers(
    context: &CommandContext,
) -> Result<Option<CommandContext>, CommandFailure> {
    let Some(stranger) = stranger(context).await else { return Ok(None) };
    let (stranger, base) = (stranger.display(), context.config.http.port_offset);
    let by_hand = context.global.port_offset.is_some();
    for range in 1..=RANGES {
        let Some(offset) = base.checked_add(range * STEP).filter(|_| !by_hand) else { break };
        let moved = context.moved(offset)?;
        if self::stranger(&moved).await.is_none() {
            context.screen.hint(&format!(
                "port {ORCHESTRATOR} belongs to the daemon of {stranger}; using port offset {offset} here"
            ));
            return Ok(Some(moved));
        }
    }
    Err(CommandFailure::usage(format!(
        "the daemon that answers here works in {stranger}: run the job there, stop it with `pas down`, or choose \
         other ports with --port-offset"
    )))
}

/// The working directory of the answering daemon, unless the same as this command's.
async fn stranger(context: &CommandContext) -> Option<PathBuf> {
    let health = context.client.get(&["health"], &[]).await.ok()?;
    let theirs = PathBuf::from(health["workdir"].as_str()?);
    let ours = &context.config.daemon.workdir;
    let same = theirs.canonicalize().ok() == ours.canonicalize().ok();
    (!same).then_some(theirs)
}
