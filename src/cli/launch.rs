//! Starts a daemon for a command, and waits for the daemon's end.
//!
//! Invariants: the daemon gets this command's settings and a separate process group, so that Ctrl-C in the
//! terminal reaches only the command; output goes to `<data_dir>/daemon.log`. Failure policy: every wait has
//! a deadline; when the daemon does not come up, the error shows the end of the log.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::CommandContext;
use super::args::GlobalArgs;
use super::client::{DaemonClient, ORCHESTRATOR};
use super::exit::{CommandExit, CommandFailure};

/// A start takes well under a second; past this, even on a loaded machine, something hangs. Longer than
/// `supervision.start_deadline_s`, so that the daemon's own error comes first.
const START: Duration = Duration::from_secs(20);
/// Covers the shutdown deadlines of the tree's children, on top of the grace for requests.
const STOP: Duration = Duration::from_secs(60);
/// For the last request before this command exits.
const LAST_WORD: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(25);
/// Lines of the log shown when a start failed.
const LOG_LINES: usize = 15;
/// A larger log is set aside when a new daemon starts.
const LOG_BYTES: u64 = 4 << 20;

/// A daemon started by this command.
#[derive(Debug)]
pub(super) struct LaunchedDaemon {
    child: Child,
    /// Receives the daemon's output.
    pub(super) log: PathBuf,
}

/// Starts a daemon with this command's settings and waits for the first answer.
///
/// # Errors
/// The daemon exits at once or does not answer in time; the error carries the end of the log.
pub(super) async fn start(context: &CommandContext) -> Result<LaunchedDaemon, CommandFailure> {
    let data_dir = &context.config.daemon.data_dir;
    let log = data_dir.join("daemon.log");
    let child = spawn(&context.global, &log).map_err(|error| {
        CommandFailure::failed(format!("cannot start a daemon with its log at {}: {error}", log.display()))
    })?;
    let mut launched = LaunchedDaemon { child, log };
    let deadline = Instant::now() + START;
    loop {
        if context.client.is_up().await {
            return Ok(launched);
        }
        if let Some(status) = launched.ended() {
            return Err(launched.failure(&format!("the daemon exited during startup ({status})")));
        }
        if Instant::now() > deadline {
            // The daemon may be half up, and nothing else would stop it.
            let _ = launched.child.kill();
            return Err(launched.failure(&format!("the daemon did not answer within {} s", START.as_secs())));
        }
        sleep(LOOK).await;
    }
}

impl LaunchedDaemon {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Stops the daemon, unless already gone: whatever answers then was started by someone else.
    ///
    /// # Errors
    /// The daemon refuses, or does not exit in time.
    pub(super) async fn stop(mut self, context: &CommandContext) -> Result<(), CommandFailure> {
        if self.ended().is_some() {
            return Ok(());
        }
        context.client.post(&["shutdown"], &json!({})).await?;
        let deadline = Instant::now() + STOP + context.config.http.shutdown_grace;
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return Err(self.failure("the daemon was asked to stop but keeps running"));
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                // The shutdown request is in; the daemon stops without further help.
                _ = &mut interrupt => return Ok(()),
            }
        }
        Ok(())
    }

    /// Requests a shutdown without waiting.
    pub(super) async fn let_go(mut self, client: &DaemonClient) {
        if self.ended().is_none() {
            // This command exits now, so the answer does not matter.
            let _ = client.post_to(ORCHESTRATOR, &["shutdown"], &json!({}), LAST_WORD).await;
        }
    }

    fn failure(&self, what: &str) -> CommandFailure {
        let tail = tail(&self.log).unwrap_or_else(|error| format!("(the log cannot be read: {error})"));
        CommandFailure::new(
            CommandExit::Unreachable,
            format!(
                "{what}\nend of {}:\n{tail}\nrun `pas doctor` to find the cause, or `pas up` to watch the \
                 daemon start",
                self.log.display()
            ),
        )
    }
}

/// Waits until the daemon no longer answers and has closed the store.
///
/// # Errors
/// The deadline passes first.
pub(super) async fn wait_until_gone(context: &CommandContext) -> Result<(), CommandFailure> {
    let patience = STOP + context.config.http.shutdown_grace;
    let (deadline, store) = (Instant::now() + patience, context.config.store_file());
    while context.client.identity(ORCHESTRATOR).await.is_some() || is_locked(&store) {
        if Instant::now() > deadline {
            let seconds = patience.as_secs();
            return Err(CommandFailure::failed(format!(
                "the daemon is still running {seconds} s after it was asked to stop"
            )));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Whether another process has the store open: redb locks the file for that time.
#[must_use]
pub(super) fn is_locked(store: &Path) -> bool {
    let locked = File::open(store).map(|file| file.try_lock_shared());
    matches!(locked, Ok(Err(std::fs::TryLockError::WouldBlock)))
}

fn spawn(global: &GlobalArgs, log: &Path) -> io::Result<Child> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if log.metadata().is_ok_and(|file| file.len() > LOG_BYTES) {
        std::fs::rename(log, log.with_extension("log.old"))?;
    }
    let out = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(flags(global)).arg("up");
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}

/// The settings flags as given; the child starts in the same folder, so relative paths keep their meaning.
pub(super) fn flags(global: &GlobalArgs) -> Vec<std::ffi::OsString> {
    let paths =
        [("--data-dir", &global.data_dir), ("--workdir", &global.workdir), ("--config", &global.config)];
    let mut flags = Vec::new();
    for (flag, path) in paths {
        if let Some(path) = path {
            flags.extend([flag.into(), path.clone().into_os_string()]);
        }
    }
    if let Some(offset) = global.port_offset {
        flags.extend(["--port-offset".into(), offset.to_string().into()]);
    }
    if let Some(bind) = global.bind {
        flags.extend(["--bind".into(), bind.to_string().into()]);
    }
    flags
}

fn tail(log: &Path) -> io::Result<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES));
    Ok(last.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_gets_the_flags_of_the_command() {
        let global = GlobalArgs {
            data_dir: Some("state".into()),
            port_offset: Some(1000),
            bind: Some([127, 0, 0, 1].into()),
            json: true,
            ..GlobalArgs::default()
        };
        let expected = ["--data-dir", "state", "--port-offset", "1000", "--bind", "127.0.0.1"];
        assert_eq!(flags(&global), expected.map(std::ffi::OsString::from));
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        std::fs::write(&log, (1..=40).map(|n| format!("line {n}\n")).collect::<String>()).unwrap();
        let shown = tail(&log).unwrap();
        assert_eq!(shown.lines().count(), LOG_LINES);
        assert!(shown.starts_with("  line 26\n") && shown.ends_with("  line 40"));
    }

    #[test]
    fn an_open_store_is_seen_to_be_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pas.redb");
        assert!(!is_locked(&path), "there is none");
        let store = crate::store::Store::open(&path).unwrap();
        assert!(is_locked(&path));
        drop(store);
    }
}
