//! The `pas` binary: hands the command line to the library, and the daemon to the command line.

use std::process::ExitCode;

use pas::cli::daemon::Running;
use pas::config::Config;
use pas::daemon::{Daemon, Ended};
use tikv_jemallocator::Jemalloc;
use tokio_util::sync::CancellationToken;

/// Gives memory back to the system within a second of its last use (`.cargo/config.toml` sets that): the
/// threads of an ingest leave the usual allocator of Linux with ten times what is in use.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    pas::cli::main(daemon)
}

/// What `pas up` runs.
fn daemon(config: Config, shutdown: CancellationToken) -> Running {
    Box::pin(async move {
        match Daemon::start(config, shutdown).await?.run().await? {
            Ended::Asked => Ok(()),
            Ended::GaveUp(Some(over)) => anyhow::bail!(
                "the daemon gave up: `{}` kept failing ({} restarts in a row), at last: {}. Mend that cause and run \
                 `pas up`: what was acknowledged is kept, and accepted jobs go on. `pas doctor` looks for what is \
                 wrong; its /crashes have the traces",
                over.child,
                over.restarts,
                over.fault
            ),
            Ended::GaveUp(None) => {
                anyhow::bail!("the daemon's root supervisor ended by itself; the log says why")
            }
        }
    })
}
