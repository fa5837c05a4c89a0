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
            Ended::GaveUp => {
                anyhow::bail!("the root supervisor gave up after too many restarts; the log says why")
            }
        }
    })
}
