//! Runs a program of the daemon's own, unconfined, that must not outlive the daemon.
//!
//! The reaper sees the daemon's end on its control socket and ends the program with everything that it has started, so
//! nothing acts on the world any more once another daemon asks how the act went.

use std::ffi::OsString;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::output::{OutputCapture, OutputLimits};
use super::super::reaper::{ReaperRequest, WatchedLimits};
use super::started::{FollowEnd, StartedReaper};
use super::{SandboxEnd, SandboxError, SandboxLauncher, system};

/// A program with its whole environment; nothing is inherited. Not to be shown: it may have the person's secrets in it.
pub struct BoundCommand {
    pub argv: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    pub timeout: Duration,
    pub output: OutputLimits,
}

impl SandboxLauncher {
    /// Runs a program with the daemon's own rights, to its end, its time limit or the daemon's end.
    ///
    /// # Errors
    /// When the program was not started, its end is unknown or some of its processes are left. A failing program is no
    /// error.
    pub async fn run_bound(&self, command: BoundCommand) -> Result<SandboxEnd, SandboxError> {
        let request = ReaperRequest { wrapped: false, limits: WatchedLimits::NONE };
        let mut argv: Vec<OsString> =
            vec!["reap".into(), serde_json::to_string(&request)?.into(), "--".into()];
        argv.extend(command.argv);
        let started = StartedReaper::start(&self.executable, &argv, command.environment, None);
        let mut started = started.map_err(system("the reaper cannot be started"))?;
        let deadline = Instant::now() + command.timeout;
        let capture = OutputCapture::new(command.output);
        let (why, capture, report) = started.follow(deadline, &CancellationToken::new(), capture).await?;
        if let Some(source) = report.failed {
            let (what, source) = ("the program cannot be started".to_owned(), std::io::Error::other(source));
            return Err(SandboxError::System { what, source });
        }
        if report.left > 0 {
            return Err(SandboxError::Survivors(report.left));
        }
        Ok(SandboxEnd {
            exit: report.exit,
            signal: report.signal,
            seconds: report.seconds,
            output: capture.finish(),
            timed_out: why == FollowEnd::TimedOut,
            cancelled: false,
            processes_ended: report.ended,
            breach: None,
            unconfined: true,
        })
    }
}
