//! The `pas` binary: passes the daemon's entry point to the library's command line.

use std::process::ExitCode;

use pas::cli::daemon::DaemonFuture;
use pas::config::SwarmConfig;
use pas::daemon::{DaemonEnd, RunningDaemon};
use tikv_jemallocator::Jemalloc;
use tokio_util::sync::CancellationToken;

/// Returns memory to the system within a second of the last use (set in `.cargo/config.toml`): after the
/// threads of an ingest, Linux's default allocator keeps ten times the memory in use.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let arguments = || std::env::args().skip(1);
    let hidden = pas::sandbox::entry::run_hidden(arguments());
    if let Some(ended) = hidden.or_else(|| pas::skills::run_hidden(arguments())) {
        return ended;
    }
    pas::cli::main(daemon)
}

/// The daemon behind `pas up`.
fn daemon(config: SwarmConfig, shutdown: CancellationToken) -> DaemonFuture {
    Box::pin(async move {
        match RunningDaemon::start(config, shutdown).await?.run().await? {
            DaemonEnd::Asked => Ok(()),
            DaemonEnd::GaveUp(Some(over)) => anyhow::bail!(
                "the daemon gave up: `{}` kept failing ({} restarts in a row), at last: {}. Mend that cause and run \
                 `pas up`: what was acknowledged is kept, and accepted jobs go on. `pas doctor` looks for what is \
                 wrong; its /crashes have the traces",
                over.child,
                over.restarts,
                over.fault
            ),
            DaemonEnd::GaveUp(None) => {
                anyhow::bail!("the daemon's root supervisor ended by itself; see the log")
            }
        }
    })
}
