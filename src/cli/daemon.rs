//! `pas up` and `pas down`.
//!
//! Invariant: the first Ctrl-C or SIGTERM asks the daemon to shut down cleanly; a second one ends the
//! process immediately, which the store survives.

use std::pin::Pin;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::CommandContext;
use super::descriptors;
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::launch;
use super::log_limit::LogLimit;
use crate::config::{LogConfig, LogFormat, SwarmConfig};
use crate::http::hmi::log_lines;

/// The daemon, as `main` hands it in: runs until a failure or until the `CancellationToken` is cancelled.
pub type DaemonMain = fn(SwarmConfig, CancellationToken) -> DaemonFuture;

/// A daemon that runs.
pub type DaemonFuture = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Runs the daemon in the foreground.
pub async fn up(context: &CommandContext, daemon: DaemonMain) -> CommandResult {
    let limit = log(&context.config.log);
    descriptors::raise();
    let shutdown = CancellationToken::new();
    let running = daemon(context.config.clone(), shutdown.clone());
    tokio::pin!(running);
    let ended = tokio::select! {
        ended = &mut running => ended,
        () = asked_to_stop() => {
            context.screen.hint("stopping; Ctrl-C again ends the daemon immediately");
            shutdown.cancel();
            tokio::select! {
                ended = &mut running => ended,
                () = asked_to_stop() => return Ok(CommandExit::Interrupted),
            }
        }
    };
    limit.log_rest();
    // The alternate form prints the whole chain of causes.
    ended.map(|()| CommandExit::Done).map_err(|error| CommandFailure::failed(format!("{error:#}")))
}

/// Stops the running daemon.
pub async fn down(context: &CommandContext) -> CommandResult {
    let answer = context.client.post(&["shutdown"], &json!({})).await?;
    launch::wait_until_gone(context).await?;
    context.screen.show(&answer, |_| Ok("the daemon has stopped".into()))?;
    Ok(CommandExit::Done)
}

/// Ctrl-C; on Unix SIGTERM and the end of the terminal as well.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut term), Ok(mut hangup)) =
            (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
        {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
                _ = hangup.recv() => {}
            }
            return;
        }
    }
    // Without signal handlers the system's default applies.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Writes log lines to standard error as configured by `[log]`; `RUST_LOG` overrides the filter. The newest
/// lines are kept for the HMI. A kind of line that repeats too often is counted instead.
fn log(settings: &LogConfig) -> LogLimit {
    let level = tracing::Level::from(settings.level);
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{},ractor=warn", level.as_str())));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(console::colors_enabled_stderr())
        .with_timer(SystemTime);
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let limit = LogLimit::default();
    let log = tracing_subscriber::registry().with(filter).with(limit.clone());
    // Only a second logger in one process is refused; then the first one serves.
    if log.with(lines).with(log_lines::layer()).try_init().is_ok()
        && let Err(error) = limit.clone().keep_counting()
    {
        tracing::warn!(%error, "log lines that are left out are counted at the daemon's end only");
    }
    limit
}
