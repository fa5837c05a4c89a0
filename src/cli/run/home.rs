//! Whose daemon answers: a job runs in the working directory of its daemon, so another folder's daemon is
//! the wrong one, however well it answers.

use std::path::PathBuf;

use crate::cli::Context;
use crate::cli::client::ORCHESTRATOR;
use crate::cli::exit::Failure;

/// Between the ports of one folder's daemon and the next one's: more than a daemon has.
const STEP: u16 = 1000;
const RANGES: u16 = 9;

/// The context to go on with where the configured ports belong to another folder's daemon: the first
/// range that is free, or that already is this folder's. `None` when the configured ports will do.
///
/// # Errors
/// The ports were chosen by hand, or no range is free.
pub(super) async fn beside_strangers(context: &Context) -> Result<Option<Context>, Failure> {
    let Some(stranger) = stranger(context).await else { return Ok(None) };
    let (stranger, base) = (stranger.display(), context.config.http.port_offset);
    let by_hand = context.global.port_offset.is_some();
    for range in 1..=RANGES {
        let Some(offset) = base.checked_add(range * STEP).filter(|_| !by_hand) else { break };
        let moved = context.moved(offset)?;
        if self::stranger(&moved).await.is_none() {
            context.screen.hint(&format!(
                "port {ORCHESTRATOR} belongs to the daemon of {stranger}; here the ports are moved by {offset}"
            ));
            return Ok(Some(moved));
        }
    }
    Err(Failure::usage(format!(
        "the daemon that answers here works in {stranger}: run the job there, stop it with `pas down`, or choose \
         other ports with --port-offset"
    )))
}

/// The working directory of the daemon that answers, when it is not this command's.
async fn stranger(context: &Context) -> Option<PathBuf> {
    let health = context.client.get(&["health"], &[]).await.ok()?;
    let theirs = PathBuf::from(health["workdir"].as_str()?);
    let ours = &context.config.daemon.workdir;
    let same = theirs.canonicalize().ok() == ours.canonicalize().ok();
    (!same).then_some(theirs)
}
